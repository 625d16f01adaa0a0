"""Dead letters: found, mended and appended to a log again, where they count like any other record."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer

from flows.cli.main import run_arguments
from flows.dead_letters import DeadLetter, Mended, Patch, Unmended, dead_letters, mend, open_writer, read_patch
from schemas.errors import ConfigurationError, UnavailableError
from tests.support.clickhouse_rows import migrated
from tests.support.events import gold, label
from tests.support.filling import empty, fill, write_log

pytest_plugins = ["tests.support.broker"]

BROKEN = json.loads(label("e2", 20, "a2", "none"))
del BROKEN["item_id"]
LINES = [
    label("e1", 10, "a1", "none"),
    json.dumps(BROKEN).encode(),
    b'{"type":',
    label("e3", 30, "a3", "none").replace(b'"revision": 0', b'"revision": -1'),
    gold("g1", 40, "none"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Client]]:
    """A migrated database: its DSN and a connection."""
    with migrated(tmp_path_factory.mktemp("letters")) as opened:
        yield opened


@pytest.fixture
def log(engine: tuple[str, Client], tmp_path: Path) -> Path:
    """A log with three bad records, whose figures are in the database."""
    empty(engine[1])
    path = write_log(tmp_path / "log", LINES)
    fill(engine[0], LINES, stream=f"file:{path}")
    return path


def letter(payload: bytes, *, offset: int = 1, size: int | None = None) -> DeadLetter:
    """Return a dead letter."""
    return DeadLetter(("s", 0, offset), "decode", "missing_field", "why", None, payload, size or len(payload))


def account(client: Client) -> dict[str, int]:
    """Return the accounts of the log."""
    query = "SELECT events_in, folded, duplicate, late, dead FROM progress"
    [row] = client.query(query).named_results()
    return dict(row)


def test_a_replayed_record_counts_once_and_the_accounts_stay_right(engine, log, tmp_path, capsys):
    """A mended letter becomes a record of the log: folded once however often it is replayed; accounts balance."""
    dsn, client = engine
    assert account(client) == {"events_in": 5, "folded": 2, "duplicate": 0, "late": 0, "dead": 3}
    patch = tmp_path / "patch.json"
    patch.write_text('{"item_id": "i", "revision": 0}')
    command = ["dead-letters", "replay", "--clickhouse", dsn, "--reason", "missing_field", "--reason", "invalid_value",
               "--patch", str(patch), "--to", f"file:{log}"]  # fmt: skip
    for _ in range(2):
        assert run_arguments(command) == 0
    assert "2 of 2 dead letters appended" in capsys.readouterr().out
    lines = log.read_bytes().splitlines()
    assert lines[: len(LINES)] == LINES and len(lines) == len(LINES) + 4
    empty(client)
    fill(dsn, lines, stream=f"file:{log}")
    assert account(client) == {"events_in": 9, "folded": 4, "duplicate": 2, "late": 0, "dead": 3}
    labels = client.query("SELECT annotation_id FROM labels ORDER BY 1").result_columns[0]
    assert labels == ["a1", "a2", "a3"]


def test_a_mended_record_keeps_nothing_of_the_old_reason(engine, log):
    """What is appended is the event alone: no reason, no position, nothing that was not in the record or the patch."""
    [broken] = dead_letters(engine[1], reasons=["missing_field"], project=None, limit=9)
    mended = mend(broken, Patch({"item_id": "i"}, {}))
    assert isinstance(mended, Mended)
    assert json.loads(mended.payload) == BROKEN | {"item_id": "i"}
    assert mended.project_id == "p"


def test_what_would_be_refused_again_is_left_out(engine, log, tmp_path, capsys):
    """A letter that is still no event is told and not appended, and the exit code says that not all were."""
    target = tmp_path / "other"
    target.write_bytes(b"unfinished")
    command = ["dead-letters", "replay", "--clickhouse", engine[0], "--to", f"file:{target}"]
    assert run_arguments([*command, "--reason", "not_json"]) == 1
    told = capsys.readouterr()
    assert "0 of 1 dead letters" in told.out and "offset 2: it is still no event" in told.err
    assert target.read_bytes() == b"unfinished"
    assert run_arguments([*command, "--reason", "no_such_reason"]) == 3
    assert run_arguments(command) == 3


def test_letters_are_listed_with_all_that_mending_needs(engine, log, tmp_path, capsys):
    """The listed lines, edited, are a patch: each names its record and brings its own change."""
    assert run_arguments(["dead-letters", "list", "--clickhouse", engine[0], "--format", "json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["offset"], line["error_code"]) for line in listed] == [
        (1, "missing_field"), (2, "not_json"), (3, "invalid_value")
    ]  # fmt: skip
    listed[0]["patch"] = {"item_id": "i7"}
    listed[1]["payload"] = LINES[0].decode().replace("e1", "e9")
    file = tmp_path / "edited.jsonl"
    file.write_text("\n".join(map(json.dumps, listed[:2])))
    patch = read_patch(file)
    outcomes = [mend(found, patch) for found in dead_letters(engine[1], reasons=[], project=None, limit=9)]
    assert [type(outcome) for outcome in outcomes] == [Mended, Mended, Unmended]
    assert json.loads(outcomes[0].payload)["item_id"] == "i7"
    assert run_arguments(["dead-letters", "list", "--clickhouse", engine[0]]) == 0
    assert "1 missing_field" in capsys.readouterr().err


def test_a_letter_that_was_cut_cannot_be_replayed():
    """Of an oversized record only a part is kept: it is left out, unless the patch brings the whole."""
    cut = letter(LINES[0][:50], size=len(LINES[0]))
    assert mend(cut).reason.startswith("only 50 of its")
    assert mend(cut, Patch({}, {cut.position: LINES[0].decode()})) == Mended("p", LINES[0])


@pytest.mark.parametrize("text", ["", "[]", "3", '{"a": 1}\n{"b": 2}', '{"stream": "s", "partition": 0, "offset": 1}'])
def test_a_patch_of_no_known_form_is_refused(tmp_path, text):
    """A patch is one object, or lines that name a record and a change; anything else is refused."""
    file = tmp_path / "patch"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="the patch .* cannot be used"):
        read_patch(file)


def test_patches_need_an_object_to_be_applied_to():
    """A patch cannot mend what is no JSON object, and says so."""
    for payload in (b"[1]", b"{", b"\xff"):
        assert "no patch can be applied" in mend(letter(payload), Patch({"a": 1}, {})).reason


def test_lines_go_to_plain_files_only(tmp_path):
    """Records are appended to a plain file, after whatever it ends with; not to directories or compressed files."""
    path = tmp_path / "log"
    path.write_bytes(b"no end of line")
    writer = open_writer(f"file:{path}", options={})
    writer.append(Mended("p", b'{"a":\n1}'))
    writer.close()
    assert path.read_bytes() == b'no end of line\n{"a":1}\n'
    for place in (tmp_path, tmp_path / "log.gz"):
        with pytest.raises(ConfigurationError, match="cannot be appended"):
            open_writer(f"file:{place}", options={})


@pytest.mark.kafka
def test_records_go_to_a_topic_under_their_project(broker):
    """On a real broker a mended record arrives with its project as the key, and without headers."""
    topic = broker.create_topic(partitions=2)
    url = f"kafka://{broker.bootstrap}/{topic}"
    writer = open_writer(url, options={})
    writer.append(Mended("p", LINES[0]))
    writer.close()
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "t", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    [message] = consumer.consume(1, 30)
    consumer.close()
    assert (message.key(), message.value(), message.headers()) == (b"p", LINES[0], None)
    with pytest.raises(UnavailableError, match="cannot be used"):
        open_writer(url + "-absent", options={"allow.auto.create.topics": "false"})
