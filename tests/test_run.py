"""The main job from end to end: a log in a file, the flow on its engine, rows in the embedded database, queries."""

import json
import signal
import threading
import time
from dataclasses import replace

import pytest

from schemas.policy import default_policy
from schemas.rows import TABLES
from sinks.clickhouse.client import connect
from tests.support.command import call, query, start
from tests.support.folding import FOLD_SETTINGS, fold_log, merge_rows
from tests.support.logs import LogShape, random_log

DEFAULTS = replace(FOLD_SETTINGS, has_consensus=True, has_agreement=True, has_estimates=True, policy=default_policy())
LEFT_OUT = ("progress_versions", "dead_letters_versions", "projects_versions")
"""Tables whose keys or values name the stream."""


def stored(dsn):
    """Return the rows in force of every table, as the fold makes them."""
    client, tables = connect(dsn), {name: {} for name in TABLES}
    for name, table in TABLES.items():
        columns = ", ".join(
            f"toUnixTimestamp64Micro({column})" if column.endswith(("_at", "_start", "_end")) else column
            for column in table.columns
        )
        rows = client.query(f"SELECT {columns} FROM {client.database}.{name}").result_rows
        merge_rows(tables, {name: [tuple(None if value == {} else value for value in row) for row in rows]})
    client.close()
    return {name: {key: row for key, row in rows.items() if not row[-1]} for name, rows in tables.items()}


def alike(tables):
    """Return what is the same for every source of the same log."""
    return {name: table for name, table in tables.items() if name not in LEFT_OUT}


@pytest.fixture
def log(tmp_path):
    """A log in a file, and its lines."""
    lines = random_log(5, LogShape(events=3000, items=60, annotators=8, is_workflow=True))
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path, lines


@pytest.mark.slow
def test_the_database_holds_the_rows_of_the_fold(log, tmp_path):
    """Each row in the database is the one that folding the log gives, to the last bit; and the accounts balance."""
    path, lines = log
    dsn = f"chdb://{tmp_path}/db"
    call("run", "--source", f"file:{path}", "--clickhouse", dsn, "--recovery", tmp_path / "recovery", "--until-eof")
    assert alike(stored(dsn)) == alike(fold_log(lines, settings=DEFAULTS))
    [progress] = query("progress", dsn)
    parts = ("folded", "duplicate", "late", "dead")
    assert progress["events_in"] == len(lines) == sum(progress[part] for part in parts)
    assert len(query("dead-letters", dsn, "--limit", "100000")) == progress["dead"] + progress["late"]


@pytest.mark.slow
def test_a_run_resumed_after_a_drain_goes_on_where_it_was(log, tmp_path):
    """SIGTERM ends a run with exit code 0; lines appended later are read by the next run, and no line twice."""
    path, lines = log
    dsn, recovery = f"chdb://{tmp_path}/db", tmp_path / "recovery"
    half = len(lines) // 2
    path.write_bytes(b"\n".join(lines[:half]) + b"\n")
    process = start(
        "run", "--source", f"file:{path}", "--clickhouse", dsn, "--recovery", recovery, progress_seconds=0.1
    )
    wait_for_line(process, b"records_read=%d" % half)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    with path.open("ab") as file:
        file.write(b"\n".join(lines[half:]) + b"\n")
    call("run", "--source", f"file:{path}", "--clickhouse", dsn, "--recovery", recovery, "--until-eof")
    assert alike(stored(dsn)) == alike(fold_log(lines, settings=DEFAULTS))


def wait_for_line(process, text):
    """Read the error output until a line holds a text; end the process if that takes too long."""
    killer = threading.Timer(120, process.kill)
    killer.start()
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if text in line:
                return
        raise AssertionError(f"the process ended before it said {text!r}; it said {b''.join(lines[-5:]).decode()}")
    finally:
        killer.cancel()


@pytest.mark.slow
def test_kills_at_any_moment_change_no_row(tmp_path):
    """A run that is killed several times and resumed leaves the rows of a run that was not, and balanced accounts."""
    source = "simulate:events=60000,annotators=40,seed=3,rate=8000"
    whole, killed = f"chdb://{tmp_path}/whole", f"chdb://{tmp_path}/killed"
    call("run", "--source", source.replace(",rate=8000", ""), "--clickhouse", whole, "--until-eof")
    arguments = ("run", "--source", source, "--clickhouse", killed, "--recovery", tmp_path / "recovery", "--until-eof")
    kills = 0
    while kills < 4:
        process = start(*arguments, snapshot_seconds=0.3, flush_seconds=0.2, progress_seconds=0.1)
        wait_for_line(process, b"records_read=")
        time.sleep(0.4 + 0.37 * kills)  # not a wait for something: the moment of the kill is arbitrary
        process.kill()
        process.communicate()
        kills += 1
    call(*arguments, snapshot_seconds=0.3)
    assert alike(stored(killed)) == alike(stored(whole))
    assert query("progress", killed) == query("progress", whole)


@pytest.mark.slow
def test_a_wrong_start_consumes_nothing_and_says_why(log, tmp_path):
    """A recovery directory made under other settings is refused in one plain line, with what to do."""
    path, _ = log
    arguments = ("run", "--source", f"file:{path}", "--clickhouse", f"chdb://{tmp_path}/db", "--recovery",
                 tmp_path / "recovery", "--until-eof")  # fmt: skip
    call(*arguments)
    refused = call(*arguments, check=False, window_seconds=3600)
    assert refused.returncode == 3
    assert b"window_seconds was 900, is 3600" in refused.stderr and b"Traceback" not in refused.stderr


def test_schema_and_sample_agree():
    """The printed schema is that of the contract, and knows the documented types."""
    schema = json.loads(call("schema").stdout)
    assert set(schema["discriminator"]["mapping"]) == {
        "annotation.submitted", "annotation.skipped", "annotation.retracted", "gold.set", "gold.withdrawn",
        "review.decided", "item.adjudicated",
    }  # fmt: skip
