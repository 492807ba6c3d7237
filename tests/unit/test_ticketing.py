"""The pages for ticket administrators, the bodies that they paste, and how each system sends them.

A new system starts with its folder: test_a_system_is_complete then lists what is missing and in which file.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.callers import LocalCallers
from infra.local.senders.deliveries import SENDERS, masked
from infra.local.senders.templates import SYSTEMS, TEMPLATES, TERM_END_LINE, Ticket, render, run_business_rule
from infra.local.values import Json
from shared.contract import CancelRequest, Outcome
from shared.errors import InvalidRequest, all_codes
from shared.http_request import parse_request
from shared.ids import tidy_id

ROOT = TEMPLATES.parents[1]
CUSTOMER, ORDER = "45411344-b09d-47e7-9653-542006bf9766", "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
SUBSCRIPTION = "8c7f8209-6ea2-5f15-959c-175c7bc98c37"
TICKET = Ticket(CUSTOMER, ORDER)

INDEX = TEMPLATES / "README.md"
LOCAL_README = ROOT / "infra/local/README.md"
PAGES = sorted(TEMPLATES.rglob("*.md"))
SYSTEM_PAGES = [path for path in PAGES if path != INDEX]
FOLDERS = {path.name for path in TEMPLATES.iterdir() if path.is_dir()}

# The files of each folder that hold what its administrator pastes: a body for the whole order, one for lines and one
# for a subscription, except in ServiceNow, where one script builds all.
PASTED_FILES = {
    "zendesk": ("trigger-order.json", "trigger-lines.json", "trigger-subscription.json"),
    "servicenow": ("business-rule.js",),
}
EACH_CHOICE = ("order.txt", "lines.txt", "subscription.txt")
BODIES = [
    TEMPLATES / system / name
    for system in sorted(SYSTEMS.keys() & FOLDERS - {"servicenow"})
    for name in PASTED_FILES.get(system, EACH_CHOICE)
    if (TEMPLATES / system / name).exists()
]

SENDS_SUBJECT = sorted(system for system, template in SYSTEMS.items() if template.sends_subject)

SCRIPT = (TEMPLATES / "servicenow" / "business-rule.js").read_text()
RECORD = {
    "number": "N",
    "short_description": "s",
    "u_customer_tenant": CUSTOMER,
    "u_order_id": ORDER,
    "u_order_lines": "",
    "u_subscription_id": SUBSCRIPTION,
    "u_cancel_order": "whole_order",
}

# Texts in a ticket's field, written by a person who knows the template.
HOSTILE = {
    "quotes and line breaks": 'Customer said: "cancel it"\r\nthen\thung up \\ left',
    "placeholders": "{{ticket.id}} {{issue.key}} <<ticket^id>> ${number} {% raw %} <%= x %>",
    "other alphabets and control characters": "Žluťoučký кůň 東京 😀 \u2028\u2029\x00\x1f\x7f",
    "another account": 'x", "dryRun": false, "account": "production',
    "another line": 'x", "lineItems": [{"lineItemNumber": 0}], "y": "',
    "another order": '", "orderId": "another-order-1", "reason": "x',
    "end of the body": '"}, "dryRun": true, "x": {"a": "b',
    "backslash": "\\",
    "escaped quote": '\\"',
    "empty": "",
    "null": "null",
}

# Whether a system repeats a request by itself, after a status with these seconds in Retry-After.
REPEATS = [
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
]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def page(system: str) -> Path:
    return TEMPLATES / system / "README.md"


def page_text(system: str) -> str:
    """Return the text of the page of *system*. Without a page, test_a_system_is_complete is the one that fails."""
    if not page(system).exists():
        pytest.skip(f"there is no {name_of(page(system))}")
    return page(system).read_text()


def pasted_texts(system: str) -> dict[str, str]:
    """Return what an administrator of *system* pastes, by the names of the files."""
    paths = [TEMPLATES / system / name for name in PASTED_FILES.get(system, EACH_CHOICE)]
    return {path.name: pasted(path) for path in paths if path.exists()}


def without_blocks(text: str) -> str:
    """Return *text* without its code blocks."""
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.DOTALL | re.MULTILINE)


def pasted(path: Path) -> str:
    """Return the body in the file *path*, as an administrator pastes it."""
    if path.suffix != ".json":
        return path.read_text()
    actions = json.loads(path.read_bytes())["trigger"]["actions"]
    [(_, body)] = [action["value"] for action in actions if action["field"] == "notification_webhook"]
    return str(body)


def parse(body: bytes) -> CancelRequest:
    return parse_request(CancelRequest, body, {})


def line_numbers(request: CancelRequest) -> list[int]:
    return [line.line_item_number for line in request.line_items or []]


# A folder for each system.


def missing_parts(system: str) -> Iterator[str]:
    """Yield a sentence for each thing that *system* still needs, with the file for it."""
    folder = f"infra/ticketing/{system}"
    for name in PASTED_FILES.get(system, EACH_CHOICE):
        if not (TEMPLATES / system / name).exists():
            yield f"{folder}/{name}: the text that an administrator pastes"
    if not page(system).exists():
        yield f"{folder}/README.md: the page for the administrator, with the headings of the other pages"
    if f"({system}/README.md)" not in INDEX.read_text():
        yield f"infra/ticketing/README.md: a row in the table of systems that links to {system}/README.md"
    if f"`{system}`" not in INDEX.read_text().partition("\n## Try it ")[2].partition("\n## ")[0]:
        yield f"infra/ticketing/README.md: `{system}` among the systems to play, in the section on trying it"
    if system not in SYSTEMS:
        yield f'infra/local/senders/templates.py: an entry "{system}" in SYSTEMS, which fills in the body from a ticket'
    if system not in SENDERS:
        yield (
            f'infra/local/senders/deliveries.py: an entry "{system}" in SENDERS, which has the headers that the system'
            " sends and what it does after an answer"
        )
    if system not in LocalCallers().settings():
        yield f'infra/local/callers.py: "{system}" in KEY_SYSTEMS, if a caller key proves its requests'
    if f"`{system}`" not in LOCAL_README.read_text().partition("\n## Callers\n")[2].partition("\n## ")[0]:
        yield f"infra/local/README.md: `{system}` in the table of callers"
    if system not in {row[0] for row in REPEATS}:
        yield (
            "tests/unit/test_ticketing.py: rows in REPEATS, which say after which answers the system repeats a request"
        )


@pytest.mark.parametrize("system", sorted(SYSTEMS.keys() | FOLDERS))
def test_a_system_is_complete(system: str) -> None:
    missing = list(missing_parts(system))

    assert not missing, f"The ticketing system {system} still needs:\n- " + "\n- ".join(missing)


def test_each_missing_part_of_a_new_system_is_reported_with_its_file() -> None:
    """A person who adds a system follows these messages."""
    files = [message.partition(":")[0] for message in missing_parts("new-system")]

    assert files == [
        "infra/ticketing/new-system/order.txt",
        "infra/ticketing/new-system/lines.txt",
        "infra/ticketing/new-system/subscription.txt",
        "infra/ticketing/new-system/README.md",
        "infra/ticketing/README.md",
        "infra/ticketing/README.md",
        "infra/local/senders/templates.py",
        "infra/local/senders/deliveries.py",
        "infra/local/callers.py",
        "infra/local/README.md",
        "tests/unit/test_ticketing.py",
    ]


# The bodies.


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_ticket_becomes_a_request_for_its_whole_order(system: str) -> None:
    request = parse(render(system, TICKET))

    assert (request.customer_tenant_id, request.order_id, request.line_items) == (CUSTOMER, ORDER, None)
    assert (request.account, request.dry_run) == ("default", False)
    assert request.ticket_id in {str(TICKET.number), TICKET.key}
    sends_subject = SYSTEMS[system].sends_subject
    assert request.reason == (TICKET.subject if sends_subject else TICKET.reason), (
        f"the body of {system} sends another `reason` than sends_subject={sends_subject} says, in SYSTEMS in"
        " infra/local/senders/templates.py: True is for the ticket's subject, False for a reason from a list"
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_ticket_with_lines_becomes_a_request_for_these_lines(system: str) -> None:
    expected = [2, 0, 11] if SYSTEMS[system].takes_lines else [2]

    request = parse(render(system, replace(TICKET, lines=",".join(map(str, expected)))))

    assert line_numbers(request) == expected


@pytest.mark.parametrize("lines", ["", "1"], ids=["order", "lines"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_ticket_for_a_subscription_names_no_order(system: str, lines: str) -> None:
    """Exactly one of the two may be sent. Here the fields for the order are filled in, too."""
    request = parse(render(system, replace(TICKET, lines=lines, subscription_id=SUBSCRIPTION)))

    assert (request.customer_tenant_id, request.subscription_id) == (CUSTOMER, SUBSCRIPTION)
    assert (request.order_id, request.line_items) == (None, None)
    assert (request.account, request.dry_run) == ("default", False)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_ticket_that_says_do_not_renew_never_asks_to_cancel_now(system: str, dry_run: bool) -> None:
    ticket = replace(TICKET, subscription_id=SUBSCRIPTION, when="term_end")
    request = parse(render(system, ticket, dry_run=dry_run))

    assert (request.when, request.dry_run) == ("term_end", dry_run)
    assert (request.subscription_id, request.order_id, request.account) == (SUBSCRIPTION, None, "default")
    assert parse(render(system, replace(ticket, when="now"))).when == "now"


@pytest.mark.parametrize("lines", ["", "1"], ids=["order", "lines"])
@pytest.mark.parametrize("system", sorted(set(SYSTEMS) - {"servicenow"}))
def test_the_line_for_do_not_renew_fits_the_bodies_for_an_order(system: str, lines: str) -> None:
    request = parse(render(system, replace(TICKET, lines=lines, when="term_end")))

    assert (request.when, request.order_id) == ("term_end", ORDER)
    assert line_numbers(request) == ([1] if lines else [])


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_page_says_how_its_rule_for_do_not_renew_differs(system: str) -> None:
    parts = ("`do_not_renew`", "term_end") if system == "servicenow" else (f"`{TERM_END_LINE}`", "cancelled now")

    for part in parts:
        assert part in page_text(system), f"{name_of(page(system))}: say {part} for the choice do not renew"


DOMAIN = "fabrikam.example"
CHOICES = {"order": {}, "lines": {"lines": "1"}, "subscription": {"subscription_id": SUBSCRIPTION}}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_domain_of_the_organisation_names_the_customer(system: str, choice: str) -> None:
    """The ticket's own field is empty. The rest of the body is the same."""
    ticket = replace(TICKET, **CHOICES[choice])  # type: ignore[arg-type]

    by_tenant = parse(render(system, ticket))
    by_domain = parse(render(system, replace(ticket, customer_tenant_id="", customer_domain=DOMAIN)))

    assert (by_domain.customer_domain, by_domain.customer_tenant_id) == (DOMAIN, None)
    names = {"customer_domain", "customer_tenant_id"}
    assert by_domain.model_dump(exclude=names) == by_tenant.model_dump(exclude=names)


