"""Keeps what a request has found out, line by line, and shows it to the caller in the normalized form.

No I/O, clock or randomness.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.call import Call, Target
from shared.contract import CancelResult, OrderState, Outcome, When
from shared.errors import CancelError
from shared.messages import of_result
from shared.partner_center.orders import Order, OrderLine
from shared.partner_center.subscriptions import Subscription, replaced_by_term_end
from shared.replies.refusals import BUSY
from shared.rules.forecast import Forecast, with_subscription
from shared.rules.route import with_found_subscriptions


@dataclass
class Findings:
    """Holds what a request has found out. Lines are named by their places in the order.

    Attributes:
        when: what the request asks for.
        order: its newest reading; for a request that names a subscription, an order of one line.
        found: the newest readings of subscriptions, or why one could not be read; by id in lower case.
        listed: the subscriptions of the order, if they were asked for.
        ends: how lines ended.
        forecasts: of a dry run.
    """

    when: When = "now"
    order: Order = field(default_factory=Order)
    found: dict[str, Subscription | CancelError] = field(default_factory=dict)
    listed: Sequence[Subscription] = ()
    ends: dict[int, Outcome | CancelError] = field(default_factory=dict)
    forecasts: dict[int, Forecast] = field(default_factory=dict)

    def take_order(self, order: Order) -> None:
        """Take a newer reading of the order. Known lines keep their places, and what the reading leaves out."""
        known = self.order.line_items
        newer = {line.line_item_number: line for line in order.line_items}
        if not known:
            lines = order.line_items
        elif len(newer) < len(order.line_items) or not newer.keys() >= {line.line_item_number for line in known}:
            # Nobody can tell which line is which.
            lines = [line.model_copy(update={"cancelled": line.cancelled or order.is_cancelled}) for line in known]
        else:
            lines = [_completed(newer.pop(line.line_item_number), line) for line in known] + list(newer.values())
        self.order = replace(order, line_items=lines)
        if self.listed:
            self.order = with_found_subscriptions(self.order, self.listed)

    def take_list(self, listed: Sequence[Subscription]) -> None:
        """Take the list of the order's subscriptions, which shows those that its lines do not name."""
        self.listed = listed
        self.order = with_found_subscriptions(self.order, listed)

    def note(self, subscription: Subscription) -> None:
        self.found[subscription.subscription_id.lower()] = subscription

    def line(self, place: int) -> OrderLine:
        return self.order.line_items[place]

    def own(self, place: int) -> Subscription | CancelError | None:
        """Return the subscription of a line, or why it could not be read; None if it has none, or was not read."""
        return self.found.get((self.line(place).subscription_id or "").lower())

    def is_cancelled(self, place: int) -> bool:
        own = self.own(place)
        return self.line(place).cancelled or (isinstance(own, Subscription) and own.is_deleted)

    def done(self, place: int) -> Outcome | None:
        """Return the outcome of a line at which nothing is left to do; None if something is."""
        if self.is_cancelled(place):
            return Outcome.ALREADY_CANCELLED
        own = self.own(place)
        is_scheduled = self.when == "term_end" and isinstance(own, Subscription) and own.is_scheduled
        return Outcome.ALREADY_SCHEDULED if is_scheduled else None

    def living(self, places: Iterable[int]) -> list[int]:
        return [place for place in places if not self.is_cancelled(place)]

    @property
    def errors(self) -> list[CancelError]:
        return [end for end in self.ends.values() if isinstance(end, CancelError)]

    def subscription_ids(self, places: Iterable[int]) -> list[str]:
        """Return the subscriptions of those lines at *places* that live, each once."""
        lines = map(self.line, places)
        ids = [line.subscription_id for line in lines if line.subscription_id and not line.cancelled]
        return list({subscription_id.lower(): subscription_id for subscription_id in ids}.values())

    def subscriptions_of_others(self, places: Sequence[int]) -> frozenset[str]:
        """Return the subscriptions of the lines that are not at *places*, in lower case."""
        others = (line for place, line in enumerate(self.order.line_items) if place not in places)
        return frozenset(line.subscription_id.lower() for line in others if line.subscription_id)

    def hold_back(self, places: Sequence[int]) -> None:
        """Note for lines without an end of their own that the first error stopped them, too."""
        first = next((end for place in places if isinstance(end := self.ends.get(place), CancelError)), None)
        if first:
            self.stop(places, first)

    def stop(self, places: Iterable[int], error: CancelError) -> None:
        """Note that *error* stopped the lines at *places*, apart from those that have an end or are cancelled."""
        for place in places:
            if not self.done(place):
                self.ends.setdefault(place, error)

    def shown_order(self, now: datetime) -> Order:
        """Return the order with what is known of each line."""
        return replace(self.order, line_items=[self._shown(place, now) for place in range(len(self.order.line_items))])

    def _shown(self, place: int, now: datetime) -> OrderLine:
        line, own, end = self.line(place), self.own(place), self.ends.get(place)
        shown = with_subscription(line, own, now) if isinstance(own, Subscription) else line
        if self.done(place):
            return shown
        is_asked_for = place in self.forecasts or place in self.ends
        if is_asked_for and self.when == "term_end" and isinstance(own, Subscription):
            shown = shown.model_copy(update={"replaces": replaced_by_term_end(own)})
        if forecast := self.forecasts.get(place):
            return shown.model_copy(update={"cancellable": forecast.cancellable, "code": forecast.code})
        if isinstance(end, CancelError):
            is_refused = end.status in {404, 422} or end.code == BUSY.code
            return shown.model_copy(update={"cancellable": False if is_refused else None, "code": end.code})
        return shown


