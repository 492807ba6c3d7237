"""The renewal of a token: it begins at 80 % of the token's life, and the old token serves meanwhile."""

import asyncio

import pytest

from shared.credentials.repeats import MAX_ATTEMPTS
from shared.credentials.tokens import Credentials
from shared.errors import CancelError
from tests.support.clock import Clock
from tests.support.local_cloud import LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

LONG_S = 30.0
LIFE_S = 3599  # of a token


async def fetches_ended() -> None:
    """Return once no fetch of a token is on its way."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if fetches := [task for task in others if "_fetch" in repr(task)]:
        await asyncio.wait(fetches, timeout=LONG_S)


async def test_the_old_token_serves_while_it_is_renewed(
    credentials: Credentials, cloud: LocalCloud, clock: Clock
) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    clock.now += 0.85 * LIFE_S
    cloud.fault(service="entra", delay_s=60)

    assert await credentials.bearer("default", LONG_S) == bearer
    cloud.clear_faults()
    clock.now += 0.2 * LIFE_S
    assert await credentials.bearer("default", LONG_S) != bearer


async def test_a_failed_renewal_leaves_the_old_token_in_use(
    credentials: Credentials, cloud: LocalCloud, clock: Clock
) -> None:
    """While a token is valid Entra may be down; one fetch tries the renewal, not every call."""
    bearer = await credentials.bearer("default", LONG_S)
    cloud.forget()
    cloud.fault(service="entra", status=503, times=100)
    clock.now += 0.85 * LIFE_S

    assert await credentials.bearer("default", LONG_S) == bearer
    await fetches_ended()
    assert {await credentials.bearer("default", LONG_S) for _ in range(10)} == {bearer}
    assert [request["status"] for request in cloud.requests("entra")] == [503] * MAX_ATTEMPTS


async def test_a_token_that_has_ended_is_not_used_even_if_its_renewal_failed(
    credentials: Credentials, cloud: LocalCloud, clock: Clock
) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    clock.now += LIFE_S + 1
    cloud.fault(service="entra", status=503, times=MAX_ATTEMPTS)
    with pytest.raises(CancelError) as caught:
        await credentials.bearer("default", LONG_S)

    assert caught.value.code == "credentials_unavailable"
    assert await credentials.bearer("default", LONG_S) != bearer


async def test_a_token_on_its_way_when_another_is_rejected_is_not_used(
    credentials: Credentials, cloud: LocalCloud, clock: Clock
) -> None:
    """It may have been asked for with the secret that was replaced."""
    bearer = await credentials.bearer("default", LONG_S)
    clock.now += 0.85 * LIFE_S
    cloud.fault(service="entra", delay_s=60)
    cloud.forget_requests()
    assert await credentials.bearer("default", LONG_S) == bearer  # begins the renewal
    await wait_for_request(cloud, "entra")

    credentials.reject_token("default", bearer, was_renewed=False)
    renewed = await credentials.bearer("default", LONG_S)
    cloud.clear_faults()
    await fetches_ended()

    assert await credentials.bearer("default", LONG_S) == renewed
