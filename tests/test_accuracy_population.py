"""Accuracy from the population of annotators: coverage and error on simulation, and exact bookkeeping."""

from collections.abc import Callable
from itertools import product

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from operators.stats.accuracy.estimate import AccuracyEstimate, accuracy_estimate
from operators.stats.accuracy.population import Population, cell_of, counts_of
from operators.stats.jeffreys import jeffreys_interval

Shape = Callable[[np.random.Generator, int], np.ndarray]

SHAPES: dict[str, Shape] = {
    "good": lambda rng, size: rng.beta(18, 2, size),
    "varied": lambda rng, size: rng.beta(8, 2, size),
    "even": lambda rng, size: rng.uniform(0.5, 1.0, size),
    "two kinds": lambda rng, size: np.where(rng.random(size) < 0.3, 0.7, 0.95),
    "a few spammers": lambda rng, size: np.where(rng.random(size) < 0.05, rng.beta(9, 21, size), rng.beta(45, 5, size)),
}
COUNTS = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: (min(pair), max(pair)))


def simulated(shape: Shape, annotators: int, judgements: tuple[int, ...], seed: int):
    """True accuracies, credits and judgements of a population."""
    rng = np.random.default_rng(seed)
    accuracies = shape(rng, annotators)
    sizes = rng.choice(judgements, size=annotators)
    return accuracies, rng.binomial(sizes, accuracies), sizes


def estimates_of(credits: np.ndarray, sizes: np.ndarray) -> list[AccuracyEstimate]:
    """Estimates of all annotators from one population."""
    population = Population()
    for credit, judgements in zip(credits.tolist(), sizes.tolist(), strict=True):
        population.change(None, (credit, judgements))
    prior = population.prior()
    pairs = list(zip(credits.tolist(), sizes.tolist(), strict=True))
    known = {pair: accuracy_estimate(float(pair[0]), float(pair[1]), prior) for pair in sorted(set(pairs))}
    return [known[pair] for pair in pairs]


def coverage_and_gain(shape: Shape, annotators: int, judgements: tuple[int, ...], populations: int):
    """Share of intervals that hold the true accuracy, and squared error as a share of the raw ratio's."""
    held, errors, raw_errors = [], [], []
    for seed in range(populations):
        accuracies, credits, sizes = simulated(shape, annotators, judgements, seed)
        for accuracy, estimate, raw in zip(accuracies, estimates_of(credits, sizes), credits / sizes, strict=True):
            held.append(estimate.estimate_low <= accuracy <= estimate.estimate_high)
            errors.append((estimate.accuracy_estimate - accuracy) ** 2)
            raw_errors.append((raw - accuracy) ** 2)
    return np.mean(held), np.mean(errors) / np.mean(raw_errors)


def test_estimates_cover_and_beat_the_raw_ratio_over_populations() -> None:
    """Over five shapes of population 94–97 % of intervals hold the accuracy; squared error is below the raw ratio's."""
    results = [coverage_and_gain(shape, 150, (5, 20, 200), 2) for shape in SHAPES.values()]
    assert 0.94 <= np.mean([coverage for coverage, _ in results]) <= 0.97
    assert max(gain for _, gain in results) < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("annotators", [40, 300])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_each_shape_of_population_is_covered(shape: str, annotators: int) -> None:
    """With few annotators or many, 93.5 to 97.5 % of the intervals of each shape hold the accuracy."""
    coverage, gain = coverage_and_gain(SHAPES[shape], annotators, (5, 20, 200), 12_000 // annotators)
    assert 0.935 <= coverage <= 0.975
    assert gain < 0.75


@pytest.mark.parametrize("judgements", [5, 20, 200])
def test_jeffreys_intervals_cover_on_average_and_nowhere_badly(judgements: int) -> None:
    """Summed over outcomes: 94–97.5 % on average over a population, at no accuracy from .6 to .99 below 88 %."""
    successes = np.arange(judgements + 1.0)
    low, high = jeffreys_interval(successes, np.full(judgements + 1, float(judgements)))
    accuracies = np.linspace(0.6, 0.99, 196)
    held = (low <= accuracies[:, None]) & (accuracies[:, None] <= high)
    coverage = (binom.pmf(successes, judgements, accuracies[:, None]) * held).sum(axis=1)
    assert coverage.min() >= 0.88
    population = np.random.default_rng(1).beta(18, 2, 2_000)
    inside = (low <= population[:, None]) & (population[:, None] <= high)
    assert 0.94 <= (binom.pmf(successes, judgements, population[:, None]) * inside).sum(axis=1).mean() <= 0.975


def test_a_newcomer_is_taken_for_an_ordinary_annotator_and_a_spammer_is_not() -> None:
    """One wrong answer hardly moves an estimate among good annotators; five right of twenty do."""
    _, credits, sizes = simulated(SHAPES["a few spammers"], 200, (50,), 3)
    newcomer, spammer = estimates_of(np.append(credits, [0, 5]), np.append(sizes, [1, 20]))[-2:]
    assert newcomer.accuracy_estimate > 0.75
    assert newcomer.estimate_low < 0.7
    assert spammer.estimate_high < 0.6


@given(st.lists(COUNTS, max_size=12), st.lists(COUNTS, max_size=12))
@settings(deadline=None, max_examples=30)
def test_a_population_is_a_function_of_the_present_counts(final: list, stray: list) -> None:
    """Whatever counts annotators had before, the prior is that of their present ones, to the bit."""
    plain, marred = Population(), Population()
    for counts in stray:
        marred.change(None, counts)
    for counts in reversed(final):
        marred.change(None, counts)
    for counts in stray:
        marred.change(counts, None)
    for counts in final:
        plain.change(None, counts)
    assert marred.prior() == plain.prior()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(marred), type=Population) == marred
    prior = plain.prior()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(prior), type=type(prior)) == prior


def test_cells_stand_for_counts_like_those_put_in() -> None:
    """Up to ten judgements exactly; beyond, judgements within a seventh and shares within .01."""
    for credit, judgements in product(range(11), range(1, 11)):
        if credit <= judgements:
            assert counts_of(cell_of(credit, judgements)) == (credit, judgements)
    for share, judgements in product(np.linspace(0.0, 1.0, 31), (11, 17, 40, 333, 1000)):
        credit, held = counts_of(cell_of(share * judgements, judgements))
        assert abs(held / judgements - 1.0) < 1 / 7
        assert abs(credit / held - share) < 0.01


def test_without_judgements_the_estimate_is_the_population_s() -> None:
    """Of an annotator without judgements nothing else is known; of no annotator at all, hardly anything."""
    _, credits, sizes = simulated(SHAPES["good"], 100, (200,), 1)
    population = Population()
    for counts in zip(credits.tolist(), sizes.tolist(), strict=True):
        population.change(None, counts)
    estimate = accuracy_estimate(0.0, 0.0, population.prior())
    assert abs(estimate.accuracy_estimate - 0.9) < 0.03
    nobody = accuracy_estimate(0.0, 0.0, Population().prior())
    assert nobody.estimate_high - nobody.estimate_low > 0.6
