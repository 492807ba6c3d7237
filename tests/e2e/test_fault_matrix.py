"""Each fault, at each step that it can hit, once and twice: the caller gets the truth.

Each cell of the matrix has an order of its own, and sends its requests over HTTP to Azure's own runtime.
The first answer must be the expected one. The caller repeats for as long as the answer says so, as a
webhook does, until the fault is over. Each answer is compared with the order, or its subscription, at that moment.

`--soak` runs all cells; without it a part of them (tests/support/fault_matrix/cells.py), each step and each fault too.
"""

import pytest

from tests.support.answers import check_shape
from tests.support.fault_matrix.cells import Cell, cells
from tests.support.fault_matrix.expected import DONE, MAY_BE_DONE, SCHEDULED, STATUS, TO_REPEAT
from tests.support.fault_matrix.faults import ELSEWHERE
from tests.support.fault_matrix.run import Call, Findings, run_matrix
from tests.support.functions_host import audit_records, logged_errors
from tests.support.local_cloud import Json

HUGE_MIB = 64  # that the function's process may grow by while it gets several huge answers at once


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" in metafunc.fixturenames:
        chosen = cells(is_long=metafunc.config.getoption("--soak"))
        metafunc.parametrize("cell", chosen, ids=[cell.name for cell in chosen])


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Findings:
    return run_matrix(tmp_path_factory.mktemp("matrix"), cells(is_long=pytestconfig.getoption("--soak")))


def test_the_caller_gets_the_truth(findings: Findings, cell: Cell) -> None:
    calls = findings.calls[cell]
    results = [call.answer.result for call in calls]

    assert results[0] in cell.expected, results
    for call in calls:
        check_shape(call.answer)
        assert call.answer.status == STATUS[call.answer.result]
        check_against_state(call, cell)
    if cell.expected & TO_REPEAT:
        assert results[-1] in DONE, results


def check_against_state(call: Call, cell: Cell) -> None:
    """Compare what the answer claims with what happened to the order or the subscription."""
    result, state = call.answer.result, call.state_after
    cancelled = cancelled_lines(state)
    done = scheduled_lines(state) if cell.is_for_term_end else cancelled
    assert done in (set(), cell.lines), "more or less was changed than the request names"
    assert not (cell.is_for_term_end and cancelled), "cancelled now, though it was to end with its term"
    assert (result in SCHEDULED) <= cell.is_for_term_end
    if result in DONE:
        assert done == cell.lines
    elif result not in MAY_BE_DONE:
        assert state == call.state_before
    if call.answer.status in {404, 422}:
        assert done != cell.lines, "the answer is a final refusal, and what it refuses is done"
    if shown := call.answer.body.get("order"):
        shown_lines = {number for number, line in enumerate(shown["lineItems"]) if line["cancelled"]}
        # A line whose subscription could not be read is shown as the order has it.
        unread = {
            number
            for number, line in enumerate(shown["lineItems"])
            if line["subscriptionId"] and not line["subscriptionStatus"]
        }
        assert shown_lines - unread in (cancelled_lines(call.state_before) - unread, cancelled - unread)


def cancelled_lines(state: Json) -> set[int]:
    """Return the numbers of the cancelled lines of an order; a subscription is line 0."""
    if "lineItems" not in state:
        return {0} if state["status"] == "deleted" else set()
    is_cancelled = state["status"] == "cancelled"
    return {line["lineItemNumber"] for line in state["lineItems"] if is_cancelled or line["quantity"] == 0}


def scheduled_lines(subscription: Json) -> set[int]:
    """Return line 0 if the subscription is set to end with its term."""
    actions = subscription.get("scheduledActions", [])
    is_cancel_there = {"scheduleType": "TermEnd", "actionType": "Cancel"} in actions
    return {0} if is_cancel_there and subscription["autoRenewEnabled"] is False else set()


def test_each_fault_met_a_request_of_its_step(findings: Findings) -> None:
    """Otherwise a call that needed no such request would pass for one that got over the fault."""
    assert findings.cells_without_their_step == []


def test_a_redirect_takes_no_token_elsewhere(findings: Findings) -> None:
    elsewhere = [request for request in findings.requests if request["path"].startswith(ELSEWHERE)]

    assert [request for request in elsewhere if "authorization" in request["headers"] or request["body"]] == []


def test_no_huge_answer_of_partner_center_is_read_whole(findings: Findings) -> None:
    assert findings.grown_mib < HUGE_MIB


def test_each_answer_is_in_the_audit_record_once(findings: Findings) -> None:
    records = [record for log in findings.logs for record in audit_records(log)]
    decided = [record for record in records if record["event"] == "decided"]
    sending = [record["requestId"] for record in records if record["event"] == "sending"]

    recorded = {record["requestId"]: (record["status"], record["outcome"] or record["code"]) for record in decided}
    for calls in findings.calls.values():
        for answer, *_ in calls:
            assert recorded[answer.request_id] == (answer.status, answer.result)
    assert len(recorded) == len(decided)
    assert len(sending) == len(set(sending))
    assert set(sending) <= recorded.keys()


def test_nothing_went_wrong_in_the_log(findings: Findings) -> None:
    for log in findings.logs:
        # A stand-in has a traceback for a connection that its fault broke. What the function logs has a level.
        assert [line for line in logged_errors(log) if not line.startswith("Traceback")] == []
