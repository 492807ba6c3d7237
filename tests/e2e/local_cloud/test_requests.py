"""The record of requests in the control interface."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.e2e.local_cloud.conftest import CALLER_KEY, CONFIGURED_CUSTOMER, CONFIGURED_ORDERS, post_as_helpdesk
from tests.support.local_cloud import LocalCloud
from tests.support.stand_in_clients import (
    CANCEL,
    LIMIT_S,
    LONG_S,
    key_vault_client,
    methods_and_statuses,
    partner_center_client,
    path_of,
    request_for,
    request_token,
    send_control,
)
from tests.support.waiting import wait_until


def test_requests_are_listed_in_order_of_arrival_while_they_still_wait(
    cloud: LocalCloud, client: httpx.Client, background: ThreadPoolExecutor, order_id: str
) -> None:
    cloud.fault(delay_s=LONG_S)
    waiting = background.submit(client.patch, path_of(order_id), json=CANCEL)
    wait_until(lambda: methods_and_statuses(cloud) == [("PATCH", None)], "no PATCH arrived")

    client.get(path_of(order_id))

    assert methods_and_statuses(cloud) == [("PATCH", None), ("GET", 200)]
    send_control(cloud, "DELETE", "faults")
    assert waiting.result(LIMIT_S).status_code == 200
    assert methods_and_statuses(cloud) == [("PATCH", 200), ("GET", 200)]


def test_requests_since_a_time_are_listed_alone(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    client.get(path_of(order_id))
    [first] = cloud.requests("partner_center")
    client.patch(path_of(order_id), json=CANCEL)

    since = send_control(cloud, "GET", f"requests?since={first['time']}").json()

    assert [request["method"] for request in since] == ["PATCH"]
    assert send_control(cloud, "GET", "requests?since=yesterday").status_code == 400


def test_a_request_is_listed_as_it_came(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    began = time.time()

    client.patch(f"{path_of(order_id)}?x=1", json={"id": order_id, "status": "completed"}, headers={"X-Odd": "A b"})

    [request] = cloud.requests()
    assert request.keys() >= {"service", "method", "path", "headers", "body", "status", "time"}
    assert (request["service"], request["method"]) == ("partner_center", "PATCH")
    assert request["path"] == f"{path_of(order_id)}?x=1"
    assert request["body"] == {"id": order_id, "status": "completed"}
    assert request["headers"]["x-odd"] == "A b"
    assert all(name == name.lower() for name in request["headers"])
    assert began - 1 <= request["time"] <= time.time() + 1


def test_no_credential_is_in_the_list(configured: LocalCloud) -> None:
    """The list is pasted into reports. Its readers must not be able to act as the function."""
    description = configured.description
    dry_run = request_for(CONFIGURED_ORDERS[2], CONFIGURED_CUSTOMER, dryRun=True)
    configured.forget()
    with partner_center_client(configured) as client, key_vault_client(configured) as vault:
        tokens = [sender.headers["authorization"].split()[1] for sender in (client, vault)]
        assert post_as_helpdesk(configured, dry_run).is_success
        request_token(configured, secret="another-secret-that-is-wrong")
        client.get("/", headers={"X-Caller-Key": CALLER_KEY, "X-Functions-Key": description["functionKey"]})
        client.get("/", headers={"Authorization": tokens[0]})
        writable = description["accounts"]["user-global"]["refreshTokenName"]
        assert vault.put(f"/secrets/{writable}", json={"value": "a-new-value"}).is_success

    requests = configured.requests()

    assert {request["service"] for request in requests} == {"partner_center", "entra", "key_vault", "identity"}
    text = json.dumps(requests, ensure_ascii=False)
    members = ("clientSecret", "certificate", "refreshToken")
    accounts = description["accounts"].values()
    secrets = [account[member] for account in accounts for member in members if member in account]
    secrets += [description["functionKey"], description["environment"]["IDENTITY_HEADER"], CALLER_KEY]
    secrets += [*tokens, "another-secret-that-is-wrong", "a-new-value"]
    assert [secret for secret in secrets if secret in text] == []
    assert "eyJ" not in text  # the start of every JWT


def test_the_list_can_be_cleared(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    client.get(path_of(order_id))
    assert len(cloud.requests()) == 1

    send_control(cloud, "DELETE", "requests")

    assert cloud.requests() == []


def test_an_order_is_shown_as_partner_center_has_it(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    assert cloud.order(order_id) == client.get(path_of(order_id)).json()

    client.patch(path_of(order_id), json=CANCEL | {"lineItems": [{"lineItemNumber": 1}]})

    assert [line["quantity"] for line in cloud.order(order_id)["lineItems"]] == [1, 0, 1]
    assert send_control(cloud, "GET", "orders/of-nobody").status_code == 404
