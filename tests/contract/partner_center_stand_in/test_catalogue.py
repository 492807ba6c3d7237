"""The built-in orders: each shows one behaviour."""

import re
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest

from infra.local.partner_center.catalogue import built_in_orders
from infra.local.partner_center.refusals import ODD_REFUSALS, REFUSALS
from tests.support.built_in_orders import built_in, built_in_short
from tests.support.partner_center import (
    LEGACY,
    NOW,
    ONE_LINE,
    PRODUCTION,
    SANDBOX,
    TWO_LINES,
    OpenPartnerCenter,
    bearer,
    cancel,
    path_of,
    status_and_code,
)

LEGACY_ADD_ON = str(uuid.uuid5(uuid.NAMESPACE_URL, "local/order/legacy-add-on"))
# The orders that are there for their subscriptions.
LICENCES = (
    *("licence", "licence-20-days-old", "licence-without-deadline", "licence-without-deadline-20-days-old"),
    *("licence-upgraded", "licence-202", "licence-pascal-case", "licence-next-term", "licence-trial"),
    *("licence-auto-renew-off", "licence-scheduled", "licence-scheduled-other-spelling", "licence-renewed"),
    *("licence-extended", "licence-suspended", "licence-suspended-by-microsoft", "licence-pending"),
    *("licence-deleted", "licence-expired", "licence-disabled", "licence-order-pending", "unknown-product-type"),
    *("licences-five", "licences-two-windows", "licence-and-add-on", "software-and-licence", "licence-linked"),
    *("licence-unnamed", "licence-twins", "licence-seats-added", "licence-seats-added-by"),
)
# The answer (status and code) to the cancellation of each order, in the sandbox and in production.
ANSWERS = {
    ONE_LINE: [(200, None), (200, None)],
    TWO_LINES: [(200, None), (200, None)],
    built_in("software-three-lines"): [(200, None), (200, None)],
    built_in("software-subscription"): [(200, None), (200, None)],
    built_in("cancelled-already"): [(400, "800061"), (400, "800061")],
    built_in("line-0-cancelled-already"): [(200, None), (200, None)],
    built_in("software-40-days-old"): [(200, None), (400, "900117")],
    built_in("software-70-days-old"): [(400, "900117"), (400, "900117")],
    built_in("subscription-10-days-old"): [(200, None), (400, "900117")],
    built_in("reservation"): [(200, None), (403, "800019")],
    built_in("savings-plan"): [(403, "900321"), (403, "900321")],
    "a68736758d9c": [(400, "800063"), (400, "800063")],
    "5cf72f146967": [(400, "800063"), (400, "800063")],
    LEGACY: [(400, "800063"), (400, "800063")],
    built_in("saas"): [(403, "800077"), (403, "800077")],
    built_in("saas-2021"): [(200, None), (403, "800019")],
    built_in("no-status-no-lines"): [(200, None), (200, None)],
    built_in("pascal-case"): [(200, None), (200, None)],
    built_in("begins-with-a-bom"): [(200, None), (200, None)],
    built_in("shows-later"): [(200, None), (200, None)],
    built_in("never-changes"): [(200, None), (200, None)],
    built_in("stranger"): [(403, "20002"), (403, "20002")],
    **{built_in(name): [(403, "800077")] * 2 for name in ("saas-10-days-old", "saas-trial", "saas-not-activated")},
    **{built_in_short(name): [(400, "800063")] * 2 for name in (*LICENCES, "azure-plan-empty")},
    LEGACY_ADD_ON: [(400, "800063"), (400, "800063")],
}


def test_every_built_in_order_has_its_answer(http: httpx.Client, open_partner_center: OpenPartnerCenter) -> None:
    entries = {entry.order.get("id") or entry.order["Id"]: entry for entry in built_in_orders(NOW) if not entry.refusal}
    del entries[built_in("accepted")]  # answers without a body; test_unusual_orders has it
    answers: dict[str, list[tuple[int, Any]]] = {order_id: [] for order_id in entries}
    for tenant in (SANDBOX, PRODUCTION):
        open_partner_center()
        for order_id, entry in entries.items():
            answers[order_id].append(status_and_code(cancel(http, order_id, entry.customer_tenant_id, tenant=tenant)))

    assert answers == ANSWERS


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)
def test_every_refusal_of_microsofts_table_has_its_order(http: httpx.Client, refusal: Any) -> None:
    order_id = built_in(f"refused-with-{refusal.code}")

    answer = cancel(http, order_id)

    assert status_and_code(answer) == (refusal.status, refusal.code)
    assert answer.json() == {"code": refusal.code, "description": refusal.message, "data": [], "source": "PartnerFD"}
    order = http.get(path_of(order_id), headers=bearer())
    assert (order.status_code, order.json()["status"]) == (200, "completed")


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("name", "status", "content_type", "body"),
    [
        ("a-code-of-0", 400, "application/json", rb'^\{"code": 0, '),
        ("a-numeric-code", 400, "application/json", rb'^\{"code": 900213, '),
        ("a-bom", 400, "application/json", rb'^\xef\xbb\xbf\{"code": "800096", '),
        ("plain-text", 401, "text/plain", rb"^Authentication failed.*\(10001\)$"),
        ("408-empty", 408, "", rb"^$"),
        ("412-empty", 412, "", rb"^$"),
        ("502-html", 502, "text/plain", rb"^<html>"),
        ("503-gateway", 503, "application/json", rb'^\{"statusCode": 503, "message": '),
        ("504-empty", 504, "", rb"^$"),
    ],
)
def test_a_refusal_can_have_another_form(
    http: httpx.Client, name: str, status: int, content_type: str, body: bytes
) -> None:
    answer = cancel(http, built_in(f"refused-with-{name}"))

    assert answer.status_code == status
    assert answer.headers.get("content-type", "").partition(";")[0] == content_type
    assert re.search(body, answer.content)
    assert name in ODD_REFUSALS


def test_ids_have_documented_forms_and_do_not_change_with_time() -> None:
    ids = [entry.order.get("id") or entry.order["Id"] for entry in built_in_orders(NOW)]

    assert len(set(ids)) == len(ids)
    for order_id in ids:
        assert re.fullmatch(r"[\w-]{32}1|[0-9a-f]{12}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", order_id, re.ASCII)
    later = [entry.order.get("id") or entry.order["Id"] for entry in built_in_orders(NOW + timedelta(days=400))]
    assert later == ids
