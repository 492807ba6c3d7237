"""The sentences for the person at the ticket: what happened to which product, what to do, and by whom.

No I/O. The reader sees neither the request nor the answer, and knows no words of the interface. A text about a code
may be read hours later, in a note, so it speaks of the request in the past. The texts of shared/replies and
shared/rules (`detail`) say the same to the person who sent the request.
"""

from collections.abc import Container, Iterable, Sequence
from datetime import datetime

from shared.contract import LineItem, OrderState, Outcome
from shared.outside_text import clean_text

NAME_SHOWN = 80  # characters of a product's name
NAMES_SHOWN = 3

# Brackets begin placeholders, markup or links in ticketing systems.
_HARMLESS = str.maketrans("{}[]<>", "()()‹›")

OPEN = (
    "It is not confirmed whether what the request asked for was done. Sending the request again is safe: its answer"
    " says what happened. The cancellation function goes on looking for a day, and writes another note once it is"
    " certain."
)
STILL_OPEN = (
    "It is still not confirmed, after a day, whether what the request asked for was done, and the cancellation function"
    " looks no longer. Somebody must look at the order or subscription in Partner Center. If it still goes on, send the"
    " request again: that is safe."
)

_UNCHANGED = "Nothing was changed by it."
_ADMINISTRATOR = "The administrator of the ticketing system"
_OPERATOR = "the operator of the cancellation function"

# In the order of the error tree.
CODES = {
    "invalid_json": f"The request was refused: its text was broken and could not be read. {_UNCHANGED}"
    f" {_ADMINISTRATOR} must correct the template of the request.",
    "invalid_request": "The request was refused: it had mistakes, such as an id that is empty or has a wrong form."
    f" {_UNCHANGED} Correct the fields of the ticket and send the request again. If they are right, ask the"
    " administrator of the ticketing system.",
    "unknown_account": "The request was refused: the cancellation function has no account of the name in it, or none"
    f" was named. {_UNCHANGED} Ask {_OPERATOR} for the names of the accounts.",
    "body_too_large": f"The request was refused: it was too large. {_UNCHANGED} Shorten the texts of the ticket that"
    " go into it, or ask the administrator of the ticketing system.",
    "unsupported_media_type": "The request was refused: it was sent in a form that the cancellation function does not"
    f" read. {_UNCHANGED} {_ADMINISTRATOR} must correct how the request is sent.",
    "caller_not_authenticated": f"The request was refused: it did not prove who sent it. {_UNCHANGED} {_ADMINISTRATOR}"
    f" must check the key or the signature of its requests, with {_OPERATOR}.",
    "caller_not_allowed": "The request was refused: the sender may not use this account, or not for this customer,"
    f" or may only make trial runs. {_UNCHANGED} Ask {_OPERATOR}.",
    "customer_not_allowed": "The request was refused: the account may not be used for this customer."
    f" {_UNCHANGED} Ask {_OPERATOR}.",
    "account_off": f"The request was refused: the account is switched off. {_UNCHANGED} Ask {_OPERATOR}.",
    "order_not_found": "The request was refused: Partner Center knew no order with this id for this customer."
    f" {_UNCHANGED} Check the order id, upper and lower case included, and whether it is the id of a subscription"
    " instead. A new order can take 15 minutes to appear. Then send the request again.",
    "subscription_not_found": "The request was refused: Partner Center knew no subscription with this id for this"
    f" customer. {_UNCHANGED} Check the id of the subscription, the customer and the account. A new subscription can"
    " take 15 minutes to appear. Then send the request again.",
    "customer_not_found": "The request was refused: this account has no such customer, or no tenant has its domain."
    f" {_UNCHANGED} Check the customer and the account (production or sandbox), and send the request again.",
    "cancellation_window_passed": "The request was refused: the time in which this product can be cancelled has passed."
    f" {_UNCHANGED} If the product renews, ask for it not to renew, so that it ends with its term. Otherwise ask"
    " Microsoft's support.",
    "not_cancellable": "The request was refused: the product is of a kind or in a state in which Partner Center does"
    f" not allow this. {_UNCHANGED} Look at it in Partner Center, or ask Microsoft's support.",
    "not_cancellable_in_production": "The request was refused: of this kind of order Partner Center cancels only"
    f" software in production. {_UNCHANGED} Cancel an Azure reservation in the Azure portal, and a licence by its"
    " subscription in Partner Center.",
    "use_subscription_cancel": "The request was refused: this must be done at the subscription, which the cancellation"
    f" function may not change here, or could not find for certain. {_UNCHANGED} Do it in Partner Center, or ask"
    f" {_OPERATOR} to allow it.",
    "line_item_mismatch": "The request was refused: the order has no such line, or the line has another product."
    f" {_UNCHANGED} A trial run for the whole order shows its lines. Then send the request again with the right line.",
    "more_than_the_order": "The request was refused: the subscription is not, or not for certain, just what this order"
    f" bought; it can have more seats or a later term. {_UNCHANGED} If all of it is meant, send the request for"
    " the subscription instead. If only some seats are meant, take them away in Partner Center.",
    "nothing_to_schedule": "The request was refused: something in it has no term with which it could end, or its"
    f" renewal cannot be turned off here. {_UNCHANGED} Look at the product in Partner Center. A subscription in its"
    " extended term can be cancelled now, at any time.",
    "some_lines_refused": "Only a part of the request was done; some of its products were refused. A trial run of the"
    f" same request shows which these are and why. What to do about them depends on the reason; if it is not clear, ask"
    f" {_OPERATOR}.",
    "account_blocked": "The request was refused: Partner Center has blocked the customer or the partner account (a"
    f" review, a lock, or an agreement that is not accepted). {_UNCHANGED} Have the block removed in Partner Center,"
    " then send the request again.",
    "throttled": f"The request failed: Partner Center received too many requests. {_UNCHANGED} Send it again after some"
    " minutes.",
    "internal_error": f"The request failed: the cancellation function has a fault. {_UNCHANGED} Tell {_OPERATOR}, with"
    " the correlation id.",
    "misconfigured": f"The request failed: a setting of the cancellation function is wrong. {_UNCHANGED} Tell"
    f" {_OPERATOR}. Once the setting is corrected, send the request again.",
    "credentials_rejected": "The request failed: Microsoft refused the sign-in of the cancellation function."
    f" {_UNCHANGED} Tell {_OPERATOR}. Once that is corrected, send the request again.",
    "unexpected_answer": "Partner Center gave an answer that the cancellation function does not know, so it is not"
    " certain what was changed. Look at the order or subscription, and at its renewal, in Partner Center, and give"
    f" {_OPERATOR} the correlation id.",
    "partner_center_unavailable": "The request failed: Partner Center could not be reached, or it failed."
    f" {_UNCHANGED} Send it again after some minutes.",
    "order_busy": "The request was not carried out: Partner Center was still working on this order or subscription."
    f" {_UNCHANGED} Send it again after some minutes.",
    "credentials_unavailable": "The request failed: the cancellation function could not sign in to Microsoft in time."
    f" {_UNCHANGED} Send it again after some minutes.",
    "some_lines_unfinished": "Only a part of the request was done or under way when it ended. Send the same request"
    " again: it does the rest, and a repeat is safe.",
    "outcome_unknown": "It is not known whether what the request asked for was done: no answer of Partner Center showed"
    " it. Send the same request again: a repeat is safe, and its answer says what happened.",
}

