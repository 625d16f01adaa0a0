"""What is answered to a request that is not taken: a status, and a reason that a program can act on."""

from enum import StrEnum

from schemas.errors import LabelpulseError


class RequestReason(StrEnum):
    """Why a request is refused as a whole, beside the codes of `schemas.errors.ErrorCode` and of signatures."""

    UNKNOWN_PATH = "unknown_path"
    UNKNOWN_SOURCE = "unknown_source"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    SOURCE_CLOSED = "source_closed"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"
    BODY_INCOMPLETE = "body_incomplete"
    ENCODING_UNKNOWN = "encoding_unknown"
    ENCODING_BROKEN = "encoding_broken"
    TOO_MANY_EVENTS = "too_many_events"
    TOO_MANY_REQUESTS = "too_many_requests"
    NO_USABLE_EVENT = "no_usable_event"
    NOT_DURABLE = "not_durable"
    INTERNAL_ERROR = "internal_error"


class RequestError(LabelpulseError):
    """A request is refused.

    Parameters
    ----------
    status
        Status of HTTP, 400 to 599.
    reason_code
        Why.
    detail
        What is wrong, in one line.
    retry_after_seconds
        When another try is worth it; None if the same request never will be.
    """

    def __init__(
        self, status: int, reason_code: StrEnum, detail: str, *, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason_code = reason_code
        self.retry_after_seconds = retry_after_seconds
