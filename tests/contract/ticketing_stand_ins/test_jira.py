"""The stand-in for Jira: comments as text and as documents, and their properties."""

import base64
from itertools import count

import httpx
import pytest

from infra.local.cloud import LocalCloud
from infra.local.tickets.systems import JIRA_USER
from tests.support.local_cloud import Json
from tests.support.ticketing import Notes, SetStatus, recorded_requests, send_recorded

_numbers = count(1)
INTERNAL = {"key": "sd.public.comment", "value": {"internal": True}}


def document(*texts: str) -> Json:
    content = [{"type": "paragraph", "content": [{"type": "text", "text": text}]} for text in texts]
    return {"type": "doc", "version": 1, "content": content}


class Client:
    """Sends requests to Jira, with the account's token."""

    def __init__(self, cloud: LocalCloud, http: httpx.Client) -> None:
        self.token = cloud.ticketing.vault_secrets["jira-token"]
        self.log_in(JIRA_USER, self.token)
        self._http = http
        self._root = f"{cloud.url('jira')}/rest/api"

    def log_in(self, user: str, token: str) -> None:
        self.authorization = f"Basic {base64.b64encode(f'{user}:{token}'.encode()).decode()}"

    def get(self, path: str, version: int = 3) -> httpx.Response:
        return self._http.get(f"{self._root}/{version}/{path}", headers={"Authorization": self.authorization})

    def post(self, path: str, body: object, version: int = 3) -> httpx.Response:
        headers = {"Authorization": self.authorization}
        return self._http.post(f"{self._root}/{version}/{path}", json=body, headers=headers)

    def comment(self, key: str, body: object, *properties: Json, version: int = 3) -> httpx.Response:
        return self.post(f"issue/{key}/comment", {"body": body, "properties": [*properties]}, version)


@pytest.fixture
def jira(cloud: LocalCloud, http: httpx.Client) -> Client:
    return Client(cloud, http)


@pytest.fixture
def key() -> str:
    return f"NO-{next(_numbers)}"


def error_of(answer: httpx.Response) -> str:
    """Return the only text of the error: a message, or that of the field `comment`."""
    body = answer.json()
    messages: list[str] = [*body["errorMessages"], *list(body["errors"].values())]
    [message] = messages
    return message


def test_a_document_is_a_comment(jira: Client, key: str, notes: Notes) -> None:
    body = document("Cancelled.", "All of it.")

    answer = jira.comment(key, body)

    assert answer.status_code == 201
    comment = answer.json()
    assert comment["body"] == body
    assert comment["id"].isdecimal()
    assert comment["created"].endswith("+0000")
    assert jira.get(f"issue/{key}/comment").json()["comments"] == [comment]
    assert notes("jira", key) == [("Cancelled.\nAll of it.", False)]


def test_a_text_is_a_comment_in_version_2(jira: Client, key: str, notes: Notes) -> None:
    answer = jira.comment(key, "Cancelled.", version=2)

    assert (answer.status_code, answer.json()["body"]) == (201, "Cancelled.")
    assert notes("jira", key) == [("Cancelled.", False)]


def test_each_version_shows_the_comments_of_the_other(jira: Client, key: str) -> None:
    jira.comment(key, "text", version=2).raise_for_status()
    jira.comment(key, document("document")).raise_for_status()

    in_2, in_3 = (jira.get(f"issue/{key}/comment", version).json()["comments"] for version in (2, 3))

    assert [comment["body"] for comment in in_2] == ["text", "document"]
    assert [comment["body"] for comment in in_3] == [document("text"), document("document")]


@pytest.mark.parametrize(
    ("properties", "is_internal"),
    [
        ([INTERNAL], True),
        ([], False),
        ([{"key": "sd.public.comment", "value": {"internal": False}}], False),
        ([{"key": "sd.public.comment", "value": {"internal": "true"}}], False),
    ],
    ids=["internal", "absent", "false", "text"],
)
def test_a_property_makes_a_comment_internal(
    jira: Client, key: str, notes: Notes, properties: list[Json], is_internal: bool
) -> None:
    answer = jira.comment(key, document("x"), *properties)

    assert answer.json()["jsdPublic"] is not is_internal
    assert notes("jira", key) == [("x", is_internal)]


