"""Caches a bearer token for each account, and the Key Vault secrets that it was fetched with.

A token is fetched once for each account: 100 calls that find none wait for one flight (fetch in progress).
At 80 % of the token's life the next call starts a flight for a new one and uses the old one meanwhile. So
calls go on while Key Vault and Entra ID are down, as long as a valid token is cached.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared import audit
from shared.credentials.certificate import certificate_end
from shared.credentials.entra import Grant, request_token
from shared.credentials.key_vault import REFRESH_TOKEN_LIFE, Secret, read_secrets, renew_secret
from shared.credentials.repeats import FIRST_PAUSE_S, fetch_with_repeats
from shared.errors import BadGateway, CancelError, OurFault, credentials_unavailable
from shared.settings import Settings

RENEW_AT = 0.8  # of a token's life
RENEW_AGAIN_S = 10.0  # after a renewal that failed while the old token is still valid
REJECTION_KEPT_S = 30.0
# Threads of each account. A flight keeps its thread until the flight's own limit; only an address or a host name
# that hangs can keep it longer.
THREADS_EACH = 4
SERVICES = "Key Vault and Entra ID"


@dataclass(frozen=True)
class _CachedToken:
    """A token in use. Times are on the monotonic clock, so that a wrong system clock does no harm."""

    bearer: str = field(repr=False)
    renew_at: float
    expires_at: float


class Credentials:
    """Caches the tokens and secrets of one worker.

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
        self._tokens: dict[str, _CachedToken] = {}
        self._flights: dict[str, asyncio.Task[_CachedToken]] = {}
        self._rejections: dict[str, tuple[float, CancelError]] = {}  # the time until which the error stands
        self._no_refetch_until: dict[str, float] = {}
        self._secrets: dict[str, tuple[float, Secret]] = {}  # by name, each with the time until which it is fresh
        self._writes: set[asyncio.Future[None]] = set()
        self._threads: dict[str, ThreadPoolExecutor] = {}

    def close(self) -> None:
        for flight in self._flights.values():
            flight.cancel()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def bearer(self, account: str, timeout_s: float) -> str:
        """Return a token for *account*, waiting at most *timeout_s*.

        Raises OurFault if a setting is to blame, BadGateway if Entra refused the app, Unavailable
        if Key Vault or Entra gave no answer in time.
        """
        now = self._clock()
        token = self._tokens.get(account)
        if token and now < min(token.renew_at, token.expires_at):
            return token.bearer
        flight = self._flights.get(account) or self._start_flight(account)
        if token and now < token.expires_at:
            return token.bearer
        await asyncio.wait({flight}, timeout=max(0.0, timeout_s))
        if not flight.done():
            raise credentials_unavailable(SERVICES)
        if error := flight.exception():
            raise error.with_traceback(None)  # many calls raise the error of one flight
        return flight.result().bearer

    def expires_at(self, account: str) -> datetime | None:
        """Return the earliest known end of what is cached of *account*'s credential, None if none is known."""
        names = self._settings.accounts[account].secrets.values()
        ends = [cached[1].expires_at for name in names if (cached := self._secrets.get(name))]
        return min((end for end in ends if end), default=None)

    def reject_token(self, account: str, bearer: str, *, was_renewed: bool) -> None:
        """Forget *bearer*, which Partner Center refused, and the secrets that it was fetched with.

        *was_renewed* means that the token was fetched after such a refusal. Another fetch would not help then,
        so refusals start none for 30 s: repeats must not overload Key Vault and Entra ID.
        """
        if was_renewed:
            self._no_refetch_until[account] = self._clock() + REJECTION_KEPT_S
        token = self._tokens.get(account)
        if token and token.bearer == bearer and self._clock() >= self._no_refetch_until.get(account, 0.0):
            del self._tokens[account]
            self._flights.pop(account, None)  # a flight in progress may use the same old secret
            for name in self._settings.accounts[account].secrets.values():
                self._secrets.pop(name, None)

    def _start_flight(self, account: str) -> asyncio.Task[_CachedToken]:
        flight = self._flights[account] = asyncio.create_task(self._fetch(account))
        flight.add_done_callback(lambda done: self._on_flight_done(account, done))
        return flight

    def _on_flight_done(self, account: str, flight: asyncio.Task[_CachedToken]) -> None:
        error = None if flight.cancelled() else flight.exception()  # asyncio warns if nobody retrieves it
        if self._flights.get(account) is not flight:
            return
        del self._flights[account]
        token = self._tokens.get(account)
        if error and token:
            self._tokens[account] = replace(token, renew_at=self._clock() + RENEW_AGAIN_S)
        elif not error and not flight.cancelled():
            self._tokens[account] = flight.result()

    async def _fetch(self, account: str) -> _CachedToken:
        until, rejection = self._rejections.get(account, (0.0, None))
        if rejection and self._clock() < until:
            raise rejection.with_traceback(None)
        try:
            grant, secrets = await fetch_with_repeats(
                lambda ends_at: self._in_thread(account, self._grant, account, ends_at),
                SERVICES,
                first_pause_s=self._first_pause_s,
            )
        except (BadGateway, OurFault) as error:
            # Remember the refusal: callers retry, and Entra ID locks out an app that fails too often.
            self._rejections[account] = (self._clock() + REJECTION_KEPT_S, error)
            raise
        if grant.refresh_token:
            # In the background: the call must not wait for the write, nor fail with it.
            write = self._in_thread(account, self._write_back, account, secrets["refreshToken"], grant.refresh_token)
            self._writes.add(write)
            write.add_done_callback(self._writes.discard)
        now = self._clock()
        return _CachedToken(grant.bearer, now + RENEW_AT * grant.life_s, now + grant.life_s)

    def _in_thread[*Args, R](self, account: str, function: Callable[[*Args], R], *args: *Args) -> asyncio.Future[R]:
        """Run *function* in one of the account's own threads, so that one account cannot take the threads of all."""
        if account not in self._threads:
            self._threads[account] = ThreadPoolExecutor(THREADS_EACH, thread_name_prefix=f"credentials-{account}")
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads[account], function, *args)

    def _grant(self, account: str, ends_at: float) -> tuple[Grant, dict[str, Secret]]:
        """Fetch a token, until *ends_at*. Return it with the secrets that were used, by the member that names them.

        If Entra ID refuses secrets that came from the cache, or that Key Vault has replaced since they were
        read, the newest secrets are tried once.
        """
        cached = self._fresh_secrets(account)
        secrets = cached or self._read_secrets(account, ends_at)
        try:
            return request_token(self._settings, account, secrets, ends_at), secrets
        except BadGateway:
            newest = self._read_secrets(account, ends_at)
            if not cached and newest == secrets:
                raise
        return request_token(self._settings, account, newest, ends_at), newest

    def _fresh_secrets(self, account: str) -> dict[str, Secret] | None:
        """Return the secrets of *account* if all are cached and fresh, else None."""
        names = self._settings.accounts[account].secrets
        now = self._clock()
        # Each secret is looked up once: the event loop's thread may remove it meanwhile.
        cached = {member: found for member, name in names.items() if (found := self._secrets.get(name))}
        if cached.keys() != names.keys() or any(now >= until for until, _ in cached.values()):
            return None
        return {member: secret for member, (_, secret) in cached.items()}

    def _read_secrets(self, account: str, ends_at: float) -> dict[str, Secret]:
        until = self._clock() + self._settings.secret_ttl_s
        found = read_secrets(self._settings, account, ends_at)
        secrets = {member: _with_own_end(member, secret) for member, secret in found.items()}
        self._secrets |= {secret.name: (until, secret) for secret in secrets.values()}
        return secrets

    def _write_back(self, account: str, exchanged: Secret, refresh_token: str) -> None:
        """Store the refresh token that Entra ID returned, if the one in Key Vault is over a day old."""
        try:
            stored = renew_secret(self._settings, exchanged, refresh_token)
        except Exception:  # noqa: BLE001  (the access token is good, so a failed write must not end the call)
            audit.not_stored(account)
            return
        if stored:
            stored = _with_own_end("refreshToken", stored)
            self._secrets[exchanged.name] = (self._clock() + self._settings.secret_ttl_s, stored)


def _with_own_end(member: str, secret: Secret) -> Secret:
    """Return *secret* with the end that it has by itself, if Key Vault knows no earlier one."""
    ends = [secret.expires_at]
    if member == "certificate":
        ends.append(certificate_end(secret.value))
    if member == "refreshToken" and secret.updated_at:
        with suppress(OverflowError):  # updated at the end of time
            ends.append(secret.updated_at + REFRESH_TOKEN_LIFE)
    return replace(secret, expires_at=min((end for end in ends if end), default=None))
