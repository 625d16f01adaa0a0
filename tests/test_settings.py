"""Settings: precedence, mistakes told plainly, secrets hidden."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.setting_values import HIDDEN, embedded_dsn, hidden_dsn, hidden_options
from flows.settings import Settings, load_settings, variable_of
from schemas.errors import ConfigurationError


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A configuration file."""
    path = tmp_path / "labelpulse.toml"
    path.write_text(
        'flush_seconds = 2.5\nshards = 3\n[kafka_options]\n"sasl.password" = "from-file"\nssl.ca.location = "/ca"\n'
    )
    return path


def mistakes_of(**arguments: object) -> list[str]:
    """Return the lines of the refusal of settings."""
    with pytest.raises(ConfigurationError) as refused:
        load_settings(**arguments)  # type: ignore[arg-type]
    return refused.value.message.splitlines()


def test_flags_win_over_the_environment_over_the_file_over_the_default(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest one counts, and where each value came from is told."""
    monkeypatch.setenv("LABELPULSE_SHARDS", "5")
    monkeypatch.setenv("LABELPULSE_GENERATION", "2")
    loaded = load_settings({"generation": 7, "source": None}, config_file=config_file)
    assert (loaded.settings.generation, loaded.settings.shards, loaded.settings.flush_seconds) == (7, 5, 2.5)
    assert loaded.settings.window_seconds == 900
    assert loaded.origins["generation"] == "flag"
    assert loaded.origins["shards"] == "environment"
    assert loaded.origins["flush_seconds"] == str(config_file)
    assert loaded.origins["source"] == loaded.origins["window_seconds"] == "default"


def test_the_environment_names_the_file(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LABELPULSE_CONFIG_FILE is read where no flag names a file."""
    monkeypatch.setenv("LABELPULSE_CONFIG_FILE", str(config_file))
    assert load_settings().settings.shards == 3


def test_a_secret_file_wins_over_the_configuration_file(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory of files named like the variables is read, as containers mount secrets."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "labelpulse_clickhouse").write_text("clickhouse://a:b@host/db")
    (secrets / "labelpulse_shards").write_text("9")
    monkeypatch.setenv("LABELPULSE_SECRETS_DIR", str(secrets))
    loaded = load_settings(config_file=config_file)
    assert (loaded.settings.clickhouse, loaded.settings.shards) == ("clickhouse://a:b@host/db", 9)
    assert loaded.origins["clickhouse"] == "secret file"


def test_options_of_kafka_are_merged_over_all_sources(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option is found whether it is written with dots, with underscores, as a table or as JSON; the nearest wins."""
    monkeypatch.setenv("LABELPULSE_KAFKA_OPTIONS", '{"security.protocol": "SASL_SSL"}')
    monkeypatch.setenv("LABELPULSE_KAFKA_OPTIONS__SASL_PASSWORD", "from-environment")
    loaded = load_settings({"kafka_options": {"client.id": "x"}}, config_file=config_file)
    assert loaded.settings.kafka_options == {
        "ssl.ca.location": "/ca",
        "security.protocol": "SASL_SSL",
        "sasl.password": "from-environment",
        "client.id": "x",
    }


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that leaves a variable empty does not make the working directory the recovery store."""
    monkeypatch.setenv("LABELPULSE_RECOVERY", "")
    assert load_settings().settings.recovery is None


def test_the_topic_of_dead_letters_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The word none stands for no topic."""
    monkeypatch.setenv("LABELPULSE_DEAD_LETTER_TOPIC", "none")
    assert load_settings().settings.dead_letter_topic is None


def test_each_mistake_is_a_line_that_says_what_and_where(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All mistakes are told at once, each with the setting, the reason, the value and where it came from."""
    config_file.write_text("flush_row = 3\nwindow_seconds = 7\n")
    monkeypatch.setenv("LABELPULSE_SHARDS", "0")
    monkeypatch.setenv("LABELPULSE_FLUSH_SECOND", "1")
    mistakes = mistakes_of(flags={"adwin_delta": "x"}, config_file=config_file)
    assert len(mistakes) == 5
    told = "\n".join(mistakes)
    assert "LABELPULSE_FLUSH_SECOND in the environment is no setting; did you mean LABELPULSE_FLUSH_SECONDS?" in told
    assert f"flush_row is no setting; did you mean flush_rows? (from {config_file})" in told
    assert re.search(
        r"^shards .*not '0' \(from the environment variable LABELPULSE_SHARDS\)$", told, flags=re.MULTILINE
    )
    assert re.search(rf"^window_seconds must divide a day .*not 7 \(from {config_file}\)$", told, flags=re.MULTILINE)
    assert re.search(r"^adwin_delta .*not 'x' \(from a flag\)$", told, flags=re.MULTILINE)


def test_a_mistake_in_a_secret_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusing options or a DSN does not repeat them."""
    monkeypatch.setenv("LABELPULSE_KAFKA_OPTIONS", '{"sasl.password": ["hunter2"]}')
    assert "hunter2" not in "\n".join(mistakes_of())
    monkeypatch.setenv("LABELPULSE_KAFKA_OPTIONS", '{"sasl.password": "hunter2"')
    assert "hunter2" not in "\n".join(mistakes_of())


def test_what_an_orchestrator_adds_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes' variables about a service called labelpulse are passed over."""
    for suffix in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR"):
        monkeypatch.setenv(f"LABELPULSE_{suffix}", "x")
    assert load_settings().settings.shards == 64


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (
            {"disorder_seconds": 80_000, "retention_days": 0.5},
            "disorder_seconds must not be longer than retention_days",
        ),
        ({"occurred_at_max": "1999-01-01T00:00:00Z"}, "occurred_at_max must be after occurred_at_min"),
        ({"retention_days": 400, "annotator_retention_days": 30}, "annotator_retention_days must not be shorter"),
        ({"occurred_at_min": "2020-01-01T00:00:00"}, "occurred_at_min should have timezone info"),
        ({"dead_letter_topic": "a b"}, "dead_letter_topic"),
        ({"clickhouse": " "}, "clickhouse must not be empty"),
        ({"flush_seconds": "inf"}, "flush_seconds"),
        ({"disorder_seconds": "nan"}, "disorder_seconds"),
    ],
)
def test_impossible_settings_are_refused(flags: dict[str, object], reason: str) -> None:
    """Bounds hold, one by one and between settings."""
    assert any(reason in mistake for mistake in mistakes_of(flags=flags))


@pytest.mark.parametrize("text", [None, "= 3", "\xff\xfe"])
def test_a_configuration_file_that_cannot_be_read_is_refused(text: str | None, tmp_path: Path) -> None:
    """A missing file, or one that is no TOML in UTF-8, is a mistake and not passed over."""
    path = tmp_path / "labelpulse.toml"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    assert str(path) in mistakes_of(config_file=path)[0]


def test_shown_settings_hide_secrets() -> None:
    """Neither a password in a DSN nor a secret option is shown."""
    flags = {
        "clickhouse": "clickhouse://me:hunter2@db:8123/labelpulse?access_token=hunter2",
        "kafka_options": {"sasl.password": "hunter2", "ssl.key.password": "hunter2", "sasl.username": "me"},
    }
    shown = load_settings(flags).settings.shown()
    assert "hunter2" not in str(shown)
    assert shown["kafka_options"]["sasl.username"] == "me"
    assert shown["clickhouse"] == f"clickhouse://me:{HIDDEN}@db:8123/labelpulse?access_token={HIDDEN}"


@given(password=st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=4))
def test_no_password_of_a_dsn_is_shown(password: str) -> None:
    """Whatever characters a password is made of, it does not appear."""
    shown = hidden_dsn(f"clickhouse://user:{password}@the-host:8123/db")
    assert shown == f"clickhouse://user:{HIDDEN}@the-host:8123/db"


