"""The secrets that callers sign with: read from Key Vault when first needed, and kept.

One flight per secret at a time. A secret is read again once it is SECRET_TTL_S old, and when it
verified nothing, since it may have been rotated; the latter once in half a minute, so that whoever
signs wrongly cannot hammer Key Vault. One that is not there is looked for as seldom, since the next
of a rotation may be named before it is stored. While Key Vault does not answer, what was kept serves on.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from shared.credentials.azure_sdk import unavailable
from shared.credentials.key_vault import read_secret
from shared.errors import CancelError, Unavailable
from shared.settings import Settings

READ_AGAIN_S = 30.0
FLIGHT_LIMIT_S = 8.0
THREADS = 16  # of their own: a read that hangs keeps its thread, and the loop's look up names for every connection


@dataclass(frozen=True)
class _Kept:
    """A secret; times on the monotonic clock. *is_doubtful*: there may be a newer one, and nobody could look."""

    value: str = field(repr=False)
    read_at: float
    due_at: float
    is_doubtful: bool = False


class SigningSecrets:
    """What a worker holds of them. *clock* gives seconds that only go forward."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._refused: dict[str, tuple[float, CancelError]] = {}  # until when, and how
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="signing-secrets")

    def close(self) -> None:
        for flight in self._flights.values():
            flight.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def values(self, names: Collection[str], timeout_s: float) -> tuple[dict[str, str], CancelError | None]:
        """Return the secrets that could be had, by name, and why another, or its newest version, could not.

        The reason is OurFault or Unavailable. Waits at most *timeout_s* in all.
        """
        now = self._clock()
        due = [name for name in names if name not in self._kept or now >= self._kept[name].due_at]
        flights = {self._flights.get(name) or self._start_flight(name) for name in due}
        if flights:
            await asyncio.wait(flights, timeout=max(0.0, timeout_s))
        errors: list[CancelError] = []
        for flight in flights:
            if flight.done() and (error := flight.exception()):
                if not isinstance(error, CancelError):
                    raise error  # a bug of ours, which must be seen
                errors.append(error)
        found = {name: self._kept[name].value for name in names if name in self._kept}
        is_sure = all(name in found and not self._kept[name].is_doubtful for name in names)
        if is_sure and all(flight.done() for flight in flights):
            return found, None
        return found, next(iter(errors), None) or unavailable("Key Vault")

    def read_again(self, names: Collection[str]) -> bool:
        """Note that *names* verified nothing; True if `values` will look for newer ones."""
        now = self._clock()
        old = {name for name in names if name in self._kept and now - self._kept[name].read_at >= READ_AGAIN_S}
        self._kept |= {name: replace(self._kept[name], due_at=now) for name in old}
        return bool(old)

    def _start_flight(self, name: str) -> asyncio.Task[None]:
        flight = self._flights[name] = asyncio.create_task(self._fetch(name))
        flight.add_done_callback(lambda done: self._land(name, done))
        return flight

    def _land(self, name: str, flight: asyncio.Task[None]) -> None:
        del self._flights[name]
        if not flight.cancelled():
            flight.exception()  # which tells asyncio that somebody looked

    async def _fetch(self, name: str) -> None:
        until, refusal = self._refused.get(name, (0.0, None))
        if refusal and self._clock() < until:
            raise refusal.with_traceback(None)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(FLIGHT_LIMIT_S):
                secret = await loop.run_in_executor(
                    self._threads, read_secret, self._settings, name, f"a caller names in secrets as {name}"
                )
        except (TimeoutError, Unavailable):
            if name not in self._kept:
                raise unavailable("Key Vault") from None
            now = self._clock()
            self._kept[name] = replace(self._kept[name], read_at=now, due_at=now + READ_AGAIN_S, is_doubtful=True)
        except CancelError as error:
            self._kept.pop(name, None)  # taken away, or no longer ours to read
            self._refused[name] = (self._clock() + READ_AGAIN_S, error)
            raise
        else:
            now = self._clock()
            self._kept[name] = _Kept(secret.value, now, now + self._settings.secret_ttl_s)
