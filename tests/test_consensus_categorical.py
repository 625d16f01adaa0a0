"""Consensus of categorical labels: exactness of its bookkeeping, determinism, and behaviour on simulated annotators."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from operators.stats.consensus.categorical import CategoricalConsensus
from operators.stats.consensus.model import UNIT
from operators.stats.consensus.settings import ConsensusSettings

SMALL = ConsensusSettings(chunk_events_min=3, chunk_events_max=8, chunk_divisor=4)


def comparable(value):
    """State with arrays as nested lists, so that it can be compared and shown."""
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, dict):
        return {str(key): comparable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [comparable(entry) for entry in value]
    return value


def event_lists(kinds="aaaaaarmkuf"):
    """Lists of events over few items, annotators and classes: mostly labels, some of anything else."""
    event = st.tuples(
        st.sampled_from(kinds), st.integers(0, 5), st.integers(0, 3), st.sampled_from("xyz"), st.integers(0, 60)
    )
    return st.lists(event, max_size=60)


def play(consensus, events, first=0):
    """Feed events; the key of a label is its position, a change picks an earlier position."""
    for position, (kind, item, annotator, label_class, pick) in enumerate(events, start=first):
        name, key = f"i{item}", str(pick % max(position, 1))
        if kind == "a":
            consensus.add(name, f"a{annotator}", label_class, str(position))
        elif kind == "r":
            consensus.replace(name, label_class, key)
        elif kind == "m":
            consensus.remove(name, key)
        elif kind == "k":
            consensus.set_known(name, {label_class: 2.0, "x": 1.0})
        elif kind == "u":
            consensus.unset_known(name)
        else:
            consensus.forget(name)
    return consensus


def labels_held(events):
    """Plain replay: the labels and the known answer of each item after all events."""
    held: dict[str, dict[str, tuple[str, str]]] = {}
    known: dict[str, bool] = {}
    for position, (kind, item, annotator, label_class, pick) in enumerate(events):
        name, key = f"i{item}", str(pick % max(position, 1))
        own = held.setdefault(name, {})
        if kind == "a":
            own[str(position)] = (f"a{annotator}", label_class)
        elif kind == "r" and key in own:
            own[key] = (own[key][0], label_class)
        elif kind == "m":
            own.pop(key, None)
        elif kind in "ku":
            known[name] = kind == "k"
        elif kind == "f":
            held[name], known[name] = {}, False
    return held, known


def recounted(state):
    """Expected counts of each annotator from the items' stored posteriors, by plain loops."""
    labels, items = state["items"]["labels"], state["items"]
    matrix = np.zeros_like(state["annotators"]["matrix"])
    hits = np.zeros_like(state["annotators"]["hits"])
    for slot, name in enumerate(items["names"]):
        if name is None:
            continue
        for row in range(int(labels["start"][slot]), int(labels["start"][slot] + items["counted"][slot])):
            annotator, answered = int(labels["annotator"][row]), int(labels["label_class"][row])
            weight = 1.0 / labels["repeats"][row]
            matrix[annotator, answered] += np.rint(items["full"][slot][: matrix.shape[1]] * weight)
            hits[annotator] += np.rint(items["one"][slot][answered] * weight)
    return matrix, hits


@given(event_lists("aaaaaarmku"))
@hypothesis_settings(deadline=None, max_examples=60)
def test_counts_are_the_sum_of_what_items_hold_at_every_prefix(events):
    """Annotators' counts equal, to the last bit, a recount from the items' posteriors, after any events."""
    consensus = CategoricalConsensus(SMALL)
    for position, event in enumerate(events):
        play(consensus, [event], first=position)
        state = consensus.state()
        matrix, hits = recounted(state)
        assert np.array_equal(matrix, state["annotators"]["matrix"])
        assert np.array_equal(hits, state["annotators"]["hits"])
        assert np.array_equal(state["annotators"]["totals"]["pooled"], matrix.sum(axis=0))
        assert state["annotators"]["totals"]["hits"][0] == hits.sum()


