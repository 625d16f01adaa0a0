"""Events to the gateway, in batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from flows.reconcile.http import Server
from schemas.errors import UnavailableError

EVENTS_MAX = 500
BYTES_MAX = 500_000
CONTENT_TYPE = "application/x-ndjson"


@dataclass(slots=True)
class Delivered:
    """What became of the events that were sent.

    Parameters
    ----------
    accepted
        Taken by the gateway.
    rejected
        Refused by it; `details` says why, a line each.
    """

    accepted: int = 0
    rejected: int = 0
    details: tuple[str, ...] = ()


def post_events(gateway: Server, events: Iterable[dict[str, Any]], token: str) -> Iterator[Delivered]:
    """Send events in batches; yield what became of each batch.

    Parameters
    ----------
    gateway
        Where they go.
    token
        Its bearer token for native events; empty where it asks for none.

    Raises
    ------
    LabelpulseError
        If the gateway cannot be reached, or does not take a batch.
    """
    headers = {"Content-Type": CONTENT_TYPE, **({"Authorization": f"Bearer {token}"} if token else {})}
    for batch in _batches(events):
        answer = gateway.document("POST", "/v1/events", content=b"\n".join(batch), headers=headers)
        accepted = answer.get("accepted") if type(answer) is dict else None
        if type(accepted) is not int:
            raise UnavailableError("the gateway does not say what it accepted", remedy="check its address")
        refused = answer.get("rejected") or []
        details = tuple(f"{entry.get('reason')}: {entry.get('detail')}" for entry in refused)
        yield Delivered(accepted, len(batch) - accepted, details)


def _batches(events: Iterable[dict[str, Any]]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for event in events:
        line = msgspec.json.encode(event)
        if batch and (len(batch) == EVENTS_MAX or size + len(line) > BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch
