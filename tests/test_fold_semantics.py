"""What single events do, one claim a test."""

from dataclasses import replace
from itertools import permutations
from types import SimpleNamespace

import pytest

from operators.project.known_answers import hear_gold
from operators.project.state import ItemRecord, Truth
from schemas.errors import ErrorCode
from schemas.rows import TABLES
from tests.support.events import gold, label, line, retraction, withdrawal
from tests.support.folding import DAY, FOLD_SETTINGS, HOUR, cuts_of, fold_log

HOURLY = replace(FOLD_SETTINGS, retention=HOUR, annotator_retention=2 * HOUR)


def rows(tables, table):
    """Return the rows of a table as mappings."""
    return [dict(zip(TABLES[table].columns, row, strict=True)) for row in tables[table].values()]


def only(tables, table):
    """Return the one row of a table as a mapping."""
    [row] = rows(tables, table)
    return row


def without_versions(tables, *, tables_left_out=("progress_versions", "dead_letters_versions", "projects_versions")):
    """Return the rows without the columns that say at which record they were written."""
    return {
        name: {key: row[:-3] for key, row in table.items()}
        for name, table in tables.items()
        if name not in tables_left_out
    }


def test_the_order_of_revisions_does_not_matter():
    """Revisions in any order end in the same rows: the highest counts, the lowest decides the window."""
    revisions = [
        label("e0", 0, "a", "x", revision=0, duration_ms=1000),
        label("e1", 1800, "a", "y", revision=1, duration_ms=2000),
        label("e2", 3600, "a", "z", revision=2, duration_ms=3000),
    ]
    known = gold("g", -100, "z", "y", weights=(1.0, 0.5))
    in_order = without_versions(fold_log([known, *revisions]))
    assert only(fold_log([known, *revisions]), "labels_versions")["label"] == "z"
    sequential = ("annotators_versions", "progress_versions", "dead_letters_versions", "projects_versions")
    for order in permutations(revisions):
        shuffled = without_versions(fold_log([known, *order]), tables_left_out=sequential)
        assert shuffled == {name: table for name, table in in_order.items() if name not in sequential}


def test_of_equal_revisions_the_first_in_the_log_wins():
    """A second submission of the same revision is a duplicate and changes nothing."""
    tables = fold_log([label("e0", 0, "a", "x"), label("e1", 1, "a", "y")])
    assert only(tables, "labels_versions")["label"] == "x"
    assert [row["duplicate"] for row in rows(tables, "progress_versions") if row["part"] != "source"] == [1]


def test_an_event_delivered_again_counts_once():
    """The same event id is a duplicate, even under another annotation."""
    tables = fold_log([label("e0", 0, "a", "x"), label("e0", 0, "a", "x"), label("e0", 5, "b", "x")])
    assert only(tables, "annotators_versions")["labels"] == 1


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_retraction_is_final_wherever_it_stands(order):
    """A retraction before, between or after the revisions of its annotation leaves nothing in force."""
    events = [label("e0", 0, "a", "x"), label("e1", 10, "a", "y", revision=1), retraction("r", 5, "a")]
    tables = fold_log([label("e9", 0, "other", "x", item_id="j"), *(events[index] for index in order)])
    assert only(tables, "labels_versions")["annotation_id"] == "other"
    assert only(tables, "annotators_versions")["labels"] == 1
    assert only(tables, "projects_versions")["unmatched_retractions"] == 0


def test_a_retraction_takes_the_labels_of_all_questions():
    """A retraction names the annotation alone and takes each of its labels."""
    both = [label("e0", 0, "a", "x"), label("e1", 0, "a", "x", question_id="q2")]
    assert fold_log([*both, retraction("r", 1, "a")])["labels_versions"] == {}


def test_a_retraction_without_its_annotation_is_shown_as_unmatched():
    """Until the annotation comes, a retraction is counted as unmatched."""
    assert only(fold_log([retraction("r", 0, "a")]), "projects_versions")["unmatched_retractions"] == 1


