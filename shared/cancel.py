"""The one loop: attempt, repeat, find out, within one deadline.

A whole order costs one PATCH and no GET; lines are read first, so that the wrong one is never
cancelled. Whenever an answer leaves open what happened, the order itself is asked.

The promise: a cancellation that happened is never reported as failed for good, one that did not
is never reported as done, and what cannot be known is called `outcome_unknown`.

Source: Partner Center's "headers" page for MS-RequestId (the same over the repeats of one call,
so that a repeat is recognised; nobody could confirm that it is, for PATCH), "api-throttling-guidance".
"""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import httpx

from shared.contract import CancelRequest, CancelResult, LineItem, Outcome
from shared.credentials import Credentials
from shared.errors import BadGateway, CancelError, OurFault, OutcomeUnknown, Unavailable
from shared.partner_center import (
    Order,
    Reply,
    cancel_body,
    lines_to_cancel,
    order_url,
    read_order,
    request_headers,
    shows_cancellation,
)
from shared.refusals import ADVICE, error_of, is_unaccounted, may_mean_done, retry_delay_s

CONNECT_TIMEOUT_S = 2.0
REPLY_LIMIT_BYTES = 4 * 1024 * 1024  # an order has 2 to 5 kB
WORTH_TRYING_S = 0.05  # with less left of the deadline an attempt can only time out

UNKNOWN = (
    "The request may have reached Partner Center, and no answer tells what became of it. Ask again with the same"
    " body: a repeat is safe, and finds out."
)


@dataclass
class Call:
    """One call of ours: its ids, its deadline, and whether a PATCH may have arrived.

    *deadline* is on the monotonic clock. *request_id* is the PATCH's MS-RequestId; it is never
    carried into another call, or an old refusal that Partner Center replays would come back for ever.
    """

    deadline: float
    correlation_id: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    patch_sent: bool = False  # the first byte of a PATCH's body has left
    patch_lost: bool = False  # an attempt of it ended without an answer that accounts for it

    @property
    def remaining_s(self) -> float:
        return self.deadline - time.monotonic()

    def interrupted(self, *, by_host: bool) -> CancelError:
        """Return how to report that the host gave up on this call, or a bug of ours ended it."""
        if self.patch_sent:
            return OutcomeUnknown("outcome_unknown", UNKNOWN)
        if by_host:
            return Unavailable(
                "partner_center_unavailable", "The call was interrupted. Nothing was changed; ask again."
            )
        return OurFault("internal_error", "A fault of ours; nothing was changed. Report the correlationId.")


@dataclass(frozen=True)
class Target:
    """What a call is about: the order, and the account it is reached through."""

    account: str
    api_root: str
    request: CancelRequest
    dry_run: bool


async def cancel_order(target: Target, call: Call, *, http: httpx.AsyncClient, tokens: Credentials) -> CancelResult:
    """Cancel what is asked for and return the order as it is then, or raise a CancelError."""
    exchange = _Exchange(target, call, http, tokens)
    asked = target.request.line_items
    lines = None
    if asked is not None or target.dry_run:
        order = await exchange.read_order(call.request_id if target.dry_run else str(uuid.uuid4()))
        lines = lines_to_cancel(order, asked) if asked is not None else None
        if target.dry_run:
            would_be = [line for line in (order.line_items if lines is None else lines) if not line.cancelled]
            return _result(target, call, Outcome.DRY_RUN, order, would_be)
        if lines == []:
            return _result(target, call, Outcome.ALREADY_CANCELLED, order)

    body = cancel_body(target.request.order_id, lines)
    failure: CancelError | None = None
    order_seen: Order | None = None
    try:
        reply = await exchange.send("PATCH", call.request_id, body)
    except CancelError as error:
        failure = error
    else:
        if reply.is_success:
            order_seen = read_order(reply.body, target.request.order_id)
            if order_seen and shows_cancellation(order_seen, asked):
                return _result(target, call, _extent(order_seen), order_seen)
        else:
            failure = error_of(reply)

    if failure is None or call.patch_lost or may_mean_done(failure):
        order_read = await exchange.glance()
        if order_read and shows_cancellation(order_read, asked):
            before_us = failure is not None and not call.patch_lost
            outcome = Outcome.ALREADY_CANCELLED if before_us else _extent(order_read)
            return _result(target, call, outcome, order_read)
        order_seen = order_read or order_seen
    if failure is None:
        return _result(target, call, Outcome.PENDING, order_seen or Order())
    if call.patch_lost:
        raise OutcomeUnknown(
            "outcome_unknown", UNKNOWN, retry_after_s=failure.retry_after_s, partner_center=failure.partner_center
        )
    raise failure


