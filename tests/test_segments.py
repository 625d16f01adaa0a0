"""State in segments: what is restored is what was there, whatever changed, ceased, crashed or was carried over."""

import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.segment_files import SegmentFolder
from operators.segments import Key, SegmentLog
from schemas.errors import IncompatibleStateError

WEIGHTS = {"item": 1, "annotator": 5}


class PickleCodec:
    """Records as pickles."""

    def encode(self, kind: str, records: Sequence[Any]) -> bytes:
        """Return bytes."""
        return pickle.dumps((kind, list(records)))

    def decode(self, kind: str, data: bytes) -> list[Any]:
        """Return records."""
        found, records = pickle.loads(data)
        assert found == kind
        return records


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Callable[[], SegmentFolder]]:
    """Opens the folder of segments; whoever had it open before has crashed."""
    stores: list[SegmentFolder] = []

    def open_folder() -> SegmentFolder:
        for store in stores:
            store.close()
        stores.append(SegmentFolder(tmp_path))
        return stores[-1]

    yield open_folder
    open_folder()


def opened(store: SegmentFolder, state: dict[Key, Any]) -> SegmentLog:
    """Return a log of a state over the files of a folder."""
    return SegmentLog(
        store, PickleCodec(), fetch=lambda key: state[key], weights=WEIGHTS, block_records=4, segments_max=16
    )


def change(rng: random.Random, state: dict[Key, Any], log: SegmentLog) -> None:
    """Change, add or remove a few records."""
    for _ in range(rng.randrange(12)):
        kind = rng.choice(("item", "item", "annotator"))
        key = (kind, f"{rng.randrange(40)}")
        if rng.random() < 0.2:
            state.pop(key, None)
            log.remove(key)
        else:
            state[key] = rng.random()
            log.mark(key)
    if rng.random() < 0.3:
        log.write_ahead(rng.randrange(10))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_restored_is_what_was_there(folder, seed):
    """From the last snapshot or the one before it, through any number of crashes, each record is as it was then."""
    rng, state = random.Random(seed), {}
    log, history = opened(folder(), state), []
    for _ in range(60):
        change(rng, state, log)
        if rng.random() < 0.5:
            history.append((log.snapshot(), dict(state)))
        if len(history) > 1 and rng.random() < 0.15:
            del history[len(history) - rng.randrange(2) :]
            reference, expected = history[-1]
            state = dict(expected)
            log = opened(folder(), state)
            assert log.restore(reference) == expected
            history = history[-1:]


@pytest.mark.parametrize("seed", range(2))
def test_segments_stay_few_and_light(folder, tmp_path, seed):
    """However long it runs: the files hold at most about twice the state, and old ones are deleted."""
    rng = random.Random(seed)
    state = {("item", str(number)): 0 for number in range(100)}
    log = opened(folder(), state)
    for key in state:
        log.mark(key)
    for step in range(150):
        key = ("item", str(rng.randrange(100)))
        state[key] = step
        log.mark(key)
        log.snapshot(carried_weight_min=4)
        in_force, held = log.weights
        assert in_force == 100 and held <= 2 * in_force + 8
    assert len(list(tmp_path.iterdir())) <= 40
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 100 * 150


def test_an_unchanged_state_writes_nothing(folder, tmp_path):
    """A snapshot without changes names the same segments and writes no file."""
    state = {("item", "1"): 1}
    log = opened(folder(), state)
    log.mark(("item", "1"))
    reference = log.snapshot()
    files = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert log.snapshot() == log.snapshot() == reference
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == files


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes, not"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), "not those that were written"),
    ],
)
def test_torn_and_missing_segments_are_told(folder, tmp_path, damage, reason):
    """A segment that is gone, cut or altered is a plain error, never a state that lacks something."""
    state = {("item", str(number)): number for number in range(10)}
    log = opened(folder(), state)
    for key in state:
        log.mark(key)
    reference = log.snapshot()
    [file] = tmp_path.iterdir()
    damage(file)
    with pytest.raises(IncompatibleStateError, match=f"segment .* is damaged: .*{reason}"):
        opened(folder(), state).restore(reference)
