"""The stand-in for the receiver of a webhook, with signatures of Standard Webhooks' own library."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from infra.local.cloud import LocalCloud
from tests.support.local_cloud import Json
from tests.support.ticketing import Notes, SetStatus


def payload_for(ticket_id: str, **members: object) -> Json:
    return {
        "type": "order.cancellation.decided",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"ticketId": ticket_id, "text": "Cancelled.", "state": "cancelled"},
    } | members


class Sender:
    """Signs payloads and sends them to the receiver's URL."""

    def __init__(self, cloud: LocalCloud, http: httpx.Client) -> None:
        self.url = httpx.URL(cloud.ticketing.webhook_url)
        self._webhook = Webhook(cloud.ticketing.vault_secrets["webhook-tell-signing"])
        self._http = http

    def headers(self, content: str, webhook_id: str = "", age: timedelta = timedelta()) -> dict[str, str]:
        webhook_id, time = webhook_id or f"msg_{uuid4().hex}", datetime.now(UTC) - age
        return {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(time.timestamp())),
            "webhook-signature": self._webhook.sign(webhook_id, time, content),
        }

    def post(self, content: str, headers: dict[str, str], url: httpx.URL | None = None) -> httpx.Response:
        return self._http.post(url or self.url, content=content.encode(), headers=headers)

    def send(self, payload: object, webhook_id: str = "", url: httpx.URL | None = None) -> httpx.Response:
        content = json.dumps(payload)
        return self.post(content, self.headers(content, webhook_id), url)


@pytest.fixture
def sender(cloud: LocalCloud, http: httpx.Client) -> Sender:
    return Sender(cloud, http)


@pytest.fixture
def ticket_id(ticket_id: str) -> str:
    return f"INC00{ticket_id}"


def test_the_url_is_that_of_a_flow(cloud: LocalCloud, sender: Sender) -> None:
    assert str(sender.url) == cloud.ticketing.vault_secrets["webhook-tell-url"]
    assert str(sender.url).startswith(f"{cloud.url('standard-webhooks')}/workflows/")
    assert len(sender.url.params["sig"]) > 40


@pytest.mark.parametrize("system", ["standard-webhooks", "webhook"])
def test_a_signed_payload_is_a_note(sender: Sender, ticket_id: str, notes: Notes, system: str) -> None:
    answer = sender.send(payload_for(ticket_id))

    assert (answer.status_code, answer.content) == (202, b"")
    assert notes(system, ticket_id) == [("Cancelled.", True)]


def test_a_repeat_is_no_second_note(sender: Sender, ticket_id: str, notes: Notes) -> None:
    statuses = [sender.send(payload_for(ticket_id), webhook_id).status_code for webhook_id in ("a-1", "a-1", "a-2")]

    assert statuses == [202, 202, 202]
    assert len(notes("webhook", ticket_id)) == 2


def test_a_refused_payload_is_not_taken_for_seen(
    sender: Sender, ticket_id: str, notes: Notes, set_status: SetStatus
) -> None:
    set_status("webhook", ticket_id, "missing")
    refused = sender.send(payload_for(ticket_id), "b-1")
    set_status("webhook", ticket_id, "open")

    accepted = sender.send(payload_for(ticket_id), "b-1")

    assert (refused.status_code, accepted.status_code) == (404, 202)
    assert len(notes("webhook", ticket_id)) == 1


@pytest.mark.parametrize("sig", ["wrong", "", None])
def test_the_url_needs_its_secret(sender: Sender, ticket_id: str, notes: Notes, sig: str | None) -> None:
    url = sender.url.copy_remove_param("sig")

    answer = sender.send(payload_for(ticket_id), url=url if sig is None else url.copy_set_param("sig", sig))

    assert answer.status_code == 401
    assert notes("webhook", ticket_id) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,!"},
        {"webhook-id": "another"},
        {"webhook-timestamp": "1614265330"},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": ""},
        {"webhook-signature": ""},
    ],
    ids=str,
)
def test_a_wrong_signature_is_refused(sender: Sender, ticket_id: str, notes: Notes, headers: dict[str, str]) -> None:
    content = json.dumps(payload_for(ticket_id))

    answer = sender.post(content, sender.headers(content) | headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidSignature")
    assert notes("webhook", ticket_id) == []


def test_the_body_is_signed(sender: Sender, ticket_id: str, notes: Notes) -> None:
    content = json.dumps(payload_for(ticket_id))

    answer = sender.post(content.replace("Cancelled", "Refused"), sender.headers(content))

    assert answer.status_code == 400
    assert notes("webhook", ticket_id) == []


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_early_time_is_refused(sender: Sender, ticket_id: str, minutes: int) -> None:
    content = json.dumps(payload_for(ticket_id))

    answer = sender.post(content, sender.headers(content, age=timedelta(minutes=minutes)))

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"type": None},
        {"timestamp": "yesterday"},
        {"timestamp": 1},
        {"data": None},
        {"data": {"text": "x"}},
        {"data": {"ticketId": "1"}},
        {"data": {"ticketId": "1", "text": " "}},
        {"data": {"ticketId": "a/b", "text": "x"}},
        {"more": 1},
    ],
    ids=str,
)
def test_a_wrong_payload_is_refused(sender: Sender, change: Json) -> None:
    answer = sender.send(payload_for("1", **change))

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidPayload")


@pytest.mark.parametrize("content", ["", "[]", "{", "\ud800"], ids=["empty", "list", "half", "surrogate"])
def test_a_body_that_is_no_object_is_refused(sender: Sender, content: str) -> None:
    content = content.encode("utf-8", "replace").decode()

    assert sender.post(content, sender.headers(content)).status_code == 400


def test_a_body_that_is_no_text_is_refused(http: httpx.Client, sender: Sender) -> None:
    answer = http.post(sender.url, content=b"\xff", headers=sender.headers("x"))

    assert answer.status_code == 400


def test_a_payload_stays_below_20_kb(sender: Sender, ticket_id: str, notes: Notes) -> None:
    answer = sender.send(payload_for(ticket_id, data={"ticketId": ticket_id, "text": "x" * 20_000}))

    assert answer.status_code == 413
    assert notes("webhook", ticket_id) == []
