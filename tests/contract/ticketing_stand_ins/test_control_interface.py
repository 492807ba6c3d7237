"""What the control interface shows and changes of tickets, and what the record of requests hides."""

import base64
import json
import time

import httpx
import pytest

from infra.local.cloud import LocalCloud
from infra.local.tickets.systems import SYSTEMS
from tests.support.ticketing import Notes

TICKETS = dict.fromkeys(SYSTEMS, "1") | {"jira": "CONTROL-1", "standard-webhooks": "REQ.1"}


def url_of(cloud: LocalCloud, system: str, ticket_id: str) -> str:
    return f"{cloud.url('control')}/tickets/{system}/{ticket_id}"


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_ticket_is_without_notes_at_first(cloud: LocalCloud, http: httpx.Client, system: str) -> None:
    answer = http.get(url_of(cloud, system, TICKETS[system]))

    assert (answer.status_code, answer.json()) == (200, {"notes": []})


def test_a_note_has_its_time(cloud: LocalCloud, http: httpx.Client, ticket_id: str) -> None:
    before = int(time.time())
    key = cloud.ticketing.vault_secrets["freshdesk-key"]
    url = f"{cloud.url('freshdesk')}/api/v2/tickets/{ticket_id}/notes"
    http.post(url, json={"body": "<p>x</p>"}, auth=(key, "X")).raise_for_status()

    [note] = http.get(url_of(cloud, "freshdesk", ticket_id)).json()["notes"]

    assert note.keys() == {"text", "private", "time"}
    assert before <= note["time"] <= time.time() + 2  # a change is seen a second after the one before


def test_zeros_before_a_number_make_no_other_ticket(
    cloud: LocalCloud, http: httpx.Client, ticket_id: str, notes: Notes
) -> None:
    key = cloud.ticketing.vault_secrets["freshdesk-key"]
    url = f"{cloud.url('freshdesk')}/api/v2/tickets/00{ticket_id}/notes"
    http.post(url, json={"body": "x"}, auth=(key, "X")).raise_for_status()

    assert notes("freshdesk", ticket_id) == notes("freshdesk", f"0{ticket_id}") == [("x", True)]


@pytest.mark.parametrize(
    ("system", "ticket_id"),
    [
        ("zendesk", "ZD-1"),
        ("zendesk", "1" * 20),
        ("freshdesk", "x"),
        ("jira", "it-1"),
        ("jira", "1"),
        ("webhook", "-"),
        ("halo", "1"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_can_be_no_ticket_is_not_found(
    cloud: LocalCloud, http: httpx.Client, method: str, system: str, ticket_id: str
) -> None:
    answer = http.request(method, url_of(cloud, system, ticket_id), content='{"status": "open"}')

    assert answer.status_code == 404


@pytest.mark.parametrize("body", ["", "{}", '{"status": "solved"}', '{"status": "open", "notes": []}'])
def test_a_change_that_makes_no_sense_is_refused(cloud: LocalCloud, http: httpx.Client, body: str) -> None:
    assert http.put(url_of(cloud, "zendesk", "1"), content=body).status_code == 400


def test_no_credential_is_in_the_record(cloud: LocalCloud, http: httpx.Client, ticket_id: str) -> None:
    """The record is pasted into reports."""
    secrets = cloud.ticketing.vault_secrets
    grant = {
        "grant_type": "client_credentials",
        "client_id": "cancel_order",
        "client_secret": secrets["zendesk-oauth"],
        "scope": "read",
    }
    token = http.post(f"{cloud.url('zendesk')}/oauth/tokens", json=grant).json()["access_token"]
    http.get(
        f"{cloud.url('zendesk')}/api/v2/tickets/{ticket_id}.json?access_token={token}",
        headers={"Authorization": f"Bearer {token}"},
    ).raise_for_status()
    for system in ("freshdesk", "freshservice", "jira"):
        name = "jira-token" if system == "jira" else f"{system}-key"
        http.get(f"{cloud.url(system)}/api/v2/tickets?per_page=1", auth=("x", secrets[name]))
    http.post(secrets["webhook-tell-url"], json={})

    record = [entry for entry in http.get(f"{cloud.url('control')}/requests").json() if entry["service"] == "ticketing"]

    text = json.dumps(record, ensure_ascii=False)
    sig = httpx.URL(secrets["webhook-tell-url"]).params["sig"]
    basic = [base64.b64encode(f"x:{secret}".encode()).decode() for secret in secrets.values()]
    hidden = [*secrets.values(), token, sig, *basic]
    assert [secret for secret in hidden if secret in text] == []
    assert any(entry["path"].endswith("&sig=…") for entry in record)
    assert any(entry["body"] == grant | {"client_secret": "…"} for entry in record)
