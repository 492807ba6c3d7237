"""The cache of tokens: one for each account, and one fetch for all calls that wait."""

import asyncio
import threading

import pytest

from shared.credentials.tokens import Credentials
from shared.errors import CancelError
from shared.settings import Settings
from tests.support.clock import Clock
from tests.support.local_cloud import LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

LONG_S = 30.0


async def test_a_cold_start_asks_each_service_once(credentials: Credentials, cloud: LocalCloud) -> None:
    """Five requests come before the PATCH; a sixth would make every cold start slower."""
    assert await credentials.bearer("default", LONG_S)

    assert cloud.traffic() == [
        "key_vault GET 401",
        "identity GET 200",
        "key_vault GET 200",
        "entra GET 200",
        "entra POST 200",
    ]
    [identity] = cloud.requests("identity")
    [token] = cloud.requests("entra", "POST")
    assert f"client_id={cloud.description['environment']['AZURE_CLIENT_ID']}" in identity["path"]
    assert "scope=https%3A%2F%2Fapi.partnercenter.microsoft.com%2F.default" in token["body"]


async def test_a_hundred_calls_share_one_fetch(credentials: Credentials, cloud: LocalCloud) -> None:
    bearers = await asyncio.gather(*(credentials.bearer("default", LONG_S) for _ in range(100)))

    assert len(set(bearers)) == 1
    assert len(cloud.requests()) == 5


async def test_a_cached_token_costs_nothing(credentials: Credentials, cloud: LocalCloud) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    cloud.forget()

    assert await credentials.bearer("default", LONG_S) == bearer
    assert cloud.requests() == []


async def test_each_account_has_a_token_of_its_own(credentials: Credentials, cloud: LocalCloud) -> None:
    first = await credentials.bearer("default", LONG_S)
    cloud.forget()

    assert await credentials.bearer("production", LONG_S) != first
    assert cloud.traffic() == ["identity GET 200", "key_vault GET 200", "entra GET 200", "entra POST 200"]


async def test_a_rejected_token_is_fetched_anew_with_its_secret(credentials: Credentials, cloud: LocalCloud) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    cloud.forget()

    credentials.reject_token("default", bearer, was_renewed=False)
    renewed = await credentials.bearer("default", LONG_S)

    assert renewed != bearer
    assert cloud.traffic() == ["identity GET 200", "key_vault GET 200", "entra GET 200", "entra POST 200"]


async def test_the_rejection_of_an_older_token_changes_nothing(credentials: Credentials, cloud: LocalCloud) -> None:
    """A call that began earlier may report the old token late."""
    bearer = await credentials.bearer("default", LONG_S)
    credentials.reject_token("default", bearer, was_renewed=False)
    renewed = await credentials.bearer("default", LONG_S)
    cloud.forget()

    credentials.reject_token("default", bearer, was_renewed=False)

    assert await credentials.bearer("default", LONG_S) == renewed
    assert cloud.requests() == []


async def test_an_account_without_a_secret_does_not_stop_another(credentials: Credentials, cloud: LocalCloud) -> None:
    cloud.fault(service="identity", delay_s=60)
    sound = asyncio.create_task(credentials.bearer("default", LONG_S))
    await wait_for_request(cloud, "identity")

    with pytest.raises(CancelError) as caught:
        await credentials.bearer("no-secret", LONG_S)
    cloud.clear_faults()

    assert caught.value.code == "misconfigured"
    assert await sound


async def test_a_call_waits_no_longer_than_it_may(credentials: Credentials, cloud: LocalCloud) -> None:
    cloud.fault(service="key_vault", delay_s=60)

    with pytest.raises(CancelError) as caught:
        await credentials.bearer("default", 0.2)
    cloud.clear_faults()

    assert caught.value.code == "credentials_unavailable"
    assert caught.value.retryable
    assert await credentials.bearer("default", LONG_S)  # the fetch goes on for calls that wait longer


async def test_a_cancelled_call_does_not_end_the_fetch_of_others(credentials: Credentials, cloud: LocalCloud) -> None:
    impatient = asyncio.create_task(credentials.bearer("default", LONG_S))
    patient = asyncio.create_task(credentials.bearer("default", LONG_S))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient
    assert impatient.cancelled()
    assert len(cloud.requests()) == 5


async def test_a_secret_is_read_again_when_it_is_old(
    settings: Settings, cloud: LocalCloud, clock: Clock, spare_account: str
) -> None:
    """SECRET_TTL_S limits how long a secret that was taken out of Key Vault serves on."""
    cloud.change_app(spare_account, tokenLifetime_s=60)
    credentials = Credentials(settings.model_copy(update={"secret_ttl_s": 300}), clock)
    vault_reads = []
    for age_s in (0, 299, 360, 650, 720):
        clock.now = 1000 + age_s
        cloud.forget_requests()
        await credentials.bearer(spare_account, LONG_S)
        vault_reads.append((age_s, bool(cloud.requests("key_vault"))))
    credentials.close()

    assert vault_reads == [(0, True), (299, False), (360, True), (650, False), (720, True)]


async def test_accounts_that_hang_do_not_hold_up_another(settings: Settings, cloud: LocalCloud) -> None:
    """Slow requests of many accounts would take every thread, and those that wait for one, if they shared threads."""
    slow = settings.accounts["secret-china"]
    hanging = {f"hanging-{number}": slow for number in range(80)}
    credentials = Credentials(settings.model_copy(update={"accounts": settings.accounts | hanging}))
    cloud.fault(service="key_vault", path=f"/{slow.client_secret}/", delay_s=60, times=1000)
    waiting = [asyncio.create_task(credentials.bearer(name, LONG_S)) for name in hanging]
    await wait_for_request(cloud, "key_vault")

    try:
        assert await credentials.bearer("default", LONG_S)
        assert not any(task.done() for task in waiting)
    finally:
        cloud.clear_faults()
        await asyncio.gather(*waiting, return_exceptions=True)
        credentials.close()


async def test_a_call_that_is_cancelled_leaves_the_fetch_to_the_others(
    credentials: Credentials, cloud: LocalCloud
) -> None:
    """A caller that hangs up must not cost the others their token."""
    cloud.fault(service="entra", delay_s=60)
    cancelled = asyncio.create_task(credentials.bearer("default", LONG_S))
    other = asyncio.create_task(credentials.bearer("default", LONG_S))
    await wait_for_request(cloud, "entra")

    cancelled.cancel()
    await asyncio.wait({cancelled})
    cloud.clear_faults()

    assert await other
    assert cancelled.cancelled()
    assert len(cloud.requests("entra", "POST")) == 1


async def test_a_fetch_that_is_given_up_leaves_its_thread_free(settings: Settings, cloud: LocalCloud) -> None:
    """Closing ends the flight at once; its thread ends by itself, and nobody else notices."""
    credentials = Credentials(settings)
    cloud.fault(service="entra", delay_s=60)
    waiting = asyncio.create_task(credentials.bearer("default", LONG_S))
    await wait_for_request(cloud, "entra")

    credentials.close()
    await asyncio.wait({waiting}, timeout=LONG_S)
    cloud.clear_faults()

    assert waiting.cancelled()
    async with asyncio.timeout(LONG_S):
        while any("credentials-default" in thread.name for thread in threading.enumerate()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # threads tell nobody that they end
