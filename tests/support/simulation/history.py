"""What a history is made of, drawn from its seed: logs, settings, and which faults happen how often."""

import json
import random
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from flows.sources.slots import BatchLimits
from operators.decode import DecodeSettings
from operators.project.settings import FoldSettings
from schemas.policy import Policy, read_policy
from tests.support.folding import DECODE_SETTINGS, FOLD_SETTINGS, HOUR
from tests.support.logs import START, LogShape, random_log

HOOK = "ops"
EVENTS = 30
SECONDS_PER_EVENT = 40.0
FAR_BACK = 3 * HOUR


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record of a partition; `stamp` is the log's own, in microseconds, None where it has none."""

    offset: int
    payload: bytes
    stamp: int | None


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances of what goes wrong, each time that it can."""

    crash: float = 0.0
    """At each step of the engine, and within each insertion."""
    insert_refused: float = 0.0
    insert_unanswered: float = 0.0
    """The rows are there, and the acknowledgement is lost."""
    insert_halved: float = 0.0
    nothing_fetched: float = 0.0
    brokers_down: float = 0.0
    commit_fails: float = 0.0
    letter_fails: float = 0.0
    letter_doubled: float = 0.0
    """A dead letter's acknowledgement is lost, so that the client sends it again."""
    alert_disk_fails: float = 0.0


@dataclass(frozen=True)
class History:
    """Everything that a seed decides before the first step.

    Parameters
    ----------
    is_file
        Whether the log is files of one partition, instead of a topic.
    logs
        Number of a partition → its records, in order; offsets may leave gaps.
    partitions_at_first
        The other partitions appear once the flow runs.
    turn_share
        Chance at each step that another thread has a turn, though nobody waits for it.
    executions_max
        After so many the faults end, and the log is read to its end.
    """

    seed: int
    is_file: bool
    logs: dict[int, list[LogRecord]]
    partitions_at_first: int
    source_slots: int
    sink_slots: int
    limits: BatchLimits
    flush_seconds: float
    flush_rows: int
    buffer_rows_max: int
    fold: FoldSettings
    decode: DecodeSettings
    faults: Faults
    turn_share: float
    executions_max: int
    batches_per_epoch: int

    @property
    def events(self) -> int:
        """Records of all partitions."""
        return sum(map(len, self.logs.values()))


