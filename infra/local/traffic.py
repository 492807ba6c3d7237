"""The record of the requests to every stand-in, and the application of faults.

A stand-in is a plain ASGI app; `Recorded` wraps it. The app does not know about faults: `Recorded` delays or
replaces its answer, or drops the connection, before or after the app has carried out the request.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.local.faults import Fault, Service
from infra.local.partner_center.members import member
from infra.local.partner_center.server import LATE_READS
from infra.local.serving import read_body
from infra.local.values import HttpAnswer, Json

MASK = "…"
PIECE_BYTES = 64 * 1024
SLOW_PIECES = 10
KEPT_REQUESTS = 20_000
STATUSES_WITHOUT_BODY = {204, 304}
SECRET_HEADERS = frozenset({"x-identity-header", "x-functions-key", "x-caller-key", "cookie"})
SECRET_FIELDS = frozenset(
    {
        *("client_secret", "client_assertion", "assertion", "password", "refresh_token", "access_token"),
        *("code", "code_verifier", "value", "sig"),
    }
)


class Traffic:
    """The requests that have arrived at all stand-ins, and the faults that are still to come.

    Attributes:
        requests: the newest requests, as `GET /requests` lists them.
        faults: first in, first out.
        latency_s: the seconds by which a stand-in's answers are delayed, by service.
        put_subscription: changes the subscription with this id, as a fault asks for.
        kill: kills the function's process, as a fault asks for.
        publish: is told each change, as an event's name and a function that returns its content: `request`, `faults`.
    """

    def __init__(self) -> None:
        self.requests: deque[Json] = deque(maxlen=KEPT_REQUESTS)
        self.faults: list[Fault] = []
        self.latency_s: dict[str, float] = {}
        self.put_subscription: Callable[[str, Json], object] = lambda _id, _subscription: None
        self.publish: Callable[[str, Callable[[], Any]], object] = lambda _event, _make: None
        self.kill: Callable[[], Awaitable[object]] = _kill_nothing
        self._faults_cleared = asyncio.Event()
        self._count = 0
        self._kills: set[asyncio.Task[None]] = set()

    def add_request(self, entry: Json) -> None:
        """Add *entry* to the record, with its number, which counts the requests since the start."""
        self._count += 1
        entry["number"] = self._count
        self.requests.append(entry)
        self.publish_request(entry)

    def publish_request(self, entry: Json) -> None:
        self.publish("request", lambda: entry)

    def add_fault(self, fault: Fault) -> None:
        self.faults.append(fault)
        self._publish_faults()

    def list_faults(self) -> list[Json]:
        """Return the faults that are still to come, as they were given, each with the times that are left."""
        return [fault.model_dump(mode="json", exclude_unset=True) | {"times": fault.times} for fault in self.faults]

    def take_fault(self, service: str, method: str, path: str) -> Fault | None:
        """Return the first fault that matches and count it as used."""
        for fault in self.faults:
            if fault.matches(service, method, path):
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
                self._publish_faults()
                return fault
        return None

    def clear_faults(self, name: str | None = None) -> None:
        """Remove all faults and release the requests that are being delayed. With *name* only remove those with it."""
        if name is None:
            self.faults.clear()
            self._faults_cleared.set()
            self._faults_cleared = asyncio.Event()
        else:
            self.faults = [fault for fault in self.faults if fault.name != name]
        self._publish_faults()

    def kill_after(self, delay_s: float) -> None:
        """Have the function's process killed after *delay_s*."""

        async def kill() -> None:
            await asyncio.sleep(delay_s)
            await self.kill()

        task = asyncio.create_task(kill())
        self._kills.add(task)  # the loop itself does not keep it
        task.add_done_callback(self._kills.discard)

    async def end_kills(self) -> None:
        """Give up the kills that are still to come."""
        for task in self._kills:
            task.cancel()
        await asyncio.gather(*self._kills, return_exceptions=True)

    def _publish_faults(self) -> None:
        self.publish("faults", self.list_faults)

    async def delay(self, delay_s: float) -> None:
        """Wait for *delay_s*, or until the faults are cleared."""
        try:
            async with asyncio.timeout(delay_s):
                await self._faults_cleared.wait()
        except TimeoutError:
            pass


