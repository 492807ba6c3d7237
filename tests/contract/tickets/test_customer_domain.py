"""A request that names its customer by a domain: its follow-up has the tenant that was found, and no domain."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.local_cloud import Json, LocalCloud
from tests.support.telling import TellingApp, Tickets, post_as, tell

pytestmark = pytest.mark.anyio

DOMAIN = f"customer-{CUSTOMER}.example"
REQUESTS: dict[str, Json] = {
    "order": {},
    "line": {"lineItems": [{"lineItemNumber": 0}]},
    "dry-run": {"dryRun": True},
    "not-allowed": {"account": "limited"},
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_follow_up_has_the_tenant(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str, name: str
) -> None:
    """The domain may be somebody else's by the time of the look."""
    body = {"customerDomain": DOMAIN, "orderId": order_id, "ticketId": ticket_id} | REQUESTS[name]

    await post_as(telling_app, "zendesk", body)

    [message] = tickets.queue()
    assert message.content
    assert message.content["request"]["customerTenantId"] == CUSTOMER
    assert "example" not in message.text


async def test_the_ticket_is_told_without_asking_for_the_domain_again(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, order_id: str, ticket_id: str
) -> None:
    body = {"customerDomain": DOMAIN, "orderId": order_id, "ticketId": ticket_id}
    await post_as(telling_app, "zendesk", body)
    telling_cloud.forget_requests()

    await tell(telling_app)

    [note] = tickets.notes("zendesk", ticket_id)
    assert f"customer {CUSTOMER}" in note
    assert tickets.queue() == []
    assert telling_cloud.requests("entra", path="openid-configuration") == []


async def test_both_names_of_a_customer_are_one_request(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str
) -> None:
    """Otherwise the same note would be written twice."""
    body = {"orderId": order_id, "ticketId": ticket_id}

    await post_as(telling_app, "zendesk", body | {"customerDomain": DOMAIN})
    await post_as(telling_app, "zendesk", body | {"customerTenantId": CUSTOMER})
    await tell(telling_app)

    assert len(tickets.notes("zendesk", ticket_id)) == 1
    assert tickets.queue() == []


async def test_an_unknown_domain_is_told(telling_app: TellingApp, tickets: Tickets, ticket_id: str) -> None:
    body = {"customerDomain": "nobody.example", "orderId": "some-order", "ticketId": ticket_id}

    answer = await post_as(telling_app, "zendesk", body)
    await tell(telling_app)

    assert answer.code == "customer_not_found"
    [note] = tickets.notes("zendesk", ticket_id)
    assert "nobody.example" not in note, "no free text of a request is in a note"
    assert answer.body["correlationId"] in note
