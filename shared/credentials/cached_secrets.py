"""Caches the Key Vault secrets that callers name, and the token for the app's own queues.

There is one flight (read in progress) per secret at a time. A secret is read again when its life is over
(SECRET_TTL_S), and when it did not fit, because it may have been rotated. The second happens at most once in 30 s,
so that a caller with wrong signatures cannot overload Key Vault. A secret that does not exist is looked for
at most once in 30 s too: the next secret of a rotation may be named before it is stored. While Key Vault does
not answer, the cached secrets are used.

Source: learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory for the token's scope,
which is the same in every cloud (read 2026-11-28).
"""

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from shared.credentials.azure_sdk import SdkCall, identity_refused, open_identity
from shared.credentials.key_vault import read_secret
from shared.credentials.repeats import FIRST_PAUSE_S, MAX_ATTEMPTS, fetch_with_repeats
from shared.errors import CancelError, Unavailable, credentials_unavailable
from shared.settings import Settings

READ_AGAIN_S = 30.0
# A pool of their own: a read that hangs keeps its thread, and the loop's default pool resolves host names.
THREADS = 16
STORAGE_SCOPE = "https://storage.azure.com/.default"
RENEW_AT = 0.8  # of a token's life


@dataclass(frozen=True)
class Fetched:
    """A secret or a token, and the seconds after which it is to be fetched anew."""

    value: str = field(repr=False)
    life_s: float


@dataclass(frozen=True)
class _CachedSecret:
    """A secret. Times are on the monotonic clock.

    *is_doubtful* means that Key Vault could not be asked whether there is a newer version.
    """

    value: str = field(repr=False)
    read_at: float
    due_at: float
    is_doubtful: bool = False


class CachedSecrets:
    """Caches secrets, or tokens, for one worker.

    *read* returns one by its name. It gets the time (monotonic) at which it must end, and blocks: it runs in a thread.
    It raises CancelError. *service* names the service that it asks. *clock* returns monotonic seconds.
    *first_pause_s* is the pause before a flight's first repeat.
    """

    def __init__(
        self,
        read: Callable[[str, float], Fetched],
        service: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._read = read
        self._service = service
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._cached: dict[str, _CachedSecret] = {}
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._refusals: dict[str, tuple[float, CancelError]] = {}  # the time until which the error stands
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="secrets")

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
        return found, next(iter(errors), None) or credentials_unavailable(self._service)

    def fetch_ahead(self, name: str) -> None:
        """Start to fetch *name*, if it is not cached, without waiting for it."""
        if name not in self._flights and (name not in self._cached or self._clock() >= self._cached[name].due_at):
            self._start_flight(name)

    def read_again(self, names: Collection[str]) -> bool:
        """Note that *names* did not fit: no signature was theirs, or they were refused.

        True if the next `values` reads them again.
        """
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
                self._service,
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
            self._cached[name] = _CachedSecret(secret.value, now, now + secret.life_s)

    def _read_in_thread(self, name: str, ends_at: float) -> asyncio.Future[Fetched]:
        return asyncio.get_running_loop().run_in_executor(self._threads, self._read, name, ends_at)


def vault_secrets(
    settings: Settings, clock: Callable[[], float] = time.monotonic, *, first_pause_s: float = FIRST_PAUSE_S
) -> CachedSecrets:
    """Return the cache of the Key Vault secrets that callers name. The arguments are those of `CachedSecrets`."""

    def read(name: str, ends_at: float) -> Fetched:
        secret = read_secret(settings, name, f"CALLERS names as {name}", ends_at)
        return Fetched(secret.value, settings.secret_ttl_s)

    return CachedSecrets(read, "Key Vault", clock, first_pause_s=first_pause_s)


def storage_tokens(settings: Settings) -> CachedSecrets:
    """Return the cache of the tokens for the app's own storage, by their scope: STORAGE_SCOPE."""

    def read(scope: str, ends_at: float) -> Fetched:
        call = SdkCall(ends_at)
        try:
            with open_identity(settings, call) as identity:
                token = identity.get_token(scope)
        except Exception:  # noqa: BLE001  (a broken answer makes the SDK raise exceptions of any kind)
            if call.is_refused:
                raise identity_refused("for the app's own queues") from None
            raise credentials_unavailable("The managed identity", call.retry_after_s) from None
        return Fetched(token.token, RENEW_AT * (token.expires_on - time.time()))

    return CachedSecrets(read, "the managed identity", first_pause_s=FIRST_PAUSE_S)
