"""Orders of new-commerce licences and their subscriptions, one for each condition that a client can tell apart.

Source: learn.microsoft.com/partner-center/developer/ subscription-resources, subscription-lifecycle, checkout-a-cart,
change-the-quantity, create-a-new-subscription; customers/new-commerce-cancellation-policy,
customers/extended-service-terms (read 2026-11-28).
"""

from datetime import datetime, timedelta
from typing import Literal

from infra.local.partner_center.entries import Case, Entry, ProductKind, SubscriptionEntry
from infra.local.partner_center.members import pascal_case
from infra.local.partner_center.resources import (
    LICENCE_CUSTOMER,
    licence,
    line,
    link,
    order,
    short_id,
    subscription_guid,
)
from infra.local.partner_center.subscription_terms import EXTENDED, WINDOW, term_members
from infra.local.values import Json

BASIC = ("CFQ7TTC0LH18:0001:CFQ7TTC0K971", "Microsoft 365 Business Basic")
PREMIUM = ("CFQ7TTC0LCHC:0002:CFQ7TTC0K59J", "Microsoft 365 Business Premium")
EXCHANGE = ("CFQ7TTC0LH16:0001:CFQ7TTC0K3NN", "Exchange Online (Plan 1)")
TEAMS_PHONE = ("CFQ7TTC0LH0T:0001:CFQ7TTC0K3P2", "Microsoft Teams Phone Standard")
VISIO = ("CFQ7TTC0HD33:0002:CFQ7TTC0MNPH", "Visio Plan 2")
SQL = ("DG7GMGF0FKZV:0003:DG7GMGF0DWMS", "SQL Server Enterprise - 2 Core License Pack - 3 year")


def licence_cases(now: datetime) -> list[Case]:
    """Return all cases, with dates relative to *now* (aware)."""
    return [
        *_windows(now),
        *_next_terms(now),
        *_statuses(now),
        *_several_lines(now),
        *_unnamed_subscriptions(now),
        *_added_seats(now),
    ]


def _windows(now: datetime) -> list[Case]:
    days_2, days_20, passed = now - timedelta(days=2), now - timedelta(days=20), _text(now - timedelta(days=1))
    no_deadline = {"cancellationAllowedUntilDate": None, "commitmentEndDateTime": None}
    pascal = _case("licence-pascal-case", "in its window; member names in PascalCase", days_2)
    [of_pascal] = pascal.subscriptions
    in_pascal_case = SubscriptionEntry(pascal_case(of_pascal.subscription), LICENCE_CUSTOMER, of_pascal.note)
    return [
        _case("licence", "in its window of 7 days, which began 2 days ago", days_2),
        _case("licence-20-days-old", "too old: its window of 7 days has passed", days_20),
        _case("licence-without-deadline", "in its window, and tells no deadline", days_2, no_deadline),
        _case("licence-without-deadline-20-days-old", "too old, and tells no deadline", days_20, no_deadline),
        _case(
            "licence-upgraded",
            "too late: 2 days old, but born of an upgrade, so that the window of its source counts",
            days_2,
            {"cancellationAllowedUntilDate": passed},
        ),
        _case("licence-202", "in its window; a PATCH is answered with 202 and no body", days_2, patch_answers=202),
        Case(pascal.entry, (in_pascal_case,)),
    ]


def _next_terms(now: datetime) -> list[Case]:
    days_2, days_20, days_100 = (now - timedelta(days=days) for days in (2, 20, 100))
    by_one_name, by_the_other = "scheduleType", "scheduledType"
    renewed = now - timedelta(days=3)
    extended = {
        "offerId": "CFQ7TTC0LH18:00ES:CFQ7TTC0LH18",
        "offerName": f"{BASIC[1]} ({EXTENDED})",
        "billingCycle": "monthly",
        "termDuration": "P1M",
    }
    return [
        _case(
            "licence-next-term",
            "in its window, and to be renewed with 8 seats: a body without these instructions deletes them",
            days_2,
            {"scheduledNextTermInstructions": _instructions(8)},
        ),
        _case(
            "licence-trial",
            "a trial: its status cannot be changed, but its auto-renew, by which it becomes a paid year",
            days_2,
            {"isTrial": True, "scheduledNextTermInstructions": _instructions(25)},
            order_line=_line("licence-trial", quantity=25, term="P1M"),
        ),
        _case(
            "licence-auto-renew-off",
            "too old; auto-renew off alone: at the end of its term it goes on in a paid extended term",
            days_100,
            {"autoRenewEnabled": False},
        ),
        *(
            _case(
                name,
                f"too old; ends with its term: auto-renew is off and Cancel is scheduled, by the name {spelling}",
                days_100,
                {"autoRenewEnabled": False, "scheduledActions": [{spelling: "TermEnd", "actionType": "Cancel"}]},
            )
            for name, spelling in (
                ("licence-scheduled", by_one_name),
                ("licence-scheduled-other-spelling", by_the_other),
            )
        ),
        _case(
            "licence-renewed",
            "in its window, which began again when it was renewed 3 days ago; its order bought the term before",
            renewed - timedelta(days=365),
            {"effectiveStartDate": _text(renewed), **term_members(renewed, "P1Y", 5)},
        ),
        _case(
            "licence-extended",
            "in its extended service term: it can be cancelled at any time, and changed in no other way",
            days_20 - timedelta(days=365),
            {"effectiveStartDate": _text(days_20), **term_members(days_20, "P1M", 5), **extended},
        ),
    ]


