"""GET: does each account's credential work, and until when; without cancelling, without a secret in the answer."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from cryptography.hazmat.primitives import serialization

from shared.runtime import Runtime
from shared.settings import Account, Mode, Settings
from tests.contract.conftest import respond
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

KINDS = {
    "secret-china": "clientSecret",
    "certificate-global": "certificate",
    "certificate-china": "certificate",
    "user-global": "refreshToken",
    "federated-global": "managedIdentity",
}


def only(settings: Settings, *names: str, **more: Account) -> Settings:
    accounts = {name: settings.accounts[name] for name in names} | more
    return settings.model_copy(update={"accounts": accounts})


async def ask(settings: Settings) -> tuple[int, dict[str, Any]]:
    async with Runtime(settings) as runtime:
        return await ask_worker(runtime)


async def ask_worker(runtime: Runtime) -> tuple[int, dict[str, Any]]:
    response = await respond(lambda: runtime, b"", method="GET")
    return response.status_code, json.loads(response.get_body())


def store(cloud: LocalCloud, secret: str, value: str, **attributes: int) -> None:
    cloud.put(f"secrets/{secret}", {"value": value, "attributes": attributes})


def newest(cloud: LocalCloud, secret: str) -> str:
    versions = cloud.http.get(f"{cloud.description['controlUrl']}/secrets/{secret}").json()
    return str(versions[-1]["value"])


def day(text: str | None) -> str:
    return (text or "")[:10]


def in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


async def test_every_kind_of_credential_is_tried(settings: Settings, cloud: LocalCloud) -> None:
    status, health = await ask(only(settings, *KINDS))

    assert (status, health["healthy"]) == (200, True)
    assert {name: one["credential"] for name, one in health["accounts"].items()} == KINDS
    assert all(one["healthy"] and one["code"] is None for one in health["accounts"].values())
    assert datetime.fromisoformat(health["time"]).tzinfo
    assert cloud.requests("partner_center") == []
    text = json.dumps(health)
    for name in KINDS:
        for secret in ("clientSecret", "refreshToken", "certificate"):
            planted = cloud.description["accounts"][name].get(secret)
            assert planted is None or planted not in text


async def test_a_certificates_end_is_read_from_it(settings: Settings) -> None:
    """Whether PEM or PFX: only what Key Vault made itself has an end of its own there."""
    _, health = await ask(only(settings, "certificate-global", "certificate-china"))

    ends = {one["expiresOn"] for one in health["accounts"].values()}
    assert all(datetime.fromisoformat(end) > datetime.now(UTC) for end in ends)


def locked(pem: str) -> str:
    """Return *pem* with its key behind a password."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    how = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x"))
    return key.private_bytes(*how).decode() + pem[pem.index("-----BEGIN CERTIFICATE") :]


