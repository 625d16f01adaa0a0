"""Whether the flow has been asked to end, by a signal or by another process of its cluster."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def handling_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let a function handle SIGINT and SIGTERM while the block runs, those that were held back first."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def holding_signals_back() -> Iterator[None]:
    """Let processes that are started in the block hear SIGINT and SIGTERM only once they handle them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Drain:
    """Whether the flow has been asked to end.

    Parameters
    ----------
    on_ask
        Called when it is asked for the first time: from a signal handler, or from any thread.
    """

    def __init__(self, on_ask: Callable[[], None]) -> None:
        self.is_asked = False
        self._on_ask = on_ask

    def __call__(self) -> bool:
        """Return whether the flow has been asked to end."""
        return self.is_asked

    def ask(self) -> None:
        """Ask for the end; once asked, nothing more happens."""
        if not self.is_asked:
            self.is_asked = True
            self._on_ask()

    @contextmanager
    def on_signals(self, *, insists: bool = True) -> Iterator[None]:
        """Ask for the end at SIGINT or SIGTERM while the block runs.

        Parameters
        ----------
        insists
            Whether a second signal ends the process at once; not where a parent passes on what others were asked.
        """

        def ask(number: int, _: FrameType | None) -> None:
            if insists:
                signal.signal(number, signal.SIG_DFL)
            self.ask()

        with handling_signals(ask):
            yield
