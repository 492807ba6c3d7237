"""The managed identity's stand-in: App Service's token endpoint, over plain http as in Azure.

In Azure an identity lives in one cloud and gets tokens there alone. This one stands for one in each:
for a cloud's exchange audience it gives a token of that cloud, for all else one of the global cloud.

Source: learn.microsoft.com/azure/app-service/overview-managed-identity (REST endpoint, 2019-08-01);
learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity for
the exchange: the subject is the identity's object id, the issuer its tenant's v2 one (read 2026-11-21).
A guess: that `aud` of such a token is the audience as asked for.
"""

import hmac
import time
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.entra.registrations import Federation
from infra.local.entra.signing import Signer
from infra.local.national_clouds import CLOUDS, CloudName

TOKEN_LIFETIME_S = 86_400  # the real one caches for up to a day


class Identity:
    """One user-assigned identity. *header* is the secret that App Service puts into IDENTITY_HEADER."""

    def __init__(
        self, signers: Mapping[CloudName, Signer], *, header: str, client_id: str, principal_id: str, tenant_id: str
    ) -> None:
        self.app = Starlette(routes=[Route("/msi/token", self._token)])
        self._signers = signers
        self._header = header
        self._client_id = client_id
        self._principal_id = principal_id
        self._tenant_id = tenant_id

    def federation(self, cloud: CloudName) -> Federation:
        """Return the federated credential by which an app of *cloud* trusts this identity."""
        facts = CLOUDS[cloud]
        issuer = facts.exchange_issuer.format(tenant=self._tenant_id)
        return Federation(issuer, self._principal_id, facts.exchange_audience)

    async def _token(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("x-identity-header", "").encode(), self._header.encode()):
            return JSONResponse({"statusCode": 401, "message": "Unauthorized"}, 401)
        query = request.query_params
        if query.get("client_id", self._client_id) != self._client_id:
            return JSONResponse({"statusCode": 400, "message": "No User Assigned identity found."}, 400)
        if "resource" not in query:
            return JSONResponse({"statusCode": 400, "message": "The parameter resource is missing."}, 400)
        cloud, issuer = _issuer(query["resource"])
        token = self._signers[cloud].token(
            audience=query["resource"],
            issuer=issuer.format(tenant=self._tenant_id),
            tenant_id=self._tenant_id,
            app_id=self._client_id,
            lifetime_s=TOKEN_LIFETIME_S,
            claims={"oid": self._principal_id, "sub": self._principal_id},
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


def _issuer(resource: str) -> tuple[CloudName, str]:
    """Return the cloud whose token one for *resource* is, and the issuer that it names."""
    for cloud, facts in CLOUDS.items():
        if resource == facts.exchange_audience:
            return cloud, facts.exchange_issuer
    return "global", CLOUDS["global"].issuer