@pytest.mark.parametrize(
    "body",
    [
        "text",
        {},
        [],
        {"type": "doc", "version": 1},
        {"type": "doc", "version": 2, "content": []},
        {"type": "doc", "version": "1", "content": []},
        {"type": "doc", "version": 1, "content": [{"type": "text", "text": "not in a block"}]},
        {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": ""}]}]},
        {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text"}]}]},
        {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": ["text"]}]}]},
        {"type": "doc", "version": 1, "content": [{"type": "paragraph", "text": "x"}]},
        {"type": "doc", "version": 1, "content": [{"type": "bulletList", "content": []}]},
        {"type": "doc", "version": 1, "content": [{"type": "heading", "content": [{"type": "text", "text": "x"}]}]},
        {
            "type": "doc",
            "version": 1,
            "content": [{"type": "paragraph", "content": [{"type": "text", "text": "x", "marks": [{"type": "link"}]}]}],
        },
    ],
    ids=lambda body: str(body)[-60:],
)
def test_a_body_that_is_no_document_is_refused(jira: Client, key: str, notes: Notes, body: object) -> None:
    answer = jira.comment(key, body)

    assert (answer.status_code, error_of(answer)) == (400, "Comment body is not valid!")
    assert notes("jira", key) == []


def test_a_document_with_lists_links_and_breaks_is_taken(jira: Client, key: str, notes: Notes) -> None:
    link = {"type": "text", "text": "a link", "marks": [{"type": "link", "attrs": {"href": "https://contoso.example"}}]}
    first = {"type": "paragraph", "content": [link, {"type": "hardBreak"}, {"type": "text", "text": "next"}]}
    item = {"type": "listItem", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "line 0"}]}]}
    title = {"type": "heading", "attrs": {"level": 3}, "content": [{"type": "text", "text": "Title"}]}
    body = {"type": "doc", "version": 1, "content": [title, first, {"type": "bulletList", "content": [item]}]}

    assert jira.comment(key, body).status_code == 201
    assert notes("jira", key) == [("Title\na link\nnext\nline 0", False)]


@pytest.mark.parametrize(
    ("body", "version", "message"),
    [
        (None, 2, "Comment body can not be empty!"),
        (" ", 2, "Comment body can not be empty!"),
        (document(), 3, "Comment body can not be empty!"),
        (document("x"), 2, "Operation value must be a string"),
        ("x" * 32_768, 2, "It exceeds the allowed limit of 32,767 characters."),
        (document("x" * 32_700), 3, "It exceeds the allowed limit of 32,767 characters."),
    ],
    ids=["none", "blank", "empty", "document", "long-text", "long-document"],
)
def test_a_wrong_text_is_refused(
    jira: Client, key: str, notes: Notes, body: object, version: int, message: str
) -> None:
    answer = jira.comment(key, body, version=version)

    assert answer.status_code == 400
    assert error_of(answer).endswith(message)
    assert notes("jira", key) == []


def test_the_longest_text_is_taken(jira: Client, key: str) -> None:
    assert jira.comment(key, "x" * 32_767, version=2).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"body": document("x"), "jsdPublic": False},
        {"body": document("x"), "properties": {}},
        {"body": document("x"), "properties": [{"key": "a"}]},
        {"body": document("x"), "properties": [{"key": "k" * 256, "value": 1}]},
        {"body": document("x"), "properties": [{"key": "a", "value": "x" * 32_768}]},
    ],
    ids=lambda body: str(body)[-40:],
)
def test_a_wrong_request_is_refused(jira: Client, key: str, notes: Notes, body: object) -> None:
    answer = jira.post(f"issue/{key}/comment", body)

    assert answer.status_code == 400
    assert answer.json()["errorMessages"]
    assert notes("jira", key) == []


def test_a_body_without_a_json_content_type_is_refused(
    cloud: LocalCloud, http: httpx.Client, jira: Client, key: str
) -> None:
    url, headers = f"{cloud.url('jira')}/rest/api/2/issue/{key}/comment", {"Authorization": jira.authorization}

    assert http.post(url, content='{"body": "x"}', headers=headers).status_code == 400


def test_properties_are_read_with_a_list_of_ids(jira: Client, key: str) -> None:
    marker = {"key": "cancel-order", "value": {"state": "cancelled", "time": "2026-11-30T10:00:00Z"}}
    ids = [int(jira.comment(key, document(text), marker, INTERNAL).json()["id"]) for text in ("first", "second")]

    page = jira.post("comment/list?expand=properties", {"ids": [ids[1], ids[0], 1]}).json()
    plain = jira.post("comment/list", {"ids": ids}).json()

    assert [int(comment["id"]) for comment in page["values"]] == ids
    assert [comment["properties"] for comment in page["values"]] == [[marker, INTERNAL]] * 2
    assert (page["total"], page["startAt"], page["isLast"]) == (2, 0, True)
    assert not any("properties" in comment for comment in plain["values"])
    assert not any("properties" in comment for comment in jira.get(f"issue/{key}/comment").json()["comments"])


