"""Remembers for which orders Partner Center accepted a PATCH in the last minutes, or may have accepted one.

Partner Center may refuse a second PATCH while its reads do not show the first one yet. The memory is this worker's
alone and only makes an answer more careful: a refusal becomes `outcome_unknown`.
"""

import time
from collections.abc import Callable, Iterator

from shared.call import Target
from shared.partner_center.orders import Order

REMEMBERED_S = 900.0  # Partner Center's portal speaks of 15 minutes until a cancellation shows

type _Key = tuple[str, str, str]


class AcceptedPatches:
    """Holds when a PATCH of an order was accepted. *clock* returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accepted_at: dict[_Key, float] = {}  # oldest first

    def note(self, target: Target, order: Order | None) -> None:
        """Remember the order of *target*. *order* is that order, if it was read: it may have another id there."""
        now = self._clock()
        while self._accepted_at and now - next(iter(self._accepted_at.values())) > REMEMBERED_S:
            del self._accepted_at[next(iter(self._accepted_at))]
        for key in _keys(target, order):
            self._accepted_at.pop(key, None)
            self._accepted_at[key] = now

    def is_recent(self, target: Target, order: Order | None) -> bool:
        now = self._clock()
        return any(
            key in self._accepted_at and now - self._accepted_at[key] <= REMEMBERED_S for key in _keys(target, order)
        )


def _keys(target: Target, order: Order | None) -> Iterator[_Key]:
    """Yield a key for each id of the order: a request may have its alternateId. GUIDs come in either case."""
    for order_id in {target.request.order_id, order and order.order_id}:
        if order_id:
            yield target.api_root, target.request.customer_tenant_id, order_id.lower()
