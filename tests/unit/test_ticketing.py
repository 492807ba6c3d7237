"""The pages for ticket administrators, and the bodies that they have them paste."""

import json
import re
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.senders.deliveries import SENDERS, masked
from infra.local.senders.templates import SYSTEMS, TEMPLATES, Ticket, render, run_business_rule
from shared.contract import CancelRequest
from shared.errors import InvalidRequest, all_codes
from shared.http_request import parse_request

CUSTOMER, ORDER = "45411344-b09d-47e7-9653-542006bf9766", "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
TICKET = Ticket(CUSTOMER, ORDER)
PAGES = sorted(TEMPLATES.rglob("*.md"))
# What a page calls a field, in the order in which every page lists them; the last one decides which body is sent.
BODIES = [path for path in sorted(TEMPLATES.glob("*/*")) if path.suffix == ".txt" or path.name.startswith("trigger-")]
SCRIPT = (TEMPLATES / "servicenow" / "business-rule.js").read_text()
HAS_FREE_TEXT = {"jira", "servicenow", "halo"}

# What a ticket's field may hold that was written by somebody who knows the template.
HOSTILE = [
    'Customer said: "cancel it"\r\nthen\thung up \\ left',
    "{{ticket.id}} {{issue.key}} <<ticket^id>> ${number} {% raw %} <%= x %>",
    "Žluťoučký кůň 東京 😀 \u2028\u2029\x00\x1f\x7f",
    'x", "dryRun": false, "account": "production',
    'x", "lineItems": [{"lineItemNumber": 0}], "y": "',
    '", "orderId": "another-order-1", "reason": "x',
    '"}, "dryRun": true, "x": {"a": "b',
    "\\",
    '\\"',
    "",
    "null",
]


def page(system: str) -> Path:
    return TEMPLATES / system / "README.md"


def body_of(path: Path) -> str:
    """Return the body as it is pasted."""
    if path.suffix == ".txt":
        return path.read_text()
    actions = json.loads(path.read_bytes())["trigger"]["actions"]
    [(_, body)] = [action["value"] for action in actions if action["field"] == "notification_webhook"]
    return str(body)


def parsed(body: bytes) -> CancelRequest:
    return parse_request(CancelRequest, body, {})


# The bodies.


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_ticket_becomes_a_request_for_its_whole_order(system: str) -> None:
    request = parsed(render(system, TICKET))

    assert (request.customer_tenant_id, request.order_id, request.line_items) == (CUSTOMER, ORDER, None)
    assert (request.account, request.dry_run) == ("default", False)
    assert request.ticket_id in {str(TICKET.number), TICKET.key}
    assert request.reason == (TICKET.subject if system in HAS_FREE_TEXT else TICKET.reason)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_ticket_with_lines_becomes_a_request_for_them_alone(system: str) -> None:
    expected = [2, 0, 11] if SYSTEMS[system].takes_lines else [2]

    request = parsed(render(system, replace(TICKET, lines=",".join(map(str, expected)))))

    assert [line.line_item_number for line in request.line_items or []] == expected


@pytest.mark.parametrize("system", [name for name, template in SYSTEMS.items() if template.takes_lines])
def test_people_write_spaces_between_line_numbers(system: str) -> None:
    request = parsed(render(system, replace(TICKET, lines="0, 2")))

    assert [line.line_item_number for line in request.line_items or []] == [0, 2]


@pytest.mark.parametrize("system", SYSTEMS)
def test_whoever_tries_it_out_writes_true(system: str) -> None:
    assert parsed(render(system, TICKET, dry_run=True)).dry_run


@pytest.mark.parametrize("lines", ["x", "0 2", "1.5", "-1", "0]", "0, ", " ", "0,0", '0}], "account": "production'])
@pytest.mark.parametrize("system", SYSTEMS)
def test_lines_that_are_none_are_refused_and_never_the_whole_order(system: str, lines: str) -> None:
    with pytest.raises(InvalidRequest):
        parsed(render(system, replace(TICKET, lines=lines)))


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_lines_field_that_was_forgotten_is_refused(path: Path) -> None:
    """The body for lines is chosen by another field than the lines themselves."""
    if "line" not in path.stem:
        assert "lineItems" not in body_of(path)
        return
    system = path.parent.name
    filled = SYSTEMS[system].fill(body_of(path), replace(TICKET, lines=""))

    with pytest.raises(InvalidRequest):
        parsed(filled.encode())


