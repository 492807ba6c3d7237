"""Faults on the way to a token: the code says whether to repeat, or that an operator must act."""

import asyncio
import time
import uuid
from email.utils import formatdate
from typing import NamedTuple

import pytest

from shared.credentials.entra import TRANSIENT_CODES
from shared.credentials.repeats import MAX_ATTEMPTS
from shared.credentials.tokens import REJECTION_KEPT_S, Credentials
from shared.errors import CancelError
from shared.settings import Settings
from tests.support.clock import Clock
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

LONG_S = 30.0

ACCOUNTS = ("default", "certificate-global", "user-global", "federated-global")  # a credential of each kind


class Case(NamedTuple):
    """A fault of a stand-in, and the code that the caller gets."""

    fault: Json
    code: str

    @property
    def is_transient(self) -> bool:
        return self.code == "credentials_unavailable"

    @property
    def attempts(self) -> int:
        """How often the function asks before it gives up."""
        return MAX_ATTEMPTS if self.is_transient else 1


def token_error(status: int, number: int) -> Json:
    """Return a fault: Entra rejects the token request with the error AADSTS*number*."""
    body = {"error": "x", "error_description": f"AADSTS{number}: a text.", "error_codes": [number]}
    return {"service": "entra", "method": "POST", "status": status, "body": body}


def token_answer(access_token: object) -> Json:
    """Return a fault: Entra answers with *access_token*, which cannot be a token."""
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
    """Return whether *fault* can happen to *account*: a managed identity needs no secret and no discovery."""
    place = (fault["service"], fault.get("method"))
    return account != "federated-global" or not (place[0] == "key_vault" or place == ("entra", "GET"))


def is_usual(account: str, number: int) -> bool:
    """Return whether the usual run has this fault for *account*: each one for `default` and for one kind more."""
    return account in {"default", ACCOUNTS[1 + number % (len(ACCOUNTS) - 1)]}


CASES = [
    pytest.param(account, name, id=f"{account}-{name}", marks=() if is_usual(account, number) else pytest.mark.long)
    for account in ACCOUNTS
    for number, (name, case) in enumerate(FAULTS.items())
    if is_on_the_way(account, case.fault)
]


@pytest.mark.parametrize(("account", "name"), CASES)
async def test_each_fault_on_the_way_to_a_token_has_its_code(
    credentials: Credentials, cloud: LocalCloud, account: str, name: str
) -> None:
    case = FAULTS[name]
    cloud.fault(**case.fault, times=case.attempts)

    with pytest.raises(CancelError) as caught:
        await credentials.bearer(account, LONG_S)

    assert caught.value.code == case.code
    assert caught.value.detail
    # The SDKs' own repeats are off: with them one caller would wait for minutes.
    assert len(cloud.requests(case.fault["service"], case.fault.get("method"))) == case.attempts


@pytest.mark.parametrize(("account", "name"), [case for case in CASES if FAULTS[str(case.values[1])].is_transient])
async def test_one_transient_fault_fails_no_call(
    credentials: Credentials, cloud: LocalCloud, account: str, name: str
) -> None:
    """All calls wait for one fetch: without a repeat one hiccup would fail them all."""
    cloud.fault(**FAULTS[name].fault)

    bearers = await asyncio.gather(*(credentials.bearer(account, LONG_S) for _ in range(20)))

    assert len(set(bearers)) == 1


@pytest.mark.parametrize("name", [name for name, case in FAULTS.items() if case.code != "credentials_rejected"])
async def test_after_a_fault_has_passed_the_next_call_gets_a_token(
    credentials: Credentials, cloud: LocalCloud, clock: Clock, name: str
) -> None:
    """MSAL keeps a failure of the identity endpoint for a minute, long after the fault is over."""
    case = FAULTS[name]
    cloud.fault(**case.fault, times=case.attempts)
    with pytest.raises(CancelError):
        await credentials.bearer("default", LONG_S)
    if not case.is_transient:
        clock.now += REJECTION_KEPT_S

    assert await credentials.bearer("default", LONG_S)


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("service", ["identity", "key_vault", "entra"])
async def test_a_redirect_is_not_followed(
    credentials: Credentials, cloud: LocalCloud, account: str, service: str
) -> None:
    """It would take a secret or a token to another address."""
    cloud.fault(service=service, status=307, headers={"Location": f"{cloud.description['partnerCenterUrl']}/elsewhere"})

    assert await credentials.bearer(account, LONG_S)
    assert cloud.requests("partner_center") == []


# Pauses that a service asks for


async def test_a_pause_that_a_service_asks_for_is_made(credentials: Credentials, cloud: LocalCloud) -> None:
    cloud.fault(service="identity", status=429, headers={"Retry-After": "1"})

    assert await credentials.bearer("default", LONG_S)
    first, second = cloud.requests("identity")
    assert second["time"] - first["time"] >= 1


