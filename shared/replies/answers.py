"""Decides what one answer of Partner Center means, by the tables in codes.py and refusals.py.

No I/O, clock or randomness. The code decides first, then the status: a code's status has changed
before (800082: 400, later 409), and one status stands for many codes.

Source: Partner Center's "error-codes" and "api-throttling-guidance" pages; Azure API Management's policies
"quota" and "rate-limit" for the texts of its answers.
"""

import re

from shared.errors import CancelError
from shared.replies.codes import CODES
from shared.replies.refusals import BUSY, REJECTED, THROTTLED, UNAVAILABLE, UNEXPECTED, AnswerClass
from shared.replies.reply import Reply

STALE_ETAG = "2055"
_QUOTA = re.compile(r"out of (call volume|bandwidth) quota|rate limit is exceeded", re.IGNORECASE)
# "Quota will be replenished in 00:00:12.", with days "6.23:59:59"
_PERIOD = re.compile(r"\bin (?:(\d{1,4})\.)?(\d{1,3}):(\d\d):(\d\d)")
_SECONDS = re.compile(r"\bin (\d{1,5}) seconds?", re.IGNORECASE)  # "Try again in 57 seconds."


def class_of(reply: Reply) -> AnswerClass:
    """Return the class of a *reply* without success, which ends the call."""
    by_code = _class_by_code(reply)
    # The codes of a passing failure say less than these two statuses.
    if by_code and not (by_code is UNAVAILABLE and reply.status in {401, 429}):
        return by_code
    if is_throttled(reply):
        return THROTTLED
    if reply.status == 401:
        return REJECTED
    return UNAVAILABLE if _is_server_failure(reply) else UNEXPECTED


def is_repeated(reply: Reply) -> bool:
    """True if the same request may be answered otherwise in a moment."""
    return not reply.is_success and (_class_by_code(reply) or class_of(reply)).is_repeated


def is_throttled(reply: Reply) -> bool:
    """True for a 429, and for the 403 with which API Management answers a call beyond its quota."""
    if reply.status != 403:
        return reply.status == 429
    error = reply.error
    return error.code not in CODES and _QUOTA.search(error.description or "") is not None


def pause_s(reply: Reply) -> float | None:
    """Return the seconds that Partner Center asks us to wait, from its Retry-After or its text; None if in neither."""
    if reply.retry_after_s is not None or not is_throttled(reply):
        return reply.retry_after_s
    text = reply.error.description or ""
    if found := _PERIOD.search(text):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return 86_400.0 * days + 3600 * hours + 60 * minutes + seconds
    return float(found[1]) if (found := _SECONDS.search(text)) else None


def accounts_for_change(reply: Reply) -> bool:
    """True if *reply* shows whether the request changed the order: it was accepted, or it changed nothing."""
    # A 408 or 5xx proves nothing, even if its body has the code of a refusal.
    if reply.is_success:
        return True
    return (_class_by_code(reply) or class_of(reply)).accounts_for_change and not _is_server_failure(reply)


def is_conflict(reply: Reply) -> bool:
    """True if the PATCH of a subscription was refused because something else changes it: read again and try again."""
    if reply.is_success:
        return False
    is_unknown = class_of(reply) is UNEXPECTED and (reply.status in {409, 412} or reply.error.code == STALE_ETAG)
    return is_unknown or class_of(reply) is BUSY


def error_of(reply: Reply, *, is_of_subscription: bool = False) -> CancelError:
    """Return the error that ends a PATCH or a read whose last *reply* is without success.

    *is_of_subscription*: it was the PATCH of a subscription, where a 409 without a known code means a renewal.
    """
    answer_class = BUSY if is_of_subscription and is_conflict(reply) else class_of(reply)
    code = CODES.get(reply.error.code or "")
    asked_s = pause_s(reply)
    return answer_class.error(
        answer_class.code,
        code.detail if code and code.detail and code.answer_class is answer_class else answer_class.detail,
        retry_after_s=answer_class.retry_after_s if asked_s is None else asked_s,
        partner_center=reply.error if reply.error.code or reply.error.description else None,
    )


def _class_by_code(reply: Reply) -> AnswerClass | None:
    # With these statuses an inner code may be the cause of something else.
    is_own_only = reply.status == 401 or _is_server_failure(reply)
    code = CODES.get((reply.own_code if is_own_only else reply.error.code) or "")
    return code and code.answer_class


def _is_server_failure(reply: Reply) -> bool:
    return reply.status == 408 or 500 <= reply.status <= 599
