"""Runs the decoder and the shards without an engine, and reads the rows as the database would."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

from operators.decode import Decoder, DecodeSettings
from operators.project.settings import FoldSettings
from operators.shard import Shard, ShardState
from operators.snapshot import decode_state, encode_state
from schemas.records import RecordBatch
from schemas.rows import TABLES
from schemas.timestamps import MICROSECONDS_PER_SECOND

HOUR = 3600 * MICROSECONDS_PER_SECOND
DAY = 24 * HOUR

DECODE_SETTINGS = DecodeSettings(
    occurred_at_min=946_684_800 * MICROSECONDS_PER_SECOND,
    occurred_at_max=1_861_920_000 * MICROSECONDS_PER_SECOND,
    future_max=HOUR,
    shards=4,
)
FOLD_SETTINGS = FoldSettings(
    generation=0,
    window=900 * MICROSECONDS_PER_SECOND,
    disorder=120 * MICROSECONDS_PER_SECOND,
    retention=90 * DAY,
    annotator_retention=400 * DAY,
    judgement_age_max=7 * DAY,
    classes_max=1000,
    fading_factor=1.0 - 0.5 ** (1.0 / 50.0),
    adwin_delta=0.002,
)

Tables = dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]


def cuts_of(records: int, size: int) -> list[int]:
    """Return the lengths of batches of equal size."""
    return [min(size, records - start) for start in range(0, records, size)]


def random_cuts(records: int, seed: int) -> list[int]:
    """Return random lengths of batches."""
    rng = random.Random(seed)
    cuts: list[int] = []
    while sum(cuts) < records:
        cuts.append(min(rng.choice((1, 2, 3, 10, 50, 200)), records - sum(cuts)))
    return cuts


def batches_of(lines: list[bytes], cuts: Iterable[int], *, partition: int = 0) -> Iterator[RecordBatch]:
    """Cut a log into record batches."""
    start = 0
    for size in cuts:
        end = start + size
        yield RecordBatch("test:log", partition, range(start, end), lines[start:end], end)
        start = end


def fold_log(
    lines: list[bytes],
    *,
    cuts: Iterable[int] | None = None,
    settings: FoldSettings = FOLD_SETTINGS,
    restarts: random.Random | None = None,
) -> Tables:
    """Fold a log; return for each table the row in force of each key, tombstones left out.

    Parameters
    ----------
    cuts
        Lengths of the batches; one batch for all by default.
    restarts
        If given, shards are now and then written to bytes and read back.
    """
    decoder, shards, tables = Decoder(DECODE_SETTINGS), {}, {name: {} for name in TABLES}
    for batch in batches_of(lines, cuts if cuts is not None else [len(lines)]):
        for key, value in decoder([batch]):
            shard = shards.get(key) or shards.setdefault(key, Shard(ShardState({}, {}), settings))
            merge_rows(tables, shard.take([value]).rows)
            if restarts is not None and restarts.random() < 0.2:
                shard.save()
                shards[key] = Shard(decode_state(list(encode_state(shard.state))), settings)
    return in_force(tables)


def merge_rows(tables: Tables, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    """Put rows into tables as ReplacingMergeTree does: of one key the highest version counts."""
    for name, batch in rows.items():
        columns, keys = TABLES[name].columns, len(TABLES[name].key)
        version = columns.index("version")
        for row in batch:
            assert len(row) == len(columns), (name, row)
            held = tables[name].get(row[:keys])
            if held is None or row[version] > held[version]:
                tables[name][row[:keys]] = row
            elif row[version] == held[version]:
                assert row == held, f"two rows of {name} with one version: {row} and {held}"


def in_force(tables: Tables) -> Tables:
    """Leave out what has ceased."""
    return {name: {key: row for key, row in rows.items() if not row[-1]} for name, rows in tables.items()}


def column(tables: Tables, table: str, name: str) -> dict[tuple[Any, ...], Any]:
    """Return one column by key."""
    index = TABLES[table].columns.index(name)
    return {key: row[index] for key, row in tables[table].items()}
