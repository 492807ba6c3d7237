"""Partner Center's stand-in: orders in memory, read with GET and cancelled with PATCH.

This module checks tokens, throttles, repeats answers, finds the order and gives answers their form. The effect
of a cancellation is in `order_rules`. "Guess" marks the places that no document describes; there the stand-in
does the likeliest.

Source: learn.microsoft.com/partner-center/developer/ headers, error-codes, order-resources,
api-throttling-guidance, deprecate-azure-active-directory-graph-token, partner-center-authentication
(MFA for App+User since 2026-04-01; read 2026-11-21).
"""

import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.local.partner_center.catalogue import Behaviour, Entry, member
from infra.local.partner_center.order_rules import (
    ALREADY_CANCELLED,
    GUID,
    Cancellation,
    Refused,
    cancel,
    order_key,
    read_cancellation,
    refusal_for,
)
from infra.local.partner_center.refusals import Refusal
from infra.local.values import HttpAnswer, Json

BOM = b"\xef\xbb\xbf"
KEPT_ANSWERS = 20_000
SHOWS_LATER_S = 1.5  # the delay of orders that show their change later

# Partner Center has refused them since 2025-08-31, though Microsoft's own SDKs still request them.
GRAPH_AUDIENCES = frozenset(
    {"https://graph.windows.net", "https://graph.chinacloudapi.cn", "https://graph.cloudapi.de"}
)
ACCESS_DENIED = Refusal(401, "400", "Access denied.")
IN_PROGRESS = Refusal(409, "800060", "The order is in progress.")
MFA_MISSING = Refusal(401, "900421", "The token has no MFA claim.")


@dataclass(frozen=True)
class TokenPolicy:
    """Accepts the tokens that *public_key* verifies and that are for one of *audiences*."""

    public_key: RSAPublicKey
    audiences: frozenset[str]


@dataclass
class StoredOrder:
    """The present state of an order, and a cancellation that does not show before *shows_at*."""

    entry: Entry
    order: Json
    pending: Cancellation | None = None
    shows_at: float = 0.0


