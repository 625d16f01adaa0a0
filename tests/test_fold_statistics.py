"""What the fold makes of whole questions: consensus, agreement, estimates, alerts."""

from collections import defaultdict
from dataclasses import replace

import krippendorff
import pytest

from operators.stats.consensus.categorical import CategoricalConsensus
from schemas.events import AnnotationSubmitted, parse_event
from schemas.policy import default_policy
from schemas.rows import TABLES
from tests.support.events import label, line
from tests.support.folding import FOLD_SETTINGS, cuts_of, fold_log
from tests.support.logs import LogShape, random_log

FULL = replace(FOLD_SETTINGS, has_consensus=True, has_agreement=True, has_estimates=True, policy=default_policy())


def rows(tables, table, *names):
    """Return some columns by key."""
    places = [TABLES[table].columns.index(name) for name in names]
    return {key: tuple(row[place] for place in places) for key, row in tables[table].items()}


def submissions(lines):
    """Return the submissions of a log in which each annotation comes once."""
    return [event for event in map(parse_event, lines) if isinstance(event, AnnotationSubmitted)]


def plain_log(labels=400, items=60, annotators=7, classes=("a", "b", "c")):
    """Return a log of labels alone, of annotators that are right three times out of four."""
    return [
        label(f"e{i}", i, f"n{i}", classes[(i % items + (i % 4 == 0) * (1 + i % 2)) % len(classes)],
              item_id=f"i{i % items}", annotator_id=f"w{(i * 5 + i // items) % annotators}")
        for i in range(labels)
    ]  # fmt: skip


def test_consensus_of_the_flow_is_that_of_the_model():
    """The rows of a log of labels are the answers of the model that was told the same labels one by one."""
    lines, model = plain_log(), CategoricalConsensus()
    for event in submissions(lines):
        model.add(event.item_id, event.annotator_id, event.label.value, event.annotation_id)
    found = rows(fold_log(lines, cuts=cuts_of(len(lines), 37), settings=FULL), "consensus_versions",
                 "consensus", "confidence", "labels")  # fmt: skip
    assert len(found) == 60
    for (_, _, item_id), row in found.items():
        answer = model.answer(item_id)
        assert row == (answer.label_class, answer.confidence, answer.labels)


def latest_answers(lines):
    """Return question → annotator → item → the latest answer in force, of a log without skips and moves."""
    figures = defaultdict(lambda: defaultdict(dict))
    tables = fold_log(lines)
    columns = TABLES["labels_versions"].columns
    for row in sorted(tables["labels_versions"].values(), key=lambda row: row[columns.index("occurred_at")]):
        project, question, item = row[:3]
        figures[project, question][row[columns.index("annotator_id")]][item] = row[columns.index("label")]
    return figures


@pytest.mark.parametrize("seed", range(4))
def test_agreement_of_the_flow_is_the_published_statistic(seed):
    """Alpha of each question of a log with revisions and retractions is what the package krippendorff computes."""
    lines = random_log(seed, LogShape(events=300))
    found = rows(fold_log(lines, cuts=cuts_of(len(lines), 23), settings=FULL), "agreement_versions", "alpha", "items")
    answers = latest_answers(lines)
    assert found.keys() == answers.keys()
    for key, (alpha, items) in found.items():
        by_annotator = answers[key]
        names = sorted({item for held in by_annotator.values() for item in held})
        table = [[held.get(name) for name in names] for held in by_annotator.values()]
        classes = sorted({value for row in table for value in row if value is not None})
        counts = [[sum(row[i] == value for row in table) for value in classes] for i in range(len(names))]
        assert items == sum(sum(row) > 1 for row in counts)
        expected = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
        assert alpha == pytest.approx(expected, abs=1e-9)


def rating(event_id, at, annotation, value, **fields):
    """Return a rating from 1 to 5."""
    answer = {"kind": "rating", "value": value, "scale": "ordinal", "low": 1, "high": 5}
    place = {"question_id": "stars", "annotation_id": annotation}
    return line(event_id, at, type="annotation.submitted", label=answer, **place, **fields)


