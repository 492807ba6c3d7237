"""Clients that others wrote.

They are `partnercenterservices`, generated from Microsoft's own description of the API, and requests recorded from
it and from Microsoft's .NET and Java SDKs.
"""

import json
import ssl
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.partner_center.entries import SubscriptionEntry
from infra.local.partner_center.server import PartnerCenter
from tests.support.built_in_orders import LICENCE_CUSTOMER, subscription_of
from tests.support.local_cloud import Json
from tests.support.partner_center import (
    AZURE_CUSTOMER,
    CAL,
    CUSTOMER,
    LEGACY,
    NOW,
    ONE_LINE,
    ONE_LINE_CUSTOMER,
    SAMPLES,
    SQL,
    TWO_LINES,
    OpenPartnerCenter,
    bearer,
    load_two_lines,
    quantities,
    sample,
    status_and_code,
    token_for,
)

with warnings.catch_warnings():
    # These packages still use the namespace packages of setuptools.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", DeprecationWarning)
    warnings.filterwarnings("ignore", "Deprecated call to `pkg_resources.declare_namespace", DeprecationWarning)
    from microsoft.store.partnercenterservices import MicrosoftPartnerStoreApis
    from microsoft.store.partnercenterservices.models import (
        MicrosoftPartnerSdkContractsV1Order,
        MicrosoftPartnerSdkContractsV1OrderLineItem,
    )
    from msrest.authentication import BasicTokenAuthentication

RECORDED = sorted(file.stem for file in (SAMPLES / "sdk-requests").glob("*.json"))
LICENCE = sample("subscriptions/nce-seat-active-refundable")
OF_SAMPLE = "d8202a51-69f9-4228-b900-d0e081af17d7"  # the customer in the recorded requests


def read_recorded(name: str) -> list[Json]:
    requests: list[Json] = json.loads((SAMPLES / f"sdk-requests/{name}.json").read_bytes())
    return requests


def send_all(http: httpx.Client, requests: list[Json]) -> httpx.Response:
    """Send *requests* with a token of this Partner Center's. Each is answered 200; return the last answer."""
    for request in requests:
        response = http.request(
            request["method"],
            request["path"],
            headers=request["headers"] | bearer(),
            content=json.dumps(request["body"]) if request["body"] else None,
        )
        assert response.status_code == 200
    return response


@pytest.fixture
def generated_client(tls_server: Any) -> Any:
    client = MicrosoftPartnerStoreApis(BasicTokenAuthentication({"access_token": token_for()}), tls_server.url)
    client.config.connection.verify = tls_server.ca_file
    client.config.retry_policy.retries = 0
    return client


@pytest.mark.usefixtures("partner_center")
def test_the_generated_client_reads_an_order(generated_client: Any) -> None:
    order = generated_client.getvversioncustomerscustomer.id5(CUSTOMER, TWO_LINES, version="1")

    assert (order.id, order.reference_customer_id, order.status) == (TWO_LINES, CUSTOMER, "completed")
    assert [(line.line_item_number, line.offer_id, line.quantity) for line in order.line_items] == [
        (0, SQL, 1),
        (1, CAL, 1),
    ]
    assert order.creation_date.date() == (NOW - timedelta(days=2)).date()


def test_the_generated_client_cancels_an_order(partner_center: PartnerCenter, generated_client: Any) -> None:
    order = MicrosoftPartnerSdkContractsV1Order(id=ONE_LINE, status="cancelled")

    answer = generated_client.patchvversioncustomerscustomer.id3(ONE_LINE_CUSTOMER, ONE_LINE, order, version="1")

    assert answer.status == "cancelled"
    assert [line.quantity for line in answer.line_items] == [1]
    stored = partner_center.order(ONE_LINE)
    assert stored
    assert stored["status"] == "cancelled"


def test_the_generated_client_cancels_one_line(partner_center: PartnerCenter, generated_client: Any) -> None:
    line = MicrosoftPartnerSdkContractsV1OrderLineItem(line_item_number=0, offer_id=SQL)
    order = MicrosoftPartnerSdkContractsV1Order(id=TWO_LINES, status="cancelled", line_items=[line])

    answer = generated_client.patchvversioncustomerscustomer.id3(CUSTOMER, TWO_LINES, order, version="1")

    assert (answer.status, [line.quantity for line in answer.line_items]) == ("completed", [0, 1])
    assert quantities(partner_center.order(TWO_LINES)) == [0, 1]


