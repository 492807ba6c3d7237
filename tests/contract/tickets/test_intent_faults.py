"""The queue fails: the answer is the same as without `tell`, it comes soon, and `not_told` is recorded."""

import asyncio
import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from shared.credentials.cached_secrets import READ_AGAIN_S, STORAGE_SCOPE
from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.answers import Answer
from tests.support.local_cloud import Json, LocalCloud
from tests.support.telling import TellingApp, Tickets, post_as, ticket_records, without_tell, worker
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

MINUTES = 300  # of a fault that nobody waits for, in seconds
SOON_S = 20  # far more than the second that an answer waits, far less than such a fault
TRACE = "00-1438ea3db51545c79ec127ee0cc8e6bd-b7ad6b7169203331-01"
LINE: Json = {"lineItems": [{"lineItemNumber": 0}]}
HIDDEN_S = 120


class End(NamedTuple):
    """A request that ends in one way, and the state that its ticket would be told."""

    result: str
    state: str
    body: Json | None = None
    fault: Json | None = None
    headers: dict[str, str] | None = None


ENDS = {
    "cancelled": End("cancelled", "cancelled"),
    "refused": End(
        "not_cancellable",
        "refused:not_cancellable",
        fault={"method": "PATCH", "status": 400, "body": {"code": "800061", "description": "no"}},
    ),
    "pending": End("pending", "open", fault={"method": "PATCH", "status": 202, "body": ""}),
    "unknown": End(
        "outcome_unknown", "open", fault={"method": "PATCH", "delay_s": MINUTES}, headers={"prefer": "wait=1"}
    ),
    "mistakes": End("invalid_request", "refused:invalid_request", {"lineItems": []}),
    "dry-run": End("dry_run", "dry_run", {"dryRun": True}),
    "throttled": End("throttled", "open", LINE, {"method": "GET", "status": 429, "times": 9}),
}


async def ask(app: TellingApp, cloud: LocalCloud, end: End, order_id: str, ticket_id: str) -> Answer:
    """Return the answer to the request of *end*; its fault is the next one."""
    if end.fault:
        cloud.fault(**end.fault)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id} | (end.body or {})
    async with asyncio.timeout(SOON_S):
        return await post_as(app, "zendesk", body, trace_parent=TRACE, **(end.headers or {}))


def comparable(answer: Answer, order_id: str) -> tuple[int, dict[str, str], Json]:
    """Return status, headers and body of *answer*, without the ids that differ from call to call."""
    text = json.dumps(answer.body).replace(answer.request_id, "REQUEST-ID").replace(order_id, "ORDER-ID")
    return answer.status, dict(answer.headers), json.loads(text)


@pytest.fixture(scope="session")
def answers_without_tell() -> dict[str, Any]:
    """The answers where nobody is told, by the names in ENDS."""
    return {}


async def expected(
    name: str, settings: Settings, cloud: LocalCloud, order_ids: Iterator[str], known: dict[str, Any]
) -> tuple[int, dict[str, str], Json]:
    if name not in known:
        order_id = next(order_ids)
        async with worker(without_tell(settings), cloud) as app:
            known[name] = comparable(await ask(app, cloud, ENDS[name], order_id, "1"), order_id)
        cloud.forget()
    status, headers, body = known[name]
    return status, headers, json.loads(json.dumps(body))


HANGS = {"delay_s": MINUTES, "status": 503}  # with a status, or it would be carried out when the test is over
STORAGE = {"service": "identity", "path": "storage", "times": 99}
QUEUE = {"service": "queue", "times": 99}
FAULTS: dict[str, Json] = {
    "down": QUEUE | {"hang_up": "before"},
    "hangs": QUEUE | HANGS,
    "breaks-off": QUEUE | {"status": 503, "body_bytes": 5_000, "hang_up": "halfway"},
    "never-ends": QUEUE | {"status": 201, "body_bytes": 5_000, "slow_s": MINUTES},
    "401": QUEUE | {"status": 401},
    "403": QUEUE | {"status": 403, "headers": {"x-ms-error-code": "AuthorizationPermissionMismatch"}},
    "404": QUEUE | {"status": 404, "headers": {"x-ms-error-code": "QueueNotFound"}},
    "413": QUEUE | {"status": 413, "headers": {"x-ms-error-code": "RequestBodyTooLarge"}},
    "429": QUEUE | {"status": 429, "headers": {"Retry-After": "59"}},
    "500": QUEUE | {"status": 500, "headers": {"x-ms-error-code": "InternalError"}},
    "503": QUEUE | {"status": 503, "headers": {"x-ms-error-code": "ServerBusy", "Retry-After": "59"}},
    "redirects": QUEUE | {"status": 307, "headers": {"Location": "https://elsewhere.example/"}},
    "no-token": STORAGE | {"status": 500},
    "token-refused": STORAGE | {"status": 400, "body": {"error": "invalid_scope"}},
    "token-junk": STORAGE | {"status": 200, "body": "<html>"},
    "token-hangs": STORAGE | HANGS,
}


