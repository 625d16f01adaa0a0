"""A worker's side of ``labelpulse run --workers``: no output of its own, reports to the process that started it."""

import sys
import traceback
from contextlib import nullcontext, suppress

from flows.cli.failures import ExitCode, exit_code_of
from flows.cli.logs import configure_logging
from flows.engine_output import engine_output_held
from flows.run import run
from flows.run_report import Reporter, failure_of, report_of
from flows.run_state import RunState
from flows.settings import Settings
from schemas.errors import LabelpulseError


def work(settings: Settings, *, report_to: int, is_debugging: bool) -> int:
    """Run one process of a cluster; return its exit code, and tell the parent how it ended.

    Parameters
    ----------
    report_to
        File descriptor that the parent reads.
    is_debugging
        Whether tracebacks are shown.
    """
    state, reporter = RunState(), Reporter(report_to)
    is_draining, failure, code = False, None, ExitCode.OK
    try:
        configure_logging(level=settings.log_level, form=settings.log_format, stream=sys.stderr)
        with nullcontext() if is_debugging else engine_output_held():
            is_draining = run(settings, state=state, reporter=reporter).ended_by == "signal"
    except KeyboardInterrupt:
        is_draining = True
    except Exception as error:
        if is_debugging:
            traceback.print_exc()
        told = _told(error)
        failure, code = failure_of(told), exit_code_of(told)
    with suppress(BrokenPipeError):
        reporter.send(report_of(state, is_draining=is_draining, failure=failure))
    return code


def _told(error: Exception) -> LabelpulseError:
    if isinstance(error, LabelpulseError):
        return error
    message = f"unexpected: {type(error).__name__}: {error}".partition("\n")[0]
    return LabelpulseError(message, remedy="run it again with --debug to see where, and report it as a bug")
