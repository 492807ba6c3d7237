"""Remembers for which orders Partner Center accepted a PATCH in the last minutes.

Partner Center may refuse a second PATCH while its reads do not show the first one yet. The memory is this worker's
alone and only makes an answer more careful: a refusal becomes `outcome_unknown`.
"""

import time
from collections.abc import Callable

from shared.call import Target

REMEMBERED_S = 900.0  # Partner Center's portal speaks of 15 minutes until a cancellation shows


class AcceptedPatches:
    """Holds when a PATCH of an order was accepted. *clock* returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accepted_at: dict[tuple[str, str, str], float] = {}  # oldest first

    def note(self, target: Target) -> None:
        now = self._clock()
        while self._accepted_at and now - next(iter(self._accepted_at.values())) > REMEMBERED_S:
            del self._accepted_at[next(iter(self._accepted_at))]
        self._accepted_at.pop(_key(target), None)
        self._accepted_at[_key(target)] = now

    def is_recent(self, target: Target) -> bool:
        accepted_at = self._accepted_at.get(_key(target))
        return accepted_at is not None and self._clock() - accepted_at <= REMEMBERED_S


def _key(target: Target) -> tuple[str, str, str]:
    return target.api_root, target.request.customer_tenant_id, target.request.order_id
