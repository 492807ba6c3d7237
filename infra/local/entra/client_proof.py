"""Checks how an app proves itself to Entra: with a secret, a certificate, or another issuer's token.

An assertion whose `iss` is a URL comes from another issuer and is checked against the app's federated
credential. Any other assertion is the app's own, signed with its certificate.

Stricter than Entra in two points, so that a test shows when the product forgets them:
- `x5c` must be in the header. Entra needs it only for apps registered by subject name and issuer.
- The audience must be the token endpoint. Entra accepts a few other spellings.

Source: learn.microsoft.com/entra/identity-platform/certificate-credentials and
v2-oauth2-client-creds-grant-flow; the requests of msal 1.39 and azure-identity 1.27 (read and observed 2026-11-21).
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from infra.local.entra.aadsts import TokenRefused
from infra.local.entra.registrations import AppRegistration
from infra.local.values import Json

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLOCK_SKEW_S = 300
THUMBPRINTS: Mapping[str, hashes.HashAlgorithm] = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}  # noqa: S303


def check_proof(
    client_id: str, app: AppRegistration, form: Mapping[str, str], *, endpoint: str, public_key: RSAPublicKey
) -> None:
    """Raise TokenRefused unless *form* proves that *app* sent it.

    *endpoint* is the URL that received the form. *public_key* verifies the tokens of this national cloud.
    """
    if assertion := form.get("client_assertion"):
        if form.get("client_assertion_type") != JWT_BEARER:
            raise TokenRefused(900144, "The request body must contain 'client_assertion_type'.")
        header, claims = _read_unverified(assertion)
        if str(claims.get("iss", "")).startswith("https://"):
            _check_federated(app, assertion, claims, public_key)
        else:
            if not claims.get("iss") == claims.get("sub") == client_id:
                message = "Client assertion application identifier doesn't match 'client_id' parameter."
                raise TokenRefused(700021, message)
            _check_certificate(app, assertion, header, is_for_endpoint=claims.get("aud") == endpoint)
    elif "client_secret" in form:
        _check_secret(app, form["client_secret"])
    else:
        raise TokenRefused(7000218, "The request body must contain 'client_assertion' or 'client_secret'.")


def _check_secret(app: AppRegistration, client_secret: str) -> None:
    if not any(hmac.compare_digest(client_secret.encode(), secret.encode()) for secret in app.secrets):
        raise TokenRefused(7000215, "Invalid client secret provided.")
    if app.failure_mode == "secret_expired":
        raise TokenRefused(7000222, "The provided client secret keys are expired.")


def _read_unverified(assertion: str) -> tuple[Json, Json]:
    """Return header and claims of a JWT whose signature nobody has checked yet."""
    try:
        return jwt.get_unverified_header(assertion), jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise TokenRefused(50027, "JWT token is invalid or malformed.") from None


def _check_certificate(app: AppRegistration, assertion: str, header: Json, *, is_for_endpoint: bool) -> None:
    thumbprints = {name: str(header[name]).rstrip("=") for name in THUMBPRINTS if header.get(name)}
    if not thumbprints:
        raise TokenRefused(5002723, "Invalid JWT token. No certificate thumbprint nor keyId in token header.")
    registered = next(
        (
            certificate
            for certificate in app.certificates
            if all(_thumbprint(certificate, name) == thumbprint for name, thumbprint in thumbprints.items())
        ),
        None,
    )
    if registered is None or not _is_in_chain(registered, header.get("x5c")):
        raise _certificate_refused("The key was not found.")
    _verify(assertion, registered.public_key(), _certificate_refused("The provided signature value did not match."))
    if not is_for_endpoint:
        raise TokenRefused(700023, "Client assertion audience claim does not match Realm issuer.")
    if app.failure_mode == "secret_expired" or registered.not_valid_after_utc < datetime.now(UTC):
        raise _certificate_refused("The key used is expired.")


def _certificate_refused(reason: str) -> TokenRefused:
    message = f"The certificate that signed the client assertion is not accepted. [Reason - {reason}]"
    return TokenRefused(700027, message)


def _thumbprint(certificate: x509.Certificate, name: str) -> str:
    return base64.urlsafe_b64encode(certificate.fingerprint(THUMBPRINTS[name])).decode().rstrip("=")


def _is_in_chain(certificate: x509.Certificate, chain: object) -> bool:
    """Return whether *chain*, an `x5c` header, begins with *certificate*."""
    if not isinstance(chain, list) or not chain:
        return False
    try:
        leaf = x509.load_der_x509_certificate(base64.b64decode(chain[0]))
    except (ValueError, TypeError):
        return False
    return leaf == certificate


def _check_federated(app: AppRegistration, assertion: str, claims: Json, public_key: RSAPublicKey) -> None:
    """Check a managed identity's token. A token from another national cloud is refused.

    The claims must be equal to the letter: Entra distinguishes upper and lower case (reference-breaking-changes).
    """
    credential = app.federated_credential
    if credential is None:
        raise TokenRefused(70025, "The client has no configured federated identity credentials.")
    for number, name, expected in (
        (700211, "iss", credential.issuer),
        (700212, "aud", credential.audience),
        (700213, "sub", credential.subject),
    ):
        if claims.get(name) != expected:
            message = (
                f"No matching federated identity record found for presented assertion {name} '{claims.get(name)}'."
            )
            raise TokenRefused(number, message)
    _verify(assertion, public_key, TokenRefused(50013, "Assertion failed signature validation."))


def _verify(assertion: str, public_key: Any, false_signature: TokenRefused) -> None:  # noqa: ANN401  (any kind of key)
    """Raise *false_signature*, or another refusal if the JWT is wrong. Does not check the audience."""
    if not isinstance(public_key, RSAPublicKey):
        raise TokenRefused(50027, "Keys of this kind are not accepted.")
    try:
        jwt.decode(
            assertion,
            public_key,
            algorithms=["RS256", "PS256"],
            options={"verify_aud": False, "require": ["exp"]},
            leeway=CLOCK_SKEW_S,
        )
    except jwt.InvalidSignatureError:
        raise false_signature from None
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        raise TokenRefused(700024, "Client assertion is not within its valid time range.") from None
    except jwt.PyJWTError:
        raise TokenRefused(50027, "JWT token is invalid or malformed.") from None
