"""What a ticket is told: only a look proves a success, only the message knows a refusal."""

from typing import Any

import pytest

from shared.contract import CancelResult, OrderState, Outcome
from shared.errors import CancelError, CancelRefused, NotFound, Unavailable
from shared.messages import OPEN, STILL_OPEN, of_code
from shared.tickets.follow_up import OPEN_STEPS, OpenStep
from shared.tickets.told import decide, note_of, open_note
from tests.support.follow_ups import GUID, NOW, ORDER_ID, REQUEST, follow_up, line, order

DRY = {"request": REQUEST | {"dryRun": True}, "decidedAt": NOW - 60}
REFUSED = {"code": "not_cancellable", "decidedAt": NOW - 60}
LINES = {"request": REQUEST | {"lineItems": [{"lineItemNumber": 0}]}}
DONE = order(line(0, cancelled=True), line(1, cancelled=True))
HALF = order(line(0, cancelled=True), line(1))
OPEN_ORDER = order(line(0), line(1))
BUSY = Unavailable("partner_center_unavailable", "")
GONE = NotFound("order_not_found", "")


def look(found: OrderState | CancelError | None) -> CancelResult | CancelError | None:
    if not isinstance(found, OrderState):
        return found
    ours = {"dry_run": True, "account": "default", "ticket_id": None, "request_id": GUID, "correlation_id": GUID}
    fields = {name: getattr(found, name) for name in type(found).model_fields}
    return CancelResult.model_validate(fields | ours | {"outcome": Outcome.DRY_RUN, "message": ""})


@pytest.mark.parametrize(
    ("changes", "found", "state", "decided_at"),
    [
        pytest.param({}, DONE, "cancelled", NOW, id="done"),
        pytest.param({}, HALF, None, NOW, id="half done"),
        pytest.param({}, OPEN_ORDER, None, NOW, id="not done"),
        pytest.param(LINES, HALF, "cancelled", NOW, id="the lines are done"),
        pytest.param({}, BUSY, None, NOW, id="no look"),
        pytest.param({}, GONE, None, NOW, id="not found, nobody knows why"),
        pytest.param(REFUSED, OPEN_ORDER, "refused:not_cancellable", NOW - 60, id="refused"),
        pytest.param(REFUSED, BUSY, "refused:not_cancellable", NOW - 60, id="refused, no look"),
        pytest.param(REFUSED, DONE, "cancelled", NOW, id="refused, and done by another request"),
        pytest.param({"request": None, "code": "invalid_request"}, None, "refused:invalid_request", NOW, id="faults"),
        pytest.param(DRY, OPEN_ORDER, "dry_run", NOW - 60, id="a dry run"),
        pytest.param(DRY, DONE, "cancelled", NOW, id="a dry run of what is done"),
        pytest.param(DRY, BUSY, None, NOW, id="a dry run, no look yet"),
        pytest.param(
            DRY | {"looks": 3}, BUSY, "refused:partner_center_unavailable", NOW - 60, id="a dry run, no look at all"
        ),
        pytest.param(DRY, GONE, "refused:order_not_found", NOW - 60, id="a dry run of what is not there"),
        pytest.param(DRY | REFUSED, OPEN_ORDER, "refused:not_cancellable", NOW - 60, id="a dry run, refused"),
    ],
)
def test_what_a_ticket_is_told(
    changes: dict[str, Any], found: OrderState | CancelError | None, state: str | None, decided_at: float
) -> None:
    told = decide(follow_up(**changes), look(found), NOW)

    assert (told and told.state) == state
    if told:
        assert told.decided_at == decided_at


def test_a_refusal_is_told_in_words_of_ours() -> None:
    told = decide(follow_up(code="not_cancellable"), CancelRefused("not_cancellable", "words of somebody else"), NOW)

    assert told is not None
    assert told.sentence == of_code("not_cancellable")


def test_the_lines_that_live_on_are_told() -> None:
    told = decide(follow_up(**LINES), look(HALF), NOW)

    assert told is not None
    assert "Other products of the order are not cancelled" in told.sentence


@pytest.mark.parametrize("step", OPEN_STEPS)
def test_an_open_end_is_told_with_the_time_of_its_intent(step: OpenStep) -> None:
    told = open_note(follow_up(decidedAt=NOW - 1_200), step)

    sentences = {None: None, "open": OPEN, "still_open": STILL_OPEN}
    assert (told and told.sentence) == sentences[step.state]
    assert told is None or told.decided_at == NOW - 1_200


def test_a_note_names_what_the_request_names() -> None:
    told = decide(follow_up(), look(DONE), NOW)
    assert told is not None

    note = note_of(follow_up(), told)

    assert note.marker == (follow_up().key, "cancelled", NOW)
    assert note.lines[1] == f"Order {ORDER_ID}, customer {GUID}, correlation id {GUID}."
