"""What people write after --source."""

from pathlib import Path

import pytest

from flows.sources.urls import FileSpec, KafkaSpec, SimulateSpec, StandardInputSpec, parse_source
from schemas.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "spec"),
    [
        ("kafka://localhost:9092/events", KafkaSpec("localhost:9092", "events")),
        ("kafka://a,b:1,[::1]:9093/a.b_c-d", KafkaSpec("a:9092,b:1,[::1]:9093", "a.b_c-d")),
        (
            "kafka://a:1/t?start=latest&group=g&security.protocol=SSL&ssl.ca.location=%2Fca.pem",
            KafkaSpec("a:1", "t", "latest", "g", {"security.protocol": "SSL", "ssl.ca.location": "/ca.pem"}),
        ),
        ("file:/data/a b%20.jsonl", FileSpec(Path("/data/a b%20.jsonl"))),
        ("file:events.jsonl", FileSpec(Path("events.jsonl"))),
        ("file:///data/a%20b.jsonl", FileSpec(Path("/data/a b.jsonl"))),
        ("file://localhost/data", FileSpec(Path("/data"))),
        ("-", StandardInputSpec()),
        ("simulate:", SimulateSpec({})),
        ("simulate:events=1000, seed=7,drift=0.5", SimulateSpec({"events": "1000", "seed": "7", "drift": "0.5"})),
    ],
)
def test_accepted_forms(url: str, spec: object) -> None:
    """Each accepted form is read into its parts."""
    assert parse_source(url) == spec


def test_a_path_that_exists_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare path will do if something is there, even one with a colon in it; a missing one is refused."""
    monkeypatch.chdir(tmp_path)
    Path("events:1.jsonl").write_bytes(b"")
    assert parse_source("events:1.jsonl") == FileSpec(Path("events:1.jsonl"))
    assert parse_source(str(tmp_path)) == FileSpec(tmp_path)
    with pytest.raises(ConfigurationError, match="nor a file"):
        parse_source("missing.jsonl")


@pytest.mark.parametrize(
    "url",
    [
        "", "kafka:", "kafka:a/t", "kafka://", "kafka:///t", "kafka://a:1", "kafka://a:1/", "kafka://a:1/t/u", "kafka://a:1/..",
        "kafka://a:0/t", "kafka://a:70000/t", "kafka://a:x/t", "kafka://a:1,/t", "kafka://a:1/t?start=3", "kafka://a:1/t?x",
        "kafka://a:1/t?group=", "kafka://a:1/t?a=1&a=2", "kafka://a:1/t#f", "kafka://a:1/tö", "file:", "file://host/x",
        "simulate:events", "simulate:=1", "simulate:a=", "simulate:a=1,a=2", "http://a/b", "s3://b/c",
    ],
)  # fmt: skip
def test_other_forms_are_refused_with_the_accepted_ones(url: str) -> None:
    """A wrong source is told what sources look like."""
    with pytest.raises(ConfigurationError) as raised:
        parse_source(url)
    for form in ("kafka://HOST:PORT", "file:PATH", "simulate:"):
        assert form in raised.value.remedy


@pytest.mark.parametrize(
    "url",
    [
        "kafka://me:hunter2@a:1/t", "kafka://a:1/t?sasl.password=hunter2", "kafka://a:1/t?ssl.key.password=hunter2",
        "kafka://me:hunter2@a:1/t?x", "kafka://a:x/t?o=hunter2", "kafka://a:1/t?sasl.oauthbearer.client.secret=hunter2",
    ],
)  # fmt: skip
def test_secrets_are_neither_accepted_nor_shown(url: str) -> None:
    """A password does not belong in a URL, which ends in process lists and logs; the message does not repeat it."""
    with pytest.raises(ConfigurationError) as raised:
        parse_source(url)
    assert "hunter2" not in raised.value.message + raised.value.remedy
