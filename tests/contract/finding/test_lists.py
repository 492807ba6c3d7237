"""Both lists are read page by page, side by side, within one deadline: faults of a page, and the end of the time."""

import asyncio

import pytest

from tests.support.answers import Answer
from tests.support.built_in_orders import LICENCE_CUSTOMER, SOFTWARE_CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

QUERY = {"customerTenantId": LICENCE_CUSTOMER}
ORDERS, SUBSCRIPTIONS = (f"/v1/customers/{LICENCE_CUSTOMER}/{name}" for name in ("orders", "subscriptions"))
PER_PAGE, ORDER_PAGES, SUBSCRIPTION_PAGES = 4, 8, 10
NEVER_S = 600
LONG = "wait=100"  # no answer may wait for this deadline
LIMIT_S = 50.0

EACH_LIST = pytest.mark.parametrize("path", [ORDERS, SUBSCRIPTIONS], ids=["orders", "subscriptions"])
EACH_PAGE = pytest.mark.parametrize("page", [1, 2, 5])


def fault_of_page(cloud: LocalCloud, path: str, page: int, **fault: object) -> None:
    """Ask for a fault of a *page*, from 1, of the list at *path*."""
    if page == 1:
        cloud.fault(path=f"{path}$", **fault)
        return
    for _ in range(page - 2):  # from the second page on the path is the same, so the pages before pass without harm
        cloud.fault(path=f"{path}.*seekOperation")
    cloud.fault(path=f"{path}.*seekOperation", **fault)


async def warmed(app: App, cloud: LocalCloud) -> Answer:
    """Return the whole answer. After it there is a token and a connection."""
    whole = await app.find(QUERY)
    assert (whole.status, whole.body["more"]) == (200, False)
    cloud.forget()
    return whole


def counted(cloud: LocalCloud, path: str) -> int:
    return len(cloud.requests("partner_center", "GET", path))


# Side by side


async def test_both_lists_are_on_their_way_at_once(app: App, cloud: LocalCloud) -> None:
    whole = await warmed(app, cloud)
    for path in (ORDERS, SUBSCRIPTIONS):
        cloud.fault(path=f"{path}$", delay_s=NEVER_S)

    call = asyncio.create_task(app.find(QUERY, prefer=LONG))
    await wait_for_request(cloud, "partner_center", path=ORDERS)
    await wait_for_request(cloud, "partner_center", path=SUBSCRIPTIONS)
    cloud.clear_faults()

    assert (await call).body == whole.body


@EACH_LIST
async def test_one_list_does_not_wait_for_the_other(app: App, cloud: LocalCloud, path: str) -> None:
    await warmed(app, cloud)
    other, pages = (ORDERS, ORDER_PAGES) if path == SUBSCRIPTIONS else (SUBSCRIPTIONS, SUBSCRIPTION_PAGES)
    cloud.fault(path=f"{path}$", delay_s=NEVER_S)

    call = asyncio.create_task(app.find(QUERY, prefer=LONG))
    await wait_for_request(cloud, "partner_center", path=other, count=pages)
    cloud.clear_faults()

    assert (await call).status == 200


# Faults that pass


@EACH_LIST
@EACH_PAGE
async def test_a_page_that_was_lost_is_asked_for_again(app: App, cloud: LocalCloud, path: str, page: int) -> None:
    whole = await warmed(app, cloud)
    fault_of_page(cloud, path, page, hang_up="halfway")

    answer = await app.find(QUERY, prefer=LONG)

    assert answer.body == whole.body
    assert counted(cloud, "/customers/") == ORDER_PAGES + SUBSCRIPTION_PAGES + 1


async def test_a_401_of_both_lists_renews_the_token_once(app: App, cloud: LocalCloud) -> None:
    whole = await warmed(app, cloud)
    for path in (ORDERS, SUBSCRIPTIONS):
        cloud.fault(path=f"{path}$", status=401)

    answer = await app.find(QUERY, prefer=LONG)

    assert answer.body == whole.body
    assert len(cloud.requests("entra", "POST")) == 1


# Faults that end it


def page_with(**members: object) -> Json:
    return {"body": {"totalCount": 7, "items": [], "links": {}} | members}


def leading_to(uri: str) -> Json:
    return page_with(links={"next": {"uri": uri, "method": "GET", "headers": []}})


