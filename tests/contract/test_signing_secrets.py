"""The secrets that callers sign with, over their life: read once, rotated, taken away, Key Vault down."""

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import anyio
import pytest

from shared.callers.signing_secrets import READ_AGAIN_S, SigningSecrets
from shared.errors import OurFault, Unavailable
from shared.runtime import Runtime
from shared.settings import EntraCaller, Settings, SigningCaller
from tests.conftest import CUSTOMER
from tests.contract.conftest import App
from tests.support.callers import principal_headers, standard_webhooks_headers, zendesk_headers
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(settings: Settings, clock: Clock) -> Iterator[SigningSecrets]:
    held = SigningSecrets(settings, clock)
    yield held
    held.close()


@pytest.fixture
def name(cloud: LocalCloud) -> Iterator[str]:
    """A secret of its own in Key Vault, which holds "first"."""
    secret = f"signing-{uuid4().hex[:8]}"
    cloud.put(f"secrets/{secret}", {"value": "first"})
    yield secret
    cloud.put(f"secrets/{secret}", {"value": "gone", "attributes": {"enabled": False}})


async def test_a_hundred_callers_wait_for_one_read(store: SigningSecrets, cloud: LocalCloud, name: str) -> None:
    found = await asyncio.gather(*(store.values([name], 30) for _ in range(100)))

    assert all(one == ({name: "first"}, None) for one in found)
    assert len(cloud.requests("key_vault")) <= 2  # the challenge, if this process has not had it, and the read


async def test_a_line_break_that_was_piped_in_is_no_part_of_a_secret(
    store: SigningSecrets, cloud: LocalCloud, name: str
) -> None:
    cloud.put(f"secrets/{name}", {"value": "piped\n"})

    assert await store.values([name], 30) == ({name: "piped"}, None)


async def test_a_secret_is_read_again_when_it_is_old(
    store: SigningSecrets, settings: Settings, cloud: LocalCloud, clock: Clock, name: str
) -> None:
    await store.values([name], 30)
    cloud.put(f"secrets/{name}", {"value": "second"})

    clock.now += settings.secret_ttl_s - 1
    assert await store.values([name], 30) == ({name: "first"}, None)
    clock.now += 1
    assert await store.values([name], 30) == ({name: "second"}, None)


async def test_a_secret_that_verified_nothing_is_read_again_twice_a_minute_at_most(
    store: SigningSecrets, cloud: LocalCloud, clock: Clock, name: str
) -> None:
    await store.values([name], 30)
    cloud.put(f"secrets/{name}", {"value": "second"})

    assert not store.read_again([name])
    clock.now += READ_AGAIN_S
    assert store.read_again([name])
    assert await store.values([name], 30) == ({name: "second"}, None)
    assert not store.read_again([name])


async def test_while_key_vault_is_down_what_was_kept_serves_on(
    store: SigningSecrets, settings: Settings, cloud: LocalCloud, clock: Clock, name: str
) -> None:
    await store.values([name], 30)
    cloud.forget()
    cloud.fault(service="key_vault", status=503, times=100)
    clock.now += settings.secret_ttl_s

    for _ in range(5):
        found, doubt = await store.values([name], 30)
        assert found == {name: "first"}
        assert isinstance(doubt, Unavailable)
    assert len(cloud.requests("key_vault")) == 1


async def test_a_secret_that_was_taken_away_serves_no_longer(
    store: SigningSecrets, settings: Settings, cloud: LocalCloud, clock: Clock, name: str
) -> None:
    """Disabling it is how an operator shuts a caller out."""
    await store.values([name], 30)
    cloud.put(f"secrets/{name}", {"value": "first", "attributes": {"enabled": False}})
    clock.now += settings.secret_ttl_s

    found, error = await store.values([name], 30)

    assert found == {}
    assert isinstance(error, OurFault)


async def test_one_missing_secret_does_not_hide_another(store: SigningSecrets, name: str) -> None:
    found, error = await store.values([name, "no-such-secret"], 30)

    assert found == {name: "first"}
    assert isinstance(error, OurFault)
    assert error.code == "misconfigured"


