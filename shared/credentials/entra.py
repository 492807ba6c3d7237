"""Entra ID: a token for Partner Center, by each kind of credential that an account can have.

Client secret and certificate are app-only, so is the managed identity as the app's federated
credential; the refresh token with the client secret is App+User (the Secure Application Model).
Whether Partner Center takes an app with a federated credential nobody could confirm.

Source: azure-identity 1.27, msal 1.39; Entra's error codes
(learn.microsoft.com/entra/identity-platform/reference-error-codes) and "access tokens by a managed
identity as federated credential" for the exchange audiences (read 2026-11-21).
"""

import base64
import binascii
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.credentials.azure_sdk import (
    CONNECT_TIMEOUT_S,
    READ_TIMEOUT_S,
    Seen,
    importing,
    open_identity,
    sdk_options,
    unavailable,
)
from shared.credentials.key_vault import Secret
from shared.errors import BadGateway, CancelError, OurFault
from shared.settings import Account, Settings
from shared.tls import open_session

if TYPE_CHECKING:
    import msal

_TOKEN = re.compile(r"[!-~]+")  # what a header can carry; RFC 6750 allows less, Entra promises no form

TRANSIENT_CODES = frozenset({"90006", "90033"})  # failed to complete, temporarily unavailable

_CONSENT = "The operator must consent again, with MFA (python -m infra.consent)."
_REASONS = {
    "7000215": "the client secret is wrong",
    "7000222": "the client secret has expired",
    "700016": "the app is not known in this tenant",
    "7000112": "the app is disabled",
    "90002": "the tenant is not known",
    "53003": "Conditional Access blocked the sign-in",
    "700027": "the certificate is not registered for the app, or has expired",
    "700023": "the assertion's audience is wrong",
    "700024": "the assertion is not within its valid time; this machine's clock may be wrong",
    "50013": "the assertion is not valid",
    "700021": "the client assertion does not match the app",
    "70021": "the managed identity is not a federated credential of the app",
    "700211": "the managed identity's issuer is not a federated credential of the app",
    "700212": "the federated credential has another audience",
    "70025": "the app has no federated credential",
    "700213": "the managed identity is not a federated credential of the app",
    "9002313": f"the refresh token is malformed. {_CONSENT}",
    "70000": f"the refresh token is not valid. {_CONSENT}",
    "70008": f"the refresh token has expired. {_CONSENT}",
    "700082": f"the refresh token has expired, unused for 90 days. {_CONSENT}",
    "50173": f"the refresh token was revoked. {_CONSENT}",
    "50076": f"it wants the user to sign in with MFA. {_CONSENT}",
    "50079": f"it wants the user to sign in with MFA. {_CONSENT}",
    "65001": f"nobody consented to the app. {_CONSENT}",
}


@dataclass(frozen=True)
class Grant:
    """A token, the seconds that it lives, and a new refresh token where one was exchanged.

    Raises Unavailable if Entra called something a token that cannot be one.
    """

    bearer: str = field(repr=False)
    life_s: float
    refresh_token: str | None = field(repr=False, default=None)

    def __post_init__(self) -> None:
        # As a header it would fail on its way to Partner Center, and look like a fault there, or ours.
        if not (isinstance(self.bearer, str) and _TOKEN.fullmatch(self.bearer)):
            raise unavailable("Entra ID")


def request_token(settings: Settings, name: str, secrets: Mapping[str, Secret]) -> Grant:
    """Return a token for account *name*; *secrets* are those that its settings name, by member.

    Raises OurFault if a setting or a secret is unusable, BadGateway if Entra refused the app,
    Unavailable if it gave no usable answer. Blocks: call it in a thread.
    """
    account = settings.accounts[name]
    seen = Seen()
    if "refreshToken" in secrets:
        return _by_refresh_token(name, account, secrets, seen)
    where = account.endpoints
    # A new credential each time: MSAL hands out its cached token until 5 minutes before its end.
    with _app_credential(settings, name, secrets, seen) as credential:
        try:
            token = credential.get_token(f"{where.audience}/.default")
        except Exception as error:  # noqa: BLE001  (the SDK lets through whatever a broken answer made it raise)
            raise _refusal(name, seen, str(error)) from None
    return Grant(token.token, token.expires_on - time.time())


