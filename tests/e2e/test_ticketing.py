"""Requests of each ticketing system, filled in and signed as that system does it, through the real runtime."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.local.partner_center.resources import subscription_guid
from infra.local.senders import send
from infra.local.senders.deliveries import SENDERS, Delivery
from infra.local.senders.templates import SYSTEMS, Ticket, render
from tests.conftest import CUSTOMER
from tests.support.functions_host import NEEDS_APP_SERVICE_AUTHENTICATION, audit_records, logged_errors
from tests.support.local_cloud import ROOT, Json, LocalCloud, running, software_order, write_orders
from tests.support.told_notes import deliver
from tests.support.waiting import wait_until

ORDERS = 80
BUSY = "refused-with-800060-".ljust(32, "0") + "1"  # an id that Partner Center answers with "order in progress"
FLOW = pytest.param("flow", marks=NEEDS_APP_SERVICE_AUTHENTICATION)
EVERY_SENDER = [FLOW if system == "flow" else system for system in SENDERS]
FREE_TEXT = 'Said: "cancel"\r\n\tback\\slash {{ticket.id}} {{issue.key}} <<ticket^id>> ${x} Žluťoučký 東京 😀 \u2028'


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud whose callers must prove themselves, with orders of two lines."""
    directory = tmp_path_factory.mktemp("ticketing")
    orders = (software_order(f"ticketed-order-{number:02}", CUSTOMER, lines=2) for number in range(ORDERS))
    with running(directory, "--callers", "--orders", write_orders(directory / "orders", orders)) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def _order_ids() -> Iterator[str]:
    return (f"ticketed-order-{number:02}" for number in range(ORDERS))


@pytest.fixture
def order_id(_order_ids: Iterator[str]) -> str:
    return next(_order_ids)


def description_file(cloud: LocalCloud) -> Path:
    return cloud.log.with_name("cloud.json")


def quantities(cloud: LocalCloud, order_id: str) -> list[int]:
    return [line["quantity"] for line in cloud.order(order_id)["lineItems"]]


def audit_record(cloud: LocalCloud, answer: Json) -> Json:
    """Return the audit record of the call that got *answer*. A host may log it after the answer."""

    def decided() -> list[Json]:
        records = audit_records(cloud.log.read_text())
        return [
            record
            for record in records
            if record["event"] == "decided" and record["correlationId"] == answer["correlationId"]
        ]

    wait_until(decided, "not recorded")
    [record] = decided()
    return record


