"""Spoils records: bytes flipped, cut and doubled, values of JSON exchanged for others that nobody expects."""

import json
import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import simulate
from tests.support.logs import LogShape, random_log

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 1e308, -1e308, 5e-324, 0.1,
    float("nan"), float("inf"), "", " ", "\x00", "a\x00b", "é", "e\u0301", "\ud800", "\U0001f600", "\u202e",
    "x" * 5_000, "0", "null", "1e999",
    "2026-01-05T09:00:00Z", "2026-01-05T09:00:00", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00", "1969-12-31T23:59:59Z", [], {}, [[]], [None], {"": ""}, [1] * 300,
)  # fmt: skip
"""Values that have broken readers before."""

BYTES = (
    b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\\u0000", b"\r",
    b"\xef\xbb\xbf", b"1e400", b"-",
)  # fmt: skip
DEPTH = 400


def valid_records(seed: int, count: int) -> list[bytes]:
    """Return records of all kinds, as tools would send them."""
    shape = LogShape(events=count // 2, projects=3, items=40, annotators=8, bad_share=0.0, is_workflow=True)
    stream = SimulationSettings(events=count - count // 2, annotators=20, projects=3, seed=seed, bad_rate=0.0)
    return [*random_log(seed, shape), *simulate(stream)]


def mutated(records: Sequence[bytes], seed: int, count: int) -> Iterator[bytes]:
    """Yield so many records, each a valid one that was spoilt once or a few times, or left as it was."""
    rng = random.Random(seed)
    for _ in range(count):
        record = rng.choice(records)
        if rng.random() < 0.7:
            record = _with_other_values(record, rng)
        if rng.random() < 0.4:
            record = _with_other_bytes(record, rng, records)
        yield record


def _with_other_values(record: bytes, rng: random.Random) -> bytes:
    """Change the event, and write it as JSON again, if that can be."""
    event = json.loads(record)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        _change(event, rng)
    text = json.dumps(event, ensure_ascii=rng.random() < 0.5)
    return text.encode(errors="surrogatepass")


def _change(value: Any, rng: random.Random) -> None:
    """Change something within an object or a list."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key, draw = rng.choice(keys), rng.random()
    if isinstance(value[key], dict | list) and draw < 0.6:
        _change(value[key], rng)
    elif draw < 0.75:
        value[key] = deepcopy(rng.choice(STRANGE))
    elif draw < 0.85:
        value[key] = deepcopy(value[rng.choice(keys)])
    elif isinstance(value, list):
        value.append(deepcopy(value[key]))
    elif draw < 0.95:
        del value[key]
    else:
        value[f"{key}{rng.choice(('', '_', 'x'))}"] = value.pop(key)


def _with_other_bytes(record: bytes, rng: random.Random, records: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(record) + 1)
    to = min(at + rng.choice((1, 1, 2, 10, 100)), len(record))
    kind = rng.randrange(7)
    if kind == 0:
        return record[:at] + bytes([rng.randrange(256)]) + record[at + 1 :]
    if kind == 1:
        return record[:at] + record[to:]
    if kind == 2:
        return record[:at] + rng.choice(BYTES) + record[at:]
    if kind == 3:
        return record[:to] + record[at:]
    if kind == 4:
        return record[:at]
    if kind == 5:
        other = rng.choice(records)
        return record[:at] + other[rng.randrange(len(other)) :]
    return b"[" * rng.randrange(DEPTH) + record
