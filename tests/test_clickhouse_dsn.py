"""Where the database is: what an address means, and that its password is never shown."""

import os
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from sinks.clickhouse.dsn import Dsn, parse_dsn, redacted


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("chdb:///var/lib/labelpulse", Dsn("labelpulse", "/var/lib/labelpulse")),
        ("chdb:///with%20space", Dsn("labelpulse", "/with space")),
        ("chdb://data/db", Dsn("labelpulse", os.path.abspath("data/db"))),
        ("chdb://:memory:", Dsn("labelpulse", ":memory:")),
        ("chdb:///x?database=other", Dsn("other", "/x")),
        ("clickhouse://db", Dsn("labelpulse", host="db")),
        ("clickhouse://me:p%40ss@db:8124/metrics", Dsn("metrics", None, "http", "db", 8124, "me", "p@ss")),
        ("http://db:8123", Dsn("labelpulse", None, "http", "db", 8123)),
        ("https://db", Dsn("labelpulse", None, "https", "db")),
        ("clickhouses://db", Dsn("labelpulse", None, "https", "db")),
        (
            "clickhouse://db?secure=true&verify=false",
            Dsn("labelpulse", None, "https", "db", options={"verify": "false"}),
        ),
    ],
)
def test_each_form_of_address_is_understood(dsn: str, expected: Dsn) -> None:
    """Embedded paths, absolute and relative, and servers with and without TLS are read as the help says."""
    assert parse_dsn(dsn) == expected


@pytest.mark.parametrize(
    "dsn",
    ["", "labelpulse", "chdb://", "mysql://db", "clickhouse://", "clickhouse://db:99999", "clickhouse://db/a-b",
     "clickhouse://db?colour=red", "chdb:///x?colour=red", "chdb:///x?database=1x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(dsn: str) -> None:
    """Anything else is an error of configuration in one line."""
    with pytest.raises(ConfigurationError) as refused:
        parse_dsn(dsn)
    assert "\n" not in refused.value.message + refused.value.remedy


@given(
    password=st.text(st.characters(min_codepoint=48, max_codepoint=0x2FF), min_size=4, max_size=20),
    scheme=st.sampled_from(["clickhouse", "https", "mysql"]),
)
def test_no_password_is_shown(password: str, scheme: str) -> None:
    """A password appears neither in the redacted address, nor in the parsed one's text, nor in an error about it."""
    secret = f"X{password}X"
    dsn = f"{scheme}://me:{quote(secret, safe='')}@db:8123/labelpulse?password={quote(secret, safe='')}"
    shown = redacted(dsn)
    try:
        shown += repr(parse_dsn(dsn.partition("?")[0]))
    except ConfigurationError as error:
        shown += error.message
    assert secret not in shown
    assert quote(secret, safe="") not in shown
