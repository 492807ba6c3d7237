"""The part of the control interface that is about tickets: their notes, the queue, the timer, the function's end."""

import asyncio
import os
import time
from http import HTTPStatus

import httpx
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.functions.process import FunctionApp, real_host
from infra.local.storage_queue import StorageQueue
from infra.local.tickets.desk import Status, Ticket
from infra.local.tickets.systems import TicketingSystems

TIMER_LIMIT_S = 300.0
REAL_HOST_LIMIT_S = 60.0
POLL_S = 0.02


class _ProcessEnded(Exception):
    """The function's process was killed."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _TicketChange(_Body):
    status: Status


class _ForgedMessage(_Body):
    text: str = Field(max_length=12_000)  # encoded it must fit into a message


class TicketControl:
    """The routes of the control interface that are about tickets.

    *function* is set once the function serves; tests serve the stand-ins alone.
    """

    def __init__(self, ticketing: TicketingSystems, storage_queue: StorageQueue) -> None:
        self._ticketing = ticketing
        self._storage_queue = storage_queue
        self.function: FunctionApp | None = None
        self._kills = 0
        self.routes = [
            Route("/tickets/{system}/{ticket_id}", self._show_ticket, methods=["GET"]),
            Route("/tickets/{system}/{ticket_id}", self._change_ticket, methods=["PUT"]),
            Route("/queue", self._list_messages, methods=["GET"]),
            Route("/queue", self._put_message, methods=["POST"]),
            Route("/queue/wake", self._wake_messages, methods=["POST"]),
            Route("/timers/{name}", self._run_timer, methods=["POST"]),
            Route("/kill", self._kill, methods=["POST"]),
        ]

    async def _run_timer(self, request: Request) -> Response:
        if self.function is None:
            return _no_function()
        began, limit_s = time.time(), REAL_HOST_LIMIT_S if real_host(os.environ) else TIMER_LIMIT_S
        try:
            async with asyncio.timeout(limit_s):
                status = await self.function.run_timer(request.path_params["name"])
                if status == HTTPStatus.NOT_FOUND:
                    return JSONResponse({"error": "no such timer function"}, 404)
                if status != HTTPStatus.ACCEPTED:
                    return JSONResponse({"error": f"the host answered {status}"}, 502)
                if real_host(os.environ):
                    await self._wait_for_end(began)
        except TimeoutError:
            return JSONResponse({"error": f"the run was not seen to end within {limit_s:g} s"}, 504)
        except (httpx.HTTPError, _ProcessEnded):
            return JSONResponse({"error": "the function's process ended during the run"}, 502)
        return JSONResponse({})

    async def _wait_for_end(self, began: float) -> None:
        """Return once the run has ended. Raises _ProcessEnded.

        The real host does not say when that is. A look at an empty queue is the last thing in a run.
        """
        kills = self._kills
        while not self._storage_queue.has_been_found_empty(began):
            if self._kills != kills:
                raise _ProcessEnded
            await asyncio.sleep(POLL_S)

    async def kill(self) -> None:
        """Kill the function's process, and return when the next one serves. Raises RuntimeError if none does."""
        if self.function is not None:
            self._kills += 1
            await self.function.kill()

    async def _kill(self, _: Request) -> Response:
        if self.function is None:
            return _no_function()
        await self.kill()
        return JSONResponse({})

    async def _show_ticket(self, request: Request) -> Response:
        return _notes(self._ticket(request))

    async def _change_ticket(self, request: Request) -> Response:
        status = (_TicketChange.model_validate_json(await request.body())).status
        ticket = self._ticket(request)
        if ticket:
            ticket.status = status
        return _notes(ticket)

    def _ticket(self, request: Request) -> Ticket | None:
        return self._ticketing.ticket(request.path_params["system"], request.path_params["ticket_id"])

    async def _list_messages(self, _: Request) -> Response:
        return JSONResponse(self._storage_queue.list_messages())

    async def _put_message(self, request: Request) -> Response:
        text = (_ForgedMessage.model_validate_json(await request.body())).text
        return JSONResponse({"id": self._storage_queue.put(text)}, 201)

    async def _wake_messages(self, _: Request) -> Response:
        self._storage_queue.wake()
        return JSONResponse({})


def _no_function() -> Response:
    return JSONResponse({"error": "the function is not running"}, 503)


def _notes(ticket: Ticket | None) -> Response:
    if ticket is None:
        return JSONResponse({"error": "no such system, or no id of its tickets"}, 404)
    notes = [{"text": note.text, "private": note.is_private, "time": note.time.timestamp()} for note in ticket.notes]
    return JSONResponse({"notes": notes})
