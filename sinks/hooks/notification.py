"""What a receiver is given, what it answers, and what every receiver can do."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from schemas.alerts import Alert, AlertState

BODY_CHARACTERS_MAX = 2_000
ERROR_CHARACTERS_MAX = 300
_GROUP_ID_BYTES = 16


class Kind(StrEnum):
    """What a notification tells of an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"


class Outcome(StrEnum):
    """What came of an attempt to deliver."""

    DELIVERED = "delivered"
    """The receiver has it."""
    FAILED = "failed"
    """Another attempt may succeed."""
    REFUSED = "refused"
    """No other attempt with the same content will succeed."""
    GONE = "gone"
    """The receiver wants nothing more."""
    NOT_APPLICABLE = "not_applicable"
    """There is nothing to tell this receiver."""


@dataclass(frozen=True, slots=True)
class Notification:
    """An alert, and what is told of it.

    Parameters
    ----------
    alert
        The alert in the version that the notification is about.
    kind
        What is told.
    by
        Who acknowledged it; empty for the other kinds.
    is_test
        Whether somebody only tries the hook.
    """

    alert: Alert
    kind: Kind
    by: str = ""
    is_test: bool = False

    @property
    def message_id(self) -> str:
        """Id of the notification: the same however often it is sent, and by whichever process."""
        return f"{self.alert.alert_id}_{self.kind.value}"

    @property
    def type_name(self) -> str:
        """Name of its type, as in ``alert.firing``."""
        return f"alert.{self.kind.value}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered.

    Parameters
    ----------
    outcome
        What it means.
    status_code
        The HTTP status, or the exit code of a command; None where there is none.
    error
        What went wrong, in one line without secrets; empty if nothing did.
    retry_after_seconds
        How long the receiver wants to be left alone, at least 0; None if it did not say.
    body
        The first characters of what it said.
    """

    outcome: Outcome
    status_code: int | None = None
    error: str = ""
    retry_after_seconds: float | None = None
    body: str = ""


class Receiver(Protocol):
    """Delivers to one hook; used by one thread at a time."""

    def deliver(self, notifications: Sequence[Notification], *, message_id: str, now: float) -> Answer:
        """Deliver notifications, at least one, in one attempt.

        Parameters
        ----------
        notifications
            One, unless the hook groups.
        message_id
            The same in each further attempt for the same notifications.
        now
            Unix seconds.
        """
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


def group_id_of(notifications: Iterable[Notification]) -> str:
    """Return the id of a message that tells of several notifications."""
    text = "\n".join(notification.message_id for notification in notifications)
    return f"{hashlib.blake2b(text.encode(), digest_size=_GROUP_ID_BYTES).hexdigest()}_group"


def kind_of(alert: Alert) -> Kind:
    """Return what a row of an alert tells."""
    return Kind.FIRING if alert.state == AlertState.FIRING else Kind.RESOLVED


def failed(error: str) -> Answer:
    """Return the answer for an attempt that got none; another may succeed."""
    return Answer(Outcome.FAILED, error=one_line(error))


def one_line(text: str) -> str:
    """Return a text as one line of bounded length, without what a terminal would obey."""
    line = printable(text)
    return line if len(line) <= ERROR_CHARACTERS_MAX else f"{line[: ERROR_CHARACTERS_MAX - 1]}…"


def printable(text: str) -> str:
    """Return a text as one line, without what a terminal would obey.

    >>> printable("no such\\x1b[2J\\n room")
    'no such [2J room'
    """
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