def test_ratings_get_a_mean_and_an_ordinal_alpha():
    """The consensus of ratings is a number with a deviation; their agreement is ordinal."""
    lines = [
        rating(f"e{i}", i, f"n{i}", 1 + (i % 9) // 2, item_id=f"i{i % 9}", annotator_id=f"w{i // 9}") for i in range(36)
    ]
    tables = fold_log(lines, cuts=cuts_of(36, 5), settings=FULL)
    consensus = rows(tables, "consensus_versions", "consensus", "deviation", "confidence", "labels")
    assert float(consensus["p", "stars", "i8"][0]) == pytest.approx(5.0, abs=0.2)
    assert all(deviation > 0 and confidence is None and labels == 4 for _, deviation, confidence, labels in
               consensus.values())  # fmt: skip
    assert rows(tables, "agreement_versions", "level", "alpha") == {("p", "stars"): ("ordinal", 1.0)}


def preference(event_id, at, winner, loser):
    """Return a preference between two options."""
    answer = {"kind": "preference", "chosen": winner, "options": [winner, loser]}
    return line(event_id, at, type="annotation.submitted", label=answer, question_id="best", annotation_id=event_id,
                item_id=event_id, annotator_id="w")  # fmt: skip


def test_preferences_give_strengths():
    """Options that are preferred are stronger."""
    pairs = [("a", "b"), ("b", "c"), ("a", "c")] * 8
    lines = [preference(f"e{i}", i, *pair) for i, pair in enumerate(pairs)]
    strengths = rows(fold_log(lines, settings=FULL), "options_versions", "strength", "comparisons")
    assert [strengths["p", "best", name][0] for name in "abc"] == sorted(
        (strength for strength, _ in strengths.values()), reverse=True
    )
    assert strengths["p", "best", "a"][1] == 16


def test_an_annotator_who_gets_worse_is_told_of_with_figures():
    """From the labels on which somebody becomes worse follow a change and one alert, whatever the cuts."""
    lines = []
    for i in range(1200):
        is_wrong = (i % 25 == 0) if i < 900 else (i % 2 == 0)
        lines.append(line(f"g{i}", i, type="gold.set", question_id="q", item_id=f"i{i}",
                          answers=[{"label": {"kind": "categorical", "value": "a"}}]))  # fmt: skip
        lines.append(label(f"e{i}", i, f"n{i}", "b" if is_wrong else "a", item_id=f"i{i}"))
    tables = fold_log(lines, cuts=cuts_of(len(lines), 400), settings=FULL)
    assert tables == fold_log(lines, cuts=cuts_of(len(lines), 97), settings=FULL)
    changes = rows(tables, "drift_versions", "direction", "before", "after")
    [found] = [row for key, row in changes.items() if key[3:5] == ("accuracy", "e-detector")]
    assert found[0] == "worse" and found[1] > 0.9 and found[2] < 0.75
    alerts = rows(tables, "alerts_versions", "rule", "annotator_id", "summary", "changed_at")
    [(_, annotator, summary, changed_at)] = [row for row in alerts.values() if row[0] == "accuracy-drift"]
    assert annotator == "w" and "judgements after the change" in summary and "'a' labelled 'b'" in summary
    at = {key[2]: row for key, row in rows(tables, "items_versions", "first_at").items()}
    assert at["i820"][0] < changed_at < at["i930"][0]


def test_attributes_that_the_policy_does_not_know_are_left_out():
    """Of an event's attributes those are kept whose names the policy lists; without a policy all are."""
    lines = [label("e", 0, "n", "a", attributes={"team": "red", "desk": "7"}), label("f", 0, "m", "a")]
    kept = rows(fold_log(lines, settings=FULL), "labels_versions", "attributes")
    assert [kept[key][0] for key in sorted(kept)] == [None, {"team": "red"}]
    kept = rows(fold_log(lines), "labels_versions", "attributes")
    assert [kept[key][0] for key in sorted(kept)] == [None, {"team": "red", "desk": "7"}]