@pytest.mark.parametrize("system", sorted(set(SYSTEMS) - {"servicenow"}))
def test_an_empty_domain_is_refused(system: str) -> None:
    text = SYSTEMS[system].text("order")
    with_domain = re.sub(r'^ *"customerTenantId".*$', lambda _: SYSTEMS[system].domain_line, text, flags=re.MULTILINE)

    with pytest.raises(InvalidRequest) as refusal:
        parse(SYSTEMS[system].fill(with_domain, TICKET).encode())
    assert [error.pointer for error in refusal.value.errors] == ["/customerDomain"]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("system", SYSTEMS)
def test_no_text_in_the_organisations_field_makes_the_request_cancel_more(system: str, text: str) -> None:
    try:
        request = parse(render(system, replace(TICKET, customer_tenant_id="", customer_domain=text, lines="1")))
    except InvalidRequest:
        return

    assert (request.order_id, request.account, line_numbers(request)) == (ORDER, "default", [1])


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_page_says_how_an_organisation_names_the_customer(system: str) -> None:
    where, text = name_of(page(system)), page_text(system)
    line = SYSTEMS[system].domain_line or "`u_microsoft_domain`"

    assert line in text, f"{where}: show the line {line}"
    assert "README.md#where-the-ids-come-from" in text, f"{where}: link to the places of the ids in Partner Center"


