"""App Service Authentication ("Easy Auth") in front of the Functions host, as an ASGI app.

On where the environment has WEBSITE_AUTH_ENABLED=True, and set up as a function needs it that ticketing
systems call too: a request without a token passes (AllowAnonymous), one with a bearer token of the
function's own Entra app is told who it is by headers, one with any other token ends here with 401.
X-MS-CLIENT-PRINCIPAL and its like never come through from outside. Where it is off they do, as on Azure.

Source: learn.microsoft.com/azure/app-service/configure-authentication-user-identities (the headers and the
principal's JSON) and overview-authentication-authorization (read 2026-11-22). Guesses, for nobody could look
at the real one: that a token that is not good ends in a 401 without body although anonymous requests pass,
which claims are renamed and to what, that `roles` keeps its name, and what -NAME holds for an app.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.local.values import Json

OWN_HEADERS = (b"x-ms-client-principal", b"x-ms-token-")
CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
RENAMED = {
    "oid": "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "tid": "http://schemas.microsoft.com/identity/claims/tenantid",
    "scp": "http://schemas.microsoft.com/identity/claims/scope",
    "sub": f"{CLAIMS}/nameidentifier",
    "upn": f"{CLAIMS}/upn",
}


class Trust(BaseModel):
    """Whose tokens are good: signed with *public_key* (PEM), by *issuer*, for one of *audiences*."""

    public_key: str
    issuer: str
    audiences: list[str]


def authenticated(inner: ASGIApp, trust: Trust) -> ASGIApp:
    """Return *inner* behind App Service Authentication."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(OWN_HEADERS)]
        token = _bearer(dict(headers).get(b"authorization", b""))
        if token is not None:
            try:
                claims = _verified(token, trust)
            except jwt.PyJWTError:
                await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body", "body": b""})
                return
            headers += [(name.encode(), value.encode()) for name, value in _principal(claims).items()]
        await inner({**scope, "headers": headers}, receive, send)

    return app


def _bearer(authorization: bytes) -> str | None:
    """Return the token in the header *authorization*, None where it has none of this kind."""
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _verified(token: str, trust: Trust) -> Json:
    claims: Json = jwt.decode(
        token,
        trust.public_key,
        algorithms=["RS256"],
        audience=trust.audiences,
        issuer=trust.issuer,
        options={"require": ["exp", "iss", "aud"]},
    )
    return claims


def _principal(claims: Mapping[str, Any]) -> dict[str, str]:
    principal = {
        "auth_typ": "aad",
        "claims": [{"typ": RENAMED.get(name, name), "val": value} for name, value in _flat(claims)],
        "name_typ": f"{CLAIMS}/name",
        "role_typ": "roles",
    }
    return {
        "x-ms-client-principal": base64.b64encode(json.dumps(principal).encode()).decode(),
        "x-ms-client-principal-id": str(claims.get("oid", "")),
        "x-ms-client-principal-name": str(claims.get("upn") or claims.get("azp") or claims.get("appid", "")),
        "x-ms-client-principal-idp": "aad",
    }


def _flat(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each claim as text, one that is a list once for each of its values."""
    for name, value in claims.items():
        yield from ((name, str(one)) for one in (value if isinstance(value, list) else [value]))
