"""Consensus of ratings and of pairwise preferences, on simulated annotators and under any sequence of events."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from operators.stats.consensus.preferences import PreferenceConsensus
from operators.stats.consensus.ratings import RatingConsensus


def simulated_ratings(seed, *, items=150, raters=12, labels=6):
    """Ratings (item, rater, value) in random order by biased, stretched and noisy raters, and the true values."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(50.0, 15.0, items)
    bias, scale = rng.normal(0.0, 8.0, raters), rng.uniform(0.6, 1.4, raters)
    bias -= bias.mean()
    noise = rng.choice([3.0, 20.0], raters)
    rows = []
    for item in range(items):
        for rater in rng.choice(raters, labels, replace=False):
            value = 50.0 + bias[rater] + scale[rater] * (truth[item] - 50.0) + noise[rater] * rng.normal()
            rows.append((f"i{item}", f"r{rater}", float(value)))
    return [rows[index] for index in rng.permutation(len(rows))], truth


@pytest.mark.parametrize("seed", range(4))
def test_ratings_beat_the_mean(seed):
    """With biased and noisy raters the consensus is nearer to the truth than the mean, by a tenth at least."""
    rows, truth = simulated_ratings(seed)
    consensus, given_values = RatingConsensus(), {}
    for number, (item, rater, value) in enumerate(rows):
        consensus.add(item, rater, value, str(number))
        given_values.setdefault(item, []).append(value)
    found = np.array([consensus.answer(f"i{item}").value for item in range(len(truth))])
    means = np.array([np.mean(given_values[f"i{item}"]) for item in range(len(truth))])
    assert np.abs(found - truth).mean() < 0.9 * np.abs(means - truth).mean()


rating_events = st.lists(
    st.tuples(st.sampled_from("aaaamkf"), st.integers(0, 4), st.integers(0, 2), st.floats(-50, 50), st.integers(0, 40)),
    max_size=40,
)


def play_ratings(consensus, events):
    """Feed events; the key of a rating is a small number, so that ratings are replaced too."""
    for kind, item, rater, value, key in events:
        if kind == "a":
            consensus.add(f"i{item}", f"r{rater}", value, str(key))
        elif kind == "m":
            consensus.remove(f"i{item}", str(key))
        elif kind == "k":
            consensus.set_known(f"i{item}", value if key % 2 else None)
        else:
            consensus.forget(f"i{item}")
    return consensus


@given(rating_events)
@hypothesis_settings(deadline=None, max_examples=80)
def test_rating_sums_equal_a_recount(events):
    """Raters' sums are those of the items' values and ratings, to 1e-9, at the end of any events without eviction."""
    consensus = play_ratings(RatingConsensus(), [event for event in events if event[0] != "f"])
    state = consensus.state()
    expected = {name: np.zeros(6) for name in state["annotators"]}
    for _, _, value, variance, counted in state["items"].values():
        for rater, rating in counted.items():
            square = value * value + variance
            expected[rater] += [1.0, value, square, rating, value * rating, rating * rating]
    for rater, (sums, *_) in state["annotators"].items():
        assert np.allclose(sums, expected[rater], rtol=1e-9, atol=1e-7)


@given(rating_events, st.integers(0, 40))
@hypothesis_settings(deadline=None, max_examples=50)
def test_rating_state_round_trip(events, stop):
    """Saved and loaded anywhere, ratings go on to the same state, bit for bit."""
    whole = play_ratings(RatingConsensus(), events)
    half = play_ratings(RatingConsensus(), events[:stop])
    loaded = play_ratings(RatingConsensus().load(copy.deepcopy(half.state())), events[stop:])
    assert loaded.state() == whole.state()
    assert list(loaded.state()["items"]) == list(whole.state()["items"])


def test_known_value_and_one_vote_a_person():
    """A known value is the answer; somebody's many ratings of an item weigh as one."""
    once, often = RatingConsensus(revisits=0), RatingConsensus(revisits=0)
    for consensus, times in ((once, 1), (often, 5)):
        for number in range(times):
            consensus.add("i", "ann", 10.0, str(number))
        consensus.add("i", "bob", 20.0, "b")
    assert often.answer("i").value == pytest.approx(once.answer("i").value, abs=1.0)
    once.set_known("i", 3.5)
    assert once.answer("i")[:2] == (3.5, 0.0)


@pytest.mark.parametrize("seed", range(2))
def test_preferences_find_the_order_in_spite_of_contrarians(seed):
    """With a third of the annotators guessing or contrary, strengths rank the options and show who is reliable."""
    rng = np.random.default_rng(seed)
    truth = np.linspace(-2.0, 2.0, 12)
    reliability = [0.97] * 8 + [0.5] * 2 + [0.1] * 2
    consensus = PreferenceConsensus()
    for key in range(2500):
        first, second = rng.choice(12, 2, replace=False)
        annotator = int(rng.integers(12))
        prefers = rng.random() < 1.0 / (1.0 + np.exp(truth[second] - truth[first]))
        if (rng.random() < reliability[annotator]) != prefers:
            first, second = second, first
        consensus.add(f"a{annotator}", f"o{first}", f"o{second}", str(key))
    found = [consensus.strength(f"o{option}").value for option in range(12)]
    assert np.corrcoef(found, truth)[0, 1] > 0.9
    assert consensus.annotator_reliability("a0") > consensus.annotator_reliability("a8") + 0.1
    assert consensus.annotator_reliability("a8") > consensus.annotator_reliability("a11")


preference_events = st.lists(
    st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 4), st.integers(1, 4), st.integers(0, 20)), max_size=50
)


def play_preferences(consensus, events):
    """Feed comparisons of different options, and removals."""
    for adds, annotator, first, gap, key in events:
        if adds:
            consensus.add(f"a{annotator}", f"o{first}", f"o{(first + gap) % 5}", str(key))
        else:
            consensus.remove(str(key))
    return consensus


@given(preference_events, st.integers(0, 50))
@hypothesis_settings(deadline=None, max_examples=50)
def test_preference_state_round_trip(events, stop):
    """Saved and loaded anywhere, preferences go on to the same state; sums equal a recount."""
    whole = play_preferences(PreferenceConsensus(), events)
    half = play_preferences(PreferenceConsensus(), events[:stop])
    loaded = play_preferences(PreferenceConsensus().load(copy.deepcopy(half.state())), events[stop:])
    assert loaded.state() == whole.state()
    expected = {name: [0.0, 0] for name in whole.state()["annotators"]}
    for annotator, _, _, faithful in whole.state()["comparisons"].values():
        expected[annotator][0] += faithful
        expected[annotator][1] += 1
    for name, sums in whole.state()["annotators"].items():
        assert sums == pytest.approx(expected[name], abs=1e-9)


def test_an_option_keeps_a_bounded_number_of_comparisons():
    """However often an option is compared, no more than the set number of comparisons is kept."""
    consensus = PreferenceConsensus(comparisons_max=8)
    for key in range(200):
        consensus.add("a", "o1", f"o{2 + key % 3}", str(key))
    assert consensus.strength("o1").comparisons <= 8
    assert len(consensus.state()["comparisons"]) <= 8 * 4