@pytest.mark.parametrize("system", [name for name, template in SYSTEMS.items() if template.takes_lines])
def test_line_numbers_may_have_spaces_between_them(system: str) -> None:
    request = parse(render(system, replace(TICKET, lines="0, 2")))

    assert line_numbers(request) == [0, 2]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_body_with_dry_run_true_asks_for_a_dry_run(system: str) -> None:
    assert parse(render(system, TICKET, dry_run=True)).dry_run


@pytest.mark.parametrize("lines", ["x", "0 2", "1.5", "-1", "0]", "0, ", " ", "0,0", '0}], "account": "production'])
@pytest.mark.parametrize("system", SYSTEMS)
def test_lines_that_are_not_numbers_are_refused(system: str, lines: str) -> None:
    """They must never become a cancellation of the whole order."""
    with pytest.raises(InvalidRequest):
        parse(render(system, replace(TICKET, lines=lines)))


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_empty_lines_field_is_refused(path: Path) -> None:
    """Another field chooses the body for lines, so an agent can forget to fill in the lines themselves."""
    if "lines" not in path.stem:
        assert "lineItems" not in pasted(path), f"{name_of(path)}: only the body for lines may name lines"
        return
    filled = SYSTEMS[path.parent.name].fill(pasted(path), replace(TICKET, lines=""))

    with pytest.raises(InvalidRequest):
        parse(filled.encode())


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_body_names_an_order_or_a_subscription_and_an_empty_one_is_refused(path: Path) -> None:
    other = "orderId" if "subscription" in path.stem else "subscriptionId"
    assert other not in pasted(path), f"{name_of(path)}: a request names an order or a subscription, not both"
    filled = SYSTEMS[path.parent.name].fill(pasted(path), Ticket(CUSTOMER, order_id="", lines="1"))

    with pytest.raises(InvalidRequest) as refusal:
        parse(filled.encode())
    assert [error.message for error in refusal.value.errors] == ["is empty; the field was not filled in"]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("system", SENDS_SUBJECT)
