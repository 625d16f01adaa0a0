"""What the consensus of the others says of a label, and what that adds to the estimate of an accuracy."""

import numpy as np
import pytest

from operators.stats.accuracy.estimate import accuracy_estimate
from operators.stats.accuracy.lesser_evidence import CONSENSUS_WEIGHT, Calibration, weighted_evidence
from operators.stats.accuracy.population import Population
from operators.stats.consensus.categorical import CategoricalConsensus
from operators.stats.consensus.others import FAILED, NONE, PASSED, RIGHT_PASSED, VERDICTS, WRONG_FAILED
from operators.stats.consensus.settings import ConsensusSettings

BY_FOUR = ConsensusSettings(chunk_events_min=4, chunk_events_max=4)


def of_four(classes: str) -> CategoricalConsensus:
    """One item with an answer of each of four annotators, a to d."""
    consensus = CategoricalConsensus(BY_FOUR)
    for name, label_class in zip("abcd", classes, strict=True):
        consensus.add("item", name, label_class, name)
    return consensus


def verdicts(consensus: CategoricalConsensus) -> dict[str, dict[int, int]]:
    """Counts by annotator and verdict, without zeros."""
    held = {name: consensus.verdicts(name) for name in "abcd"}
    return {name: {at: n for at, n in enumerate(counts) if n and at != NONE} for name, counts in held.items()}


def fill(consensus: CategoricalConsensus, events: int) -> None:
    """End the chunk with events that concern nobody."""
    for _ in range(events):
        consensus.unset_known("nothing")


def test_a_label_is_held_against_the_others() -> None:
    """The odd one out fails and the rest pass; a revision takes the verdicts back and judges anew."""
    consensus = of_four("xxxy")
    assert verdicts(consensus) == {"a": {PASSED: 1}, "b": {PASSED: 1}, "c": {PASSED: 1}, "d": {FAILED: 1}}
    assert consensus.take_heard() == ["a", "b", "c", "d"]
    consensus.replace("item", "x", "d")
    consensus.replace("item", "y", "a")
    fill(consensus, 2)
    assert verdicts(consensus) == {"a": {FAILED: 1}, "b": {PASSED: 1}, "c": {PASSED: 1}, "d": {PASSED: 1}}


def test_known_answers_calibrate_and_few_others_say_nothing() -> None:
    """With a known answer a verdict says how the others fare; below two others, and on repeats, there is none."""
    consensus = of_four("xxxy")
    consensus.set_known("item", {"x": 1.0})
    fill(consensus, 3)
    assert verdicts(consensus)["a"] == {RIGHT_PASSED: 1}
    assert verdicts(consensus)["d"] == {WRONG_FAILED: 1}
    assert sum(consensus.verdicts_of_all()[1:]) == 4
    consensus.unset_known("item")
    consensus.add("item", "a", "x", "again")
    fill(consensus, 2)
    assert verdicts(consensus) == {"a": {}, "b": {PASSED: 1}, "c": {PASSED: 1}, "d": {FAILED: 1}}
    for key in "cd":
        consensus.remove("item", key)
    fill(consensus, 2)
    assert not any(verdicts(consensus).values())


def test_what_is_taken_back_leaves_no_verdict_and_state_holds_them() -> None:
    """Counts are those of the labels in force, also after the state was written and read back."""
    rng = np.random.default_rng(5)
    consensus = CategoricalConsensus(ConsensusSettings(chunk_events_min=8, chunk_events_max=8))
    for number in range(160):
        consensus.add(f"i{number % 20}", f"a{number // 20}", f"c{rng.integers(3)}", str(number))
    assert len(consensus.verdicts("a1")) == VERDICTS
    assert sum(consensus.verdicts_of_all()[1:]) == 160
    again = CategoricalConsensus.from_state(consensus.state(), consensus.settings)
    assert again.verdicts_of_all() == consensus.verdicts_of_all()
    for number in range(160):
        again.remove(f"i{number % 20}", str(number))
    assert again.verdicts_of_all()[1:] == (0,) * (VERDICTS - 1)


def world(seed: int, accuracies: np.ndarray, items: int) -> tuple[np.ndarray, np.ndarray, CategoricalConsensus]:
    """Credit and judgements of each annotator on a known tenth of the items, and the consensus of five labels each."""
    rng, consensus = np.random.default_rng(seed), CategoricalConsensus()
    truth, known = rng.integers(0, 3, items), rng.random(items) < 0.1
    counts = np.zeros((2, len(accuracies)))
    pairs = [(item, who) for item in range(items) for who in rng.choice(len(accuracies), 5, replace=False).tolist()]
    for number in rng.permutation(len(pairs)).tolist():
        item, who = pairs[number]
        right = rng.random() < accuracies[who]
        answer = truth[item] if right else (truth[item] + rng.integers(1, 3)) % 3
        consensus.add(f"i{item}", f"a{who}", f"c{answer}", str(number))
        counts[:, who] += known[item] * np.array([right, 1.0])
    for item in np.flatnonzero(known).tolist():
        consensus.set_known(f"i{item}", {f"c{truth[item]}": 1.0})
    fill(consensus, consensus.room)
    return *counts, consensus


POPULATIONS = {
    "beta": lambda rng: rng.beta(8, 2, 60),
    "even": lambda rng: rng.uniform(0.5, 1.0, 60),
    "spammers": lambda rng: np.where(rng.random(60) < 0.05, 0.33, rng.beta(45, 5, 60)),
}


@pytest.mark.slow
def test_estimates_with_the_consensus_as_evidence_cover_and_err_less() -> None:
    """Intervals hold the accuracy as often as promised; squared error is below half of that without the consensus."""
    coverage = []
    for draw in POPULATIONS.values():
        rng, found = np.random.default_rng(9), []
        for seed in range(8):
            accuracies = draw(rng)
            found += figures(accuracies, *world(seed, accuracies, 600))
        held, with_consensus, without, ratio = np.mean(found, axis=0)
        coverage.append(held)
        assert with_consensus < 0.5 * without < 0.5 * ratio
    assert 0.94 < np.mean(coverage) < 0.975
    assert min(coverage) > 0.92


def figures(
    accuracies: np.ndarray, credits: np.ndarray, judged: np.ndarray, consensus: CategoricalConsensus
) -> list[tuple[float, ...]]:
    """Whether each interval holds the accuracy; squared errors with the consensus, without it, of the raw ratio."""
    people = Population()
    for pair in zip(credits.tolist(), judged.tolist(), strict=True):
        people.change(None, pair)
    prior = people.prior()
    mean = accuracy_estimate(0.0, 0.0, prior).accuracy_estimate
    calibration = Calibration(*consensus.verdicts_of_all()[RIGHT_PASSED:])
    found = []
    for number, (accuracy, credit, labels) in enumerate(zip(accuracies, credits, judged, strict=True)):
        counts = consensus.verdicts(f"a{number}")
        lesser = weighted_evidence(counts[PASSED], counts[PASSED] + counts[FAILED], calibration, accuracy=mean)
        all_judged = labels + CONSENSUS_WEIGHT * lesser.judgements
        estimate = accuracy_estimate(min(credit + CONSENSUS_WEIGHT * lesser.credit, all_judged), all_judged, prior)
        plain = accuracy_estimate(credit, labels, prior).accuracy_estimate
        guesses = (estimate.accuracy_estimate, plain, credit / labels if labels else mean)
        held = estimate.estimate_low <= accuracy <= estimate.estimate_high
        found.append((float(held), *((guess - accuracy) ** 2 for guess in guesses)))
    return found
