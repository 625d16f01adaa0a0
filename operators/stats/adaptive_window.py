"""Adaptive window over a stream of outcomes: how accurate lately, and since when."""

from river._river_rust.drift import AdaptiveWindowing
from river.base import DriftDetector

DETECTOR = "adwin"


class AdaptiveWindow(DriftDetector):
    """ADWIN that keeps its window after a change, over the compiled part of River's.

    Importing ``river.drift`` itself takes seconds, since it brings pandas and data sets along.

    River's ADWIN starts from an empty window after each detection. Here, as in the paper, only what is older than the
    change is dropped, so that `estimation` stays the mean of all outcomes since the change.

    Examples
    --------
    >>> window = AdaptiveWindow(delta=0.002)
    >>> for outcome in [0.0] * 1000 + [1.0] * 200:
    ...     window.update(outcome)
    >>> window.estimation > 0.9, window.width < 300
    (True, True)

    References
    ----------
    Bifet and Gavaldà (2007), Learning from Time-Changing Data with Adaptive Windowing, SIAM SDM.
    """

    def __init__(
        self,
        delta: float = 0.002,
        clock: int = 32,
        max_buckets: int = 5,
        min_window_length: int = 5,
        grace_period: int = 10,
    ) -> None:
        super().__init__()
        self.delta = delta
        self.clock = clock
        self.max_buckets = max_buckets
        self.min_window_length = min_window_length
        self.grace_period = grace_period
        self._helper = AdaptiveWindowing(
            delta=delta,
            clock=clock,
            max_buckets=max_buckets,
            min_window_length=min_window_length,
            grace_period=grace_period,
        )

    @property
    def width(self) -> float:
        """Number of outcomes in the window."""
        return self._helper.get_width()

    @property
    def estimation(self) -> float:
        """Mean of the outcomes in the window, 0 if there are none."""
        width = self._helper.get_width()
        return self._helper.get_total() / width if width else 0.0

    def update(self, x: float) -> None:
        """Take in an outcome; `drift_detected` says whether this one reveals a change."""
        self._drift_detected = self._helper.update(x)
