"""docs/queries.md: each statement runs on real rows and gives what is counted from the labels by hand."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from schemas.timestamps import moment_of
from tests.support.clickhouse_rows import MINUTE, NINE, migrated, write
from tests.support.monitored import CLASSES, CLOCK, Label, accuracy_of, world_labels, world_rows

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "queries.md"
QUESTION = re.compile(r"^## (\d+)\. (.+?)$.*?```sql\n(.*?)```", flags=re.MULTILINE | re.DOTALL)
STATEMENTS = {int(number): sql for number, _, sql in QUESTION.findall(DOCUMENT.read_text())}
LABELS = world_labels()
OF_SENTIMENT = [one for one in LABELS if one.project_id == "sentiment"]
JUDGED = [one for one in OF_SENTIMENT if one.truth is not None]
Expected = Callable[[], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A connection to a database with the small world in it."""
    with migrated(tmp_path_factory.mktemp("documented")) as (dsn, client):
        write(dsn, world_rows(LABELS))
        yield client


def by(labels: Iterable[Label], name: str) -> dict[Any, list[Label]]:
    """Return labels by one of their fields."""
    groups = defaultdict(list)
    for one in labels:
        groups[getattr(one, name)].append(one)
    return dict(sorted(groups.items()))


def accuracies() -> dict[str, float]:
    """Return the accuracy of each annotator with known answers."""
    return {who: sum(one.score for one in of) / len(of) for who, of in by(JUDGED, "annotator_id").items()}


def votes() -> dict[str, tuple[str, float, int, str | None]]:
    """Return the leading answer of each item, its share, how many people voted, and the known answer."""
    found = {}
    for item, of in by(OF_SENTIMENT, "item_id").items():
        [(top, count), *_] = sorted(Counter(one.label for one in of).items(), key=lambda pair: (-pair[1], pair[0]))
        found[item] = (top, count / len(of), len({one.annotator_id for one in of}), of[0].truth)
    return found


def doubts() -> list[tuple[Any, ...]]:
    """Return the items in most doubt."""
    found = [
        (item, top, people, round(1 - (share * people + 1) / (people + 2), 3))
        for item, (top, share, people, truth) in votes().items()
        if truth is None
    ]
    return sorted(found, key=lambda one: (-one[3], one[0]))[:5]


def class_shares() -> list[tuple[Any, ...]]:
    """Return the share of each class in the last two hours and before, the greatest gain first."""
    since = max(one.at for one in OF_SENTIMENT) - 120 * MINUTE
    now = Counter(one.label for one in OF_SENTIMENT if one.window_start >= since)
    before = Counter(one.label for one in OF_SENTIMENT if one.window_start < since)
    shares = [(name, now[name] / now.total(), before[name] / before.total()) for name in CLASSES]
    ranked = sorted(((name, round(a, 3), round(b, 3)) for name, a, b in shares), key=lambda one: one[2] - one[1])
    return ranked


def tokyo_days() -> list[tuple[Any, ...]]:
    """Return labels and accuracy of each day in Tokyo: midnight there is 15:00 UTC."""
    midnight = NINE + 6 * 60 * MINUTE
    days = ((date(2026, 1, 5), lambda at: at < midnight), (date(2026, 1, 6), lambda at: at >= midnight))
    rows = []
    for day, holds in days:
        of = [one for one in OF_SENTIMENT if holds(one.window_start)]
        rows.append((day, len(of), round(accuracy_of(of)["accuracy"], 3)))
    return rows


