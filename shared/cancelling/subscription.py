"""Cancels one subscription, and finds out what happened to it.

Partner Center takes the whole subscription, and no If-Match: what somebody else has changed since it was read would be
undone, and seats that were added since would be cancelled too. So a PATCH leaves soon after its reading, and each
further PATCH has a new reading, which is checked again.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

from shared.call import Call, Patch, Target
from shared.cancelling.accepted import AcceptedPatches
from shared.cancelling.order import SECOND_LOOK_AFTER_S, SECOND_LOOK_TAKES_S
from shared.contract import Outcome
from shared.errors import CancelError, Unavailable
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.orders import Order, OrderLine
from shared.partner_center.retry import retry_delay_s
from shared.partner_center.subscriptions import DELETED, Subscription, read_subscription
from shared.replies.answers import error_of, is_conflict, is_throttled
from shared.replies.refusals import UNAVAILABLE
from shared.replies.reply import Reply
from shared.rules.outcome import ACCEPTED, decide_outcome, is_look_needed, is_second_look_needed

READING_VALID_S = 5.0
SHORTEST_PATCH_S = 2.0  # with less time left no PATCH begins: its answer would come too late


NO_TIME = (
    "There was not enough time left for the subscription. Nothing was changed; send the request again, with a longer"
    " wait (the header Prefer: wait=SECONDS) if it has a short one."
)

type Check = Callable[[Subscription], CancelError | None]


@dataclass(frozen=True)
class SubscriptionEnd:
    """How the cancellation of a subscription ended, and its newest reading."""

    end: Outcome | CancelError
    subscription: Subscription


class SubscriptionCancellation:
    """Cancels the subscription in *reading*. *check* returns why a reading must not be cancelled, or None."""

    def __init__(
        self,
        target: Target,
        call: Call,
        client: PartnerCenterClient,
        accepted: AcceptedPatches,
        *,
        reading: Subscription,
        check: Check,
    ) -> None:
        self._target = target
        self._call = call
        self._client = client
        self._accepted = accepted
        self._reading = reading
        self._check = check
        self._id = reading.subscription_id
        self._patches: list[Patch] = []
        self._text = ""  # of the reading that the newest PATCH sent back

    async def run(self) -> SubscriptionEnd:
        """Return how it ended. The first reading has passed *check*; it is not deleted."""
        failure: CancelError | None = None
        proven: Subscription | None = None
        try:
            with self._accepted.on_its_way(self._target, self._id):
                reply = await self._send_until_final()
        except CancelError as error:
            failure = error
        else:
            if reply is None:  # a reading shows that it is deleted
                return SubscriptionEnd(self._end_of_deleted(), self._reading)
            if reply.is_success:
                self._accepted.note(self._target, self._id)
                answer = read_subscription(reply.body, self._id)
                proven = answer if answer and answer.is_deleted and reply.status != ACCEPTED else None
            else:
                failure = error_of(reply, is_of_subscription=True)
        finally:
            if self._is_unaccounted:  # also if the host ends the call
                self._accepted.note(self._target, self._id, is_lost=True)
        return await self._decide(failure, proven)

    async def _send_until_final(self) -> Reply | None:
        """Send the PATCH until a reply is final and return it; None if a reading shows that it is deleted already.

        Raises CancelError: the end of the last PATCH, or why there may be no further one.
        """
        for attempt in count(1):
            # Jitter spreads repeats over time. Guessing it helps no attacker.
            jitter = random.random()  # noqa: S311
            if attempt > 1 or self._is_stale:
                self._reading = await self._client.read_subscription(self._id)
                if self._reading.is_deleted:
                    for patch in self._patches:
                        patch.code = None if patch.unaccounted else patch.code
                    return None
                if refusal := self._check(self._reading):
                    raise refusal
            if self._call.remaining_s < SHORTEST_PATCH_S:
                raise Unavailable(UNAVAILABLE.code, NO_TIME)
            now = time.monotonic()
            leave_by = min(self._reading.read_at + READING_VALID_S, now + self._call.remaining_s - SHORTEST_PATCH_S)
            patch = self._next_patch()
            try:
                reply = await self._client.patch_subscription(self._reading, patch, leave_by)
            except CancelError as error:
                patch.code = error.code
                raise
            if reply and reply.is_success:
                patch.code = None
                return reply
            patch.code = error_of(reply, is_of_subscription=True).code if reply else UNAVAILABLE.code
            delay_s = retry_delay_s(None if reply and is_conflict(reply) else reply, attempt, jitter)
            if delay_s is None or delay_s + SHORTEST_PATCH_S > self._call.remaining_s:
                break
            if not (reply and is_throttled(reply)):  # then the gate waits
                await asyncio.sleep(delay_s)
        if reply is None:
            raise Unavailable(UNAVAILABLE.code, UNAVAILABLE.detail)
        return reply

    def _next_patch(self) -> Patch:
        """Return the PATCH for the present reading.

        It is the one before if that has no answer and has the same bytes: Partner Center may know it by its request
        id. After an answer it is a new one, since an old refusal may be replayed to a known id.
        """
        before = self._patches[-1] if self._patches else None
        is_answered = before is not None and before.sent > 0 and not before.unaccounted
        if before is None or is_answered or self._text != self._reading.text:
            self._patches.append(self._call.new_patch(self._id))
            self._text = self._reading.text
        return self._patches[-1]

    @property
    def _is_stale(self) -> bool:
        return time.monotonic() - self._reading.read_at > READING_VALID_S

    @property
    def _is_unaccounted(self) -> bool:
        return any(patch.unaccounted for patch in self._patches)

    def _end_of_deleted(self) -> Outcome:
        return Outcome.CANCELLED if self._is_unaccounted else Outcome.ALREADY_CANCELLED

    async def _decide(self, failure: CancelError | None, proven: Subscription | None) -> SubscriptionEnd:
        """Look at the subscription if the end of its PATCH leaves open what happened, and decide the end."""
        newest = proven
        is_unaccounted = self._is_unaccounted
        if is_look_needed(failure, _as_order(newest), None, is_patch_unaccounted=is_unaccounted):
            newest = await self._read_if_possible()
            is_second = is_second_look_needed(failure, _as_order(newest), None)
            if is_second and self._call.remaining_s > SECOND_LOOK_TAKES_S:
                await asyncio.sleep(SECOND_LOOK_AFTER_S)
                newest = await self._read_if_possible() or newest
        end = decide_outcome(
            failure,
            _as_order(newest),
            None,
            is_patch_unaccounted=is_unaccounted,
            was_patch_accepted_before=self._accepted.is_recent(self._target, self._id),
        )
        # The answer to a PATCH may have few members; the reading before it has the others.
        shown = replace(self._reading, status=DELETED) if newest is proven and proven else newest
        return SubscriptionEnd(end, shown or self._reading)

    async def _read_if_possible(self) -> Subscription | None:
        try:
            return await self._client.read_subscription(self._id)
        except CancelError:
            return None


def as_order(subscription: Subscription) -> Order:
    """Return *subscription* as an order of one line, so that the same decisions hold for both."""
    line = OrderLine(
        line_item_number=None,
        offer_id=subscription.offer_id,
        friendly_name=subscription.name,
        quantity=subscription.quantity,
        term_duration=subscription.term_duration,
        subscription_id=subscription.subscription_id,
        cancelled=subscription.is_deleted,
    )
    return Order(order_id=subscription.order_id, line_items=[line])


def _as_order(subscription: Subscription | None) -> Order | None:
    return as_order(subscription) if subscription else None
