"""What goes over the wire for one call, and what its caller is told whatever happens there."""

import asyncio
import gc
import hashlib
import json
from typing import Any

import pytest

from shared.runtime import Runtime
from shared.settings import KeyCaller, Settings
from tests.conftest import CUSTOMER
from tests.contract.conftest import App, post, respond
from tests.support.local_cloud import LocalCloud, software_order

pytestmark = pytest.mark.anyio

REFUSED = {"code": "800061", "description": "no", "data": [], "source": "PartnerFD"}
WINDOW = {"code": "900117", "description": "too late", "data": [], "source": "PartnerFD"}


def whole(order_id: str, **more: Any) -> dict[str, Any]:
    return {"customerTenantId": CUSTOMER, "orderId": order_id} | more


def lines(order_id: str, *numbers: int, **more: Any) -> dict[str, Any]:
    return whole(order_id, lineItems=[{"lineItemNumber": number} for number in numbers], **more)


def methods(cloud: LocalCloud) -> list[str]:
    return [one["method"] for one in cloud.requests("partner_center")]


async def test_the_answer_is_the_normalized_order(app: App, cloud: LocalCloud, order_id: str) -> None:
    status, answer, headers = await app.post(lines(order_id, 0, ticketId="ZD-48151", reason="wrong edition"))

    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    [_, patch] = cloud.requests("partner_center")
    offers = [line["offerId"] for line in cloud.order(order_id)["lineItems"]]
    assert answer == {
        "outcome": "partially_cancelled",
        "orderId": order_id,
        "alternateId": order_id[:6] + "000000",
        "customerTenantId": CUSTOMER,
        "status": "completed",
        "billingCycle": "one_time",
        "currencyCode": "USD",
        "creationDate": "2026-11-19T17:33:56.130649Z",
        "dryRun": False,
        "cancelledLineItems": [0],
        "lineItems": [
            {
                "lineItemNumber": number,
                "offerId": offers[number],
                "friendlyName": f"Software {number}",
                "quantity": 0 if number == 0 else 1,
                "termDuration": "P3Y",
                "subscriptionId": None,
                "cancelled": number == 0,
            }
            for number in range(3)
        ],
        "account": "default",
        "ticketId": "ZD-48151",
        "requestId": patch["headers"]["ms-requestid"],
        "correlationId": patch["headers"]["ms-correlationid"],
    }
    assert "ZD-48151" not in str(cloud.requests())  # neither ticket nor reason is Microsoft's business
    assert "wrong edition" not in str(cloud.requests())


