"""Whatever is sent to the live endpoint: an answer in one of two shapes, and nothing changed by mistake.

Bodies and headers come from hypothesis and go over HTTP through Azure's own runtime. Every round
is seeded by its number, so a failure comes back; `--soak` runs many rounds.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, NoReturn

import httpx
import pytest
from hypothesis import HealthCheck, Phase, event, given, seed, settings
from hypothesis import strategies as st

from shared.contract import BODY_LIMIT_BYTES, Outcome
from shared.errors import RETRYABLE_STATUSES, all_codes
from tests.conftest import CUSTOMER
from tests.local_cloud import Json, LocalCloud

EXAMPLES_PER_ROUND = 500
SOAK_ROUNDS = 40

type Members = list[tuple[str, str]]  # names and values as JSON text, so that names can repeat and values be no JSON
type Headers = dict[str, bytes]


class Sent(NamedTuple):
    """A request to the function; *chunked* ones carry no Content-Length."""

    body: bytes
    headers: Headers
    chunked: bool = False


NULL, TEXT = type(None), str
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

ANSWER: dict[str, set[type]] = {
    "outcome": {TEXT},
    "orderId": {TEXT},
    "alternateId": {TEXT, NULL},
    "customerTenantId": {TEXT},
    "status": {TEXT, NULL},
    "billingCycle": {TEXT, NULL},
    "currencyCode": {TEXT, NULL},
    "creationDate": {TEXT, NULL},
    "dryRun": {bool},
    "cancelledLineItems": {list},
    "lineItems": {list},
    "account": {TEXT},
    "ticketId": {TEXT, NULL},
    "requestId": {TEXT},
    "correlationId": {TEXT},
}
LINE: dict[str, set[type]] = {
    "lineItemNumber": {int, NULL},
    "offerId": {TEXT, NULL},
    "friendlyName": {TEXT, NULL},
    "quantity": {int, NULL},
    "termDuration": {TEXT, NULL},
    "subscriptionId": {TEXT, NULL},
    "cancelled": {bool},
}
PROBLEM: dict[str, set[type]] = {
    "type": {TEXT},
    "title": {TEXT},
    "status": {int},
    "detail": {TEXT},
    "instance": {TEXT},
    "code": {TEXT},
    "retryable": {bool},
    "errors": {list},
    "partnerCenter": {dict, NULL},
    "requestId": {TEXT},
    "correlationId": {TEXT},
}
FIELD_ERROR: dict[str, set[type]] = {"pointer": {TEXT}, "message": {TEXT}}
PARTNER_CENTER: dict[str, set[type]] = {"code": {TEXT, NULL}, "description": {TEXT, NULL}}
STATUS_OF = dict(all_codes())


def _weighted[T](*strategies: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """Return one that draws from each of *strategies* as often as its weight says; `one_of` drops repetitions."""
    parts = [strategy for weight, strategy in strategies for _ in range(weight)]
    return st.sampled_from(range(len(parts))).flatmap(parts.__getitem__)


# What is sent: values, as JSON text or as what people take for it.

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
_trees = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
_LITERALS = (
    ("null", "true", "false", "0", "-0", "0.0", "-1", "2147483647", "2147483648", "9223372036854775808", "1e3", "1E400")
    + ("NaN", "Infinity", "-Infinity", "True", "None", "undefined", "'x'", "“x”", "{{ticket.id}}", "01", ".5", "1_000")
    + (
        '""',
        '"\\u0000"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\x"',
        '"\t"',
        '"true"',
        '"0"',
        "[]",
        "{}",
        "[null]",
        "[{}]",
    )
    + ('[{"lineItemNumber": 0}, {"lineItemNumber": 0}]', '[{"lineItemNumber": true}]', '[{"lineItemNumber": 1.0}]')
    + ('[{"lineItemNumber": 0, "lineItemNumber": 1}]', '[{"lineItemNumber": 99}]', '[{"lineItemNumber": 0, "x": 1}]')
)
_numbers = st.builds(lambda digits, sign: sign + "9" * digits, st.integers(1, 6_000), st.sampled_from(("", "-", "0.")))
_deep = st.builds(
    lambda depth, opening, closing: opening * depth + "1" + closing * depth,
    st.sampled_from((2, 100, 900, 5_000, 10_000)),
    *(st.just(text) for text in ("[", "]")),
)
_deep_objects = st.integers(1, 9_000).map(lambda depth: '{"a":' * depth + "1" + "}" * depth)
_json_texts = _trees.map(json.dumps) | _trees.map(partial(json.dumps, indent=1))
_values = st.sampled_from(_LITERALS) | _json_texts | _numbers | _deep | _deep_objects

_NAMES = (
    "customerTenantId orderId lineItems account ticketId reason dryRun lineItemNumber offerId"
    " CustomerTenantId orderid line_items dryrun DRYRUN id status __proto__ $schema"
).split()
_names = st.sampled_from(_NAMES) | st.text(st.characters(), max_size=30) | st.just("x" * 5_000)


def _written(members: Members) -> bytes:
    """Return an object as JSON. Half surrogate pairs, which UTF-8 cannot carry, are written as escapes."""
    return ("{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in members) + "}").encode()


# Valid requests, and what befalls them.

_CUSTOMERS = (
    CUSTOMER,
    CUSTOMER.upper(),
    "45411344-b09d-47e7-9653-542006bf9766",
    "00000000-0000-0000-0000-000000000000",
)
_ACCOUNTS = ("default", "default", "rehearsal", "production", "closed", "limited", "nobody", "Default")
_ORDERS = (
    "5cf72f146967",  # a licence: refused as long as there is no change of the documents
    "refused-with-800061-000000000001",
    "unknown-order-1",
    "-" * 64,
)


def _valid(order_ids: tuple[str, ...]) -> st.SearchStrategy[Members]:
    """Requests that are in order: most are dry runs, the others ask for lines or the whole."""
    lines = st.sampled_from(('[{"lineItemNumber": 0}]', '[{"lineItemNumber": 2}, {"lineItemNumber": 1}]'))
    optional: dict[str, st.SearchStrategy[str]] = {
        "lineItems": lines,
        "account": st.sampled_from(_ACCOUNTS).map(json.dumps),
        "ticketId": st.text(max_size=100).map(json.dumps) | st.just("null"),
        "reason": st.text(max_size=50).map(json.dumps),
        "dryRun": st.sampled_from(("true", "true", "true", "true", "false")),
    }
    required = {
        "customerTenantId": st.sampled_from((CUSTOMER, *_CUSTOMERS)).map(json.dumps),
        "orderId": st.sampled_from((*order_ids, *order_ids, *_ORDERS)).map(json.dumps),
    }
    members = st.fixed_dictionaries(required | {"dryRun": optional.pop("dryRun")}, optional=optional)
    return members.map(lambda found: list(found.items())).flatmap(st.permutations)


@st.composite
def _mutated_members(draw: st.DrawFn, order_ids: tuple[str, ...]) -> Members:
    members = draw(_valid(order_ids))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(members) - 1)))
        match draw(st.sampled_from(("drop", "repeat", "retype", "rename", "add", "case"))):
            case "drop":
                del members[at : at + 1]
            case "repeat":
                members += [(name, draw(st.just(text) | _values)) for name, text in members[at : at + 1]]
            case "retype":
                members[at : at + 1] = [(name, draw(_values)) for name, _ in members[at : at + 1]]
            case "rename":
                members[at : at + 1] = [(draw(_names), text) for _, text in members[at : at + 1]]
            case "add":
                members.insert(at, (draw(_names), draw(_values)))
            case "case":
                members[at : at + 1] = [(name.upper(), text) for name, text in members[at : at + 1]]
    return members


_MARKS = (
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b",",
    b"}",
    b"//",
)


@st.composite
def _mutated_bytes(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    body = draw(bodies)
    at = draw(st.integers(0, len(body)))
    match draw(st.sampled_from(("cut", "insert", "replace", "prefix", "suffix", "fill", "utf-16"))):
        case "cut":
            return body[:at]
        case "insert":
            return body[:at] + draw(st.sampled_from(_MARKS) | st.binary(max_size=8)) + body[at:]
        case "replace":
            return body[:at] + draw(st.binary(min_size=1, max_size=4)) + body[at + 1 :]
        case "prefix":
            return draw(st.sampled_from(_MARKS)) + body
        case "suffix":
            return body + draw(st.sampled_from((*_MARKS, b"\n", b"{}")))
        case "fill":
            size = BODY_LIMIT_BYTES + draw(st.integers(-2, 2))
            return body.ljust(size, draw(st.sampled_from((b" ", b"\n", b"x"))))
        case _:
            return body.decode("utf-8", "replace").encode("utf-16")


def _bodies(order_ids: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    documents = _mutated_members(order_ids).map(_written)
    return _weighted(
        (10, documents),
        (4, _mutated_bytes(documents)),
        (2, _values.map(str.encode)),
        (2, st.binary(max_size=300)),
        (1, st.sampled_from((b"", b" ", b"{}", b"[]", b"null", b"customerTenantId=x&orderId=y", b"<cancel/>"))),
        (1, st.sampled_from((65_000, BODY_LIMIT_BYTES + 1, 200_000)).map(lambda size: b'{"reason": "' + b"x" * size)),
    )


# Every byte that HTTP lets through inside a header's value, more than most senders use.
_header_bytes = st.lists(
    st.sampled_from([bytes([code]) for code in (*range(0x01, 0x09), *range(0x20, 0x100))]), max_size=40
).map(lambda found: b"".join(found).strip())
_TRACE = "0af7651916cd43dd8448eb211c80319c"
_ODD_VALUES = {
    "content-type": (
        *("application/json; charset=utf-16", "application/json; charset", "text/plain", "", "json", ";", "é"),
        *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json, text/html"),
    ),
    "accept": ("*/*", "application/problem+json", "APPLICATION/PROBLEM+JSON;q=0.1", "text/html", "", "é"),
    "prefer": (
        *("wait=60", 'wait="7"', "WAIT=30;a=b", "respond-async, wait=9", "wait=999999999", "wait=9999999999", "wait="),
        *("wait=-1", "wait=1.5", "wait=1e9", "wait=²", "wait=٣".encode().decode("latin-1"), ",;=", ""),
    ),
    "traceparent": (f"00-{_TRACE}-b7ad6b7169203331-01", f"ff-{_TRACE}-b7ad6b7169203331-01", f"00-{'0' * 32}-x"),
    "content-encoding": ("identity", "gzip", "br", "deflate, gzip", "", "é"),
    "x-caller-key": ("", "secret", "é" * 40),
    "idempotency-key": ("", "8e03978e-40d5-43e8-bc93-6894a57f9324", '"8e03978e"', "é", "x" * 8_000),
    "x-request-id": ("", "1", "é"),
}
_odd_headers: st.SearchStrategy[Headers] = st.fixed_dictionaries(
    {},
    optional={
        name: _weighted((3, st.sampled_from([value.encode("latin-1") for value in values])), (1, _header_bytes))
        for name, values in _ODD_VALUES.items()
    },
)
_TAKEN = ("application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/cloudevents+json")


def _readable(headers: Headers, media_type: str) -> Headers:
    """Return *headers* without those for which the body would not be looked at."""
    others = {name: value for name, value in headers.items() if not name.startswith("content-")}
    return others | {"content-type": media_type.encode()}


_headers = _weighted((4, st.builds(_readable, _odd_headers, st.sampled_from(_TAKEN))), (1, _odd_headers))


def _anything(order_ids: tuple[str, ...]) -> st.SearchStrategy[Sent]:
    return st.builds(Sent, _bodies(order_ids), _headers, st.integers(0, 19).map(lambda found: found == 0))


# Requests that would cancel an order, each with one fault.

_JSON_HEADERS: Headers = {"content-type": b"application/json"}


def _whole(order_id: str) -> Members:
    return [("customerTenantId", json.dumps(CUSTOMER)), ("orderId", json.dumps(order_id))]


def _with_value(order_id: str, name: str, text: str) -> Sent:
    others = [pair for pair in _whole(order_id) if pair[0] != name]
    return Sent(_written([*others, (name, text)]), _JSON_HEADERS)


def _with_unknown(order_id: str, name: str, text: str) -> Sent:
    return Sent(_written([*_whole(order_id), (f"{name}?", text)]), _JSON_HEADERS)


def _repeated(order_id: str, at: int) -> Sent:
    members = _whole(order_id)
    return Sent(_written([*members, members[at]]), _JSON_HEADERS)


def _cut(order_id: str, by: int) -> Sent:
    return Sent(_written(_whole(order_id))[:-by], _JSON_HEADERS)


def _around(order_id: str, before: bytes, after: bytes) -> Sent:
    return Sent(before + _written(_whole(order_id)) + after, _JSON_HEADERS)


def _under(order_id: str, headers: Headers) -> Sent:
    return Sent(_written(_whole(order_id)), headers)


_BAD_VALUES = (
    ("lineItems", 'null [] {} true 0 [0] [null] [[]] [{}] [{"lineItemNumber":"0"}] [{"lineItemNumber":-1}]'),
    ("lineItems", '[{"lineItemNumber":0},{"lineItemNumber":0}] [{"lineItemNumber":0,"offerId":null}] "all"'),
    ("dryRun", 'null 0 1 "" "true" "false" [] {} NaN'),
    ("account", 'null 0 "" [] {} true "nobody" "\\ud800"'),
    ("ticketId", f'0 [] {{}} true "\\ud800" "{"x" * 101}"'),
    ("reason", f'0 [] {{}} false "\\udfff" "{"x" * 1_001}"'),
    ("customerTenantId", 'null 0 "" [] "contoso.onmicrosoft.com"'),
    ("orderId", 'null 0 "" [] "short" "with/slash" "../../customers" "order?status=1" "\\u0000\\u0000\\u0000\\u0000"'),
)
_BAD_HEADERS: tuple[Headers, ...] = (
    {"content-type": b"text/plain"},
    {"content-type": b""},
    {"content-type": b"application/json; charset=utf-16"},
    {"content-type": b"application/x-www-form-urlencoded"},
    _JSON_HEADERS | {"content-encoding": b"gzip"},
    _JSON_HEADERS | {"content-encoding": b""},
)


def _faulty(order_id: str) -> st.SearchStrategy[Sent]:
    """Requests without dryRun for an order that could be cancelled, each wrong in one way."""
    bad_values = [(name, text) for name, texts in _BAD_VALUES for text in texts.split()]
    sides = [*((mark, b"") for mark in _MARKS), *((b"", mark) for mark in _MARKS), (b"[", b"]"), (b"", b" " * 65_536)]
    odd_names = st.text(st.characters(), max_size=20)
    return st.one_of(
        st.sampled_from(bad_values).map(lambda pair: _with_value(order_id, *pair)),
        st.builds(partial(_with_unknown, order_id), odd_names, _values),
        st.integers(0, 1).map(partial(_repeated, order_id)),
        st.integers(1, 60).map(partial(_cut, order_id)),
        st.sampled_from(sides).map(lambda pair: _around(order_id, *pair)),
        st.sampled_from(_BAD_HEADERS).map(partial(_under, order_id)),
    )


# What comes back.


def _refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")


def _has_shape(thing: object, shape: dict[str, set[type]]) -> None:
    assert isinstance(thing, dict)
    assert thing.keys() == shape.keys()
    for name, types in shape.items():
        assert type(thing[name]) in types, name


def _check_answer(response: httpx.Response) -> Json:
    """Return the body of *response* if it is one of the two that a caller may ever see."""
    assert response.status_code < 500, response.text
    assert response.headers["cache-control"] == "no-store"
    body: Json = json.loads(response.content.decode(), parse_constant=_refuse_constant)
    assert isinstance(body, dict)
    assert GUID.fullmatch(body["requestId"])
    assert GUID.fullmatch(body["correlationId"])
    if response.status_code == 200:
        _has_shape(body, ANSWER)
        for line in body["lineItems"]:
            _has_shape(line, LINE)
        assert body["outcome"] in set(Outcome)
        assert all(type(number) is int for number in body["cancelledLineItems"])
        assert response.headers["content-type"] == "application/json"
        return body
    _has_shape(body, PROBLEM)
    for fault in body["errors"]:
        _has_shape(fault, FIELD_ERROR)
    if body["partnerCenter"] is not None:
        _has_shape(body["partnerCenter"], PARTNER_CENTER)
    assert (response.status_code, body["status"]) == (STATUS_OF[body["code"]],) * 2
    assert body["retryable"] == (response.status_code in RETRYABLE_STATUSES) == ("retry-after" in response.headers)
    asked_for = "application/problem+json" in response.request.headers.get("accept", "").lower()
    assert response.headers["content-type"] == ("application/problem+json" if asked_for else "application/json")
    return body


@dataclass
class Round:
    """What was answered in one round, to be held against what reached Partner Center."""

    cloud: LocalCloud
    answers: list[Json] = field(default_factory=list)

    def send(self, sent: Sent) -> None:
        """Send the request and check its answer."""
        url, key = self.cloud.description["functionUrl"], self.cloud.description["functionKey"]
        content = [sent.body] if sent.chunked else sent.body
        request = httpx.Request("POST", url, content=content, headers=[("x-functions-key", key), *sent.headers.items()])
        response = self.cloud.http.send(request)
        self.answers.append(_check_answer(response))
        event(f"{response.status_code} {self.answers[-1].get('code') or self.answers[-1]['outcome']}")

    def refuse(self, sent: Sent) -> None:
        """Send the request, which has a fault, and check that the answer says so."""
        self.send(sent)
        assert self.answers[-1]["status"] in {400, 413, 415}

    def check_patches(self) -> None:
        """Only what was answered as done, or as refused by Partner Center, may have reached it as a PATCH."""
        accountable = {
            answer["requestId"]
            for answer in self.answers
            if (answer["dryRun"] is False if "outcome" in answer else answer["partnerCenter"] is not None)
        }
        patches = [one for one in self.cloud.requests("partner_center") if one["method"] == "PATCH"]
        assert {patch["headers"]["ms-requestid"] for patch in patches} <= accountable

    def check_orders(self, before: dict[str, Json]) -> None:
        """Each order is as it was *before*, but for the lines that an answer named as cancelled."""
        for order_id, order in before.items():
            done = [a for a in self.answers if a.get("orderId") == order_id and a["dryRun"] is False]
            now = self.cloud.order(order_id)
            if not done:
                assert now == order
                continue
            cancelled = [line["lineItemNumber"] for line in now["lineItems"] if line["quantity"] == 0]
            if now["status"] == "cancelled":
                cancelled = [line["lineItemNumber"] for line in now["lineItems"]]
            assert done[-1]["cancelledLineItems"] == cancelled


@pytest.fixture
def new_orders(_order_ids: Iterator[str]) -> Callable[[int], tuple[str, ...]]:  # noqa: PT019  (its value is used)
    return lambda count: tuple(next(_order_ids) for _ in range(count))


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> range:
    return range(SOAK_ROUNDS if request.config.getoption("--soak") else 1)


def _examples(count: int) -> settings:
    return settings(
        derandomize=True,
        database=None,  # what failed once is found again: rounds are seeded
        max_examples=count,
        deadline=None,  # an answer waits for the machine's other work
        phases=(Phase.generate, Phase.shrink),
        # Bodies of 64 KiB, and live HTTP, are slow to make and big; that is the point here.
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example),
    )


def _errors_in(log: str) -> list[str]:
    return [line for line in log.splitlines() if "Traceback" in line or " ERROR " in line or " CRITICAL " in line]


def _feed(number: int, count: int, requests: st.SearchStrategy[Sent], check: Callable[[Sent], None]) -> None:
    @seed(number)
    @_examples(count)
    @given(requests)
    def one(sent: Sent) -> None:
        check(sent)

    one()


def test_any_request_gets_an_answer_in_shape_and_changes_only_what_the_answer_says(
    cloud: LocalCloud, new_orders: Callable[[int], tuple[str, ...]], rounds: range
) -> None:
    already_logged = len(cloud.log.read_text())
    for number in rounds:
        [untouched, *others] = order_ids = new_orders(4)
        before = {order_id: cloud.order(order_id) for order_id in order_ids}
        cloud.forget()
        this = Round(cloud)

        _feed(number, EXAMPLES_PER_ROUND * 4 // 5, _anything(tuple(others)), this.send)
        _feed(number, EXAMPLES_PER_ROUND // 5, _faulty(untouched), this.refuse)

        this.check_patches()
        this.check_orders(before)
        assert cloud.order(untouched) == before[untouched]
        assert any("outcome" in answer for answer in this.answers), "nothing valid was sent"
    assert _errors_in(cloud.log.read_text()[already_logged:]) == []
