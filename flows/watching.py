"""What a running flow serves beside its work: the monitor, and its own metrics."""

from collections.abc import Callable
from contextlib import ExitStack

from flows.run_state import RunState
from flows.settings import Settings
from sinks.clickhouse.writer import WriterStatus


def serve_watching(
    settings: Settings,
    state: RunState,
    stack: ExitStack,
    *,
    writer: Callable[[], WriterStatus | None],
    has_monitor: bool,
) -> None:
    """Serve the flow's own metrics where the settings want them, and the monitor, until the stack is closed.

    Parameters
    ----------
    state
        Counters of the flow; takes the monitor's address.
    writer
        How writing goes; None where that is not known.
    has_monitor
        Whether this process serves the monitor.
    """
    if not has_monitor and settings.metrics is None:
        return
    from flows.hooks import hook_counts
    from flows.metrics import FlowMetrics

    metrics = FlowMetrics(state, writer=writer, hooks=lambda: hook_counts(settings))
    if settings.metrics is not None:
        from flows.metrics_server import served_metrics

        stack.enter_context(served_metrics(settings.metrics, metrics))
    if has_monitor:
        from flows.monitor import monitor_server

        state.monitor_url = stack.enter_context(monitor_server(settings, metrics=metrics)).url
