"""The managed identity's stand-in: App Service's token endpoint, over plain http as in Azure.

Source: learn.microsoft.com/azure/app-service/overview-managed-identity (REST endpoint, 2019-08-01).
"""

import hmac
import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.entra import Signer

TOKEN_LIFETIME_S = 86_400  # the real one caches for up to a day


class Identity:
    """One user-assigned identity. *header* is the secret that App Service puts into IDENTITY_HEADER."""

    def __init__(self, signer: Signer, *, header: str, client_id: str, tenant_id: str) -> None:
        self.app = Starlette(routes=[Route("/msi/token", self._token)])
        self._signer = signer
        self._header = header
        self._client_id = client_id
        self._tenant_id = tenant_id

    async def _token(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("x-identity-header", "").encode(), self._header.encode()):
            return JSONResponse({"statusCode": 401, "message": "Unauthorized"}, 401)
        query = request.query_params
        if query.get("client_id", self._client_id) != self._client_id:
            return JSONResponse({"statusCode": 400, "message": "No User Assigned identity found."}, 400)
        if "resource" not in query:
            return JSONResponse({"statusCode": 400, "message": "The parameter resource is missing."}, 400)
        token = self._signer.token(
            audience=query["resource"],
            tenant_id=self._tenant_id,
            app_id=self._client_id,
            lifetime_s=TOKEN_LIFETIME_S,
        )
        return JSONResponse(
            {
                "access_token": token,
                "expires_on": str(int(time.time()) + TOKEN_LIFETIME_S),
                "resource": query["resource"],
                "token_type": "Bearer",
                "client_id": self._client_id,
            }
        )
