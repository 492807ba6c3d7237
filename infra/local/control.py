"""The control interface of the local cloud, for tests, benchmarks and programs outside.

It lists the requests that arrived, takes faults, and shows and changes the contents of the stand-ins. Plain JSON
on loopback, without a key; pages in a browser other than the console are refused (`console.guard`). A request that
makes no sense is answered with 400 and the reason.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.console.guard import Guard
from infra.local.console.routes import Console
from infra.local.entra.registrations import AppRegistration, FailureMode, load_certificates
from infra.local.entra.signing import new_key_pair
from infra.local.faults import Fault
from infra.local.key_vault import KeyVault
from infra.local.partner_center.members import member, read_json
from infra.local.partner_center.server import PartnerCenter
from infra.local.ticket_control import TicketControl
from infra.local.traffic import Traffic
from infra.local.values import Json, reason


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _SecretAttributes(_Body):
    """Seconds since 1970. A test sets *created* and *updated* to make a secret look old."""

    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None
    created: int | None = None
    updated: int | None = None


class _SecretVersion(_Body):
    value: str
    content_type: str | None = Field(None, alias="contentType")
    tags: dict[str, str] = {}
    attributes: _SecretAttributes = _SecretAttributes()


def _check_certificate(pem: str) -> str:
    load_certificates([pem])  # raises ValueError
    return pem


type Pem = Annotated[str, AfterValidator(_check_certificate)]


class _RegistrationChange(_Body):
    """A change to an app registration, made in the order of the members. An absent member changes nothing."""

    revoke: bool = False
    expire: bool = False
    secret: str | None = None
    secrets: list[str] | None = Field(None, min_length=1)
    certificate: Pem | None = None
    certificates: list[Pem] | None = Field(None, min_length=1)
    refresh_token: str | None = Field(None, alias="refreshToken", min_length=1)
    token_lifetime_s: float | None = Field(None, alias="tokenLifetime_s", gt=0)
    trouble: FailureMode | None = None

    def apply_to(self, app: AppRegistration) -> None:
        if self.revoke:
            app.end_refresh_tokens("revoked")
            app.keep_newest_credentials()
        if self.expire:
            app.end_refresh_tokens("expired")
        if secrets := self.secrets or _as_list(self.secret):
            app.secrets = secrets
        if certificates := self.certificates or _as_list(self.certificate):
            app.certificates = load_certificates(certificates)
        if self.refresh_token is not None:
            app.accept_refresh_token(self.refresh_token)
        if self.token_lifetime_s is not None:
            app.token_lifetime_s = self.token_lifetime_s
        if "trouble" in self.model_fields_set:
            app.failure_mode = self.trouble


def _as_list[T](value: T | None) -> list[T]:
    return [] if value is None else [value]


class _Limits(_Body):
    requests_per_minute: int = Field(alias="requestsPerMinute", ge=0)


class _Behaviour(_Body):
    """A subscription's reaction to scheduled actions: it ignores them, or knows them by one spelling only."""

    actions: Literal["ignore", "scheduleType", "scheduledType"]


class _Age(_Body):
    days: int = Field(ge=1, le=3650)