def test_a_label_born_and_retracted_in_one_batch_leaves_a_tombstone():
    """A key that existed at any prefix of the log gets a tombstone, even if no batch ended while it lived."""
    from operators.decode import Decoder
    from operators.shard import Shard, ShardState
    from tests.support.folding import DECODE_SETTINGS, batches_of

    lines = [label("e0", 0, "a", "x"), retraction("r", 1, "a")]
    shard, written = Shard(ShardState({}, {}), FOLD_SETTINGS), []
    for _, batch in Decoder(DECODE_SETTINGS)(batches_of(lines, [2])):
        written += shard.take([batch]).rows.get("labels_versions", [])
    assert [(row[3], row[-2], row[-1]) for row in written] == [("a", 1, 0), ("a", 2, 1)]


def test_the_newest_known_answer_is_in_force():
    """An older known answer that comes later in the log changes nothing; a newer one judges past labels again."""
    tables = fold_log([label("e0", 0, "a", "x"), gold("g1", 20, "x"), gold("g0", 10, "y")])
    assert only(tables, "annotators_versions")["gold_correct"] == 1.0
    tables = fold_log([label("e0", 0, "a", "x"), gold("g1", 20, "x"), gold("g2", 30, "y")])
    assert only(tables, "annotators_versions")["gold_correct"] == 0.0
    assert only(tables, "confusion_versions")["truth"] == "y"


def test_gold_is_withdrawn_of_one_origin_alone():
    """What another origin knows stays known, or counts again, in whichever order the words arrive."""
    words = [
        gold("g1", 10, "x", origin="one"), gold("g2", 20, "y", origin="two"), withdrawal("w2", 30, "two"),
        withdrawal("w3", 25, "three"),
    ]  # fmt: skip
    for order in permutations(words):
        labelled = [label("e0", 0, "a", "x"), *order]
        assert only(fold_log(labelled), "labels_versions")["truth"] == "x"
        assert only(fold_log([*labelled, withdrawal("w", 35)]), "labels_versions")["truth"] is None
        assert only(fold_log([withdrawal("w", 15), *labelled]), "labels_versions")["truth"] is None


def test_gold_of_an_older_snapshot_can_be_withdrawn():
    """State that was written before gold had origins holds gold of the origin ``gold``."""
    held = SimpleNamespace(hold_known_answer=lambda *arguments: None)
    for origin, is_left in (("gold", False), ("other", True)):
        truth = Truth({"x": 1_000_000}, "x", 5)
        item = ItemRecord("i", [], 0, 5, 5, gold=truth, gold_at=5)
        hear_gold(held, item, None, origin, [], 10, 1)
        assert (item.gold is truth) == is_left


def test_what_a_tool_expects_is_withdrawn_by_its_own_origin():
    """The answer expected with a submission has the origin ``expected``; a withdrawal of another leaves it in force."""
    submitted = label("e0", 0, "a", "x", expected={"kind": "categorical", "value": "x"})
    assert only(fold_log([submitted, withdrawal("w", 5, "gold")]), "labels_versions")["truth"] == "x"
    assert only(fold_log([submitted, withdrawal("w", 5, "expected")]), "labels_versions")["truth"] is None


def test_partial_credit_counts_as_its_weight():
    """An accepted answer of weight 0.3 earns 0.3, and taking it back leaves exactly nothing."""
    known = gold("g", 0, "x", "y", weights=(1.0, 0.3))
    tables = fold_log([known, label("e0", 1, "a", "y")])
    assert only(tables, "annotators_versions")["gold_correct"] == 0.3
    tables = fold_log([known, label("e0", 1, "a", "y"), label("e1", 2, "b", "x"), retraction("r", 3, "a")])
    assert only(tables, "annotators_versions")["gold_correct"] == 1.0


def test_a_revision_may_move_a_label_to_another_item_and_annotator():
    """The old item and annotator lose the label, the new ones gain it, and no second row stays behind."""
    tables = fold_log([
        gold("g", 0, "x"), label("e0", 1, "a", "x"),
        label("e1", 2, "a", "x", revision=1, item_id="j", annotator_id="v"),
    ])  # fmt: skip
    assert only(tables, "labels_versions")["item_id"] == "j"
    assert only(tables, "annotators_versions")["annotator_id"] == "v"
    assert {row["item_id"]: row["labels"] for row in rows(tables, "items_versions")} == {"i": 0, "j": 1}


