"""Decides by which call a line is cancelled, its order's or its subscription's, and when neither may be sent.

No I/O: each decision is a function of its arguments. The promise: never more is cancelled than the request names.

Source: Partner Center's "cancel-an-order-from-the-integration-sandbox" (the table of products),
"subscription-resources", "subscription-lifecycle", "change-the-quantity-of-a-subscription", "create-a-new-subscription"
and "new-commerce-cancellation-policy" pages (read 2026-11-28).
"""

import re
from calendar import monthrange
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.contract import When
from shared.errors import CancelError, CancelRefused, Unavailable
from shared.partner_center.orders import Order, OrderLine
from shared.partner_center.subscriptions import Kind, Subscription
from shared.replies.refusals import BUSY, NOT_CANCELLABLE, USE_SUBSCRIPTION, WINDOW_PASSED

ORDER_FIRST_LENGTH = 33  # of base64url ids, which software, reservations and the older SaaS have
# Partner Center's refusals of an order whose product is cancelled by its subscription.
LEADS_TO_SUBSCRIPTIONS = frozenset({"800063", "800077", "800019", "900263"})
# The end of a term is a day, and a first term may be longer so that terms end together. A term has 28 days at least.
TERM_TOLERANCE = timedelta(days=14)
LAST_YEAR = 9000  # later dates mean never, and cannot be counted on from
_TERM = re.compile(r"P([1-9]\d?)([MY])", re.IGNORECASE)

MORE = "more_than_the_order"
_ADVICE: Mapping[When, str] = {
    "now": " Send its subscriptionId to cancel all of it, or take seats away in Partner Center.",
    "term_end": " Send its subscriptionId to let all of it end, or take seats away in Partner Center.",
}

OF_KINDS: Mapping[Kind, str] = {
    Kind.LEGACY_LICENCE: "A licence of this older kind cannot be cancelled, only suspended; nothing was changed."
    " Suspend it in Partner Center.",
    Kind.AZURE_PLAN: "An Azure plan cannot be cancelled here; nothing was changed. Cancel the Azure subscriptions in it"
    " in the Azure portal, then suspend the plan in Partner Center.",
    Kind.SAVINGS_PLAN: "A savings plan cannot be cancelled here; nothing was changed. Ask for its cancellation in the"
    " Azure portal.",
    Kind.UNKNOWN: "The function does not know this kind of product, so nothing was changed. Look at its subscription in"
    " Partner Center.",
}
OF_STATUSES: Mapping[str | None, str] = {
    "expired": "This subscription has expired already; nothing was changed. It is not renewed.",
    "disabled": "This subscription has ended already and is disabled; nothing was changed. It is not renewed.",
}
NOTHING_TO_SCHEDULE = "nothing_to_schedule"
NO_SUBSCRIPTION = (
    "This line has no subscription, so it has no term at whose end it could stop; nothing was changed. Send the request"
    " without when to cancel it now."
)
ENDS_NO_TERM: Mapping[Kind, str] = {
    Kind.LEGACY_LICENCE: "The renewal of a licence of this older kind cannot be turned off; nothing was changed."
    " Suspend it in Partner Center at the end of its term.",
    Kind.AZURE_PLAN: "An Azure plan does not renew; nothing was changed. Cancel the Azure subscriptions in it in the"
    " Azure portal.",
    Kind.SAVINGS_PLAN: "The renewal of a savings plan is turned off in the Azure portal; nothing was changed.",
    Kind.UNKNOWN: "The function does not know this kind of product, so nothing was changed. Look at its renewal in"
    " Partner Center.",
}
EXTENDED_TERM = (
    "This subscription is in its extended term, which goes on from month to month; nothing was changed. Send the"
    " request without when: it can be cancelled now, at any time."
)
TOO_LATE = "The time in which this could be cancelled has passed; nothing was changed."
NO_SUBSCRIPTION_FOUND = (
    "This product is cancelled by its subscription, and the order shows none; nothing was changed. A new one can take"
    " 15 minutes to appear. Send its subscriptionId, or cancel it in Partner Center."
)
NOT_ALLOWED = (
    "The function may not change subscriptions with this account or for this caller; nothing was changed. Do it in"
    " Partner Center, or ask the operator to allow it."
)
IN_DOUBT = (
    "The order does not show which subscription belongs to which of its lines; nothing was changed. Send the"
    " subscriptionId of the one that is meant, as Partner Center shows it."
)


