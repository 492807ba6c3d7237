"""Kestrel, the web server inside the Functions host: reads requests off connections and writes answers to them.

It serves an ASGI app, which gets the path decoded and without dot segments. `request_head` has Kestrel's rules for
a request's head, `written` those for an answer's length.
"""

import asyncio
import http
import logging
import re
import socket
from contextlib import suppress
from email.utils import formatdate

from starlette.types import ASGIApp, Message, Scope

from infra.local.functions.process import BACKLOG
from infra.local.functions.request_head import (
    HEADER_COUNT_LIMIT,
    HEADERS_LIMIT_BYTES,
    LINE_LIMIT_BYTES,
    Head,
    Refused,
    check_headers,
    read_header,
    read_request_line,
)
from infra.local.values import HttpAnswer

REASONS = {status.value: status.phrase for status in http.HTTPStatus} | {
    413: "Payload Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    418: "I'm a teapot",
    422: "Unprocessable Entity",
    425: "",
    499: "Client Closed Request",
}
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r]*)?")
WITHOUT_BODY = frozenset({204, 205, 304})
CLOSING = {"connection": "close", "content-length": "0"}

log = logging.getLogger("functions_host")


class Kestrel:
    """Serves *app*. *body_limit* is in bytes: a connection with an unread body above it is closed."""

    def __init__(self, app: ASGIApp, *, body_limit: int) -> None:
        self._app = app
        self._body_limit = body_limit

    async def serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Serve until *stop* is set."""
        # asyncio listens again: without *backlog* 100 connections would be the most that wait to be accepted.
        await asyncio.start_server(self._converse, sock=listener, limit=HEADERS_LIMIT_BYTES, backlog=BACKLOG)
        await stop.wait()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. Return whether the connection may carry another one."""
        try:
            head = await _read_head(reader)
        except Refused as refused:
            writer.write(_written_head(refused.status, CLOSING | refused.headers))
            return False
        body = _Body(reader, writer, head)
        content, stays = written(await self._answer(head, body), head)
        writer.write(content)
        await writer.drain()
        return stays and await body.skip(self._body_limit)

    async def _answer(self, head: Head, body: "_Body") -> HttpAnswer:
        """Return the app's answer. Raises OSError or IncompleteReadError if the client breaks off in the body."""
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": await body.read(), "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        scope: Scope = {
            "type": "http",
            "http_version": head.version.removeprefix("HTTP/"),
            "method": head.method,
            "scheme": "http",
            "path": head.path,
            "raw_path": head.target.encode(),
            "query_string": head.query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in head.headers],
        }
        await self._app(scope, receive, send)
        start, *rest = messages
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return HttpAnswer(start["status"], headers, b"".join(message["body"] for message in rest))


def written(answer: HttpAnswer, head: Head) -> tuple[bytes, bool]:
    """Return *answer* to *head* as it is on the wire, and whether the connection stays open.

    *answer* has its header names in lower case.
    """
    status, headers, body = answer.status, dict(answer.headers), answer.body
    stays = head.keep_alive and headers.pop("connection", "") != "close"
    is_whole = True
    if (given := headers.get("content-length")) is not None:
        if len(body) > int(given):
            log.error("the answer has more bytes than its Content-Length, %s", given)
            return _written_head(500, CLOSING), False
        is_whole = len(body) == int(given)
    elif status in WITHOUT_BODY:
        is_whole = not body
        if status == 205 and not body:
            headers["content-length"] = "0"
        body = b""
    elif not body:
        if head.method != "HEAD":
            headers["content-length"] = "0"
    elif head.version == "HTTP/1.0":
        stays = False  # the end of the connection is the end of the body
    elif head.method != "HEAD":
        headers["transfer-encoding"] = "chunked"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    if not stays:
        headers["connection"] = "close"
    elif head.version == "HTTP/1.0":
        headers["connection"] = "keep-alive"
    content = b"" if head.method == "HEAD" else body
    return _written_head(status, headers) + content, stays and is_whole


def _written_head(status: int, headers: dict[str, str]) -> bytes:
    ours = {"date": formatdate(usegmt=True), "server": "Kestrel"}
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}", *(f"{k}: {v}" for k, v in (ours | headers).items())]
    return "\r\n".join((*lines, "\r\n")).encode("latin-1")


async def _read_head(reader: asyncio.StreamReader) -> Head:
    """Return the head of the next request. Raises Refused, and IncompleteReadError at the end of the connection."""
    line = b""
    while not line:  # blank lines before a request are allowed
        line = await _read_line(reader, LINE_LIMIT_BYTES, too_long=414)
    head = read_request_line(line)
    left = HEADERS_LIMIT_BYTES
    while line := await _read_line(reader, left, too_long=431):
        left -= len(line) + 2
        head.headers.append(read_header(line))
        if len(head.headers) > HEADER_COUNT_LIMIT:
            raise Refused(431)
    check_headers(head)
    return head


async def _read_line(reader: asyncio.StreamReader, limit: int, *, too_long: int) -> bytes:
    """Return a line without its end, which may be a line feed alone."""
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise Refused(too_long) from None
    if len(line) > max(limit, 2):
        raise Refused(too_long)
    return line[:-1].removesuffix(b"\r")


class _Body:
    """The body of one request, which need not be read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: Head) -> None:
        self._reader = reader
        self._writer = writer
        self._head = head
        self._is_read = False

    async def read(self) -> bytes:
        """Return the whole body. Raises IncompleteReadError; a chunked body cannot be read, only skipped."""
        length = self._head.length or 0
        self._is_read = True
        if length and self._head.version == "HTTP/1.1" and self._head.value("expect").lower() == "100-continue":
            with suppress(TimeoutError):
                async with asyncio.timeout(0):  # a body that is there already needs no invitation
                    return await self._reader.readexactly(length)
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await self._reader.readexactly(length)

    async def skip(self, limit: int) -> bool:
        """Read what is left of the body. Return False if it is over *limit* or no valid chunks."""
        if self._is_read:
            return True
        if self._head.length is None:
            return await self._skip_chunks(limit)
        if self._head.length > limit:
            return False
        await self._reader.readexactly(self._head.length)
        return True

    async def _skip_chunks(self, limit: int) -> bool:
        trailers_left = HEADERS_LIMIT_BYTES
        try:
            while size := await self._read_chunk_size():
                limit -= size
                if limit < 0 or (await self._reader.readexactly(size + 2))[-2:] != b"\r\n":
                    return False
            while trailer := await _read_line(self._reader, trailers_left, too_long=431):
                trailers_left -= len(trailer) + 2
                read_header(trailer)
        except Refused:
            return False
        return True

    async def _read_chunk_size(self) -> int:
        found = CHUNK_SIZE.fullmatch(await _read_line(self._reader, LINE_LIMIT_BYTES, too_long=400))
        if not found:
            raise Refused(400)
        return int(found[1], 16)
