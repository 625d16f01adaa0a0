"""Alerts for tests, and an outbox whose clock the test holds."""

import sqlite3
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.alerts import Alert, AlertState, Severity, alert_id_of
from sinks.hooks import store
from sinks.hooks.control import Control
from sinks.hooks.notification import Answer, Outcome
from sinks.hooks.outbox import Outbox
from sinks.hooks.queue import DeliveryQueue, Message
from sinks.hooks.reports import Reports
from sinks.hooks.traits import MICROSECONDS, HookTraits, Suppression

NOW = 1_800_000_000 * MICROSECONDS
OK = Answer(Outcome.DELIVERED, 200)
BROKEN = Answer(Outcome.FAILED, 500, "500 Internal Server Error")


def alert_of(
    sequence: int, *, annotator: str = "ann-17", fired_at: int = NOW, hooks: str = "ops", **columns: Any
) -> Alert:
    """Return a firing alert whose evidence has a version."""
    rule, generation = columns.pop("rule", "accuracy-drop"), columns.pop("generation", 0)
    project = columns.pop("project_id", "p1")
    key = (project, "toxicity", annotator, "annotate", "")
    values: dict[str, Any] = {
        "project_id": project,
        "alert_id": alert_id_of(generation=generation, rule=rule, key=key, sequence=sequence),
        "rule": rule, "severity": Severity.WARNING, "question_id": key[1], "annotator_id": annotator, "step": key[3],
        "label_class": key[4], "state": AlertState.FIRING, "sequence": sequence, "fired_at": fired_at,
        "resolved_at": None, "changed_at": fired_at - 60 * MICROSECONDS, "signal": "accuracy", "direction": "worse",
        "summary": f"{annotator} in 'toxicity': errors 4 % → 19 %", "evidence": '{"before": 0.04, "after": 0.19}',
        "action": "check", "hooks": hooks, "false_alarm_value": 2e6, "discovery_level": 5e-6,
        "generation": generation, "version": sequence, "is_deleted": 0,
    }  # fmt: skip
    return Alert(**{**values, **columns})


def resolved(alert: Alert, *, sequence: int, resolved_at: int | None = None) -> Alert:
    """Return the resolution of an alert."""
    at = alert.fired_at if resolved_at is None else resolved_at
    values = {name: getattr(alert, name) for name in Alert.__dataclass_fields__}
    changes = {"state": AlertState.RESOLVED, "sequence": sequence, "version": sequence, "resolved_at": at}
    return Alert(**{**values, **changes})


class Bench:
    """An outbox with its queues, which are made anew for each call: nothing is kept but in the file.

    Parameters
    ----------
    path
        The file, or the folder where it is.
    hooks
        Options of the hooks by name; by default there is one, ``ops``.
    suppression
        What is not delivered.
    """

    def __init__(self, path: Path, hooks: Mapping[str, Any] | None = None, **suppression: Any) -> None:
        self.path = path / "alerts.sqlite3" if path.is_dir() else path
        self.hooks = {name: HookTraits(name, **options) for name, options in (hooks or {"ops": {}}).items()}
        self.suppression = Suppression(**suppression)
        self.now = NOW
        self._connection = store.connect(self.path)
        self._connection.execute("PRAGMA synchronous = OFF")  # no test here pulls the plug
        weakref.finalize(self, self._connection.close)

    def take(self, *alerts: Alert) -> set[str]:
        """Take alerts in; return the hooks that have something to do."""
        outbox = Outbox(self._connection, hooks=self.hooks, suppression=self.suppression)
        return outbox.take_in(alerts, now=self.now)

    def next(self, hook: str = "ops") -> Message | None:
        """Return what is to be sent to a hook now."""
        return DeliveryQueue(self._connection, self.hooks[hook]).next_message(self.now)

    def next_due_at(self, hook: str = "ops") -> int | None:
        """Return when a hook has something to do."""
        return DeliveryQueue(self._connection, self.hooks[hook]).next_due_at()

    def settle(self, message: Message, answer: Answer = OK, *, hook: str = "ops", pause_seconds: float = 10.0) -> str:
        """Note an answer."""
        queue = DeliveryQueue(self._connection, self.hooks[hook])
        return queue.settle(message, answer, now=self.now, pause_seconds=pause_seconds)

    def send_all(self, answer: Answer = OK, *, hook: str = "ops") -> list[str]:
        """Send all that is due, with one answer for all; return the ids of the messages."""
        sent = []
        while (message := self.next(hook)) is not None:
            self.settle(message, answer, hook=hook)
            sent.append(message.message_id)
        return sent

    def say(self, *events: bytes) -> None:
        """Carry control events out."""
        Control(self._connection, hooks=self.hooks).carry_out(list(events), source="test", position="1", now=self.now)

    def report(self, *, meanwhile: Callable[[], object] = lambda: None) -> list[tuple[Any, ...]]:
        """Return the rows that were not reported, and note that they were, after something else has happened."""
        reports = Reports(self._connection)
        rows, marks = reports.unreported()
        meanwhile()
        reports.done(marks)
        return rows

    def prune(self) -> None:
        """Forget what is over."""
        Reports(self._connection).prune(self.now)

    def states(self) -> list[tuple[str, str]]:
        """Return kind and state of all deliveries, in the order they came."""
        return [(row["kind"], row["state"]) for row in self.rows("SELECT * FROM deliveries ORDER BY id")]

    def rows(self, query: str) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        return self._connection.execute(query).fetchall()