def history_of(seed: int, *, events: int = EVENTS) -> History:
    """Return the history of a seed, with about so many events in all partitions together."""
    rng = random.Random(f"history-{seed}")
    is_file = rng.random() < 0.25
    partitions = 1 if is_file else rng.choice((1, 2, 2, 3))
    shape = LogShape(
        events=max(events // partitions, 4),
        projects=rng.choice((1, 1, 2)),
        items=rng.choice((3, 5, 12)),
        annotators=rng.choice((2, 3, 5)),
        disorder_seconds=rng.choice((0.0, 600.0, 6000.0)),
        seconds_per_event=SECONDS_PER_EVENT,
        bad_share=rng.choice((0.0, 0.03, 0.15)),
        is_workflow=rng.random() < 0.5,
    )
    has_stamps = not is_file and rng.random() < 0.5
    logs = {
        number: _records(rng, _lines(rng, number, shape), has_stamps=has_stamps, has_gaps=not is_file)
        for number in range(partitions)
    }
    return History(
        seed=seed,
        is_file=is_file,
        logs=logs,
        partitions_at_first=rng.randrange(1, partitions + 1),
        source_slots=rng.randrange(1, 4),
        sink_slots=rng.randrange(1, 4),
        limits=BatchLimits(rng.choice((1, 2, 5, 20)), rng.choice((300, 3000, 100_000)), 100_000),
        flush_seconds=rng.choice((0.0, 0.5, 1000.0)),
        flush_rows=rng.choice((5, 50, 1000)),
        buffer_rows_max=rng.choice((10, 200, 5000)),
        fold=_fold_settings(rng),
        decode=replace(DECODE_SETTINGS, shards=rng.randrange(1, 5)),
        faults=_faults(rng),
        turn_share=rng.choice((0.0, 0.05, 0.3)),
        executions_max=rng.randrange(1, 6),
        batches_per_epoch=rng.choice((3, 10, 30)),
    )


def _lines(rng: random.Random, partition: int, shape: LogShape) -> list[bytes]:
    """Return a log as producers leave it: with repeats of what was not acknowledged, and stretches that come late."""
    own = b'"project_id": "n%d-p' % partition
    lines = [line.replace(b'"project_id": "p', own) for line in random_log(rng.randrange(2**32), shape)]
    if rng.random() < 0.4:
        start = rng.randrange(len(lines))
        lines[start:start] = lines[max(start - rng.randrange(1, 8), 0) : start]
    if rng.random() < 0.4:
        start = rng.randrange(len(lines))
        late = lines[start : start + rng.randrange(1, 8)]
        del lines[start : start + len(late)]
        at = rng.randrange(len(lines) + 1)
        lines[at:at] = late
    return lines


def _records(rng: random.Random, lines: list[bytes], *, has_stamps: bool, has_gaps: bool) -> list[LogRecord]:
    has_gaps = has_gaps and rng.random() < 0.5
    records, offset = [], 0
    for index, line in enumerate(lines):
        if has_gaps and rng.random() < 0.1:
            offset += rng.randrange(1, 4)
        stamp = None
        if has_stamps:
            behind = FAR_BACK if rng.random() < 0.03 else 0
            stamp = (START + int(index * SECONDS_PER_EVENT * 1e6) - behind) // 1000 * 1000
        records.append(LogRecord(offset, line, stamp))
        offset += 1
    return records


def _fold_settings(rng: random.Random) -> FoldSettings:
    memory = {"retention": HOUR // 2, "annotator_retention": HOUR, "judgement_age_max": HOUR // 4}
    statistics: dict[str, Any] = {
        name: rng.random() < 0.4 for name in ("has_consensus", "has_agreement", "has_estimates")
    }
    return replace(
        FOLD_SETTINGS,
        generation=rng.choice((0, 0, 1)),
        policy=watchful_policy() if rng.random() < 0.5 else None,
        **(memory if rng.random() < 0.4 else {}),
        **statistics,
    )


def _faults(rng: random.Random) -> Faults:
    """Draw which faults this history has: all of them at once would hide some behind others."""

    def sometimes(*rates: float) -> float:
        return rng.choice(rates) if rng.random() < 0.5 else 0.0

    return Faults(
        crash=rng.choice((0.0, 0.005, 0.02, 0.05)),
        insert_refused=sometimes(0.05, 0.3),
        insert_unanswered=sometimes(0.05, 0.3),
        insert_halved=sometimes(0.05, 0.3),
        nothing_fetched=sometimes(0.2, 0.6),
        brokers_down=sometimes(0.1),
        commit_fails=sometimes(0.3),
        letter_fails=sometimes(0.02),
        letter_doubled=sometimes(0.2),
        alert_disk_fails=sometimes(0.02),
    )


@cache
def watchful_policy() -> Policy:
    """Return a policy whose rules fire in the shortest of logs."""
    rules = [
        {"name": "low", "when": {"signal": "accuracy", "below": 0.7}},
        {"name": "many", "when": {"signal": "labels", "at_least": 3}},
        {"name": "history", "when": {"signal": "accuracy", "last": 3, "of_at_least": 2, "below": 0.9}},
        {"name": "busy", "scope": "project", "when": {"signal": "labels", "at_least": 4}, "cool_down": "10m"},
        {"name": "silent", "when": {"signal": "no_events_for", "above": "5m"}, "resolve_after": "2m"},
        {"name": "drift", "when": {"drift": "accuracy"}},
    ]
    hooks = {HOOK: {"kind": "webhook", "url": "https://receiver.invalid/", "secret": "env:SECRET"}}
    return read_policy({"rules": [rule | {"hooks": [HOOK]} for rule in rules], "hooks": hooks})


def described(history: History) -> str:
    """Return a history in one line, as JSON."""
    return json.dumps(
        {
            "seed": history.seed, "source": "file" if history.is_file else "kafka",
            "records": {number: len(log) for number, log in history.logs.items()},
            "slots": [history.source_slots, history.sink_slots], "shards": history.decode.shards,
            "batch": [history.limits.batch_records_max, history.limits.batch_bytes_max],
            "flush": [history.flush_seconds, history.flush_rows, history.buffer_rows_max],
            "has_policy": history.fold.policy is not None, "executions": history.executions_max,
            "faults": {name: rate for name in Faults.__slots__ if (rate := getattr(history.faults, name))},
        }
    )  # fmt: skip
