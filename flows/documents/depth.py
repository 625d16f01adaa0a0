"""A guard against JSON that is nested without end, for parsers that would take all memory over it."""

import re
from typing import BinaryIO

from schemas.errors import ErrorCode

DEPTH_MAX = 1_000

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_STRING_END = re.compile(rb'(?:[^"\\]|\\.)*"', re.DOTALL)


class TooDeepError(Exception):
    """The document is nested too deeply."""

    reason_code = ErrorCode.TOO_DEEP


class DepthGuard:
    """A file of JSON that ends with an error where it is nested too deeply at the end of what was read at once.

    What is read at once should be short: inside of it, nesting is not looked at.

    Parameters
    ----------
    stream
        The file.
    depth_max
        Deepest nesting that is let through.
    """

    def __init__(self, stream: BinaryIO, depth_max: int = DEPTH_MAX) -> None:
        self._stream = stream
        self._depth_max = depth_max
        self._depth = 0
        self._is_in_string = False
        self._has_backslash = False

    def read(self, size: int = -1) -> bytes:
        """Read from the file.

        Raises
        ------
        TooDeepError
            If it is nested too deeply by now.
        """
        piece = self._stream.read(size)
        outside = self._outside_of_strings(piece)
        self._depth += outside.count(b"[") + outside.count(b"{") - outside.count(b"]") - outside.count(b"}")
        if self._depth > self._depth_max:
            raise TooDeepError(f"nested more than {self._depth_max} deep")
        return piece

    def _outside_of_strings(self, piece: bytes) -> bytes:
        start = 0
        if self._is_in_string:
            start = int(self._has_backslash)
            end = _STRING_END.match(piece, start)
            if end is None:
                self._enter_string(piece[start:])
                return b""
            start = end.end()
        self._is_in_string = False
        outside = _STRINGS.sub(b"", piece[start:])
        before, quote, inside = outside.partition(b'"')
        if quote:
            self._is_in_string = True
            self._enter_string(inside)
        return before

    def _enter_string(self, inside: bytes) -> None:
        """Note whether the next byte is escaped: what is there ends in an odd number of backslashes."""
        self._has_backslash = (len(inside) - len(inside.rstrip(b"\\"))) % 2 == 1
