"""Sends a request to the function as a ticketing system, a flow or curl would, and looks for orders, for the page."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field

from infra.local.examples import curl_command
from infra.local.senders.deliveries import (
    CALLER_KEY,
    FUNCTION_KEY,
    SENDERS,
    Delivery,
    headers_of,
    masked,
    retry_after_s,
)
from infra.local.senders.find import LOOKER, customer_query, find_url
from infra.local.senders.flow_token import with_token
from infra.local.senders.notes import ticket_id_in
from infra.local.senders.requests import (
    CURL,
    CannotSend,
    Errand,
    bodies_for,
    caller_of,
    check_account,
    ticket_for,
)
from infra.local.values import Json

LIMIT_S = 120.0


class Sending(Errand):
    """An errand and who sends it: a `system` of `senders`."""

    system: str


class Look(BaseModel):
    """A look for a customer's orders.

    Attributes:
        customer: a domain or a tenant's id.
        account: None means `default`.
        text: a word of a product's name, or a part of an id; None means all.
        trace_id: of the look's requests to Partner Center, which carry it as their correlation id (W3C Trace Context).
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    customer: str
    account: str | None = None
    text: str | None = None
    trace_id: str | None = Field(None, alias="traceId", pattern="^[0-9a-f]{32}$")


def senders(description: Mapping[str, Any]) -> list[Json]:
    """Return who can send: `system`, `name`, and `tickets`, the system whose tickets get notes, or None.

    Without callers of its own the local cloud can check no proof, so only curl can send.
    """
    callers = description["callers"]
    names = {system: sender.name for system, sender in SENDERS.items() if system in callers} | {CURL: "curl"}
    return [
        {"system": system, "name": name, "tickets": caller_of(system) if _is_told(system, callers) else None}
        for system, name in names.items()
    ]


def _is_told(system: str, callers: Mapping[str, Any]) -> bool:
    return "tell" in callers.get(caller_of(system), {})


async def send_as(sending: Sending, description: Mapping[str, Any]) -> Json:
    """Send the request of *sending*, and return the request, the answer and the system's reaction.

    A flow sends the request alone, or the dry run, not one after the other. Raises CannotSend, and httpx.HTTPError if
    Entra gives the flow no token.
    """
    system = sending.system
    if system not in {sender["system"] for sender in senders(description)}:
        raise CannotSend(f"the local cloud has no sender {system}. Its page lists them.")
    check_account(sending.account, description)
    ticket = ticket_for(system, sending, description)
    _, body = bodies_for(system, sending, ticket)[-1]
    async with httpx.AsyncClient(trust_env=False, timeout=LIMIT_S) as client:
        headers = await _headers(system, body, description)
        began, began_at = time.monotonic(), time.time()
        answer, fault = None, None
        try:
            response = await client.post(description["functionUrl"], content=body, headers=headers)
            answer = {"status": response.status_code, "headers": dict(response.headers), "body": response.text}
        except httpx.HTTPError as error:
            fault = f"no answer: {str(error).removesuffix('.')}"
    return {
        "system": system,
        "ticketId": ticket_id_in(body),
        "ticketNumber": ticket.number,
        "time": began_at,
        "took_s": round(time.monotonic() - began, 6),
        "request": {
            "method": "POST",
            "url": description["functionUrl"],
            "headers": masked(headers),
            "body": body.decode(),
        },
        "curl": curl_command(description["functionUrl"], headers, body.decode()),
        "answer": answer,
        "fault": fault,
        "reaction": _reaction(system, answer),
    }


async def look_for(look: Look, description: Mapping[str, Any]) -> httpx.Response:
    """Return the answer of find_orders. Raises CannotSend and httpx.HTTPError."""
    check_account(look.account, description)
    query = customer_query(look.customer) | look.model_dump(include={"account", "text"}, exclude_none=True)
    headers = _curl_headers(description)
    if look.trace_id:
        headers["traceparent"] = f"00-{look.trace_id}-{secrets.token_hex(8)}-00"
    url = find_url(description)
    async with httpx.AsyncClient(trust_env=False, timeout=LIMIT_S) as client:
        try:
            return await client.get(url, params=query, headers=headers)
        except httpx.RemoteProtocolError:  # the worker was killed; the next one takes connections that wait
            return await client.get(url, params=query, headers=headers)


async def _headers(system: str, body: bytes, description: Mapping[str, Any]) -> dict[str, str]:
    if system == CURL:
        return {"content-type": "application/json"} | _curl_headers(description)
    if system == "flow":
        description = await with_token(description)
    return headers_of(system, body, description, Delivery())


def _curl_headers(description: Mapping[str, Any]) -> dict[str, str]:
    callers = description["callers"]
    return {FUNCTION_KEY: description["functionKey"]} | ({CALLER_KEY: callers[LOOKER]["key"]} if callers else {})


def _reaction(system: str, answer: Json | None) -> str | None:
    """Return what *system* does with *answer*, as a sentence; None for curl, and if there was no answer."""
    if system == CURL or answer is None:
        return None
    sender = SENDERS[system]
    reaction = sender.react(answer["status"], retry_after_s(answer["headers"]))
    return f"{sender.name} {reaction.description}."
