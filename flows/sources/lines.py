"""Cuts a stream of bytes into lines, whatever the pieces it arrives in."""

from flows.sources.slots import BatchLimits, cut_oversized

Lines = tuple[list[bytes], dict[int, int]]
"""Lines without their ends, and index → full size in bytes of those that were cut."""

NOTHING: Lines = ([], {})
READ_BYTES_MIN = 4096
READ_BYTES_PER_RECORD = 1024


class LineBuffer:
    r"""Lines of a stream: ``feed`` bytes in, ``take`` complete lines out; ``finish`` gives what is left at the end.

    A line ends with ``\n``, or ``\r\n``. Of a line over the limit no more is held than the limit.

    Parameters
    ----------
    limits
        Most lines and bytes to take at once, and of a line.

    Examples
    --------
    >>> lines = LineBuffer(BatchLimits(record_bytes_max=4))
    >>> lines.feed(b"a\r\n\nabcdefgh\nre")
    >>> lines.take()
    ([b'a', b'', b'abcd'], {2: 8})
    >>> lines.finish()
    ([b're'], {})
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._records_max = limits.batch_records_max
        self._bytes_max = limits.batch_bytes_max
        self._line_bytes_max = limits.record_bytes_max
        self._data = b""
        self._head: bytes | None = None
        self._head_last = b""
        self._head_size = 0

    @property
    def read_bytes(self) -> int:
        """How many bytes to read at once: not many more than the batches need, so that little is held back."""
        few = max(READ_BYTES_MIN, self._records_max * READ_BYTES_PER_RECORD)
        return max(min(self._bytes_max // 2, few), 1)

    @property
    def pending(self) -> int:
        """Bytes that were fed and not taken yet."""
        return len(self._data) + self._head_size

    def feed(self, piece: bytes) -> None:
        """Add the next bytes of the stream."""
        self._data = self._data + piece if self._data else piece

    def take(self) -> Lines:
        """Return the complete lines at hand, as many as a batch may hold; none if there is no complete line."""
        if self._head is not None:
            return self._take_end_of_long_line()
        data = self._data
        lines = data.split(b"\n", self._records_max if len(data) <= self._bytes_max else 1)
        self._data = lines.pop()
        if lines:
            if b"\r" in data:
                lines = [line.removesuffix(b"\r") for line in lines]
            return cut_oversized(lines, self._line_bytes_max)
        if len(self._data) > self._line_bytes_max:
            self._begin_long_line()
        return NOTHING

    def finish(self) -> Lines:
        """Return the line that the stream ends with, if it lacks its end. To be called when `take` returns nothing."""
        if not self.pending:
            return NOTHING
        self.feed(b"\n")
        return self.take()

    def _begin_long_line(self) -> None:
        self._head = self._data[: self._line_bytes_max]
        self._head_last = self._data[-1:]
        self._head_size = len(self._data)
        self._data = b""

    def _take_end_of_long_line(self) -> Lines:
        assert self._head is not None
        end = self._data.find(b"\n")
        part = self._data if end < 0 else self._data[:end]
        self._head_last = part[-1:] or self._head_last
        self._head_size += len(part)
        if end < 0:
            self._data = b""
            return NOTHING
        head, size = self._head, self._head_size - (self._head_last == b"\r")
        self._data = self._data[end + 1 :]
        self._head, self._head_size = None, 0
        return [head], {0: size} if size > self._line_bytes_max else {}