def state(target: Target, findings: Findings, now: datetime) -> OrderState:
    """Return the order as the caller sees it."""
    return OrderState.model_validate(_members(target, findings, now, None))


def result(
    target: Target,
    call: Call,
    outcome: Outcome,
    findings: Findings,
    *,
    now: datetime,
    named: Sequence[int] | None = None,
) -> CancelResult:
    """Return the answer. *named* are the lines that a dry run would cancel, by their places."""
    ours = {
        "outcome": outcome,
        "message": "",
        "dry_run": target.dry_run,
        "account": target.account,
        "ticket_id": target.request.ticket_id,
        "request_id": call.request_id,
        "correlation_id": call.correlation_id,
    }
    answer = CancelResult.model_validate(_members(target, findings, now, named) | ours)
    return answer.model_copy(update={"message": of_result(outcome, answer, target.request.line_numbers)})


def order_state(
    findings: Findings,
    now: datetime,
    *,
    customer_tenant_id: str,
    subscription_id: str | None = None,
    named: Sequence[int],
) -> OrderState:
    """Return an order that nobody has named, of *findings*. *named* are the lines that would be cancelled."""
    ids = {"customer_tenant_id": customer_tenant_id, "subscription_id": subscription_id, "when": findings.when}
    return OrderState.model_validate(_shown_members(findings, now, named) | ids)


def _members(target: Target, findings: Findings, now: datetime, named: Sequence[int] | None) -> dict[str, Any]:
    """Return the members of the normalized order that the request names."""
    members = _shown_members(findings, now, named)
    return members | {
        "order_id": members["order_id"] or target.request.order_id,
        "subscription_id": target.request.subscription_id,
        "when": target.request.when,
        "customer_tenant_id": target.customer_tenant_id,
    }


def _shown_members(findings: Findings, now: datetime, named: Sequence[int] | None) -> dict[str, Any]:
    """Return the members of the order as it is known now. *named* None stands for the lines that are cancelled."""
    order = findings.shown_order(now)
    if named is None:
        named = [place for place, line in enumerate(order.line_items) if line.cancelled]
    numbers = [order.line_items[place].line_item_number for place in named]
    return vars(order) | {"cancelled_line_items": [number for number in numbers if number is not None]}


def _completed(line: OrderLine, known: OrderLine) -> OrderLine:
    """Return *line* with those ids and texts of *known*, an older reading, that it leaves out."""
    names = ("offer_id", "friendly_name", "term_duration", "subscription_id", "transaction_type")
    return line.model_copy(update={name: getattr(known, name) for name in names if getattr(line, name) is None})
