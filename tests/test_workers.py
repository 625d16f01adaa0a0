"""Several workers: the rows of one, whatever is killed and however many go on; one asked to end ends all."""

import os
import signal
import sys
import time

import msgspec
import pytest

from flows.cli.main import run_arguments
from flows.cluster import Member, free_addresses
from flows.recovery_lock import DirectoryLock
from flows.run_report import Failure, Report, add_up, report_of
from flows.run_state import DriftSeen, RunState
from flows.workers import Workers
from schemas.errors import ClusterError, ConfigurationError
from tests.support.clusters import served_databases, wait_for_progress, workers_of
from tests.support.command import call, start
from tests.support.folding import fold_log
from tests.support.logs import LogShape, random_log
from tests.test_run import DEFAULTS, alike, stored

SHAPE = LogShape(events=1500, projects=7, items=30, annotators=6, is_workflow=True)


@pytest.fixture
def log(tmp_path):
    """A log of several projects in a file, and its lines."""
    lines = random_log(8, SHAPE)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path, lines


@pytest.mark.slow
def test_one_two_and_three_workers_write_the_same_rows(log, tmp_path):
    """A log read by a cluster of any size leaves, in every table, the rows that folding it leaves: to the last bit."""
    path, lines = log
    with served_databases(tmp_path / "engine", "one", "two", "three") as dsns:
        for workers, dsn in enumerate(dsns, 1):
            call("run", "--source", f"file:{path}", "--clickhouse", dsn, "--until-eof", "--workers", workers)
        tables = [stored(dsn) for dsn in dsns]
    assert tables[0] == tables[1] == tables[2]
    assert alike(tables[0]) == alike(fold_log(lines, settings=DEFAULTS))


@pytest.mark.slow
def test_a_killed_cluster_goes_on_with_any_number_of_workers(tmp_path):
    """Killed at arbitrary moments and resumed with 1, 2, 3 and 1 workers, the rows are those of an undisturbed run."""
    source, state = "simulate:events=12000,annotators=30,projects=5,seed=4", tmp_path / "recovery"
    with served_databases(tmp_path / "engine", "whole", "killed") as (whole, killed):
        call("run", "--source", source, "--clickhouse", whole, "--until-eof")
        for round_, workers in enumerate((1, 2, 3)):
            process = start(
                "run", "--source", f"{source},rate=1500", "--clickhouse", killed, "--recovery", state, "--workers",
                workers, snapshot_seconds=0.2, flush_seconds=0.2, progress_seconds=0.1,
            )  # fmt: skip
            wait_for_progress(process, b" rows_written=[1-9]")
            victims = [process.pid, *workers_of(process.pid)]
            os.kill(victims[round_ % len(victims)], signal.SIGKILL)
            process.communicate(timeout=60)
            assert process.returncode in (1, -signal.SIGKILL)
        call("run", "--source", source, "--clickhouse", killed, "--recovery", state, "--until-eof", "--workers", 1)
        assert stored(killed) == stored(whole)


@pytest.mark.slow
def test_a_signal_to_any_process_drains_all(log, tmp_path):
    """SIGTERM to a worker, even one still starting, or to its parent ends all with exit code 0."""
    path, lines = log
    with served_databases(tmp_path / "engine", "drained") as [dsn]:
        arguments = ("run", "--source", f"file:{path}", "--clickhouse", dsn, "--recovery", tmp_path / "recovery")
        for is_worker, records in ((True, len(lines)), (True, None), (False, 0)):
            process = start(*arguments, "--workers", 2, progress_seconds=0.1, snapshot_seconds=0.2)
            if records is not None:
                wait_for_progress(process, b"records_read=%d" % records)
            while len(workers_of(process.pid)) < 2:
                assert process.poll() is None
                time.sleep(0.01)
            os.kill(workers_of(process.pid)[1] if is_worker else process.pid, signal.SIGTERM)
            out, errors = process.communicate(timeout=90)
            assert process.returncode == 0, errors.decode()
            assert b"Stopped as asked" in out
        call(*arguments, "--until-eof", "--workers", 3)
        assert alike(stored(dsn)) == alike(fold_log(lines, settings=DEFAULTS))


@pytest.mark.slow
def test_processes_started_one_by_one_end_together(log, tmp_path):
    """A cluster of `--process-id` and `--addresses`: SIGTERM to one process ends each with 0; the rows are right."""
    path, lines = log
    with served_databases(tmp_path / "engine", "cluster") as [dsn]:
        arguments = ("run", "--source", f"file:{path}", "--clickhouse", dsn, "--recovery", tmp_path / "recovery")
        addresses = ";".join(free_addresses(2))
        processes = [
            start(*arguments, "--process-id", number, "--addresses", addresses, progress_seconds=0.1)
            for number in range(2)
        ]
        wait_for_progress(processes[0], b"records_read=%d" % len(lines))
        processes[1].send_signal(signal.SIGTERM)
        for process in processes:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors.decode()
        call(*arguments, "--until-eof")
        assert alike(stored(dsn)) == alike(fold_log(lines, settings=DEFAULTS))


