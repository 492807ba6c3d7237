"""What one call sends over the wire, and the answer that its caller gets."""

import asyncio
import gc
import hashlib
import json
from collections.abc import AsyncIterator

import pytest

from shared.runtime import Runtime
from shared.settings import EntraCaller, KeyCaller, Settings
from tests.conftest import CUSTOMER
from tests.support import proofs
from tests.support.in_process import App, post, respond
from tests.support.local_cloud import Json, LocalCloud, software_order
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio


async def test_the_answer_is_the_normalized_order(app: App, cloud: LocalCloud, order_id: str) -> None:
    answer = await app.post(
        {
            "customerTenantId": CUSTOMER,
            "orderId": order_id,
            "lineItems": [{"lineItemNumber": 0}],
            "ticketId": "ZD-48151",
            "reason": "wrong edition",
        }
    )

    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    [_, patch] = cloud.requests("partner_center")
    offers = [line["offerId"] for line in cloud.order(order_id)["lineItems"]]
    assert answer.body == {
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


async def test_ticket_and_reason_do_not_reach_microsoft(app: App, cloud: LocalCloud, order_id: str) -> None:
    """Both are the partner's own words, about a customer."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": "ZD-48151", "reason": "wrong edition"}

    await app.post(body)

    assert "PATCH" in cloud.methods()
    assert "ZD-48151" not in str(cloud.requests())
    assert "wrong edition" not in str(cloud.requests())


async def test_half_characters_in_an_order_do_not_break_the_answer(app: App, cloud: LocalCloud, order_id: str) -> None:
    order = software_order(order_id, CUSTOMER, status="cancelled")
    order["lineItems"][0]["friendlyName"] = "Snow \ud83d"
    cloud.fault(method="PATCH", body=json.dumps(order))

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.body["lineItems"][0]["friendlyName"] == "Snow ?"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("*/*", "application/json"), ("application/problem+json, */*", "application/problem+json")],
)
async def test_a_problem_is_json_unless_the_problem_type_is_asked_for(app: App, accept: str, media_type: str) -> None:
    """Logic Apps encodes every other type in base64."""
    response = await respond(lambda: app.runtime, b"", accept=accept)

    assert response.mimetype == media_type


async def test_a_dry_run_of_an_order_names_the_lines_that_would_be_cancelled(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 1}]})
    cloud.forget()

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})

    assert answer.status == 200
    assert answer.outcome == "dry_run"
    assert answer.body["dryRun"] is True
    assert answer.body["cancelledLineItems"] == [0, 2]
    assert [line["cancelled"] for line in answer.body["lineItems"]] == [False, True, False]
    assert cloud.methods() == ["GET"]
    assert cloud.order(order_id)["status"] == "completed"


async def test_a_dry_run_of_lines_leaves_out_the_cancelled_ones(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 1}]})
    cloud.forget()
    lines = [{"lineItemNumber": 1}, {"lineItemNumber": 2}]

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": lines, "dryRun": True})

    assert answer.outcome == "dry_run"
    assert answer.body["cancelledLineItems"] == [2]
    assert cloud.methods() == ["GET"]
    assert cloud.order(order_id)["status"] == "completed"


async def test_an_account_in_dry_run_mode_makes_every_request_a_dry_run(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "account": "rehearsal"})

    assert answer.outcome == "dry_run"
    assert answer.body["dryRun"] is True
    assert answer.body["account"] == "rehearsal"
    assert cloud.methods() == ["GET"]


async def test_only_lines_that_are_not_cancelled_yet_are_sent(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})
    cloud.forget()
    lines = [{"lineItemNumber": 0}, {"lineItemNumber": 1}]

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": lines})

    assert answer.outcome == "partially_cancelled"
    assert answer.body["cancelledLineItems"] == [0, 1]
    [_, patch] = cloud.requests("partner_center")
    assert [line["lineItemNumber"] for line in patch["body"]["lineItems"]] == [1]


async def test_the_last_lines_cancel_the_order(app: App, order_id: str) -> None:
    lines = [{"lineItemNumber": 2}, {"lineItemNumber": 0}, {"lineItemNumber": 1}]

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": lines})

    assert answer.outcome == "cancelled"
    assert answer.body["status"] == "cancelled"


async def test_lines_that_are_cancelled_already_need_no_patch(app: App, cloud: LocalCloud, order_id: str) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]}
    await app.post(body)
    cloud.forget()

    answer = await app.post(body)

    assert answer.outcome == "already_cancelled"
    assert cloud.methods() == ["GET"]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"lineItemNumber": 3}, id="no-such-line"),
        pytest.param({"lineItemNumber": 0, "offerId": "DG7GMGF0FKZV:0003:DG7GMGF0DW01"}, id="offer-of-another-line"),
    ],
)
async def test_a_wrong_line_is_refused_before_anything_changes(
    app: App, cloud: LocalCloud, order_id: str, wrong: Json
) -> None:
    lines = [{"lineItemNumber": 1}, wrong]

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": lines})

    assert answer.status == 422
    assert answer.code == "line_item_mismatch"
    assert cloud.methods() == ["GET"]
    assert cloud.order(order_id)["lineItems"][1]["quantity"] == 1


async def test_a_second_cancellation_is_a_success(app: App, order_id: str) -> None:
    """Webhooks are delivered twice; Partner Center refuses the second PATCH."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    await app.post(body)

    answer = await app.post(body)

    assert answer.status == 200
    assert answer.outcome == "already_cancelled"
    assert answer.body["cancelledLineItems"] == [0, 1, 2]


async def test_a_short_failure_is_repeated_until_it_is_over(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=502, body="<html>", times=3, headers={"Retry-After": "0"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.outcome == "cancelled"


async def test_a_repeat_keeps_its_request_id_and_a_read_has_its_own(app: App, cloud: LocalCloud, order_id: str) -> None:
    """Partner Center tells a repeat from a second cancellation by MS-RequestId alone."""
    cloud.fault(method="PATCH", hang_up="before")
    cloud.fault(method="PATCH", status=503, headers={"Retry-After": "0"})
    cloud.fault(method="PATCH", status=401)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})

    assert answer.status == 200
    get, *patches = cloud.requests("partner_center")
    assert len(patches) == 4
    assert {patch["headers"]["ms-requestid"] for patch in patches} == {answer.body["requestId"]}
    assert get["headers"]["ms-requestid"] != answer.body["requestId"]
    correlation_ids = {request["headers"]["ms-correlationid"] for request in (get, *patches)}
    assert correlation_ids == {answer.body["correlationId"]}


async def test_each_call_has_a_request_id_of_its_own(app: App, order_id: str) -> None:
    """If Partner Center replays answers by this id, an old refusal must not come back for ever."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}

    first, second = [await app.post(body) for _ in range(2)]

    assert first.body["requestId"] != second.body["requestId"]


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_AS_GUID = "0af76519-16cd-43dd-8448-eb211c80319c"


@pytest.mark.parametrize(
    ("context", "header", "correlation_id"),
    [
        pytest.param(TRACE, "", TRACE_AS_GUID, id="from-the-host"),
        pytest.param("", TRACE, TRACE_AS_GUID, id="from-the-header"),
        pytest.param("00-00000000000000000000000000000000-b7ad6b7169203331-01", "", None, id="all-zero"),
        pytest.param("junk", "junk", None, id="junk"),
    ],
)
async def test_the_correlation_id_is_the_trace_id(
    app: App, order_id: str, context: str, header: str, correlation_id: str | None
) -> None:
    """One id leads from the ticket through Application Insights to Partner Center's support."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}

    answer = await app.post(body, trace_parent=context, traceparent=header)

    assert len(answer.body["correlationId"]) == 36
    assert correlation_id in {None, answer.body["correlationId"]}


FAILING_READS: dict[str, Json] = {
    "500": {"status": 500},
    "401": {"status": 401},
    "junk": {"status": 200, "body": "junk"},
    "hang-up": {"hang_up": "before"},
}


async def test_a_refusal_is_final_if_the_order_is_not_cancelled(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800061", "description": "no"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 422
    assert answer.code == "not_cancellable"
    assert answer.body["retryable"] is False
    assert answer.body["partnerCenter"] == {"code": "800061", "description": "no"}
    assert cloud.methods() == ["PATCH", "GET"]
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize("name", FAILING_READS)
async def test_a_failing_read_does_not_change_a_clear_refusal(
    app: App, cloud: LocalCloud, order_id: str, name: str
) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800063"})
    cloud.fault(method="GET", times=4, **FAILING_READS[name])

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.code == "use_subscription_cancel"


@pytest.mark.parametrize("name", FAILING_READS)
async def test_a_refusal_that_may_mean_cancelled_is_not_final_until_the_order_is_read(
    app: App, cloud: LocalCloud, order_id: str, name: str
) -> None:
    """The order is cancelled; a final refusal would close the ticket as failed."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    await app.post(body)
    cloud.fault(method="GET", times=4, **FAILING_READS[name])

    answer = await app.post(body)

    assert answer.status == 503
    assert answer.code == "outcome_unknown"
    assert answer.body["retryable"] is True


# What Partner Center does with a repeated MS-RequestId nobody could confirm: it may replay its first answer
# (no fault), or refuse the second PATCH because the order is cancelled.
SECOND_ANSWERS: dict[str, Json | None] = {
    "answer-replayed": None,
    "refused-as-done": {"method": "PATCH", "status": 400, "body": {"code": "800061", "description": "no"}},
}


@pytest.mark.parametrize("second", SECOND_ANSWERS)
async def test_a_cancellation_whose_answer_was_lost_is_found(
    app: App, cloud: LocalCloud, order_id: str, second: str
) -> None:
    cloud.fault(method="PATCH", hang_up="after")
    if fault := SECOND_ANSWERS[second]:
        cloud.fault(**fault)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.outcome == "cancelled"
    assert cloud.order(order_id)["status"] == "cancelled"


async def test_no_refusal_is_final_while_an_attempt_is_unaccounted_for(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    """The change of the first attempt may still be made."""
    cloud.fault(method="PATCH", hang_up="before")
    cloud.fault(method="PATCH", status=400, body={"code": "900117", "description": "too late"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 503
    assert answer.code == "outcome_unknown"
    assert answer.body["retryable"] is True
    assert answer.body["partnerCenter"]["code"] == "900117"
    assert 1 <= int(answer.headers["Retry-After"]) <= 59
    assert cloud.methods() == ["PATCH", "PATCH", "GET"]


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_failures_that_do_not_end_leave_the_outcome_unknown(
    app: App, cloud: LocalCloud, order_id: str, status: int
) -> None:
    cloud.fault(method="PATCH", status=status, times=4, headers={"Retry-After": "0"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 503
    assert answer.code == "outcome_unknown"
    assert cloud.methods() == ["PATCH"] * 4 + ["GET"]


@pytest.mark.parametrize("code", ["800019", "20000", "2032", "800060"])
async def test_after_a_500_the_outcome_is_unknown_with_any_code(
    app: App, cloud: LocalCloud, order_id: str, code: str
) -> None:
    cloud.fault(method="PATCH", status=500, body={"code": code})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.code == "outcome_unknown"


SHOWING: dict[str, Json] = {
    "pascal-no-lines": {"Status": "Cancelled"},
    "quantity-0": {"status": "completed", "lineItems": [{"lineItemNumber": 0, "quantity": 0}]},
    "status": {"status": "cancelled", "lineItems": [{"lineItemNumber": 0, "quantity": 5}]},
    "odd-members": {"status": "cancelled", "friendlyName": "\ud83d", "currencyCode": 5, "creationDate": "never"},
}
NOT_SHOWING: dict[str, object] = {
    "empty": "",
    "null": "null",
    "html": "<html>",
    "bom": "\ufeff",
    "code-0": {"code": 0},
    "another-order": {"id": "another-order", "status": "cancelled"},
    "pending": {"status": "pending"},
}


@pytest.mark.parametrize("name", SHOWING)
async def test_a_cancellation_shows_in_many_forms(app: App, cloud: LocalCloud, order_id: str, name: str) -> None:
    cloud.fault(method="PATCH", body=json.dumps({"Id": order_id, **SHOWING[name]}))

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "cancelled"
    assert cloud.methods() == ["PATCH"]


@pytest.mark.parametrize("name", NOT_SHOWING)
async def test_after_a_success_that_does_not_show_the_order_is_read(
    app: App, cloud: LocalCloud, order_id: str, name: str
) -> None:
    """The change was made; only its answer was no use."""
    cloud.fault(method="PATCH", body=NOT_SHOWING[name])

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "cancelled"
    assert cloud.methods() == ["PATCH", "GET"]


async def test_a_success_that_the_order_does_not_show_is_pending(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=202, body="")

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.outcome == "pending"
    assert answer.body["orderId"] == order_id
    assert answer.body["status"] == "completed"
    assert [line["cancelled"] for line in answer.body["lineItems"]] == [False] * 3


async def test_a_success_is_pending_if_the_order_cannot_be_read(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=202, body="")
    cloud.fault(method="GET", status=500, times=4)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.outcome == "pending"
    assert answer.body["orderId"] == order_id
    assert answer.body["status"] is None
    assert answer.body["lineItems"] == []


async def test_pending_lines_keep_the_order_that_was_read_before(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=202, body="")
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.fault(method="GET", delay_s=0)  # the read before the PATCH is sound
    cloud.fault(method="GET", status=500, times=4)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})

    assert answer.outcome == "pending"
    assert answer.body["status"] == "completed"
    assert len(answer.body["lineItems"]) == 3


READ_FAULTS: dict[str, tuple[Json, str]] = {
    "no-such-order": ({"status": 404, "body": {"code": "20000"}}, "order_not_found"),
    "404-of-a-proxy": ({"status": 404, "body": "<html>"}, "unexpected_answer"),
    "junk": ({"status": 200, "body": "junk"}, "unexpected_answer"),
    "another-order": ({"status": 200, "body": {"id": "another-order"}}, "unexpected_answer"),
    "429": ({"status": 429, "headers": {"Retry-After": "30"}}, "throttled"),
    "503": ({"status": 503, "headers": {"Retry-After": "30"}}, "partner_center_unavailable"),
    "hang-up": ({"hang_up": "before", "times": 4}, "partner_center_unavailable"),
}


@pytest.mark.parametrize("name", READ_FAULTS)
async def test_while_an_order_is_only_read_nothing_is_in_doubt(
    app: App, cloud: LocalCloud, order_id: str, name: str
) -> None:
    fault, code = READ_FAULTS[name]
    cloud.fault(method="GET", **fault)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})

    assert answer.code == code
    assert "PATCH" not in cloud.methods()


async def test_without_a_connection_nothing_has_changed(app: App, order_id: str) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "unreachable"}

    answer = await app.post(body, prefer="wait=2")

    assert answer.status == 503
    assert answer.code == "partner_center_unavailable"
    assert 1 <= int(answer.headers["Retry-After"]) <= 59


async def test_a_401_renews_the_token_once(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.forget()
    cloud.fault(status=401, body={"code": "900421", "description": "no MFA"}, times=2)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 502
    assert answer.code == "credentials_rejected"
    assert answer.body["partnerCenter"]["code"] == "900421"
    assert "MFA" in answer.body["detail"]
    assert [request["path"].split("/")[1] for request in cloud.requests("key_vault")] == ["secrets"]
    assert len(cloud.requests("entra", "POST")) == 1
    assert cloud.methods() == ["PATCH", "PATCH"]


async def test_a_lasting_401_does_not_hammer_entra(app: App, cloud: LocalCloud, order_id: str) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    await app.post(body | {"dryRun": True})
    cloud.forget()
    cloud.fault(status=401, times=100)

    codes = {(await app.post(body)).code for _ in range(5)}
    cloud.clear_faults()
    healed = await app.post(body)

    assert codes == {"credentials_rejected"}
    assert healed.status == 200
    assert len(cloud.requests("entra", "POST")) == 1
    assert len(cloud.requests("key_vault")) == 1


async def test_after_a_rejected_token_a_short_401_is_still_repeated(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(status=401, times=2)
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.fault(method="PATCH", status=401)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "cancelled"


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_redirect_does_not_take_the_token_along(
    app: App, cloud: LocalCloud, order_id: str, status: int
) -> None:
    elsewhere = f"{cloud.description['partnerCenterUrl']}/elsewhere"
    cloud.fault(method="PATCH", status=status, headers={"Location": elsewhere})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.code == "unexpected_answer"
    assert cloud.requests(path="elsewhere") == []


async def test_cookies_are_not_kept(app: App, cloud: LocalCloud, order_id: str) -> None:
    """A cookie would travel from one partner's call to another's."""
    cloud.fault(method="GET", headers={"Set-Cookie": "session=1; Path=/"})

    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True, "account": "production"})

    requests = cloud.requests("partner_center")
    assert len(requests) == 2
    assert all("cookie" not in request["headers"] for request in requests)


async def test_a_certificate_of_another_authority_is_no_partner_center(app: App, order_id: str) -> None:
    """Without this check the token would go to any server that answers; this one would answer 404."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "impostor"}

    answer = await app.post(body, prefer="wait=2")

    assert answer.code == "partner_center_unavailable"


async def test_no_attempt_is_begun_that_could_only_time_out(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(service="entra", delay_s=60)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=1")

    assert answer.code == "credentials_unavailable"
    assert cloud.requests("partner_center") == []


async def test_at_the_deadline_an_open_patch_leaves_the_outcome_unknown(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})  # fetches the token
    cloud.fault(method="PATCH", delay_s=60)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=1")

    assert answer.status == 503
    assert answer.code == "outcome_unknown"
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert "a repeat is safe" in answer.body["detail"]


@pytest.mark.parametrize(
    ("dry_run", "method", "code"),
    [
        pytest.param(False, "PATCH", "outcome_unknown", id="patch-sent"),
        pytest.param(True, "GET", "partner_center_unavailable", id="only-read"),
    ],
)
async def test_a_call_that_the_host_cancels_is_answered(
    app: App, cloud: LocalCloud, order_id: str, dry_run: bool, method: str, code: str
) -> None:
    """A CancelledError that escaped would leave the caller without any answer."""
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})  # fetches the token
    cloud.forget()
    cloud.fault(method=method, delay_s=60)

    call = asyncio.create_task(app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": dry_run}))
    await wait_for_request(cloud, "partner_center", method)
    call.cancel()

    assert (await call).code == code


async def test_a_handshake_that_never_ends_is_given_up_before_the_deadline(settings: Settings, order_id: str) -> None:
    """httpcore does not close a connection that is cancelled in its handshake; each call would leave sockets behind."""
    ends: list[asyncio.Event] = []  # one for each connection, set when it is closed

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(end := asyncio.Event())
        await reader.read()
        writer.close()
        end.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        silent = {"api_root": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
        accounts = {"default": settings.accounts["default"].model_copy(update=silent)}
        async with Runtime(settings.model_copy(update={"accounts": accounts})) as runtime:
            await runtime.health()  # fetches the token, so that both seconds are for Partner Center
            gc.disable()  # a collection would close the sockets too
            try:
                answer = await App(runtime).post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=2")
                async with asyncio.timeout(20):
                    await asyncio.gather(*(end.wait() for end in ends))
            finally:
                gc.enable()
                server.abort_clients()

    assert answer.code == "partner_center_unavailable"
    assert ends


async def test_a_bug_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Runtime:
        raise RuntimeError("a bug")

    answer = await post(broken, {})

    assert answer.status == 500
    assert answer.code == "internal_error"
    assert answer.body["retryable"] is False
    assert "a bug" not in str(answer.body)
    assert "a bug" in caplog.text


async def test_bad_settings_are_named_without_their_values() -> None:
    answer = await post(lambda: Runtime(Settings.from_environ({"CANCEL_DEADLINE_S": "s3cret"})), {})

    assert answer.status == 500
    assert answer.code == "misconfigured"
    for name in ("KEY_VAULT_URL", "PARTNER_CENTER_ACCOUNTS", "CANCEL_DEADLINE_S"):
        assert name in answer.body["detail"]
    assert "s3cret" not in answer.body["detail"]


REFUSED: dict[str, tuple[object, int, str]] = {
    "broken-json": (b"{", 400, "invalid_json"),
    "empty-object": ({}, 400, "invalid_request"),
    "account-unknown": (
        {"customerTenantId": CUSTOMER, "orderId": "some-order", "account": "nowhere"},
        400,
        "unknown_account",
    ),
    "account-off": ({"customerTenantId": CUSTOMER, "orderId": "some-order", "account": "closed"}, 403, "account_off"),
    "customer-of-another-account": (
        {"customerTenantId": CUSTOMER, "orderId": "some-order", "account": "limited"},
        403,
        "customer_not_allowed",
    ),
    "over-64-kib": (b" " * 70_000, 413, "body_too_large"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_request_reaches_no_other_service(app: App, cloud: LocalCloud, name: str) -> None:
    body, status, code = REFUSED[name]

    answer = await app.post(body)

    assert answer.status == status
    assert answer.code == code
    assert cloud.requests() == []


async def test_another_media_type_is_refused(app: App) -> None:
    answer = await app.post({}, content_type="text/xml")

    assert answer.status == 415
    assert answer.code == "unsupported_media_type"


async def test_with_several_accounts_and_no_default_the_request_must_name_one(
    settings: Settings, cloud: LocalCloud
) -> None:
    accounts = {name: account for name, account in settings.accounts.items() if name != "default"}

    async with Runtime(settings.model_copy(update={"accounts": accounts})) as runtime:
        answer = await App(runtime).post({"customerTenantId": CUSTOMER, "orderId": "some-order"})

    assert answer.code == "unknown_account"
    assert cloud.requests() == []


async def test_a_single_account_need_not_be_named(settings: Settings, cloud: LocalCloud) -> None:
    accounts = {"production": settings.accounts["production"]}

    async with Runtime(settings.model_copy(update={"accounts": accounts})) as runtime:
        answer = await App(runtime).post({"customerTenantId": CUSTOMER, "orderId": "some-order"})

    assert answer.code == "order_not_found"
    assert cloud.requests("partner_center")


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [("wait=5", "wait=5"), ("wait=0", "wait=1"), ("wait=5000", "wait=100"), ("wait=x", None), ("", None)],
)
async def test_the_preferred_wait_is_clamped_and_confirmed(app: App, prefer: str, applied: str | None) -> None:
    answer = await app.post({}, prefer=prefer)

    assert answer.headers.get("Preference-Applied") == applied


KEY = "a-key-of-its-own-of-32-random-bytes"


@pytest.fixture
async def guarded(settings: Settings) -> AsyncIterator[App]:
    """A worker with one caller, which has a key and may do dry runs only."""
    helpdesk = {"proof": "key", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "dryRunOnly": True}
    callers = {"helpdesk": KeyCaller.model_validate(helpdesk)}
    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        yield App(runtime)


async def test_without_a_key_no_request_is_read(guarded: App, order_id: str) -> None:
    keyless = await guarded.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    wrong_key = await guarded.post(b"not even JSON", x_caller_key="wrong")

    assert keyless.code == "caller_not_authenticated"
    assert wrong_key.code == "caller_not_authenticated"


async def test_a_caller_with_a_key_may_do_what_its_scope_allows(guarded: App, order_id: str) -> None:
    for_real = await guarded.post({"customerTenantId": CUSTOMER, "orderId": order_id}, x_caller_key=KEY)
    dry_run = await guarded.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}, x_caller_key=KEY)

    assert for_real.code == "caller_not_allowed"
    assert dry_run.outcome == "dry_run"


@pytest.mark.parametrize(
    ("auth_enabled", "code"),
    [
        pytest.param(None, "caller_not_authenticated", id="off"),
        pytest.param("True", "invalid_request", id="on"),  # the caller is known, and its body is empty
    ],
)
async def test_an_entra_principal_counts_only_while_app_service_authentication_is_on(
    settings: Settings, auth_enabled: str | None, code: str
) -> None:
    """While it is off, anybody can send this header."""
    callers = {"flow": EntraCaller(proof="entra", role="Orders.Cancel")}
    known = settings.model_copy(update={"callers": callers, "website_auth_enabled": auth_enabled})

    async with Runtime(known) as runtime:
        answer = await App(runtime).post(b"{}", **proofs.entra_principal("Orders.Cancel"))

    assert answer.code == code