def _statuses(now: datetime) -> list[Case]:
    days_2 = now - timedelta(days=2)
    off = {"autoRenewEnabled": False}
    suspended = off | {"status": "suspended"}
    pending = _order("licence-order-pending", now, [line(0, *BASIC, "P1Y", quantity=5)])
    return [
        _case("licence-suspended", "suspended, and in its window: it can be cancelled", days_2, suspended),
        _case(
            "licence-suspended-by-microsoft",
            "suspended by Microsoft, and in its window: it can be cancelled, but not reactivated",
            days_2,
            suspended | {"suspensionReasons": ["Fraud"]},
        ),
        _case("licence-pending", "pending: not ready for changes yet", days_2, {"status": "pending"}),
        _case("licence-deleted", "cancelled already", days_2, {"status": "deleted"}),
        _case(
            "licence-expired",
            "expired: its term was over 15 days ago",
            now - timedelta(days=380),
            off | {"status": "expired"},
        ),
        _case(
            "licence-disabled",
            "disabled: its term was over 55 days ago",
            now - timedelta(days=420),
            off | {"status": "disabled"},
        ),
        Case(
            Entry(
                pending | {"status": "pending"},
                LICENCE_CUSTOMER,
                ProductKind.LICENCE,
                "bought a moment ago: too early, because no subscription can be seen yet",
            )
        ),
        _case(
            "unknown-product-type",
            "in its window, but of a product type that no page describes: its status cannot be changed",
            days_2,
            {"productType": {"id": "QuantumServices", "displayName": "QuantumServices"}},
        ),
    ]


def _several_lines(now: datetime) -> list[Case]:
    """Return orders of several licences, and of software beside a licence."""
    days_2, passed = now - timedelta(days=2), _text(now - timedelta(days=1))
    mixed = "software-and-licence"
    licence_line = _line(mixed, 1)
    note = "the software is cancelled by the order, the licence by its subscription"
    mixed_order = _order(mixed, days_2, [line(0, *SQL, "P3Y"), licence_line])
    mixed_subscription = licence(subscription_guid(mixed, 1), LICENCE_CUSTOMER, short_id(mixed), licence_line, days_2)
    return [
        _case_of_several(
            "licences-five", "all in their windows", days_2, [BASIC, PREMIUM, EXCHANGE, TEAMS_PHONE, VISIO]
        ),
        _case_of_several(
            "licences-two-windows",
            "line 0 is in its window, line 1 was born of an upgrade and is too late",
            days_2,
            [BASIC, VISIO],
            {"cancellationAllowedUntilDate": passed},
        ),
        _case_of_several(
            "licence-and-add-on", "a base and its add-on: each can be cancelled by itself", days_2, [BASIC, TEAMS_PHONE]
        ),
        Case(
            Entry(mixed_order, LICENCE_CUSTOMER, ProductKind.SOFTWARE, note, line_kinds={1: ProductKind.LICENCE}),
            (SubscriptionEntry(mixed_subscription, LICENCE_CUSTOMER, f"in its window; {note}"),),
        ),
    ]


