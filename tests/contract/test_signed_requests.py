"""Signed requests: accepted, refused, or answered with 503 while Key Vault does not answer."""

import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.caller_settings import SigningCaller
from shared.credentials.cached_secrets import READ_AGAIN_S, CachedSecrets, vault_secrets
from shared.credentials.repeats import MAX_ATTEMPTS
from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.contract.conftest import SHORT_PAUSE_S
from tests.support import proofs
from tests.support.clock import Clock
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

LONG_S = 30.0
HOOKS_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
async def guarded(settings: Settings, clock: Clock, secret_name: str) -> AsyncIterator[App]:
    """A worker with two callers: "desk" signs with the secret of *secret_name*, that of "hooks" is not in Key Vault."""
    callers = {
        "desk": SigningCaller(proof="zendesk", secrets=(secret_name,)),
        "hooks": SigningCaller(proof="standard-webhooks", secrets=(f"{secret_name}-none",)),
    }
    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        runtime.__dict__["_secrets"] = vault_secrets(settings, clock, first_pause_s=SHORT_PAUSE_S)
        yield App(runtime)


def store_of(app: App) -> CachedSecrets:
    store = app.runtime.__dict__["_secrets"]
    assert isinstance(store, CachedSecrets)
    return store


async def test_a_signed_request_is_carried_out(
    guarded: App, cloud: LocalCloud, secret_name: str, order_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the secret nor the signature is logged."""
    caplog.set_level(logging.DEBUG)
    body = f'{{"customerTenantId": "{CUSTOMER}", "orderId": "{order_id}"}}\r\n'.encode()
    cloud.store_secret(secret_name, "PLANTED-the-webhooks-own-secret")
    signed = proofs.zendesk(body, "PLANTED-the-webhooks-own-secret")

    answer = await guarded.post(body, **signed)

    assert answer.status == 200
    assert answer.outcome == "cancelled"
    [decided] = [json.loads(message) for message in caplog.messages if '"event": "decided"' in message]
    assert decided["caller"] == "desk"
    output = "\n".join([repr(store_of(guarded).__dict__), *(f"{record.__dict__}" for record in caplog.records)])
    assert "PLANTED" not in output
    assert signed["x-zendesk-webhook-signature"] not in output


UNSIGNED = {
    "nothing": {},
    "an-hour-old": proofs.zendesk(b"{}", "first", age=timedelta(hours=1)),
    "no-signature": {"x-zendesk-webhook-signature": "x"},
}


@pytest.mark.parametrize("name", UNSIGNED)
async def test_without_a_possible_proof_key_vault_is_not_asked(guarded: App, cloud: LocalCloud, name: str) -> None:
    answer = await guarded.post(b"{}", **UNSIGNED[name])

    assert answer.status == 401
    assert cloud.requests() == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({"status": 503}, "credentials_unavailable", id="503"),
        pytest.param({"hang_up": "before"}, "credentials_unavailable", id="hang-up"),
        pytest.param(None, "misconfigured", id="not-in-key-vault"),
    ],
)
async def test_a_secret_that_cannot_be_read_is_not_the_callers_fault(
    guarded: App, cloud: LocalCloud, secret_name: str, fault: Json | None, code: str
) -> None:
    """After a 401 a ticketing system would not try again."""
    if fault:
        cloud.fault(service="key_vault", times=2 * MAX_ATTEMPTS, **fault)  # the caller has two secrets

    answer = await guarded.post(b"{}", **proofs.standard_webhooks(b"{}", HOOKS_SECRET))

    assert answer.code == code
    assert code != "misconfigured" or f"{secret_name}-none" in answer.body["detail"]


async def test_a_rotated_secret_is_known_once_it_is_read_again(
    guarded: App, cloud: LocalCloud, clock: Clock, secret_name: str
) -> None:
    await store_of(guarded).values([secret_name], LONG_S)
    cloud.store_secret(secret_name, "second")
    signed = proofs.zendesk(b"{}", "second")

    at_once = await guarded.post(b"{}", **signed)
    clock.now += READ_AGAIN_S
    later = await guarded.post(b"{}", **signed)

    assert at_once.status == 401
    assert later.code == "invalid_request"  # the caller is identified; its body is empty


async def test_a_wrong_signature_is_not_refused_while_no_newer_secret_can_be_looked_for(
    guarded: App, cloud: LocalCloud, clock: Clock, secret_name: str
) -> None:
    """The secret may have been rotated; after a 401 a ticketing system would not try again."""
    await store_of(guarded).values([secret_name], LONG_S)
    clock.now += READ_AGAIN_S
    cloud.forget()
    cloud.fault(service="key_vault", status=503, times=100)
    signed = proofs.zendesk(b"{}", "wrong")

    statuses = [(await guarded.post(b"{}", **signed)).status for _ in range(3)]

    assert statuses == [503] * 3
    assert len(cloud.requests("key_vault")) == 1


async def test_a_call_ends_in_time_while_a_secret_is_read_again(
    guarded: App, cloud: LocalCloud, clock: Clock, secret_name: str
) -> None:
    """Until the secret is read nobody knows whether it was rotated, so the caller may repeat."""
    await store_of(guarded).values([secret_name], LONG_S)
    clock.now += READ_AGAIN_S
    cloud.fault(service="key_vault", delay_s=60)
    signed = proofs.zendesk(b"{}", "second")

    answer = await guarded.post(b"{}", prefer="wait=1", **signed)
    cloud.clear_faults()
    await store_of(guarded).values([secret_name], LONG_S)  # the read ends with this test

    assert answer.code == "credentials_unavailable"
