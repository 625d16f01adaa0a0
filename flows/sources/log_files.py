"""The files that make up a log: their order, and how each is read."""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from backports import zstd

from schemas.errors import ConfigurationError, SourceError

GZIP_SUFFIX = ".gz"
ZSTD_SUFFIXES = (".zst", ".zstd")
IGNORED_PREFIXES = (".", "_")
IGNORED_SUFFIX = ".tmp"
SKIP_BYTES = 1_048_576


class FileList:
    """The files of a log in the order in which they are read: one file, or those of a directory by name.

    Files whose name starts with a dot or an underscore or ends with ``.tmp`` do not belong to it, nor do directories.

    Raises
    ------
    ConfigurationError
        If there is no file or directory that can be read at the path.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ConfigurationError(f"there is no file or directory {path}", remedy="correct the path of the source")
        if not (path.is_file() or path.is_dir()):
            raise ConfigurationError(f"{path} is not a file or directory", remedy="read a pipe with --source -")
        if not os.access(path, os.R_OK):
            raise ConfigurationError(f"{path} may not be read", remedy="give the user of the flow the right to read it")
        if not _is_text(str(path)):
            raise ConfigurationError(f"{str(path)!r} is not UTF-8", remedy="rename the file or directory")
        self._only = None if path.is_dir() else path.name
        self.folder = path if path.is_dir() else path.parent

    def names(self) -> list[str]:
        """Return the names of the files as they are now, in order."""
        if self._only is not None:
            return [self._only]
        with reading(self.folder), os.scandir(self.folder) as entries:
            return sorted(entry.name for entry in entries if _belongs(entry.name) and entry.is_file())

    def path(self, name: str) -> Path:
        """Return the path of one of the files."""
        return self.folder / name


def _belongs(name: str) -> bool:
    return not (name.startswith(IGNORED_PREFIXES) or name.endswith(IGNORED_SUFFIX))


def _is_text(path: str) -> bool:
    """Tell whether a path can be kept in the database: names that are not UTF-8 reach Python as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def is_compressed(path: Path) -> bool:
    """Tell by its name whether a file is compressed.

    >>> is_compressed(Path("events.jsonl.gz")), is_compressed(Path("events.jsonl"))
    (True, False)
    """
    return path.name.endswith((GZIP_SUFFIX, *ZSTD_SUFFIXES))


def open_at(path: Path, position: int) -> BinaryIO:
    """Open a file for reading on.

    Parameters
    ----------
    path
        The file; its name says how it is compressed.
    position
        Where to read on, in bytes of what it holds uncompressed.

    Raises
    ------
    SourceError
        If the file cannot be read, or ends before the position.
    """
    with reading(path):
        if is_compressed(path):
            file = _open_compressed(path)
            reached = _skip(file, position)
        else:
            file = open(path, "rb", buffering=0)  # noqa: SIM115
            reached = file.seek(min(position, os.fstat(file.fileno()).st_size))
    if reached < position:
        file.close()
        raise SourceError(
            f"{path} ends at byte {reached:,}, but {position:,} bytes of it have been read before",
            remedy="put the file back as it was, or start over with an empty recovery directory",
        )
    return cast(BinaryIO, file)


def _open_compressed(path: Path) -> BinaryIO:
    open_file = gzip.open if path.name.endswith(GZIP_SUFFIX) else zstd.open
    return cast(BinaryIO, open_file(path))


def _skip(file: BinaryIO, position: int) -> int:
    """Read over what comes before a position; return the position reached."""
    left = position
    while left and (piece := file.read(min(left, SKIP_BYTES))):
        left -= len(piece)
    return position - left


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in plain words why a file or directory cannot be read."""
    try:
        yield
    except FileNotFoundError as error:
        remedy = "put it back, or start over with an empty recovery directory"
        raise SourceError(f"{path} has vanished while it was to be read", remedy=remedy) from error
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise _damaged(path, error) from error
        remedy = "check that the disk is there and the user of the flow may read it"
        raise SourceError(f"{path} cannot be read: {error.strerror or error}", remedy=remedy) from error
    except (EOFError, zlib.error, zstd.ZstdError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{path} is not a whole compressed file: {error}",
        remedy="replace it with an undamaged copy; write new files as NAME.tmp and rename them when complete",
    )