OFTEN = {"down", "hangs", "403", "token-refused", "token-hangs"}


def pairs() -> list[Any]:
    """Return each fault with each end. Most wait for a second, so the usual run has a part of them."""
    found = []
    for fault in FAULTS:
        for end in ENDS:
            is_usual = (fault in OFTEN and end == "cancelled") or (fault == "hangs" and end == "unknown")
            marks = () if is_usual else pytest.mark.long
            found.append(pytest.param(fault, end, id=f"{fault}-{end}", marks=marks))
    return found


@pytest.mark.parametrize(("fault", "end"), pairs())
async def test_a_queue_that_fails_changes_no_answer(
    telling_settings: Settings,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    caplog: pytest.LogCaptureFixture,
    order_ids: Iterator[str],
    answers_without_tell: dict[str, Any],
    ticket_id: str,
    fault: str,
    end: str,
) -> None:
    want = await expected(end, telling_settings, telling_cloud, order_ids, answers_without_tell)
    want[2].update({"ticketId": ticket_id} if want[0] == 200 else {})
    telling_cloud.fault(**FAULTS[fault])
    order_id = next(order_ids)

    async with worker(telling_settings, telling_cloud) as app:
        answer = await ask(app, telling_cloud, ENDS[end], order_id, ticket_id)
        telling_cloud.clear_faults()

    assert answer.result == ENDS[end].result
    assert comparable(answer, order_id) == want
    [record] = ticket_records(caplog)
    assert (
        record.items()
        >= {
            "event": "not_told",
            "caller": "zendesk",
            "system": "zendesk",
            "ticketId": ticket_id,
            "state": ENDS[end].state,
            "reason": "queue_unavailable",
            "correlationId": answer.body["correlationId"],
        }.items()
    )
    assert tickets.queue() == []


@pytest.mark.parametrize("end", ["cancelled", "mistakes"])
@pytest.mark.parametrize("address", ["not-set", "closed", "not-trusted"])
async def test_an_address_where_no_queue_is_changes_no_answer(
    telling_settings: Settings,
    telling_cloud: LocalCloud,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    ticket_id: str,
    address: str,
    end: str,
) -> None:
    account = {"closed": "unreachable", "not-trusted": "impostor"}.get(address)
    url = f"{telling_settings.accounts[account].endpoints.api_root}/account" if account else None
    settings = telling_settings.model_copy(update={"queue_service_uri": url})

    async with worker(settings, telling_cloud) as app:
        answer = await ask(app, telling_cloud, ENDS[end], order_id, ticket_id)

    assert answer.result == ENDS[end].result
    assert [record["reason"] for record in ticket_records(caplog)] == ["queue_unavailable"]
    assert telling_cloud.requests("queue") == []


@pytest.mark.parametrize("end", ["cancelled", "mistakes"])
async def test_a_queue_that_never_ends_a_handshake_leaves_no_connection_open(
    telling_settings: Settings,
    telling_cloud: LocalCloud,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    ticket_id: str,
    end: str,
) -> None:
    """httpcore does not close a connection that is cancelled in its handshake; each call would leave a socket open."""
    ends: list[asyncio.Event] = []  # an event for each connection, set at its end

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(ended := asyncio.Event())
        await reader.read()
        writer.close()
        ended.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/account"
        settings = telling_settings.model_copy(update={"queue_service_uri": url})
        async with worker(settings, telling_cloud) as app:
            gc.disable()  # a collection would close the sockets too
            try:
                answer = await ask(app, telling_cloud, ENDS[end], order_id, ticket_id)
                async with asyncio.timeout(20):
                    await asyncio.gather(*(ended.wait() for ended in ends))
            finally:
                gc.enable()
                server.abort_clients()

    assert answer.result == ENDS[end].result
    assert [record["reason"] for record in ticket_records(caplog)] == ["queue_unavailable"]
    assert ends


