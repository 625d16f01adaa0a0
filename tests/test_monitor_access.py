"""Who may see what, how often, and where a monitor may listen."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.monitor import control_writer, monitor_server
from flows.settings import Settings
from monitor.api.access import TokenBook, read_tokens
from monitor.api.rates import CALLERS_MAX, RateLimit
from schemas.control import CONTROL_FILE
from schemas.errors import ConfigurationError, UnavailableError
from sinks.hooks.control_file import ControlFile

LONG = "a-token-of-more-than-16"
TOKENS = f"""
# who, token, projects
viewer {LONG}-1 sentiment,toxicity
lead {LONG}-2 * act
"""


def test_a_token_opens_its_projects(tmp_path: Path) -> None:
    """A line of the file gives a name, projects and whether it may act; an unknown token gives nothing."""
    (tmp_path / "tokens").write_text(TOKENS)
    book = read_tokens(tmp_path / "tokens", token=f"{LONG}-3")
    viewer, lead, single = (book.find(f"{LONG}-{number}") for number in (1, 2, 3))
    assert viewer and (viewer.name, viewer.may_act) == ("viewer", False)
    assert (viewer.allows("sentiment"), viewer.allows("intent")) == (True, False)
    assert lead and lead.may_act and lead.allows("intent")
    assert single and single.may_act and single.allows("intent")
    assert book.find(f"{LONG}-4") is None and book.find("") is None


def test_tokens_are_not_kept_as_they_are(tmp_path: Path) -> None:
    """Only digests stay in memory, so neither a log nor an error can show a token."""
    (tmp_path / "tokens").write_text(TOKENS)
    assert LONG not in repr(read_tokens(tmp_path / "tokens"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no token"), ("viewer", "line 1"), (f"viewer {LONG} a,b write", "line 1"), ("viewer short *", "16"),
        (f"viewer {LONG} ,", "no project"), (f"a {LONG} *\nb {LONG} *", "twice"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_tokens_is_refused(text: str, told: str, tmp_path: Path) -> None:
    """A mistake is told with its line and never opens more than was meant."""
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(ConfigurationError, match=told) as refused:
        read_tokens(tmp_path / "tokens")
    assert LONG not in refused.value.message


def test_a_file_of_tokens_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Naming a file means that tokens are wanted: without it, nothing is served openly."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_tokens(tmp_path / "none")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "monitor.example"])
def test_without_tokens_only_this_machine_is_served(host: str) -> None:
    """An address that others can reach is refused before anything is opened."""
    with pytest.raises(ConfigurationError, match="would show everything"):
        monitor_server(Settings(monitor_host=host, monitor_port=0))


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """The address is bound at once, so a taken port is found before the flow reads anything."""
    first = monitor_server(Settings(monitor_port=0, clickhouse=f"chdb://{tmp_path}/none"))
    try:
        with pytest.raises(UnavailableError, match="choose|in use"):
            monitor_server(Settings(monitor_port=first.port))
    finally:
        first.stop()


def test_a_secret_token_is_hidden_among_the_settings() -> None:
    """What shows the settings does not show the token."""
    assert LONG not in str(Settings(monitor_token=LONG).shown())


def test_an_empty_book_is_open() -> None:
    """No tokens at all means that none is asked for."""
    assert TokenBook().is_open and not read_tokens(None, token=LONG).is_open


@given(gaps=st.lists(st.floats(0, 5), min_size=1, max_size=200), burst=st.integers(1, 10))
def test_nobody_gets_more_than_the_burst_and_the_rate(gaps: list[float], burst: int) -> None:
    """In any stretch from the start, requests let through are at most the burst and the rate times the time."""
    limit, now, passed = RateLimit(per_second=2.0, burst=burst), 0.0, 0
    for gap in gaps:
        now += gap
        passed += limit.wait_seconds("a", now=now) == 0.0
        assert passed <= burst + 2.0 * now + 1e-6


def test_who_waits_as_told_is_let_through() -> None:
    """After the seconds that are told, the next request passes; another caller is not held up."""
    limit = RateLimit(per_second=4.0, burst=1)
    assert limit.wait_seconds("a", now=0.0) == 0.0
    wait = limit.wait_seconds("a", now=0.0)
    assert wait > 0 and limit.wait_seconds("b", now=0.0) == 0.0
    assert limit.wait_seconds("a", now=wait) == 0.0


def test_callers_are_forgotten_in_time() -> None:
    """Memory is bounded: of many callers only the latest are remembered."""
    limit = RateLimit(per_second=1.0, burst=1)
    for number in range(CALLERS_MAX + 10):
        limit.wait_seconds(str(number), now=0.0)
    assert limit.wait_seconds("0", now=0.0) == 0.0
    assert limit.wait_seconds(str(CALLERS_MAX), now=0.0) > 0.0


def test_actions_go_where_the_flow_reads_them(tmp_path: Path) -> None:
    """An action is a line of the control file in the recovery directory; where there is none, it is an error."""
    settings = Settings(recovery=tmp_path, clickhouse=f"chdb://{tmp_path}/none")
    write = control_writer(settings)
    assert write is not None
    write(b'{"type": "alert.acknowledged"}')
    assert ControlFile(tmp_path / CONTROL_FILE).read(None)[0] == [b'{"type": "alert.acknowledged"}']
    lost = control_writer(Settings(recovery=tmp_path / "none"))
    with pytest.raises(UnavailableError, match="cannot be written"):
        lost(b"{}")
    assert control_writer(Settings()) is None
