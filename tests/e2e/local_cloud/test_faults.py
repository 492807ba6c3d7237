"""Faults on demand: what they meet, and what they do to the answer and to the change."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from tests.support.local_cloud import Json, LocalCloud
from tests.support.stand_in_clients import (
    CANCEL,
    LIMIT_S,
    LONG_S,
    methods_and_statuses,
    path_of,
    send_control,
    tls_context,
)
from tests.support.waiting import wait_until


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
    assert cloud.order(order_id)["status"] == "completed"  # a fault with a status does not carry the request out
    assert methods_and_statuses(cloud) == [("PATCH", 418)]


def test_a_body_without_a_status_replaces_the_answer_to_the_change(
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
    ("match", "met_methods"),
    [
        ({}, ["GET", "PATCH"]),
        ({"method": "PATCH"}, ["PATCH"]),
        ({"method": "get"}, ["GET"]),
        ({"path": r"/orders/test-order-\d{4}-0+1(\?|$)"}, ["GET", "PATCH"]),
        ({"path": r"\?size=1$"}, ["GET"]),
        ({"path": "^/orders"}, []),
        ({"method": "PATCH", "path": "size"}, []),
        ({"service": "entra"}, []),
    ],
    ids=str,
)
def test_a_fault_meets_only_requests_that_match(
    cloud: LocalCloud, client: httpx.Client, order_id: str, match: Json, met_methods: list[str]
) -> None:
    cloud.fault(status=418, times=2, **match)

    answers = {
        "GET": client.get(f"{path_of(order_id)}?size=1"),
        "PATCH": client.patch(path_of(order_id), json={"status": "completed"}),
    }

    assert [method for method, answer in answers.items() if answer.status_code == 418] == met_methods


@pytest.mark.parametrize("service", ["entra", "key_vault", "identity"])
def test_every_service_can_fail(cloud: LocalCloud, service: str) -> None:
    cloud.fault(service=service, status=503, body="down")
    url = cloud.description[{"entra": "entraUrl", "key_vault": "keyVaultUrl", "identity": "identityUrl"}[service]]

    answers = [httpx.get(f"{url}/x", verify=tls_context(cloud), trust_env=False) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503, 404]
    assert answers[0].text == "down"
    assert [(request["service"], request["status"]) for request in cloud.requests()] == [(service, 503), (service, 404)]


def test_faults_are_used_first_in_first_out(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    cloud.fault(status=500, times=2)
    cloud.fault(status=502, method="PATCH")
    cloud.fault(status=504)

    assert [client.get(path_of(order_id)).status_code for _ in range(4)] == [500, 500, 504, 200]
    assert client.patch(path_of(order_id), json=CANCEL).status_code == 502


def test_a_delayed_request_is_then_carried_out(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    cloud.fault(delay_s=0.3)

    started = time.monotonic()
    answer = client.patch(path_of(order_id), json=CANCEL)

    assert time.monotonic() - started >= 0.3
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize(
    ("fault", "status", "order_status"),
    [
        pytest.param({}, 200, "cancelled", id="then-carried-out"),
        pytest.param({"status": 503}, 503, "completed", id="then-refused"),
        pytest.param({"hang_up": "before"}, None, "completed", id="then-dropped-without-the-change"),
        pytest.param({"hang_up": "after"}, None, "cancelled", id="then-dropped-with-the-change"),
    ],
)
def test_removing_the_faults_releases_waiting_requests(
    cloud: LocalCloud,
    client: httpx.Client,
    background: ThreadPoolExecutor,
    order_id: str,
    fault: Json,
    status: int | None,
    order_status: str,
) -> None:
    cloud.fault(delay_s=LONG_S, **fault)
    waiting: Future[httpx.Response] = background.submit(client.patch, path_of(order_id), json=CANCEL)
    wait_until(lambda: methods_and_statuses(cloud) == [("PATCH", None)], "no PATCH arrived")
    assert cloud.order(order_id)["status"] == "completed"

    send_control(cloud, "DELETE", "faults")

    if status is None:
        assert isinstance(waiting.exception(LIMIT_S), httpx.RemoteProtocolError | httpx.ReadError)
    else:
        assert waiting.result(LIMIT_S).status_code == status
    assert cloud.order(order_id)["status"] == order_status
    assert methods_and_statuses(cloud) == [("PATCH", status)]


@pytest.mark.parametrize(("hang_up", "order_status"), [("before", "completed"), ("after", "cancelled")])
def test_a_connection_is_dropped_before_or_after_the_change(
    cloud: LocalCloud, client: httpx.Client, order_id: str, hang_up: str, order_status: str
) -> None:
    cloud.fault(hang_up=hang_up)

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.patch(path_of(order_id), json=CANCEL)

    assert cloud.order(order_id)["status"] == order_status
    assert methods_and_statuses(cloud) == [("PATCH", None)]
    assert client.get(path_of(order_id)).status_code == 200  # the fault is used up


def test_removed_faults_do_not_happen(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    cloud.fault(status=500, times=100)

    send_control(cloud, "DELETE", "faults")

    assert client.get(path_of(order_id)).status_code == 200


def test_null_counts_as_absent(cloud: LocalCloud, client: httpx.Client, order_id: str) -> None:
    """Some clients write out every member, and numbers in headers."""
    absent = dict.fromkeys(("method", "path", "times", "status", "delay_s", "hang_up"))
    cloud.fault(**absent, headers={"Retry-After": 3})

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
    answer = send_control(cloud, "POST", "faults", fault)

    assert answer.status_code == 400
    assert answer.json()["error"]
