"""A storm: many tickets, each delivered ten times, while one in five requests behind the function fails.

At the end every order and subscription is cancelled exactly as its ticket asks, and no answer was untrue. Nothing
beyond that was asked of Partner Center, though somebody else added seats meanwhile. `--soak` runs all variants of
Partner Center with many tickets; without it only the hardest one runs, with a few.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest

from tests.support.licences import SEATS
from tests.support.local_cloud import Json
from tests.support.storm import DELIVERIES, REPEATED, VARIANTS, Size, Storm, Variant, run_storm
from tests.support.storm_tickets import ADDED_SEATS, LicenceTicket

SIZE = Size(tickets=12, throttled_s=1.5)
SOAK_SIZE = Size(tickets=125, throttled_s=4.0)
HARDEST = Variant(replays=False, throttles=True)

NOTHING_CHANGED = frozenset(
    {"partner_center_unavailable", "order_busy", "credentials_unavailable", "throttled", "more_than_the_order"}
)
MORE_THAN_THE_ORDER = frozenset({"more_than_the_order", "some_lines_refused"})
READING_VALID_S = 5.0
ON_THE_WAY_S = 3.0  # on a busy machine


def variants(config: pytest.Config) -> list[Variant]:
    return VARIANTS if config.getoption("--soak") else [HARDEST]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("storm", variants(metafunc.config), ids=str, indirect=True)


@pytest.fixture(scope="module")
def storms(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, report: list[str]
) -> dict[Variant, Storm]:
    """All storms, which run side by side."""
    chosen = variants(pytestconfig)
    size = SOAK_SIZE if pytestconfig.getoption("--soak") else SIZE
    directories = [tmp_path_factory.mktemp(str(variant)) for variant in chosen]
    with ThreadPoolExecutor(len(chosen)) as clouds:
        storms = list(clouds.map(run_storm, chosen, directories, repeat(size)))
    report += as_table(storms)
    return {storm.variant: storm for storm in storms}


def as_table(storms: list[Storm]) -> list[str]:
    """Return in Markdown how often each answer came."""
    counts = [Counter(call.answer.result for call in storm.calls) for storm in storms]
    rows = {result: [count[result] for count in counts] for result in sorted(set().union(*counts))}
    rows["requests behind it"] = [len(storm.requests) for storm in storms]
    return [
        f"| {len(storms[0].tickets) * DELIVERIES} deliveries each | "
        + " | ".join(str(storm.variant) for storm in storms)
        + " |",
        "|---" * (1 + len(storms)) + "|",
        *(f"| {result} | {' | '.join(map(str, row))} |" for result, row in rows.items()),
    ]


@pytest.fixture
def storm(request: pytest.FixtureRequest, storms: dict[Variant, Storm]) -> Storm:
    return storms[request.param]


def test_every_order_is_cancelled_as_its_ticket_asks(storm: Storm) -> None:
    """If a subscription holds more than its order by now, lines of that order may be left, and are not cancelled."""
    to_be_done = [ticket for ticket in storm.tickets if not ticket.may_be_refused]

    assert [ticket for ticket in to_be_done if not ticket.is_done(storm.states[ticket.name])] == []


def test_no_answer_claims_a_cancellation_that_the_order_does_not_show(storm: Storm) -> None:
    assert [call for call in storm.calls if call.was_done is False] == []


def test_no_answer_is_a_final_refusal(storm: Storm) -> None:
    """Each order can be cancelled, and is in the end: no fault on the way was final."""
    ends = [call for call in storm.calls if call.answer.status not in {200} | REPEATED]

    refused = [call for call in ends if call.ticket.may_be_refused and call.answer.code in MORE_THAN_THE_ORDER]
    assert ends == refused


def patches_of(storm: Storm) -> Iterator[tuple[LicenceTicket, str, Json]]:
    """Yield each PATCH of a subscription that arrived whole, with its ticket and the subscription's id."""
    owners = {
        own: ticket
        for ticket in storm.tickets
        if isinstance(ticket, LicenceTicket)
        for own in ticket.licences.subscription_ids
    }
    for request in storm.requests:
        subscription_id = request["path"].rpartition("/")[2]
        if request["method"] == "PATCH" and subscription_id in owners and request["body"] is not None:
            yield owners[subscription_id], subscription_id, request


