"""Requests of hooks: to checked addresses only, over in time, and read as what they mean."""

import random
import ssl
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from sinks.hooks.addresses import is_public, parse_networks, parse_target
from sinks.hooks.http_client import HttpClient, resolved
from sinks.hooks.notification import Outcome
from sinks.hooks.retries import TokenBucket, answer_of, backoff_seconds
from tests.support.receiver import Receiver, running_receiver

LOOPBACK = parse_networks("127.0.0.0/8")
PRIVATE = (
    "127.0.0.1", "127.8.9.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1",
    "::1", "::", "fe80::1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:c0a8:101::1",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::")


def client_of(**options: object) -> HttpClient:
    """Return a client that may call this machine, if nothing else is said."""
    return HttpClient(**{"networks": LOOPBACK, "timeout_seconds": 5.0, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_only_this_machine_or_network_reaches_are_refused(address: str) -> None:
    """Loopback, private, link-local, shared, reserved and multicast ones, however they are written."""
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ConfigurationError, match="no public address"):
        parse_target(f"https://{host}/latest/meta-data")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called_encrypted_only(address: str) -> None:
    """https is taken, http is not: secrets and figures would be read by whoever is on the way."""
    host = f"[{address}]" if ":" in address else address
    assert parse_target(f"https://{host}/x").port == 443
    with pytest.raises(ConfigurationError, match="not encrypted"):
        parse_target(f"http://{host}/x", networks=LOOPBACK)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "not over HTTPS"),
        ("file:///etc/passwd", "not over HTTPS"),
        ("https://user:word@example.com/", "holds a password"),
        ("https://user@example.com/", "holds a password"),
        ("https://", "names no host"),
        ("https:///path", "names no host"),
        ("https://example.com/a b", "names no host"),
        ("https://exämple.com/", "names no host"),
        ("https://example.com:99999/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("http://example.com/", "not encrypted"),
        ("example.com", "not over HTTPS"),
        ("gopher://127.0.0.1:25/", "not over HTTPS"),
    ],
)
def test_addresses_of_the_wrong_kind_are_refused(url: str, reason: str) -> None:
    """What is no plain https address is refused at the start, without its path in the message."""
    with pytest.raises(ConfigurationError, match=reason) as refused:
        parse_target(f"{url}?key=hunter2")
    assert "hunter2" not in refused.value.message + refused.value.remedy


def test_a_name_that_leads_to_a_private_address_is_refused() -> None:
    """What counts is the address that is connected to, not the name; one bad address among good ones is enough."""
    with running_receiver() as receiver:
        for addresses in (["127.0.0.1"], ["93.184.216.34", "10.0.0.7"], ["::ffff:127.0.0.1"]):
            client = client_of(networks=(), resolve=lambda host, port, found=addresses: found)
            answer = client.post(f"https://hook.example:{receiver.port}/", body=b"{}", headers={})
            client.close()
            assert answer.outcome is Outcome.FAILED and "no public address" in answer.error
    assert receiver.requests == []


def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """The name is resolved once a connection, and that answer is what is checked and connected to."""
    answers = [["127.0.0.1"], ["10.9.9.9"]]
    with running_receiver() as receiver:
        client = client_of(resolve=lambda host, port: answers.pop(0))
        assert client.post(f"http://hook.example:{receiver.port}/a", body=b"{}", headers={}).status_code == 204
        assert client.post(f"http://hook.example:{receiver.port}/b", body=b"{}", headers={}).status_code == 204
        assert len(answers) == 1
        client.close()
        client = client_of(resolve=lambda host, port: answers.pop(0))
        refused = client.post(f"http://hook.example:{receiver.port}/c", body=b"{}", headers={})
        client.close()
    assert "10.9.9.9" in refused.error
    assert [request.path for request in receiver.requests] == ["/a", "/b"]
    assert receiver.requests[0].headers["host"] == f"hook.example:{receiver.port}"


def test_a_redirect_is_not_followed() -> None:
    """Whoever may be called cannot send the flow elsewhere: 302 is a failure."""
    with running_receiver(302) as receiver:
        client = client_of()
        answer = client.post(receiver.url, body=b"{}", headers={})
        client.close()
    assert (answer.outcome, answer.status_code, len(receiver.requests)) == (Outcome.FAILED, 302, 1)


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look the name up again, out of sight."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with running_receiver() as receiver:
        client = client_of()
        assert client.post(receiver.url, body=b"{}", headers={}).outcome is Outcome.DELIVERED
        client.close()


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_receiver_cannot_hold_the_thread(fault: str) -> None:
    """One that never answers, or never stops answering, fails when the time is over: each byte of it was in time."""
    with running_receiver(fault) as receiver:
        client = client_of(timeout_seconds=0.3)
        answer = client.post(receiver.url, body=b"{}", headers={})
        assert (answer.outcome, answer.error) == (Outcome.FAILED, "no complete answer in time")
        assert client.post(receiver.url, body=b"{}", headers={}).outcome is Outcome.DELIVERED
        client.close()