@given(event_lists())
@hypothesis_settings(deadline=None, max_examples=100)
def test_labels_held_are_those_of_a_plain_replay(events):
    """Number of labels, and whether there is an answer, follow additions, revisions, retractions and evictions."""
    consensus = play(CategoricalConsensus(SMALL), events)
    held, known = labels_held(events)
    for item in range(6):
        own, answer = held.get(f"i{item}", {}), consensus.answer(f"i{item}")
        assert (answer is not None) == bool(own or known.get(f"i{item}"))
        if answer is not None:
            assert answer.labels == len(own)
            assert abs(sum(answer.posterior.values()) - 1.0) < 1e-6
            assert answer.confidence == max(answer.posterior.values())


@given(event_lists(), st.lists(st.integers(0, 59), max_size=4))
@hypothesis_settings(deadline=None, max_examples=60)
def test_state_and_questions_in_between_change_nothing(events, stops):
    """Saving, loading and asking at any place leaves every later state the same, bit for bit."""
    whole = play(CategoricalConsensus(SMALL), events)
    cut = CategoricalConsensus(SMALL)
    for position, event in enumerate(events):
        play(cut, [event], first=position)
        if position in stops:
            cut.answers([f"i{item}" for item in range(6)])
            cut = CategoricalConsensus.from_state(cut.state(), SMALL)
    names = [f"i{item}" for item in range(6)]
    assert comparable(logical(cut.state())) == comparable(logical(whole.state()))
    assert cut.answers(names) == whole.answers(names)


def logical(state):
    """State without the room that arrays keep for growth."""
    count = len(state["items"]["names"])
    items = {k: v[:count] if isinstance(v, np.ndarray) else v for k, v in state["items"].items()}
    labels = state["items"]["labels"]
    items["labels"] = {k: v[:count] if k in ("start", "length", "capacity") else v for k, v in labels.items()}
    annotators = {
        k: v[: len(state["annotators"]["names"])] if k in ("matrix", "hits", "labels") else v
        for k, v in state["annotators"].items()
    }
    return {**state, "items": items, "annotators": annotators}


@pytest.mark.parametrize("size", [1, 7, 1000, None])
def test_batches_of_any_size_give_one_state(size):
    """Labels fed one by one, in sevens, thousands or random batches leave the same bits."""
    columns = simulated_labels(items=150, annotators=12, labels=5, seed=3)[0]
    single = CategoricalConsensus()
    for row in zip(*columns, strict=True):
        single.add(*row)
    rng = np.random.default_rng(5)
    batched, done = CategoricalConsensus(), 0
    while done < len(columns[0]):
        count = size or int(rng.integers(1, 90))
        batched.add_many(*(column[done : done + count] for column in columns))
        batched.answers(columns[0][done : done + count])
        done += count
    assert comparable(logical(batched.state())) == comparable(logical(single.state()))


def test_answers_do_not_depend_on_what_is_asked_with_them():
    """An item's provisional answer is the same alone, in a group, and asked twice."""
    columns = simulated_labels(items=40, annotators=8, labels=4, seed=8)[0]
    consensus = CategoricalConsensus()
    consensus.add_many(*(column[:150] for column in columns))
    names = sorted(set(columns[0][:150]))
    together = consensus.answers(names)
    assert together == [consensus.answer(name) for name in names]


@given(event_lists("aaaaaarm"))
@hypothesis_settings(deadline=None, max_examples=60)
def test_taking_everything_back_leaves_nothing(events):
    """After every label is removed the counts and sums are exactly zero."""
    consensus = play(CategoricalConsensus(SMALL), events)
    held, _ = labels_held(events)
    for item, own in held.items():
        for key in own:
            consensus.remove(item, key)
    while consensus.state()["pending"]:
        consensus.remove("nothing", "nothing")
    totals = consensus.state()["annotators"]["totals"]
    assert not consensus.state()["annotators"]["matrix"].any()
    assert all(not totals[name].any() for name in totals)


def test_provisional_answer_equals_the_formula():
    """Between two chunk ends an answer is the posterior computed by hand from stored counts."""
    settings = ConsensusSettings(chunk_events_min=100)
    columns = simulated_labels(items=40, annotators=6, labels=5, seed=1)[0]
    consensus = CategoricalConsensus(settings)
    consensus.add_many(*(column[:100] for column in columns))
    consensus.add("new", "a1", "c0", "n1")
    consensus.add("new", "a2", "c1", "n2")
    consensus.add("new", "a2", "c0", "n3")
    expected = by_hand(consensus.state(), [("a1", "c0", 1.0), ("a2", "c1", 0.5), ("a2", "c0", 0.5)], settings)
    answer = consensus.answer("new")
    assert list(answer.posterior) == consensus.classes()
    assert list(answer.posterior.values()) == pytest.approx(expected, abs=1e-6)


