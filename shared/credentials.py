"""Bearer tokens for the accounts: the secret from Key Vault, the token from Entra ID.

Per account a token is fetched once and kept; 100 callers that find none wait for one flight.
At 80 % of its life the first request that sees it sends for a new one while the old one serves,
so as long as a valid token is held Key Vault and Entra may be down.

The Azure SDKs are synchronous and run in threads: they are called twice an hour, and their
asynchronous form needs a second HTTP stack. They are imported where they are first needed, since
they would be most of a cold start.

Source: azure-identity 1.27, azure-keyvault-secrets 4.12, msal 1.39; Entra's error codes
(learn.microsoft.com/entra/identity-platform/reference-error-codes, read 2026-11-21).
"""

import asyncio
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from shared.errors import BadGateway, CancelError, OurFault, Unavailable
from shared.settings import Account, Settings

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.keyvault.secrets import SecretClient

FLIGHT_LIMIT_S = 8.0
RENEW_AT = 0.8  # of a token's life
RENEW_AGAIN_S = 10.0  # after a renewal that failed while the old token still serves
REJECTION_KEPT_S = 30.0
THREADS = 32  # a flight that hangs keeps its thread until the SDKs' own timeouts end it

# The SDKs' defaults are 300 s and ten retries; ours is a caller who waits.
SDK_OPTIONS: dict[str, Any] = {"connection_timeout": 2, "read_timeout": 5, "retry_total": 0}

TRANSIENT_ENTRA_CODES = frozenset({"90006", "90033"})  # failed to complete, temporarily unavailable
_REASONS = {
    "7000215": "the client secret is wrong",
    "7000222": "the client secret has expired",
    "700016": "the app is not known in this tenant",
    "7000112": "the app is disabled",
    "90002": "the tenant is not known",
    "53003": "Conditional Access blocked the app",
}


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
        self._secrets: dict[str, tuple[float, SecretStr]] = {}  # until when, and the value
        self._vault = _Vault(settings)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="credentials")

    def close(self) -> None:
        for flight in self._flights.values():
            flight.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._vault.close()

    async def bearer(self, account: str, timeout_s: float) -> str:
        """Return a token for *account*, waiting at most *timeout_s*.

        Raises OurFault if a setting is to blame, BadGateway if Entra refused the app, Unavailable
        if Key Vault or Entra gave no answer in time.
        """
        now = self._clock()
        held = self._held.get(account)
        if held and now < held.renew_at:
            return held.bearer
        flight = self._flights.get(account) or self._start_flight(account)
        if held and now < held.expires_at:
            return held.bearer
        await asyncio.wait({flight}, timeout=max(0.0, timeout_s))
        if not flight.done():
            raise _unavailable("Key Vault and Entra ID")
        if error := flight.exception():
            raise error.with_traceback(None)  # one flight's error ends many calls
        return flight.result().bearer

    def refuse(self, account: str, bearer: str) -> None:
        """Forget *bearer*, which Partner Center refused, and the secret behind it."""
        held = self._held.get(account)
        if held and held.bearer == bearer:
            del self._held[account]
            self._secrets.pop(self._settings.accounts[account].client_secret, None)

    def _start_flight(self, account: str) -> asyncio.Task[_Held]:
        flight = self._flights[account] = asyncio.create_task(self._fetch(account))
        flight.add_done_callback(lambda done: self._land(account, done))
        return flight

    def _land(self, account: str, flight: asyncio.Task[_Held]) -> None:
        del self._flights[account]
        held = self._held.get(account)
        if flight.cancelled():
            return
        if flight.exception() is None:
            self._held[account] = flight.result()
        elif held:
            self._held[account] = replace(held, renew_at=self._clock() + RENEW_AGAIN_S)

    async def _fetch(self, account: str) -> _Held:
        until, rejection = self._rejected.get(account, (0.0, None))
        if rejection and self._clock() < until:
            raise rejection.with_traceback(None)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(FLIGHT_LIMIT_S):
                return await loop.run_in_executor(self._threads, self._token, account)
        except TimeoutError:
            raise _unavailable("Key Vault and Entra ID") from None
        except BadGateway as error:
            # Callers repeat; Entra would lock the app out before they tire.
            self._rejected[account] = (self._clock() + REJECTION_KEPT_S, error)
            raise

    def _token(self, name: str) -> _Held:
        """Fetch a token; with a secret read anew if Entra refuses the one that was kept."""
        account = self._settings.accounts[name]
        until, kept = self._secrets.get(account.client_secret, (0.0, None))
        if kept and self._clock() < until:
            try:
                return self._request_token(name, account, kept)
            except BadGateway:
                pass  # rotated since it was read, perhaps
        secret = SecretStr(self._vault.read(name, account.client_secret))
        self._secrets[account.client_secret] = (self._clock() + self._settings.secret_ttl_s, secret)
        return self._request_token(name, account, secret)

    def _request_token(self, name: str, account: Account, secret: SecretStr) -> _Held:
        bearer, life_s = _request_token(name, account, secret.get_secret_value())
        now = self._clock()
        return _Held(bearer, now + RENEW_AT * life_s, now + life_s)


