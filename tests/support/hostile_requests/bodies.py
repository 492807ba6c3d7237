"""Bodies: valid requests, and what is left of them after some mutations."""

import json

from hypothesis import strategies as st

from shared.http_request import BODY_LIMIT_BYTES
from tests.conftest import CUSTOMER
from tests.support.hostile_requests.values import values, weighted

type Members = list[tuple[str, str]]  # names, and values as JSON text

_NAMES = (
    *("customerTenantId", "orderId", "lineItems", "account", "ticketId", "reason", "dryRun", "lineItemNumber"),
    *("CustomerTenantId", "orderid", "line_items", "dryrun", "DRYRUN", "id", "status", "__proto__", "$schema"),
    "\ud800",
)
_names = st.sampled_from(_NAMES) | st.text(st.characters(), max_size=30) | st.just("x" * 5_000)

_ACCOUNTS = ("default", "default", "default", "rehearsal", "production", "closed", "limited", "nobody", "Default")
_OTHER_ORDERS = (  # customers and orders, besides a round's own orders
    ("f81d98dd-c2f4-499e-a194-5619e260344e", "5cf72f146967"),  # a licence, which the function refuses
    ("45411344-b09d-47e7-9653-542006bf9766", "refused-with-800061-0000000000001"),  # Partner Center refuses it
    ("4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04", "stranger-000000000000000000000001"),
    ("00000000-0000-0000-0000-000000000000", "unknown-order-1"),
    (CUSTOMER, "-" * 64),
)
_LINES = ('[{"lineItemNumber": 0}]', '[{"lineItemNumber": 2}, {"lineItemNumber": 1}]', '[{"lineItemNumber": 9}]')

MARKS = (
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *(b",", b"}", b"//"),
)


def write(members: Members) -> bytes:
    """Return an object as JSON. Half surrogate pairs, which UTF-8 cannot carry, are written as escapes."""
    return ("{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in members) + "}").encode()


def bodies(order_ids: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Return all kinds of bodies, most of them for one of *order_ids*."""
    documents = _mutated_members(order_ids).map(write)
    return weighted(
        (14, documents),
        (3, _mutated_bytes(documents)),
        (1, values.map(str.encode)),
        (1, st.binary(max_size=300)),
        (1, st.sampled_from((b"", b" ", b"{}", b"[]", b"null", b"customerTenantId=x&orderId=y", b"<cancel/>"))),
        (2, st.sampled_from((65_000, BODY_LIMIT_BYTES + 1, 200_000)).map(lambda size: b'{"reason": "' + b"x" * size)),
    )


def _valid(order_ids: tuple[str, ...]) -> st.SearchStrategy[Members]:
    """Return valid requests: most are dry runs, the others cancel lines or the whole order."""
    own = [(customer, order_id) for order_id in order_ids for customer in (CUSTOMER, CUSTOMER.upper())]

    def members(order: tuple[str, str], rest: dict[str, str]) -> Members:
        customer, order_id = order
        return [("customerTenantId", json.dumps(customer)), ("orderId", json.dumps(order_id)), *rest.items()]

    rest = st.fixed_dictionaries(
        {"dryRun": weighted((3, st.just("true")), (1, st.just("false")))},
        optional={
            "lineItems": st.sampled_from(_LINES),
            "account": st.sampled_from(_ACCOUNTS).map(json.dumps),
            "ticketId": st.text(max_size=100).map(json.dumps) | st.just("null"),
            "reason": st.text(max_size=50).map(json.dumps),
        },
    )
    orders = weighted((2, st.sampled_from(own)), (1, st.sampled_from(_OTHER_ORDERS)))
    return st.builds(members, orders, rest).flatmap(st.permutations)


@st.composite
def _mutated_members(draw: st.DrawFn, order_ids: tuple[str, ...]) -> Members:
    members = draw(_valid(order_ids))
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 1, 2, 3)))):
        at = draw(st.integers(0, max(0, len(members) - 1)))
        match draw(st.sampled_from(("drop", "repeat", "retype", "rename", "add", "case"))):
            case "drop":
                del members[at : at + 1]
            case "repeat":
                members += [(name, draw(st.just(text) | values)) for name, text in members[at : at + 1]]
            case "retype":
                members[at : at + 1] = [(name, draw(values)) for name, _ in members[at : at + 1]]
            case "rename":
                members[at : at + 1] = [(draw(_names), text) for _, text in members[at : at + 1]]
            case "add":
                members.insert(at, (draw(_names), draw(values)))
            case "case":
                members[at : at + 1] = [(name.upper(), text) for name, text in members[at : at + 1]]
    return members


@st.composite
def _mutated_bytes(draw: st.DrawFn, documents: st.SearchStrategy[bytes]) -> bytes:
    body = draw(documents)
    at = draw(st.integers(0, len(body)))
    junk = draw(st.sampled_from(MARKS) | st.binary(min_size=1, max_size=8))
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
