"""Tokens and the secrets behind them: the real azure-identity and azure-keyvault-secrets against the stand-ins."""

import asyncio
import uuid
from typing import NamedTuple

import pytest

from shared.credentials.tokens import Credentials
from shared.errors import CancelError
from shared.settings import Settings
from tests.support.clock import Clock
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

LONG_S = 30.0
LIFE_S = 3599  # of a token


async def test_a_cold_start_asks_each_service_once(credentials: Credentials, cloud: LocalCloud) -> None:
    """Five requests before the PATCH; each more would be paid at each cold start."""
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

    credentials.refuse("default", bearer, again=False)
    renewed = await credentials.bearer("default", LONG_S)

    assert renewed != bearer
    assert cloud.traffic() == ["identity GET 200", "key_vault GET 200", "entra GET 200", "entra POST 200"]


async def test_the_rejection_of_an_older_token_changes_nothing(credentials: Credentials, cloud: LocalCloud) -> None:
    """A call that began earlier may report the old token late."""
    bearer = await credentials.bearer("default", LONG_S)
    credentials.refuse("default", bearer, again=False)
    renewed = await credentials.bearer("default", LONG_S)
    cloud.forget()

    credentials.refuse("default", bearer, again=False)

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
    assert await credentials.bearer("default", LONG_S)  # the fetch went on for calls that wait longer


async def test_a_cancelled_call_does_not_end_the_fetch_of_others(credentials: Credentials, cloud: LocalCloud) -> None:
    impatient = asyncio.create_task(credentials.bearer("default", LONG_S))
    patient = asyncio.create_task(credentials.bearer("default", LONG_S))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient
    assert impatient.cancelled()
    assert len(cloud.requests()) == 5


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
    """While a valid token is held Entra may be down; not every request asks it meanwhile."""
    bearer = await credentials.bearer("default", LONG_S)
    cloud.forget()
    cloud.fault(service="entra", status=503, times=100)
    clock.now += 0.85 * LIFE_S

    assert await credentials.bearer("default", LONG_S) == bearer
    await fetches_ended()
    assert {await credentials.bearer("default", LONG_S) for _ in range(10)} == {bearer}
    assert [request["status"] for request in cloud.requests("entra")] == [503]


async def test_a_token_that_has_ended_is_not_used_even_if_its_renewal_failed(
    credentials: Credentials, cloud: LocalCloud, clock: Clock
) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    clock.now += LIFE_S + 1
    cloud.fault(service="entra", status=503)
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
    assert await credentials.bearer("default", LONG_S) == bearer  # and the renewal begins
    await wait_for_request(cloud, "entra")

    credentials.refuse("default", bearer, again=False)
    renewed = await credentials.bearer("default", LONG_S)
    cloud.clear_faults()
    await fetches_ended()

    assert await credentials.bearer("default", LONG_S) == renewed


async def test_a_rotated_secret_costs_no_failed_call(
    credentials: Credentials, cloud: LocalCloud, clock: Clock, spare_account: str
) -> None:
    """Entra rejects the secret that was kept; Key Vault has the new one."""
    cloud.change_app(spare_account, tokenLifetime_s=60)
    bearer = await credentials.bearer(spare_account, LONG_S)
    cloud.set_client_secret(spare_account, at_entra="another~secret", in_key_vault="another~secret")
    clock.now += 61
    cloud.forget()

    assert await credentials.bearer(spare_account, LONG_S) != bearer
    assert cloud.traffic() == [
        "entra GET 200",
        "entra POST 401",
        "identity GET 200",
        "key_vault GET 200",
        "entra GET 200",
        "entra POST 200",
    ]


async def test_a_secret_rotated_between_its_read_and_its_use_fails_no_call(
    credentials: Credentials, cloud: LocalCloud, spare_account: str
) -> None:
    """On a busy machine seconds lie between the two."""
    cloud.fault(service="entra", method="GET", delay_s=60)
    fetch = asyncio.create_task(credentials.bearer(spare_account, LONG_S))
    await wait_for_request(cloud, "entra")

    cloud.set_client_secret(spare_account, at_entra="rotated-meanwhile", in_key_vault="rotated-meanwhile")
    cloud.clear_faults()

    assert await fetch


async def test_a_rejection_is_remembered(credentials: Credentials, cloud: LocalCloud) -> None:
    """Callers repeat, and Entra locks out an app that asks too often with a wrong secret."""
    details = []
    for _ in range(5):
        with pytest.raises(CancelError) as caught:
            await credentials.bearer("expired", LONG_S)
        assert caught.value.code == "credentials_rejected"
        details.append(caught.value.detail)

    assert len(cloud.requests("entra", "POST")) == 1
    [detail] = set(details)
    assert "AADSTS7000215" in detail
    assert "client secret is wrong" in detail


async def test_a_rejection_is_forgotten_after_half_a_minute(
    credentials: Credentials, cloud: LocalCloud, clock: Clock, spare_account: str
) -> None:
    cloud.set_client_secret(spare_account, at_entra="right", in_key_vault="wrong")
    with pytest.raises(CancelError, match="AADSTS7000215"):
        await credentials.bearer(spare_account, LONG_S)
    cloud.set_client_secret(spare_account, at_entra="right", in_key_vault="right")
    with pytest.raises(CancelError, match="AADSTS7000215"):
        await credentials.bearer(spare_account, LONG_S)

    clock.now += 31

    assert await credentials.bearer(spare_account, LONG_S)


ACCOUNTS = ("default", "certificate-global", "user-global", "federated-global")  # one of each kind of credential


class Case(NamedTuple):
    """A fault of a stand-in, and the code that the caller gets."""

    fault: Json
    code: str


