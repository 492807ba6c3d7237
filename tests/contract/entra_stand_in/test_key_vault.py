"""The Key Vault stand-in, driven by Microsoft's own SecretClient with the managed identity."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

from infra.local.cloud import LocalCloud
from infra.local.national_clouds import NATIONAL_CLOUDS, NationalCloud
from tests.support.entra import account_with, control, token_by_certificate
from tests.support.stand_ins import serving_stand_ins


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Stand-ins of their own, because these tests write into the vault."""
    with serving_stand_ins(tmp_path_factory.mktemp("vault")) as cloud:
        yield cloud


@pytest.fixture
def vault(cloud: LocalCloud) -> Iterator[SecretClient]:
    with (
        ManagedIdentityCredential(client_id=cloud.environment()["AZURE_CLIENT_ID"]) as identity,
        SecretClient(cloud.url("key_vault"), identity) as client,
    ):
        yield client


def test_a_refresh_token_is_written_back_with_its_type_tags_and_expiry(cloud: LocalCloud, vault: SecretClient) -> None:
    name = account_with(cloud, "user", "china").refresh_token_name
    before = vault.get_secret(name)
    expires_on = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)

    vault.set_secret(
        name,
        "newer",
        content_type=before.properties.content_type,
        tags=before.properties.tags,
        expires_on=expires_on,
    )

    after = vault.get_secret(name)
    assert (after.value, after.properties.expires_on) == ("newer", expires_on)
    assert (after.properties.content_type, after.properties.tags) == ("text/plain", {"account": "user-china"})
    assert after.properties.version != before.properties.version
    old = vault.get_secret(name, before.properties.version)
    assert old.value == before.value
    versions = control(cloud, "GET", f"secrets/{name}")
    assert [version["value"] for version in versions] == [before.value, "newer"]
    assert versions[-1]["attributes"]["exp"] == int(expires_on.timestamp())


@pytest.mark.parametrize("name", ["partner-center-default", "partner-center-certificate-china", "another"])
def test_the_identity_may_write_the_refresh_tokens_only(vault: SecretClient, name: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        vault.set_secret(name, "x")

    assert caught.value.status_code == 403
    assert "ForbiddenByRbac" in str(caught.value)


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_a_certificate_comes_from_the_vault_in_either_form(
    cloud: LocalCloud, vault: SecretClient, at: NationalCloud
) -> None:
    account = account_with(cloud, "certificate", at)

    secret = vault.get_secret(account.secret_name)

    expected = "application/x-pkcs12" if at == "china" else "application/x-pem-file"
    assert secret.properties.content_type == expected
    assert secret.value
    assert token_by_certificate(cloud, account, secret.value)


def test_a_secret_can_be_made_to_look_old(cloud: LocalCloud, vault: SecretClient) -> None:
    created = int(time.time()) - 3 * 86_400
    body = {
        "value": "old",
        "contentType": "text/plain",
        "tags": {"a": "b"},
        "attributes": {"created": created, "updated": created, "exp": created + 90 * 86_400},
    }
    control(cloud, "PUT", "secrets/old-secret", body)

    properties = vault.get_secret("old-secret").properties

    assert properties.created_on == properties.updated_on == datetime.fromtimestamp(created, UTC)
    assert properties.expires_on == datetime.fromtimestamp(created + 90 * 86_400, UTC)
    assert (properties.content_type, properties.tags) == ("text/plain", {"a": "b"})


def test_a_disabled_secret_is_not_given(cloud: LocalCloud, vault: SecretClient) -> None:
    control(cloud, "PUT", "secrets/disabled-secret", {"value": "x", "attributes": {"enabled": False}})

    with pytest.raises(HttpResponseError) as caught:
        vault.get_secret("disabled-secret")

    assert caught.value.status_code == 403
