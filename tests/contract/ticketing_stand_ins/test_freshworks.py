"""The stand-in for Freshdesk and Freshservice: notes and conversations."""

import base64
from typing import Any

import httpx
import pytest

from infra.local.cloud import LocalCloud
from tests.support.local_cloud import Json
from tests.support.ticketing import Notes, SetStatus, recorded_requests, send_recorded

PRODUCTS = ("freshdesk", "freshservice")


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class Client:
    """Sends requests to one of the two, with its key."""

    def __init__(self, cloud: LocalCloud, http: httpx.Client, product: str) -> None:
        self.product = product
        self.key = cloud.ticketing.vault_secrets[f"{product}-key"]
        self.authorization = basic(self.key, "X")
        self._http = http
        self._root = f"{cloud.url(product)}/api/v2/tickets"

    def get(self, path: str) -> httpx.Response:
        return self._http.get(f"{self._root}{path}", headers={"Authorization": self.authorization})

    def note(self, ticket_id: str, note: object) -> httpx.Response:
        return self._http.post(
            f"{self._root}/{ticket_id}/notes", json=note, headers={"Authorization": self.authorization}
        )

    def inner(self, answer: httpx.Response, name: str) -> Any:
        """Return what the answer holds: Freshservice has it in a member called *name*."""
        content = answer.raise_for_status().json()
        return content[name] if self.product == "freshservice" else content

    def conversations(self, path: str) -> list[Json]:
        found: list[Json] = self.inner(self.get(path), "conversations")
        return found


@pytest.fixture(params=PRODUCTS)
def client(cloud: LocalCloud, http: httpx.Client, request: pytest.FixtureRequest) -> Client:
    return Client(cloud, http, request.param)


def test_a_note_is_created(client: Client, ticket_id: str, notes: Notes) -> None:
    sent = "<p>Cancelled &amp; <b>told</b>.</p><p>order 1</p>"

    answer = client.note(ticket_id, {"body": sent, "private": True})

    assert answer.status_code == 201
    note = client.inner(answer, "conversation")
    assert (note["body"], note["body_text"]) == (sent, "Cancelled & told.\norder 1")
    assert (note["private"], note["incoming"], note["ticket_id"]) == (True, False, int(ticket_id))
    assert client.conversations(f"/{ticket_id}/conversations") == [note]
    assert notes(client.product, ticket_id) == [("Cancelled & told.\norder 1", True)]


@pytest.mark.parametrize(("given", "is_private"), [({}, True), ({"private": False}, False)])
def test_a_note_is_private_unless_it_says_otherwise(
    client: Client, ticket_id: str, notes: Notes, given: Json, is_private: bool
) -> None:
    client.note(ticket_id, {"body": "x"} | given).raise_for_status()

    assert notes(client.product, ticket_id) == [("x", is_private)]


@pytest.mark.parametrize(
    ("note", "field", "code"),
    [
        ({}, "body", "missing_field"),
        ({"private": True}, "body", "missing_field"),
        ({"body": 1}, "body", "datatype_mismatch"),
        ({"body": None}, "body", "datatype_mismatch"),
        ({"body": "<p> </p>"}, "body", "invalid_value"),
        ({"body": "x", "private": "true"}, "private", "datatype_mismatch"),
        ({"body": "x", "public": False}, "public", "invalid_field"),
    ],
    ids=str,
)
def test_a_wrong_note_is_refused(
    client: Client, ticket_id: str, notes: Notes, note: Json, field: str, code: str
) -> None:
    answer = client.note(ticket_id, note)

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert (answer.json()["description"], error["field"], error["code"]) == ("Validation failed", field, code)
    assert notes(client.product, ticket_id) == []


@pytest.mark.parametrize("note", [[], "x", None])
def test_a_body_that_is_no_object_is_refused(client: Client, ticket_id: str, note: object) -> None:
    answer = client.note(ticket_id, note)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("authorization", ["", "Bearer x", "Basic !", basic("wrong", "X"), basic("X", "KEY")])
