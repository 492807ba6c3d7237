"""The sample flow, run against the live function: it cancels an order only if a person approves."""

import json
from pathlib import Path

import pytest

from tests.conftest import CUSTOMER
from tests.support.local_cloud import ROOT, Json, LocalCloud
from tests.support.workflow import FAILED, SUCCEEDED, Run

FLOW: Json = json.loads(Path(ROOT / "infra/power-automate/cancel-order-flow.json").read_text())
DEFAULTS = {name: parameter["defaultValue"] for name, parameter in FLOW["parameters"].items()}


def note_after_flow(cloud: LocalCloud, order_id: str, decision: str = "Approve", key: str | None = None) -> str:
    """Run the flow for the whole order and return the note that the ticket gets."""
    notes: list[str] = []

    def send(name: str, inputs: Json) -> tuple[str, Json]:
        if name == "Approval":
            return SUCCEEDED, {"body": {"outcome": decision}}
        if name == "Tell_the_ticket":
            notes.append(inputs["body"]["ticket"]["comment"]["body"])
            return SUCCEEDED, {}
        response = cloud.http.request(
            inputs["method"], inputs["uri"], content=json.dumps(inputs["body"]), headers=inputs["headers"]
        )
        outputs: Json = {
            "statusCode": response.status_code,
            "headers": {header.title(): value for header, value in response.headers.items()},  # as .NET spells them
        }
        if response.content:
            outputs["body"] = response.json()
        return SUCCEEDED if response.is_success else FAILED, outputs

    parameters = DEFAULTS | {
        "functionUrl": cloud.description["functionUrl"],
        "functionKey": key or cloud.description["functionKey"],
    }
    request = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": "ZD-48151"}
    assert Run(FLOW, request, parameters, send).start() == SUCCEEDED
    [note] = notes
    return note


def test_an_approved_order_is_cancelled_once(cloud: LocalCloud, order_id: str) -> None:
    first, second = note_after_flow(cloud, order_id), note_after_flow(cloud, order_id)

    assert first == f"Order {order_id} is cancelled."
    assert second == f"Nothing was left to cancel in order {order_id}."
    assert [request["method"] for request in cloud.requests("partner_center")].count("PATCH") == 1


def test_an_order_that_nobody_approves_stays(cloud: LocalCloud, order_id: str) -> None:
    before = cloud.order(order_id)

    assert "not approved" in note_after_flow(cloud, order_id, decision="Reject")
    assert cloud.order(order_id) == before


@pytest.mark.parametrize(
    ("order", "key", "expected"),
    [
        pytest.param("no-such-order", None, "order_not_found", id="the function's, with a code"),
        pytest.param(None, "x", "401", id="the host's, without a body"),
    ],
)
def test_a_refusal_is_in_the_note(
    cloud: LocalCloud, order_id: str, order: str | None, key: str | None, expected: str
) -> None:
    assert expected in note_after_flow(cloud, order or order_id, key=key)