def _unnamed_subscriptions(now: datetime) -> list[Case]:
    """Return orders whose lines name their subscription by a link only, or not at all; the list by order has it."""
    days_2 = now - timedelta(days=2)
    linked, unnamed = line(0, *BASIC, "P1Y", quantity=5), line(0, *BASIC, "P1Y", quantity=5)
    uri = f"/customers/{LICENCE_CUSTOMER}/subscriptions/{subscription_guid('licence-linked')}"
    linked["links"] |= {"subscription": link(uri)}
    twins = "licence-twins"
    twins_note = (
        "two lines of one offer that name no subscription: which is whose? Cancelled by its subscription's id only"
    )
    twin_lines = [line(number, *BASIC, "P1Y", quantity=5) for number in range(2)]
    return [
        _case("licence-linked", "in its window; the order's line names it by a link only", days_2, order_line=linked),
        _case("licence-unnamed", "in its window; the order's line does not name it", days_2, order_line=unnamed),
        Case(
            Entry(_order(twins, days_2, twin_lines), LICENCE_CUSTOMER, ProductKind.LICENCE, twins_note),
            tuple(
                SubscriptionEntry(
                    licence(subscription_guid(twins, number), LICENCE_CUSTOMER, short_id(twins), twin, days_2),
                    LICENCE_CUSTOMER,
                    f"in its window; belongs to one of {twins_note}",
                )
                for number, twin in enumerate(twin_lines)
            ),
        ),
    ]


def _added_seats(now: datetime) -> list[Case]:
    """Return an order to whose subscription seats were added later, and the order that added them."""
    bought, added = now - timedelta(days=3), now - timedelta(days=1)
    batches = [
        {"quantity": quantity, "allowedUntilDateTime": _text(date + WINDOW)}
        for quantity, date in ((5, bought), (2, added))
    ]
    name = "licence-seats-added"
    adding_line = line(
        0, *BASIC, "P1Y", quantity=2, transactionType="addQuantity", subscriptionId=subscription_guid(name)
    )
    return [
        _case(
            name,
            "in its window, but its order bought 5 of its 7 seats: cancelling it cancels more than the order",
            bought,
            {"quantity": 7, "refundableQuantity": {"totalQuantity": 7, "details": batches}},
        ),
        Case(
            Entry(
                _order(f"{name}-by", added, [adding_line]),
                LICENCE_CUSTOMER,
                ProductKind.LICENCE,
                "added 2 seats to the subscription that another order began: cancelling it would cancel more than that",
            )
        ),
    ]


def _case(
    name: str,
    note: str,
    bought: datetime,
    members: Json | None = None,
    *,
    order_line: Json | None = None,
    patch_answers: Literal[200, 202] = 200,
) -> Case:
    """Return an order of one licence and its subscription, which has *members* instead of its own; null removes one."""
    order_line = order_line or _line(name)
    content = licence(subscription_guid(name), LICENCE_CUSTOMER, short_id(name), order_line, bought) | (members or {})
    content = {member: value for member, value in content.items() if value is not None}
    return Case(
        Entry(_order(name, bought, [order_line]), LICENCE_CUSTOMER, ProductKind.LICENCE, f"its subscription: {note}"),
        (SubscriptionEntry(content, LICENCE_CUSTOMER, note, patch_answers),),
    )


def _case_of_several(
    name: str, note: str, bought: datetime, offers: list[tuple[str, str]], last_members: Json | None = None
) -> Case:
    """Return an order of a licence of each of *offers*. The last subscription has *last_members* instead of its own."""
    lines = [_line(name, number, offer, quantity=number + 1) for number, offer in enumerate(offers)]
    contents = [
        licence(subscription_guid(name, number), LICENCE_CUSTOMER, short_id(name), order_line, bought)
        for number, order_line in enumerate(lines)
    ]
    contents[-1] |= last_members or {}
    return Case(
        Entry(
            _order(name, bought, lines),
            LICENCE_CUSTOMER,
            ProductKind.LICENCE,
            f"its {len(lines)} subscriptions: {note}",
        ),
        tuple(
            SubscriptionEntry(content, LICENCE_CUSTOMER, f"line {number} of {len(lines)}: {note}")
            for number, content in enumerate(contents)
        ),
    )


def _order(name: str, bought: datetime, lines: list[Json]) -> Json:
    ids = {"alternateId": short_id(name), "billingCycle": "annual"}
    return order(short_id(name), LICENCE_CUSTOMER, bought, lines) | ids


def _line(name: str, number: int = 0, offer: tuple[str, str] = BASIC, *, quantity: int = 5, term: str = "P1Y") -> Json:
    """Return a line that names its subscription, as in Microsoft's sample of an order of licences."""
    return line(number, *offer, term, quantity=quantity, subscriptionId=subscription_guid(name, number))


def _instructions(quantity: int) -> Json:
    product, sku, availability = BASIC[0].split(":")
    ids = {"productId": product, "skuId": sku, "availabilityId": availability}
    return {"product": ids | {"billingCycle": "Annual", "termDuration": "P1Y"}, "quantity": quantity}


def _text(date: datetime) -> str:
    return f"{date:%Y-%m-%dT%H:%M:%SZ}"