def test_what_does_not_fit_together_is_refused(tmp_path, capsys):
    """Several processes on the embedded database, a number without addresses, a cluster without state: exit code 3."""
    source = ["--source", "simulate:events=9"]
    refused = [
        (["--workers", "2"], "cannot share the embedded database"),
        (["--process-id", "0"], "needs both its number and the addresses"),
        (["--process-id", "0", "--addresses", "127.0.0.1:1"], "needs a --recovery directory"),
        (["--process-id", "1", "--addresses", "127.0.0.1:1", "--recovery", str(tmp_path)], "no process 1 among 1"),
        (["--process-id", "0", "--addresses", "here", "--recovery", str(tmp_path)], "'here' is not an address"),
    ]
    for options, told in refused:
        assert run_arguments(["run", *source, "--clickhouse", f"chdb://{tmp_path}/db", *options]) == 3
        assert told in capsys.readouterr().err


def test_one_cluster_at_a_time(tmp_path):
    """Processes of a cluster share a recovery directory; a second flow, or a number taken twice, is refused."""
    first, second = Member(0, ("a:1", "b:1")), Member(1, ("a:1", "b:1"))
    locks = [DirectoryLock(tmp_path, member=member) for member in (first, second)]
    with pytest.raises(ConfigurationError, match="another process is running"):
        DirectoryLock(tmp_path)
    locks[0].close()
    with pytest.raises(ConfigurationError, match="another process is running"):
        DirectoryLock(tmp_path, member=Member(0, ("a:1",)), wait_seconds=0.0)
    locks[1].close()
    DirectoryLock(tmp_path).close()


def test_reports_add_up():
    """The counters of a cluster are the sums of its workers'; its clock is the one that is furthest behind."""
    drift = DriftSeen(5, "p", "q", "a", "worse", 0.9, 0.6)
    first = RunState(folded=3, events_in=4, dead=1, annotators=2, projects=1, drifts_total=1, clocks={"p": 70})
    first.intake.lag, first.intake.records_read = {("kafka:t", 0): 5}, 4
    first.drifts.append(drift)
    second = RunState(folded=10, events_in=10, annotators=1, projects=2, clocks={"x": 50, "y": 90})
    second.intake.lag, second.intake.notice = {("kafka:t", 1): 7}, "no broker"
    total = RunState()
    add_up([report_of(state, is_draining=False) for state in (first, second)], total)
    assert (total.folded, total.events_in, total.dead, total.annotators, total.projects) == (13, 14, 1, 3, 3)
    assert (total.lag_records, total.records_read, total.notice, total.clock_at) == (12, 4, "no broker", 50)
    assert list(total.drifts) == [drift] and total.drifts_total == 1


STAND_IN = """
import json, os, sys
number, pipe = int(sys.argv[sys.argv.index("--process-id") + 1]), int(sys.argv[sys.argv.index("--report-to") + 1])
def fail(message, code, kind):
    failure = {"message": message, "remedy": "", "kind": kind}
    os.write(pipe, json.dumps({"failure": failure}).encode() + b"\\n")
    sys.exit(code)
"""


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        (
            "os.kill(os.getpid(), 9) if number else fail('peer', 1, 'ClusterError')",
            ClusterError,
            "1 .* SIGKILL",
        ),
        (
            "fail('disk is full', 3, 'ConfigurationError') if number else os.abort()",
            ConfigurationError,
            "disk is full",
        ),
        ("fail('first', 1, 'ClusterError')", ClusterError, "worker . of 2 ended with exit code 1"),
    ],
)
def test_a_cluster_falls_with_the_first_of_its_workers(code, error, told):
    """What is told is why the first worker failed, not that the others lost their connection to it."""
    workers = Workers([sys.executable, "-c", STAND_IN + code], count=2, state=RunState(), grace_seconds=1.0)
    with pytest.raises(error, match=told):
        workers.run()


def test_a_report_survives_the_pipe():
    """What a worker reports is what its parent reads."""
    report = Report(1, 2, [("s", 0, None)], "n", {"folded": 3}, 4, [], True, Failure("SourceError", "m", "r"))
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_a_cluster_that_does_not_end_in_time_is_ended(monkeypatch):
    """A worker that was asked to end and does not is killed after the grace period, and the command says so."""
    monkeypatch.setattr("flows.workers.GRACE_SECONDS_MORE", 0.0)
    deaf = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(pipe, b'{"is_draining": true}' + bytes([10]))
signal.pause()
"""
    workers = Workers([sys.executable, "-c", STAND_IN + deaf], count=2, state=RunState(), grace_seconds=0.3)
    with pytest.raises(ClusterError, match="did not end in time"):
        workers.run()
