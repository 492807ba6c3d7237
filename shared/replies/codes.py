"""The codes of Partner Center's errors, each with the class of answers that it belongs to. A new code is one row.

No I/O, clock or randomness. answers.py reads an answer by this table.

Source: Partner Center's "error-codes" page, with what users reported (10001, 1002, 0). The complete current table
could not be read, so an unknown code is passed on to the caller.
"""

from typing import NamedTuple

from shared.replies.refusals import (
    ACCOUNT_BLOCKED,
    BUSY,
    CUSTOMER_NOT_FOUND,
    LINE_MISMATCH,
    NOT_CANCELLABLE,
    NOT_IN_PRODUCTION,
    ORDER_NOT_FOUND,
    REJECTED,
    SUBSCRIPTION_NOT_FOUND,
    UNAVAILABLE,
    USE_SUBSCRIPTION,
    WINDOW_PASSED,
    AnswerClass,
)


class Code(NamedTuple):
    """A code of Partner Center.

    Attributes:
        answer_class: what an answer with this code means.
        meaning: what Partner Center means by it.
        detail: what callers are told, if it differs from the class.
        is_said_of_cancelled_orders: Partner Center probably answers so to a second cancellation.
    """

    answer_class: AnswerClass
    meaning: str
    detail: str | None = None
    is_said_of_cancelled_orders: bool = False