def _app_credential(settings: Settings, name: str, secrets: Mapping[str, Secret], seen: Seen) -> Any:  # noqa: ANN401  (three kinds)
    with importing():
        from azure.identity import (  # noqa: PLC0415
            CertificateCredential,
            ClientAssertionCredential,
            ClientSecretCredential,
        )

    account = settings.accounts[name]
    options = sdk_options(seen) | {"authority": account.endpoints.authority, "disable_instance_discovery": True}
    ids = (account.tenant_id, account.client_id)
    if account.managed_identity:
        assertion = _assertion(settings, name)
        return ClientAssertionCredential(*ids, lambda: assertion, **options)
    if "certificate" in secrets:
        try:
            data = _certificate_bytes(secrets["certificate"].value)
            return CertificateCredential(*ids, certificate_data=data, send_certificate_chain=True, **options)
        except (TypeError, ValueError):  # the former for a key with a password
            raise OurFault(
                "misconfigured",
                f"The secret that account {name} names in certificate is no certificate with its RSA key, in PEM or"
                " as PFX in base64 without a password. The operator must store it as Key Vault exports it.",
            ) from None
    return ClientSecretCredential(*ids, secrets["clientSecret"].value, **options)


def _certificate_bytes(text: str) -> bytes:
    """Return what Key Vault gives as a certificate's secret: PEM as it is, PFX out of its base64."""
    if "-----BEGIN" in text:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("neither PEM nor base64") from error


def certificate_end(text: str) -> datetime | None:
    """Return when the certificate in a secret's *text* ends, None if it is none."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import pkcs12  # noqa: PLC0415

    try:
        data = _certificate_bytes(text)
        pem = x509.load_pem_x509_certificate(data) if b"-----BEGIN" in data else None
        found = pem or pkcs12.load_key_and_certificates(data, None)[1]
    except ValueError:
        return None
    return found.not_valid_after_utc if found else None


def _assertion(settings: Settings, name: str) -> str:
    """Return the identity's token that stands in for the secret of account *name*."""
    audience = settings.accounts[name].endpoints.exchange_audience
    seen = Seen()
    try:
        with open_identity(settings, seen) as identity:
            return identity.get_token(f"{audience}/.default").token
    except Exception:  # noqa: BLE001  (the SDK lets through whatever a broken answer made it raise)
        if not seen.refused:
            raise unavailable("The managed identity") from None
    raise OurFault(
        "misconfigured",
        f"The function's managed identity, which stands in for the secret of account {name}, gives no token for"
        " Entra ID. The operator must check that it exists and that AZURE_CLIENT_ID is its client id.",
    )


@contextmanager
def open_app(account: Account, client_secret: str, seen: Seen) -> Iterator["msal.ConfidentialClientApplication"]:
    """Open the app of *account* for what only msal does: tokens that stand for a user."""
    with importing():
        import msal  # noqa: PLC0415

    with open_session() as session:
        session.request = partial(session.request, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))  # type: ignore[method-assign]
        session.hooks["response"].append(lambda response, *_, **__: seen.note(response.status_code))
        yield msal.ConfidentialClientApplication(
            account.client_id,
            client_credential=client_secret,
            authority=f"{account.endpoints.authority}/{account.tenant_id}",
            instance_discovery=False,
            http_client=session,
        )


def _by_refresh_token(name: str, account: Account, secrets: Mapping[str, Secret], seen: Seen) -> Grant:
    seen.note(None)
    try:
        with open_app(account, secrets["clientSecret"].value, seen) as app:
            scopes = [f"{account.endpoints.audience}/.default"]
            answer: dict[str, Any] = app.acquire_token_by_refresh_token(secrets["refreshToken"].value, scopes)
    except Exception as error:  # noqa: BLE001  (msal lets through whatever a broken answer made it raise)
        raise _refusal(name, seen, str(error)) from None
    if "access_token" not in answer:
        raise _refusal(name, seen, str(answer.get("error_description") or ""))
    return Grant(answer["access_token"], float(answer.get("expires_in", 0)), answer.get("refresh_token"))


def _refusal(name: str, seen: Seen, said: str) -> CancelError:
    number = found[1] if (found := re.search(r"AADSTS(\d+)", said)) else ""
    if not seen.refused or number in TRANSIENT_CODES:
        return unavailable("Entra ID")
    reason = _REASONS.get(number, "its credential was not accepted")
    cure = (
        "" if _CONSENT in reason else ". The operator must mend the app registration, or what Key Vault holds for it."
    )
    return BadGateway(
        "credentials_rejected",
        f"Entra ID refused the app of account {name}{number and f' (AADSTS{number})'}: {reason}{cure}",
    )
