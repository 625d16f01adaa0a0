"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Parameters
    ----------
    level
        Whether the flow can run (ok), can run but perhaps not as meant (warn), or cannot (fail).
    subject
        What was looked at, in a word or two.
    message
        What was found.
    remedy
        How to mend it; empty where nothing is wrong.
    """

    level: Level
    subject: str
    message: str
    remedy: str = ""


def ok(subject: str, message: str) -> Finding:
    """Return a finding of something as it should be."""
    return Finding(Level.OK, subject, message)


def warning(subject: str, message: str, *, remedy: str) -> Finding:
    """Return a finding of something that may surprise."""
    return Finding(Level.WARN, subject, message, remedy)


def failure(subject: str, message: str, *, remedy: str) -> Finding:
    """Return a finding of something that stops the flow."""
    return Finding(Level.FAIL, subject, message, remedy)
