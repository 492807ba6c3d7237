"""Content type, tracing headers, repeated request ids, throttling."""

from uuid import uuid4

import httpx
import pytest

from infra.local.partner_center.orders import SHOWS_LATER_S
from infra.local.partner_center.server import PartnerCenter
from tests.support.built_in_orders import built_in
from tests.support.clock import Clock
from tests.support.partner_center import (
    FIRST_LINE,
    PRODUCTION,
    SANDBOX,
    TWO_LINES,
    bearer,
    cancel,
    path_of,
    quantities,
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


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
    ],
)
def test_a_patch_says_that_it_is_json(
    http: httpx.Client, partner_center: PartnerCenter, content_type: str | None, status: int
) -> None:
    before = partner_center.order(TWO_LINES)
    headers = bearer() | ({} if content_type is None else {"Content-Type": content_type})

    answer = http.patch(path_of(TWO_LINES), content=b'{"status": "cancelled"}', headers=headers)

    assert answer.status_code == status
    assert (partner_center.order(TWO_LINES) == before) == (status == 415)


def test_a_repeated_request_id_gets_the_same_answer(http: httpx.Client, partner_center: PartnerCenter) -> None:
    request_id = str(uuid4())
    first = cancel(http, TWO_LINES, request_id=request_id)

    again = cancel(http, TWO_LINES, request_id=request_id.upper())

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.json()["status"] == "cancelled"
    assert again.headers["MS-CorrelationId"] != first.headers["MS-CorrelationId"]
    assert status_and_code(cancel(http, TWO_LINES)) == (400, "800061")
    assert status_and_code(cancel(http, TWO_LINES, tenant=PRODUCTION, request_id=request_id)) == (400, "800061")
    partner_center.replay = False
    assert status_and_code(cancel(http, TWO_LINES, request_id=request_id)) == (400, "800061")


def test_a_read_with_the_id_of_a_patch_gets_the_old_answer(
    http: httpx.Client, partner_center: PartnerCenter, clock: Clock
) -> None:
    """A client that gives its read the id of its PATCH must not find out what happened."""
    order_id, request_id = built_in("shows-later"), str(uuid4())
    old = cancel(http, order_id, request_id=request_id).json()
    clock.now += SHOWS_LATER_S

    assert http.get(path_of(order_id), headers=bearer(**{"MS-RequestId": request_id})).json() == old
    assert http.get(path_of(order_id), headers=bearer()).json() == partner_center.order(order_id) != old


def test_a_refusal_is_repeated_for_its_request_id_even_when_it_no_longer_holds(
    http: httpx.Client, partner_center: PartnerCenter, clock: Clock
) -> None:
    order_id, request_id = built_in("shows-later"), str(uuid4())
    first_line = {"id": order_id, "status": "cancelled", "lineItems": [FIRST_LINE]}
    cancel(http, order_id, body=first_line)
    assert status_and_code(cancel(http, order_id, request_id=request_id)) == (400, "800061")
    clock.now += SHOWS_LATER_S
    assert quantities(partner_center.order(order_id)) == [0, 1]

    assert status_and_code(cancel(http, order_id, request_id=request_id)) == (400, "800061")


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
