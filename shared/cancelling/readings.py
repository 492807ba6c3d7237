"""Reads the order of one request and its subscriptions, and keeps what was found."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import anyio

from shared.call import Call, Target
from shared.cancelling.answer import Findings, state
from shared.cancelling.subscription import as_order
from shared.errors import CancelError
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.subscriptions import Subscription

AT_ONCE = 4  # requests for subscriptions, side by side
OTHERS_TAKE_S = 2.0  # to read what the answer shows, and what no PATCH depends on
ANSWER_TAKES_S = 0.25  # to answer before the deadline


class Readings:
    """Reads for one request. *findings* keeps the newest readings, the call the order that a problem shows."""

    def __init__(
        self, target: Target, call: Call, client: PartnerCenterClient, findings: Findings, at_once: asyncio.Semaphore
    ) -> None:
        self._target = target
        self._call = call
        self._client = client
        self._findings = findings
        self._at_once = at_once

    async def order(self, request_id: str | None = None) -> None:
        """Read the order. Raises CancelError."""
        self._findings.take_order(await self._client.read_order(request_id))
        self._call.order = state(self._target, self._findings, now())

    async def list_of_order(self) -> None:
        """Read the list of the order's subscriptions. Raises CancelError."""
        order_id = self._findings.order.order_id or self._target.request.order_id or ""
        self._findings.take_list(await self._client.read_subscriptions_of_order(order_id))

    async def subscriptions(self, places: Iterable[int]) -> None:
        """Read the subscriptions of those lines that live, or note why one could not be read."""

        async def read(subscription_id: str) -> None:
            async with self._at_once:
                try:
                    self._findings.note(await self._client.read_subscription(subscription_id))
                except CancelError as error:
                    self._findings.found[subscription_id.lower()] = error

        # anyio's, because a time limit may end it: httpcore protects its own clean-up only from anyio's cancellation.
        async with anyio.create_task_group() as group:
            for subscription_id in self._findings.subscription_ids(places):
                group.start_soon(read, subscription_id)
        self._call.order = state(self._target, self._findings, now())

    async def others(self, asked: Sequence[int]) -> None:
        """Read the subscriptions of the lines that were not asked for, if that is needed to tell whether any lives."""
        others = [place for place in range(len(self._findings.order.line_items)) if place not in asked]
        limit_s = min(OTHERS_TAKE_S, self._call.remaining_s - ANSWER_TAKES_S)
        if not self._findings.errors and self._findings.subscription_ids(others) and limit_s > 0:
            with anyio.move_on_after(limit_s):
                await self.subscriptions(others)

    def take_subscription(self, reading: Subscription) -> None:
        """Take the subscription that the request names, as an order of one line."""
        self._findings.take_order(as_order(reading))
        self._findings.note(reading)
        self._call.order = state(self._target, self._findings, now())


def now() -> datetime:
    return datetime.now(UTC)
