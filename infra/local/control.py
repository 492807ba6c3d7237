"""The control interface: what arrived, what shall go wrong, what the stand-ins hold.

For tests, benchmarks and whoever drives the local cloud from outside; plain JSON, no key, on
loopback. Answers 400 with the reason when something asked for makes no sense.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.entra.registrations import Client, Trouble, public_certificates
from infra.local.entra.signing import new_key_pair
from infra.local.faults import Fault
from infra.local.key_vault import KeyVault
from infra.local.partner_center.server import PartnerCenter
from infra.local.traffic import Traffic


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Attributes(_Body):
    """Seconds since 1970. A back-dated *created* and *updated* make a secret as old as a test needs it."""

    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None
    created: int | None = None
    updated: int | None = None


class _Secret(_Body):
    value: str
    content_type: str | None = Field(None, alias="contentType")
    tags: dict[str, str] = {}
    attributes: _Attributes = _Attributes()


def _is_certificate(pem: str) -> str:
    public_certificates([pem])  # raises ValueError
    return pem


type Pem = Annotated[str, AfterValidator(_is_certificate)]


class _Client(_Body):
    """Changes to an app registration; what is left out stays as it is. Done in the order of the members."""

    revoke: bool = False
    expire: bool = False
    secret: str | None = None
    secrets: list[str] | None = Field(None, min_length=1)
    certificate: Pem | None = None
    certificates: list[Pem] | None = Field(None, min_length=1)
    refresh_token: str | None = Field(None, alias="refreshToken", min_length=1)
    token_lifetime_s: float | None = Field(None, alias="tokenLifetime_s", gt=0)
    trouble: Trouble | None = None

    def change(self, client: Client) -> None:
        if self.revoke:
            client.end("revoked")
            client.keep_newest()
        if self.expire:
            client.end("expired")
        if secrets := self.secrets or _one(self.secret):
            client.secrets = secrets
        if certificates := self.certificates or _one(self.certificate):
            client.certificates = public_certificates(certificates)
        if self.refresh_token is not None:
            client.accept(self.refresh_token)
        if self.token_lifetime_s is not None:
            client.token_lifetime_s = self.token_lifetime_s
        if "trouble" in self.model_fields_set:
            client.trouble = self.trouble


def _one[T](value: T | None) -> list[T]:
    return [] if value is None else [value]


class _Limits(_Body):
    requests_per_minute: int = Field(alias="requestsPerMinute", ge=0)


class Control:
    """The app under the control URL."""

    def __init__(
        self, traffic: Traffic, partner_center: PartnerCenter, clients: Mapping[str, Client], key_vault: KeyVault
    ) -> None:
        self._traffic = traffic
        self._partner_center = partner_center
        self._clients = clients
        self._key_vault = key_vault
        self.app = Starlette(
            routes=[
                Route("/requests", self._requests, methods=["GET"]),
                Route("/requests", self._forget, methods=["DELETE"]),
                Route("/faults", self._add_fault, methods=["POST"]),
                Route("/faults", self._clear_faults, methods=["DELETE"]),
                Route("/orders/{order_id}", self._order, methods=["GET"]),
                Route("/secrets/{name}", self._secret, methods=["GET"]),
                Route("/secrets/{name}", self._set_secret, methods=["PUT"]),
                Route("/certificates", self._new_certificate, methods=["POST"]),
                Route("/clients/{client_id}", self._set_client, methods=["PUT"]),
                Route("/limits", self._set_limits, methods=["PUT"]),
            ],
            exception_handlers={ValidationError: _bad_request},
        )

    async def _requests(self, _: Request) -> Response:
        return JSONResponse(list(self._traffic.requests))

    async def _forget(self, _: Request) -> Response:
        self._traffic.requests.clear()
        return JSONResponse({})

    async def _add_fault(self, request: Request) -> Response:
        fault = Fault.model_validate_json(await request.body())
        self._traffic.faults.append(fault)
        return JSONResponse({}, 201)

    async def _clear_faults(self, _: Request) -> Response:
        self._traffic.clear_faults()
        return JSONResponse({})

    async def _order(self, request: Request) -> Response:
        order = self._partner_center.order(request.path_params["order_id"])
        return JSONResponse({"error": "no such order"}, 404) if order is None else JSONResponse(order)

    async def _secret(self, request: Request) -> Response:
        versions = self._key_vault.versions(request.path_params["name"])
        return JSONResponse(versions) if versions else JSONResponse({"error": "no such secret"}, 404)

    async def _set_secret(self, request: Request) -> Response:
        body = await _read(request, _Secret)
        given = body.model_dump(by_alias=True, exclude_none=True)
        bundle = self._key_vault.set(request.path_params["name"], **given)
        return JSONResponse({"id": bundle["id"]})

    async def _new_certificate(self, _: Request) -> Response:
        pair = await asyncio.to_thread(new_key_pair)  # so that no request waits for it
        return JSONResponse({"pem": pair.pem, "pfx": pair.pfx})

    async def _set_client(self, request: Request) -> Response:
        client = self._clients.get(request.path_params["client_id"])
        if client is None:
            return JSONResponse({"error": "no such client"}, 404)
        (await _read(request, _Client)).change(client)
        return JSONResponse({})

    async def _set_limits(self, request: Request) -> Response:
        self._partner_center.requests_per_minute = (await _read(request, _Limits)).requests_per_minute
        return JSONResponse({})


async def _read[Body: BaseModel](request: Request, kind: type[Body]) -> Body:
    return kind.model_validate_json(await request.body())


async def _bad_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)  # noqa: S101  (registered for nothing else)
    faults: list[Any] = [{"field": list(fault["loc"]), "message": fault["msg"]} for fault in error.errors()]
    return JSONResponse({"error": faults}, 400)
