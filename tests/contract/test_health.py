"""The health report, by GET: whether each account's credential works, and when it ends."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from cryptography.hazmat.primitives import serialization

from shared.credentials.repeats import MAX_ATTEMPTS
from shared.runtime import Runtime
from shared.settings import Account, Mode, Settings
from tests.conftest import CUSTOMER
from tests.support.answers import Answer
from tests.support.in_process import App, get
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
    """Return *settings* with the accounts of these *names*, and *more* of them."""
    accounts = {name: settings.accounts[name] for name in names} | more
    return settings.model_copy(update={"accounts": accounts})


async def health_of(settings: Settings) -> Answer:
    """Return the report of a worker that has just started."""
    async with Runtime(settings) as runtime:
        return await App(runtime).get()


def in_days(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def seconds(time: datetime) -> int:
    return int(time.timestamp())


def ends(answer: Answer) -> dict[str, datetime]:
    """Return the end of each account's credential, by the account's name."""
    accounts = answer.body["accounts"]
    return {name: datetime.fromisoformat(account["expiresOn"]) for name, account in accounts.items()}


# The report


async def test_every_kind_of_credential_is_checked(settings: Settings, cloud: LocalCloud) -> None:
    answer = await health_of(only(settings, *KINDS))

    assert answer.status == 200
    assert answer.body["healthy"] is True
    accounts = answer.body["accounts"]
    assert {name: account["credential"] for name, account in accounts.items()} == KINDS
    assert all(account["healthy"] and account["code"] is None for account in accounts.values())
    assert datetime.fromisoformat(answer.body["time"]).tzinfo
    assert cloud.requests("partner_center") == []


async def test_no_secret_is_reported(settings: Settings, cloud: LocalCloud) -> None:
    answer = await health_of(only(settings, *KINDS))

    known = [cloud.description["accounts"][name] for name in KINDS]
    secrets = [
        account[member]
        for account in known
        for member in ("clientSecret", "refreshToken", "certificate")
        if member in account
    ]
    assert len(secrets) == 5
    assert [secret for secret in secrets if secret in json.dumps(answer.body)] == []


async def test_a_broken_account_is_reported_beside_sound_ones(settings: Settings) -> None:
    off = settings.accounts["expired"].model_copy(update={"mode": Mode.OFF})

    answer = await health_of(only(settings, "secret-usgov", "expired", "no-secret", switched_off=off))

    assert answer.status == 503
    assert answer.body["healthy"] is False
    accounts = answer.body["accounts"]
    assert {name: (account["healthy"], account["code"]) for name, account in accounts.items()} == {
        "secret-usgov": (True, None),
        "expired": (False, "credentials_rejected"),
        "no-secret": (False, "misconfigured"),
        "switched_off": (True, None),
    }
    assert "AADSTS7000215" in accounts["expired"]["detail"]


async def test_each_account_is_recorded(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """The alerts on credentials read these records."""
    caplog.set_level(logging.INFO)
    off = settings.accounts["expired"].model_copy(update={"mode": Mode.OFF})

    await health_of(only(settings, "secret-usgov", "expired", "no-secret", switched_off=off))

    records = [json.loads(line.getMessage()) for line in caplog.records if "audit" in line.name]
    by_account = {record["account"]: record for record in records}
    assert by_account.keys() == {"secret-usgov", "expired", "no-secret", "switched_off"}
    members = {"time", "event", "account", "mode", "credential", "healthy", "expiresOn", "code"}
    assert all(record.keys() == members and record["event"] == "health" for record in records)
    assert by_account["expired"]["code"] == "credentials_rejected"


async def test_a_second_report_costs_nothing(settings: Settings, cloud: LocalCloud) -> None:
    async with Runtime(only(settings, *KINDS)) as runtime:
        app = App(runtime)
        await app.get()
        cloud.forget()

        for _ in range(5):
            assert (await app.get()).status == 200

    assert cloud.requests() == []


async def test_the_report_comes_by_the_deadline(settings: Settings, cloud: LocalCloud) -> None:
    cloud.fault(service="key_vault", delay_s=60)

    async with Runtime(only(settings, "secret-china").model_copy(update={"deadline_s": 0.1})) as runtime:
        answer = await App(runtime).get()
        cloud.clear_faults()
        await runtime.__dict__["_credentials"].bearer("secret-china", 30)  # so that the fetch ends with this test

    assert answer.status == 503
    assert answer.body["accounts"]["secret-china"]["code"] == "credentials_unavailable"


async def test_bad_settings_are_a_problem_here_too() -> None:
    answer = await get(lambda: Runtime(Settings.from_environ({})))

    assert answer.status == 500
    assert answer.code == "misconfigured"


# When a credential ends


async def test_the_end_of_a_certificate_is_read_from_the_certificate(settings: Settings) -> None:
    """PEM and PFX: Key Vault knows the end only of certificates that it made itself."""
    answer = await health_of(only(settings, "certificate-global", "certificate-china"))

    assert all(end > datetime.now(UTC) for end in ends(answer).values())


@pytest.mark.parametrize(
    ("secret_days", "token_days", "earliest_days"),
    [
        pytest.param(20, 60, 20, id="client-secret"),
        pytest.param(100, 60, 60, id="refresh-token"),
        pytest.param(300, 300, 90, id="90-days-without-use"),
    ],
)
async def test_of_a_user_the_earliest_end_is_reported(
    settings: Settings, cloud: LocalCloud, secret_days: int, token_days: int, earliest_days: int
) -> None:
    user = cloud.description["accounts"]["user-usgov"]
    today = in_days(0)
    secret_end, token_end = (seconds(today + timedelta(days)) for days in (secret_days, token_days))
    cloud.store_secret(user["secretName"], user["clientSecret"], attributes={"exp": secret_end})
    cloud.store_secret(
        user["refreshTokenName"], user["refreshToken"], attributes={"exp": token_end, "updated": seconds(today)}
    )

    answer = await health_of(only(settings, "user-usgov"))

    assert ends(answer) == {"user-usgov": today + timedelta(earliest_days)}


async def test_the_name_of_a_secret_may_be_set_in_another_case(settings: Settings, cloud: LocalCloud) -> None:
    """Key Vault ignores case. If the function did not, it would find neither the end nor its cached secret."""
    known = cloud.description["accounts"]["secret-usgov"]
    end = in_days(7)
    cloud.store_secret(known["secretName"], known["clientSecret"], attributes={"exp": seconds(end)})
    loud = settings.accounts["secret-usgov"].model_copy(update={"client_secret": known["secretName"].upper()})

    answer = await health_of(only(settings, loud=loud))

    assert ends(answer) == {"loud": end}


async def test_a_refresh_token_that_nobody_uses_is_kept_alive(settings: Settings, cloud: LocalCloud) -> None:
    """After 90 days without use it would be dead, and a person would have to consent again."""
    user = cloud.description["accounts"]["user-china"]
    piped = user["refreshToken"] + "\n"  # stored through a pipe, a secret ends with a line break
    cloud.store_secret(user["refreshTokenName"], piped, attributes={"updated": seconds(in_days(-40))})

    async with Runtime(only(settings, "user-china")) as runtime:
        end = in_days(0)
        with anyio.fail_after(30):
            while end < in_days(89):  # the new token is stored after the answer
                await anyio.sleep(0.02)
                end = ends(await App(runtime).get())["user-china"]

    newest = cloud.secret_versions(user["refreshTokenName"])[-1]["value"]
    assert newest not in {user["refreshToken"], piped}


END_OF_TIME = 253_402_300_799  # the last second that a date of Python's can hold
DATES: dict[str, dict[str, object]] = {
    "expires-out-of-range": {"exp": 10**18},
    "expires-before-all-time": {"exp": -(10**18)},
    "expires-at-the-end-of-time": {"exp": END_OF_TIME},
    "updated-out-of-range": {"updated": 10**18},
    "updated-at-the-end-of-time": {"updated": END_OF_TIME},
    "milliseconds": {"exp": 1_800_000_000_000},
}


@pytest.mark.parametrize("account", ["secret-usgov", "user-usgov"])
@pytest.mark.parametrize("name", DATES)
async def test_a_senseless_date_of_a_secret_stops_nobody(
    settings: Settings, cloud: LocalCloud, account: str, name: str
) -> None:
    known = cloud.description["accounts"][account]
    secret, value = (
        (known["refreshTokenName"], known["refreshToken"])
        if "refreshToken" in known
        else (known["secretName"], known["clientSecret"])
    )
    cloud.store_secret(secret, value, attributes=DATES[name])

    answer = await health_of(only(settings, account, "federated-global"))
    cloud.store_secret(secret, value)

    assert answer.status == 200
    assert answer.body["healthy"]


async def test_the_report_needs_no_thread_of_the_event_loop(settings: Settings) -> None:
    """The loop's own threads may all wait for something that hangs."""
    release = threading.Event()
    threads = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(threads)
    hanging = threads.submit(release.wait, 60)
    try:
        with anyio.fail_after(30):
            answer = await health_of(only(settings, *KINDS))
    finally:
        release.set()
    assert hanging.result()

    assert answer.status == 200


