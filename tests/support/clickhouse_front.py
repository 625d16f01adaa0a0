"""A small HTTP server that answers like ClickHouse: the embedded engine behind it, and faults on demand before it.

In a test it runs in threads of the test's own process, beside ordinary clients of the embedded engine on the same path,
so that both ways can be compared. ``python -m tests.support.clickhouse_front --path PATH`` runs it in a process of its
own.
"""

import argparse
import base64
import contextlib
import gzip
import json
import random
import re
import socket
import struct
import tempfile
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame
from backports import zstd

AUTHENTICATION_FAILED = 516
_NOT_SETTINGS = frozenset({
    "query", "database", "user", "password", "session_id", "session_timeout", "session_check", "query_id", "quota_key",
    "compress", "decompress", "buffer_size", "wait_end_of_query", "client_protocol_version", "role", "default_format",
    "enable_http_compression", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close",
})  # fmt: skip
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s+[^\n]*?)\s+FORMAT\s+(\w+)\s*?(?:\n|$)", flags=re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", flags=re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)")


class FaultKind(StrEnum):
    """What can go wrong with a request."""

    RESET_BEFORE = "reset_before"
    """The connection is reset, nothing was done."""
    RESET_AFTER = "reset_after"
    """The connection is reset after the statement took effect."""
    STATUS = "status"
    """An error is answered, nothing was done."""
    STATUS_AFTER = "status_after"
    """An error is answered after the statement took effect."""
    HOLD_BEFORE = "hold_before"
    """Nothing happens until the fault is released; then the statement is run."""
    HOLD_AFTER = "hold_after"
    """The statement is run, its answer waits until the fault is released."""
    HALF_ANSWER = "half_answer"
    """The statement is run, half of its answer is sent and the connection closed."""


@dataclass
class Fault:
    """Something that goes wrong with the next requests that it fits.

    Parameters
    ----------
    kind
        What goes wrong.
    matching
        Text that the statement must contain.
    after
        How many requests that it fits pass first.
    times
        How often; None for ever.
    probability
        Chance that it hits a request that it fits.
    status, code, message
        HTTP status, ClickHouse's error code (None: a proxy's answer) and the body of an error.
    """

    kind: FaultKind
    matching: str = ""
    after: int = 0
    times: int | None = 1
    probability: float = 1.0
    status: int = 503
    code: int | None = None
    message: str = "injected"
    released: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)


@dataclass
class _Request:
    statement: bytes
    body: bytes
    parameters: dict[str, str]
    settings: dict[str, str]
    database: str | None

    @property
    def text(self) -> str:
        return self.statement.decode("utf-8", errors="replace")


class ClickHouseFront:
    """A server on a free port of 127.0.0.1, over the embedded engine at `path`.

    Parameters
    ----------
    path
        Folder of the engine.
    users
        Passwords by user; None lets everybody in.
    port
        Port to listen on; 0 chooses a free one.
    seed
        Decides which requests a fault with a probability hits.
    """

    def __init__(
        self, path: Path | str, *, users: Mapping[str, str] | None = None, port: int = 0, seed: int = 0
    ) -> None:
        self.path = str(Path(path).resolve())
        self.users = users
        self.seen: Counter[str] = Counter()
        """How many requests there were, by the first two words of the statement, and how many faults, by kind."""
        self._faults: list[Fault] = []
        self._used: list[Fault] = []
        self._lock = threading.Lock()
        self._rng = random.Random(seed)
        self._engine = chdb.connect(self.path)
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> "ClickHouseFront":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()
        self._engine.close()

    @property
    def port(self) -> int:
        """The port."""
        return self._server.server_address[1]

    @property
    def dsn(self) -> str:
        """The address for clients."""
        return f"clickhouse://127.0.0.1:{self.port}"

    def inject(self, *faults: Fault) -> None:
        """Let faults happen, the first that fits a request at each."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Take all faults away; requests that one holds go on."""
        with self._lock:
            used, self._faults, self._used = self._used, [], []
        for fault in used:
            fault.released.set()

    def take_fault(self, statement: str) -> Fault | None:
        """Return the fault that hits a request, if any."""
        with self._lock:
            self.seen[" ".join(statement.split()[:2]).upper()] += 1
            for fault in self._faults:
                if fault.matching in statement and self._hits(fault):
                    return fault
        return None

    def _hits(self, fault: Fault) -> bool:
        if fault.after > 0:
            fault.after -= 1
            return False
        if self._rng.random() >= fault.probability:
            return False
        self.seen[fault.kind] += 1
        self._used.append(fault)
        if fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                self._faults.remove(fault)
        return True

    def run(self, request: _Request) -> tuple[bytes, dict[str, str]]:
        """Run a statement; return the body of the answer and its headers."""
        engine = chdb.connect(self.path)  # of its own, so that no setting of one request reaches another
        try:
            if request.database:
                engine.query(f"USE `{request.database}`")
            for name, value in request.settings.items():
                engine.query(f"SET {name} = {_quoted(value)}")
            return _run_insert(engine, request) or _run_query(engine, request)
        finally:
            engine.close()


