"""Traffic of one worker's life: everything that callers send, and some faults on the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import CUSTOMER
from tests.support.local_cloud import Json, LocalCloud, order_id_of, running, software_order, write_orders

ORDERS = 30
REQUESTS_PER_FAULT = 25

# Each breaks off a connection, or an answer, in another way: what breaks off is what leaks.
FAULTS: dict[str, Json] = {
    "hang-up (not done)": {"hang_up": "before"},
    "hang-up (done)": {"hang_up": "after"},
    "half a body": {"hang_up": "halfway"},
    "401": {"status": 401},
    "503": {"status": 503, "headers": {"retry-after": "0"}},
    "timeout": {"delay_s": 1.5},
    "slow body": {"slow_s": 1.5},
    "more than is read of an answer": {"body_bytes": 1_200_000},
}


@contextmanager
def new_cloud(directory: Path) -> Iterator[LocalCloud]:
    """Run a local cloud whose function has answered nothing yet."""
    orders = (software_order(order_id_of(f"soak-{number:04}"), CUSTOMER, lines=3) for number in range(ORDERS))
    with running(directory, "--orders", write_orders(directory / "orders", orders)) as cloud:
        yield cloud


def body_of(number: int) -> object:
    """Return the body of request *number*; the kinds of bodies take turns."""
    order_id = order_id_of(f"soak-{number % ORDERS:04}")
    request: Json = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": f"T-{number}"}
    bodies: dict[str, object] = {
        "whole order": request,
        "one line": request | {"lineItems": [{"lineItemNumber": 1}]},
        "dry run": request | {"dryRun": True},
        "unknown order": request | {"orderId": "no-such-order"},
        "account in dry run": request | {"account": "rehearsal"},
        "no lines": request | {"lineItems": []},
        "not JSON": b"{",
    }
    return list(bodies.values())[number % len(bodies)]


def send(cloud: LocalCloud, numbers: range) -> None:
    """Send the requests with *numbers* one after another, with a fault now and then."""
    faults = list(FAULTS.values())
    for number in numbers:
        if number % REQUESTS_PER_FAULT == 0:
            cloud.forget()
            cloud.fault(**faults[number // REQUESTS_PER_FAULT % len(faults)])
        assert cloud.post(body_of(number), prefer="wait=1").status_code in {200, 400, 404, 422, 502, 503}
