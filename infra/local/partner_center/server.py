"""Partner Center's stand-in: the doors in front of the orders and subscriptions, and the form of the answers.

This module checks tokens, throttles, repeats answers, and finds the customer. The contents are in `orders` and
`subscriptions`, the effects of a PATCH in `order_rules` and `subscription_rules`. "Guess" marks the places that no
document describes; there the stand-in does the likeliest.

Source: learn.microsoft.com/partner-center/developer/ headers, error-codes, order-resources, subscription-resources,
update-a-subscription-by-id, api-throttling-guidance, deprecate-azure-active-directory-graph-token,
partner-center-authentication (MFA for App+User since 2026-04-01; read 2026-11-21), get-all-of-a-customer-s-orders,
get-a-list-of-orders-by-customer-and-billing-cycle-type (read 2026-11-28).
"""

import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
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

from infra.local.partner_center.entries import Behaviour, Entry, SubscriptionEntry
from infra.local.partner_center.members import GUID, member
from infra.local.partner_center.order_rules import read_cancellation
from infra.local.partner_center.orders import Orders
from infra.local.partner_center.pages import TOKEN_HEADER, collection, page_of
from infra.local.partner_center.refusals import Refusal, Refused
from infra.local.partner_center.subscriptions import Subscriptions
from infra.local.values import HttpAnswer, Json

BOM = b"\xef\xbb\xbf"
KEPT_ANSWERS = 20_000
LATE_READS = "infra.local.late_reads"  # the key in a request's scope for the reads that show the state before

# Partner Center has refused them since 2025-08-31, though Microsoft's own SDKs still request them.
GRAPH_AUDIENCES = frozenset(
    {"https://graph.windows.net", "https://graph.chinacloudapi.cn", "https://graph.cloudapi.de"}
)
# BillingCycleType, without underscores: the page of the list has `onetime`, the resource `one_time`.
BILLING_TYPES = frozenset({"unknown", "monthly", "annual", "none", "onetime", "biennial", "triennial"})

ACCESS_DENIED = Refusal(401, "400", "Access denied.")
MFA_MISSING = Refusal(401, "900421", "The token has no MFA claim.")


@dataclass(frozen=True)
class TokenPolicy:
    """Accepts the tokens that *public_key* verifies and that are for one of *audiences*."""

    public_key: RSAPublicKey
    audiences: frozenset[str]


@dataclass(frozen=True)
class Inquiry:
    """A request with its whole body, and the kind of tenant that sent it."""

    request: Request
    body: bytes
    production: bool

    @property
    def customer(self) -> str:
        return str(self.request.path_params["customer_id"]).lower()


type Answer = Callable[[Inquiry], HttpAnswer]