def test_a_late_label_is_a_dead_letter_and_counted_apart():
    """A submission older than the clock less the retention is refused as late, with its bytes."""
    late = label("e1", -2 * 3600, "b", "x")
    tables = fold_log([label("e0", 0, "a", "x"), late], settings=HOURLY)
    letter = only(tables, "dead_letters_versions")
    assert (letter["error_code"], letter["payload"], letter["project_id"]) == (ErrorCode.LATE, late, "p")
    counts = [row for row in rows(tables, "progress_versions") if row["part"] != "source"]
    assert [(row["folded"], row["late"], row["dead"]) for row in counts] == [(1, 1, 0)]


def test_another_project_s_clock_makes_nothing_late():
    """Each project has its own clock."""
    tables = fold_log(
        [label("e0", 10 * DAY / 1e6, "a", "x", project_id="fast"), label("e1", 0, "b", "x")], settings=HOURLY
    )
    assert len(tables["labels_versions"]) == 2


def test_truth_corrects_past_windows_while_they_are_retained():
    """A known answer that comes long after the label corrects the label's own window, in place."""
    tables = fold_log([label("e0", 0, "a", "x"), label("e1", 3000, "b", "y", item_id="j"), gold("g", 3400, "y")])
    window = next(row for row in rows(tables, "annotator_windows_versions") if row["gold_labels"])
    assert (window["window_start"], window["accuracy"]) == (only_start(tables), 0.0)


def only_start(tables):
    """Return the start of the earliest window."""
    return min(row["window_start"] for row in rows(tables, "annotator_windows_versions"))


def test_a_forgotten_label_keeps_what_it_contributed():
    """After the retention a label can no longer be judged or retracted; its counts stay."""
    log = [label("e0", 0, "a", "x"), label("e1", 2 * 3600, "b", "x", item_id="j"), gold("g", 2 * 3600, "y")]
    tables = fold_log(log, settings=HOURLY, cuts=cuts_of(3, 1))
    annotator = only(tables, "annotators_versions")
    assert (annotator["labels"], annotator["gold_labels"]) == (2, 0)


def test_an_item_in_use_keeps_its_known_answer():
    """A known answer older than the retention is still there if the item was labelled in between."""
    log = [gold("g", 0, "x"), label("e0", 3000, "a", "x"), label("e1", 6000, "b", "x"), label("e2", 9000, "c", "y")]
    assert only(fold_log(log, settings=HOURLY), "annotators_versions")["gold_labels"] == 3


def test_old_judgements_do_not_enter_sequential_statistics():
    """An import of known answers long after the labels judges them, and tells nothing about drift."""
    settings = replace(FOLD_SETTINGS, judgement_age_max=HOUR)
    log = [label(f"e{n}", n, f"a{n}", "x", item_id=f"i{n}") for n in range(50)]
    log += [gold(f"g{n}", 5 * 3600, "y", item=f"i{n}") for n in range(50)]
    annotator = only(fold_log(log, settings=settings), "annotators_versions")
    assert (annotator["gold_labels"], annotator["judgements"], annotator["accuracy_adaptive"]) == (50, 0, None)


def test_a_question_takes_no_more_classes_than_it_may():
    """A label of one class too many is a dead letter; those before go on."""
    settings = replace(FOLD_SETTINGS, classes_max=2)
    log = [label(f"e{n}", n, f"a{n}", value) for n, value in enumerate("xyzx")]
    tables = fold_log(log, settings=settings)
    assert only(tables, "dead_letters_versions")["error_code"] == ErrorCode.TOO_MANY_CLASSES
    assert only(tables, "annotators_versions")["labels"] == 3