@pytest.mark.parametrize("service", ["identity", "key_vault", "entra"])
async def test_a_pause_that_does_not_fit_is_left_to_the_caller(
    credentials: Credentials, cloud: LocalCloud, service: str
) -> None:
    cloud.fault(service=service, status=429, headers={"Retry-After": "30"})

    with pytest.raises(CancelError) as caught:
        await credentials.bearer("user-global" if service == "entra" else "default", LONG_S)

    assert caught.value.code == "credentials_unavailable"
    assert caught.value.retry_after_s == 30
    assert len(cloud.requests(service)) == 1


async def test_a_pause_that_is_a_date_is_read(credentials: Credentials, cloud: LocalCloud) -> None:
    cloud.fault(service="entra", status=503, headers={"Retry-After": formatdate(time.time() + 40, usegmt=True)})

    with pytest.raises(CancelError) as caught:
        await credentials.bearer("default", LONG_S)

    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s > 10
    assert len(cloud.requests("entra")) == 1


# Refusals of Entra ID that are transient


@pytest.mark.parametrize("code", sorted(TRANSIENT_CODES))
async def test_a_transient_refusal_is_no_rejection(credentials: Credentials, cloud: LocalCloud, code: str) -> None:
    """A rejection is remembered for half a minute, and tells the operator that the credential is wrong."""
    cloud.fault(**token_error(400, int(code)), times=MAX_ATTEMPTS)
    with pytest.raises(CancelError) as caught:
        await credentials.bearer("default", LONG_S)

    assert caught.value.code == "credentials_unavailable"
    assert await credentials.bearer("default", LONG_S)


def refusal(error: str, **members: object) -> Json:
    return {"service": "entra", "status": 400, "body": {"error": error} | members}


TRANSIENT_FORMS: dict[str, Json] = {
    "by-oauth": refusal("temporarily_unavailable"),
    "by-oauth-and-text": refusal("temporarily_unavailable", error_description="The server is too busy."),
    "server-error": refusal("server_error"),
    "number-in-the-list-only": refusal("invalid_request", error_codes=[90033]),
    "throttled-as-a-grant": refusal("invalid_grant", error_description="AADSTS50196: a loop.", error_codes=[50196]),
}


@pytest.mark.parametrize("account", ["default", "user-global", "federated-global"])
@pytest.mark.parametrize("name", TRANSIENT_FORMS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_form_of_a_transient_refusal_is_read(
    credentials: Credentials, cloud: LocalCloud, account: str, name: str, method: str
) -> None:
    """Entra ID's discovery is refused by an exception of msal, the token by an answer or an exception."""
    cloud.fault(**TRANSIENT_FORMS[name], method=method)

    assert await credentials.bearer(account, LONG_S)


# Faults in the settings


@pytest.mark.parametrize("account", ACCOUNTS)
async def test_a_wrong_tenant_is_named(settings: Settings, account: str) -> None:
    """The credential is not to blame: nobody has seen it yet."""
    wrong = settings.accounts[account].model_copy(update={"tenant_id": str(uuid.uuid4())})

    error = await error_of(settings.model_copy(update={"accounts": {"wrong": wrong}}), "wrong")

    assert error.code == "credentials_rejected"
    assert "AADSTS90002" in error.detail
    assert "tenantId" in error.detail
    assert "secret" not in error.detail


async def test_a_refused_discovery_without_a_number_names_the_tenant(
    credentials: Credentials, cloud: LocalCloud
) -> None:
    cloud.fault(service="entra", method="GET", status=404, body="no such page")

    with pytest.raises(CancelError) as caught:
        await credentials.bearer("default", LONG_S)

    assert "tenantId" in caught.value.detail


async def error_of(settings: Settings, account: str) -> CancelError:
    credentials = Credentials(settings)
    with pytest.raises(CancelError) as caught:
        await credentials.bearer(account, LONG_S)
    credentials.close()
    return caught.value


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


@pytest.mark.parametrize("account", ["default", "federated-global"])
@pytest.mark.parametrize("client_id", [str(uuid.uuid4()), "", None], ids=["another", "blank", "none"])
async def test_another_managed_identity_is_misconfigured(
    settings: Settings, account: str, client_id: str | None
) -> None:
    """Key Vault's roles are not to blame: nobody has asked Key Vault yet."""
    error = await error_of(settings.model_copy(update={"azure_client_id": client_id}), account)

    assert error.code == "misconfigured"
    assert "managed identity" in error.detail
    assert "AZURE_CLIENT_ID" in error.detail
    assert "Key Vault Secrets User" not in error.detail


@pytest.mark.parametrize("inner_code", ["ForbiddenByFirewall", "ForbiddenByConnection"])
async def test_the_vaults_firewall_is_named(credentials: Credentials, cloud: LocalCloud, inner_code: str) -> None:
    body = {"error": {"code": "Forbidden", "message": "Client address …", "innererror": {"code": inner_code}}}
    cloud.fault(service="key_vault", status=403, body=body)

    with pytest.raises(CancelError) as caught:
        await credentials.bearer("default", LONG_S)

    assert caught.value.code == "misconfigured"
    assert "firewall" in caught.value.detail
    assert "VAULT_IP_RANGES" in caught.value.detail
    assert "PRIVATE_NETWORK" in caught.value.detail
    assert "Key Vault Secrets User" not in caught.value.detail
