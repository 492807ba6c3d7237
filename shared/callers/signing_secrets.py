"""Caches callers' signing secrets, which are read from Key Vault when they are first needed.

There is one flight (read in progress) per secret at a time. A secret is read again when it is SECRET_TTL_S
old, and when no signature fitted it, because it may have been rotated. The second happens at most once in 30 s,
so that a caller with wrong signatures cannot overload Key Vault. A secret that does not exist is looked for
at most once in 30 s too: the next secret of a rotation may be named before it is stored. While Key Vault does
not answer, the cached secrets are used.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from shared.credentials.key_vault import Secret, read_secret
from shared.credentials.repeats import FIRST_PAUSE_S, MAX_ATTEMPTS, fetch_with_repeats
from shared.errors import CancelError, Unavailable, credentials_unavailable
from shared.settings import Settings

READ_AGAIN_S = 30.0
# A pool of their own: a read that hangs keeps its thread, and the loop's default pool resolves host names.
THREADS = 16


@dataclass(frozen=True)
class _CachedSecret:
    """A secret. Times are on the monotonic clock.

    *is_doubtful* means that Key Vault could not be asked whether there is a newer version.
    """

    value: str = field(repr=False)
    read_at: float
    due_at: float
    is_doubtful: bool = False


class SigningSecrets:
    """Caches callers' signing secrets for one worker.

    *clock* returns monotonic seconds. *first_pause_s* is the pause before a flight's first repeat.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._cached: dict[str, _CachedSecret] = {}
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._refusals: dict[str, tuple[float, CancelError]] = {}  # the time until which the error stands
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="signing-secrets")

    def close(self) -> None:
        for flight in self._flights.values():
            flight.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def values(self, names: Collection[str], timeout_s: float) -> tuple[dict[str, str], CancelError | None]:
        """Return the secrets by name, and an error if a secret, or its newest version, could not be read.

        The error is OurFault or Unavailable. Waits at most *timeout_s* in all.
        """
        now = self._clock()
        due = [name for name in names if name not in self._cached or now >= self._cached[name].due_at]
        flights = {self._flights.get(name) or self._start_flight(name) for name in due}
        if flights:
            await asyncio.wait(flights, timeout=max(0.0, timeout_s))
        errors: list[CancelError] = []
        for flight in flights:
            if flight.done() and (error := flight.exception()):
                if not isinstance(error, CancelError):
                    raise error  # a bug of ours must not be hidden
                errors.append(error)
        found = {name: self._cached[name].value for name in names if name in self._cached}
        is_sure = all(name in found and not self._cached[name].is_doubtful for name in names)
        if is_sure and all(flight.done() for flight in flights):
            return found, None
        return found, next(iter(errors), None) or credentials_unavailable("Key Vault")

    def read_again(self, names: Collection[str]) -> bool:
        """Note that no signature fitted *names*. True if the next `values` reads them again."""
        now = self._clock()
        old = {name for name in names if name in self._cached and now - self._cached[name].read_at >= READ_AGAIN_S}
        self._cached |= {name: replace(self._cached[name], due_at=now) for name in old}
        return bool(old)

    def _start_flight(self, name: str) -> asyncio.Task[None]:
        flight = self._flights[name] = asyncio.create_task(self._fetch(name))
        flight.add_done_callback(lambda done: self._on_flight_done(name, done))
        return flight

    def _on_flight_done(self, name: str, flight: asyncio.Task[None]) -> None:
        del self._flights[name]
        if not flight.cancelled():
            flight.exception()  # asyncio warns about an exception that nobody retrieves

    async def _fetch(self, name: str) -> None:
        until, refusal = self._refusals.get(name, (0.0, None))
        if refusal and self._clock() < until:
            raise refusal.with_traceback(None)
        # A cached secret serves while Key Vault is down, so nobody needs to wait for a repeat.
        max_attempts = 1 if name in self._cached else MAX_ATTEMPTS
        try:
            secret = await fetch_with_repeats(
                partial(self._read_in_thread, name),
                "Key Vault",
                max_attempts=max_attempts,
                first_pause_s=self._first_pause_s,
            )
        except Unavailable:
            if name not in self._cached:
                raise
            now = self._clock()
            self._cached[name] = replace(self._cached[name], read_at=now, due_at=now + READ_AGAIN_S, is_doubtful=True)
        except CancelError as error:
            self._cached.pop(name, None)  # it was deleted, or our right to read it was taken away
            self._refusals[name] = (self._clock() + READ_AGAIN_S, error)
            raise
        else:
            now = self._clock()
            self._cached[name] = _CachedSecret(secret.value, now, now + self._settings.secret_ttl_s)

    def _read_in_thread(self, name: str, ends_at: float) -> asyncio.Future[Secret]:
        named_by = f"a caller names in secrets as {name}"
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, read_secret, self._settings, name, named_by, ends_at)
