"""Tickets that a test lets go wrong: where each follow-up and each note is then, and after the fault."""

import json

from shared.runtime import Runtime
from shared.settings import Settings
from tests.support.fault_matrix.telling import (
    End,
)
from tests.support.forged_follow_ups import message
from tests.support.local_cloud import Json, LocalCloud
from tests.support.telling import Tickets
from tests.support.ticket_agents import READABLE, SYSTEMS, ticket_of

OTHERS = tuple(system for system in SYSTEMS if system != "zendesk")
OTHERS_READABLE = tuple(system for system in READABLE if system != "zendesk")
WEBHOOK = "standard-webhooks"
SHORTER_S = 30  # a busy machine needs so long
FAR_S = 9e9  # until the faults are cleared
LIMIT_S = 30.0
ELSEWHERE = "/elsewhere"


class ToldTicket:
    """A ticket with a follow-up in the queue, which says *content*."""

    def __init__(self, tickets: Tickets, content: Json, system: str | None = None) -> None:
        self._tickets = tickets
        self.system = system or content["caller"]
        self.ticket_id = content["ticketId"]
        self.content = content
        tickets.forge(json.dumps(content))

    @property
    def notes(self) -> list[str]:
        return self._tickets.notes(self.system, self.ticket_id)

    def check(self, end: End, events: list[Json]) -> None:
        """Compare ticket, queues and audit events with *end*, which a fault has led to."""
        assert len(self.notes) == end.has_note
        mine = [left for left in self._tickets.queue() if self._is_mine(left.content or {})]
        waiting = [left for left in mine if left.queue == "follow-up"]
        poisoned = [left.content or {} for left in mine if left.queue == "follow-up-poison"]
        assert [_is_hidden_for(left.visible_in_s, end.again_s) for left in waiting] == [True] * (
            end.again_s is not None
        ), waiting
        assert [content["reason"] for content in poisoned] == ([end.reason] if end.reason else [])
        for content in poisoned:
            assert content == self.content | {"reason": end.reason}
        names = [(event["event"], event["reason"]) for event in events if self._is_mine(event)]
        assert set(names) <= {("told", None), ("poisoned", end.reason)}
        if not waiting:
            expected = ("poisoned", end.reason) if end.reason else ("told", None)
            assert names == [expected]

    def _is_mine(self, found: Json) -> bool:
        return (found.get("caller"), found.get("ticketId")) == (self.content["caller"], self.ticket_id)


def _is_hidden_for(visible_in_s: float, seconds: int | None) -> bool:
    return seconds is not None and seconds - SHORTER_S <= visible_in_s <= seconds


async def tell_later(tickets: Tickets, settings: Settings) -> None:
    """Put back what is in the poison queue, let time pass, and tell, in a worker that has just started."""
    poisoned = tickets.queue("follow-up-poison")
    for left in poisoned:
        tickets.forge(left.text)
    tickets.wake()
    async with Runtime(settings) as runtime:
        await runtime.tell_tickets()
    assert tickets.queue("follow-up") == []
    assert len(tickets.queue("follow-up-poison")) == len(poisoned)


def requests_of(system: str, ticket_id: str, *, is_reading: bool) -> Json:
    """Return service, method and path of the requests that read the notes of a ticket, or write one."""
    path = {
        "zendesk": f"/tickets/{ticket_id}.json",
        "freshdesk": f"/tickets/{ticket_id}/conversations" if is_reading else f"/tickets/{ticket_id}/notes",
        "freshservice": f"/tickets/{ticket_id}/conversations" if is_reading else f"/tickets/{ticket_id}/notes",
        "jira": f"/issue/{ticket_id}/comment",
        WEBHOOK: "/workflows/",
    }[system]
    method = "GET" if is_reading else "PUT" if system == "zendesk" else "POST"
    return {"service": "ticketing", "method": method, "path": path}


def refused_in_each(tickets: Tickets, systems: tuple[str, ...], number: str) -> list[ToldTicket]:
    """Put the follow-up of a refused request into the queue for a ticket of each system."""
    return [ToldTicket(tickets, message(system, ticket_of(system, number))) for system in systems]


def check_nothing_went_elsewhere(cloud: LocalCloud) -> None:
    """A redirect could take a credential or a note to somebody else."""
    assert cloud.requests(path=ELSEWHERE) == []
