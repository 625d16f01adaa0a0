"""Exceptions and reason codes.

::

    LabelpulseError                what went wrong, and what to do about it
    ├── ConfigurationError         a setting, flag or file is wrong (nothing was consumed)
    ├── UnavailableError           a server or store cannot be reached or used
    ├── IncompatibleStateError     a recovery store or database belongs to another flow, version or setting
    ├── SourceError                the log cannot be read on (truncated, re-created, unreadable)
    ├── SinkError                  rows could not be written
    │   ├── TransientSinkError     worth another try
    │   └── TerminalSinkError      will fail again however often it is tried
    ├── PoisonError                a record makes the flow crash
    ├── ClusterError               a process of a cluster has ended, and so have the others
    └── SupervisionError           a flow failed so often that it is not started again
"""

from enum import StrEnum


class LabelpulseError(Exception):
    """Base of every error that is told to people.

    Parameters
    ----------
    message
        What went wrong, in one line.
    remedy
        What to do about it, in one line; empty if there is nothing to be done.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class ConfigurationError(LabelpulseError):
    """A setting, flag or file is wrong."""


class UnavailableError(LabelpulseError):
    """A server or store cannot be reached or used."""


class IncompatibleStateError(LabelpulseError):
    """A recovery store or database belongs to another flow, version or setting."""


class UnreadableStateError(IncompatibleStateError):
    """What a recovery store holds cannot be read by this version.

    Parameters
    ----------
    what
        What it holds: "state that cannot be read: …".
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the recovery store holds {what}",
            remedy="go on with the version that wrote it, or start a new recovery directory",
        )


class SourceError(LabelpulseError):
    """The log cannot be read on."""


class SinkError(LabelpulseError):
    """Rows could not be written."""


class TransientSinkError(SinkError):
    """Writing failed in a way that another try may mend."""


class TerminalSinkError(SinkError):
    """Writing failed in a way that no other try mends."""


class PoisonError(LabelpulseError):
    """A record makes the flow crash: what it was raised from is a defect of the flow.

    Parameters
    ----------
    stream, partition, offset
        Where the record stands.
    error
        What escaped.
    """

    def __init__(self, stream: str, partition: int, offset: int, error: BaseException) -> None:
        told = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
        super().__init__(
            f"the record at offset {offset:,} of partition {partition} of {stream} makes the flow crash: {told}",
            remedy="report it as a bug; a flow that keeps state sets the record aside after some such crashes",
        )
        self.position = stream, partition, offset


class ClusterError(LabelpulseError):
    """A process of a cluster has ended, and so have the others."""


class SupervisionError(LabelpulseError):
    """A flow failed so often that it is not started again."""


class Stage(StrEnum):
    """Where a record was refused."""

    SOURCE = "source"
    DECODE = "decode"
    FOLD = "fold"


class ErrorCode(StrEnum):
    """Why a record was refused: the bounded set of reasons of a dead letter."""

    EMPTY = "empty"
    OVERSIZED = "oversized"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_VERSION = "unknown_version"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_LABEL_KIND = "unknown_label_kind"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    INVALID_VALUE = "invalid_value"
    TIMESTAMP_INVALID = "timestamp_invalid"
    TIMESTAMP_NAIVE = "timestamp_naive"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    TIMESTAMP_FAR_FUTURE = "timestamp_far_future"
    TOO_MANY_CLASSES = "too_many_classes"
    LABEL_KIND_MISMATCH = "label_kind_mismatch"
    OVER_QUOTA = "over_quota"
    POISON = "poison"
    LATE = "late"
