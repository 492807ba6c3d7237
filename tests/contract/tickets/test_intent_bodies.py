"""Which ticket a body names, whose body counts, and what of it gets into the queue."""

import json
from typing import Any

import pytest

from shared.tickets.queue import TEXT_LIMIT_BYTES
from tests.conftest import CUSTOMER
from tests.support.local_cloud import Json, LocalCloud, software_order
from tests.support.telling import TellingApp, Tickets, post_as, ticket_records

pytestmark = pytest.mark.anyio

NOT_ITS_FORM: dict[str, tuple[str, str]] = {
    "path": ("zendesk", "1/../../users/1"),
    "escaped-path": ("zendesk", "1%2F..%2F..%2Fusers%2F1"),
    "query": ("zendesk", "1?include=users"),
    "fragment": ("zendesk", "1#"),
    "blank": ("zendesk", " "),
    "blanks-around": ("zendesk", " 48 "),
    "line-break": ("zendesk", "48\n"),
    "nul": ("zendesk", "48\0"),
    "letters": ("zendesk", "ZD-48"),
    "emoji": ("zendesk", "😀"),
    "digits-of-another-script": ("zendesk", "４８"),
    "sign": ("zendesk", "-1"),
    "long": ("zendesk", "1" * 20),
    "too-long-for-the-request": ("zendesk", "1" * 101),
    "huge": ("zendesk", "1" * 60_000),
    "half-a-character": ("zendesk", "\ud83d"),
    "freshdesk": ("freshdesk", "INC-1"),
    "freshservice": ("freshservice", "1/notes"),
    "jira-small": ("jira", "it-42"),
    "jira-number": ("jira", "42"),
    "jira-path": ("jira", "IT-42/comment"),
    "webhook-path": ("standard-webhooks", "../1"),
    "webhook-line-break": ("standard-webhooks", "a\nb"),
    "webhook-long": ("standard-webhooks", "a" * 101),
}
ITS_FORM = {
    "zendesk": ["1", "9" * 19],
    "freshdesk": ["7"],
    "freshservice": ["7"],
    "jira": ["IT-42", "A_2B-123456789012"],
    "standard-webhooks": ["INC0010001", "a.b:c_d-e", "a" * 100],
}
LINE_BYTES = len('{"lineItemNumber":2147483647},')


def rehearsal(**members: Any) -> Json:
    """Return a request that changes nothing."""
    return {"customerTenantId": CUSTOMER, "orderId": "no-such-order", "account": "closed"} | members


