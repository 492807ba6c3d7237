"""Gives Partner Center's answers a meaning, in two tables: classes of answers, and its codes with their class.

No I/O, clock or randomness. answers.py reads an answer by these tables. A new code is one row of `CODES`.

Source: Partner Center's "error-codes" and "api-throttling-guidance" pages, with what users reported
(10001, 1002, 0). The complete current table could not be read, so an unknown code is passed on to the caller.
"""

from dataclasses import dataclass
from typing import NamedTuple

from shared.errors import (
    BadGateway,
    CancelError,
    CancelRefused,
    NotFound,
    Throttled,
    Unavailable,
)

THROTTLED_S = 10.0  # for a 429 that does not say how long
BUSY_RETRY_AFTER_S = 59.0  # "look again in minutes"; Zendesk does not repeat if it is over 59


@dataclass(frozen=True)
class AnswerClass:
    """A class of answers without success, and what a call does about them.

    Attributes:
        error: the error that ends the call, with its *code* for callers and its *detail*.
        is_repeated: the same request may be answered otherwise in a moment, so it is sent again.
        accounts_for_change: the answer proves that the request changed nothing. False: nobody knows.
        needs_look: the order may be cancelled although the PATCH was refused, so the order is read.
        may_mean_done: "it is cancelled already" is a likely reason for the refusal, so without that look
            the refusal is not final.
        retry_after_s: the pause to ask of the caller if Partner Center named none; None for the default.
    """

    error: type[CancelError]
    code: str
    detail: str
    is_repeated: bool = False
    accounts_for_change: bool = True
    needs_look: bool = False
    may_mean_done: bool = False
    retry_after_s: float | None = None


ORDER_NOT_FOUND = AnswerClass(
    NotFound,
    "order_not_found",
    "Partner Center knows no order with this id for this customer; nothing was changed. Check the order id: upper and"
    " lower case matter, and a new order can take 15 minutes to appear.",
)
CUSTOMER_NOT_FOUND = AnswerClass(
    NotFound,
    "customer_not_found",
    "Partner Center knows no such customer of this account; nothing was changed. Check the customer, the account"
    " (production or sandbox) and the cloud.",
)
# Nobody could confirm what Partner Center answers to a second cancellation. So the order is looked at after
# every refusal of the order itself, and after an answer whose meaning is not known.
WINDOW_PASSED = AnswerClass(
    CancelRefused,
    "cancellation_window_passed",
    "The time in which this order could be cancelled has passed; nothing was changed. Ask Microsoft's support,"
    " or let the order run out.",
    needs_look=True,
    may_mean_done=True,
)
NOT_CANCELLABLE = AnswerClass(
    CancelRefused,
    "not_cancellable",
    "Partner Center does not cancel this order in its present state; nothing was changed. Look at the order in"
    " Partner Center, or ask Microsoft's support.",
    needs_look=True,
    may_mean_done=True,
)
NOT_IN_PRODUCTION = AnswerClass(
    CancelRefused,
    "not_cancellable_in_production",
    "In production only perpetual software and software subscriptions can be cancelled as orders; nothing was"
    " changed. Cancel an Azure reservation in the Azure portal, and a licence as a subscription in Partner Center.",
    needs_look=True,
)
USE_SUBSCRIPTION = AnswerClass(
    CancelRefused,
    "use_subscription_cancel",
    "This product cannot be cancelled as an order; nothing was changed. Cancel its subscription in Partner Center.",
    needs_look=True,
)
LINE_MISMATCH = AnswerClass(
    CancelRefused,
    "line_item_mismatch",
    "Partner Center found no such line in the order; nothing was changed. Send the request without lineItems and"
    " with dryRun: true to see the order's lines, then send the right lineItemNumber.",
    needs_look=True,
)
ACCOUNT_BLOCKED = AnswerClass(
    CancelRefused,
    "account_blocked",
    "Partner Center has blocked the customer or the partner account (a review, a lock, or an agreement that is not"
    " accepted); nothing was changed. Remove the block in Partner Center, then send the request again.",
    needs_look=True,
)
BUSY = AnswerClass(
    Unavailable,
    "order_busy",
    "Partner Center is still working on this order. Nothing was changed; send the request again in some minutes.",
    # Not repeated within the call: "order in progress" (800060) clears in minutes, after our deadline.
    retry_after_s=BUSY_RETRY_AFTER_S,
)
THROTTLED = AnswerClass(
    Throttled,
    "throttled",
    "Partner Center received too many requests. Nothing was changed; send the request again after the seconds in"
    " Retry-After.",
    is_repeated=True,
    retry_after_s=THROTTLED_S,
)
REJECTED = AnswerClass(
    BadGateway,
    "credentials_rejected",
    "Partner Center refused the function's app; nothing was changed. The operator must check the app's registration in"
    " Partner Center and its rights.",
)
UNAVAILABLE = AnswerClass(
    Unavailable,
    "partner_center_unavailable",
    "Partner Center could not be reached, or it failed. Nothing was changed; send the request again.",
    is_repeated=True,
    accounts_for_change=False,
)
UNEXPECTED = AnswerClass(
    BadGateway,
    "unexpected_answer",
    "Partner Center gave an answer that the function does not know (partnerCenter has its text), so the order's state"
    " is not certain. Look at the order in Partner Center, and give the operator the correlationId.",
    needs_look=True,
    may_mean_done=True,
)

CLASSES = {
    row.code: row
    for row in (
        *(ORDER_NOT_FOUND, CUSTOMER_NOT_FOUND, WINDOW_PASSED, NOT_CANCELLABLE, NOT_IN_PRODUCTION, USE_SUBSCRIPTION),
        *(LINE_MISMATCH, ACCOUNT_BLOCKED, BUSY, THROTTLED, REJECTED, UNAVAILABLE, UNEXPECTED),
    )
}


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