def by_hand(state, rows, settings):
    """The posterior of an item, from stored counts, without arrays."""
    classes, names = state["classes"], state["annotators"]["names"]
    size, totals = len(classes), state["annotators"]["totals"]
    pooled = [[totals["pooled"][c][t] / UNIT for c in range(size)] for t in range(size)]
    mass = sum(map(sum, pooled))
    base = settings.accuracy_prior_strength * settings.accuracy_prior
    accuracy = (sum(pooled[t][t] for t in range(size)) + base) / (mass + settings.accuracy_prior_strength)
    accuracy_one = (totals["hits"][0] / UNIT + base) / (totals["labels"][0] / UNIT + settings.accuracy_prior_strength)

    def coin(skill, t, c):
        return skill if t == c else (1.0 - skill) / (size - 1)

    def pool(t, c):
        weight = settings.symmetric_strength
        return (pooled[t][c] + weight * coin(accuracy, t, c)) / (sum(pooled[t]) + weight)

    def full(name, t, c):
        counts = state["annotators"]["matrix"][names.index(name)] / UNIT
        hits = sum(counts[k][k] for k in range(size)) + settings.skill_strength * accuracy
        skill = hits / (counts.sum() + settings.skill_strength)
        mixed = [
            counts[k][t] + settings.own_strength * coin(skill, t, k) + settings.pooled_strength * pool(t, k)
            for k in range(size)
        ]
        return mixed[c] / sum(mixed)

    def one(name, t, c):
        index = names.index(name)
        hits = state["annotators"]["hits"][index] / UNIT + settings.skill_strength * accuracy_one
        labels = state["annotators"]["labels"][index] / UNIT + settings.skill_strength
        return coin(min(max(hits / labels, 1e-3), 1 - 1e-3), t, c)

    def posterior(model, shares, strength):
        votes = [(v / UNIT + 1) / (sum(totals["votes"]) / UNIT + size) for v in totals["votes"]]
        items = sum(shares) / UNIT
        extra = strength * items + settings.share_strength_items
        prior = [(share / UNIT + extra * vote) / (items + extra) for share, vote in zip(shares, votes, strict=True)]
        voters = sum(weight for _, _, weight in rows)
        effective = 1.0 / (1.0 + (voters - 1.0) * settings.correlation)
        logits = [
            math.log(prior[t]) + effective * sum(w * math.log(model(name, t, classes.index(c))) for name, c, w in rows)
            for t in range(size)
        ]
        scale = sum(math.exp(value) for value in logits)
        return [math.exp(value) / scale for value in logits]

    gain, apart_full, apart_one, *_, items = totals["evidence"] / totals["evidence"][5]
    odds = settings.evidence_slope * max(0.0, gain - settings.evidence_threshold)
    odds += max(
        -settings.closeness_max,
        min(settings.closeness_max, settings.closeness_slope * math.log((apart_one + 0.01) / (apart_full + 0.01))),
    )
    weight = 1.0 / (1.0 + math.exp(-odds))
    first = posterior(full, totals["shares_full"], settings.share_strength_full)
    second = posterior(one, totals["shares_one"], settings.share_strength_one)
    flat = settings.misleading / size
    return [
        (1 - settings.misleading) * (weight * a + (1 - weight) * b) + flat for a, b in zip(first, second, strict=True)
    ]


def test_known_answers_clamp_and_come_undone():
    """A known answer is the posterior, whatever the labels say, also without labels; withdrawn, labels decide again."""
    consensus = CategoricalConsensus(SMALL)
    for annotator in "abc":
        consensus.add("i", annotator, "cat", annotator)
    consensus.set_known("i", {"dog": 1.0})
    consensus.set_known("bare", {"dog": 3.0, "cow": 1.0})
    for _ in range(2):
        assert consensus.answer("i").posterior == {"cat": 0.0, "dog": 1.0} | (
            {"cow": 0.0} if "cow" in consensus.answer("i").posterior else {}
        )
        assert consensus.answer("bare").posterior["dog"] == 0.75
        for number in range(20):
            consensus.add(f"other-{number}", "a", "cat", f"o{number}")
    consensus.unset_known("i")
    consensus.unset_known("bare")
    assert consensus.answer("i").label_class == "cat"
    assert consensus.answer("bare") is None


def test_one_person_has_one_vote():
    """Somebody who labels an item ten times weighs as much as somebody who labels it once."""
    consensus = CategoricalConsensus()
    consensus.add("once", "ann", "x", "1")
    consensus.add("once", "bob", "y", "2")
    for number in range(10):
        consensus.add("often", "ann", "x", f"3{number}")
    consensus.add("often", "bob", "y", "4")
    once, often = consensus.answers(["once", "often"])
    assert often.posterior == pytest.approx(once.posterior, abs=1e-6)
    assert (once.labels, often.labels) == (2, 11)


def test_forgotten_items_leave_what_they_taught():
    """Eviction frees an item's memory and keeps annotators' counts."""
    columns = simulated_labels(items=60, annotators=6, labels=5, seed=2)[0]
    consensus = CategoricalConsensus(SMALL)
    consensus.add_many(*columns)
    before = consensus.confusion("a0")
    for item in sorted(set(columns[0])):
        consensus.forget(item)
    while consensus.state()["pending"]:
        consensus.remove("nothing", "nothing")
    state = consensus.state()
    assert consensus.answer("i0") is None
    assert all(not row for row in state["items"]["labels"]["key"])
    assert np.abs(consensus.confusion("a0") - before).max() < 0.2
    rows = len(state["items"]["labels"]["key"])
    consensus.add_many(*columns)
    assert len(consensus.state()["items"]["labels"]["key"]) <= 2 * rows


def test_work_for_a_label_is_bounded():
    """Items evaluated are at most one for an event, and a set number of older ones, however many items there are."""
    consensus = CategoricalConsensus()
    columns = simulated_labels(items=3000, annotators=20, labels=3, seed=4)[0]
    settings, done, before = consensus.settings, 0, 0
    for row in zip(*columns, strict=True):
        consensus.add(*row)
        if consensus.events > done:
            events = consensus.events - done
            spent = consensus.items_evaluated - before
            assert spent <= (1 + settings.revisits_per_event + settings.revisits_young) * events
            done, before = consensus.events, consensus.items_evaluated
    assert done > 5000


def test_changed_items_are_named():
    """What a chunk's end does not name has kept its answer."""
    columns = simulated_labels(items=80, annotators=10, labels=5, seed=6)[0]
    consensus = CategoricalConsensus()
    names = sorted(set(columns[0]))
    shown = dict(zip(names, consensus.answers(names), strict=True))
    for row in zip(*columns, strict=True):
        changed = {*consensus.add(*row), row[0]}
        for name, answer in zip(names, consensus.answers(names), strict=True):
            old = shown[name]
            if name not in changed and old is not None:
                assert {k: v for k, v in answer.posterior.items() if k in old.posterior} == old.posterior
            shown[name] = answer


def test_state_is_plain():
    """State consists of arrays, lists, dicts, strings and numbers, and the version of its form."""

    def check(value):
        if isinstance(value, dict):
            assert all(isinstance(key, str | int) for key in value)
            return [check(entry) for entry in value.values()]
        if isinstance(value, list | tuple):
            return [check(entry) for entry in value]
        if isinstance(value, np.ndarray):
            assert value.dtype != object
            return None
        return json.dumps(value)

    consensus = play(CategoricalConsensus(SMALL), [("a", 1, 1, "x", 0), ("k", 2, 0, "y", 0)] * 9)
    state = consensus.state()
    check(state)
    assert state["version"] == 1


# ------------------------------------------------------------------ simulated annotators


def simulated_labels(*, items, annotators, labels, seed, accuracy=None, shares=(0.5, 0.3, 0.2), confuse=None):
    """Columns item, annotator, class, key in random order, and the truth of each item."""
    rng = np.random.default_rng(seed)
    size = len(shares)
    truth = rng.choice(size, items, p=shares)
    accuracy = rng.uniform(0.6, 0.95, annotators) if accuracy is None else np.asarray(accuracy)
    rows = []
    for item in range(items):
        for annotator in rng.choice(annotators, labels, replace=False):
            answer = truth[item]
            if confuse is not None:
                answer = rng.choice(size, p=confuse[annotator][answer])
            elif rng.random() > accuracy[annotator]:
                answer = (answer + rng.integers(1, size)) % size
            rows.append((f"i{item}", f"a{annotator}", f"c{answer}"))
    order = rng.permutation(len(rows))
    columns = [[rows[index][column] for index in order] for column in range(3)]
    return [*columns, [f"k{number}" for number in range(len(rows))]], truth


