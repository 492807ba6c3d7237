"""The sample flow, run on every answer of the function: which requests it sends, and the note that the ticket gets."""

import json
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

import pytest

from infra import openapi_texts
from shared.contract import CancelRequest, FindRequest, Outcome
from shared.errors import OutcomeUnknown, all_codes, problem_body
from shared.http_request import parse_query, parse_request
from tests.support.local_cloud import Json
from tests.support.workflow import FAILED, SUCCEEDED, TIMED_OUT, Run, all_actions, references

FOLDER = Path(__file__).resolve().parents[2] / "infra/power-automate"
PAGE = (FOLDER / "readme.md").read_text()
FLOW: Json = json.loads((FOLDER / "cancel-order-flow.json").read_text())
ACTIONS = all_actions(FLOW["actions"])
PARAMETERS = {name: parameter["defaultValue"] for name, parameter in FLOW["parameters"].items()}
REQUEST: Json = {**openapi_texts.REQUEST_EXAMPLES["wholeOrder"], "ticketId": "48151"}
LINE_REQUEST: Json = openapi_texts.REQUEST_EXAMPLES["oneLine"]
BY_SUBSCRIPTION: Json = openapi_texts.REQUEST_EXAMPLES["subscription"] | {"ticketId": "48151"}
LICENCES: Json = openapi_texts.RESULT_EXAMPLES["dryRunOfLicences"]  # of line 1 the window has passed
OPEN_LINE, LATE_LINE = LICENCES["lineItems"]
BOTH_OPEN: Json = LICENCES | {
    "cancelledLineItems": [0, 1],
    "lineItems": [OPEN_LINE, OPEN_LINE | {"lineItemNumber": 1, "cancellable": None}],
}
NOT_RENEWED: Json = openapi_texts.REQUEST_EXAMPLES["doNotRenew"] | {"ticketId": "48151"}
OF_TERM_END: Json = openapi_texts.RESULT_EXAMPLES["dryRunOfDoNotRenew"]
SCHEDULED: Json = openapi_texts.RESULT_EXAMPLES["scheduled"]
OF_SUBSCRIPTION: Json = LICENCES | {"cancelledLineItems": [], "lineItems": [OPEN_LINE | {"lineItemNumber": None}]}
ID = "655890ba-4d2b-4d09-a95f-4ea1348686a5"
APPROVE, REJECT = (SUCCEEDED, {"body": {"outcome": "Approve"}}), (SUCCEEDED, {"body": {"outcome": "Reject"}})

# The status of an action and its outputs, as the engine keeps them.
type ActionResult = tuple[str, Json | None]


class FlowResult(NamedTuple):
    """The note that the ticket gets, and the inputs of each action that sent something."""

    note: str
    sent: dict[str, Json]