def test_free_text_arrives_as_it_was_written(system: str, text: str) -> None:
    assert parse(render(system, replace(TICKET, subject=text))).reason == text


def texts_with_syntax() -> st.SearchStrategy[str]:
    """Return texts made of pieces that have a meaning in JSON or in a template."""
    names = [
        "null",
        "true",
        "account",
        "lineItems",
        "dryRun",
        "reason",
        "orderId",
        ORDER,
        "subscriptionId",
        SUBSCRIPTION,
    ]
    syntax = [*'"{}[],:\\ \n0', "}]", "{{", '","', '":"', "<<", ">>", "${", "{%"]
    return st.lists(st.sampled_from([*names, *syntax]), max_size=12).map("".join)


@pytest.mark.parametrize("field", ["customer_tenant_id", "order_id", "subject", "reason", "lines", "subscription_id"])
@pytest.mark.parametrize("system", SYSTEMS)
@settings(derandomize=True, deadline=None, max_examples=40, database=None)
@given(text=st.sampled_from(list(HOSTILE.values())) | texts_with_syntax())
def test_no_text_in_a_field_makes_the_request_cancel_more(system: str, field: str, text: str) -> None:
    """It is refused, or it is for the order or subscription in its field, at this account, and for no more lines."""
    ticket = replace(TICKET, **{"lines": "1", field: text})  # type: ignore[arg-type]
    if not ticket.lines or (field == "subscription_id" and not text):
        return  # render would take the body for the whole order; test_an_empty_lines_field_is_refused has this case
    try:
        request = parse(render(system, ticket))
    except InvalidRequest:
        return

    assert request.customer_tenant_id == tidy_id(ticket.customer_tenant_id)
    assert (request.account, request.dry_run) == ("default", False)
    if field == "subscription_id":
        assert (request.order_id, request.subscription_id) == (None, tidy_id(text))
        return
    assert (request.order_id, request.subscription_id) == (tidy_id(ticket.order_id), None)
    numbers = line_numbers(request)
    assert numbers == [1] or (field == "lines" and numbers)


