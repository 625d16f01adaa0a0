"""What is to be delivered to one hook, in which order, and what became of it.

Deliveries of one fingerprint go out in order: a resolution waits for its firing. A message keeps its id and what it
tells of until it is delivered or given up, over restarts too.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.alerts import Alert, DeliveryState
from sinks.hooks.notification import Answer, Kind, Notification, Outcome, group_id_of
from sinks.hooks.silences import silenced_until
from sinks.hooks.store import transaction
from sinks.hooks.traits import MICROSECONDS, HookTraits

GIVE_UP_EVERY_SECONDS = 1

_UNBLOCKED = """NOT EXISTS (
    SELECT 1 FROM deliveries e
    WHERE e.hook = d.hook AND e.fingerprint = d.fingerprint AND e.id < d.id AND e.state IN ('waiting', 'retrying')
)"""
_FIRST = f"""
SELECT * FROM deliveries d
WHERE hook = :hook AND due_at <= :now AND state <> 'silenced' AND {_UNBLOCKED} ORDER BY due_at, id LIMIT 1
"""
_NEXT_DUE = f"""
SELECT due_at FROM deliveries d WHERE hook = ? AND due_at IS NOT NULL AND {_UNBLOCKED} ORDER BY due_at LIMIT 1
"""
_SAME_MESSAGE = """
SELECT * FROM deliveries WHERE message_id = :message_id AND hook = :hook AND state = 'retrying' ORDER BY id
"""
_SAME_GROUP = """
SELECT * FROM deliveries d
WHERE hook = :hook AND group_key = :group_key AND due_at IS NOT NULL AND state = 'waiting' AND message_id IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM deliveries e
        WHERE e.hook = d.hook AND e.fingerprint = d.fingerprint AND e.id < d.id AND e.state IN ('waiting', 'retrying')
            AND e.message_id IS NOT NULL
    )
ORDER BY id LIMIT :limit
"""
_SAME_RESEND = """
SELECT * FROM deliveries
WHERE hook = :hook AND state = 'delivered' AND due_at <= :now AND group_key = :group_key
ORDER BY due_at, id LIMIT :limit
"""
_DUE_SILENCED = "SELECT * FROM deliveries WHERE hook = ? AND state = 'silenced' AND due_at <= ? LIMIT 100"
_EXPIRED = """
SELECT * FROM deliveries WHERE hook = ? AND due_at IS NOT NULL AND state IN ('waiting', 'retrying') AND taken_at < ?
"""
_SETTLE = """
UPDATE deliveries SET
    state = :state, error = :error, status_code = :status_code, attempts = attempts + :attempts,
    first_attempt_at = coalesce(first_attempt_at, :attempted_at),
    last_attempt_at = coalesce(:attempted_at, last_attempt_at),
    delivered_at = CASE WHEN :state = 'delivered' THEN :now ELSE delivered_at END,
    due_at = CASE WHEN :state = 'delivered' AND kind = 'firing' AND EXISTS (
        SELECT 1 FROM deliveries r
        WHERE r.alert_id = deliveries.alert_id AND r.hook = deliveries.hook AND r.kind = 'resolved'
    ) THEN NULL ELSE :due_at END,
    version = max(version + 1, :now), is_reported = 0
WHERE id = :id
"""
_SUPPRESS_REST = """
UPDATE deliveries SET state = 'suppressed', due_at = NULL, error = 'the hook was not told that it fired',
    version = max(version + 1, :now), is_reported = 0
WHERE hook = :hook AND alert_id = :alert_id AND kind <> 'firing' AND state IN ('waiting', 'retrying')
"""
_DISABLE_REST = """
UPDATE deliveries SET state = 'disabled', due_at = NULL, error = 'the hook was disabled',
    version = max(version + 1, :now), is_reported = 0
WHERE hook = :hook AND state IN ('waiting', 'retrying')
"""


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out in one request.

    Parameters
    ----------
    message_id
        The same in each attempt.
    notifications
        What it tells.
    delivery_ids
        The deliveries it is made of, in the order of `notifications`.
    failures
        Attempts so far, none of which succeeded.
    is_resend
        Whether the receiver has it already and wants to be told again.
    """

    message_id: str
    notifications: tuple[Notification, ...]
    delivery_ids: tuple[int, ...]
    failures: int
    is_resend: bool