def is_order_first(order_id: str) -> bool:
    """True if an order with this id is likely to be cancelled as an order, so that nothing is read before."""
    return len(order_id) == ORDER_FIRST_LENGTH


def leads_to_subscriptions(failure: CancelError) -> bool:
    """True if Partner Center refused the PATCH of an order because its products are cancelled by subscriptions."""
    return failure.partner_center is not None and failure.partner_center.code in LEADS_TO_SUBSCRIPTIONS


def is_list_needed(lines: Iterable[OrderLine]) -> bool:
    """True if a line that lives does not name its subscription."""
    return any(line.subscription_id is None and not line.cancelled for line in lines)


def with_found_subscriptions(order: Order, listed: Sequence[Subscription]) -> Order:
    """Return *order* with the subscriptions of those lines that name none, from the list of the order's subscriptions.

    A line and a subscription belong together if no other line and no other subscription there has the same offer. If
    that leaves doubt, the line is in doubt.
    """
    named = {line.subscription_id.lower() for line in order.line_items if line.subscription_id}
    free = [own for own in listed if own.subscription_id.lower() not in named and _is_of(own, order)]
    # Cancelled lines count too: a subscription that is listed may have been theirs.
    offers = [_key(line.offer_id) for line in order.line_items if line.subscription_id is None]
    has_stray = any(_key(subscription.offer_id) not in offers for subscription in free)

    def found(line: OrderLine) -> OrderLine:
        if line.subscription_id is not None or line.cancelled:
            return line
        own = [subscription for subscription in free if _key(subscription.offer_id) == _key(line.offer_id)]
        if len(own) == 1 and offers.count(_key(line.offer_id)) == 1:
            return line.model_copy(update={"subscription_id": own[0].subscription_id})
        return line.model_copy(update={"is_in_doubt": bool(own) or has_stray})

    return replace(order, line_items=[found(line) for line in order.line_items])


def refusal_without_subscription(order: Order, line: OrderLine | None, when: When) -> CancelError | None:
    """Return why *line*, which has no subscription, must not be cancelled as a line of its order; None if it may.

    *line* None stands for an order without lines.
    """
    has_subscriptions = any(other.subscription_id for other in order.line_items)
    # Without its number a line can only be cancelled with the whole order.
    if line and (line.is_in_doubt or (line.line_item_number is None and has_subscriptions)):
        return CancelRefused(USE_SUBSCRIPTION.code, IN_DOUBT)
    if order.status == "pending":
        return Unavailable(BUSY.code, BUSY.detail, retry_after_s=BUSY.retry_after_s)
    return CancelRefused(NOTHING_TO_SCHEDULE, NO_SUBSCRIPTION) if when == "term_end" else None


def refusal_by_subscription(
    subscription: Subscription,
    *,
    when: When,
    now: datetime,
    is_allowed: bool,
    of_order: tuple[Order, OrderLine] | None,
    others: Collection[str],
) -> CancelError | None:
    """Return why *subscription*, which is not deleted, must not be cancelled; None if it may be.

    *when*: now, or at the end of its term. *now*: the present moment, for the words alone. *is_allowed*: the account
    and the caller may cancel subscriptions. *of_order*: the order and the line that the request names; None if it names
    the subscription itself. *others*: the subscriptions of the order's other lines, in lower case.
    """
    if not is_allowed:
        return CancelRefused(USE_SUBSCRIPTION.code, NOT_ALLOWED)
    of_product = _refusal_of_product if when == "now" else _refusal_to_schedule
    if refusal := of_product(subscription) or _refusal_of_status(subscription):
        return refusal
    if of_order and (reason := more_than_the_order(*of_order, subscription, others, when=when)):
        return CancelRefused(MORE, f"{reason}{_removable(subscription, now)}{_ADVICE[when]}")
    return None


def with_way_out(failure: CancelError, subscription: Subscription, now: datetime) -> CancelError:
    """Return *failure*; if the window to cancel has passed, say what can be done at the end of the term."""
    ends = subscription.term_ends
    if failure.code != WINDOW_PASSED.code:
        return failure
    if ends is None or ends <= now or subscription.status != "active" or _refusal_to_schedule(subscription):
        return failure.with_detail(f"{TOO_LATE} Ask Microsoft's support.")
    day = f"{ends:%Y-%m-%d}"
    if subscription.is_scheduled:
        return failure.with_detail(f"{TOO_LATE} It is set to end with its present term, on {day}.")
    return failure.with_detail(
        f"{TOO_LATE} Its present term runs until {day}: send the request with when: term_end to let it end then."
    )