# ServiceNow's script.


def test_servicenow_refuses_an_empty_lines_field_too() -> None:
    sent = run_business_rule(SCRIPT, RECORD | {"u_cancel_order": "order_lines"}, {"status": 200})

    with pytest.raises(InvalidRequest):
        parse(sent["body"].encode())


@pytest.mark.parametrize("choice", ["subscription", "do_not_renew"])
def test_servicenow_refuses_an_empty_subscription_field_too(choice: str) -> None:
    """ServiceNow gives null for an empty column."""
    record: dict[str, Any] = RECORD | {"u_cancel_order": choice, "u_subscription_id": None}

    sent = run_business_rule(SCRIPT, record, {"status": 200})

    with pytest.raises(InvalidRequest):
        parse(sent["body"].encode())


@pytest.mark.parametrize(
    ("choice", "target"),
    [
        ("whole_order", f"order {ORDER}"),
        ("subscription", f"subscription {SUBSCRIPTION}"),
        ("do_not_renew", f"subscription {SUBSCRIPTION}"),
    ],
)
def test_servicenow_names_in_its_note_what_it_sent(choice: str, target: str) -> None:
    sent = run_business_rule(SCRIPT, RECORD | {"u_cancel_order": choice}, {"status": 200, "body": '{"message": "X."}'})

    assert sent["notes"] == f"Microsoft {target}: X."


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        pytest.param(
            {"status": 200, "body": '{"outcome": "cancelled", "message": "Visio is cancelled."}'},
            "Visio is cancelled.",
            id="cancelled",
        ),
        pytest.param(
            {"status": 422, "body": '{"code": "not_cancellable", "detail": "Not now."}'},
            "not_cancellable: Not now.",
            id="refused",
        ),
        pytest.param({"status": 401, "body": ""}, "HTTP 401 ", id="Azure's host, without a body"),
        pytest.param({"status": None, "body": ""}, "no answer (Error: timed out)", id="no answer"),
    ],
)
def test_servicenow_notes_every_answer(answer: dict[str, Any], note: str) -> None:
    sent = run_business_rule(SCRIPT, RECORD, answer)

    assert note in sent["notes"]
    assert sent["plain"]
    assert sent["timeout_ms"] == 30_000


@pytest.mark.parametrize(
    ("line", "note"),
    [
        pytest.param({"cancelled": True}, "cancelled", id="cancelled"),
        pytest.param({"code": "order_busy", "cancellable": False}, "order_busy", id="refused"),
        pytest.param({}, "not known, or not in the request", id="unknown"),
        pytest.param(
            {"cancellable": True, "cancellableUntil": "9999-12-31T00:00:00Z", "refund": "full"},
            "can be cancelled until 9999-12-31T00:00:00Z, refund: full",
            id="in its window",
        ),
        pytest.param({"cancellable": True, "cancellableUntil": "2026-11-17T00:00:00Z"}, "can be cancelled", id="past"),
    ],
)
@pytest.mark.parametrize(
    "answer", [{"outcome": "dry_run", "message": "x"}, {"code": "some_lines_refused", "detail": "x"}]
)
def test_servicenow_notes_the_lines_that_were_read(answer: Json, line: Json, note: str) -> None:
    nothing = dict.fromkeys(("code", "cancellable", "cancellableUntil", "refund"))
    read = {"lineItemNumber": 0, "friendlyName": "Visio", "quantity": 2, "cancelled": False} | nothing | line
    state = {"lineItems": [read, read | {"lineItemNumber": None}]}
    body = answer | (state if "outcome" in answer else {"order": state})

    sent = run_business_rule(SCRIPT, RECORD, {"status": 200, "body": json.dumps(body)})

    assert sent["notes"].splitlines()[1:] == [f"- line 0, Visio, quantity 2: {note}", f"- Visio, quantity 2: {note}"]


