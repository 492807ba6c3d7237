"""The deployed shape: HTTP through Azure's own runtime to the whole local cloud, and back."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CUSTOMER
from tests.support.local_cloud import LocalCloud, running, software_order

SOFTWARE = "45411344-b09d-47e7-9653-542006bf9766"
AZURE = "b0d70a69-4c42-4b27-b17b-91a835d8686a"
MARKETPLACE = "28045616-f6b9-462f-9701-0d89b5e65c44"


def request(order_id: str, **more: Any) -> dict[str, Any]:
    return {"customerTenantId": CUSTOMER, "orderId": order_id} | more


def named(name: str) -> str:
    """Return the id of a built-in order, filled up as real ones are long."""
    return f"{name}-".ljust(32, "0") + "1"


def cancel(cloud: LocalCloud, customer: str, order_id: str, **more: Any) -> tuple[int, dict[str, Any]]:
    response = cloud.post({"customerTenantId": customer, "orderId": order_id} | more)
    return response.status_code, response.json()


def test_a_whole_order_costs_one_request_when_warm(cloud: LocalCloud, order_id: str) -> None:
    cloud.post(request(order_id, dryRun=True))
    cloud.forget()

    response = cloud.post(request(order_id, ticketId="ZD-1", reason="wrong edition"))

    answer = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (answer["outcome"], answer["cancelledLineItems"]) == ("cancelled", [0, 1, 2])
    assert cloud.order(order_id)["status"] == "cancelled"
    [patch] = cloud.requests()
    assert (patch["service"], patch["method"]) == ("partner_center", "PATCH")
    assert patch["path"] == f"/v1/customers/{CUSTOMER}/orders/{order_id}"
    assert patch["body"] == {"id": order_id, "status": "cancelled"}
    assert patch["headers"]["ms-requestid"] == answer["requestId"]
    assert patch["headers"]["ms-correlationid"] == answer["correlationId"]


def test_lines_cost_two_requests_and_no_other_line(cloud: LocalCloud, order_id: str) -> None:
    cloud.post(request(order_id, dryRun=True))
    cloud.forget()

    answer = cloud.post(request(order_id, lineItems=[{"lineItemNumber": 1}])).json()

    assert (answer["outcome"], answer["cancelledLineItems"]) == ("partially_cancelled", [1])
    assert [line["quantity"] for line in cloud.order(order_id)["lineItems"]] == [1, 0, 1]
    assert [one["method"] for one in cloud.requests()] == ["GET", "PATCH"]
    offer = cloud.order(order_id)["lineItems"][1]["offerId"]
    assert cloud.requests()[1]["body"]["lineItems"] == [{"lineItemNumber": 1, "offerId": offer}]


def test_one_order_asked_for_by_many_at_once_is_cancelled_once(cloud: LocalCloud, order_id: str) -> None:
    """A webhook that is delivered again before the first was answered."""
    with ThreadPoolExecutor(16) as callers:
        answers = list(callers.map(lambda _: cloud.post(request(order_id)).json(), range(16)))

    assert {answer["outcome"] for answer in answers} <= {"cancelled", "already_cancelled"}
    assert cloud.order(order_id)["status"] == "cancelled"


# Every row of the error table that an order or an account can bring about; before any of them is cancelled.
REFUSALS = [
    pytest.param(SOFTWARE, "no-such-order", "default", 404, "order_not_found", id="unknown-order"),
    pytest.param(AZURE, named("software-three-lines"), "default", 404, "order_not_found", id="another-customers-order"),
    pytest.param("0" * 8 + SOFTWARE[8:], "no-such-order", "default", 404, "customer_not_found", id="unknown-customer"),
    pytest.param(
        "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04", named("stranger"), "default", 404, "customer_not_found", id="20002"
    ),
    pytest.param(
        SOFTWARE, named("software-70-days-old"), "default", 422, "cancellation_window_passed", id="60-days-in-sandbox"
    ),
    pytest.param(
        SOFTWARE, named("software-70-days-old"), "production", 422, "cancellation_window_passed", id="30-days"
    ),
    pytest.param(
        SOFTWARE, named("subscription-10-days-old"), "production", 422, "cancellation_window_passed", id="7-days"
    ),
    pytest.param(SOFTWARE, named("refused-with-900213"), "default", 422, "cancellation_window_passed", id="72-hours"),
    pytest.param(SOFTWARE, named("refused-with-800061"), "default", 422, "not_cancellable", id="800061"),
    pytest.param(AZURE, named("savings-plan"), "default", 422, "not_cancellable", id="savings-plan"),
    pytest.param(
        AZURE, named("reservation"), "production", 422, "not_cancellable_in_production", id="reservation-in-production"
    ),
    pytest.param(MARKETPLACE, named("saas"), "default", 422, "use_subscription_cancel", id="saas-as-since-2022"),
    pytest.param(
        "f81d98dd-c2f4-499e-a194-5619e260344e", "5cf72f146967", "default", 422, "use_subscription_cancel", id="licence"
    ),
    pytest.param(AZURE, "a68736758d9c", "default", 422, "use_subscription_cancel", id="azure-plan"),
    pytest.param(
        AZURE, "eeba9d00-7b46-443a-917e-22887a8fc993", "default", 422, "use_subscription_cancel", id="legacy-licence"
    ),
    pytest.param(SOFTWARE, named("refused-with-900416"), "default", 422, "account_blocked", id="account-locked"),
    pytest.param(SOFTWARE, named("refused-with-800060"), "default", 503, "order_busy", id="in-progress"),
    pytest.param(SOFTWARE, named("refused-with-800014"), "default", 503, "order_busy", id="adjustment-pending"),
    pytest.param(SOFTWARE, named("refused-with-2032"), "default", 502, "credentials_rejected", id="role-missing"),
    pytest.param(SOFTWARE, named("refused-with-999999"), "default", 502, "unexpected_answer", id="unknown-code"),
    pytest.param(SOFTWARE, named("refused-with-3000"), "default", 502, "unexpected_answer", id="invalid-property"),
    pytest.param(SOFTWARE, named("refused-with-503-gateway"), "default", 503, "outcome_unknown", id="503"),
    pytest.param(SOFTWARE, named("software-three-lines"), "nowhere", 400, "unknown_account", id="no-such-account"),
    pytest.param(SOFTWARE, named("software-three-lines"), "closed", 403, "account_off", id="account-off"),
    pytest.param(AZURE, named("reservation"), "limited", 403, "customer_not_allowed", id="not-its-customer"),
    pytest.param(SOFTWARE, named("software-three-lines"), "expired", 502, "credentials_rejected", id="secret-expired"),
    pytest.param(SOFTWARE, named("software-three-lines"), "no-secret", 500, "misconfigured", id="secret-missing"),
    pytest.param(
        SOFTWARE, named("software-three-lines"), "unreachable", 503, "partner_center_unavailable", id="unreachable"
    ),
]


@pytest.mark.parametrize(("customer", "order_id", "account", "status", "code"), REFUSALS)
def test_what_is_refused(cloud: LocalCloud, customer: str, order_id: str, account: str, status: int, code: str) -> None:
    before = cloud.order(order_id)

    answer = cancel(cloud, customer, order_id, account=account)

    assert (answer[0], answer[1]["code"]) == (status, code)
    assert answer[1]["detail"]
    assert cloud.order(order_id) == before


# Built-in orders by what becomes of them: customer, order, account, outcome.
SUCCESSES = [
    pytest.param(SOFTWARE, named("software-subscription"), "default", "cancelled", id="software-subscription"),
    pytest.param(AZURE, named("reservation"), "default", "cancelled", id="reservation-in-sandbox"),
    pytest.param(MARKETPLACE, named("saas-2021"), "default", "cancelled", id="saas-in-sandbox-as-in-the-seeds"),
    pytest.param(SOFTWARE, named("software-40-days-old"), "default", "cancelled", id="40-days-old-in-sandbox"),
    pytest.param(SOFTWARE, named("cancelled-already"), "default", "already_cancelled", id="cancelled-already"),
    pytest.param(SOFTWARE, named("line-0-cancelled-already"), "production", "cancelled", id="rest-of-an-order"),
    pytest.param(SOFTWARE, named("pascal-case"), "default", "cancelled", id="pascal-case"),
    pytest.param(SOFTWARE, named("begins-with-a-bom"), "default", "cancelled", id="bom"),
    pytest.param(SOFTWARE, named("no-status-no-lines"), "default", "cancelled", id="no-status-no-lines"),
    pytest.param(SOFTWARE, named("shows-later"), "default", "pending", id="shows-later"),
    pytest.param(SOFTWARE, named("accepted"), "default", "pending", id="202"),
    pytest.param(SOFTWARE, named("never-changes"), "default", "pending", id="never-changes"),
]


@pytest.mark.parametrize(("customer", "order_id", "account", "outcome"), SUCCESSES)
def test_what_can_be_cancelled(cloud: LocalCloud, customer: str, order_id: str, account: str, outcome: str) -> None:
    status, answer = cancel(cloud, customer, order_id, account=account)

    assert (status, answer["outcome"], answer["account"]) == (200, outcome, account)


def test_every_built_in_order_is_answered_as_the_contract_says(cloud: LocalCloud) -> None:
    """Whatever Partner Center does to an order: a known outcome or a known code, never a bug."""
    orders = [order for order in cloud.description["orders"] if order["customerTenantId"] != CUSTOMER]
    with ThreadPoolExecutor(16) as callers:
        answers = callers.map(lambda order: cancel(cloud, order["customerTenantId"], order["orderId"]), orders)
        for order, (status, answer) in zip(orders, answers, strict=True):
            assert status in {200, 404, 422, 502, 503}, order
            assert answer.get("code") not in {"internal_error", "misconfigured"}, order


def test_a_pending_cancellation_shows_by_a_later_dry_run(cloud: LocalCloud) -> None:
    cancel(cloud, SOFTWARE, named("shows-later"))
    for _ in range(200):
        _, answer = cancel(cloud, SOFTWARE, named("shows-later"), dryRun=True)
        if answer["status"] == "cancelled":
            break

    assert answer["status"] == "cancelled"
    assert (answer["outcome"], answer["cancelledLineItems"]) == ("dry_run", [])


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"x_functions_key": "wrong"}, 401), ({"x_functions_key": ""}, 401)],
    ids=["wrong-key", "no-key"],
)
def test_the_function_key_is_the_first_door(cloud: LocalCloud, headers: dict[str, str], status: int) -> None:
    response = cloud.post(request("some-order"), **headers)

    assert (response.status_code, response.content) == (status, b"")
    assert cloud.requests() == []


def test_a_chunked_body_is_told_from_an_empty_one_by_words(cloud: LocalCloud) -> None:
    """Azure's host drops a chunked body; a caller must learn why."""
    response = cloud.http.post(
        cloud.description["functionUrl"],
        content=iter([b'{"customerTenantId": ', b'"x"}']),
        headers={"x-functions-key": cloud.description["functionKey"], "content-type": "application/json"},
    )

    assert (response.status_code, response.json()["code"]) == (400, "invalid_json")
    assert "chunked" in response.json()["detail"]


