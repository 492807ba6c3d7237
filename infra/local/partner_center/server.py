"""Partner Center's stand-in: orders in memory, read with GET and cancelled with PATCH.

This module is its front: tokens, throttling, replay, finding the order, the shape of answers.
What a cancellation does is in `order_rules`. Where nobody could tell what Microsoft does, the
likeliest is done and "guess" said on the spot.

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

from infra.local.partner_center.catalogue import Condition, Entry, member
from infra.local.partner_center.order_rules import GUID, Change, Refused, cancel, order_key, read_change, why_not
from infra.local.partner_center.refusals import Refusal
from infra.local.values import HttpAnswer, Json

BOM = b"\xef\xbb\xbf"
KEPT_ANSWERS = 20_000
LATER_S = 1.5  # how long the orders take that show their change later

# Dead since 2025-08-31, though Microsoft's own SDKs still ask for them.
GRAPH_AUDIENCES = frozenset(
    {"https://graph.windows.net", "https://graph.chinacloudapi.cn", "https://graph.cloudapi.de"}
)
ACCESS_DENIED = Refusal(401, "400", "Access denied.")
MFA_MISSING = Refusal(401, "900421", "The token has no MFA claim.")


@dataclass(frozen=True)
class Trust:
    """Whose tokens are taken, and for what."""

    public_key: RSAPublicKey
    audiences: frozenset[str]


@dataclass
class Held:
    """An order as it is now, and the *change* that does not show before *shows_at*."""

    entry: Entry
    order: Json
    change: Change | None = None
    shows_at: float = 0.0


class PartnerCenter:
    """The stand-in, as the ASGI app *app*. All partner tenants see the same orders.

    *app* takes tokens for *audiences* that *public_key* verifies; `front` makes another app on the
    same orders for the tokens of another cloud.

    *requests_per_minute* (0: no limit) and *replay* may be set at any time. *clock* gives seconds
    since 1970; only the expiry of tokens goes by the real time.
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
        self._answers: dict[tuple[str, str, str, str], HttpAnswer] = {}
        held = [Held(entry, deepcopy(entry.order)) for entry in orders]
        self._held = {order_key(member(one.order, "id")): one for one in held}
        self._by_alternate_id = {member(one.order, "alternateId"): one for one in held}
        self._customers = {
            one.entry.customer_tenant_id.lower() for one in held if one.entry.condition != Condition.NO_RELATIONSHIP
        }
        self.app = self.front(public_key, audiences)

    def front(self, public_key: RSAPublicKey, audiences: Collection[str]) -> Starlette:
        """Return an app that takes the tokens of one cloud."""
        trust = Trust(public_key, frozenset(audience.rstrip("/") for audience in audiences))
        route = "/v1/customers/{customer_id}/orders/{order_id}"
        return Starlette(routes=[Route(route, partial(self._respond, trust), methods=["GET", "PATCH"])])

    def order(self, order_id: str) -> Json | None:
        """Return a copy of the order with this id or alternateId, as it is now."""
        held = self._find(order_id)
        return deepcopy(held.order) if held else None

    def _find(self, order_id: str) -> Held | None:
        # Guess: an order answers to its alternateId too, as the newest sample of Microsoft's has it.
        held = self._held.get(order_key(order_id)) or self._by_alternate_id.get(order_id)
        if held and held.change and self._clock() >= held.shows_at:
            cancel(held.order, held.change)
            held.change = None
        return held

    async def _respond(self, trust: Trust, request: Request) -> Response:
        try:
            answer = self._admit(trust, request, await request.body())
        except Refused as refused:
            answer = _refusal_answer(refused.refusal)
        headers = {**_trace_headers(request.headers), **answer.headers}
        if answer.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(answer.body, answer.status, headers)

    def _admit(self, trust: Trust, request: Request, body: bytes) -> HttpAnswer:
        """Check token and rate, then answer, or repeat the answer that this MS-RequestId had."""
        tenant = _read_tenant(request.headers.get("authorization"), trust)
        if tenant not in self._tenants:
            raise Refused(Refusal(403, "1002", "Authorization failed."))  # Guess: the code.
        if wait_s := self._wait_s(tenant):
            return _throttled_answer(wait_s)

        request_id = request.headers.get("ms-requestid", "").lower()
        key = (tenant, request.method, request.url.path, request_id)
        if self.replay and request_id and key in self._answers:
            return self._answers[key]
        try:
            answer = self._answer(request, body, production=self._tenants[tenant] == "production")
        except Refused as refused:
            answer = _refusal_answer(refused.refusal)
        # Guess: MS-RequestId is called the key of idempotency, and no more is said. That refusals
        # are repeated too is the harder case for a client.
        if request_id and answer.status != 401:
            self._answers[key] = answer
            if len(self._answers) > KEPT_ANSWERS:
                del self._answers[next(iter(self._answers))]
        return answer

    def _wait_s(self, tenant: str) -> int:
        """Count a request, refused ones too, and return the seconds its tenant has to wait, or 0."""
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
        customer = request.path_params["customer_id"].lower()
        if not GUID.fullmatch(customer):
            raise Refused(Refusal(400, "800002", "The customer id is not a GUID."))
        if customer not in self._customers:
            raise Refused(Refusal(403, "20002", "No commerce relationship with the customer."))
        held = self._find(request.path_params["order_id"])
        if held is None or held.entry.customer_tenant_id.lower() != customer:
            raise Refused(Refusal(404, "20000", "The order was not found."))

        if request.method == "PATCH" and (change := read_change(body, held.order)):
            self._cancel(held, change, production=production)
            if held.entry.condition == Condition.ACCEPTED:
                return HttpAnswer(202, {"location": request.url.path}, b"")
        start = BOM if held.entry.condition == Condition.BOM else b""
        return _json_answer(200, held.order, start)

    def _cancel(self, held: Held, change: Change, *, production: bool) -> None:
        now = self._clock()
        if held.change:
            raise Refused(Refusal(409, "800060", "The order is in progress."))  # Guess: no document tells.
        if refusal := why_not(held.entry, held.order, production=production, now=datetime.fromtimestamp(now, UTC)):
            raise Refused(refusal)
        match held.entry.condition:
            case Condition.NEVER_CHANGES:
                pass
            case Condition.SHOWS_LATER | Condition.ACCEPTED:
                held.change, held.shows_at = change, now + LATER_S
            case _:
                cancel(held.order, change)


