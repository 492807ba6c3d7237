"""Requests of ticketing systems to a running local cloud, runs of its timer, and what its tickets were told."""

from collections.abc import Callable

import httpx

from infra.local.senders.deliveries import Delivery, headers_of
from shared.ticketing.note import Marker, markers_in
from tests.support.local_cloud import LocalCloud
from tests.support.telling import Tickets
from tests.support.waiting import wait_until

RUN_LIMIT_S = 300.0  # that of the control interface


def deliver(
    cloud: LocalCloud, system: str, body: bytes, delivery: Delivery | None = None, **more: str
) -> httpx.Response:
    """Send one attempt of *delivery*, with the proof of *system* and *more* headers."""
    headers = headers_of(system, body, cloud.description, delivery or Delivery()) | more
    return cloud.http.post(cloud.description["functionUrl"], content=body, headers=headers)


def tell(cloud: LocalCloud) -> None:
    """Run the timer once."""
    run_timer(cloud).raise_for_status()


def run_timer(cloud: LocalCloud) -> httpx.Response:
    return cloud.http.post(f"{cloud.description['controlUrl']}/timers/tell_ticket", timeout=RUN_LIMIT_S)


def tell_until(cloud: LocalCloud, condition: Callable[[], object], failure: str) -> None:
    """Show every message and run the timer, until *condition* holds."""
    tickets = Tickets(cloud)

    def is_so() -> bool:
        tickets.wake()
        tell(cloud)
        return bool(condition())

    wait_until(is_so, failure)


def marker_of(note: str) -> Marker:
    """Return the marker of a note, which must have exactly one, at its end."""
    [marker] = markers_in(note)
    assert note.endswith(marker.text)
    return marker


def state_of(note: str) -> str:
    """Return the state of a note, for a dry run without the part that tells what it shows."""
    state = marker_of(note).state
    return "dry_run" if state.startswith("dry_run:") else state
