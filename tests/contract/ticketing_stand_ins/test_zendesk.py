"""The stand-in for Zendesk: tokens, a ticket, its comments, and conflicts."""

import json
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from infra.local.cloud import LocalCloud
from infra.local.tickets.desk import utc_now
from infra.local.tickets.zendesk import MAX_COMMENTS
from tests.support.local_cloud import Json
from tests.support.ticketing import Notes, SetStatus, recorded_requests, send_recorded

SCOPE = "tickets:read tickets:write"


def ask_token(cloud: LocalCloud, http: httpx.Client, **members: object) -> httpx.Response:
    body = {
        "grant_type": "client_credentials",
        "client_id": "cancel_order",
        "client_secret": cloud.ticketing.vault_secrets["zendesk-oauth"],
        "scope": SCOPE,
        "expires_in": 300,
    } | members
    return http.post(f"{cloud.url('zendesk')}/oauth/tokens", json=body)


def token_for(cloud: LocalCloud, http: httpx.Client, scope: str = SCOPE) -> str:
    token: str = ask_token(cloud, http, scope=scope).raise_for_status().json()["access_token"]
    return token


class Client:
    """Sends requests about tickets, with a token for both scopes."""

    def __init__(self, cloud: LocalCloud, http: httpx.Client) -> None:
        self._http = http
        self._root = f"{cloud.url('zendesk')}/api/v2/tickets"
        self.authorization = f"Bearer {token_for(cloud, http)}"

    def get(self, path: str) -> httpx.Response:
        return self._http.get(f"{self._root}/{path}", headers={"Authorization": self.authorization})

    def put(self, ticket_id: str, ticket: object, **headers: str) -> httpx.Response:
        headers = {"Authorization": self.authorization, "Content-Type": "application/json"} | headers
        return self._http.put(f"{self._root}/{ticket_id}.json", content=json.dumps({"ticket": ticket}), headers=headers)

    def comment(self, ticket_id: str, **comment: object) -> httpx.Response:
        return self.put(ticket_id, {"comment": comment})

    def updated_at(self, ticket_id: str) -> str:
        updated_at: str = self.get(f"{ticket_id}.json").raise_for_status().json()["ticket"]["updated_at"]
        return updated_at

    def comments(self, path: str) -> list[Json]:
        comments: list[Json] = self.get(path).raise_for_status().json()["comments"]
        return comments


@pytest.fixture
def zendesk(cloud: LocalCloud, http: httpx.Client) -> Client:
    return Client(cloud, http)


@pytest.fixture
def later(cloud: LocalCloud) -> Iterator[None]:
    """Five minutes and a second have passed."""
    cloud.ticketing.zendesk.now = lambda: utc_now() + timedelta(seconds=301)
    yield
    cloud.ticketing.zendesk.now = utc_now


# Tokens


def test_a_token_is_given_for_client_credentials(cloud: LocalCloud, http: httpx.Client) -> None:
    answer = ask_token(cloud, http, expires_in=7200)

    assert answer.status_code == 200
    token = answer.json()
    assert token.pop("access_token")
    assert token == {"token_type": "bearer", "scope": SCOPE, "expires_in": 7200}


def test_a_token_without_a_lifetime_lives_half_an_hour(cloud: LocalCloud, http: httpx.Client) -> None:
    assert ask_token(cloud, http, expires_in=None).json()["expires_in"] == 1800


@pytest.mark.parametrize(
    ("members", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "tickets:delete"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"scope": None}, 400, "invalid_scope"),
        ({"expires_in": 299}, 400, "invalid_request"),
        ({"expires_in": 172_801}, 400, "invalid_request"),
        ({"expires_in": "7200"}, 400, "invalid_request"),
    ],
    ids=str,
)
def test_a_wrong_token_request_is_refused(
    cloud: LocalCloud, http: httpx.Client, members: Json, status: int, error: str
) -> None:
    answer = ask_token(cloud, http, **members)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_token_request_is_json(cloud: LocalCloud, http: httpx.Client) -> None:
    """Other authorities take a form; Zendesk's document says JSON."""
    form = {"grant_type": "client_credentials", "client_id": "cancel_order", "client_secret": "x", "scope": "read"}

    assert http.post(f"{cloud.url('zendesk')}/oauth/tokens", data=form).status_code == 400


def test_a_token_expires(zendesk: Client, ticket_id: str, later: None) -> None:  # noqa: ARG001
    answer = zendesk.get(f"{ticket_id}.json")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic YTpi"])
