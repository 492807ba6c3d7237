"""Ids, tokens and requests for the tests of the Partner Center stand-in."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.local.partner_center.entries import Entry
from infra.local.partner_center.files import load_orders
from infra.local.partner_center.server import PartnerCenter
from tests.support.built_in_orders import LICENCE_CUSTOMER
from tests.support.local_cloud import ROOT, Json

SAMPLES = ROOT / "tests/samples"
SANDBOX, PRODUCTION = "5b0d70a6-0000-4000-8000-000000000001", "5b0d70a6-0000-4000-8000-000000000002"
AUDIENCE = "https://api.partnercenter.microsoft.com"

# Orders of the catalogue, with their customers.
ONE_LINE, ONE_LINE_CUSTOMER = "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1", "bd59b416-37f9-4d8f-8df3-5750111fc615"
TWO_LINES, CUSTOMER = "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1", "45411344-b09d-47e7-9653-542006bf9766"
LEGACY, AZURE_CUSTOMER = "eeba9d00-7b46-443a-917e-22887a8fc993", "b0d70a69-4c42-4b27-b17b-91a835d8686a"
SQL, CAL = "DG7GMGF0FKZV:0003:DG7GMGF0DWMS", "DG7GMGF0DVT7:000C:DG7GMGF0FVZM"  # the offers of TWO_LINES
FIRST_LINE = {"lineItemNumber": 0, "offerId": SQL}

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

type OpenPartnerCenter = Callable[..., PartnerCenter]


def token_for(tenant: str = SANDBOX, *, key: rsa.RSAPrivateKey = KEY, **claims: Any) -> str:
    """Return an app-only token of *tenant*. *claims* replace those of a valid one."""
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    return jwt.encode({"aud": AUDIENCE, "tid": tenant, "appid": "app", "exp": expires_at} | claims, key, "RS256")


def bearer(tenant: str = SANDBOX, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_for(tenant)}"} | headers


def path_of(order_id: str, customer: str = CUSTOMER) -> str:
    return f"/v1/customers/{customer}/orders/{order_id}"


def subscription_path(subscription_id: str, customer: str) -> str:
    return f"/v1/customers/{customer}/subscriptions/{subscription_id}"


def sample(name: str) -> Json:
    """Return one of Microsoft's samples, like `subscriptions/savings-plan`."""
    content: Json = json.loads((SAMPLES / f"{name}.json").read_bytes())
    return content


def cancel(
    http: httpx.Client,
    order_id: str,
    customer: str = CUSTOMER,
    *,
    body: Json | None = None,
    tenant: str = SANDBOX,
    request_id: str = "",
) -> httpx.Response:
    """Cancel the whole order, or send *body*."""
    content = {"id": order_id, "status": "cancelled"} if body is None else body
    headers = bearer(tenant, **{"MS-RequestId": request_id or str(uuid4())})
    return http.patch(path_of(order_id, customer), json=content, headers=headers)


def status_and_code(response: httpx.Response) -> tuple[int, Any]:
    """Return the status and Partner Center's code, which is None for an order."""
    return response.status_code, json.loads(response.content).get("code")


def change(
    http: httpx.Client,
    subscription_id: str,
    customer: str = LICENCE_CUSTOMER,
    *,
    tenant: str = SANDBOX,
    request_id: str = "",
    **members: object,
) -> httpx.Response:
    """Read a subscription and send it back whole, with *members* instead of its own."""
    path = subscription_path(subscription_id, customer)
    whole = http.get(path, headers=bearer(tenant)).json()
    headers = bearer(tenant, **{"MS-RequestId": request_id or str(uuid4())})
    return http.patch(path, json=whole | members, headers=headers)


def quantities(order: Json | None) -> list[int]:
    assert order
    return [line["quantity"] for line in order["lineItems"]]


def load_two_lines(folder: Path, order_id: str) -> list[Entry]:
    """Load Microsoft's order of two lines from a file in *folder*, before any cancellation, as *order_id*."""
    order = json.loads((SAMPLES / "orders/software-multiline-partial-cancel-response.json").read_bytes())
    order["id"] = order_id
    order["lineItems"][0]["quantity"] = 1
    (folder / "order.json").write_text(json.dumps(order))
    return load_orders(folder)