def test_the_generated_client_cancels_by_sending_the_whole_order_back(
    partner_center: PartnerCenter, generated_client: Any
) -> None:
    order = generated_client.getvversioncustomerscustomer.id5(CUSTOMER, TWO_LINES, version="1")
    order.status = "cancelled"

    answer = generated_client.patchvversioncustomerscustomer.id3(CUSTOMER, TWO_LINES, order, version="1")

    assert (answer.status, [line.quantity for line in answer.line_items]) == ("cancelled", [0, 0])
    assert quantities(partner_center.order(TWO_LINES)) == [0, 0]


@pytest.mark.parametrize("name", [name for name in RECORDED if "subscription" not in name])
def test_a_recorded_request_of_microsofts_sdks_cancels_the_right_lines(
    http: httpx.Client, open_partner_center: OpenPartnerCenter, tmp_path: Path, name: str
) -> None:
    recorded = read_recorded(name)
    order_id = recorded[-1]["path"].rpartition("/")[2]
    partner_center = open_partner_center(load_two_lines(tmp_path, order_id))

    response = send_all(http, recorded)

    expected = ("completed", [0, 1]) if "one_line" in name else ("cancelled", [0, 0])
    answer = response.json()
    assert (answer["status"], quantities(answer)) == expected
    assert answer == partner_center.order(order_id)


@pytest.mark.usefixtures("partner_center")
def test_the_generated_client_lists_the_orders_of_a_customer(generated_client: Any) -> None:
    found = generated_client.getvversioncustomerscustomer.value7(AZURE_CUSTOMER, version="1")

    by_hand = httpx.get(
        f"{generated_client.config.base_url}/v1/customers/{AZURE_CUSTOMER}/orders",
        headers=bearer(),
        verify=ssl.create_default_context(cafile=generated_client.config.connection.verify),
    ).json()
    assert [order.id for order in found.items] == [order["id"] for order in by_hand["items"]]
    assert {order.reference_customer_id for order in found.items} == {AZURE_CUSTOMER}
    assert found.total_count == len(found.items)


@pytest.mark.usefixtures("partner_center")
def test_the_generated_client_lists_the_orders_with_a_billing_cycle(generated_client: Any) -> None:
    found = generated_client.getvversioncustomerscustomer.value7(AZURE_CUSTOMER, version="1", billing_type="monthly")

    assert LEGACY in [order.id for order in found.items]
    assert {order.billing_cycle for order in found.items} == {"monthly"}


@pytest.fixture
def licence(open_partner_center: OpenPartnerCenter) -> PartnerCenter:
    """A Partner Center with the licence of the recorded requests, which can be cancelled at any age."""
    return open_partner_center([], [SubscriptionEntry(LICENCE, OF_SAMPLE, "", has_window=False)])


@pytest.mark.usefixtures("licence")
def test_the_generated_client_reads_a_subscription(generated_client: Any) -> None:
    subscription = generated_client.getvversioncustomerscustomer.id6(OF_SAMPLE, LICENCE["id"], version="1")

    assert (subscription.id, subscription.status, subscription.quantity) == (LICENCE["id"], "active", 1)
    assert (subscription.auto_renew_enabled, subscription.order_id) == (True, "34b37d7340cc")


@pytest.mark.usefixtures("licence")
def test_the_generated_client_finds_the_subscriptions_of_an_order(generated_client: Any) -> None:
    found = generated_client.getvversioncustomerscustomer.value9(OF_SAMPLE, version="1", order_id="34b37d7340cc")

    assert [subscription.id for subscription in found.items] == [LICENCE["id"]]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("status", "deleted", {"status": "deleted"}),
        ("auto_renew_enabled", False, {"autoRenewEnabled": False}),
        ("friendly_name", "Sales", {"friendlyName": "Sales"}),
    ],
)
def test_the_generated_client_changes_a_subscription_by_sending_it_back(
    licence: PartnerCenter, generated_client: Any, name: str, value: object, expected: dict[str, object]
) -> None:
    subscription = generated_client.getvversioncustomerscustomer.id6(OF_SAMPLE, LICENCE["id"], version="1")
    setattr(subscription, name, value)

    answer = generated_client.patchvversioncustomerscustomer.id4(OF_SAMPLE, LICENCE["id"], subscription, version="1")

    assert getattr(answer, name) == value
    assert licence.subscriptions.now(LICENCE["id"]) == LICENCE | expected


