"""The answers of find_orders, by step and fault: test_faults.py of tests/contract/finding proves each.

The document shows them. The steps are the request to Entra ID for the tenant of a domain, and a page of each of the two
lists.
"""

from enum import StrEnum
from typing import NamedTuple

from tests.support.fault_matrix.faults import FAULTS as ALL_OF_ORDERS
from tests.support.fault_matrix.faults import HUGE, RUNS_INTO_THE_DEADLINE
from tests.support.local_cloud import Json

LARGE_BYTES = 10_000_000
SHORT_WAIT_S, DEFAULT_WAIT_S = 2, 8
WAIT_S = dict.fromkeys(RUNS_INTO_THE_DEADLINE, SHORT_WAIT_S)
FAULTS = {name: fault for name, fault in ALL_OF_ORDERS.items() if name != "byte order mark"}  # each page has one


class FindStep(StrEnum):
    """The requests that only finding needs; the values name them in the document."""

    DOMAIN = "Entra ID, the tenant of a domain"
    ORDERS = "a page of the orders"
    SUBSCRIPTIONS = "a page of the subscriptions"


class Ends(NamedTuple):
    """The end of a call whose first request of the step fails, and of one whose first two fail.

    Each is a code, or FOUND, or IN_PART: 200 with `more: true`, though there are not more than 200.
    """

    first: str
    first_two: str


FOUND, IN_PART = "found", "in part"

REPEATED = Ends(FOUND, FOUND)
LATE = Ends(IN_PART, IN_PART)


def always(code: str) -> Ends:
    return Ends(code, code)


_NO_ANSWER = Ends(FOUND, "credentials_unavailable")
EXPECTED: dict[FindStep, dict[str, Ends]] = {
    FindStep.DOMAIN: dict.fromkeys(FAULTS, _NO_ANSWER)
    | {name: always("credentials_unavailable") for name in RUNS_INTO_THE_DEADLINE},
    **{
        step: dict.fromkeys(FAULTS, REPEATED)
        | dict.fromkeys(RUNS_INTO_THE_DEADLINE, LATE)
        | {
            "401": Ends(FOUND, "credentials_rejected"),
            "403": always("unexpected_answer"),
            "409": always("unexpected_answer"),
            "409 in progress": always("order_busy"),
            "429": always("throttled"),
            "garbage (not done)": always("unexpected_answer"),
            "garbage (done)": always("unexpected_answer"),
            "redirect": always("unexpected_answer"),
            "100 MB": always("unexpected_answer"),
            "gzip bomb": always("unexpected_answer"),
        }
        for step in (FindStep.ORDERS, FindStep.SUBSCRIPTIONS)
    },
}


def control_of(fault: str) -> Json:
    """Return the body of `POST /faults`."""
    control = FAULTS[fault].control
    return control | {"body_bytes": LARGE_BYTES} if fault in HUGE else control
