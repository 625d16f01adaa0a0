"""The same answer over and over."""

from collections.abc import Mapping
from math import expm1

import msgspec


class AnswerRuns(msgspec.Struct, array_like=True, gc=False):
    """Runs of equal answers of one annotator, in log order; an answer once taken in is never taken back.

    Parameters
    ----------
    answer
        The newest answer.
    current
        How many times in a row it has been given.
    longest, longest_answer
        The longest run so far, and what was answered in it.

    Examples
    --------
    >>> runs = AnswerRuns()
    >>> for answer in "abaaaab":
    ...     runs.update(answer)
    >>> runs.current, runs.longest, runs.longest_answer
    (1, 4, 'a')
    """

    answer: str | None = None
    current: int = 0
    longest: int = 0
    longest_answer: str | None = None

    def update(self, answer: str) -> None:
        """Take in an answer."""
        self.current = self.current + 1 if answer == self.answer else 1
        self.answer = answer
        if self.current > self.longest:
            self.longest, self.longest_answer = self.current, answer


def run_probability(length: int, labels: Mapping[str, int]) -> float:
    """Return about how likely a run of at least this length is by chance, if answers come in a random order.

    Each class has its share of the labels; where a run of it may begin, it is followed by `length − 1` more of the
    same. The number of such beginnings is taken for Poisson.

    Parameters
    ----------
    length
        Equal answers in a row, ≥ 1.
    labels
        Labels by class: those of the annotator, or, which an annotator cannot influence, those of the question scaled
        to as many.

    Returns
    -------
    probability
        In [0, 1]; 1 where only one class was ever given.

    Examples
    --------
    >>> round(run_probability(10, {"a": 500, "b": 500}), 2)
    0.62
    >>> run_probability(40, {"a": 500, "b": 500}) < 1e-8
    True

    References
    ----------
    Arratia, Goldstein and Gordon (1990), Poisson Approximation and the Chen–Stein Method, Statistical Science 5(4).
    """
    assert length >= 1
    total = sum(labels.values())
    if length > total:
        return 0.0
    expected = 0.0
    for label in sorted(labels):
        share = labels[label] / total
        if share >= 1.0:
            return 1.0
        expected += share**length * (1.0 + (total - length) * (1.0 - share))
    return -expm1(-expected)
