"""Takes alerts into the outbox: each once, decided at that moment whether it is to be delivered, and to which hooks.

An alert is new if its sequence is higher than any seen for its fingerprint, or is that of the same record under another
id. These marks are never rolled back, so what the flow writes again after a crash, or when a log is read again, is
known here. It is the only place that looks at the time of day: what the flow says never depends on it.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.alerts import Alert, AlertState, DeliveryState
from sinks.hooks.notification import Kind, kind_of
from sinks.hooks.silences import silenced_until
from sinks.hooks.store import transaction
from sinks.hooks.traits import MICROSECONDS, HookTraits, Suppression

WAITING = "waiting"
"""Not tried yet; `DeliveryState` has the other states."""

_INSERT = """
INSERT INTO deliveries (hook, alert_id, sequence, kind, project_id, fingerprint, group_key, generation, state, due_at,
                        taken_at, error, version, acted_by)
VALUES (:hook, :alert_id, :sequence, :kind, :project_id, :fingerprint, :group_key, :generation, :state, :due_at,
        :now, :error, :now, :acted_by)
ON CONFLICT DO NOTHING
"""
_END_OLDER_GENERATIONS = """
UPDATE deliveries SET due_at = NULL
WHERE hook = :hook AND due_at IS NOT NULL AND project_id = :project_id AND generation < :generation
    AND state = 'delivered' AND kind = 'firing'
"""
_OVERFLOW = """
UPDATE deliveries SET state = 'dead', due_at = NULL, error = 'more alerts waited than the outbox holds',
    version = max(version + 1, :now), is_reported = 0
WHERE id IN (
    SELECT id FROM deliveries WHERE hook = :hook AND state IN ('waiting', 'retrying') ORDER BY id DESC
    LIMIT -1 OFFSET :limit
)
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """In which state a delivery begins.

    Parameters
    ----------
    state
        ``waiting``, or one of `DeliveryState`.
    due_at
        When something is to be done about it, in microseconds since the epoch; None for never.
    error
        Why it is not delivered; empty if it is.
    """

    state: str
    due_at: int | None = None
    error: str = ""


