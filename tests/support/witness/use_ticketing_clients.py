"""Uses zenpy, jira and python-freshdesk. It runs in .venv-witness, and nothing of ours can be imported here.

Addresses and credentials come as JSON on standard input; what each client saw goes as JSON to standard output.
"""

import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import requests

LIMIT_S = 15


def use_zenpy(access: dict[str, Any], note: str) -> dict[str, Any]:
    os.environ["ZENPY_FORCE_NETLOC"] = urlsplit(access["url"]).netloc
    from zenpy import Zenpy  # noqa: PLC0415
    from zenpy.lib.api_objects import Comment, Ticket  # noqa: PLC0415
    from zenpy.lib.exception import APIException, RecordNotFoundException  # noqa: PLC0415

    grant = {
        "grant_type": "client_credentials",
        "client_id": access["clientId"],
        "client_secret": access["clientSecret"],
        "scope": "tickets:read tickets:write",
        "expires_in": 7200,
    }
    answer = requests.post(f"{access['url']}/oauth/tokens", json=grant, timeout=LIMIT_S)
    answer.raise_for_status()
    client = Zenpy(subdomain="x", oauth_token=answer.json()["access_token"], disable_cache=True, timeout=LIMIT_S)
    seen: dict[str, Any] = {}
    ticket = client.tickets(id=35436)
    seen["ticket"] = [ticket.id, ticket.status]
    seen["comments before"] = len(list(client.tickets.comments(ticket=35436)))

    def write(**members: object) -> tuple[list[object], str]:
        change = Ticket(id=35436, comment=Comment(body=note, public=False), **members)
        audit = client.tickets.update(change)
        [event] = audit.audit.events
        return [event["body"], event["public"]], audit.ticket.updated_at

    seen["private comment"], updated_at = write()
    seen["safe comment"], _ = write(safe_update=True, updated_stamp=updated_at)
    try:
        write(safe_update=True, updated_stamp=updated_at)
    except APIException as error:
        seen["outdated comment"] = error.response.status_code
    comments = list(client.tickets.comments(ticket=35436))
    seen["comments after"] = [[comment.body, comment.public] for comment in comments[1:]]
    try:
        client.tickets(id=35437)
    except RecordNotFoundException as error:
        seen["missing ticket"] = type(error).__name__
    return seen


def use_jira(access: dict[str, Any], note: str) -> dict[str, Any]:
    from jira import JIRA, JIRAError  # noqa: PLC0415

    client = JIRA(access["url"], basic_auth=(access["user"], access["token"]), timeout=LIMIT_S, max_retries=0)
    created = client.add_comment("IT-42", note, is_internal=True)
    seen: dict[str, Any] = {"internal comment": [created.body, created.jsdPublic]}
    seen["comments"] = [[comment.body, comment.jsdPublic] for comment in client.comments("IT-42")]
    try:
        client.add_comment("IT-43", note, is_internal=True)
    except JIRAError as error:
        seen["missing issue"] = error.status_code
    return seen


def use_freshdesk(access: dict[str, Any], note: str) -> dict[str, Any]:
    from freshdesk.v2.api import API  # noqa: PLC0415
    from freshdesk.v2.errors import FreshdeskError  # noqa: PLC0415

    client = API("x.freshdesk.com", access["key"])  # the library takes no other domain
    client._api_prefix = f"{access['url']}/api/v2/"  # noqa: SLF001
    # The library gives the session a `verify`, which hides the environment's authority from requests.
    client._session.verify = os.environ["REQUESTS_CA_BUNDLE"]  # noqa: SLF001
    created = client.comments.create_note(42, note, private=True)
    listed = client.comments.list_comments(42)
    seen: dict[str, Any] = {
        "private note": [created.body_text, created.private, created.source],
        "conversations": [[comment.body_text, comment.private, comment.source] for comment in listed],
    }
    try:
        client.comments.create_note(43, note, private=True)
    except FreshdeskError as error:
        seen["missing ticket"] = type(error).__name__
    return seen


def main() -> None:
    access = json.load(sys.stdin)
    os.environ["REQUESTS_CA_BUNDLE"] = access["caFile"]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    uses = {"zenpy": ("zendesk", use_zenpy), "jira": ("jira", use_jira), "freshdesk": ("freshdesk", use_freshdesk)}
    seen = {client: use(access[system], access["note"]) for client, (system, use) in uses.items()}
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