class PartnerCenter:
    """The orders and subscriptions, and the ASGI app in front of them. All partner tenants see the same ones.

    *app* accepts tokens for *audiences* that *public_key* verifies. `app_for` makes another app in front of the
    same contents, for the tokens of another national cloud.

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
        subscriptions: Iterable[SubscriptionEntry] = (),
        replay: bool = True,
        requests_per_minute: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.replay = replay
        self.requests_per_minute = requests_per_minute
        self.subscriptions = Subscriptions(subscriptions, clock)
        self.orders = Orders(orders, self.subscriptions, clock)
        self._customers = self.orders.customers | self.subscriptions.customers
        self._tenants = {tenant.lower(): kind for tenant, kind in tenants.items()}
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        self._answers: dict[tuple[str, str, str], HttpAnswer] = {}
        self.app = self.app_for(public_key, audiences)

    def app_for(self, public_key: RSAPublicKey, audiences: Collection[str]) -> Starlette:
        """Return an app that accepts the tokens of one national cloud."""
        policy = TokenPolicy(public_key, frozenset(audience.rstrip("/") for audience in audiences))
        customer = "/v1/customers/{customer_id}"
        return Starlette(
            routes=[
                Route(path, partial(self._respond, policy, answer), methods=methods)
                for path, answer, methods in (
                    (f"{customer}/orders", self._answer_orders, ["GET"]),
                    (f"{customer}/orders/{{order_id}}", self._answer_order, ["GET", "PATCH"]),
                    (f"{customer}/subscriptions", self._answer_subscriptions, ["GET"]),
                    (f"{customer}/subscriptions/{{subscription_id}}", self._answer_subscription, ["GET", "PATCH"]),
                )
            ]
        )

    def order(self, order_id: str) -> Json | None:
        """Return a copy of the order with this id or alternateId in its present state, or None."""
        stored = self.orders.find(order_id)
        return deepcopy(stored.order) if stored else None

    async def _respond(self, policy: TokenPolicy, answer_with: Answer, request: Request) -> Response:
        try:
            answer = self._admit(policy, request, await request.body(), answer_with)
        except Refused as refused:
            answer = _refusal_answer(refused.refusal)
        headers = {**_trace_headers(request.headers), **answer.headers}
        if answer.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(answer.body, answer.status, headers)

    def _admit(self, policy: TokenPolicy, request: Request, body: bytes, answer_with: Answer) -> HttpAnswer:
        """Check the token and the rate. Then answer, or repeat the earlier answer to the same MS-RequestId."""
        tenant = _read_tenant(request.headers.get("authorization"), policy)
        if tenant not in self._tenants:
            raise Refused(Refusal(403, "1002", "Authorization failed."))  # Guess: the code.
        if wait_s := self._count_request(tenant):
            return _throttled_answer(wait_s)

        request_id = request.headers.get("ms-requestid", "").lower()
        # Guess: the method is no part of it, so a GET with the id of a PATCH gets the PATCH's old answer. That is
        # harder for a client.
        key = (tenant, f"{request.url.path}?{request.url.query}", request_id)
        if self.replay and request_id and key in self._answers:
            return self._answers[key]
        try:
            inquiry = Inquiry(request, body, production=self._tenants[tenant] == "production")
            answer = self._answer(inquiry, answer_with)
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

    def _answer(self, inquiry: Inquiry, answer: Answer) -> HttpAnswer:
        request = inquiry.request
        if request.method == "PATCH" and not _is_json(request.headers.get("content-type")):
            # Microsoft's SDKs send it. Guess: the form of the answer.
            raise Refused(Refusal(415, "", "The request's Content-Type is not supported.", "gateway"))
        if not GUID.fullmatch(inquiry.customer):
            raise Refused(Refusal(400, "800002", "The customer id is not a GUID."))
        if inquiry.customer not in self._customers:
            raise Refused(Refusal(403, "20002", "No commerce relationship with the customer."))
        return answer(inquiry)

    def _answer_order(self, inquiry: Inquiry) -> HttpAnswer:
        request = inquiry.request
        stored = self.orders.of_customer(inquiry.customer, request.path_params["order_id"])
        if request.method == "PATCH" and (cancellation := read_cancellation(inquiry.body, stored.order)):
            self.orders.cancel(stored, cancellation, production=inquiry.production)
            if stored.entry.behaviour == Behaviour.ACCEPTED:
                return _accepted_answer(request)
        prefix = BOM if stored.entry.behaviour == Behaviour.BOM else b""
        return _json_answer(200, stored.order, prefix)

    def _answer_orders(self, inquiry: Inquiry) -> HttpAnswer:
        """Answer with a page of a customer's orders, or of those with the billing cycle in `billingType`.

        totalCount is the number of items on the page, as in Microsoft's samples of lists that have more pages.
        Guesses: that; the code for an unknown billing cycle; a page with an order whose answers begin with a byte
        order mark begins with one, too. `indirectResellerId` is ignored.
        """
        request = inquiry.request
        found = self.orders.all_of_customer(inquiry.customer)
        if (billing_type := request.query_params.get("billingType")) is not None:
            if _plain(billing_type) not in BILLING_TYPES:
                raise Refused(Refusal(400, "900126", "The billing type is unknown."))
            cycle = _plain(billing_type)
            found = [stored for stored in found if _plain(str(member(stored.order, "billingCycle"))) == cycle]
        page = page_of(found, _uri(request), request.headers.get(TOKEN_HEADER))
        content = collection([stored.order for stored in page.items], page.links, len(page.items))
        has_bom = any(stored.entry.behaviour == Behaviour.BOM for stored in page.items)
        return _json_answer(200, content, BOM if has_bom else b"")

    def _answer_subscription(self, inquiry: Inquiry) -> HttpAnswer:
        request, subscription_id = inquiry.request, inquiry.request.path_params["subscription_id"]
        if request.method == "PATCH":
            # A fault asks for late reads; see `infra.local.traffic`.
            late_reads = request.scope.get(LATE_READS, 0)
            changed = self.subscriptions.patch(inquiry.customer, subscription_id, inquiry.body, late_reads=late_reads)
            return _accepted_answer(request) if changed is None else _json_answer(200, changed)
        return _json_answer(200, self.subscriptions.read(inquiry.customer, subscription_id))

    def _answer_subscriptions(self, inquiry: Inquiry) -> HttpAnswer:
        """Answer with a customer's subscriptions, or with those of the order in `order_id`.

        Guesses: an order is named by its alternateId, too, and an unknown or empty one has no subscriptions.
        """
        request = inquiry.request
        order_ids: list[str] | None = None
        if (order_id := request.query_params.get("order_id")) is not None:
            stored = self.orders.find(order_id)
            order_ids = stored.ids if stored and stored.customer == inquiry.customer else [order_id]
        token = request.headers.get(TOKEN_HEADER)
        return _json_answer(200, self.subscriptions.list_page(inquiry.customer, order_ids, _uri(request), token))


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


def _uri(request: Request) -> str:
    """Return the request's path and query as links have them, without `/v1`."""
    return request.url.path.removeprefix("/v1") + (f"?{request.url.query}" if request.url.query else "")


def _plain(billing_type: str) -> str:
    return billing_type.replace("_", "").lower()


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


def _accepted_answer(request: Request) -> HttpAnswer:
    """Return 202 with the path of the same resource. Guess: its form, and that an order is answered so, too."""
    return HttpAnswer(202, {"location": request.url.path}, b"")


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