def test_servicenow_s_script_refuses_a_forgotten_lines_field_too() -> None:
    record = {"number": "N", "short_description": "s", "u_customer_tenant": CUSTOMER, "u_order_id": ORDER}
    sent = run_business_rule(SCRIPT, record | {"u_order_lines": "", "u_cancel_order": "order_lines"}, {"status": 200})

    with pytest.raises(InvalidRequest):
        parsed(sent["body"].encode())


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("system", sorted(HAS_FREE_TEXT))
def test_free_text_arrives_as_it_was_written(system: str, text: str) -> None:
    assert parsed(render(system, replace(TICKET, subject=text))).reason == text


def pieces() -> st.SearchStrategy[str]:
    """Texts made of what has a meaning in JSON or in a template."""
    words = [*'"{}[],:\\ \n0', "null", "true", "account", "lineItems", "dryRun", "reason", "orderId", ORDER, "}]", "{{"]
    return st.lists(st.sampled_from([*words, '","', '":"', "<<", ">>", "${", "{%"]), max_size=12).map("".join)


@pytest.mark.parametrize("field", ["customer_tenant_id", "order_id", "subject", "reason", "lines"])
@pytest.mark.parametrize("system", SYSTEMS)
@settings(derandomize=True, deadline=None, max_examples=40, database=None)
@given(text=st.sampled_from(HOSTILE) | pieces())
def test_whatever_stands_in_a_field_never_widens_the_request(system: str, field: str, text: str) -> None:
    """It is refused, or it is for the order in the field, at this account, and for no more lines."""
    ticket = replace(TICKET, **{"lines": "1", field: text})  # type: ignore[arg-type]
    if not ticket.lines:
        return  # chosen by another field; see above
    try:
        request = parsed(render(system, ticket))
    except InvalidRequest:
        return

    assert (request.customer_tenant_id, request.order_id) == (ticket.customer_tenant_id, ticket.order_id)
    assert (request.account, request.dry_run) == ("default", False)
    numbers = [line.line_item_number for line in request.line_items or []]
    assert numbers
    if field != "lines":
        assert numbers == [1]


# The script of ServiceNow.


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        pytest.param({"status": 200, "body": '{"outcome": "cancelled"}'}, "cancelled", id="cancelled"),
        pytest.param(
            {"status": 422, "body": '{"code": "not_cancellable", "detail": "Not now."}'},
            "not_cancellable: Not now.",
            id="refused",
        ),
        pytest.param({"status": 401, "body": ""}, "HTTP 401 ", id="the-host-s-own"),
        pytest.param({"status": None, "body": ""}, "no answer (Error: timed out)", id="no-answer"),
    ],
)
def test_servicenow_s_script_notes_every_answer(answer: dict[str, Any], note: str) -> None:
    record = {"number": "N", "short_description": "s", "u_customer_tenant": CUSTOMER, "u_order_id": ORDER}

    sent = run_business_rule(SCRIPT, record | {"u_order_lines": "", "u_cancel_order": "whole_order"}, answer)

    assert note in sent["notes"]
    assert sent["plain"]
    assert sent["timeout_ms"] == 30_000


def test_servicenow_s_script_does_nothing_without_a_choice() -> None:
    record = {"number": "N", "short_description": "s", "u_customer_tenant": CUSTOMER, "u_order_id": ORDER}

    assert run_business_rule(SCRIPT, record | {"u_cancel_order": ""}, {"status": 200})["body"] is None


# What a system does with an answer.


