"""The throughput benchmark: what it measures, and that it compares equal jobs."""

import io
import json
import random
import subprocess
import sys
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks import throughput
from benchmarks.measure import Cost, Usage, run_module
from benchmarks.throughput import Session, main, measure_kafka, rounds_of, write_log
from benchmarks.throughput_parts import FLOOR, FLOOR_PASSES, FLOW, FLOW_KAFKA, TUTORIAL
from benchmarks.throughput_report import print_report
from benchmarks.throughput_results import differences
from benchmarks.tutorial_flow import Answer, DeadLetter, Window, count, join_known_answer, parse, update_annotator
from flows.dataflow import decode_settings_of
from flows.settings import Settings
from flows.simulator.settings import parse_simulation
from flows.simulator.simulation import simulate
from operators.decode import Decoder
from schemas.events import AnnotationSubmitted, AnyEvent, GoldSet
from schemas.records import RecordBatch

CLASSES = ("Positive", "Neutral", "Negative")
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def label_event(number: int, value: str) -> AnyEvent:
    """Return a label of the one item by one of three annotators."""
    fields = {"event_id": f"e{number}", "annotation_id": f"a{number}", "annotator_id": f"w{number % 3}"}
    return AnnotationSubmitted(
        type="annotation.submitted", source="test", project_id="p", question_id="q", item_id="i",
        occurred_at=START + timedelta(seconds=number), label={"kind": "categorical", "value": value},
        duration_ms=100 * number, **fields,
    )  # fmt: skip


def gold_event(value: str) -> AnyEvent:
    """Return the known answer of the one item."""
    return GoldSet(
        type="gold.set", event_id="g", source="test", project_id="p", question_id="q", item_id="i", occurred_at=START,
        answers=[{"label": {"kind": "categorical", "value": value}, "weight": 1.0}],
    )  # fmt: skip


def cost(*, seconds: float, cpu_seconds: float = 1.0, events: int = 1_000, startup_seconds: float = 1.0) -> Cost:
    """Return a cost with plain figures."""
    return Cost(events, startup_seconds, 0.5, seconds, cpu_seconds, 100.0)


def session_of(costs: dict[str, list[Cost]], results: dict[str, Any], folder: Path) -> Session:
    """Return a session in which all has been measured."""
    return Session(write_log(folder / "events.jsonl", 100), folder, costs, results)


@given(
    values=st.lists(st.sampled_from(CLASSES), min_size=1, max_size=8), truth=st.sampled_from(CLASSES), data=st.data()
)
def test_the_tutorial_judges_each_label_once_whichever_side_comes_first(
    values: list[str], truth: str, data: st.DataObject
) -> None:
    """Wherever the known answer stands among the labels, annotators and windows come to the same counts."""
    events = [label_event(number, value) for number, value in enumerate(values)]
    events.insert(data.draw(st.integers(0, len(values))), gold_event(truth))
    item, annotators, window = None, {}, Window()
    for event in events:
        item, answers = join_known_answer(item, event)
        for answer in answers:
            annotators[answer.annotator_id], _ = update_annotator(annotators.get(answer.annotator_id), answer)
            window = count(window, answer)
    right = values.count(truth)
    assert window == Window(len(values), len(values), right, sum(100 * number for number in range(len(values))))
    assert sum(annotator.labels for annotator in annotators.values()) == len(values)
    assert sum(annotator.gold_labels for annotator in annotators.values()) == len(values)
    assert sum(annotator.gold_correct for annotator in annotators.values()) == right
    cells = [cell for annotator in annotators.values() for cell in annotator.confusion.items()]
    assert sum(labels for (known, given_), labels in cells if known == given_) == right
    assert sum(labels for _, labels in cells) == len(values)


def test_snapshots_of_the_tutorial_may_share_answers() -> None:
    """An answer cannot change, which is why it need not be copied."""
    _, (answer,) = join_known_answer(None, label_event(1, "Positive"))
    assert isinstance(answer, Answer)
    with pytest.raises(AttributeError):
        answer.score = 1.0  # type: ignore[misc]


def test_the_tutorial_refuses_what_the_flow_refuses() -> None:
    """Of a log with every kind of bad record, both versions make dead letters of the same records."""
    lines = list(simulate(parse_simulation("events=4000,annotators=20,seed=3,bad_rate=0.05")))
    decoder = Decoder(decode_settings_of(Settings(), first_started_at=START))
    (*_, (_, report)) = decoder([RecordBatch("test:log", 0, range(len(lines)), lines, len(lines))])
    refused = [number for number, line in enumerate(lines) if isinstance(parse(line), DeadLetter)]
    assert len(refused) > 100
    assert refused == [letter.offset for letter in report.dead]


def test_differences_are_told_by_table() -> None:
    """Equal results give no line; a figure that differs, or a row too many, is told with its table."""
    results = {"annotators": [["p", "w1", 3], ["p", "w2", 4]], "dead_letters": [["ab"]]}
    assert differences(results, json.loads(json.dumps(results))) == []
    (line,) = differences(results, results | {"annotators": [["p", "w1", 3], ["p", "w2", 5]]})
    assert line.startswith("annotators:") and "['p', 'w2', 4]" in line and "['p', 'w2', 5]" in line
    (line,) = differences(results, results | {"dead_letters": [["ab"], ["ab"]]})
    assert line.startswith("dead_letters:")


def test_costs_are_rates_without_the_start_up() -> None:
    """Throughput and CPU per event leave the start-up out, unless it is asked for."""
    one = cost(seconds=2.0, cpu_seconds=3.0, startup_seconds=6.0)
    assert (one.events_per_second, one.events_per_second_with_startup, one.cpu_us_per_event) == (500.0, 125.0, 3_000.0)
    assert Cost.median_of([one, cost(seconds=1.0), cost(seconds=9.0)]).seconds == 2.0


