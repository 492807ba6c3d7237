"""The real azure-identity and azure-keyvault-secrets against the stand-ins: what they ask, what we make of it."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from typing import Any, cast

import pytest

from shared.credentials.tokens import Credentials
from shared.errors import CancelError
from shared.settings import Settings
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

LONG_S = 30.0


class Clock:
    """Seconds that pass when a test says so, on top of those that do."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def credentials(settings: Settings, clock: Clock) -> Iterator[Credentials]:
    held = Credentials(settings, clock)
    yield held
    held.close()


@pytest.fixture
def rotated(cloud: LocalCloud) -> Iterator[str]:
    """The name of an account whose secret a test may change; put back afterwards."""
    account = cloud.description["accounts"]["limited"]
    yield "limited"
    put_secret(cloud, account["clientSecret"], account["clientSecret"])
    cloud.put(f"clients/{account['clientId']}", {"tokenLifetime_s": 3599})


def put_secret(cloud: LocalCloud, at_entra: str, in_vault: str) -> None:
    account = cloud.description["accounts"]["limited"]
    cloud.put(f"clients/{account['clientId']}", {"secret": at_entra})
    cloud.put(f"secrets/{account['secretName']}", {"value": in_vault})


def asked(cloud: LocalCloud) -> list[str]:
    return [f"{one['service']} {one['method']} {one['status']}" for one in cloud.requests()]


async def refusal(credentials: Credentials, account: str = "default", timeout_s: float = LONG_S) -> CancelError:
    with pytest.raises(CancelError) as caught:
        await credentials.bearer(account, timeout_s)
    return caught.value


async def test_a_cold_start_asks_each_service_once(credentials: Credentials, cloud: LocalCloud) -> None:
    """Five requests before the PATCH; every other one would be paid at each cold start."""
    assert await credentials.bearer("default", LONG_S)

    assert asked(cloud) == [
        "key_vault GET 401",
        "identity GET 200",
        "key_vault GET 200",
        "entra GET 200",
        "entra POST 200",
    ]
    [identity] = cloud.requests("identity")
    assert f"client_id={cloud.description['environment']['AZURE_CLIENT_ID']}" in identity["path"]
    assert "scope=https%3A%2F%2Fapi.partnercenter.microsoft.com%2F.default" in cloud.requests("entra")[1]["body"]


async def test_a_hundred_callers_wait_for_one_flight(credentials: Credentials, cloud: LocalCloud) -> None:
    bearers = await asyncio.gather(*(credentials.bearer("default", LONG_S) for _ in range(100)))

    assert len(set(bearers)) == 1
    assert len(cloud.requests()) == 5


async def test_a_held_token_costs_nothing(credentials: Credentials, cloud: LocalCloud) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    cloud.forget()

    assert await credentials.bearer("default", LONG_S) == bearer
    assert cloud.requests() == []


async def test_accounts_have_tokens_of_their_own(credentials: Credentials, cloud: LocalCloud) -> None:
    first = await credentials.bearer("default", LONG_S)
    cloud.forget()

    assert await credentials.bearer("production", LONG_S) != first
    assert asked(cloud) == ["identity GET 200", "key_vault GET 200", "entra GET 200", "entra POST 200"]


async def test_a_refused_token_is_fetched_anew_with_its_secret(credentials: Credentials, cloud: LocalCloud) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    cloud.forget()

    credentials.reject_token("default", bearer, was_renewed=False)
    renewed = await credentials.bearer("default", LONG_S)
    credentials.reject_token("default", bearer, was_renewed=False)  # by a call that had the old one: too late to matter

    assert renewed != bearer
    assert await credentials.bearer("default", LONG_S) == renewed
    assert asked(cloud) == ["identity GET 200", "key_vault GET 200", "entra GET 200", "entra POST 200"]


async def test_a_token_on_its_way_when_one_is_refused_is_not_trusted(
    credentials: Credentials, cloud: LocalCloud, clock: Clock
) -> None:
    """It may have been asked for with the secret that was replaced."""
    bearer = await credentials.bearer("default", LONG_S)
    clock.ahead_s = 0.85 * 3599
    cloud.fault(service="entra", delay_s=60)
    cloud.http.delete(f"{cloud.description['controlUrl']}/requests")
    assert await credentials.bearer("default", LONG_S) == bearer  # and a renewal is on its way
    while not await asyncio.to_thread(cloud.requests, "entra"):  # noqa: ASYNC110  (in another process)
        await asyncio.sleep(0.01)

    credentials.reject_token("default", bearer, was_renewed=False)
    renewed = await credentials.bearer("default", LONG_S)
    cloud.forget()
    await flights_landed()

    assert await credentials.bearer("default", LONG_S) == renewed


