"""``labelpulse dead-letters``: lists refused records, mends them, and appends them to a log again."""

import json
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.failures import ExitCode, note, warn
from flows.cli.options import ClickhouseOption, ConfigOption, SetOption, settings_from
from schemas.errors import ConfigurationError, ErrorCode

if TYPE_CHECKING:
    from flows.dead_letters import DeadLetter, Unmended
    from flows.settings import Settings

SHOWN_MAX = 200
REPLAYED_MAX = 1_000_000
PAYLOAD_SHOWN = 80
UNMENDED_SHOWN_MAX = 10


class Action(StrEnum):
    """What to do with dead letters."""

    LIST = "list"
    REPLAY = "replay"


class ListFormat(StrEnum):
    """How dead letters are listed; json is an object a line, payload and all."""

    TABLE = "table"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dead-letters")(dead_letters)


def dead_letters(
    action: Annotated[Action, typer.Argument(help="list them, or replay them into a log.", show_default=False)],
    reasons: Annotated[
        list[str] | None,
        typer.Option("--reason", metavar="CODE", help="Why they were refused, as often as needed.", show_default=False),
    ] = None,
    project: Annotated[str | None, typer.Option("--project", metavar="P", help="One project only.")] = None,
    patch: Annotated[
        Path | None,
        typer.Option(
            "--patch",
            metavar="FILE",
            help="What to change: one JSON object for all, or a line for each.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="LOG", help="Where to append them: kafka://… or file:PATH.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be appended, and append nothing.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Most letters.", show_default=False)] = None,
    form: Annotated[ListFormat, typer.Option("--format", help="How to list them.")] = ListFormat.TABLE,
    clickhouse: ClickhouseOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> int:
    """List refused records, or append them to a log again, mended by a patch where one is given.

    A replayed record is a new record of the log like any other; nothing of it
    tells why it was refused before. What would only be refused again is left
    out and told. A record replayed twice counts once.

    Examples:
      labelpulse dead-letters list --reason missing_field --format json
      labelpulse dead-letters replay --reason missing_field --patch patch.json --to kafka://localhost:9092/events
    """  # fmt: skip
    settings = settings_from(config=config, overrides=overrides, clickhouse=clickhouse).settings
    wanted = _checked(reasons or [])
    if action is Action.LIST:
        _list(settings, wanted, project, limit=limit or SHOWN_MAX, form=form)
        return ExitCode.OK
    if not wanted:
        raise ConfigurationError("no reason is named", remedy="add --reason, as often as needed")
    if to is None and not dry_run:
        raise ConfigurationError("no log is named to append to", remedy="add --to kafka://… or file:PATH, or --dry-run")
    return _replay(settings, wanted, project, patch=patch, to=None if dry_run else to, limit=limit or REPLAYED_MAX)


def _checked(reasons: list[str]) -> list[str]:
    known = [str(code) for code in ErrorCode]
    for reason in reasons:
        if reason not in known:
            raise ConfigurationError(f"{reason!r} is no reason", remedy=f"the reasons are {', '.join(known)}")
    return reasons


def _list(settings: "Settings", reasons: list[str], project: str | None, *, limit: int, form: ListFormat) -> None:
    from flows.cli.database import opened_for_reading
    from flows.dead_letters import dead_letters

    with opened_for_reading(settings.clickhouse) as client:
        letters = list(dead_letters(client, reasons=reasons, project=project, limit=limit + 1))
    if form is ListFormat.JSON:
        for letter in letters[:limit]:
            print(json.dumps(_as_json(letter), ensure_ascii=False))
    else:
        _print_table(letters[:limit])
    if len(letters) > limit:
        note(f"the first {limit:,} letters; --limit N shows more")


def _as_json(letter: "DeadLetter") -> dict[str, object]:
    stream, partition, offset = letter.position
    return {
        "stream": stream, "partition": partition, "offset": offset, "stage": letter.stage,
        "error_code": letter.error_code, "error": letter.error, "project_id": letter.project_id,
        "payload_bytes": letter.payload_bytes, "payload": letter.payload.decode(errors="replace"),
    }  # fmt: skip


def _print_table(letters: "list[DeadLetter]") -> None:
    from flows.cli.tables import output_console, rows_table

    console = output_console()
    rows = [
        {
            "partition": letter.position[1], "offset": letter.position[2], "reason": letter.error_code,
            "error": letter.error, "payload": letter.payload[:PAYLOAD_SHOWN].decode(errors="replace"),
        }
        for letter in letters
    ]  # fmt: skip
    width = console.width if console.is_terminal else None
    columns = ("partition", "offset", "reason", "error", "payload")
    console.print(rows_table(rows, columns=columns, width=width)[0])
    counts = Counter(letter.error_code for letter in letters)
    note(", ".join(f"{count:,} {reason}" for reason, count in counts.most_common()) or "no dead letters")


def _replay(
    settings: "Settings", reasons: list[str], project: str | None, *, patch: Path | None, to: str | None, limit: int
) -> int:
    from flows.cli.database import opened_for_reading
    from flows.dead_letters import NO_PATCH, Unmended, dead_letters, mend, open_writer, read_patch

    changes = read_patch(patch) if patch is not None else NO_PATCH
    with opened_for_reading(settings.clickhouse) as client:
        letters = list(dead_letters(client, reasons=reasons, project=project, limit=limit))
    outcomes = [mend(letter, changes) for letter in letters]
    mended = [outcome for outcome in outcomes if not isinstance(outcome, Unmended)]
    if to is not None and mended:
        writer = open_writer(to, options=settings.kafka_options)
        for record in mended:
            writer.append(record)
        writer.close()
    _tell_unmended([outcome for outcome in outcomes if isinstance(outcome, Unmended)])
    print(f"{len(mended):,} of {len(letters):,} dead letters {'appended to ' + to if to else 'can be replayed'}")
    return ExitCode.OK if len(mended) == len(letters) else ExitCode.FAILED


def _tell_unmended(unmended: "list[Unmended]") -> None:
    for outcome in unmended[:UNMENDED_SHOWN_MAX]:
        stream, partition, offset = outcome.letter.position
        warn(f"left out {stream}, partition {partition}, offset {offset}: {outcome.reason}")
    if len(unmended) > UNMENDED_SHOWN_MAX:
        warn(f"{len(unmended) - UNMENDED_SHOWN_MAX:,} more were left out")
