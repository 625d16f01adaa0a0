"""The raw log as the audit reads it: a partition after the other, each from its first record on."""

import gzip
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow.parquet as pq
from backports import zstd

from flows.archive.files import archived_files, archived_partitions, archived_stream
from schemas.errors import ConfigurationError, SourceError


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record of the log.

    Parameters
    ----------
    offset
        Position in the partition.
    payload
        Its bytes; an archive may hold a cut copy.
    size
        How many bytes it has.
    stamp
        When the log took it in, in microseconds since the epoch; None where the log does not say.
    """

    offset: int
    payload: bytes
    size: int
    stamp: int | None = None


class Log(ABC):
    """A log to read; `stream` is the name that the flow has for it."""

    stream: str

    @abstractmethod
    def partitions(self) -> list[int]:
        """Return the numbers of the partitions, in order."""

    @abstractmethod
    def records(self, partition: int) -> Iterator[RawRecord]:
        """Yield the records of a partition, in order, to its end."""

    def count_to(self, partition: int, last_offset: int) -> int:
        """Return how many records of a partition stand at or before an offset."""
        return sum(1 for record in self.records(partition) if record.offset <= last_offset)


class FileLog(Log):
    """A file of lines, or a directory of such files read in the order of their names.

    Raises
    ------
    ConfigurationError
        If there is nothing there.
    """

    def __init__(self, path: Path) -> None:
        path = path.absolute()
        if not path.exists():
            raise ConfigurationError(f"there is no file or directory {path}", remedy="correct the path of the log")
        self.stream = f"file:{path}"
        self._files = [path] if path.is_file() else sorted(file for file in path.iterdir() if _is_part(file))

    def partitions(self) -> list[int]:
        """Return the only partition."""
        return [0]

    def records(self, partition: int) -> Iterator[RawRecord]:
        """Yield the lines of all files; the offset of a line is its ordinal."""
        offset = 0
        for file in self._files:
            for payload in _lines(file):
                yield RawRecord(offset, payload, len(payload))
                offset += 1


def _is_part(file: Path) -> bool:
    return file.is_file() and not file.name.startswith((".", "_")) and not file.name.endswith(".tmp")


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with _opened(file) as lines:
            for line in lines:
                yield line.removesuffix(b"\n").removesuffix(b"\r")
    except (OSError, EOFError, zstd.ZstdError) as error:
        raise SourceError(f"{file} cannot be read: {error}", remedy="put an undamaged copy in its place") from error


def _opened(file: Path) -> BinaryIO:
    if file.name.endswith(".gz"):
        return cast(BinaryIO, gzip.open(file))
    if file.name.endswith((".zst", ".zstd")):
        return cast(BinaryIO, zstd.open(file))
    return file.open("rb")


class ArchiveLog(Log):
    """What ``labelpulse archive`` has kept of a topic."""

    def __init__(self, folder: Path) -> None:
        self.stream = archived_stream(folder)
        self._folder = folder

    def partitions(self) -> list[int]:
        """Return the partitions of which something is kept."""
        return archived_partitions(self._folder)

    def records(self, partition: int) -> Iterator[RawRecord]:
        """Yield the records of a partition."""
        for file in archived_files(self._folder, partition):
            for batch in pq.ParquetFile(file).iter_batches():
                stamps = batch["stamp"].cast("int64").to_pylist()
                offsets, payloads, sizes = (batch[name].to_pylist() for name in ("offset", "payload", "size"))
                yield from map(RawRecord, offsets, payloads, sizes, stamps)

    def count_to(self, partition: int, last_offset: int) -> int:
        """Return how many records of a partition stand at or before an offset."""
        count = 0
        for file in archived_files(self._folder, partition):
            offsets = pq.read_table(file, columns=["offset"])["offset"].to_numpy()
            count += int((offsets <= last_offset).sum())
        return count