def accuracy_of(consensus, truth):
    """Share of items whose consensus is the truth."""
    found = consensus.answers([f"i{item}" for item in range(len(truth))])
    return np.mean([answer.label_class == f"c{true}" for answer, true in zip(found, truth, strict=True)])


def majority_accuracy(columns, truth):
    """Accuracy of the majority vote, ties shared."""
    votes = np.zeros((len(truth), 1 + max(int(name[1:]) for name in columns[2])))
    for item, label_class in zip(columns[0], columns[2], strict=True):
        votes[int(item[1:]), int(label_class[1:])] += 1
    best = votes == votes.max(axis=1, keepdims=True)
    return np.mean(best[np.arange(len(truth)), truth] / best.sum(axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_spammers_do_not_carry_the_day(seed):
    """With half of the annotators guessing, consensus beats the majority by far."""
    accuracy = [0.9] * 8 + [1 / 3] * 8
    columns, truth = simulated_labels(items=400, annotators=16, labels=5, seed=seed, accuracy=accuracy)
    consensus = CategoricalConsensus()
    consensus.add_many(*columns)
    assert accuracy_of(consensus, truth) > majority_accuracy(columns, truth) + 0.05


@pytest.mark.parametrize("seed", range(5))
def test_few_label_annotators_are_neither_trusted_nor_damned(seed):
    """Where everybody gives two labels, consensus is as good as the majority."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 300)
    rows = []
    for item, true in enumerate(truth):
        for vote in range(4):
            answer = true if rng.random() < 0.75 else (true + rng.integers(1, 3)) % 3
            rows.append((f"i{item}", f"a{(item * 4 + vote) // 2}", f"c{answer}"))
    order = rng.permutation(len(rows))
    columns = [[rows[index][column] for index in order] for column in range(3)]
    columns.append([str(number) for number in range(len(rows))])
    consensus = CategoricalConsensus()
    consensus.add_many(*columns)
    assert accuracy_of(consensus, truth) >= majority_accuracy(columns, truth) - 0.02


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [0.5, 0.85, 0.97])
def test_labels_do_not_switch(seed, share):
    """Biased annotators, also on unbalanced classes, never turn the classes round: no worse than the majority."""
    rng = np.random.default_rng(seed)
    confuse = [[[a, 1 - a], [1 - b, b]] for a, b in rng.uniform([0.4, 0.4], [0.95, 0.95], (20, 2))]
    columns, truth = simulated_labels(
        items=300, annotators=20, labels=7, seed=seed, shares=(share, 1 - share), confuse=confuse
    )
    consensus = CategoricalConsensus()
    consensus.add_many(*columns)
    assert accuracy_of(consensus, truth) >= majority_accuracy(columns, truth) - 0.02


def test_too_many_classes_for_matrices_use_the_one_coin_model():
    """Beyond the limit no matrix is kept, and the skilled still outweigh the others."""
    settings = ConsensusSettings(matrix_classes_max=4)
    shares = np.full(12, 1 / 12)
    columns, truth = simulated_labels(
        items=300, annotators=10, labels=5, seed=9, shares=shares, accuracy=[0.9] * 5 + [0.1] * 5
    )
    consensus = CategoricalConsensus(settings)
    consensus.add_many(*columns)
    assert consensus.confusion("a0") is None
    assert accuracy_of(consensus, truth) > majority_accuracy(columns, truth)


def test_known_answers_teach_how_far_to_trust():
    """Where known answers contradict agreement, the share of misleading items rises and confidence falls."""
    columns, truth = simulated_labels(items=400, annotators=10, labels=6, seed=10, accuracy=[0.95] * 10)
    plain, told = CategoricalConsensus(), CategoricalConsensus()
    for consensus in (plain, told):
        consensus.add_many(*columns)
    for item in range(0, 100, 2):
        told.set_known(f"i{item}", {f"c{(truth[item] + (item % 4 == 0)) % 3}": 1.0})
    while told.state()["pending"]:
        told.remove("nothing", "nothing")
    assert told.parameters().misleading > 3 * plain.parameters().misleading
