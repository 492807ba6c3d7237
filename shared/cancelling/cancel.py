"""Runs one request: reads what is needed, cancels by the order and by its subscriptions, and makes the answer.

A whole order whose id looks like a software order's costs one PATCH and no GET. Everything else is read first, so that
the wrong line, or more than the order, is never cancelled. route.py decides the way, outcome.py the answer.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress

import anyio

from shared.call import UNKNOWN, Call, Target
from shared.cancelling.accepted import AcceptedPatches
from shared.cancelling.answer import Findings, result, state
from shared.cancelling.order import OrderEnd, patch_order
from shared.cancelling.readings import ANSWER_TAKES_S, AT_ONCE, OTHERS_TAKE_S, Readings, now
from shared.cancelling.subscription import Check, SubscriptionCancellation, memory_keys
from shared.contract import CancelResult, Outcome
from shared.errors import CancelError, OutcomeUnknown, SomeLinesUnfinished
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.orders import Order, OrderLine, lines_to_cancel
from shared.partner_center.subscriptions import Subscription
from shared.replies.refusals import USE_SUBSCRIPTION
from shared.rules import route
from shared.rules.forecast import Circumstances, Forecast, by_subscription, of_lines
from shared.rules.outcome import Lines, decide_lines


async def cancel(target: Target, call: Call, client: PartnerCenterClient, accepted: AcceptedPatches) -> CancelResult:
    """Cancel what the request names and return it as it is then. Raises CancelError."""
    run = _Run(target, call, client, accepted)
    if target.request.subscription_id:
        return await run.cancel_subscription(target.request.subscription_id)
    return await (run.preview_order() if target.dry_run else run.cancel_order())


class _Run:
    """One request on its way. *findings* is what is known of the order, its subscriptions, and the ends of its lines.

    Lines are named by their places in the order.
    """

    def __init__(self, target: Target, call: Call, client: PartnerCenterClient, accepted: AcceptedPatches) -> None:
        self._target = target
        self._call = call
        self._client = client
        self._accepted = accepted
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._when = target.request.when
        self._places: list[int] | None = None  # of the lines that are asked for, once that is decided
        self.findings = Findings(self._when)
        self._readings = Readings(target, call, client, self.findings, self._at_once)

    async def cancel_subscription(self, subscription_id: str) -> CancelResult:
        """Cancel the subscription that the request names, or say whether it would be."""
        request_id = self._call.request_id if self._target.dry_run else None
        reading = await self._client.read_subscription(subscription_id, request_id)
        self._readings.take_subscription(reading)
        check = self._check_of(None, subscription_id)
        done = self.findings.done(0)
        refusal = None if done else check(reading)
        if self._target.dry_run:
            forecast = by_subscription(reading, now(), self._when)
            if refusal:
                forecast = Forecast(cancellable=False, code=refusal.code)
            return self._preview({} if done else {0: forecast})
        if end := done or refusal:
            return self._answer(end)
        run = SubscriptionCancellation(
            self._target, self._call, self._client, self._accepted, reading=reading, check=check
        )
        found = await run.run()
        self._readings.take_subscription(found.subscription)
        return self._answer(found.end)

    async def preview_order(self) -> CancelResult:
        """Say what would be cancelled of the order, and what the answer would be. Nothing is changed."""
        await self._readings.order(self._call.request_id)
        self._lines_by_order()
        is_list_known = not route.is_list_needed(self.findings.order.line_items)
        # A subscription that could not be read in time leaves its members empty. Where the function may not cancel
        # subscriptions, their readings only help the person who reads the answer, so they get less time.
        limit_s = self._call.remaining_s - ANSWER_TAKES_S
        limit_s = limit_s if self._target.may_cancel_subscriptions else min(limit_s, OTHERS_TAKE_S)
        with anyio.move_on_after(limit_s):
            if not is_list_known:
                with suppress(CancelError):
                    await self._readings.list_of_order()
                    is_list_known = True
            await self._readings.subscriptions(range(len(self.findings.order.line_items)))
        places = [place for place in self._asked() if not self.findings.done(place)]
        circumstances = Circumstances(
            order=self.findings.order,
            time=now(),
            is_allowed=self._target.may_cancel_subscriptions,
            is_order_first=route.is_order_first(self._target.request.order_id or ""),
            is_sandbox=self._target.is_sandbox,
            is_list_known=is_list_known,
            others=self.findings.subscriptions_of_others(self._asked()),
            when=self._when,
        )
        lines = [self.findings.line(place) for place in places]
        return self._preview(dict(zip(places, of_lines(lines, self.findings.found, circumstances), strict=True)))

    async def cancel_order(self) -> CancelResult:
        """Cancel the order, or the lines that the request names."""
        request, may_go_by_subscription = self._target.request, self._target.may_cancel_subscriptions
        is_by_subscription = may_go_by_subscription and not route.is_order_first(request.order_id or "")
        if is_by_subscription or self._when == "term_end":
            await self._readings.order()
            self._lines_by_order()
            return await self._cancel_by_both()
        lines = None
        if request.line_items is not None:
            await self._readings.order()
            lines = self._lines_by_order()
            if not lines:
                return self._answer(Outcome.ALREADY_CANCELLED)
        was_read = self._call.order is not None
        end = await self._patch_order(lines, request.line_items)
        if isinstance(end.end, CancelError) and may_go_by_subscription and route.leads_to_subscriptions(end.end):
            return await self._cancel_after_refusal(end.end)
        return self._answer(end.end, is_shown=end.order is not None or (was_read and not end.has_looked))

    async def _cancel_after_refusal(self, refusal: CancelError) -> CancelResult:
        """Cancel by subscriptions after the PATCH of the order was refused.

        It is OutcomeUnknown if an earlier attempt of that PATCH may be on its way. Then no other error is final.
        """
        try:
            if not self.findings.order.line_items:
                await self._readings.order()
            return await self._cancel_by_both(refusal)
        except CancelError as error:
            if isinstance(refusal, OutcomeUnknown) and not isinstance(error, SomeLinesUnfinished):
                self._call.order = None
                raise refusal from None
            # Nothing is changed without a reading. With one the next call may find the way to the subscriptions.
            if not self.findings.order.line_items and not error.retryable:
                raise refusal from None
            raise

    async def _cancel_by_both(self, refusal: CancelError | None = None) -> CancelResult:
        """Cancel each line by its subscription, or by the order if it has none. The order was read.

        *refusal* is Partner Center's to the PATCH of the order with all these lines, if that was sent. It asks for
        subscriptions; lines without one may go as an order all the same, without the others.
        """
        findings = self.findings
        if not findings.order.line_items:
            return await self._cancel_without_lines(refusal)
        if route.is_list_needed(map(findings.line, self._asked())):
            await self._readings.list_of_order()
        asked = self._places = self._asked()  # a line that shows later was not asked for
        by_order = [place for place in findings.living(asked) if findings.line(place).subscription_id is None]
        if refusal and by_order and by_order == findings.living(asked):
            return self._answer(_without_subscription(refusal))
        await self._readings.subscriptions(asked)
        self._check_all()
        if by_order and not findings.errors:
            await self._cancel_lines_of_order(by_order)
        if not findings.errors:
            await self._cancel_subscriptions()
        findings.hold_back(asked)
        await self._readings.others(asked)
        ends = [findings.ends[place] for place in asked]
        return self._answer(decide_lines(ends, is_order_cancelled=findings.shown_order(now()).is_cancelled))

    async def _cancel_without_lines(self, refusal: CancelError | None) -> CancelResult:
        """Cancel an order that was read and has no lines; *refusal* is that to its PATCH, if it was sent."""
        if self.findings.order.is_cancelled:
            return self._answer(Outcome.ALREADY_CANCELLED)
        refusal = refusal or route.refusal_without_subscription(self.findings.order, None, self._when)
        end = refusal or (await self._patch_order(None, None)).end
        return self._answer(_without_subscription(end) if isinstance(end, CancelError) else end)

    def _check_all(self) -> None:
        """Note the end of each line that must not be sent, or that is cancelled already."""
        findings, asked = self.findings, self._asked()
        for place in asked:
            line, own = findings.line(place), findings.own(place)
            if done := findings.done(place):
                findings.ends[place] = done
                continue
            if line.subscription_id is None:
                refusal = route.refusal_without_subscription(findings.order, line, self._when)
            else:
                refusal = self._check(place)(own) if isinstance(own, Subscription) else own
            if refusal:
                is_named = len(asked) > 1 and line.line_item_number is not None
                of_line = f"Line {line.line_item_number}: {refusal.detail}"
                findings.ends[place] = refusal.with_detail(of_line) if is_named else refusal

    def _check(self, place: int) -> Check:
        """Return the check of every reading of a line's subscription."""
        line = self.findings.line(place)
        return self._check_of((self.findings.order, line), line.subscription_id or "")

    def _check_of(self, of_order: tuple[Order, OrderLine] | None, subscription_id: str) -> Check:
        """Return the check of a subscription. *of_order*: the order and the line; None if the request names itself."""
        others = self.findings.subscriptions_of_others(self._asked()) if of_order else ()
        # Then the reading may be older than a cancellation that was made, and refuses nothing for good.
        is_allowed = self._target.may_cancel_subscriptions
        is_real = is_allowed and not self._target.dry_run
        is_recent = is_real and self._accepted.may_be_done(self._target, *memory_keys(subscription_id, self._when))

        def check(reading: Subscription) -> CancelError | None:
            refusal = route.refusal_by_subscription(
                reading,
                when=self._when,
                now=now(),
                is_allowed=is_allowed,
                of_order=of_order,
                others=others,
            )
            is_final = refusal is not None and not refusal.retryable
            return OutcomeUnknown("outcome_unknown", UNKNOWN) if is_final and is_recent else refusal

        return check

    async def _cancel_lines_of_order(self, places: list[int]) -> None:
        """Cancel lines by one PATCH of the order, before any subscription."""
        findings = self.findings
        is_whole = self._target.request.line_items is None and len(places) == len(findings.order.line_items)
        lines = None if is_whole else [findings.line(place) for place in places]
        end = (await self._patch_order(lines, lines)).end
        findings.ends |= dict.fromkeys(places, _without_subscription(end) if isinstance(end, CancelError) else end)

    async def _cancel_subscriptions(self) -> None:
        """Cancel the subscriptions of those lines that have no end yet, a few side by side."""

        async def run(reading: Subscription, places: list[int]) -> None:
            async with self._at_once:
                end = await SubscriptionCancellation(
                    self._target,
                    self._call,
                    self._client,
                    self._accepted,
                    reading=reading,
                    check=self._check(places[0]),
                ).run()
            self.findings.note(end.subscription)
            self.findings.ends |= dict.fromkeys(places, end.end)

        left: defaultdict[str, list[int]] = defaultdict(list)  # two lines may name one subscription
        for place in self._asked():
            if place not in self.findings.ends:
                left[(self.findings.line(place).subscription_id or "").lower()].append(place)
        async with asyncio.TaskGroup() as group:
            for subscription_id, places in left.items():
                own = self.findings.found.get(subscription_id)
                if isinstance(own, Subscription):
                    group.create_task(run(own, places))

    async def _patch_order(self, lines: list[OrderLine] | None, requested_lines: Lines | None) -> OrderEnd:
        end = await patch_order(
            self._target,
            self._call,
            self._client,
            self._accepted,
            known=self.findings.order,
            lines=lines,
            requested_lines=requested_lines,
        )
        if end.order:
            self.findings.take_order(end.order)
        return end

    def _lines_by_order(self) -> list[OrderLine] | None:
        """Return the lines that the request names and that the order shows as living; None for the whole order.

        Raises CancelRefused if it names a line that is not there.
        """
        requested_lines = self._target.request.line_items
        return None if requested_lines is None else lines_to_cancel(self.findings.order, requested_lines)

    def _asked(self) -> list[int]:
        """Return the places of the lines that the request asks for."""
        if self._places is not None:
            return self._places
        numbers = self._target.request.line_numbers
        lines = self.findings.order.line_items
        return [place for place, line in enumerate(lines) if numbers is None or line.line_item_number in numbers]

    def _preview(self, forecasts: dict[int, Forecast]) -> CancelResult:
        """Return the answer to a dry run."""
        self.findings.forecasts = forecasts
        would_cancel = [place for place, forecast in forecasts.items() if forecast.cancellable is not False]
        return result(self._target, self._call, Outcome.DRY_RUN, self.findings, now=now(), named=would_cancel)

    def _answer(self, end: Outcome | CancelError, *, is_shown: bool = True) -> CancelResult:
        """Return the answer. Raises *end* if it is an error; *is_shown*: then the newest reading is its order."""
        if isinstance(end, CancelError):
            self.findings.stop(self._asked(), end)
            # In doubt even the newest reading may be older than a change that is on its way.
            is_shown = is_shown and not isinstance(end, OutcomeUnknown)
            self._call.order = state(self._target, self.findings, now()) if is_shown else None
            raise end
        return result(self._target, self._call, end, self.findings, now=now())


def _without_subscription(refusal: CancelError) -> CancelError:
    """Return *refusal*, which asks for subscriptions, for an order that shows none."""
    is_by_subscription = refusal.code == USE_SUBSCRIPTION.code
    return refusal.with_detail(route.NO_SUBSCRIPTION_FOUND) if is_by_subscription else refusal
