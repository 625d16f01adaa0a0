"""The simulated stream: the same bytes each time, and the faults that its truth tells of, no more and no less."""

import hashlib
import json
import tracemalloc
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.simulator import simulation as simulation_module
from flows.simulator.bad_records import BAD_CODES
from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import Simulation, simulate, truth
from operators.decode import Decoder, DecodeSettings
from schemas.errors import ErrorCode
from schemas.events import AnnotationRetracted, AnnotationSubmitted, GoldSet, parse_event
from schemas.records import RecordBatch
from schemas.timestamps import MICROSECONDS_PER_SECOND, microseconds

OVERSIZED_BYTES = 50_000
DAY = 86_400 * MICROSECONDS_PER_SECOND
FAULTY = SimulationSettings(
    events=20_000,
    annotators=40,
    seed=11,
    gold_corrected_share=0.1,
    revision_rate=0.05,
    retraction_rate=0.03,
    duplicate_rate=0.03,
    late_rate=0.01,
    bad_rate=0.01,
    oversized_bytes=OVERSIZED_BYTES,
)
FAULTY_DIGEST = "43e6c3842cf57f3e6af32d2c44dde9f613d0eb61877c76235a7a2bda7e16555e"
"""Of all records of `FAULTY`, each with a line end."""

small_settings = st.builds(
    SimulationSettings,
    events=st.integers(1, 400),
    annotators=st.integers(1, 12),
    seed=st.integers(0, 2**63 - 1),
    projects=st.integers(1, 8),
    labels_per_item=st.integers(1, 8),
    gold_rate=st.floats(0, 1),
    gold_after_share=st.floats(0, 1),
    gold_corrected_share=st.floats(0, 1),
    drift_share=st.floats(0, 1),
    revision_rate=st.floats(0, 1),
    retraction_rate=st.floats(0, 1),
    disorder_seconds=st.floats(0, 600),
    duplicate_rate=st.floats(0, 1),
    late_rate=st.floats(0, 1),
    bad_rate=st.floats(0, 0.5),
    events_per_second=st.floats(0.01, 1_000_000),
)


@pytest.fixture(scope="module")
def faulty():
    """The simulation with every fault, and its records."""
    simulation = Simulation(FAULTY)
    return simulation, list(simulation.records())


@pytest.fixture(scope="module")
def reasons(faulty):
    """Index of a record → reason code, as decoding refuses it."""
    return _refused(faulty[1])


@pytest.fixture(scope="module")
def good(faulty, reasons):
    """The events of the stream with their bytes, without bad records."""
    return [(line, parse_event(line)) for index, line in enumerate(faulty[1]) if index not in reasons]


@pytest.fixture(scope="module")
def distinct(good):
    """The events of the stream, each at its first delivery."""
    return list(dict(good).values())


def _refused(lines):
    start = microseconds(FAULTY.start)
    limits = DecodeSettings(
        occurred_at_min=start - 400 * DAY, occurred_at_max=start + 36_500 * DAY, future_max=DAY, shards=4
    )
    sizes_cut = {index: len(line) for index, line in enumerate(lines) if len(line) >= OVERSIZED_BYTES}
    batch = RecordBatch("test", 0, range(len(lines)), lines, len(lines), sizes_cut=sizes_cut)
    found = {}
    for _, part in Decoder(limits)([batch]):
        found |= {letter.offset: letter.code for letter in getattr(part, "dead", ())}
    return found


def test_the_same_settings_give_the_same_bytes(faulty):
    """Two runs agree byte for byte, with each other and with the digest written down here."""
    digest = hashlib.sha256(b"".join(line + b"\n" for line in faulty[1])).hexdigest()
    again = hashlib.sha256(b"".join(line + b"\n" for line in simulate(FAULTY))).hexdigest()
    assert digest == again == FAULTY_DIGEST


def test_another_seed_gives_another_stream(faulty):
    """The seed decides: hardly a record of another seed's stream is in this one."""
    other = set(simulate(FAULTY.model_copy(update={"seed": 12})))
    assert len(other & set(faulty[1])) < 0.01 * FAULTY.events


def test_annotators_belong_to_teams():
    """Each annotator tells one and the same team with every label, and nothing else of the stream is another."""
    settings = SimulationSettings(events=3_000, annotators=40, seed=5, bad_rate=0)
    plain, told = ([json.loads(line) for line in simulate(settings.model_copy(update={"teams": n}))] for n in (0, 3))
    teams: dict[str, set[str]] = {}
    for event in told:
        attributes = event.pop("attributes", None)
        if event["type"] == "annotation.submitted":
            teams.setdefault(event["annotator_id"], set()).add(attributes["team"])
    assert told == plain
    assert all(len(own) == 1 for own in teams.values())
    assert set().union(*teams.values()) == {"team 1", "team 2", "team 3"}


