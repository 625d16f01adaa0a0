"""labelpulse convert --from TOOL: every form of file, refusals told by place, and exit codes."""

import gzip
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.cli.convert import Format
from flows.cli.failures import ExitCode
from flows.cli.main import run_arguments
from flows.documents.conversion import Told, converted
from flows.documents.depth import DepthGuard, TooDeepError
from flows.documents.document import Document, Unreadable
from flows.documents.reading import read_documents
from schemas.adapters import label_studio
from schemas.adapters.common import AdapterSettings
from schemas.adapters.registry import ADAPTERS, ALIASES, adapter_of
from schemas.events import parse_event
from tests.support.tool_events import PAYLOADS, SHARED_PAYLOADS, documents
from tests.test_adapters_older_exports import XML

CREATED = PAYLOADS / "label-studio/002_ANNOTATION_CREATED__choices_single.json"
SEVERAL = PAYLOADS / "label-studio/008_ANNOTATION_CREATED__multilabel_rating_textarea.json"
PROJECT = PAYLOADS / "label-studio/005_TASKS_CREATED.json"


def convert(*arguments: object) -> int:
    """Run the command."""
    return run_arguments(["convert", *map(str, arguments)])


def lines(text: str) -> list[dict[str, Any]]:
    """Return events, each checked against the contract."""
    found = text.splitlines()
    for line in found:
        parse_event(line.encode())
    return [json.loads(line) for line in found]


def body(path: Path) -> dict[str, Any]:
    """Return the body of a captured request."""
    return json.loads(path.read_text())["body"]


def test_every_tool_can_be_named() -> None:
    """The command takes the name of each adapter, and each name means one."""
    names = {form.value for form in Format} - {Format.ANSWERS_CSV.value}
    assert set(ADAPTERS) <= names
    assert names <= {*ADAPTERS, *ALIASES}
    assert all(adapter_of(name) for name in names)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", ["pretty", "line", "lines", "array", "pretty array"])
