"""The files of an archive: where they are, what is in them, and how one is written whole or not at all.

::

    DIRECTORY/labelpulse-archive.json                       the log that is kept
    DIRECTORY/partition-00003/00000000000000120000.parquet  records from offset 120,000 on
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import ConfigurationError, IncompatibleStateError, SinkError

MANIFEST_NAME = "labelpulse-archive.json"
FORMAT = 1
SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("stamp", pa.timestamp("us", "UTC")),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("payload", pa.binary(), nullable=False),
    ]
)
"""``stamp`` is when the log took the record in, where it says; ``size`` is the record's, ``payload`` may be cut."""

_SUFFIX = ".parquet"
_UNFINISHED = ".tmp"


@dataclass(frozen=True, slots=True)
class ArchivedRecords:
    """Records of one partition, in order; the lists run in parallel."""

    offsets: Sequence[int]
    stamps: Sequence[int | None]
    sizes: Sequence[int]
    payloads: Sequence[bytes]


def prepare_archive(folder: Path, stream: str) -> None:
    """Make a folder the archive of a log, if it is not yet.

    Raises
    ------
    ConfigurationError
        If the folder cannot be used, or holds something else.
    IncompatibleStateError
        If it is the archive of another log.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / MANIFEST_NAME).exists():
            found = archived_stream(folder)
            if found != stream:
                raise IncompatibleStateError(
                    f"{folder} is the archive of {found}, not of {stream}", remedy="name another directory with --to"
                )
            return
        if strangers := sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".")):
            raise ConfigurationError(
                f"{folder} holds other files ({', '.join(strangers[:3])} …)", remedy="name an empty or new directory"
            )
        _replace(folder / MANIFEST_NAME, json.dumps({"format": FORMAT, "stream": stream}, indent=2).encode())
    except OSError as error:
        raise ConfigurationError(
            f"the archive {folder} cannot be used: {error.strerror}", remedy="name a directory that is writable"
        ) from error


def archived_stream(folder: Path) -> str:
    """Return the name of the log that a folder keeps.

    Raises
    ------
    ConfigurationError
        If it is no archive.
    """
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_text())
        if manifest["format"] != FORMAT:
            raise ValueError(f"it has the format {manifest['format']}")
        return str(manifest["stream"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{folder} is not an archive that can be read: {error}",
            remedy="name the directory that `labelpulse archive --to` was given",
        ) from error


def archived_partitions(folder: Path) -> list[int]:
    """Return the numbers of the partitions of which something is kept."""
    return sorted(int(path.name.removeprefix("partition-")) for path in folder.glob("partition-*"))


def archived_files(folder: Path, partition: int) -> list[Path]:
    """Return the files of a partition in the order of their offsets; no two of them hold the same record."""
    return sorted(partition_folder(folder, partition).glob(f"*{_SUFFIX}"))


def partition_folder(folder: Path, partition: int) -> Path:
    """Return where the files of a partition are."""
    return folder / f"partition-{partition:05d}"


def last_archived(folder: Path, partition: int) -> tuple[int, bytes] | None:
    """Return the last record that is kept of a partition, its offset and payload; None if none is."""
    files = archived_files(folder, partition)
    if not files:
        return None
    try:
        file = pq.ParquetFile(files[-1])
        group = file.read_row_group(file.num_row_groups - 1, columns=["offset", "payload"])
    except (OSError, pa.ArrowException) as error:
        raise ConfigurationError(
            f"{files[-1]} cannot be read: {error}", remedy="remove this file: its records are archived again"
        ) from error
    return group["offset"][-1].as_py(), group["payload"][-1].as_py()


def write_records(folder: Path, partition: int, records: ArchivedRecords) -> Path:
    """Write records, at least one, as a file that is there in whole or not at all, whatever happens.

    Raises
    ------
    SinkError
        If they cannot be written.
    """
    table = pa.table(
        [
            pa.array(records.offsets, pa.int64()),
            pa.array(records.stamps, pa.int64()).cast(SCHEMA.field("stamp").type),
            pa.array(records.sizes, pa.int64()),
            pa.array(records.payloads, pa.binary()),
        ],
        schema=SCHEMA,
    )
    path = partition_folder(folder, partition) / f"{records.offsets[0]:020d}{_SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression="zstd")
        _replace(path, buffer.getvalue())
    except OSError as error:
        raise SinkError(
            f"the archive cannot write {path}: {error.strerror}", remedy="make room or mend the rights, and start again"
        ) from error
    return path


def _replace(path: Path, data: bytes | pa.Buffer) -> None:
    """Write a file under another name, make it durable, and give it its name."""
    unfinished = path.with_name(path.name + _UNFINISHED)
    with unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