def test_reading_in_part_changes_nothing(faulty):
    """However far a stream is read, and though two are read in turns, the records are the same."""
    simulation, lines = faulty
    assert list(islice(simulate(FAULTY), 777)) == lines[:777]
    pairs = islice(zip(simulation.records(), simulation.records(), strict=True), 5_000)
    assert all(one == other == line for (one, other), line in zip(pairs, lines, strict=False))


def test_truth_is_the_same_by_either_way(faulty):
    """The truth of a stream that was read is the truth that is computed for its settings."""
    simulation = Simulation(FAULTY)
    assert sum(1 for _ in simulation.records()) == FAULTY.events
    assert simulation.truth == truth(FAULTY)


def test_every_event_is_accepted_and_every_bad_record_refused_for_its_reason(faulty, reasons):
    """Decoding refuses exactly the bad records, for the reasons that the truth counts."""
    simulation, lines = faulty
    injected = simulation.truth["injected"]["bad"]
    assert Counter(code.value for code in reasons.values()) == injected
    assert set(injected) == {code.value for code in BAD_CODES} | {"oversized"}
    assert min(injected.values()) > 0
    assert len(lines) == FAULTY.events == simulation.truth["records"]


def test_the_contract_refuses_what_needs_no_context(faulty, reasons):
    """The contract by itself refuses all bad records but those that only a limit makes bad."""
    of_limits = {ErrorCode.OVERSIZED, ErrorCode.TIMESTAMP_OUT_OF_RANGE, ErrorCode.TIMESTAMP_FAR_FUTURE}
    for index, code in reasons.items():
        if code in of_limits:
            assert parse_event(faulty[1][index])
        else:
            with pytest.raises(ValidationError):
                parse_event(faulty[1][index])


def test_all_decode_reasons_are_simulated():
    """Each reason code that decoding can give has a bad record; the others belong to the fold or need a setting."""
    of_the_fold = {ErrorCode.LATE, ErrorCode.TOO_MANY_CLASSES, ErrorCode.LABEL_KIND_MISMATCH, ErrorCode.OVER_QUOTA}
    beyond_decoding = of_the_fold | {ErrorCode.POISON}
    assert set(BAD_CODES) == set(ErrorCode) - beyond_decoding - {ErrorCode.OVERSIZED}


def test_duplicates_are_the_same_bytes_later(faulty, good):
    """An event id never comes with two payloads, and payloads come again as often as the truth says."""
    payload_of = {}
    for line, event in good:
        assert payload_of.setdefault((event.project_id, event.event_id), line) == line
    assert len(good) - len(payload_of) == faulty[0].truth["injected"]["duplicates"] > 100


def test_counts_of_corrections_are_true(faulty, distinct):
    """Revisions, retractions, and retractions ahead of their annotation are as many as the truth says."""
    injected = faulty[0].truth["injected"]
    revisions = retractions = in_advance = 0
    seen = set()
    for event in distinct:
        if isinstance(event, AnnotationSubmitted):
            seen.add((event.project_id, event.annotation_id))
            revisions += event.revision > 0
        elif isinstance(event, AnnotationRetracted):
            retractions += 1
            in_advance += (event.project_id, event.annotation_id) not in seen
    assert revisions == injected["revisions"] > 100
    assert retractions == injected["retractions"] > 100
    assert in_advance == injected["retractions_before_annotation"] > 10


def test_counts_of_gold_are_true(faulty, distinct):
    """Known answers come before or after the labels, or correct an earlier one, as often as the truth says."""
    counts = Counter()
    labelled, answered = set(), {}
    for event in distinct:
        if isinstance(event, AnnotationRetracted):
            continue
        key = (event.project_id, event.question_id, event.item_id)
        if isinstance(event, AnnotationSubmitted):
            labelled.add(key)
            continue
        kind = "after_labels" if key in labelled else "before_labels"
        if key in answered:
            kind = "corrections"
            assert event.occurred_at > answered[key].occurred_at
            assert event.answers != answered[key].answers
        answered[key] = event
        counts[kind] += 1
    assert counts == faulty[0].truth["gold"]
    assert min(counts.values()) > 10


def test_late_labels_are_late_and_all_else_is_within_the_disorder(faulty, distinct):
    """Late labels lie more than late_seconds behind the newest stamp so far, all else by the disorder at most."""
    newest, late, disorders = {}, 0, []
    for event in distinct:
        at = event.occurred_at.timestamp()
        behind = newest.get(event.project_id, at) - at
        if behind > FAULTY.disorder_seconds:
            assert behind > FAULTY.late_seconds
            assert isinstance(event, AnnotationSubmitted)
            late += 1
        else:
            disorders.append(behind)
        newest[event.project_id] = max(newest.get(event.project_id, at), at)
    assert late == faulty[0].truth["injected"]["late"] > 100
    assert FAULTY.disorder_seconds / 2 < max(disorders)


