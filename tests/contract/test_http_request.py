"""Requests that the function refuses without asking another service, and the headers that it reads."""

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

REFUSED: dict[str, tuple[object, int, str]] = {
    "broken-json": (b"{", 400, "invalid_json"),
    "empty-object": ({}, 400, "invalid_request"),
    "account-unknown": (
        {"customerTenantId": CUSTOMER, "orderId": "some-order", "account": "nowhere"},
        400,
        "unknown_account",
    ),
    "account-off": ({"customerTenantId": CUSTOMER, "orderId": "some-order", "account": "closed"}, 403, "account_off"),
    "customer-of-another-account": (
        {"customerTenantId": CUSTOMER, "orderId": "some-order", "account": "limited"},
        403,
        "customer_not_allowed",
    ),
    "over-64-kib": (b" " * 70_000, 413, "body_too_large"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_request_reaches_no_other_service(app: App, cloud: LocalCloud, name: str) -> None:
    body, status, code = REFUSED[name]

    answer = await app.post(body)

    assert answer.status == status
    assert answer.code == code
    assert cloud.requests() == []


async def test_another_media_type_is_refused(app: App) -> None:
    answer = await app.post({}, content_type="text/xml")

    assert answer.status == 415
    assert answer.code == "unsupported_media_type"


async def test_with_several_accounts_and_no_default_the_request_must_name_one(
    settings: Settings, cloud: LocalCloud
) -> None:
    accounts = {name: account for name, account in settings.accounts.items() if name != "default"}

    async with Runtime(settings.model_copy(update={"accounts": accounts})) as runtime:
        answer = await App(runtime).post({"customerTenantId": CUSTOMER, "orderId": "some-order"})

    assert answer.code == "unknown_account"
    assert cloud.requests() == []


async def test_a_single_account_need_not_be_named(settings: Settings, cloud: LocalCloud) -> None:
    accounts = {"production": settings.accounts["production"]}

    async with Runtime(settings.model_copy(update={"accounts": accounts})) as runtime:
        answer = await App(runtime).post({"customerTenantId": CUSTOMER, "orderId": "some-order"})

    assert answer.code == "order_not_found"
    assert cloud.requests("partner_center")


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [("wait=5", "wait=5"), ("wait=0", "wait=1"), ("wait=5000", "wait=100"), ("wait=x", None), ("", None)],
)
async def test_the_preferred_wait_is_clamped_and_confirmed(app: App, prefer: str, applied: str | None) -> None:
    answer = await app.post({}, prefer=prefer)

    assert answer.headers.get("Preference-Applied") == applied
