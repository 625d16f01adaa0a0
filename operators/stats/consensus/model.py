"""Annotator model of categorical consensus: confusion with hierarchical priors beside a one-coin model.

Every annotator has two descriptions. The *full* one is a confusion matrix (Dawid and Skene), whose rows are shrunk to
the annotator's own one-coin matrix and to the matrix pooled over annotators. The *one-coin* one has a single accuracy,
shrunk to the pooled accuracy. An answer is the mean of the posteriors under both, weighed by evidence.

Expected counts are whole multiples of 1 / ``UNIT``, so that sums are exact in any order and what was put in can be
taken out without a trace.

References
----------
Dawid, Skene: Maximum likelihood estimation of observer error-rates using the EM algorithm. Applied Statistics, 1979.
Neal, Hinton: A view of the EM algorithm that justifies incremental, sparse, and other variants. 1998.
Kish: Survey Sampling, 1965 (the effective size of a clustered sample).
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from operators.stats.consensus.label_store import grown
from operators.stats.consensus.settings import ConsensusSettings

UNIT = 2.0**24
EVIDENCE_UNIT = 2.0**16
EVIDENCE_COLUMNS = 6
"""Per item: evidence for full confusion, majorities overturned by the full and by the one-coin model, how far a known
answer looks misleading, known answers, items."""
_ACCURACY_MIN = 1e-3
_SHARE_OFFSET = 0.01


@dataclass
class Totals:
    """Sums over annotators and items, in ``UNIT``; what the shared parameters are made from.

    Parameters
    ----------
    pooled
        Expected labels by class answered and true class, shape (classes, classes), under the full model.
    shares_full, shares_one
        Expected items of each class under either model, shape (classes,).
    votes
        Votes for each class, shape (classes,).
    hits, labels
        Expected correct labels under the one-coin model, and labels, shape (1,).
    evidence
        Sums of the items' evidence in ``EVIDENCE_UNIT``, shape (``EVIDENCE_COLUMNS``,).
    """

    pooled: np.ndarray
    shares_full: np.ndarray
    shares_one: np.ndarray
    votes: np.ndarray
    hits: np.ndarray
    labels: np.ndarray
    evidence: np.ndarray

    @classmethod
    def empty(cls) -> "Totals":
        """Sums over nothing."""
        none = np.zeros(0)
        return cls(np.zeros((0, 0)), none, none, none, np.zeros(1), np.zeros(1), np.zeros(EVIDENCE_COLUMNS))

    def with_classes(self, classes: int) -> "Totals":
        """The same with room for ``classes`` classes."""
        return Totals(
            grown(self.pooled, (classes, classes)),
            grown(self.shares_full, (classes,)),
            grown(self.shares_one, (classes,)),
            grown(self.votes, (classes,)),
            self.hits,
            self.labels,
            self.evidence,
        )

    def state(self) -> dict[str, np.ndarray]:
        """Copies of all sums."""
        return {field.name: getattr(self, field.name).copy() for field in fields(self)}


class Shared(NamedTuple):
    """Parameters common to all annotators and items."""

    pooled: np.ndarray
    errors: np.ndarray
    accuracy_full: float
    accuracy_one: float
    log_prior_full: np.ndarray
    log_prior_one: np.ndarray
    weight_full: float
    misleading: float


class Rows(NamedTuple):
    """Labels of some items: the item, annotator, class and weight of each, and how many items there are."""

    item: np.ndarray
    annotator: np.ndarray
    label_class: np.ndarray
    weight: np.ndarray
    items: int


class AnnotatorCounts(NamedTuple):
    """Expected counts of the annotators of some rows, in ``UNIT``: shapes (annotators, classes, classes) by class
    answered and true class, (annotators,) and (annotators,)."""

    matrix: np.ndarray
    hits: np.ndarray
    labels: np.ndarray


class Evaluation(NamedTuple):
    """Log likelihoods of some items' labels.

    Parameters
    ----------
    full, one, votes
        Under both models, and votes, each of shape (classes, items).
    voters
        Annotators of each item, shape (items,).
    coin
        What an annotator's label adds to ``one`` for the class it names, less that for any other, and the latter; each
        of shape (annotators,).
    logs
        What it adds to ``full``, shape (classes, annotators × classes named); None with too many classes for matrices.
    """

    full: np.ndarray
    one: np.ndarray
    votes: np.ndarray
    voters: np.ndarray
    coin: tuple[np.ndarray, np.ndarray]
    logs: np.ndarray | None


def shared_parameters(totals: Totals, settings: ConsensusSettings) -> Shared:
    """Parameters common to all, from the sums so far."""
    classes = len(totals.votes)
    pooled = totals.pooled.T / UNIT
    strength, expected = settings.accuracy_prior_strength, settings.accuracy_prior
    accuracy_full = (np.trace(pooled) + strength * expected) / (pooled.sum() + strength)
    accuracy_one = (totals.hits[0] / UNIT + strength * expected) / (totals.labels[0] / UNIT + strength)
    errors = (1.0 - np.eye(classes)) / max(classes - 1, 1)
    symmetric = accuracy_full * np.eye(classes) + (1.0 - accuracy_full) * errors
    weight = settings.symmetric_strength
    pooled = (pooled + weight * symmetric) / (pooled.sum(axis=1, keepdims=True) + weight)
    votes = totals.votes / UNIT + 1.0
    votes /= votes.sum()
    return Shared(
        pooled,
        errors,
        float(accuracy_full),
        float(accuracy_one),
        _log_prior(totals.shares_full, votes, settings.share_strength_full, settings),
        _log_prior(totals.shares_one, votes, settings.share_strength_one, settings),
        0.0 if classes > settings.matrix_classes_max else _weight_full(totals.evidence / EVIDENCE_UNIT, settings),
        _misleading(totals.evidence / EVIDENCE_UNIT, settings),
    )


def _log_prior(shares: np.ndarray, votes: np.ndarray, strength: float, settings: ConsensusSettings) -> np.ndarray:
    """Log class prior: the shares learnt, drawn to the shares of the votes."""
    items = shares / UNIT
    prior = items + (strength * items.sum() + settings.share_strength_items) * votes
    return np.log(prior / prior.sum())


def _weight_full(evidence: np.ndarray, settings: ConsensusSettings) -> float:
    """Weight of the full model against the one-coin model, in [0, 1].

    The full model explains labels better on nearly any data, also where it takes what annotators get wrong together for
    a class; so a gain counts from a threshold on, and below it the model that overturns fewer majorities is preferred.
    """
    items = max(evidence[5], 1.0)
    gain, overturned_full, overturned_one = evidence[:3] / items
    closeness = settings.closeness_slope * np.log((overturned_one + _SHARE_OFFSET) / (overturned_full + _SHARE_OFFSET))
    bound = settings.closeness_max
    odds = settings.evidence_slope * max(0.0, gain - settings.evidence_threshold) + min(max(closeness, -bound), bound)
    return float(1.0 / (1.0 + np.exp(-min(odds, 500.0))))


def _misleading(evidence: np.ndarray, settings: ConsensusSettings) -> float:
    """Share of items whose labels say nothing about the answer: a prior, revised by known answers."""
    strength = settings.misleading_strength
    return float((strength * settings.misleading + evidence[3]) / (strength + evidence[4]))


def confusion_matrices(counts: AnnotatorCounts, shared: Shared, settings: ConsensusSettings) -> np.ndarray:
    """Probability of each answer given the true class, shape (annotators, classes answered, true classes)."""
    matrix = counts.matrix / UNIT
    hits = np.trace(matrix, axis1=1, axis2=2)
    strength = settings.skill_strength
    accuracy = ((hits + strength * shared.accuracy_full) / (matrix.sum(axis=(1, 2)) + strength))[:, None, None]
    one_coin = accuracy * np.eye(len(shared.errors)) + (1.0 - accuracy) * shared.errors
    matrix += settings.own_strength * one_coin + settings.pooled_strength * shared.pooled.T
    return matrix / matrix.sum(axis=1, keepdims=True)


def one_coin_accuracies(counts: AnnotatorCounts, shared: Shared, settings: ConsensusSettings) -> np.ndarray:
    """Accuracy of each annotator under the one-coin model, shape (annotators,)."""
    strength = settings.skill_strength
    accuracy = (counts.hits / UNIT + strength * shared.accuracy_one) / (counts.labels / UNIT + strength)
    return np.clip(accuracy, _ACCURACY_MIN, 1.0 - _ACCURACY_MIN)


def evaluate(rows: Rows, counts: AnnotatorCounts, shared: Shared, settings: ConsensusSettings) -> Evaluation:
    """Log likelihood of each item's labels given each class.

    Parameters
    ----------
    rows
        At least one row an item; annotators are numbered as in ``counts``.
    """
    classes, items = len(shared.log_prior_full), rows.items
    cells = rows.label_class * items + rows.item
    accuracy = one_coin_accuracies(counts, shared, settings)
    wrong = np.log((1.0 - accuracy) / max(classes - 1, 1))
    coin = np.log(accuracy) - wrong, wrong
    right = coin[0][rows.annotator] * rows.weight
    one = np.bincount(cells, right, minlength=items * classes).reshape(classes, items)
    one += np.bincount(rows.item, wrong[rows.annotator] * rows.weight, minlength=items)
    votes = np.bincount(cells, rows.weight, minlength=items * classes).reshape(classes, items)
    if classes > settings.matrix_classes_max:
        return Evaluation(one, one, votes, votes.sum(axis=0), coin, None)
    table = np.log(confusion_matrices(counts, shared, settings)).reshape(-1, classes).T.copy()
    cell = rows.annotator * classes + rows.label_class
    whole = bool(np.all(rows.weight == 1.0))
    full = np.empty((classes, items))
    for true, logs in enumerate(table):
        likelihoods = logs.take(cell) if whole else logs.take(cell) * rows.weight
        full[true] = np.bincount(rows.item, likelihoods, minlength=items)
    return Evaluation(full, one, votes, votes.sum(axis=0), coin, table)


def softmax(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Softmax along the first axis, and the logarithm of the sum of exponentials."""
    top = logits.max(axis=0)
    exponentials = np.exp(logits - top)
    sums = exponentials.sum(axis=0)
    exponentials /= sums
    return exponentials, np.log(sums) + top