def test_ratios_compare_within_a_round(tmp_path: Path) -> None:
    """A round in which the machine was slow for all parts does not shift the ratio."""
    slowness = (1.0, 4.0, 2.0)
    costs = {
        FLOW: [cost(seconds=1.0 * slow, cpu_seconds=1.5 * slow) for slow in slowness],
        TUTORIAL: [cost(seconds=6.0 * slow, cpu_seconds=6.0 * slow) for slow in reversed(slowness)][::-1],
        FLOOR: [cost(seconds=0.1 * slow, cpu_seconds=0.1 * slow) for slow in slowness],
    }
    ratios = session_of(costs, {}, tmp_path).ratios()
    assert ratios["ratio_to_tutorial"] == pytest.approx(6.0)
    assert ratios["ratio_to_tutorial_cpu"] == pytest.approx(4.0)
    assert ratios["ratio_to_floor"] == pytest.approx(15.0)


@pytest.mark.parametrize(("round_seconds", "rounds"), [(100.0, 1), (15.0, 2), (9.0, 4), (0.1, 5)])
def test_a_quick_run_begins_no_round_that_would_end_too_late(round_seconds: float, rounds: int) -> None:
    """There is one round in any case, and a further one only where it can be expected to end in time."""
    now = [4.0]
    begun = 0
    for _ in rounds_of(Namespace(rounds=None, quick=True), 0.0, clock=lambda: now[0]):
        begun += 1
        now[0] += round_seconds
    assert begun == rounds


def test_cpu_of_children_and_threads_is_counted() -> None:
    """What a child process uses is part of what this process has used."""
    burn = "import time\nwhile time.process_time() < 0.2: sum(range(1000))\n"
    before = Usage.now()
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert (Usage.now() - before).cpu_seconds >= 0.2


@pytest.mark.slow
def test_the_floor_reads_every_record(tmp_path: Path) -> None:
    """The floor, in a process of its own, works through all records, and its memory is its own."""
    log = write_log(tmp_path / "events.jsonl", 2_000)
    held = bytearray(random.randbytes(1 << 20) * 400)
    arguments = ["--part", FLOOR, "--log", str(log.path), "--events", "2000", "--folder", str(tmp_path)]
    found = run_module("benchmarks.throughput", arguments, result=tmp_path / "result.json", seconds_max=120)
    assert found["cost"]["events"] == 2_000 * FLOOR_PASSES
    assert found["cost"]["cpu_seconds"] > 0
    assert found["cost"]["peak_memory_mb"] < len(held) / 1e6


@pytest.mark.slow
def test_a_part_that_fails_says_why(tmp_path: Path) -> None:
    """The error of a part reaches whoever started the benchmark."""
    arguments = ["--part", FLOOR, "--log", str(tmp_path / "absent.jsonl"), "--events", "1", "--folder", str(tmp_path)]
    with pytest.raises(RuntimeError, match="FileNotFoundError"):
        run_module("benchmarks.throughput", arguments, result=tmp_path / "result.json", seconds_max=120)


@pytest.mark.parametrize(("labels", "code"), [(7, 0), (8, 1)])
def test_unequal_results_are_a_failure(
    labels: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the parts did not come to the same results, the exit code is 1 and the report says so."""

    def measure(self: Session, part: str, *, source: str | None = None) -> None:
        self.costs.setdefault(part, []).append(cost(seconds=1.0))
        self.results[part] = {} if part == FLOOR else {"annotators": [["w1", labels if part == FLOW else 7]]}

    monkeypatch.setattr(throughput.Session, "measure", measure)
    assert main(["--quick", "--rounds", "1", "--events", "100", "--json", str(tmp_path / "found.json")]) == code
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["are_results_equal"] is (code == 0)
    assert ("RESULTS DIFFER" in capsys.readouterr().out) is (code == 1)


def test_the_report_fits_a_terminal(tmp_path: Path) -> None:
    """Every part, its rates and the ratios are there in full at 80 columns."""
    parts = (FLOW, FLOW_KAFKA, TUTORIAL, FLOOR)
    results = {part: {"annotators": [["w1", 7]]} for part in parts}
    session = session_of({part: [cost(seconds=2.0)] for part in parts}, results, tmp_path)
    told = io.StringIO()
    print_report(session.document(is_quick=False), console=Console(file=told, width=80))
    assert "…" not in told.getvalue()
    for text in (*parts, "500", "1000.00", "ratio_to_tutorial 1.00", "ratio_to_floor 1.00", "seed=7"):
        assert text in told.getvalue()


@pytest.mark.slow
def test_both_versions_come_to_the_same_results(tmp_path: Path) -> None:
    """On a simulated log, the flow and the tutorial's version agree on every figure, and the figures are there."""
    assert main(["--quick", "--rounds", "1", "--events", "5000", "--json", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["rows_compared"]["annotator_windows"] > 300
    assert found["rows_compared"]["dead_letters"] > 0
    assert set(found["parts"]) == {FLOW, TUTORIAL, FLOOR}
    assert found["ratio_to_tutorial"] > 0 and found["ratio_to_floor"] > 1
    names = {"events", "seconds", "cpu_seconds", "cpu_us_per_event", "peak_memory_mb"}
    assert all(names <= set(part) for part in found["parts"].values())


@pytest.mark.kafka
def test_kafka_gives_what_the_file_gives(tmp_path: Path) -> None:
    """From a topic of several partitions the flow comes to the same results as from the file."""
    session = Session(write_log(tmp_path / "events.jsonl", 5_000), tmp_path)
    session.measure(FLOW)
    measure_kafka(session)
    assert session.left_out == []
    assert differences(session.results[FLOW], session.results[FLOW_KAFKA]) == []