class Recorded:
    """An ASGI app that records each request to *app* and applies faults to it."""

    def __init__(self, app: ASGIApp, service: Service, traffic: Traffic) -> None:
        self._app = app
        self._service: Service = service
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if body is None:  # the request never became whole
            return
        query = scope["query_string"].decode("latin-1")
        raw_path = scope["raw_path"].decode("latin-1")
        entry = {
            "service": self._service,
            "method": scope["method"],
            "path": raw_path + (f"?{_mask_form(query)}" if query else ""),
            "headers": _mask_headers(_decode_headers(scope["headers"])),
            "body": _mask_body(body),
            "status": None,
            "cut_status": None,
            "time": time.time(),
            "took_s": None,
            "dropped": False,
        }
        self._traffic.add_request(entry)
        try:
            await self._respond(scope, receive, send, body, entry)
        finally:
            entry["dropped"] |= entry["status"] is None
            self._traffic.publish_request(entry)

    async def _respond(self, scope: Scope, receive: Receive, send: Send, body: bytes, entry: Json) -> None:
        path = _full_path(scope)

        if latency_s := self._traffic.latency_s.get(self._service):
            await asyncio.sleep(latency_s)
        fault = self._traffic.take_fault(self._service, scope["method"], path)
        if fault is None:
            answer = await _call(self._app, scope, body)
            entry["dropped"] = _is_gone(scope)
            await _send_answer(send, answer, entry)
            return
        if fault.kill_after_s is not None:
            self._traffic.kill_after(fault.kill_after_s)
        if fault.delay_s:
            await self._traffic.delay(fault.delay_s)
        if fault.hang_up == "before":
            self._change_subscription(fault)
            await _hang_up(scope, receive)
            return
        answer = await self._answer_with(fault, scope, body)
        self._change_subscription(fault)
        if fault.hang_up == "after":
            await _hang_up(scope, receive)
            return
        is_cut = fault.hang_up == "halfway"
        entry["dropped"] = _is_gone(scope)
        await _send_answer(
            send,
            answer,
            entry,
            is_cut=is_cut,
            pause=partial(self._pause, scope, fault.slow_s) if fault.slow_s else None,
        )
        if fault.slow_s:
            entry["dropped"] = _is_gone(scope)
        if is_cut:
            await _hang_up(scope, receive)

    async def _pause(self, scope: Scope, slow_s: float) -> bool:
        """Wait between two pieces of a slow answer, and return whether the client still waits for the next one."""
        await self._traffic.delay(slow_s / SLOW_PIECES)
        return not _is_gone(scope)

    async def _answer_with(self, fault: Fault, scope: Scope, body: bytes) -> HttpAnswer:
        """Return the answer that *fault* gives. Carry the request out if the fault has no status."""
        payload = fault.payload()
        fault_headers = {name.lower(): value for name, value in fault.headers.items()}
        if fault.status is not None:
            headers = {"content-type": "application/json"} | fault_headers
            return HttpAnswer(fault.status, headers, payload or b"")
        answer = await _call(self._app, {**scope, LATE_READS: fault.behind}, body)
        headers = {**answer.headers, **fault_headers}
        return HttpAnswer(answer.status, headers, answer.body if payload is None else payload)

    def _change_subscription(self, fault: Fault) -> None:
        if fault.put_subscription is not None:
            self._traffic.put_subscription(member(fault.put_subscription, "id"), fault.put_subscription)


async def _kill_nothing() -> None:
    """Without a function there is nothing to kill: tests serve the stand-ins alone."""


def _is_gone(scope: Scope) -> bool:
    """Return whether the client has closed the connection before its answer."""
    transport = scope.get("transport")
    return transport is not None and transport.is_closing()


def _full_path(scope: Scope) -> str:
    path: str = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return path + (f"?{query}" if query else "")


def _decode_headers(raw_headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers}


async def _call(app: ASGIApp, scope: Scope, body: bytes) -> HttpAnswer:
    """Run *app* to its end and return its answer instead of sending it."""
    status, headers, sent = 500, {}, bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], _decode_headers(message["headers"])
        else:
            sent.extend(message.get("body", b""))

    await app(scope, receive, send)
    return HttpAnswer(status, headers, bytes(sent))


async def _send_answer(
    send: Send,
    answer: HttpAnswer,
    entry: Json,
    *,
    is_cut: bool = False,
    pause: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Send *answer*; with *is_cut* send only the first half of the body.

    With *pause* send it in small pieces, and go on after each one if *pause* returns true.
    """
    # Recorded before the answer leaves: a client that has its answer must find the status in the record.
    entry["cut_status" if is_cut else "status"] = answer.status
    if not is_cut:
        entry["took_s"] = round(time.time() - entry["time"], 6)
    has_body = answer.status not in STATUSES_WITHOUT_BODY
    headers = {**answer.headers} | ({"content-length": str(len(answer.body))} if has_body else {})
    raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw_headers})
    body = answer.body if has_body else b""
    if is_cut:
        body = body[: len(body) // 2]
    piece_bytes = max(1, min(PIECE_BYTES, len(body) // SLOW_PIECES if pause else PIECE_BYTES))
    for start in range(0, len(body), piece_bytes):
        await send({"type": "http.response.body", "body": body[start : start + piece_bytes], "more_body": True})
        if pause and not await pause():
            return
    if not is_cut:
        await send({"type": "http.response.body", "body": b""})


async def _hang_up(scope: Scope, receive: Receive) -> None:
    scope["transport"].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _mask_headers(headers: dict[str, str]) -> dict[str, str]:
    masked = {name: MASK if name in SECRET_HEADERS else value for name, value in headers.items()}
    if "authorization" in masked:
        scheme, space, _ = masked["authorization"].partition(" ")
        masked["authorization"] = f"{scheme} {MASK}" if space else MASK
    return masked


def _mask_body(body: bytes) -> Any:  # noqa: ANN401  (JSON, or text)
    """Return JSON as JSON, other content as text, and None for an empty body; secrets are masked."""
    text = body.decode("utf-8", "replace")
    try:
        parsed = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return _mask_form(text)
    if isinstance(parsed, dict):
        return {name: MASK if name in SECRET_FIELDS else value for name, value in parsed.items()}
    return parsed


def _mask_form(text: str) -> str:
    """Return form fields or a query with the secret fields masked and the rest unchanged."""
    fields = (field.partition("=") for field in text.split("&"))
    return "&".join(
        f"{name}={MASK}" if sign and name in SECRET_FIELDS else name + sign + value for name, sign, value in fields
    )
