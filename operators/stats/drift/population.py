"""What a project's annotators have in common: a prior for the baseline of each, learnt from the counts of all."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

# However alike the annotators are, the shared prior weighs no more than a hundred judgements, so that the own record of
# one who is unlike them has its say soon.
STRENGTHS = (10.0, 20.0, 50.0, 100.0)
ANNOTATORS_MIN = 10
ANNOTATORS_USED_MAX = 400
SHARE_APART = 0.03
# Odds that an annotator is unlike the others when nothing is known of him: more than `SHARE_APART`, since to take one
# who is apart for one of the others raises false alarms, while the opposite only costs delay.
ODDS_APART = 0.5
# An annotator who turns out to be apart was expected wrongly at first, which makes the evidence larger than it should
# be: the threshold is higher by up to this share.
CAUTION = 0.75
ODDS_MIN, ODDS_MAX = 2.0**-20, 2.0**20
_ROUNDS = 2


def learn_population(counts: ArrayLike, vague: ArrayLike) -> NDArray[np.float64] | None:
    """Return the pseudo-counts of the Dirichlet law from which the annotators' shares come, or None.

    The strength is the most likely of `STRENGTHS`, under a mixture in which a few annotators are unlike the others; it
    is held below what the annotators together know. None is returned where there are too few annotators or where they
    differ so much that one says nothing about another.

    Parameters
    ----------
    counts
        Of each annotator, how often each outcome came, shape (annotators, outcomes): correct and wrong, or classes.
        Whole numbers, in an order that is a function of the log.
    vague
        Pseudo-counts of what is supposed of an annotator who is unlike the others, shape (outcomes,).

    Examples
    --------
    >>> counts = [[95, 5], [190, 10], [48, 2]] * 10
    >>> learn_population(counts, [4.0, 0.5]).round().tolist()
    [89.0, 4.0]

    References
    ----------
    Efron, Large-Scale Inference (2010), chapter 1, for priors learnt from many cases at once.
    """
    counts, vague = np.asarray(counts, np.float64), np.asarray(vague, np.float64)
    counts = counts[counts.sum(axis=1) > 0]
    if len(counts) < ANNOTATORS_MIN:
        return None
    counts = counts[:: -(-len(counts) // ANNOTATORS_USED_MAX)]
    apart = np.log(SHARE_APART) + _log_likelihood(counts, vague)
    totals = counts.sum(axis=1)
    mean = _mean(counts, np.ones(len(counts)), vague)
    strength = 0.0
    for _ in range(_ROUNDS):
        likely = [np.log1p(-SHARE_APART) + _log_likelihood(counts, mean * each) for each in STRENGTHS]
        best = int(np.argmax([np.logaddexp(alike, apart).sum() for alike in likely]))
        strength = STRENGTHS[best]
        weights = _logistic(likely[best] - apart) / (1.0 + totals / strength)
        mean = _mean(counts, weights, vague)
    if strength <= STRENGTHS[0]:
        return None
    known = float((weights * totals).sum())
    return _exact(mean * (strength * known / (strength + known)))


def mixed_with_population(
    own: NDArray[np.float64], shared: NDArray[np.float64], odds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the expected share, of an annotator who is apart (`own`) with given odds, or one of the others."""
    return (shared + odds * own) / (1.0 + odds)


def caution(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factor on the threshold of an annotator who is apart with these odds.

    >>> caution(np.array([0.0, 1.0, 1e6])).round(3).tolist()
    [1.0, 1.375, 1.75]
    """
    return 1.0 + CAUTION * (odds / (1.0 + odds))


def started(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the odds of being apart; a new row holds zero."""
    return np.where(odds == 0.0, ODDS_APART, odds)


def _mean(counts: NDArray, weights: NDArray, vague: NDArray) -> NDArray[np.float64]:
    pooled = (weights[:, None] * counts).sum(axis=0) + vague
    return pooled / pooled.sum()


def _log_likelihood(counts: NDArray, alpha: NDArray) -> NDArray[np.float64]:
    """Return the logarithm of the Dirichlet-multinomial likelihood of each row, without the multinomial coefficient."""
    totals, strength = counts.sum(axis=1), alpha.sum()
    each = (gammaln(counts + alpha) - gammaln(alpha)).sum(axis=1)
    return each - gammaln(totals + strength) + gammaln(strength)


def _logistic(value: NDArray) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(np.clip(-value, -50.0, 50.0)))


def _exact(values: NDArray) -> NDArray[np.float64]:
    """Round to 2⁻¹⁰, so that the last bits of logarithms do not decide what is learnt."""
    return np.maximum(np.round(values * 2.0**10), 1.0) / 2.0**10
