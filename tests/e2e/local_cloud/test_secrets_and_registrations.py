"""Secrets and app registrations in the control interface."""

import time

import jwt
import pytest

from tests.e2e.local_cloud.conftest import CONFIGURED_CUSTOMER, CONFIGURED_ORDERS, post_as_helpdesk
from tests.support.local_cloud import LocalCloud
from tests.support.stand_in_clients import (
    LIMIT_S,
    key_vault_client,
    partner_center_client,
    path_of,
    request_for,
    request_token,
    send_control,
)
from tests.support.waiting import wait_until


def test_the_vault_gives_the_newest_version_of_a_secret(cloud: LocalCloud) -> None:
    cloud.put("secrets/some-secret", {"value": "first"})
    cloud.put("secrets/some-secret", {"value": "second"})

    with key_vault_client(cloud) as vault:
        assert vault.get("/secrets/some-secret/").json()["value"] == "second"


def test_a_secret_rotated_in_both_places_costs_no_failed_call(configured: LocalCloud) -> None:
    account = configured.description["accounts"]["rehearsal"]
    registration = f"clients/{account['clientId']}"
    request = request_for(CONFIGURED_ORDERS[2], CONFIGURED_CUSTOMER, account="rehearsal")
    configured.put(registration, {"tokenLifetime_s": 1})
    statuses = [post_as_helpdesk(configured, request).status_code]
    configured.forget()

    # The vault comes first: until Entra changes too, the old secret that the function has is still good.
    configured.put(f"secrets/{account['secretName']}", {"value": "rotated"})
    configured.put(registration, {"secret": "rotated"})
    refused = request_token(configured, "rehearsal")
    accepted = request_token(configured, "rehearsal", "rotated")
    deadline = time.monotonic() + LIMIT_S
    while not configured.requests("key_vault"):
        assert time.monotonic() < deadline, "the function never needed the new secret"
        statuses.append(post_as_helpdesk(configured, request).status_code)
        time.sleep(0.05)
    statuses.append(post_as_helpdesk(configured, request).status_code)  # with the renewed token

    assert (refused.status_code, refused.json()["error_codes"]) == (401, [7000215])
    assert accepted.json()["expires_in"] == 1
    assert set(statuses) == {200}


def test_a_token_is_accepted_for_the_lifetime_that_was_set(cloud: LocalCloud, order_id: str) -> None:
    client_id = cloud.description["accounts"]["production"]["clientId"]
    cloud.put(f"clients/{client_id}", {"tokenLifetime_s": 1})
    requested_at = time.time()

    with partner_center_client(cloud, "production") as client:
        cloud.put(f"clients/{client_id}", {"tokenLifetime_s": 3599})
        token = client.headers["authorization"].split()[1]
        expires_at = jwt.decode(token, options={"verify_signature": False})["exp"]
        first_status = client.get(path_of(order_id)).status_code
        was_valid = time.time() < expires_at
        wait_until(lambda: client.get(path_of(order_id)).status_code == 401, "the token is still accepted")
        refused_at = time.time()

    assert expires_at >= requested_at + 1
    assert first_status == 200 or not was_valid  # a machine that stalls for a second must not fail this test
    assert refused_at >= expires_at


@pytest.mark.parametrize("change", ["", "[]", '{"secret": 1}', '{"tokenLifetime_s": 0}', '{"tokenLifetime": 5}'])
def test_a_change_of_an_app_registration_that_makes_no_sense_is_refused(cloud: LocalCloud, change: str) -> None:
    client_id = cloud.description["accounts"]["default"]["clientId"]

    assert send_control(cloud, "PUT", f"clients/{client_id}", change).status_code == 400
    assert send_control(cloud, "PUT", "clients/nobody", '{"secret": "x"}').status_code == 404
