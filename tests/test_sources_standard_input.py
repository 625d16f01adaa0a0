"""Standard input as a source."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.sources.slots import BatchLimits, SlotContext, State
from flows.sources.standard_input import StandardInputSlot, StandardInputSource
from schemas.errors import SourceError
from tests.support.reading import lines_by_definition, payloads_of, read_to_end, records_of

CONTENT = st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"bcd", b"\xff"]), max_size=40).map(b"".join)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe: to read from and to write to."""
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def open_slot(descriptor: int, *, state: State | None = None, **context: object) -> StandardInputSlot:
    """Return a slot that reads a descriptor."""
    source = StandardInputSource(context=SlotContext(**context), descriptor=descriptor)  # type: ignore[arg-type]
    return source.build_part("records", source.list_parts()[0], state)


@settings(deadline=None)
@given(st.lists(CONTENT, max_size=5), st.integers(1, 5))
def test_a_slow_pipe_shows_its_lines_at_once(pieces: list[bytes], batch_records_max: int) -> None:
    """After each write, all complete lines come without waiting for more; the unfinished one comes with the end."""
    reading, writing = os.pipe()
    try:
        slot = open_slot(reading, limits=BatchLimits(batch_records_max=batch_records_max))
        taken, written = [], b""
        for piece in pieces:
            written += piece
            os.write(writing, piece)
            while batches := slot.next_batch():
                assert all(len(batch.payloads) <= batch_records_max for batch in batches)
                taken += payloads_of(batches)
            complete = written[: written.rfind(b"\n") + 1]
            assert taken == [line for line, _ in lines_by_definition(complete, 1_000)]
        os.close(writing)
        taken += payloads_of(read_to_end(slot))
        assert taken == [line for line, _ in lines_by_definition(written, 1_000)]
    finally:
        os.close(reading)


def test_more_than_a_pipe_holds_is_read_in_batches(pipe: tuple[int, int]) -> None:
    """A writer faster than the reader fills the pipe; each batch takes what is there, and all comes in order."""
    reading, writing = pipe
    slot = open_slot(reading)
    lines = [b"%06d" % number for number in range(100_000)]
    content, taken, written = b"\n".join(lines) + b"\n", [], 0
    os.set_blocking(writing, False)
    while written < len(content):
        written += os.write(writing, content[written : written + 60_000])
        taken += payloads_of(slot.next_batch())
    os.close(writing)
    assert taken + payloads_of(read_to_end(slot)) == lines


def test_numbering_goes_on_after_a_resume(pipe: tuple[int, int]) -> None:
    """A pipe cannot be read again; the records of the next run follow the numbers of the last."""
    reading, writing = pipe
    os.write(writing, b"1\n2\n")
    first = open_slot(reading)
    assert records_of(first.next_batch()) == [(0, 0, b"1"), (0, 1, b"2")]
    os.write(writing, b"3\n")
    os.close(writing)
    batches = read_to_end(open_slot(reading, state=first.snapshot()))
    assert records_of(batches) == [(0, 2, b"3")]
    assert batches[-1].records_in == 3 and batches[-1].stream == "stdin:-"


def test_a_drain_hands_on_what_was_read(pipe: tuple[int, int]) -> None:
    """What has left the pipe is handed on before the end, the unfinished line included; what has not stays there."""
    reading, writing = pipe
    drains = [False]
    slot = open_slot(reading, drain=lambda: drains[0], limits=BatchLimits(batch_records_max=1))
    os.write(writing, b"1\n2\nunfin")
    assert payloads_of(slot.next_batch()) == [b"1"]
    os.write(writing, b"ished\n")
    drains[0] = True
    assert payloads_of(read_to_end(slot)) == [b"2", b"unfin"]
    assert os.read(reading, 100) == b"ished\n"


def test_a_closed_descriptor_is_an_error(pipe: tuple[int, int]) -> None:
    """Standard input that is not there is an error in plain words."""
    reading, _ = pipe
    os.close(reading)
    with pytest.raises(SourceError, match="standard input cannot be read"):
        open_slot(reading).next_batch()
