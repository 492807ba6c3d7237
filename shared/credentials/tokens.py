"""Bearer tokens for the accounts, and the secrets behind them.

Per account a token is fetched once and kept; 100 callers that find none wait for one flight.
At 80 % of its life the first request that sees it sends for a new one while the old one serves,
so as long as a valid token is held Key Vault and Entra may be down.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from shared import audit
from shared.credentials.azure_sdk import unavailable
from shared.credentials.entra import Grant, request_token
from shared.credentials.key_vault import Secret, read_secrets, renew_secret
from shared.errors import BadGateway, CancelError
from shared.settings import Settings

FLIGHT_LIMIT_S = 8.0
RENEW_AT = 0.8  # of a token's life
RENEW_AGAIN_S = 10.0  # after a renewal that failed while the old token still serves
REJECTION_KEPT_S = 30.0
THREADS = 32  # a flight that hangs keeps its thread until the SDKs' own timeouts end it

log = logging.getLogger("cancel_order")


@dataclass(frozen=True)
class _Held:
    """A token in use; times on the monotonic clock, so that a clock set wrong does no harm."""

    bearer: str = field(repr=False)
    renew_at: float
    expires_at: float


class Credentials:
    """The tokens and secrets that a worker holds. *clock* gives seconds that only go forward."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._flights: dict[str, asyncio.Task[_Held]] = {}
        self._rejected: dict[str, tuple[float, CancelError]] = {}  # until when, and how
        self._incurable: dict[str, float] = {}  # until when fetching anew is no use
        self._secrets: dict[str, tuple[float, Secret]] = {}  # by name; until when, and what
        self._writing: set[asyncio.Future[None]] = set()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="credentials")

    def close(self) -> None:
        for flight in self._flights.values():
            flight.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def bearer(self, account: str, timeout_s: float) -> str:
        """Return a token for *account*, waiting at most *timeout_s*.

        Raises OurFault if a setting is to blame, BadGateway if Entra refused the app, Unavailable
        if Key Vault or Entra gave no answer in time.
        """
        now = self._clock()
        held = self._held.get(account)
        if held and now < min(held.renew_at, held.expires_at):
            return held.bearer
        flight = self._flights.get(account) or self._start_flight(account)
        if held and now < held.expires_at:
            return held.bearer
        await asyncio.wait({flight}, timeout=max(0.0, timeout_s))
        if not flight.done():
            raise unavailable("Key Vault and Entra ID")
        if error := flight.exception():
            raise error.with_traceback(None)  # one flight's error ends many calls
        return flight.result().bearer

    def secrets(self, account: str) -> dict[str, Secret]:
        """Return what is kept of the secrets that *account* names, by its members, however old."""
        names = self._settings.accounts[account].secrets
        return {member: kept[1] for member, name in names.items() if (kept := self._secrets.get(name))}

    def refuse(self, account: str, bearer: str, *, again: bool) -> None:
        """Forget *bearer*, which Partner Center refused, and the secrets behind it.

        *again* means that it was fetched anew for that reason: then fetching is no cure, and for
        half a minute no refusal makes us fetch, so that repeats do not hammer Key Vault and Entra.
        """
        if again:
            self._incurable[account] = self._clock() + REJECTION_KEPT_S
        held = self._held.get(account)
        if held and held.bearer == bearer and self._clock() >= self._incurable.get(account, 0.0):
            del self._held[account]
            self._flights.pop(account, None)  # one on its way may bring a token of the same old secret
            for name in self._settings.accounts[account].secrets.values():
                self._secrets.pop(name, None)

    def _start_flight(self, account: str) -> asyncio.Task[_Held]:
        flight = self._flights[account] = asyncio.create_task(self._fetch(account))
        flight.add_done_callback(lambda done: self._land(account, done))
        return flight

    def _land(self, account: str, flight: asyncio.Task[_Held]) -> None:
        error = None if flight.cancelled() else flight.exception()  # which tells asyncio that somebody looked
        if self._flights.get(account) is not flight:
            return
        del self._flights[account]
        held = self._held.get(account)
        if error and held:
            self._held[account] = replace(held, renew_at=self._clock() + RENEW_AGAIN_S)
        elif not error and not flight.cancelled():
            self._held[account] = flight.result()

    async def _fetch(self, account: str) -> _Held:
        until, rejection = self._rejected.get(account, (0.0, None))
        if rejection and self._clock() < until:
            raise rejection.with_traceback(None)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(FLIGHT_LIMIT_S):
                grant, secrets = await loop.run_in_executor(self._threads, self._grant, account)
        except TimeoutError:
            raise unavailable("Key Vault and Entra ID") from None
        except BadGateway as error:
            # Callers repeat; Entra would lock the app out before they tire.
            self._rejected[account] = (self._clock() + REJECTION_KEPT_S, error)
            raise
        if grant.refresh_token:
            # Beside the call, which must not wait for it, nor fail with it.
            exchanged = secrets["refreshToken"]
            writing = loop.run_in_executor(self._threads, self._write_back, account, exchanged, grant.refresh_token)
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)
        now = self._clock()
        return _Held(grant.bearer, now + RENEW_AT * grant.life_s, now + grant.life_s)

    def _grant(self, account: str) -> tuple[Grant, dict[str, Secret]]:
        """Fetch a token, and the secrets it was had with, by the account's members.

        Where Entra refuses secrets that were kept, or that Key Vault has replaced since they were read,
        it is tried once more with the newest.
        """
        kept = self._kept(account)
        secrets = kept or self._read(account)
        try:
            return request_token(self._settings, account, secrets), secrets
        except BadGateway:
            newest = self._read(account)
            if not kept and newest == secrets:
                raise
        return request_token(self._settings, account, newest), newest

    def _kept(self, account: str) -> dict[str, Secret] | None:
        """Return the secrets of *account* if all are kept and none is old."""
        names = self._settings.accounts[account].secrets
        now = self._clock()
        # One look at each: the loop's thread may drop them meanwhile.
        kept = {member: found for member, name in names.items() if (found := self._secrets.get(name))}
        if kept.keys() != names.keys() or any(now >= until for until, _ in kept.values()):
            return None
        return {member: secret for member, (_, secret) in kept.items()}

    def _read(self, account: str) -> dict[str, Secret]:
        until = self._clock() + self._settings.secret_ttl_s
        secrets = read_secrets(self._settings, account)
        self._secrets |= {one.name: (until, one) for one in secrets.values()}
        return secrets

    def _write_back(self, account: str, exchanged: Secret, refresh_token: str) -> None:
        """Store the refresh token that Entra returned, where the one in Key Vault is over a day old."""
        try:
            held = renew_secret(self._settings, exchanged, refresh_token)
        except Exception:  # noqa: BLE001  (the token is good; what went wrong here must not spoil the call)
            log.warning("the new refresh token of account %s could not be stored in Key Vault", account)
            audit.not_stored(account)
            return
        if held:
            self._secrets[exchanged.name] = (self._clock() + self._settings.secret_ttl_s, held)
