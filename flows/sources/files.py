"""JSON-lines files and directories of them, plain or compressed, read to their end or followed as they grow."""

import os
import time
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import BinaryIO

from flows.sources.lines import NOTHING, LineBuffer, Lines
from flows.sources.log_files import FileList, is_compressed, open_at, reading
from flows.sources.ordinals import OneSlotSource, OrdinalSlot
from flows.sources.slots import SlotContext, State
from schemas.errors import SourceError
from schemas.records import RecordBatch

LISTING_SECONDS = 1.0


class FileSource(OneSlotSource):
    r"""Each line of a file, or of the files of a directory in name order, is a record; its offset is its ordinal.

    An empty line is a record, too. What follows the last ``\n`` is a record once the file is known to be complete: when
    reading to the end, when a later file exists, or when the file is compressed.

    Parameters
    ----------
    path
        A file or directory; ``.gz``, ``.zst`` and ``.zstd`` files are decompressed.
    until_eof
        End when all has been read, instead of waiting for lines and for files whose names come later.
    context
        Limits, drain and counters.
    listing_seconds
        A followed directory is looked through for later files every so many seconds.

    Raises
    ------
    ConfigurationError
        If there is nothing to be read at the path.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        until_eof: bool,
        context: SlotContext = SlotContext(),  # noqa: B008
        listing_seconds: float = LISTING_SECONDS,
    ) -> None:
        absolute = Path(os.path.abspath(path))
        self.stream = f"file:{absolute}"
        self._files = FileList(absolute)
        self._until_eof = until_eof
        self._context = context
        self._listing_seconds = listing_seconds

    def build_part(self, step_id: str, for_part: str, resume_state: State | None) -> "FileSlot":
        """Return the slot that reads the files, from where `resume_state` says."""
        return FileSlot(
            self.stream,
            self._files,
            until_eof=self._until_eof,
            context=self._context,
            listing_seconds=self._listing_seconds,
            state=resume_state,
        )


class FileSlot(OrdinalSlot):
    """Reads the files one after the other."""

    def __init__(
        self,
        stream: str,
        files: FileList,
        *,
        until_eof: bool,
        context: SlotContext,
        listing_seconds: float,
        state: State | None,
    ) -> None:
        super().__init__(stream, context=context, state=state)
        self._files = files
        self._until_eof = until_eof
        self._listing_seconds = listing_seconds
        self._list_at = 0.0
        self._lines = LineBuffer(self._limits)
        self._reader: BinaryIO | None = None
        self._name: str | None = None
        self._files_before = 0
        self._read_to = 0
        self._successor: str | None = None
        self._successor_files_before = 0
        if state is not None:
            self._resume(state)

    def read(self) -> list[RecordBatch]:
        """Return the next lines that are there; raise StopIteration at the end of the last file."""
        while True:
            lines = self._lines.take()
            if not lines[0] and self._reader is None and not self._open_next():
                if self._until_eof:
                    raise StopIteration
                return []
            if not lines[0] and not self._read_piece():
                if not self._is_complete():
                    return []
                lines = self._finish_file()
            if lines[0]:
                return [self.batch(*lines)]

    def snapshot(self) -> State:
        """Return where the next line starts."""
        return super().snapshot() | {
            "file": self._name,
            "position": self._read_to - self._lines.pending,
            "files_before": self._files_before,
        }

    def close(self) -> None:
        """Close the file that is being read."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _resume(self, state: State) -> None:
        self._files_before = state["files_before"]
        if state["file"] is not None:
            self._name, self._read_to = state["file"], state["position"]
            self._require_order(self._files.names())
            self._reader = open_at(self._files.path(self._name), self._read_to)

    def _read_piece(self) -> bool:
        """Read on in the file; return False at its end."""
        assert self._reader is not None and self._name is not None
        with reading(self._files.path(self._name)):
            piece = self._reader.read(self._lines.read_bytes)
        self._lines.feed(piece)
        self._read_to += len(piece)
        return bool(piece)

    def _is_complete(self) -> bool:
        """Tell, at the end of a file, whether nothing can be appended to it any more."""
        assert self._name is not None
        if is_compressed(self._files.path(self._name)):
            return True
        self._require_same_file()
        if self._until_eof or self._successor is not None:
            return True
        # Its last lines may have been written after the end was met and before the later file appeared: read once more.
        return self._find_successor() and not self._read_piece()

    def _finish_file(self) -> Lines:
        self.close()
        return self._lines.finish() if self._lines.pending else NOTHING

    def _open_next(self) -> bool:
        """Open the file that comes next; return False if there is none yet."""
        if self._successor is None and not self._find_successor():
            return False
        assert self._successor is not None
        self._reader = open_at(self._files.path(self._successor), 0)
        self._name, self._successor, self._read_to = self._successor, None, 0
        self._files_before = self._successor_files_before
        return True

    def _find_successor(self) -> bool:
        """Look for the first file after the present one; where there was none, not again for a while."""
        if not self._until_eof and time.monotonic() < self._list_at:
            return False
        names = self._files.names()
        self._require_order(names)
        index = 0 if self._name is None else bisect_right(names, self._name)
        if index < len(names):
            self._successor, self._successor_files_before = names[index], index
        else:
            self._list_at = time.monotonic() + self._listing_seconds
        return self._successor is not None

    def _require_order(self, names: list[str]) -> None:
        """Raise if a file has appeared before the present one: its records would have no place in the order."""
        if self._name is None:
            return
        before = bisect_left(names, self._name)
        if before > self._files_before:
            raise SourceError(
                f"a file has appeared in {self._files.folder} whose name comes before {self._name}, already being read",
                remedy="give later files later names, and move the new one behind those that were read",
            )
        self._files_before = before

    def _require_same_file(self) -> None:
        """Raise if a followed file has been cut or replaced."""
        assert self._name is not None and self._reader is not None
        path = self._files.path(self._name)
        with reading(path):
            there, opened = path.stat(), os.fstat(self._reader.fileno())
        if there.st_ino != opened.st_ino or there.st_dev != opened.st_dev or there.st_size < self._read_to:
            raise SourceError(
                f"{path} was cut or replaced while it was being read",
                remedy="let logs rotate into a directory, each file under a later name, and read the directory",
            )
