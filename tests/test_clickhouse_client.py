"""Connections: what can be opened, and what people are told when something cannot."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError, LabelpulseError, UnavailableError
from sinks.clickhouse.client import SESSION_SETTINGS, connect, is_embedded
from tests.support.clickhouse_front import ClickHouseFront, Fault, FaultKind

OPEN_AND_WAIT = """
import sys
from sinks.clickhouse.client import connect
client = connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_folders_of_an_embedded_database_are_made(tmp_path: Path) -> None:
    """The first start needs no preparation."""
    path = tmp_path / "not" / "there" / "yet"
    with connect(f"chdb://{path}") as client:
        assert client.command("SELECT 1", use_database=False) == 1
        assert is_embedded(client)
        assert client.database == "labelpulse"
    assert path.is_dir()


def test_a_database_open_in_another_process_is_said_to_be(tmp_path: Path) -> None:
    """The embedded engine takes one process at a time: the second one gets one plain line with what to do."""
    path = tmp_path / "database"
    with subprocess.Popen(
        [sys.executable, "-c", OPEN_AND_WAIT, f"chdb://{path}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(UnavailableError, match="is open in another process") as refused:
            connect(f"chdb://{path}")
        other.communicate("")
    assert "server" in refused.value.remedy
    with connect(f"chdb://{path}") as client:
        assert client.command("SELECT 1", use_database=False) == 1, "free again"


def test_a_second_path_in_one_process_is_refused(tmp_path: Path) -> None:
    """A process can have one embedded engine open, and is told so."""
    with (
        connect(f"chdb://{tmp_path / 'one'}"),
        pytest.raises(UnavailableError, match="this process has another one open"),
    ):
        connect(f"chdb://{tmp_path / 'two'}")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A path that cannot be a folder is an error that names it."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UnavailableError, match=str(file)):
        connect(f"chdb://{file}")


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_server_that_is_not_there_is_said_to_be(host: str) -> None:
    """Neither password nor internals of the client are in the message."""
    with pytest.raises(UnavailableError) as refused:
        connect(f"clickhouse://me:hush-hush@{host}:{free_port()}")
    text = refused.value.message + refused.value.remedy
    assert host in text
    assert "hush-hush" not in text
    assert "HTTPConnection" not in text
    assert "\n" not in text


def test_a_wrong_password_is_an_error_of_configuration(tmp_path: Path) -> None:
    """Who may not in is told so by name of the user, without the password; who may, gets in."""
    with ClickHouseFront(tmp_path, users={"me": "right"}) as front:
        with pytest.raises(ConfigurationError, match="does not let the user 'me' in") as refused:
            connect(f"clickhouse://me:wrong-one@127.0.0.1:{front.port}")
        assert "wrong-one" not in refused.value.message + refused.value.remedy
        with connect(f"clickhouse://me:right@127.0.0.1:{front.port}") as client:
            assert client.command("SELECT 1", use_database=False) == 1
            assert not is_embedded(client)


@pytest.mark.parametrize("status", [404, 502])
def test_what_is_no_clickhouse_is_said_to_be_unusable(tmp_path: Path, status: int) -> None:
    """A web server or proxy in the place of ClickHouse is an error, not a traceback."""
    with ClickHouseFront(tmp_path) as front:
        front.inject(Fault(FaultKind.STATUS, times=None, status=status, message="<html>not here</html>"))
        with pytest.raises(LabelpulseError, match=f"127.0.0.1:{front.port} cannot be used"):
            connect(front.dsn)


def test_settings_are_in_force_on_both_ways(tmp_path: Path) -> None:
    """The settings that inserts rely on hold for an embedded engine and for a server."""
    names = ", ".join(f"'{name}'" for name in SESSION_SETTINGS)
    query = f"SELECT name, value FROM system.settings WHERE name IN ({names})"
    with ClickHouseFront(tmp_path) as front, connect(front.dsn) as server, connect(f"chdb://{tmp_path}") as embedded:
        for client in (server, embedded):
            client.database = None
            in_force = dict(client.query(query).result_rows)
            assert in_force == {name: str(value) for name, value in SESSION_SETTINGS.items()}
