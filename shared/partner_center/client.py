"""The requests of one call to Partner Center: attempts, repeats, renewal of the token, one deadline.

Source: Partner Center's "headers" page for MS-RequestId (the same over the repeats of one request,
so that a repeat is recognised; nobody could confirm that it is, for PATCH), "api-throttling-guidance".
"""

import asyncio
import random
import time
import uuid
import zlib
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from itertools import count

import anyio
import httpx

from shared import audit
from shared.call import Call, Target
from shared.credentials.tokens import Credentials
from shared.errors import BadGateway, CancelError, Unavailable
from shared.partner_center.connections import Connections
from shared.partner_center.orders import Order, Reply, order_url, read_order, request_headers
from shared.partner_center.refusals import ADVICE, error_of, is_unaccounted, retry_delay_s
from shared.partner_center.throttle import Gate

CONNECT_TIMEOUT_S = 2.0
REPLY_LIMIT_BYTES = 1024 * 1024  # an order has 2 to 5 kB
WORTH_TRYING_S = 0.05  # with less left of the deadline an attempt can only time out


class Exchange:
    """Partner Center, as one call sees it."""

    def __init__(
        self, target: Target, call: Call, *, connections: Connections, tokens: Credentials, gate: Gate
    ) -> None:
        self._target = target
        self._call = call
        self._connections = connections
        self._tokens = tokens
        self._gate = gate
        self._url = order_url(target.api_root, target.request.customer_tenant_id, target.request.order_id)

    async def read_order(self, request_id: str) -> Order:
        """Return the order as it is, or raise what stood in the way."""
        reply = await self._send("GET", request_id, None)
        if not reply.is_success:
            raise error_of(reply)
        order = read_order(reply.body, self._target.request.order_id)
        if order is None:
            raise BadGateway("unexpected_answer", ADVICE["unexpected_answer"])
        return order

    async def glance(self) -> Order | None:
        """Return the order, None if it cannot be read in the time that is left."""
        try:
            return await self.read_order(str(uuid.uuid4()))
        except CancelError:
            return None

    async def patch(self, body: bytes) -> Reply:
        """Return the final reply to the PATCH; raise as `_send` does."""
        return await self._send("PATCH", self._call.request_id, body)

    async def _send(self, method: str, request_id: str, body: bytes | None) -> Reply:
        """Return the first reply that is final, repeating the same request until then.

        Raises Unavailable if nothing answered, Throttled if the gate is closed, and whatever the
        token's source raises.
        """
        renewed = False
        reply: Reply | None
        for attempt in count(1):
            bearer = await self._bearer()
            if self._call.remaining_s < WORTH_TRYING_S:
                reply = None
                break
            reply = await self._attempt(method, request_id, body, bearer)
            if reply and reply.status == 401:
                # The token or the secret behind it was replaced since, perhaps; nothing was changed.
                self._tokens.refuse(self._target.account, bearer, again=renewed)
                if not renewed:
                    renewed = True
                    continue
            # Jitter only spreads repeats over time; nobody gains by guessing it.
            delay_s = retry_delay_s(reply, attempt, random.random())  # noqa: S311
            if delay_s is None or delay_s + WORTH_TRYING_S > self._call.remaining_s:
                break
            if not (reply and reply.status == 429):  # for that the gate does the waiting
                await asyncio.sleep(delay_s)
        if reply is None:
            raise Unavailable("partner_center_unavailable", ADVICE["partner_center_unavailable"])
        return reply

    async def _bearer(self) -> str:
        began = time.monotonic()
        try:
            return await self._tokens.bearer(self._target.account, self._call.remaining_s)
        finally:
            self._call.token_s += time.monotonic() - began

    async def _attempt(self, method: str, request_id: str, body: bytes | None, bearer: str) -> Reply | None:
        """Return the reply to one request, None if there was none within the deadline. Raises Throttled."""
        async with self._gate.passage(self._call.remaining_s) as passage:
            began = time.monotonic()
            try:
                passage.reply = await self._request(method, request_id, body, bearer)
            finally:
                self._call.attempts += 1
                self._call.partner_center_s += time.monotonic() - began
        return passage.reply

    async def _request(self, method: str, request_id: str, body: bytes | None, bearer: str) -> Reply | None:
        remaining_s = max(self._call.remaining_s, 0.001)
        headers = request_headers(bearer, request_id, self._call.correlation_id)
        sent = False

        async def content(body: bytes) -> AsyncIterator[bytes]:
            # httpx takes the body only when the connection stands and the headers are out: until
            # then no PATCH can have arrived, whatever goes wrong.
            nonlocal sent
            if not self._call.announced:
                audit.sending(self._call)
                self._call.announced = True
            sent = self._call.patch_sent = True
            # Lost until an answer accounts for it; so it stays if this task is ended at any point.
            self._call.patch_lost = True
            yield body

        lost_before = self._call.patch_lost
        if body is not None:
            headers["Content-Length"] = str(len(body))
        reply: Reply | None = None
        try:
            # anyio's, since httpcore shields its cleaning up from that alone.
            with anyio.fail_after(remaining_s):
                async with self._connections.stream(
                    method,
                    self._url,
                    headers=headers,
                    content=content(body) if body is not None else None,
                    # For TCP and TLS each: httpcore leaves a connection open that we end while it is made.
                    connect_timeout_s=min(CONNECT_TIMEOUT_S, remaining_s / 2),
                ) as response:
                    reply = Reply(response.status_code, b"", _retry_after_s(response.headers.get("retry-after")))
                    reply = Reply(reply.status, await _read(response), reply.retry_after_s)
        except (httpx.RequestError, TimeoutError, zlib.error):
            # An accepted PATCH is accepted, though its body broke off, and a 429 is a 429; anything else
            # that is not whole says nothing for sure: a refusal's code is in the body.
            reply = reply if reply and ((sent and reply.is_success) or reply.status == 429) else None
        if sent and reply and not is_unaccounted(reply):
            self._call.patch_lost = lost_before
        return reply


async def _read(response: httpx.Response) -> bytes:
    """Return the body, unpacked, cut off where no order can be that long."""
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  (httpx's type has the blocking one too)
    body = b""
    async for chunk in response.stream:
        body += chunk
        if len(body) > REPLY_LIMIT_BYTES:
            break
    if response.headers.get("content-encoding", "identity").lower() in {"gzip", "deflate"}:  # though not asked for
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, REPLY_LIMIT_BYTES)
    return body


def _retry_after_s(value: str | None) -> float | None:
    """Return the seconds of a Retry-After, which may be a number or an HTTP date (RFC 9110)."""
    if value is None:
        return None
    try:
        if value.strip().isdecimal():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
