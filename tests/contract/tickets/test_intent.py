"""What a call puts into the queue, and when: beside its PATCH, and when it is decided."""

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from shared.settings import Settings
from shared.tickets.follow_up import FollowUp
from tests.conftest import CUSTOMER
from tests.support.answers import Answer
from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.local_cloud import Json, LocalCloud
from tests.support.telling import Message, TellingApp, Tickets, post_as, worker
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

LINE: Json = {"lineItems": [{"lineItemNumber": 0}]}
TERM_END: Json = {"when": "term_end"}
REFUSED = {"method": "PATCH", "status": 400, "body": {"code": "800061", "description": "no"}}
NOT_DONE = {"method": "PATCH", "status": 202, "body": ""}
LOST: Json = {"method": "PATCH", "delay_s": 300}
WHEN_SENDERS_ARE_DONE_S, LONGEST_CALL_S, SPARE_S = 900, 100, 20


def is_hidden_for(message: Message, seconds: float) -> bool:
    """True if *message* was hidden for so many *seconds* a short time ago."""
    return message.visible_in_s <= seconds and message.visible_in_s > seconds - 60


class Put(NamedTuple):
    """The message in the queue at the end of a call.

    *code* of the message. *hidden_s*: seconds, 0 if it is visible. *has_request*:
    what was asked for is in it. *is_intent*: it was put beside the PATCH, and *code* and visibility came later.
    """

    code: str | None = None
    hidden_s: float = 0
    has_request: bool = True
    is_intent: bool = False


DECIDED = Put(is_intent=True)
OPEN = Put(hidden_s=LONGEST_CALL_S + SPARE_S, is_intent=True)
SENDER_REPEATS = Put(hidden_s=WHEN_SENDERS_ARE_DONE_S)


class Case(NamedTuple):
    """A request, what goes wrong, how it ends, and what is in the queue then."""

    result: str
    put: Put
    body: Json | None = None
    fault: Json | None = None
    headers: dict[str, str] | None = None


REFUSED_WITHOUT_PATCH: dict[str, Case] = {
    "mistakes": Case("invalid_request", Put("invalid_request", has_request=False), {"lineItems": []}),
    "not-its-type": Case(
        "unsupported_media_type",
        Put("unsupported_media_type", has_request=False),
        headers={"content-type": "text/plain"},
    ),
    "no-such-account": Case("unknown_account", Put("unknown_account", has_request=False), {"account": "nowhere"}),
    "no-such-domain": Case(
        "customer_not_found",
        Put("customer_not_found", has_request=False),
        {"customerDomain": "nobody.example", "customerTenantId": None},
    ),
    "account-off": Case("account_off", Put("account_off"), {"account": "closed"}),
    "another-customer": Case("customer_not_allowed", Put("customer_not_allowed"), {"account": "limited"}),
    "no-such-order": Case(
        "order_not_found",
        Put("order_not_found"),
        LINE,
        {"method": "GET", "status": 404, "body": {"code": "20000", "description": "no"}},
    ),
    "no-such-line": Case(
        "line_item_mismatch", Put("line_item_mismatch"), {"lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": 9}]}
    ),
    "misconfigured": Case("misconfigured", Put("misconfigured"), {"account": "no-secret"}),
    "credential-refused": Case("credentials_rejected", Put("credentials_rejected"), {"account": "expired"}),
    "junk": Case("unexpected_answer", Put("unexpected_answer"), LINE, {"method": "GET", "status": 200, "body": "junk"}),
}
REPEATED_BY_ITS_SENDER: dict[str, Case] = {
    "throttled": Case(
        "throttled", SENDER_REPEATS._replace(code="throttled"), LINE, {"method": "GET", "status": 429, "times": 9}
    ),
    "unavailable": Case(
        "partner_center_unavailable",
        SENDER_REPEATS._replace(code="partner_center_unavailable"),
        LINE,
        {"hang_up": "before", "times": 9},
    ),
    "no-token": Case(
        "credentials_unavailable",
        SENDER_REPEATS._replace(code="credentials_unavailable"),
        fault={"service": "entra", "hang_up": "before", "times": 9},
    ),
}
DONE_WITHOUT_PATCH: dict[str, Case] = {
    "dry-run": Case("dry_run", Put(), {"dryRun": True}),
    "account-that-rehearses": Case("dry_run", Put(), {"account": "rehearsal"}),
}
DECIDED_AFTER_PATCH: dict[str, Case] = {
    "cancelled": Case("cancelled", DECIDED),
    "a-line": Case("partially_cancelled", DECIDED, LINE),
    "answer-lost-and-found": Case("cancelled", DECIDED, fault={"method": "PATCH", "hang_up": "after"}),
    "refused": Case("not_cancellable", DECIDED._replace(code="not_cancellable"), fault=REFUSED),
    "no-such-order": Case(
        "order_not_found",
        DECIDED._replace(code="order_not_found"),
        fault={"method": "PATCH", "status": 404, "body": {"code": "20000", "description": "no"}},
    ),
    "our-app-is-refused": Case(
        "credentials_rejected",
        DECIDED._replace(code="credentials_rejected"),
        fault={"method": "PATCH", "status": 401, "times": 4},
    ),
    "no-known-meaning": Case(
        "unexpected_answer",
        DECIDED._replace(code="unexpected_answer"),
        fault={"method": "PATCH", "status": 400, "body": {"code": "3000", "description": "no"}},
    ),
}
LEFT_OPEN_AFTER_PATCH: dict[str, Case] = {
    "pending": Case("pending", OPEN, fault=NOT_DONE),
    "unknown": Case("outcome_unknown", OPEN, fault=LOST, headers={"prefer": "wait=1"}),
    "throttled": Case("throttled", OPEN, fault={"method": "PATCH", "status": 429, "times": 9}),
    "busy": Case(
        "order_busy",
        OPEN,
        fault={"method": "PATCH", "status": 409, "body": {"code": "800060", "description": "wait"}, "times": 9},
    ),
}
CASES = {
    f"{kind}-{name}": case
    for kind, cases in {
        "refused": REFUSED_WITHOUT_PATCH,
        "repeated": REPEATED_BY_ITS_SENDER,
        "done": DONE_WITHOUT_PATCH,
        "decided": DECIDED_AFTER_PATCH,
        "open": LEFT_OPEN_AFTER_PATCH,
    }.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("name", CASES)
async def test_one_message_is_left_for_each_end(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, order_id: str, ticket_id: str, name: str
) -> None:
    case = CASES[name]
    asked = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id, "reason": "wrong edition"}
    if case.fault:
        telling_cloud.fault(**case.fault)

    started_at = time.time()
    answer = await post_as(telling_app, "zendesk", asked | (case.body or {}), **(case.headers or {}))

    assert answer.result == case.result
    [message] = tickets.queue()
    assert (message.queue, message.dequeue_count) == ("follow-up", 0)
    assert is_hidden_for(message, case.put.hidden_s) if case.put.hidden_s else message.visible_in_s == 0
    dry_run = answer.outcome == "dry_run"
    request = {name: value for name, value in (asked | (case.body or {})).items() if name != "reason"}
    assert message.content == {
        "caller": "zendesk",
        "ticketId": ticket_id,
        "request": {"account": "default"} | request | {"dryRun": dry_run} if case.put.has_request else None,
        "code": case.put.code,
        "decidedAt": message.content and message.content["decidedAt"],
        "correlationId": answer.body["correlationId"],
        "looks": 0,
        "failures": 0,
        "reason": None,
    }
    assert started_at <= message.content["decidedAt"] <= time.time()
    assert FollowUp.read(message.text.encode(), time.time()), "the timer understands it"
    is_open = case.put.hidden_s > 0
    written = ["POST"] if is_open or not case.put.is_intent else ["POST", "PUT"]
    assert telling_cloud.methods("queue") == written
    assert ("PATCH" in telling_cloud.methods()) is case.put.is_intent


