"""Judgements by something less than the truth, and how much they are worth."""

from typing import NamedTuple

import msgspec

SENSITIVITY_PRIOR = (9.0, 1.0)
FALSE_PASS_PRIOR = (1.0, 9.0)
DIFFERENCE_MIN = 0.05

CONSENSUS_WEIGHT = 0.8
"""Verdicts of the consensus rest on each other's labels, so they count a little less than independent ones."""


class Evidence(NamedTuple):
    """Credit and judgements that lesser judgements are worth, in judgements against known answers."""

    credit: float
    judgements: float


class Calibration(msgspec.Struct, array_like=True, gc=False):
    """How labels fared that have both a known answer and a lesser judgement: whole numbers, replaceable.

    A lesser judgement holds a label to be right or wrong by a reviewer's decision, or by the consensus of the others.

    Parameters
    ----------
    right_passed, right_failed
        Labels that are right by the known answer, and were held to be right, or wrong.
    wrong_passed, wrong_failed
        Labels that are wrong by the known answer, and were held to be right, or wrong.

    Examples
    --------
    >>> calibration = Calibration()
    >>> for is_right, passed, labels in ((True, True, 90), (True, False, 5), (False, True, 1), (False, False, 9)):
    ...     calibration.count(is_right, passed, labels)
    >>> evidence = weighted_evidence(40, 50, calibration, accuracy=0.85)
    >>> 10.0 < evidence.judgements < 50.0, 0.8 < evidence.credit / evidence.judgements < 0.85
    (True, True)
    """

    right_passed: int = 0
    right_failed: int = 0
    wrong_passed: int = 0
    wrong_failed: int = 0

    def count(self, is_right: bool, passed: bool, labels: int = 1) -> None:
        """Count a label that has both (1), or take it out (-1)."""
        if is_right:
            self.right_passed += passed * labels
            self.right_failed += (not passed) * labels
        else:
            self.wrong_passed += passed * labels
            self.wrong_failed += (not passed) * labels

    def sensitivity(self) -> tuple[float, float]:
        """Return mean and variance of the probability that a right label is held to be right."""
        return _beta_moments(self.right_passed + SENSITIVITY_PRIOR[0], self.right_failed + SENSITIVITY_PRIOR[1])

    def false_pass(self) -> tuple[float, float]:
        """Return mean and variance of the probability that a wrong label is held to be right."""
        return _beta_moments(self.wrong_passed + FALSE_PASS_PRIOR[0], self.wrong_failed + FALSE_PASS_PRIOR[1])


def weighted_evidence(passed: float, judged: float, calibration: Calibration, *, accuracy: float) -> Evidence:
    """Return what an annotator's lesser judgements are worth, as judgements against known answers.

    The share that passed is `sensitivity · p + false_pass · (1 − p)` on average, for an annotator of accuracy p; it is
    solved for p. The worth is the number of judgements against known answers that would give an estimate of p with the
    same variance; the calibration's own variance is part of it, so that no number of lesser judgements is worth more
    than what their calibration rests on allows.

    Parameters
    ----------
    passed, judged
        Lesser judgements that held the annotator's label to be right, and all of them; 0 ≤ passed ≤ judged.
    calibration
        What lesser judgements are worth in this project.
    accuracy
        Accuracy of an ordinary annotator of the project, in (0, 1); at which worth is measured.

    References
    ----------
    Rogan and Gladen (1978), Estimating Prevalence from the Results of a Screening Test, Am. J. Epidemiology 107(1).
    """
    assert 0.0 <= passed <= judged
    (sensitivity, sensitivity_variance), (false_pass, false_pass_variance) = (
        calibration.sensitivity(),
        calibration.false_pass(),
    )
    difference = sensitivity - false_pass
    if not judged or difference < DIFFERENCE_MIN:
        return Evidence(0.0, 0.0)
    passing = sensitivity * accuracy + false_pass * (1.0 - accuracy)
    variance = passing * (1.0 - passing) / judged
    variance += accuracy**2 * sensitivity_variance + (1.0 - accuracy) ** 2 * false_pass_variance
    worth = min(accuracy * (1.0 - accuracy) * difference**2 / variance, judged)
    share = min(max((passed / judged - false_pass) / difference, 0.0), 1.0)
    return Evidence(share * worth, worth)


def _beta_moments(yes: float, no: float) -> tuple[float, float]:
    total = yes + no
    return yes / total, yes * no / (total**2 * (total + 1.0))