def answer(status: int, body: object) -> ActionResult:
    """Return what an HTTP action makes of the function's answer."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return (SUCCEEDED if status < 300 else FAILED), {"statusCode": status, "headers": headers, "body": body}


def result(**changes: object) -> ActionResult:
    return answer(200, BOTH_OPEN | changes)


def problem(code: str, order: Json | None = None) -> ActionResult:
    status = dict(all_codes())[code]
    kind = type("Any", (OutcomeUnknown,), {"codes": {code: status}})
    return answer(status, problem_body(kind(code, "What to do."), ID, ID, order))


def run_flow(results: dict[str, ActionResult], request: Json = REQUEST) -> FlowResult:
    """Run the flow for *request*; *results* are those of the actions by name. The second look shows what the first did.

    The cancellation is accepted.
    """
    sent: dict[str, Json] = {}
    defaults: dict[str, ActionResult] = {
        "Look": result(),
        "Look_again": results.get("Look", result()),
        "Approval": APPROVE,
        "Cancel": result(outcome="cancelled"),
        "Tell_the_ticket": answer(200, {}),
    }

    def send(name: str, inputs: Json) -> ActionResult:
        sent[name] = inputs
        return (defaults | results)[name]

    assert Run(FLOW, request, PARAMETERS, send).start() == SUCCEEDED
    assert sent["Tell_the_ticket"]["uri"] == f"https://example.zendesk.com/api/v2/tickets/{request['ticketId']}.json"
    return FlowResult(sent["Tell_the_ticket"]["body"]["ticket"]["comment"]["body"], sent)


def test_every_name_in_an_expression_exists() -> None:
    used = references(FLOW["actions"])

    for kind, name in used:
        known = {"parameters": FLOW["parameters"], "variables": {"text", "notOffered", "request"}}.get(kind, ACTIONS)
        assert name in known, f"{kind}('{name}')"
    assert used >= {("parameters", name) for name in FLOW["parameters"] if name != "$connections"}


def test_an_action_runs_only_after_actions_beside_it() -> None:
    scopes = [FLOW, *(branch for action in ACTIONS.values() for branch in (action, action.get("else", {})))]

    for scope in scopes:
        for action in scope.get("actions", {}).values():
            assert action["runAfter"].keys() <= scope["actions"].keys()


def test_the_outcomes_and_codes_in_its_branches_exist() -> None:
    outcomes = {case["case"] for case in ACTIONS["By_outcome"]["cases"].values()}
    codes = {case["case"] for case in ACTIONS["By_code"]["cases"].values()}

    assert outcomes == set(Outcome)
    assert codes - {""} < dict(all_codes()).keys()


def test_the_trigger_takes_the_members_of_a_cancel_request_and_words() -> None:
    schema = FLOW["triggers"]["When_a_ticket_asks"]["inputs"]["schema"]

    assert schema["properties"].keys() == {field.alias for field in CancelRequest.model_fields.values()} | {"text"}
    assert schema["required"] == ["ticketId"]


# A ticket that names a product by words.

BY_WORDS: Json = {"customerDomain": "fabrikam.com", "text": "business BASIC", "ticketId": "48151"}
[LIST] = openapi_texts.FIND_EXAMPLES.values()
FOUND_ORDER, FOUND_SUBSCRIPTION = LIST["orders"]
OTHER_LINE = OPEN_LINE | {"lineItemNumber": 1, "friendlyName": "Visio Plan 2", "offerId": "CFQ7TTC0HD33:0002"}


def found(*orders: Json, more: bool = False) -> ActionResult:
    return answer(200, {"orders": list(orders), "more": more})


@pytest.mark.parametrize(
    ("when", "cancellable"), [("now", True), ("term_end", False)], ids=["cancel-now", "do-not-renew"]
)
def test_it_looks_for_the_words_at_the_customer(when: str, cancellable: bool) -> None:
    ticket = BY_WORDS | {"when": when, "account": "sand box"}

    sent = run_flow({"Find": found(FOUND_ORDER)}, ticket).sent["Find"]

    address, _, query = sent["uri"].partition("?")
    given = dict(parse_qsl(query))
    assert (sent["method"], address) == ("GET", "https://example.azurewebsites.net/api/find_orders")
    assert given == {
        "customerDomain": "fabrikam.com",
        "text": "business BASIC",
        "account": "sand box",
        "cancellable": json.dumps(cancellable),
    }
    request = parse_query(FindRequest, given)
    assert (request.text, request.cancellable) == ("business BASIC", cancellable)


FOUND: dict[str, tuple[Json, Json]] = {
    "an order": (FOUND_ORDER, {"orderId": FOUND_ORDER["orderId"], "lineItems": [{"lineItemNumber": 0}]}),
    "a line of several": (
        FOUND_ORDER | {"lineItems": [OTHER_LINE, OPEN_LINE]},
        {"orderId": FOUND_ORDER["orderId"], "lineItems": [{"lineItemNumber": 0}]},
    ),
    "a subscription without an order": (FOUND_SUBSCRIPTION, {"subscriptionId": FOUND_SUBSCRIPTION["subscriptionId"]}),
}


@pytest.mark.parametrize(("order", "target"), FOUND.values(), ids=FOUND)
def test_it_asks_for_the_one_product_that_has_the_words(order: Json, target: Json) -> None:
    sent = run_flow({"Find": found(order)}, BY_WORDS).sent

    expected = {"customerDomain": "fabrikam.com", "ticketId": "48151"} | target
    assert sent["Look"]["body"] == expected | {"dryRun": True}
    assert CancelRequest.model_validate(sent["Look"]["body"])
    assert "Approval" in sent


UNCLEAR: dict[str, ActionResult] = {
    "nothing": found(),
    "two orders": found(FOUND_ORDER, FOUND_SUBSCRIPTION),
    "two lines": found(FOUND_ORDER | {"lineItems": [OPEN_LINE, OPEN_LINE | {"lineItemNumber": 1}]}),
    "no line, but an id": found(FOUND_ORDER | {"lineItems": [OTHER_LINE]}),
    "a line that is cancelled": found(FOUND_ORDER | {"lineItems": [OPEN_LINE | {"cancelled": True}]}),
    "an order without lines": found(FOUND_ORDER | {"lineItems": []}),
    "one of many": found(FOUND_ORDER, more=True),
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_nothing_is_guessed_if_the_words_do_not_fit_one_product(kind: str) -> None:
    """The wrong product would be cancelled, if an approver trusts the flow."""
    flow = run_flow({"Find": UNCLEAR[kind]}, BY_WORDS)

    assert flow.sent.keys() == {"Find", "Tell_the_ticket"}
    assert 'the words "business BASIC" must fit exactly one product' in flow.note
    _, outputs = UNCLEAR[kind]
    assert outputs
    for order in outputs["body"]["orders"]:
        assert str(order["orderId"] or order["subscriptionId"]) in flow.note
    assert ("There are more" in flow.note) is (kind == "one of many")


@pytest.mark.parametrize("ticket", [REQUEST, BY_SUBSCRIPTION], ids=["order", "subscription"])
@pytest.mark.parametrize("words", ["Visio", ""])
def test_an_id_counts_more_than_words(ticket: Json, words: str) -> None:
    sent = run_flow({}, ticket | {"text": words}).sent

    assert "Find" not in sent
    assert sent["Look"]["body"] == ticket | {"dryRun": True}


@pytest.mark.parametrize("code", sorted(openapi_texts.FIND_CODES))
def test_a_list_that_fails_is_told_to_the_ticket(code: str) -> None:
    flow = run_flow({"Find": problem(code)}, BY_WORDS)

    assert flow.sent.keys() == {"Find", "Tell_the_ticket"}
    assert code in flow.note or code == "unexpected_answer"
    assert "What to do." in flow.note


# A ticket's request, the dry run's answer to it, and the lines that are sent after the approval; None: the ticket's.
APPROVED: dict[str, tuple[Json, Json, list[int] | None]] = {
    "whole order, all offered": (REQUEST, BOTH_OPEN, None),
    "whole order, one line is too late": (REQUEST, LICENCES, [0]),
    "whole order, the other line is cancelled": (
        REQUEST,
        LICENCES | {"lineItems": [OPEN_LINE, LATE_LINE | {"cancelled": True, "cancellable": None}]},
        None,
    ),
    "whole order, another line has no number": (
        REQUEST,
        LICENCES | {"lineItems": [OPEN_LINE, OPEN_LINE | {"lineItemNumber": None}]},
        [0],
    ),
    "one line, offered": (LINE_REQUEST, BOTH_OPEN | {"cancelledLineItems": [0]}, None),
    "two lines, one is too late": (
        REQUEST | {"lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": 1}]},
        LICENCES,
        [0],
    ),
    "a line without an offer": (
        REQUEST,
        LICENCES | {"lineItems": [OPEN_LINE | {"offerId": None}, LATE_LINE]},
        [0],
    ),
    "subscription": (BY_SUBSCRIPTION, OF_SUBSCRIPTION, None),
    "subscription of which nobody can tell": (
        BY_SUBSCRIPTION,
        OF_SUBSCRIPTION | {"lineItems": [OPEN_LINE | {"lineItemNumber": None, "cancellable": None}]},
        None,
    ),
    "subscription at the end of its term": (NOT_RENEWED, OF_TERM_END, None),
    "order at the end of its term, one line ends already": (
        REQUEST | {"when": "term_end"},
        LICENCES | {"when": "term_end", "lineItems": [OPEN_LINE, LATE_LINE | SCHEDULED["lineItems"][0]]},
        [0],
    ),
}


@pytest.mark.parametrize(("ticket", "preview", "lines"), APPROVED.values(), ids=APPROVED)
def test_it_sends_what_was_approved(ticket: Json, preview: Json, lines: list[int] | None) -> None:
    """First a dry run of the ticket's request, then, after the approval, the same again, then what was approved."""
    sent = run_flow({"Look": answer(200, preview)}, ticket).sent

    for name in ("Look", "Look_again", "Cancel"):
        body = json.dumps(sent[name]["body"]).encode()
        headers = {header.lower(): value for header, value in sent[name]["headers"].items()}
        request = parse_request(CancelRequest, body, headers)
        if name != "Cancel":
            assert request == CancelRequest.model_validate(ticket | {"dryRun": True})
        elif lines is None:
            assert request == CancelRequest.model_validate(ticket)
        else:
            assert [line.line_item_number for line in request.line_items or []] == lines
            assert request.when == ticket.get("when", "now")
            offers = {line["lineItemNumber"]: line["offerId"] for line in preview["lineItems"]}
            assert [line.offer_id for line in request.line_items or []] == [offers[number] for number in lines]
            expected = ticket | {"lineItems": sent[name]["body"]["lineItems"]}
            assert request == CancelRequest.model_validate(expected)


