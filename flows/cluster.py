"""A cluster: several processes that run one flow together, each a worker of the engine, over connections of its own."""

import re
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from flows.settings import Settings
from schemas.errors import ConfigurationError
from sinks.clickhouse.dsn import parse_dsn

LOOPBACK = "127.0.0.1"
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:;\s]+):\d{1,5}")


@dataclass(frozen=True, slots=True)
class Member:
    """One process of a cluster.

    Parameters
    ----------
    process_id
        Its number, from 0 on.
    addresses
        Where each process of the cluster listens for the others, HOST:PORT, by number.
    """

    process_id: int
    addresses: tuple[str, ...]

    @property
    def processes(self) -> int:
        """How many processes the cluster has."""
        return len(self.addresses)

    @property
    def is_first(self) -> bool:
        """Whether it does what one process does for all: shows the summary, serves the monitor."""
        return self.process_id == 0


def member_of(settings: Settings, *, has_parent: bool) -> Member | None:
    """Return which process of a cluster this is to be; None for a flow in one process.

    Parameters
    ----------
    settings
        ``process_id`` and ``addresses``.
    has_parent
        Whether it was started by another process of labelpulse, which passes on what one process is asked.

    Raises
    ------
    ConfigurationError
        If one is given without the other, they do not fit, or several processes cannot share what they are to use.
    """
    if settings.process_id is None and settings.addresses is None:
        return None
    addresses = tuple(filter(None, (settings.addresses or "").split(";")))
    if settings.process_id is None or not addresses:
        raise ConfigurationError(
            "a process of a cluster needs both its number and the addresses of all",
            remedy="add --process-id 0 --addresses 'HOST:PORT;HOST:PORT', the same addresses for each process",
        )
    _require_fitting(settings.process_id, addresses)
    if not has_parent and settings.workers > 1:
        raise ConfigurationError("--workers starts a cluster of its own", remedy="leave out --process-id or --workers")
    if not has_parent and settings.recovery is None:
        raise ConfigurationError(
            "a process of a cluster needs a --recovery directory: through it one process asks all to end",
            remedy="add --recovery DIRECTORY, the same for each process",
        )
    if len(addresses) > 1:
        require_server(settings, processes=len(addresses))
    return Member(settings.process_id, addresses)


def require_server(settings: Settings, *, processes: int) -> None:
    """Raise if several processes are to write to a database that only one can open."""
    if parse_dsn(settings.clickhouse).path is not None:
        raise ConfigurationError(
            f"{processes} processes cannot share the embedded database: it can be opened by one process only",
            remedy="name a ClickHouse server with --clickhouse clickhouse://USER@HOST:8123/NAME, or run one worker",
        )


def free_addresses(count: int) -> tuple[str, ...]:
    """Return addresses of this machine that nobody listens at, reachable from it alone."""
    with ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return tuple(f"{LOOPBACK}:{server.getsockname()[1]}" for server in listening)


def _require_fitting(process_id: int, addresses: tuple[str, ...]) -> None:
    wrong = [address for address in addresses if not _ADDRESS.fullmatch(address)]
    if wrong:
        raise ConfigurationError(f"{wrong[0]!r} is not an address", remedy="write HOST:PORT;HOST:PORT;…")
    if len(set(addresses)) < len(addresses):
        raise ConfigurationError("an address is named twice", remedy="each process listens at an address of its own")
    if process_id >= len(addresses):
        raise ConfigurationError(
            f"there is no process {process_id} among {len(addresses)} addresses", remedy="numbers begin with 0"
        )
