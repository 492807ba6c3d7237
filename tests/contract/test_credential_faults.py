"""Faults on the way to a token: the code says whether to repeat, or that an operator must act."""

import uuid
from typing import NamedTuple

import pytest

from shared.credentials.tokens import Credentials
from shared.errors import CancelError
from shared.settings import Settings
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

LONG_S = 30.0

ACCOUNTS = ("default", "certificate-global", "user-global", "federated-global")  # a credential of each kind


class Case(NamedTuple):
    """A fault of a stand-in, and the code that the caller gets."""

    fault: Json
    code: str


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
    # The SDKs' own repeats are off: with them one caller would wait for minutes.
    assert len(cloud.requests(fault["service"], fault.get("method"))) == 1


@pytest.mark.parametrize("name", [name for name, case in FAULTS.items() if case.code != "credentials_rejected"])
async def test_after_a_fault_has_passed_the_next_call_gets_a_token(
    credentials: Credentials, cloud: LocalCloud, name: str
) -> None:
    """MSAL keeps a failure of the identity endpoint for a minute, long after the fault is over."""
    cloud.fault(**FAULTS[name].fault)
    with pytest.raises(CancelError):
        await credentials.bearer("default", LONG_S)

    assert await credentials.bearer("default", LONG_S)


# Faults in the settings


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