# Why a trial run says that a line would be refused. One line can stop the others, which then have its code too: so each
# reason must be true of any line of the request.
REASONS = {
    "order_not_found": "Partner Center does not find the order",
    "subscription_not_found": "Partner Center does not find the subscription",
    "customer_not_found": "Partner Center does not find the customer",
    "cancellation_window_passed": "the time in which this can be cancelled has passed",
    "not_cancellable": "Partner Center does not allow it for such a product, or not in its present state",
    "not_cancellable_in_production": "in production Partner Center cancels only software in this way",
    "use_subscription_cancel": "this must be done at the subscription, which the cancellation function may not change"
    " here, or cannot find for certain",
    "line_item_mismatch": "the order has no such line",
    "more_than_the_order": "a subscription is not, or not for certain, just what the order bought",
    "nothing_to_schedule": "there is no term to end with, or the renewal cannot be turned off here",
    "account_blocked": "Partner Center has blocked the customer or the partner account",
    "order_busy": "Partner Center is still working on it; ask again in some minutes",
}
_NO_REASON = "the request would be refused"


def of_code(code: str) -> str:
    """Return what did not happen, what to do, and by whom. Raises KeyError for a *code* that is not in errors.py."""
    return CODES[code]


def of_result(outcome: Outcome, order: OrderState, asked: Container[int] | None) -> str:
    """Return what *outcome* means for the products of *order*, which is as it was seen last.

    *asked* are the numbers of the lines that the request names, None for all. `cancelled_line_items` is not read, so
    *order* may also come from a dry run.
    """
    lines = [line for line in order.line_items if asked is None or line.line_item_number in asked]
    cancelled = [line for line in lines if line.cancelled]
    living = [line for line in lines if not line.cancelled]
    match outcome:
        case Outcome.CANCELLED:
            return f"{_are_cancelled(order, cancelled)} Nothing is left to do."
        case Outcome.PARTIALLY_CANCELLED:
            others = [line for line in order.line_items if not line.cancelled]
            of_others = f": {_names(order, others)}" if others else ""
            return f"{_are_cancelled(order, cancelled)} Other products of the order are not cancelled{of_others}."
        case Outcome.ALREADY_CANCELLED:
            return f"{_start(order, cancelled)} {_are(cancelled)} cancelled already. Nothing was left to do."
        case Outcome.PENDING:
            return _of_pending(order, cancelled, living)
        case Outcome.SCHEDULED | Outcome.ALREADY_SCHEDULED:
            end = "is left" if outcome is Outcome.SCHEDULED else "was left"
            done = f"{_are_cancelled(order, cancelled)} " if cancelled else ""
            return f"{_run_to_their_end(order, living)} {done}Nothing {end} to do."
        case Outcome.DRY_RUN:
            return " ".join(["This was a trial run; nothing was changed.", *_forecasts(order, cancelled, living)])