def test_without_a_token_nothing_is_told(zendesk: Client, ticket_id: str, notes: Notes, authorization: str) -> None:
    zendesk.authorization = authorization

    statuses = {
        zendesk.get(f"{ticket_id}.json").status_code,
        zendesk.get(f"{ticket_id}/comments.json").status_code,
        zendesk.comment(ticket_id, body="x").status_code,
    }

    assert statuses == {401}
    assert notes("zendesk", ticket_id) == []


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("tickets:read", [200, 200, 403]),
        ("read", [200, 200, 403]),
        ("tickets:write", [403, 403, 200]),
        ("write", [403, 403, 200]),
        ("read write", [200, 200, 200]),
    ],
)
def test_a_token_opens_what_its_scopes_name(
    cloud: LocalCloud, http: httpx.Client, zendesk: Client, ticket_id: str, scope: str, statuses: list[int]
) -> None:
    zendesk.authorization = f"Bearer {token_for(cloud, http, scope)}"

    answers = [
        zendesk.get(f"{ticket_id}.json"),
        zendesk.get(f"{ticket_id}/comments.json"),
        zendesk.comment(ticket_id, body="x", public=False),
    ]

    assert [answer.status_code for answer in answers] == statuses
    refused = [answer.json() for answer in answers if answer.status_code == 403]
    assert all("missing the following required scopes" in answer["description"] for answer in refused)


# Tickets and comments


@pytest.mark.parametrize("path", ["{}.json", "{}"])
def test_every_number_is_an_open_ticket(zendesk: Client, ticket_id: str, path: str) -> None:
    answer = zendesk.get(path.format(ticket_id))

    assert answer.status_code == 200
    assert (answer.json()["ticket"]["id"], answer.json()["ticket"]["status"]) == (int(ticket_id), "open")


@pytest.mark.parametrize("ticket_id", ["ZD-1", "1" * 20, "-1"])
def test_another_id_is_refused(zendesk: Client, ticket_id: str) -> None:
    answers = [zendesk.get(f"{ticket_id}.json"), zendesk.comment(ticket_id, body="x")]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json()["error"]["title"] == "Invalid attribute"


