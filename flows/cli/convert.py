"""``labelpulse convert``: files of other tools in, events out."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from flows.cli.failures import warn
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from schemas.adapters.answers_csv import BadRow, BadRowHandler

BAD_ROWS_SHOWN_MAX = 10
EVENTS_PER_PROGRESS_LINE = 100_000


class Format(StrEnum):
    """What can be converted."""

    ANSWERS_CSV = "answers-csv"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert")(convert)


def convert(
    answers: Annotated[Path, typer.Argument(help="The file of answers; - reads standard input.", metavar="ANSWERS")],
    form: Annotated[
        Format,
        typer.Option(
            "--from", help="answers-csv: columns item, worker, label and optionally ts (unix seconds) and secs."
        ),
    ],
    project: Annotated[str, typer.Option("--project", metavar="P", help="Project the events belong to.")],
    gold: Annotated[
        Path | None,
        typer.Option("--gold", metavar="FILE", help="The known answers: columns item and label.", show_default=False),
    ] = None,
    question: Annotated[
        str, typer.Option("--question", metavar="Q", help="Question that the labels answer.")
    ] = "label",
    skips_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave out rows that cannot become events, and tell of them.")
    ] = False,
) -> None:
    """Turn a file of another tool into events: on standard output, one JSON object a line.

    Converting a file again gives the same event ids: reading them again adds nothing.

    Example:
      labelpulse convert --from answers-csv answers.csv --project demo > events.jsonl
    """
    assert form is Format.ANSWERS_CSV
    bad_rows = _BadRows()
    with ExitStack() as files:
        events = _events(
            files.enter_context(_opened(answers)),
            None if gold is None else files.enter_context(_opened(gold)),
            project=project,
            question=question,
            on_bad_row=bad_rows.add if skips_bad_rows else None,
        )
        counts = _write(events)
    labels, known = counts["annotation.submitted"], counts["gold.set"]
    print(f"{labels + known:,} events: {labels:,} labels, {known:,} items with known answers", file=sys.stderr)
    if bad_rows.count:
        warn(f"{bad_rows.count:,} rows were left out")


def _events(
    answers: TextIO, gold: TextIO | None, *, project: str, question: str, on_bad_row: "BadRowHandler | None"
) -> Iterator[tuple[str, bytes]]:
    from schemas.adapters.answers_csv import convert_answers, encode_event, read_rows

    rows, truths = read_rows(answers), () if gold is None else read_rows(gold)
    for event in convert_answers(rows, truths, project=project, question=question, on_bad_row=on_bad_row):
        yield event["type"], encode_event(event)


def _write(events: Iterator[tuple[str, bytes]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    output = sys.stdout.buffer
    shows_progress = sys.stderr.isatty() and not sys.stdout.isatty()
    for total, (kind, line) in enumerate(events, start=1):
        output.write(line + b"\n")
        counts[kind] += 1
        if shows_progress and total % EVENTS_PER_PROGRESS_LINE == 0:
            print(f"{total:,} events", file=sys.stderr)
    output.flush()
    return counts


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
