"""Queries about a range of time of one project: sooner, and the same rows."""

import json
import random
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from monitor.queries.catalogue import QUERIES
from monitor.queries.run import run_query
from schemas.rows import CONSENSUS, ITEMS, LABELS, REVIEWS
from schemas.timestamps import moment_of
from tests.support.clickhouse_rows import MINUTE, NINE, migrated, row, write

SEED = 8
RECENT = [
    pytest.param(name, marks=() if name == "evidence" else pytest.mark.slow)
    for name, query in QUERIES.items()
    if query.period is not None
]
KEYS, VERSIONS, HOURS = 40, 400, 48


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A database where labels and items come, change, move in time and cease, in two generations."""
    with migrated(tmp_path_factory.mktemp("recent")) as (dsn, client):
        chance = random.Random(SEED)
        for generation in (0, 1):
            for first in range(1, VERSIONS, 100):
                versions = range(first, first + 100)
                write(dsn, {LABELS: [label(chance, version, generation) for version in versions],
                            ITEMS: [item(chance, version, generation) for version in versions]})  # fmt: skip
        latest = {"generation": 1, "version": (1 << 48) + 1}
        known = [row(CONSENSUS, item_id=f"i{key}", confidence=0.5, **latest) for key in range(KEYS)]
        reviews = [row(REVIEWS, annotation_id=f"a{key}", is_first=1, **latest) for key in range(KEYS)]
        write(dsn, {CONSENSUS: known, REVIEWS: reviews})
        client.command("INSERT INTO generations VALUES ('p', 1, now64(6), 1)")
        yield client


def times(chance: random.Random, version: int) -> int:
    """Return a time that mostly grows with the version; some are of long ago."""
    hour = version * HOURS // VERSIONS if chance.random() < 0.8 else chance.randrange(HOURS)
    return NINE + hour * 60 * MINUTE


def label(chance: random.Random, version: int, generation: int) -> tuple:
    """Return a version of a label."""
    at = times(chance, version)
    return row(
        LABELS, item_id=f"i{(key := chance.randrange(KEYS)) // 2}", annotation_id=f"a{key}", first_at=at,
        occurred_at=at, score=chance.choice([None, 0.0, 1.0]), annotator_id=chance.choice("wx"),
        attributes={"team": chance.choice(["red", "blue"])}, is_deleted=int(chance.random() < 0.2),
        generation=generation, version=(generation << 48) + version,
    )  # fmt: skip


def item(chance: random.Random, version: int, generation: int) -> tuple:
    """Return a version of an item."""
    return row(
        ITEMS, item_id=f"i{chance.randrange(KEYS)}", labels=3, annotators=3, top_share=chance.choice([0.4, 0.7, 1.0]),
        truth=None, last_at=times(chance, version), is_deleted=int(chance.random() < 0.2), generation=generation,
        version=(generation << 48) + version,
    )  # fmt: skip


@pytest.mark.parametrize("name", RECENT)
def test_a_range_of_a_project_has_the_same_rows_either_way(client: Client, name: str) -> None:
    """Whatever moved into the range, out of it or ceased: as if all versions had been merged first."""
    query = QUERIES[name]
    shown = 0
    for since, until in ((0, HOURS), (12, 30), (40, HOURS), (47, HOURS), (HOURS + 1, HOURS + 2)):
        given = {
            "project": "p", "since": f"{moment_of(NINE + since * 60 * MINUTE):%Y-%m-%dT%H:%M:%SZ}",
            "until": f"{moment_of(NINE + until * 60 * MINUTE):%Y-%m-%dT%H:%M:%SZ}",
            **({"slice": "team"} if "slice" in query.parameters else {}),
        }  # fmt: skip
        assert query.sql_for(given) != query.sql
        sooner = json.loads(run_query(client, name, format="json", parameters=given))
        values = {key: parameter.default for key, parameter in query.parameters.items()} | given
        values |= {key: str(values[key]).replace("T", " ").removesuffix("Z") for key in ("since", "until")}
        values |= {"database": "labelpulse", "scope": [], "limit": 10_000}
        settings = "date_time_output_format = 'iso', output_format_json_quote_64bit_integers = 0"
        lines = client.raw_query(f"{query.sql}\nSETTINGS {settings}", values, fmt="JSONEachRow").splitlines()
        assert sooner == [json.loads(line) for line in lines]
        shown += len(sooner)
    assert shown
