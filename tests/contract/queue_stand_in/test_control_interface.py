"""The queue in the local cloud: its address, the control interface, the record of requests, faults."""

import base64
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.local.cloud import LocalCloud
from infra.local.storage_queue import QUEUES
from tests.support.entra import control
from tests.support.stand_ins import serving_stand_ins
from tests.support.storage_queue import VERSION
from tests.support.witness.queue_users import Refused, RestUser

QUEUE, POISON = QUEUES
SETTING = "AzureWebJobsStorage__queueServiceUri"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with serving_stand_ins(tmp_path_factory.mktemp("stand-ins")) as cloud:
        yield cloud


@pytest.fixture
def user(cloud: LocalCloud) -> Iterator[RestUser]:
    """A client with a token of the managed identity. The queues are empty; nothing is recorded; there is no fault."""
    environment = cloud.environment()
    token = httpx.get(
        environment["IDENTITY_ENDPOINT"],
        params={"resource": "https://storage.azure.com", "client_id": environment["AZURE_CLIENT_ID"]},
        headers={"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]},
        trust_env=False,
    ).json()["access_token"]
    with httpx.Client(
        headers={"Authorization": f"Bearer {token}", "x-ms-version": VERSION},
        verify=ssl.create_default_context(cafile=str(cloud.ca_file)),
        trust_env=False,
    ) as http:
        user = RestUser(http, cloud.storage_queue.url)
        for queue in QUEUES:
            user.clear(queue)
        for path in ("requests", "faults"):
            control(cloud, "DELETE", path)
        yield user


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_the_address_has_the_account(cloud: LocalCloud) -> None:
    described = cloud.describe()["queueUrl"]

    assert described == cloud.storage_queue.url == f"{cloud.url('queue')}/localcloud"
    assert described.startswith("https://127.0.0.1:")


def test_the_function_gets_the_address_where_callers_have_tickets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLERS", raising=False)

    with serving_stand_ins(tmp_path, callers=True) as cloud:
        with_callers = cloud.environment()
        monkeypatch.setenv("CALLERS", "{}")
        with_other_callers = cloud.environment()

    assert with_callers[SETTING] == cloud.storage_queue.url
    assert SETTING not in with_other_callers


def test_without_callers_the_function_gets_no_address(cloud: LocalCloud) -> None:
    assert SETTING not in cloud.environment()


def test_messages_are_shown_decoded(cloud: LocalCloud, user: RestUser) -> None:
    texts = ['{"v": 1}', "ä", ""]
    for text in texts:
        user.put(QUEUE, encoded(text))
    user.put(POISON, "no base64!")

    assert [(message["queue"], message["text"]) for message in control(cloud, "GET", "queue")] == [
        *((QUEUE, text) for text in texts),
        (POISON, "no base64!"),
    ]


def test_base64_that_is_no_text_is_shown_as_it_is(cloud: LocalCloud, user: RestUser) -> None:
    user.put(QUEUE, "////")

    [message] = control(cloud, "GET", "queue")
    assert message["text"] == "////"


def test_a_message_is_shown_with_its_delay_and_count(cloud: LocalCloud, user: RestUser) -> None:
    put = user.put(QUEUE, encoded("text"))
    [visible] = control(cloud, "GET", "queue")
    user.get(QUEUE, 1, hidden_s=3600)
    [hidden] = control(cloud, "GET", "queue")

    assert visible == {"queue": QUEUE, "id": put.message_id, "text": "text", "visible_in_s": 0, "dequeue_count": 0}
    assert 3000 < hidden["visible_in_s"] <= 3600
    assert hidden == visible | {"visible_in_s": hidden["visible_in_s"], "dequeue_count": 1}


def test_looking_changes_nothing(cloud: LocalCloud, user: RestUser) -> None:
    user.put(QUEUE, "text")
    for _ in range(2):
        control(cloud, "GET", "queue")

    [message] = user.get(QUEUE, 1, hidden_s=60)
    assert message.dequeue_count == 1


def test_wake_shows_every_hidden_message(cloud: LocalCloud, user: RestUser) -> None:
    sent = user.put(QUEUE, "sent", hidden_s=3600)
    user.put(POISON, "poisoned", hidden_s=3600)

    assert control(cloud, "POST", "queue/wake") == {}

    assert {message["visible_in_s"] for message in control(cloud, "GET", "queue")} == {0}
    assert user.update(QUEUE, sent, hidden_s=0), "the sender's receipt stays good"
    assert [message.text for message in user.get(QUEUE, 2, hidden_s=60)] == ["sent"]
    assert [message.text for message in user.get(POISON, 2, hidden_s=60)] == ["poisoned"]


def test_a_message_that_was_taken_is_woken_too(cloud: LocalCloud, user: RestUser) -> None:
    user.put(QUEUE, "text")
    user.get(QUEUE, 1, hidden_s=3600)
    control(cloud, "POST", "queue/wake")

    [message] = user.get(QUEUE, 1, hidden_s=60)
    assert message.dequeue_count == 2


@pytest.mark.parametrize("text", ['{"caller": "jira"}', "not JSON", "ä" * 12_000])
def test_a_forged_message_looks_like_one_of_the_function(cloud: LocalCloud, user: RestUser, text: str) -> None:
    answer = control(cloud, "POST", "queue", {"text": text})

    [message] = user.get(QUEUE, 1, hidden_s=60)
    assert (message.text, message.message_id) == (encoded(text), answer["id"])


def test_a_forged_text_in_base64_is_put_as_it_is(cloud: LocalCloud, user: RestUser) -> None:
    control(cloud, "POST", "queue", {"text": encoded('{"caller": "jira"}')})

    [message] = user.get(QUEUE, 1, hidden_s=60)
    assert message.text == encoded('{"caller": "jira"}')
    assert control(cloud, "GET", "queue")[0]["text"] == '{"caller": "jira"}'


@pytest.mark.parametrize("body", [b"", b"{}", b'{"text": 1}', b'{"text": "x", "queue": "y"}', b"[]"])
def test_another_body_is_refused(cloud: LocalCloud, user: RestUser, body: bytes) -> None:
    answer = httpx.post(f"{cloud.url('control')}/queue", content=body, trust_env=False)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert user.count(QUEUE) == 0


def test_a_text_that_is_too_long_for_a_message_is_refused(cloud: LocalCloud, user: RestUser) -> None:
    answer = httpx.post(f"{cloud.url('control')}/queue", json={"text": "x" * 12_001}, trust_env=False)

    assert answer.status_code == 400
    assert user.count(QUEUE) == 0


def test_a_get_without_a_message_is_noted(cloud: LocalCloud, user: RestUser) -> None:
    """By it the end of a timer's run is seen under a host that does not tell."""
    user.put(QUEUE, "text")
    began = time.time()
    user.get(POISON, 1, hidden_s=60)
    user.peek(QUEUE, 1)
    user.get(QUEUE, 1, hidden_s=60)
    assert not cloud.storage_queue.has_been_found_empty(began)

    user.get(QUEUE, 1, hidden_s=60)

    assert cloud.storage_queue.has_been_found_empty(began)
    assert not cloud.storage_queue.has_been_found_empty(time.time() + 1)


def test_requests_are_recorded_without_the_token(cloud: LocalCloud, user: RestUser) -> None:
    user.update(QUEUE, user.put(QUEUE, encoded("text"), hidden_s=5), hidden_s=0)

    put, update = (request for request in control(cloud, "GET", "requests") if request["service"] == "queue")
    assert (put["method"], put["status"], update["method"], update["status"]) == ("POST", 201, "PUT", 204)
    assert put["path"] == f"/localcloud/{QUEUE}/messages?visibilitytimeout=5&messagettl=-1"
    assert encoded("text") in put["body"]
    assert update["headers"]["authorization"] == put["headers"]["authorization"] == "Bearer …"
    assert "popreceipt=" in update["path"]
    assert "…" not in update["path"]
    assert "eyJ" not in json.dumps([put, update])  # the start of every JWT


def test_faults_meet_the_queue(cloud: LocalCloud, user: RestUser) -> None:
    control(cloud, "POST", "faults", {"service": "queue", "method": "POST", "status": 503})
    control(cloud, "POST", "faults", {"service": "queue", "path": "comp=metadata", "hang_up": "before"})

    with pytest.raises(Refused, match="503"):
        user.put(QUEUE, "text")
    with pytest.raises(httpx.RemoteProtocolError):
        user.count(QUEUE)
    assert user.count(QUEUE) == 0


def test_a_lost_answer_leaves_the_message(cloud: LocalCloud, user: RestUser) -> None:
    control(cloud, "POST", "faults", {"service": "queue", "method": "POST", "hang_up": "after"})

    with pytest.raises(httpx.RemoteProtocolError):
        user.put(QUEUE, "text")
    assert user.count(QUEUE) == 1
