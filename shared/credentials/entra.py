"""Gets a token for Partner Center from Entra ID, with each kind of credential that an account can have.

Client secret, certificate, and a managed identity used as the app's federated credential are app-only. A
refresh token with a client secret is App+User (the Secure Application Model). Nobody could confirm whether
Partner Center accepts an app with a federated credential.

Source: azure-identity 1.27, msal 1.39; Entra's error codes
(learn.microsoft.com/entra/identity-platform/reference-error-codes) and "access tokens by a managed
identity as federated credential" for the exchange audiences (read 2026-11-21).
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.credentials.azure_sdk import SdkCall, identity_refused, open_identity, sdk_import, sdk_options
from shared.credentials.certificate import certificate_bytes
from shared.credentials.key_vault import Secret
from shared.credentials.session import open_session
from shared.errors import BadGateway, CancelError, OurFault, credentials_unavailable
from shared.settings import Account, Settings

if TYPE_CHECKING:
    import msal

_TOKEN = re.compile(r"[!-~]+")  # any text that a header can carry; Entra ID promises no form

# Refusals with a 4xx that Entra ID's list calls transient, retryable, throttled, unavailable, or timed out.
TRANSIENT_CODES = frozenset(
    {
        *("40010", "50033", "50087", "50088", "50166", "50196", "501621", "70012", "80002", "80005", "80014"),
        *("90006", "90012", "90024", "90033", "90055", "90090", "90091"),
    }
)
# The same, where a refusal has no code of Entra ID's own: OAuth's names for it.
_TRANSIENT_ERROR = re.compile(r'"error"\s*:\s*"(temporarily_unavailable|server_error)"')
_CODE = re.compile(r'AADSTS(\d{1,9})|"error_codes"\s*:\s*\[\s*"?(\d{1,9})')

_CONSENT = "The operator must consent again, with MFA (python -m infra.consent)."
_ADVICE = ". The operator must correct the app, or its secret in Key Vault."
_TENANT = "The operator must correct tenantId, cloud or authority of the account."
_NO_TENANT = f"the tenant in tenantId is not known in this cloud. {_TENANT}"
_OTHER_CLOUD = f"the tenant in tenantId is in another cloud. {_TENANT}"
_REASONS = {
    "7000215": "the client secret is wrong",
    "7000222": "the client secret has expired",
    "700016": "the app is not known in this tenant",
    "700011": "the app is not known in this tenant",
    "7000112": "the app is disabled",
    "70001": "the app is disabled",
    "90002": _NO_TENANT,
    "900023": _NO_TENANT,
    "50059": _NO_TENANT,
    "50128": _NO_TENANT,
    "90038": _OTHER_CLOUD,
    "900382": _OTHER_CLOUD,
    "900432": _OTHER_CLOUD,
    "500011": "Partner Center is not known in this tenant. The operator must correct tenantId, cloud or audience of the"
    " account",
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


def request_token(settings: Settings, name: str, secrets: Mapping[str, Secret], ends_at: float) -> Grant:
    """Return a token for account *name*. *secrets* are the account's, by the member that names them.

    Raises OurFault if a setting or a secret is unusable, BadGateway if Entra ID refused the app,
    Unavailable if it gave no usable answer until *ends_at* (monotonic). Blocks: call it in a thread.
    """
    account = settings.accounts[name]
    if "refreshToken" in secrets:
        return _by_refresh_token(name, account, secrets, SdkCall(ends_at))
    assertion = _assertion(settings, name, SdkCall(ends_at)) if account.managed_identity else None
    call = SdkCall(ends_at)
    # A new credential each time: MSAL returns its cached token until 5 minutes before the token expires.
    with _app_credential(name, account, secrets, assertion, call) as credential:
        try:
            token = credential.get_token(f"{account.endpoints.audience}/.default")
        except Exception as failure:  # noqa: BLE001  (a broken answer makes the SDK raise exceptions of any kind)
            error = _refusal(name, call, str(failure))
        else:
            return Grant(token.token, token.expires_on - time.time())
    raise error  # here, so that it does not hold the SDK's exception, and with it the answer


def _app_credential(
    name: str, account: Account, secrets: Mapping[str, Secret], assertion: str | None, call: SdkCall
) -> Any:  # noqa: ANN401  (three kinds)
    with sdk_import:
        from azure.identity import (  # noqa: PLC0415
            CertificateCredential,
            ClientAssertionCredential,
            ClientSecretCredential,
        )
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    options = sdk_options(call) | {"authority": account.endpoints.authority, "disable_instance_discovery": True}
    ids = (account.tenant_id, account.client_id)
    if assertion is not None:
        return ClientAssertionCredential(*ids, lambda: assertion, **options)
    if "certificate" in secrets:
        try:
            data = certificate_bytes(secrets["certificate"].value)
            return CertificateCredential(*ids, certificate_data=data, send_certificate_chain=True, **options)
        except (TypeError, ValueError, UnsupportedAlgorithm):  # TypeError for a key with a password
            raise OurFault(
                "misconfigured",
                f"The secret that account {name} names in certificate is not a certificate with its RSA key, in PEM or"
                " as PFX in base64 without a password; nothing was changed. The operator must store it as Key Vault"
                " exports it.",
            ) from None
    return ClientSecretCredential(*ids, secrets["clientSecret"].value, **options)


def _assertion(settings: Settings, name: str, call: SdkCall) -> str:
    """Return the managed identity's token that is used in place of a secret of account *name*."""
    audience = settings.accounts[name].endpoints.exchange_audience
    with open_identity(settings, call) as identity:
        try:
            return identity.get_token(f"{audience}/.default").token
        except Exception:  # noqa: BLE001, S110  (a broken answer makes the SDK raise exceptions of any kind)
            pass
    if call.is_refused:
        raise identity_refused(f"in place of the secret of account {name}")
    raise credentials_unavailable("The managed identity", call.retry_after_s)