@pytest.mark.parametrize(
    ("tenant", "company", "expected"),
    [
        pytest.param(CUSTOMER, {"u_microsoft_domain": "other.example"}, (CUSTOMER, None), id="the record's own first"),
        pytest.param(None, {"u_microsoft_domain": DOMAIN}, (None, DOMAIN), id="of the company"),
        pytest.param("", {"u_microsoft_domain": DOMAIN}, (None, DOMAIN), id="empty"),
    ],
)
def test_servicenow_takes_the_customer_of_the_record_or_of_its_company(
    tenant: str | None, company: Json, expected: tuple[str | None, str | None]
) -> None:
    record: dict[str, Any] = RECORD | {"u_customer_tenant": tenant, "company": company}

    request = parse(run_business_rule(SCRIPT, record, {"status": 200})["body"].encode())

    assert (request.customer_tenant_id, request.customer_domain) == expected


@pytest.mark.parametrize("company", [{}, {"company": {}}, {"company": {"u_microsoft_domain": ""}}])
def test_servicenow_is_refused_without_a_customer(company: Json) -> None:
    """ServiceNow gives null for an empty column. A table may have no company at all."""
    record: dict[str, Any] = RECORD | {"u_customer_tenant": None} | company

    with pytest.raises(InvalidRequest) as refusal:
        parse(run_business_rule(SCRIPT, record, {"status": 200})["body"].encode())
    assert [error.pointer for error in refusal.value.errors] == ["/customerTenantId"]


def test_servicenow_sends_nothing_while_no_choice_is_made() -> None:
    assert run_business_rule(SCRIPT, RECORD | {"u_cancel_order": ""}, {"status": 200})["body"] is None


# The reaction of a system to an answer.


def repeats(system: str, status: int, retry_after_s: int | None) -> bool:
    return SENDERS[system].react(status, retry_after_s).repeats


@pytest.mark.parametrize(("system", "status", "retry_after_s", "expected"), REPEATS)
def test_a_system_repeats_a_request_as_documented(
    system: str, status: int, retry_after_s: int | None, expected: bool
) -> None:
    assert repeats(system, status, retry_after_s) == expected


def test_zendesk_repeats_exactly_our_retryable_answers() -> None:
    """They carry a Retry-After of 59 at most, which is what Zendesk follows."""
    for code, status in all_codes():
        is_retryable = status in {429, 503}
        assert repeats("zendesk", status, 59 if is_retryable else None) == is_retryable, code


def test_only_the_beginning_of_a_key_or_token_is_shown() -> None:
    shown = masked({"x-functions-key": "k" * 43, "authorization": "Bearer eyJhbGciOi", "x-ms-workflow-id": "flow"})

    assert shown == {"x-functions-key": "kkkkk…", "authorization": "Bearer eyJh…", "x-ms-workflow-id": "flow"}


# The pages.


def test_the_index_links_to_every_page() -> None:
    index = INDEX.read_text()

    for path in SYSTEM_PAGES:
        link = path.relative_to(TEMPLATES).as_posix()
        assert f"({link})" in index, f"{name_of(INDEX)}: add {link} to the table of systems"


def test_the_index_explains_every_outcome_and_status() -> None:
    index = INDEX.read_text()

    for outcome in Outcome:
        assert f"\n| `{outcome}` | " in index, f"{name_of(INDEX)}: explain the outcome {outcome}"
    for _, status in all_codes():
        assert re.search(rf"^\| [\d, ]*\b{status}\b[\d, ]* \| ", index, re.MULTILINE), (
            f"{name_of(INDEX)}: say what to do after the status {status}"
        )


