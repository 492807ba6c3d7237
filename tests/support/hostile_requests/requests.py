"""Whole requests: requests of any kind, and requests that have one mistake and would else cancel an order."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import strategies as st

from shared.http_request import BODY_LIMIT_BYTES
from tests.conftest import CUSTOMER
from tests.support.hostile_requests.bodies import MARKS, Members, bodies, write
from tests.support.hostile_requests.headers import Headers, headers
from tests.support.hostile_requests.values import DEEP_TEXTS, values, weighted

JSON_HEADERS: Headers = {"content-type": b"application/json"}

_BAD_VALUES = (  # a member, and values for it, with spaces between them
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
    JSON_HEADERS | {"content-encoding": b"gzip"},
    JSON_HEADERS | {"content-encoding": b""},
)
_BAD_TEXTS = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x00", b"\n", b"\\x", b"\\ud800", b'"')


class HostileRequest(NamedTuple):
    """A request to the function; with *is_chunked* it has no Content-Length."""

    body: bytes
    headers: Headers
    is_chunked: bool = False


def any_requests(order_ids: tuple[str, ...]) -> st.SearchStrategy[HostileRequest]:
    """Return requests of every kind, some of which cancel one of *order_ids*."""
    return st.builds(HostileRequest, bodies(order_ids), headers, weighted((19, st.just(False)), (1, st.just(True))))


def listed_mistakes(order_id: str) -> Iterator[HostileRequest]:
    """Yield requests without dryRun for an order that could be cancelled, each with one mistake."""
    valid = write(_required(order_id))
    for name, texts in _BAD_VALUES:
        for text in texts.split():
            others = [member for member in _required(order_id) if member[0] != name]
            yield HostileRequest(write([*others, (name, text)]), JSON_HEADERS)
    for unknown in (("x", "1"), ("\ud800", "1"), ("x", "9" * 5_000), *(("x", text) for text in DEEP_TEXTS)):
        yield HostileRequest(write([*_required(order_id), unknown]), JSON_HEADERS)
    for member in _required(order_id):
        yield HostileRequest(write([*_required(order_id), member]), JSON_HEADERS)
        yield HostileRequest(write([member]), JSON_HEADERS)
    for mark in MARKS:
        yield HostileRequest(mark + valid, JSON_HEADERS)
        yield HostileRequest(valid + mark, JSON_HEADERS)
    for text_bytes in _BAD_TEXTS:
        yield HostileRequest(valid[:-1] + b', "reason": "' + text_bytes + b'"}', JSON_HEADERS)
    for bad_headers in _BAD_HEADERS:
        yield HostileRequest(valid, bad_headers)
    yield HostileRequest(b"[" + valid + b"]", JSON_HEADERS)
    yield HostileRequest(valid.ljust(BODY_LIMIT_BYTES + 1), JSON_HEADERS)
    yield HostileRequest(valid, JSON_HEADERS, is_chunked=True)


def random_mistakes(order_id: str) -> st.SearchStrategy[HostileRequest]:
    """Return such requests with a member that does not exist, or with their end missing."""
    unknown = st.tuples(st.text(st.characters(), max_size=20).map("{}?".format), values)
    valid = write(_required(order_id))
    mistaken = weighted(
        (4, unknown.map(lambda member: write([*_required(order_id), member]))),
        (1, st.integers(0, len(valid) - 1).map(lambda end: valid[:end])),
    )
    return st.builds(HostileRequest, mistaken, st.just(JSON_HEADERS))


def _required(order_id: str) -> Members:
    return [("customerTenantId", json.dumps(CUSTOMER)), ("orderId", json.dumps(order_id))]
