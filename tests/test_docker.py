"""The container files: what they name exists, and they keep to what the image promises."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.cli.main import app
from flows.settings import CONFIG_FILE_VARIABLE, SECRETS_DIR_VARIABLE, Settings, variable_of

ROOT = Path(__file__).resolve().parent.parent
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMMANDS = {command.name for command in app.registered_commands}
VARIABLES = {CONFIG_FILE_VARIABLE, SECRETS_DIR_VARIABLE, *(variable_of(name) for name in Settings.model_fields)}
OF_COMPOSE = {"LABELPULSE_TAG"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file."""
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "README.md"])
def test_every_variable_is_a_setting(name: str) -> None:
    """No container file sets or names a variable that nothing reads."""
    named = set(re.findall(r"LABELPULSE_[A-Z_]+", (DOCKER / name).read_text()))
    assert named <= VARIABLES | OF_COMPOSE


def test_every_command_that_is_written_down_exists() -> None:
    """The image's default, and what the description says to type, are commands."""
    named = set(re.findall(r'^CMD \["([a-z]+)"', DOCKERFILE, flags=re.MULTILINE))
    named |= set(re.findall(r"(?:`|exec flow )labelpulse ([a-z]+)", (DOCKER / "README.md").read_text()))
    assert {"run", "doctor", "query"} <= named <= COMMANDS


def test_services_run_commands_of_ours(compose: dict[str, Any]) -> None:
    """The services of our image run a command that exists, and the flow is among them."""
    ours = {name: service for name, service in compose["services"].items() if "build" in service}
    assert {service["command"][0] for service in ours.values()} <= COMMANDS
    assert ours["flow"]["command"] == ["run"]
    assert ours["migrate"]["command"] == ["migrate"]


def test_references_between_services_hold(compose: dict[str, Any]) -> None:
    """Each dependency, volume and host name is one that the file defines; what must be healthy says how."""
    services = compose["services"]
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "test" in services[name]["healthcheck"]
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"]
        environment = service.get("environment", {})
        for setting in ("LABELPULSE_CLICKHOUSE", "LABELPULSE_SOURCE"):
            if setting in environment:
                host = re.search(r"(?:@|//)([a-z]+):\d+/", environment[setting])
                assert host and host[1] in services


def test_images_are_pinned_and_ports_are_local(compose: dict[str, Any]) -> None:
    """No image floats, and nothing is opened to the network."""
    for service in compose["services"].values():
        assert not service["image"].endswith(":latest")
        assert ":" in service["image"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_no_secret_is_written_down(compose: dict[str, Any]) -> None:
    """Passwords come from the environment, and its file is not kept in the repository."""
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name:
                assert str(value).startswith("${")
    assert "docker/.env" in (ROOT / ".gitignore").read_text().splitlines()
    assert not re.search(r"(PASSWORD|SECRET|TOKEN)=", DOCKERFILE)


def test_the_image_copies_what_exists() -> None:
    """Every path that is copied from the project is there, and is let through to the build."""
    allowed = {
        line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    paths = {path for copy in copies for path in copy.split()}
    assert paths == allowed
    assert all((ROOT / path).exists() for path in paths)


def test_the_image_keeps_its_promises() -> None:
    """A fixed user that is not root, signals that reach the process, a health check, hashes, and pinned arithmetic."""
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, flags=re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIGTERM$", DOCKERFILE, flags=re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["labelpulse"\]$', DOCKERFILE, flags=re.MULTILINE)
    [port] = re.findall(r"LABELPULSE_METRICS=0.0.0.0:(\d+)", DOCKERFILE)
    assert re.search(rf"^HEALTHCHECK .*\\\n.*http://127.0.0.1:{port}/healthz", DOCKERFILE, flags=re.MULTILINE)
    assert DOCKERFILE.count("--require-hashes") == 2
    for name in ("OPENBLAS_NUM_THREADS=1", "OPENBLAS_CORETYPE=", "NPY_DISABLE_CPU_FEATURES="):
        assert name in DOCKERFILE