def test_a_missing_ticket_is_not_found(zendesk: Client, ticket_id: str, set_status: SetStatus) -> None:
    set_status("zendesk", ticket_id, "missing")

    answers = [
        zendesk.get(f"{ticket_id}.json"),
        zendesk.get(f"{ticket_id}/comments.json"),
        zendesk.comment(ticket_id, body="x"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert answers[0].json() == {"error": "RecordNotFound", "description": "Not found"}


def test_a_closed_ticket_takes_no_comment(zendesk: Client, ticket_id: str, notes: Notes, set_status: SetStatus) -> None:
    set_status("zendesk", ticket_id, "closed")

    answer = zendesk.comment(ticket_id, body="x", public=False)

    assert (answer.status_code, answer.json()["error"]) == (422, "RecordInvalid")
    assert answer.json()["details"] == {"status": [{"description": "Status: closed prevents ticket update"}]}
    assert zendesk.get(f"{ticket_id}.json").json()["ticket"]["status"] == "closed"
    assert notes("zendesk", ticket_id) == []


def test_a_comment_is_in_the_audit_of_the_answer(zendesk: Client, ticket_id: str, notes: Notes) -> None:
    answer = zendesk.comment(ticket_id, body="Cancelled.\nAll of it.", public=False)

    assert answer.status_code == 200
    [event] = answer.json()["audit"]["events"]
    assert (event["type"], event["body"], event["public"]) == ("Comment", "Cancelled.\nAll of it.", False)
    assert "Cancelled.<br>All of it." in event["html_body"]
    assert answer.json()["ticket"]["id"] == answer.json()["audit"]["ticket_id"] == int(ticket_id)
    assert zendesk.comments(f"{ticket_id}/comments.json")[-1] == event
    assert notes("zendesk", ticket_id) == [("Cancelled.\nAll of it.", True)]


def test_html_is_shown_as_html_and_as_text(zendesk: Client, ticket_id: str, notes: Notes) -> None:
    sent = "<p>Cancelled &amp; <b>told</b>.</p><p>Lines:<br>0</p><script>x()</script>"

    zendesk.comment(ticket_id, html_body=sent, public=False).raise_for_status()

    shown = zendesk.comments(f"{ticket_id}/comments.json")[-1]
    assert sent in shown["html_body"]
    assert shown["body"] == shown["plain_body"] == "Cancelled & told.\nLines:\n0"
    assert notes("zendesk", ticket_id) == [("Cancelled & told.\nLines:\n0", True)]


def test_text_is_no_html(zendesk: Client, ticket_id: str) -> None:
    zendesk.comment(ticket_id, body="<b>& so on", public=False).raise_for_status()

    shown = zendesk.comments(f"{ticket_id}/comments.json")[-1]
    assert shown["body"] == "<b>& so on"
    assert "&lt;b&gt;&amp; so on" in shown["html_body"]


@pytest.mark.parametrize("opens_public", [True, False])
def test_a_comment_is_public_if_the_first_one_is(
    cloud: LocalCloud, zendesk: Client, ticket_id: str, notes: Notes, opens_public: bool
) -> None:
    ticket = cloud.ticketing.zendesk.desk.find(ticket_id)
    assert ticket
    ticket.opens_public = opens_public

    zendesk.comment(ticket_id, body="x").raise_for_status()

    assert notes("zendesk", ticket_id) == [("x", not opens_public)]
    comments = zendesk.comments(f"{ticket_id}/comments.json")
    assert [comment["public"] for comment in comments] == [opens_public, opens_public]


@pytest.mark.parametrize(
    ("comment", "status"),
    [
        ({}, 400),
        ({"public": False}, 400),
        ({"body": "x", "html_body": "x"}, 400),
        ({"body": 1}, 400),
        ({"body": "x", "public": "false"}, 400),
        ({"body": "x", "internal": True}, 400),
        ({"body": " \n"}, 422),
        ({"html_body": "<p> </p>"}, 422),
        ({"body": "x" * 65_536}, 422),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_comment_is_refused(zendesk: Client, ticket_id: str, notes: Notes, comment: Json, status: int) -> None:
    answer = zendesk.comment(ticket_id, **comment)

    assert answer.status_code == status
    assert notes("zendesk", ticket_id) == []
    if status == 422:
        assert answer.json()["error"] == "RecordInvalid"
        assert answer.json()["details"]["comment"][0]["description"]


@pytest.mark.parametrize(
    "change",
    [None, [], {}, {"comment": "x"}, {"comment": {"body": "x"}, "status": "solved"}, {"safe_update": []}],
    ids=str,
)
def test_a_wrong_change_is_refused(zendesk: Client, ticket_id: str, change: object) -> None:
    assert zendesk.put(ticket_id, change).status_code == 400


def test_a_body_without_a_json_content_type_is_refused(zendesk: Client, ticket_id: str, notes: Notes) -> None:
    answer = zendesk.put(ticket_id, {"comment": {"body": "x"}}, **{"Content-Type": "text/plain"})

    assert answer.status_code == 400
    assert notes("zendesk", ticket_id) == []


def test_a_ticket_has_at_most_5000_comments(cloud: LocalCloud, zendesk: Client, ticket_id: str, notes: Notes) -> None:
    desk = cloud.ticketing.zendesk.desk
    ticket = desk.find(ticket_id)
    assert ticket
    for _ in range(MAX_COMMENTS - 2):  # the description is one, and one may still come
        desk.add_note(ticket, "x", text="x", is_private=True)

    statuses = [zendesk.comment(ticket_id, body="y", public=False).status_code for _ in range(2)]

    assert statuses == [200, 422]
    assert len(notes("zendesk", ticket_id)) == MAX_COMMENTS - 1
    assert zendesk.get(f"{ticket_id}/comments.json").json()["count"] == 5000


# Lists


@pytest.fixture
def three_comments(zendesk: Client, ticket_id: str) -> str:
    """The id of a ticket with the comments 1, 2 and 3 after its description."""
    for number in range(1, 4):
        zendesk.comment(ticket_id, body=str(number), public=False).raise_for_status()
    return ticket_id


@pytest.mark.parametrize(
    ("query", "bodies"),
    [
        ("", [None, "1", "2", "3"]),
        ("?sort_order=desc", ["3", "2", "1", None]),
        ("?sort_order=desc&per_page=2", ["3", "2"]),
        ("?sort_order=desc&per_page=2&page=2", ["1", None]),
        ("?sort_order=desc&per_page=2&page=3", []),
        ("?per_page=1000", [None, "1", "2", "3"]),
        ("?page[size]=2", [None, "1"]),
        ("?page[size]=2&sort=-created_at", ["3", "2"]),
        ("?page[size]=4&sort_order=desc", [None, "1", "2", "3"]),
    ],
)
def test_comments_come_in_pages(zendesk: Client, three_comments: str, query: str, bodies: list[str | None]) -> None:
    shown = [comment["body"] for comment in zendesk.comments(f"{three_comments}/comments.json{query}")]

    assert [body if body and body.isdecimal() else None for body in shown] == bodies


def test_pages_by_offset_lead_to_each_other(http: httpx.Client, zendesk: Client, three_comments: str) -> None:
    first = zendesk.get(f"{three_comments}/comments.json?per_page=3").json()
    second = http.get(first["next_page"], headers={"Authorization": zendesk.authorization}).json()

    assert (first["previous_page"], first["count"]) == (None, 4)
    assert [comment["body"] for comment in second["comments"]] == ["3"]
    assert second["next_page"] is None
    again = http.get(second["previous_page"], headers={"Authorization": zendesk.authorization}).json()
    assert again["comments"] == first["comments"]


def test_pages_by_cursor_lead_to_each_other(http: httpx.Client, zendesk: Client, three_comments: str) -> None:
    first = zendesk.get(f"{three_comments}/comments.json?page[size]=3").json()
    second = http.get(first["links"]["next"], headers={"Authorization": zendesk.authorization}).json()

    assert first["meta"]["has_more"] is True
    assert [comment["body"] for comment in second["comments"]] == ["3"]
    assert (second["meta"]["has_more"], second["links"]["next"]) == (False, None)


@pytest.mark.parametrize("query", ["per_page=0", "page=x", "page[size]=101", "page[size]=2&page[after]=x"])
def test_a_wrong_page_is_refused(zendesk: Client, ticket_id: str, query: str) -> None:
    assert zendesk.get(f"{ticket_id}/comments.json?{query}").status_code == 400


# Conflicts


def safe(stamp: object, safe_update: object = True) -> Json:
    return {"comment": {"body": "x", "public": False}, "safe_update": safe_update, "updated_stamp": stamp}


def test_each_comment_changes_the_time_of_change(zendesk: Client, ticket_id: str) -> None:
    """Times have whole seconds; two changes within one second would look like one."""
    times = [zendesk.updated_at(ticket_id)]
    for _ in range(2):
        zendesk.comment(ticket_id, body="x", public=False).raise_for_status()
        times.append(zendesk.updated_at(ticket_id))

    assert times == sorted(set(times))
    assert len(times) == 3


@pytest.mark.parametrize("safe_update", [True, "true"])
def test_a_safe_update_of_a_changed_ticket_is_a_conflict(
    zendesk: Client, ticket_id: str, notes: Notes, safe_update: object
) -> None:
    seen_at = zendesk.updated_at(ticket_id)
    zendesk.comment(ticket_id, body="another's", public=False).raise_for_status()

    refused = zendesk.put(ticket_id, safe(seen_at, safe_update))
    accepted = zendesk.put(ticket_id, safe(zendesk.updated_at(ticket_id), safe_update))

    assert (refused.status_code, refused.json()["error"]) == (409, "UpdateConflict")
    assert accepted.status_code == 200
    assert notes("zendesk", ticket_id) == [("another's", True), ("x", True)]


def test_an_update_that_is_not_safe_knows_no_conflict(zendesk: Client, ticket_id: str) -> None:
    seen_at = zendesk.updated_at(ticket_id)
    zendesk.comment(ticket_id, body="another's", public=False).raise_for_status()

    assert zendesk.put(ticket_id, safe(seen_at, safe_update=False)).status_code == 200


@pytest.mark.parametrize("stamp", [None, "yesterday", 1, "2026-11-28T10:00:00"])
def test_a_safe_update_needs_the_time_that_was_seen(zendesk: Client, ticket_id: str, stamp: object) -> None:
    assert zendesk.put(ticket_id, safe(stamp)).status_code == 400


# Faults, and recorded requests


def test_a_limit_is_a_fault(cloud: LocalCloud, http: httpx.Client, zendesk: Client, ticket_id: str) -> None:
    """Zendesk's own 429 has no JSON."""
    text = "Rate limit for ticket updates exceeded, please wait before trying again"
    fault = {
        "service": "ticketing",
        "method": "PUT",
        "path": f"/tickets/{ticket_id}",
        "status": 429,
        "headers": {"Retry-After": "93", "Content-Type": "text/html; charset=utf-8"},
        "body": text,
    }
    http.post(f"{cloud.url('control')}/faults", json=fault).raise_for_status()

    refused, accepted = (zendesk.comment(ticket_id, body="x", public=False) for _ in range(2))

    assert (refused.status_code, refused.headers["retry-after"], refused.text) == (429, "93", text)
    assert refused.headers["content-type"].startswith("text/html")
    assert accepted.status_code == 200


def test_the_requests_of_zenpy_are_answered(
    cloud: LocalCloud, http: httpx.Client, zendesk: Client, notes: Notes
) -> None:
    url, authorization = cloud.url("zendesk"), zendesk.authorization
    show, comments, plain, safe = recorded_requests("zenpy")

    ticket = send_recorded(http, show, url, authorization).raise_for_status().json()["ticket"]
    page = send_recorded(http, comments, url, authorization).raise_for_status().json()
    first = send_recorded(http, plain, url, authorization)
    outdated = send_recorded(http, safe, url, authorization)
    stamp = {"updated_stamp": first.json()["ticket"]["updated_at"]}
    second = send_recorded(http, safe, url, authorization, {"ticket": safe["body"]["ticket"] | stamp})

    assert ticket["id"] == 35436
    assert (len(page["comments"]), page["meta"]["has_more"]) == (1, False)
    assert [answer.status_code for answer in (first, outdated, second)] == [200, 409, 200]
    assert first.json().keys() == second.json().keys() == {"ticket", "audit"}
    assert notes("zendesk", "35436") == [("Cancelled: …", True)] * 2