def answers(evaluation: Evaluation, shared: Shared, settings: ConsensusSettings) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated posterior of each item, and the same before misleading items are allowed for, shape (classes, items).

    The likelihood counts the labels as the smaller number of independent ones that correlated errors leave (Kish).
    """
    effective = 1.0 / (1.0 + np.maximum(evaluation.voters - 1.0, 0.0) * settings.correlation)
    plain = softmax(effective * evaluation.one + shared.log_prior_one[:, None])[0] * (1.0 - shared.weight_full)
    if shared.weight_full > 0.0:
        plain += softmax(effective * evaluation.full + shared.log_prior_full[:, None])[0] * shared.weight_full
    flat = shared.misleading / len(plain)
    return (1.0 - shared.misleading) * plain + flat, plain


def item_evidence(
    evaluation: Evaluation,
    posteriors: tuple[np.ndarray, np.ndarray],
    normalisers: tuple[np.ndarray, np.ndarray],
    known_probability: np.ndarray,
    shared: Shared,
) -> np.ndarray:
    """What each item says about the choice of model and about misleading labels, in ``EVIDENCE_UNIT``.

    Parameters
    ----------
    posteriors, normalisers
        Posterior, shape (classes, items), and log evidence of each item under the full and the one-coin model.
    known_probability
        Probability that the labels alone give to the known answer, shape (items,); NaN where none is known.

    Returns
    -------
    numpy.ndarray
        Shape (items, ``EVIDENCE_COLUMNS``), integers.
    """
    votes = evaluation.votes
    majority = votes >= votes.max(axis=0) - 1e-9
    shared_by = majority.sum(axis=0)
    several = evaluation.voters > 1.5
    known = ~np.isnan(known_probability)
    flat = shared.misleading / len(votes)
    likely = np.where(known, known_probability, 1.0)
    columns = [
        np.where(several, normalisers[0] - normalisers[1], 0.0),
        1.0 - (majority * posteriors[0]).sum(axis=0) / shared_by,
        1.0 - (majority * posteriors[1]).sum(axis=0) / shared_by,
        np.where(known, flat / (flat + (1.0 - shared.misleading) * likely), 0.0),
        known.astype(float),
        np.ones(len(shared_by)),
    ]
    limit = 2.0**30
    return np.clip(np.rint(np.stack(columns, axis=1) * EVIDENCE_UNIT), -limit, limit).astype(np.int32)
