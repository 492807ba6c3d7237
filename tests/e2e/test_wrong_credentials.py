"""Entra ID or Partner Center rejects a credential: the answer tells the operator what to do."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.another_function import another_function
from tests.support.load import read_order
from tests.support.local_cloud import Json, LocalCloud, running


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of this file's own: its credentials are spoilt one after the other."""
    with running(tmp_path_factory.mktemp("wrong-credentials")) as cloud:
        yield cloud


class Wrong(NamedTuple):
    """A change to the app of *account*, and the parts of the *detail* that name the reason and the advice.

    No account appears twice: the function remembers a rejected credential for half a minute.
    """

    account: str
    change: Json
    detail: tuple[str, str]


WRONG = {
    "wrong-secret": Wrong("secret-china", {"secret": "another"}, ("AADSTS7000215", "client secret is wrong")),
    "expired-secret": Wrong(
        "secret-usgov", {"trouble": "secret_expired"}, ("AADSTS7000222", "client secret has expired")
    ),
    "wrong-certificate": Wrong("certificate-global", {"certificate": "NEW"}, ("AADSTS700027", "certificate")),
    "disabled-app": Wrong("certificate-china", {"trouble": "disabled"}, ("AADSTS7000112", "the app is disabled")),
    "blocked": Wrong("certificate-usgov", {"trouble": "conditional_access"}, ("AADSTS53003", "Conditional Access")),
    "expired-refresh-token": Wrong("user-global", {"expire": True}, ("AADSTS700082", "consent again, with MFA")),
    "revoked-refresh-token": Wrong("user-china", {"revoke": True}, ("AADSTS50173", "consent again, with MFA")),
    "wants-mfa": Wrong("user-usgov", {"trouble": "interaction_required"}, ("AADSTS50076", "consent again, with MFA")),
    "federated-disabled": Wrong("federated-global", {"trouble": "disabled"}, ("AADSTS7000112", "disabled")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_credential_says_what_the_operator_must_do(cloud: LocalCloud, name: str) -> None:
    account, change, (reason, advice) = WRONG[name]
    new = {member: cloud.new_certificate()["pem"] for member, value in change.items() if value == "NEW"}
    cloud.change_app(account, **change | new)

    response = read_order(cloud, account)

    problem = response.json()
    assert response.status_code == 502
    assert problem["code"] == "credentials_rejected"
    assert problem["retryable"] is False
    assert reason in problem["detail"]
    assert advice in problem["detail"]
    assert f"account {account}" in problem["detail"]


def test_partner_center_rejects_a_user_who_signed_in_without_mfa(cloud: LocalCloud, tmp_path: Path) -> None:
    cloud.change_app("user-usgov", trouble="mfa_missing")

    with another_function(cloud, tmp_path / "function.log") as function:  # it remembers no rejection
        problem = read_order(function, "user-usgov").json()

    assert problem["code"] == "credentials_rejected"
    assert problem["partnerCenter"]["code"] == "900421"
    assert "consent again, with MFA" in problem["detail"]
