"""What the outbox has to know of a hook, and how it decides what is to be delivered."""

from dataclasses import dataclass

from schemas.alerts import Alert

MICROSECONDS = 1_000_000
HOUR_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class HookTraits:
    """What the outbox has to know of a hook.

    Parameters
    ----------
    name
        As rules refer to it.
    configuration
        A digest of the hook's options: a hook that was disabled is used again once this is another one.
    send_resolved, takes_acknowledgements
        Which notifications it gets beside those of firing alerts.
    group_by
        Fields of an alert; notifications that agree in them may go out together. None: each alone.
    group_seconds
        How long a notification waits for others.
    group_alerts_max
        Most notifications in one message.
    resend_seconds
        How often what is firing is sent again, and for `resend_resolved_seconds` what is resolved; None: once.
    resend_resolved_seconds
        See `resend_seconds`.
    give_up_seconds
        What cannot be delivered for so long is dead.
    retry_seconds, retry_seconds_max
        Bounds of the pause after a failure.
    rate_per_minute, burst
        How often it may be called.
    """

    name: str
    configuration: str = ""
    send_resolved: bool = True
    takes_acknowledgements: bool = False
    group_by: tuple[str, ...] | None = None
    group_seconds: float = 0.0
    group_alerts_max: int = 50
    resend_seconds: float | None = None
    resend_resolved_seconds: float = 0.0
    give_up_seconds: float = 6 * HOUR_SECONDS
    retry_seconds: float = 1.0
    retry_seconds_max: float = 600.0
    rate_per_minute: float = 60.0
    burst: int = 20

    def group_key_of(self, alert: Alert) -> str:
        """Return what the alerts of one group have in common; empty where nothing is grouped."""
        if self.group_by is None:
            return ""
        return "\x1f".join(["group", *(str(getattr(alert, name)) for name in self.group_by)])


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is not delivered though a rule asks for it.

    Parameters
    ----------
    age_seconds_max
        An alert that fired longer ago when it is taken in is not delivered.
    is_replay
        Whether nothing at all is.
    waiting_max
        Most notifications that wait for one hook; beyond that the oldest are dead.
    """

    age_seconds_max: float = HOUR_SECONDS
    is_replay: bool = False
    waiting_max: int = 100_000
