"""Sends the requests of one call to Partner Center, with repeats, token renewal and one deadline.

Source: Partner Center's "headers" page for MS-RequestId: repeats of one request carry the same id, so that
Partner Center recognises a repeat (nobody could confirm that it does so for PATCH), and a request after an answer
has a new one; "api-throttling-guidance".
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

from shared import audit
from shared.call import Call, Target
from shared.connections.pool import ConnectionFailed, Connections, Response
from shared.credentials.tokens import Credentials
from shared.errors import BadGateway, CancelError, Unavailable
from shared.partner_center.orders import Order, order_url, read_order, request_headers
from shared.partner_center.retry import retry_delay_s
from shared.partner_center.throttle import Gate
from shared.replies.answers import accounts_for_change, error_of, is_throttled
from shared.replies.refusals import UNAVAILABLE, UNEXPECTED
from shared.replies.reply import Reply

CONNECT_TIMEOUT_S = 2.0
REPLY_LIMIT_BYTES = 1024 * 1024  # an order has 2 to 5 kB
SHORTEST_ATTEMPT_S = 0.05  # an attempt with less time than this can only time out


class OrderClient:
    """Sends the requests of one call; holds its repeats, token renewal and deadline."""

    def __init__(
        self, target: Target, call: Call, *, connections: Connections, tokens: Credentials, gate: Gate
    ) -> None:
        self._target = target
        self._call = call
        self._connections = connections
        self._tokens = tokens
        self._gate = gate
        self._url = order_url(target.api_root, target.request.customer_tenant_id, target.request.order_id)
        self._has_failed = False  # the last attempt; then the next one opens a new connection

    async def read_order(self, request_id: str) -> Order:
        """Return the order as it is now. Raises CancelError if it cannot be read."""
        reply = await self._send("GET", request_id, None)
        if not reply.is_success:
            raise error_of(reply)
        order = read_order(reply.body, self._target.request.order_id)
        if order is None:
            raise BadGateway(UNEXPECTED.code, UNEXPECTED.detail)
        return order

    async def read_order_if_possible(self) -> Order | None:
        """Return the order as it is now, None if it cannot be read in the time that is left."""
        try:
            return await self.read_order(str(uuid.uuid4()))
        except CancelError:
            return None

    async def patch(self, body: bytes) -> Reply:
        """Return the final reply to the PATCH. Raises like `_send`."""
        return await self._send("PATCH", self._call.request_id, body)

    async def _send(self, method: str, request_id: str, body: bytes | None) -> Reply:
        """Send a request, and repeat it until a reply is final. Return that reply.

        Raises Unavailable if there was no answer, Throttled if the gate is closed, and the errors of
        `Credentials.bearer`.
        """
        was_renewed = False
        reply: Reply | None = None
        for attempt in count(1):
            bearer = await self._bearer()
            if self._call.remaining_s < SHORTEST_ATTEMPT_S:
                break
            reply = await self._attempt(method, request_id, body, bearer)
            if reply and reply.status == 401:
                # Nothing was changed. The token, or the secret behind it, may have been replaced meanwhile.
                self._tokens.reject_token(self._target.account, bearer, was_renewed=was_renewed)
                if not was_renewed:
                    was_renewed = True
                    reply = None  # without time for another attempt there is no answer
                    if not self._call.patches_unaccounted:
                        # Partner Center may replay the 401 to the id that it has seen.
                        request_id = str(uuid.uuid4())
                    continue
            # Jitter spreads repeats over time. Guessing it helps no attacker.
            delay_s = retry_delay_s(reply, attempt, random.random())  # noqa: S311
            if delay_s is None or delay_s + SHORTEST_ATTEMPT_S > self._call.remaining_s:
                break
            if not (reply and is_throttled(reply)):  # then the gate waits
                await asyncio.sleep(delay_s)
        if reply is None:
            raise Unavailable(UNAVAILABLE.code, UNAVAILABLE.detail)
        return reply

    async def _bearer(self) -> str:
        started_at = time.monotonic()
        try:
            return await self._tokens.bearer(self._target.account, self._call.remaining_s)
        finally:
            self._call.token_s += time.monotonic() - started_at

    async def _attempt(self, method: str, request_id: str, body: bytes | None, bearer: str) -> Reply | None:
        """Return the reply to one request, None if there was none within the deadline. Raises Throttled."""
        async with self._gate.admit(self._call.remaining_s) as admission:
            if self._call.remaining_s < SHORTEST_ATTEMPT_S:  # the gate may have taken the rest of the time
                return None
            started_at = time.monotonic()
            try:
                admission.reply = await self._request(method, request_id, body, bearer)
            finally:
                self._call.attempts += 1
                self._call.partner_center_s += time.monotonic() - started_at
        return admission.reply

    async def _request(self, method: str, request_id: str, body: bytes | None, bearer: str) -> Reply | None:
        remaining_s = max(self._call.remaining_s, 0.001)
        headers = request_headers(bearer, request_id, self._call.correlation_id)
        is_sent = False

        async def content(body: bytes) -> AsyncIterator[bytes]:
            # The body is asked for after the connection is open and the headers have left. Until then
            # no PATCH can have arrived, whatever goes wrong.
            nonlocal is_sent
            if self._call.remaining_s < SHORTEST_ATTEMPT_S:  # the connection may have taken the rest of the time
                raise TimeoutError
            if not self._call.patches_sent:
                audit.sending(self._call)
            is_sent = True
            self._call.order = None  # it may be another one from now on
            self._call.patches_sent += 1
            # Counted at once, so that the count is right even if this task is cancelled at any later point.
            self._call.patches_unaccounted += 1
            yield body

        if body is not None:
            headers["Content-Length"] = str(len(body))
        reply: Reply | None = None
        try:
            # anyio's time limit, not asyncio's: httpcore protects its own clean-up only from anyio's.
            with anyio.fail_after(remaining_s):
                async with self._connections.stream(
                    method,
                    self._url,
                    headers=headers,
                    content=content(body) if body is not None else None,
                    # Applies to TCP and to TLS separately. Must end before our own time limit: httpcore leaks
                    # a connection that is cancelled during its handshake.
                    connect_timeout_s=min(CONNECT_TIMEOUT_S, remaining_s / 2),
                    is_fresh=self._has_failed,
                ) as response:
                    reply = Reply(response.status, b"", _retry_after_s(response.headers.get("retry-after")))
                    # A proxy's error page may echo our headers. The token goes no further than here.
                    answer_body = (await _read(response)).replace(bearer.encode(), b"-")
                    reply = Reply(reply.status, answer_body, reply.retry_after_s)
            self._has_failed = False
        except (ConnectionFailed, TimeoutError, zlib.error):
            self._has_failed = True
            # The body broke off. Keep the reply only if its status alone decides: a 2xx to our PATCH, or a
            # 429. For everything else the code in the body is needed, so count it as no answer.
            reply = reply if reply and ((is_sent and reply.is_success) or reply.status == 429) else None
        if body is not None and not is_sent and reply and reply.is_success:
            reply, self._has_failed = None, True  # no PATCH has left, so this accepts nothing
        if is_sent and reply and accounts_for_change(reply):
            self._call.patches_unaccounted -= 1
        return reply


async def _read(response: Response) -> bytes:
    """Return the body, decompressed. It is cut at REPLY_LIMIT_BYTES, since no order is that long."""
    body = b""
    async for chunk in response.body:
        body += chunk
        if len(body) > REPLY_LIMIT_BYTES:
            break
    # We ask for no compression, but a proxy may compress all the same.
    if response.headers.get("content-encoding", "identity").lower() in {"gzip", "deflate"}:
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
