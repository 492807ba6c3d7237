"""Who may use the queue stand-in: the managed identity, with a token for Azure Storage."""

import base64
import hmac
import json
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential
from azure.storage.queue import QueueServiceClient
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.local.cloud import LocalCloud
from infra.local.storage_queue import QUEUES
from tests.support.entra import claims_of
from tests.support.local_cloud import Json
from tests.support.stand_ins import serving_stand_ins
from tests.support.storage_queue import TOKEN_LIFETIME_S, VERSION, QueueService
from tests.support.witness.queue_users import RestUser, message_body

STORAGE = "https://storage.azure.com"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with serving_stand_ins(tmp_path_factory.mktemp("stand-ins")) as cloud:
        yield cloud


@pytest.fixture
def identity(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManagedIdentityCredential]:
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    with ManagedIdentityCredential(client_id=cloud.environment()["AZURE_CLIENT_ID"]) as identity:
        yield identity


def test_the_managed_identity_can_use_the_queue(cloud: LocalCloud, identity: ManagedIdentityCredential) -> None:
    """With Microsoft's own credential and client, over TLS, at the address that the function gets."""
    with QueueServiceClient(cloud.storage_queue.url, identity, connection_verify=str(cloud.ca_file)) as service:
        queue = service.get_queue_client(QUEUES[0])
        sent = queue.send_message("text", visibility_timeout=60, time_to_live=-1)
        queue.update_message(sent, visibility_timeout=0, content="newer")
        [got] = queue.receive_messages(max_messages=16)
        queue.delete_message(got)

        assert (got.id, got.content, got.dequeue_count) == (sent.id, "newer", 1)
        assert queue.get_queue_properties().approximate_message_count == 0


@pytest.mark.parametrize("slash", ["", "/"])
def test_its_tokens_for_storage_are_version_1(identity: ManagedIdentityCredential, slash: str) -> None:
    """The emulator refuses every other issuer."""
    claims = claims_of(identity.get_token(f"{STORAGE}{slash}/.default").token)

    assert claims["iss"].startswith("https://sts.windows.net/")
    assert claims["aud"] == f"{STORAGE}{slash}"


def test_its_tokens_for_other_services_are_refused(cloud: LocalCloud, identity: ManagedIdentityCredential) -> None:
    token = identity.get_token("https://vault.azure.net/.default").token

    answer = httpx.get(
        f"{cloud.storage_queue.url}/{QUEUES[0]}?comp=metadata",
        headers={"Authorization": f"Bearer {token}", "x-ms-version": VERSION},
        verify=ssl.create_default_context(cafile=str(cloud.ca_file)),
        trust_env=False,
    )

    assert answer.status_code == 401
    assert "Audience validation failed" in answer.text


def test_the_sdk_tells_the_reason(service: QueueService) -> None:
    class Expired:
        def get_token(self, *scopes: str, **options: Any) -> AccessToken:
            return service.get_token(*scopes, **options)._replace(token=service.token(exp=1))

    with (
        QueueServiceClient(
            service.url, Expired(), connection_verify=str(service.ca_file), retry_total=0, use_env_settings=False
        ) as client,
        pytest.raises(ClientAuthenticationError, match="The token is expired") as caught,
    ):
        client.get_queue_client(QUEUES[0]).get_queue_properties()
    assert caught.value.status_code == 401


def test_a_token_ends(service: QueueService) -> None:
    headers = {"Authorization": f"Bearer {service.token()}", "x-ms-version": VERSION}
    with service.http() as client:
        address = f"{service.url}/{QUEUES[0]}?comp=metadata"
        before = client.get(address, headers=headers)
        service.pass_time(TOKEN_LIFETIME_S - 5)
        at_its_end = client.get(address, headers=headers)
        service.pass_time(10)
        after = client.get(address, headers=headers)
        service.pass_time(-TOKEN_LIFETIME_S - 5)

    assert [answer.status_code for answer in (before, at_its_end, after)] == [200, 200, 401]


def _public_pem(service: QueueService) -> bytes:
    return service.signer.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda claims, _: jwt.encode(claims, "", algorithm="none"), id="not-signed"),
        pytest.param(
            lambda claims, service: _by_hmac(claims, _public_pem(service)), id="signed-with-the-public-key-as-secret"
        ),
        pytest.param(lambda _, service: service.token() + "x", id="changed-signature"),
        pytest.param(lambda _, __: "x", id="no-token"),
    ],
)
def test_a_signature_is_really_checked(service: QueueService, make: Callable[[Json, QueueService], str]) -> None:
    claims = claims_of(service.token())

    with service.http() as client:
        headers = {"Authorization": f"Bearer {make(claims, service)}"}
        answer = client.get(f"{service.url}/{QUEUES[0]}?comp=metadata", headers=headers)

    assert answer.status_code == 401
    assert "Signature validation failed" in answer.text


def _by_hmac(claims: Json, secret: bytes) -> str:
    """Return a token signed with HS256. PyJWT refuses to make one with a public key."""
    parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signature = hmac.digest(secret, ".".join(parts).encode(), "sha256")
    return ".".join([*parts, _base64url(signature)])


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def test_a_refusal_is_a_challenge(service: QueueService) -> None:
    with service.http() as client:
        answer = client.post(f"{service.url}/{QUEUES[0]}/messages", headers={"Authorization": "Bearer x"})

    assert answer.headers["www-authenticate"] == (
        f"Bearer authorization_uri=https://login.example/oauth2/authorize resource_id={STORAGE}"
    )


def test_nothing_is_done_for_a_request_that_is_refused(service: QueueService, user: RestUser) -> None:
    refused = {"Authorization": f"Bearer {service.token(aud='https://vault.azure.net')}"}
    message = user.put(QUEUES[0], "text")
    address = f"{service.url}/{QUEUES[0]}/messages"
    query = {"popreceipt": message.receipt, "visibilitytimeout": "60"}

    with service.http() as client:
        for method, path in (("POST", ""), ("DELETE", ""), ("GET", ""), ("PUT", message.message_id), ("DELETE", "x")):
            body = message_body("forged")
            answer = client.request(
                method, f"{address}/{path}".rstrip("/"), params=query, content=body, headers=refused
            )
            assert answer.status_code == 401

    [got] = user.get(QUEUES[0], 2, hidden_s=1)
    assert (got.text, got.dequeue_count) == ("text", 1)