def test_without_the_key_nothing_is_told(client: Client, ticket_id: str, notes: Notes, authorization: str) -> None:
    client.authorization = authorization.replace("KEY", client.key)

    answers = [
        client.get("?per_page=1"),
        client.get(f"/{ticket_id}/conversations"),
        client.note(ticket_id, {"body": "x"}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(401, "invalid_credentials")] * 3
    assert notes(client.product, ticket_id) == []


def test_the_password_does_not_matter(client: Client) -> None:
    client.authorization = basic(client.key, "unused")

    assert client.get("?per_page=1").status_code == 200


def test_the_key_of_one_does_not_open_the_other(cloud: LocalCloud, http: httpx.Client) -> None:
    freshdesk, freshservice = (Client(cloud, http, product) for product in PRODUCTS)
    freshdesk.authorization = freshservice.authorization

    assert freshdesk.get("?per_page=1").status_code == 401


def test_the_tickets_are_listed(client: Client, ticket_id: str) -> None:
    """The least request that shows whether a key is good."""
    client.note(ticket_id, {"body": "x"}).raise_for_status()

    [ticket] = client.inner(client.get("?per_page=1"), "tickets")

    assert (ticket["status"], type(ticket["id"])) == (2, int)


@pytest.mark.parametrize("known", [True, False])
def test_a_ticket_that_is_not_there_is_not_found(
    client: Client, ticket_id: str, set_status: SetStatus, known: bool
) -> None:
    if known:
        set_status(client.product, ticket_id, "missing")

    path = ticket_id if known else "FD-1"
    answers = [client.get(f"/{path}/conversations"), client.note(path, {"body": "x"})]

    assert [(answer.status_code, answer.content) for answer in answers] == [(404, b"")] * 2


def test_a_closed_ticket_takes_notes(client: Client, ticket_id: str, notes: Notes, set_status: SetStatus) -> None:
    set_status(client.product, ticket_id, "closed")

    assert client.note(ticket_id, {"body": "x"}).status_code == 201
    assert notes(client.product, ticket_id) == [("x", True)]


def test_conversations_come_in_pages_with_the_oldest_first(client: Client, ticket_id: str) -> None:
    for number in range(31):
        client.note(ticket_id, {"body": str(number)}).raise_for_status()

    first = client.get(f"/{ticket_id}/conversations")
    second = client.get(f"/{ticket_id}/conversations?page=2")
    whole = client.get(f"/{ticket_id}/conversations?page=1&per_page=100")
    beyond = client.get(f"/{ticket_id}/conversations?page=2&per_page=100")

    shown = [
        [note["body_text"] for note in client.inner(page, "conversations")] for page in (first, second, whole, beyond)
    ]
    numbers = [str(number) for number in range(31)]
    assert shown == [numbers[:30], ["30"], numbers, []]
    assert client.get(first.links["next"]["url"].partition("/tickets")[2]).json() == second.json()
    assert ["link" in page.headers for page in (first, second, whole)] == [True, False, False]


@pytest.mark.parametrize("query", ["per_page=101", "per_page=0", "page=0", "page=x"])
def test_a_wrong_page_is_refused(client: Client, ticket_id: str, query: str) -> None:
    answer = client.get(f"/{ticket_id}/conversations?{query}")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, query.partition("=")[0])


def test_the_requests_of_python_freshdesk_are_answered(cloud: LocalCloud, http: httpx.Client, notes: Notes) -> None:
    url, key = cloud.url("freshdesk"), cloud.ticketing.vault_secrets["freshdesk-key"]
    note, conversations = recorded_requests("freshdesk")

    created = send_recorded(http, note, url, basic(key, "unused_with_api_key"))
    listed = send_recorded(http, conversations, url, basic(key, "unused_with_api_key"))

    assert (created.status_code, listed.status_code) == (201, 200)
    assert listed.json() == [created.json()]
    assert created.json().keys() >= {"body_text", "created_at", "updated_at", "source"}
    assert notes("freshdesk", "42") == [("Cancelled: …", True)]