def test_nothing_but_post_and_get_is_served(cloud: LocalCloud) -> None:
    key = {"x-functions-key": cloud.description["functionKey"]}

    for method in ("PUT", "PATCH", "DELETE"):
        assert cloud.http.request(method, cloud.description["functionUrl"], headers=key).status_code == 404


def test_get_tells_of_every_account(tmp_path: Path) -> None:
    with running(tmp_path) as cloud:
        key = {"x-functions-key": cloud.description["functionKey"]}
        response = cloud.http.get(cloud.description["functionUrl"], headers=key)
        keyless = cloud.http.get(cloud.description["functionUrl"])

    assert keyless.status_code == 401
    assert (response.status_code, response.json()["healthy"]) == (503, False)  # some are broken on purpose
    accounts = response.json()["accounts"]
    assert accounts.keys() == cloud.description["accounts"].keys()
    assert accounts["default"]["healthy"]
    assert accounts["expired"]["code"] == "credentials_rejected"
    for account in cloud.description["accounts"].values():
        for secret in ("clientSecret", "refreshToken", "certificate"):
            assert (account.get(secret) or "nothing") not in response.text


def test_an_order_from_a_file_is_answered_in_one_shape(cloud: LocalCloud, order_id: str) -> None:
    """One schema serves a flow maker for every product and every generation of order."""
    _, whole = cancel(cloud, CUSTOMER, order_id, dryRun=True)
    _, pascal = cancel(cloud, SOFTWARE, named("pascal-case"), dryRun=True)
    _, bare = cancel(cloud, SOFTWARE, named("no-status-no-lines"), dryRun=True)

    assert whole.keys() == pascal.keys() == bare.keys()
    assert whole["lineItems"][0].keys() == pascal["lineItems"][0].keys()
    assert software_order(order_id, CUSTOMER, lines=3)["lineItems"][2]["offerId"] == whole["lineItems"][2]["offerId"]


def test_nothing_went_wrong_in_the_log(cloud: LocalCloud) -> None:
    log = cloud.log.read_text()

    assert "Traceback" not in log
    assert " ERROR " not in log
