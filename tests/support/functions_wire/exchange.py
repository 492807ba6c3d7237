"""Sends the bytes of a request over a connection of its own, and reads everything that comes back."""

import hashlib
import json
import socket
from contextlib import suppress
from typing import Any

from tests.support.local_cloud import Json

TIMEOUT_S = 30
LONG = 500  # bytes of a body; of a longer one only a digest is kept
VARYING_HEADERS = {"date", "server"}
VARYING_MEMBERS = {"id", "processUptime"}
# Follows each request. Its answer ends the connection, so no answer means that the host had closed it.
LAST = b"GET /last HTTP/1.1\r\nHost: functions.local\r\nConnection: close\r\n\r\n"


def exchange(port: int, parts: tuple[bytes, ...]) -> list[Json | str]:
    """Send *parts*, each after the answer to the one before. Return the answers, and "open" or "closed" after them."""
    is_head = parts[0].startswith(b"HEAD ")
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        received, is_over = b"", False
        for number, part in enumerate((*parts, LAST), start=1):
            with suppress(ConnectionError):  # the host has answered and closed before it had the whole part
                connection.sendall(part)
            while not is_over and (number > len(parts) or len(_answers(received, is_head=is_head)) < number):
                try:
                    more = connection.recv(65_536)
                except ConnectionError:
                    more = b""
                received, is_over = received + more, not more
    answers: list[Json | str] = [*_answers(received, is_head=is_head, is_over=True)]
    # The last request is for an unknown path.
    return [*answers[:-1], "open"] if len(answers) > 1 and _is_last(answers[-1]) else [*answers, "closed"]


def _is_last(answer: Json | str) -> bool:
    assert isinstance(answer, dict)
    return bool(answer["status"] == 404 and answer["headers"].get("connection") == "close")


def _answers(received: bytes, *, is_head: bool, is_over: bool = False) -> list[Json]:
    """Return the whole answers in *received*. *is_head*: the first one is to a HEAD."""
    found: list[Json] = []
    while b"\r\n\r\n" in received:
        head, _, received = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, reason = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        is_bodiless = (is_head and not found) or status in {"100", "204", "304"}
        taken = (b"", received) if is_bodiless else _take_body(received, headers, is_over=is_over)
        if taken is None:
            break
        body, received = taken
        varying = set(VARYING_HEADERS)
        if b'"processUptime"' in body:
            varying.add("content-length")
        if status == "500" and not body:
            # The real host sets the function's headers in no certain order, until it meets a bad one.
            varying.add("content-type")
        kept = {name: value for name, value in sorted(headers.items()) if name not in varying}
        found.append({"status": int(status), "reason": reason, "headers": kept, "body": _readable(body)})
    return found


def _take_body(received: bytes, headers: dict[str, str], *, is_over: bool) -> tuple[bytes, bytes] | None:
    """Return the body at the beginning of *received* and what follows it, or None if it is not whole yet."""
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while b"\r\n" in received:
            size_line, _, received = received.partition(b"\r\n")
            size = int(size_line, 16)
            if len(received) < size + 2:
                return None
            body, received = body + received[:size], received[size + 2 :]
            if not size:
                return body, received
        return None
    if (length := headers.get("content-length")) is not None and len(received) >= int(length):
        return received[: int(length)], received[int(length) :]
    return (received, b"") if is_over else None


def _readable(body: bytes) -> Any:
    """Return *body* as JSON or text; a long one as its digest, and of the product's answers the member to branch on."""
    if body.startswith(b"{"):
        members = json.loads(body)
        kept = {name: members[name] for name in ("code", "outcome") if name in members}
        return kept or {name: value for name, value in members.items() if name not in VARYING_MEMBERS}
    return f"{len(body)} bytes, SHA-256 {hashlib.sha256(body).hexdigest()[:16]}" if len(body) > LONG else body.decode()
