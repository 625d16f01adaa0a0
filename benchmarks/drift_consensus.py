"""Simulated teams without known answers: what the flow's own way of holding labels against others gives a detector."""

import numpy as np
from numpy.typing import NDArray

from operators.stats.drift.consensus_evidence import (
    NOISE_USABLE_MAX,
    ConsensusNoise,
    answers_of_others,
    vote_weight,
)
from operators.stats.drift.outcome import OutcomeBank

CLASSES = 3
Compared = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


class Team:
    """Annotators who label items together, each item by as many of them as there are votes.

    Parameters
    ----------
    errors
        Share of errors of each annotator, shape (annotators,).
    votes
        Labels of an item, ≥ 3.
    believed
        Accuracy of each annotator as the consensus believes it; by default as it is.
    shared
        Share of the items on which whoever is wrong makes the same mistake.
    known
        Share of the items whose answer is known: the noise is learnt from these.
    """

    def __init__(
        self, errors: NDArray, *, votes: int, believed: NDArray | None = None, shared: float = 0.0, known: float = 0.0
    ) -> None:
        self._votes, self._shared, self._known = votes, shared, known
        accuracies = 1.0 - errors if believed is None else believed
        self._weights = [vote_weight(accuracy, CLASSES) for accuracy in accuracies.tolist()]
        self._noise = ConsensusNoise()
        self._sure: dict[tuple[tuple[int, float], ...], list[tuple[str, float]]] = {}

    def compare(self, errors: NDArray, random: np.random.Generator) -> Compared:
        """Return annotator, disagreement and noise of each label of one round of items that others are sure of.

        Parameters
        ----------
        errors
            Share of errors of each annotator now.
        """
        order = random.permutation(len(errors))
        teams = order[: len(order) // self._votes * self._votes].reshape(-1, self._votes)
        is_wrong = random.random(teams.shape) < errors[teams]
        mistake = random.integers(1, CLASSES, teams.shape)
        is_alike = random.random(len(teams)) < self._shared
        mistake[is_alike] = 1
        answers = np.where(is_wrong, mistake, 0)  # class 0 stands for the right one of each item
        who, outcomes, noises = [], [], []
        for team, answer in zip(teams.tolist(), answers.tolist(), strict=True):
            is_known = random.random() < self._known
            for name, own, (label_class, doubt) in zip(team, answer, self._others(team, answer), strict=True):
                probability = self._noise.of(doubt)
                if probability <= NOISE_USABLE_MAX:
                    who.append(name)
                    outcomes.append(float(str(own) != label_class))
                    noises.append(probability)
                    if is_known:
                        self._noise.learn(doubt, is_wrong=label_class != "0")
        return np.array(who, np.int64), np.array(outcomes), np.array(noises)

    def _others(self, team: list[int], answer: list[int]) -> list[tuple[str, float]]:
        votes = [(str(own), self._weights[name]) for name, own in zip(team, answer, strict=True)]
        key = tuple((own, self._weights[name]) for name, own in zip(team, answer, strict=True))
        if key not in self._sure:
            self._sure[key] = answers_of_others(votes, range(len(votes)), CLASSES)
        return self._sure[key]


def stable_alarms(team: Team, errors: NDArray, rounds: int, seed: int, promise: float) -> tuple[int, int]:
    """Return false alarms and judgements of a team that does not change.

    Parameters
    ----------
    promise
        False alarms per million judgements.
    """
    random, alarms, judgements = np.random.default_rng(seed), 0, 0
    bank = OutcomeBank(capacity=len(errors), false_alarms_per_million_judgements=promise)
    for number in range(rounds):
        if number in (50, 100, 200, 400):
            bank.learn_from_baselines()
        compared = team.compare(errors, random)
        alarms += len(bank.update_many(*compared))
        judgements += len(compared[0])
    return alarms, judgements


def delays(team: Team, before: NDArray, after: NDArray, quiet: int, rounds: int, seed: int) -> NDArray[np.float64]:
    """Return the labels that each annotator who changed gave until the alarm; infinite without one.

    Parameters
    ----------
    before, after
        Share of errors of each annotator before and after the change.
    quiet
        Labels of each before it.
    """
    random, found = np.random.default_rng(seed), np.full(len(before), np.inf)
    bank = OutcomeBank(capacity=len(before))
    for number in range(quiet + rounds):
        if number in (50, 100, 200, 400):
            bank.learn_from_baselines()
        slots = bank.update_many(*team.compare(before if number < quiet else after, random)).slot
        if number >= quiet:
            found[slots] = np.minimum(found[slots], number - quiet + 1)
    return found[before != after]