@pytest.mark.parametrize("name", [name for name in RECORDED if "subscription" in name])
def test_a_recorded_request_of_microsofts_sdks_has_the_documented_effect(
    http: httpx.Client, licence: PartnerCenter, name: str
) -> None:
    expected = {"status": "deleted"} if name.endswith("deleted") else {"autoRenewEnabled": False}

    response = send_all(http, read_recorded(name))

    assert response.json() == licence.subscriptions.now(LICENCE["id"]) == LICENCE | expected


@pytest.mark.parametrize("name", ["dotnet", "python_autorest"])
def test_what_microsofts_models_lack_is_lost(http: httpx.Client, licence: PartnerCenter, name: str) -> None:
    """None of them knows scheduledActions: whoever changes a subscription with them undoes the end of the term."""
    scheduled = {"scheduledActions": [{"scheduleType": "TermEnd", "actionType": "Cancel"}], "autoRenewEnabled": False}
    licence.subscriptions.put(LICENCE["id"], LICENCE | scheduled)
    [_, request] = read_recorded(f"{name}_subscription_get_then_patch_auto_renew_off")

    answer = http.request("PATCH", request["path"], headers=request["headers"] | bearer(), json=request["body"])

    assert status_and_code(answer) == (200, None)
    assert licence.subscriptions.now(LICENCE["id"]) == LICENCE | {"autoRenewEnabled": False}


@pytest.mark.parametrize("name", ["licence-20-days-old", "licence-trial", "licence-deleted"])
def test_the_generated_client_returns_nothing_for_a_refusal(
    partner_center: PartnerCenter, generated_client: Any, name: str
) -> None:
    """Microsoft's description declares 400, so the client takes it for an answer."""
    subscription_id = subscription_of(name)
    before = partner_center.subscriptions.now(subscription_id)
    subscription = generated_client.getvversioncustomerscustomer.id6(LICENCE_CUSTOMER, subscription_id, version="1")
    subscription.status = "deleted"

    answer = generated_client.patchvversioncustomerscustomer.id4(
        LICENCE_CUSTOMER, subscription_id, subscription, version="1"
    )

    assert answer is None
    assert partner_center.subscriptions.now(subscription_id) == before


@pytest.mark.parametrize("name", ["licence", "licence-suspended", "licence-next-term", "licence-extended"])
def test_the_generated_client_cancels_the_licences_of_the_catalogue(
    partner_center: PartnerCenter, generated_client: Any, name: str
) -> None:
    subscription_id = subscription_of(name)
    subscription = generated_client.getvversioncustomerscustomer.id6(LICENCE_CUSTOMER, subscription_id, version="1")
    subscription.status = "deleted"

    generated_client.patchvversioncustomerscustomer.id4(LICENCE_CUSTOMER, subscription_id, subscription, version="1")

    after = partner_center.subscriptions.now(subscription_id)
    assert after
    assert (after["status"], after["quantity"]) == ("deleted", 5)


@pytest.mark.parametrize(("replay", "second"), [(True, (200, None)), (False, (400, "2011"))])
def test_a_recorded_deletion_that_is_sent_twice_has_one_effect(
    http: httpx.Client, licence: PartnerCenter, replay: bool, second: tuple[int, str | None]
) -> None:
    """Microsoft's .NET SDK sends a PATCH that was answered 503 or 412 again with the same MS-RequestId."""
    licence.replay = replay
    recorded = read_recorded("dotnet_subscription_get_then_patch_deleted")
    first = send_all(http, recorded)

    answer = http.request(
        "PATCH", recorded[-1]["path"], headers=recorded[-1]["headers"] | bearer(), json=recorded[-1]["body"]
    )

    assert first.status_code == 200
    assert status_and_code(answer) == second
    assert licence.subscriptions.now(LICENCE["id"]) == LICENCE | {"status": "deleted"}
