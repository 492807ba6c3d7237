"""The sample flow, run against the live function: an order is cancelled if, and only if, somebody approves."""

import json
from pathlib import Path

import pytest

from tests.conftest import CUSTOMER
from tests.support.local_cloud import ROOT, Json, LocalCloud
from tests.support.workflow import FAILED, SUCCEEDED, Run

FLOW: Json = json.loads(Path(ROOT / "infra/power-automate/cancel-order-flow.json").read_text())
DEFAULTS = {name: parameter["defaultValue"] for name, parameter in FLOW["parameters"].items()}


def told(cloud: LocalCloud, order_id: str, decision: str = "Approve", key: str | None = None) -> str:
    """Run the flow for the whole order, and return what the ticket is told."""
    notes: list[str] = []

    def send(name: str, inputs: Json) -> tuple[str, Json]:
        if name == "Approval":
            return SUCCEEDED, {"body": {"outcome": decision}}
        if name == "Tell_the_ticket":
            notes.append(inputs["body"]["ticket"]["comment"]["body"])
            return SUCCEEDED, {}
        answer = cloud.http.request(
            inputs["method"], inputs["uri"], content=json.dumps(inputs["body"]), headers=inputs["headers"]
        )
        outputs: Json = {
            "statusCode": answer.status_code,
            "headers": {header.title(): value for header, value in answer.headers.items()},  # as .NET spells them
        }
        if answer.content:
            outputs["body"] = answer.json()
        return SUCCEEDED if answer.is_success else FAILED, outputs

    parameters = DEFAULTS | {
        "functionUrl": cloud.description["functionUrl"],
        "functionKey": key or cloud.description["functionKey"],
    }
    asked = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": "ZD-48151"}
    assert Run(FLOW, asked, parameters, send).start() == SUCCEEDED
    [note] = notes
    return note


def test_an_approved_order_is_cancelled_once(cloud: LocalCloud, order_id: str) -> None:
    first, second = told(cloud, order_id), told(cloud, order_id)

    assert first == f"Order {order_id} is cancelled."
    assert second == f"Nothing was left to cancel in order {order_id}."
    assert [one["method"] for one in cloud.requests("partner_center")].count("PATCH") == 1


def test_an_order_that_nobody_approves_stays(cloud: LocalCloud, order_id: str) -> None:
    before = cloud.order(order_id)

    assert "not approved" in told(cloud, order_id, decision="Reject")
    assert cloud.order(order_id) == before


@pytest.mark.parametrize(("order", "key", "words"), [("no-such-order", None, "order_not_found"), (None, "x", "401")])
def test_a_refusal_is_told(cloud: LocalCloud, order_id: str, order: str | None, key: str | None, words: str) -> None:
    """Of ours, which has a code, and of the host's, which has nothing."""
    assert words in told(cloud, order or order_id, key=key)
