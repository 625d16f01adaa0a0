"""How the command line ends: exit codes, and errors told in plain lines."""

import os
import select
import sys
import traceback
from collections.abc import Callable, Iterator
from enum import IntEnum

from schemas.errors import ConfigurationError, IncompatibleStateError, LabelpulseError, UnavailableError


class ExitCode(IntEnum):
    """What the exit code of every command means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130
    READER_GONE = 141


EXIT_CODE_MEANINGS = {
    ExitCode.OK: "done; for run, gateway and monitor, also after Ctrl-C or SIGTERM",
    ExitCode.FAILED: "failed while it ran; for doctor and audit, a check failed",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.REFUSED: "refused, nothing read: a setting, file, database or store does not fit",
    ExitCode.UNAVAILABLE: "a server or store cannot be reached",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C (commands other than run)",
    ExitCode.READER_GONE: "the program that read the output went away, as head does",
}


def exit_code_of(error: LabelpulseError) -> ExitCode:
    """Return the exit code that an error ends a command with."""
    if isinstance(error, ConfigurationError | IncompatibleStateError):
        return ExitCode.REFUSED
    return ExitCode.UNAVAILABLE if isinstance(error, UnavailableError) else ExitCode.FAILED


def guarded(command: Callable[[], int | None], *, shows_traceback: bool = False) -> int:
    """Run a command; tell what goes wrong in plain lines on standard error, and return the exit code.

    Parameters
    ----------
    command
        The work; returns an exit code, or None for 0.
    shows_traceback
        Whether the traceback is shown as well.
    """
    try:
        code = command() or ExitCode.OK
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            _discard_output()
            return ExitCode.READER_GONE
        if shows_traceback:
            traceback.print_exc()
        return _told(error)


def tell(message: str, *, remedy: str = "") -> None:
    """Write an error to standard error: a line each for what is wrong, then what to do about it."""
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)
    if remedy:
        print(f"  try: {remedy}", file=sys.stderr)


def warn(message: str) -> None:
    """Write a warning to standard error, in one line."""
    print(f"warning: {message}", file=sys.stderr)


def note(message: str) -> None:
    """Write a remark to standard error, in one line."""
    print(f"note: {message}", file=sys.stderr)


def _told(error: Exception) -> int:
    known = next((cause for cause in _causes(error) if isinstance(cause, LabelpulseError)), None)
    if known is not None:
        tell(known.message, remedy=known.remedy)
        return exit_code_of(known)
    tell(
        f"unexpected: {type(error).__name__}: {error}".partition("\n")[0],
        remedy="run it again with --debug to see where, and report it as a bug",
    )
    return ExitCode.FAILED


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reader_is_gone() -> bool:
    """Return whether it is standard output that broke, and not a connection to a server."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def _discard_output() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not fail as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
