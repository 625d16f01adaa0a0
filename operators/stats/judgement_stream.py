"""One annotator's judgements on one question, in log order: decayed and adaptive accuracy, and changes of it."""

import msgspec
from river import stats

from operators.stats.adaptive_window import AdaptiveWindow

MARK_EVERY = 8
MARKS_MAX = 64


class Change(msgspec.Struct, frozen=True):
    """A change in an annotator's accuracy.

    Parameters
    ----------
    is_worse
        Whether accuracy fell.
    before, after
        Mean credit in [0, 1] before the change, as far back as the marks reach, and after it.
    changed_at
        Estimated time of the change, microseconds since the epoch, to within `MARK_EVERY` judgements.
    judgements_after
        Judgements since the change.
    """

    is_worse: bool
    before: float
    after: float
    changed_at: int
    judgements_after: int


class JudgementStream(msgspec.Struct, array_like=True):
    """Sequential statistics of a stream of credits in [0, 1]; a credit once taken in is never taken back.

    Parameters
    ----------
    decayed
        Exponentially weighted mean of the credits.
    window
        Adaptive window over the credits.
    judgements
        Credits taken in.
    weight_squares
        Sum of the squares of the weights in `decayed`; its inverse is the effective number of judgements.
    total
        Sum of the credits.
    marks
        Time of every `MARK_EVERY`-th judgement (microseconds since the epoch) and `total` before it, the last
        `MARKS_MAX` of them.
    last_change
        Count of judgements at the last change that was told.

    Examples
    --------
    >>> stream = JudgementStream.start(fading_factor=0.02, delta=0.002)
    >>> changes = [stream.update(credit, at) for at, credit in enumerate([1.0] * 500 + [0.0] * 100)]
    >>> change = next(change for change in changes if change)
    >>> change.is_worse, 480 <= change.changed_at <= 520
    (True, True)

    References
    ----------
    Bifet and Gavaldà (2007), Learning from Time-Changing Data with Adaptive Windowing, SIAM SDM.
    Kish (1965), Survey Sampling, section 8.2, for the effective number of weighted observations.
    Page (1957), On Problems in which a Change in a Parameter Occurs at an Unknown Point, Biometrika 44, for the place.
    """

    decayed: stats.EWMean
    window: AdaptiveWindow
    judgements: int = 0
    weight_squares: float = 1.0
    total: float = 0.0
    marks: list[tuple[int, float]] = []
    last_change: int = 0

    @classmethod
    def start(cls, *, fading_factor: float, delta: float) -> "JudgementStream":
        """Return an empty stream.

        Parameters
        ----------
        fading_factor
            Weight of the newest credit in `decayed`, in (0, 1).
        delta
            Confidence parameter of the adaptive window, in (0, 1); smaller is slower and surer.
        """
        return cls(decayed=stats.EWMean(fading_factor), window=AdaptiveWindow(delta=delta))

    def update(self, credit: float, at: int) -> Change | None:
        """Take in one credit judged of a label of time `at` (microseconds); return a change if this one reveals it."""
        self._decay(credit)
        if self.judgements % MARK_EVERY == 0:
            self._mark(at)
        self.judgements += 1
        self.total += credit
        self.window.update(credit)
        return self._change() if self.window.drift_detected else None

    @property
    def effective_judgements(self) -> float:
        """Effective number of judgements behind `decayed` (0 before the first)."""
        return 1.0 / self.weight_squares if self.judgements else 0.0

    def _decay(self, credit: float) -> None:
        self.decayed.update(credit)
        if self.judgements:
            fading = self.decayed.fading_factor
            self.weight_squares = (1.0 - fading) ** 2 * self.weight_squares + fading * fading

    def _mark(self, at: int) -> None:
        self.marks.append((at, self.total))
        if len(self.marks) > MARKS_MAX:
            del self.marks[0]

    def _change(self) -> Change | None:
        """Tell a change once: a further shrinking of the window over the same stretch is the same change."""
        start = self.judgements - int(self.window.width)
        if self.last_change and start <= self.last_change:
            return None
        self.last_change = self.judgements
        return self._located()

    def _located(self) -> Change | None:
        """Return the change at the mark where the two sides differ most (the extreme of the cumulative sum)."""
        newest = (self.judgements - 1) // MARK_EVERY
        first = (newest - len(self.marks) + 1) * MARK_EVERY
        begin, end = self.marks[0][1], self.total
        slope = (end - begin) / (self.judgements - first)
        departures = [
            abs(total - begin - slope * MARK_EVERY * position) for position, (_, total) in enumerate(self.marks)
        ]
        position = departures.index(max(departures))
        if position == 0:
            return None
        changed_at, total = self.marks[position]
        judgements_before = MARK_EVERY * position
        judgements_after = self.judgements - first - judgements_before
        before, after = (total - begin) / judgements_before, (end - total) / judgements_after
        return Change(after < before, before, after, changed_at, judgements_after)