def details(flow: FlowResult) -> str:
    """Return what the approver reads."""
    return str(flow.sent["Approval"]["parameters"]["WebhookApprovalCreationInput/details"])


def test_the_approver_reads_product_quantity_deadline_and_refund() -> None:
    line = OPEN_LINE | {"refund": "partial"}

    flow = run_flow({"Look": answer(200, LICENCES | {"lineItems": [line, LATE_LINE]})})

    assert (
        "Line 0: Microsoft 365 Business Basic, quantity 5, can be cancelled until 2026-12-02 10:12:00 UTC,"
        " refund partial\n" in details(flow)
    )


def test_the_approver_reads_what_nobody_can_tell() -> None:
    unknown = {"cancellable": None, "cancellableUntil": None, "refund": None, "quantity": None, "friendlyName": None}

    flow = run_flow({"Look": answer(200, LICENCES | {"lineItems": [OPEN_LINE | unknown, LATE_LINE]})})

    assert (
        f"Line 0: {OPEN_LINE['offerId']}, quantity not known, no deadline known, refund not known; nobody can tell"
        " beforehand whether Partner Center does it\n" in details(flow)
    )


def test_a_line_that_is_expected_to_fail_is_told_to_the_approver_and_to_the_ticket() -> None:
    flow = run_flow({"Look": answer(200, LICENCES), "Cancel": result(outcome="partially_cancelled")})

    for text in (flow.note, details(flow)):
        assert (
            "Not offered for approval, because it is expected to fail:\nLine 1: Microsoft 365 Business Basic,"
            " quantity 5: the time in which it could be cancelled has passed (deadline: 2026-11-28 10:12:00 UTC);"
            f" subscription {LATE_LINE['subscriptionId']}" in text
        )
    assert "Line 1" not in details(flow).partition("Not offered")[0]


