"""Tickets that are told, with the product in this process: signed requests, the queue, the notes."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from infra.local.senders.deliveries import Delivery, headers_of
from shared.runtime import Runtime
from shared.settings import Settings
from tests.support.answers import Answer
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.stand_in_clients import tls_context

QUEUES = ("follow-up", "follow-up-poison")
TICKET_EVENTS = ("not_told", "told", "poisoned", "still_open")


class TellingApp(App):
    """The function as one worker runs it, and the description of its local cloud."""

    def __init__(self, runtime: Runtime, description: Json) -> None:
        super().__init__(runtime)
        self.description = description


@asynccontextmanager
async def worker(settings: Settings, cloud: LocalCloud) -> AsyncIterator[TellingApp]:
    """A worker with *settings* that has just started."""
    async with Runtime(settings) as runtime:
        yield TellingApp(runtime, cloud.description)


async def post_as(app: TellingApp, system: str, body: object, **headers: str) -> Answer:
    """Return the answer to *body*, signed as the caller of this name does it. *headers* are added."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await app.post(content, **headers_of(system, content, app.description, Delivery()) | headers)


async def tell(app: App) -> None:
    """Do what the timer does."""
    await app.runtime.tell_tickets()


def without_tell(settings: Settings) -> Settings:
    """Return *settings* whose callers have no `tell`."""
    callers = {name: caller.model_copy(update={"tell": None}) for name, caller in (settings.callers or {}).items()}
    return settings.model_copy(update={"callers": callers, "queue_service_uri": None})


def ticket_records(caplog: pytest.LogCaptureFixture) -> list[Json]:
    """Return the audit records about tickets so far."""
    records = [json.loads(line.getMessage()) for line in caplog.records if line.name == "cancel_order.audit"]
    return [record for record in records if record["event"] in TICKET_EVENTS]


class Message(NamedTuple):
    """A message in one of the queues. *content* is its JSON; None if it is none."""

    queue: str
    text: str
    content: Json | None
    visible_in_s: float
    dequeue_count: int


class Tickets:
    """The tickets and the queues of a local cloud, through its control interface."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._control = cloud.description["controlUrl"]

    def notes(self, system: str, ticket_id: str) -> list[str]:
        """Return the texts of a ticket's notes, the oldest first. Fails if one can be seen by more than agents."""
        found = self._ask("GET", f"tickets/{system}/{ticket_id}")["notes"]
        assert all(note["private"] for note in found)
        return [note["text"] for note in found]

    def set_status(self, system: str, ticket_id: str, status: str) -> None:
        """Make a ticket `closed`, `missing` or `open`."""
        self._ask("PUT", f"tickets/{system}/{ticket_id}", {"status": status})

    def queue(self, name: str | None = None) -> list[Message]:
        """Return the messages of both queues, or of the one of this name."""
        return [
            Message(entry["queue"], entry["text"], _json(entry["text"]), entry["visible_in_s"], entry["dequeue_count"])
            for entry in self._ask("GET", "queue")
            if name in {None, entry["queue"]}
        ]

    def wake(self) -> None:
        """Show every hidden message."""
        self._ask("POST", "queue/wake")

    def forge(self, text: str) -> None:
        """Put a message into `follow-up`, as somebody else would."""
        self._ask("POST", "queue", {"text": text})

    def clear(self) -> None:
        """Delete everything in both queues, with the function's own identity."""
        with _queue_client(self._cloud) as client:
            for name in QUEUES:
                client.delete(f"{name}/messages").raise_for_status()

    def take(self) -> None:
        """Take the visible messages out of `follow-up` for five minutes, as another run of the timer would."""
        with _queue_client(self._cloud) as client:
            client.get("follow-up/messages?numofmessages=16&visibilitytimeout=300").raise_for_status()

    def _ask(self, method: str, path: str, body: Json | None = None) -> Any:
        return self._cloud.http.request(method, f"{self._control}/{path}", json=body).raise_for_status().json()


@contextmanager
def _queue_client(cloud: LocalCloud) -> Iterator[httpx.Client]:
    environment = cloud.description["environment"]
    answer = cloud.http.get(  # httpx.get reads all authorities of certifi, 20 ms for each test
        environment["IDENTITY_ENDPOINT"],
        params={
            "api-version": "2019-08-01",
            "resource": "https://storage.azure.com",
            "client_id": environment["AZURE_CLIENT_ID"],
        },
        headers={"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]},
    )
    token = answer.raise_for_status().json()["access_token"]
    with httpx.Client(
        base_url=cloud.description["queueUrl"],
        headers={"Authorization": f"Bearer {token}", "x-ms-version": "2021-12-02"},
        verify=tls_context(cloud),
        trust_env=False,
    ) as client:
        yield client


def _json(text: str) -> Json | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
