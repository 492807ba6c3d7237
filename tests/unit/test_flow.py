"""The sample flow, run on every answer that there is: what it sends, and what it tells the ticket; and its page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra import openapi_words
from shared.contract import CancelRequest, Outcome
from shared.errors import OutcomeUnknown, all_codes, problem_body
from shared.http_request import parse_request
from tests.support.workflow import FAILED, SUCCEEDED, TIMED_OUT, Json, Run, referred, within

FOLDER = Path(__file__).resolve().parents[2] / "infra/power-automate"
PAGE = (FOLDER / "readme.md").read_text()
FLOW: Json = json.loads((FOLDER / "cancel-order-flow.json").read_text())
ACTIONS = within(FLOW["actions"])
PARAMETERS = {name: parameter["defaultValue"] for name, parameter in FLOW["parameters"].items()}
ASKED: Json = {**openapi_words.REQUEST_EXAMPLES["wholeOrder"], "ticketId": "ZD-48151"}
SEEN: Json = openapi_words.RESULT_EXAMPLES["oneLine"] | {"outcome": "dry_run", "dryRun": True}
ID = "655890ba-4d2b-4d09-a95f-4ea1348686a5"
APPROVE, REJECT = (SUCCEEDED, {"body": {"outcome": "Approve"}}), (SUCCEEDED, {"body": {"outcome": "Reject"}})

type Answers = dict[str, tuple[str, Json | None]]


def answered(status: int, body: object) -> tuple[str, Json]:
    """Return what an HTTP action makes of an answer of ours."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return (SUCCEEDED if status < 300 else FAILED), {"statusCode": status, "headers": headers, "body": body}


def problem(code: str) -> tuple[str, Json]:
    status = dict(all_codes())[code]
    kind = type("Any", (OutcomeUnknown,), {"codes": {code: status}})
    return answered(status, problem_body(kind(code, "What to do."), ID, ID))


def told(answers: Answers, asked: Json = ASKED) -> tuple[str, dict[str, Json]]:
    """Run the flow on *answers* by action, and return what the ticket is told, and what each action sent."""
    sent: dict[str, Json] = {}
    defaults: Answers = {"Dry_run": answered(200, SEEN), "Approval": APPROVE, "Tell_the_ticket": answered(200, {})}

    def send(name: str, inputs: Json) -> tuple[str, Json | None]:
        sent[name] = inputs
        return (defaults | answers)[name]

    assert Run(FLOW, asked, PARAMETERS, send).start() == SUCCEEDED
    assert sent["Tell_the_ticket"]["uri"] == "https://example.zendesk.com/api/v2/tickets/ZD-48151.json"
    return sent["Tell_the_ticket"]["body"]["ticket"]["comment"]["body"], sent


def test_every_name_in_an_expression_exists() -> None:
    for kind, name in referred(FLOW["actions"]):
        known = {"parameters": FLOW["parameters"], "variables": {"text"}}.get(kind, ACTIONS)
        assert name in known, f"{kind}('{name}')"
    assert referred(FLOW["actions"]) >= {("parameters", name) for name in FLOW["parameters"] if name != "$connections"}


def test_an_action_runs_after_its_neighbours_alone() -> None:
    scopes = [FLOW, *(branch for action in ACTIONS.values() for branch in (action, action.get("else", {})))]
    for scope in scopes:
        for action in scope.get("actions", {}).values():
            assert action["runAfter"].keys() <= scope["actions"].keys()


def test_the_outcomes_and_codes_it_names_exist() -> None:
    outcomes = {case["case"] for case in ACTIONS["By_outcome"]["cases"].values()}
    codes = {case["case"] for case in ACTIONS["By_code"]["cases"].values()}

    assert outcomes == set(Outcome)
    assert codes - {""} < dict(all_codes()).keys()


def test_the_trigger_takes_a_cancel_request_and_nothing_else() -> None:
    members = FLOW["triggers"]["When_a_ticket_asks"]["inputs"]["schema"]["properties"]

    assert members.keys() == {field.alias for field in CancelRequest.model_fields.values()}


@pytest.mark.parametrize("asked", [ASKED, openapi_words.REQUEST_EXAMPLES["oneLine"]], ids=["whole", "line"])
def test_it_sends_requests_that_the_function_takes(asked: Json) -> None:
    """First a dry run of what was asked for; then, approved, exactly what was asked for."""
    _, sent = told({"Cancel": answered(200, SEEN)}, asked)

    for name, dry_run in (("Dry_run", True), ("Cancel", asked.get("dryRun", False))):
        body, headers = json.dumps(sent[name]["body"]).encode(), sent[name]["headers"]
        request = parse_request(CancelRequest, body, {one.lower(): value for one, value in headers.items()})
        assert request == CancelRequest.model_validate(asked | {"dryRun": dry_run})


