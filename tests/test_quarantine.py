"""Records that crash the flow: tried again, and set aside for good at the third crash; the rest is as it should be."""

import json

import pytest

from flows.quarantine import SUSPECTS_MAX, Quarantine
from flows.run import run
from flows.settings import load_settings
from operators.decode import Decoder, DecodeSettings
from operators.events import Submitted
from operators.project import machine
from operators.shard import Shard, ShardState
from schemas.errors import ErrorCode, IncompatibleStateError, PoisonError, SourceError
from schemas.records import RecordBatch
from tests.support.command import query
from tests.support.folding import FOLD_SETTINGS, fold_log
from tests.support.logs import LogShape, random_log
from tests.test_run import DEFAULTS, alike, stored

DECODE = DecodeSettings(0, 2**62, 2**62, 4)


def crash(offset: int = 7) -> PoisonError:
    """Return a crash at an offset."""
    return PoisonError("kafka:t", 2, offset, ZeroDivisionError("by zero\nand more"))


def quarantine(tmp_path, *, attempts: int = 3, records_max: int = 2) -> Quarantine:
    """Return the quarantine of a directory, as a process that has just begun finds it."""
    return Quarantine(tmp_path, attempts=attempts, records_max=records_max)


def test_a_record_is_set_aside_at_the_third_crash(tmp_path):
    """Crashes are counted over restarts, whatever crashes in between; the third one sets the record aside for good."""
    assert [quarantine(tmp_path).note(crash(offset)) for offset in (7, 8, 7)] == [1, 1, 2]
    assert quarantine(tmp_path).positions() == frozenset()
    assert quarantine(tmp_path).note(crash()) == 3
    assert quarantine(tmp_path).positions() == {("kafka:t", 2, 7)}


def test_what_is_kept_is_bounded(tmp_path):
    """Suspects are forgotten, the oldest first; too many records set aside are a defect of the flow, told loudly."""
    for offset in range(SUSPECTS_MAX + 1):
        quarantine(tmp_path).note(crash(offset))
    assert quarantine(tmp_path).note(crash(0)) == 1
    strict = quarantine(tmp_path, attempts=1)
    for offset in (1, 2):
        strict.note(crash(offset))
    with pytest.raises(SourceError, match="by zero; 2 records are in quarantine already"):
        strict.note(crash(3))
    assert len(strict.positions()) == 2


def test_a_damaged_file_is_refused(tmp_path):
    """A quarantine that cannot be read would give other rows: refused."""
    (tmp_path / "labelpulse-quarantine.json").write_text("{")
    with pytest.raises(IncompatibleStateError, match="cannot be read"):
        quarantine(tmp_path).positions()


def test_the_shard_says_at_which_record_it_crashed(monkeypatch):
    """An error that escapes from the fold names the record's place; a record in quarantine is dead, with its bytes."""
    lines = random_log(2, LogShape(events=40, bad_share=0.0))
    events = [json.loads(line) for line in lines]
    bad = next(index for index, event in enumerate(events) if index > 9 and event["type"] == "annotation.submitted")
    spoil(monkeypatch, events[bad]["event_id"])
    batch = RecordBatch("file:x", 0, range(100, 140), lines, 140)
    shards: dict[str, Shard] = {}
    with pytest.raises(PoisonError) as caught:
        for key, item in Decoder(DECODE)([batch]):
            shards.setdefault(key, Shard(ShardState({}, {}), FOLD_SETTINGS)).take([item])
    assert events[caught.value.position[2] - 100]["event_id"] == events[bad]["event_id"]
    spared = DecodeSettings(0, 2**62, 2**62, 4, frozenset({caught.value.position, ("file:y", 0, 101)}))
    [letter] = Decoder(spared)([batch])[-1][1].dead
    assert (letter.code, letter.offset, letter.payload) == (ErrorCode.POISON, 100 + bad, lines[bad])


def spoil(monkeypatch, event_id):
    """Let the fold of one event crash."""
    whole = machine._FOLDS[Submitted]

    def fold(project, event, at, version):
        if event.event_id == event_id:
            raise ZeroDivisionError("spoilt")
        return whole(project, event, at, version)

    monkeypatch.setitem(machine._FOLDS, Submitted, fold)


@pytest.mark.slow
def test_a_flow_sets_a_record_aside_and_goes_on(tmp_path, monkeypatch):
    """Three crashes at one record, then a run to the end: a dead letter with its bytes, and the rows of the rest."""
    lines = random_log(6, LogShape(events=300, bad_share=0.0))
    path, dsn = tmp_path / "events.jsonl", f"chdb://{tmp_path}/db"
    path.write_bytes(b"\n".join(lines) + b"\n")
    bad = next(index for index, line in enumerate(lines) if index > 200 and b"annotation.submitted" in line)
    spoil(monkeypatch, json.loads(lines[bad])["event_id"])
    given = {"source": f"file:{path}", "clickhouse": dsn, "recovery": tmp_path / "state", "until_eof": True}
    settings = load_settings({**given, "batch_records_max": 50, "snapshot_seconds": 0.0}).settings
    repeats = [index for index, line in enumerate(lines) if line == lines[bad]]
    for _ in range(3 * len(repeats)):
        with pytest.raises(PoisonError, match="makes the flow crash: ZeroDivisionError: spoilt"):
            run(settings)
    run(settings)
    letters = query("dead-letters", dsn, "--limit", "1000")
    poisoned = [letter for letter in letters if letter["error_code"] == "poison"]
    assert sorted(letter["offset"] for letter in poisoned) == repeats
    assert poisoned[0]["payload"].encode() == lines[bad]
    spared = [b"" if index in repeats else line for index, line in enumerate(lines)]
    assert alike(stored(dsn)) == alike(fold_log(spared, settings=DEFAULTS))