async def test_one_accounts_trouble_is_its_own(credentials: Credentials, cloud: LocalCloud) -> None:
    cloud.fault(service="identity", delay_s=60)
    healthy = asyncio.create_task(credentials.bearer("default", LONG_S))
    while not await asyncio.to_thread(cloud.requests, "identity"):  # noqa: ASYNC110  (in another process)
        await asyncio.sleep(0.01)

    assert (await refusal(credentials, "no-secret")).code == "misconfigured"
    cloud.forget()
    assert await healthy


async def test_a_rotated_secret_costs_no_failed_request(
    credentials: Credentials, cloud: LocalCloud, clock: Clock, rotated: str
) -> None:
    """Entra refuses the secret that was kept; Key Vault has the new one."""
    client_id = cloud.description["accounts"][rotated]["clientId"]
    cloud.put(f"clients/{client_id}", {"tokenLifetime_s": 60})
    first = await credentials.bearer(rotated, LONG_S)
    put_secret(cloud, "another~secret", "another~secret")
    clock.ahead_s = 61
    cloud.forget()

    assert await credentials.bearer(rotated, LONG_S) != first
    assert asked(cloud) == [
        "entra GET 200",
        "entra POST 401",
        "identity GET 200",
        "key_vault GET 200",
        "entra GET 200",
        "entra POST 200",
    ]


async def test_a_rejection_is_remembered(credentials: Credentials, cloud: LocalCloud) -> None:
    """Callers repeat, and Entra locks out whoever asks too often with a wrong secret."""
    errors = [await refusal(credentials, "expired") for _ in range(5)]

    assert {error.code for error in errors} == {"credentials_rejected"}
    assert "AADSTS7000215" in errors[0].detail
    assert "client secret is wrong" in errors[0].detail
    assert len([one for one in cloud.requests("entra") if one["method"] == "POST"]) == 1


@pytest.mark.parametrize("account", ["default", "certificate-global", "user-global", "federated-global"])
async def test_whoever_has_a_false_certificate_is_told_nothing(
    settings: Settings, cloud: LocalCloud, account: str
) -> None:
    """Each SDK checks, though all are given a TLS context instead of reading the authorities themselves."""
    impostor = settings.accounts["impostor"].api_root  # it would answer 404
    assert impostor
    false_entra = settings.accounts[account].model_copy(update={"authority": impostor})
    false_vault = settings.model_copy(update={"key_vault_url": impostor})
    cases = [settings.model_copy(update={"accounts": {account: false_entra}}), false_vault]
    for case in cases[: 1 if account == "federated-global" else 2]:
        credentials = Credentials(case)
        assert (await refusal(credentials, account)).code == "credentials_unavailable"
        credentials.close()

    assert [one for one in cloud.requests("entra") if one["method"] == "POST"] == []


async def test_a_secret_rotated_between_its_read_and_its_use_fails_nobody(
    credentials: Credentials, cloud: LocalCloud
) -> None:
    """On a busy machine seconds lie between the two."""
    known = cloud.description["accounts"]["secret-usgov"]
    cloud.fault(service="entra", method="GET", delay_s=60)
    flight = asyncio.create_task(credentials.bearer("secret-usgov", LONG_S))
    while not await asyncio.to_thread(cloud.requests, "entra"):  # noqa: ASYNC110  (in another process)
        await asyncio.sleep(0.01)

    cloud.put(f"secrets/{known['secretName']}", {"value": "rotated-meanwhile"})
    cloud.put(f"clients/{known['clientId']}", {"secret": "rotated-meanwhile"})
    cloud.http.delete(f"{cloud.description['controlUrl']}/faults")

    assert await flight
    cloud.put(f"secrets/{known['secretName']}", {"value": known["clientSecret"]})
    cloud.put(f"clients/{known['clientId']}", {"secret": known["clientSecret"]})


def entra_error(number: int) -> dict[str, Any]:
    return {"error": "x", "error_description": f"AADSTS{number}: words.", "error_codes": [number]}


