"""Says before a cancellation what Partner Center is likely to answer, and shows what it says of a subscription.

No I/O: functions of what was read and of the time. A window in days is only a forecast: it is shown in dry runs, and
never refuses a real request. Nothing is forecast from what is not known.

Source: Partner Center's "new-commerce-cancellation-policy", "cancel-an-order-from-the-integration-sandbox",
"cancel-software-purchases", "subscription-resources" (refundOptions, cancellationAllowedUntilDate) and
"create-a-new-subscription" (trials) pages; Microsoft's "extended-service-terms" page (read 2026-11-28).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from shared.contract import Refund, When
from shared.errors import CancelError, NotFound
from shared.partner_center.orders import Order, OrderLine
from shared.partner_center.subscriptions import Kind, Subscription
from shared.replies.refusals import NOT_CANCELLABLE, USE_SUBSCRIPTION, WINDOW_PASSED
from shared.rfc3339 import rfc3339
from shared.rules.route import more_than_the_order, refusal_by_subscription, refusal_without_subscription

type Found = Mapping[str, Subscription | CancelError]  # by id in lower case; the error if it could not be read

DAYS_7, HOURS_72 = timedelta(days=7), timedelta(hours=72)
SOFTWARE_IN_PRODUCTION = timedelta(days=30)
ORDERS_IN_SANDBOX = timedelta(days=60)
# A licence that was bought or renewed since then, and does not renew, goes on in a paid extended term.
EXTENDED_IF_BEGUN_SINCE = datetime(2025, 4, 1, tzinfo=UTC)
_NEVER_CANCELLED = re.compile(r"\bred ?hat\b|\bsuse\b", re.IGNORECASE)

# The kinds whose orders Partner Center cancels; the others it refuses as orders, with these codes.
AS_ORDERS: dict[Kind, str | None] = {
    Kind.SOFTWARE: None,
    Kind.LICENCE: USE_SUBSCRIPTION.code,
    Kind.SAAS: USE_SUBSCRIPTION.code,
    Kind.LEGACY_LICENCE: USE_SUBSCRIPTION.code,
    Kind.AZURE_PLAN: USE_SUBSCRIPTION.code,
    Kind.SAVINGS_PLAN: NOT_CANCELLABLE.code,
}


class Forecast(NamedTuple):
    """*cancellable*: None if nobody can tell. *code*: of the answer that the real request would get."""

    cancellable: bool | None
    code: str | None = None


UNKNOWN = Forecast(None)
YES = Forecast(cancellable=True)
TOO_LATE = Forecast(cancellable=False, code=WINDOW_PASSED.code)


class Circumstances(NamedTuple):
    """Everything but the line and its subscription that a forecast depends on.

    Attributes:
        order: the order as it was read.
        time: the present moment.
        is_allowed: the account and the caller may cancel subscriptions.
        is_order_first: the PATCH of the order is tried first.
        is_sandbox: the account is an integration sandbox.
        is_list_known: lines that name no subscription have none.
        others: the subscriptions of lines that the request does not name, in lower case.
        when: what the request asks for.
    """

    order: Order
    time: datetime
    is_allowed: bool
    is_order_first: bool
    is_sandbox: bool
    is_list_known: bool
    others: frozenset[str]
    when: When


class Window(NamedTuple):
    """The time in which a product can be cancelled, as published."""

    length: timedelta | None  # None: at any time
    source: str


WINDOWS: dict[str, Window] = {
    "extended term": Window(None, "extended-service-terms: at any time"),
    "trial of SaaS": Window(None, "new-commerce-cancellation-policy: at any time"),
    Kind.LICENCE: Window(DAYS_7, "new-commerce-cancellation-policy: 7 days from purchase or renewal"),
    Kind.SOFTWARE: Window(DAYS_7, "new-commerce-cancellation-policy: 7 days from purchase or renewal"),
    Kind.SAAS: Window(HOURS_72, "new-commerce-cancellation-policy: 72 hours from purchase"),
}


def by_subscription(subscription: Subscription, now: datetime, when: When = "now") -> Forecast:
    """Return what the PATCH of *subscription* is likely to be answered with. It has passed the guards."""
    if when == "term_end":
        return YES if subscription.status == "active" else UNKNOWN
    if subscription.kind is Kind.SOFTWARE and _NEVER_CANCELLED.search(subscription.name or ""):
        return Forecast(cancellable=False, code=NOT_CANCELLABLE.code)
    name: str = subscription.kind
    if subscription.is_extended:
        name = "extended term"
    elif subscription.kind is Kind.SAAS and subscription.is_trial:
        name = "trial of SaaS"
    if (window := WINDOWS.get(name)) is None:
        return UNKNOWN
    until = subscription.cancellable_until  # Partner Center's own word is better than a published window
    if until is None and window.length and subscription.term_began:
        began = subscription.created if subscription.kind is Kind.SAAS else subscription.term_began
        until = _later(began or subscription.term_began, window.length)
    if window.length is None:
        return YES
    return UNKNOWN if until is None else YES if now <= until else TOO_LATE


def _later(date: datetime, length: timedelta) -> datetime | None:
    """Return *date* and *length*; None if there is no such date."""
    try:
        return date + length
    except OverflowError:
        return None


def by_order(
    order: Order, line: OrderLine, subscription: Subscription | None, now: datetime, *, is_sandbox: bool
) -> Forecast:
    """Return what the PATCH of *order* for *line* is likely to be answered with.

    *subscription* is the line's own, None if it has none or it could not be read.
    """
    kind = subscription.kind if subscription else Kind.SAVINGS_PLAN if line.has_commitment else None
    if kind and (code := AS_ORDERS.get(kind)):
        return Forecast(cancellable=False, code=code)
    is_readable = kind is Kind.SOFTWARE or (kind is None and line.subscription_id is None)
    if not is_readable or order.creation_date is None:
        return UNKNOWN
    if subscription and _NEVER_CANCELLED.search(subscription.name or ""):
        return Forecast(cancellable=False, code=NOT_CANCELLABLE.code)
    age = now - datetime.fromisoformat(order.creation_date)
    if is_sandbox:
        return YES if age <= ORDERS_IN_SANDBOX else TOO_LATE
    if subscription:
        return by_subscription(subscription, now)
    # Likely perpetual software; but a reservation, which production refuses, looks the same.
    return UNKNOWN if age <= SOFTWARE_IN_PRODUCTION else TOO_LATE


def of_lines(lines: Sequence[OrderLine], found: Found, circumstances: Circumstances) -> list[Forecast]:
    """Return what a request for *lines*, which live, is likely to be answered with, for each of them.

    One line may stop them all: nothing is sent by subscriptions before all lines have passed the guards, and one PATCH
    of the order is for all its lines. Then the others have its code.
    """
    subscriptions = [found.get((line.subscription_id or "").lower()) for line in lines]
    is_now = circumstances.when == "now"
    if is_now and (not circumstances.is_allowed or (circumstances.is_order_first and _goes_as_order(subscriptions))):
        pairs = zip(lines, subscriptions, strict=True)
        return _all_or_none([(_by_order(line, own, circumstances), True) for line, own in pairs])
    return _all_or_none(
        [_by_any_route(line, own, circumstances) for line, own in zip(lines, subscriptions, strict=True)]
    )


def _all_or_none(forecasts: Sequence[tuple[Forecast, bool]]) -> list[Forecast]:
    """Return the forecasts. One that stops the whole request, if True stands beside it, takes the others along."""
    stops = next((forecast for forecast, is_for_all in forecasts if is_for_all and forecast.code), None)
    return [forecast if forecast.code or stops is None else stops for forecast, _ in forecasts]


def _by_any_route(
    line: OrderLine, own: Subscription | CancelError | None, circumstances: Circumstances
) -> tuple[Forecast, bool]:
    """Return the forecast for *line*, and whether it is one for the whole request."""
    if line.subscription_id is None:
        if not circumstances.is_list_known:
            return UNKNOWN, True
        if refusal := refusal_without_subscription(circumstances.order, line, circumstances.when):
            return Forecast(cancellable=False, code=refusal.code), True
        return _by_order(line, None, circumstances), True
    if own is None or isinstance(own, CancelError):
        return (Forecast(cancellable=False, code=own.code) if isinstance(own, NotFound) else UNKNOWN), True
    of_order = (circumstances.order, line)
    if refusal := refusal_by_subscription(
        own,
        when=circumstances.when,
        now=circumstances.time,
        is_allowed=circumstances.is_allowed,
        of_order=of_order,
        others=circumstances.others,
    ):
        return Forecast(cancellable=False, code=refusal.code), True
    return by_subscription(own, circumstances.time, circumstances.when), False


def _by_order(line: OrderLine, own: Subscription | CancelError | None, circumstances: Circumstances) -> Forecast:
    is_unclear = line.is_in_doubt or circumstances.order.status == "pending" or not circumstances.is_list_known
    if line.subscription_id is None and is_unclear:
        return UNKNOWN
    subscription = own if isinstance(own, Subscription) else None
    forecast = by_order(
        circumstances.order, line, subscription, circumstances.time, is_sandbox=circumstances.is_sandbox
    )
    # Nobody can tell whether the PATCH of the order takes along what its subscription has more.
    has_more = subscription and more_than_the_order(circumstances.order, line, subscription, circumstances.others)
    return UNKNOWN if has_more and not forecast.code else forecast


def _goes_as_order(subscriptions: Sequence[Subscription | CancelError | None]) -> bool:
    """True if Partner Center may cancel an order of all these as an order; None is a line without subscription."""
    return all(not isinstance(own, Subscription) or own.kind is Kind.SOFTWARE for own in subscriptions)


def with_subscription(line: OrderLine, subscription: Subscription, now: datetime) -> OrderLine:
    """Return *line* with what Partner Center says of its *subscription*."""
    until = subscription.cancellable_until
    return line.model_copy(
        update={
            "cancelled": line.cancelled or subscription.is_deleted,
            "subscription_status": subscription.status,
            "auto_renew": subscription.auto_renew,
            "term_ends_on": subscription.term_ends and rfc3339(subscription.term_ends),
            "ends_at_term": _ends_at_term(subscription),
            "cancellable_until": until and rfc3339(until),
            "refund": _refund(subscription, now),
        }
    )


def _ends_at_term(subscription: Subscription) -> bool | None:
    """Return whether *subscription* is set to end with its term; None if it has ended, or if nobody can tell."""
    if subscription.is_scheduled:
        return True
    if subscription.status != "active" or subscription.auto_renew is None:
        return None
    if subscription.auto_renew:
        return False
    began = subscription.term_began
    is_licence = subscription.kind is Kind.LICENCE and not subscription.is_extended
    is_extended_at_end = is_licence and began is not None and began >= EXTENDED_IF_BEGUN_SINCE
    return False if is_extended_at_end else None


def _refund(subscription: Subscription, now: datetime) -> Refund | None:
    """Return what a cancellation at *now* gives back, by the first refund that has not ended; None if unknown."""
    if subscription.is_deleted:
        return None
    for kind, expires in subscription.refunds:
        if expires is None or now <= expires:
            return Refund(kind) if kind in {Refund.FULL, Refund.PARTIAL} else None
    until = subscription.cancellable_until
    return Refund.NONE if until is not None and now > until else None