def test_the_approver_reads_whether_it_is_cancelled_now_or_not_renewed() -> None:
    now = run_flow({"Look": answer(200, OF_SUBSCRIPTION)}, BY_SUBSCRIPTION)
    term_end = run_flow({"Look": answer(200, OF_TERM_END)}, NOT_RENEWED)

    titles = [flow.sent["Approval"]["parameters"]["WebhookApprovalCreationInput/title"] for flow in (now, term_end)]
    target = f"subscription {NOT_RENEWED['subscriptionId']} of customer {NOT_RENEWED['customerTenantId']}?"
    assert titles == [f"Cancel now: {target}", f"Do not renew: {target}"]
    assert details(now).startswith("If you approve, this is cancelled now,")
    assert details(term_end).startswith("If you approve, this is not renewed,")
    assert "It is not cancelled now" in details(term_end)


def test_the_approver_of_do_not_renew_reads_the_end_of_the_term_and_what_is_replaced() -> None:
    text = details(run_flow({"Look": answer(200, OF_TERM_END)}, NOT_RENEWED))

    assert (
        "Microsoft 365 Business Basic, quantity 5, its term runs until 2027-03-14 23:59:59 UTC, taken out of the"
        f" subscription: {OF_TERM_END['lineItems'][0]['replaces']}\n" in text
    )
    assert "refund" not in text