# Some requests to the queue fail


class Course(NamedTuple):
    """Faults of the queue, the methods of the requests that it gets, and how long each message is hidden then."""

    faults: list[Json]
    requests: list[str]
    hidden_s: list[int]
    reasons: list[str] = []  # noqa: RUF012  (nothing changes it)
    end: str = "cancelled"


POST, PUT = {"service": "queue", "method": "POST"}, {"service": "queue", "method": "PUT"}
COURSES = {
    "all-is-slow": Course([POST | {"delay_s": 0.2}, PUT | {"delay_s": 0.2}], ["POST", "PUT"], [0]),
    "put-refused-once": Course([POST | {"status": 500}], ["POST", "POST"], [0]),
    "put-without-a-token-once": Course([POST | {"status": 401}], ["POST", "POST"], [0]),
    "put-not-sent": Course([POST | {"hang_up": "before"}], ["POST", "POST"], [0]),
    "put-whose-answer-is-lost": Course([POST | {"hang_up": "after"}], ["POST", "POST"], [HIDDEN_S, 0]),
    "put-whose-answer-is-junk": Course([POST | {"body": "<html>"}], ["POST", "POST"], [HIDDEN_S, 0]),
    "put-whose-answer-is-huge": Course([POST | {"body_bytes": 10_000_000}], ["POST", "POST"], [HIDDEN_S, 0]),
    "all-puts-refused": Course([POST | {"status": 500, "times": 3}], ["POST"] * 3, [], ["queue_unavailable"]),
    "two-puts-refused": Course([POST | {"status": 500, "times": 2}], ["POST"] * 3, [0]),
    "second-put-hangs": Course([POST | {"status": 500}, POST | HANGS], ["POST", "POST"], [], ["queue_unavailable"]),
    "rewrite-refused": Course([PUT | {"status": 500}], ["POST", "PUT", "POST"], [HIDDEN_S, 0]),
    "rewrite-not-sent": Course([PUT | {"hang_up": "before"}], ["POST", "PUT", "POST"], [HIDDEN_S, 0]),
    "rewrite-whose-answer-is-lost": Course([PUT | {"hang_up": "after"}], ["POST", "PUT", "POST"], [0, 0]),
    "rewrite-hangs": Course([PUT | HANGS], ["POST", "PUT"], [HIDDEN_S], ["queue_unavailable"]),
    "rewrite-and-put-refused": Course(
        [PUT | {"status": 500}, POST | {"delay_s": 0}, POST | {"status": 500, "times": 2}],
        ["POST", "PUT", "POST", "POST"],
        [HIDDEN_S],
        ["queue_unavailable"],
    ),
    "put-of-an-open-end-refused-once": Course([POST | {"status": 500}], ["POST", "POST"], [HIDDEN_S], end="pending"),
    "put-of-an-open-end-whose-answer-is-lost": Course(
        [POST | {"hang_up": "after"}], ["POST", "POST"], [HIDDEN_S, HIDDEN_S], end="pending"
    ),
    "only-put-refused": Course(
        [POST | {"status": 500, "times": 2}], ["POST", "POST"], [], ["queue_unavailable"], "dry-run"
    ),
    "only-put-refused-once": Course([POST | {"status": 500}], ["POST", "POST"], [0], end="dry-run"),
}


@pytest.mark.parametrize("name", COURSES)
async def test_what_is_left_when_some_requests_fail(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    ticket_id: str,
    name: str,
) -> None:
    course = COURSES[name]
    for fault in course.faults:
        telling_cloud.fault(**fault)

    answer = await ask(telling_app, telling_cloud, ENDS[course.end], order_id, ticket_id)

    assert answer.result == ENDS[course.end].result
    assert telling_cloud.methods("queue") == course.requests
    messages = tickets.queue()
    assert [HIDDEN_S if message.visible_in_s > 0 else 0 for message in messages] == course.hidden_s
    assert all(message.visible_in_s <= HIDDEN_S for message in messages)
    assert [record["reason"] for record in ticket_records(caplog)] == course.reasons


