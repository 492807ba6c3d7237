"""An app that proves itself with the managed identity's token."""

import time
from dataclasses import replace

import jwt
import pytest
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential

from infra.local.cloud import LocalCloud
from infra.local.entra.signing import new_key_pair
from tests.support.entra import account_with, refusal_of, token_by_identity


@pytest.mark.parametrize(("member", "number"), [("issuer", 700211), ("audience", 700212), ("subject", 700213)], ids=str)
def test_a_federated_credential_must_match(cloud: LocalCloud, member: str, number: int) -> None:
    account = account_with(cloud, "federated", "china")
    app = cloud.entras["china"].registrations[account.client_id]
    assert app.federated_credential
    app.federated_credential = replace(app.federated_credential, **{member: "https://another.example"})

    assert refusal_of(token_by_identity, cloud, account) == number


def test_an_identity_s_token_of_another_cloud_is_refused(cloud: LocalCloud) -> None:
    account = account_with(cloud, "federated", "usgov")

    with ManagedIdentityCredential(client_id=cloud.environment()["AZURE_CLIENT_ID"]) as identity:
        for resource in ("api://AzureADTokenExchange", cloud.key_vault.resource):
            token = identity.get_token(f"{resource}/.default").token
            assert refusal_of(token_by_identity, cloud, account, lambda token=token: token) == 700211


def test_an_app_without_a_federated_credential_accepts_no_identity(cloud: LocalCloud) -> None:
    assert refusal_of(token_by_identity, cloud, account_with(cloud, "certificate", "global")) == 70025


def test_a_forged_identity_s_token_is_refused(cloud: LocalCloud) -> None:
    account = account_with(cloud, "federated", "global")
    trusted = cloud.identity.federated_credential("global")
    claims = {"iss": trusted.issuer, "aud": trusted.audience, "sub": trusted.subject, "exp": int(time.time()) + 60}
    forged = jwt.encode(claims, new_key_pair().pem, algorithm="RS256")

    assert refusal_of(token_by_identity, cloud, account, lambda: forged) == 50013


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("client_id", [None, "another"])
def test_the_identity_must_be_named(client_id: str | None) -> None:
    """The function has no identity of its own beside the one that the deployment assigns to it."""
    with (
        ManagedIdentityCredential(client_id=client_id) as identity,
        pytest.raises(CredentialUnavailableError, match="No User Assigned or Delegated Managed Identity found"),
    ):
        identity.get_token("api://AzureADTokenExchange/.default")
