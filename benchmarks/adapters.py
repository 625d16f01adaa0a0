"""How fast Label Studio's webhooks become events: ``python -m benchmarks.adapters``.

Each payload is one that Label Studio 1.23 sent, with ids and times of its own, parsed and converted as the gateway does
it, in one thread. Beside it, in the same run, the same bytes are only parsed: by the standard library and by msgspec.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from schemas.adapters.label_studio import webhook_events

SEED = 7
TARGET_PER_SECOND = 20_000
MICROSECONDS = 1_000_000
RECEIVED_AT = "2026-11-23T15:30:00.000Z"
FOLDER = Path(__file__).resolve().parents[1] / "tests" / "payloads" / "label-studio"
SAMPLES = {
    "choice": "002_ANNOTATION_CREATED__choices_single.json",
    "three_controls": "008_ANNOTATION_CREATED__multilabel_rating_textarea.json",
    "spans": "010_ANNOTATION_CREATED__ner_span.json",
    "boxes": "012_ANNOTATION_CREATED__bbox.json",
    "preference": "014_ANNOTATION_CREATED__pairwise_rlhf.json",
}
TYPICAL = "choice"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one sample cost: medians over the rounds, of CPU time.

    Parameters
    ----------
    bytes_each
        Mean length of a payload.
    events_each
        Events that a payload becomes.
    standard_library_us, msgspec_us
        Parsing alone, in microseconds a payload.
    adapter_us
        Parsing with msgspec and converting.
    per_second
        Payloads a second of one core, parsed and converted.
    ratio
        `adapter_us` over `standard_library_us`, within each round.
    """

    bytes_each: float
    events_each: float
    standard_library_us: float
    msgspec_us: float
    adapter_us: float
    per_second: float
    ratio: float


def payloads(name: str, count: int) -> list[bytes]:
    """Return so many payloads of a sample, each with ids and times of its own.

    >>> len({*payloads("choice", 20)})
    20
    """
    body = json.loads((FOLDER / SAMPLES[name]).read_text())["body"]
    generator = random.Random(SEED)
    return [json.dumps(_changed(body, number, generator)).encode() for number in range(count)]


def _changed(body: dict[str, Any], number: int, generator: random.Random) -> dict[str, Any]:
    moment = datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(microseconds=generator.randrange(10**13))
    stamp = moment.isoformat().replace("+00:00", "Z")
    task = {**body["task"], "id": 1_000 + number, "created_at": stamp}
    annotation = {
        **body["annotation"],
        "id": 5_000 + number,
        "task": task["id"],
        "completed_by": generator.randrange(1, 300),
        "created_at": stamp,
        "updated_at": stamp,
        "lead_time": generator.random() * 60,
    }
    return {**body, "annotation": annotation, "task": task}


def measure(name: str, *, count: int, rounds: int) -> Measured:
    """Measure a sample: so many payloads, so many times."""
    texts = payloads(name, count)
    decode = msgspec.json.Decoder().decode
    converted = [webhook_events(decode(text), received_at=RECEIVED_AT) for text in texts]
    assert all(type(event) is dict for outcomes in converted for event in outcomes), "a payload is refused"
    works: tuple[Callable[[bytes], object], ...] = (
        json.loads,
        decode,
        lambda text: webhook_events(decode(text), received_at=RECEIVED_AT),
    )
    costs = [[_microseconds_each(work, texts) for work in works] for _ in range(rounds)]
    standard_library, alone, adapter = (median(column) for column in zip(*costs, strict=True))
    return Measured(
        bytes_each=sum(map(len, texts)) / count,
        events_each=sum(map(len, converted)) / count,
        standard_library_us=standard_library,
        msgspec_us=alone,
        adapter_us=adapter,
        per_second=MICROSECONDS / adapter,
        ratio=median(row[2] / row[0] for row in costs),
    )


def _microseconds_each(work: Callable[[bytes], object], texts: Sequence[bytes]) -> float:
    began = time.process_time()
    for text in texts:
        work(text)
    return (time.process_time() - began) / len(texts) * MICROSECONDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all samples and print them; return 1 if the typical one misses the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adapters", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer payloads, for checks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    count, rounds = (300, 3) if options.quick else (4_000, 7)
    found = {name: measure(name, count=count, rounds=rounds) for name in SAMPLES}
    _print(found, count, rounds)
    if options.json is not None:
        options.json.write_text(json.dumps({name: asdict(measured) for name, measured in found.items()}, indent=1))
    return 0 if found[TYPICAL].per_second >= TARGET_PER_SECOND else 1


def _print(found: dict[str, Measured], count: int, rounds: int) -> None:
    table = Table(title=f"Label Studio's webhooks: {count:,} payloads a sample, {rounds} rounds, seed {SEED}")
    for column in (
        "sample",
        "bytes",
        "events",
        "json.loads µs",
        "msgspec µs",
        "msgspec + adapter µs",
        "payloads/s",
        "ratio",
    ):
        table.add_column(column, justify="left" if column == "sample" else "right")
    for name, one in found.items():
        parts = (one.standard_library_us, one.msgspec_us, one.adapter_us)
        shown = [f"{one.bytes_each:,.0f}", f"{one.events_each:.1f}", *(f"{part:.1f}" for part in parts)]
        table.add_row(name, *shown, f"{one.per_second:,.0f}", f"{one.ratio:.2f}")
    Console(width=120).print(table)
    print(
        f"CPU time, one thread. ratio: over json.loads alone. Target for {TYPICAL}: {TARGET_PER_SECOND:,} payloads/s."
    )


if __name__ == "__main__":
    sys.exit(main())
