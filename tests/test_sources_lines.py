"""Cutting a stream of bytes into lines."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from flows.sources.lines import LineBuffer
from flows.sources.slots import BatchLimits
from tests.support.reading import lines_by_definition

PIECES = [b"\n", b"\r", b"\r\n", b"a", b"bc", b"0123456789", b"\xff\x00"]
CONTENT = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join)
LIMITS = st.builds(
    BatchLimits,
    batch_records_max=st.integers(1, 8),
    batch_bytes_max=st.integers(2, 40),
    record_bytes_max=st.integers(1, 24),
)
Line = tuple[bytes, int]


def sized(lines: list[bytes], sizes_cut: dict[int, int]) -> list[Line]:
    """Return lines with their full sizes."""
    return [(line, sizes_cut.get(index, len(line))) for index, line in enumerate(lines)]


def take_all(buffer: LineBuffer, limits: BatchLimits) -> list[Line]:
    """Take what is there, checking each batch against the limits."""
    taken: list[Line] = []
    while True:
        lines, sizes_cut = buffer.take()
        if not lines:
            return taken
        assert len(lines) <= limits.batch_records_max
        assert len(lines) == 1 or sum(map(len, lines)) <= limits.batch_bytes_max
        assert max(map(len, lines)) <= limits.record_bytes_max
        taken += sized(lines, sizes_cut)


@given(CONTENT, LIMITS, st.lists(st.integers(1, 9), min_size=1))
def test_lines_do_not_depend_on_the_pieces(content: bytes, limits: BatchLimits, cuts: list[int]) -> None:
    """Whatever pieces a stream arrives in, its lines are those of the whole, and all fed bytes are accounted for."""
    buffer, taken, position = LineBuffer(limits), [], 0
    while position < len(content):
        piece = content[position : position + cuts[position % len(cuts)]]
        buffer.feed(piece)
        position += len(piece)
        taken += take_all(buffer, limits)
        assert buffer.pending == position - content.rfind(b"\n", 0, position) - 1
    taken += sized(*buffer.finish())
    assert taken == lines_by_definition(content, limits.record_bytes_max)
    assert buffer.pending == 0


def test_a_long_line_is_never_held_as_a_whole() -> None:
    """Of a line of 64 MB no more than a few times the limit is in memory, and its full size is known."""
    limit, piece, pieces = 65_536, bytes(65_536), 1_000
    buffer = LineBuffer(BatchLimits(record_bytes_max=limit))
    tracemalloc.start()
    try:
        for _ in range(pieces):
            buffer.feed(piece)
            assert buffer.take() == ([], {})
        buffer.feed(b"\nnext\n")
        assert buffer.take() == ([piece], {0: pieces * len(piece)})
        assert buffer.take() == ([b"next"], {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * limit