@pytest.mark.parametrize("is_deleted", [False, True], ids=["taken", "taken-and-deleted"])
async def test_a_rewrite_that_comes_too_late_is_no_fault(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    ticket_id: str,
    is_deleted: bool,
) -> None:
    """The timer has the message, and looks for itself."""
    telling_cloud.fault(method="PATCH", delay_s=MINUTES)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id}
    call = asyncio.create_task(post_as(telling_app, "zendesk", body, prefer="wait=60"))
    async with asyncio.timeout(SOON_S):
        while not tickets.queue():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    tickets.wake()
    tickets.take()
    if is_deleted:
        tickets.clear()
    telling_cloud.forget_requests()
    telling_cloud.clear_faults()

    answer = await call

    assert answer.outcome == "cancelled"
    [rewrite] = telling_cloud.requests("queue")
    assert (rewrite["method"], rewrite["status"]) == ("PUT", 404 if is_deleted else 400)
    assert [message.dequeue_count for message in tickets.queue()] == ([] if is_deleted else [1])
    assert ticket_records(caplog) == []


async def test_a_token_that_the_queue_refuses_is_fetched_again(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    ticket_id: str,
) -> None:
    await ask(telling_app, telling_cloud, ENDS["dry-run"], order_id, ticket_id)
    make_older(telling_app.runtime)
    tickets.clear()
    telling_cloud.forget_requests()
    telling_cloud.fault(service="queue", status=401)

    answer = await ask(telling_app, telling_cloud, ENDS["cancelled"], order_id, ticket_id)

    assert answer.outcome == "cancelled"
    assert telling_cloud.methods("queue") == ["POST", "POST", "PUT"]
    assert len(telling_cloud.requests("identity", path="storage")) == 1
    assert [message.visible_in_s for message in tickets.queue()] == [0]
    assert ticket_records(caplog) == []


def make_older(runtime: Runtime) -> None:
    """Make the queue's token as old as one that may be fetched again."""
    tokens = runtime.__dict__["_tickets"].__dict__["_tokens"].__dict__["_cached"]
    token = tokens[STORAGE_SCOPE]
    tokens[STORAGE_SCOPE] = replace(token, read_at=token.read_at - READ_AGAIN_S - 1)


async def test_while_a_token_is_valid_the_identity_may_be_down(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, order_id: str, ticket_id: str
) -> None:
    await ask(telling_app, telling_cloud, ENDS["dry-run"], order_id, ticket_id)
    telling_cloud.fault(service="identity", hang_up="before", times=99)

    await ask(telling_app, telling_cloud, ENDS["cancelled"], order_id, ticket_id)

    assert [message.visible_in_s for message in tickets.queue()] == [0, 0]


async def test_the_next_call_is_told_after_a_queue_that_was_down(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, order_id: str, ticket_id: str
) -> None:
    telling_cloud.fault(**QUEUE, hang_up="before")
    await ask(telling_app, telling_cloud, ENDS["dry-run"], order_id, ticket_id)
    telling_cloud.clear_faults()

    await ask(telling_app, telling_cloud, ENDS["cancelled"], order_id, ticket_id)

    [message] = tickets.queue()
    assert message.visible_in_s == 0


# The host cancels the call


class Moment(NamedTuple):
    """A moment at which the host cancels a call: when the *service* has got a request with *method*.

    *faults* keep the call there. *result*: how it ends. *hidden_s* of the messages then; *reasons* of `not_told`.
    """

    service: str
    method: str
    faults: list[Json]
    result: str
    hidden_s: list[int]
    reasons: list[str] = []  # noqa: RUF012  (nothing changes it)
    body: Json | None = None


NOT_CHANGED = "partner_center_unavailable"
MOMENTS = {
    "while-the-caller-is-identified": Moment("key_vault", "GET", [{"service": "key_vault"} | HANGS], NOT_CHANGED, []),
    "while-a-token-is-fetched": Moment(
        "entra", "POST", [{"service": "entra", "method": "POST"} | HANGS], NOT_CHANGED, [900]
    ),
    "while-the-order-is-read": Moment(
        "partner_center", "GET", [{"method": "GET"} | HANGS], NOT_CHANGED, [900], [], LINE
    ),
    "during-the-patch": Moment(
        "queue", "POST", [{"method": "PATCH"} | HANGS, POST | {"delay_s": 0.2}], "outcome_unknown", [HIDDEN_S]
    ),
    "during-the-patch-and-the-put": Moment(
        "queue",
        "POST",
        [{"method": "PATCH"} | HANGS, POST | HANGS],
        "outcome_unknown",
        [],
        ["queue_unavailable"],
    ),
}


