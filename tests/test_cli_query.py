"""labelpulse query and migrate, and the summary at the end of a run: what people and programs get to read."""

import csv
import io
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from flows.cli import query as query_module
from flows.cli.failures import ExitCode
from flows.cli.main import run_arguments
from flows.cli.summary import lowest_and_highest
from flows.cli.tables import rows_table
from monitor.queries.catalogue import QUERIES
from tests.support.command import ROOT, call

EVENTS = 2_000
TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, subprocess.CompletedProcess[bytes]]:
    """A database with a simulated stream in it, and the run that filled it."""
    dsn = f"chdb://{tmp_path_factory.mktemp('query')}/a%20b"
    source = f"simulate:events={EVENTS},annotators=8,seed=7,gold_rate=0.5,bad_rate=0.01"
    return dsn, call("run", "--source", source, "--clickhouse", dsn, "--until-eof")


@pytest.fixture
def dsn(finished: tuple[str, Any]) -> str:
    """The database."""
    return finished[0]


def asked(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, output and error output of a query."""
    code = run_arguments(["query", *arguments])
    return code, *capfd.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
def test_every_query_gives_an_array_of_objects(name: str, dsn: str, capfd: pytest.CaptureFixture[str]) -> None:
    """JSON is one array; each object has the columns of the query, timestamps are ISO 8601 with Z."""
    code, out, err = asked(capfd, name, "--clickhouse", dsn, "--format", "json")
    assert (code, err) == (ExitCode.OK, "")
    rows = json.loads(out)
    assert isinstance(rows, list)
    for row in rows:
        assert list(row) == list(QUERIES[name].columns)
        for column, value in row.items():
            if column.endswith(("_at", "_start", "_end")) and value is not None:
                assert TIMESTAMP.fullmatch(value)


def test_columns_that_programs_rely_on_are_there() -> None:
    """The names that are promised to stay are columns of their queries."""
    accuracy = {"project_id", "question_id", "annotator_id", "labels", "gold_labels", "gold_correct", "accuracy"}
    accuracy |= {"accuracy_low", "accuracy_high"}
    assert accuracy <= set(QUERIES["annotators"].columns)
    assert accuracy | {"window_start", "window_end", "is_final"} <= set(QUERIES["annotator-windows"].columns)
    drift = {
        "project_id",
        "question_id",
        "annotator_id",
        "signal",
        "detector",
        "direction",
        "detected_at",
        "changed_at",
    }
    assert drift <= set(QUERIES["drift"].columns)
    assert {"events_in", "folded", "duplicate", "late", "dead"} <= set(QUERIES["progress"].columns)
    assert {"projects", "project-windows", "confusion", "items", "dead-letters"} <= set(QUERIES)


def test_csv_and_parquet_hold_what_json_holds(
    dsn: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The same rows in each format: CSV with a header, Parquet as a file that readers open."""
    answers = {}
    for form in ("json", "csv", "parquet"):
        assert run_arguments(["query", "annotators", "--clickhouse", dsn, "--format", form]) == ExitCode.OK
        answers[form] = capfdbinary.readouterr().out
    rows = json.loads(answers["json"])
    assert rows
    read = list(csv.DictReader(io.StringIO(answers["csv"].decode())))
    assert [(row["annotator_id"], int(row["labels"])) for row in read] == [
        (row["annotator_id"], row["labels"]) for row in rows
    ]
    table = parquet.read_table(io.BytesIO(answers["parquet"]))
    assert table.column("accuracy").to_pylist() == [row["accuracy"] for row in rows]


def test_the_accounts_balance(dsn: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Every record is accounted for: in = folded + duplicate + late + dead."""
    _, out, _ = asked(capfd, "progress", "--clickhouse", dsn, "--format", "json")
    [progress] = json.loads(out)
    assert progress["events_in"] == EVENTS == sum(progress[name] for name in ("folded", "duplicate", "late", "dead"))
    assert progress["dead"] > 0 and progress["duplicate"] > 0


def test_a_question_can_be_narrowed(dsn: str, capfd: pytest.CaptureFixture[str]) -> None:
    """--project and --annotator choose rows, --limit bounds them; what a query cannot be narrowed by is refused."""
    _, out, _ = asked(capfd, "annotators", "--clickhouse", dsn, "--format", "json")
    first = json.loads(out)[0]
    options = ["--project", first["project_id"], "--annotator", first["annotator_id"]]
    _, out, _ = asked(capfd, "annotators", "--clickhouse", dsn, "--format", "json", *options)
    chosen = json.loads(out)
    assert first in chosen
    assert {(row["project_id"], row["annotator_id"]) for row in chosen} == {
        (first["project_id"], first["annotator_id"])
    }
    _, out, _ = asked(capfd, "items", "--clickhouse", dsn, "--format", "json", "--limit", "3")
    assert len(json.loads(out)) == 3
    code, _, err = asked(capfd, "items", "--clickhouse", dsn, "--annotator", "x")
    assert code == ExitCode.REFUSED
    assert "annotator" in err


def test_a_table_is_cut_with_a_remark(dsn: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A table shows at most so many rows and says that there are more; nothing is cut in silence."""
    code, out, err = asked(capfd, "items", "--clickhouse", dsn, "--limit", "5")
    assert code == ExitCode.OK
    assert len(out.splitlines()) == 6
    assert "the first 5 rows" in err


def test_an_empty_answer_is_told_apart_from_a_wrong_one(dsn: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A project without rows gives an empty array, and a remark in a table."""
    code, out, _ = asked(capfd, "annotators", "--clickhouse", dsn, "--project", "nobody", "--format", "json")
    assert (code, json.loads(out)) == (ExitCode.OK, [])
    code, _, err = asked(capfd, "annotators", "--clickhouse", dsn, "--project", "nobody")
    assert (code, err) == (ExitCode.OK, "note: no rows\n")


def test_without_a_name_all_queries_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    """The list has a line on each; it needs no database."""
    code, out, _ = asked(capfd)
    assert code == ExitCode.OK
    for query in QUERIES.values():
        assert re.search(rf"^{query.name} +{re.escape(query.title)}", out, flags=re.MULTILINE)


def test_the_columns_of_a_query_are_explained(capfd: pytest.CaptureFixture[str]) -> None:
    """--describe says what each column means; it needs no database."""
    code, out, _ = asked(capfd, "annotators", "--describe")
    assert code == ExitCode.OK
    for column, meaning in QUERIES["annotators"].columns.items():
        assert column in out and meaning in out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["annotator"], ExitCode.REFUSED, "annotators"),
        (["annotators", "--since", "yesterday"], ExitCode.REFUSED, "yesterday"),
        (["annotators", "--limit", "0"], ExitCode.USAGE, "--limit"),
        (["annotators", "--clickhouse", "mysql://x"], ExitCode.REFUSED, "ClickHouse"),
        (["annotators", "--clickhouse", "clickhouse://127.0.0.1:1/x"], ExitCode.UNAVAILABLE, "127.0.0.1:1"),
    ],
)
def test_a_wrong_question_is_told_plainly(
    arguments: list[str], code: ExitCode, told: str, dsn: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """What does not exist or cannot be reached is an error in plain lines, with a remedy."""
    options = [] if "--clickhouse" in arguments else ["--clickhouse", dsn]
    found, out, err = asked(capfd, *arguments, *options)
    assert (found, out) == (code, "")
    assert err.startswith("error: ") and "  try: " in err and told in err


def test_asking_makes_no_database(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A query of a database that is not there says so and leaves nothing behind."""
    code, _, err = asked(capfd, "annotators", "--clickhouse", f"chdb://{tmp_path}/none")
    assert code == ExitCode.REFUSED
    assert "there is no database" in err
    assert list(tmp_path.iterdir()) == []


def test_parquet_does_not_flood_a_terminal(
    dsn: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes for programs are not written to a terminal; the remedy is what to add."""
    monkeypatch.setattr(query_module.sys.stdout, "isatty", lambda: True)
    code, out, err = asked(capfd, "items", "--clickhouse", dsn, "--format", "parquet")
    assert (code, out) == (ExitCode.REFUSED, "")
    assert "> items.parquet" in err


def test_migrating_twice_changes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The first time migrations are applied and named, the second time there is nothing to do."""
    dsn = f"chdb://{tmp_path}/db"
    assert run_arguments(["migrate", "--clickhouse", dsn]) == ExitCode.OK
    assert capfd.readouterr().out.startswith("applied 0001 ")
    assert run_arguments(["migrate", "--clickhouse", dsn]) == ExitCode.OK
    assert "nothing to do" in capfd.readouterr().out


def test_a_run_ends_with_a_summary(finished: tuple[str, subprocess.CompletedProcess[bytes]]) -> None:
    """The end tells the accounts, the projects, the annotators with intervals, and where the rows are."""
    dsn, run = finished
    summary = run.stdout.decode()
    assert summary.startswith("The log was read to its end: 2,000 records in ")
    assert re.search(
        r"^Accounts: 2,000 events in = [\d,]+ folded \+ \d+ duplicate \+ 0 late \+ \d+ dead$", summary, re.M
    )
    assert "Annotators of lowest accuracy" in summary and "Annotators of highest accuracy" in summary
    assert re.search(r"0\.\d{3} – [01]\.\d{3}", summary)
    assert f"Rows are in {dsn}" in summary
    assert "no state is kept" in run.stderr.decode()


def test_the_next_commands_work_as_they_are_printed(
    finished: tuple[str, subprocess.CompletedProcess[bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    """The commands of the summary print rows: the first one copied into a shell, the others parsed as a shell does."""
    first, *others = finished[1].stdout.decode().partition("Next, try:\n")[2].splitlines()
    done = subprocess.run(first, shell=True, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ann-" in done.stdout
    assert len(others) == 2
    for command in others:
        words = shlex.split(command)
        assert run_arguments(words[words.index("query") :]) == ExitCode.OK
        assert capfd.readouterr().out


def test_few_judgements_make_nobody_best_or_worst() -> None:
    """One right answer of one ranks below ninety-five of a hundred; nobody is in both lists."""
    rows = [
        {"annotator_id": name, "accuracy": share, "accuracy_low": low, "accuracy_high": high}
        for name, share, low, high in (
            ("new", 1.0, 0.15, 1.0), ("good", 0.95, 0.9, 0.98), ("bad", 0.5, 0.4, 0.6), ("poor", 0.0, 0.0, 0.85),
        )
    ]  # fmt: skip
    rows.append({"annotator_id": "unjudged", "accuracy": None, "accuracy_low": None, "accuracy_high": None})
    lowest, highest = lowest_and_highest(rows)
    assert [row["annotator_id"] for row in lowest] == ["bad", "poor"]
    assert [row["annotator_id"] for row in highest] == ["good", "new"]


def test_a_narrow_terminal_gets_the_first_columns() -> None:
    """What does not fit is named instead of being squeezed; at least one column is shown."""
    rows = [{"project_id": "p" * 10, "labels": 1, "accuracy": 0.5}]
    table, hidden = rows_table(rows, columns=rows[0], width=20)
    assert ([column.header for column in table.columns], hidden) == (["project_id", "labels"], ["accuracy"])
    table, hidden = rows_table(rows, columns=rows[0], width=3)
    assert ([column.header for column in table.columns], hidden) == (["project_id"], ["labels", "accuracy"])
