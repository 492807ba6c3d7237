"""What Partner Center's refusals mean, which of them to repeat, and how long to wait.

No I/O, clock or randomness. The code decides first, then the status: a code's status has changed
before (800082: 400, later 409), and one status stands for many codes.

Source: Partner Center's "error-codes" and "api-throttling-guidance" pages, with what users reported
(10001, 1002, 0); the complete current table was not to be had, so an unknown code passes through.
"""

from shared.errors import (
    BadGateway,
    CancelError,
    CancelRefused,
    NotFound,
    PartnerCenterError,
    Throttled,
    Unavailable,
)
from shared.partner_center.orders import Reply, read_error

MAX_ATTEMPTS = 4
FIRST_DELAY_S = 0.25
THROTTLED_S = 10.0  # when a 429 does not say how long
BUSY_RETRY_AFTER_S = 59.0  # "look again in minutes"; more than 59 and Zendesk would not repeat

# 409 is absent on purpose: "order in progress" (800060) clears in minutes, not within our
# deadline, so the caller is told to come back. 429 is no doubt about the order; the others are.
UNACCOUNTED = frozenset({408}) | frozenset(range(500, 600))
TRANSIENT_CODES = frozenset({"800003", "800094", "900192"})  # unexpected, update failed, try later

ADVICE = {
    "order_not_found": "Partner Center knows no order of this id for this customer. A new order can take 15"
    " minutes to appear; ids are case-sensitive.",
    "customer_not_found": "Partner Center knows no such customer of this account. The usual causes: the wrong"
    " customer, the wrong account (sandbox or production), the wrong cloud.",
    "cancellation_window_passed": "The time in which this order could be cancelled has passed. Ask Microsoft's"
    " support, or let it run out.",
    "not_cancellable": "Partner Center does not cancel this order in its present state. Look at it in Partner"
    " Center, or ask Microsoft's support.",
    "not_cancellable_in_production": "In production only perpetual software and software subscriptions can be"
    " cancelled as orders. Cancel an Azure reservation in the Azure portal, a licence as a subscription.",
    "use_subscription_cancel": "This product is not cancelled as an order: cancel its subscription in Partner"
    " Center (PATCH of the subscription).",
    "line_item_mismatch": "Partner Center found no such line in the order; nothing was changed. Read the order"
    " (dryRun without lineItems lists its lines) and send the right lineItemNumber.",
    "account_blocked": "Partner Center has blocked the customer or the partner account: a review, a lock, or an"
    " agreement that is not accepted. Clear that in Partner Center, then ask again.",
    "order_busy": "Partner Center is still working on this order. Nothing was changed; ask again in some minutes.",
    "credentials_rejected": "Partner Center refused our app. The operator must check its registration in Partner"
    " Center and its rights.",
    "unexpected_answer": "Partner Center gave an answer that has no agreed meaning here; partnerCenter holds what"
    " it said. Nothing is known to have changed: look at the order, and report the correlationId.",
    "partner_center_unavailable": "Partner Center could not be reached or failed. Nothing was changed; ask again.",
    "throttled": "Partner Center asks us to slow down. Nothing was changed; ask again after Retry-After.",
}

_CODES: dict[str, tuple[type[CancelError], str]] = {}
for _kind, _slug, _numbers in (
    (NotFound, "order_not_found", "20000"),
    (NotFound, "customer_not_found", "20002 900159 60003 900118"),
    (CancelRefused, "cancellation_window_passed", "900117 900213"),
    (
        CancelRefused,
        "not_cancellable",
        # 900278 is a pending operation that clears in a day: too long to call it busy.
        (
            "800061 800040 800096 800042 900141 900127 2001 2006 2011 800091 900278 900279 900311 4018"
            " 800024 800026 800062 900321"
        ),
    ),
    (CancelRefused, "not_cancellable_in_production", "800019"),
    (CancelRefused, "use_subscription_cancel", "800063 800077 900263"),
    (CancelRefused, "line_item_mismatch", "800071"),
    (CancelRefused, "account_blocked", "800073 800074 800075 900416 900124 800039 900149"),
    (Unavailable, "order_busy", "800014 800060 800082"),
    (BadGateway, "credentials_rejected", "2032 900150 900308 1002 900309 90000 900329 900420 900421 10001 800001"),
):
    for _number in _numbers.split():
        _CODES[_number] = (_kind, _slug)

