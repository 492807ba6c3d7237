"""Entra ID's stand-in for one national cloud: OpenID discovery, the v2 token endpoint, the sign-in page.

The tokens are real JWTs, signed with the national cloud's own key. They are for Partner Center in that cloud,
or for another resource that is registered there, with the app roles that the app has at it. An app gets
app-only tokens by secret, certificate or federated credential (`client_proof`), and tokens of a user by
authorization code (`sign_in`) or refresh token; those have `scp`, `upn` and `amr`. Each use of a refresh
token gives another one, and the older ones stay valid until they are revoked, as at Entra.

OpenID discovery finds a tenant by its id, and a customer's tenant by its domain too, in upper or lower case.

Different from Entra: all tokens have the claim `appid`, where tokens of version 2 have `azp`.

Source: learn.microsoft.com/entra/identity-platform: v2-oauth2-client-creds-grant-flow,
v2-oauth2-auth-code-flow, refresh-tokens, access-token-claims-reference, howto-add-app-roles-in-apps,
v2-protocols-oidc (discovery); the requests of msal 1.39 (read and observed 2026-11-21); the discovery that the
Azure SDK for JavaScript recorded in its tests, and the table of discoveries in msal-common (read 2026-11-28).
"""

import base64
import json
import re
import uuid
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.entra.aadsts import TokenRefused
from infra.local.entra.client_proof import check_proof
from infra.local.entra.registrations import AppRegistration, Resource
from infra.local.entra.sign_in import SignInPage, read_user_scope
from infra.local.entra.signing import Signer
from infra.local.national_clouds import CLOUD_FACTS, NationalCloud
from infra.local.partner_center.members import GUID
from infra.local.values import Json

PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"  # the tenant of all personal accounts
# The names that stand for no single tenant, with the tenant that their issuer has. Guess: in every national cloud.
SHARED_TENANTS = {"common": "{tenantid}", "organizations": "{tenantid}", "consumers": PERSONAL_ACCOUNTS}
DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Entra:
    """The tenants and app registrations of one national cloud, in memory.

    *registrations* have the client id as their key. Tokens are for Partner Center and for *resources*. *customers*
    have the domain as their key, in lower case, and the tenant as their value; no app is registered with them.
    """

    def __init__(
        self,
        national_cloud: NationalCloud,
        signer: Signer,
        registrations: dict[str, AppRegistration],
        resources: Collection[Resource] = (),
        customers: Mapping[str, str] | None = None,
    ) -> None:
        self.registrations = registrations
        self._customers = customers or {}
        self.app = Starlette(
            routes=[
                Route("/{tenant}/v2.0/.well-known/openid-configuration", self._discover),
                Route("/{tenant}/oauth2/v2.0/token", self._give_token, methods=["POST"]),
                Route("/{tenant}/oauth2/v2.0/authorize", self._authorize),
            ]
        )
        self._facts = CLOUD_FACTS[national_cloud]
        self._signer = signer
        partner_center = Resource(self._facts.audience, self._facts.audience, self._facts.issuer)
        self._resources = {resource.identifier: resource for resource in (partner_center, *resources)}
        self._sign_in_page = SignInPage(self._resources)

    def _find_tenant(self, name: str) -> str:
        """Return the tenant with this id or domain. Raises TokenRefused."""
        lower = name.lower()
        if not GUID.fullmatch(lower) and not DOMAIN.fullmatch(lower):
            raise TokenRefused(900023, f"'{name}' is neither a valid DNS name, nor a valid external domain.")
        tenant = self._customers.get(lower, lower)
        own_tenants = (app.tenant_id for app in self.registrations.values())
        if tenant not in {*own_tenants, *self._customers.values(), PERSONAL_ACCOUNTS}:
            advice = "Check that it is the right tenant and that this is its national cloud."
            raise TokenRefused(90002, f"Tenant '{name}' not found. {advice}")
        return tenant

    def _find_app(self, client_id: str, tenant: str) -> AppRegistration | None:
        app = self.registrations.get(client_id)
        return app if app and app.tenant_id == tenant else None

    async def _discover(self, request: Request) -> Response:
        name = request.path_params["tenant"].lower()
        try:
            # The addresses have the tenant's id, whatever the request names it by.
            tenant = name if name in SHARED_TENANTS else self._find_tenant(request.path_params["tenant"])
        except TokenRefused as refused:
            return refused.response()
        root = f"https://{request.headers['host']}/{tenant}"
        return JSONResponse(
            {
                "issuer": self._facts.v2_issuer.format(tenant=SHARED_TENANTS.get(tenant, tenant)),
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "jwks_uri": f"{root}/discovery/v2.0/keys",
            },
            headers={"Cache-Control": "max-age=86400, private"},
        )

    async def _authorize(self, request: Request) -> Response:
        query = request.query_params
        app = self._find_app(query.get("client_id", ""), request.path_params["tenant"])
        return self._sign_in_page.respond(app, query)

    async def _give_token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        endpoint = f"https://{request.headers['host']}/{request.path_params['tenant']}/oauth2/v2.0/token"
        try:
            body = self._grant(request.path_params["tenant"], form, endpoint=endpoint)
        except TokenRefused as refused:
            return refused.response()
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    def _grant(self, tenant: str, form: Mapping[str, str], *, endpoint: str) -> Json:
        self._find_tenant(tenant)
        client_id = form.get("client_id", "")
        app = self._find_app(client_id, tenant)
        if app is None:
            raise TokenRefused(700016, "Application was not found in the directory.")
        if app.failure_mode == "disabled":
            raise TokenRefused(7000112, "Application is disabled.")
        grant = {
            "client_credentials": self._grant_to_app,
            "refresh_token": self._grant_for_refresh_token,
            "authorization_code": self._grant_for_code,
        }.get(form.get("grant_type", ""))
        if grant is None:
            raise TokenRefused(70003, "The app requested an unsupported grant type.")
        check_proof(client_id, app, form, endpoint=endpoint, public_key=self._signer.public_key)
        return grant(client_id, app, form)

    def _grant_to_app(self, client_id: str, app: AppRegistration, form: Mapping[str, str]) -> Json:
        identifier, _, suffix = form.get("scope", "").rpartition("/")
        if suffix != ".default":
            raise TokenRefused(1002012, "The scope of client credentials must end in /.default.")
        if identifier not in self._resources:
            raise TokenRefused(500011, f"The resource principal named {identifier} was not found in the tenant.")
        _check_conditional_access(app)
        object_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{app.tenant_id}/{client_id}"))
        claims = {"idtyp": "app", "oid": object_id, "sub": object_id}
        return self._token_answer(client_id, app, self._resources[identifier], claims, app.roles)

    def _grant_for_refresh_token(self, client_id: str, app: AppRegistration, form: Mapping[str, str]) -> Json:
        identifier, scopes = read_user_scope(form.get("scope", ""), self._resources)
        upn = app.read_refresh_token(form.get("refresh_token", ""))
        if app.failure_mode == "interaction_required":
            raise TokenRefused(50076, "Due to a configuration change you must use multi-factor authentication.")
        return self._grant_to_user(client_id, app, self._resources[identifier], upn, scopes | {"offline_access"})

    def _grant_for_code(self, client_id: str, app: AppRegistration, form: Mapping[str, str]) -> Json:
        code = self._sign_in_page.redeem(form)
        resource = self._resources[code.resource]
        return self._grant_to_user(client_id, app, resource, code.upn, code.scopes, nonce=code.nonce)

    def _grant_to_user(
        self,
        client_id: str,
        app: AppRegistration,
        resource: Resource,
        upn: str,
        scopes: frozenset[str],
        *,
        nonce: str | None = None,
    ) -> Json:
        _check_conditional_access(app)
        user_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{app.tenant_id}/{upn}"))
        amr = ["pwd"] if app.failure_mode == "mfa_missing" else ["pwd", "mfa"]
        user = {"oid": user_id, "sub": user_id}
        roles = app.roles if upn == app.default_upn else ()
        claims = {**user, "scp": "user_impersonation", "upn": upn, "amr": amr}
        answer = self._token_answer(client_id, app, resource, claims, roles)
        answer["scope"] = f"{resource.identifier}/user_impersonation"
        answer["client_info"] = _base64url({"uid": user_id, "utid": app.tenant_id})
        if "offline_access" in scopes:
            answer["refresh_token"] = app.new_refresh_token(upn)
        if "openid" in scopes:
            answer["id_token"] = self._signer.new_token(
                audience=client_id,
                issuer=self._facts.v2_issuer.format(tenant=app.tenant_id),
                tenant_id=app.tenant_id,
                app_id=client_id,
                claims={**user, "preferred_username": upn} | ({"nonce": nonce} if nonce else {}),
            )
        return answer

    def _token_answer(
        self,
        client_id: str,
        app: AppRegistration,
        resource: Resource,
        claims: Mapping[str, object],
        roles: tuple[str, ...],
    ) -> Json:
        lifetime_s = app.token_lifetime_s
        token = self._signer.new_token(
            audience=resource.audience,
            issuer=resource.issuer.format(tenant=app.tenant_id),
            tenant_id=app.tenant_id,
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


def _check_conditional_access(app: AppRegistration) -> None:
    if app.failure_mode == "conditional_access":
        raise TokenRefused(53003, "Access has been blocked by Conditional Access policies.")


def _base64url(content: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