def test_labels_by_annotator_and_items_are_counted(faulty, distinct):
    """Labels in time, by annotator and question, and labelled items are as many as the truth says."""
    oldest = FAULTY.start.timestamp() - FAULTY.disorder_seconds
    first = [
        event
        for event in distinct
        if isinstance(event, AnnotationSubmitted) and event.revision == 0 and event.occurred_at.timestamp() >= oldest
    ]
    labels = Counter((event.project_id, event.question_id, event.annotator_id) for event in first)
    items = Counter(key[:2] for key in {(event.project_id, event.question_id, event.item_id) for event in first})
    told = faulty[0].truth
    assert labels == {
        (answering["project_id"], answering["question_id"], annotator["annotator_id"]): answering["labels"]
        for annotator in told["annotators"]
        for answering in annotator["questions"]
    }
    assert sum(labels.values()) == told["labels"]
    assert items == {
        (project["project_id"], question["question_id"]): sum(question["labelled_items"].values())
        for project in told["projects"]
        for question in project["questions"]
    }


def test_an_item_is_labelled_by_different_people(distinct):
    """No annotator labels an item twice, and no item has more labels than are asked for."""
    labels = Counter(
        (event.project_id, event.question_id, event.item_id, event.annotator_id)
        for event in distinct
        if isinstance(event, AnnotationSubmitted) and event.revision == 0
    )
    assert max(labels.values()) == 1
    assert max(Counter(key[:3] for key in labels).values()) == FAULTY.labels_per_item


def test_the_questions_of_a_submission_share_an_annotation(distinct):
    """A project with two questions gets both answers of an annotation under one id, from one person, for one item."""
    answers = {}
    for event in distinct:
        if isinstance(event, AnnotationSubmitted) and event.project_id == "intent" and event.revision == 0:
            answers.setdefault(event.annotation_id, []).append(event)
    complete = [pair for pair in answers.values() if len(pair) == 2]
    assert len(complete) >= len(answers) - 1
    for one, other in complete:
        assert (one.item_id, one.annotator_id) == (other.item_id, other.annotator_id)
        assert {one.question_id, other.question_id} == {"intent", "urgency"}


def test_without_disorder_time_never_goes_back():
    """A stream without disorder is stamped in its own order, but for what is delivered again."""
    settings = SimulationSettings(
        events=10_000, disorder_seconds=0, duplicate_rate=0, bad_rate=0, retraction_rate=0.05, gold_corrected_share=0.2
    )
    stamps = [parse_event(line).occurred_at for line in simulate(settings)]
    assert stamps == sorted(stamps)


def test_simulated_time_keeps_the_asked_pace():
    """The stream spans events / events_per_second of simulated time, to a few per cent."""
    settings = SimulationSettings(events=20_000, events_per_second=40, bad_rate=0, gold_rate=1, revision_rate=0.5)
    last = max(parse_event(line).occurred_at for line in islice(simulate(settings), 19_000, None))
    assert (last - settings.start).total_seconds() == pytest.approx(500, rel=0.03)


def test_truth_is_not_told_of_a_stream_that_was_not_read():
    """Counts of a stream that was read in part would be wrong: there are none."""
    simulation = Simulation(SimulationSettings(events=100))
    next(simulation.records())
    with pytest.raises(AssertionError):
        _ = simulation.truth


@pytest.mark.slow
def test_memory_does_not_grow_with_the_stream(monkeypatch):
    """Eight times the blocks are drawn in less than twice the memory."""
    monkeypatch.setattr(simulation_module, "BLOCK_LABELS", 256)
    peaks = []
    for events in (3_000, 24_000):
        tracemalloc.start()
        for _ in simulate(SimulationSettings(events=events, duplicate_rate=0.2, revision_rate=0.2)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


@hypothesis_settings(max_examples=60, deadline=None)
@given(settings=small_settings)
def test_any_settings_give_the_stream_they_ask_for(settings):
    """Whatever the settings, there are as many records as asked for, good and bad as counted, the same each time."""
    simulation = Simulation(settings)
    lines = list(simulation.records())
    told = simulation.truth
    assert len(lines) == settings.events
    assert lines == list(simulate(settings))
    refused = _refused_by_contract(lines)
    good = [line for index, line in enumerate(lines) if index not in refused]
    bad = told["injected"]["bad"]
    of_limits = bad["timestamp_out_of_range"] + bad["timestamp_far_future"]
    assert len(lines) - len(good) == sum(bad.values()) - of_limits
    injected = told["injected"]
    distinct = told["labels"] + injected["late"] + injected["revisions"] + injected["retractions"]
    assert distinct + sum(told["gold"].values()) + of_limits == len(set(good))
    assert len(set(good)) + injected["duplicates"] == len(good)


def _refused_by_contract(lines):
    refused = set()
    for index, line in enumerate(lines):
        try:
            parse_event(line)
        except ValidationError:
            refused.add(index)
    return refused


def test_gold_is_there_for_the_asked_share_of_items(distinct):
    """About a fifth of all items have a known answer."""
    items = {(event.project_id, event.item_id) for event in distinct if isinstance(event, AnnotationSubmitted)}
    golds = {(event.project_id, event.item_id) for event in distinct if isinstance(event, GoldSet)}
    assert len(golds) / len(items) == pytest.approx(FAULTY.gold_rate, abs=0.03)