class _Vault:
    """Key Vault, opened with the function's managed identity, or a developer's own sign-in."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opening = threading.Lock()
        self._client: SecretClient | None = None
        self._seen = _Seen()

    def read(self, account: str, secret_name: str) -> str:
        """Return the newest version of a secret, or raise OurFault or Unavailable."""
        try:
            value = self._open().get_secret(secret_name).value
        except Exception:  # noqa: BLE001  (the SDK lets through whatever a broken answer made it raise)
            self.close()  # MSAL remembers an identity endpoint's failure for a minute; a new client does not
            if not self._seen.refused:
                raise _unavailable("Key Vault or the managed identity") from None
            value = None
        if value:
            return value
        raise OurFault(
            "misconfigured",
            f"The secret that account {account} names in clientSecret could not be read from Key Vault. The operator"
            " must check that it exists, is enabled and not empty, and that the function's identity has the role"
            " Key Vault Secrets User.",
        )

    def close(self) -> None:
        with self._opening:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _open(self) -> "SecretClient":
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415

        options = SDK_OPTIONS | self._seen.hooks
        with self._opening:
            if self._client is None:
                identity = (
                    ManagedIdentityCredential(client_id=self._settings.azure_client_id, **options)
                    if self._settings.identity_endpoint
                    else DefaultAzureCredential(**options)
                )
                self._client = SecretClient(self._settings.key_vault_url, identity, **options)
            return self._client


class _Seen:
    """The status of the last answer that an SDK call got in this thread, None if there was none.

    The SDKs wrap what went wrong in one exception for everything; what a caller must be told
    (the operator must act, or: try again) depends on the status alone.
    """

    def __init__(self) -> None:
        self._thread = threading.local()
        self.hooks: dict[str, Any] = {"raw_request_hook": self._sent, "raw_response_hook": self._answered}

    @property
    def refused(self) -> bool:
        """True if the last request was answered with a refusal that repeating does not cure."""
        return getattr(self._thread, "status", None) in {400, 401, 403, 404}

    def _sent(self, _request: object) -> None:
        self._thread.status = None

    def _answered(self, response: "PipelineResponse[Any, Any]") -> None:
        self._thread.status = response.http_response.status_code


def _request_token(name: str, account: Account, secret: str) -> tuple[str, float]:
    """Return a token and the seconds it lives, or raise BadGateway or Unavailable."""
    from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415
    from azure.identity import ClientSecretCredential  # noqa: PLC0415

    where = account.endpoints
    seen = _Seen()
    options = SDK_OPTIONS | seen.hooks | {"authority": where.authority, "disable_instance_discovery": True}
    try:
        # A new credential each time: MSAL hands out its cached token until 5 minutes before its end.
        with ClientSecretCredential(account.tenant_id, account.client_id, secret, **options) as credential:
            token = credential.get_token(f"{where.audience}/.default")
    except ClientAuthenticationError as error:
        number = found[1] if (found := re.search(r"AADSTS(\d+)", error.message)) else ""
        if not seen.refused or number in TRANSIENT_ENTRA_CODES:
            raise _unavailable("Entra ID") from None
        reason = _REASONS.get(number, "its credential was not accepted") + (number and f" (AADSTS{number})")
        raise BadGateway(
            "credentials_rejected",
            f"Entra ID refused the app of account {name}: {reason}. The operator must mend the app registration, or"
            " store a valid secret in Key Vault.",
        ) from None
    return token.token, token.expires_on - time.time()


def _unavailable(who: str) -> Unavailable:
    return Unavailable(
        "credentials_unavailable", f"{who} gave no usable answer in time. Nothing was changed; ask again."
    )