class ControlInterface:
    """The app under `controlUrl`. *registrations* have the client id as their key."""

    def __init__(
        self,
        *,
        traffic: Traffic,
        partner_center: PartnerCenter,
        registrations: Mapping[str, AppRegistration],
        key_vault: KeyVault,
        tickets: TicketControl,
        console: Console,
    ) -> None:
        self._traffic = traffic
        self._partner_center = partner_center
        self._registrations = registrations
        self._key_vault = key_vault
        self.app = Starlette(
            routes=[
                Route("/requests", self._list_requests, methods=["GET"]),
                Route("/requests", self._clear_requests, methods=["DELETE"]),
                Route("/faults", self._list_faults, methods=["GET"]),
                Route("/faults", self._add_fault, methods=["POST"]),
                Route("/faults", self._clear_faults, methods=["DELETE"]),
                Route("/orders/{order_id}", self._show_order, methods=["GET"]),
                Route("/orders/{order_id}/age", self._age_order, methods=["POST"]),
                Route("/subscriptions/{subscription_id}", self._show_subscription, methods=["GET"]),
                Route("/subscriptions/{subscription_id}", self._put_subscription, methods=["PUT"]),
                Route("/subscriptions/{subscription_id}/behaviour", self._set_behaviour, methods=["PUT"]),
                Route("/subscriptions/{subscription_id}/age", self._age_subscription, methods=["POST"]),
                Route("/secrets/{name}", self._list_secret_versions, methods=["GET"]),
                Route("/secrets/{name}", self._set_secret, methods=["PUT"]),
                Route("/certificates", self._make_certificate, methods=["POST"]),
                Route("/clients/{client_id}", self._change_registration, methods=["PUT"]),
                Route("/limits", self._set_limits, methods=["PUT"]),
                *tickets.routes,
                *console.routes,
            ],
            middleware=[Middleware(Guard)],
            exception_handlers={ValidationError: _bad_request},
        )

    async def _list_requests(self, request: Request) -> Response:
        try:
            since = float(request.query_params.get("since", 0))
        except ValueError:
            return _reason("since", "a number is needed: seconds since 1970")
        return JSONResponse([entry for entry in self._traffic.requests if entry["time"] > since])

    async def _clear_requests(self, _: Request) -> Response:
        self._traffic.requests.clear()
        return JSONResponse({})

    async def _add_fault(self, request: Request) -> Response:
        fault = await _read(request, Fault)
        if fault.put_subscription is not None:
            subscription_id = member(fault.put_subscription, "id")
            if self._partner_center.subscriptions.now(subscription_id) is None:
                return _reason("put_subscription", "there is no subscription with this id")
        self._traffic.add_fault(fault)
        return JSONResponse({}, 201)

    async def _list_faults(self, _: Request) -> Response:
        return JSONResponse(self._traffic.list_faults())

    async def _clear_faults(self, request: Request) -> Response:
        self._traffic.clear_faults(request.query_params.get("name"))
        return JSONResponse({})

    async def _show_order(self, request: Request) -> Response:
        order = self._partner_center.order(request.path_params["order_id"])
        return JSONResponse({"error": "no such order"}, 404) if order is None else JSONResponse(order)

    async def _age_order(self, request: Request) -> Response:
        days = (await _read(request, _Age)).days
        order = self._partner_center.orders.age(request.path_params["order_id"], days)
        return JSONResponse({"error": "no such order"}, 404) if order is None else JSONResponse(order)

    async def _show_subscription(self, request: Request) -> Response:
        return _subscription(self._partner_center.subscriptions.now(request.path_params["subscription_id"]))

    async def _put_subscription(self, request: Request) -> Response:
        subscription_id = request.path_params["subscription_id"]
        try:
            subscription = read_json(await request.body())
        except ValueError as error:
            return _reason("body", f"not JSON that can be stored: {error}")
        given_id = member(subscription, "id") if isinstance(subscription, dict) else None
        if not isinstance(given_id, str) or given_id.lower() != subscription_id.lower():
            return _reason("id", "a whole subscription with the id in the path is needed")
        self._partner_center.subscriptions.put(subscription_id, subscription)
        return _subscription(self._partner_center.subscriptions.now(subscription_id))

    async def _set_behaviour(self, request: Request) -> Response:
        actions = (await _read(request, _Behaviour)).actions
        subscription_id = request.path_params["subscription_id"]
        self._partner_center.subscriptions.know_actions_by(subscription_id, {actions} - {"ignore"})
        return _subscription(self._partner_center.subscriptions.now(subscription_id))

    async def _age_subscription(self, request: Request) -> Response:
        days = (await _read(request, _Age)).days
        return _subscription(self._partner_center.subscriptions.age(request.path_params["subscription_id"], days))

    async def _list_secret_versions(self, request: Request) -> Response:
        versions = self._key_vault.versions(request.path_params["name"])
        return JSONResponse(versions) if versions else JSONResponse({"error": "no such secret"}, 404)

    async def _set_secret(self, request: Request) -> Response:
        version = await _read(request, _SecretVersion)
        members = version.model_dump(by_alias=True, exclude_none=True)
        bundle = self._key_vault.set_secret(request.path_params["name"], **members)
        return JSONResponse({"id": bundle["id"]})

    async def _make_certificate(self, _: Request) -> Response:
        pair = await asyncio.to_thread(new_key_pair)  # in a thread, because it would block all other requests
        return JSONResponse({"pem": pair.pem, "pfx": pair.pfx})

    async def _change_registration(self, request: Request) -> Response:
        app = self._registrations.get(request.path_params["client_id"])
        if app is None:
            return JSONResponse({"error": "no such client"}, 404)
        (await _read(request, _RegistrationChange)).apply_to(app)
        return JSONResponse({})

    async def _set_limits(self, request: Request) -> Response:
        self._partner_center.requests_per_minute = (await _read(request, _Limits)).requests_per_minute
        return JSONResponse({})


async def _read[Body: BaseModel](request: Request, model: type[Body]) -> Body:
    """Return the request's body as a *model*. Raises ValidationError, which is answered with 400."""
    return model.model_validate_json(await request.body())


def _subscription(subscription: Json | None) -> Response:
    return JSONResponse({"error": "no such subscription"}, 404) if subscription is None else JSONResponse(subscription)


def _reason(field: str, message: str) -> Response:
    return JSONResponse(reason(field, message), 400)


async def _bad_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)  # noqa: S101  (registered for nothing else)
    reasons: list[Any] = [{"field": list(detail["loc"]), "message": detail["msg"]} for detail in error.errors()]
    return JSONResponse({"error": reasons}, 400)