@pytest.mark.parametrize("ids", [[], None, ["10001"], [True], list(range(1001))], ids=lambda ids: str(ids)[:20])
def test_a_wrong_list_of_ids_is_refused(jira: Client, ids: object) -> None:
    assert jira.post("comment/list", {"ids": ids}).status_code == 400


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("", "123"),
        ("?orderBy=created", "123"),
        ("?orderBy=%2Bcreated", "123"),
        ("?orderBy=-created", "321"),
        ("?orderBy=-created&maxResults=2", "32"),
        ("?orderBy=-created&maxResults=2&startAt=2", "1"),
        ("?startAt=3", ""),
    ],
)
def test_comments_come_in_pages(jira: Client, key: str, query: str, texts: str) -> None:
    for text in "123":
        jira.comment(key, text, version=2).raise_for_status()

    page = jira.get(f"issue/{key}/comment{query}", 2).json()

    assert "".join(comment["body"] for comment in page["comments"]) == texts
    assert page["total"] == 3


@pytest.mark.parametrize("query", ["orderBy=updated", "maxResults=x", "startAt=-1"])
def test_a_wrong_page_is_refused(jira: Client, key: str, query: str) -> None:
    assert jira.get(f"issue/{key}/comment?{query}").status_code == 400


@pytest.mark.parametrize(("user", "token"), [(JIRA_USER, "wrong"), ("other@contoso.example", ""), ("", "")])
def test_without_the_token_nothing_is_told(jira: Client, key: str, notes: Notes, user: str, token: str) -> None:
    jira.log_in(user, token or jira.token) if user else setattr(jira, "authorization", "")

    answers = [
        jira.get("serverInfo", 2),
        jira.get("mypermissions?permissions=ADD_COMMENTS"),
        jira.get(f"issue/{key}/comment"),
        jira.comment(key, document("x")),
        jira.post("comment/list", {"ids": [1]}),
    ]

    assert [answer.status_code for answer in answers] == [401] * 5
    assert notes("jira", key) == []


@pytest.mark.parametrize("known", [True, False])
def test_an_issue_that_is_not_there_is_not_found(jira: Client, key: str, set_status: SetStatus, known: bool) -> None:
    comment_id = int(jira.comment(key, document("x")).json()["id"])
    if known:
        set_status("jira", key, "missing")

    path = key if known else "it-1"
    answers = [jira.get(f"issue/{path}/comment"), jira.comment(path, document("x"))]

    message = "Issue does not exist or you do not have permission to see it."
    assert [(answer.status_code, error_of(answer)) for answer in answers] == [(404, message)] * 2
    if known:
        assert jira.post("comment/list", {"ids": [comment_id]}).json()["values"] == []


def test_an_issue_whose_work_is_done_takes_comments(jira: Client, key: str, set_status: SetStatus) -> None:
    set_status("jira", key, "closed")

    assert jira.comment(key, document("x")).status_code == 201


def test_the_account_may_add_comments(jira: Client) -> None:
    answer = jira.get("mypermissions?permissions=ADD_COMMENTS")

    assert answer.json()["permissions"]["ADD_COMMENTS"]["havePermission"] is True


@pytest.mark.parametrize("query", ["", "?permissions=", "?permissions=ADD_COMMENT"])
def test_permissions_are_asked_for_by_name(jira: Client, query: str) -> None:
    assert jira.get(f"mypermissions{query}").status_code == 400


def test_the_requests_of_the_jira_library_are_answered(
    cloud: LocalCloud, http: httpx.Client, jira: Client, notes: Notes
) -> None:
    answers = [
        send_recorded(http, request, cloud.url("jira"), jira.authorization) for request in recorded_requests("jira")
    ]

    server, created, listed = answers
    assert [answer.status_code for answer in answers] == [200, 201, 200]
    assert server.json()["deploymentType"] == "Cloud"
    assert server.json()["versionNumbers"]
    assert listed.json()["comments"] == [created.json()]
    assert created.json()["body"] == "Cancelled: …"
    assert notes("jira", "IT-42") == [("Cancelled: …", True)]