@pytest.mark.parametrize("max_wait_s", [1, 30, 100])
async def test_the_intent_is_there_while_the_patch_is_on_its_way(
    telling_settings: Settings,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    order_id: str,
    ticket_id: str,
    max_wait_s: float,
) -> None:
    """If the worker died now, the message would show once the longest call is over."""
    telling_cloud.fault(method="PATCH", delay_s=300)
    settings = telling_settings.model_copy(update={"max_wait_s": max_wait_s, "deadline_s": 60.0})
    async with worker(settings, telling_cloud) as app:
        body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id}
        call = asyncio.create_task(post_as(app, "zendesk", body))
        await wait_for_request(telling_cloud, "partner_center", "PATCH")
        intent = await only_message(tickets)
        telling_cloud.clear_faults()
        answer = await call

    assert answer.outcome == "cancelled"
    assert is_hidden_for(intent, max_wait_s + SPARE_S)
    assert intent.visible_in_s > 0
    assert intent.content
    assert (intent.content["code"], intent.content["looks"]) == (None, 0)
    decided = await only_message(tickets)
    assert decided.content
    assert decided.visible_in_s == 0
    assert decided.content["decidedAt"] > intent.content["decidedAt"]


async def only_message(tickets: Tickets) -> Message:
    """Return the message that is in the queue, as soon as there is one."""
    async with asyncio.timeout(60):
        while not (found := tickets.queue()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    [message] = found
    return message


async def test_the_patch_does_not_wait_for_the_queue(
    telling_app: TellingApp, telling_cloud: LocalCloud, order_id: str, ticket_id: str
) -> None:
    telling_cloud.fault(service="queue", method="POST", delay_s=300)
    telling_cloud.fault(method="PATCH", delay_s=300)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id}
    call = asyncio.create_task(post_as(telling_app, "zendesk", body))

    await wait_for_request(telling_cloud, "partner_center", "PATCH")
    await wait_for_request(telling_cloud, "queue", "POST")

    telling_cloud.clear_faults()
    assert (await call).outcome == "cancelled"


