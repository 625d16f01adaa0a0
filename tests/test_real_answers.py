"""The main job on real crowdsourcing answers: final figures equal a plain computation from the CSV."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.command import ROOT, call, query

DATA = ROOT.parent / "shared" / "data" / "crowd"


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def accuracies(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return labels, labels on items of known answer, and correct ones, by annotator, straight from the CSV."""
    gold = defaultdict(set)
    for row in rows_of(folder / "gold.csv"):
        gold[row["item"]].add(row["label"])
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows_of(folder / "answers.csv"):
        known = gold.get(row["item"])
        counts[row["worker"]][0] += 1
        counts[row["worker"]][1] += known is not None
        counts[row["worker"]][2] += known is not None and row["label"] in known
    return {worker: tuple(values) for worker, values in counts.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cf_amt", "zencrowd_us"])
def test_final_accuracy_equals_a_plain_computation(name, tmp_path):
    """Converted, run to the end and queried, each annotator's figures are those counted from the CSV."""
    folder = DATA / name
    if not folder.exists():
        pytest.skip(f"the real data set {name} is not on this machine ({folder} is absent)")
    events, dsn = tmp_path / "events.jsonl", f"chdb://{tmp_path}/db"
    converted = call(
        "convert", "--from", "answers-csv", folder / "answers.csv", "--gold", folder / "gold.csv", "--project", name
    )
    events.write_bytes(converted.stdout)
    call("run", "--source", f"file:{events}", "--clickhouse", dsn, "--recovery", tmp_path / "state", "--until-eof")
    expected = accuracies(folder)
    rows = {row["annotator_id"]: row for row in query("annotators", dsn, "--project", name, "--limit", "100000")}
    assert rows.keys() == expected.keys()
    for worker, (labels, judged, correct) in expected.items():
        row = rows[worker]
        assert (row["labels"], row["gold_labels"], row["gold_correct"]) == (labels, judged, correct)
        assert row["accuracy"] == (pytest.approx(correct / judged, abs=1e-9) if judged else None)
    [progress] = query("progress", dsn)
    events_in = sum(labels for labels, _, _ in expected.values()) + len(rows_of(folder / "gold.csv"))
    assert progress["events_in"] == progress["folded"] == events_in