WAY_OUT: dict[str, tuple[Json, Json, str]] = {
    "for now, too late": (REQUEST, {}, "its term runs until 2027-11-25 23:59:59 UTC: to let it end then, send"),
    "for now, it ends already": (REQUEST, {"endsAtTerm": True}, "it ends with its term, on 2027-11-25 23:59:59 UTC"),
    "for now, it has no term": (REQUEST, {"termEndsOn": None}, ""),
    "for now, another reason": (REQUEST, {"code": "more_than_the_order"}, ""),
    "for the end of the term": (REQUEST | {"when": "term_end"}, {}, ""),
}


@pytest.mark.parametrize(("ticket", "change", "expected"), WAY_OUT.values(), ids=WAY_OUT)
def test_the_note_says_that_a_line_which_is_too_late_could_end_with_its_term(
    ticket: Json, change: Json, expected: str
) -> None:
    note = run_flow({"Look": result(cancelledLineItems=[], lineItems=[LATE_LINE | change])}, ticket).note

    assert expected in note
    assert ("do not renew (when: term_end)" in note) is ("send" in expected)
    assert ("its term" in note) is bool(expected)
    assert ("deadline" in note) is ("when" not in ticket)


def test_the_ticket_reads_that_it_ends_with_its_term() -> None:
    preview = answer(200, OF_TERM_END)

    done = run_flow({"Look": preview, "Cancel": answer(200, SCHEDULED)}, NOT_RENEWED).note
    done_before = SCHEDULED | {"outcome": "already_scheduled"}
    before = run_flow({"Look": preview, "Cancel": answer(200, done_before)}, NOT_RENEWED).note

    line = "\nMicrosoft 365 Business Basic, quantity 5: ends with its term, on 2027-03-14 23:59:59 UTC"
    assert done.startswith("Do not renew is set for subscription")
    assert "not cancelled now" in done
    assert done.endswith(line)
    assert before.startswith("Nothing was left to do")
    assert before.endswith(line)


def test_what_ends_with_its_term_already_needs_no_approval() -> None:
    flow = run_flow({"Look": answer(200, SCHEDULED | {"outcome": "dry_run", "dryRun": True})}, NOT_RENEWED)

    assert flow.sent.keys() == {"Look", "Tell_the_ticket"}
    assert flow.note.startswith("Nothing was left to do: it ends with its term already")
    assert flow.note.endswith("quantity 5: ends with its term, on 2027-03-14 23:59:59 UTC")


REFUSED_LINES = {"order": (REQUEST, 1), "subscription": (BY_SUBSCRIPTION, None)}


@pytest.mark.parametrize(("ticket", "number"), REFUSED_LINES.values(), ids=REFUSED_LINES)
@pytest.mark.parametrize("code", ["more_than_the_order", "use_subscription_cancel", "a_later_code"])
def test_nobody_is_asked_if_nothing_is_expected_to_succeed(ticket: Json, number: int | None, code: str) -> None:
    line = LATE_LINE | {"code": code, "lineItemNumber": number}

    flow = run_flow({"Look": result(cancelledLineItems=[], lineItems=[line])}, ticket)

    assert flow.sent.keys() == {"Look", "Tell_the_ticket"}
    assert "Nothing was changed, and nobody was asked" in flow.note
    assert ACTIONS["Reasons"]["inputs"].get(code, code) in flow.note


