"""The function's answers as tests see them: two shapes, whose members never change."""

import json
import re
from typing import NamedTuple, NoReturn, Self

import httpx

from shared.contract import Outcome
from shared.errors import RETRYABLE_STATUSES, all_codes
from tests.support.local_cloud import Json

type Shape = dict[str, set[type]]  # the members of a JSON object, and the types that each may have

NULL, TEXT = type(None), str
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RETRY_AFTER = re.compile(r"[1-9]|[1-5][0-9]")  # Zendesk repeats a 429 or 503 only with a Retry-After below 60
STATUS_OF = dict(all_codes())

ORDER: Shape = {
    "orderId": {TEXT, NULL},
    "subscriptionId": {TEXT, NULL},
    "when": {TEXT},
    "alternateId": {TEXT, NULL},
    "customerTenantId": {TEXT},
    "status": {TEXT, NULL},
    "billingCycle": {TEXT, NULL},
    "currencyCode": {TEXT, NULL},
    "creationDate": {TEXT, NULL},
    "cancelledLineItems": {list},
    "lineItems": {list},
}
RESULT: Shape = ORDER | {
    "outcome": {TEXT},
    "message": {TEXT},
    "dryRun": {bool},
    "account": {TEXT},
    "ticketId": {TEXT, NULL},
    "requestId": {TEXT},
    "correlationId": {TEXT},
}
LINE: Shape = {
    "lineItemNumber": {int, NULL},
    "offerId": {TEXT, NULL},
    "friendlyName": {TEXT, NULL},
    "quantity": {int, NULL},
    "termDuration": {TEXT, NULL},
    "subscriptionId": {TEXT, NULL},
    "cancelled": {bool},
    "code": {TEXT, NULL},
    "cancellable": {bool, NULL},
    "subscriptionStatus": {TEXT, NULL},
    "autoRenew": {bool, NULL},
    "termEndsOn": {TEXT, NULL},
    "endsAtTerm": {bool, NULL},
    "replaces": {TEXT, NULL},
    "cancellableUntil": {TEXT, NULL},
    "refund": {TEXT, NULL},
}
PROBLEM: Shape = {
    "type": {TEXT},
    "title": {TEXT},
    "status": {int},
    "detail": {TEXT},
    "instance": {TEXT},
    "code": {TEXT},
    "retryable": {bool},
    "errors": {list},
    "partnerCenter": {dict, NULL},
    "order": {dict, NULL},
    "requestId": {TEXT},
    "correlationId": {TEXT},
}
FIELD_ERROR: Shape = {"pointer": {TEXT}, "message": {TEXT}}
PARTNER_CENTER_ERROR: Shape = {"code": {TEXT, NULL}, "description": {TEXT, NULL}}


class Answer(NamedTuple):
    """One answer of the function, its JSON decoded."""

    status: int
    headers: httpx.Headers
    body: Json

    @classmethod
    def of(cls, response: httpx.Response) -> Self:
        """Read *response*, whose body must be a JSON object: NaN and Infinity are no JSON."""
        body = json.loads(response.content.decode(), parse_constant=_reject_constant)
        assert isinstance(body, dict)
        return cls(response.status_code, response.headers, body)

    @property
    def outcome(self) -> str | None:
        """The outcome of a 200; None for a problem."""
        outcome: str | None = self.body.get("outcome")
        return outcome

    @property
    def code(self) -> str | None:
        """The code of a problem; None for a 200."""
        code: str | None = self.body.get("code")
        return code

    @property
    def result(self) -> str:
        """The outcome or the code, on which callers branch."""
        return str(self.outcome or self.code)

    @property
    def request_id(self) -> str:
        return str(self.body["requestId"])

    @property
    def retry_after(self) -> str | None:
        seconds: str | None = self.headers.get("retry-after")
        return seconds


def check_shape(answer: Answer, media_type: str = "application/json") -> None:
    """Check what holds for each answer, for any request and any fault."""
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "no-store"
    if answer.status == 200:
        _check_result(answer)
    else:
        _check_problem(answer)
    assert GUID.fullmatch(answer.body["requestId"])
    assert GUID.fullmatch(answer.body["correlationId"])


def _check_result(answer: Answer) -> None:
    _check_order(answer.body, RESULT)
    assert answer.outcome in set(Outcome)
    assert re.fullmatch(r"[^\n\r{}<>]+\.", answer.body["message"])
    assert answer.retry_after is None


def _check_order(order: Json, shape: Shape) -> None:
    _check_members(order, shape)
    for line in order["lineItems"]:
        _check_members(line, LINE)
    assert all(type(number) is int for number in order["cancelledLineItems"])


def _check_problem(answer: Answer) -> None:
    _check_members(answer.body, PROBLEM)
    for error in answer.body["errors"]:
        _check_members(error, FIELD_ERROR)
    if answer.body["partnerCenter"] is not None:
        _check_members(answer.body["partnerCenter"], PARTNER_CENTER_ERROR)
    if answer.body["order"] is not None:
        _check_order(answer.body["order"], ORDER)
    assert answer.body["detail"]
    assert (answer.status, answer.body["status"]) == (STATUS_OF[answer.body["code"]],) * 2
    assert answer.body["retryable"] == (answer.status in RETRYABLE_STATUSES)
    if answer.body["retryable"]:
        assert RETRY_AFTER.fullmatch(answer.retry_after or "")
    else:
        assert answer.retry_after is None


def _check_members(thing: object, shape: Shape) -> None:
    assert isinstance(thing, dict)
    assert thing.keys() == shape.keys()
    for name, types in shape.items():
        assert type(thing[name]) in types, name


def _reject_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")