async def test_a_secret_that_is_not_there_is_looked_for_twice_a_minute_at_most(
    store: SigningSecrets, cloud: LocalCloud, clock: Clock, name: str
) -> None:
    """The next of a rotation may be named before it is stored: not each request must wait for that answer."""
    following = f"{name}-next"
    await store.values([name, following], 30)
    cloud.forget()

    for _ in range(5):
        found, error = await store.values([name, following], 30)
        assert (found, error and error.code) == ({name: "first"}, "misconfigured")
    assert cloud.requests("key_vault") == []
    cloud.put(f"secrets/{following}", {"value": "second"})
    clock.now += READ_AGAIN_S
    assert await store.values([name, following], 30) == ({name: "first", following: "second"}, None)


async def test_a_bug_is_not_taken_for_an_outage(settings: Settings, name: str) -> None:
    """Else it would be told as 503 for ever, and stand in no log."""
    store = SigningSecrets(settings.model_copy(update={"key_vault_url": ""}))  # which no settings that were read have

    with pytest.raises(ValueError, match="vault_url"):
        await store.values([name], 30)

    store.close()


async def test_the_wait_is_bounded(store: SigningSecrets, cloud: LocalCloud, name: str) -> None:
    cloud.fault(service="key_vault", delay_s=4)

    found, error = await store.values([name], 0.05)

    assert found == {}
    assert isinstance(error, Unavailable)
    cloud.forget()
    assert (await store.values([name], 30))[0] in ({}, {name: "first"})  # let the flight land


async def test_a_read_that_hangs_holds_up_no_other_connection(
    store: SigningSecrets, cloud: LocalCloud, name: str
) -> None:
    """The loop's own threads look up the names of hosts: Partner Center's too."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    cloud.fault(service="key_vault", delay_s=2)
    reading = asyncio.create_task(store.values([name], 30))
    asked = False
    with anyio.fail_after(30):
        while not asked:
            await asyncio.sleep(0.01)
            asked = bool(cloud.requests("key_vault"))

    await asyncio.get_running_loop().getaddrinfo("localhost", 443)

    assert [one["status"] for one in cloud.requests("key_vault")] == [None]  # not answered yet
    await reading  # let the flight land


async def test_a_call_ends_in_time_though_a_secret_is_still_read_again(
    settings: Settings, store: SigningSecrets, cloud: LocalCloud, clock: Clock, name: str
) -> None:
    """Whether the secret was rotated nobody knows then, so the caller is not refused for good."""
    await store.values([name], 30)
    clock.now += READ_AGAIN_S
    cloud.fault(service="key_vault", delay_s=2)
    signed = zendesk_headers(b"{}", time.time(), "second")

    async with Runtime(guarded(settings, name).model_copy(update={"deadline_s": 0.2})) as runtime:
        runtime.__dict__["_signing_secrets"] = store
        _, problem, _ = await App(runtime).post(b"{}", **{k.replace("-", "_"): v for k, v in signed.items()})
        await store.values([name], 30)  # let the flight land

    assert problem["code"] == "credentials_unavailable"


def guarded(settings: Settings, name: str) -> Settings:
    callers = {
        "desk": SigningCaller(proof="zendesk", secrets=(name,)),
        "hooks": SigningCaller(proof="standard-webhooks", secrets=(f"{name}-none",)),
    }
    return settings.model_copy(update={"callers": callers})


async def test_a_signed_request_is_carried_out(
    settings: Settings, cloud: LocalCloud, name: str, order_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And the secret and the signature stay out of what is logged."""
    caplog.set_level(logging.DEBUG)
    body = f'{{"customerTenantId": "{CUSTOMER}", "orderId": "{order_id}"}}\r\n'.encode()
    cloud.put(f"secrets/{name}", {"value": "PLANTED-the-webhooks-own-secret"})
    signed = zendesk_headers(body, time.time(), "PLANTED-the-webhooks-own-secret")

    async with Runtime(guarded(settings, name)) as runtime:
        status, answer, _ = await App(runtime).post(body, **{k.replace("-", "_"): v for k, v in signed.items()})
        held = repr(runtime.__dict__["_signing_secrets"].__dict__)

    assert (status, answer.get("outcome")) == (200, "cancelled")
    [decided] = [one for one in caplog.messages if '"event": "decided"' in one]
    assert '"caller": "desk"' in decided
    out = "\n".join([held, *(f"{one.__dict__}" for one in caplog.records)])
    assert "PLANTED" not in out
    assert signed["x-zendesk-webhook-signature"] not in out