@pytest.mark.parametrize("name", [name for name, action in ACTIONS.items() if action["type"] == "Http"])
def test_http_actions_state_their_repeats_and_hide_their_keys(name: str) -> None:
    action = ACTIONS[name]

    assert action["operationOptions"] == "DisableAsyncPattern"
    assert action["runtimeConfiguration"] == {"secureData": {"properties": ["inputs"]}}
    # A repeat would overwrite what the attempt before it said, which may have been outcome_unknown.
    assert (action["inputs"]["retryPolicy"]["type"] == "none") is (name == "Cancel")


def test_nothing_is_cancelled_without_approval() -> None:
    text, sent = told({"Approval": REJECT})

    assert "Cancel" not in sent
    assert "not approved" in text


def test_nobody_is_asked_where_nothing_is_left() -> None:
    text, sent = told({"Dry_run": answered(200, SEEN | {"cancelledLineItems": []})})

    assert sent.keys() == {"Dry_run", "Tell_the_ticket"}
    assert "Nothing was left" in text


def test_an_order_without_lines_is_asked_for_all_the_same() -> None:
    _, sent = told(
        {
            "Dry_run": answered(200, SEEN | {"cancelledLineItems": [], "lineItems": []}),
            "Cancel": answered(200, SEEN | {"outcome": "cancelled"}),
        }
    )

    assert "Cancel" in sent


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_is_told_in_its_own_words(outcome: Outcome) -> None:
    texts = {one: told({"Cancel": answered(200, SEEN | {"outcome": one})})[0] for one in (*Outcome, "another")}

    assert len(set(texts.values())) == len(texts)
    assert ("Nothing was" in texts[outcome]) is (outcome in {Outcome.ALREADY_CANCELLED, Outcome.DRY_RUN})


@pytest.mark.parametrize("action", ["Dry_run", "Cancel"])
@pytest.mark.parametrize(("code", "status"), list(all_codes()))
def test_each_code_is_told_truly(code: str, status: int, action: str) -> None:
    text, sent = told({action: problem(code)})

    assert ("Cancel" in sent) is (action == "Cancel")
    assert ("Not cancelled" in text or "Nothing was cancelled" in text) is (
        code not in {"outcome_unknown", "unexpected_answer"}
    )
    assert ("sk again" in text) is (status in {429, 503})
    assert "What to do." in text or code in {case["case"] for case in ACTIONS["By_code"]["cases"].values()}


@pytest.mark.parametrize("status", [401, 404, 413, 429])
@pytest.mark.parametrize("action", ["Dry_run", "Cancel"])
def test_the_hosts_own_answers_are_told(status: int, action: str) -> None:
    """They have neither body nor content type."""
    text, _ = told({action: (FAILED, {"statusCode": status, "headers": {"Content-Length": "0"}})})

    assert text.startswith("Nothing was cancelled by this call")
    assert str(status) in text


@pytest.mark.parametrize(
    "answer",
    [
        (FAILED, {"statusCode": 502, "headers": {"Content-Type": "text/html"}, "body": "<html>Bad gateway</html>"}),
        (FAILED, {"statusCode": 504, "headers": {}}),
        (FAILED, None),
        (TIMED_OUT, None),
    ],
    ids=["HTML", "empty 504", "no answer", "timeout"],
)
def test_an_answer_that_says_nothing_is_never_told_as_not_cancelled(answer: tuple[str, Any]) -> None:
    text, _ = told({"Cancel": answer})

    assert "may have happened" in text
    assert "ask again" in text


def test_an_approval_that_nobody_gives_ends_in_words() -> None:
    text, sent = told({"Approval": (TIMED_OUT, None)})

    assert "Cancel" not in sent
    assert text == ACTIONS["Text"]["inputs"]["variables"][0]["value"]


def test_the_page_says_what_each_outcome_and_code_means() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (`.+?`) \|", PAGE, re.MULTILINE)

    said = [(code, int(status)) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)]
    assert sorted(said) == sorted(all_codes())
    assert re.findall(r"^\| `(\w+)` \| [a-z]", PAGE, re.MULTILINE) == list(Outcome)


def test_the_page_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert target.startswith("https://") or (FOLDER / target).exists(), target
