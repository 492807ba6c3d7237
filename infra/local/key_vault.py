"""Key Vault's stand-in: secrets with versions, behind the authentication challenge.

azure-keyvault-secrets first sends each vault a request without a token and reads from the 401
whom to ask for one; the resource named there must be a parent domain of the vault's. For a vault
at https://127.0.0.1:P the resource https://0.0.1:P is one, with no change in the product.

Source: learn.microsoft.com/rest/api/keyvault/secrets, and azure-keyvault-secrets 4.12 on the wire.
"""

import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class KeyVault:
    """One vault at *url*, in memory. *authorization* is the authority and tenant that it names in its challenge."""

    def __init__(self, url: str, authorization: str, public_key: RSAPublicKey) -> None:
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
        self._versions: dict[str, list[dict[str, Any]]] = {}

    def set(self, name: str, value: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  (JSON)
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
        body = await request.json()
        known = {name: body[name] for name in ("attributes", "tags", "contentType") if body.get(name)}
        return JSONResponse(self.set(request.path_params["name"], body["value"], **known))

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


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
