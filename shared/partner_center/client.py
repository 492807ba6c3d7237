"""Sends the requests of one call to Partner Center, with repeats, token renewal and one deadline.

Source: Partner Center's "headers" page for MS-RequestId: repeats of one request carry the same id, so that
Partner Center recognises a repeat (nobody could confirm that it does so for PATCH), and a request after an answer
has a new one; "api-throttling-guidance".
"""

import asyncio
import math
import random
import time
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import count

import anyio

from shared import audit
from shared.call import Call, Patch, Target
from shared.connections.pool import ConnectionFailed, Connections, Response
from shared.credentials.tokens import Credentials
from shared.errors import BadGateway, CancelError, Unavailable
from shared.partner_center.lists import read_list
from shared.partner_center.orders import Order, order_in, order_url, orders_url, read_order, request_headers
from shared.partner_center.retry import retry_delay_s
from shared.partner_center.subscriptions import (
    Subscription,
    read_subscription,
    subscription_in,
    subscription_url,
    subscriptions_url,
)
from shared.partner_center.throttle import Gate
from shared.replies.answers import accounts_for_change, error_of, is_throttled
from shared.replies.refusals import UNAVAILABLE, UNEXPECTED
from shared.replies.reply import Reply

CONNECT_TIMEOUT_S = 2.0
REPLY_LIMIT_BYTES = 1024 * 1024  # an order has 2 to 5 kB
SHORTEST_ATTEMPT_S = 0.05  # an attempt with less time than this can only time out
LIST_PAGES = 50  # of a list of subscriptions; an order has a few lines
LONG_LIST_PAGES = 100  # of a customer's orders or subscriptions
PAGE_LIMIT_BYTES = 8 * 1024 * 1024  # a page of a list can have hundreds


@dataclass
class _Request:
    """One request, which may be sent several times.

    *headers* are added to those of every request. A *body* is that of *patch*. It must leave before *leave_by*, in
    seconds on the monotonic clock. The body of its answer is cut at *limit_bytes*.
    """

    method: str
    url: str
    request_id: str
    body: bytes | None = None
    patch: Patch | None = None
    leave_by: float = math.inf
    headers: Mapping[str, str] = field(default_factory=dict)
    limit_bytes: int = REPLY_LIMIT_BYTES

    def renew_id(self) -> None:
        """Take another id after a 401, which Partner Center may replay to the id that it has seen."""
        if self.patch is None or not self.patch.unaccounted:
            self.request_id = str(uuid.uuid4())
        if self.patch:
            self.patch.request_id = self.request_id


