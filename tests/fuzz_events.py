"""Coverage-guided fuzzing with atheris: ``python -m tests.fuzz_events [decoder|adapters] [options of libFuzzer]``.

``decoder``: bytes that the fast reader takes are an event of the contract with the same values, and what it refuses
the contract refuses as well, with a reason of the bounded set. ``adapters``: JSON sent to any tool's adapter gives
events of the contract, refusals, or the adapters' own error. Anything else ends the run with the input that showed it.
Without limits it runs until Ctrl-C; ``-max_total_time=60`` and ``-runs=100000`` are such limits.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["operators", "schemas", "flows.documents"]):
    import msgspec
    from pydantic import ValidationError

    from operators.decode import read_event
    from operators.events import foldable_event
    from operators.reasons import reason_of
    from schemas.adapters.common import AdapterError, AdapterSettings
    from schemas.adapters.registry import ADAPTERS, convert
    from schemas.errors import ErrorCode
    from schemas.events import parse_event

PAYLOADS = Path(__file__).resolve().parent / "payloads"
SETTINGS = AdapterSettings(occurred_at="2026-01-05T09:00:00Z", item_id="object-1", annotator_id="ann")
TOOLS = tuple(ADAPTERS)
INSIDE = "--inside"


def check_decoder(payload: bytes) -> None:
    """The fast reader and the contract agree about these bytes."""
    try:
        contract = foldable_event(parse_event(payload))
    except ValidationError as error:
        contract = None
        code, detail = reason_of(error, payload)
        assert code in ErrorCode and isinstance(detail, str)
    try:
        fast = read_event(payload)
    except ValidationError:
        fast = None
    assert (fast is None) == (contract is None), "one reader takes what the other refuses"
    if fast is not None:
        assert msgspec.structs.asdict(fast) == msgspec.structs.asdict(contract), "the readers differ in a value"


def check_adapters(data: bytes) -> None:
    """JSON behind a byte that names the tool is converted, refused, or an error of the adapters' own."""
    if not data:
        return
    try:
        document = json.loads(data[1:])
    except (ValueError, RecursionError):
        return
    try:
        outcomes = list(convert(TOOLS[data[0] % len(TOOLS)], document, settings=SETTINGS))
    except AdapterError as error:
        assert error.reason_code in ErrorCode
        return
    for outcome in outcomes:
        if isinstance(outcome, dict):
            parse_event(json.dumps(outcome, allow_nan=False, ensure_ascii=False).encode())


CHECKS: dict[str, Callable[[bytes], None]] = {"decoder": check_decoder, "adapters": check_adapters}


def seeds(name: str) -> list[bytes]:
    """Return inputs to start from."""
    found = []
    for index, tool in enumerate(TOOLS):
        for path in sorted((PAYLOADS / tool).glob("*.json")):
            document = json.loads(path.read_text())
            if isinstance(document, dict) and "headers" in document:
                document = document["body"]
            text = json.dumps(document).encode()
            if name == "adapters":
                found.append(bytes([index]) + text)
            else:
                found += _events(tool, document)
    return found


def _events(tool: str, document: object) -> list[bytes]:
    outcomes = convert(tool, document, settings=SETTINGS)
    return [json.dumps(outcome).encode() for outcome in outcomes if isinstance(outcome, dict)]


def main() -> int:
    """Fuzz until the limit that the arguments name; return the exit code."""
    name, *options = sys.argv[1:] if sys.argv[1:2] and sys.argv[1] in CHECKS else ["decoder", *sys.argv[1:]]
    if options[:1] == [INSIDE]:
        atheris.Setup([sys.argv[0], *options[1:]], CHECKS[name])
        atheris.Fuzz()
    # libFuzzer ends its process on the spot, so another one cleans up.
    with tempfile.TemporaryDirectory(prefix="labelpulse-fuzz-") as corpus:
        for number, seed in enumerate(seeds(name)):
            CHECKS[name](seed)
            Path(corpus, str(number)).write_bytes(seed)
        return subprocess.run([sys.executable, "-m", "tests.fuzz_events", name, INSIDE, *options, corpus]).returncode


if __name__ == "__main__":
    sys.exit(main())