@pytest.mark.parametrize("name", MOMENTS)
async def test_a_call_that_the_host_cancels_is_answered_as_without_tell(
    telling_settings: Settings,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    caplog: pytest.LogCaptureFixture,
    order_ids: Iterator[str],
    ticket_id: str,
    name: str,
) -> None:
    moment = MOMENTS[name]
    answers = []
    for settings, service, method in (
        (without_tell(telling_settings), *without_queue(moment)),
        (telling_settings, moment.service, moment.method),
    ):
        telling_cloud.forget()
        order_id = next(order_ids)
        for fault in moment.faults:
            telling_cloud.fault(**fault)
        async with worker(settings, telling_cloud) as app:
            call = asyncio.create_task(ask(app, telling_cloud, End("", "", moment.body), order_id, ticket_id))
            await wait_for_request(telling_cloud, service, method)
            call.cancel()
            answers.append(comparable(await call, order_id))
            telling_cloud.clear_faults()

    assert answers[0] == answers[1]
    assert answers[1][2]["code"] == moment.result
    found = tickets.queue()
    # Where no PATCH was sent, the code stays true: nothing was changed.
    code = moment.result if moment.result == NOT_CHANGED else None
    assert [message.content and message.content["code"] for message in found] == [code] * len(found)
    for message, hidden_s in zip(found, moment.hidden_s, strict=True):
        assert hidden_s - 60 < message.visible_in_s <= hidden_s
    assert [record["reason"] for record in ticket_records(caplog)] == moment.reasons


def without_queue(moment: Moment) -> tuple[str, str]:
    """Return the request that shows the same moment where there is no queue."""
    return ("partner_center", "PATCH") if moment.service == "queue" else (moment.service, moment.method)


@pytest.mark.parametrize(("end", "method"), [("cancelled", "PUT"), ("refused", "PUT"), ("dry-run", "POST")])
async def test_a_decided_call_that_the_host_cancels_keeps_its_answer(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    ticket_id: str,
    end: str,
    method: str,
) -> None:
    telling_cloud.fault(**HANGS, service="queue", method=method)
    call = asyncio.create_task(ask(telling_app, telling_cloud, ENDS[end], order_id, ticket_id))
    await wait_for_request(telling_cloud, "queue", method)
    call.cancel()

    answer = await call

    assert answer.result == ENDS[end].result
    [record] = ticket_records(caplog)
    assert record["state"] == ENDS[end].state
    assert record["reason"] in {"interrupted", "queue_unavailable"}, "the second one on a machine that is too slow"


async def test_a_host_that_cancels_again_and_again_gets_the_answer(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    ticket_id: str,
) -> None:
    telling_cloud.fault(method="PATCH", delay_s=MINUTES)
    telling_cloud.fault(**QUEUE, **HANGS)
    call = asyncio.create_task(ask(telling_app, telling_cloud, ENDS["cancelled"], order_id, ticket_id))
    await wait_for_request(telling_cloud, "queue", "POST")

    async with asyncio.timeout(SOON_S):
        while not call.done():
            call.cancel()
            await asyncio.sleep(0)

    assert (await call).code == "outcome_unknown"
    assert [(record["state"], record["reason"]) for record in ticket_records(caplog)] == [("open", "interrupted")]


CANCELLED_AT_MS = range(0, 90, 3)  # a call takes less than that, and its time is different each time


async def test_at_whatever_moment_the_host_cancels_the_ticket_is_accounted_for(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    caplog: pytest.LogCaptureFixture,
    order_ids: Iterator[str],
    ticket_id: str,
) -> None:
    await ask(telling_app, telling_cloud, ENDS["dry-run"], next(order_ids), ticket_id)  # fetches secrets and tokens
    results = set()
    for wait_ms in CANCELLED_AT_MS:
        tickets.clear()
        caplog.clear()
        order_id = next(order_ids)
        call = asyncio.create_task(ask(telling_app, telling_cloud, ENDS["cancelled"], order_id, ticket_id))
        await asyncio.sleep(wait_ms / 1000)
        call.cancel()
        try:
            answer = await call
        except asyncio.CancelledError:
            assert wait_ms == 0  # it had not begun
            continue

        results.add(answer.result)
        about_it = [message.content for message in tickets.queue()] + ticket_records(caplog)
        is_nobody_known = answer.code == NOT_CHANGED and telling_cloud.order(order_id)["status"] == "completed"
        assert about_it or is_nobody_known
    assert "cancelled" in results