class PartnerCenterClient:
    """Sends the requests of one call; holds its repeats, token renewal and deadline."""

    def __init__(
        self, target: Target, call: Call, *, connections: Connections, tokens: Credentials, gate: Gate
    ) -> None:
        self._target = target
        self._call = call
        self._connections = connections
        self._tokens = tokens
        self._gate = gate
        self._has_failed = False  # the last attempt; then the next one opens a new connection

    async def read_order(self, request_id: str | None = None) -> Order:
        """Return the order as it is now. Raises CancelError if it cannot be read."""
        reply = await self._read(self._order_url, request_id)
        order = read_order(reply.body, self._order_id)
        if order is None:
            raise BadGateway(UNEXPECTED.code, UNEXPECTED.detail)
        return order

    async def read_order_if_possible(self) -> Order | None:
        """Return the order as it is now, None if it cannot be read in the time that is left."""
        try:
            return await self.read_order()
        except CancelError:
            return None

    async def patch_order(self, body: bytes, patch: Patch) -> Reply:
        """Return the final reply to the PATCH of the order. Raises CancelError if there was none."""
        return _answered(await self._send(_Request("PATCH", self._order_url, patch.request_id, body, patch)))

    async def read_subscription(self, subscription_id: str, request_id: str | None = None) -> Subscription:
        """Return a subscription as it is now. Raises CancelError if it cannot be read."""
        reply = await self._read(self._subscription_url(subscription_id), request_id)
        subscription = read_subscription(reply.body, subscription_id, reply.asked_at)
        if subscription is None:
            raise BadGateway(UNEXPECTED.code, UNEXPECTED.detail)
        return subscription

    async def read_subscriptions_of_order(self, order_id: str) -> list[Subscription]:
        """Return the subscriptions that an order began. Raises CancelError if not all of them can be read."""
        found: list[Subscription] = []
        url = subscriptions_url(self._target.api_root, self._target.customer_tenant_id, order_id)
        if not await self._read_list(url, subscription_in, found, LIST_PAGES):
            raise BadGateway(UNEXPECTED.code, UNEXPECTED.detail)
        return found

    async def read_all_orders(self, found: list[Order]) -> bool:
        """Read the customer's orders into *found*. False if there are more. Raises CancelError."""
        url = orders_url(self._target.api_root, self._target.customer_tenant_id)
        return await self._read_list(url, order_in, found, LONG_LIST_PAGES)

    async def read_all_subscriptions(self, found: list[Subscription]) -> bool:
        """Read the customer's subscriptions into *found*. False if there are more. Raises CancelError."""
        url = subscriptions_url(self._target.api_root, self._target.customer_tenant_id)
        return await self._read_list(url, subscription_in, found, LONG_LIST_PAGES)

    async def patch_subscription(
        self, subscription_id: str, body: bytes, patch: Patch, leave_by: float
    ) -> Reply | None:
        """Send the PATCH of a subscription and return the reply.

        It is not repeated, except with a new token: a second one needs a new reading. None if no answer came, or if
        it could not leave before *leave_by*, in seconds on the monotonic clock. Raises Throttled and the errors of
        `Credentials.bearer`.
        """
        url = self._subscription_url(subscription_id)
        return await self._send(_Request("PATCH", url, patch.request_id, body, patch, leave_by), is_repeated=False)

    async def _read_list[Item](
        self, url: str, read_item: Callable[[object], Item | None], found: list[Item], max_pages: int
    ) -> bool:
        async def read(page_url: str, headers: Mapping[str, str]) -> bytes:
            return (await self._read(page_url, None, headers, PAGE_LIMIT_BYTES)).body

        return await read_list(
            read, url, api_root=self._target.api_root, read_item=read_item, found=found, max_pages=max_pages
        )

    @property
    def _order_id(self) -> str:
        return self._target.request.order_id or ""

    @property
    def _order_url(self) -> str:
        return order_url(self._target.api_root, self._target.customer_tenant_id, self._order_id)

    def _subscription_url(self, subscription_id: str) -> str:
        return subscription_url(self._target.api_root, self._target.customer_tenant_id, subscription_id)

    async def _read(
        self,
        url: str,
        request_id: str | None,
        headers: Mapping[str, str] | None = None,
        limit_bytes: int = REPLY_LIMIT_BYTES,
    ) -> Reply:
        """Return the successful reply to a GET, cut at *limit_bytes*. Raises CancelError."""
        request = _Request("GET", url, request_id or str(uuid.uuid4()), headers=headers or {}, limit_bytes=limit_bytes)
        reply = _answered(await self._send(request))
        if not reply.is_success:
            raise error_of(reply)
        return reply

    async def _send(self, request: _Request, *, is_repeated: bool = True) -> Reply | None:
        """Send *request*, and repeat it until a reply is final. Return that reply, None if there was no answer.

        Without *is_repeated* it is sent once, and once more with a new token. Raises Throttled if the gate is closed,
        and the errors of `Credentials.bearer`.
        """
        was_renewed = False
        reply: Reply | None = None
        for attempt in count(1):
            bearer = await self._bearer()
            if self._call.remaining_s < SHORTEST_ATTEMPT_S:
                break
            reply = await self._attempt(request, bearer)
            if reply and reply.status == 401:
                # Nothing was changed. The token, or the secret behind it, may have been replaced meanwhile.
                self._tokens.reject_token(self._target.account, bearer, was_renewed=was_renewed)
                if not was_renewed:
                    was_renewed = True
                    reply = None  # without time for another attempt there is no answer
                    request.renew_id()
                    continue
            # Jitter spreads repeats over time. Guessing it helps no attacker.
            delay_s = retry_delay_s(reply, attempt, random.random())  # noqa: S311
            if not is_repeated or delay_s is None or delay_s + SHORTEST_ATTEMPT_S > self._call.remaining_s:
                break
            if not (reply and is_throttled(reply)):  # then the gate waits
                await asyncio.sleep(delay_s)
        return reply

    async def _bearer(self) -> str:
        started_at = time.monotonic()
        try:
            return await self._tokens.bearer(self._target.account, self._call.remaining_s)
        finally:
            self._call.token_s += time.monotonic() - started_at

    async def _attempt(self, request: _Request, bearer: str) -> Reply | None:
        """Return the reply to one request, None if there was none within the deadline. Raises Throttled."""
        async with self._gate.admit(self._call.remaining_s) as admission:
            if self._call.remaining_s < SHORTEST_ATTEMPT_S:  # the gate may have taken the rest of the time
                return None
            started_at = time.monotonic()
            try:
                admission.reply = await self._request(request, bearer)
            finally:
                self._call.attempts += 1
                self._call.partner_center_s += time.monotonic() - started_at
        return admission.reply

    async def _request(self, request: _Request, bearer: str) -> Reply | None:
        asked_at = time.monotonic()
        remaining_s = max(self._call.remaining_s, 0.001)
        headers = request_headers(bearer, request.request_id, self._call.correlation_id) | dict(request.headers)
        patch = request.patch
        is_fresh = self._has_failed
        is_sent = False

        async def content(body: bytes, patch: Patch) -> AsyncIterator[bytes]:
            # The body is asked for after the connection is open and the headers have left. Until then
            # no PATCH can have arrived, whatever goes wrong.
            nonlocal is_sent
            # The connection may have taken the rest of the time.
            if self._call.remaining_s < SHORTEST_ATTEMPT_S or time.monotonic() > request.leave_by:
                raise TimeoutError
            if not self._call.patches_sent:
                audit.sending(self._call, patch)
                if self._call.on_first_patch:
                    self._call.on_first_patch()
            is_sent = True
            self._call.order = None  # it may be another one from now on
            patch.sent += 1
            # Counted at once, so that the count is right even if this task is cancelled at any later point.
            patch.unaccounted += 1
            yield body

        body = request.body
        if body is not None:
            headers["Content-Length"] = str(len(body))
        reply: Reply | None = None
        try:
            # anyio's time limit, not asyncio's: httpcore protects its own clean-up only from anyio's.
            with anyio.fail_after(remaining_s):
                async with self._connections.stream(
                    request.method,
                    request.url,
                    headers=headers,
                    content=content(body, patch) if body is not None and patch else None,
                    # Applies to TCP and to TLS separately. Must end before our own time limit: httpcore leaks
                    # a connection that is cancelled during its handshake.
                    connect_timeout_s=min(CONNECT_TIMEOUT_S, remaining_s / 2),
                    is_fresh=is_fresh,
                ) as response:
                    retry_after_s = _retry_after_s(response.headers.get("retry-after"))
                    reply = Reply(response.status, b"", retry_after_s, asked_at)
                    # A proxy's error page may echo our headers. The token goes no further than here.
                    answer_body = (await _content_of(response, request.limit_bytes)).replace(bearer.encode(), b"-")
                    reply = Reply(reply.status, answer_body, retry_after_s, asked_at)
            if is_fresh:  # otherwise another request of this call may have failed meanwhile
                self._has_failed = False
        except (ConnectionFailed, TimeoutError, zlib.error):
            self._has_failed = True
            # The body broke off. Keep the reply only if its status alone decides: a 2xx to our PATCH, or a
            # 429. For everything else the code in the body is needed, so count it as no answer.
            reply = reply if reply and ((is_sent and reply.is_success) or reply.status == 429) else None
        if patch and not is_sent and reply and reply.is_success:
            reply, self._has_failed = None, True  # no PATCH has left, so this accepts nothing
        if patch and is_sent and reply and accounts_for_change(reply):
            patch.unaccounted -= 1
        return reply


def _answered(reply: Reply | None) -> Reply:
    """Return *reply*. Raises Unavailable if there was no answer."""
    if reply is None:
        raise Unavailable(UNAVAILABLE.code, UNAVAILABLE.detail)
    return reply


async def _content_of(response: Response, limit_bytes: int) -> bytes:
    """Return the body, decompressed, and cut at *limit_bytes*."""
    body = bytearray()  # a page of a list can have megabytes, and bytes would be copied with each chunk
    async for chunk in response.body:
        body += chunk
        if len(body) > limit_bytes:
            break
    # We ask for no compression, but a proxy may compress all the same.
    if response.headers.get("content-encoding", "identity").lower() in {"gzip", "deflate"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, limit_bytes)
    return bytes(body)


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