def token_error(status: int, number: int) -> Json:
    """Return the fault that Entra rejects a token request with the error AADSTS*number*."""
    body = {"error": "x", "error_description": f"AADSTS{number}: words.", "error_codes": [number]}
    return {"service": "entra", "method": "POST", "status": status, "body": body}


def token_answer(access_token: object) -> Json:
    """Return the fault that Entra answers with *access_token*, which is none."""
    return {"service": "entra", "method": "POST", "body": {"access_token": access_token, "expires_in": 3599}}


FAULTS: dict[str, Case] = {
    "no-identity": Case({"service": "identity", "status": 400, "body": {"statusCode": 400}}, "misconfigured"),
    "identity-500": Case({"service": "identity", "status": 500}, "credentials_unavailable"),
    "identity-429": Case({"service": "identity", "status": 429}, "credentials_unavailable"),
    "identity-junk": Case({"service": "identity", "body": "<html>"}, "credentials_unavailable"),
    "identity-hangs-up": Case({"service": "identity", "hang_up": "before"}, "credentials_unavailable"),
    "vault-hangs-up": Case({"service": "key_vault", "hang_up": "before"}, "credentials_unavailable"),
    "vault-503": Case({"service": "key_vault", "status": 503}, "credentials_unavailable"),
    "vault-429": Case({"service": "key_vault", "status": 429}, "credentials_unavailable"),
    "vault-junk": Case({"service": "key_vault", "status": 200, "body": "<html>"}, "credentials_unavailable"),
    "vault-403": Case({"service": "key_vault", "status": 403, "body": {}}, "misconfigured"),
    "entra-hangs-up": Case({"service": "entra", "hang_up": "before"}, "credentials_unavailable"),
    "entra-503": Case({"service": "entra", "status": 503}, "credentials_unavailable"),
    "entra-429": Case({"service": "entra", "status": 429, "body": {}}, "credentials_unavailable"),
    "entra-junk": Case({"service": "entra", "body": "<html>"}, "credentials_unavailable"),
    "token-503": Case(
        {"service": "entra", "method": "POST", "status": 503, "body": "<html>"}, "credentials_unavailable"
    ),
    "token-junk": Case({"service": "entra", "method": "POST", "body": "<html>"}, "credentials_unavailable"),
    "token-null": Case(token_answer(None), "credentials_unavailable"),
    "token-empty": Case(token_answer(""), "credentials_unavailable"),
    "token-number": Case(token_answer(5), "credentials_unavailable"),
    "token-break": Case(token_answer("a\r\nb"), "credentials_unavailable"),
    "token-umlaut": Case(token_answer("tök"), "credentials_unavailable"),
    "entra-is-busy": Case(token_error(400, 90033), "credentials_unavailable"),
    "secret-expired": Case(token_error(401, 7000222), "credentials_rejected"),
    "conditional-access": Case(token_error(400, 53003), "credentials_rejected"),
    "no-number": Case(
        {"service": "entra", "method": "POST", "status": 400, "body": {"error": "invalid_client"}},
        "credentials_rejected",
    ),
    "no-such-tenant": Case(token_error(400, 90002) | {"method": "GET"}, "credentials_rejected"),
}


def is_on_the_way(account: str, fault: Json) -> bool:
    """Return whether *account* asks where *fault* is: a managed identity needs no secret and no discovery."""
    place = (fault["service"], fault.get("method"))
    return account != "federated-global" or not (place[0] == "key_vault" or place == ("entra", "GET"))


@pytest.mark.parametrize(
    ("account", "name"),
    [(account, name) for account in ACCOUNTS for name, case in FAULTS.items() if is_on_the_way(account, case.fault)],
)
async def test_each_fault_on_the_way_to_a_token_has_its_code(
    credentials: Credentials, cloud: LocalCloud, account: str, name: str
) -> None:
    fault, code = FAULTS[name]
    cloud.fault(**fault)

    with pytest.raises(CancelError) as caught:
        await credentials.bearer(account, LONG_S)

    assert caught.value.code == code
    assert caught.value.detail
    # Once: the SDKs' own repeats are off; with them one caller would wait for minutes.
    assert len(cloud.requests(fault["service"], fault.get("method"))) == 1


@pytest.mark.parametrize("name", [name for name, case in FAULTS.items() if case.code != "credentials_rejected"])
async def test_after_a_fault_has_passed_the_next_call_gets_a_token(
    credentials: Credentials, cloud: LocalCloud, name: str
) -> None:
    """MSAL keeps a failure of the identity endpoint for a minute, long after it is mended."""
    cloud.fault(**FAULTS[name].fault)
    with pytest.raises(CancelError):
        await credentials.bearer("default", LONG_S)

    assert await credentials.bearer("default", LONG_S)


# Faults of the settings


async def test_a_missing_secret_names_the_account_and_the_role(credentials: Credentials) -> None:
    with pytest.raises(CancelError) as caught:
        await credentials.bearer("no-secret", LONG_S)

    assert caught.value.status == 500
    assert caught.value.code == "misconfigured"
    assert "account no-secret" in caught.value.detail
    assert "Key Vault Secrets User" in caught.value.detail


async def test_an_empty_secret_is_misconfigured(
    credentials: Credentials, cloud: LocalCloud, spare_account: str
) -> None:
    cloud.set_client_secret(spare_account, at_entra="x", in_key_vault="")

    with pytest.raises(CancelError) as caught:
        await credentials.bearer(spare_account, LONG_S)

    assert caught.value.code == "misconfigured"


async def test_another_managed_identity_is_misconfigured(settings: Settings) -> None:
    credentials = Credentials(settings.model_copy(update={"azure_client_id": str(uuid.uuid4())}))

    with pytest.raises(CancelError) as caught:
        await credentials.bearer("default", LONG_S)
    credentials.close()

    assert caught.value.code == "misconfigured"
