"""The control interface: what arrived, what shall go wrong, what the stand-ins hold.

For tests, benchmarks and whoever drives the local cloud from outside; plain JSON, no key, on
loopback. Answers 400 with the reason when something asked for makes no sense.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.entra import Entra
from infra.local.key_vault import KeyVault
from infra.local.partner_center import PartnerCenter
from infra.local.wire import Fault, Traffic


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Secret(_Body):
    value: str


class _Client(_Body):
    secret: str | None = None
    token_lifetime_s: float | None = Field(None, alias="tokenLifetime_s", gt=0)


class _Limits(_Body):
    requests_per_minute: int = Field(alias="requestsPerMinute", ge=0)


class Control:
    """The app under the control URL."""

    def __init__(self, traffic: Traffic, partner_center: PartnerCenter, entra: Entra, key_vault: KeyVault) -> None:
        self._traffic = traffic
        self._partner_center = partner_center
        self._entra = entra
        self._key_vault = key_vault
        self.app = Starlette(
            routes=[
                Route("/requests", self._requests, methods=["GET"]),
                Route("/requests", self._forget, methods=["DELETE"]),
                Route("/faults", self._add_fault, methods=["POST"]),
                Route("/faults", self._clear_faults, methods=["DELETE"]),
                Route("/orders/{order_id}", self._order, methods=["GET"]),
                Route("/secrets/{name}", self._set_secret, methods=["PUT"]),
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

    async def _set_secret(self, request: Request) -> Response:
        body = await _read(request, _Secret)
        bundle = self._key_vault.set(request.path_params["name"], body.value)
        return JSONResponse({"id": bundle["id"]})

    async def _set_client(self, request: Request) -> Response:
        client = self._entra.clients.get(request.path_params["client_id"])
        if client is None:
            return JSONResponse({"error": "no such client"}, 404)
        body = await _read(request, _Client)
        if body.secret is not None:
            client.secret = body.secret
        if body.token_lifetime_s is not None:
            client.token_lifetime_s = body.token_lifetime_s
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