def _refusal_of_product(subscription: Subscription) -> CancelError | None:
    if detail := OF_KINDS.get(subscription.kind):
        return CancelRefused(NOT_CANCELLABLE.code, detail)
    if subscription.kind is Kind.LICENCE and subscription.is_trial:
        return CancelRefused(
            NOT_CANCELLABLE.code,
            "A trial cannot be cancelled before its end; nothing was changed. Send the request with when: term_end, so"
            " that it does not become a paid subscription.",
        )
    return None


def _refusal_to_schedule(subscription: Subscription) -> CancelError | None:
    if detail := ENDS_NO_TERM.get(subscription.kind):
        return CancelRefused(NOTHING_TO_SCHEDULE, detail)
    return CancelRefused(NOTHING_TO_SCHEDULE, EXTENDED_TERM) if subscription.is_extended else None


def _refusal_of_status(subscription: Subscription) -> CancelError | None:
    match subscription.status:
        case "active" | "suspended":
            return None
        case "pending":
            return Unavailable(BUSY.code, BUSY.detail, retry_after_s=BUSY.retry_after_s)
        case status:
            return CancelRefused(NOT_CANCELLABLE.code, OF_STATUSES.get(status, NOT_CANCELLABLE.detail))


def more_than_the_order(
    order: Order, line: OrderLine, subscription: Subscription, others: Collection[str], *, when: When = "now"
) -> str | None:
    """Return in what *subscription* is more than *line* of *order* bought; None if it is the same.

    A later term is more only for a cancellation now: at its end all is over that the order began.
    """
    if not _is_of(subscription, order):
        return "The subscription of this line was begun by another order; nothing was changed."
    if line.transaction_type not in {None, "new"}:
        return "This line of the order changed a subscription that existed before; nothing was changed."
    if subscription.subscription_id.lower() in others:
        return "A line of the order that the request does not name has the same subscription; nothing was changed."
    if subscription.quantity is None or subscription.quantity != line.quantity:
        return (
            f"The order bought {_seats(line.quantity)}, and its subscription has {_seats(subscription.quantity)} by"
            " now; nothing was changed."
        )
    return _of_another_term(order, line, subscription) if when == "now" else None


def _is_of(subscription: Subscription, order: Order) -> bool:
    """True if *subscription* was begun by *order*."""
    return _key(subscription.order_id) in {_key(order.order_id), _key(order.alternate_id)} - {None}


def _of_another_term(order: Order, line: OrderLine, subscription: Subscription) -> str | None:
    """Return why *subscription* is not, or not for certain, in the term that *line* bought; None if it is."""
    term_ends = _latest_end_of_first_term(order, line)
    if term_ends is None or subscription.term_ends is None:
        return (
            "Nobody can tell whether the subscription is still in the term that the order bought; nothing was changed."
        )
    if subscription.term_ends >= term_ends:
        return (
            "The subscription has been renewed or changed since the order bought it: its present term ends on"
            f" {subscription.term_ends:%Y-%m-%d}; nothing was changed."
        )
    return None


def _removable(subscription: Subscription, now: datetime) -> str:
    """Return a sentence about the seats that can still be taken away, or an empty text."""
    batches = [
        f"{_seats(seats)} until {until:%Y-%m-%d %H:%M} UTC"
        for seats, until in subscription.removable
        if until and until >= now
    ]
    return f" Partner Center shows as removable: {', '.join(batches)}." if batches else ""


def _seats(count: int | None) -> str:
    return "an unknown number of seats" if count is None else f"{count} seat{'' if count == 1 else 's'}"


def _latest_end_of_first_term(order: Order, line: OrderLine) -> datetime | None:
    """Return the moment until which the term that *line* bought has ended for certain; None if it is not known."""
    match = _TERM.fullmatch(line.term_duration or "")
    if match is None or order.creation_date is None:
        return None
    created = datetime.fromisoformat(order.creation_date)
    month = created.month - 1 + int(match[1]) * (1 if match[2].upper() == "M" else 12)
    year, month = created.year + month // 12, month % 12 + 1
    if year > LAST_YEAR:
        return None
    return created.replace(year=year, month=month, day=min(created.day, monthrange(year, month)[1])) + TERM_TOLERANCE


def _key(text: str | None) -> str | None:
    """Return the form in which ids and offers are compared: in lower case."""
    return text and text.lower()