def test_the_reasons_are_of_codes_that_exist() -> None:
    assert ACTIONS["Reasons"]["inputs"].keys() <= dict(all_codes()).keys()


CHANGES: dict[str, Json] = {
    "seats were added": {"lineItems": [OPEN_LINE | {"lineItemNumber": None, "quantity": 7}]},
    "renewed": {"lineItems": [OPEN_LINE | {"lineItemNumber": None, "termEndsOn": "2028-11-25T23:59:59Z"}]},
    "set to end by somebody else": {"lineItems": [SCHEDULED["lineItems"][0]]},
    "a smaller refund": {"lineItems": [OPEN_LINE | {"lineItemNumber": None, "refund": "partial"}]},
    "too late by now": {"lineItems": [LATE_LINE | {"lineItemNumber": None}]},
    "cancelled by somebody else": {
        "lineItems": [OPEN_LINE | {"lineItemNumber": None, "cancelled": True, "cancellable": None}]
    },
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_has_changed_since_the_approval_is_not_cancelled(change: Json) -> None:
    """An approval can take days. A subscription that has more seats by then would be cancelled with all of them."""
    preview = answer(200, OF_SUBSCRIPTION)

    flow = run_flow({"Look": preview, "Look_again": answer(200, OF_SUBSCRIPTION | change)}, BY_SUBSCRIPTION)

    assert "Cancel" not in flow.sent
    assert "has changed since it was approved" in flow.note


@pytest.mark.parametrize("name", [name for name, action in ACTIONS.items() if action["type"] == "Http"])
def test_http_actions_state_their_repeats_and_hide_their_keys(name: str) -> None:
    action = ACTIONS[name]

    assert action["operationOptions"] == "DisableAsyncPattern"
    assert action["runtimeConfiguration"] == {"secureData": {"properties": ["inputs"]}}
    # The answer to a repeat would replace the answer before it, which may have been outcome_unknown.
    assert (action["inputs"]["retryPolicy"]["type"] == "none") is (name == "Cancel")


def test_nothing_is_cancelled_without_approval() -> None:
    flow = run_flow({"Approval": REJECT})

    assert "Cancel" not in flow.sent
    assert "not approved" in flow.note


def test_an_order_with_nothing_left_to_cancel_needs_no_approval() -> None:
    cancelled = OPEN_LINE | {"cancelled": True, "cancellable": None}

    flow = run_flow({"Look": result(cancelledLineItems=[], lineItems=[cancelled])})

    assert flow.sent.keys() == {"Look", "Tell_the_ticket"}
    assert "Nothing was left" in flow.note


def test_an_order_without_lines_is_cancelled_after_approval() -> None:
    """Its dry run lists no lines either, which must not be taken for nothing left to cancel."""
    flow = run_flow(
        {"Look": result(cancelledLineItems=[], lineItems=[]), "Cancel": result(outcome="cancelled")},
    )

    assert "Cancel" in flow.sent


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_a_note_of_its_own(outcome: Outcome) -> None:
    notes = {value: run_flow({"Cancel": result(outcome=value)}).note for value in (*Outcome, "another")}

    assert len(set(notes.values())) == len(notes)
    nothing_done = {Outcome.ALREADY_CANCELLED, Outcome.ALREADY_SCHEDULED, Outcome.DRY_RUN}
    assert ("Nothing was" in notes[outcome]) is (outcome in nothing_done)


@pytest.mark.parametrize("action", ["Look", "Look_again", "Cancel"])
@pytest.mark.parametrize(("code", "status"), list(all_codes()))
def test_each_code_has_a_true_note(code: str, status: int, action: str) -> None:
    flow = run_flow({action: problem(code)})

    assert ("Cancel" in flow.sent) is (action == "Cancel")
    assert ("Nothing was changed" in flow.note) is (
        code not in {"outcome_unknown", "unexpected_answer", "some_lines_refused", "some_lines_unfinished"}
    )
    assert ("Send the same request again" in flow.note) is (status in {429, 503})
    assert "What to do." in flow.note or code in {case["case"] for case in ACTIONS["By_code"]["cases"].values()}


@pytest.mark.parametrize("code", ["some_lines_refused", "some_lines_unfinished"])
def test_the_note_says_what_became_of_each_line(code: str) -> None:
    lines = [OPEN_LINE | {"cancelled": True, "cancellable": None}, LATE_LINE, OPEN_LINE | {"code": "later_code"}]

    note = run_flow({"Cancel": problem(code, LICENCES | {"lineItems": lines})}).note

    assert "Line 0: Microsoft 365 Business Basic, quantity 5: cancelled\n" in note
    assert "quantity 5: not cancelled, the time in which it could be cancelled has passed\n" in note
    assert note.endswith("quantity 5: not cancelled, later_code")


def test_the_note_says_which_lines_end_with_their_terms() -> None:
    lines = [line | {"lineItemNumber": number} for number, line in enumerate((SCHEDULED["lineItems"][0], OPEN_LINE))]
    lines[1]["code"] = "order_busy"
    preview, ticket = result(when="term_end"), REQUEST | {"when": "term_end"}

    problems = [problem(code, LICENCES | {"lineItems": lines}) for code in ("some_lines_unfinished", "outcome_unknown")]
    unfinished, unknown = [run_flow({"Look": preview, "Cancel": end}, ticket).note for end in problems]

    assert "are set to end with its term, others not yet" in unfinished
    assert "quantity 5: ends with its term, on 2027-03-14 23:59:59 UTC\n" in unfinished
    assert unfinished.endswith(
        "quantity 5: not set to end with its term, " + ACTIONS["Reasons"]["inputs"]["order_busy"]
    )
    assert unknown.startswith("The order may be set to end with its term.")


@pytest.mark.parametrize("status", [400, 401, 404, 414, 429, 431])
@pytest.mark.parametrize("action", ["Look", "Look_again", "Cancel"])
def test_answers_of_azures_host_have_a_note(status: int, action: str) -> None:
    """They have neither a body nor a content type."""
    note = run_flow({action: (FAILED, {"statusCode": status, "headers": {"Content-Length": "0"}})}).note

    assert note.startswith("Nothing was changed by this call")
    assert str(status) in note


UNREADABLE: dict[str, ActionResult] = {
    "HTML": (FAILED, {"statusCode": 502, "headers": {"Content-Type": "text/html"}, "body": "<html>Bad gateway</html>"}),
    "empty 504": (FAILED, {"statusCode": 504, "headers": {}}),
    "no answer": (FAILED, None),
    "timeout": (TIMED_OUT, None),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_answer_is_never_reported_as_not_cancelled(kind: str) -> None:
    note = run_flow({"Cancel": UNREADABLE[kind]}).note

    assert "may be cancelled" in note
    assert "Send the same request again" in note


def test_an_approval_that_nobody_gives_ends_with_the_first_note() -> None:
    flow = run_flow({"Approval": (TIMED_OUT, None)})

    assert "Cancel" not in flow.sent
    assert flow.note == ACTIONS["Text"]["inputs"]["variables"][0]["value"]


def test_the_page_explains_each_outcome_and_code() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (`.+?`) \|", PAGE, re.MULTILINE)
    codes = [(code, int(status)) for status, names in rows for code in re.findall(r"`(\w+)`", names)]

    assert sorted(codes) == sorted(all_codes()), "edit section 5 of infra/power-automate/readme.md"
    assert re.findall(r"^\| `(\w+)` \| [a-z]", PAGE, re.MULTILINE) == list(Outcome), "edit section 5, in this order"


def test_links_of_the_page_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert target.startswith("https://") or (FOLDER / target).exists(), target


def test_no_line_of_the_page_is_wider_than_a_screen() -> None:
    outside_blocks = re.sub(r"^( *)```.*?^\1```", "", PAGE, flags=re.DOTALL | re.MULTILINE)

    assert [line for line in outside_blocks.splitlines() if len(line) > 120] == []