FAILURES: dict[str, tuple[Json, str]] = {
    "404": ({"status": 404, "body": {"code": 20002, "description": "no"}}, "customer_not_found"),
    "503-later": ({"status": 503, "headers": {"retry-after": "300"}}, "partner_center_unavailable"),
    "429": ({"status": 429, "headers": {"retry-after": "300"}}, "throttled"),
    "no-items": ({"body": {"totalCount": 7, "links": {}}}, "unexpected_answer"),
    "items-null": (page_with(items=None), "unexpected_answer"),
    "an-item-that-is-none": (page_with(items=[None]), "unexpected_answer"),
    "an-item-without-anything": (page_with(items=[{}]), "unexpected_answer"),
    "larger-than-any-page": ({"status": 200, "body_bytes": 9_000_000}, "unexpected_answer"),
    "leads-to-another-host": (leading_to("https://elsewhere.example/v1/customers"), "unexpected_answer"),
    "leads-to-another-customer": (leading_to(f"/customers/{SOFTWARE_CUSTOMER}/orders"), "unexpected_answer"),
    "leads-to-dots": (leading_to(f"/customers/{LICENCE_CUSTOMER}/orders/../../x/orders"), "unexpected_answer"),
}


@EACH_LIST
@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize("name", FAILURES)
async def test_a_page_that_fails_ends_it(app: App, cloud: LocalCloud, path: str, page: int, name: str) -> None:
    """A list with a gap would hide something."""
    await warmed(app, cloud)
    fault, code = FAILURES[name]
    fault_of_page(cloud, path, page, **fault)

    answer = await app.find(QUERY, prefer=LONG)

    assert answer.code == code
    assert counted(cloud, path) == page
    asked = [request["path"] for request in cloud.requests("partner_center")]
    assert all(sent.startswith((ORDERS, SUBSCRIPTIONS)) for sent in asked)
    assert answer.retry_after in ({"59"} if code in {"throttled", "partner_center_unavailable"} else {None})


@EACH_LIST
async def test_the_other_list_is_not_read_to_its_end(app: App, cloud: LocalCloud, path: str) -> None:
    await warmed(app, cloud)
    other = ORDERS if path == SUBSCRIPTIONS else SUBSCRIPTIONS
    cloud.fault(path=f"{path}$", status=404, body={"code": 20002})
    cloud.fault(path=f"{other}$", delay_s=NEVER_S)

    call = asyncio.create_task(app.find(QUERY, prefer=LONG))
    await wait_for_request(cloud, "partner_center", path=other)
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(was_answered, cloud, path):  # noqa: ASYNC110  (in another process)
            await asyncio.sleep(0.02)
    await asyncio.to_thread(cloud.clear_faults)

    assert (await call).code == "customer_not_found"
    assert counted(cloud, other) == 1


def was_answered(cloud: LocalCloud, path: str) -> bool:
    return any(request["status"] for request in cloud.requests("partner_center", "GET", path))


@EACH_LIST
async def test_pages_that_lead_round_in_a_circle_end_it(app: App, cloud: LocalCloud, path: str) -> None:
    await warmed(app, cloud)
    cloud.fault(path=path, **leading_to(path.removeprefix("/v1")), times=200)

    answer = await app.find(QUERY, prefer=LONG)

    assert answer.code == "unexpected_answer"
    assert counted(cloud, path) == 1


async def test_a_page_that_fails_again_and_again_ends_it(app: App, cloud: LocalCloud) -> None:
    await warmed(app, cloud)
    fault_of_page(cloud, ORDERS, 2, status=503, times=9)

    answer = await app.find(QUERY, prefer=LONG)

    assert answer.code == "partner_center_unavailable"
    assert counted(cloud, ORDERS) == 1 + 4


async def test_a_lasting_401_does_not_hammer_entra(app: App, cloud: LocalCloud) -> None:
    await warmed(app, cloud)
    cloud.fault(path="/customers/", status=401, times=100)

    answers = [await app.find(QUERY, prefer=LONG) for _ in range(4)]

    assert {answer.code for answer in answers} == {"credentials_rejected"}
    assert len(cloud.requests("entra", "POST")) == 1


async def test_a_throttle_closes_the_gate_for_cancelling_too(app: App, cloud: LocalCloud) -> None:
    """An early request counts against the limit, whichever function sends it."""
    await warmed(app, cloud)
    cloud.fault(path=ORDERS, status=429, headers={"retry-after": "300"})
    cloud.fault(path=SUBSCRIPTIONS, status=429, headers={"retry-after": "300"})
    await app.find(QUERY)
    cloud.forget_requests()

    cancelled = await app.post({"customerTenantId": LICENCE_CUSTOMER, "orderId": "some-order"})
    found = await app.find(QUERY)

    assert (cancelled.code, found.code) == ("throttled", "throttled")
    assert cloud.requests("partner_center") == []


