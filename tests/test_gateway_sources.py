"""Sources of the gateway: which there are, what their requests must show, and what their adapters are told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from flows.gateway.authentication import Scheme
from flows.gateway.server import listen_address, serve
from flows.gateway.sources import load_sources
from flows.settings import load_settings
from schemas.adapters.registry import ADAPTERS
from schemas.errors import ConfigurationError
from tests.support.gateway import TOKEN, Memory, call, make_app
from tests.support.tool_events import payload

CREATED = json.dumps(payload("label-studio/002_ANNOTATION_CREATED__choices_single.json")).encode()


def loaded(**settings: Any) -> Any:
    """Return the sources of settings, named without their prefix."""
    return load_sources(load_settings({f"gateway_{name}": value for name, value in settings.items()}).settings)


def test_every_tool_is_a_source_and_has_a_setting_for_its_secret() -> None:
    """Each tool's secret reaches its source, and no other's."""
    for tool in ADAPTERS:
        secret = "whsec_c2VjcmV0" if tool == "argilla" else "one"
        sources = loaded(**{f"secret_{tool.replace('-', '_')}": secret})
        assert {name for name, source in sources.items() if source.authentication.secrets} == {tool}
        assert sources[tool].adapter is ADAPTERS[tool]


def test_secrets_come_from_the_environment_and_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every setting; a file may hold two secrets while one is being changed, and a secret may have spaces."""
    monkeypatch.setenv("LABELPULSE_GATEWAY_SECRET_CVAT", "from the environment")
    (tmp_path / "labelpulse_gateway_secret_events").write_text("old one\nnew one\n")
    monkeypatch.setenv("LABELPULSE_SECRETS_DIR", str(tmp_path))
    sources = loaded()
    assert sources["cvat"].authentication.secrets == ("from the environment",)
    assert sources["events"].authentication.secrets == ("old one", "new one")


def test_secrets_are_not_shown() -> None:
    """Neither the command that lists settings nor an error about one tells a secret."""
    settings = load_settings({"gateway_secret_cvat": "hush-hush"}).settings
    assert "hush-hush" not in json.dumps(settings.shown())
    assert "hush-hush" not in repr(settings)
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"gateway_secret_cvat": 123456})
    assert "123456" not in str(caught.value)


def test_a_secret_that_cannot_be_one_is_told_at_the_start() -> None:
    """Not at the first webhook."""
    with pytest.raises(ConfigurationError, match="base64"):
        loaded(secret_argilla="not base64!")


def test_nobody_at_all_could_send_is_a_mistake() -> None:
    """A gateway without secrets says how to set one, or how to try it out."""
    with pytest.raises(ConfigurationError, match="no source has a secret") as caught:
        loaded()
    assert "--open" in caught.value.remedy


def test_open_is_for_sources_without_a_secret() -> None:
    """A secret that is set is asked for all the same."""
    sources = loaded(open=True, secret_cvat="one")
    assert sources["cvat"].authentication.scheme is Scheme.HMAC_SHA256
    assert sources["label-studio"].authentication.is_open


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "10.1.2.3:80"])
def test_an_open_gateway_listens_on_loopback_only(listen: str, tmp_path: Path) -> None:
    """Whoever opens it to a network by mistake is told, before anything is listened on."""
    settings = load_settings(
        {"gateway_open": True, "gateway_listen": listen, "gateway_spool_only": True, "gateway_spool": tmp_path / "s"}
    ).settings
    with pytest.raises(ConfigurationError, match="anybody who reaches"):
        serve(settings, on_ready=print)


@pytest.mark.parametrize("text", ["8080", "host", "host:", "host:70000", ":80", "::1:80", "a b:80"])
def test_addresses_that_are_none_are_told(text: str) -> None:
    """HOST:PORT, with brackets around an address of IPv6."""
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        listen_address(text)
    assert listen_address("0.0.0.0:80") == ("0.0.0.0", 80)


def write(folder: Path, text: str) -> Path:
    """Write a file of sources."""
    path = folder / "sources.toml"
    path.write_text(text)
    return path


def test_a_file_of_sources_adds_servers_of_a_tool(tmp_path: Path) -> None:
    """A second server has a name, a secret and settings of its adapter of its own; the first is left as it is."""
    (tmp_path / "secret").write_text("of berlin\n")
    path = write(
        tmp_path,
        f"""
        [berlin]
        tool = "label-studio"
        secret_file = "{tmp_path / "secret"}"
        header = "X-Token"
        project_id = "berlin-reviews"
        attribute_keys = ["source"]
        [berlin.questions.sentiment]
        kind = "categorical"
        """,
    )
    memory = Memory()
    app = make_app(memory, sources=path)
    answer = asyncio.run(call(app, "/v1/ingest/berlin", CREATED, {"x-token": "of berlin"}))
    assert (answer.status, answer.document["accepted"]) == (200, 2)
    assert memory.documents()[0]["project_id"] == "berlin-reviews"
    assert memory.documents()[0]["attributes"] == {"source": "imdb"}
    assert asyncio.run(call(app, "/v1/ingest/berlin", CREATED)).status == 401
    assert asyncio.run(call(app, "/v1/ingest/label-studio", CREATED)).status == 200
    assert asyncio.run(call(app, "/v1/ingest/label-studio", CREATED, {"authorization": "of berlin"})).status == 401


def test_a_source_may_have_a_limit_of_its_own(tmp_path: Path) -> None:
    """Beyond it that source is told to wait, whoever sends; others go on, and who has no secret uses nothing up."""
    app = make_app(Memory(), sources=write(tmp_path, "[label-studio]\nrequests_per_second = 0.5"), secret_cvat=TOKEN)
    wrong = [asyncio.run(call(app, "/v1/ingest/label-studio", CREATED, {"authorization": "x"})) for _ in range(3)]
    answers = [asyncio.run(call(app, "/v1/ingest/label-studio", CREATED)) for _ in range(2)]
    assert [answer.status for answer in (*wrong, *answers)] == [401, 401, 401, 200, 429]
    assert (answers[1].reason, answers[1].headers["retry-after"]) == ("too_many_requests", "2")
    assert "label-studio" in answers[1].document["error"]["detail"]
    assert asyncio.run(call(app, "/v1/events", b"{}")).status == 422


def test_a_file_of_sources_tells_a_tools_adapter_more(tmp_path: Path) -> None:
    """A table with the name of a tool keeps the secret of the settings."""
    sources = loaded(secret_label_studio=TOKEN, sources=write(tmp_path, '[label-studio]\nproject_id = "reviews"'))
    assert sources["label-studio"].authentication.secrets == (TOKEN,)
    assert sources["label-studio"].settings.project_id == "reviews"


@pytest.mark.parametrize(
    "text",
    [
        "[berlin",
        "[berlin]\nproject_id = 3",
        '[berlin]\ntool = "cvat"\nrequests_per_second = -1',
        '[berlin]\ntool = "nobody"',
        '[berlin]\ntool = "cvat"\nauthentication = "magic"',
        '[berlin]\ntool = "cvat"\nno_such_setting = 1',
        '[berlin]\ntool = "cvat"\nsecret_file = "/nowhere/secret"',
        '[events]\ntool = "cvat"',
        '["Berlin Mitte"]\ntool = "cvat"',
    ],
)
def test_mistakes_in_a_file_of_sources_are_told(tmp_path: Path, text: str) -> None:
    """At the start, in plain words."""
    with pytest.raises(ConfigurationError):
        loaded(secret_events=TOKEN, sources=write(tmp_path, text))
