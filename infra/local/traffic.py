"""The record of requests to every stand-in, and the place where faults are applied.

A stand-in is a plain ASGI app; `Recorded` wraps it. The app never knows of faults: `Recorded`
holds its answer back, replaces it or drops the connection, before or after the app has acted.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.local.faults import Fault, Service
from infra.local.serving import read_body
from infra.local.values import HttpAnswer, Json

MASK = "…"
PIECE_BYTES = 64 * 1024
SLOW_PIECES = 10
KEPT_REQUESTS = 20_000
SECRET_HEADERS = frozenset({"x-identity-header", "x-functions-key", "x-caller-key", "cookie"})
SECRET_FIELDS = frozenset(
    {
        *("client_secret", "client_assertion", "assertion", "password", "refresh_token", "access_token"),
        *("code", "code_verifier", "value"),
    }
)


class Traffic:
    """The requests that have arrived and the faults still to come, over all stand-ins."""

    def __init__(self) -> None:
        self.requests: deque[Json] = deque(maxlen=KEPT_REQUESTS)
        self.faults: list[Fault] = []
        self.latency_s: dict[str, float] = {}
        self._let_go = asyncio.Event()

    def take_fault(self, service: str, method: str, path: str) -> Fault | None:
        """Return the first fault that matches and count it as used."""
        for fault in self.faults:
            if fault.matches(service, method, path):
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
                return fault
        return None

    def clear_faults(self) -> None:
        """Remove all faults and let the requests that are being delayed go on."""
        self.faults.clear()
        self._let_go.set()
        self._let_go = asyncio.Event()

    async def hold(self, delay_s: float) -> None:
        """Wait for *delay_s*, or until the faults are cleared."""
        try:
            async with asyncio.timeout(delay_s):
                await self._let_go.wait()
        except TimeoutError:
            pass


class Recorded:
    """An ASGI app that logs each request to *app*, and applies the faults that were asked for."""

    def __init__(self, app: ASGIApp, service: Service, traffic: Traffic) -> None:
        self._app = app
        self._service: Service = service
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if body is None:  # no request
            return
        query = scope["query_string"].decode("latin-1")
        path = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        entry = {
            "service": self._service,
            "method": scope["method"],
            "path": scope["raw_path"].decode("latin-1") + (f"?{_masked_form(query)}" if query else ""),
            "headers": _masked_headers(headers),
            "body": _masked_body(body),
            "status": None,
            "cut_status": None,
            "time": time.time(),
            "took_s": None,
        }
        self._traffic.requests.append(entry)

        if latency_s := self._traffic.latency_s.get(self._service):
            await asyncio.sleep(latency_s)
        fault = self._traffic.take_fault(self._service, scope["method"], path)
        if fault is None:
            await _answer(send, await _run(self._app, scope, body), entry)
            return

        if fault.delay_s:
            await self._traffic.hold(fault.delay_s)
        if fault.hang_up == "before":
            await _hang_up(scope, receive)
            return
        if fault.status is not None:
            headers = {"content-type": "application/json"} | {k.lower(): v for k, v in fault.headers.items()}
            answer = HttpAnswer(fault.status, headers, fault.payload() or b"")
        else:
            answer = await _run(self._app, scope, body)
            headers = {**answer.headers, **{name.lower(): value for name, value in fault.headers.items()}}
            payload = fault.payload()
            answer = HttpAnswer(answer.status, headers, answer.body if payload is None else payload)
        if fault.hang_up == "after":
            await _hang_up(scope, receive)
            return
        is_cut = fault.hang_up == "halfway"
        await _answer(send, answer, entry, slow_s=fault.slow_s, is_cut=is_cut)
        if is_cut:
            await _hang_up(scope, receive)


async def _run(app: ASGIApp, scope: Scope, body: bytes) -> HttpAnswer:
    """Run *app* to its end and return its answer instead of sending it."""
    answer = HttpAnswer(500, {}, b"")

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal answer
        if message["type"] == "http.response.start":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            answer = answer._replace(status=message["status"], headers=headers)
        else:
            answer = answer._replace(body=answer.body + message.get("body", b""))

    await app(scope, receive, send)
    return answer


async def _answer(send: Send, answer: HttpAnswer, entry: Json, *, slow_s: float = 0.0, is_cut: bool = False) -> None:
    """Send *answer*, over *slow_s*; if *is_cut* only the first half of its body."""
    # Before the answer leaves: whoever has it finds its request marked so.
    entry["cut_status" if is_cut else "status"] = answer.status
    if not is_cut:
        entry["took_s"] = round(time.time() - entry["time"], 6)
    headers = {**answer.headers} | ({} if answer.status in {204, 304} else {"content-length": str(len(answer.body))})
    raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw_headers})
    body = b"" if answer.status in {204, 304} else answer.body[: len(answer.body) // 2] if is_cut else answer.body
    step = max(1, min(PIECE_BYTES, len(body) // SLOW_PIECES if slow_s else PIECE_BYTES))
    for start in range(0, len(body), step):
        await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        if slow_s:
            await asyncio.sleep(slow_s / SLOW_PIECES)
    if not is_cut:
        await send({"type": "http.response.body", "body": b""})


async def _hang_up(scope: Scope, receive: Receive) -> None:
    scope["transport"].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _masked_headers(headers: dict[str, str]) -> dict[str, str]:
    masked = {name: MASK if name in SECRET_HEADERS else value for name, value in headers.items()}
    if "authorization" in masked:
        scheme, space, _ = masked["authorization"].partition(" ")
        masked["authorization"] = f"{scheme} {MASK}" if space else MASK
    return masked


def _masked_body(body: bytes) -> Any:  # noqa: ANN401  (JSON, or text)
    """Return JSON as JSON, anything else as text, None for nothing; secrets masked."""
    text = body.decode("utf-8", "replace")
    try:
        parsed = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return _masked_form(text)
    if isinstance(parsed, dict):
        return {name: MASK if name in SECRET_FIELDS else value for name, value in parsed.items()}
    return parsed


def _masked_form(text: str) -> str:
    """Return form fields, or a query, with the secret ones masked and all else as it came."""
    fields = (field.partition("=") for field in text.split("&"))
    return "&".join(
        f"{name}={MASK}" if sign and name in SECRET_FIELDS else name + sign + value for name, sign, value in fields
    )
