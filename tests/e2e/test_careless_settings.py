"""An operator's mistakes in the settings of callers: a stranger is refused all the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.callers.proofs import ZENDESK_TEST_SECRET
from tests.support import proofs
from tests.support.another_function import another_function
from tests.support.local_cloud import LocalCloud

CALLERS = {
    "zendesk": {"proof": "zendesk", "secrets": ["careless-signing"]},
    "flow": {"proof": "entra", "role": "Orders.Cancel"},
}


@pytest.fixture
def careless(cloud: LocalCloud, tmp_path: Path) -> Iterator[LocalCloud]:
    """A function without App Service Authentication, with a signing secret that everybody knows."""
    cloud.store_secret("careless-signing", ZENDESK_TEST_SECRET)
    with another_function(cloud, tmp_path / "function.log", CALLERS=json.dumps(CALLERS)) as function:
        yield function


def test_a_principal_that_anybody_can_send_is_not_believed(careless: LocalCloud) -> None:
    """Without App Service Authentication the header passes from the caller to the function, as it does on Azure."""
    response = careless.post(b"{}", **proofs.entra_principal("Orders.Cancel"))

    assert response.status_code == 401
    assert response.json()["code"] == "caller_not_authenticated"
    assert "App Service Authentication is off" in response.json()["detail"]


def test_zendesks_published_secret_opens_nothing(careless: LocalCloud) -> None:
    response = careless.post(b"{}", **proofs.zendesk(b"{}", ZENDESK_TEST_SECRET))

    assert response.status_code == 500
    assert response.json()["code"] == "misconfigured"
    assert ZENDESK_TEST_SECRET not in response.text
