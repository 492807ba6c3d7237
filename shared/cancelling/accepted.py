"""Remembers for which orders a PATCH is on its way, or was or may have been accepted in the last minutes.

Partner Center may refuse a second PATCH while its reads do not show the first one yet. The memory is this worker's
alone and only makes an answer more careful: a refusal becomes `outcome_unknown`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.call import Target
from shared.partner_center.orders import Order

REMEMBERED_S = 900.0  # Partner Center's portal speaks of 15 minutes until a cancellation shows

type _Key = tuple[str, str, str]


class AcceptedPatches:
    """Holds the orders whose PATCH is on its way or was accepted. *clock* returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accepted_at: dict[_Key, float] = {}  # oldest first
        self._on_their_way: Counter[_Key] = Counter()  # calls whose PATCH has no end yet

    @contextmanager
    def on_its_way(self, target: Target, order: Order) -> Iterator[None]:
        """Count the PATCH of one call while it has no end. *order* is the order, if it was read before."""
        keys = _keys(target, order.order_id)
        self._on_their_way.update(keys)
        try:
            yield
        finally:
            self._on_their_way.subtract(keys)
            for key in keys:
                if not self._on_their_way[key]:
                    del self._on_their_way[key]

    def note(self, target: Target, order: Order | None) -> None:
        """Remember the order of *target*. *order* is that order, if it was read: it may have another id there."""
        now = self._clock()
        while self._accepted_at and now - next(iter(self._accepted_at.values())) > REMEMBERED_S:
            del self._accepted_at[next(iter(self._accepted_at))]
        for key in _keys(target, order.order_id if order else None):
            self._accepted_at.pop(key, None)
            self._accepted_at[key] = now

    def is_recent(self, target: Target, order: Order | None) -> bool:
        """True if another PATCH of this order is on its way, or one was accepted in the last minutes."""
        now = self._clock()
        known = order or Order()
        return any(
            self._on_their_way[key] > 0 or (key in self._accepted_at and now - self._accepted_at[key] <= REMEMBERED_S)
            for key in _keys(target, known.order_id, known.alternate_id)
        )


def _keys(target: Target, *order_ids: str | None) -> set[_Key]:
    """Return a key for each id of the order: a request may have its alternateId. GUIDs come in either case."""
    request = target.request
    return {
        (target.api_root, request.customer_tenant_id, order_id.lower())
        for order_id in (request.order_id, *order_ids)
        if order_id
    }
