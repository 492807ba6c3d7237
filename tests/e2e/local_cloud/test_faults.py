"""The local cloud as other programs drive it: its command line, its description, its control interface."""

import hashlib
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import CUSTOMER
from tests.support.local_cloud import ROOT, START_LIMIT_S, STOP_LIMIT_S, Json, LocalCloud, running, software_order

LIMIT_S = 15.0  # for what takes milliseconds on an idle machine
LONG_S = 60  # a delay that no test waits for
AUDIENCE = "https://api.partnercenter.microsoft.com"
CALLER_KEY = "a-caller-s-own-key-of-32-characters"
BUILT_IN_CUSTOMER, TWO_LINES = "45411344-b09d-47e7-9653-542006bf9766", "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
LICENCE = "5cf72f146967"  # in the catalogue it is refused: its subscription is to be cancelled instead
NEW_CUSTOMER = "0a7f3c55-9d0c-4f0e-8f6b-5d3d1f6f2a10"
CANCEL = {"status": "cancelled"}


def tls(cloud: LocalCloud) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cloud.description["caFile"])


def ask_for_token(cloud: LocalCloud, account: str = "default", secret: str | None = None) -> httpx.Response:
    """Ask Entra's stand-in as the function does; *secret* None means the one in the description."""
    known = cloud.description["accounts"][account]
    form = {
        "grant_type": "client_credentials",
        "client_id": known["clientId"],
        "client_secret": secret or known["clientSecret"],
        "scope": f"{AUDIENCE}/.default",
    }
    url = f"{cloud.description['entraUrl']}/{known['tenantId']}/oauth2/v2.0/token"
    return httpx.post(url, data=form, verify=tls(cloud), trust_env=False)


