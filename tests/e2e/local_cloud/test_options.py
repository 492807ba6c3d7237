"""The options of the command line, the settings in the environment, and starts that fail."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.local_cloud.conftest import (
    CALLER_KEY,
    CONFIGURED_CUSTOMER,
    CONFIGURED_LICENCE_ORDER,
    CONFIGURED_ORDERS,
    CONFIGURED_SUBSCRIPTION,
    LICENCE,
    post_as_helpdesk,
)
from tests.support.local_cloud import ROOT, START_LIMIT_S, LocalCloud, running
from tests.support.stand_in_clients import (
    CANCEL,
    LONG_S,
    partner_center_client,
    path_of,
    request_for,
    send_control,
)

BUILT_IN_CUSTOMER, TWO_LINES = "45411344-b09d-47e7-9653-542006bf9766", "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
DRY_RUN = request_for(CONFIGURED_ORDERS[0], CONFIGURED_CUSTOMER, dryRun=True)


def test_callers_in_the_environment_win(configured: LocalCloud) -> None:
    without_key, with_key = configured.post(DRY_RUN), post_as_helpdesk(configured, DRY_RUN)

    assert (without_key.status_code, without_key.json()["code"]) == (401, "caller_not_authenticated")
    assert with_key.json()["outcome"] == "dry_run"
    assert configured.description["callers"] == {}
    assert "CALLERS" not in configured.description["environment"]


def test_the_deadline_in_the_environment_wins(configured: LocalCloud) -> None:
    post_as_helpdesk(configured, DRY_RUN)
    configured.fault(delay_s=LONG_S, times=4)

    started = time.monotonic()
    answer = configured.post(DRY_RUN, x_caller_key=CALLER_KEY).json()
    took_s = time.monotonic() - started
    configured.forget()

    assert answer["code"] == "partner_center_unavailable"
    assert took_s < 7  # the default deadline is 8


def test_settings_that_name_stand_ins_do_not_win(configured: LocalCloud) -> None:
    """With the addresses of Key Vault and the identity from the environment nothing would work."""
    account = configured.description["accounts"]["production"]

    answer = post_as_helpdesk(configured, DRY_RUN | {"account": "production"})

    assert answer.json()["outcome"] == "dry_run"
    requests = {
        (request["service"], urlsplit(request["path"]).path.partition("/v2.0")[0]) for request in configured.requests()
    }
    assert ("key_vault", f"/secrets/{account['secretName']}/") in requests
    assert ("entra", f"/{account['tenantId']}/oauth2") in requests


def test_an_order_from_a_file_replaces_the_built_in_one(configured: LocalCloud) -> None:
    """It belongs to each account, under the customer that it names, and can be cancelled at any age."""
    [listed] = [order for order in configured.description["orders"] if order["orderId"] == LICENCE]
    assert (listed["customerTenantId"], listed["kind"]) == (CONFIGURED_CUSTOMER, "software")
    assert "notes.txt" not in json.dumps(configured.description["orders"])

    request = request_for(LICENCE, CONFIGURED_CUSTOMER, account="production")
    answer = post_as_helpdesk(configured, request).json()

    assert (answer["outcome"], answer["orderId"]) == ("cancelled", LICENCE)
    assert configured.order(LICENCE)["Status"] == "cancelled"


def test_a_subscription_from_a_file_is_there_and_its_order_has_its_kind(configured: LocalCloud) -> None:
    [subscription] = [
        entry for entry in configured.description["subscriptions"] if entry["subscriptionId"] == CONFIGURED_SUBSCRIPTION
    ]
    [order] = [entry for entry in configured.description["orders"] if entry["orderId"] == CONFIGURED_LICENCE_ORDER]

    assert subscription == {
        "customerTenantId": CONFIGURED_CUSTOMER,
        "subscriptionId": CONFIGURED_SUBSCRIPTION,
        "orderId": CONFIGURED_LICENCE_ORDER,
        "kind": "licence",
        "note": "loaded from licence.json",
    }
    assert order["kind"] == "licence"
    path = f"/v1/customers/{CONFIGURED_CUSTOMER}/subscriptions/{CONFIGURED_SUBSCRIPTION}"
    with partner_center_client(configured, "production") as client:
        answer = client.patch(path, json={"status": "deleted"})
    assert (answer.status_code, answer.content) == (202, b"")
    assert configured.subscription(CONFIGURED_SUBSCRIPTION)["status"] == "deleted"


def test_latency_delays_each_answer_of_partner_center(configured: LocalCloud) -> None:
    with partner_center_client(configured) as client:
        started = time.monotonic()
        for _ in range(3):
            client.get(path_of(CONFIGURED_ORDERS[0], CONFIGURED_CUSTOMER))

    assert time.monotonic() - started >= 0.45


@pytest.mark.parametrize("replays", [True, False])
def test_an_answer_is_repeated_for_its_request_id_unless_that_is_off(
    cloud: LocalCloud, configured: LocalCloud, order_id: str, replays: bool
) -> None:
    local_cloud = cloud if replays else configured
    path = path_of(order_id) if replays else path_of(CONFIGURED_ORDERS[1], CONFIGURED_CUSTOMER)
    same = {"MS-RequestId": "655890ba-4d2b-4d09-a95f-4ea1348686a5"}

    with partner_center_client(local_cloud) as client:
        first, second = (client.patch(path, json=CANCEL, headers=same) for _ in range(2))
        other = client.patch(path, json=CANCEL, headers={"MS-RequestId": "655890ba-4d2b-4d09-a95f-4ea1348686a6"})

    assert first.status_code == 200
    assert (second.status_code == 200) == replays
    assert other.json()["code"] == "800061"


def test_throttling_is_turned_on_by_option_and_off_by_the_control_interface(tmp_path: Path) -> None:
    dry_run = request_for(TWO_LINES, BUILT_IN_CUSTOMER, dryRun=True)
    with running(tmp_path, "--requests-per-minute", "4") as cloud:  # a dry run reads the order and its subscriptions
        answers = [cloud.post(dry_run) for _ in range(3)]
        other_tenant = cloud.post(dry_run | {"account": "production"})
        with partner_center_client(cloud) as client:
            refused = client.get(path_of(TWO_LINES, BUILT_IN_CUSTOMER))
            cloud.put("limits", {"requestsPerMinute": 0})
            allowed = client.get(path_of(TWO_LINES, BUILT_IN_CUSTOMER))

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["code"] == "throttled"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 59
    assert other_tenant.status_code == 200
    assert (refused.status_code, refused.json()["statusCode"]) == (429, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert allowed.status_code == 200


@pytest.mark.parametrize("limits", ["{}", '{"requestsPerMinute": -1}', '{"requestsPerMinute": "1"}', "x"])
def test_a_limit_that_makes_no_sense_is_refused(cloud: LocalCloud, limits: str) -> None:
    assert send_control(cloud, "PUT", "limits", limits).status_code == 400


def test_a_start_that_cannot_succeed_says_why_and_ends(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"id": "x"')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        wrong_options: tuple[tuple[list[str], dict[str, str]], ...] = (
            (["--orders", str(tmp_path / "none")], {}),
            (["--orders", str(tmp_path)], {}),
            (["--subscriptions", str(tmp_path)], {}),
            (["--port", port], {}),
            ([], {"FUNCTIONS_HOST": str(tmp_path / "no-host")}),
        )
        processes = [
            subprocess.Popen(  # noqa: S603  (our own module)
                [sys.executable, "-m", "infra.local", "--port", "0", *options, "--describe", str(tmp_path / "cloud")],
                cwd=ROOT,
                env=os.environ | environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            for options, environment in wrong_options
        ]
        errors = [process.communicate(timeout=START_LIMIT_S)[1] for process in processes]

    assert [process.returncode for process in processes] == [1, 1, 1, 1, 1]
    no_folder, no_json, no_json_either, port_taken, no_host = errors
    assert "no such folder" in no_folder
    assert "broken.json: not JSON" in no_json
    assert "broken.json: not JSON" in no_json_either
    assert f"port {port} is in use" in port_taken
    assert "PORT=" in port_taken
    assert "FUNCTIONS_HOST names" in no_host
    assert "Traceback" not in "".join(errors)
    assert not (tmp_path / "cloud").exists()
