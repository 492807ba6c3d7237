"""Subscriptions at the control interface, and the faults that are about them.

The local cloud is shared, so each test has a built-in subscription of its own, and all are put back in the end.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, SOFTWARE_CUSTOMER, built_in, built_in_short, subscription_of
from tests.support.local_cloud import Json, LocalCloud
from tests.support.stand_in_clients import methods_and_statuses, path_of, send_control


@pytest.fixture(scope="module", autouse=True)
def _put_back(whole_cloud: LocalCloud) -> Iterator[None]:
    """Put the subscriptions back after these tests. What one does with scheduled actions stays."""
    ids = [entry["subscriptionId"] for entry in whole_cloud.description["subscriptions"]]
    before = {subscription_id: whole_cloud.subscription(subscription_id) for subscription_id in ids}
    yield
    for subscription_id, content in before.items():
        if whole_cloud.subscription(subscription_id) != content:
            whole_cloud.put(f"subscriptions/{subscription_id}", content)


def subscription_path(subscription_id: str) -> str:
    return f"/v1/customers/{LICENCE_CUSTOMER}/subscriptions/{subscription_id}"


DEEP = "[" * 150 + "]" * 150


def days_before_now(text: str) -> int:
    return (datetime.now(UTC) - datetime.fromisoformat(text)).days


def test_the_control_interface_shows_and_replaces_a_subscription(cloud: LocalCloud, client: httpx.Client) -> None:
    subscription_id = subscription_of("licence-linked")
    before = cloud.subscription(subscription_id)
    after = before | {"quantity": 9, "new": {"A": [1]}}

    cloud.put(f"subscriptions/{subscription_id.upper()}", after)

    assert client.get(subscription_path(subscription_id)).json() == cloud.subscription(subscription_id) == after


def test_an_aged_subscription_is_renewed_in_the_end(cloud: LocalCloud) -> None:
    subscription_id = subscription_of("licence-next-term")
    before = cloud.subscription(subscription_id)

    older = cloud.age(f"subscriptions/{subscription_id}", 30)
    renewed = cloud.age(f"subscriptions/{subscription_id}", 340)

    assert days_before_now(older["creationDate"]) == days_before_now(before["creationDate"]) + 30
    assert older["quantity"] == before["quantity"] == 5
    assert (renewed["quantity"], renewed["status"]) == (8, "active")
    assert renewed == cloud.subscription(subscription_id)


def test_auto_renew_off_alone_is_billed_on_and_a_scheduled_cancel_is_not(cloud: LocalCloud) -> None:
    ages = {
        name: cloud.age(f"subscriptions/{subscription_of(name)}", 270)
        for name in ("licence-auto-renew-off", "licence-scheduled", "licence-scheduled-other-spelling")
    }

    assert {name: (aged["status"], aged["autoRenewEnabled"]) for name, aged in ages.items()} == {
        "licence-auto-renew-off": ("active", True),
        "licence-scheduled": ("deleted", False),
        "licence-scheduled-other-spelling": ("deleted", False),
    }
    assert "Extended Service Term" in ages["licence-auto-renew-off"]["offerName"]


def test_a_subscription_can_ignore_scheduled_actions(cloud: LocalCloud, client: httpx.Client) -> None:
    subscription_id = subscription_of("licence-without-deadline-20-days-old")
    cloud.put(f"subscriptions/{subscription_id}/behaviour", {"actions": "ignore"})
    whole = client.get(subscription_path(subscription_id)).json()
    action = {"scheduleType": "TermEnd", "actionType": "Cancel"}

    client.patch(
        subscription_path(subscription_id), json=whole | {"autoRenewEnabled": False, "scheduledActions": [action]}
    ).raise_for_status()

    after = cloud.subscription(subscription_id)
    cloud.put(f"subscriptions/{subscription_id}", whole)
    cloud.put(f"subscriptions/{subscription_id}/behaviour", {"actions": "scheduleType"})  # other tests use it too
    assert (after["autoRenewEnabled"], "scheduledActions" in after) == (False, False)


def test_a_date_that_does_not_exist_does_not_stop_the_time(cloud: LocalCloud) -> None:
    subscription_id = subscription_of("licences-five", 3)
    whole = cloud.subscription(subscription_id) | {"commitmentEndDate": "2026-02-30T00:00:00Z"}
    cloud.put(f"subscriptions/{subscription_id}", whole)

    aged = cloud.age(f"subscriptions/{subscription_id}", 10)

    assert aged["commitmentEndDate"] == "2026-02-30T00:00:00Z"
    assert days_before_now(aged["creationDate"]) == days_before_now(whole["creationDate"]) + 10


def test_a_suspended_subscription_shows_its_seats_at_the_control_interface_only(
    cloud: LocalCloud, client: httpx.Client
) -> None:
    """A client of it that changes another member so keeps them."""
    subscription_id = subscription_of("licence-suspended")

    shown = client.get(subscription_path(subscription_id)).json()

    whole = cloud.subscription(subscription_id)
    assert whole == shown | {"refundableQuantity": whole["refundableQuantity"]}
    assert "refundableQuantity" not in shown


def test_an_aged_order_ages_its_subscriptions(cloud: LocalCloud) -> None:
    order_id = built_in_short("licence-and-add-on")

    order = cloud.age(f"orders/{order_id}", 10)

    assert days_before_now(order["creationDate"]) == 12
    for line in range(2):
        subscription = cloud.subscription(subscription_of("licence-and-add-on", line))
        assert days_before_now(subscription["creationDate"]) == 12


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("GET", "subscriptions/unknown", "", 404, id="unknown"),
        pytest.param("PUT", "subscriptions/unknown", '{"id": "unknown"}', 404, id="PUT of an unknown one"),
        pytest.param("PUT", "subscriptions/LICENCE", "x", 400, id="PUT, not JSON"),
        pytest.param(
            "PUT", "subscriptions/unknown/behaviour", '{"actions": "ignore"}', 404, id="unknown one's actions"
        ),
        pytest.param("PUT", "subscriptions/LICENCE/behaviour", "{}", 400, id="no actions"),
        pytest.param("PUT", "subscriptions/LICENCE/behaviour", '{"actions": "both"}', 400, id="other actions"),
        pytest.param("PUT", "subscriptions/LICENCE", "[]", 400, id="PUT, a list"),
        pytest.param("PUT", "subscriptions/LICENCE", "{}", 400, id="PUT without id"),
        pytest.param("PUT", "subscriptions/LICENCE", '{"id": "another"}', 400, id="PUT of another id"),
        pytest.param("PUT", "subscriptions/LICENCE", '{"id": "LICENCE", "quantity": NaN}', 400, id="PUT with NaN"),
        pytest.param(
            "PUT", "subscriptions/LICENCE", '{"id": "LICENCE", "a": "\\ud800"}', 400, id="PUT of half a surrogate pair"
        ),
        pytest.param("PUT", "subscriptions/LICENCE", f'{{"id": "LICENCE", "a": {DEEP}}}', 400, id="PUT of deep JSON"),
        pytest.param("POST", "subscriptions/unknown/age", '{"days": 1}', 404, id="age of an unknown one"),
        pytest.param("POST", "subscriptions/LICENCE/age", "{}", 400, id="age without days"),
        pytest.param("POST", "subscriptions/LICENCE/age", '{"days": 0}', 400, id="age of no days"),
        pytest.param("POST", "subscriptions/LICENCE/age", '{"days": "1"}', 400, id="age of a string"),
        pytest.param("POST", "subscriptions/LICENCE/age", '{"days": 99999}', 400, id="age of centuries"),
        pytest.param("POST", "orders/unknown/age", '{"days": 1}', 404, id="age of an unknown order"),
        pytest.param("POST", "orders/5cf72f146967/age", '{"days": -1}', 400, id="age of an order backwards"),
        pytest.param(
            "POST", "faults", '{"service": "partner_center", "put_subscription": {}}', 400, id="fault without id"
        ),
        pytest.param(
            "POST",
            "faults",
            '{"service": "partner_center", "put_subscription": {"id": "unknown"}}',
            400,
            id="fault with an unknown id",
        ),
        *(
            pytest.param(
                "POST",
                "faults",
                f'{{"service": "partner_center", "put_subscription": {{"id": "LICENCE", "a": {value}}}}}',
                400,
                id=f"fault with {name}",
            )
            for name, value in (("NaN", "NaN"), ("half a surrogate pair", '"\\ud800"'), ("deep JSON", DEEP))
        ),
        pytest.param("POST", "faults", '{"service": "partner_center", "behind": -1}', 400, id="behind by less than 0"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    cloud: LocalCloud, method: str, path: str, body: str, status: int
) -> None:
    subscription_id = subscription_of("licence-unnamed")
    before = cloud.subscription(subscription_id)

    path, body = (text.replace("LICENCE", subscription_id) for text in (path, body))
    answer = send_control(cloud, method, path, body)

    assert answer.status_code == status
    assert answer.json()["error"]
    assert cloud.subscription(subscription_id) == before


@pytest.mark.parametrize(
    ("fault", "status", "shown"),
    [
        pytest.param({}, 200, 5, id="after a read"),
        pytest.param({"status": 503}, 503, None, id="after a request that was not carried out"),
        pytest.param({"hang_up": "before"}, None, None, id="after a dropped request"),
        pytest.param({"hang_up": "after"}, None, None, id="after a dropped answer"),
    ],
)
def test_somebody_else_changes_a_subscription_between_two_requests(
    cloud: LocalCloud, client: httpx.Client, fault: Json, status: int | None, shown: int | None
) -> None:
    subscription_id = subscription_of("licences-two-windows")
    whole = cloud.subscription(subscription_id) | {"quantity": 5}
    cloud.put(f"subscriptions/{subscription_id}", whole)
    cloud.fault(path=subscription_id, put_subscription=whole | {"quantity": 7}, **fault)

    if status is None:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.get(subscription_path(subscription_id))
    else:
        answer = client.get(subscription_path(subscription_id))
        assert answer.status_code == status
        assert shown is None or answer.json()["quantity"] == shown

    assert client.get(subscription_path(subscription_id)).json() == whole | {"quantity": 7}
    assert methods_and_statuses(cloud) == [("GET", status), ("GET", 200)]


def test_a_change_by_somebody_else_can_follow_any_request(cloud: LocalCloud, client: httpx.Client) -> None:
    subscription_id = subscription_of("licence-upgraded")
    whole = cloud.subscription(subscription_id)
    cloud.fault(put_subscription=whole | {"friendlyName": "changed"})

    client.get(path_of(built_in("software-three-lines"), SOFTWARE_CUSTOMER))

    assert cloud.subscription(subscription_id)["friendlyName"] == "changed"


@pytest.mark.parametrize("hang_up", [None, "after"])
def test_the_next_reads_show_the_state_before(cloud: LocalCloud, client: httpx.Client, hang_up: str | None) -> None:
    subscription_id = subscription_of("licences-five", 0 if hang_up else 1)
    path = subscription_path(subscription_id)
    whole = client.get(path).json()
    cloud.fault(method="PATCH", path=subscription_id, behind=2, hang_up=hang_up)

    if hang_up:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.patch(path, json=whole | {"status": "deleted"})
    else:
        answer = client.patch(path, json=whole | {"status": "deleted"})
        assert answer.json()["status"] == "deleted"

    assert cloud.subscription(subscription_id)["status"] == "deleted"
    assert [client.get(path).json()["status"] for _ in range(3)] == ["active", "active", "deleted"]


def test_reads_are_not_behind_a_change_that_was_not_carried_out(cloud: LocalCloud, client: httpx.Client) -> None:
    subscription_id = subscription_of("licences-five", 2)
    path = subscription_path(subscription_id)
    whole = client.get(path).json()
    cloud.fault(method="PATCH", path=subscription_id, behind=2, status=503)

    assert client.patch(path, json=whole | {"status": "deleted"}).status_code == 503
    assert client.patch(path, json=whole | {"friendlyName": "changed"}).status_code == 200
    assert client.get(path).json() == whole | {"friendlyName": "changed"}


def test_a_built_in_subscription_has_dates_relative_to_the_start(cloud: LocalCloud, client: httpx.Client) -> None:
    subscription = client.get(subscription_path(subscription_of("licence"))).json()

    bought = datetime.fromisoformat(subscription["creationDate"])
    assert timedelta(days=2) <= datetime.now(UTC) - bought < timedelta(days=3)
    assert cloud.subscription(subscription_of("licence")) == subscription
