"""Agreement: equal to the batch value at every prefix, whatever is revised or retracted."""

import krippendorff
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.stats.agreement import agreement as agreement_module
from operators.stats.agreement.agreement import Agreement
from operators.stats.agreement.pairs import PairAgreement
from operators.stats.agreement.sample import Sample

NUMBERS = [0.0, 1.0, 1.5, 3.0, 10.0]
CLASSES = ["a", "b", "c", "d", "e"]
LEVELS = ["nominal", "ordinal", "interval", "ratio"]
CHANGES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(-2, 4)), max_size=40)


def values_of(level):
    """Labels that a level may have."""
    return NUMBERS if level not in ("nominal", "distance") else CLASSES


def replay(level, changes, agreement=None, distance=None):
    """Feed changes (item, annotator, number of the label, retraction below 0); yield the labels held after each."""
    agreement = agreement or Agreement(level=level)
    held: dict[str, dict[str, object]] = {}
    for item, annotator, pick in changes:
        item_id, annotator_id = f"i{item}", f"a{annotator}"
        labels = held.setdefault(item_id, {})
        before = labels.pop(annotator_id, None)
        after = values_of(level)[pick] if pick >= 0 else None
        agreement.change(item_id, annotator_id, labels, before=before, after=after, distance=distance)
        if after is not None:
            labels[annotator_id] = after
        yield agreement, [list(labels.values()) for labels in held.values() if labels]


def batch_alpha(level, items):
    """Krippendorff's alpha by the reference package; None where it is not defined."""
    values = values_of(level)
    counts = np.array([[labels.count(value) for value in values] for labels in items if len(labels) > 1])
    if not len(counts) or (counts.sum(axis=0) > 0).sum() < 2:
        return None
    domain = values if level != "nominal" else list(range(len(values)))
    return krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement=level)


def batch_ac1(items):
    """Gwet's AC1 by its definition; None where it is not defined."""
    values = sorted({value for labels in items for value in labels})
    several = [labels for labels in items if len(labels) > 1]
    if not several or len(values) < 2:
        return None
    shares = np.array([[labels.count(value) / len(labels) for value in values] for labels in items]).mean(axis=0)
    chance = (shares * (1 - shares)).sum() / (len(values) - 1)
    return (batch_percent(items) - chance) / (1 - chance)


def batch_percent(items):
    """Mean over items of the share of pairs that agree; None without pairs."""
    agreed = [
        np.mean([one == other for i, one in enumerate(labels) for j, other in enumerate(labels) if i != j])
        for labels in items
        if len(labels) > 1
    ]
    return float(np.mean(agreed)) if agreed else None


def batch_distance_alpha(items, distance):
    """Krippendorff's alpha with a distance of one's own, by its definition."""
    several = [labels for labels in items if len(labels) > 1]
    everything = [label for labels in several for label in labels]
    if len(everything) < 2:
        return None
    observed = sum(distance(a, b) / (len(labels) - 1) for labels in several for a in labels for b in labels)
    expected = sum(distance(a, b) for a in everything for b in everything) / (len(everything) - 1)
    return 1 - observed / expected if expected else None


def close(figure, expected):
    """Whether two figures are both undefined or equal to 1e-9."""
    return figure is None if expected is None else figure is not None and abs(figure - expected) < 1e-9


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=25, deadline=None)
@given(changes=CHANGES)
def test_figures_equal_the_batch_values_at_every_prefix(level, changes):
    """Alpha is that of the reference package, AC1 and percent agreement those of their definitions."""
    for agreement, items in replay(level, changes):
        figures = agreement.figures()
        assert close(figures.alpha, batch_alpha(level, items))
        assert close(figures.ac1, batch_ac1(items))
        assert close(figures.percent_agreement, batch_percent(items))
        assert figures.items == sum(len(labels) > 1 for labels in items)


def distance_of(one, other):
    """Some distance of class names that is no multiple of a power of two."""
    return abs(CLASSES.index(one) - CLASSES.index(other)) / 7


@settings(max_examples=25, deadline=None)
@given(changes=CHANGES)
def test_alpha_by_distance_is_exact_while_the_sample_is_whole(changes):
    """With a distance of one's own, alpha is that of the definition while the sample holds all labels."""
    for agreement, items in replay("distance", changes, distance=distance_of):
        expected = batch_distance_alpha(items, distance_of)
        figure = agreement.figures().alpha
        assert close(figure, expected)


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=25, deadline=None)
@given(changes=CHANGES, stray=CHANGES)
def test_what_was_taken_out_leaves_no_trace(level, changes, stray):
    """Figures and their intervals are those of the labels in force, to the bit, whatever came and went before."""
    plain = Agreement(level=level)
    for _ in replay(level, changes, plain):
        pass
    marred = Agreement(level=level)
    for _ in replay(level, [*stray, *[(item, annotator, -1) for item, annotator, _ in stray], *changes], marred):
        pass
    assert marred.figures() == plain.figures()


