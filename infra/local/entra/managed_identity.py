"""The managed identity's stand-in: App Service's token endpoint, over plain http as in Azure.

In Azure an identity belongs to one national cloud and gets tokens only there. This identity exists in each:
for a cloud's exchange audience it gives a token of that cloud, for any other audience one of the global cloud.

Source: learn.microsoft.com/azure/app-service/overview-managed-identity (REST endpoint, 2019-08-01);
learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity for
the exchange: the subject is the identity's object id, the issuer is its tenant's v2 issuer (read 2026-11-21).
The refusal's text is quoted in public issues: Azure-Samples/azure-search-openai-demo #2148. The function has a
user-assigned identity alone, so a request that names none is refused, as one that names another.

Tokens for https://storage.azure.com have the v1 issuer, https://sts.windows.net/…: Microsoft's emulator, Azurite 3.35,
accepts no other (observed 2026-11-30).

Guess: `aud` of such a token is the audience that was requested.
"""

import hmac
import time
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.entra.registrations import FederatedCredential
from infra.local.entra.signing import Signer
from infra.local.national_clouds import CLOUD_FACTS, NationalCloud

TOKEN_LIFETIME_S = 86_400  # the real endpoint caches a token for up to a day


class ManagedIdentity:
    """One user-assigned identity. App Service puts *secret_header* into IDENTITY_HEADER."""

    def __init__(
        self,
        signers: Mapping[NationalCloud, Signer],
        *,
        secret_header: str,
        client_id: str,
        principal_id: str,
        tenant_id: str,
    ) -> None:
        self.app = Starlette(routes=[Route("/msi/token", self._get_token)])
        self._signers = signers
        self._secret_header = secret_header
        self._client_id = client_id
        self._principal_id = principal_id
        self._tenant_id = tenant_id

    def federated_credential(self, national_cloud: NationalCloud) -> FederatedCredential:
        """Return the credential by which an app in *national_cloud* trusts this identity."""
        facts = CLOUD_FACTS[national_cloud]
        issuer = facts.v2_issuer.format(tenant=self._tenant_id)
        return FederatedCredential(issuer, self._principal_id, facts.exchange_audience)

    async def _get_token(self, request: Request) -> Response:
        header = request.headers.get("x-identity-header", "")
        if not hmac.compare_digest(header.encode(), self._secret_header.encode()):
            return JSONResponse({"statusCode": 401, "message": "Unauthorized"}, 401)
        query = request.query_params
        if query.get("client_id") != self._client_id:  # without a client id the function's own identity is meant: none
            message = (
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
            )
            return JSONResponse({"statusCode": 400, "message": message}, 400)
        if "resource" not in query:
            return JSONResponse({"statusCode": 400, "message": "The parameter resource is missing."}, 400)
        national_cloud, issuer = _find_issuer(query["resource"])
        token = self._signers[national_cloud].new_token(
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


def _find_issuer(resource: str) -> tuple[NationalCloud, str]:
    """Return the national cloud that signs a token for *resource*, and the issuer that the token names."""
    for national_cloud, facts in CLOUD_FACTS.items():
        if resource == facts.exchange_audience:
            return national_cloud, facts.v2_issuer
    return "global", CLOUD_FACTS["global"].issuer
