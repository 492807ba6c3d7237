"""Key Vault's stand-in: secrets with versions, behind the authentication challenge.

azure-keyvault-secrets first sends each vault a request without a token and reads from the 401
whom to ask for one; the resource named there must be a parent domain of the vault's. For a vault
at https://127.0.0.1:P the resource https://0.0.1:P is one, with no change in the product.

The identity may read every secret and write some: roles at the scope of single secrets.

Source: learn.microsoft.com/rest/api/keyvault/secrets (a secret past its `exp` is still given), .../
azure/key-vault/general/rest-error-codes for ForbiddenByRbac, and azure-keyvault-secrets 4.12 on the
wire (read and observed 2026-11-21).
"""

import time
import uuid
from collections.abc import Collection
from copy import deepcopy
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.values import Json

SETTABLE = ("enabled", "nbf", "exp")  # the other attributes are the vault's own


class KeyVault:
    """One vault at *url*, in memory. *authorization* is the authority and tenant that it names in its challenge.

    *writable* are the secrets that the identity may write.
    """

    def __init__(self, url: str, authorization: str, public_key: RSAPublicKey, writable: Collection[str]) -> None:
        self.resource = url.replace("//127.", "//")
        self.app = Starlette(
            routes=[
                Route("/secrets/{name}/{version:path}", self._get),
                Route("/secrets/{name}", self._put, methods=["PUT"]),
            ]
        )
        self._url = url
        self._authorization = authorization
        self._public_key = public_key
        self._writable = {name.lower() for name in writable}
        self._versions: dict[str, list[Json]] = {}

    def set(self, name: str, value: str, **more: Any) -> Json:  # noqa: ANN401  (JSON)
        """Store *value* as the newest version of the secret *name* and return its bundle."""
        now = int(time.time())
        attributes = {"enabled": True, "created": now, "updated": now} | more.pop("attributes", {})
        bundle = {
            "value": value,
            "id": f"{self._url}/secrets/{name}/{uuid.uuid4().hex}",
            "attributes": attributes | {"recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90},
            "tags": {},
        } | more
        self._versions.setdefault(name.lower(), []).append(bundle)
        return bundle

    def versions(self, name: str) -> list[Json]:
        """Return a copy of the bundles that the secret *name* has had, the newest last."""
        return deepcopy(self._versions.get(name.lower(), []))

    async def _get(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        versions = self._versions.get(request.path_params["name"].lower(), [])
        wanted = request.path_params["version"]
        found = [bundle for bundle in versions if not wanted or bundle["id"].endswith(f"/{wanted}")]
        if not found:
            return _error(404, "SecretNotFound", "A secret with this name or version was not found in this key vault.")
        if not found[-1]["attributes"]["enabled"]:
            return _error(403, "Forbidden", "Operation get is not allowed on a disabled secret.")
        return JSONResponse(found[-1])

    async def _put(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        name = request.path_params["name"]
        if name.lower() not in self._writable:
            message = "Caller is not authorized to perform action on resource."
            return _error(403, "Forbidden", message, inner="ForbiddenByRbac")
        body = await request.json()
        known = {member: body[member] for member in ("tags", "contentType") if body.get(member)}
        given = body.get("attributes") or {}
        known["attributes"] = {member: given[member] for member in SETTABLE if given.get(member) is not None}
        return JSONResponse(self.set(name, body["value"], **known))

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme == "Bearer":
                jwt.decode(token, self._public_key, algorithms=["RS256"], audience=self.resource)
                return None
        except jwt.InvalidTokenError:
            pass
        refusal = _error(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        refusal.headers["WWW-Authenticate"] = (
            f'Bearer authorization="{self._authorization}", resource="{self.resource}"'
        )
        return refusal


def _error(status: int, code: str, message: str, *, inner: str | None = None) -> Response:
    error: Json = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    return JSONResponse({"error": error}, status)
