"""Answers to other requests, by the ids that Partner Center echoes."""

import pytest

from shared.connections.echoed_ids import REMEMBERED, EchoedIds

ORIGIN = "https://partner-center"
type Headers = dict[str, str]


def headers(request_id: str | None, correlation_id: str | None) -> Headers:
    named = {"ms-requestid": request_id, "ms-correlationid": correlation_id}
    return {name: value for name, value in named.items() if value is not None}


SENT = headers("Request-1", "Call-1")


def is_of_another(answer: Headers, ids: EchoedIds | None = None, *, is_first: bool = False) -> bool:
    ids = ids or EchoedIds()
    ids.note_sent(SENT)
    return ids.is_of_another_request(ORIGIN, SENT, answer, is_first=is_first)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(headers("request-1", "CALL-1"), False, id="echoed-in-another-case"),
        pytest.param(headers("request-2", "call-2"), True, id="both-of-another"),
        pytest.param(headers("request-2", "call-1"), False, id="only-the-request-id"),
        pytest.param(headers("request-1", "call-2"), False, id="only-the-correlation-id"),
        pytest.param(headers("request-2", None), False, id="no-correlation-id"),
        pytest.param(headers(None, "call-2"), False, id="no-request-id"),
        pytest.param(headers("", ""), False, id="blank"),
        pytest.param({}, False, id="no-ids"),
    ],
)
def test_both_ids_must_be_those_of_another_request(answer: Headers, expected: bool) -> None:
    assert is_of_another(answer) is expected


def test_an_id_of_this_worker_proves_it_alone() -> None:
    """The look at an order has the correlation id of its PATCH; a gateway cannot invent the request id."""
    ids = EchoedIds()
    ids.note_sent(headers("request-0", "call-1"))

    assert is_of_another(headers("REQUEST-0", "call-1"), ids)


def test_a_gateway_with_ids_of_its_own_is_believed() -> None:
    """It shows on a new connection, where nobody else can have asked."""
    ids = EchoedIds()

    assert not is_of_another(headers("gateway-1", "gateway-1"), ids, is_first=True)
    assert not is_of_another(headers("gateway-2", "gateway-2"), ids)
    assert ids.is_of_another_request("https://another", SENT, headers("gateway-3", "gateway-3"), is_first=False)


def test_behind_such_a_gateway_an_answer_to_an_earlier_request_is_still_recognised() -> None:
    ids = EchoedIds()
    ids.note_sent(headers("request-0", "call-0"))
    is_of_another(headers("gateway-1", "gateway-1"), ids, is_first=True)

    assert is_of_another(headers("request-0", "call-0"), ids)


def test_old_ids_are_forgotten() -> None:
    ids = EchoedIds()
    for number in range(2 * REMEMBERED):
        ids.note_sent(headers(f"id-{number}", "call"))

    assert len(ids.__dict__["_sent"]) == REMEMBERED
    assert is_of_another(headers(f"id-{2 * REMEMBERED - 1}", "call-1"), ids)


def test_a_request_without_ids_has_no_wrong_answer() -> None:
    ids = EchoedIds()
    ids.note_sent({})

    assert not ids.is_of_another_request(ORIGIN, {}, headers("request-2", "call-2"), is_first=False)
