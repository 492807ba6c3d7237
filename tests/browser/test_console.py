"""The parts of the page: the request and who sends it, the answer, the calls, the audit records, the ticket."""

import re

import pytest

from infra.local.console.scenarios import SCENARIOS
from infra.local.senders.deliveries import SENDERS
from tests.browser.conftest import CUSTOMER, ORDERS
from tests.browser.console import Console
from tests.support.local_cloud import LocalCloud, domain_of, order_id_of

SQL = "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
LICENCE_20_DAYS_OLD = SCENARIOS[1]["errand"]["subscriptionId"]


@pytest.fixture
def domain(cloud: LocalCloud) -> str:
    """The customer of the tests' own orders."""
    return domain_of(cloud, CUSTOMER)


def test_the_first_visit_ends_with_a_note_in_a_ticket(console: Console, cloud: LocalCloud) -> None:
    """From a licence over a refusal and a lost answer to the note, by the examples that the page offers first."""
    console.press("Cancel a licence")
    assert "■ cancelled" in console.send()

    console.press("Be refused")
    refused = console.send()
    assert "✕ cancellation_window_passed" in refused
    assert "when: term_end" in refused

    console.press("Survive a lost answer")
    assert "■ cancelled" in console.send()
    patches = [call for call in console.calls() if "PATCH orders/" in call]
    assert [re.search("no answer, connection lost|200 in", call) is not None for call in patches] == [True, True]

    console.press("Tell the ticket")
    assert "◆ ends with its term" in console.send()
    console.press("Write the note now")
    console.sees("#ticket", "The ticket has been told.")
    assert "and then ends; it does not renew" in console.text("#ticket .notes pre")

    licence, refused_licence, order = (scenario["errand"] for scenario in SCENARIOS[:3])
    assert cloud.subscription(licence["subscriptionId"])["status"] == "deleted"
    assert cloud.subscription(refused_licence["subscriptionId"])["autoRenewEnabled"] is False
    assert cloud.order(order["orderId"])["status"] == "cancelled"


def test_one_line_of_an_order_is_chosen_and_the_other_lives_on(
    console: Console, cloud: LocalCloud, domain: str, order_id: str
) -> None:
    console.choose("Customer", domain)
    console.press(f"Choose the order {order_id}")
    console.choose("Sent by", "curl")
    console.page.get_by_label("1: Software 1").check()

    answer = console.send()

    assert "◧ partially cancelled" in answer
    assert [line["quantity"] for line in cloud.order(order_id)["lineItems"]] == [1, 0]
    console.sees("#order-list > li[aria-current]", "■ cancelled")


def test_a_dry_run_changes_nothing(console: Console, cloud: LocalCloud, domain: str, order_id: str) -> None:
    console.ask_for(order_id, customer=domain)

    answer = console.send("Dry run, changes nothing")

    assert "dry run, nothing was changed" in answer
    assert "PATCH" not in cloud.methods()
    assert cloud.order(order_id)["status"] == "completed"


@pytest.mark.parametrize("system", [*SENDERS, "curl"])
def test_each_system_sends_its_own_body_with_its_own_proof(
    console: Console, domain: str, order_id: str, system: str
) -> None:
    console.ask_for(order_id, sender=system, customer=domain)

    answer = console.send()

    assert "■ cancelled" in answer
    console.page.get_by_text("The request as it was sent").click()
    assert order_id in console.text("#answer-raw details[open] pre")


def test_the_same_request_again_does_no_harm(console: Console, domain: str, order_id: str) -> None:
    console.ask_for(order_id, sender="zendesk", customer=domain)
    console.send()
    ticket = console.text("#ticket-name")

    console.press("Send the same again")

    console.sees("#answer-content", "already cancelled")
    console.sees("#ticket-name", ticket)


def test_the_same_again_is_the_same_whatever_the_form_says_by_then(
    console: Console, cloud: LocalCloud, domain: str, order_id: str, another_order_id: str
) -> None:
    """Otherwise an order that nobody asked to cancel would go, and under the ticket of the first one."""
    console.choose("Customer", domain)
    console.press(f"Choose the order {order_id}")
    console.choose("Sent by", "zendesk")
    console.page.get_by_label("0: Software 0").check()
    console.send()

    console.press(f"Choose the order {another_order_id}")
    console.press("Send the same again")

    console.sees("#answer-content", "already cancelled")
    assert [line["quantity"] for line in cloud.order(order_id)["lineItems"]] == [0, 1]
    assert cloud.order(another_order_id)["status"] == "completed"


def test_an_end_of_the_term_is_shown_in_the_list(console: Console) -> None:
    console.press("Tell the ticket")
    console.send()

    console.sees("#order-list > li[aria-current]", "ends with its term on")


def test_a_request_that_cannot_be_sent_says_why(console: Console, domain: str, order_id: str) -> None:
    console.choose("Customer", domain)
    console.press(f"Choose the order {order_id}")
    console.choose("Sent by", "halo")
    for label in ("0: Software 0", "1: Software 1"):
        console.page.get_by_label(label).check()

    console.press("Send the request")

    console.sees("#answer-content", "takes only one line")


def test_a_call_is_drawn_while_it_waits(console: Console, cloud: LocalCloud, domain: str, order_id: str) -> None:
    cloud.fault(method="PATCH", delay_s=20)
    console.ask_for(order_id, customer=domain)
    console.press("Send the request")

    console.sees("#call-list .call", "waiting")
    cloud.clear_faults()  # the PATCH goes on

    console.page.get_by_role("button", name="Send the same again").wait_for()
    assert [call for call in console.calls() if "waiting" in call] == []
    assert "Function → Partner Center" in " ".join(console.calls())


def test_the_audit_records_come_by_themselves(console: Console, domain: str, order_id: str) -> None:
    console.ask_for(order_id, sender="jira", customer=domain)

    console.send()

    console.sees("#record-list li", "decided cancelled")
    records = [text for text in console.texts("#record-list li") if order_id in text]
    assert ["decided" in records[0], "sending" in records[1]] == [True, True]
    assert "jira" in records[0]


def test_orders_are_found_by_a_word_of_the_product(console: Console) -> None:
    console.choose("Customer", "fabrikam.example")
    console.sees("#order-list", SQL)
    console.page.get_by_label("Product or id").fill("three-lines")

    console.press("Find")

    console.sees("#found", "1 found")
    assert SQL not in console.text("#order-list")


def test_a_name_from_partner_center_is_text(console: Console, domain: str) -> None:
    console.choose("Customer", domain)
    console.sees("#order-list", "<img src=x")

    console.press(f"Choose the order {order_id_of(f'console-order-{ORDERS - 1:02}')}")
    assert "<img src=x" in console.send("Dry run, changes nothing")

    assert console.page.title() == "Cancel orders: the local cloud"
    assert console.page.locator("img").count() == 0


def test_the_command_for_a_shell_names_the_function_and_the_order(
    console: Console, cloud: LocalCloud, domain: str, order_id: str
) -> None:
    console.ask_for(order_id, customer=domain)
    console.send("Dry run, changes nothing")

    console.page.get_by_text("The same from a shell").click()
    command = console.text("#answer-raw details[open] pre")

    assert command.startswith(f"curl -si {cloud.description['functionUrl']} ")
    assert order_id in command
