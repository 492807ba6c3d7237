"""Entra's sign-in page and its authorization codes: OAuth's code grant with PKCE.

Nobody types anything: a made-up user, or the user in `login_hint`, signs in at once and is sent back to the
app. An error is sent back as `error` and `error_description`. Only if the redirect_uri itself cannot be
trusted, the page shows the error as text.

Stricter than Entra: PKCE with S256 is required of apps that have a secret too, and `response_mode` must be
`query`. Guess: a refusal by Conditional Access is sent back as `access_denied`.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow (a code lives 10 minutes and
works once), reply-url (loopback addresses in http, the port ignored), RFC 7636 (read 2026-11-21).
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.responses import PlainTextResponse, RedirectResponse, Response

from infra.local.entra.aadsts import TokenRefused
from infra.local.entra.registrations import AppRegistration

CODE_LIFETIME_S = 600
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
OPENID_SCOPES = frozenset({"openid", "profile", "offline_access", "email"})


@dataclass
class AuthorizationCode:
    """The conditions under which a code was given, and whether it was used."""

    client_id: str
    redirect_uri: str
    challenge: str
    upn: str
    nonce: str | None
    resource: str
    scopes: frozenset[str]
    expires_at: float
    is_redeemed: bool = False


class SignInPage:
    """Signs users in and keeps the authorization codes. *resources* are the APIs that a user can get a token for."""

    def __init__(self, resources: Collection[str]) -> None:
        self._resources = resources
        self._codes: dict[str, AuthorizationCode] = {}

    def respond(self, app: AppRegistration | None, query: Mapping[str, str]) -> Response:
        """Answer a request to `/authorize` for *app*; None means that no such app is registered."""
        redirect_uri = query.get("redirect_uri", "")
        if app is None:
            return _error_page(TokenRefused(700016, "Application was not found in the directory."))
        if not _is_loopback(redirect_uri):
            message = "The redirect URI of the request does not match the ones configured."
            return _error_page(TokenRefused(50011, message))
        state = {"state": query["state"]} if "state" in query else {}
        try:
            answer = {"code": self._sign_in(app, redirect_uri, query)}
        except TokenRefused as refused:
            # The request is right; this user may not sign in.
            error = "access_denied" if refused.error == "invalid_grant" else refused.error
            answer = {"error": error, "error_description": refused.description}
        separator = "&" if urlsplit(redirect_uri).query else "?"
        return RedirectResponse(f"{redirect_uri}{separator}{urlencode(answer | state)}", 302)

    def _sign_in(self, app: AppRegistration, redirect_uri: str, query: Mapping[str, str]) -> str:
        if app.failure_mode == "disabled":
            raise TokenRefused(7000112, "Application is disabled.")
        if query.get("response_type") != "code":
            raise TokenRefused(700054, "response_type must be 'code'.")
        if query.get("response_mode", "query") != "query":
            raise TokenRefused(900144, "The local cloud accepts response_mode 'query' only.")
        if not query.get("code_challenge") or query.get("code_challenge_method") != "S256":
            raise TokenRefused(9002325, "Proof Key for Code Exchange with S256 is required.")
        resource, scopes = read_user_scope(query.get("scope", ""), self._resources)
        if app.failure_mode == "conditional_access":
            raise TokenRefused(53003, "Access has been blocked by Conditional Access policies.")
        code = f"1.{secrets.token_urlsafe(64)}"
        self._codes[code] = AuthorizationCode(
            client_id=query["client_id"],
            redirect_uri=redirect_uri,
            challenge=query["code_challenge"],
            upn=query.get("login_hint") or app.default_upn,
            nonce=query.get("nonce"),
            resource=resource,
            scopes=scopes,
            expires_at=time.time() + CODE_LIFETIME_S,
        )
        return code

    def redeem(self, form: Mapping[str, str]) -> AuthorizationCode:
        """Use up the code in *form* and return its conditions. Raises TokenRefused."""
        code = self._codes.get(form.get("code", ""))
        if code is None or code.client_id != form.get("client_id"):
            raise TokenRefused(9002313, "Invalid request. Request is malformed or invalid.")
        if code.is_redeemed:
            raise TokenRefused(54005, "OAuth2 Authorization code was already redeemed.")
        if code.expires_at < time.time():
            raise TokenRefused(70008, "The provided authorization code has expired.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise TokenRefused(500112, "The reply address does not match the one of the authorization request.")
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if not hmac.compare_digest(base64.urlsafe_b64encode(verifier).rstrip(b"="), code.challenge.encode()):
            raise TokenRefused(501481, "The code_verifier does not match the code_challenge.")
        code.is_redeemed = True
        return code


def read_user_scope(scope: str, resources: Collection[str]) -> tuple[str, frozenset[str]]:
    """Return which of *resources* the *scope* is for, and the OpenID scopes in it.

    The only permission that a resource offers a user is `user_impersonation`, also as `.default`.
    Raises TokenRefused.
    """
    names = frozenset(scope.split())
    parts = [name.rpartition("/") for name in names - OPENID_SCOPES]
    if not parts:
        raise TokenRefused(70011, "The scope names no resource.")
    requested_resources = sorted({resource for resource, _, _ in parts})
    if unknown := [resource for resource in requested_resources if resource not in resources]:
        raise TokenRefused(500011, f"The resource principal named {', '.join(unknown)} was not found.")
    if len(requested_resources) > 1:
        raise TokenRefused(28000, "The scope names several resources; a token is for one.")
    if not {permission for _, _, permission in parts} <= {".default", "user_impersonation"}:
        raise TokenRefused(70011, "The provided value for the input parameter 'scope' isn't valid.")
    return requested_resources[0], names & OPENID_SCOPES


def _is_loopback(redirect_uri: str) -> bool:
    try:
        parts = urlsplit(redirect_uri)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname in LOOPBACK and not parts.fragment


def _error_page(refused: TokenRefused) -> Response:
    return PlainTextResponse(refused.description, 400)