def _run_insert(engine: Any, request: _Request) -> tuple[bytes, dict[str, str]] | None:
    insert = _INSERT.match(request.statement)
    if insert is None:
        return None
    with tempfile.NamedTemporaryFile(suffix=".data") as file:
        file.write(request.statement[insert.end() :] + request.body)
        file.flush()
        result = engine.query(
            f"{insert[1].decode()} FROM INFILE {_quoted(file.name)} FORMAT {insert[2].decode()}", "TabSeparated"
        )
    return b"", _summary({"written_rows": result.rows_read(), "written_bytes": result.bytes_read()})


def _run_query(engine: Any, request: _Request) -> tuple[bytes, dict[str, str]]:
    statement = request.text + ("\n" + request.body.decode() if request.body else "")
    named = _FORMAT.search(statement)
    result = engine.query(statement, named[1] if named else "TabSeparated", params=request.parameters)
    body = result.bytes() or b""
    headers = _summary({"read_rows": result.rows_read(), "read_bytes": result.bytes_read()})
    if body or named:
        headers["X-ClickHouse-Format"] = named[1] if named else "TabSeparated"
    return body, headers


def _summary(counts: Mapping[str, int]) -> dict[str, str]:
    return {"X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in counts.items()})}


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], front: ClickHouseFront) -> None:
        self.front = front
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # else each answer waits for an acknowledgement
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is what faults are for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for an answer, not one a header

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        request = self._request()
        if not self._is_let_in():
            text = "Code: 516. DB::Exception: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)"
            self._answer(403, text.encode(), {"X-ClickHouse-Exception-Code": str(AUTHENTICATION_FAILED)})
            return
        fault = self.server.front.take_fault(request.text)
        if fault is not None and not self._fail_before(fault):
            return
        status, body, headers = self._run(request)
        if fault is None or self._fail_after(fault, body):
            self._answer(status, body, headers)

    def _run(self, request: _Request) -> tuple[int, bytes, dict[str, str]]:
        try:
            return 200, *self.server.front.run(request)
        except RuntimeError as error:
            found = _CODE.search(str(error))
            headers = {"X-ClickHouse-Exception-Code": found[1]} if found else {}
            return 500, str(error).encode(), headers

    def _fail_before(self, fault: Fault) -> bool:
        """Let a fault happen before the statement is run; return whether it is run at all."""
        if fault.kind is FaultKind.RESET_BEFORE:
            self._reset()
        elif fault.kind is FaultKind.STATUS:
            self._answer_error(fault)
        elif fault.kind is FaultKind.HOLD_BEFORE:
            fault.reached.set()
            fault.released.wait()
        return fault.kind not in (FaultKind.RESET_BEFORE, FaultKind.STATUS)

    def _fail_after(self, fault: Fault, body: bytes) -> bool:
        """Let a fault happen after the statement was run; return whether there is an answer."""
        if fault.kind is FaultKind.RESET_AFTER:
            self._reset()
        elif fault.kind is FaultKind.STATUS_AFTER:
            self._answer_error(fault)
        elif fault.kind is FaultKind.HALF_ANSWER:
            self._answer(200, body[: len(body) // 2], {}, length=max(len(body), 2))
            self._reset()
        elif fault.kind is FaultKind.HOLD_AFTER:
            fault.reached.set()
            fault.released.wait()
        return fault.kind in (FaultKind.HOLD_BEFORE, FaultKind.HOLD_AFTER)

    def _answer_error(self, fault: Fault) -> None:
        headers = {} if fault.code is None else {"X-ClickHouse-Exception-Code": str(fault.code)}
        text = fault.message if fault.code is None else f"Code: {fault.code}. DB::Exception: {fault.message}"
        self._answer(fault.status, text.encode(), headers)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str], *, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _is_let_in(self) -> bool:
        users = self.server.front.users
        if users is None:
            return True
        kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(credentials).decode().partition(":") if kind == "Basic" else ("", "", "")
        return user in users and users[user] == password

    def _request(self) -> _Request:
        values = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = _decompressed(b"".join(self._chunks()), self.headers.get("Content-Encoding", ""))
        content_type = self.headers.get("Content-Type", "")
        if content_type.startswith("multipart/form-data"):
            values |= _form_fields(content_type, body)
            body = b""
        statement, rest = (values["query"].encode(), body) if "query" in values else (body, b"")
        parameters = {name.removeprefix("param_"): text for name, text in values.items() if name.startswith("param_")}
        settings = {
            name: text for name, text in values.items() if name not in _NOT_SETTINGS and not name.startswith("param_")
        }
        return _Request(statement, rest, parameters, settings, values.get("database"))

    def _chunks(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()


def _decompressed(body: bytes, encoding: str) -> bytes:
    if encoding == "lz4":
        return b"".join(_lz4_frames(body))
    if encoding == "zstd":
        return zstd.decompress(body)
    if encoding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body


def _lz4_frames(body: bytes) -> Iterator[bytes]:
    """Yield every frame: an insert of several blocks has as many, and one alone would silently lose rows."""
    while body:
        frame = lz4.frame.LZ4FrameDecompressor()
        yield frame.decompress(body)
        body = frame.unused_data or b""


def _form_fields(content_type: str, body: bytes) -> dict[str, str]:
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True).decode()
        for part in message.iter_parts()
    }


def main() -> None:
    """Run a front in this process until it is ended; its address is the first line of output."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--path", required=True)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with ClickHouseFront(arguments.path, port=arguments.port) as front:
        print(front.dsn, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
