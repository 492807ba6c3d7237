"""Public clients of ticketing systems, as witnesses for the stand-ins: zenpy, jira and python-freshdesk.

They read tickets and write notes as programs do. The stand-ins must give them what they expect, and they must still
send what tests/samples/ticketing-requests has, which `make test` sends to the stand-ins. Nothing is recorded anew.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from infra.local.cloud import LocalCloud
from infra.local.tickets.systems import JIRA_USER, ZENDESK_CLIENT_ID
from tests.support.local_cloud import ROOT, Json
from tests.support.stand_ins import serving_stand_ins
from tests.support.ticketing import recorded_requests

PYTHON = ROOT / ".venv-witness/bin/python"
SCRIPT = Path(__file__).with_name("use_ticketing_clients.py")
LIMIT_S = 60
NOTE = "Cancelled: …"  # as in the recorded requests
STAMP = "updated_stamp"

EXPECTED = {
    "zenpy": {
        "ticket": [35436, "open"],
        "comments before": 1,
        "private comment": [NOTE, False],
        "safe comment": [NOTE, False],
        "outdated comment": 409,
        "comments after": [[NOTE, False], [NOTE, False]],
        "missing ticket": "RecordNotFoundException",
    },
    "jira": {"internal comment": [NOTE, False], "comments": [[NOTE, False]], "missing issue": 404},
    "freshdesk": {
        "private note": [NOTE, True, "note"],
        "conversations": [[NOTE, True, "note"]],
        "missing ticket": "FreshdeskNotFound",
    },
}


def witness(*, record: bool = False) -> list[str]:  # noqa: ARG001  (nothing is recorded)
    with tempfile.TemporaryDirectory() as directory, serving_stand_ins(Path(directory)) as cloud:
        seen = _run_clients(cloud)
        sent = [entry for entry in cloud.traffic.requests if entry["service"] == "ticketing"]
    differences = [
        f"{client}: {name}: expected {expected!r}, seen {seen[client].get(name)!r}"
        for client, observations in EXPECTED.items()
        for name, expected in observations.items()
        if seen[client].get(name) != expected
    ]
    requests = [_comparable(entry["method"], entry["path"], entry["body"]) for entry in sent]
    for client in EXPECTED:
        for request in recorded_requests(client):
            path = "/" + request["url"].split("/", 3)[3]
            if _comparable(request["method"], path, request["body"]) not in requests:
                differences.append(f"{client} no longer sends {request['method']} {path} {request['body']}")
    return differences


def _run_clients(cloud: LocalCloud) -> dict[str, Json]:
    """Return what each client saw, by the client's name."""
    for system, ticket_id in (("zendesk", "35437"), ("jira", "IT-43"), ("freshdesk", "43")):
        ticket = cloud.ticketing.ticket(system, ticket_id)
        assert ticket
        ticket.status = "missing"
    secrets = cloud.ticketing.vault_secrets
    access = {
        "caFile": str(cloud.ca_file),
        "note": NOTE,
        "zendesk": {
            "url": cloud.url("zendesk"),
            "clientId": ZENDESK_CLIENT_ID,
            "clientSecret": secrets["zendesk-oauth"],
        },
        "jira": {"url": cloud.url("jira"), "user": JIRA_USER, "token": secrets["jira-token"]},
        "freshdesk": {"url": cloud.url("freshdesk"), "key": secrets["freshdesk-key"]},
    }
    ran = subprocess.run(  # noqa: S603
        [str(PYTHON), str(SCRIPT)],
        input=json.dumps(access),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    if ran.returncode:
        raise RuntimeError(f"the clients failed:\n{ran.stderr}")
    seen: dict[str, Json] = json.loads(ran.stdout)
    return seen


def _comparable(method: str, path: str, body: Any) -> tuple[str, ...]:
    """Return a request without the stamp of a safe update; zenpy's query has no fixed order."""
    if isinstance(body, dict) and isinstance(body.get("ticket"), dict) and STAMP in body["ticket"]:
        body = {"ticket": body["ticket"] | {STAMP: ""}}
    path, _, query = path.partition("?")
    return method, path, *sorted(query.split("&")), json.dumps(body, sort_keys=True)
