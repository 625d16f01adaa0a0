"""Fills a database with the figures of a log: decoder, shards and writer of the flow, without its engine."""

from collections.abc import Iterable
from pathlib import Path

from clickhouse_connect.driver.client import Client

from flows.audit.recount import Limits
from flows.audit.rules import Rules
from operators.decode import Decoder
from operators.project.settings import FoldSettings
from operators.shard import Shard, ShardState
from schemas.rows import TABLES
from sinks.clickhouse.client import connect
from sinks.clickhouse.writer import RowWriter
from tests.support.folding import DECODE_SETTINGS, FOLD_SETTINGS, batches_of, cuts_of

RECORD_BYTES_MAX = 1_048_576
CUT = 50


def write_log(path: Path, lines: list[bytes]) -> Path:
    """Write lines to a file."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def fill(
    dsn: str, lines: list[bytes], *, stream: str, settings: FoldSettings = FOLD_SETTINGS, cuts: Iterable[int] = ()
) -> None:
    """Fold a log and write its rows."""
    decoder, shards, writer = Decoder(DECODE_SETTINGS), {}, RowWriter(connect(dsn))
    for batch in batches_of(lines, cuts or cuts_of(len(lines), CUT)):
        batch.stream = stream
        for key, value in decoder([batch]):
            shard = shards.get(key) or shards.setdefault(key, Shard(ShardState({}, {}), settings))
            writer.add(shard.take([value]))
    writer.flush()
    writer.close()


def empty(client: Client) -> None:
    """Take all rows out of the tables that the database has."""
    for name in (*TABLES, "generations"):
        client.command(f"TRUNCATE TABLE IF EXISTS {name}")


def rules_of(settings: FoldSettings = FOLD_SETTINGS) -> Rules:
    """Return the rules of an audit that goes with settings of the fold."""
    return Rules(
        window=settings.window,
        disorder=settings.disorder,
        memory=settings.disorder + settings.retention,
        annotator_memory=settings.disorder + settings.annotator_retention,
        classes_max=settings.classes_max,
        has_agreement=settings.has_agreement,
        events_per_minute_max=settings.events_per_minute_max,
        new_items_per_day_max=settings.new_items_per_day_max,
    )


LIMITS = Limits(
    occurred_at_min=DECODE_SETTINGS.occurred_at_min,
    occurred_at_max=DECODE_SETTINGS.occurred_at_max,
    future_max=DECODE_SETTINGS.future_max,
    record_bytes_max=RECORD_BYTES_MAX,
)
"""What an event must keep to in an audit that goes with the tests' decoder."""