@pytest.mark.parametrize(
    ("system", "status", "retry_after_s", "repeats"),
    [
        ("zendesk", 200, None, False),
        ("zendesk", 409, None, True),
        ("zendesk", 422, None, False),
        ("zendesk", 429, 59, True),
        ("zendesk", 503, 60, False),
        ("zendesk", 503, None, False),
        ("zendesk", 500, None, False),
        ("standard-webhooks", 200, None, False),
        ("standard-webhooks", 400, None, True),
        ("jira", 503, 10, False),
        ("servicenow", 503, 10, False),
        ("freshservice", 503, 10, False),
        ("freshdesk", 200, None, False),
        ("freshdesk", 422, None, True),
        ("halo", 503, 10, False),
        ("flow", 200, None, False),
        ("flow", 422, None, False),
        ("flow", 408, None, True),
        ("flow", 503, 10, True),
    ],
)
def test_who_repeats_what(system: str, status: int, retry_after_s: int | None, repeats: bool) -> None:
    assert SENDERS[system].react(status, retry_after_s).repeats == repeats


def test_zendesk_repeats_what_may_be_repeated_and_nothing_else() -> None:
    """Of what the function answers: the retryable ones carry a Retry-After of 59 at most."""
    for _, status in all_codes():
        assert SENDERS["zendesk"].react(status, 59 if status in {429, 503} else None).repeats == (status in {429, 503})


def test_of_a_proof_only_the_beginning_is_shown() -> None:
    shown = masked({"x-functions-key": "k" * 43, "authorization": "Bearer eyJhbGciOi", "x-ms-workflow-id": "flow"})

    assert shown == {"x-functions-key": "kkkkk…", "authorization": "Bearer eyJh…", "x-ms-workflow-id": "flow"}


# The pages.


def test_there_is_a_page_for_every_system_and_the_index_leads_to_each() -> None:
    index = (TEMPLATES / "README.md").read_text()

    assert {page(system) for system in SYSTEMS} <= set(PAGES)
    for path in PAGES:
        assert path.name == "README.md" or f"({path.name})" in index


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "README.md"], ids=lambda path: path.stem)
def test_every_page_names_its_sources_and_what_is_not_confirmed(path: Path) -> None:
    text = path.read_text()
    sources = text.partition("\n## Sources\n")[2]

    assert re.search(r"<https://[^>\s]+>", sources)
    assert re.search(r"Read 2026-\d{2}-\d{2}", sources)
    assert "Not confirmed" in text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        found = (path.parent / target).resolve()
        assert found.exists() or not found.parent.exists(), target


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_page_leads_to_the_body_and_explains_each_placeholder(path: Path) -> None:
    text, body = page(path.parent.name).read_text(), body_of(path)

    assert f"({path.name})" in text
    for placeholder in re.findall(r"customfield_\d+|ticket_field_\d+|ticket\.(?:cf_)?\w+_\w+|ticket\^\w+", body):
        assert placeholder in text


@pytest.mark.parametrize("system", sorted(set(SYSTEMS) - {"servicenow"}))
def test_what_a_page_shows_to_paste_is_what_is_sent(system: str) -> None:
    bodies = {body_of(path).strip(): path.stem for path in BODIES if path.parent.name == system}
    shown = [dedent(block).strip() for block in re.findall(r"```text\n(.*?)```", page(system).read_text(), re.DOTALL)]

    assert {bodies.get(block, block) for block in shown} <= set(bodies.values())
    assert any("line" in bodies[block] for block in shown)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_page_says_how_to_prove_oneself(system: str) -> None:
    text = page(system).read_text()

    assert "x-functions-key" in text
    assert ("signing secret" if system == "zendesk" else "X-Caller-Key") in text
    assert f"infra.local send {system} " in text


def test_zendesk_s_json_is_what_its_api_takes() -> None:
    webhook = json.loads((TEMPLATES / "zendesk" / "webhook.json").read_bytes())["webhook"]

    assert webhook["subscriptions"] == ["conditional_ticket_events"]
    assert (webhook["http_method"], webhook["request_format"]) == ("POST", "json")
    assert webhook["authentication"]["data"]["name"] == "x-functions-key"
    choices = set()
    for path in (TEMPLATES / "zendesk").glob("trigger-*.json"):
        trigger = json.loads(path.read_bytes())["trigger"]
        chosen, not_sent = trigger["conditions"]["all"]
        choices.add(chosen["value"])
        assert (not_sent["field"], not_sent["operator"]) == ("current_tags", "not_includes")
        assert trigger["actions"][1] == {"field": "current_tags", "value": not_sent["value"]}
        assert all(name in page("zendesk").read_text() for name in (chosen["value"], not_sent["value"]))
    assert len(choices) == 2
