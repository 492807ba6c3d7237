"""The orders that can be cancelled in the sandbox and in production, and their time limits."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from infra.local.partner_center.entries import Entry, ProductKind
from infra.local.partner_center.order_rules import PRODUCTS
from tests.support.partner_center import CUSTOMER, NOW, PRODUCTION, SANDBOX, OpenPartnerCenter, cancel, status_and_code


def order_of_age(kind: str, **age: float) -> Entry:
    """Return an order of this kind of product, as old as *age*, the arguments of timedelta."""
    order = {
        "id": "AGED",
        "creationDate": f"{NOW - timedelta(**age):%Y-%m-%dT%H:%M:%S}.1335741Z",
        "lineItems": [{"lineItemNumber": 0, "quantity": 1}],
    }
    return Entry(order, CUSTOMER, kind, "")


@pytest.mark.parametrize(
    ("kind", "sandbox", "production"),
    [
        (ProductKind.SOFTWARE, (200, None), (200, None)),
        (ProductKind.SOFTWARE_SUBSCRIPTION, (200, None), (200, None)),
        (ProductKind.RESERVATION, (200, None), (403, "800019")),
        (ProductKind.SAAS, (403, "800077"), (403, "800077")),
        (ProductKind.SAAS_2021, (200, None), (403, "800019")),
        (ProductKind.LICENCE, (400, "800063"), (400, "800063")),
        (ProductKind.LEGACY_LICENCE, (400, "800063"), (400, "800063")),
        (ProductKind.AZURE_PLAN, (400, "800063"), (400, "800063")),
        (ProductKind.SAVINGS_PLAN, (403, "900321"), (403, "900321")),
    ],
)
def test_a_product_can_be_cancelled_where_microsofts_table_says_so(
    http: httpx.Client,
    open_partner_center: OpenPartnerCenter,
    kind: ProductKind,
    sandbox: tuple[int, Any],
    production: tuple[int, Any],
) -> None:
    for tenant, expected in ((SANDBOX, sandbox), (PRODUCTION, production)):
        partner_center = open_partner_center([order_of_age(kind, days=1)])

        assert status_and_code(cancel(http, "AGED", tenant=tenant)) == expected

        stored = partner_center.order("AGED")
        assert stored
        assert stored.get("status") == ("cancelled" if expected[0] == 200 else None)
    assert set(PRODUCTS) == set(ProductKind)


@pytest.mark.parametrize(
    ("entry", "tenant", "days"),
    [
        pytest.param(order_of_age(ProductKind.SOFTWARE, days=59), SANDBOX, None, id="sandbox, 59 days"),
        pytest.param(order_of_age(ProductKind.SOFTWARE, days=60, minutes=1), SANDBOX, 60, id="sandbox, over 60 days"),
        pytest.param(order_of_age(ProductKind.RESERVATION, days=61), SANDBOX, 60, id="sandbox, reservation"),
        pytest.param(order_of_age(ProductKind.SOFTWARE, days=29), PRODUCTION, None, id="production, 29 days"),
        pytest.param(
            order_of_age(ProductKind.SOFTWARE, days=30, minutes=1), PRODUCTION, 30, id="production, over 30 days"
        ),
        pytest.param(
            order_of_age(ProductKind.SOFTWARE_SUBSCRIPTION, days=6), PRODUCTION, None, id="subscription, 6 days"
        ),
        pytest.param(
            order_of_age(ProductKind.SOFTWARE_SUBSCRIPTION, days=8), PRODUCTION, 7, id="subscription, over 7 days"
        ),
    ],
)
def test_an_order_can_be_cancelled_until_its_window_ends(
    http: httpx.Client, open_partner_center: OpenPartnerCenter, entry: Entry, tenant: str, days: int | None
) -> None:
    open_partner_center([entry])

    answer = cancel(http, "AGED", tenant=tenant)

    assert status_and_code(answer) == ((400, "900117") if days else (200, None))
    if days:
        assert f"{days}-day" in answer.json()["description"]