class DeliveryQueue:
    """The deliveries of one hook, used from one thread.

    Parameters
    ----------
    connection
        To the store; nothing else uses it.
    traits
        Of the hook.
    """

    def __init__(self, connection: sqlite3.Connection, traits: HookTraits) -> None:
        self._connection = connection
        self._traits = traits
        self._give_up_again_at = 0

    def next_message(self, now: int) -> Message | None:
        """Return what is to be sent now; None if there is nothing.

        Parameters
        ----------
        now
            Microseconds since the epoch.
        """
        self._release_silenced(now)
        self._give_up_expired(now)
        first = self._connection.execute(_FIRST, {"hook": self._traits.name, "now": now}).fetchone()
        if first is None:
            return None
        if first["state"] == DeliveryState.DELIVERED:
            return self._message(self._like(_SAME_RESEND, first, now), is_resend=True)
        if self._traits.group_by is None:
            return self._message([first])
        if first["message_id"] is not None:
            return self._message(self._like(_SAME_MESSAGE, first, now))
        return self._grouped(self._like(_SAME_GROUP, first, now))

    def next_due_at(self) -> int | None:
        """Return when something is to be done next, in microseconds since the epoch; None if there is nothing."""
        found = self._connection.execute(_NEXT_DUE, (self._traits.name,)).fetchone()
        return None if found is None else found["due_at"]

    def settle(self, message: Message, answer: Answer, *, now: int, pause_seconds: float) -> str:
        """Note what came of an attempt, durably; return the state that its deliveries are in.

        Parameters
        ----------
        message
            What was sent.
        answer
            What the receiver said.
        now
            Microseconds since the epoch.
        pause_seconds
            When to try again if it failed.
        """
        with transaction(self._connection):
            if message.is_resend:
                self._settle_resend(message, answer, now)
                return DeliveryState.DELIVERED
            if answer.outcome is Outcome.REFUSED and len(message.delivery_ids) > 1:
                self._part(message, answer, now)
                return DeliveryState.RETRYING
            state, due_at = self._settled(answer, now, pause_seconds)
            for delivery_id, notification in zip(message.delivery_ids, message.notifications, strict=True):
                self._set(
                    delivery_id, state, now=now, answer=answer, is_attempt=answer.outcome is not Outcome.NOT_APPLICABLE,
                    due_at=self._resend_at(notification.kind, now) if state == DeliveryState.DELIVERED else due_at,
                )  # fmt: skip
                if state not in (DeliveryState.DELIVERED, DeliveryState.RETRYING):
                    self._suppress_rest(notification.alert.alert_id, now)
            if answer.outcome is Outcome.GONE:
                self._disable(answer, now)
            return state

    def _settled(self, answer: Answer, now: int, pause_seconds: float) -> tuple[str, int | None]:
        match answer.outcome:
            case Outcome.DELIVERED:
                return DeliveryState.DELIVERED, None
            case Outcome.NOT_APPLICABLE:
                return DeliveryState.SUPPRESSED, None
            case Outcome.REFUSED:
                return DeliveryState.DEAD, None
            case Outcome.GONE:
                return DeliveryState.DISABLED, None
            case Outcome.FAILED:
                return DeliveryState.RETRYING, now + round(pause_seconds * MICROSECONDS)

    def _set(
        self, delivery_id: int, state: str, *, now: int, due_at: int | None, answer: Answer, is_attempt: bool = True
    ) -> None:
        values = {
            "id": delivery_id, "state": str(state), "error": answer.error, "status_code": answer.status_code,
            "attempts": int(is_attempt), "attempted_at": now if is_attempt else None, "now": now, "due_at": due_at,
        }  # fmt: skip
        self._connection.execute(_SETTLE, values)

    def _part(self, message: Message, answer: Answer, now: int) -> None:
        """Have the parts of a message that was refused sent one by one: one of them may be to blame for all."""
        for delivery_id, notification in zip(message.delivery_ids, message.notifications, strict=True):
            self._set(delivery_id, DeliveryState.RETRYING, now=now, due_at=now, answer=answer)
            self._connection.execute(
                "UPDATE deliveries SET message_id = ? WHERE id = ?", (notification.message_id, delivery_id)
            )

    def _settle_resend(self, message: Message, answer: Answer, now: int) -> None:
        """Plan the next repetition, whether or not this one arrived: the next one tells the same."""
        for delivery_id, notification in zip(message.delivery_ids, message.notifications, strict=True):
            (delivered_at,) = self._connection.execute(
                "SELECT delivered_at FROM deliveries WHERE id = ?", (delivery_id,)
            ).fetchone()
            self._connection.execute(
                "UPDATE deliveries SET due_at = ? WHERE id = ? AND due_at IS NOT NULL",
                (self._resend_at(notification.kind, now, delivered_at=delivered_at), delivery_id),
            )
        if answer.outcome is Outcome.GONE:
            self._disable(answer, now)

    def _resend_at(self, kind: Kind, now: int, *, delivered_at: int | None = None) -> int | None:
        traits = self._traits
        if traits.resend_seconds is None or kind is Kind.ACKNOWLEDGED:
            return None
        due_at = now + round(traits.resend_seconds * MICROSECONDS)
        if kind is Kind.FIRING:
            return due_at
        since = now if delivered_at is None else delivered_at
        return due_at if due_at <= since + round(traits.resend_resolved_seconds * MICROSECONDS) else None

    def _disable(self, answer: Answer, now: int) -> None:
        name = self._traits.name
        self._connection.execute(
            "UPDATE hooks SET disabled_at = ?, error = ? WHERE name = ?", (now, answer.error, name)
        )
        self._connection.execute(_DISABLE_REST, {"hook": name, "now": now})
        self._connection.execute("UPDATE deliveries SET due_at = NULL WHERE hook = ? AND due_at IS NOT NULL", (name,))

    def _suppress_rest(self, alert_id: str, now: int) -> None:
        self._connection.execute(_SUPPRESS_REST, {"hook": self._traits.name, "alert_id": alert_id, "now": now})

    def _release_silenced(self, now: int) -> None:
        """Let alerts go whose silence is over and that still fire."""
        due = self._connection.execute(_DUE_SILENCED, (self._traits.name, now)).fetchall()
        if not due:
            return
        with transaction(self._connection):
            for row in due:
                until = silenced_until(self._connection, self._alert_of(row), now)
                self._connection.execute(
                    "UPDATE deliveries SET state = ?, due_at = ?, taken_at = ? WHERE id = ? AND state = 'silenced'",
                    ("waiting", now, now, row["id"]) if until is None else ("silenced", until, now, row["id"]),
                )

    def _give_up_expired(self, now: int) -> None:
        if now < self._give_up_again_at:
            return
        self._give_up_again_at = now + GIVE_UP_EVERY_SECONDS * MICROSECONDS
        before = now - round(self._traits.give_up_seconds * MICROSECONDS)
        expired = self._connection.execute(_EXPIRED, (self._traits.name, before)).fetchall()
        if not expired:
            return
        with transaction(self._connection):
            for row in expired:
                error = row["error"] or "it waited too long"
                answer = Answer(Outcome.FAILED, row["status_code"], f"given up: {error}")
                self._set(row["id"], DeliveryState.DEAD, now=now, due_at=None, answer=answer, is_attempt=False)
                self._suppress_rest(row["alert_id"], now)

    def _grouped(self, rows: Sequence[sqlite3.Row]) -> Message:
        """Fix what goes out together, before it goes out for the first time."""
        message = self._message(rows)
        message_id = group_id_of(message.notifications)
        with transaction(self._connection):
            self._connection.executemany(
                "UPDATE deliveries SET message_id = ?, state = 'retrying' WHERE id = ?",
                [(message_id, row["id"]) for row in rows],
            )
        if len(rows) == 1:
            return message
        return Message(message_id, message.notifications, message.delivery_ids, message.failures, is_resend=False)

    def _like(self, query: str, row: sqlite3.Row, now: int) -> list[sqlite3.Row]:
        values = {
            "hook": row["hook"], "group_key": row["group_key"], "message_id": row["message_id"], "now": now,
            "limit": self._traits.group_alerts_max,
        }  # fmt: skip
        return self._connection.execute(query, values).fetchall()

    def _message(self, rows: Sequence[sqlite3.Row], *, is_resend: bool = False) -> Message:
        assert rows, "a message tells of something"
        notifications = tuple(Notification(self._alert_of(row), Kind(row["kind"]), by=row["acted_by"]) for row in rows)
        message_id = notifications[0].message_id if len(rows) == 1 else group_id_of(notifications)
        ids = tuple(row["id"] for row in rows)
        return Message(message_id, notifications, ids, max(row["attempts"] for row in rows), is_resend)

    def _alert_of(self, row: sqlite3.Row) -> Alert:
        (content,) = self._connection.execute(
            "SELECT content FROM alerts WHERE alert_id = ? AND sequence = ?", (row["alert_id"], row["sequence"])
        ).fetchone()
        return Alert.from_json(content)