@contextmanager
def open_app(account: Account, client_secret: str, call: SdkCall) -> Iterator["msal.ConfidentialClientApplication"]:
    """Open the app of *account* in msal, which alone can get tokens for a user."""
    with sdk_import:
        import msal  # noqa: PLC0415

    with open_session(call.ends_at) as session:
        session.hooks["response"].append(
            lambda response, *_, **__: call.note(
                response.status_code, response.text, response.headers.get("Retry-After"), response.url
            )
        )
        yield msal.ConfidentialClientApplication(
            account.client_id,
            client_credential=client_secret,
            authority=f"{account.endpoints.authority}/{account.tenant_id}",
            instance_discovery=False,
            http_client=session,
        )


def _by_refresh_token(name: str, account: Account, secrets: Mapping[str, Secret], call: SdkCall) -> Grant:
    failure: str
    try:
        with open_app(account, secrets["clientSecret"].value, call) as app:
            scopes = [f"{account.endpoints.audience}/.default"]
            answer: dict[str, Any] = app.acquire_token_by_refresh_token(secrets["refreshToken"].value, scopes)
        if "access_token" in answer:
            return Grant(answer["access_token"], float(answer.get("expires_in", 0)), answer.get("refresh_token"))
        failure = str(answer.get("error_description") or "")
    except Exception as error:  # noqa: BLE001  (a broken answer makes msal raise exceptions of any kind)
        failure = str(error)
    raise _refusal(name, call, failure)


def _refusal(name: str, call: SdkCall, message: str) -> CancelError:
    # msal's exceptions in discovery do not hold Entra ID's answer, and azure-identity's not its `error`.
    found = _CODE.search(message) or _CODE.search(call.text)
    code = (found[1] or found[2]) if found else ""
    if not call.is_refused or code in TRANSIENT_CODES or _TRANSIENT_ERROR.search(call.text):
        return credentials_unavailable("Entra ID", call.retry_after_s)
    # Discovery is before the credential, so that is not to blame.
    unknown = _NO_TENANT if call.is_of("/.well-known/") else "its credential was not accepted"
    reason = _REASONS.get(code, unknown)
    advice = "." if "The operator must" in reason else _ADVICE
    return BadGateway(
        "credentials_rejected",
        f"Entra ID refused the app of account {name}{code and f' (AADSTS{code})'}, so nothing was changed. The"
        f" reason: {reason.rstrip('.')}{advice}",
    )
