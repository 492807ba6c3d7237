"""Cancels one subscription, now or at the end of its term, and finds out what happened to it.

Partner Center takes the whole subscription, and no If-Match: what somebody else has changed since it was read would be
undone, and seats that were added since would be cancelled too. So a PATCH leaves soon after its reading, and each
further PATCH has a new reading, which is checked again.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count

from shared.call import UNKNOWN, Call, Patch, Target
from shared.cancelling.accepted import AcceptedPatches
from shared.cancelling.order import SECOND_LOOK_AFTER_S, SECOND_LOOK_TAKES_S
from shared.contract import Outcome, When
from shared.errors import BadGateway, CancelError, OutcomeUnknown, Unavailable
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.orders import Order, OrderLine
from shared.partner_center.retry import retry_delay_s
from shared.partner_center.subscriptions import (
    DELETED,
    SPELLINGS,
    Subscription,
    cancel_body,
    read_subscription,
    replaced_by_term_end,
    spelling_of,
    term_end_body,
)
from shared.replies.answers import error_of, is_conflict, is_throttled
from shared.replies.refusals import UNAVAILABLE, UNEXPECTED
from shared.replies.reply import Reply
from shared.rules.outcome import ACCEPTED, decide_outcome, is_look_needed, is_second_look_needed
from shared.rules.route import with_way_out

READING_VALID_S = 5.0
SHORTEST_PATCH_S = 2.0  # with less time left no PATCH begins: its answer would come too late

NO_TIME = (
    "There was not enough time left for the subscription. Nothing was changed; send the request again, with a longer"
    " wait (the header Prefer: wait=SECONDS) if it has a short one."
)

NOT_UNDERSTOOD = frozenset({"3000", "900126", "800002"})  # an invalid property, value or input
NO_ACTION = (
    "Auto-renew is off now, but Partner Center does not show that the subscription ends with its term, so it may go on"
    " as a paid extended term (order shows both). Look at its renewal in Partner Center, and give the operator the"
    " correlationId."
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
        self._memory_key = memory_keys(self._id, target.request.when)[0]
        self._when = target.request.when
        self._spelling = spelling_of(reading)
        self._patches: list[Patch] = []
        self._body = b""  # of the newest PATCH

    async def run(self) -> SubscriptionEnd:
        """Return how it ended. The first reading has passed *check*; something is left to do."""
        was_off = self._reading.auto_renew is False
        end = await self._run()
        if was_off and self._is_action_ignored(end):
            end = await self._look_again(end)  # it may show the state before
        is_half_done = self._is_action_ignored(end)
        if not is_half_done and not self._is_action_refused(end):
            return end
        self._reading = end.subscription
        if self._check(self._reading):
            return self._half_done(end.subscription) if is_half_done else end
        # The action that cancels is not there, or was not understood: its time may be spelt otherwise.
        self._spelling = next(spelling for spelling in SPELLINGS if spelling != self._spelling)
        end = await self._run()
        if self._is_action_ignored(end):
            end = await self._look_again(end)
        return self._end_of_other_spelling(end, is_half_done=is_half_done)

    def _end_of_other_spelling(self, end: SubscriptionEnd, *, is_half_done: bool) -> SubscriptionEnd:
        """Return how it ended after the second spelling; *is_half_done*: auto-renew was off before, and no action."""
        found = end.subscription
        is_refused = isinstance(end.end, CancelError) and not isinstance(end.end, OutcomeUnknown)
        if self._is_action_ignored(end) or (is_half_done and is_refused):
            return self._half_done(found)
        if is_half_done and end.end is Outcome.PENDING:  # nobody could look
            return SubscriptionEnd(OutcomeUnknown("outcome_unknown", UNKNOWN), found)
        if end.end is Outcome.SCHEDULED and self._spelling not in found.spellings:
            # A reading from before: this PATCH may have taken out the action of the first one.
            return SubscriptionEnd(Outcome.PENDING, found)
        return end

    def _half_done(self, found: Subscription) -> SubscriptionEnd:
        self._patches[-1].code = UNEXPECTED.code
        return SubscriptionEnd(BadGateway(UNEXPECTED.code, NO_ACTION), found)

    async def _look_again(self, end: SubscriptionEnd) -> SubscriptionEnd:
        """Return *end*, or what another look shows after a moment, if there is time for it."""
        if self._call.remaining_s < SECOND_LOOK_TAKES_S:
            return end
        await asyncio.sleep(SECOND_LOOK_AFTER_S)
        found = await self._read_if_possible()
        if found is None:
            return end
        return SubscriptionEnd(
            self._outcome(Outcome.CANCELLED, found) if is_done(found, self._when) else end.end, found
        )

    def _is_action_ignored(self, end: SubscriptionEnd) -> bool:
        """True if auto-renew is off after an accepted PATCH, and the action that cancels is not there."""
        found = end.subscription
        is_open = self._when == "term_end" and end.end is Outcome.PENDING
        return is_open and found is not self._reading and found.auto_renew is False and not found.is_scheduled

    def _is_action_refused(self, end: SubscriptionEnd) -> bool:
        """True if Partner Center did not understand the body with the action, and nothing was changed."""
        error = end.end.partner_center if isinstance(end.end, BadGateway) else None
        is_of_action = self._when == "term_end" and end.subscription.needs_action and not self._is_unaccounted
        return is_of_action and error is not None and error.code in NOT_UNDERSTOOD

    async def _run(self) -> SubscriptionEnd:
        failure: CancelError | None = None
        proven: Subscription | None = None
        try:
            with self._accepted.on_its_way(self._target, self._memory_key):
                reply = await self._send_until_final()
        except CancelError as error:
            failure = error
        else:
            if reply is None:  # a reading shows that nothing is left to do
                end = Outcome.CANCELLED if self._is_unaccounted else Outcome.ALREADY_CANCELLED
                return SubscriptionEnd(self._outcome(end, self._reading), self._reading)
            if reply.is_success:
                self._accepted.note(self._target, self._memory_key)
                answer = read_subscription(reply.body, self._id)
                # Only a look shows that the end is scheduled: the answer may be an echo of the request.
                is_proof = self._when == "now" and reply.status != ACCEPTED
                proven = answer if is_proof and answer and answer.is_deleted else None
            else:
                failure = error_of(reply, is_of_subscription=True)
                if self._when == "now":
                    failure = with_way_out(failure, self._reading, datetime.now(UTC))
        finally:
            if self._is_unaccounted:  # also if the host ends the call
                self._accepted.note(self._target, self._memory_key, is_lost=True)
        return await self._decide(failure, proven)

    async def _send_until_final(self) -> Reply | None:
        """Send the PATCH until a reply is final and return it; None if a reading shows that nothing is left to do.

        Raises CancelError: the end of the last PATCH, or why there may be no further one.
        """
        for attempt in count(1):
            # Jitter spreads repeats over time. Guessing it helps no attacker.
            jitter = random.random()  # noqa: S311
            if attempt > 1 or self._is_stale:
                self._reading = await self._client.read_subscription(self._id)
                if is_done(self._reading, self._when):
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
                reply = await self._client.patch_subscription(self._id, self._body, patch, leave_by)
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
        is_now = self._when == "now"
        body = cancel_body(self._reading) if is_now else term_end_body(self._reading, self._spelling)
        if before is None or is_answered or self._body != body:
            patch = self._call.new_patch(self._id)
            patch.replaced = None if is_now else replaced_by_term_end(self._reading)
            self._patches.append(patch)
            self._body = body
        return self._patches[-1]

    @property
    def _is_stale(self) -> bool:
        return time.monotonic() - self._reading.read_at > READING_VALID_S

    @property
    def _is_unaccounted(self) -> bool:
        return any(patch.unaccounted for patch in self._patches)

    def _outcome(self, end: Outcome | CancelError, subscription: Subscription) -> Outcome | CancelError:
        """Return *end* in the words of what was asked for."""
        if self._when == "now" or not isinstance(end, Outcome) or end is Outcome.PENDING:
            return end
        if subscription.is_deleted:
            return Outcome.ALREADY_CANCELLED
        return Outcome.SCHEDULED if end is Outcome.CANCELLED else Outcome.ALREADY_SCHEDULED

    async def _decide(self, failure: CancelError | None, proven: Subscription | None) -> SubscriptionEnd:
        """Look at the subscription if the end of its PATCH leaves open what happened, and decide the end."""
        newest = proven
        is_unaccounted = self._is_unaccounted
        if is_look_needed(failure, self._as_order(newest), None, is_patch_unaccounted=is_unaccounted):
            newest = await self._read_if_possible()
            is_second = is_second_look_needed(failure, self._as_order(newest), None)
            if is_second and self._call.remaining_s > SECOND_LOOK_TAKES_S:
                await asyncio.sleep(SECOND_LOOK_AFTER_S)
                newest = await self._read_if_possible() or newest
        end = decide_outcome(
            failure,
            self._as_order(newest),
            None,
            is_patch_unaccounted=is_unaccounted,
            was_patch_accepted_before=self._accepted.is_recent(self._target, *memory_keys(self._id, self._when)),
        )
        # The answer to a PATCH may have few members; the reading before it has the others.
        shown = replace(self._reading, status=DELETED) if newest is proven and proven else newest or self._reading
        return SubscriptionEnd(self._outcome(end, shown), shown)

    def _as_order(self, subscription: Subscription | None) -> Order | None:
        """Return *subscription* as an order that is cancelled if nothing is left to do, for the same decisions."""
        if subscription is None:
            return None
        order = as_order(subscription)
        lines = [line.model_copy(update={"cancelled": is_done(subscription, self._when)}) for line in order.line_items]
        return replace(order, line_items=lines)

    async def _read_if_possible(self) -> Subscription | None:
        try:
            return await self._client.read_subscription(self._id)
        except CancelError:
            return None


def memory_keys(subscription_id: str, when: When) -> list[str]:
    """Return the names by which an accepted PATCH is remembered, its own first, then that of stronger ones.

    A PATCH for the end of the term cancels nothing now; one for now leaves nothing to end.
    """
    return [subscription_id] if when == "now" else [f"{subscription_id} {when}", subscription_id]


def is_done(subscription: Subscription, when: When) -> bool:
    """True if nothing is left to do: it is deleted, or it is to end with its term and does."""
    return subscription.is_deleted or (when == "term_end" and subscription.is_scheduled)


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
