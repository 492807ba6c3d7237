"""Entra ID's stand-in: OpenID discovery and the v2 token endpoint, for app-only tokens by client secret.

Tokens are real: JWTs signed with RS256, for the audience that was asked for. Error texts carry the
AADSTS numbers of the real service, since those are what anyone acts on.

Source: learn.microsoft.com/entra/identity-platform (v2-oauth2-client-creds-grant-flow,
reference-error-codes), and what msal 1.39 asks for on the wire (read and observed 2026-11-21).
"""

import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN_LIFETIME_S = 3599


class Signer:
    """The key that signs every token of the local cloud, Entra's and the managed identity's."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public_key = self._key.public_key()

    def token(self, *, audience: str, tenant_id: str, app_id: str, lifetime_s: float = TOKEN_LIFETIME_S) -> str:
        now = time.time()
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant_id}/",
            "tid": tenant_id,
            "appid": app_id,
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + lifetime_s),
            "uti": uuid.uuid4().hex,  # makes each token another one, as in reality
        }
        return jwt.encode(claims, self._key, algorithm="RS256")


@dataclass
class Client:
    """An app registration: what Entra accepts from it and gives to it."""

    tenant_id: str
    secret: str = field(repr=False)
    token_lifetime_s: float = TOKEN_LIFETIME_S


class Entra:
    """Tenants and app registrations, in memory. *audiences* are the resources that tokens can be had for."""

    def __init__(self, signer: Signer, clients: dict[str, Client], audiences: Collection[str]) -> None:
        self.clients = clients
        self.app = Starlette(
            routes=[
                Route("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery),
                Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
            ]
        )
        self._signer = signer
        self._audiences = audiences

    def _knows(self, tenant: str) -> bool:
        return tenant in {client.tenant_id for client in self.clients.values()}

    async def _discovery(self, request: Request) -> Response:
        tenant = request.path_params["tenant"]
        if not self._knows(tenant):
            return _error(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
        root = f"https://{request.headers['host']}/{tenant}"
        return JSONResponse(
            {
                "issuer": f"{root}/v2.0",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "jwks_uri": f"{root}/discovery/v2.0/keys",
            }
        )

    async def _token(self, request: Request) -> Response:
        tenant = request.path_params["tenant"]
        form = dict(parse_qsl((await request.body()).decode()))
        client = self.clients.get(form.get("client_id", ""))
        audience, _, suffix = form.get("scope", "").rpartition("/")
        refusals = (
            (not self._knows(tenant), 400, "invalid_request", 90002, "Tenant not found."),
            (
                client is None or client.tenant_id != tenant,
                400,
                "unauthorized_client",
                700016,
                "Application was not found in the directory.",
            ),
            (
                form.get("grant_type") != "client_credentials",
                400,
                "unsupported_grant_type",
                70003,
                "Unsupported grant.",
            ),
            (client and form.get("client_secret") != client.secret, 401, "invalid_client", 7000215, "Invalid secret."),
            (suffix != ".default", 400, "invalid_scope", 1002012, "The scope must end in /.default."),
            (audience not in self._audiences, 400, "invalid_resource", 500011, "The resource was not found."),
        )
        for refused, status, error, number, words in refusals:
            if refused:
                return _error(status, error, number, words)
        assert client is not None  # noqa: S101  (700016 above)
        lifetime_s = client.token_lifetime_s
        token = self._signer.token(audience=audience, tenant_id=tenant, app_id=form["client_id"], lifetime_s=lifetime_s)
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": int(lifetime_s),
                "ext_expires_in": int(lifetime_s),
                "access_token": token,
            },
            headers={"Cache-Control": "no-store"},
        )


def _error(status: int, error: str, number: int, words: str) -> Response:
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    now = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    said = f"AADSTS{number}: {words} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    body: dict[str, Any] = {
        "error": error,
        "error_description": said,
        "error_codes": [number],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": correlation,
    }
    return JSONResponse(body, status)