async def test_a_dry_run_reads_and_changes_nothing(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post(lines(order_id, 1))
    cloud.forget()

    status, answer, _ = await app.post(whole(order_id, dryRun=True))
    _, of_lines, _ = await app.post(lines(order_id, 1, 2, dryRun=True))

    assert (status, answer["outcome"], answer["dryRun"]) == (200, "dry_run", True)
    assert answer["cancelledLineItems"] == [0, 2]  # those that would newly be
    assert [line["cancelled"] for line in answer["lineItems"]] == [False, True, False]
    assert of_lines["cancelledLineItems"] == [2]
    assert methods(cloud) == ["GET", "GET"]
    assert cloud.order(order_id)["status"] == "completed"


async def test_a_rehearsal_account_says_twice_that_nothing_was_changed(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    _, answer, _ = await app.post(whole(order_id, account="rehearsal"))

    assert (answer["outcome"], answer["dryRun"], answer["account"]) == ("dry_run", True, "rehearsal")
    assert methods(cloud) == ["GET"]


async def test_only_the_lines_that_still_live_are_sent(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post(lines(order_id, 0))
    cloud.forget()

    _, answer, _ = await app.post(lines(order_id, 0, 1))

    assert (answer["outcome"], answer["cancelledLineItems"]) == ("partially_cancelled", [0, 1])
    sent = cloud.requests("partner_center")[1]["body"]["lineItems"]
    assert [line["lineItemNumber"] for line in sent] == [1]


async def test_the_last_lines_cancel_the_order(app: App, order_id: str) -> None:
    _, answer, _ = await app.post(lines(order_id, 2, 0, 1))

    assert (answer["outcome"], answer["status"]) == ("cancelled", "cancelled")


async def test_lines_that_are_cancelled_already_need_no_patch(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post(lines(order_id, 0))
    cloud.forget()

    _, answer, _ = await app.post(lines(order_id, 0))

    assert answer["outcome"] == "already_cancelled"
    assert methods(cloud) == ["GET"]


@pytest.mark.parametrize(
    "line", [{"lineItemNumber": 3}, {"lineItemNumber": 0, "offerId": "DG7GMGF0FKZV:0003:DG7GMGF0DW01"}]
)
async def test_a_wrong_line_is_refused_before_anything_changes(
    app: App, cloud: LocalCloud, order_id: str, line: dict[str, Any]
) -> None:
    status, problem, _ = await app.post(whole(order_id, lineItems=[{"lineItemNumber": 1}, line]))

    assert (status, problem["code"]) == (422, "line_item_mismatch")
    assert methods(cloud) == ["GET"]
    assert cloud.order(order_id)["lineItems"][1]["quantity"] == 1


async def test_a_second_cancellation_is_a_success(app: App, order_id: str) -> None:
    """Webhooks are delivered twice; Partner Center refuses the second PATCH."""
    await app.post(whole(order_id))

    status, answer, _ = await app.post(whole(order_id))

    assert (status, answer["outcome"], answer["cancelledLineItems"]) == (200, "already_cancelled", [0, 1, 2])


async def test_a_refusal_of_a_living_order_stands(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=400, body=REFUSED)

    status, problem, headers = await app.post(whole(order_id))

    assert (status, problem["code"], problem["retryable"]) == (422, "not_cancellable", False)
    assert problem["partnerCenter"] == {"code": "800061", "description": "no"}
    assert methods(cloud) == ["PATCH", "GET"]
    assert "Retry-After" not in headers


FAILING_READS = [{"status": 500}, {"status": 401}, {"status": 200, "body": "junk"}, {"hang_up": "before"}]


@pytest.mark.parametrize("fault", FAILING_READS, ids=str)
async def test_a_read_that_fails_does_not_spoil_a_known_refusal(
    app: App, cloud: LocalCloud, order_id: str, fault: dict[str, Any]
) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800063"})
    cloud.fault(method="GET", times=4, **fault)

    assert (await app.post(whole(order_id)))[1]["code"] == "use_subscription_cancel"


@pytest.mark.parametrize("fault", FAILING_READS, ids=str)
async def test_a_refusal_that_may_mean_done_is_not_final_unread(
    app: App, cloud: LocalCloud, order_id: str, fault: dict[str, Any]
) -> None:
    """The order is cancelled, and a ticket closed as failed would say otherwise."""
    await app.post(whole(order_id))
    cloud.fault(method="GET", times=4, **fault)

    status, problem, _ = await app.post(whole(order_id))

    assert (status, problem["code"], problem["retryable"]) == (503, "outcome_unknown", True)


@pytest.mark.parametrize("code", ["800019", "20000", "2032", "800060"])
async def test_a_500_accounts_for_nothing_whatever_its_code(
    app: App, cloud: LocalCloud, order_id: str, code: str
) -> None:
    cloud.fault(method="PATCH", status=500, body={"code": code})

    assert (await app.post(whole(order_id)))[1]["code"] == "outcome_unknown"


async def test_cookies_are_not_kept(app: App, cloud: LocalCloud, order_id: str) -> None:
    """They would travel from one partner's call to another's."""
    cloud.fault(method="GET", headers={"Set-Cookie": "session=1; Path=/"})
    await app.post(whole(order_id, dryRun=True))
    await app.post(whole(order_id, dryRun=True, account="production"))

    assert all("cookie" not in one["headers"] for one in cloud.requests("partner_center"))


async def test_no_attempt_is_begun_that_could_only_time_out(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(service="entra", delay_s=60)

    _, problem, _ = await app.post(whole(order_id), prefer="wait=1")

    assert problem["code"] == "credentials_unavailable"
    assert cloud.requests("partner_center") == []


async def test_a_lasting_401_does_not_hammer_entra(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post(whole(order_id, dryRun=True))
    cloud.forget()
    cloud.fault(status=401, times=100)

    codes = {(await app.post(whole(order_id)))[1]["code"] for _ in range(5)}
    cloud.http.delete(f"{cloud.description['controlUrl']}/faults")
    healed = (await app.post(whole(order_id)))[0]

    assert (codes, healed) == ({"credentials_rejected"}, 200)
    assert len([one for one in cloud.requests("entra") if one["method"] == "POST"]) == 1
    assert len(cloud.requests("key_vault")) == 1


async def test_a_401_that_passes_is_repeated_even_then(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(status=401, times=2)
    await app.post(whole(order_id, dryRun=True))
    cloud.fault(method="PATCH", status=401)

    assert (await app.post(whole(order_id)))[1]["outcome"] == "cancelled"


async def test_a_repeat_keeps_its_request_id_and_a_read_has_its_own(app: App, cloud: LocalCloud, order_id: str) -> None:
    """Partner Center knows a repeat from a second cancel by MS-RequestId alone."""
    cloud.fault(method="PATCH", hang_up="before")
    cloud.fault(method="PATCH", status=503, headers={"Retry-After": "0"})
    cloud.fault(method="PATCH", status=401)

    status, answer, _ = await app.post(lines(order_id, 0))

    get, *patches = cloud.requests("partner_center")
    assert (status, len(patches)) == (200, 4)
    assert {patch["headers"]["ms-requestid"] for patch in patches} == {answer["requestId"]}
    assert get["headers"]["ms-requestid"] != answer["requestId"]
    assert {one["headers"]["ms-correlationid"] for one in (get, *patches)} == {answer["correlationId"]}


async def test_each_call_has_a_request_id_of_its_own(app: App, order_id: str) -> None:
    """Should Partner Center replay answers by it, an old refusal must not come back for ever."""
    first, second = [await app.post(whole(order_id)) for _ in range(2)]

    assert first[1]["requestId"] != second[1]["requestId"]


@pytest.mark.parametrize(
    ("context", "header", "correlation_id"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", "0af76519-16cd-43dd-8448-eb211c80319c"),
        ("", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "0af76519-16cd-43dd-8448-eb211c80319c"),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", "", None),
        ("junk", "junk", None),
    ],
)
async def test_the_correlation_id_is_the_trace_id(
    app: App, order_id: str, context: str, header: str, correlation_id: str | None
) -> None:
    """One id leads from the ticket through Application Insights to Partner Center's support."""
    _, answer, _ = await app.post(whole(order_id, dryRun=True), trace_parent=context, traceparent=header)

    assert len(answer["correlationId"]) == 36
    assert correlation_id in {None, answer["correlationId"]}


@pytest.mark.parametrize("second", [None, REFUSED], ids=["answer-replayed", "refused-as-done"])
async def test_an_answer_that_was_lost_is_found_out(
    app: App, cloud: LocalCloud, order_id: str, second: dict[str, Any] | None
) -> None:
    """Whether Partner Center replays its answer for a repeated MS-RequestId nobody could confirm."""
    cloud.fault(method="PATCH", hang_up="after")
    if second:
        cloud.fault(method="PATCH", status=400, body=second)

    status, answer, _ = await app.post(whole(order_id))

    assert (status, answer["outcome"]) == (200, "cancelled")
    assert cloud.order(order_id)["status"] == "cancelled"


async def test_no_refusal_is_final_while_an_attempt_is_unaccounted_for(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    """The change of the first attempt may still be on its way."""
    cloud.fault(method="PATCH", hang_up="before")
    cloud.fault(method="PATCH", status=400, body=WINDOW)

    status, problem, headers = await app.post(whole(order_id))

    assert (status, problem["code"], problem["retryable"]) == (503, "outcome_unknown", True)
    assert problem["partnerCenter"]["code"] == "900117"
    assert 1 <= int(headers["Retry-After"]) <= 59
    assert methods(cloud) == ["PATCH", "PATCH", "GET"]


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_failures_that_do_not_end_leave_the_outcome_unknown(
    app: App, cloud: LocalCloud, order_id: str, status: int
) -> None:
    cloud.fault(method="PATCH", status=status, times=4, headers={"Retry-After": "0"})

    answer = await app.post(whole(order_id))

    assert (answer[0], answer[1]["code"]) == (503, "outcome_unknown")
    assert methods(cloud) == ["PATCH"] * 4 + ["GET"]


async def test_a_failure_that_passes_is_not_noticed(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=502, body="<html>", times=3, headers={"Retry-After": "0"})

    status, answer, _ = await app.post(whole(order_id))

    assert (status, answer["outcome"]) == (200, "cancelled")


async def test_a_deadline_ends_the_call_while_the_answer_is_open(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post(whole(order_id, dryRun=True))  # the token is there, so that the PATCH is what takes long
    cloud.fault(method="PATCH", delay_s=60)

    status, problem, headers = await app.post(whole(order_id), prefer="wait=1")

    assert (status, problem["code"]) == (503, "outcome_unknown")
    assert headers["Preference-Applied"] == "wait=1"
    assert "a repeat is safe" in problem["detail"]


async def test_nobody_listening_means_nothing_changed(app: App, order_id: str) -> None:
    status, problem, headers = await app.post(whole(order_id, account="unreachable"), prefer="wait=2")

    assert (status, problem["code"]) == (503, "partner_center_unavailable")
    assert 1 <= int(headers["Retry-After"]) <= 59


async def test_a_certificate_of_another_authority_is_no_partner_center(app: App, order_id: str) -> None:
    """Without TLS verified the token would go to whoever answers; this one would answer 404."""
    _, problem, _ = await app.post(whole(order_id, account="impostor"), prefer="wait=2")

    assert problem["code"] == "partner_center_unavailable"


@pytest.mark.parametrize(
    ("retry_after", "told"), [("57", "57"), ("3600", "59"), (None, "10")], ids=["57", "an-hour", "unsaid"]
)
async def test_a_throttle_that_outlasts_the_deadline_is_passed_on_at_once(
    app: App, cloud: LocalCloud, order_id: str, retry_after: str | None, told: str
) -> None:
    """An early repeat counts against the limit too."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    cloud.fault(status=429, headers=headers, body={"statusCode": 429, "message": "Rate limit is exceeded."})

    status, problem, answered = await app.post(whole(order_id))

    assert (status, problem["code"], answered["Retry-After"]) == (429, "throttled", told)
    assert problem["partnerCenter"] == {"code": "429", "description": "Rate limit is exceeded."}
    assert methods(cloud) == ["PATCH"]


async def test_a_throttle_that_fits_is_waited_for(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(status=429, headers={"Retry-After": "0"})

    assert (await app.post(whole(order_id)))[1]["outcome"] == "cancelled"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "<html>",
        "\ufeff",
        {"code": 0},
        {"id": "another-order", "status": "cancelled"},
        {"status": "pending"},
    ],
    ids=repr,
)
async def test_a_success_that_does_not_show_is_looked_up(
    app: App, cloud: LocalCloud, order_id: str, body: object
) -> None:
    """The change was made; only its answer was no use."""
    cloud.fault(method="PATCH", body=body)

    _, answer, _ = await app.post(whole(order_id))

    assert answer["outcome"] == "cancelled"
    assert methods(cloud) == ["PATCH", "GET"]


@pytest.mark.parametrize("reads", [True, False], ids=["order-unchanged", "order-unreadable"])
async def test_a_success_that_shows_nowhere_is_pending(app: App, cloud: LocalCloud, order_id: str, reads: bool) -> None:
    cloud.fault(method="PATCH", status=202, body="")
    if not reads:
        cloud.fault(method="GET", status=500, times=4)

    status, answer, _ = await app.post(whole(order_id))

    assert (status, answer["outcome"], answer["orderId"]) == (200, "pending", order_id)
    assert answer["status"] == ("completed" if reads else None)
    assert [line["cancelled"] for line in answer["lineItems"]] == [False] * (3 if reads else 0)


async def test_pending_lines_keep_what_was_read_before(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=202, body="")
    await app.post(whole(order_id, dryRun=True))
    cloud.fault(method="GET", delay_s=0)
    cloud.fault(method="GET", status=500, times=4)

    _, answer, _ = await app.post(lines(order_id, 0))

    assert (answer["outcome"], answer["status"], len(answer["lineItems"])) == ("pending", "completed", 3)


@pytest.mark.parametrize(
    "order",
    [
        {"Status": "Cancelled"},
        {"status": "completed", "lineItems": [{"lineItemNumber": 0, "quantity": 0}]},
        {"status": "cancelled", "lineItems": [{"lineItemNumber": 0, "quantity": 5}]},
        {"status": "cancelled", "friendlyName": "\ud83d", "currencyCode": 5, "creationDate": "never"},
    ],
    ids=["pascal-no-lines", "quantity-0", "status", "odd-members"],
)
async def test_a_cancellation_shows_in_many_forms(
    app: App, cloud: LocalCloud, order_id: str, order: dict[str, Any]
) -> None:
    cloud.fault(method="PATCH", body=json.dumps({"Id": order_id, **order}))

    _, answer, _ = await app.post(whole(order_id))

    assert answer["outcome"] == "cancelled"
    assert methods(cloud) == ["PATCH"]


async def test_half_characters_in_an_order_do_not_break_the_answer(app: App, cloud: LocalCloud, order_id: str) -> None:
    order = software_order(order_id, CUSTOMER, status="cancelled")
    order["lineItems"][0]["friendlyName"] = "Snow \ud83d"
    cloud.fault(method="PATCH", body=json.dumps(order))

    status, answer, _ = await app.post(whole(order_id))

    assert (status, answer["lineItems"][0]["friendlyName"]) == (200, "Snow ?")


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_redirect_does_not_take_the_token_along(
    app: App, cloud: LocalCloud, order_id: str, status: int
) -> None:
    elsewhere = f"{cloud.description['partnerCenterUrl']}/elsewhere"
    cloud.fault(method="PATCH", status=status, headers={"Location": elsewhere})

    _, problem, _ = await app.post(whole(order_id))

    assert problem["code"] == "unexpected_answer"
    assert all("elsewhere" not in one["path"] for one in cloud.requests())


async def test_a_401_renews_the_token_once(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post(whole(order_id, dryRun=True))
    cloud.forget()
    cloud.fault(status=401, body={"code": "900421", "description": "no MFA"}, times=2)

    status, problem, _ = await app.post(whole(order_id))

    assert (status, problem["code"], problem["partnerCenter"]["code"]) == (502, "credentials_rejected", "900421")
    assert "MFA" in problem["detail"]
    assert [one["path"].split("/")[1] for one in cloud.requests("key_vault")] == ["secrets"]
    assert len([one for one in cloud.requests("entra") if one["method"] == "POST"]) == 1
    assert methods(cloud) == ["PATCH", "PATCH"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 404, "body": {"code": "20000"}}, "order_not_found"),
        ({"status": 404, "body": "<html>"}, "unexpected_answer"),
        ({"status": 200, "body": "junk"}, "unexpected_answer"),
        ({"status": 200, "body": {"id": "another-order"}}, "unexpected_answer"),
        ({"status": 429, "headers": {"Retry-After": "30"}}, "throttled"),
        ({"status": 503, "headers": {"Retry-After": "30"}}, "partner_center_unavailable"),
        ({"hang_up": "before", "times": 4}, "partner_center_unavailable"),
    ],
    ids=str,
)
async def test_while_an_order_is_only_read_nothing_is_in_doubt(
    app: App, cloud: LocalCloud, order_id: str, fault: dict[str, Any], code: str
) -> None:
    cloud.fault(method="GET", **fault)

    _, problem, _ = await app.post(lines(order_id, 0))

    assert problem["code"] == code
    assert "PATCH" not in methods(cloud)


async def test_the_host_giving_up_is_answered(app: App, cloud: LocalCloud, order_id: str) -> None:
    """A CancelledError that escaped would leave the caller without any answer."""
    await app.post(whole(order_id, dryRun=True))
    cloud.fault(method="PATCH", delay_s=60)
    cloud.fault(method="GET", delay_s=60)

    codes = []
    for body, what in ((whole(order_id), "PATCH"), (whole(order_id, dryRun=True), "GET")):
        cloud.http.delete(f"{cloud.description['controlUrl']}/requests")
        call = asyncio.create_task(app.post(body))
        while what not in await asyncio.to_thread(methods, cloud):  # noqa: ASYNC110  (in another process)
            await asyncio.sleep(0.01)
        call.cancel()
        codes.append((await call)[1]["code"])

    assert codes == ["outcome_unknown", "partner_center_unavailable"]


async def test_a_bug_is_an_answer_too(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Runtime:
        raise RuntimeError("a bug")

    status, problem, _ = await post(broken, {})

    assert (status, problem["code"], problem["retryable"]) == (500, "internal_error", False)
    assert "a bug" not in str(problem)
    assert "a bug" in caplog.text


async def test_bad_settings_reach_the_caller_by_name() -> None:
    status, problem, _ = await post(lambda: Runtime(Settings.from_environ({"CANCEL_DEADLINE_S": "s3cret"})), {})

    assert (status, problem["code"]) == (500, "misconfigured")
    for name in ("KEY_VAULT_URL", "PARTNER_CENTER_ACCOUNTS", "CANCEL_DEADLINE_S"):
        assert name in problem["detail"]
    assert "s3cret" not in problem["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        ({}, 400, "invalid_request"),
        (whole("some-order", account="nowhere"), 400, "unknown_account"),
        (whole("some-order", account="closed"), 403, "account_off"),
        (whole("some-order", account="limited"), 403, "customer_not_allowed"),
        (b" " * 70_000, 413, "body_too_large"),
    ],
)
async def test_what_is_refused_here_reaches_nobody_else(
    app: App, cloud: LocalCloud, body: object, status: int, code: str
) -> None:
    answer = await app.post(body)

    assert (answer[0], answer[1]["code"]) == (status, code)
    assert cloud.requests() == []


async def test_several_accounts_and_none_called_default(settings: Settings, cloud: LocalCloud) -> None:
    accounts = {name: account for name, account in settings.accounts.items() if name != "default"}
    async with Runtime(settings.model_copy(update={"accounts": accounts})) as several:
        _, problem, _ = await App(several).post(whole("some-order"))
    only = {"production": accounts["production"]}
    async with Runtime(settings.model_copy(update={"accounts": only})) as single:
        _, answer, _ = await App(single).post(whole("some-order"))

    assert problem["code"] == "unknown_account"
    assert answer["code"] == "order_not_found"
    assert cloud.requests("partner_center")


async def test_another_media_type_is_refused(app: App) -> None:
    status, problem, _ = await app.post({}, content_type="text/xml")

    assert (status, problem["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("*/*", "application/json"), ("application/problem+json, */*", "application/problem+json")],
)
async def test_a_problem_is_json_unless_the_problem_type_is_asked_for(app: App, accept: str, media_type: str) -> None:
    """Logic Apps hands every other type on as base64."""
    response = await respond(lambda: app.runtime, b"", accept=accept)

    assert response.mimetype == media_type


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [("wait=5", "wait=5"), ("wait=0", "wait=1"), ("wait=5000", "wait=100"), ("wait=x", None), ("", None)],
)
async def test_the_preferred_wait_is_clamped_and_confirmed(app: App, prefer: str, applied: str | None) -> None:
    _, _, headers = await app.post({}, prefer=prefer)

    assert headers.get("Preference-Applied") == applied


async def test_a_caller_with_a_key_may_do_what_its_scope_says(settings: Settings, order_id: str) -> None:
    key = "a-key-of-its-own-of-32-random-bytes"
    helpdesk = {"proof": "key", "sha256": hashlib.sha256(key.encode()).hexdigest(), "dryRunOnly": True}
    guarded = settings.model_copy(update={"callers": {"helpdesk": KeyCaller.model_validate(helpdesk)}})
    async with Runtime(guarded) as runtime:
        app = App(runtime)
        codes = [
            (await app.post(body, **headers))[1].get("code")
            for body, headers in (
                (whole(order_id, dryRun=True), {}),
                (b"not even JSON", {"x_caller_key": "wrong"}),
                (whole(order_id), {"x_caller_key": key}),
                (whole(order_id, dryRun=True), {"x_caller_key": key}),
            )
        ]

    assert codes == ["caller_not_authenticated", "caller_not_authenticated", "caller_not_allowed", None]


async def test_a_handshake_that_never_ends_is_left_by_the_deadline(settings: Settings, order_id: str) -> None:
    """httpcore does not close what is cut off in its handshake; each call would leave sockets behind."""
    opened: list[asyncio.Event] = []  # each set at its end

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(ended := asyncio.Event())
        await reader.read()
        writer.close()
        ended.set()

    async with await asyncio.start_server(says_nothing, "127.0.0.1", 0) as server:
        silent = {"api_root": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
        accounts = {"default": settings.accounts["default"].model_copy(update=silent)}
        async with Runtime(settings.model_copy(update={"accounts": accounts})) as runtime:
            await runtime.health()  # has fetched a token: all of the two seconds is for Partner Center
            gc.disable()  # which closes them too, some day
            try:
                _, problem, _ = await App(runtime).post(whole(order_id), prefer="wait=2")
                async with asyncio.timeout(20):
                    await asyncio.gather(*(ended.wait() for ended in opened))
            finally:
                gc.enable()
                server.abort_clients()

    assert problem["code"] == "partner_center_unavailable"
    assert opened
