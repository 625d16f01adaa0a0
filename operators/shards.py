"""Shards: a fixed number of state keys, each holding whole projects, named so that they balance over workers."""

import zlib
from functools import cache
from itertools import count

BALANCED_WORKERS = 24
"""Names are chosen so that shards spread evenly over any number of workers that divides this."""

_MASK = (1 << 64) - 1


@cache
def shard_names(shards: int) -> tuple[str, ...]:
    """Return the names of all shards, in order.

    The engine sends a key to worker ``siphash13(key) mod workers``. Left to chance, 64 names fall up to 13 to 5 over
    eight workers; so each name gets the first suffix that puts it in its turn.

    >>> shard_names(64)[:2] == shard_names(2)
    True
    """
    return tuple(_balanced_name(index) for index in range(shards))


def shard_of_project(project_id: str, *, shards: int) -> str:
    """Return the name of the shard that holds a project; the same on every machine and in every version."""
    return shard_names(shards)[zlib.crc32(project_id.encode()) % shards]


def shard_of_partition(partition: int, *, shards: int) -> str:
    """Return the name of the shard that keeps the accounts of a partition of the log."""
    return shard_names(shards)[partition % shards]


def _balanced_name(index: int) -> str:
    turn = index % BALANCED_WORKERS
    for suffix in count():
        name = f"shard-{index:04d}-{suffix}"
        if siphash13(name.encode() + b"\xff") % BALANCED_WORKERS == turn:
            return name
    raise AssertionError("count() does not end")


def siphash13(data: bytes) -> int:
    """Return SipHash-1-3 of `data` under the zero key, in [0, 2⁶⁴).

    >>> siphash13(b"shard-0") == siphash13(b"shard-0")
    True

    References
    ----------
    Aumasson and Bernstein (2012), SipHash: a fast short-input PRF, INDOCRYPT; with 1 and 3 rounds in place of 2 and 4.
    """
    state = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        state[3] ^= word
        _round(state)
        state[0] ^= word
    state[2] ^= 0xFF
    for _ in range(3):
        _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(state: list[int]) -> None:
    a, b, c, d = state
    a = (a + b) & _MASK
    b = _rotate(b, 13) ^ a
    a = _rotate(a, 32)
    c = (c + d) & _MASK
    d = _rotate(d, 16) ^ c
    a = (a + d) & _MASK
    d = _rotate(d, 21) ^ a
    c = (c + b) & _MASK
    b = _rotate(b, 17) ^ c
    c = _rotate(c, 32)
    state[:] = a, b, c, d


def _rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (64 - bits))) & _MASK