def test_every_form_of_a_file_gives_the_same_events(
    form: str, pack: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One document or several, a line each or over many lines, as an array or not, packed or not."""
    bodies = [body(CREATED)] if form in ("pretty", "line") else [body(CREATED), body(PROJECT), body(SEVERAL)]
    texts = {
        "pretty": json.dumps(bodies[0], indent=1),
        "line": json.dumps(bodies[0]),
        "lines": "\n \n" + "\n\n".join(map(json.dumps, bodies)),
        "array": json.dumps(bodies),
        "pretty array": "\ufeff  " + json.dumps(bodies, indent=2),
    }
    path = tmp_path / "file"
    path.write_bytes(pack(texts[form].encode()))
    assert convert("--from", "label-studio", path) == ExitCode.OK
    found = lines(capfd.readouterr().out)
    assert found == [event for one in bodies for event in label_studio.webhook_events(one) if isinstance(event, dict)]


def test_refusals_are_told_by_file_and_place_and_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What tells of no label is a line on standard error with its reason; it does not make the command fail."""
    path = tmp_path / "hooks.jsonl"
    path.write_text("\n".join(json.dumps(body(one)) for one in (PROJECT, CREATED)) + "\n")
    assert convert("--from", "label-studio", path, PROJECT) == ExitCode.OK
    out, err = capfd.readouterr()
    assert len(lines(out)) == 2
    assert f"refused: {path}, line 1: no_label: TASKS_CREATED" in err
    assert f"refused: {PROJECT}, no_label: TASKS_CREATED" in err
    assert "2 events from 3 documents, 1 annotation.submitted, 1 gold.set" in err
    assert "2 parts of them cannot be said by events" in err


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("{}\nnot JSON\n", "line 2", "not_json"),
        ('{"action": 3}\n', "line 1", "wrong_type"),
        ("[" * 100_000, "element 1", "too_deep"),
        ('{"a":' * 100_000 + "1\n", "line 1", "too_deep"),
        ('[{"action": "X"}, {"action"', "element 2", "not_json"),
        ('{\n"action": \n', "", "not_json"),
        ("\x00\n", "line 1", "not_json"),
    ],
)
def test_what_is_no_payload_makes_the_command_fail(
    text: str, place: str, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Broken or foreign documents are told by place and reason, those around them are converted, and the exit is 1."""
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(body(CREATED)))
    bad.write_text(text)
    assert convert("--from", "label-studio", bad, good) == ExitCode.FAILED
    out, err = capfd.readouterr()
    assert len(lines(out)) == 2
    shown = f"unreadable: {bad}, " + (f"{place}: " if place else "") + reason
    assert shown in err
    assert "are no payloads of label-studio" in err


def test_a_packed_file_that_breaks_off_makes_the_command_fail(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The end of a cut file is not taken for the end of the data."""
    path = tmp_path / "cut.gz"
    whole = gzip.compress("\n".join(json.dumps(body(CREATED)) for _ in range(50)).encode(), compresslevel=0)
    path.write_bytes(whole[: len(whole) // 2])
    assert convert("--from", "label-studio", path) == ExitCode.FAILED
    assert "broken from here on" in capfd.readouterr().err


def test_a_zip_archive_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An archive may hold anything: it is to be unpacked first."""
    path = tmp_path / "export.zip"
    path.write_bytes(b"PK\x03\x04rest")
    assert convert("--from", "cvat", path) == ExitCode.REFUSED
    assert "zip archive" in capfd.readouterr().err


def test_xml_of_cvat(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The XML export is read image by image; one that breaks off is no success."""
    path = tmp_path / "annotations.xml"
    path.write_bytes(XML)
    assert convert("--from", "cvat", path) == ExitCode.OK
    whole = lines(capfd.readouterr().out)
    assert {event["question_id"] for event in whole} == {"boxes", "shapes/classes", "tags"}
    path.write_bytes(XML[:-5])
    assert convert("--from", "cvat", path) == ExitCode.FAILED
    out, err = capfd.readouterr()
    assert lines(out) == whole
    assert "image 3: invalid_value: no XML from here on" in err


def test_tables_of_toloka_and_label_studio(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Rows of the table of results and of Label Studio's CSV are read by their headers, with tabs or commas."""
    toloka, flat = tmp_path / "results.tsv", tmp_path / "export.csv"
    header = ("INPUT:image", "OUTPUT:animal", "ASSIGNMENT:assignment_id", "ASSIGNMENT:task_id", "ASSIGNMENT:worker_id",
              "ASSIGNMENT:status", "ASSIGNMENT:started", "ASSIGNMENT:submitted")  # fmt: skip
    row = ("a.png", "cat", "a-1", "t-1", "w1", "SUBMITTED", "2024-05-06T08:00:00", "2024-05-06T08:00:05")
    toloka.write_text("\t".join(header) + "\n" + "\t".join(row) + "\n")
    assert convert("--from", "toloka", "--project", "p", toloka) == ExitCode.OK
    (event,) = lines(capfd.readouterr().out)
    assert (event["item_id"], event["annotator_id"], event["label"]["value"]) == ("t-1", "w1", "cat")

    flat.write_text(
        "annotation_id,annotator,box,created_at,id,lead_time,sentiment,updated_at\n"
        '5,3,"[{""x"":10,""y"":10,""width"":20,""height"":20,""rectanglelabels"":[""car""]}]",'
        "2026-01-05T09:00:00Z,8,2.5,Positive,2026-01-05T09:00:00Z\n"
    )
    config = tmp_path / "config.xml"
    config.write_text(
        '<View><Image name="t" value="$t"/><RectangleLabels name="box" toName="t"/>'
        '<Choices name="sentiment" toName="t"><Choice value="Positive"/></Choices></View>'
    )
    assert convert("--from", "label-studio", "--label-config", config, flat) == ExitCode.OK
    found = {event["question_id"]: event for event in lines(capfd.readouterr().out)}
    assert found["sentiment"]["label"] == {"kind": "categorical", "value": "Positive"}
    assert len(found["box"]["label"]["boxes"]) == 1
    assert (found["box"]["item_id"], found["box"]["annotation_id"], found["box"]["duration_ms"]) == ("8", "5", 2500)


def test_what_people_know_of_a_tool_can_be_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Flags and a file of settings fill in what payloads leave open; flags win."""
    told = tmp_path / "settings.toml"
    told.write_text('project_id = "file"\nstep = "relabel"\n[questions.q]\nkind = "text"\n')
    path = tmp_path / "record.json"
    path.write_text('{"id": "t", "q.responses": ["short"], "q.responses.users": ["u"]}')
    options = ("--tool-settings", told, "--occurred-at", "2026-01-05T09:00:00Z", "--project", "flag")
    assert convert("--from", "argilla", path, *options) == ExitCode.OK
    (event,) = lines(capfd.readouterr().out)
    assert (event["project_id"], event["label"]["kind"]) == ("flag", "text")
    assert event["occurred_at"] == "2026-01-05T09:00:00.000Z"
    told.write_text('colour = "red"\n[questions.q]\nscale = "wide"\n')
    assert convert("--from", "argilla", path, "--tool-settings", told) == ExitCode.REFUSED
    assert {"colour", "scale"} <= set(capfd.readouterr().err.replace(":", " ").replace(".", " ").split())


def test_what_tells_no_time_is_of_the_file_s_and_said_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A document without a time takes that of the file's last change, with a line that says it; its ids stay."""
    path = PAYLOADS / "sagemaker/consolidation_request_without_times.json"
    assert convert("--from", "sagemaker", path) == ExitCode.OK
    out, err = capfd.readouterr()
    assert "tells no time; taken as of" in err
    ids = [event["event_id"] for event in lines(out)]
    assert convert("--from", "sagemaker", path, "--occurred-at", "2026-01-05T09:00:00Z") == ExitCode.OK
    out, err = capfd.readouterr()
    assert [event["event_id"] for event in lines(out)] == ids != []
    assert "tells no time" not in err


def test_workers_responses_are_of_the_item_that_their_folder_names(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ground Truth keeps them in a folder for each object: its name is the item, unless people name another."""
    folder = tmp_path / "iteration-1" / "17"
    folder.mkdir(parents=True)
    (folder / "response.json").write_bytes((PAYLOADS / "sagemaker/worker_response.json").read_bytes())
    assert convert("--from", "sagemaker", folder / "response.json") == ExitCode.OK
    assert {event["item_id"] for event in lines(capfd.readouterr().out)} == {"17"}
    assert convert("--from", "sagemaker", folder / "response.json", "--item", "t") == ExitCode.OK
    assert {event["item_id"] for event in lines(capfd.readouterr().out)} == {"t"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "answers-csv", "a.csv"), "needs --project"),
        (("--from", "answers-csv", "a.csv", "b.csv", "--project", "p"), "takes one file"),
        (("--from", "argilla", "a.json", "--gold", "b.csv"), "--gold goes with"),
        (("--from", "argilla", "a.json", "--skip-bad-rows"), "--skip-bad-rows goes with"),
        (("--from", "excel", "a.json"), "excel"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong command line is said before any file is opened."""
    assert convert(*arguments) == ExitCode.USAGE
    assert message in capfd.readouterr().err


class Endless(io.RawIOBase):
    """A file without an end, which counts what is read of it."""

    def __init__(self, piece: bytes, start: bytes = b"") -> None:
        self._piece = piece
        self._ahead = start
        self.bytes_read = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        while len(self._ahead) < len(buffer):
            self._ahead += self._piece
        buffer[:] = self._ahead[: len(buffer)]
        self._ahead = self._ahead[len(buffer) :]
        self.bytes_read += len(buffer)
        return len(buffer)


@pytest.mark.parametrize("start", [b"", b"["], ids=["lines", "array"])
def test_reading_does_not_run_ahead(start: bytes) -> None:
    """Documents come while the file is read: what was read is bounded by what was asked for, whatever the length."""
    line = json.dumps(body(CREATED)).encode()
    endless = Endless(line + (b",\n" if start else b"\n"), start)
    found: Iterator[Any] = read_documents(io.BufferedReader(endless), tool="label-studio")
    assert all(isinstance(one, Document) for one in islice(found, 200))
    assert endless.bytes_read < 201 * (len(line) + 2) + 2 * 65_536


def test_lines_that_are_too_long_are_left_out_and_told() -> None:
    """A line beyond the limit is told of by its number, and the next line is read as if it had not been there."""
    text = b'{"a": 1}\n{"b": "' + b"x" * 3_000_000 + b'"}\n{"c": 3}\n'
    found = list(read_documents(io.BufferedReader(io.BytesIO(text)), tool="argilla", bytes_max=1_000))
    assert [(one.place, isinstance(one, Unreadable)) for one in found] == [
        ("line 1", False), ("line 2", True), ("line 3", False),
    ]  # fmt: skip
    assert found[1].reason_code == "oversized"


def test_a_document_over_many_lines_that_is_too_long_is_refused() -> None:
    """What would have to be held in memory whole has a limit."""
    text = json.dumps(body(CREATED), indent=1).encode()
    (found,) = read_documents(io.BufferedReader(io.BytesIO(text)), tool="label-studio", bytes_max=1_000)
    assert isinstance(found, Unreadable)
    assert found.reason_code == "oversized"


@given(
    text=st.text('"\\\\[]{}a', max_size=60), pieces=st.lists(st.integers(1, 7), min_size=1), depth_max=st.integers(0, 4)
)
def test_the_guard_counts_brackets_outside_of_strings_however_it_is_read(
    text: str, pieces: list[int], depth_max: int
) -> None:
    """Read in any pieces, nesting at their ends is that of the brackets outside of strings, escapes and all."""
    stream = DepthGuard(io.BytesIO(text.encode()), depth_max)  # type: ignore[arg-type]
    depth, is_inside, is_escaped, read = 0, False, False, 0
    for size in pieces:
        for character in text[read : read + size]:
            if is_inside:
                is_inside = is_escaped or character != '"'
                is_escaped = character == "\\" and not is_escaped
            else:
                is_inside = character == '"'
                depth += (character in "[{") - (character in "]}")
        read += size
        if depth > depth_max:
            with pytest.raises(TooDeepError):
                stream.read(size)
            return
        stream.read(size)


PIECES = st.sampled_from((
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"\n", b"\\", b"1e999", b"null", b'{"action": "X"}', b"\xff", b"\x1f\x8b",
    b"<annotations>", b"<image id='1'/>", b"<tag label='x'/>", b"</annotations>",
    b"annotation_id,ASSIGNMENT:assignment_id\n",
))  # fmt: skip


@pytest.mark.parametrize("tool", ADAPTERS)
@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(PIECES | st.binary(max_size=4), max_size=12))
def test_no_bytes_at_all_are_a_surprise(tool: str, pieces: list[bytes]) -> None:
    """Whatever a file holds, reading it ends: in events of the contract, and in what is told of all else."""
    stream = io.BufferedReader(io.BytesIO(b"".join(pieces)))
    for outcome in converted(stream, tool=tool, settings=AdapterSettings(), changed_at="2026-01-05T09:00:00Z"):
        if isinstance(outcome, Told):
            assert "\n" not in outcome.line
        else:
            parse_event(json.dumps(outcome).encode())


@pytest.mark.skipif(not SHARED_PAYLOADS.is_dir(), reason="the shared folder of payloads is not there")
@pytest.mark.parametrize("tool", sorted({*ADAPTERS, "sagemaker-ground-truth"} - {"sagemaker"}))
def test_the_shared_payloads(tool: str, capfd: pytest.CaptureFixture[str]) -> None:
    """All payloads of a tool are read in one go: none is unreadable, and refusals and events add up to all of them."""
    files = sorted((SHARED_PAYLOADS / tool).glob("*.json*"))
    assert convert("--from", tool, *files) == ExitCode.OK
    out, err = capfd.readouterr()
    lines(out)
    told = [line for line in err.splitlines() if line.startswith("refused: ")]
    count = sum(1 for path in files for _ in documents(path))
    assert f" events from {count} documents" in err
    assert len(told) + len(out.splitlines()) >= count
