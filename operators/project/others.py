"""A label held against what the others answered: evidence of an annotator's work where no answer is known.

Each label is held against others once: at the event that makes the answers of at least two other annotators sure
enough. How much each of these counts for is what the question's consensus had learnt of them at its last bound.
"""

from operators.project.consensus import QuestionConsensus
from operators.project.state import CREDIT_UNITS, ItemRecord, QuestionRecord
from operators.project.watch import Watch
from operators.stats.drift.consensus_evidence import (
    NOISE_USABLE_MAX,
    OTHERS_MIN,
    ConsensusNoise,
    answers_of_others,
    vote_weight,
)

ACCURACY_UNKNOWN = 0.8
"""Of annotators before the consensus has learnt of any."""


class VoteWeights:
    """What annotators' votes count for in each question, as of the last bound of its consensus."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int], dict[str, float], float]] = {}

    def of(self, question: QuestionRecord, consensus: QuestionConsensus) -> tuple[dict[str, float], float]:
        """Return the weight of each annotator's vote, and that of an annotator of whom nothing is known."""
        assert consensus.classes is not None
        state = (consensus.classes.events, max(len(question.classes), 2))
        found = self._known.get(question.question_id)
        if found is None or found[0] != state:
            accuracies = consensus.classes.accuracies()
            usual = sum(accuracies.values()) / len(accuracies) if accuracies else ACCURACY_UNKNOWN
            weights = {name: vote_weight(accuracy, state[1]) for name, accuracy in accuracies.items()}
            found = self._known[question.question_id] = (state, weights, vote_weight(usual, state[1]))
        return found[1:]


def hold_against_others(
    item: ItemRecord, question: QuestionRecord, weights: VoteWeights, watch: Watch, oldest: int, at: int, version: int
) -> None:
    """Hold an item's labels, one of which has just come, against what others answered, as far as that is sure.

    Parameters
    ----------
    oldest
        Labels from before this time do not enter.
    """
    consensus = question.consensus
    if len(item.labels) <= OTHERS_MIN:
        return
    latest = {label.annotator_id: label for label in item.labels}
    if len(latest) <= OTHERS_MIN or consensus is None or consensus.classes is None:
        return
    held = [index for index, label in enumerate(latest.values()) if not label.is_held and label.first_at >= oldest]
    if not held:
        return
    known, usual = weights.of(question, consensus)
    votes = [(label.value, known.get(name, usual)) for name, label in latest.items()]
    labels, noise = list(latest.values()), watch.noise_of(question.question_id)
    answers = answers_of_others(votes, held, max(len(question.classes), 2))
    for index, (answer, doubt) in zip(held, answers, strict=True):
        probability = noise.of(doubt)
        if probability <= NOISE_USABLE_MAX:
            labels[index].is_held = True
            _teach(noise, item, answer, doubt)
            watch.compared(labels[index], labels[index].value == answer, probability, at, version)


def _teach(noise: ConsensusNoise, item: ItemRecord, answer: str, doubt: float) -> None:
    """Let an item whose answer is known say whether the others were right."""
    if item.truth is not None:
        noise.learn(doubt, is_wrong=2 * item.truth.credits.get(answer, 0) < CREDIT_UNITS)