def _read_tenant(authorization: str | None, trust: Trust) -> str:
    """Return the partner tenant that the bearer token is of, in lower case. Raises Refused."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(Refusal(401, "800001", "The partner token is missing."))
    required = ["aud", "tid", "appid", "exp"]
    try:
        claims = jwt.decode(
            token.strip(), trust.public_key, algorithms=["RS256"], options={"verify_aud": False, "require": required}
        )
    except jwt.PyJWTError:
        raise Refused(ACCESS_DENIED) from None  # Guess: one code for all that is wrong with a token.
    audience = str(claims["aud"]).rstrip("/")
    if audience in GRAPH_AUDIENCES:
        raise Refused(Refusal(401, "900420", "Tokens for the old graph are no longer taken."))
    if audience not in trust.audiences:
        raise Refused(ACCESS_DENIED)
    if "scp" in claims and "mfa" not in claims.get("amr", ()):  # App+User; app-only is exempt
        raise Refused(MFA_MISSING)
    return str(claims["tid"]).lower()


def _trace_headers(sent: Headers) -> dict[str, str]:
    return {
        "MS-RequestId": sent.get("ms-requestid") or str(uuid4()),
        "MS-CorrelationId": sent.get("ms-correlationid") or str(uuid4()),
        "MS-CV": sent.get("ms-cv") or f"{uuid4().hex[:16]}.0",
        "MS-ServerId": "LOCAL0001",
        "X-Locale": sent.get("x-locale") or "en-US",
    }


def _json_answer(status: int, content: Json, start: bytes = b"") -> HttpAnswer:
    body = start + json.dumps(content).encode()
    return HttpAnswer(status, {"content-type": "application/json; charset=utf-8"}, body)


def _throttled_answer(wait_s: int) -> HttpAnswer:
    """Answer as the gateway does that stands before Partner Center (api-throttling-guidance)."""
    message = f"Rate limit is exceeded. Try again in {wait_s} seconds."
    answer = _json_answer(429, {"statusCode": 429, "message": message})
    return answer._replace(headers={**answer.headers, "retry-after": str(wait_s)})


def _refusal_answer(refusal: Refusal) -> HttpAnswer:
    match refusal.form:
        case "empty":
            return HttpAnswer(refusal.status, {}, b"")
        case "text":
            return HttpAnswer(refusal.status, {"content-type": "text/plain; charset=utf-8"}, refusal.words.encode())
        case "gateway":
            return _json_answer(refusal.status, {"statusCode": refusal.status, "message": refusal.words})
        case "json" | "bom":
            content: Json = {"code": refusal.code, "description": refusal.words, "data": [], "source": "PartnerFD"}
            return _json_answer(refusal.status, content, BOM if refusal.form == "bom" else b"")