def _of_pending(order: OrderState, cancelled: Sequence[LineItem], living: Sequence[LineItem]) -> str:
    is_now = order.when == "now"
    awaited = [line for line in living if is_now or not line.ends_at_term] or living
    what = "the cancellation of" if is_now else "the request not to renew"
    done = f"{_are_cancelled(order, cancelled)} " if cancelled and awaited else ""
    return (
        f"{done}Partner Center has accepted {what} {_names(order, awaited)}, and does not show it yet. Nothing is to be"
        " done now; look in Partner Center later, or send the request again: a repeat is safe."
    )


def _forecasts(order: OrderState, cancelled: Sequence[LineItem], living: Sequence[LineItem]) -> Iterable[str]:
    """Yield what the real request is likely to do, as far as it can be known."""
    is_now = order.when == "now"
    if cancelled or (not living and order.status == "cancelled"):
        yield f"{_start(order, cancelled)} {_are(cancelled)} cancelled already."
        if not living:
            return
    done = [] if is_now else [line for line in living if line.ends_at_term and not line.code]
    if done:
        yield f"{_start(order, done)} {_are(done)} set already to end with {_their(done)}{_on(done)}."
    can = [line for line in living if line.cancellable and line not in done]
    if can:
        would = "be cancelled" if is_now else f"end with {_their(can)}{_on(can)}, and not renew"
        yield f"By what Partner Center shows, {_names(order, can)} would {would}."
    for code in dict.fromkeys(line.code for line in living if line.code):
        lines = [line for line in living if line.code == code]
        would_not = "be cancelled" if is_now else f"be set to end with {_their(lines)}"
        yield f"{_start(order, lines)} would not {would_not}: {REASONS.get(code or '', _NO_REASON)}."
    unknown = [line for line in living if not line.code and not line.cancellable and line not in done]
    if unknown or not living:
        would = "be cancelled" if is_now else f"be set to end with {_their(unknown)}"
        yield f"Nobody can tell beforehand whether {_names(order, unknown)} would {would}."


def _are_cancelled(order: OrderState, lines: Sequence[LineItem]) -> str:
    return f"{_start(order, lines)} {_are(lines)} cancelled."


def _run_to_their_end(order: OrderState, lines: Sequence[LineItem]) -> str:
    ends = [line.term_ends_on for line in lines]
    is_one_day = len({day(end) for end in ends if end}) == 1 and all(ends)
    until = f"until {day(ends[0])}" if is_one_day and ends[0] else f"to the end of {_their(lines)}"
    if len(lines) > 1:
        return f"{_start(order, lines)} run {until} and then end; they do not renew."
    return f"{_start(order, lines)} runs {until} and then ends; it does not renew."


def _on(lines: Sequence[LineItem]) -> str:
    """Return the day on which the terms of *lines* end; an empty text if it is not known, or not one day."""
    days = {day(line.term_ends_on) if line.term_ends_on else None for line in lines}
    return f" on {found}" if len(days) == 1 and (found := days.pop()) else ""


def _are(lines: Sequence[LineItem]) -> str:
    return "are" if len(lines) > 1 else "is"


def _their(lines: Sequence[LineItem]) -> str:
    return "their terms" if len(lines) > 1 else "its term"


def _start(order: OrderState, lines: Sequence[LineItem]) -> str:
    """Return the names for the beginning of a sentence. Only words of ours get a capital letter."""
    names = _names(order, lines)
    return f"T{names[1:]}" if names.startswith("the ") else names


def _names(order: OrderState, lines: Sequence[LineItem]) -> str:
    """Return the names of the products of *lines*; without lines what the request names."""
    thing = "the subscription" if order.subscription_id else "the order"
    counts: dict[str, int] = {}
    for line in lines:
        name = _name(line) or (thing if order.subscription_id else "the product")
        counts[name] = counts.get(name, 0) + 1
    shown = [name if count == 1 else f"{count} lines of {name}" for name, count in counts.items()][:NAMES_SHOWN]
    left = sum(list(counts.values())[NAMES_SHOWN:])
    if left:
        shown.append("1 other" if left == 1 else f"{left} others")
    *first, last = shown or [thing]
    return f"{', '.join(first)} and {last}" if first else last


def _name(line: LineItem) -> str:
    """Return the product of *line*, with the number of licences if it lives; an empty text if it has no name."""
    name = product(line.friendly_name) or product(line.offer_id)
    is_counted = not line.cancelled and line.subscription_id and (line.quantity or 0) > 1
    return f"{name} ({line.quantity} licences)" if name and is_counted else name


def product(name: str | None) -> str:
    """Return a *name* from outside as one line, without characters that ticketing systems act on."""
    cleaned = clean_text(name or "", NAME_SHOWN).translate(_HARMLESS)
    if not cleaned.isprintable():
        cleaned = "".join(letter if letter.isprintable() else " " for letter in cleaned)
    return " ".join(cleaned.split())


def day(moment: str) -> str:
    """Return the day of an RFC 3339 date in words."""
    date = datetime.fromisoformat(moment)
    return f"{date.day} {date:%B} {date.year}"
