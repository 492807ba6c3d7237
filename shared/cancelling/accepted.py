"""Remembers what a PATCH is on its way to, or was or may have been accepted for in the last minutes.

Partner Center may refuse a second PATCH while its reads do not show the first one yet. The memory is this worker's
alone and only makes an answer more careful: a refusal becomes `outcome_unknown`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from shared.call import Target

REMEMBERED_S = 900.0  # Partner Center's portal speaks of 15 minutes until a cancellation shows
LOST_S = 10.0  # in which a PATCH whose answer was lost may still arrive

type _Key = tuple[str, str, str]


class AcceptedPatches:
    """Holds the orders and subscriptions whose PATCH is on its way or was accepted, by all ids that they have.

    *clock* returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accepted_at: dict[_Key, float] = {}  # also those that may have been; oldest first
        self._lost: set[_Key] = set()  # those of them that nobody saw accepted
        self._on_their_way: Counter[_Key] = Counter()  # calls whose PATCH has no end yet

    @contextmanager
    def on_its_way(self, target: Target, *ids: str | None) -> Iterator[None]:
        """Count the PATCH of one call while it has no end."""
        keys = _keys(target, ids)
        self._on_their_way.update(keys)
        try:
            yield
        finally:
            self._on_their_way.subtract(keys)
            for key in keys:
                if not self._on_their_way[key]:
                    del self._on_their_way[key]

    def note(self, target: Target, *ids: str | None, is_lost: bool = False) -> None:
        """Remember that a PATCH was accepted; if its answer *is_lost*, that it may have been."""
        now = self._clock()
        while self._accepted_at and now - next(iter(self._accepted_at.values())) > REMEMBERED_S:
            oldest = next(iter(self._accepted_at))
            del self._accepted_at[oldest]
            self._lost.discard(oldest)
        for key in _keys(target, ids):
            if not is_lost:
                self._lost.discard(key)
            elif key not in self._accepted_at:
                self._lost.add(key)
            self._accepted_at.pop(key, None)
            self._accepted_at[key] = now

    def is_recent(self, target: Target, *ids: str | None) -> bool:
        """True if another PATCH is on its way, or one was accepted in the last minutes."""
        now = self._clock()
        return any(
            self._on_their_way[key] > 0 or (key in self._accepted_at and now - self._accepted_at[key] <= REMEMBERED_S)
            for key in _keys(target, ids)
        )

    def may_be_done(self, target: Target, *ids: str | None) -> bool:
        """True if a reading may be older than a PATCH: one is on its way, was accepted, or was lost just now."""
        now = self._clock()
        return any(
            self._on_their_way[key] > 0
            or (
                key in self._accepted_at
                and now - self._accepted_at[key] <= (LOST_S if key in self._lost else REMEMBERED_S)
            )
            for key in _keys(target, ids)
        )


def _keys(target: Target, ids: Iterable[str | None]) -> set[_Key]:
    """Return a key for each id: a request may have an order's alternateId. GUIDs come in either case."""
    customer = target.customer_tenant_id
    return {(target.api_root, customer, any_id.lower()) for any_id in ids if any_id}
