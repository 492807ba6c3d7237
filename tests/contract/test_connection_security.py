"""Secrets and tokens reach only the services of the settings, in spite of redirects and false certificates."""

import pytest

from shared.credentials.tokens import Credentials
from shared.errors import CancelError
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_redirect_does_not_take_the_token_along(
    app: App, cloud: LocalCloud, order_id: str, status: int
) -> None:
    elsewhere = f"{cloud.description['partnerCenterUrl']}/elsewhere"
    cloud.fault(method="PATCH", status=status, headers={"Location": elsewhere})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.code == "unexpected_answer"
    assert cloud.requests(path="elsewhere") == []


async def test_cookies_are_not_kept(app: App, cloud: LocalCloud, order_id: str) -> None:
    """A cookie would travel from one partner's call to another's."""
    cloud.fault(method="GET", headers={"Set-Cookie": "session=1; Path=/"})

    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True, "account": "production"})

    requests = cloud.requests("partner_center")
    assert len(requests) == 4
    assert all("cookie" not in request["headers"] for request in requests)


async def test_a_certificate_of_another_authority_is_no_partner_center(app: App, order_id: str) -> None:
    """Without this check the token would go to any server that answers; this one would answer 404."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "impostor"}

    answer = await app.post(body, prefer="wait=2")

    assert answer.code == "partner_center_unavailable"


@pytest.fixture
def impostor(settings: Settings) -> str:
    """The address of a server with a false certificate, which would answer 404."""
    address = settings.accounts["impostor"].api_root
    assert address
    return address


@pytest.mark.parametrize("account", ["default", "certificate-global", "user-global", "federated-global"])
async def test_a_certificate_of_another_authority_is_no_entra_id(
    settings: Settings, cloud: LocalCloud, impostor: str, account: str
) -> None:
    """Each SDK must check the certificate with the TLS context that the function gives it."""
    false_entra = settings.accounts[account].model_copy(update={"authority": impostor})
    credentials = Credentials(settings.model_copy(update={"accounts": {account: false_entra}}))

    with pytest.raises(CancelError) as caught:
        await credentials.bearer(account, 30)
    credentials.close()

    assert caught.value.code == "credentials_unavailable"
    assert cloud.requests("entra", "POST") == []


@pytest.mark.parametrize("account", ["default", "certificate-global", "user-global"])
async def test_a_certificate_of_another_authority_is_no_key_vault(
    settings: Settings, cloud: LocalCloud, impostor: str, account: str
) -> None:
    credentials = Credentials(settings.model_copy(update={"key_vault_url": impostor}))

    with pytest.raises(CancelError) as caught:
        await credentials.bearer(account, 30)
    credentials.close()

    assert caught.value.code == "credentials_unavailable"
    assert cloud.requests("entra", "POST") == []
