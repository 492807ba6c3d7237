"""The classes of Partner Center's answers without success, and what a call does about each.

No I/O, clock or randomness. codes.py has the class of each code, answers.py reads an answer by both.

Source: Partner Center's "error-codes" and "api-throttling-guidance" pages.
"""

from dataclasses import dataclass

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
    " lower case matter, and a new order can take 15 minutes to appear. If it is a subscription's id, send it as"
    " subscriptionId.",
)
SUBSCRIPTION_NOT_FOUND = AnswerClass(
    NotFound,
    "subscription_not_found",
    "Partner Center knows no subscription with this id for this customer; nothing was changed. Check the"
    " subscription's id, the customer and the account; a new subscription can take 15 minutes to appear.",
    needs_look=True,
    may_mean_done=True,
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
    "The time in which this could be cancelled has passed; nothing was changed. If it renews, send the request with"
    " when: term_end, so that it ends with its term. Otherwise ask Microsoft's support.",
    needs_look=True,
    may_mean_done=True,
)
NOT_CANCELLABLE = AnswerClass(
    CancelRefused,
    "not_cancellable",
    "The order or subscription is in a state in which Partner Center does not allow this; nothing was changed. Look at"
    " it in Partner Center, or ask Microsoft's support.",
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
    "This product is cancelled by its subscription, not as an order; nothing was changed. Cancel its subscription in"
    " Partner Center, or ask the operator to let the function cancel subscriptions.",
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
    "Partner Center is still working on this order or subscription. Nothing was changed; send the request again in"
    " some minutes.",
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
    "Partner Center gave an answer that the function does not know (partnerCenter has its text), so it is not"
    " certain what was changed. Look at the order or subscription in Partner Center, and give the operator the"
    " correlationId.",
    needs_look=True,
    may_mean_done=True,
)

CLASSES = {
    row.code: row
    for row in (
        *(ORDER_NOT_FOUND, SUBSCRIPTION_NOT_FOUND, CUSTOMER_NOT_FOUND, WINDOW_PASSED, NOT_CANCELLABLE),
        *(NOT_IN_PRODUCTION, USE_SUBSCRIPTION, LINE_MISMATCH, ACCOUNT_BLOCKED, BUSY, THROTTLED, REJECTED),
        *(UNAVAILABLE, UNEXPECTED),
    )
}