class PartnerCenter:
    """The orders and the ASGI app in front of them. All partner tenants see the same orders.

    *app* accepts tokens for *audiences* that *public_key* verifies. `app_for` makes another app in front of the
    same orders, for the tokens of another national cloud.

    *requests_per_minute* (0: no limit) and *replay* can be changed at any time. *clock* gives seconds since 1970;
    only the expiry of tokens is checked against the real time.
    """

    def __init__(
        self,
        *,
        tenants: Mapping[str, Literal["sandbox", "production"]],
        public_key: RSAPublicKey,
        audiences: Collection[str],
        orders: Iterable[Entry],
        replay: bool = True,
        requests_per_minute: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.replay = replay
        self.requests_per_minute = requests_per_minute
        self._tenants = {tenant.lower(): kind for tenant, kind in tenants.items()}
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        self._answers: dict[tuple[str, str, str], HttpAnswer] = {}
        stored_orders = [StoredOrder(entry, deepcopy(entry.order)) for entry in orders]
        self._orders = {order_key(member(stored.order, "id")): stored for stored in stored_orders}
        self._orders_by_alternate_id = {member(stored.order, "alternateId"): stored for stored in stored_orders}
        self._customers = {
            stored.entry.customer_tenant_id.lower()
            for stored in stored_orders
            if stored.entry.behaviour != Behaviour.NO_RELATIONSHIP
        }
        self.app = self.app_for(public_key, audiences)

    def app_for(self, public_key: RSAPublicKey, audiences: Collection[str]) -> Starlette:
        """Return an app that accepts the tokens of one national cloud."""
        policy = TokenPolicy(public_key, frozenset(audience.rstrip("/") for audience in audiences))
        route = "/v1/customers/{customer_id}/orders/{order_id}"
        return Starlette(routes=[Route(route, partial(self._respond, policy), methods=["GET", "PATCH"])])

    def order(self, order_id: str) -> Json | None:
        """Return a copy of the order with this id or alternateId in its present state, or None."""
        stored = self._find(order_id)
        return deepcopy(stored.order) if stored else None

    def _find(self, order_id: str) -> StoredOrder | None:
        # Guess: an order is found by its alternateId too, as in Microsoft's newest sample.
        stored = self._orders.get(order_key(order_id)) or self._orders_by_alternate_id.get(order_id)
        if stored and stored.pending and self._clock() >= stored.shows_at:
            cancel(stored.order, stored.pending)
            stored.pending = None
        return stored

    async def _respond(self, policy: TokenPolicy, request: Request) -> Response:
        try:
            answer = self._admit(policy, request, await request.body())
        except Refused as refused:
            answer = _refusal_answer(refused.refusal)
        headers = {**_trace_headers(request.headers), **answer.headers}
        if answer.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(answer.body, answer.status, headers)

    def _admit(self, policy: TokenPolicy, request: Request, body: bytes) -> HttpAnswer:
        """Check the token and the rate. Then answer, or repeat the earlier answer to the same MS-RequestId."""
        tenant = _read_tenant(request.headers.get("authorization"), policy)
        if tenant not in self._tenants:
            raise Refused(Refusal(403, "1002", "Authorization failed."))  # Guess: the code.
        if wait_s := self._count_request(tenant):
            return _throttled_answer(wait_s)

        request_id = request.headers.get("ms-requestid", "").lower()
        # Guess: the method is no part of it, so a GET with the id of a PATCH gets the PATCH's old answer. That is
        # harder for a client.
        key = (tenant, request.url.path, request_id)
        if self.replay and request_id and key in self._answers:
            return self._answers[key]
        try:
            answer = self._answer(request, body, production=self._tenants[tenant] == "production")
        except Refused as refused:
            answer = _refusal_answer(refused.refusal)
        # Guess: the documents call MS-RequestId an idempotency key and say no more. Refusals are repeated too,
        # because that is harder for a client.
        if request_id and answer.status != 401:
            self._answers[key] = answer
            if len(self._answers) > KEPT_ANSWERS:
                del self._answers[next(iter(self._answers))]
        return answer

    def _count_request(self, tenant: str) -> int:
        """Count a request, also a refused one. Return the seconds that its tenant must wait, or 0."""
        if not self.requests_per_minute:
            self._windows.clear()
            return 0
        now = self._clock()
        started, count = self._windows.get(tenant, (now, 0))
        if now - started >= 60:
            started, count = now, 0
        self._windows[tenant] = (started, count + 1)
        return math.ceil(started + 60 - now) if count >= self.requests_per_minute else 0

    def _answer(self, request: Request, body: bytes, *, production: bool) -> HttpAnswer:
        if request.method == "PATCH" and not _is_json(request.headers.get("content-type")):
            # Microsoft's SDKs send it. Guess: the form of the answer.
            raise Refused(Refusal(415, "", "The request's Content-Type is not supported.", "gateway"))
        customer = request.path_params["customer_id"].lower()
        if not GUID.fullmatch(customer):
            raise Refused(Refusal(400, "800002", "The customer id is not a GUID."))
        if customer not in self._customers:
            raise Refused(Refusal(403, "20002", "No commerce relationship with the customer."))
        stored = self._find(request.path_params["order_id"])
        if stored is None or stored.entry.customer_tenant_id.lower() != customer:
            raise Refused(Refusal(404, "20000", "The order was not found."))

        if request.method == "PATCH" and (cancellation := read_cancellation(body, stored.order)):
            self._cancel(stored, cancellation, production=production)
            if stored.entry.behaviour == Behaviour.ACCEPTED:
                return HttpAnswer(202, {"location": request.url.path}, b"")
        prefix = BOM if stored.entry.behaviour == Behaviour.BOM else b""
        return _json_answer(200, stored.order, prefix)

    def _cancel(self, stored: StoredOrder, cancellation: Cancellation, *, production: bool) -> None:
        now = self._clock()
        if stored.pending:
            # Guess: no document says. An order whose reads lag behind its writes is cancelled already; one that was
            # only accepted is still in progress.
            has_lagging_reads = stored.entry.behaviour == Behaviour.SHOWS_LATER
            raise Refused(ALREADY_CANCELLED if has_lagging_reads else IN_PROGRESS)
        at = datetime.fromtimestamp(now, UTC)
        if refusal := refusal_for(stored.entry, stored.order, production=production, now=at):
            raise Refused(refusal)
        match stored.entry.behaviour:
            case Behaviour.NEVER_CHANGES:
                pass
            case Behaviour.SHOWS_LATER | Behaviour.ACCEPTED:
                stored.pending, stored.shows_at = cancellation, now + SHOWS_LATER_S
            case _:
                cancel(stored.order, cancellation)


def _read_tenant(authorization: str | None, policy: TokenPolicy) -> str:
    """Return the partner tenant in the bearer token, in lower case. Raises Refused."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(Refusal(401, "800001", "The partner token is missing."))
    required = ["aud", "tid", "appid", "exp"]
    try:
        claims = jwt.decode(
            token.strip(), policy.public_key, algorithms=["RS256"], options={"verify_aud": False, "require": required}
        )
    except jwt.PyJWTError:
        raise Refused(ACCESS_DENIED) from None  # Guess: one code for everything that is wrong with a token.
    audience = str(claims["aud"]).rstrip("/")
    if audience in GRAPH_AUDIENCES:
        raise Refused(Refusal(401, "900420", "Tokens for Azure AD Graph are no longer accepted."))
    if audience not in policy.audiences:
        raise Refused(ACCESS_DENIED)
    if "scp" in claims and "mfa" not in claims.get("amr", ()):  # App+User; app-only tokens need no MFA
        raise Refused(MFA_MISSING)
    return str(claims["tid"]).lower()


def _is_json(content_type: str | None) -> bool:
    media_type = (content_type or "").partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _trace_headers(request_headers: Headers) -> dict[str, str]:
    return {
        "MS-RequestId": request_headers.get("ms-requestid") or str(uuid4()),
        "MS-CorrelationId": request_headers.get("ms-correlationid") or str(uuid4()),
        "MS-CV": request_headers.get("ms-cv") or f"{uuid4().hex[:16]}.0",
        "MS-ServerId": "LOCAL0001",
        "X-Locale": request_headers.get("x-locale") or "en-US",
    }


def _json_answer(status: int, content: Json, prefix: bytes = b"") -> HttpAnswer:
    body = prefix + json.dumps(content).encode()
    return HttpAnswer(status, {"content-type": "application/json; charset=utf-8"}, body)


def _throttled_answer(wait_s: int) -> HttpAnswer:
    """Return the answer of the gateway in front of Partner Center (api-throttling-guidance)."""
    message = f"Rate limit is exceeded. Try again in {wait_s} seconds."
    answer = _json_answer(429, {"statusCode": 429, "message": message})
    return answer._replace(headers={**answer.headers, "retry-after": str(wait_s)})


def _refusal_answer(refusal: Refusal) -> HttpAnswer:
    match refusal.form:
        case "empty":
            return HttpAnswer(refusal.status, {}, b"")
        case "text":
            headers = {"content-type": "text/plain; charset=utf-8"}
            return HttpAnswer(refusal.status, headers, refusal.message.encode())
        case "gateway":
            return _json_answer(refusal.status, {"statusCode": refusal.status, "message": refusal.message})
        case "json" | "bom":
            content: Json = {"code": refusal.code, "description": refusal.message, "data": [], "source": "PartnerFD"}
            return _json_answer(refusal.status, content, BOM if refusal.form == "bom" else b"")
