"""Decides when a request to Partner Center is repeated, and after which pause.

No I/O, clock or randomness. Source: Partner Center's "api-throttling-guidance" (read 2026-11-21).
"""

from shared.replies.answers import is_repeated, is_throttled, pause_s
from shared.replies.refusals import THROTTLED_S
from shared.replies.reply import Reply

MAX_ATTEMPTS = 4
FIRST_DELAY_S = 0.25


def retry_delay_s(reply: Reply | None, attempt: int, jitter: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None if *reply* is final.

    *reply* is None when the connection gave no answer. *attempt* counts from 1. *jitter*, drawn
    by the caller from [0, 1), spreads the wait over [delay/2, delay). Partner Center's Retry-After
    wins over the computed delay: an early repeat counts against the limit too.
    """
    if attempt >= MAX_ATTEMPTS:
        return None
    if reply is not None:
        if not is_repeated(reply):
            return None
        asked_s = pause_s(reply)
        if asked_s is not None and asked_s >= FIRST_DELAY_S:
            return asked_s
        if asked_s is not None:
            # "0", or a date in the past: Partner Center's clock and ours differ, or it does not know.
            return FIRST_DELAY_S * 2.0 ** (attempt - 1) * (1 + jitter)
        if is_throttled(reply):
            return THROTTLED_S
    delay_s = FIRST_DELAY_S * 2.0 ** (attempt - 1)
    return delay_s / 2 + jitter * delay_s / 2
