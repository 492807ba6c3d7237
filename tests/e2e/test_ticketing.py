"""Each ticketing system's own body, filled in and signed as that system does it, through the real runtime."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.senders import send
from infra.local.senders.deliveries import SENDERS, Delivery, headers_of
from infra.local.senders.templates import SYSTEMS, Ticket, render
from tests.conftest import CUSTOMER
from tests.support.local_cloud import ROOT, Json, LocalCloud, running, software_order

ORDERS = 80
BUSY = "refused-with-800060-".ljust(32, "0") + "1"  # Partner Center is still working on it
FREE_TEXT = 'Said: "cancel"\r\n\tback\\slash {{ticket.id}} {{issue.key}} <<ticket^id>> ${x} Žluťoučký 東京 😀 \u2028'
TEMPLATES = [(system, lines) for system in SYSTEMS for lines in ("", "1")]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud whose callers must prove themselves, with orders of two lines."""
    directory = tmp_path_factory.mktemp("ticketing")
    for number in range(ORDERS):
        order = software_order(f"ticketed-order-{number:02}", CUSTOMER, lines=2)
        (directory / f"{order['id']}.json").write_text(json.dumps(order))
    with running(directory, "--callers", "--orders", str(directory)) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def _order_ids() -> Iterator[str]:
    return (f"ticketed-order-{number:02}" for number in range(ORDERS))


@pytest.fixture
def order_id(_order_ids: Iterator[str]) -> str:
    return next(_order_ids)


def described(cloud: LocalCloud) -> str:
    return str(cloud.log.parent / "cloud.json")


def deliver(cloud: LocalCloud, system: str, body: bytes, delivery: Delivery | None = None) -> httpx.Response:
    headers = headers_of(system, body, cloud.description, delivery or Delivery())
    return cloud.http.post(cloud.description["functionUrl"], content=body, headers=headers)


def recorded(cloud: LocalCloud, answer: Json) -> Json:
    """Return the audit record of the call that was answered so."""
    lines = [line for line in cloud.log.read_text().splitlines() if " cancel_order.audit " in line]
    records = [json.loads(line[line.index("{") :]) for line in lines]
    [decided] = [
        one for one in records if one["event"] == "decided" and one["correlationId"] == answer["correlationId"]
    ]
    found: Json = decided
    return found


@pytest.mark.parametrize(("system", "lines"), TEMPLATES)
def test_a_ticket_cancels_its_order_and_its_text_arrives_unharmed(
    guarded: LocalCloud, order_id: str, system: str, lines: str
) -> None:
    ticket = Ticket(CUSTOMER, order_id, lines, subject=FREE_TEXT)
    body, delivery = render(system, ticket), Delivery()

    first = deliver(guarded, system, body, delivery).json()
    repeat = deliver(guarded, system, body, delivery).json()

    assert first["outcome"] == ("partially_cancelled" if lines else "cancelled")
    assert repeat["outcome"] == "already_cancelled"
    assert [line["quantity"] for line in guarded.order(order_id)["lineItems"]] == ([1, 0] if lines else [1, 1])
    assert (guarded.order(order_id)["status"] == "cancelled") is not bool(lines)
    record = recorded(guarded, first)
    assert record["caller"] == system
    assert record["reason"] == (FREE_TEXT if system in {"jira", "servicenow", "halo"} else ticket.reason)
    assert record["ticketId"] == first["ticketId"] in {ticket.key, str(ticket.number)}
    if system == "zendesk":
        assert record["deliveryId"] == recorded(guarded, repeat)["deliveryId"] == delivery.id


# Into a field of the ticket, by somebody who knows the body and wants another order, account or line.
ATTACKS = [
    ("order_id", '{order}", "account": "production'),
    ("order_id", '{order}", "dryRun": false, "x": "'),
    ("customer_tenant_id", '{customer}", "orderId": "{victim}", "reason": "x'),
    ("lines", '1 }}, {{ "lineItemNumber": 0 }}], "orderId": "{victim}", "x": [{{ "a": 0'),
    ("reason", 'x", "lineItems": null, "account": "production'),
]


@pytest.mark.parametrize("attack", range(len(ATTACKS)))
@pytest.mark.parametrize("system", ["zendesk", "freshdesk", "jira"])
def test_no_ticket_reaches_another_order_or_account(
    guarded: LocalCloud, order_id: str, system: str, attack: int
) -> None:
    field, text = ATTACKS[attack]
    victim = f"ticketed-order-{ORDERS - 1}"
    evil = text.format(order=order_id, customer=CUSTOMER, victim=victim)
    ticket = replace(Ticket(CUSTOMER, order_id, "1"), **{field: evil})  # type: ignore[arg-type]

    answer = deliver(guarded, system, render(system, ticket))

    told = answer.json()
    if answer.status_code == 200:  # where the text is free or never sent, it is the request that was meant
        assert field == "reason"
        assert (told["orderId"], told["account"], told["cancelledLineItems"]) == (order_id, "default", [1])
    else:
        assert (answer.status_code, told["code"]) in {(400, "invalid_request"), (400, "invalid_json")}
        assert guarded.order(order_id)["lineItems"][1]["quantity"] == 1
    assert [line["quantity"] for line in guarded.order(victim)["lineItems"]] == [1, 1]
    assert guarded.order(order_id)["lineItems"][0]["quantity"] == 1


