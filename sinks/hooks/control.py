"""What people say about alerts and hooks, carried out in the outbox."""

import json
import sqlite3
from collections.abc import Mapping
from typing import assert_never

import structlog
from pydantic import ValidationError

from schemas.alerts import Alert, DeliveryState
from schemas.control import (
    AlertAcknowledged,
    AlertsSilenced,
    AnyControlEvent,
    DeadLetterReplayed,
    HookEnabled,
    SilenceEnded,
    parse_control_event,
)
from schemas.timestamps import microseconds
from sinks.hooks.notification import Kind, one_line
from sinks.hooks.outbox import WAITING, Decision, insert_delivery
from sinks.hooks.silences import matches
from sinks.hooks.store import transaction
from sinks.hooks.traits import MICROSECONDS, HookTraits

LOGGER = structlog.get_logger("labelpulse")


class Control:
    """Carries control events out, from one thread.

    Parameters
    ----------
    connection
        To the store; nothing else uses it.
    hooks
        The hooks that exist, by name.
    """

    def __init__(self, connection: sqlite3.Connection, *, hooks: Mapping[str, HookTraits]) -> None:
        self._connection = connection
        self._hooks = hooks

    def position(self, source: str) -> str | None:
        """Return how far a source of control events has been carried out; None if it never was read."""
        found = self._connection.execute("SELECT position FROM positions WHERE name = ?", (source,)).fetchone()
        return None if found is None else found["position"]

    def carry_out(self, payloads: list[bytes], *, source: str, position: str, now: int) -> None:
        """Carry control events out, together with the note of how far the source has been read.

        Parameters
        ----------
        payloads
            The events as JSON; what is none is logged and left out.
        source
            Where they come from.
        position
            Where to go on reading.
        now
            Microseconds since the epoch.
        """
        with transaction(self._connection):
            for payload in payloads:
                try:
                    self._apply(parse_control_event(payload), now)
                except ValidationError as error:
                    reason = one_line("; ".join(detail["msg"] for detail in error.errors()))
                    LOGGER.warning("control_event_not_understood", source=source, error=reason)
            self._connection.execute(
                "INSERT INTO positions VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                (source, position),
            )

    def _apply(self, event: AnyControlEvent, now: int) -> None:
        match event:
            case AlertAcknowledged():
                self._acknowledge(event, now)
            case AlertsSilenced():
                self._silence(event, now)
            case SilenceEnded():
                self._end_silence(event, now)
            case HookEnabled():
                self._enable(event, now)
            case DeadLetterReplayed():
                pass  # it has been done, and is no matter of deliveries
            case _:
                assert_never(event)

    def _acknowledge(self, event: AlertAcknowledged, now: int) -> None:
        before = self._connection.total_changes
        self._connection.execute(
            "INSERT INTO acknowledgements VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (event.alert_id, microseconds(event.occurred_at), event.by),
        )
        if self._connection.total_changes == before:
            return
        self._connection.execute(
            "UPDATE deliveries SET version = max(version + 1, ?), is_reported = 0"
            " WHERE alert_id = ? AND kind = 'firing' AND state = 'delivered'",
            (now, event.alert_id),
        )
        told = self._connection.execute(
            "SELECT * FROM deliveries JOIN alerts USING (alert_id, sequence) WHERE alert_id = ? AND kind = 'firing'"
            " AND deliveries.state IN ('waiting', 'retrying', 'delivered')",
            (event.alert_id,),
        ).fetchall()
        for row in told:
            traits = self._hooks.get(row["hook"])
            if traits is not None and traits.takes_acknowledgements:
                insert_delivery(
                    self._connection, Alert.from_json(row["content"]), hook=traits.name, kind=Kind.ACKNOWLEDGED,
                    decision=Decision(WAITING, due_at=now), group_key=row["group_key"], now=now, acted_by=event.by,
                )  # fmt: skip

    def _silence(self, event: AlertsSilenced, now: int) -> None:
        until = microseconds(event.until)
        self._connection.execute(
            "INSERT INTO silences VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (event.event_id, json.dumps(event.matchers), until, event.by),
        )
        if until <= now:
            return
        waiting = self._connection.execute(
            "SELECT id, content FROM deliveries JOIN alerts USING (alert_id, sequence)"
            " WHERE deliveries.state = 'waiting' AND kind = 'firing'"
        ).fetchall()
        for row in waiting:
            if matches(event.matchers, Alert.from_json(row["content"])):
                self._connection.execute(
                    "UPDATE deliveries SET state = 'silenced', due_at = ?, version = max(version + 1, ?),"
                    " is_reported = 0 WHERE id = ?",
                    (until, now, row["id"]),
                )

    def _end_silence(self, event: SilenceEnded, now: int) -> None:
        self._connection.execute(
            "UPDATE silences SET until = min(until, ?) WHERE silence_id = ?", (now, event.silence_id)
        )
        self._connection.execute(
            "UPDATE deliveries SET due_at = ? WHERE state = 'silenced' AND due_at IS NOT NULL", (now,)
        )

    def _enable(self, event: HookEnabled, now: int) -> None:
        """Use a hook again; what came meanwhile and is not too old is delivered."""
        traits = self._hooks.get(event.hook)
        if traits is None:
            return
        disabled = self._connection.execute(
            "SELECT disabled_at FROM hooks WHERE name = ? AND disabled_at <= ?",
            (traits.name, microseconds(event.occurred_at)),
        ).fetchone()
        if disabled is None:
            return
        self._connection.execute("UPDATE hooks SET disabled_at = NULL, error = '' WHERE name = ?", (traits.name,))
        self._connection.execute(
            "UPDATE deliveries SET state = ?, due_at = ?, error = '' WHERE hook = ? AND state = ? AND taken_at > ?",
            (
                WAITING, now, traits.name, DeliveryState.DISABLED.value,
                now - round(traits.give_up_seconds * MICROSECONDS),
            ),
        )  # fmt: skip