CODES = {
    "20000": Code(ORDER_NOT_FOUND, "no order with this id"),
    "20003": Code(SUBSCRIPTION_NOT_FOUND, "no subscription with this id"),
    "800037": Code(SUBSCRIPTION_NOT_FOUND, "no asset with this id"),
    "20002": Code(CUSTOMER_NOT_FOUND, "no commerce relationship with the customer"),
    "900159": Code(CUSTOMER_NOT_FOUND, "no commerce relationship with the customer"),
    "60003": Code(CUSTOMER_NOT_FOUND, "no tenant with this id"),
    "900118": Code(CUSTOMER_NOT_FOUND, "invalid customer id"),
    "900117": Code(WINDOW_PASSED, "the cancellation window, in days, has passed"),
    "900213": Code(WINDOW_PASSED, "the cancellation window, in hours, has passed"),
    "800061": Code(NOT_CANCELLABLE, "the order cannot be cancelled", is_said_of_cancelled_orders=True),
    "800040": Code(NOT_CANCELLABLE, "the asset's status cannot change to this one", is_said_of_cancelled_orders=True),
    "800096": Code(NOT_CANCELLABLE, "the subscription's status cannot be updated"),
    "800042": Code(NOT_CANCELLABLE, "not supported"),
    "900141": Code(NOT_CANCELLABLE, "not supported"),
    "900127": Code(NOT_CANCELLABLE, "not in this environment"),
    "2001": Code(NOT_CANCELLABLE, "the subscription is suspended"),
    "2006": Code(NOT_CANCELLABLE, "the offer cannot be updated"),
    "2011": Code(NOT_CANCELLABLE, "the subscription is deleted already", is_said_of_cancelled_orders=True),
    "800091": Code(NOT_CANCELLABLE, "the subscription is suspended"),
    "900278": Code(
        NOT_CANCELLABLE,  # not BUSY: it clears after a day
        "an operation is pending; try again after 24 hours",
        "An operation on this order is pending; nothing was changed. Send the request again after 24 hours.",
    ),
    "900279": Code(NOT_CANCELLABLE, "no more updates are allowed"),
    "900277": Code(NOT_CANCELLABLE, "the subscription is expiring"),
    "800081": Code(
        NOT_CANCELLABLE,
        "the subscription is not activated yet",
        "The customer has not activated this subscription at its publisher yet, so nothing was changed. Activate it"
        " first, or ask the publisher.",
    ),
    "800093": Code(
        NOT_CANCELLABLE,
        "not eligible for auto-renew",
        "Partner Center does not change the renewal of this subscription; nothing was changed. Look at it in Partner"
        " Center.",
    ),
    "800095": Code(
        NOT_CANCELLABLE,
        "the number of seats cannot be changed",
        "Partner Center does not change the seats of this subscription; nothing was changed. Look at it in Partner"
        " Center.",
    ),
    "27009": Code(
        NOT_CANCELLABLE,
        "the parent subscription is not active",
        "The subscription that this add-on belongs to is not active, so nothing was changed. Reactivate that one in"
        " Partner Center, or cancel it too.",
    ),
    "900115": Code(
        NOT_CANCELLABLE,
        "the Azure plan has active Azure subscriptions",
        "The Azure plan has active Azure subscriptions; nothing was changed. Cancel those first, in the Azure portal or"
        " in Partner Center.",
    ),
    "900311": Code(NOT_CANCELLABLE, "updated too often"),
    "4018": Code(NOT_CANCELLABLE, "the order cannot be processed"),
    "800024": Code(NOT_CANCELLABLE, "not eligible"),
    "800026": Code(NOT_CANCELLABLE, "not eligible"),
    "800062": Code(NOT_CANCELLABLE, "not eligible"),
    "900321": Code(
        NOT_CANCELLABLE,
        "a savings plan is cancelled only in Azure",
        "A savings plan cannot be cancelled as an order; nothing was changed. Cancel it in the Azure portal.",
    ),
    "800019": Code(NOT_IN_PRODUCTION, "in production only software subscriptions and perpetual software"),
    "800063": Code(USE_SUBSCRIPTION, "the order cannot be cancelled; suspend the subscription"),
    "800077": Code(USE_SUBSCRIPTION, "seat-based SaaS: cancel the subscription"),
    "900263": Code(USE_SUBSCRIPTION, "not for legacy subscriptions"),
    "800071": Code(LINE_MISMATCH, "the line item number is out of range"),
    "800073": Code(ACCOUNT_BLOCKED, "the customer is under review"),
    "800074": Code(ACCOUNT_BLOCKED, "the customer is under review"),
    "800075": Code(ACCOUNT_BLOCKED, "the customer is not approved"),
    "900416": Code(ACCOUNT_BLOCKED, "locked for transactions"),
    "900124": Code(ACCOUNT_BLOCKED, "the Microsoft Partner Agreement is not accepted"),
    "800039": Code(ACCOUNT_BLOCKED, "the reseller programme is not active"),
    "900149": Code(ACCOUNT_BLOCKED, "the reseller programme is not active"),
    "800014": Code(BUSY, "an adjustment of this order is pending"),
    "800060": Code(BUSY, "the order is in progress; look again in minutes"),
    "800082": Code(BUSY, "the subscription is not ready"),
    "900280": Code(BUSY, "updates are not allowed at the moment"),
    "2032": Code(REJECTED, "access denied"),
    "900150": Code(REJECTED, "the role lacks the right"),
    "900308": Code(REJECTED, "insufficient privileges"),
    "1002": Code(REJECTED, "authorization failed"),
    "900309": Code(
        REJECTED,
        "Conditional Access blocked the app",
        "Conditional Access blocked the function's app; nothing was changed. The operator must exempt the app, or"
        " meet the policy.",
    ),
    "90000": Code(REJECTED, "an error of Entra ID"),
    "900329": Code(
        REJECTED,
        "app-only credentials are not supported",
        "Partner Center does not accept app-only credentials for this; nothing was changed. The operator must use"
        " App+User.",
    ),
    "900420": Code(
        REJECTED,
        "the token has the old audience",
        "Partner Center no longer accepts tokens with the old audience (graph.windows.net); nothing was changed. The"
        " operator must remove audience from the account's settings.",
    ),
    "900421": Code(
        REJECTED,
        "the token lacks the MFA claim",
        "The user signed in without MFA; nothing was changed. The operator must consent again, with MFA.",
    ),
    "10001": Code(
        REJECTED,
        "MFA is required (the old code)",
        "Partner Center requires a user who signed in with MFA; nothing was changed. The operator must consent again,"
        " with MFA.",
    ),
    "800001": Code(REJECTED, "the partner's token is missing"),
    "800003": Code(UNAVAILABLE, "unexpected error"),
    "800094": Code(UNAVAILABLE, "the update failed"),
    "900192": Code(UNAVAILABLE, "try again later"),
}
