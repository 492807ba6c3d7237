"""What the pages show of the function's notes: settings, payload, reasons."""

import json
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from infra.local.senders.templates import TEMPLATES
from infra.local.values import Json
from shared.caller_settings import MEMBERS_OF_TELL, AnyCaller
from shared.ticketing.system import REASONS
from shared.ticketing.webhook import TYPE
from shared.tickets.told import Told, note_of
from tests.support.follow_ups import follow_up

INDEX = TEMPLATES / "README.md"
OPERATE = TEMPLATES.parents[1] / "docs/operate.md"
TOLD = sorted(MEMBERS_OF_TELL.keys() - {"webhook"})
PLACEHOLDERS = {"HASH": "0" * 64, "SUBDOMAIN": "example", "NAME": "example"}
# Those of the settings, the queue and the message, beside the ticketing systems' own.
OTHER_REASONS = {
    "caller_unknown",
    "given_up",
    "message_unreadable",
    "misconfigured",
    "not_allowed",
    "unexpected_answer",
}
# Those of shared/tickets/intent.py and of a ticket's id without the form of its system.
NOT_TOLD_REASONS = {"queue_unavailable", "ticket_not_found", "too_large", "interrupted", "internal_error"}


def shown_json(path: Path) -> list[Json]:
    text = re.sub("|".join(PLACEHOLDERS), lambda match: PLACEHOLDERS[match[0]], path.read_text())
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def test_each_tell_on_a_page_is_a_setting() -> None:
    adapter = TypeAdapter[AnyCaller](AnyCaller)
    shown = [
        adapter.validate_python(caller)
        for path in TEMPLATES.rglob("*.md")
        for block in shown_json(path)
        for caller in block.values()
        if isinstance(caller, dict) and "tell" in caller
    ]

    assert {caller.tell.system for caller in shown if caller.tell} == set(MEMBERS_OF_TELL)


@pytest.mark.parametrize("system", TOLD)
def test_a_page_says_how_the_note_gets_into_the_ticket(system: str) -> None:
    page = (TEMPLATES / system / "README.md").read_text()
    section = page.partition("\n## The note in the ticket\n")[2].partition("\n## ")[0]

    assert "that react.**" in section, "it says which rules react to a note"
    assert "for-the-operator-write-results-into-tickets" in section, "it leads to the operator's steps"
    assert f"{system}/README.md#the-note-in-the-ticket" in INDEX.read_text()


def test_the_page_shows_a_receiver_all_that_is_sent() -> None:
    [payload] = [block for block in shown_json(TEMPLATES / "through-a-flow.md") if "type" in block]
    note = note_of(follow_up(), Told("cancelled", "Done.", 0.0))

    assert payload["type"] == TYPE
    assert payload["data"].keys() == {*note.members, "ticketId", "state", "text"}
    assert payload["data"]["text"].count("\n") == len(note.lines) - 1


@pytest.mark.parametrize(
    ("alert", "reasons"), [("poisoned", {*REASONS.values(), *OTHER_REASONS}), ("not-told", NOT_TOLD_REASONS)]
)
def test_the_operator_finds_every_reason(alert: str, reasons: set[str]) -> None:
    section = OPERATE.read_text().partition(f"### {alert}\n")[2].partition("\n### ")[0]
    rows = re.findall(r"^ *\| `([a-z_]+)` \| [^|]+ \| [^|]+ \|$", section, re.MULTILINE)

    assert reasons <= set(rows)
