"""Errands, and the bodies that senders send for them."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from infra.local.senders.find import LOOKER, customer_query
from infra.local.senders.templates import SYSTEMS, Ticket, render
from infra.local.values import Json
from shared.contract import When

CURL = "curl"  # no caller of its own: it has the key of LOOKER, or no proof if none is needed
TICKET_NUMBERS = range(10_000, 1_000_000)


class CannotSend(Exception):
    """The request cannot be sent. The text says what to do."""


class Errand(BaseModel):
    """One request that somebody has a sender make.

    Attributes:
        order_id, subscription_id: one of them is what to cancel.
        when: `now`, or `term_end` to let it end with its term.
        dry_run: only look.
        customer: a domain or a tenant's id; None means the customer that the local cloud has the target for.
        lines: the numbers of the only lines to cancel; none means the whole order.
        account: None means `default`.
        ticket_number: None means a new ticket if the sender's tickets are told, else always the same one.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_by_name=True)

    order_id: str | None = Field(None, alias="orderId")
    subscription_id: str | None = Field(None, alias="subscriptionId")
    customer: str | None = None
    lines: list[int] = []
    when: When = "now"
    account: str | None = None
    dry_run: bool = Field(False, alias="dryRun")
    ticket_number: int | None = Field(None, alias="ticketNumber", ge=1, lt=10**15)


def caller_of(system: str) -> str:
    """Return the caller as which *system* calls the function; its tickets are those of this caller."""
    return LOOKER if system == CURL else system


def check_account(account: str | None, description: Mapping[str, Any]) -> None:
    """Raise CannotSend if the local cloud with this *description* has no such account."""
    if account not in {None, *description["accounts"]}:
        raise CannotSend(f"the local cloud has no account {account}. The page of `make serve` lists them.")


def ticket_for(system: str, errand: Errand, description: Mapping[str, Any]) -> Ticket:
    """Return the made-up ticket of *system* for *errand*. Raises CannotSend."""
    subscription_id = errand.subscription_id or ""
    if subscription_id and errand.lines:
        raise CannotSend("lines belong to an order; a subscription is cancelled as a whole.")
    if bool(subscription_id) == bool(errand.order_id):
        raise CannotSend("name an order or a subscription, one of them.")
    kind, target = ("subscription", subscription_id) if subscription_id else ("order", errand.order_id)
    customers = {entry[f"{kind}Id"]: entry["customerTenantId"] for entry in description[f"{kind}s"]}
    customer = errand.customer or customers.get(target)
    if customer is None:
        raise CannotSend(f"the local cloud has no {kind} {target}. Name its customer, too.")
    template = SYSTEMS.get(system)
    if len(errand.lines) > 1 and template and not template.takes_lines:
        raise CannotSend(f"the {system} template takes only one line; send one line at a time.")
    if system == "servicenow" and errand.when == "term_end" and not subscription_id:
        raise CannotSend("the servicenow script takes do_not_renew for a subscription only; send a subscription.")
    named = customer_query(customer)
    ticket = Ticket(
        named.get("customerTenantId", ""),
        errand.order_id or "",
        ",".join(map(str, errand.lines)),
        subscription_id=subscription_id,
        when=errand.when,
        customer_domain=named.get("customerDomain", ""),
    )
    # A ticket that is told is new each time: else the notes of the last time would be in it.
    is_told = "tell" in description["callers"].get(caller_of(system), {})
    number = errand.ticket_number or (secrets.choice(TICKET_NUMBERS) if is_told else ticket.number)
    return replace(ticket, number=number)


def bodies_for(system: str, errand: Errand, ticket: Ticket) -> list[tuple[str, bytes]]:
    """Return title and body of each request for *ticket*, in order.

    A flow asks for a dry run before the real cancellation.
    """
    if system in SYSTEMS:
        account = errand.account or "default"
        return [("a ticket", render(system, ticket, dry_run=errand.dry_run, account=account))]
    dry_run = ("a dry run", plain_body(errand, ticket, dry_run=True))
    if errand.dry_run:
        return [dry_run]
    cancellation = plain_body(errand, ticket, dry_run=False)
    if system == "flow":
        return [dry_run, ("the request, after somebody has approved it", cancellation)]
    return [("a request", cancellation)]


def plain_body(errand: Errand, ticket: Ticket, *, dry_run: bool) -> bytes:
    """Return the body of a sender without a template."""
    request: Json = {**customer_query(ticket.customer_domain or ticket.customer_tenant_id)}
    if ticket.subscription_id:
        request["subscriptionId"] = ticket.subscription_id
    else:
        request["orderId"] = ticket.order_id
    if errand.lines:
        request["lineItems"] = [{"lineItemNumber": line} for line in errand.lines]
    if ticket.when != "now":
        request["when"] = ticket.when
    if errand.account:
        request["account"] = errand.account
    request |= {"ticketId": ticket.key, "reason": ticket.subject}
    return json.dumps(request | {"dryRun": dry_run}, indent=2).encode()
