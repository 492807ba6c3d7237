"""Key Vault's stand-in: secrets with versions, behind the authentication challenge.

azure-keyvault-secrets sends its first request to a vault without a token. The 401 names the authority and the
resource to get a token for; the SDK checks that the resource is a parent domain of the vault. For a vault at
https://127.0.0.1:P the resource https://0.0.1:P passes this check, with no change in the product.

Stood in for: reading a secret, in its newest or a given version, and writing one. The identity may read every
secret and write some: roles at the scope of single secrets.

Documented behaviour: the bundle's members, the challenge, 403 ForbiddenByRbac, a secret past its `exp` is still
given. No guesses are known. Left out: listing, deleting and recovering secrets, keys and
certificates as objects of their own, network rules, throttling.

Source: learn.microsoft.com/rest/api/keyvault/secrets (a secret past its `exp` is still given),
learn.microsoft.com/azure/key-vault/general/rest-error-codes for ForbiddenByRbac, and the requests of
azure-keyvault-secrets 4.12 (read and observed 2026-11-21).
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

SETTABLE_ATTRIBUTES = ("enabled", "nbf", "exp")  # the vault sets the others itself


class KeyVault:
    """One vault at *url*, in memory.

    *authorization* is the URL of authority and tenant that the challenge names. *public_key* verifies tokens.
    *writable* are the names of the secrets that the identity may write.
    """

    def __init__(self, url: str, authorization: str, public_key: RSAPublicKey, writable: Collection[str]) -> None:
        self.resource = url.replace("//127.", "//")
        self.app = Starlette(
            routes=[
                Route("/secrets/{name}/{version:path}", self._get_secret),
                Route("/secrets/{name}", self._put_secret, methods=["PUT"]),
            ]
        )
        self._url = url
        self._authorization = authorization
        self._public_key = public_key
        self._writable = {name.lower() for name in writable}
        self._versions: dict[str, list[Json]] = {}

    def set_secret(self, name: str, value: str, **members: Any) -> Json:  # noqa: ANN401  (JSON)
        """Store *value* as the newest version of the secret *name* and return its bundle.

        *members* are contentType, tags and attributes of the bundle.
        """
        now = int(time.time())
        attributes = {"enabled": True, "created": now, "updated": now} | members.pop("attributes", {})
        bundle = {
            "value": value,
            "id": f"{self._url}/secrets/{name}/{uuid.uuid4().hex}",
            "attributes": attributes | {"recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90},
            "tags": {},
        } | members
        self._versions.setdefault(name.lower(), []).append(bundle)
        return bundle

    def versions(self, name: str) -> list[Json]:
        """Return a copy of every bundle that the secret *name* has had, the newest last."""
        return deepcopy(self._versions.get(name.lower(), []))

    async def _get_secret(self, request: Request) -> Response:
        if refusal := self._refuse_without_token(request):
            return refusal
        versions = self._versions.get(request.path_params["name"].lower(), [])
        version = request.path_params["version"]
        matching = [bundle for bundle in versions if not version or bundle["id"].endswith(f"/{version}")]
        if not matching:
            return _error(404, "SecretNotFound", "A secret with this name or version was not found in this key vault.")
        if not matching[-1]["attributes"]["enabled"]:
            return _error(403, "Forbidden", "Operation get is not allowed on a disabled secret.")
        return JSONResponse(matching[-1])

    async def _put_secret(self, request: Request) -> Response:
        if refusal := self._refuse_without_token(request):
            return refusal
        name = request.path_params["name"]
        if name.lower() not in self._writable:
            message = "Caller is not authorized to perform action on resource."
            return _error(403, "Forbidden", message, inner_code="ForbiddenByRbac")
        body = await request.json()
        members = {member: body[member] for member in ("tags", "contentType") if body.get(member)}
        attributes = body.get("attributes") or {}
        members["attributes"] = {
            attribute: attributes[attribute]
            for attribute in SETTABLE_ATTRIBUTES
            if attributes.get(attribute) is not None
        }
        return JSONResponse(self.set_secret(name, body["value"], **members))

    def _refuse_without_token(self, request: Request) -> Response | None:
        """Return the 401 with the challenge, or None if the request has a valid token."""
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


def _error(status: int, code: str, message: str, *, inner_code: str | None = None) -> Response:
    error: Json = {"code": code, "message": message}
    if inner_code:
        error["innererror"] = {"code": inner_code}
    return JSONResponse({"error": error}, status)
