"""A storm: many tickets, each delivered ten times, while one in five requests behind the function fails.

At the end every order is cancelled exactly as its ticket asks, and no answer was untrue. `--soak` runs all
variants of Partner Center with many tickets; without it only the hardest one runs, with a few.
"""

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest

from tests.support.storm import DELIVERIES, REPEATED, VARIANTS, Size, Storm, Variant, run_storm

SIZE = Size(tickets=12, throttled_s=1.5)
SOAK_SIZE = Size(tickets=125, throttled_s=4.0)
HARDEST = Variant(replays=False, throttles=True)

NOTHING_CHANGED = frozenset({"partner_center_unavailable", "order_busy", "credentials_unavailable", "throttled"})


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
    assert [ticket for ticket in storm.tickets if not ticket.is_done(storm.orders[ticket.order_id])] == []


def test_no_answer_claims_a_cancellation_that_the_order_does_not_show(storm: Storm) -> None:
    assert [call for call in storm.calls if call.was_done is False] == []


def test_no_answer_is_a_final_refusal(storm: Storm) -> None:
    """Each order can be cancelled, and is in the end: no fault on the way was final."""
    assert [call for call in storm.calls if call.answer.status not in {200} | REPEATED] == []


def test_a_call_that_claims_no_change_asked_for_none(storm: Storm) -> None:
    """Other calls may have changed the order meanwhile. This call sent no PATCH that was not clearly refused.

    A 429 of which only half arrived is still a 429.
    """
    unchanged = {call.answer.request_id for call in storm.calls if call.answer.result in NOTHING_CHANGED}
    patches = [
        request
        for request in storm.requests
        if request["method"] == "PATCH" and request["headers"]["ms-requestid"] in unchanged
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
