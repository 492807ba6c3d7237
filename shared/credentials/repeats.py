"""Repeats a flight (fetch from Key Vault or Entra ID) that may work in a moment.

Many calls wait for one flight, so one failed request would fail them all.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from shared.errors import Unavailable, credentials_unavailable

FLIGHT_LIMIT_S = 8.0  # the repeats and their pauses included
MAX_ATTEMPTS = 4
FIRST_PAUSE_S = 0.25  # then twice as long each time, unless the service asks for more


async def fetch_with_repeats[T](
    fetch: Callable[[float], Awaitable[T]],
    service: str,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    first_pause_s: float = FIRST_PAUSE_S,
) -> T:
    """Return what *fetch* returns. It gets the time (monotonic) at which it must end.

    Raises Unavailable, which names *service*, if no attempt has worked after FLIGHT_LIMIT_S or *max_attempts*. The
    other errors of *fetch* are raised at once: a repeat does not help there.
    """
    ends_at = time.monotonic() + FLIGHT_LIMIT_S
    attempt = 0
    while True:
        attempt += 1
        try:
            async with asyncio.timeout(ends_at - time.monotonic()):
                return await fetch(ends_at)
        except TimeoutError:
            raise credentials_unavailable(service) from None
        except Unavailable as error:
            # Jitter spreads the repeats of many instances. Guessing it helps no attacker.
            pause_s = first_pause_s * 2.0 ** (attempt - 1) * (1 + random.random()) / 2  # noqa: S311
            pause_s = max(pause_s, error.asked_pause_s or 0.0)
            if attempt == max_attempts or time.monotonic() + pause_s >= ends_at:
                raise
        await asyncio.sleep(pause_s)