class _Exchange:
    """The requests of one call to Partner Center."""

    def __init__(self, target: Target, call: Call, http: httpx.AsyncClient, tokens: Credentials) -> None:
        self._target = target
        self._call = call
        self._http = http
        self._tokens = tokens
        self._url = order_url(target.api_root, target.request.customer_tenant_id, target.request.order_id)

    async def read_order(self, request_id: str) -> Order:
        """Return the order as it is, or raise what stood in the way."""
        reply = await self.send("GET", request_id)
        if not reply.is_success:
            raise error_of(reply)
        order = read_order(reply.body, self._target.request.order_id)
        if order is None:
            raise BadGateway("unexpected_answer", ADVICE["unexpected_answer"])
        return order

    async def glance(self) -> Order | None:
        """Return the order, None if one read does not give it: it must not spoil what is known."""
        if self._call.remaining_s < WORTH_TRYING_S:
            return None
        try:
            bearer = await self._tokens.bearer(self._target.account, self._call.remaining_s)
        except CancelError:
            return None
        reply = await self._attempt("GET", str(uuid.uuid4()), None, bearer)
        return read_order(reply.body, self._target.request.order_id) if reply and reply.is_success else None

    async def send(self, method: str, request_id: str, body: bytes | None = None) -> Reply:
        """Return the first reply that is final, repeating the same request until then.

        Raises Unavailable if nothing answered, and whatever the token's source raises.
        """
        account = self._target.account
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            bearer = await self._tokens.bearer(account, self._call.remaining_s)
            reply = await self._attempt(method, request_id, body, bearer)
            if reply and reply.status == 401 and not renewed:
                # The token or the secret behind it was replaced since; nothing was changed.
                renewed = True
                self._tokens.refuse(account, bearer)
                continue
            # Jitter only spreads repeats over time; nobody gains by guessing it.
            delay_s = retry_delay_s(reply, attempt, random.random())  # noqa: S311
            if delay_s is None or delay_s + WORTH_TRYING_S > self._call.remaining_s:
                break
            await asyncio.sleep(delay_s)
        if reply is None:
            raise Unavailable("partner_center_unavailable", ADVICE["partner_center_unavailable"])
        return reply

    async def _attempt(self, method: str, request_id: str, body: bytes | None, bearer: str) -> Reply | None:
        """Return the reply to one request, None if there was none within the deadline."""
        remaining_s = max(self._call.remaining_s, 0.001)
        is_patch = body is not None
        sent = False

        async def content() -> AsyncIterator[bytes]:
            # httpx takes the body only when the connection stands and the headers are out: until
            # then no PATCH can have arrived, whatever goes wrong.
            nonlocal sent
            sent = self._call.patch_sent = True
            yield body or b""

        headers = request_headers(bearer, request_id, self._call.correlation_id)
        if is_patch:
            headers["Content-Length"] = str(len(body or b""))
        timeout = httpx.Timeout(remaining_s, connect=min(CONNECT_TIMEOUT_S, remaining_s))
        reply: Reply | None = None
        try:
            async with (
                asyncio.timeout(remaining_s),
                self._http.stream(
                    method, self._url, headers=headers, content=content() if is_patch else None, timeout=timeout
                ) as response,
            ):
                reply = Reply(response.status_code, b"", _retry_after_s(response.headers.get("retry-after")))
                reply = Reply(reply.status, await _read(response), reply.retry_after_s)
        except (httpx.RequestError, TimeoutError):
            pass  # with the status known and the body broken off, the status must do
        if sent and (reply is None or is_unaccounted(reply)):
            self._call.patch_lost = True
        return reply


async def _read(response: httpx.Response) -> bytes:
    """Return the body, cut off where no order can be that long."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > REPLY_LIMIT_BYTES:
            break
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


def _extent(order: Order) -> Outcome:
    return Outcome.CANCELLED if order.is_cancelled else Outcome.PARTIALLY_CANCELLED


def _result(
    target: Target, call: Call, outcome: Outcome, order: Order, would_be: list[LineItem] | None = None
) -> CancelResult:
    """Return the answer for *order*; *would_be* are the lines that a dry run names instead."""
    request = target.request
    named = [line for line in order.line_items if line.cancelled] if would_be is None else would_be
    ours = {
        "outcome": outcome,
        "order_id": order.order_id or request.order_id,
        "customer_tenant_id": request.customer_tenant_id,
        "dry_run": target.dry_run,
        "cancelled_line_items": [line.line_item_number for line in named if line.line_item_number is not None],
        "account": target.account,
        "ticket_id": request.ticket_id,
        "request_id": call.request_id,
        "correlation_id": call.correlation_id,
    }
    return CancelResult.model_validate(vars(order) | ours)
