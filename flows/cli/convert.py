"""``labelpulse convert``: files of other tools in, events out."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from flows.cli.failures import ExitCode, tell, warn
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from schemas.adapters.answers_csv import BadRow
    from schemas.adapters.common import AdapterSettings

BAD_ROWS_SHOWN_MAX = 10
EVENTS_PER_PROGRESS_LINE = 100_000


class Format(StrEnum):
    """What can be converted."""

    ANSWERS_CSV = "answers-csv"
    LABEL_STUDIO = "label-studio"
    ARGILLA = "argilla"
    CVAT = "cvat"
    TOLOKA = "toloka"
    SAGEMAKER = "sagemaker"
    SAGEMAKER_GROUND_TRUTH = "sagemaker-ground-truth"
    LABELBOX = "labelbox"
    PRODIGY = "prodigy"


FilesArgument = Annotated[list[Path], typer.Argument(help="The files; - reads standard input.", metavar="FILE…")]
FormOption = Annotated[
    Format,
    typer.Option(
        "--from",
        help="The tool, whose webhook bodies, exports or lines of either are taken; or answers-csv: "
        "columns item, worker, label and optionally ts (unix seconds) and secs.",
    ),
]
ProjectOption = Annotated[
    str | None,
    typer.Option("--project", metavar="P", help="Project of the events; a tool's own by default.", show_default=False),
]
GoldOption = Annotated[
    Path | None,
    typer.Option(
        "--gold", metavar="FILE", help="answers-csv: the known answers, columns item and label.", show_default=False
    ),
]
QuestionOption = Annotated[
    str, typer.Option("--question", metavar="Q", help="answers-csv: the question that the labels answer.")
]
SkipOption = Annotated[
    bool,
    typer.Option("--skip-bad-rows", help="answers-csv: leave out rows that cannot become events, and tell of them."),
]
ToolSettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--tool-settings", metavar="FILE", help="What to know of a tool's payloads, as TOML.", show_default=False
    ),
]
LabelConfigOption = Annotated[
    Path | None,
    typer.Option("--label-config", metavar="FILE", help="Label Studio's labeling configuration.", show_default=False),
]
OccurredAtOption = Annotated[
    str | None,
    typer.Option(
        "--occurred-at",
        metavar="TIME",
        help="The time of what tells none (RFC 3339); else the file's.",
        show_default=False,
    ),
]
ItemOption = Annotated[
    str | None, typer.Option("--item", metavar="ID", help="The item of what names none.", show_default=False)
]
AnnotatorOption = Annotated[
    str | None,
    typer.Option("--annotator", metavar="ID", help="The annotator of what names none.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert")(convert)


def convert(
    files: FilesArgument,
    form: FormOption,
    project: ProjectOption = None,
    gold: GoldOption = None,
    question: QuestionOption = "label",
    skips_bad_rows: SkipOption = False,
    tool_settings_file: ToolSettingsOption = None,
    label_config: LabelConfigOption = None,
    occurred_at: OccurredAtOption = None,
    item: ItemOption = None,
    annotator: AnnotatorOption = None,
) -> int:
    """Turn files of another tool into events: on standard output, one JSON object a line.

    Converting a file again gives the same event ids: reading them again
    adds nothing. What no event can say is told on standard error, with file,
    position and reason; what is no payload of the tool makes the exit code 1.

    Examples:
      labelpulse convert --from answers-csv answers.csv --project demo > events.jsonl
      labelpulse convert --from label-studio export.json > events.jsonl
    """
    if form is Format.ANSWERS_CSV:
        return _convert_answers(files, gold, project, question, skips_bad_rows)
    for name, value in (("--gold", gold), ("--skip-bad-rows", skips_bad_rows or None)):
        if value is not None:
            raise typer.BadParameter(f"{name} goes with --from answers-csv only")
    from flows.tool_settings import tool_settings

    settings = tool_settings(
        tool_settings_file,
        project_id=project,
        label_config=None if label_config is None else _text_of(label_config),
        occurred_at=occurred_at,
        item_id=item,
        annotator_id=annotator,
    )
    return _convert_tool(files, form, settings)


# Tables of answers


def _convert_answers(files: list[Path], gold: Path | None, project: str | None, question: str, skips: bool) -> int:
    from schemas.adapters.answers_csv import convert_files

    if project is None:
        raise typer.BadParameter("--from answers-csv needs --project: the file names none")
    if len(files) != 1:
        raise typer.BadParameter("--from answers-csv takes one file")
    bad_rows = _BadRows()
    with ExitStack() as stack:
        answers = stack.enter_context(_opened(files[0]))
        truths = None if gold is None else stack.enter_context(_opened(gold))
        on_bad_row = bad_rows.add if skips else None
        counts = _write(convert_files(answers, truths, project=project, question=question, on_bad_row=on_bad_row))
    labels, known = counts["annotation.submitted"], counts["gold.set"]
    print(f"{labels + known:,} events: {labels:,} labels, {known:,} items with known answers", file=sys.stderr)
    if bad_rows.count:
        warn(f"{bad_rows.count:,} rows were left out")
    return ExitCode.OK


def _opened(path: Path) -> TextIO:
    try:
        return open(0 if str(path) == "-" else path, encoding="utf-8", newline="", closefd=str(path) != "-")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", remedy="check the path") from error


class _BadRows:
    """Counts the rows that are left out, and tells of the first few."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, row: "BadRow") -> None:
        self.count += 1
        if self.count <= BAD_ROWS_SHOWN_MAX:
            warn(f"left out {row}")


