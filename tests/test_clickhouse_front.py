"""The server that tests use: what it answers is what the engine answers, and its faults are faults."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from sinks.clickhouse.client import connect
from tests.support.clickhouse_front import ClickHouseFront, Fault, FaultKind


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseFront]:
    """A server over an empty database."""
    with ClickHouseFront(tmp_path_factory.mktemp("front")) as front, connect(front.dsn) as client:
        client.command("CREATE DATABASE labelpulse", use_database=False)
        yield front


@pytest.fixture(params=["", "?compress=zstd", "?compress=gzip", "?compress=false"], ids=str)
def client(front: ClickHouseFront, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A connection with each way of compression, and a table."""
    front.clear()
    with connect(front.dsn + request.param) as client:
        client.command(
            "CREATE OR REPLACE TABLE numbers (number UInt64, text String) ENGINE = MergeTree ORDER BY number"
        )
        yield client


def test_an_insert_of_many_blocks_arrives_whole(client: Client) -> None:
    """The client sends large inserts as many compressed blocks: all of them count."""
    rows = [[number, "x" * 50] for number in range(100_000)]
    client.insert("numbers", rows, column_names=["number", "text"])
    assert client.query("SELECT count(), sum(number) FROM numbers").result_rows == [(100_000, sum(range(100_000)))]


def test_a_setting_of_one_request_reaches_no_other(client: Client) -> None:
    """Settings belong to their request, whether it succeeds or fails."""
    query = "SELECT value FROM system.settings WHERE name = 'max_result_rows'"
    before = client.command(query)
    assert client.command(query, settings={"max_result_rows": 7}) == 7
    with pytest.raises(DatabaseError):
        client.command("SELECT * FROM nothing", settings={"max_result_rows": 7})
    assert client.command(query) == before


@pytest.mark.parametrize("length", [1, 100_000], ids=["in the address", "in the body"])
def test_parameters_are_bound(client: Client, length: int) -> None:
    """Values come through as they are, short ones and long ones, which travel another way."""
    values: dict[str, Any] = {"text": "ä'\\{b}\t" * length, "at": datetime(2026, 1, 5, tzinfo=UTC), "none": None}
    read = client.query("SELECT {text:String}, {at:DateTime('UTC')}, {none:Nullable(String)}", values).first_row
    assert read[0] == values["text"]
    assert (str(read[1])[:10], read[2]) == ("2026-01-05", None)


def test_errors_carry_their_code(client: Client) -> None:
    """A statement that fails is answered with ClickHouse's code and message."""
    with pytest.raises(DatabaseError, match="nothing") as failed:
        client.query("SELECT * FROM nothing")
    assert failed.value.code == 60


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER, FaultKind.HALF_ANSWER])
def test_a_cut_answer_is_an_error(front: ClickHouseFront, client: Client, kind: FaultKind) -> None:
    """A connection that ends too early is never taken for an answer; the statement took effect or not as it says."""
    front.inject(Fault(kind, "INSERT INTO numbers", times=2))
    with pytest.raises(OperationalError):
        client.command("INSERT INTO numbers SELECT number, '' FROM system.numbers LIMIT 5")
    front.clear()
    assert client.command("SELECT count() FROM numbers") == (0 if kind is FaultKind.RESET_BEFORE else 5)


def test_faults_hit_what_they_say(front: ClickHouseFront, client: Client) -> None:
    """A fault lets as many requests pass as it says, hits as often as it says, and only what matches."""
    front.inject(Fault(FaultKind.STATUS, "SELECT 2", after=1, times=2, status=500, code=241))
    outcomes = []
    for statement in ("SELECT 2", "SELECT 3", "SELECT 2", "SELECT 2", "SELECT 2"):
        try:
            outcomes.append(client.command(statement))
        except DatabaseError as error:
            outcomes.append(f"code {error.code}")
    assert outcomes == [2, 3, "code 241", "code 241", 2]


def test_only_users_get_in(front: ClickHouseFront) -> None:
    """With users, a wrong password is answered as ClickHouse does."""
    front.users = {"me": "secret"}
    try:
        with pytest.raises(Exception, match="does not let the user 'me' in"):
            connect(front.dsn.replace("//", "//me:wrong@"))
        connect(front.dsn.replace("//", "//me:secret@")).close()
    finally:
        front.users = None