def test_a_project_brings_no_more_than_its_quota():
    """More events in a minute, or new items in a day, are dead letters; another minute, day or project has its own."""
    settings = replace(FOLD_SETTINGS, events_per_minute_max=3, new_items_per_day_max=4)
    log = [label(f"e{n}", 10 * n, f"a{n}", "x", item_id=f"i{n}") for n in range(6)]  # a minute: three are let in
    log += [label(f"f{n}", 60 + 10 * n, f"b{n}", "x", item_id=f"j{n}") for n in range(3)]  # one more item that day
    log += [label("old", 180, "c", "x", item_id="i0", annotator_id="v"), label("next", 86_400, "d", "x", item_id="k")]
    log += [label("other", 0, "o", "x", project_id="p2")]
    tables = fold_log(log, settings=settings)
    refused = [row["offset"] for row in rows(tables, "dead_letters_versions")]
    assert refused == [3, 4, 5, 7, 8]
    assert {row["error_code"] for row in rows(tables, "dead_letters_versions")} == {ErrorCode.OVER_QUOTA}
    assert {row["item_id"] for row in rows(tables, "items_versions")} == {"i0", "i1", "i2", "j0", "k", "i"}


def test_a_refused_flood_moves_no_clock():
    """What is over the quota makes nothing of its project late, however far ahead it is stamped."""
    settings = replace(HOURLY, events_per_minute_max=2)
    log = [label(f"e{n}", 0, f"a{n}", "x", item_id=f"i{n}") for n in range(3)]
    flood = [label(f"f{n}", 30, f"b{n}", "x", item_id=f"j{n}") for n in range(50)]
    tables = fold_log([*log, *flood, label("late", 61, "c", "x")], settings=settings)
    assert len(rows(tables, "dead_letters_versions")) == 51
    assert {row["error_code"] for row in rows(tables, "dead_letters_versions")} == {ErrorCode.OVER_QUOTA}


def test_a_change_of_accuracy_is_told_once_with_its_time():
    """An annotator who gets worse is told once, with the direction and about when."""
    log = []
    for n in range(900):
        log += [gold(f"g{n}", n * 10, "x", item=f"i{n}"),
                label(f"e{n}", n * 10, f"a{n}", "x" if n < 600 or n % 2 else "y", item_id=f"i{n}")]  # fmt: skip
    drift = only(fold_log(log), "drift_versions")
    start = only_start(fold_log(log[:2]))
    assert (drift["direction"], drift["signal"], drift["detector"]) == ("worse", "accuracy", "adwin")
    assert 5500 < (drift["changed_at"] - start) / 1e6 < 6800 and drift["detected_at"] > drift["changed_at"]
    assert drift["before"] > 0.95 and drift["after"] < 0.7


def test_one_person_has_one_vote_on_an_item():
    """Repeated labels of one person share one vote; of equal votes the first class in the alphabet leads."""
    votes = [("w", "x"), ("w", "x"), ("w", "y"), ("v", "y")]
    log = [label(f"e{n}", n, f"a{n}", value, annotator_id=who) for n, (who, value) in enumerate(votes)]
    item = only(fold_log(log), "items_versions")
    assert (item["labels"], item["annotators"], item["top_label"]) == (4, 2, "y")
    assert item["top_share"] == pytest.approx(2 / 3)


def test_a_project_on_two_partitions_is_flagged():
    """A project seen on a second partition has no one order any more, and says so."""
    from operators.decode import Decoder
    from operators.shard import Shard, ShardState
    from tests.support.folding import DECODE_SETTINGS, batches_of

    decoder, shard, flags = Decoder(DECODE_SETTINGS), Shard(ShardState({}, {}), FOLD_SETTINGS), []
    for partition in (0, 1):
        for _, batch in decoder(
            batches_of([label(f"e{partition}", 0, f"a{partition}", "x")], [1], partition=partition)
        ):
            flags += [row[-4] for row in shard.take([batch]).rows.get("projects_versions", [])]
    assert flags == [0, 1]


def test_lines_of_other_kinds_do_not_move_the_clock():
    """A dead letter moves no clock, whatever time it claims."""
    bad = line("e", 40 * DAY / 1e6, type="annotation.submitted")
    tables = fold_log([label("e0", 0, "a", "x"), bad])
    assert only(tables, "projects_versions")["last_at"] == only(tables, "labels_versions")["occurred_at"]