class Outbox:
    """Takes alerts in, from one thread.

    Parameters
    ----------
    connection
        To the store; nothing else uses it.
    hooks
        The hooks that exist, by name.
    suppression
        What is not delivered.
    """

    def __init__(
        self, connection: sqlite3.Connection, *, hooks: Mapping[str, HookTraits], suppression: Suppression
    ) -> None:
        self._connection = connection
        self._hooks = hooks
        self._suppression = suppression
        self._register()

    def take_in(self, alerts: Sequence[Alert], *, now: int) -> set[str]:
        """Take alerts in, durably; return the hooks that have something to do.

        Parameters
        ----------
        alerts
            In log order. What is known already changes nothing.
        now
            Microseconds since the epoch.
        """
        told: set[str] = set()
        with transaction(self._connection):
            disabled = self._disabled()
            for alert in alerts:
                if self._is_new(alert, now) and not alert.is_deleted:
                    told.update(self._take(alert, now, disabled))
            for hook in sorted(told):
                self._connection.execute(_OVERFLOW, {"hook": hook, "limit": self._suppression.waiting_max, "now": now})
        return told

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _register(self) -> None:
        """Note the hooks there are; one that was disabled is used again once it is configured otherwise."""
        with transaction(self._connection):
            for traits in self._hooks.values():
                self._connection.execute(
                    "INSERT INTO hooks (name, configuration) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET"
                    " disabled_at = NULL, error = '', configuration = excluded.configuration"
                    " WHERE configuration <> excluded.configuration",
                    (traits.name, traits.configuration),
                )

    def _disabled(self) -> set[str]:
        return {name for (name,) in self._connection.execute("SELECT name FROM hooks WHERE disabled_at IS NOT NULL")}

    def _is_new(self, alert: Alert, now: int) -> bool:
        """Return whether so high a sequence was never seen for the fingerprint, and note it.

        One record may end an alert and raise the next one of the same fingerprint, under one sequence.
        """
        before = self._connection.total_changes
        self._connection.execute(
            "INSERT INTO marks VALUES (?, ?, ?) ON CONFLICT (fingerprint) DO UPDATE SET"
            " sequence = excluded.sequence, seen_at = excluded.seen_at WHERE excluded.sequence > sequence",
            (alert.fingerprint, alert.sequence, now),
        )
        if self._connection.total_changes > before or alert.state != AlertState.FIRING:
            return self._connection.total_changes > before
        found = self._connection.execute(
            "SELECT 1 FROM marks WHERE fingerprint = ? AND sequence = ?"
            " AND NOT EXISTS (SELECT 1 FROM alerts WHERE alert_id = ? AND sequence = ?)",
            (alert.fingerprint, alert.sequence, alert.alert_id, alert.sequence),
        )
        return found.fetchone() is not None

    def _take(self, alert: Alert, now: int, disabled: set[str]) -> Iterable[str]:
        if alert.state == AlertState.FIRING and self._is_known(alert):
            return  # evidence was added to what fires already
        self._connection.execute(
            "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (alert.alert_id, alert.sequence, alert.fingerprint, alert.state, alert.to_json(), now),
        )
        for name in alert.hook_names:
            decision = self._decided(alert, name, now, disabled)
            if decision is None:
                continue
            insert_delivery(
                self._connection, alert, hook=name, kind=kind_of(alert), decision=decision, now=now,
                group_key=self._hooks[name].group_key_of(alert) if name in self._hooks else "",
            )  # fmt: skip
            self._connection.execute(
                _END_OLDER_GENERATIONS,
                {"hook": name, "project_id": alert.project_id, "generation": alert.generation},
            )
            yield name

    def _is_known(self, alert: Alert) -> bool:
        found = self._connection.execute("SELECT 1 FROM alerts WHERE alert_id = ?", (alert.alert_id,))
        return found.fetchone() is not None

    def _decided(self, alert: Alert, name: str, now: int, disabled: set[str]) -> Decision | None:
        traits = self._hooks.get(name)
        if traits is None:
            return Decision(DeliveryState.DEAD, error="there is no hook of this name")
        if self._suppression.is_replay:
            return Decision(DeliveryState.SUPPRESSED, error="a replay")
        if kind_of(alert) is Kind.RESOLVED:
            return self._decided_resolved(alert, traits, now)
        if now - alert.happened_at > self._suppression.age_seconds_max * MICROSECONDS:
            return Decision(
                DeliveryState.SUPPRESSED, error=f"older than {self._suppression.age_seconds_max:g} s when it came"
            )
        if name in disabled:
            return Decision(DeliveryState.DISABLED, error="the hook is disabled")
        if (until := silenced_until(self._connection, alert, now)) is not None:
            return Decision(DeliveryState.SILENCED, due_at=until)
        return Decision(WAITING, due_at=now + round(traits.group_seconds * MICROSECONDS))

    def _decided_resolved(self, alert: Alert, traits: HookTraits, now: int) -> Decision | None:
        """Decide on a resolution by what became of the firing: who was told of it is told of its end, however late."""
        firing = self._connection.execute(
            "SELECT id, state FROM deliveries WHERE alert_id = ? AND hook = ? AND kind = 'firing'",
            (alert.alert_id, traits.name),
        ).fetchone()
        if firing is not None and firing["state"] in (DeliveryState.DELIVERED, DeliveryState.SILENCED):
            self._connection.execute("UPDATE deliveries SET due_at = NULL WHERE id = ?", (firing["id"],))
        if firing is not None and firing["state"] == DeliveryState.SILENCED:
            return Decision(DeliveryState.SILENCED)
        if firing is None or firing["state"] not in (WAITING, DeliveryState.RETRYING, DeliveryState.DELIVERED):
            return Decision(DeliveryState.SUPPRESSED, error="the hook was not told that it fired")
        if not traits.send_resolved:
            return None
        return Decision(WAITING, due_at=now + round(traits.group_seconds * MICROSECONDS))


def insert_delivery(
    connection: sqlite3.Connection,
    alert: Alert,
    *,
    hook: str,
    kind: Kind,
    decision: Decision,
    group_key: str,
    now: int,
    acted_by: str = "",
) -> None:
    """Add a delivery, unless it is there."""
    values = {
        "hook": hook, "alert_id": alert.alert_id, "sequence": alert.sequence, "kind": kind.value,
        "project_id": alert.project_id, "fingerprint": alert.fingerprint, "group_key": group_key,
        "generation": alert.generation, "state": str(decision.state), "due_at": decision.due_at, "now": now,
        "error": decision.error, "acted_by": acted_by,
    }  # fmt: skip
    connection.execute(_INSERT, values)
