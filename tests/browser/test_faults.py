"""The switches for faults, and time."""

from collections.abc import Iterator

import pytest

from tests.browser.conftest import CUSTOMER
from tests.browser.console import Console
from tests.support.local_cloud import LocalCloud, domain_of


@pytest.fixture
def own(console: Console, cloud: LocalCloud, order_id: str) -> Iterator[Console]:
    """The page with the form filled in for an order of the test's own, and no fault left at the end."""
    console.ask_for(order_id, sender="zendesk", customer=domain_of(cloud, CUSTOMER))
    yield console
    cloud.forget()


def test_a_throttled_request_is_answered_so_until_the_switch_is_off(own: Console, cloud: LocalCloud) -> None:
    own.switch("Partner Center throttles", on=True)

    assert "◔ throttled" in own.send()
    own.sees("#found", "without their state")

    own.switch("Partner Center throttles", on=False)
    own.press("Kill the worker")  # a new one does not know how long Partner Center asked to wait
    own.sees("#done", "A new one serves")
    assert "■ cancelled" in own.send()
    assert cloud.http.get(f"{cloud.description['controlUrl']}/faults").json() == []


def test_without_key_vault_a_new_worker_cannot_begin(own: Console, cloud: LocalCloud, order_id: str) -> None:
    own.switch("Key Vault is down", on=True)
    own.press("Kill the worker")
    own.sees("#done", "A new one serves")

    assert "◔ credentials_unavailable" in own.send()

    assert cloud.order(order_id)["status"] == "completed"


def test_a_rotated_secret_costs_no_request(own: Console) -> None:
    assert "dry run" in own.send("Dry run, changes nothing")  # the worker has a token now
    own.switch("The secret is rotated", on=True)

    assert "■ cancelled" in own.send()

    calls = own.calls()
    [refused] = [call for call in calls if "401 in" in call]
    after = " ".join(calls[calls.index(refused) :])
    assert "→ Key Vault" in after
    assert "→ Entra ID" in after
    own.switch("The secret is rotated", on=False)


def test_a_ticket_is_told_after_its_worker_was_killed(own: Console, cloud: LocalCloud, order_id: str) -> None:
    own.switch("The worker is killed", on=True)

    assert "no answer" in own.send()

    own.sees("#ticket", "A follow-up waits. The function looks at it in")
    own.press("Write the note now")
    own.sees("#ticket .notes", "Nothing is left to do")
    assert cloud.order(order_id)["status"] == "cancelled"


def test_a_lost_answer_is_off_again_after_one_request(own: Console, cloud: LocalCloud) -> None:
    own.switch("The answer is lost", on=True)

    assert "■ cancelled" in own.send()

    own.sees("#answer-content", "got lost: see the calls")
    assert not own.page.get_by_role("switch", name="The answer is lost").is_checked()
    assert cloud.http.get(f"{cloud.description['controlUrl']}/faults").json() == []


def test_faults_from_elsewhere_are_counted(own: Console, cloud: LocalCloud) -> None:
    cloud.fault(path="/nowhere", status=500)

    own.sees("#other-faults", "1 more from elsewhere")


def test_an_aged_licence_cannot_be_cancelled_any_more(console: Console, cloud: LocalCloud) -> None:
    licences = [entry for entry in cloud.description["subscriptions"] if entry["kind"] == "licence"]
    entry = next(entry for entry in licences if entry["note"].startswith("in its window of 7"))
    console.choose("Customer", domain_of(cloud, entry["customerTenantId"]))
    console.press(f"Choose the subscription {entry['subscriptionId']}")
    console.sees("#order-list > li[aria-current]", "● can be cancelled until")

    console.page.get_by_label("Age the order or subscription by days").fill("10")
    console.press("Age it")

    console.sees("#order-list > li[aria-current]", "cancellation_window_passed")
