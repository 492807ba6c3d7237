"""People who write into tickets beside the function, through the ticketing systems' own APIs."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import httpx
import pytest

from tests.support.local_cloud import Json

SYSTEMS = ("zendesk", "freshdesk", "freshservice", "jira", "standard-webhooks")
READABLE = SYSTEMS[:-1]  # nobody can ask a webhook's receiver what it got


def cases(systems: tuple[str, ...]) -> list[Any]:
    """Return *systems* as cases of a test. That of Freshservice is long: one class speaks its API and Freshdesk's."""
    return [pytest.param(name, marks=pytest.mark.long if name == "freshservice" else ()) for name in systems]


def ticket_of(system: str, number: str) -> str:
    """Return the id of a ticket in the form of *system*."""
    return f"IT-{number}" if system == "jira" else number


class Agent:
    """An agent who uses the function's own credential at *system*."""

    def __init__(self, system: str, description: Json, http: httpx.Client) -> None:
        self._system = system
        self._tell: Json = description["callers"][system]["tell"]
        self._http = http

    def write(self, ticket_id: str, text: str, *, is_private: bool = True) -> None:
        """Write a comment. At Jira a private one has *text* as the property that the function's comments have, too.

        Customers, who write public ones, cannot give properties to them.
        """
        url, secret = self._tell["url"], self._tell["secretValue"]
        match self._system:
            case "zendesk":
                comment = {"body": text, "public": not is_private}
                path, auth, method = f"/api/v2/tickets/{ticket_id}", None, "PUT"
                body: Json = {"ticket": {"comment": comment}}
            case "jira":
                path, auth, method = f"/rest/api/3/issue/{ticket_id}/comment", (self._tell["user"], secret), "POST"
                body = {"body": _document(text)}
                if is_private:
                    marked = _property("cancel-order", {"note": text})
                    body["properties"] = [marked, _property("sd.public.comment", {"internal": True})]
            case _:
                path, auth, method = f"/api/v2/tickets/{ticket_id}/notes", (secret, "X"), "POST"
                body = {"body": f"<div>{escape(text)}</div>", "private": is_private}
        headers = {"Authorization": f"Bearer {self._token()}"} if self._system == "zendesk" else {}
        answer = self._http.request(method, url + path, json=body, headers=headers, auth=auth)
        answer.raise_for_status()

    def _token(self) -> str:
        grant = {
            "grant_type": "client_credentials",
            "client_id": self._tell["clientId"],
            "client_secret": self._tell["secretValue"],
            "scope": "tickets:write",
        }
        answer = self._http.post(f"{self._tell['url']}/oauth/tokens", json=grant)
        return str(answer.raise_for_status().json()["access_token"])


@contextmanager
def agent_of(system: str, description: Json) -> Iterator[Agent]:
    trust = ssl.create_default_context(cafile=description["caFile"])
    with httpx.Client(verify=trust, trust_env=False, timeout=15) as http:
        yield Agent(system, description, http)


def _document(text: str) -> Json:
    paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in text.split("\n")]
    return {"type": "doc", "version": 1, "content": paragraphs}


def _property(key: str, value: Any) -> Json:
    return {"key": key, "value": value}
