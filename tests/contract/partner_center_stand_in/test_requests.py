"""Tracing headers, repeated request ids, throttling."""

from uuid import uuid4

import httpx
import pytest

from infra.local.partner_center.server import SHOWS_LATER_S, PartnerCenter
from tests.support.built_in_orders import built_in
from tests.support.clock import Clock
from tests.support.partner_center import (
    PRODUCTION,
    SANDBOX,
    TWO_LINES,
    bearer,
    cancel,
    path_of,
    status_and_code,
)


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("order_id", [TWO_LINES, "unknown-order"])
def test_tracing_headers_are_echoed_or_made_up(http: httpx.Client, order_id: str) -> None:
    sent = {"MS-RequestId": str(uuid4()), "MS-CorrelationId": str(uuid4()), "MS-CV": "abc.1", "X-Locale": "de-DE"}

    echoed = http.get(path_of(order_id), headers=bearer(**sent)).headers
    made = http.get(path_of(order_id), headers=bearer()).headers

    assert {name: echoed[name] for name in sent} == sent
    assert echoed["MS-ServerId"]
    assert made["X-Locale"] == "en-US"
    assert all(made[name] not in ("", sent[name]) for name in sent)


def test_a_repeated_request_id_gets_the_same_answer(http: httpx.Client, partner_center: PartnerCenter) -> None:
    request_id = str(uuid4())
    before = http.get(path_of(TWO_LINES), headers=bearer(**{"MS-RequestId": request_id})).json()
    first = cancel(http, TWO_LINES, request_id=request_id)

    again = cancel(http, TWO_LINES, request_id=request_id.upper())

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.json()["status"] == "cancelled"
    assert again.headers["MS-CorrelationId"] != first.headers["MS-CorrelationId"]
    assert status_and_code(cancel(http, TWO_LINES)) == (400, "800061")
    assert status_and_code(cancel(http, TWO_LINES, tenant=PRODUCTION, request_id=request_id)) == (400, "800061")
    assert http.get(path_of(TWO_LINES), headers=bearer(**{"MS-RequestId": request_id})).json() == before
    partner_center.replay = False
    assert status_and_code(cancel(http, TWO_LINES, request_id=request_id)) == (400, "800061")


def test_a_refusal_is_repeated_for_its_request_id_even_when_it_no_longer_holds(
    http: httpx.Client, partner_center: PartnerCenter, clock: Clock
) -> None:
    order_id, request_id = built_in("shows-later"), str(uuid4())
    cancel(http, order_id)
    assert status_and_code(cancel(http, order_id, request_id=request_id)) == (409, "800060")
    clock.now += SHOWS_LATER_S
    assert partner_center.order(order_id)

    assert status_and_code(cancel(http, order_id, request_id=request_id)) == (409, "800060")


def test_a_tenant_that_sends_too_many_requests_has_to_wait(
    http: httpx.Client, partner_center: PartnerCenter, clock: Clock
) -> None:
    partner_center.requests_per_minute = 2
    request_id = str(uuid4())

    def read(tenant: str = SANDBOX) -> httpx.Response:
        return http.get(path_of(TWO_LINES), headers=bearer(tenant))

    assert [read().status_code for _ in range(3)] == [200, 200, 429]
    clock.now += 3
    refused = cancel(http, TWO_LINES, request_id=request_id)
    assert refused.json() == {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds."}
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "57")
    assert read(PRODUCTION).status_code == 200
    clock.now += 57
    assert cancel(http, TWO_LINES, request_id=request_id).status_code == 200
    assert [read().status_code for _ in range(2)] == [200, 429]
    partner_center.requests_per_minute = 0
    assert read().status_code == 200
