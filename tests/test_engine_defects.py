"""Known defects of the engine, and the proof of each that the flow is not exposed to it.

Measured with Bytewax 0.21.1; an upgrade begins here. `PROVEN_BY` names the tests of those whose proof needs more than
this file; the other tests are below, by number.
"""

import ast
import os
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.testing import TestingSink, TestingSource, cluster_main

from flows.engine_store import KeptValue, kept_values
from operators.shards import shard_names
from operators.verbs import ShardLogic
from tests.support.command import COMMAND, ROOT, call, environment

PROVEN_BY = {
    "1 a sink without partitions loses what is in flight": (
        "test_clickhouse_sink.py::test_a_flow_that_crashes_loses_nothing",
        "test_hooks_delivery.py::test_the_engine_loses_no_alert_at_a_crash",
        "test_kafka_dead_letters.py::test_a_crash_between_snapshots_loses_no_letter",
    ),
    "2 windows of the engine go by the system's clock, and the end of the input closes them": (
        "test_architecture.py::test_nothing_that_decides_a_row_looks_at_a_clock",
        "test_run.py::test_a_run_resumed_after_a_drain_goes_on_where_it_was",
    ),
    "4 state that changes while it is written is torn": ("test_segments.py::test_a_base_is_written_beside_the_fold",),
    "6 two flows share a recovery directory": (
        "test_cli_state.py::test_a_directory_in_use_is_told_and_not_reset",
        "test_workers.py::test_one_cluster_at_a_time",
    ),
    "8 a partition that disappears makes a resume panic": (
        "test_sources_kafka_messages.py::test_a_topic_that_lost_partitions_or_was_made_anew_is_refused",
    ),
    "9 queues are unbounded between two snapshots": (
        "test_backpressure.py::test_a_database_that_is_down_or_hangs_stops_the_intake",
    ),
    "10 no consumer group shows how far the flow is": (
        "test_kafka_source.py::test_the_consumer_group_shows_what_is_durable",
    ),
    "11 the sink for Kafka hides failures": (
        "test_kafka_dead_letters.py::test_a_topic_that_refuses_letters_stops_the_flow",
        "test_kafka_dead_letters.py::test_a_broker_that_is_away_too_long_stops_the_flow",
    ),
    "12 the source for Kafka takes offsets from errors, and skips records after a restart": (
        "test_sources_kafka_slot.py::test_an_end_seen_late_skips_nothing",
        "test_kafka_source.py::test_latest_is_where_the_log_ended_when_the_slot_was_built",
        "test_kafka_source.py::test_a_slot_without_partitions_has_no_client",
    ),
    "13 SIGTERM kills without a snapshot": (
        "test_run.py::test_a_run_resumed_after_a_drain_goes_on_where_it_was",
        "test_kafka_engine.py::test_drains_and_rescales_keep_every_record_exactly_once",
    ),
    "14 an exception ends the worker": (
        "test_bad_input.py::test_anything_is_accounted_for",
        "test_supervisor.py::test_a_failure_is_followed_by_a_restart_until_it_ends_well",
    ),
    "16 threads share a lock; processes can be more or fewer on resume": (
        "test_workers.py::test_a_killed_cluster_goes_on_with_any_number_of_workers",
    ),
    "18 the whole value of each key is written again": ("test_segments.py::test_crashes_change_no_row",),
    "19 20 what is late depends on how the log is cut": (
        "test_fold_determinism.py::test_rows_do_not_depend_on_how_the_log_is_cut",
    ),
    "21 a signal to one process stops half of the intake": (
        "test_workers.py::test_a_signal_to_any_process_drains_all",
    ),
    "22 the end of a file and a drain look alike": (
        "test_run.py::test_a_run_resumed_after_a_drain_goes_on_where_it_was",
    ),
    "23 other numbers of slots make a resume panic": (
        "test_kafka_source.py::test_a_state_of_other_slots_or_another_topic_is_refused",
        "test_cli_doctor.py::test_a_recovery_directory_of_other_settings_is_a_failure",
    ),
    "24 the last offsets of a drain are never known to be durable": (
        "test_sources_kafka_slot.py::test_commits_follow_snapshots_and_failing_ones_are_repeated",
    ),
    "25 partitions reach a shard in no fixed order": (
        "test_fold_semantics.py::test_a_project_on_two_partitions_is_flagged",
        "test_cli_doctor.py::test_what_is_wrong_with_a_topic_is_told",
    ),
}
SHIPPED = ("flows", "operators", "sinks", "schemas", "monitor")
PARTS_USED = {
    "bytewax.operators", "bytewax.dataflow.Dataflow", "bytewax.dataflow.Stream", "bytewax.dataflow.operator",
    "bytewax.inputs.FixedPartitionedSource", "bytewax.inputs.StatefulSourcePartition",
    "bytewax.operators.KeyedStream", "bytewax.operators.StatefulBatchLogic",
    "bytewax.outputs.FixedPartitionedSink", "bytewax.outputs.StatefulSinkPartition",
    "bytewax.recovery.RecoveryConfig", "bytewax.recovery.init_db_dir", "bytewax.run.cli_main",
}  # fmt: skip
VERBS_USED = {"input", "flat_map_batch", "key_on", "stateful_batch", "output"}
STEPS = {"source", "fold", "clickhouse"}
PROJECTS, SHARDS, SLOTS = 30, 4, 2
ENGINE_PORT = 3030


