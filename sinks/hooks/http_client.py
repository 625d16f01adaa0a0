"""Requests to receivers: to addresses that were checked, and over within a set time whatever the other side does."""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import httpcore2

from schemas.errors import ConfigurationError
from sinks.hooks.addresses import Network, Target, parse_target, require_allowed
from sinks.hooks.notification import BODY_CHARACTERS_MAX, Answer, failed, one_line
from sinks.hooks.retries import answer_of

USER_AGENT = "labelpulse"
RESPONSE_BYTES_MAX = 65_536
KEEP_ALIVE_SECONDS = 20.0
_FAILURES = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ConnectionNotAvailable,
    ssl.SSLError,
    OSError,
)

Resolve = Callable[[str, int], Sequence[str]]


class HttpClient:
    """Sends requests for one hook, from one thread. Redirects are not followed, proxies of the environment not used.

    Parameters
    ----------
    networks
        Networks that may be connected to though they are not public.
    timeout_seconds
        A request is over after so many seconds, from connecting to the last byte of the answer, above 0. Only the
        resolution of the name has limits of its own, the system's.
    resolve
        Returns the addresses of a host.
    ssl_context
        Whom to trust; None for the certificates of the system.
    clock
        Seconds of a monotonic clock.
    """

    def __init__(
        self,
        *,
        networks: Sequence[Network] = (),
        timeout_seconds: float,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        assert timeout_seconds > 0
        self._networks = networks
        self._timeout_seconds = timeout_seconds
        self._guard = _Guard(networks, resolve or resolved, clock)
        self._clock = clock
        self._pool = httpcore2.ConnectionPool(
            ssl_context=ssl_context or ssl.create_default_context(),
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=self._guard,
        )

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post JSON, and return what came back."""
        try:
            target = parse_target(url, networks=self._networks)
            return self._post(target, body, headers)
        except ConfigurationError as error:
            return failed(error.message)
        except _FAILURES as error:
            return failed(_told(error))

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        self._guard.begin(target, ends_at=self._clock() + self._timeout_seconds)
        seconds = self._timeout_seconds
        limits = {"connect": seconds, "read": seconds, "write": seconds, "pool": seconds}
        own = {"host": target.place.partition("://")[2], "user-agent": USER_AGENT, "content-type": "application/json"}
        with self._pool.stream(
            "POST",
            httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
            headers=list({**own, **headers}.items()),
            content=body,
            extensions={"timeout": limits},
        ) as response:
            text = _limited(response.iter_stream()).decode(errors="replace")[:BODY_CHARACTERS_MAX]
        got = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return answer_of(response.status, headers=got, body=text)


class _Guard(httpcore2.SyncBackend):
    """Connects to addresses that are allowed, and ends what takes too long."""

    def __init__(self, networks: Sequence[Network], resolve: Resolve, clock: Callable[[], float]) -> None:
        self._networks = networks
        self._resolve = resolve
        self._clock = clock
        self._is_encrypted = True
        self._ends_at = 0.0

    def begin(self, target: Target, *, ends_at: float) -> None:
        """Note what the next request is, and when it has to be over."""
        self._is_encrypted = target.is_encrypted
        self._ends_at = ends_at

    def seconds_left(self) -> float:
        """Return how long the request may still take; raise if it is over."""
        seconds = self._ends_at - self._clock()
        if seconds <= 0:
            raise httpcore2.ReadTimeout("no complete answer in time")
        return seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to an address of the host; all that it has must be allowed."""
        addresses = self._resolve(host, port)
        for address in addresses:
            require_allowed(ip_address(address), host=host, is_encrypted=self._is_encrypted, networks=self._networks)
        failure: Exception = httpcore2.ConnectError(f"the host name {host} has no address")
        for address in addresses:
            try:
                stream = super().connect_tcp(address, port, self.seconds_left(), local_address, socket_options)
                return _Limited(stream, self)
            except httpcore2.ConnectError as error:
                failure = error
        raise failure


class _Limited(httpcore2.NetworkStream):
    """A connection on which all of a request has one time limit, however slowly the other side goes on."""

    def __init__(self, stream: httpcore2.NetworkStream, guard: _Guard) -> None:
        self._stream = stream
        self._guard = guard

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._guard.seconds_left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._guard.seconds_left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._guard.seconds_left())
        return _Limited(stream, self._guard)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system resolves it.

    Raises
    ------
    OSError
        If it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


def json_body(content: Any) -> bytes:
    """Return JSON as it is sent.

    >>> json_body({"name": "ü"})
    b'{"name":"\\xc3\\xbc"}'
    """
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _limited(chunks: Iterable[bytes]) -> bytes:
    """Return the first bytes of an answer; what is longer is not read to its end."""
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) >= RESPONSE_BYTES_MAX:
            break
    return bytes(gathered)


def _told(error: BaseException) -> str:
    """Return what went wrong in a few words: what the system said of it, where that is behind it."""
    if isinstance(error, httpcore2.TimeoutException | TimeoutError):
        return "no complete answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "the host name cannot be resolved"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not valid: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            return one_line(cause.strerror.lower())
        cause = cause.__cause__ or cause.__context__
    return one_line(str(error) or type(error).__name__)
