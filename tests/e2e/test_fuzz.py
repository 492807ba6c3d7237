"""Whatever is sent to the live endpoint: an answer in one of two shapes, and nothing changed by mistake.

Bodies and headers come from hypothesis and go over HTTP through Azure's own runtime. Every round
is seeded by its number, so a failure comes back; `--soak` runs many rounds.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from shared.contract import Outcome
from shared.errors import RETRYABLE_STATUSES, all_codes
from shared.http_request import BODY_LIMIT_BYTES
from tests.conftest import CUSTOMER
from tests.support.local_cloud import Json, LocalCloud

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
_JSON = (
    *("null", "true", "false", "0", "-0", "0.0", "-1", "2147483647", "2147483648", "9223372036854775808", "1E400"),
    *('""', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"true"', '"0"', "[]", "{}", "[null]", "[{}]"),
    *('[{"lineItemNumber": 0}, {"lineItemNumber": 0}]', '[{"lineItemNumber": true}]', '[{"lineItemNumber": 1.0}]'),
    *('[{"lineItemNumber": 0, "offerId": "x"}]', '[{"lineItemNumber": 99}]', '[{"lineItemNumber": 0, "x": 1}]'),
    *('{"\\ud800": 1}', '[{"lineItemNumber": 0, "\\udfff": 1}]'),
)
_NO_JSON = (
    *("NaN", "Infinity", "-Infinity", "True", "None", "undefined", "'x'", "“x”", "{{ticket.id}}", "01", ".5", "1_000"),
    *("", '"\\x"', '"\t"', "[1,]", '{"a": 1, "a": 2}', '[{"lineItemNumber": 0, "lineItemNumber": 1}]'),
)
# CPython reads integers of up to 4,300 digits, and some 10,000 to 30,000 levels of nesting.
_numbers = st.builds(
    "{}{}".format, st.sampled_from(("", "-", "0.")), st.sampled_from((20, 400, 4_301)).map("9".__mul__)
)
_DEEP = (*("[" * depth + "1" + "]" * depth for depth in (100, 900, 9_000, 30_000)), '{"a":' * 9_000 + "1" + "}" * 9_000)
_values = _weighted(
    (6, st.sampled_from(_JSON)),
    (6, _trees.map(json.dumps)),
    (2, st.sampled_from(_NO_JSON)),
    (1, _numbers),
    (1, st.sampled_from(_DEEP)),
)

_NAMES = (
    *("customerTenantId", "orderId", "lineItems", "account", "ticketId", "reason", "dryRun", "lineItemNumber"),
    *(
        "CustomerTenantId",
        "orderid",
        "line_items",
        "dryrun",
        "DRYRUN",
        "id",
        "status",
        "__proto__",
        "$schema",
        "\ud800",
    ),
)
_names = st.sampled_from(_NAMES) | st.text(st.characters(), max_size=30) | st.just("x" * 5_000)


def _written(members: Members) -> bytes:
    """Return an object as JSON. Half surrogate pairs, which UTF-8 cannot carry, are written as escapes."""
    return ("{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in members) + "}").encode()


# Valid requests, and what befalls them.

_ACCOUNTS = ("default", "default", "default", "rehearsal", "production", "closed", "limited", "nobody", "Default")
_PLACES = (  # customers and orders beside those that the round has for itself
    ("f81d98dd-c2f4-499e-a194-5619e260344e", "5cf72f146967"),  # refused: a licence
    ("45411344-b09d-47e7-9653-542006bf9766", "refused-with-800061-0000000000001"),  # refused by Partner Center
    ("4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04", "stranger-000000000000000000000001"),
    ("00000000-0000-0000-0000-000000000000", "unknown-order-1"),
    (CUSTOMER, "-" * 64),
)


def _valid(order_ids: tuple[str, ...]) -> st.SearchStrategy[Members]:
    """Requests that are in order: most are dry runs, the others ask for lines or the whole."""
    own = [(customer, order_id) for order_id in order_ids for customer in (CUSTOMER, CUSTOMER.upper())]

    def members(place: tuple[str, str], rest: dict[str, str]) -> Members:
        customer, order_id = place
        return [("customerTenantId", json.dumps(customer)), ("orderId", json.dumps(order_id)), *rest.items()]

    lines = ('[{"lineItemNumber": 0}]', '[{"lineItemNumber": 2}, {"lineItemNumber": 1}]', '[{"lineItemNumber": 9}]')
    rest = st.fixed_dictionaries(
        {"dryRun": _weighted((3, st.just("true")), (1, st.just("false")))},
        optional={
            "lineItems": st.sampled_from(lines),
            "account": st.sampled_from(_ACCOUNTS).map(json.dumps),
            "ticketId": st.text(max_size=100).map(json.dumps) | st.just("null"),
            "reason": st.text(max_size=50).map(json.dumps),
        },
    )
    places = _weighted((2, st.sampled_from(own)), (1, st.sampled_from(_PLACES)))
    return st.builds(members, places, rest).flatmap(st.permutations)


@st.composite
def _mutated_members(draw: st.DrawFn, order_ids: tuple[str, ...]) -> Members:
    members = draw(_valid(order_ids))
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 1, 2, 3)))):
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
    junk = draw(st.sampled_from(_MARKS) | st.binary(min_size=1, max_size=8))
    size = BODY_LIMIT_BYTES + draw(st.sampled_from((0, 1, -1)))
    mutants = {
        "insert": body[:at] + junk + body[at:],
        "replace": body[:at] + junk + body[at + len(junk) :],
        "cut": body[:at],
        "prefix": junk + body,
        "suffix": body + junk,
        "pad": body.ljust(size),
        "utf-16": body.decode().encode("utf-16"),
    }
    return mutants[draw(st.sampled_from(tuple(mutants)))]


def _bodies(order_ids: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    documents = _mutated_members(order_ids).map(_written)
    return _weighted(
        (14, documents),
        (3, _mutated_bytes(documents)),
        (1, _values.map(str.encode)),
        (1, st.binary(max_size=300)),
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
    return st.builds(Sent, _bodies(order_ids), _headers, _weighted((19, st.just(False)), (1, st.just(True))))


# Requests that would cancel an order, each with one fault.

_JSON_HEADERS: Headers = {"content-type": b"application/json"}


def _whole(order_id: str) -> Members:
    return [("customerTenantId", json.dumps(CUSTOMER)), ("orderId", json.dumps(order_id))]


_BAD_VALUES = (
    ("lineItems", 'null [] {} true 0 [0] [null] [[]] [{}] [{"lineItemNumber":"0"}] [{"lineItemNumber":-1}]'),
    ("lineItems", '[{"lineItemNumber":0},{"lineItemNumber":0}] [{"lineItemNumber":0,"offerId":null}] "all"'),
    ("lineItems", '[{"lineItemNumber":0,"lineItemNumber":1}] [{"lineItemNumber":0,"\\ud800":1}]'),
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


_BAD_TEXTS = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x00", b"\n", b"\\x", b"\\ud800", b'"')


def _known_faults(order_id: str) -> Iterator[Sent]:
    """Yield requests without dryRun for an order that could be cancelled, each wrong in one way."""
    whole = _written(_whole(order_id))
    for name, texts in _BAD_VALUES:
        for text in texts.split():
            others = [pair for pair in _whole(order_id) if pair[0] != name]
            yield Sent(_written([*others, (name, text)]), _JSON_HEADERS)
    for unknown in (("x", "1"), ("\ud800", "1"), ("x", "9" * 5_000), *(("x", text) for text in _DEEP)):
        yield Sent(_written([*_whole(order_id), unknown]), _JSON_HEADERS)
    for member in _whole(order_id):
        yield Sent(_written([*_whole(order_id), member]), _JSON_HEADERS)
        yield Sent(_written([member]), _JSON_HEADERS)
    for mark in _MARKS:
        yield Sent(mark + whole, _JSON_HEADERS)
        yield Sent(whole + mark, _JSON_HEADERS)
    for raw in _BAD_TEXTS:
        yield Sent(whole[:-1] + b', "reason": "' + raw + b'"}', _JSON_HEADERS)
    for headers in _BAD_HEADERS:
        yield Sent(whole, headers)
    yield Sent(b"[" + whole + b"]", _JSON_HEADERS)
    yield Sent(whole.ljust(BODY_LIMIT_BYTES + 1), _JSON_HEADERS)
    yield Sent(whole, _JSON_HEADERS, chunked=True)


def _random_faults(order_id: str) -> st.SearchStrategy[Sent]:
    """The same with a member that does not exist, or an end that is missing."""
    unknown = st.tuples(st.text(st.characters(), max_size=20).map("{}?".format), _values)
    whole = _written(_whole(order_id))
    bodies = _weighted(
        (4, unknown.map(lambda member: _written([*_whole(order_id), member]))),
        (1, st.integers(0, len(whole) - 1).map(lambda end: whole[:end])),
    )
    return st.builds(Sent, bodies, st.just(_JSON_HEADERS))


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

    def refuse(self, sent: Sent) -> None:
        """Send the request, which has a fault, and check that the answer says so."""
        self.send(sent)
        assert self.answers[-1]["status"] in {400, 413, 415}, sent

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
def new_orders(_order_ids: Iterator[str]) -> Callable[[int], tuple[str, ...]]:
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


# A failing body may be long; that it is shown must not hide why it failed.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_any_request_gets_an_answer_in_shape_and_changes_only_what_the_answer_says(
    cloud: LocalCloud, new_orders: Callable[[int], tuple[str, ...]], rounds: range
) -> None:
    already_logged = len(cloud.log.read_text())
    statuses = set()
    for number in rounds:
        [untouched, *others] = order_ids = new_orders(4)
        before = {order_id: cloud.order(order_id) for order_id in order_ids}
        cloud.forget()
        this = Round(cloud)

        _feed(number, EXAMPLES_PER_ROUND * 4 // 5, _anything(tuple(others)), this.send)
        _feed(number, EXAMPLES_PER_ROUND // 5, _random_faults(untouched), this.refuse)
        for sent in _known_faults(untouched):
            this.refuse(sent)

        this.check_patches()
        this.check_orders(before)
        assert cloud.order(untouched) == before[untouched]
        statuses |= {200 if "outcome" in answer else answer["status"] for answer in this.answers}
    assert statuses >= {200, 400, 403, 404, 413, 415, 422}  # else what is sent has become too much alike
    assert _errors_in(cloud.log.read_text()[already_logged:]) == []
