"""The cache of the secrets that callers sign with: reads, rotation, removal, and outages of Key Vault."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.credentials.cached_secrets import READ_AGAIN_S, CachedSecrets, vault_secrets
from shared.credentials.repeats import MAX_ATTEMPTS
from shared.errors import OurFault, Unavailable
from shared.settings import Settings
from tests.contract.conftest import SHORT_PAUSE_S
from tests.support.clock import Clock
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

LONG_S = 30.0


@pytest.fixture
def store(settings: Settings, clock: Clock) -> Iterator[CachedSecrets]:
    store = vault_secrets(settings, clock, first_pause_s=SHORT_PAUSE_S)
    yield store
    store.close()


async def test_a_hundred_calls_share_one_read(store: CachedSecrets, cloud: LocalCloud, secret_name: str) -> None:
    results = await asyncio.gather(*(store.values([secret_name], LONG_S) for _ in range(100)))

    assert all(result == ({secret_name: "first"}, None) for result in results)
    assert len(cloud.requests("key_vault")) <= 2  # the challenge, if this process has not had it, and the read


@pytest.mark.parametrize("service", ["identity", "key_vault"])
async def test_one_transient_fault_fails_no_call(
    store: CachedSecrets, cloud: LocalCloud, secret_name: str, service: str
) -> None:
    cloud.fault(service=service, status=500)

    results = await asyncio.gather(*(store.values([secret_name], LONG_S) for _ in range(20)))

    assert all(result == ({secret_name: "first"}, None) for result in results)


async def test_key_vault_is_asked_a_few_times_and_not_for_ever(
    store: CachedSecrets, cloud: LocalCloud, secret_name: str
) -> None:
    cloud.fault(service="key_vault", status=500, times=100)

    found, error = await store.values([secret_name], LONG_S)

    assert found == {}
    assert isinstance(error, Unavailable)
    assert len(cloud.requests("key_vault")) == MAX_ATTEMPTS


async def test_a_line_break_at_the_end_is_no_part_of_a_secret(
    store: CachedSecrets, cloud: LocalCloud, secret_name: str
) -> None:
    """A secret that was stored through a pipe ends with a line break."""
    cloud.store_secret(secret_name, "piped\n")

    assert await store.values([secret_name], LONG_S) == ({secret_name: "piped"}, None)


async def test_an_old_secret_is_read_again(
    store: CachedSecrets, settings: Settings, cloud: LocalCloud, clock: Clock, secret_name: str
) -> None:
    await store.values([secret_name], LONG_S)
    cloud.store_secret(secret_name, "second")

    clock.now += settings.secret_ttl_s - 1
    assert await store.values([secret_name], LONG_S) == ({secret_name: "first"}, None)
    clock.now += 1
    assert await store.values([secret_name], LONG_S) == ({secret_name: "second"}, None)


async def test_a_secret_that_verified_nothing_is_read_again_twice_a_minute_at_most(
    store: CachedSecrets, cloud: LocalCloud, clock: Clock, secret_name: str
) -> None:
    await store.values([secret_name], LONG_S)
    cloud.store_secret(secret_name, "second")

    assert not store.read_again([secret_name])
    clock.now += READ_AGAIN_S
    assert store.read_again([secret_name])
    assert await store.values([secret_name], LONG_S) == ({secret_name: "second"}, None)
    assert not store.read_again([secret_name])


async def test_while_key_vault_is_down_a_kept_secret_serves_on(
    store: CachedSecrets, settings: Settings, cloud: LocalCloud, clock: Clock, secret_name: str
) -> None:
    await store.values([secret_name], LONG_S)
    cloud.forget()
    cloud.fault(service="key_vault", status=503, times=100)
    clock.now += settings.secret_ttl_s

    for _ in range(5):
        found, doubt = await store.values([secret_name], LONG_S)
        assert found == {secret_name: "first"}
        assert isinstance(doubt, Unavailable)
    assert len(cloud.requests("key_vault")) == 1


async def test_a_disabled_secret_serves_no_longer(
    store: CachedSecrets, settings: Settings, cloud: LocalCloud, clock: Clock, secret_name: str
) -> None:
    """An operator disables the secret to shut its caller out."""
    await store.values([secret_name], LONG_S)
    cloud.store_secret(secret_name, "first", attributes={"enabled": False})
    clock.now += settings.secret_ttl_s

    found, error = await store.values([secret_name], LONG_S)

    assert found == {}
    assert isinstance(error, OurFault)


async def test_one_missing_secret_does_not_hide_another(store: CachedSecrets, secret_name: str) -> None:
    found, error = await store.values([secret_name, "no-such-secret"], LONG_S)

    assert found == {secret_name: "first"}
    assert isinstance(error, OurFault)
    assert error.code == "misconfigured"


async def test_a_missing_secret_is_looked_for_twice_a_minute_at_most(
    store: CachedSecrets, cloud: LocalCloud, clock: Clock, secret_name: str
) -> None:
    """The next secret of a rotation may be named before it is stored; requests must not wait for it each time."""
    next_name = f"{secret_name}-next"
    await store.values([secret_name, next_name], LONG_S)
    cloud.forget()

    for _ in range(5):
        found, error = await store.values([secret_name, next_name], LONG_S)
        assert found == {secret_name: "first"}
        assert error is not None
        assert error.code == "misconfigured"
    assert cloud.requests("key_vault") == []
    cloud.store_secret(next_name, "second")
    clock.now += READ_AGAIN_S
    assert await store.values([secret_name, next_name], LONG_S) == ({secret_name: "first", next_name: "second"}, None)


async def test_a_bug_is_not_taken_for_an_outage(settings: Settings, secret_name: str) -> None:
    """The answer would be 503 for ever, and no log would show the bug."""
    store = vault_secrets(settings.model_copy(update={"key_vault_url": ""}))  # no deployment has an empty URL

    with pytest.raises(ValueError, match="vault_url"):
        await store.values([secret_name], LONG_S)

    store.close()


async def test_a_call_waits_no_longer_than_it_may(store: CachedSecrets, cloud: LocalCloud, secret_name: str) -> None:
    cloud.fault(service="key_vault", delay_s=60)

    found, error = await store.values([secret_name], 0.05)

    assert found == {}
    assert isinstance(error, Unavailable)
    cloud.clear_faults()
    await store.values([secret_name], LONG_S)  # the read ends with this test


async def test_a_hanging_read_does_not_hold_up_the_look_up_of_hosts(
    store: CachedSecrets, cloud: LocalCloud, secret_name: str
) -> None:
    """The event loop looks up hosts, Partner Center's too, in its own threads; the read must not take one of them."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    cloud.fault(service="key_vault", delay_s=60)
    reading = asyncio.create_task(store.values([secret_name], LONG_S))
    async with asyncio.timeout(LONG_S):
        while not cloud.requests("key_vault"):  # noqa: ASYNC110  (in another process; the only thread is taken)
            await asyncio.sleep(0.01)

    async with asyncio.timeout(LONG_S):
        await asyncio.get_running_loop().getaddrinfo("localhost", 443)

    assert [request["status"] for request in cloud.requests("key_vault")] == [None]  # not answered yet
    cloud.clear_faults()
    await reading
