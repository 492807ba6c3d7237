"""Reads a customer's orders and subscriptions, side by side, as far as the time goes, and lists them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

import anyio

from shared.call import Call, Target
from shared.contract import FindRequest, FindResult
from shared.errors import CancelError
from shared.finding.listing import Found, Situation, list_orders
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.orders import Order
from shared.partner_center.subscriptions import Subscription

ANSWER_TAKES_S = 0.5  # of the deadline, to make the list
TIME_IS_OVER_S = 0.1  # with less time left a reading ended because of the time


class _Failure(NamedTuple):
    """The end of a list that was not read whole. *is_by_time*: there was no time for the rest."""

    error: CancelError
    is_by_time: bool


class _Reading[Item]:
    """Reads one list. *found* has the items read so far; *is_whole*: there are no others."""

    def __init__(self, read: Callable[[list[Item]], Awaitable[bool]]) -> None:
        self._read = read
        self.found: list[Item] = []
        self.is_whole = False

    async def run(self, call: Call, failures: list[_Failure]) -> None:
        try:
            self.is_whole = await self._read(self.found)
        except CancelError as error:
            failures.append(_Failure(error, is_by_time=error.retryable and call.remaining_s < TIME_IS_OVER_S))
            # The other list ends with its next page. Cancelled, it could leave a connection half open.
            call.allowed_s = 0.0


async def find(request: FindRequest, target: Target, call: Call, client: PartnerCenterClient) -> FindResult:
    """Return the customer's orders that *request* asks for. Raises CancelError.

    If the time is over, the answer has what was read until then.
    """
    orders, subscriptions = (
        _Reading[Order](client.read_all_orders),
        _Reading[Subscription](client.read_all_subscriptions),
    )
    failures: list[_Failure] = []
    # Less time for the client, and no time limit around it: the client knows which service took the time.
    call.allowed_s -= ANSWER_TAKES_S
    async with anyio.create_task_group() as group:
        group.start_soon(orders.run, call, failures)
        group.start_soon(subscriptions.run, call, failures)
    # Without any order, each subscription would be listed as one that no order names.
    has_read = orders.found or (orders.is_whole and subscriptions.found)
    if failures and not (failures[0].is_by_time and has_read):
        raise failures[0].error
    found = Found(
        orders.found,
        subscriptions.found,
        are_orders_whole=orders.is_whole,
        are_subscriptions_whole=subscriptions.is_whole,
    )
    situation = Situation(
        target.customer_tenant_id, target.may_cancel_subscriptions, target.is_sandbox, datetime.now(UTC)
    )
    return list_orders(request, found, situation)