@pytest.mark.parametrize("name", NOT_ITS_FORM)
async def test_a_ticket_whose_id_has_another_form_is_not_told(
    telling_app: TellingApp, telling_cloud: LocalCloud, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """It becomes part of an address, and Zendesk's are numbers."""
    system, ticket_id = NOT_ITS_FORM[name]

    answer = await post_as(telling_app, system, rehearsal(ticketId=ticket_id))

    is_request = len(ticket_id) <= 100 and name != "half-a-character"
    assert answer.code == ("account_off" if is_request else "invalid_request")
    assert telling_cloud.requests("queue") == []
    [record] = ticket_records(caplog)
    assert (record["event"], record["reason"], record["state"]) == ("not_told", "ticket_not_found", None)
    assert record["caller"] == system
    assert len(record["ticketId"]) <= 200


@pytest.mark.parametrize(("system", "ticket_id"), [(name, one) for name, ids in ITS_FORM.items() for one in ids])
async def test_every_form_of_its_system_is_told(
    telling_app: TellingApp, tickets: Tickets, system: str, ticket_id: str
) -> None:
    await post_as(telling_app, system, rehearsal(ticketId=ticket_id))

    [message] = tickets.queue()
    assert message.content
    assert (message.content["ticketId"], message.content["code"]) == (ticket_id, "account_off")


NO_TICKET: dict[str, object] = {
    "left-out": rehearsal(),
    "null": rehearsal(ticketId=None),
    "empty": rehearsal(ticketId=""),
    "number": rehearsal(ticketId=48),
    "true": rehearsal(ticketId=True),
    "list": rehearsal(ticketId=["48"]),
    "object": rehearsal(ticketId={"id": "48"}),
    "another-case": rehearsal(ticketid="48"),
    "within": rehearsal(ticket={"ticketId": "48"}),
    "list-of-requests": [rehearsal(ticketId="48")],
    "text": "48",
    "broken": b'{"ticketId": "48", }',
    "cut": b'{"ticketId": "48", "orderId": "x',
    "empty-body": b"",
    "byte-order-mark": b"\xef\xbb\xbf" + json.dumps(rehearsal(ticketId="48")).encode(),
    "utf-16": json.dumps(rehearsal(ticketId="48")).encode("utf-16"),
    "not-utf-8": b'{"ticketId": "48", "reason": "\xff"}',
    "twice": b'{"ticketId": "48", "ticketId": "49"}',
    "another-twice": b'{"ticketId": "48", "reason": "a", "reason": "b"}',
    "nan": b'{"ticketId": "48", "dryRun": NaN}',
    "deep": b'{"ticketId": "48", "lineItems": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "long-number": b'{"ticketId": "48", "dryRun": ' + b"1" * 5_000 + b"}",
    "too-large": json.dumps(rehearsal(ticketId="48", reason="x" * 66_000)).encode(),
}


@pytest.mark.parametrize("name", NO_TICKET)
async def test_without_a_ticket_that_can_be_read_nobody_is_told(
    telling_app: TellingApp, telling_cloud: LocalCloud, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A text that is no JSON may say anything; and a number is a mistake that the answer names."""
    answer = await post_as(telling_app, "zendesk", NO_TICKET[name])

    assert answer.status in {400, 403, 413}
    assert telling_cloud.requests("queue") == []
    assert telling_cloud.requests("identity", path="storage") == []
    assert ticket_records(caplog) == []


MISTAKES: dict[str, Json] = {
    "all-is-missing": {"ticketId": "48"},
    "no-order": {"ticketId": "48", "customerTenantId": CUSTOMER},
    "unknown-member": rehearsal(ticketId="48", lineItem=[0]),
    "no-lines": rehearsal(ticketId="48", lineItems=[]),
    "dry-run-as-text": rehearsal(ticketId="48", dryRun="true"),
    "customer": rehearsal(ticketId="48", customerTenantId="{{customer}}"),
    "account": rehearsal(ticketId="48", account=7),
    "long-reason": rehearsal(ticketId="48", reason="x" * 1_001),
    "many": {"ticketId": "48"} | {f"x{number}": number for number in range(500)},
}


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_request_with_mistakes_is_told_without_its_members(
    telling_app: TellingApp, tickets: Tickets, name: str
) -> None:
    answer = await post_as(telling_app, "zendesk", MISTAKES[name])

    assert answer.code == "invalid_request"
    [message] = tickets.queue()
    assert message.content
    assert message.content | {"decidedAt": 0} == {
        "caller": "zendesk",
        "ticketId": "48",
        "request": None,
        "code": "invalid_request",
        "decidedAt": 0,
        "correlationId": answer.body["correlationId"],
        "looks": 0,
        "failures": 0,
        "reason": None,
    }


# Whose body counts


@pytest.mark.parametrize("sender", ["nobody", "bad-signature", "signed-another-body", "bad-key"])
async def test_a_caller_that_is_not_proven_puts_nothing(
    telling_app: TellingApp, telling_cloud: LocalCloud, caplog: pytest.LogCaptureFixture, sender: str
) -> None:
    """Otherwise each person who has the address could have notes written into tickets."""
    body = rehearsal(ticketId="48")
    if sender == "nobody":
        answer = await telling_app.post(body)
    elif sender == "bad-key":
        answer = await post_as(telling_app, "freshdesk", body, **{"x-caller-key": "another"})
    elif sender == "bad-signature":
        answer = await post_as(telling_app, "zendesk", body, **{"x-zendesk-webhook-signature": "AAAA"})
    else:
        headers: dict[str, str] = {}
        await post_as(Spy(telling_app, headers), "zendesk", body)
        answer = await telling_app.post(body | {"ticketId": "49"}, **headers)

    assert answer.code == "caller_not_authenticated"
    assert telling_cloud.requests("queue") == []
    assert ticket_records(caplog) == []


class Spy(TellingApp):
    """Takes the *headers* of a request down, and sends it to nobody."""

    def __init__(self, app: TellingApp, headers: dict[str, str]) -> None:
        super().__init__(app.runtime, app.description)
        self._headers = headers

    async def post(self, body: object, *, trace_parent: str = "", **headers: str) -> Any:  # noqa: ARG002
        self._headers |= headers


@pytest.mark.parametrize("system", ["halo", "servicenow", "trainee"])
async def test_a_caller_without_tell_puts_nothing(
    telling_app: TellingApp, telling_cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str, system: str
) -> None:
    headers = {"x-caller-key": telling_app.description["callers"][system]["key"]}
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": "48"}

    answer = await telling_app.post(body, **headers)

    assert answer.result == ("caller_not_allowed" if system == "trainee" else "cancelled")
    assert telling_cloud.requests("queue") == []
    assert telling_cloud.requests("identity", path="storage") == []
    assert ticket_records(caplog) == []


# What gets into the queue


def lines(count: int) -> Json:
    return {"lineItems": [{"lineItemNumber": 2**31 - 1 - number} for number in range(count)]}


@pytest.mark.parametrize("is_patched", [False, True], ids=["before-a-patch", "after-a-patch"])
async def test_a_request_that_is_too_long_for_a_message_is_answered_all_the_same(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    ticket_id: str,
    is_patched: bool,
) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id} | lines(2_000)
    assert TEXT_LIMIT_BYTES < len(json.dumps(body)) <= 64 * 1024
    if is_patched:
        order = software_order(order_id, CUSTOMER)
        order["lineItems"] = [order["lineItems"][0] | line for line in body["lineItems"]]
        telling_cloud.fault(method="GET", status=200, body=order)
        telling_cloud.fault(method="PATCH", status=400, body={"code": "800061", "description": "no"})

    answer = await post_as(telling_app, "zendesk", body)

    assert answer.code == ("not_cancellable" if is_patched else "line_item_mismatch")
    assert ("PATCH" in telling_cloud.methods()) is is_patched
    assert telling_cloud.requests("queue") == []
    [record] = ticket_records(caplog)
    assert (record["reason"], record["state"]) == ("too_large", f"refused:{answer.code}")


async def test_the_longest_message_is_taken(telling_app: TellingApp, tickets: Tickets, ticket_id: str) -> None:
    body = rehearsal(ticketId=ticket_id) | lines((TEXT_LIMIT_BYTES - 1_000) // LINE_BYTES)

    answer = await post_as(telling_app, "zendesk", body)

    assert answer.code == "account_off"
    [message] = tickets.queue()
    assert TEXT_LIMIT_BYTES - 2_000 < len(message.text) <= TEXT_LIMIT_BYTES
    assert message.content
    assert message.content["request"]["lineItems"] == body["lineItems"]


async def test_no_reason_and_no_secret_gets_into_the_queue(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str
) -> None:
    """The readers of the queue and the readers of tickets are not the same people."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id, "reason": "PLANTED reason"}
    planted = {"x-functions-key": "PLANTED-key", "idempotency-key": "PLANTED-id", "authorization": "Bearer PLANTED"}

    await post_as(telling_app, "zendesk", body, **planted)
    await post_as(telling_app, "zendesk", body | {"lineItems": [], "apiKey": "PLANTED"}, **planted)

    texts = " ".join(message.text for message in tickets.queue())
    assert texts.count(ticket_id) == 3  # twice in the one with the request
    assert "PLANTED" not in texts
    description = telling_app.description
    callers = [caller for caller in description["callers"].values() if "tell" in caller]
    secrets = [caller["tell"]["secretValue"] for caller in callers] + [description["callers"]["zendesk"]["secret"]]
    secrets += [account["clientSecret"] for account in description["accounts"].values() if "clientSecret" in account]
    assert len(secrets) > 6
    assert [secret for secret in secrets if secret in texts] == []
    assert "https://" not in texts
