"""Gets a token for Partner Center from Entra ID, with each kind of credential that an account can have.

Client secret, certificate, and a managed identity used as the app's federated credential are app-only. A
refresh token with a client secret is App+User (the Secure Application Model). Nobody could confirm whether
Partner Center accepts an app with a federated credential.

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
    LastStatus,
    open_identity,
    sdk_options,
    without_gc,
)
from shared.credentials.key_vault import Secret
from shared.errors import BadGateway, CancelError, OurFault, credentials_unavailable
from shared.settings import Account, Settings
from shared.tls import open_session

if TYPE_CHECKING:
    import msal

_TOKEN = re.compile(r"[!-~]+")  # any text that a header can carry; Entra ID promises no form

TRANSIENT_CODES = frozenset({"90006", "90033"})  # "failed to complete", "temporarily unavailable"

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
    "50076": f"the user must sign in with MFA. {_CONSENT}",
    "50079": f"the user must sign in with MFA. {_CONSENT}",
    "65001": f"nobody consented to the app. {_CONSENT}",
}


@dataclass(frozen=True)
class Grant:
    """A token, its life in seconds, and a new refresh token if one was exchanged.

    Raises Unavailable if Entra ID's answer holds something that cannot be a token.
    """

    bearer: str = field(repr=False)
    life_s: float
    refresh_token: str | None = field(repr=False, default=None)

    def __post_init__(self) -> None:
        # An invalid token would fail in the header of a request, and look like a fault of Partner Center or of ours.
        if not (isinstance(self.bearer, str) and _TOKEN.fullmatch(self.bearer)):
            raise credentials_unavailable("Entra ID")


def request_token(settings: Settings, name: str, secrets: Mapping[str, Secret]) -> Grant:
    """Return a token for account *name*. *secrets* are the account's, by the member that names them.

    Raises OurFault if a setting or a secret is unusable, BadGateway if Entra ID refused the app,
    Unavailable if it gave no usable answer. Blocks: call it in a thread.
    """
    account = settings.accounts[name]
    last_status = LastStatus()
    if "refreshToken" in secrets:
        return _by_refresh_token(name, account, secrets, last_status)
    # A new credential each time: MSAL returns its cached token until 5 minutes before the token expires.
    with _app_credential(settings, name, secrets, last_status) as credential:
        try:
            token = credential.get_token(f"{account.endpoints.audience}/.default")
        except Exception as error:  # noqa: BLE001  (a broken answer makes the SDK raise exceptions of any kind)
            raise _refusal(name, last_status, str(error)) from None
    return Grant(token.token, token.expires_on - time.time())


def _app_credential(settings: Settings, name: str, secrets: Mapping[str, Secret], last_status: LastStatus) -> Any:  # noqa: ANN401  (three kinds)
    with without_gc():
        from azure.identity import (  # noqa: PLC0415
            CertificateCredential,
            ClientAssertionCredential,
            ClientSecretCredential,
        )

    account = settings.accounts[name]
    options = sdk_options(last_status) | {"authority": account.endpoints.authority, "disable_instance_discovery": True}
    ids = (account.tenant_id, account.client_id)
    if account.managed_identity:
        assertion = _assertion(settings, name)
        return ClientAssertionCredential(*ids, lambda: assertion, **options)
    if "certificate" in secrets:
        try:
            data = _certificate_bytes(secrets["certificate"].value)
            return CertificateCredential(*ids, certificate_data=data, send_certificate_chain=True, **options)
        except (TypeError, ValueError):  # TypeError for a key with a password
            raise OurFault(
                "misconfigured",
                f"The secret that account {name} names in certificate is not a certificate with its RSA key, in PEM or"
                " as PFX in base64 without a password; nothing was changed. The operator must store it as Key Vault"
                " exports it.",
            ) from None
    return ClientSecretCredential(*ids, secrets["clientSecret"].value, **options)


def _certificate_bytes(text: str) -> bytes:
    """Return the certificate in a Key Vault secret: PEM as it is, PFX decoded from base64."""
    if "-----BEGIN" in text:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("neither PEM nor base64") from error


def certificate_end(text: str) -> datetime | None:
    """Return when the certificate in a secret's *text* expires, None if the text is not a certificate."""
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
    """Return the managed identity's token that is used in place of a secret of account *name*."""
    audience = settings.accounts[name].endpoints.exchange_audience
    last_status = LastStatus()
    try:
        with open_identity(settings, last_status) as identity:
            return identity.get_token(f"{audience}/.default").token
    except Exception:  # noqa: BLE001  (a broken answer makes the SDK raise exceptions of any kind)
        if not last_status.is_refusal:
            raise credentials_unavailable("The managed identity") from None
    raise OurFault(
        "misconfigured",
        f"The function's managed identity, which account {name} uses in place of a secret, gives no token for"
        " Entra ID; nothing was changed. The operator must check that the identity exists and that AZURE_CLIENT_ID is"
        " its client id.",
    )


@contextmanager
def open_app(
    account: Account, client_secret: str, last_status: LastStatus
) -> Iterator["msal.ConfidentialClientApplication"]:
    """Open the app of *account* in msal, which alone can get tokens for a user."""
    with without_gc():
        import msal  # noqa: PLC0415

    with open_session() as session:
        session.request = partial(session.request, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))  # type: ignore[method-assign]
        session.hooks["response"].append(lambda response, *_, **__: last_status.note(response.status_code))
        yield msal.ConfidentialClientApplication(
            account.client_id,
            client_credential=client_secret,
            authority=f"{account.endpoints.authority}/{account.tenant_id}",
            instance_discovery=False,
            http_client=session,
        )


def _by_refresh_token(name: str, account: Account, secrets: Mapping[str, Secret], last_status: LastStatus) -> Grant:
    last_status.note(None)
    try:
        with open_app(account, secrets["clientSecret"].value, last_status) as app:
            scopes = [f"{account.endpoints.audience}/.default"]
            answer: dict[str, Any] = app.acquire_token_by_refresh_token(secrets["refreshToken"].value, scopes)
    except Exception as error:  # noqa: BLE001  (a broken answer makes msal raise exceptions of any kind)
        raise _refusal(name, last_status, str(error)) from None
    if "access_token" not in answer:
        raise _refusal(name, last_status, str(answer.get("error_description") or ""))
    return Grant(answer["access_token"], float(answer.get("expires_in", 0)), answer.get("refresh_token"))


def _refusal(name: str, last_status: LastStatus, message: str) -> CancelError:
    number = found[1] if (found := re.search(r"AADSTS(\d+)", message)) else ""
    if not last_status.is_refusal or number in TRANSIENT_CODES:
        return credentials_unavailable("Entra ID")
    reason = _REASONS.get(number, "its credential was not accepted")
    advice = "" if _CONSENT in reason else ". The operator must correct the app, or its secret in Key Vault."
    return BadGateway(
        "credentials_rejected",
        f"Entra ID refused the app of account {name}{number and f' (AADSTS{number})'}, so nothing was changed. The"
        f" reason: {reason}{advice}",
    )
