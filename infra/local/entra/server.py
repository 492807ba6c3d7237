"""Entra ID's stand-in, one for each cloud: OpenID discovery, the v2 token endpoint, the sign-in page.

Tokens are real: JWTs signed with the cloud's own key, for Partner Center's audience in that cloud or for
another resource that is registered there, with the app roles that the client has at it. App-only by
secret, certificate or federated credential (`client_proof`); App+User by authorization code (`sign_in`)
or refresh token, with `scp`, `upn` and `amr`. Each use of a refresh token gives another one; those before
it stay valid until they are revoked, as at Entra. Unlike Entra's, all of them carry `appid`, where version 2
has `azp`.

Source: learn.microsoft.com/entra/identity-platform: v2-oauth2-client-creds-grant-flow,
v2-oauth2-auth-code-flow, refresh-tokens, access-token-claims-reference, howto-add-app-roles-in-apps; and
what msal 1.39 asks for on the wire (read and observed 2026-11-21).
"""

import base64
import json
import uuid
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.entra.aadsts import TokenRefused
from infra.local.entra.client_proof import check_proof
from infra.local.entra.registrations import Client, Resource
from infra.local.entra.sign_in import SignIns, read_user_scope
from infra.local.entra.signing import Signer
from infra.local.national_clouds import CLOUDS, CloudName
from infra.local.values import Json


class Entra:
    """The tenants and app registrations of one *cloud*, in memory; *clients* by their id.

    Tokens are for Partner Center and for *resources*.
    """

    def __init__(
        self, cloud: CloudName, signer: Signer, clients: dict[str, Client], resources: Collection[Resource] = ()
    ) -> None:
        self.clients = clients
        self.app = Starlette(
            routes=[
                Route("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery),
                Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
                Route("/{tenant}/oauth2/v2.0/authorize", self._authorize),
            ]
        )
        self._facts = CLOUDS[cloud]
        self._signer = signer
        partner_center = Resource(self._facts.audience, self._facts.audience, self._facts.issuer)
        self._resources = {resource.identifier: resource for resource in (partner_center, *resources)}
        self._sign_ins = SignIns(self._resources)

    def _check_tenant(self, tenant: str) -> None:
        if tenant not in {client.tenant_id for client in self.clients.values()}:
            raise TokenRefused(90002, f"Tenant '{tenant}' not found.")

    def _find(self, client_id: str, tenant: str) -> Client | None:
        client = self.clients.get(client_id)
        return client if client and client.tenant_id == tenant else None

    async def _discovery(self, request: Request) -> Response:
        tenant = request.path_params["tenant"]
        try:
            self._check_tenant(tenant)
        except TokenRefused as refused:
            return refused.response()
        root = _root(request)
        return JSONResponse(
            {
                "issuer": f"{root}/v2.0",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "jwks_uri": f"{root}/discovery/v2.0/keys",
            }
        )

    async def _authorize(self, request: Request) -> Response:
        query = request.query_params
        return self._sign_ins.page(self._find(query.get("client_id", ""), request.path_params["tenant"]), query)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        try:
            body = self._grant(request.path_params["tenant"], form, root=_root(request))
        except TokenRefused as refused:
            return refused.response()
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    def _grant(self, tenant: str, form: Mapping[str, str], *, root: str) -> Json:
        self._check_tenant(tenant)
        client_id = form.get("client_id", "")
        client = self._find(client_id, tenant)
        if client is None:
            raise TokenRefused(700016, "Application was not found in the directory.")
        if client.trouble == "disabled":
            raise TokenRefused(7000112, "Application is disabled.")
        grant = {
            "client_credentials": self._for_app,
            "refresh_token": self._for_refresh_token,
            "authorization_code": self._for_code,
        }.get(form.get("grant_type", ""))
        if grant is None:
            raise TokenRefused(70003, "The app requested an unsupported grant type.")
        endpoint = f"{root}/oauth2/v2.0/token"
        check_proof(client_id, client, form, endpoint=endpoint, public_key=self._signer.public_key)
        return grant(client_id, client, form)

    def _for_app(self, client_id: str, client: Client, form: Mapping[str, str]) -> Json:
        identifier, _, suffix = form.get("scope", "").rpartition("/")
        if suffix != ".default":
            raise TokenRefused(1002012, "The scope of client credentials must end in /.default.")
        if identifier not in self._resources:
            raise TokenRefused(500011, f"The resource principal named {identifier} was not found in the tenant.")
        _check_conditional_access(client)
        object_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{client.tenant_id}/{client_id}"))
        claims = {"idtyp": "app", "oid": object_id, "sub": object_id}
        return self._answer(client_id, client, self._resources[identifier], claims, client.roles)

    def _for_refresh_token(self, client_id: str, client: Client, form: Mapping[str, str]) -> Json:
        identifier, scopes = read_user_scope(form.get("scope", ""), self._resources)
        upn = client.use(form.get("refresh_token", ""))
        if client.trouble == "interaction_required":
            raise TokenRefused(50076, "Due to a configuration change you must use multi-factor authentication.")
        return self._for_user(client_id, client, self._resources[identifier], upn, scopes | {"offline_access"})

    def _for_code(self, client_id: str, client: Client, form: Mapping[str, str]) -> Json:
        code = self._sign_ins.redeem(form)
        resource = self._resources[code.resource]
        return self._for_user(client_id, client, resource, code.upn, code.scopes, nonce=code.nonce)

    def _for_user(
        self,
        client_id: str,
        client: Client,
        resource: Resource,
        upn: str,
        scopes: frozenset[str],
        *,
        nonce: str | None = None,
    ) -> Json:
        _check_conditional_access(client)
        user_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{client.tenant_id}/{upn}"))
        amr = ["pwd"] if client.trouble == "mfa_missing" else ["pwd", "mfa"]
        who = {"oid": user_id, "sub": user_id}
        roles = client.roles if upn == client.user else ()
        claims = {**who, "scp": "user_impersonation", "upn": upn, "amr": amr}
        answer = self._answer(client_id, client, resource, claims, roles)
        answer["scope"] = f"{resource.identifier}/user_impersonation"
        answer["client_info"] = _base64url({"uid": user_id, "utid": client.tenant_id})
        if "offline_access" in scopes:
            answer["refresh_token"] = client.new_refresh_token(upn)
        if "openid" in scopes:
            answer["id_token"] = self._signer.token(
                audience=client_id,
                issuer=self._facts.exchange_issuer.format(tenant=client.tenant_id),
                tenant_id=client.tenant_id,
                app_id=client_id,
                claims={**who, "preferred_username": upn} | ({"nonce": nonce} if nonce else {}),
            )
        return answer

    def _answer(
        self,
        client_id: str,
        client: Client,
        resource: Resource,
        claims: Mapping[str, object],
        roles: tuple[str, ...],
    ) -> Json:
        lifetime_s = client.token_lifetime_s
        token = self._signer.token(
            audience=resource.audience,
            issuer=resource.issuer.format(tenant=client.tenant_id),
            tenant_id=client.tenant_id,
            app_id=client_id,
            lifetime_s=lifetime_s,
            claims={**claims, "roles": roles} if roles and resource.has_roles else claims,
        )
        return {
            "token_type": "Bearer",
            "expires_in": int(lifetime_s),
            "ext_expires_in": int(lifetime_s),
            "access_token": token,
        }


def _check_conditional_access(client: Client) -> None:
    if client.trouble == "conditional_access":
        raise TokenRefused(53003, "Access has been blocked by Conditional Access policies.")


def _root(request: Request) -> str:
    return f"https://{request.headers['host']}/{request.path_params['tenant']}"


def _base64url(content: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