# Faults that an operator must mend


async def test_a_misconfigured_account_is_remembered_for_reports_and_calls(
    settings: Settings, cloud: LocalCloud, order_id: str
) -> None:
    """Power Automate repeats a 500, and an availability test asks from five places every five minutes."""
    async with Runtime(only(settings, "secret-usgov", "no-secret")) as runtime:
        app = App(runtime)
        first = await app.get()
        cloud.forget()

        reports = [await app.get() for _ in range(3)]
        call = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "account": "no-secret"})

    assert {report.body["accounts"]["no-secret"]["code"] for report in (first, *reports)} == {"misconfigured"}
    assert call.code == "misconfigured"
    assert cloud.requests() == []


def with_a_password(pem: str) -> str:
    """Return *pem* with its key behind a password."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    encryption = serialization.BestAvailableEncryption(b"x")
    locked = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return locked.decode() + pem[pem.index("-----BEGIN CERTIFICATE") :]


@pytest.mark.parametrize("line", [64, 76], ids=["pem-like", "mime"])
async def test_a_pfx_with_line_breaks_is_read(settings: Settings, cloud: LocalCloud, line: int) -> None:
    """`base64` and `certutil` wrap their output."""
    known = cloud.description["accounts"]["certificate-china"]
    pfx = cloud.secret_versions(known["certificateName"])[-1]["value"]
    assert "-----BEGIN" not in pfx
    wrapped = "\r\n".join(pfx[start : start + line] for start in range(0, len(pfx), line))
    cloud.store_secret("wrapped-certificate", f"{wrapped}\r\n")
    account = settings.accounts["certificate-china"].model_copy(update={"certificate": "wrapped-certificate"})

    answer = await health_of(only(settings, wrapped=account))

    assert answer.body["accounts"]["wrapped"]["code"] is None
    assert answer.body["accounts"]["wrapped"]["expiresOn"]


UNUSABLE: dict[str, Callable[[str], str]] = {
    "with-a-password": with_a_password,
    "broken-off": lambda pem: pem[: len(pem) // 2],
    "no-certificate": lambda _: "AAAA",
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_an_unusable_certificate_is_misconfigured(settings: Settings, cloud: LocalCloud, name: str) -> None:
    cloud.store_secret("unusable-certificate", UNUSABLE[name](cloud.new_certificate()["pem"]))
    broken = settings.accounts["certificate-usgov"].model_copy(update={"certificate": "unusable-certificate"})

    answer = await health_of(only(settings, "federated-global", broken=broken))

    assert answer.status == 503
    assert answer.body["accounts"]["broken"]["code"] == "misconfigured"
    assert answer.body["accounts"]["federated-global"]["healthy"]


async def test_a_managed_identity_that_is_refused_is_misconfigured(settings: Settings) -> None:
    wrong = only(settings, "federated-global").model_copy(update={"azure_client_id": "another"})

    answer = await health_of(wrong)

    account = answer.body["accounts"]["federated-global"]
    assert account["code"] == "misconfigured"
    assert "AZURE_CLIENT_ID" in account["detail"]


async def test_a_senseless_answer_of_key_vault_stops_one_account_only(settings: Settings, cloud: LocalCloud) -> None:
    await health_of(only(settings, "secret-china"))  # fetches Key Vault's challenge
    answer_of_vault = {"value": "x", "id": "https://vault/secrets/x/1", "attributes": "none"}
    cloud.fault(service="key_vault", body=answer_of_vault, times=MAX_ATTEMPTS)

    answer = await health_of(only(settings, "secret-china", "federated-global"))

    assert answer.status == 503
    codes = {name: account["code"] for name, account in answer.body["accounts"].items()}
    assert codes == {"secret-china": "credentials_unavailable", "federated-global": None}
