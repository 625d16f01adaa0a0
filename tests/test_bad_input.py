"""Bad input: whatever comes, nothing ends the flow, every record is accounted for, and every row fits its table."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.decode import Decoder
from operators.shard import Shard, ShardState
from operators.snapshot import decode_state, encode_state
from schemas.errors import ErrorCode
from schemas.records import RecordBatch, RowBatch
from schemas.rows import DEAD_LETTERS, PROGRESS
from sinks.clickhouse.client import connect
from sinks.clickhouse.writer import RowWriter
from tests.support.clickhouse_rows import migrated
from tests.support.folding import DECODE_SETTINGS, FOLD_SETTINGS
from tests.support.mutation import mutated, valid_records
from tests.support.simulation.history import watchful_policy
from tests.support.simulation.reference import require_balance

RECORDS = 100_000
BATCH = 1_000
SETTINGS = replace(
    FOLD_SETTINGS, has_consensus=True, has_agreement=True, has_estimates=True, policy=watchful_policy(), classes_max=50
)


class Fold:
    """Decoder and shards, with the rows of the accounts and of dead letters."""

    def __init__(self) -> None:
        self._decoder = Decoder(DECODE_SETTINGS)
        self._shards: dict[str, Shard] = {}
        self.progress: dict[tuple[object, ...], tuple[object, ...]] = {}
        self.letters: dict[int, str] = {}
        self.records = 0

    def take(self, payloads: list[bytes]) -> Iterator[RowBatch]:
        """Fold records; yield the rows."""
        offsets = range(self.records, self.records + len(payloads))
        self.records = offsets.stop
        for key, value in self._decoder([RecordBatch("test:log", 0, offsets, payloads, self.records)]):
            shard = self._shards.get(key) or self._shards.setdefault(key, Shard(ShardState({}, {}), SETTINGS))
            rows = shard.take([value])
            self.progress |= {row[:3]: row for row in rows.rows.get(PROGRESS.name, ())}
            code = DEAD_LETTERS.columns.index("error_code")
            self.letters |= {row[2]: row[code] for row in rows.rows.get(DEAD_LETTERS.name, ())}
            yield rows

    def restart(self) -> None:
        """Go on from the bytes of the state."""
        for key, shard in self._shards.items():
            shard.save()
            state = decode_state(list(encode_state(shard.state)))
            self._shards[key] = Shard(state, SETTINGS)

    def require_accounts(self) -> Counter[str]:
        """Raise unless each record is folded, a duplicate, late or dead, each refused one with a reason; count them."""
        require_balance(self.progress)
        counts = Counter(
            {
                name: sum(row[PROGRESS.columns.index(name)] for row in self.progress.values())  # type: ignore[misc]
                for name in ("events_in", "folded", "duplicate", "late", "dead")
            }
        )
        assert counts["events_in"] == self.records
        assert counts["late"] + counts["dead"] == len(self.letters)
        assert set(self.letters.values()) <= set(ErrorCode)
        return counts


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[str, Client]]:
    """An embedded database."""
    with migrated(tmp_path / "db") as opened:
        yield opened


def batches(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cut records into lists."""
    batch: list[bytes] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@pytest.mark.slow
def test_100_000_mutated_records_are_all_accounted_for(database: tuple[str, Client]) -> None:
    """Decoded, folded, written and restarted in between: no record ends it, and each has its place in the accounts."""
    dsn, client = database
    fold, writer = Fold(), RowWriter(connect(dsn))
    for number, batch in enumerate(batches(mutated(valid_records(3, 5_000), 3, RECORDS))):
        for rows in fold.take(batch):
            writer.add(rows)
        if number % 20 == 19:
            fold.restart()
    writer.flush()
    writer.close()
    counts = fold.require_accounts()
    assert fold.records == RECORDS
    assert all(counts[name] > RECORDS / 100 for name in ("folded", "duplicate", "dead"))
    assert len(set(fold.letters.values())) > 5
    found = client.query("SELECT count() FROM dead_letters").result_rows[0][0]
    assert found == len(fold.letters)


def test_mutated_records_are_all_accounted_for() -> None:
    """The same for a few, without a database."""
    fold = Fold()
    for batch in batches(mutated(valid_records(4, 400), 4, 600)):
        list(fold.take(batch))
    counts = fold.require_accounts()
    assert counts["folded"] > 50 and counts["dead"] > 50


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=3_000, deadline=None)
@given(st.lists(st.binary(max_size=60) | JSON.map(lambda value: repr(value).encode(errors="replace")), max_size=20))
def test_anything_is_accounted_for(records: list[bytes]) -> None:
    """Bytes and values that no tool ever sent are dead letters, each with its reason."""
    fold = Fold()
    for part in (records, records):
        if part:
            list(fold.take(part))
    if records:
        assert fold.require_accounts()["dead"] == 2 * len(records)