async def test_the_token_for_the_queue_is_fetched_beside_that_for_partner_center(
    telling_app: TellingApp, telling_cloud: LocalCloud, order_id: str, ticket_id: str
) -> None:
    telling_cloud.fault(service="entra", method="POST", delay_s=300)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id}
    call = asyncio.create_task(post_as(telling_app, "zendesk", body, prefer="wait=60"))

    await wait_for_request(telling_cloud, "entra", "POST")
    await wait_for_request(telling_cloud, "identity", path="storage")

    assert telling_cloud.requests("partner_center") == []
    telling_cloud.clear_faults()
    assert (await call).outcome == "cancelled"


async def test_a_repeat_that_finds_it_done_is_told_without_a_patch(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, order_id: str, ticket_id: str
) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id} | LINE
    await post_as(telling_app, "zendesk", body)
    telling_cloud.forget_requests()

    answer = await post_as(telling_app, "zendesk", body)

    assert answer.outcome == "already_cancelled"
    assert telling_cloud.methods("queue") == ["POST"]
    assert telling_cloud.methods() == ["GET"]
    assert [message.visible_in_s for message in tickets.queue()] == [0, 0]


# Licences, which are put back


LICENCE, FIVE = subscription_of("licence"), [subscription_of("licences-five", line) for line in range(5)]


@pytest.fixture
def _licences(telling_cloud: LocalCloud) -> Iterator[None]:
    before = {own: telling_cloud.subscription(own) for own in (LICENCE, *FIVE)}
    yield
    telling_cloud.clear_faults()
    for own, subscription in before.items():
        telling_cloud.put(f"subscriptions/{own}", subscription)


@pytest.mark.usefixtures("_licences")
@pytest.mark.parametrize(
    ("more", "outcomes"),
    [({}, ["cancelled", "already_cancelled"]), (TERM_END, ["scheduled", "already_scheduled"])],
    ids=["now", "at-the-end-of-its-term"],
)
async def test_a_licence_is_told_like_an_order(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    ticket_id: str,
    more: Json,
    outcomes: list[str],
) -> None:
    asked = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE, "ticketId": ticket_id} | more

    answers = [await post_as(telling_app, "zendesk", asked) for _ in outcomes]

    assert [answer.outcome for answer in answers] == outcomes
    found = tickets.queue()
    assert [message.visible_in_s for message in found] == [0, 0]
    for message in found:
        assert message.content
        assert message.content["request"] == asked | {"account": "default", "dryRun": False}
        assert message.content["code"] is None
    assert telling_cloud.methods("queue") == ["POST", "PUT", "POST"]


@pytest.mark.usefixtures("_licences")
async def test_a_call_of_several_patches_has_one_intent(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, ticket_id: str
) -> None:
    order = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-five"), "ticketId": ticket_id}

    answer = await post_as(telling_app, "zendesk", order)

    assert answer.outcome == "cancelled"
    assert telling_cloud.methods().count("PATCH") == 5
    assert telling_cloud.methods("queue") == ["POST", "PUT"]
    assert len(tickets.queue()) == 1


@pytest.mark.usefixtures("_licences")
async def test_lines_of_which_some_are_refused_are_told_with_their_code(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, ticket_id: str
) -> None:
    """The timer looks all the same: it tells which lines are done."""
    order = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-five"), "ticketId": ticket_id}
    refused = {"status": 400, "body": {"code": "800061", "description": "no"}}
    telling_cloud.fault(method="PATCH", path=FIVE[2], **refused)

    answer = await post_as(telling_app, "zendesk", order)

    assert answer.code == "some_lines_refused"
    [message] = tickets.queue()
    assert message.content
    assert (message.content["code"], message.visible_in_s) == ("some_lines_refused", 0)


# Who is told


@pytest.mark.parametrize("system", ["zendesk", "freshdesk", "freshservice", "jira", "standard-webhooks"])
async def test_each_caller_with_tell_has_its_follow_up(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str, system: str
) -> None:
    own_id = f"IT-{ticket_id}" if system == "jira" else ticket_id
    answer = await post_as(
        telling_app, system, {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": own_id, "dryRun": True}
    )

    assert answer.outcome == "dry_run"
    [message] = tickets.queue()
    assert message.content
    assert (message.content["caller"], message.content["ticketId"]) == (system, own_id)


async def test_a_caller_that_may_not_is_told(
    telling_settings: Settings, telling_cloud: LocalCloud, tickets: Tickets, order_id: str, ticket_id: str
) -> None:
    callers = telling_settings.callers or {}
    limited = callers["zendesk"].model_copy(update={"dry_run_only": True})
    settings = telling_settings.model_copy(update={"callers": {**callers, "zendesk": limited}})
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id}

    async with worker(settings, telling_cloud) as app:
        answer: Answer = await post_as(app, "zendesk", body)

    assert answer.code == "caller_not_allowed"
    [message] = tickets.queue()
    assert message.content
    assert (message.content["code"], message.visible_in_s) == ("caller_not_allowed", 0)