def hourly() -> list[tuple[Any, ...]]:
    """Return the labels of each annotator by hour of work."""
    hour = 60 * MINUTE
    found = [
        (who, round(len(of) / len({one.window_start // hour for one in of}), 1))
        for who, of in by(OF_SENTIMENT, "annotator_id").items()
    ]
    return sorted(found, key=lambda one: (-one[1], one[0]))


def confused() -> list[tuple[Any, ...]]:
    """Return the most frequent confusions."""
    pairs = Counter((one.truth, one.label) for one in JUDGED if one.truth != one.label)
    return [(*pair, count) for pair, count in sorted(pairs.items(), key=lambda held: (-held[1], held[0]))][:3]


def all_below() -> list[tuple[Any, ...]]:
    """Return who is surely below all annotators together."""
    peers = accuracy_of(JUDGED)["accuracy"]
    found = {who: accuracy_of(of) for who, of in by(JUDGED, "annotator_id").items()}
    rows = [
        (who, round(one["accuracy"], 3), one["gold_labels"])
        for who, one in found.items()
        if one["accuracy_high"] < peers
    ]
    return sorted(rows, key=lambda one: one[1])


EXPECTED: dict[int, Expected] = {
    1: lambda: [
        ("sentiment", len(OF_SENTIMENT), 120, 5, round(accuracy_of(JUDGED)["accuracy"], 3)),
        ("toxicity", 20, 20, 1, None),
    ],
    2: lambda: [("bob", "label", moment_of(CLOCK - 240 * MINUTE).replace(tzinfo=None), 0.95, 0.4)],
    3: all_below,
    4: confused,
    5: doubts,
    6: lambda: sorted(
        ((item, people, top, share) for item, (top, share, people, _) in votes().items() if share <= 0.5),
        key=lambda one: (one[3], one[0]),
    )[:5],
    7: lambda: [("label", 120, 60, 0.5)],
    8: lambda: [("cat", 600.0)],
    9: tokyo_days,
    10: class_shares,
    11: hourly,
    12: lambda: sorted(
        ((who, round(0.05 / share, 4)) for who, share in accuracies().items()), key=lambda one: (-one[1], one[0])
    ),
    13: lambda: [
        (one.annotator_id, one.label, one.score, round(accuracies()[one.annotator_id], 3))
        for one in sorted(OF_SENTIMENT, key=lambda one: one.annotator_id)
        if one.item_id == "item-0"
    ],
    14: lambda: [
        (team, len(of), round(accuracy_of(of)["accuracy"], 3)) for team, of in by(OF_SENTIMENT, "team").items()
    ],
    15: lambda: [(20,)],
    16: lambda: [(60, *right_majorities())],
    17: lambda: [("not_json", 2, "no JSON")],
    18: lambda: [("log", 0, len(LABELS) + 4, len(LABELS) + 4, 0)],
    19: lambda: [("toxicity", 4)],
    20: lambda: [("rita", 10, 4, 0.75)],
    21: lambda: [("annotate", len(OF_SENTIMENT), None), ("review", 10, 30.0)],
    22: lambda: [(round((0.05 * len(OF_SENTIMENT) + 0.02 * 10) / 8, 2),)],
}


def right_majorities() -> tuple[int, float]:
    """Return how many leading answers are right, and the share."""
    right = sum(top == truth for top, _, _, truth in votes().values() if truth is not None)
    return right, round(right / 60, 3)


def test_there_are_at_least_twenty_questions() -> None:
    """Each question of the document has an expected answer here, and they are numbered without a gap."""
    assert list(STATEMENTS) == list(range(1, len(STATEMENTS) + 1)) == list(EXPECTED)
    assert len(STATEMENTS) >= 20


@pytest.mark.parametrize("number", STATEMENTS)
def test_a_question_gets_the_answer_that_labels_give(client: Client, number: int) -> None:
    """The statement, as it stands in the document, returns what is counted from the labels in plain Python."""
    found = [tuple(held) for held in client.query(STATEMENTS[number]).result_rows]
    assert found, "an empty answer shows nothing"
    assert found == [pytest.approx(held) if _is_numeric(held) else held for held in EXPECTED[number]()]


def _is_numeric(held: tuple[Any, ...]) -> bool:
    return all(isinstance(value, int | float) for value in held)


def test_every_view_of_the_document_is_there(client: Client) -> None:
    """The views that the document names are those of the database, and statements read no table of versions."""
    views = {name for (name,) in client.query("SELECT name FROM system.tables WHERE engine = 'View'").result_rows}
    named = set(re.findall(r"`([a-z_]+)`", DOCUMENT.read_text().partition("## 1.")[0])) - {"labelpulse"}
    assert named - {"labels_versions"} <= views
    assert not any("_versions" in sql for sql in STATEMENTS.values())
