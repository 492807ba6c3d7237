"""App Service Authentication ("Easy Auth") in front of the Functions host, as an ASGI app.

It is on if the environment has WEBSITE_AUTH_ENABLED=True, and set up for a function that ticketing systems call
too: a request without a token passes (AllowAnonymous); a bearer token for the function's own Entra app is turned
into headers with the client's identity; any other bearer token is answered with 401. X-MS-CLIENT-PRINCIPAL and
the headers like it never come through from outside. If it is off they do, as on Azure.

Source: learn.microsoft.com/azure/app-service/configure-authentication-user-identities (the headers and the
principal's JSON) and overview-authentication-authorization (read 2026-11-22).

Guesses, because nobody could look at the real one: a bad token ends in a 401 without a body though anonymous
requests pass; which claims get another name, and which name; `roles` keeps its name; the content of
X-MS-CLIENT-PRINCIPAL-NAME for an app.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.local.values import Json

RESERVED_HEADERS = (b"x-ms-client-principal", b"x-ms-token-")
CLAIM_TYPES = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
CLAIM_TYPE_OF = {
    "oid": "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "tid": "http://schemas.microsoft.com/identity/claims/tenantid",
    "scp": "http://schemas.microsoft.com/identity/claims/scope",
    "sub": f"{CLAIM_TYPES}/nameidentifier",
    "upn": f"{CLAIM_TYPES}/upn",
}


class TrustedIssuer(BaseModel):
    """Accepts tokens that *public_key* (PEM) verifies, from *issuer*, for one of *audiences*."""

    public_key: str
    issuer: str
    audiences: list[str]


def with_authentication(app: ASGIApp, trusted: TrustedIssuer) -> ASGIApp:
    """Return *app* behind App Service Authentication."""

    async def authenticate(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(RESERVED_HEADERS)]
        token = _bearer_token(dict(headers).get(b"authorization", b""))
        if token is not None:
            try:
                claims = _verify(token, trusted)
            except jwt.PyJWTError:
                await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body", "body": b""})
                return
            headers += [(name.encode(), value.encode()) for name, value in _principal_headers(claims).items()]
        await app({**scope, "headers": headers}, receive, send)

    return authenticate


def _bearer_token(authorization: bytes) -> str | None:
    """Return the bearer token in the header *authorization*, or None if it has no such token."""
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _verify(token: str, trusted: TrustedIssuer) -> Json:
    """Return the claims of *token*. Raises PyJWTError."""
    claims: Json = jwt.decode(
        token,
        trusted.public_key,
        algorithms=["RS256"],
        audience=trusted.audiences,
        issuer=trusted.issuer,
        options={"require": ["exp", "iss", "aud"]},
    )
    return claims


def _principal_headers(claims: Mapping[str, Any]) -> dict[str, str]:
    principal = {
        "auth_typ": "aad",
        "claims": [{"typ": CLAIM_TYPE_OF.get(name, name), "val": value} for name, value in _flatten(claims)],
        "name_typ": f"{CLAIM_TYPES}/name",
        "role_typ": "roles",
    }
    return {
        "x-ms-client-principal": base64.b64encode(json.dumps(principal).encode()).decode(),
        "x-ms-client-principal-id": str(claims.get("oid", "")),
        "x-ms-client-principal-name": str(claims.get("upn") or claims.get("azp") or claims.get("appid", "")),
        "x-ms-client-principal-idp": "aad",
    }


def _flatten(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and value of each claim as text; a claim that is a list is yielded once for each of its values."""
    for name, value in claims.items():
        items = value if isinstance(value, list) else [value]
        yield from ((name, str(item)) for item in items)
