"""Adaptive window over a stream of outcomes: how accurate lately, and since when."""

from river import drift

DETECTOR = "adwin"


class AdaptiveWindow(drift.ADWIN):
    """ADWIN that keeps its window after a change.

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

    def _reset(self) -> None:
        if not hasattr(self, "_helper"):
            super()._reset()
        self._drift_detected = False