def test_a_connection_that_is_torn_down_is_a_failure_and_the_next_one_works() -> None:
    """Resets, and servers that are not there, are told in plain words."""
    with running_receiver("reset") as receiver:
        client = client_of()
        assert client.post(receiver.url, body=b"{}", headers={}).error == "connection reset by peer"
        assert client.post(receiver.url, body=b"{}", headers={}).outcome is Outcome.DELIVERED
        client.close()
    client = client_of()
    assert client.post(receiver.url, body=b"{}", headers={}).error == "connection refused"
    client.close()


def test_a_name_that_does_not_exist_is_told() -> None:
    """The name is resolved by the system, whose failure is an answer like any other."""
    client = client_of(resolve=resolved)
    assert client.post("https://nowhere.invalid/", body=b"{}", headers={}).error == "the host name cannot be resolved"
    client.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for hook.example that nobody has signed, with its key."""
    path = tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=hook.example", "-addext", "subjectAltName=DNS:hook.example", "-keyout", path, "-out",
         tmp_path / "public.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + (tmp_path / "public.pem").read_text())
    return path


def test_certificates_are_checked_against_the_name(certificate: Path) -> None:
    """Though the connection is to an address, the certificate must be for the name, and be trusted."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate.with_name("public.pem"))
    with running_receiver(tls=server_side) as receiver:
        told = [
            _post_encrypted(receiver, host="hook.example", trusting=trusting),
            _post_encrypted(receiver, host="other.example", trusting=trusting),
            _post_encrypted(receiver, host="hook.example", trusting=None),
        ]
    assert told[0] == ""
    assert told[1].startswith("the certificate is not valid: Hostname mismatch")
    assert told[2] == "the certificate is not valid: self-signed certificate"


def _post_encrypted(receiver: Receiver, *, host: str, trusting: ssl.SSLContext | None) -> str:
    client = client_of(ssl_context=trusting, resolve=lambda host, port: ["127.0.0.1"])
    answer = client.post(f"https://{host}:{receiver.port}/", body=b"{}", headers={})
    client.close()
    return answer.error


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED), (202, Outcome.DELIVERED), (204, Outcome.DELIVERED), (301, Outcome.FAILED),
        (400, Outcome.REFUSED), (401, Outcome.FAILED), (403, Outcome.FAILED), (404, Outcome.FAILED),
        (408, Outcome.FAILED), (410, Outcome.GONE), (413, Outcome.REFUSED), (422, Outcome.REFUSED),
        (425, Outcome.FAILED), (429, Outcome.FAILED), (500, Outcome.FAILED), (503, Outcome.FAILED),
        (599, Outcome.FAILED),
    ],
)  # fmt: skip
def test_what_an_answer_means(status: int, outcome: Outcome) -> None:
    """Success ends it, 410 ends the hook, what the content is to blame for ends the alert, all else is tried again."""
    answer = answer_of(status, headers={})
    assert (answer.outcome, answer.status_code) == (outcome, status)
    assert bool(answer.error) == (outcome is not Outcome.DELIVERED)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("7", 7.0), ("99999", 3_600.0), ("9" * 400, 3_600.0), ("-1", None), ("1.5", None), ("", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("tomorrow", None),
        ("٣", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    """Seconds or a date, never more than an hour; what makes no sense is as if it were not there."""
    assert answer_of(429, headers={"retry-after": text}, now=40.0).retry_after_seconds == seconds


@settings(deadline=None)
@given(st.integers(1, 10_000), st.floats(0.01, 10), st.floats(10, 10_000), st.integers())
def test_pauses_double_up_to_a_limit_with_jitter(failures: int, first: float, longest: float, seed: int) -> None:
    """Each pause lies between half of and the whole of its step, however often it failed."""
    step = min(longest, first * 2.0 ** min(failures - 1, 60))
    pause = backoff_seconds(failures, first=first, longest=longest, rng=random.Random(seed))
    assert step / 2 <= pause <= step


@settings(deadline=None)
@given(st.floats(0.1, 100), st.integers(1, 50), st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_the_rate_is_kept_over_any_time(per_second: float, burst: int, steps: list[float]) -> None:
    """Whenever somebody asks, no stretch of time sees more requests than the burst and the rate allow."""
    bucket, now, taken = TokenBucket(per_second=per_second, burst=burst, now=0.0), 0.0, []
    for step in steps:
        now += step
        if bucket.seconds_until_free(now) == 0:
            bucket.take()
            taken.append(now)
    for first, began in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + per_second * (taken[last] - began) + 1e-6
