"""Control events from a file of JSON lines, to which the monitor and people append."""

from pathlib import Path

BYTES_MAX = 1_048_576


class ControlFile:
    """Reads what was appended to a file, in whole lines. A file that has become shorter is a new one.

    Parameters
    ----------
    path
        The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"file:{path.name}"

    def read(self, position: str | None) -> tuple[list[bytes], str | None]:
        """Return the lines after a position, and the position after them.

        Parameters
        ----------
        position
            As returned before; None for the beginning.
        """
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                offset = int(position or 0)
                offset = offset if offset <= size else 0
                file.seek(offset)
                found = file.read(BYTES_MAX)
        except FileNotFoundError:
            return [], position
        whole = found[: found.rfind(b"\n") + 1]
        if not whole and len(found) == BYTES_MAX:
            whole = found  # no line is that long: skipped, as no event can be read from it
        return [line for line in whole.splitlines() if line.strip()], str(offset + len(whole))

    def close(self) -> None:
        """Nothing is held."""
