"""Nothing beyond what a request asks for is ever changed, and its answer is true.

Random orders, subscriptions and requests, while others change subscriptions, and Partner Center fails. The rules are
checked on what arrived at Partner Center and on what is there afterwards. `--soak` runs many rounds.
"""

import asyncio
from collections.abc import Iterator

import pytest
from azure.keyvault.secrets._shared import http_challenge_cache
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from shared.tls import tls_context
from tests.support.random_orders.plans import Event, LinePlan, Scenario, scenarios
from tests.support.random_orders.rules import check
from tests.support.random_orders.simpler import simplest
from tests.support.random_orders.world import Played, World, running_world
from tests.support.stand_ins import serving_stand_ins

AT_ONCE = 40  # scenarios, because repeats of requests have pauses
BATCHES, SOAK_BATCHES = 3, 6  # in a round
SOAK_ROUNDS = 30

LICENCE = LinePlan("licence")

# hypothesis shows the whole batch beside the simple scenario.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

type Play = tuple[asyncio.Runner, World]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "round_number" in metafunc.fixturenames:
        rounds = range(SOAK_ROUNDS if metafunc.config.getoption("--soak") else 1)
        metafunc.parametrize("round_number", rounds, ids=[f"round-{number}" for number in rounds])


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    directory = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as environment, serving_stand_ins(directory) as cloud, asyncio.Runner() as runner:
        for name, value in cloud.environment().items():
            environment.setenv(name, value)
        http_challenge_cache.clear()  # azure-keyvault-secrets keeps a vault's challenge for the whole process
        tls_context.cache_clear()
        world = running_world(cloud, directory)
        yield runner, runner.run(world.__aenter__())
        runner.run(world.__aexit__(None, None, None))


def test_nothing_beyond_the_request_is_changed(play: Play, pytestconfig: pytest.Config, round_number: int) -> None:
    runner, world = play

    @seed(round_number)
    @settings(
        derandomize=True,
        database=None,
        max_examples=SOAK_BATCHES if pytestconfig.getoption("--soak") else BATCHES,
        deadline=None,
        phases=(Phase.generate,),  # a batch is no simpler without some of its scenarios; see `simplest`
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example),
    )
    @given(st.lists(scenarios(), min_size=AT_ONCE, max_size=AT_ONCE), st.booleans())
    def play_batch(batch: list[Scenario], replays: bool) -> None:
        def broken(some: list[Scenario]) -> list[bool]:
            return [broken_rule(played) is not None for played in runner.run(world.play(some, replays=replays))]

        first = next((scenario for scenario, is_broken in zip(batch, broken(batch), strict=True) if is_broken), None)
        if first:
            [played] = runner.run(world.play([simplest(first, broken)], replays=replays))
            check_with_story(played)
            raise AssertionError(f"breaks a rule, but not each time: {first}")

    play_batch()


def test_an_old_reading_is_read_again(play: Play, pytestconfig: pytest.Config) -> None:
    """One of five subscriptions is read so late that the other readings are too old for a PATCH."""
    if not pytestconfig.getoption("--soak"):
        pytest.skip("takes 6 s; runs with --soak")
    runner, world = play
    late = Event("GET", "4", fault="late", change="more seats", changes_line=0)

    [played] = runner.run(world.play([Scenario((LICENCE,) * 5, events=(late,))]))

    check_with_story(played)
    assert played.calls[0].answer.result == "some_lines_refused"


def test_no_whole_order_is_cancelled_for_a_line(play: Play) -> None:
    """The order is cancelled and shows no lines. Whoever asks for one of its lines has not asked for the order."""
    runner, world = play
    cancelled = Scenario((LICENCE,), order_status="cancelled", shows_lines=False, asked=(0,))

    [played] = runner.run(world.play([cancelled]))

    check_with_story(played)
    assert {call.answer.result for call in played.calls} == {"already_cancelled"}


def test_a_cancellation_whose_answer_was_lost_is_this_calls_own(play: Play) -> None:
    """The reading after it is behind, so that a second PATCH is refused as if the first had been somebody else's."""
    runner, world = play
    lost = Event("PATCH", "0", fault="behind 1, hang-up after")

    [played] = runner.run(world.play([Scenario((LICENCE,), events=(lost,))], replays=False))

    check_with_story(played)
    assert played.calls[0].answer.result == "cancelled"


def test_no_refusal_is_final_after_a_lost_answer(play: Play) -> None:
    """The answer to the first PATCH of the order is lost, and its repeat is refused."""
    runner, world = play
    more_seats = LinePlan("licence", added_seats=2)
    lost = Event("PATCH", "order", fault="hang-up after")

    [played] = runner.run(world.play([Scenario((more_seats,), id_form="33 characters", events=(lost,))]))

    check_with_story(played)


def test_a_reading_that_is_behind_refuses_nothing_for_good(play: Play) -> None:
    """Others add seats just before the PATCH. The call after it still reads the state before the cancellation."""
    runner, world = play
    seats_added, is_behind = Event("GET", "0", change="more seats"), Event("PATCH", "0", fault="behind 1")

    [played] = runner.run(world.play([Scenario((LICENCE,), events=(seats_added, is_behind))]))

    check_with_story(played)
    first, second, *_ = [call.answer for call in played.calls]
    assert first.result == "cancelled"
    assert second.outcome or second.body["retryable"], "a cancellation is called refused, right after it was made"


def test_a_refused_line_does_not_hide_that_auto_renew_of_another_is_off(play: Play) -> None:
    """Partner Center refuses the first line and ignores the action of the second one: that needs an operator."""
    runner, world = play
    refused = LinePlan("licence", status="suspended", auto_renew=False)
    ignores = LinePlan("licence", offer=1, knows="none")

    [played] = runner.run(world.play([Scenario((refused, ignores), when="term_end")]))

    check_with_story(played)
    assert played.calls[0].answer.result == "unexpected_answer"


def test_no_line_whose_auto_renew_is_off_is_called_unchanged(play: Play) -> None:
    """The first line is to end with its term; Partner Center ignores the action of the second one."""
    runner, world = play
    ignores = LinePlan("licence", offer=1, knows="none")

    [played] = runner.run(world.play([Scenario((LICENCE, ignores), when="term_end")]))

    check_with_story(played)
    assert "are unchanged" not in played.calls[0].answer.body["detail"]


def broken_rule(played: Played) -> str | None:
    try:
        check(played)
    except AssertionError as broken:
        return str(broken)
    return None


def check_with_story(played: Played) -> None:
    """Check all rules. A failure tells what happened."""
    rule = broken_rule(played)
    assert rule is None, f"{rule}\n{story(played)}"


def story(played: Played) -> str:
    lines = [repr(played.scenario)]
    for call in played.calls:
        lines.append(f"{call.body} -> {call.answer.status} {call.answer.result}")
        lines += [f"    {request.method} {request.path} -> {request.status}" for request in call.requests]
    return "\n".join(lines)