IDENTITY_GONE = {"service": "identity", "hang_up": "before"}
FAULTS = [
    pytest.param(
        {"service": "identity", "status": 400, "body": {"statusCode": 400}}, "misconfigured", id="no-identity"
    ),
    pytest.param({"service": "identity", "status": 500}, "credentials_unavailable", id="identity-500"),
    pytest.param({"service": "identity", "status": 429}, "credentials_unavailable", id="identity-429"),
    pytest.param({"service": "identity", "body": "<html>"}, "credentials_unavailable", id="identity-junk"),
    pytest.param(IDENTITY_GONE, "credentials_unavailable", id="identity-hangs-up"),
    pytest.param({"service": "key_vault", "hang_up": "before"}, "credentials_unavailable", id="vault-hangs-up"),
    pytest.param({"service": "key_vault", "status": 503}, "credentials_unavailable", id="vault-503"),
    pytest.param({"service": "key_vault", "status": 429}, "credentials_unavailable", id="vault-429"),
    pytest.param({"service": "key_vault", "status": 200, "body": "<html>"}, "credentials_unavailable", id="vault-junk"),
    pytest.param({"service": "key_vault", "status": 403, "body": {}}, "misconfigured", id="vault-403"),
    pytest.param({"service": "entra", "hang_up": "before"}, "credentials_unavailable", id="entra-hangs-up"),
    pytest.param({"service": "entra", "status": 503}, "credentials_unavailable", id="entra-503"),
    pytest.param({"service": "entra", "status": 429, "body": {}}, "credentials_unavailable", id="entra-429"),
    pytest.param({"service": "entra", "body": "<html>"}, "credentials_unavailable", id="entra-junk"),
    pytest.param(
        {"service": "entra", "method": "POST", "status": 503, "body": "<html>"},
        "credentials_unavailable",
        id="token-503",
    ),
    pytest.param({"service": "entra", "method": "POST", "body": "<html>"}, "credentials_unavailable", id="token-junk"),
    *(
        pytest.param(
            {"service": "entra", "method": "POST", "body": {"access_token": no_token, "expires_in": 3599}},
            "credentials_unavailable",
            id=f"token-{what}",
        )
        for what, no_token in (("null", None), ("empty", ""), ("number", 5), ("break", "a\r\nb"), ("umlaut", "tök"))
    ),
    pytest.param(
        {"service": "entra", "method": "POST", "status": 400, "body": entra_error(90033)},
        "credentials_unavailable",
        id="entra-says-later",
    ),
    pytest.param(
        {"service": "entra", "method": "POST", "status": 401, "body": entra_error(7000222)},
        "credentials_rejected",
        id="secret-expired",
    ),
    pytest.param(
        {"service": "entra", "method": "POST", "status": 400, "body": entra_error(53003)},
        "credentials_rejected",
        id="conditional-access",
    ),
    pytest.param(
        {"service": "entra", "method": "POST", "status": 400, "body": {"error": "invalid_client"}},
        "credentials_rejected",
        id="no-number",
    ),
    pytest.param(
        {"service": "entra", "method": "GET", "status": 400, "body": entra_error(90002)},
        "credentials_rejected",
        id="no-such-tenant",
    ),
]


def is_passed(account: str, fault: dict[str, Any]) -> bool:
    """Return whether *account* comes to where *fault* is: a managed identity needs no secret and no discovery."""
    where = (fault["service"], fault.get("method"))
    return account != "federated-global" or not (where[0] == "key_vault" or where == ("entra", "GET"))


@pytest.mark.parametrize(
    ("account", "fault", "code"),
    [
        pytest.param(account, *case.values, id=f"{account}-{case.id}")
        for account in ("default", "certificate-global", "user-global", "federated-global")
        for case in FAULTS
        if is_passed(account, cast("dict[str, Any]", case.values[0]))
    ],
)
async def test_each_fault_on_the_way_to_a_token_has_its_code(
    credentials: Credentials, cloud: LocalCloud, account: str, fault: dict[str, Any], code: str
) -> None:
    """A caller may repeat what passes; an operator must mend what does not."""
    cloud.fault(**fault)

    error = await refusal(credentials, account)

    assert error.code == code
    assert error.detail
    # The SDKs' own repeats are off: with theirs, one caller would wait for minutes.
    faulty = [one for one in cloud.requests(fault["service"]) if one["method"] == fault.get("method", one["method"])]
    assert len(faulty) == 1