def test_nothing_is_asked_of_partner_center_beyond_what_a_ticket_asks(storm: Storm) -> None:
    for ticket, subscription_id, patch in patches_of(storm):
        assert subscription_id in ticket.asked
        assert patch["body"]["status"] == "deleted"
        if not ticket.by_subscription:
            assert patch["body"]["quantity"] == SEATS, "the order bought fewer seats"


def test_somebody_else_added_seats_meanwhile(storm: Storm) -> None:
    """Otherwise the test before would prove less."""
    gaining = [ticket for ticket in storm.tickets if isinstance(ticket, LicenceTicket) and ticket.gains_seats]

    assert gaining
    for ticket in gaining:
        assert storm.states[ticket.name][ticket.asked[-1]]["quantity"] == SEATS + ADDED_SEATS


def test_each_patch_of_a_subscription_has_a_new_reading(storm: Storm) -> None:
    """Only a PATCH that is sent again with a new token has that of the one before."""
    readings: dict[tuple[str, str], float] = {}  # when the newest one was asked for, by call and subscription
    patches = {id(patch): subscription_id for _, subscription_id, patch in patches_of(storm)}
    for request in storm.requests:
        key = request["headers"].get("ms-correlationid", ""), request["path"].rpartition("/")[2]
        if request["method"] == "GET":
            readings[key] = request["time"]
        elif id(request) in patches:
            assert request["time"] - readings[key] <= READING_VALID_S + ON_THE_WAY_S
            if request["status"] != 401:
                del readings[key]


def test_a_call_that_claims_no_change_asked_for_none(storm: Storm) -> None:
    """Other calls may have changed the order meanwhile. This call sent no PATCH that was not clearly refused.

    A 429 of which only half arrived is still a 429.
    """
    unchanged = {call.answer.body["correlationId"] for call in storm.calls if call.answer.result in NOTHING_CHANGED}
    patches = [
        request
        for request in storm.requests
        if request["method"] == "PATCH" and request["headers"]["ms-correlationid"] in unchanged
    ]

    assert [patch for patch in patches if patch["status"] not in {401, 429} and patch["cut_status"] != 429] == []


def test_every_delivery_comes_to_an_end(storm: Storm) -> None:
    ends = [call for call in storm.calls if call.answer.status not in REPEATED]

    assert len(ends) == len(storm.tickets) * DELIVERIES


def test_an_answer_to_repeat_says_when(storm: Storm) -> None:
    """Zendesk repeats a 429 or 503 only with a Retry-After below 60."""
    assert storm.calls
    for call in storm.calls:
        if call.answer.status in REPEATED:
            assert re.fullmatch(r"[1-9]|[1-5][0-9]", call.answer.retry_after or "")
        else:
            assert call.answer.retry_after is None


def test_one_call_sends_one_change(storm: Storm) -> None:
    """Repeats within a call have the same MS-RequestId and body; a PATCH that the deadline cut off has no body."""
    changes: dict[str, set[str]] = {}
    for request in storm.requests:
        if request["method"] == "PATCH" and request["body"] is not None:
            change = request["path"] + json.dumps(request["body"])
            changes.setdefault(request["headers"]["ms-requestid"], set()).add(change)

    assert [request_id for request_id, sent in changes.items() if len(sent) > 1] == []


def test_the_faults_reached_the_callers(storm: Storm) -> None:
    """Otherwise the tests above would prove nothing."""
    results = Counter(call.answer.result for call in storm.calls)

    assert results["outcome_unknown"]
    assert results["credentials_unavailable"]
    assert results["throttled"] or not storm.variant.throttles
    assert sum(request["status"] is None for request in storm.requests) > len(storm.tickets)
