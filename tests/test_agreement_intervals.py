"""Intervals of agreement hold what they promise, on simulated annotators."""

from collections.abc import Iterator

import numpy as np
import pytest

from operators.stats.agreement.agreement import Agreement
from operators.stats.agreement.sample import Sample

CLASSES = "abcde"


def simulated_items(rng: np.random.Generator, items: int, noise: float, shares: list[float]) -> Iterator[list[int]]:
    """Yield the labels of items that differ in difficulty: each is wrong with a probability of up to twice `noise`."""
    for truth in rng.choice(len(shares), size=items, p=shares):
        wrong = rng.random(int(rng.integers(2, 6))) < rng.uniform(0.0, 2.0 * noise)
        yield np.where(wrong, rng.choice(len(shares), size=len(wrong), p=shares), truth).tolist()


def distance(one: str, other: str) -> float:
    """Distance of two classes in the order of the alphabet."""
    return abs(CLASSES.index(one) - CLASSES.index(other)) / len(CLASSES)


def figures_of(level: str, items: Iterator[list[int]], sample: int = 10_000):
    """Agreement figures of items' labels."""
    agreement = Agreement(level=level, sample=Sample(labels_max=sample) if level == "distance" else None)
    for item, picks in enumerate(items):
        others: dict[str, str | float] = {}
        for annotator, pick in enumerate(picks):
            label = float(pick) if level in ("ordinal", "interval") else CLASSES[pick]
            agreement.change(f"i{item}", f"a{annotator}", others, before=None, after=label, distance=distance)
            others[f"a{annotator}"] = label
    return agreement.figures()


def coverage(level: str, noise: float, items: int, runs: int) -> dict[str, float]:
    """Share of runs whose intervals hold the figure of a population of 20,000 items."""
    shares, rng = [0.4, 0.3, 0.2, 0.1], np.random.default_rng(11)
    population = figures_of(level, simulated_items(rng, 20_000, noise, shares))
    held = {"alpha": 0, "ac1": 0, "percent": 0}
    for _ in range(runs):
        figures = figures_of(level, simulated_items(rng, items, noise, shares))
        for name in held:
            low, high = getattr(figures, f"{name}_low"), getattr(figures, f"{name}_high")
            truth = getattr(population, "percent_agreement" if name == "percent" else name)
            held[name] += low is not None and low <= truth <= high
    return {name: count / runs for name, count in held.items()}


@pytest.mark.slow
@pytest.mark.parametrize("items", [30, 200])
@pytest.mark.parametrize("noise", [0.05, 0.3])
@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_intervals_hold_the_population_s_figure(level: str, noise: float, items: int) -> None:
    """Of 95 % intervals of alpha, AC1 and percent agreement, at least 90 in 100 hold the population's (300 runs)."""
    assert min(coverage(level, noise, items, 300).values()) >= 0.9


@pytest.mark.slow
def test_intervals_hold_where_the_expected_disagreement_is_that_of_a_sample() -> None:
    """With a sample of 150 of about 1,000 labels, intervals of alpha hold the population's as often, being wider."""
    shares, rng, held = [0.4, 0.3, 0.2, 0.1], np.random.default_rng(11), 0
    population = alpha_by_distance(simulated_items(rng, 20_000, 0.3, shares))
    for _ in range(100):
        figures = figures_of("distance", simulated_items(rng, 300, 0.3, shares), sample=150)
        held += figures.alpha_low <= population <= figures.alpha_high
    assert held >= 88


def alpha_by_distance(items: Iterator[list[int]]) -> float:
    """Krippendorff's alpha under `distance`, by its definition."""
    counts = np.array([[picks.count(place) for place in range(4)] for picks in items])
    distances = np.abs(np.subtract.outer(np.arange(4), np.arange(4))) / len(CLASSES)
    totals, labels = counts.sum(axis=0), counts.sum()
    observed = (np.einsum("ia,ab,ib->i", counts, distances, counts) / (counts.sum(axis=1) - 1)).sum()
    return 1.0 - observed * (labels - 1) / (totals @ distances @ totals)


def test_more_items_make_intervals_narrower_and_full_agreement_leaves_doubt() -> None:
    """Intervals shrink with the root of the items; where all agree, the lower bound stays below 1."""
    few, many = (
        figures_of("nominal", simulated_items(np.random.default_rng(3), items, 0.2, [0.5, 0.5])) for items in (100, 900)
    )
    assert 2.0 < (few.alpha_high - few.alpha_low) / (many.alpha_high - many.alpha_low) < 4.5
    agreed = figures_of("nominal", iter([[0, 0], [1, 1], [1, 1]] * 20))
    assert (agreed.alpha, agreed.alpha_high) == (1.0, 1.0)
    assert 0.9 < agreed.alpha_low < 1.0
    assert figures_of("nominal", iter([[0, 0]] * 9)).alpha is None