@pytest.mark.parametrize("level", [*LEVELS, "distance"])
@settings(max_examples=10, deadline=None)
@given(changes=CHANGES)
def test_state_survives_its_form_on_disk(level, changes):
    """What is written and read back gives the same figures, then and after further changes."""
    agreement = Agreement(level=level)
    for _ in replay(level, changes, agreement, distance_of):
        pass
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(agreement), type=Agreement)
    assert restored == agreement
    assert restored.figures() == agreement.figures()


@pytest.mark.parametrize("level", ["ordinal", "interval", "ratio"])
def test_too_many_numbers_go_over_to_a_grid(level, monkeypatch):
    """Past the most numbers, alpha is within a thousandth of the batch value; what is taken out leaves no trace."""
    monkeypatch.setattr(agreement_module, "VALUES_MAX", 60)
    rng = np.random.default_rng(3)
    truth = rng.uniform(1.0, 5.0, 40)
    labels = [(item, annotator, truth[item] + rng.normal(0.0, 0.5)) for item in range(40) for annotator in range(3)]
    agreement = Agreement(level=level)
    held: dict[int, dict[str, float]] = {}
    for item, annotator, number in labels:
        others = held.setdefault(item, {})
        agreement.change(f"i{item}", str(annotator), others, before=None, after=number)
        others[str(annotator)] = number
    matrix = np.array([list(held[item].values()) for item in range(40)]).T
    expected = krippendorff.alpha(reliability_data=matrix, level_of_measurement=level)
    # Ranks on the grid are those of the first sixty numbers.
    assert abs(agreement.figures().alpha - expected) < (0.05 if level == "ordinal" else 0.001)
    assert agreement.scale is not None
    before = agreement.figures()
    agreement.change("i0", "9", held[0], before=None, after=2.345)
    assert agreement.figures() != before
    agreement.change("i0", "9", held[0], before=2.345, after=None)
    assert agreement.figures() == before


def test_a_sample_stands_for_the_labels_when_there_are_many():
    """With a sample of 150 of 600 labels, alpha is near the exact one, observed disagreement and items are exact."""
    rng = np.random.default_rng(5)
    changes = [(item, annotator, int(rng.integers(5))) for item in range(200) for annotator in range(3)]
    sampled = Agreement(level="distance", sample=Sample(labels_max=150))
    whole = Agreement(level="distance", sample=Sample(labels_max=10_000))
    for agreement in (sampled, whole):
        for _ in replay("distance", changes, agreement, distance_of):
            pass
    assert len(sampled.sample.labels) == 150
    assert abs(sampled.figures().alpha - whole.figures().alpha) < 0.1
    assert sampled.figures().percent_agreement == whole.figures().percent_agreement
    assert sampled.figures().alpha_high - sampled.figures().alpha_low > whole.figures().alpha_high - (
        whole.figures().alpha_low
    )


def cohens_kappa(first, second):
    """Cohen's kappa of two lists of labels, by its definition; None where chance agreement is certain."""
    values = {*first, *second}
    observed = np.mean([one == other for one, other in zip(first, second, strict=True)])
    expected = sum((first.count(value) / len(first)) * (second.count(value) / len(second)) for value in values)
    return None if expected == 1 else (observed - expected) / (1 - expected)


@settings(max_examples=50, deadline=None)
@given(changes=CHANGES)
def test_kappa_of_each_pair_equals_its_definition(changes):
    """Revisions and retractions included, each pair has the kappa of the items that both have labelled."""
    pairs = PairAgreement()
    held: dict[int, dict[str, str]] = {}
    for item, annotator, pick in changes:
        labels = held.setdefault(item, {})
        before = labels.pop(f"a{annotator}", None)
        after = CLASSES[pick] if pick >= 0 else None
        pairs.change(f"a{annotator}", labels, before=before, after=after)
        if after is not None:
            labels[f"a{annotator}"] = after
    for kappa in pairs.kappas(shared_min=1):
        ids = (kappa.annotator_id, kappa.other_annotator_id)
        shared = [[labels[who] for who in ids] for labels in held.values() if all(who in labels for who in ids)]
        assert kappa.shared_items == len(shared)
        expected = cohens_kappa([one for one, _ in shared], [other for _, other in shared])
        assert close(kappa.kappa, expected)
    met = {(one, other) for labels in held.values() for one in labels for other in labels if one < other}
    assert {kappa[:2] for kappa in pairs.kappas(shared_min=1)} == met


def test_pairs_are_bounded_and_those_kept_are_whole():
    """Of more pairs than may be counted some are kept, each with all of its shared items."""
    pairs, whole = PairAgreement(pairs_max=20), PairAgreement()
    rng = np.random.default_rng(7)
    for _ in range(400):
        first, second = rng.choice(12, 2, replace=False)
        for agreement in (pairs, whole):
            agreement.change(f"a{first}", {f"a{second}": "x"}, before=None, after="xy"[int(first) % 2])
            assert len(agreement.pairs) <= agreement.pairs_max
    kept = pairs.kappas(shared_min=1)
    assert 5 <= len(kept) <= 20
    assert set(kept) <= set(whole.kappas(shared_min=1))