@pytest.mark.parametrize("name", ["sasl.password", "ssl.key.pem", "sasl.oauthbearer.client.secret", "X.TOKEN.Y"])
def test_secret_options_are_told_by_name(name: str) -> None:
    """Names with password, secret, key or token are secret, in any case."""
    assert hidden_options({name: "v"}) == {name: HIDDEN}


def test_every_setting_is_described_and_bounded() -> None:
    """Each setting says what it means, and each number has a lower and an upper bound."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if field.annotation in (int, float):
            bounds = [bound for bound in field.metadata if hasattr(bound, "ge") or hasattr(bound, "gt")]
            limits = [bound for bound in field.metadata if hasattr(bound, "le") or hasattr(bound, "lt")]
            assert bounds and limits, name


def test_every_setting_can_be_set_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable of each setting is read."""
    for name, value in load_settings().settings.model_dump(mode="json").items():
        text = {
            "process_id": "0",
            "generation": "0",
            "kafka_options": "{}",
            "recovery": "/r",
            "source": "-",
            "project_events_per_minute_max": "1",
            "project_new_items_per_day_max": "1",
            "occurred_at_max": "2030-01-01T00:00:00Z",
        }
        monkeypatch.setenv(variable_of(name), text.get(name, str(value)))
    assert set(load_settings().origins.values()) == {"environment"}


def test_a_path_with_odd_characters_makes_a_dsn() -> None:
    """A folder with a space or a percent sign in its name can hold the embedded database."""
    assert embedded_dsn(Path("/a b/100%")) == "chdb:///a%20b/100%25"