# The end of the time


async def test_a_late_page_of_orders_leaves_what_was_read(app: App, cloud: LocalCloud) -> None:
    await warmed(app, cloud)
    fault_of_page(cloud, ORDERS, 3, delay_s=NEVER_S)

    answer = await app.find(QUERY, prefer="wait=2")

    assert (answer.status, answer.body["more"]) == (200, True)
    assert len([order for order in answer.body["orders"] if order["orderId"]]) == 2 * PER_PAGE


async def test_a_late_page_of_subscriptions_promises_nothing_that_was_not_read(app: App, cloud: LocalCloud) -> None:
    whole = await warmed(app, cloud)
    fault_of_page(cloud, SUBSCRIPTIONS, 2, delay_s=NEVER_S)

    answer = await app.find(QUERY, prefer="wait=2")

    assert (answer.status, answer.body["more"]) == (200, True)
    assert counted(cloud, ORDERS) == ORDER_PAGES
    known = {
        (order["orderId"], line["lineItemNumber"]): line
        for order in whole.body["orders"]
        for line in order["lineItems"]
    }
    unread = 0
    for order in answer.body["orders"]:
        for line in order["lineItems"]:
            if order["orderId"] and line["subscriptionStatus"] is None and not line["cancelled"]:
                assert (line["cancellable"], line["code"]) == (None, None)
                unread += 1
            if order["orderId"] and line["cancellable"]:
                assert known[order["orderId"], line["lineItemNumber"]]["cancellable"]
    assert unread > 20


@pytest.mark.parametrize("late", [(ORDERS,), (ORDERS, SUBSCRIPTIONS)], ids=["orders", "both"])
async def test_nothing_read_in_time_is_a_problem(app: App, cloud: LocalCloud, late: tuple[str, ...]) -> None:
    await warmed(app, cloud)
    for path in late:
        cloud.fault(path=f"{path}$", delay_s=NEVER_S)

    answer = await app.find(QUERY, prefer="wait=1")

    assert (answer.status, answer.code, answer.retry_after) == (503, "partner_center_unavailable", "5")


async def test_no_orders_and_no_subscriptions_in_time_are_a_problem(app: App, cloud: LocalCloud) -> None:
    """An empty list would be read as: this customer has nothing."""
    await warmed(app, cloud)
    cloud.fault(path=f"{ORDERS}$", body={"totalCount": 0, "items": [], "links": {}})
    cloud.fault(path=f"{SUBSCRIPTIONS}$", delay_s=NEVER_S)

    answer = await app.find(QUERY, prefer="wait=1")

    assert answer.code == "partner_center_unavailable"


async def test_a_late_token_is_not_told_as_partner_centers_fault(app: App, cloud: LocalCloud) -> None:
    cloud.fault(service="entra", method="POST", delay_s=NEVER_S)

    answer = await app.find(QUERY, prefer="wait=1")

    assert answer.code == "credentials_unavailable"
    assert cloud.requests("partner_center") == []
    cloud.clear_faults()


async def test_a_later_deadline_reads_everything(app: App, cloud: LocalCloud) -> None:
    whole = await warmed(app, cloud)
    fault_of_page(cloud, SUBSCRIPTIONS, 3, delay_s=1.5)

    in_time = await app.find(QUERY, prefer="wait=60")

    assert in_time.body == whole.body


async def test_a_call_that_the_host_cancels_is_answered(app: App, cloud: LocalCloud) -> None:
    await warmed(app, cloud)
    cloud.fault(path=f"{ORDERS}$", delay_s=NEVER_S)

    call = asyncio.create_task(app.find(QUERY, prefer=LONG))
    await wait_for_request(cloud, "partner_center", path=ORDERS)
    call.cancel()

    assert (await call).code == "partner_center_unavailable"


async def test_what_ended_early_leaves_no_task_and_no_broken_connection(app: App, cloud: LocalCloud) -> None:
    whole = await warmed(app, cloud)
    before = asyncio.all_tasks()
    for _ in range(3):
        fault_of_page(cloud, SUBSCRIPTIONS, 2, delay_s=NEVER_S)
        cloud.fault(path=f"{ORDERS}$", status=404, body={"code": 20002})
        await app.find(QUERY, prefer=LONG)
        cloud.forget()

    assert asyncio.all_tasks() == before
    assert (await app.find(QUERY)).body == whole.body