@pytest.mark.parametrize(
    "make",
    [locked, lambda pem: pem[: len(pem) // 2], lambda _: "AAAA"],
    ids=["with-a-password", "broken-off", "nothing"],
)
async def test_an_unusable_certificate_is_the_operators_to_mend(
    settings: Settings, cloud: LocalCloud, make: Callable[[str], str]
) -> None:
    pem = cloud.http.post(f"{cloud.description['controlUrl']}/certificates").json()["pem"]
    store(cloud, "unusable-certificate", make(pem))
    broken = settings.accounts["certificate-usgov"].model_copy(update={"certificate": "unusable-certificate"})

    status, health = await ask(only(settings, "federated-global", broken=broken))

    assert (status, health["accounts"]["broken"]["code"]) == (503, "misconfigured")
    assert health["accounts"]["federated-global"]["healthy"]


async def test_the_earliest_end_is_told(settings: Settings, cloud: LocalCloud) -> None:
    """Of App+User: of the client secret, of the refresh token as Key Vault has it, of 90 days without use."""
    user = cloud.description["accounts"]["user-usgov"]
    secret, token = user["secretName"], user["refreshTokenName"]
    stored = int(in_days(0).timestamp())
    ends = []
    for secret_end, token_end in ((20, 60), (100, 60), (300, 300)):
        store(cloud, secret, user["clientSecret"], exp=int(in_days(secret_end).timestamp()))
        store(cloud, token, user["refreshToken"], exp=int(in_days(token_end).timestamp()), updated=stored)
        _, health = await ask(only(settings, "user-usgov"))
        ends.append(day(health["accounts"]["user-usgov"]["expiresOn"]))

    assert ends == [f"{in_days(days):%Y-%m-%d}" for days in (20, 60, 90)]


async def test_a_secrets_name_may_be_set_in_another_case(settings: Settings, cloud: LocalCloud) -> None:
    """Key Vault takes it; what it holds must be found again, or the end is not known and nothing is kept."""
    account = cloud.description["accounts"]["secret-usgov"]
    store(cloud, account["secretName"], account["clientSecret"], exp=int(in_days(7).timestamp()))
    loud = settings.accounts["secret-usgov"].model_copy(update={"client_secret": account["secretName"].upper()})

    _, health = await ask(only(settings, loud=loud))

    assert day(health["accounts"]["loud"]["expiresOn"]) == f"{in_days(7):%Y-%m-%d}"


async def test_a_refresh_token_that_nobody_uses_is_kept_alive(settings: Settings, cloud: LocalCloud) -> None:
    """Unused for 90 days it would be dead, and a person would have to consent again."""
    user = cloud.description["accounts"]["user-china"]
    piped = user["refreshToken"] + "\n"  # as it comes out of a pipe
    store(cloud, user["refreshTokenName"], piped, updated=int(in_days(-40).timestamp()))

    async with Runtime(only(settings, "user-china")) as runtime:
        ends = ""
        with anyio.fail_after(30):
            while ends < f"{in_days(90):%Y-%m-%d}":  # it is stored beside the call
                _, health = await ask_worker(runtime)
                ends = day(health["accounts"]["user-china"]["expiresOn"])
                await anyio.sleep(0.02)

    assert newest(cloud, user["refreshTokenName"]) not in {user["refreshToken"], piped}


async def test_asking_again_costs_nothing(settings: Settings, cloud: LocalCloud) -> None:
    async with Runtime(only(settings, *KINDS)) as runtime:
        await ask_worker(runtime)
        cloud.forget()

        for _ in range(5):
            assert (await ask_worker(runtime))[0] == 200

    assert cloud.requests() == []


async def test_one_broken_account_is_told_and_the_others_too(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    off = settings.accounts["expired"].model_copy(update={"mode": Mode.OFF})

    status, health = await ask(only(settings, "secret-usgov", "expired", "no-secret", switched_off=off))

    assert (status, health["healthy"]) == (503, False)
    codes = {name: (one["healthy"], one["code"]) for name, one in health["accounts"].items()}
    assert codes == {
        "secret-usgov": (True, None),
        "expired": (False, "credentials_rejected"),
        "no-secret": (False, "misconfigured"),
        "switched_off": (True, None),
    }
    assert "AADSTS7000215" in health["accounts"]["expired"]["detail"]
    records: list[Mapping[str, Any]] = [json.loads(one.getMessage()) for one in caplog.records if "audit" in one.name]
    told = {one["account"]: one for one in records}
    assert told.keys() == codes.keys()
    members = {"time", "event", "account", "mode", "credential", "healthy", "expiresOn", "code"}
    assert all(one.keys() == members and one["event"] == "health" for one in records)
    assert told["expired"]["code"] == "credentials_rejected"


async def test_an_answer_of_key_vault_that_makes_no_sense_is_none(settings: Settings, cloud: LocalCloud) -> None:
    await ask(only(settings, "secret-china"))  # has Key Vault's challenge
    cloud.fault(service="key_vault", body={"value": "x", "id": "https://vault/secrets/x/1", "attributes": "none"})

    status, health = await ask(only(settings, "secret-china", "federated-global"))

    assert status == 503
    codes = {name: one["code"] for name, one in health["accounts"].items()}
    assert codes == {"secret-china": "credentials_unavailable", "federated-global": None}


async def test_the_answer_comes_in_time(settings: Settings, cloud: LocalCloud) -> None:
    cloud.fault(service="key_vault", delay_s=2)

    async with Runtime(only(settings, "secret-china").model_copy(update={"deadline_s": 0.1})) as runtime:
        status, health = await ask_worker(runtime)
        await runtime.__dict__["_credentials"].bearer("secret-china", 30)  # let the flight land

    assert (status, health["accounts"]["secret-china"]["code"]) == (503, "credentials_unavailable")


async def test_bad_settings_are_told_as_ever() -> None:
    def broken() -> Runtime:
        return Runtime(Settings.from_environ({}))

    response = await respond(broken, b"", method="GET")

    assert (response.status_code, json.loads(response.get_body())["code"]) == (500, "misconfigured")


async def test_a_managed_identity_that_is_refused_is_the_operators_to_mend(settings: Settings) -> None:
    wrong = only(settings, "federated-global").model_copy(update={"azure_client_id": "another"})

    _, health = await ask(wrong)

    assert health["accounts"]["federated-global"]["code"] == "misconfigured"
    assert "AZURE_CLIENT_ID" in health["accounts"]["federated-global"]["detail"]
