"""Delivers alerts to a webhook until killed: ``python -m tests.support.hooks_process OUTBOX PORT FIRST LAST``.

It takes the alerts FIRST to LAST - 1 in, says ``kept`` once they are on the disk, and delivers until it is ended.
"""

import sys
import threading
import time
from pathlib import Path

import structlog

from flows.receivers import delivery_of
from schemas.hooks import HOOKS_ADAPTER
from sinks.hooks import store
from sinks.hooks.addresses import parse_networks
from sinks.hooks.intake import Intake
from sinks.hooks.outbox import Outbox
from sinks.hooks.publisher import Delivery, Publisher
from sinks.hooks.traits import Suppression
from tests.support.alerts import alert_of

SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
SILENT = 50


def webhook_delivery(url: str, *, name: str = "ops", **options: object) -> dict[str, Delivery]:
    """Return a webhook that tries again soon."""
    fast = {"retry_seconds": 0.01, "retry_seconds_max": 0.05, "rate_per_minute": 60_000, "burst": 1_000}
    hook = {"kind": "webhook", "url": url, "secret": "env:SECRET", "timeout_seconds": 10.0, **fast, **options}
    (parsed,) = HOOKS_ADAPTER.validate_python({name: hook}).values()
    networks = parse_networks("127.0.0.0/8")
    return {name: delivery_of(name, parsed, networks=networks, environment={"SECRET": SECRET})}


def main() -> None:
    """Deliver until killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(SILENT))
    path, port, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    deliveries = webhook_delivery(f"http://127.0.0.1:{port}/hook")
    hooks = {name: delivery.traits for name, delivery in deliveries.items()}
    publisher = Publisher(path, deliveries)
    intake = Intake(
        lambda: Outbox(store.connect(path), hooks=hooks, suppression=Suppression()),
        on_commit=publisher.wake,
        clock=lambda: time.time_ns() // 1_000,
    )
    for number in range(first, last):
        intake.add_alerts([alert_of(number, annotator=f"ann-{number}", fired_at=time.time_ns() // 1_000)])
    intake.flush()
    print("kept", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