# Play a system: `python -m infra.local send`.


def secrets_of(cloud: LocalCloud) -> list[str]:
    callers: list[dict[str, Any]] = list(cloud.description["callers"].values())
    known = [one[name] for one in callers for name in ("key", "secret", "clientSecret") if name in one]
    return [*known, cloud.description["functionKey"]]


@pytest.mark.parametrize("system", SENDERS)
def test_a_delivery_and_its_repeat_are_shown(
    guarded: LocalCloud, order_id: str, capsys: pytest.CaptureFixture[str], system: str
) -> None:
    status = send.main([system, "--order", order_id, "--line", "0", "--cloud", described(guarded)])

    told = capsys.readouterr().out
    outcomes = re.findall(r'"outcome": "(\w+)"', told)
    asked_first = ["dry_run"] if system == "flow" else []
    assert (status, outcomes) == (0, [*asked_first, "partially_cancelled", "already_cancelled"])
    assert [line["quantity"] for line in guarded.order(order_id)["lineItems"]] == [0, 1]
    assert f"POST {guarded.description['functionUrl']}" in told
    assert [secret for secret in secrets_of(guarded) if secret in told] == []
    assert not re.search(r"eyJ[\w-]{9}", told)


@pytest.mark.parametrize("system", SENDERS)
def test_a_dry_run_changes_nothing(
    guarded: LocalCloud, order_id: str, capsys: pytest.CaptureFixture[str], system: str
) -> None:
    options = ["--dry-run", "--repeat", "0", "--cloud", described(guarded), "--customer", CUSTOMER]

    status = send.main([system, "--order", order_id, *options])

    assert (status, re.findall(r'"outcome": "(\w+)"', capsys.readouterr().out)) == (0, ["dry_run"])
    assert guarded.order(order_id)["status"] == "completed"


def test_a_repeat_keeps_its_id_and_waits_as_it_was_told(
    guarded: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []

    status = send.main(["zendesk", "--order", BUSY, "--cloud", described(guarded)], wait=waited.append)

    told = capsys.readouterr().out
    assert (status, re.findall(r'^  "code": "(\w+)"', told, re.MULTILINE)) == (1, ["order_busy"] * 2)
    assert [str(seconds) for seconds in waited] == re.findall(r"^Retry-After: (\d+)$", told, re.MULTILINE)[:1]
    assert "Zendesk repeats it after Retry-After" in told
    ids = re.findall(r"^x-zendesk-webhook-invocation-id: (\w+)$", told, re.MULTILINE)
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_a_refusal_is_shown_and_is_no_success(guarded: LocalCloud, capsys: pytest.CaptureFixture[str]) -> None:
    status = send.main(["jira", "--order", "no-such-order", "--customer", CUSTOMER, "--cloud", described(guarded)])

    assert status == 1
    assert '"code": "order_not_found"' in capsys.readouterr().out


def test_the_command_line_leads_to_it(guarded: LocalCloud, order_id: str) -> None:
    """As the pages have it pasted."""
    command = [sys.executable, "-m", "infra.local", "send", "halo", "--order", order_id, "--cloud", described(guarded)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603

    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r'"outcome": "(\w+)"', done.stdout) == ["cancelled", "already_cancelled"]


def test_who_cannot_send_is_told_why(guarded: LocalCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str) -> str:
        assert send.main([*arguments]) == 1
        return capsys.readouterr().err

    nothing, rubbish, unguarded, gone = (tmp_path / name for name in ("nothing", "rubbish", "unguarded", "gone"))
    rubbish.write_text("{")
    unguarded.write_text(json.dumps({**guarded.description, "callers": {}}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}/api/cancel_order"
    gone.write_text(json.dumps({**guarded.description, "functionUrl": closed, "caFile": str(nothing)}))
    order = ("zendesk", "--order", "ticketed-order-00")

    assert "make serve" in told(*order, "--cloud", str(nothing))
    assert "not what the local cloud writes" in told(*order, "--cloud", str(rubbish))
    assert "make serve" in told(*order, "--cloud", str(unguarded))
    for system in ("zendesk", "flow"):
        assert "Does `make serve` still run?" in told(system, *order[1:], "--cloud", str(gone))
    assert "--customer" in told("zendesk", "--order", "no-such-order", "--cloud", described(guarded))
    two = ("freshdesk", "--order", "ticketed-order-00", "--line", "0", "--line", "1")
    assert "one --line at a time" in told(*two, "--cloud", described(guarded))


def test_nothing_went_wrong_in_the_log(guarded: LocalCloud) -> None:
    log = guarded.log.read_text()

    assert "Traceback" not in log
    assert " ERROR " not in log