# What to do instead, where a code says more than its slug.
_CODE_ADVICE = {
    "900321": "A savings plan is cancelled in the Azure portal only, not here.",
    "900278": "An operation on this order is pending. Ask again after 24 hours.",
    "900329": "Partner Center does not take app-only credentials for this. The operator must use App+User.",
    "900309": "Conditional Access blocked our app. The operator must exempt it, or meet the policy.",
    "900420": "Partner Center no longer takes tokens of the old audience (graph.windows.net). The operator must"
    " remove that override from the account.",
    "900421": "The token lacks the claim that the user signed in with MFA. The operator must consent again, with MFA.",
    "10001": "Partner Center wants a user who signed in with MFA. The operator must consent again, with MFA.",
}


def error_of(reply: Reply) -> CancelError:
    """Return the end state that a *reply* without success stands for."""
    said = read_error(reply.body)
    kind, slug = _CODES.get(said.code or "") or _by_status(reply.status, said)
    retry_after_s = reply.retry_after_s
    if retry_after_s is None:
        retry_after_s = {"order_busy": BUSY_RETRY_AFTER_S, "throttled": THROTTLED_S}.get(slug)
    return kind(
        slug,
        _CODE_ADVICE.get(said.code or "", ADVICE[slug]),
        retry_after_s=retry_after_s,
        partner_center=said if said.code or said.description else None,
    )


def retry_delay_s(reply: Reply | None, attempt: int, jitter: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None if *reply* is final.

    *reply* is None when the connection gave no answer. *attempt* counts from 1. *jitter*, drawn
    by the caller from [0, 1), spreads the wait over [delay/2, delay). What Partner Center asks
    for beats the computed delay: an early repeat counts against the limit too.
    """
    if attempt >= MAX_ATTEMPTS:
        return None
    if reply is not None:
        if not is_transient(reply):
            return None
        if reply.retry_after_s is not None:
            return reply.retry_after_s
        if reply.status == 429:
            return THROTTLED_S
    delay_s = FIRST_DELAY_S * 2.0 ** (attempt - 1)
    return delay_s / 2 + jitter * delay_s / 2


def is_transient(reply: Reply) -> bool:
    """True if the same request may be answered otherwise in a moment."""
    if reply.is_success:  # first, so that an order is not parsed here as well
        return False
    code = read_error(reply.body).code or ""
    if code in _CODES:
        return False
    return reply.status == 429 or reply.status in UNACCOUNTED or code in TRANSIENT_CODES


def is_unaccounted(reply: Reply) -> bool:
    """True if a change may have been made although *reply* reports a failure, whatever its code says."""
    if reply.is_success:
        return False
    return reply.status in UNACCOUNTED or read_error(reply.body).code in TRANSIENT_CODES


def is_worth_reading(error: CancelError) -> bool:
    """True if the order may be cancelled already although Partner Center refused.

    What it answers to a second cancellation nobody could confirm, so every refusal of the order
    itself is held against the order, and every answer without an agreed meaning.
    """
    return isinstance(error, CancelRefused) or error.code == "unexpected_answer"


def may_mean_done(error: CancelError) -> bool:
    """True if "already cancelled" is what such a refusal may well mean: unread it decides nothing.

    800061, 800040 and 2011 are likely, a window that has passed may be named before the state is,
    and what nobody can interpret may mean that too.
    """
    return error.code in {"not_cancellable", "cancellation_window_passed", "unexpected_answer"}


def _by_status(status: int, said: PartnerCenterError) -> tuple[type[CancelError], str]:
    if status == 429:
        return Throttled, "throttled"
    if status == 401:
        return BadGateway, "credentials_rejected"
    if status in UNACCOUNTED or said.code in TRANSIENT_CODES:
        return Unavailable, "partner_center_unavailable"
    return BadGateway, "unexpected_answer"