@pytest.mark.parametrize("lines", ["", "1"], ids=["whole order", "line 1"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_ticket_cancels_its_order_and_its_text_arrives_unharmed(
    guarded: LocalCloud, order_id: str, system: str, lines: str
) -> None:
    ticket = Ticket(CUSTOMER, order_id, lines, subject=FREE_TEXT)
    body, delivery = render(system, ticket), Delivery()

    first = deliver(guarded, system, body, delivery).json()
    repeat = deliver(guarded, system, body, delivery).json()

    assert first["outcome"] == ("partially_cancelled" if lines else "cancelled")
    assert repeat["outcome"] == "already_cancelled"
    assert quantities(guarded, order_id) == ([1, 0] if lines else [1, 1])
    assert (guarded.order(order_id)["status"] == "cancelled") is not bool(lines)
    record = audit_record(guarded, first)
    assert record["caller"] == system
    assert record["reason"] == (FREE_TEXT if SYSTEMS[system].sends_subject else ticket.reason)
    assert record["ticketId"] == first["ticketId"] in {ticket.key, str(ticket.number)}
    if system == "zendesk":
        assert record["deliveryId"] == audit_record(guarded, repeat)["deliveryId"] == delivery.id


LICENCES_FIVE = "5fe4a03005d2"  # an order of five licences in their windows
LICENCE, LICENCE_TO_SEND = "8178ac72b28d", "3bdf91822d4d"  # orders of a licence in its window


def subscriptions_of(cloud: LocalCloud, *order_ids: str) -> list[Json]:
    return [entry for entry in cloud.description["subscriptions"] if entry["orderId"] in order_ids]


def test_a_ticket_for_a_subscription_cancels_it_alone(guarded: LocalCloud) -> None:
    subscriptions = subscriptions_of(guarded, LICENCES_FIVE, LICENCE)
    assert len(subscriptions) == len(SYSTEMS)

    for count, (system, entry) in enumerate(zip(SYSTEMS, subscriptions, strict=True), 1):
        ticket = Ticket(entry["customerTenantId"], "", subscription_id=entry["subscriptionId"])
        body = render(system, ticket)
        answers = [deliver(guarded, system, body).json() for _ in range(2)]

        assert [answer["outcome"] for answer in answers] == ["cancelled", "already_cancelled"], system
        statuses = [guarded.subscription(own["subscriptionId"])["status"] for own in subscriptions]
        assert statuses == ["deleted"] * count + ["active"] * (len(subscriptions) - count)


# Texts for a field of a ticket, by a person who knows the body and wants another order, account or line.
ATTACKS = {
    "another account": ("order_id", '{order}", "account": "production'),
    "a second dryRun": ("order_id", '{order}", "dryRun": false, "x": "'),
    "another order": ("customer_tenant_id", '{customer}", "orderId": "{victim}", "reason": "x'),
    "another line and order": ("lines", '1 }}, {{ "lineItemNumber": 0 }}], "orderId": "{victim}", "x": [{{ "a": 0'),
    "no lines": ("reason", 'x", "lineItems": null, "account": "production'),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("system", ["zendesk", "freshdesk", "jira"])
def test_no_ticket_reaches_another_order_or_account(
    guarded: LocalCloud, order_id: str, system: str, attack: str
) -> None:
    field, template = ATTACKS[attack]
    victim = f"ticketed-order-{ORDERS - 1}"
    text = template.format(order=order_id, customer=CUSTOMER, victim=victim)
    ticket = replace(Ticket(CUSTOMER, order_id, "1"), **{field: text})  # type: ignore[arg-type]

    response = deliver(guarded, system, render(system, ticket))

    answer = response.json()
    if response.status_code == 200:  # the field is escaped or not sent, so this is the request that was meant
        assert field == "reason"
        assert (answer["orderId"], answer["account"], answer["cancelledLineItems"]) == (order_id, "default", [1])
    else:
        assert (response.status_code, answer["code"]) in {(400, "invalid_request"), (400, "invalid_json")}
        assert quantities(guarded, order_id)[1] == 1
    assert quantities(guarded, victim) == [1, 1]
    assert quantities(guarded, order_id)[0] == 1


# `python -m infra.local send` plays a system.

type Play = Callable[..., tuple[int, str, str]]


@pytest.fixture
def play(guarded: LocalCloud, capsys: pytest.CaptureFixture[str]) -> Play:
    """Run `send` with some arguments; return its exit status, its output and its errors."""

    def run(*arguments: str, cloud: Path | None = None, **more: Any) -> tuple[int, str, str]:
        status = send.main([*arguments, "--cloud", str(cloud or description_file(guarded))], **more)
        return status, *capsys.readouterr()

    return run


def outcomes(output: str) -> list[str]:
    return re.findall(r'"outcome": "(\w+)"', output)


def secrets_of(cloud: LocalCloud) -> list[str]:
    callers: list[dict[str, Any]] = list(cloud.description["callers"].values())
    known = [caller[name] for caller in callers for name in ("key", "secret", "clientSecret") if name in caller]
    return [*known, cloud.description["functionKey"]]


@pytest.mark.parametrize("system", EVERY_SENDER)
def test_a_delivery_and_its_repeat_are_shown_without_secrets(
    guarded: LocalCloud, order_id: str, play: Play, system: str
) -> None:
    status, output, _ = play(system, "--order", order_id, "--line", "0")

    before = ["dry_run"] if system == "flow" else []
    assert (status, outcomes(output)) == (0, [*before, "partially_cancelled", "already_cancelled"])
    assert quantities(guarded, order_id) == [0, 1]
    assert f"POST {guarded.description['functionUrl']}" in output
    assert [secret for secret in secrets_of(guarded) if secret in output] == []
    assert not re.search(r"eyJ[\w-]{9}", output)


@pytest.mark.parametrize("system", EVERY_SENDER)
def test_a_dry_run_changes_nothing(guarded: LocalCloud, order_id: str, play: Play, system: str) -> None:
    status, output, _ = play(system, "--order", order_id, "--dry-run", "--repeat", "0", "--customer", CUSTOMER)

    assert (status, outcomes(output)) == (0, ["dry_run"])
    assert guarded.order(order_id)["status"] == "completed"


def test_a_repeat_keeps_its_id_and_waits_for_retry_after(play: Play) -> None:
    waited: list[float] = []

    status, output, _ = play("zendesk", "--order", BUSY, wait=waited.append)

    assert (status, re.findall(r'^  "code": "(\w+)"', output, re.MULTILINE)) == (1, ["order_busy"] * 2)
    assert [str(seconds) for seconds in waited] == re.findall(r"^Retry-After: (\d+)$", output, re.MULTILINE)[:1]
    assert "Zendesk repeats it after Retry-After" in output
    ids = re.findall(r"^x-zendesk-webhook-invocation-id: (\w+)$", output, re.MULTILINE)
    assert len(ids) == 2
    assert len(set(ids)) == 1


@pytest.mark.parametrize("system", [FLOW, "jira", "standard-webhooks"])
def test_a_subscription_can_be_sent(guarded: LocalCloud, play: Play, system: str) -> None:
    [entry] = subscriptions_of(guarded, LICENCE_TO_SEND)

    status, output, _ = play(system, "--subscription", entry["subscriptionId"], "--dry-run", "--repeat", "0")

    assert (status, outcomes(output)) == (0, ["dry_run"])
    assert f'"subscriptionId": "{entry["subscriptionId"]}"' in output
    assert guarded.subscription(entry["subscriptionId"])["status"] == "active"


TOO_OLD = "licence-20-days-old"  # it cannot be cancelled


@pytest.mark.parametrize("system", [FLOW, "halo", "servicenow", "zendesk"])
def test_do_not_renew_can_be_sent(guarded: LocalCloud, play: Play, system: str) -> None:
    """The first of them schedules it, unless it was before; nobody cancels it."""
    own = subscription_guid(TOO_OLD)

    status, output, _ = play(system, "--subscription", own, "--when", "term_end")

    before = ["dry_run"] if system == "flow" else []
    assert status == 0
    assert outcomes(output)[:-2] == before
    assert outcomes(output)[-1] == "already_scheduled"
    assert outcomes(output)[-2] in {"scheduled", "already_scheduled"}
    assert guarded.subscription(own)["status"] == "active"
    assert guarded.subscription(own)["autoRenewEnabled"] is False
    assert '"when": "term_end"' in output


@pytest.mark.parametrize("system", EVERY_SENDER)
def test_an_account_can_be_named(play: Play, system: str) -> None:
    arguments = "--order", LICENCE_TO_SEND, "--account", "orders-only", "--dry-run", "--repeat", "0"

    status, output, _ = play(system, *arguments)

    assert (status, outcomes(output)) == (0, ["dry_run"])
    assert '"code": "use_subscription_cancel"' in output


# `--find` looks first.

FOUND = {system: f"found-order-{number}" for number, system in enumerate(SENDERS)}
SEVERAL, NONE_LEFT = "one-of-several", "never-cancelled"
FINDER = "99999999-0000-4000-8000-000000000001"


def product(order_id: str, word: str, *, others: int = 0) -> Json:
    """Return an order of FINDER, of one product with *word* in its name and of *others* lines."""
    order = software_order(order_id, FINDER, lines=1 + others)
    order["lineItems"][0]["friendlyName"] = f"Product {word} 2026"
    return order


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud with a customer who has one product for each system, two of one name, and a cancelled one."""
    directory = tmp_path_factory.mktemp("finding")
    orders = [product(order_id, f"for-{system}", others=1) for system, order_id in FOUND.items()]
    orders += [product(f"several-{number}", SEVERAL) for number in range(2)]
    orders += [product("by-the-tenants-id", "by-id")]
    orders += [product("cancelled-before", NONE_LEFT) | {"status": "cancelled"}]
    with running(directory, "--callers", "--orders", write_orders(directory / "orders", orders)) as cloud:
        yield cloud


@pytest.fixture
def find(finding: LocalCloud, capsys: pytest.CaptureFixture[str]) -> Play:
    def run(*arguments: str) -> tuple[int, str, str]:
        status = send.main([*arguments, "--repeat", "0", "--cloud", str(description_file(finding))])
        return status, *capsys.readouterr()

    return run


def domain_of(cloud: LocalCloud) -> str:
    [domain] = [entry["domain"] for entry in cloud.description["customers"] if entry["customerTenantId"] == FINDER]
    return str(domain)


@pytest.mark.parametrize("system", EVERY_SENDER)
def test_a_domain_and_a_word_are_enough(finding: LocalCloud, find: Play, system: str) -> None:
    """Two requests in all: the look and the ticket's. (A flow asks for a dry run, too.)"""
    status, output, errors = find(system, "--find", f"FOR-{system}", "--customer", domain_of(finding))

    assert (status, errors) == (0, "")
    before = ["dry_run"] if system == "flow" else []
    assert outcomes(output) == [*before, "partially_cancelled"]
    assert [line["quantity"] for line in finding.order(FOUND[system])["lineItems"]] == [0, 1]
    assert len(re.findall(r"^(?:GET|POST) ", output, re.MULTILINE)) == 2 + len(before)
    assert output.count(f'"customerDomain":"{domain_of(finding)}"') + output.count(
        f'"customerDomain": "{domain_of(finding)}"'
    ) == 1 + len(before)
    signs = system in {"zendesk", "standard-webhooks"}
    assert ("signature does not cover a look" in output) is signs
    assert [secret for secret in secrets_of(finding) if secret in output] == []


def test_a_tenants_id_is_as_good_as_a_domain(find: Play) -> None:
    status, output, _ = find("jira", "--find", "by-id", "--customer", FINDER, "--dry-run")

    assert (status, outcomes(output)) == (0, ["dry_run"])
    assert f"customerTenantId={FINDER}" in output
    assert f'"customerTenantId": "{FINDER}"' in output


def test_several_that_fit_are_listed_and_none_is_sent(find: Play) -> None:
    status, output, errors = find("halo", "--find", SEVERAL, "--customer", FINDER)

    assert status == 1
    assert outcomes(output) == []
    assert sorted(re.findall(r"^  --order (\S+) .*can be cancelled", output, re.MULTILINE)) == [
        "several-0",
        "several-1",
    ]
    assert "2 fit, so nothing was sent" in errors
    assert "in the place of --find" in errors

    status, output, _ = find("halo", "--find", "several-1", "--customer", FINDER, "--dry-run")

    assert (status, outcomes(output)) == (0, ["dry_run"])


def test_nothing_that_fits_is_said(find: Play) -> None:
    unknown = find("halo", "--find", "no such product", "--customer", FINDER)
    part_of_an_id = find("halo", "--find", "several-", "--customer", FINDER)
    cancelled = find("halo", "--find", NONE_LEFT, "--customer", FINDER)
    stranger = find("halo", "--find", "x", "--customer", "no-such.example")

    assert [status for status, _, _ in (unknown, part_of_an_id, cancelled, stranger)] == [1] * 4
    assert "has nothing with 'no such product'" in unknown[2]
    assert "has nothing with 'several-'" in part_of_an_id[2]
    assert ": cancelled\n" in cancelled[1]
    assert "nothing of it can be asked for" in cancelled[2]
    assert '"code": "customer_not_found"' in stranger[1]
    assert "the look was refused" in stranger[2]


def test_a_look_needs_a_customer_and_finds_the_line_itself(finding: LocalCloud, find: Play) -> None:
    _, _, no_customer = find("halo", "--find", "x")
    _, _, line = find("halo", "--find", "x", "--customer", FINDER, "--line", "0")

    assert domain_of(finding) in no_customer
    assert "--find finds the line" in line


def test_a_subscription_is_found_for_do_not_renew(guarded: LocalCloud, play: Play) -> None:
    """By a whole id, since its product has many."""
    [entry] = subscriptions_of(guarded, LICENCE_TO_SEND)
    arguments = "--find", entry["subscriptionId"], "--customer", entry["customerTenantId"], "--when", "term_end"

    status, output, _ = play("servicenow", *arguments, "--dry-run", "--repeat", "0")

    assert (status, outcomes(output)) == (0, ["dry_run"])
    assert f"  --subscription {entry['subscriptionId']} " in output


# The note in the ticket, for a caller that has `tell`.

TOLD = ["zendesk", "freshdesk", "freshservice", "jira", "standard-webhooks"]
MARKER = r"^  \| \[cancel-order [0-9a-f]{16} (\S+) \S+\]$"


def states(output: str) -> list[str]:
    """Return the states of the notes that were shown, in their order."""
    return [re.sub(r"^dry_run:.*", "dry_run", state) for state in re.findall(MARKER, output, re.MULTILINE)]


@pytest.mark.parametrize("system", TOLD)
def test_the_note_in_the_ticket_is_shown_and_a_repeat_adds_none(
    guarded: LocalCloud, order_id: str, play: Play, system: str
) -> None:
    status, output, _ = play(system, "--order", order_id, "--repeat", "2")

    assert (status, outcomes(output)) == (0, ["cancelled", "already_cancelled", "already_cancelled"])
    assert states(output) == ["cancelled"]
    assert output.index("  | Software 0") > output.index('"outcome": "cancelled"')
    assert output.count("gets no second note") == 2
    [ticket_id] = set(re.findall(r'"ticketId": "([^"]+)"', output))
    [note] = guarded.http.get(f"{guarded.description['controlUrl']}/tickets/{system}/{ticket_id}").json()["notes"]
    assert note["private"] is True
    assert all(f"  | {line}\n" in output for line in note["text"].splitlines())


def test_each_ticket_is_a_new_one(order_id: str, play: Play) -> None:
    """Else the note of the last time would be shown."""
    runs = [play("zendesk", "--order", order_id, "--dry-run", "--repeat", "0") for _ in range(2)]

    shown = [state.partition(":")[0] for _, output, _ in runs for state in states(output)]
    assert shown == ["dry_run"] * 2


@pytest.mark.parametrize("system", ["servicenow", "halo", FLOW])
def test_a_system_without_a_way_back_shows_no_note(order_id: str, play: Play, system: str) -> None:
    _, output, _ = play(system, "--order", order_id, "--dry-run", "--repeat", "0")

    assert "note:" not in output
    assert "gets no" not in output


def test_a_refusal_is_in_the_note(play: Play) -> None:
    status, output, _ = play("freshdesk", "--order", "no-such-order", "--customer", CUSTOMER, "--repeat", "0")

    assert (status, states(output)) == (1, ["refused:order_not_found"])


def test_an_open_end_is_told_later(play: Play) -> None:
    """The PATCH was sent; the function looks when the longest call would be over."""
    _, output, _ = play("zendesk", "--order", BUSY, wait=lambda _: None)

    assert states(output) == []
    assert output.count("is told nothing yet") == 2
    assert "The function looks again in 2 minutes." in output


def test_nothing_is_told_before_the_sender_had_time_to_repeat(guarded: LocalCloud, order_id: str, play: Play) -> None:
    """Nothing was sent that changes anything, and a repeat will do it."""
    guarded.fault(status=503, times=20)
    try:
        status, output, _ = play("zendesk", "--order", order_id, "--repeat", "0")
    finally:
        guarded.forget()

    assert (status, states(output)) == (1, [])
    assert "The function looks again in 15 minutes." in output


def test_a_ticket_that_cannot_be_told_is_explained(guarded: LocalCloud, order_id: str, play: Play) -> None:
    guarded.fault(service="ticketing", path="/conversations", status=404, times=9)
    try:
        _, output, _ = play("freshdesk", "--order", order_id, "--repeat", "0")
    finally:
        guarded.forget()

    assert "cannot be told (ticket_not_found)" in output


def test_a_refusal_is_shown_and_ends_with_status_1(play: Play) -> None:
    status, output, _ = play("jira", "--order", "no-such-order", "--customer", CUSTOMER)

    assert status == 1
    assert '"code": "order_not_found"' in output


def test_the_command_on_the_pages_works(guarded: LocalCloud, order_id: str) -> None:
    file = str(description_file(guarded))
    command = [sys.executable, "-m", "infra.local", "send", "halo", "--order", order_id, "--cloud", file]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603

    assert (done.returncode, done.stderr) == (0, "")
    assert outcomes(done.stdout) == ["cancelled", "already_cancelled"]


def test_a_missing_or_foreign_description_is_explained(guarded: LocalCloud, tmp_path: Path, play: Play) -> None:
    def errors(content: str | None) -> str:
        file = tmp_path / "description"
        if content is not None:
            file.write_text(content)
        status, _, text = play("zendesk", "--order", "ticketed-order-00", cloud=file)
        assert status == 1
        return text

    assert "make serve" in errors(None)
    assert "not what the local cloud writes" in errors("{")
    without_callers = errors(json.dumps({**guarded.description, "callers": {}}))
    assert "make serve" in without_callers
    assert "--callers" in without_callers


@pytest.mark.parametrize("system", ["zendesk", "flow"])
def test_a_local_cloud_that_has_ended_is_explained(
    guarded: LocalCloud, tmp_path: Path, play: Play, system: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}/api/cancel_order"
    ended = guarded.description | {"functionUrl": closed, "caFile": str(tmp_path / "gone")}
    (tmp_path / "description").write_text(json.dumps(ended))

    status, _, errors = play(system, "--order", "ticketed-order-00", cloud=tmp_path / "description")

    assert status == 1
    assert "Does `make serve` still run?" in errors


def test_an_output_that_nobody_reads_to_its_end_is_no_fault(guarded: LocalCloud, order_id: str) -> None:
    """As in `send … | head`."""
    arguments = ["send", "jira", "--order", order_id, "--dry-run", "--cloud", str(description_file(guarded))]

    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "infra.local", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout
        command.stdout.close()
        _, errors = command.communicate(timeout=60)

    assert errors == ""


def test_arguments_that_do_not_fit_are_explained(play: Play) -> None:
    unknown_status, _, unknown_order = play("zendesk", "--order", "no-such-order")
    gone_status, _, unknown_subscription = play("zendesk", "--subscription", "no-such-subscription")
    line_status, _, line = play("zendesk", "--subscription", "any", "--line", "0")
    script_status, _, script = play("servicenow", "--order", "ticketed-order-00", "--when", "term_end")
    two_status, _, two_lines = play("freshdesk", "--order", "ticketed-order-00", "--line", "0", "--line", "1")
    account_status, _, unknown_account = play("jira", "--order", "ticketed-order-00", "--account", "no-such-account")

    statuses = [unknown_status, gone_status, line_status, two_status, script_status, account_status]
    assert statuses == [1] * len(statuses)
    assert "Name its customer" in unknown_order
    assert "has no subscription no-such-subscription" in unknown_subscription
    assert "cancelled as a whole" in line
    assert "one line at a time" in two_lines
    assert "for a subscription only" in script
    assert "has no account no-such-account" in unknown_account


@pytest.mark.parametrize("targets", [[], ["--order", "a", "--subscription", "b"]], ids=["neither", "both"])
def test_it_sends_exactly_one_of_an_order_and_a_subscription(
    play: Play, capsys: pytest.CaptureFixture[str], targets: list[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        play("zendesk", *targets)

    assert end.value.code == 2
    assert "--subscription" in capsys.readouterr().err


def test_the_log_has_no_error(guarded: LocalCloud) -> None:
    assert logged_errors(guarded.log.read_text()) == []
