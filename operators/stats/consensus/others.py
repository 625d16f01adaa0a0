"""What the consensus of the others says of each label: the annotator's own vote is left out."""

import numpy as np

from operators.stats.consensus.model import Evaluation, Rows, Shared
from operators.stats.consensus.settings import ConsensusSettings

NONE, PASSED, FAILED, RIGHT_PASSED, RIGHT_FAILED, WRONG_PASSED, WRONG_FAILED = range(7)
"""Verdicts on a label: none; passed or failed; the same of labels that a known answer holds to be right, or wrong."""
VERDICTS = 7
_OFFSETS = np.array([0, WRONG_PASSED - PASSED, RIGHT_PASSED - PASSED])


def verdicts_of(
    rows: Rows, evaluation: Evaluation, shared: Shared, settings: ConsensusSettings, is_right: np.ndarray
) -> np.ndarray:
    """Hold each label against the likeliest class by the other annotators' labels.

    Both models speak, as a geometric mean of their posteriors weighed like the answer's. There is no verdict on the
    labels of somebody who labelled the item several times.

    Parameters
    ----------
    rows
        Labels, those of the first items of an evaluation, each with two voters at the least.
    evaluation
        Of these items and perhaps more, with matrices.
    is_right
        For each label 1 if the known answer holds it to be right, 0 if wrong, -1 where none is known; shape (rows,).

    Returns
    -------
    numpy.ndarray
        A verdict for each label, shape (rows,), int8.
    """
    assert evaluation.logs is not None
    item, label_class, full = rows.item, rows.label_class, shared.weight_full
    others = evaluation.voters[item] - 1.0
    effective = 1.0 / (1.0 + (others - 1.0) * settings.correlation)
    items = slice(0, int(item.max(initial=-1)) + 1)
    together = (1.0 - full) * evaluation.one[:, items]
    if full > 0.0:
        together += full * evaluation.full[:, items]
    score = together.take(item, axis=1)
    if full > 0.0:
        score -= (full * evaluation.logs).take(rows.annotator * len(score) + label_class, axis=1)
    score[label_class, np.arange(len(item))] -= (1.0 - full) * evaluation.coin[0][rows.annotator]
    score *= effective
    score += ((1.0 - full) * shared.log_prior_one + full * shared.log_prior_full)[:, None]
    passed = score.argmax(axis=0) == label_class
    verdict = np.where(passed, PASSED, FAILED) + _OFFSETS[is_right + 1]
    return np.where(rows.weight == 1.0, verdict, NONE).astype(np.int8)
