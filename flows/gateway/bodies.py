"""Bodies of requests: read up to a limit and within a time, and unpacked up to the same limit."""

import asyncio
import zlib
from collections.abc import Mapping

from starlette.types import Receive

from flows.gateway.refusals import RequestError, RequestReason

READ_SECONDS = 15.0
LENGTH_DIGITS_MAX = 18
GZIP = zlib.MAX_WBITS | 16


def announced_bytes(headers: Mapping[str, str], *, bytes_max: int) -> int:
    """Return how many bytes a body is said to have; 0 if it is not said.

    Parameters
    ----------
    headers
        The request's headers, names in lower case.
    bytes_max
        Most bytes, above 0.

    Raises
    ------
    RequestError
        If it is too large (413), before any of it is read.
    """
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return 0
    if len(length) > LENGTH_DIGITS_MAX or int(length) > bytes_max:
        raise _too_large(bytes_max)
    return int(length)


async def read_body(receive: Receive, *, bytes_max: int, read_seconds: float = READ_SECONDS) -> bytes:
    """Return the bytes of a body as they were sent.

    Parameters
    ----------
    receive
        Where the body comes from.
    bytes_max
        Most bytes, above 0.
    read_seconds
        How long the sender may take, above 0.

    Raises
    ------
    RequestError
        If it is too large (413), too slow (408), or breaks off (400).
    """
    message = await receive()
    if message.get("more_body") or message["type"] != "http.request":
        try:
            async with asyncio.timeout(read_seconds):
                return await _read_pieces(message, receive, bytes_max)
        except TimeoutError:
            raise RequestError(
                408, RequestReason.BODY_TOO_SLOW, f"the body did not arrive within {read_seconds:g} s"
            ) from None
    body = message.get("body", b"")
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    return body


async def _read_pieces(message: Mapping[str, object], receive: Receive, bytes_max: int) -> bytes:
    pieces, size = [], 0
    while True:
        if message["type"] != "http.request":
            raise RequestError(400, RequestReason.BODY_INCOMPLETE, "the sender went away within the body")
        piece = message.get("body", b"")
        assert isinstance(piece, bytes)
        size += len(piece)
        if size > bytes_max:
            raise _too_large(bytes_max)
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()


def unpacked(body: bytes, encoding: str, *, bytes_max: int) -> bytes:
    """Return a body without its content encoding.

    Parameters
    ----------
    body
        The bytes as they were sent.
    encoding
        What the header ``Content-Encoding`` says: nothing, ``identity`` or ``gzip``.
    bytes_max
        Most bytes of the result, above 0.

    Raises
    ------
    RequestError
        If the encoding is another (415), the bytes are not of it (400), or there are too many (413).
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in ("gzip", "x-gzip"):
        raise RequestError(415, RequestReason.ENCODING_UNKNOWN, f"the encoding {name[:40]!r} is not gzip")
    try:
        return _gunzipped(body, bytes_max)
    except zlib.error:
        raise RequestError(400, RequestReason.ENCODING_BROKEN, "the body is not gzip") from None


def _gunzipped(body: bytes, bytes_max: int) -> bytes:
    """Unpack all members of a gzip file."""
    pieces, size = [], 0
    while True:
        unpacker = zlib.decompressobj(GZIP)
        piece = unpacker.decompress(body, bytes_max - size + 1)
        size += len(piece)
        if size > bytes_max:
            raise _too_large(bytes_max)
        if not unpacker.eof:
            raise RequestError(400, RequestReason.ENCODING_BROKEN, "the gzip body is cut short")
        pieces.append(piece)
        body = unpacker.unused_data
        if not body:
            return b"".join(pieces)


def _too_large(bytes_max: int) -> RequestError:
    return RequestError(413, RequestReason.BODY_TOO_LARGE, f"the body has more than {bytes_max:,} bytes")
