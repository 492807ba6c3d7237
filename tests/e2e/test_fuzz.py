"""The live function gets hostile requests: each answer has one of two shapes, and changes only what it says.

Bodies and headers go over HTTP through Azure's own runtime. Each round is seeded by its number, so that a
failure comes back; `--soak` runs many rounds.
"""

from collections.abc import Iterator

import pytest

from tests.support.functions_host import logged_errors
from tests.support.hostile_requests.requests import any_requests, listed_mistakes, random_mistakes
from tests.support.hostile_requests.sending import Sender, send_examples
from tests.support.local_cloud import LocalCloud

ANY_REQUESTS, RANDOM_MISTAKES = 400, 100  # examples in a round
SOAK_ROUNDS = 40

# hypothesis shows the body that fails, however long it is.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    rounds = range(SOAK_ROUNDS if metafunc.config.getoption("--soak") else 1)
    metafunc.parametrize("round_number", rounds, ids=[f"round-{number}" for number in rounds])


@pytest.fixture
def sender(cloud: LocalCloud) -> Iterator[Sender]:
    """A sender whose requests leave no error in the function's log."""
    logged = len(cloud.log.read_text())
    yield Sender(cloud)
    assert logged_errors(cloud.log.read_text()[logged:]) == []


@pytest.fixture
def order_ids(_order_ids: Iterator[str]) -> tuple[str, ...]:
    """Three orders that no other test has touched."""
    return next(_order_ids), next(_order_ids), next(_order_ids)


def test_an_answer_claims_each_change_that_was_made(
    sender: Sender, order_ids: tuple[str, ...], round_number: int
) -> None:
    orders = [sender.cloud.order(order_id) for order_id in order_ids]

    send_examples(round_number, ANY_REQUESTS, any_requests(order_ids), sender.send)

    rare = {403, 404, 413, 422} if round_number == 0 else set()  # a later round may lack one
    assert sender.statuses >= {200, 400, 415} | rare, "the requests have become too much alike"
    sender.check_patches()
    for order in orders:
        sender.check_order(order)


def test_a_request_with_a_mistake_changes_nothing(sender: Sender, order_id: str, round_number: int) -> None:
    order = sender.cloud.order(order_id)

    send_examples(round_number, RANDOM_MISTAKES, random_mistakes(order_id), sender.send_and_expect_refusal)
    for request in listed_mistakes(order_id):
        sender.send_and_expect_refusal(request)

    sender.check_patches()
    assert sender.cloud.order(order_id) == order