# Payloads of tools


def _convert_tool(files: list[Path], tool: str, settings: "AdapterSettings") -> int:
    told: Counter[str] = Counter()
    counts = _write(_events_of_files(files, tool, settings, told))
    kinds = "".join(f", {count:,} {kind}" for kind, count in sorted(counts.items()))
    print(f"{counts.total():,} events from {told['documents']:,} documents{kinds}", file=sys.stderr)
    if told["refused"]:
        warn(f"{told['refused']:,} parts of them cannot be said by events")
    if told["unreadable"]:
        tell(f"{told['unreadable']:,} documents are no payloads of {tool}", remedy="see the lines above")
        return ExitCode.FAILED
    return ExitCode.OK


def _events_of_files(
    files: list[Path], tool: str, settings: "AdapterSettings", told: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Yield the events of files in order; what is none is told on standard error, and counted."""
    from flows.documents.conversion import Told, converted
    from flows.documents.reading import opened

    for path in files:
        with opened(path) as stream:
            told_of = _settings_of(path, tool, settings)
            for outcome in converted(stream, tool=tool, settings=told_of, changed_at=_changed_at(path)):
                if not isinstance(outcome, Told):
                    yield outcome
                    continue
                told[outcome.counts_as] += 1
                if outcome.line:
                    print(f"{outcome.counts_as}: {path}, {outcome.line}", file=sys.stderr)


def _settings_of(path: Path, tool: str, settings: "AdapterSettings") -> "AdapterSettings":
    """Return settings with the item that a folder of workers' responses of Ground Truth is named after."""
    is_response = tool.startswith(Format.SAGEMAKER) and path.parent.parent.name.startswith("iteration-")
    return replace(settings, item_id=path.parent.name) if is_response and settings.item_id is None else settings


def _changed_at(path: Path) -> str | None:
    if not path.is_file():
        return None
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC).isoformat().replace("+00:00", "Z")


def _text_of(path: Path) -> str:
    with _opened(path) as stream:
        return stream.read()


def _write(events: Iterator[dict[str, Any]]) -> Counter[str]:
    from schemas.adapters.answers_csv import encode_event

    counts: Counter[str] = Counter()
    output = sys.stdout.buffer
    shows_progress = sys.stderr.isatty() and not sys.stdout.isatty()
    for total, event in enumerate(events, start=1):
        output.write(encode_event(event) + b"\n")
        counts[event["type"]] += 1
        if shows_progress and total % EVENTS_PER_PROGRESS_LINE == 0:
            print(f"{total:,} events", file=sys.stderr)
    output.flush()
    return counts
