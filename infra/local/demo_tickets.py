"""The part of `make demo` about tickets: three Zendesk tickets, and the note that the agent sees in each.

In the third the worker is killed while its PATCH is on its way, as Azure may do at any time.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable

import httpx
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from infra.local.cloud import LocalCloud
from infra.local.examples import ONE_LINE
from infra.local.partner_center.resources import LICENCE_CUSTOMER, SOFTWARE_CUSTOMER
from infra.local.senders.deliveries import Delivery, headers_of
from infra.local.values import Json

CALLER = "zendesk"
DONE: Json = {
    "customerTenantId": SOFTWARE_CUSTOMER,
    "orderId": "software-subscription-00000000001",
    "ticketId": "48152",
}
TOO_OLD: Json = {"customerTenantId": LICENCE_CUSTOMER, "orderId": "6c1516beb994", "ticketId": "48153"}
KILLED: Json = {**ONE_LINE, "ticketId": "48154"}

EXPECTED = ("cancelled", "refused:cancellation_window_passed", "cancelled")
WAIT_S = 60.0
POLL_S = 0.02

INTRODUCTION = (
    "Zendesk throws the answer away, so the function writes a private note: cancel_order puts a message into a queue,"
    " and tell_ticket, which runs every minute (here: at once), looks at the order and writes.\n"
)


async def show_tickets(console: Console, cloud: LocalCloud, client: httpx.AsyncClient, first: int) -> bool:
    """Show the tickets as steps from the number *first* on. True if each was told what it should be."""
    tickets = Tickets(console, cloud, client)
    steps: tuple[tuple[str, Callable[[], Awaitable[str]]], ...] = (
        ("A Zendesk ticket whose order is cancelled: its agent sees a note", lambda: tickets.show_told(DONE)),
        ("A licence that is too old: the note says why, and what to do", lambda: tickets.show_told(TOO_OLD)),
        ("A worker killed between PATCH and answer: the note is still true", tickets.show_kill),
    )
    states = []
    for number, (title, show) in enumerate(steps, first):
        console.rule(f"[bold]{number}. {title}", align="left")
        if number == first:
            console.print(INTRODUCTION)
        states.append(await show())
        console.print()
    return tuple(states) == EXPECTED


class Tickets:
    """Sends requests as Zendesk does, and shows the notes in its tickets."""

    def __init__(self, console: Console, cloud: LocalCloud, client: httpx.AsyncClient) -> None:
        self._console = console
        self._cloud = cloud
        self._client = client
        self._control_url = cloud.url("control")

    async def show_told(self, request: Json) -> str:
        """Send *request*, show its answer in a word, and the note. Return the note's state."""
        self._show_request(request)
        answer = await self._send(request)
        word = answer.json().get("outcome") or answer.json().get("code")
        self._console.print(f"[bold]{answer.status_code}[/] {word}, which stays in Zendesk's list of webhook calls")
        return await self._show_note(request["ticketId"])

    async def show_kill(self) -> str:
        """Kill the worker while a PATCH of it is on its way, and show the note. Return the note's state."""
        self._show_request(KILLED)
        fault = {"service": "partner_center", "method": "PATCH", "delay_s": WAIT_S}
        await self._control("POST", "/faults", fault)
        self._cloud.traffic.requests.clear()
        call = asyncio.create_task(self._send(KILLED))
        await self._until(self._is_patch_under_way)
        await self._control("POST", "/kill")
        [result] = await asyncio.gather(call, return_exceptions=True)
        got = "no answer" if isinstance(result, httpx.TransportError) else f"the answer {result}"
        self._console.print(
            f"Zendesk got {got}. Partner Center carries out what it got. The message from beside the PATCH shows after"
            " two minutes (here: at once), and a new worker looks at the order."
        )
        await self._control("DELETE", "/faults")
        await self._until(self._is_carried_out)
        await self._control("POST", "/queue/wake")
        return await self._show_note(KILLED["ticketId"])

    def _show_request(self, request: Json) -> None:
        self._console.print(f"[bold]POST[/] /api/cancel_order, signed by Zendesk\n  {escape(json.dumps(request))}")

    async def _show_note(self, ticket_id: str) -> str:
        await self._control("POST", "/timers/tell_ticket")
        notes = (await self._control("GET", f"/tickets/{CALLER}/{ticket_id}"))["notes"]
        text = "\n".join(note["text"] for note in notes)
        self._console.print(f"The private note in the ticket {ticket_id}:")
        self._console.print(Padding(f"[green]{escape(text)}[/]", (0, 2)))
        return " ".join(re.findall(r"\[cancel-order \w+ (\S+) \S+\]", text))

    async def _send(self, request: Json) -> httpx.Response:
        body = json.dumps(request).encode()
        headers = headers_of(CALLER, body, self._cloud.describe(), Delivery())
        return await self._client.post(self._cloud.function_url, content=body, headers=headers)

    async def _control(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = await self._client.request(method, f"{self._control_url}{path}", json=body, timeout=WAIT_S)
        content: Json = answer.raise_for_status().json()
        return content

    async def _is_patch_under_way(self) -> bool:
        requests = self._cloud.traffic.requests
        is_sent = any(request["method"] == "PATCH" for request in requests)
        return is_sent and any(request["service"] == "queue" and request["status"] == 201 for request in requests)

    async def _is_carried_out(self) -> bool:
        order = await self._control("GET", f"/orders/{KILLED['orderId']}")
        return bool(order["lineItems"][0]["quantity"] == 0)

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not await condition():  # noqa: ASYNC110  (nothing tells us)
                await asyncio.sleep(POLL_S)