@pytest.mark.parametrize("path", SYSTEM_PAGES, ids=name_of)
def test_every_page_names_its_sources_and_what_is_not_confirmed(path: Path) -> None:
    text = path.read_text()
    sources = text.partition("\n## Sources\n")[2]

    assert re.search(r"<https://[^>\s]+>", sources), f"{name_of(path)}: add ## Sources, with addresses as <https://…>"
    assert re.search(r"Read 20\d{2}-\d{2}-\d{2}", sources), f"{name_of(path)}: write when the sources were read"
    assert "Not confirmed" in text, f"{name_of(path)}: write what is not confirmed on the real system"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), f"{name_of(path)}: there is no {target}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_line_of_a_page_is_wider_than_a_screen(path: Path) -> None:
    """Blocks to paste are left out: some systems need an expression on one line."""
    assert [line for line in without_blocks(path.read_text()).splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_page_links_to_the_body_and_explains_each_placeholder(path: Path) -> None:
    system = path.parent.name
    where, text = name_of(page(system)), page_text(system)
    names = re.findall(SYSTEMS[system].field_name, pasted(path))

    assert f"({path.name})" in text, f"{where}: link to {path.name}"
    assert names, (
        f"{path.name} has no field of the ticket's own: make field_name of {system} fit the body, in SYSTEMS in"
        " infra/local/senders/templates.py"
    )
    for name in names:
        assert name in without_blocks(text), (
            f"{where}: say which field {name} is, which {path.name} uses; the table of fields is the place"
        )


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_page_explains_no_placeholder_that_its_bodies_lack(system: str) -> None:
    """A page that began as a copy of another system's page can keep the placeholders of that system."""
    text = without_blocks(page_text(system))
    bodies = "\n".join([*pasted_texts(system).values(), SYSTEMS[system].domain_line])
    shown = {name for template in SYSTEMS.values() for name in re.findall(template.field_name, text)}

    assert sorted(name for name in shown if name not in bodies) == [], (
        f"{name_of(page(system))}: these placeholders are in no body of {system}; take those of its own bodies"
    )


@pytest.mark.parametrize("system", sorted(set(SYSTEMS) - {"servicenow"}))
def test_the_text_on_a_page_is_the_body_that_is_sent(system: str) -> None:
    text = page_text(system)
    bodies = {body.strip(): name for name, body in pasted_texts(system).items()}
    shown = [dedent(block).strip() for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL)]

    for block in shown:
        assert block in bodies, f"{name_of(page(system))}: this text is in no file of the folder:\n{block}"
    assert any("lines" in bodies[block] for block in shown), (
        f"{name_of(page(system))}: show the body for lines in a block that starts with ```text"
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_page_says_which_keys_to_send_and_how_to_try_it(system: str) -> None:
    where, text = name_of(page(system)), page_text(system)
    proof = "signing secret" if system == "zendesk" else "X-Caller-Key"

    for part in ("x-functions-key", proof, f"infra.local send {system} "):
        assert part in text, f"{where}: it does not mention {part}"


# Zendesk's JSON, as its API takes it.


def test_zendesks_webhook_sends_the_function_key() -> None:
    webhook = json.loads((TEMPLATES / "zendesk" / "webhook.json").read_bytes())["webhook"]

    assert webhook["subscriptions"] == ["conditional_ticket_events"]
    assert (webhook["http_method"], webhook["request_format"]) == ("POST", "json")
    assert webhook["authentication"]["data"]["name"] == "x-functions-key"


def test_zendesks_triggers_send_once_for_each_choice() -> None:
    choices = set()
    for name in PASTED_FILES["zendesk"]:
        trigger = json.loads((TEMPLATES / "zendesk" / name).read_bytes())["trigger"]
        chosen, not_sent = trigger["conditions"]["all"]
        choices.add(chosen["value"])
        assert (not_sent["field"], not_sent["operator"]) == ("current_tags", "not_includes")
        assert trigger["actions"][1] == {"field": "current_tags", "value": not_sent["value"]}
        assert all(tag in page("zendesk").read_text() for tag in (chosen["value"], not_sent["value"]))
    assert len(choices) == 3