def vault_token(cloud: LocalCloud) -> str:
    """Return what the managed identity's stand-in gives for Key Vault."""
    environment = cloud.description["environment"]
    token: str = httpx.get(
        environment["IDENTITY_ENDPOINT"],
        params={"resource": cloud.description["keyVaultUrl"].replace("//127.", "//"), "api-version": "2019-08-01"},
        headers={"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]},
        trust_env=False,
    ).json()["access_token"]
    return token


@contextmanager
def partner_center(cloud: LocalCloud, account: str = "default") -> Iterator[httpx.Client]:
    """A client of Partner Center's stand-in that is not the function."""
    bearer = ask_for_token(cloud, account).json()["access_token"]
    with httpx.Client(
        base_url=cloud.description["partnerCenterUrl"],
        headers={"Authorization": f"Bearer {bearer}"},
        verify=tls(cloud),
        trust_env=False,
        timeout=LONG_S * 2,
    ) as client:
        yield client


def key_vault(cloud: LocalCloud) -> httpx.Client:
    """Return a client of Key Vault's stand-in that is not the function."""
    headers = {"Authorization": f"Bearer {vault_token(cloud)}"}
    return httpx.Client(base_url=cloud.description["keyVaultUrl"], headers=headers, verify=tls(cloud), trust_env=False)


@pytest.fixture
def client(cloud: LocalCloud) -> Iterator[httpx.Client]:
    with partner_center(cloud) as client:
        cloud.forget()
        yield client
        cloud.forget()  # or the next test's requests meet what is left


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def path_of(order_id: str, customer: str = CUSTOMER) -> str:
    return f"/v1/customers/{customer}/orders/{order_id}"


def request_for(order_id: str, customer: str = CUSTOMER, **more: Any) -> Json:
    return {"customerTenantId": customer, "orderId": order_id} | more


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def control(cloud: LocalCloud, method: str, path: str, content: bytes | str | None = None) -> httpx.Response:
    return cloud.http.request(method, f"{cloud.description['controlUrl']}/{path}", content=content)


def log_of(cloud: LocalCloud) -> list[tuple[str, int | None]]:
    return [(one["method"], one["status"]) for one in cloud.requests("partner_center")]


# The description.


def test_the_description_names_everything(cloud: LocalCloud) -> None:
    description = cloud.description

    urls = ("functionUrl", "partnerCenterUrl", "entraUrl", "keyVaultUrl", "identityUrl", "controlUrl")
    assert description.keys() >= {*urls, "functionKey", "caFile", "accounts", "orders"}
    assert description["callers"] == {}  # without --callers the function key is enough
    for name in urls:
        assert urlsplit(description[name]).hostname == "127.0.0.1"
        assert not description[name].endswith("/")
    assert urlsplit(description["functionUrl"]).path == "/api/cancel_order"
    for account in description["accounts"].values():
        assert account.keys() >= {"cloud", "tenantId", "clientId", "credential", "tenantKind"}
        assert account["tenantKind"] in {"sandbox", "production"}
    kinds = {(account["cloud"], account["credential"]) for account in description["accounts"].values()}
    credentials = ("clientSecret", "certificate", "refreshToken", "managedIdentity")
    assert kinds == {(cloud, credential) for cloud in ("global", "china", "usgov") for credential in credentials}
    assert all(
        order.keys() >= {"customerTenantId", "orderId", "kind", "note"} and order["kind"] and order["note"]
        for order in description["orders"]
    )
    assert len({order["orderId"] for order in description["orders"]}) == len(description["orders"])


def test_the_default_account_is_a_live_sandbox_for_all_customers(cloud: LocalCloud, order_id: str) -> None:
    [reservation] = [order for order in cloud.description["orders"] if order["kind"] == "reservation"]
    elsewhere = request_for(reservation["orderId"], reservation["customerTenantId"], dryRun=True)

    cancelled, looked_at = cloud.post(request_for(order_id)).json(), cloud.post(elsewhere).json()

    assert cloud.description["accounts"]["default"]["tenantKind"] == "sandbox"
    assert (cancelled["outcome"], looked_at["outcome"]) == ("cancelled", "dry_run")
    assert (cancelled["account"], looked_at["account"]) == ("default", "default")


def test_every_address_answers_over_the_authority_that_is_named(cloud: LocalCloud) -> None:
    statuses = {
        name: httpx.get(cloud.description[name], verify=tls(cloud), trust_env=False).status_code
        for name in ("functionUrl", "partnerCenterUrl", "entraUrl", "keyVaultUrl", "identityUrl", "controlUrl")
    }

    assert statuses.pop("functionUrl") == 401  # GET tells of the credentials' health, with the key
    assert set(statuses.values()) == {404}  # nothing is at those very paths with GET, but somebody says so


# Options and environment.


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud with each option away from its default, and settings in its environment."""
    directory = tmp_path_factory.mktemp("configured")
    orders = directory / "orders"
    orders.mkdir()
    in_place = {
        "Id": LICENCE,
        "ReferenceCustomerId": NEW_CUSTOMER,
        "LineItems": [{"LineItemNumber": 0, "OfferId": "CFQ7TTC0LH0Z:0001:CFQ7TTC0K18P", "Quantity": 1}],
        "CreationDate": "2018-03-06T17:37:05.253-08:00",
        "Status": "completed",
    }
    (orders / "in-place.json").write_text(json.dumps(in_place))
    for number in range(3):
        order = software_order(f"another-order-{number}", NEW_CUSTOMER)
        (orders / f"{number}.json").write_text(json.dumps(order), encoding="utf-8")
    (orders / "notes.txt").write_text("no order")
    callers = {"helpdesk": {"proof": "key", "sha256": hashlib.sha256(CALLER_KEY.encode()).hexdigest()}}
    environment = {
        "CALLERS": json.dumps(callers),
        "CANCEL_DEADLINE_S": "1",
        # These name stand-ins, so they are not to be taken from here.
        "KEY_VAULT_URL": "https://vault.invalid",
        "PARTNER_CENTER_ACCOUNTS": "{}",
        "AZURE_CLIENT_ID": "nobody",
        "IDENTITY_ENDPOINT": "http://identity.invalid",
        "IDENTITY_HEADER": "wrong",
        "SSL_CERT_FILE": "/nowhere.pem",
        "REQUESTS_CA_BUNDLE": "/nowhere.pem",
        # And on a company's machine, what is on this one must not go through its proxy.
        "HTTPS_PROXY": "http://proxy.invalid",
        "no_proxy": "example.com",
        "NO_PROXY": "example.com",
    }
    options = ("--orders", str(orders), "--latency-ms", "150", "--no-replay", "--callers")
    with running(directory, *options, **environment) as cloud:
        yield cloud


def as_helpdesk(cloud: LocalCloud, body: Json) -> httpx.Response:
    """Send *body* with a caller's proof, and with more time than the short deadline that is set there."""
    return cloud.post(body, x_caller_key=CALLER_KEY, prefer="wait=60")


def test_settings_in_the_environment_win(configured: LocalCloud) -> None:
    without_key = configured.post(request_for("another-order-0", NEW_CUSTOMER, dryRun=True))
    with_key = as_helpdesk(configured, request_for("another-order-0", NEW_CUSTOMER, dryRun=True))

    assert (without_key.status_code, without_key.json()["code"]) == (401, "caller_not_authenticated")
    assert with_key.json()["outcome"] == "dry_run"
    assert configured.description["callers"] == {}
    assert "CALLERS" not in configured.description["environment"]


def test_the_deadline_in_the_environment_wins(configured: LocalCloud) -> None:
    as_helpdesk(configured, request_for("another-order-0", NEW_CUSTOMER, dryRun=True))
    configured.fault(delay_s=LONG_S, times=4)

    started = time.monotonic()
    answer = configured.post(request_for("another-order-0", NEW_CUSTOMER, dryRun=True), x_caller_key=CALLER_KEY).json()
    took_s = time.monotonic() - started
    configured.forget()

    assert answer["code"] == "partner_center_unavailable"
    assert took_s < 7  # the default would be 8


def test_settings_that_name_stand_ins_do_not_win(configured: LocalCloud) -> None:
    """With Key Vault's or the identity's address of the environment nothing would work."""
    account = configured.description["accounts"]["production"]

    answer = as_helpdesk(configured, request_for("another-order-0", NEW_CUSTOMER, dryRun=True, account="production"))

    assert answer.json()["outcome"] == "dry_run"
    seen = {(one["service"], urlsplit(one["path"]).path.partition("/v2.0")[0]) for one in configured.requests()}
    assert ("key_vault", f"/secrets/{account['secretName']}/") in seen
    assert ("entra", f"/{account['tenantId']}/oauth2") in seen


def test_an_order_of_a_file_replaces_the_built_in_one(configured: LocalCloud) -> None:
    """It belongs to each account, under the customer that it names, and can be cancelled at any age."""
    [listed] = [order for order in configured.description["orders"] if order["orderId"] == LICENCE]
    assert (listed["customerTenantId"], listed["kind"]) == (NEW_CUSTOMER, "software")
    assert "notes.txt" not in json.dumps(configured.description["orders"])

    answer = as_helpdesk(configured, request_for(LICENCE, NEW_CUSTOMER, account="production")).json()

    assert (answer["outcome"], answer["orderId"]) == ("cancelled", LICENCE)
    assert configured.order(LICENCE)["Status"] == "cancelled"


def test_latency_holds_back_each_answer_of_partner_center(configured: LocalCloud) -> None:
    with partner_center(configured) as client:
        started = time.monotonic()
        for _ in range(3):
            client.get(path_of("another-order-0", NEW_CUSTOMER))

    assert time.monotonic() - started >= 0.45


@pytest.mark.parametrize("replays", [True, False])
def test_an_answer_is_replayed_by_its_request_id_unless_that_is_off(
    cloud: LocalCloud, configured: LocalCloud, order_id: str, replays: bool
) -> None:
    where, path = (cloud, path_of(order_id)) if replays else (configured, path_of("another-order-1", NEW_CUSTOMER))
    same = {"MS-RequestId": "655890ba-4d2b-4d09-a95f-4ea1348686a5"}

    with partner_center(where) as client:
        first, second = (client.patch(path, json=CANCEL, headers=same) for _ in range(2))
        other = client.patch(path, json=CANCEL, headers={"MS-RequestId": "655890ba-4d2b-4d09-a95f-4ea1348686a6"})

    assert first.status_code == 200
    assert (second.status_code == 200) == replays
    assert other.json()["code"] == "800061"


def test_throttling_is_turned_on_by_option_and_off_by_the_control_interface(tmp_path: Path) -> None:
    look = request_for(TWO_LINES, BUILT_IN_CUSTOMER, dryRun=True)
    with running(tmp_path, "--requests-per-minute", "2") as cloud:
        answers = [cloud.post(look) for _ in range(3)]
        other_tenant = cloud.post(look | {"account": "production"})
        with partner_center(cloud) as client:
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
    assert control(cloud, "PUT", "limits", limits).status_code == 400


def test_a_start_that_cannot_succeed_says_why_and_ends(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"id": "x"')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        wrong = (["--orders", str(tmp_path / "none")], ["--orders", str(tmp_path)], ["--port", port])
        started = [
            subprocess.Popen(  # noqa: S603  (our own module)
                [sys.executable, "-m", "infra.local", "--port", "0", *options, "--describe", str(tmp_path / "cloud")],
                cwd=ROOT,
                stderr=subprocess.PIPE,
                text=True,
            )
            for options in wrong
        ]
        said = [process.communicate(timeout=START_LIMIT_S)[1] for process in started]

    assert [process.returncode for process in started] == [1, 1, 1]
    assert "no such folder" in said[0]
    assert "broken.json: not JSON" in said[1]
    assert "in use" in said[2]
    assert "Traceback" not in "".join(said)
    assert not (tmp_path / "cloud").exists()


# The log of requests.


def test_requests_are_listed_in_order_of_arrival_while_they_still_wait(
    cloud: LocalCloud, client: httpx.Client, background: ThreadPoolExecutor, order_id: str
) -> None:
    cloud.fault(delay_s=LONG_S)
    held = background.submit(client.patch, path_of(order_id), json=CANCEL)
    until(lambda: log_of(cloud) == [("PATCH", None)])

    client.get(path_of(order_id))

    assert log_of(cloud) == [("PATCH", None), ("GET", 200)]
    control(cloud, "DELETE", "faults")
    assert held.result(LIMIT_S).status_code == 200
    assert log_of(cloud) == [("PATCH", 200), ("GET", 200)]


def test_a_request_is_listed_as_it_came(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    began = time.time()

    client.patch(f"{path_of(order_id)}?x=1", json={"id": order_id, "status": "completed"}, headers={"X-Odd": "A b"})

    [one] = cloud.requests()
    assert one.keys() >= {"service", "method", "path", "headers", "body", "status", "time"}
    assert (one["service"], one["method"], one["path"]) == ("partner_center", "PATCH", f"{path_of(order_id)}?x=1")
    assert one["body"] == {"id": order_id, "status": "completed"}
    assert one["headers"]["x-odd"] == "A b"
    assert all(name == name.lower() for name in one["headers"])
    assert began - 1 <= one["time"] <= time.time() + 1


def test_no_credential_is_in_the_list(configured: LocalCloud) -> None:
    """The list is pasted into reports; whoever reads one must not be able to act as the function."""
    known = configured.description
    call = request_for("another-order-2", NEW_CUSTOMER, dryRun=True)
    configured.forget()
    with partner_center(configured) as client, key_vault(configured) as vault:
        bearers = [sender.headers["authorization"].split()[1] for sender in (client, vault)]
        assert as_helpdesk(configured, call).is_success
        ask_for_token(configured, secret="another-secret-that-is-wrong")
        client.get("/", headers={"X-Caller-Key": CALLER_KEY, "X-Functions-Key": known["functionKey"]})
        client.get("/", headers={"Authorization": bearers[0]})
        writable = known["accounts"]["user-global"]["refreshTokenName"]
        assert vault.put(f"/secrets/{writable}", json={"value": "a-new-value"}).is_success

    requests = configured.requests()

    assert {one["service"] for one in requests} == {"partner_center", "entra", "key_vault", "identity"}
    text = json.dumps(requests, ensure_ascii=False)
    proofs = ("clientSecret", "certificate", "refreshToken")
    secrets = [account[proof] for account in known["accounts"].values() for proof in proofs if proof in account]
    secrets += [known["functionKey"], known["environment"]["IDENTITY_HEADER"], CALLER_KEY]
    secrets += [*bearers, "another-secret-that-is-wrong", "a-new-value"]
    assert [secret for secret in secrets if secret in text] == []
    assert "eyJ" not in text  # the start of every JWT


def test_the_list_can_be_forgotten(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    client.get(path_of(order_id))
    assert len(cloud.requests()) == 1

    control(cloud, "DELETE", "requests")

    assert cloud.requests() == []


def test_an_order_is_shown_as_partner_center_has_it(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    assert cloud.order(order_id) == client.get(path_of(order_id)).json()

    client.patch(path_of(order_id), json=CANCEL | {"lineItems": [{"lineItemNumber": 1}]})

    assert [line["quantity"] for line in cloud.order(order_id)["lineItems"]] == [1, 0, 1]
    assert control(cloud, "GET", "orders/of-nobody").status_code == 404


# Faults.


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        pytest.param("", b"", id="empty"),
        pytest.param('\ufeff{"code": "800096"}', b'\xef\xbb\xbf{"code": "800096"}', id="bom"),
        pytest.param('{"code": ', b'{"code": ', id="broken-json"),
        pytest.param("<html>\r\n é ✓\x00</html>\n ", "<html>\r\n é ✓\x00</html>\n ".encode(), id="text"),
        pytest.param({"code": 900213, "data": []}, b'{"code": 900213, "data": []}', id="object"),
        pytest.param([1, None], b"[1, null]", id="list"),
        pytest.param(0, b"0", id="number"),
    ],
)
def test_a_fault_answers_with_its_status_and_body(
    cloud: LocalCloud, client: httpx.Client, order_id: str, body: object, sent: bytes
) -> None:
    cloud.fault(status=418, body=body)

    answer = client.patch(path_of(order_id), json=CANCEL)

    assert (answer.status_code, answer.content) == (418, sent)
    assert cloud.order(order_id)["status"] == "completed"  # with a status the change is not made
    assert log_of(cloud) == [("PATCH", 418)]


def test_a_body_without_a_status_replaces_what_was_said_of_the_change(
    cloud: LocalCloud, client: httpx.Client, order_id: str
) -> None:
    cloud.fault(body="\ufeff", headers={"X-Extra": "1"})

    answer = client.patch(path_of(order_id), json=CANCEL)

    assert (answer.status_code, answer.content, answer.headers["x-extra"]) == (200, b"\xef\xbb\xbf", "1")
    assert cloud.order(order_id)["status"] == "cancelled"


def test_a_fault_gives_its_headers(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    cloud.fault(status=503, headers={"Retry-After": "7", "Content-Type": "text/html"}, body="<html/>")

    answer = client.get(path_of(order_id))

    assert (answer.headers["retry-after"], answer.headers["content-type"]) == ("7", "text/html")


@pytest.mark.parametrize("status", [200, 202, 204, 302, 304, 401, 404, 408, 409, 412, 429, 500, 502, 504, 599])
def test_a_fault_can_have_any_status(cloud: LocalCloud, client: httpx.Client, order_id: str, status: int) -> None:
    cloud.fault(status=status)

    assert client.get(path_of(order_id)).status_code == status


@pytest.mark.parametrize(
    ("chosen", "meets"),
    [
        ({}, ["GET", "PATCH"]),
        ({"method": "PATCH"}, ["PATCH"]),
        ({"method": "get"}, ["GET"]),
        ({"path": r"/orders/test-order-\d{4}(\?|$)"}, ["GET", "PATCH"]),
        ({"path": r"\?size=1$"}, ["GET"]),
        ({"path": "^/orders"}, []),
        ({"method": "PATCH", "path": "size"}, []),
        ({"service": "entra"}, []),
    ],
    ids=str,
)
def test_a_fault_meets_only_what_it_was_asked_for(
    cloud: LocalCloud, client: httpx.Client, order_id: str, chosen: Json, meets: list[str]
) -> None:
    cloud.fault(status=418, times=2, **chosen)

    answers = {
        "GET": client.get(f"{path_of(order_id)}?size=1"),
        "PATCH": client.patch(path_of(order_id), json={"status": "completed"}),
    }

    assert [method for method, answer in answers.items() if answer.status_code == 418] == meets


@pytest.mark.parametrize("service", ["entra", "key_vault", "identity"])
def test_every_service_can_fail(cloud: LocalCloud, service: str) -> None:
    cloud.fault(service=service, status=503, body="down")
    url = cloud.description[{"entra": "entraUrl", "key_vault": "keyVaultUrl", "identity": "identityUrl"}[service]]

    answers = [httpx.get(f"{url}/x", verify=tls(cloud), trust_env=False) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503, 404]
    assert answers[0].text == "down"
    assert [(one["service"], one["status"]) for one in cloud.requests()] == [(service, 503), (service, 404)]


def test_faults_are_used_first_in_first_out(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    cloud.fault(status=500, times=2)
    cloud.fault(status=502, method="PATCH")
    cloud.fault(status=504)

    assert [client.get(path_of(order_id)).status_code for _ in range(4)] == [500, 500, 504, 200]
    assert client.patch(path_of(order_id), json=CANCEL).status_code == 502


def test_a_delay_waits_and_then_acts_normally(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    cloud.fault(delay_s=0.3)

    started = time.monotonic()
    answer = client.patch(path_of(order_id), json=CANCEL)

    assert time.monotonic() - started >= 0.3
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize(
    ("fault", "status", "order_status"),
    [
        pytest.param({}, 200, "cancelled", id="then-acts"),
        pytest.param({"status": 503}, 503, "completed", id="then-fails"),
        pytest.param({"hang_up": "before"}, None, "completed", id="then-drops-without-the-change"),
        pytest.param({"hang_up": "after"}, None, "cancelled", id="then-drops-with-the-change"),
    ],
)
def test_removing_the_faults_lets_waiting_requests_go_on(
    cloud: LocalCloud,
    client: httpx.Client,
    background: ThreadPoolExecutor,
    order_id: str,
    fault: Json,
    status: int | None,
    order_status: str,
) -> None:
    cloud.fault(delay_s=LONG_S, **fault)
    held: Future[httpx.Response] = background.submit(client.patch, path_of(order_id), json=CANCEL)
    until(lambda: log_of(cloud) == [("PATCH", None)])
    assert cloud.order(order_id)["status"] == "completed"

    control(cloud, "DELETE", "faults")

    if status is None:
        assert isinstance(held.exception(LIMIT_S), httpx.RemoteProtocolError | httpx.ReadError)
    else:
        assert held.result(LIMIT_S).status_code == status
    assert cloud.order(order_id)["status"] == order_status
    assert log_of(cloud) == [("PATCH", status)]


@pytest.mark.parametrize(("hang_up", "order_status"), [("before", "completed"), ("after", "cancelled")])
def test_a_connection_drops_before_or_after_the_change(
    cloud: LocalCloud, client: httpx.Client, order_id: str, hang_up: str, order_status: str
) -> None:
    cloud.fault(hang_up=hang_up)

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.patch(path_of(order_id), json=CANCEL)

    assert cloud.order(order_id)["status"] == order_status
    assert log_of(cloud) == [("PATCH", None)]
    assert client.get(path_of(order_id)).status_code == 200  # the fault is used up


def test_removed_faults_do_not_come(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    cloud.fault(status=500, times=100)

    control(cloud, "DELETE", "faults")

    assert client.get(path_of(order_id)).status_code == 200


def test_what_a_client_leaves_out_may_be_null(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    """Clients that write out every member, and headers as numbers, mean what the others mean."""
    left_out = dict.fromkeys(("method", "path", "times", "status", "delay_s", "hang_up"))
    cloud.fault(**left_out, headers={"Retry-After": 3})

    assert client.get(path_of(order_id)).headers["retry-after"] == "3"


@pytest.mark.parametrize(
    "fault",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"status": 500}',
        '{"service": "graph", "status": 500}',
        '{"service": "entra", "status": 99}',
        '{"service": "entra", "status": "500"}',
        '{"service": "entra", "times": 0}',
        '{"service": "entra", "times": 1.5}',
        '{"service": "entra", "delay_s": -1}',
        '{"service": "entra", "delay_s": "1"}',
        '{"service": "entra", "hang_up": "during"}',
        '{"service": "entra", "hang_up": true}',
        '{"service": "entra", "path": "("}',
        '{"service": "entra", "method": 1}',
        '{"service": "entra", "headers": {"retry-after": [1]}}',
        '{"service": "entra", "headers": {"x": "two\\r\\nlines"}}',
        '{"service": "entra", "headers": {"x": "✓"}}',
        '{"service": "entra", "delayS": 1}',
        '{"service": "entra", "body": "\\ud800"}',
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_the_reason(cloud: LocalCloud, fault: str) -> None:
    answer = control(cloud, "POST", "faults", fault)

    assert answer.status_code == 400
    assert answer.json()["error"]


# Secrets and clients.


def test_a_new_version_of_a_secret_is_what_the_vault_gives(cloud: LocalCloud) -> None:
    cloud.put("secrets/some-secret", {"value": "first"})
    cloud.put("secrets/some-secret", {"value": "second"})

    with key_vault(cloud) as vault:
        assert vault.get("/secrets/some-secret/").json()["value"] == "second"


def test_a_secret_rotated_in_both_places_costs_no_failed_call(configured: LocalCloud) -> None:
    known = configured.description["accounts"]["rehearsal"]
    client = f"clients/{known['clientId']}"
    look = request_for("another-order-2", NEW_CUSTOMER, account="rehearsal")
    configured.put(client, {"tokenLifetime_s": 2})
    statuses = [as_helpdesk(configured, look).status_code]
    configured.forget()

    # The vault first: between the two, the old secret that the function holds is still good.
    configured.put(f"secrets/{known['secretName']}", {"value": "rotated"})
    configured.put(client, {"secret": "rotated"})
    refused = ask_for_token(configured, "rehearsal")
    accepted = ask_for_token(configured, "rehearsal", "rotated")
    deadline = time.monotonic() + LIMIT_S
    while not configured.requests("key_vault"):
        assert time.monotonic() < deadline, "the function never needed the new secret"
        statuses.append(as_helpdesk(configured, look).status_code)
        time.sleep(0.05)
    statuses.append(as_helpdesk(configured, look).status_code)  # by the renewed token

    assert (refused.status_code, refused.json()["error_codes"]) == (401, [7000215])
    assert accepted.json()["expires_in"] == 2
    assert set(statuses) == {200}


def test_a_token_lives_as_long_as_was_asked_for(cloud: LocalCloud, order_id: str) -> None:
    client_id = cloud.description["accounts"]["production"]["clientId"]
    cloud.put(f"clients/{client_id}", {"tokenLifetime_s": 3})

    with partner_center(cloud, "production") as client:
        cloud.put(f"clients/{client_id}", {"tokenLifetime_s": 3599})
        fresh = client.get(path_of(order_id)).status_code
        until(lambda: client.get(path_of(order_id)).status_code == 401)

    assert fresh == 200


@pytest.mark.parametrize("change", ["", "[]", '{"secret": 1}', '{"tokenLifetime_s": 0}', '{"tokenLifetime": 5}'])
def test_a_change_of_a_client_that_makes_no_sense_is_refused(cloud: LocalCloud, change: str) -> None:
    client_id = cloud.description["accounts"]["default"]["clientId"]

    assert control(cloud, "PUT", f"clients/{client_id}", change).status_code == 400
    assert control(cloud, "PUT", "clients/nobody", '{"secret": "x"}').status_code == 404


# The end.


@contextmanager
def started(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], LocalCloud]]:
    """Start a local cloud and yield it with its process; its output goes to a pipe that ends when all of it has."""
    file = directory / "cloud.json"
    process = subprocess.Popen(  # noqa: S603  (our own module)
        [sys.executable, "-m", "infra.local", "--port", "0", "--describe", str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that Ctrl-C can be imitated, which goes to a whole group
    )
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while not file.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline, "it did not start"
            time.sleep(0.002)
        cloud = LocalCloud(json.loads(file.read_bytes()), file)
        with cloud.http:
            yield process, cloud
    finally:
        process.kill()
        process.communicate()


def terminate(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)


def press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def is_listening(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=LIMIT_S).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("end", [terminate, interrupt, press_ctrl_c])
def test_a_signal_ends_everything(
    tmp_path: Path, background: ThreadPoolExecutor, end: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    """Also with a call under way, which waits for longer than anyone would."""
    with started(tmp_path) as (process, cloud):
        # It is there as soon as the description is, which is for nobody else's eyes.
        assert cloud.post(request_for(TWO_LINES, BUILT_IN_CUSTOMER, dryRun=True)).status_code == 200
        assert stat.S_IMODE((tmp_path / "cloud.json").stat().st_mode) == 0o600
        assert [file.name for file in tmp_path.iterdir()] == ["cloud.json"]
        cloud.fault(delay_s=LONG_S)
        held = background.submit(cloud.post, request_for(TWO_LINES, BUILT_IN_CUSTOMER), prefer="wait=100")
        until(lambda: ("PATCH", None) in log_of(cloud))

        end(process)
        output, _ = process.communicate(timeout=STOP_LIMIT_S)  # all who hold the pipe have ended

    assert process.returncode == 0, output.decode()
    assert isinstance(held.exception(LIMIT_S), httpx.TransportError) or held.result().status_code == 503
    assert not is_listening(cloud.description["functionUrl"])
    assert not Path(cloud.description["caFile"]).parent.exists()


def test_the_function_ends_when_the_local_cloud_is_killed(tmp_path: Path) -> None:
    """Else each crash would leave a process behind that holds the port."""
    with started(tmp_path) as (process, cloud):
        process.kill()
        process.communicate(timeout=STOP_LIMIT_S)

    assert not is_listening(cloud.description["functionUrl"])