def test_each_proof_is_there() -> None:
    """A test that is renamed or deleted is missed here."""
    for proofs in PROVEN_BY.values():
        for proof in proofs:
            file, _, name = proof.partition("::")
            assert f"def {name}(" in (ROOT / "tests" / file).read_text(), proof


def test_only_parts_of_the_engine_that_hold_are_used() -> None:
    """2, 11, 12: neither its windows nor its connectors nor sinks without partitions are touched."""
    imported, called = set(), set()
    for path in (path for package in SHIPPED for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text())
        uses_verbs = False
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("bytewax") for alias in node.names), path
            elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "bytewax":
                imported |= {f"{node.module}.{alias.name}" for alias in node.names}
                uses_verbs |= any(alias.asname == "op" for alias in node.names)
        if uses_verbs:
            calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
            called |= {
                call.attr for call in calls
                if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "op"
            }  # fmt: skip
    assert imported == PARTS_USED
    assert called == VERBS_USED


def test_no_shard_asks_to_be_woken() -> None:
    """3: a schedule that cannot be cancelled is never made."""
    assert ShardLogic.notify_at is StatefulBatchLogic.notify_at
    assert ShardLogic.on_notify is StatefulBatchLogic.on_notify


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_shards_fall_evenly_on_workers(workers: int) -> None:
    """23: by the engine's own choice, each worker gets as many."""
    names, seen = shard_names(12 * workers), {}

    class Logic(StatefulBatchLogic[int, int, None]):
        def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
            for number in values:
                seen[number] = threading.get_ident()
            return [], StatefulBatchLogic.RETAIN

        def snapshot(self) -> None:
            return None

    flow = Dataflow("shards")
    keyed = op.input("source", flow, TestingSource([(name, number) for number, name in enumerate(names)]))
    op.output("sink", op.stateful_batch("fold", keyed, lambda _: Logic()), TestingSink([]))
    cluster_main(flow, [], 0, worker_count_per_proc=workers)
    assert sorted(Counter(seen.values()).values()) == [12] * workers


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[KeptValue]:
    """What the engine keeps after a run with far more projects than shards."""
    folder = tmp_path_factory.mktemp("engine")
    source = f"simulate:events=3000,projects={PROJECTS},annotators=60,seed=3"
    call(
        "run", "--source", source, "--clickhouse", f"chdb://{folder}/db", "--recovery", folder / "recovery",
        "--until-eof", shards=SHARDS, source_slots=SLOTS, sink_slots=SLOTS,
    )  # fmt: skip
    return kept_values(folder / "recovery")


@pytest.mark.slow
def test_the_engine_has_few_keys(kept: list[KeptValue]) -> None:
    """5: their number is that of shards and slots, however many projects and annotators there are."""
    keys = Counter(value.step for value in kept)
    assert 0 < keys["fold"] <= SHARDS + SLOTS
    assert all(number <= SHARDS + SLOTS for number in keys.values())


@pytest.mark.slow
def test_what_the_engine_keeps_cannot_change_behind_its_back(kept: list[KeptValue]) -> None:
    """4: a shard hands out bytes, a sink a number."""
    kinds = {value.step: type(value.value) for value in kept}
    assert kinds["fold"] is bytes and kinds["clickhouse"] is int


@pytest.mark.slow
def test_the_names_of_steps_are_a_disk_format(kept: list[KeptValue]) -> None:
    """7: a step that is renamed would start from nothing, so it is renamed in this test as well, with a migration."""
    assert {value.step for value in kept} == STEPS


@pytest.mark.slow
def test_the_engine_s_own_server_stays_off(tmp_path: Path) -> None:
    """15: whatever its variable is set to, no port is opened and no file written."""
    command = [*COMMAND, "run", "--source", "-", "--clickhouse", f"chdb://{tmp_path}/db"]
    process = subprocess.Popen(
        command, env={**environment(), "BYTEWAX_DATAFLOW_API_ENABLED": "1"}, cwd=tmp_path,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        while process.poll() is None and not (tmp_path / "db").exists():
            time.sleep(0.1)
        time.sleep(2.0)
        assert f":{ENGINE_PORT:04X} " not in _listening(process.pid)
    finally:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert sorted(os.listdir(tmp_path)) == ["db"]


def _listening(process_id: int) -> str:
    """Return the kernel's list of sockets that a process listens on."""
    inodes = set()
    for descriptor in Path(f"/proc/{process_id}/fd").iterdir():
        target = os.readlink(descriptor)
        inodes |= {target[8:-1]} if target.startswith("socket:[") else set()
    tables = [Path(f"/proc/{process_id}/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6")]
    held = [line for table in tables for line in table[1:] if line.split()[9] in inodes and line.split()[3] == "0A"]
    return "\n".join(held)