async def test_without_proof_key_vault_is_not_even_asked(settings: Settings, cloud: LocalCloud, name: str) -> None:
    old = zendesk_headers(b"{}", time.time() - 3600)
    async with Runtime(guarded(settings, name)) as runtime:
        for headers in ({}, old, {"x-zendesk-webhook-signature": "x"}):
            status, _, _ = await App(runtime).post(b"{}", **{k.replace("-", "_"): v for k, v in headers.items()})
            assert status == 401

    assert cloud.requests() == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 503}, "credentials_unavailable"),
        ({"hang_up": "before"}, "credentials_unavailable"),
        (None, "misconfigured"),
    ],
    ids=str,
)
async def test_a_secret_that_cannot_be_had_is_not_the_callers_fault(
    settings: Settings, cloud: LocalCloud, name: str, fault: dict[str, object] | None, code: str
) -> None:
    """Not 401, after which a ticketing system would not try again."""
    if fault:
        cloud.fault(service="key_vault", times=2, **fault)
    signed = standard_webhooks_headers(b"{}", time.time())  # of the caller whose secret is not there

    async with Runtime(guarded(settings, name)) as runtime:
        _, problem, _ = await App(runtime).post(b"{}", **{k.replace("-", "_"): v for k, v in signed.items()})

    assert problem["code"] == code
    assert code != "misconfigured" or f"{name}-none" in problem["detail"]


async def test_a_rotated_secret_opens_once_it_is_read_again(
    settings: Settings, store: SigningSecrets, cloud: LocalCloud, clock: Clock, name: str
) -> None:
    await store.values([name], 30)
    cloud.put(f"secrets/{name}", {"value": "second"})
    signed = {k.replace("-", "_"): v for k, v in zendesk_headers(b"{}", time.time(), "second").items()}

    async with Runtime(guarded(settings, name)) as runtime:
        runtime.__dict__["_signing_secrets"] = store
        soon, _, _ = await App(runtime).post(b"{}", **signed)
        clock.now += READ_AGAIN_S
        later, problem, _ = await App(runtime).post(b"{}", **signed)

    assert (soon, later, problem["code"]) == (401, 400, "invalid_request")  # known, then; its body asks for nothing


async def test_a_signature_that_does_not_fit_is_no_refusal_while_nobody_can_look_for_a_newer_secret(
    settings: Settings, store: SigningSecrets, cloud: LocalCloud, clock: Clock, name: str
) -> None:
    """It may have been rotated: told 401, a ticketing system would never try again. Nor is Key Vault hammered."""
    await store.values([name], 30)
    clock.now += READ_AGAIN_S
    cloud.forget()
    cloud.fault(service="key_vault", status=503, times=100)
    signed = {k.replace("-", "_"): v for k, v in zendesk_headers(b"{}", time.time(), "wrong").items()}

    async with Runtime(guarded(settings, name)) as runtime:
        runtime.__dict__["_signing_secrets"] = store
        statuses = [(await App(runtime).post(b"{}", **signed))[0] for _ in range(3)]

    assert statuses == [503] * 3
    assert len(cloud.requests("key_vault")) == 1


@pytest.mark.parametrize(("enabled", "status"), [(None, 401), ("True", 400)])
async def test_an_entra_principal_counts_only_where_azure_says_that_it_checks(
    settings: Settings, enabled: str | None, status: int
) -> None:
    """400: known, then; its body asks for nothing."""
    callers = {"flow": EntraCaller(proof="entra", role="Orders.Cancel")}
    known = settings.model_copy(update={"callers": callers, "website_auth_enabled": enabled})

    async with Runtime(known) as runtime:
        sent = {k.replace("-", "_"): v for k, v in principal_headers("Orders.Cancel").items()}
        found, _, _ = await App(runtime).post(b"{}", **sent)

    assert found == status