@pytest.mark.parametrize(("fault", "code"), [case for case in FAULTS if case.values[1] != "credentials_rejected"])
async def test_a_fault_that_has_passed_is_over(
    credentials: Credentials, cloud: LocalCloud, fault: dict[str, Any], code: str
) -> None:
    """MSAL keeps an identity endpoint's failure for a minute, long after it is mended."""
    cloud.fault(**fault)
    await refusal(credentials)

    assert await credentials.bearer("default", LONG_S)
    assert code


async def test_a_secret_that_is_not_there_names_the_account(credentials: Credentials) -> None:
    error = await refusal(credentials, "no-secret")

    assert (error.code, error.status) == ("misconfigured", 500)
    assert "account no-secret" in error.detail
    assert "Key Vault Secrets User" in error.detail


async def test_a_secret_that_is_empty_is_a_fault_of_the_operators(
    credentials: Credentials, cloud: LocalCloud, rotated: str
) -> None:
    put_secret(cloud, "x", "")

    assert (await refusal(credentials, rotated)).code == "misconfigured"


async def test_a_caller_waits_no_longer_than_it_may(credentials: Credentials, cloud: LocalCloud) -> None:
    cloud.fault(service="key_vault", delay_s=60)

    error = await refusal(credentials, timeout_s=0.2)

    assert (error.code, error.retryable) == ("credentials_unavailable", True)
    cloud.forget()
    assert await credentials.bearer("default", LONG_S)  # the flight went on for whoever waits longer


async def test_whoever_gives_up_does_not_end_the_flight_for_others(credentials: Credentials, cloud: LocalCloud) -> None:
    impatient = asyncio.create_task(credentials.bearer("default", LONG_S))
    patient = asyncio.create_task(credentials.bearer("default", LONG_S))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient
    assert impatient.cancelled()
    assert len(cloud.requests()) == 5


async def test_the_old_token_serves_while_it_is_renewed(
    credentials: Credentials, cloud: LocalCloud, clock: Clock
) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    clock.ahead_s = 0.85 * 3599
    cloud.fault(service="entra", delay_s=60)

    assert await credentials.bearer("default", LONG_S) == bearer
    cloud.forget()  # and lets Entra answer
    clock.ahead_s = 3700
    assert await credentials.bearer("default", LONG_S) != bearer


async def test_a_renewal_that_fails_hurts_nobody(credentials: Credentials, cloud: LocalCloud, clock: Clock) -> None:
    """With a valid token in hand Entra may be down, and is not asked by every request meanwhile."""
    bearer = await credentials.bearer("default", LONG_S)
    cloud.forget()
    cloud.fault(service="entra", status=503, times=100)
    clock.ahead_s = 0.85 * 3599

    assert await credentials.bearer("default", LONG_S) == bearer
    await flights_landed()
    assert {await credentials.bearer("default", LONG_S) for _ in range(10)} == {bearer}
    assert [one["status"] for one in cloud.requests("entra")] == [503]


async def test_a_token_that_has_ended_is_not_sent_although_its_renewal_failed(
    credentials: Credentials, cloud: LocalCloud, clock: Clock
) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    clock.ahead_s = 3700
    cloud.fault(service="entra", status=503)
    assert (await refusal(credentials)).code == "credentials_unavailable"

    assert await credentials.bearer("default", LONG_S) != bearer


async def flights_landed() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if flights := [task for task in others if "_fetch" in repr(task)]:
        await asyncio.wait(flights, timeout=LONG_S)


async def test_a_rejection_is_forgotten_after_half_a_minute(
    credentials: Credentials, cloud: LocalCloud, clock: Clock, rotated: str
) -> None:
    put_secret(cloud, "right", "wrong")
    assert (await refusal(credentials, rotated)).code == "credentials_rejected"
    put_secret(cloud, "right", "right")
    assert (await refusal(credentials, rotated)).code == "credentials_rejected"

    clock.ahead_s = 31

    assert await credentials.bearer(rotated, LONG_S)


async def test_no_secret_is_in_any_text(credentials: Credentials, cloud: LocalCloud) -> None:
    bearer = await credentials.bearer("default", LONG_S)
    error = await refusal(credentials, "expired")

    accounts = cloud.description["accounts"]
    texts = repr([credentials.__dict__, vars(error), str(error), error.__cause__, error.__context__])
    assert bearer not in texts
    assert accounts["expired"]["clientSecret"] not in texts


async def test_a_foreign_identity_is_refused(settings: Settings) -> None:
    stranger = Credentials(settings.model_copy(update={"azure_client_id": str(uuid.uuid4())}))
    try:
        assert (await refusal(stranger)).code == "misconfigured"
    finally:
        stranger.close()
