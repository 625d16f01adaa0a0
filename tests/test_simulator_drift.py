"""The default stream: people answer as its truth says, and an ordinary detector finds who changes."""

from collections import Counter, defaultdict
from time import process_time

import msgspec
import numpy as np
import pytest
from river.drift import ADWIN

from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import Simulation

pytestmark = pytest.mark.slow

ADWIN_DELTA = 0.002
STANDARD_ERRORS = 5
"""Bound of a deviation from the truth; the seed is fixed, so this is no matter of luck."""


@pytest.fixture(scope="module")
def default():
    """Truth of the default stream, its labels in log order, the known answers in log order, and records a second."""
    simulation = Simulation(SimulationSettings())
    began = process_time()
    lines = list(simulation.records())
    speed = len(lines) / (process_time() - began)
    return simulation.truth, _distinct_events(lines), speed


@pytest.fixture(scope="module")
def gold(default):
    """The known answer of each item that is in force at the end."""
    return {_item(event): _answer(event) for event in default[1] if event["type"] == "gold.set"}


@pytest.fixture(scope="module")
def judged(default, gold):
    """Labels of items with a known answer: (project, question, annotator) → rows of (time, truth, label)."""
    rows = defaultdict(list)
    for event in default[1]:
        if event["type"] == "annotation.submitted" and event["revision"] == 0 and _item(event) in gold:
            rows[_person(event)].append((event["occurred_at"], gold[_item(event)], event["label"]["value"]))
    return rows


def _distinct_events(lines):
    """Read the good events, each at its first delivery; bad records made from an event have an id of their own."""
    events = {}
    for line in lines:
        try:
            event = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            continue
        if isinstance(event, dict) and not event["event_id"].startswith("bad"):
            events.setdefault((event["project_id"], event["event_id"]), event)
    return list(events.values())


def _item(event):
    return event["project_id"], event["question_id"], event["item_id"]


def _person(event):
    return event["project_id"], event["question_id"], event["annotator_id"]


def _answer(event):
    return event["answers"][0]["label"]["value"]


def _phases(truth, judged):
    """Yield (annotator, answering, phase, rows) for each side of a drift; all is before, where there is none."""
    for annotator in truth["annotators"]:
        drift_at = annotator["drift_at"] or "9"
        for answering in annotator["questions"]:
            rows = judged[answering["project_id"], answering["question_id"], annotator["annotator_id"]]
            yield annotator, answering, "before", [row for row in rows if row[0] < drift_at]
            if annotator["drift_at"]:
                yield annotator, answering, "after", [row for row in rows if row[0] >= drift_at]


def _is_close(found, expected, count):
    return abs(found - expected) <= STANDARD_ERRORS * (expected * (1 - expected) / count) ** 0.5 + 1 / count


def test_accuracies_are_those_of_the_truth(default, judged):
    """On known answers everybody is right as often as the truth says, before and after they change."""
    checked = 0
    for annotator, answering, phase, rows in _phases(default[0], judged):
        right = sum(label == answer for _, answer, label in rows) / len(rows)
        assert _is_close(right, answering[f"accuracy_{phase}"], len(rows)), (annotator, phase)
        checked += len(rows)
    assert checked == sum(map(len, judged.values())) > 30_000


def test_confusions_are_those_of_the_truth(default, judged):
    """Each cell of everybody's confusion matrix is as often filled as the truth says."""
    classes = {
        (project["project_id"], question["question_id"]): question["classes"]
        for project in default[0]["projects"]
        for question in project["questions"]
    }
    for annotator, answering, phase, rows in _phases(default[0], judged):
        names = classes[answering["project_id"], answering["question_id"]]
        cells = Counter((answer, label) for _, answer, label in rows)
        totals = Counter(answer for _, answer, _ in rows)
        matrix = np.array(answering[f"confusion_{phase}"])
        assert matrix.sum(axis=1) == pytest.approx(1)
        for (row, column), expected in np.ndenumerate(matrix):
            total = totals[names[row]]
            found = cells[names[row], names[column]] / max(total, 1)
            assert total == 0 or _is_close(found, expected, total), (annotator["annotator_id"], phase, row, column)


def test_working_times_are_those_of_the_truth(default):
    """Half of everybody's answers take less than the median that the truth tells, to a few per cent."""
    durations = defaultdict(list)
    for event in default[1]:
        if event["type"] == "annotation.submitted":
            durations[event["annotator_id"]].append(event["duration_ms"])
    for annotator in default[0]["annotators"]:
        times = durations[annotator["annotator_id"]]
        assert np.median(times) == pytest.approx(annotator["duration_ms_median"], rel=3 / len(times) ** 0.5)


def test_the_default_world_has_something_to_see(default):
    """There are people who get worse, get better, have habits or do not look; some work in two projects."""
    annotators = default[0]["annotators"]
    assert len(annotators) == 60
    assert {annotator["profile"] for annotator in annotators} == {"good", "average", "biased", "spammer", "learner"}
    directions = Counter(annotator["drift_direction"] for annotator in annotators)
    assert directions == {None: 54, "worse": 4, "better": 2}
    projects = [{answering["project_id"] for answering in annotator["questions"]} for annotator in annotators]
    assert {len(mine) for mine in projects} == {1, 2}


def test_adwin_finds_every_drift_and_no_other(default, record_property):
    """ADWIN over the gold judgements, in the order of the log, fires after each drift of the truth, and never else."""
    truth, events, speed = default
    record_property("records_per_second", round(speed))
    drift_at = {
        annotator["annotator_id"]: annotator["drift_at"] for annotator in truth["annotators"] if annotator["drift_at"]
    }
    delays = {}
    for person, moment, delay in _detections(events, drift_at):
        assert person[2] in drift_at, f"false alarm on {person}"
        assert moment >= drift_at[person[2]], f"early alarm on {person}"
        delays.setdefault(person, delay)
    expected = {person for person in _people(events) if person[2] in drift_at}
    assert set(delays) == expected
    record_property("judgements_to_detection", {"/".join(person): delay for person, delay in delays.items()})
    assert max(delays.values()) <= 200


def _people(events):
    return {_person(event) for event in events if event["type"] == "annotation.submitted"}


def _detections(events, drift_at):
    """Yield (person, time of the label, judgements since their drift) at each alarm."""
    detectors = defaultdict(lambda: ADWIN(ADWIN_DELTA))
    since = Counter()
    for person, moment, is_wrong in _judgements(events):
        since[person] += moment >= drift_at.get(person[2], "9")
        detector = detectors[person]
        detector.update(is_wrong)
        if detector.drift_detected:
            yield person, moment, since[person]


def _judgements(events):
    """Yield each label's first judgement in log order, whichever of label and known answer comes first."""
    gold, waiting = {}, defaultdict(list)
    for event in events:
        if event["type"] == "gold.set":
            gold[_item(event)] = _answer(event)
            for label in waiting.pop(_item(event), ()):
                yield _person(label), label["occurred_at"], label["label"]["value"] != _answer(event)
        elif event["type"] == "annotation.submitted" and event["revision"] == 0:
            if _item(event) in gold:
                yield _person(event), event["occurred_at"], event["label"]["value"] != gold[_item(event)]
            else:
                waiting[_item(event)].append(event)
