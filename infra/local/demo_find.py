"""The part of `make demo` about finding: from a domain and a word of a product's name to a cancelled licence.

It takes two requests: a look, and the ticket's or the flow's request. A person reads the list; here the only fit is
taken.
"""

import json

import httpx
from rich.console import Console
from rich.markup import escape

from infra.local.cloud import LocalCloud
from infra.local.senders.deliveries import SENDERS, Delivery, headers_of
from infra.local.senders.find import Found, customer_query, found_in, look, looker_of
from infra.local.senders.flow_token import with_token
from infra.local.senders.templates import SYSTEMS, Ticket, render
from infra.local.values import Json

DOMAIN = "wingtip.example"
# Each with a word of one product of this customer that can be cancelled.
WORDS = {"zendesk": "business premium", "jira": "exchange online", "servicenow": "visio", "flow": "ai builder"}
INTRODUCTION = (
    f"People know a domain, here {DOMAIN}, and a word of a product's name. find_orders lists what fits, and whether it"
    " can be cancelled; the ticket then has the domain and the order. In a flow both are actions, and the order and its"
    " lines are chosen from lists. Zendesk signs its requests, and a signature does not cover a look: another caller"
    " looks.\n"
)


async def show_finding(console: Console, cloud: LocalCloud, client: httpx.AsyncClient, number: int) -> bool:
    """Show it as the step *number*. True if each system ended with a cancelled licence."""
    console.rule(f"[bold]{number}. From a domain and a word to a cancelled licence, in two requests", align="left")
    console.print(INTRODUCTION)
    systems = [system for system in WORDS if system != "flow" or cloud.has_authentication]
    ends = [await _show_way(console, cloud, client, system) for system in systems]
    return all(ends)


async def _show_way(console: Console, cloud: LocalCloud, client: httpx.AsyncClient, system: str) -> bool:
    """Show the two requests of *system*. True if what it found is cancelled."""
    description = await with_token(cloud.describe()) if system == "flow" else cloud.describe()
    looker, query = looker_of(system, description), customer_query(DOMAIN) | {"text": WORDS[system]}
    listed = await client.send(look(looker, description, query))
    [found] = [entry for entry in found_in(listed.raise_for_status().json(), WORDS[system], "now") if entry.may]
    body = _body(system, found)
    headers = headers_of(system, body, description, Delivery())
    answer = await client.post(cloud.function_url, content=body, headers=headers)
    end = answer.json()
    looks = "" if looker == system else f" ({SENDERS[looker].name} looks)"
    console.print(f"[bold]{SENDERS[system].name}[/]{looks}")
    console.print(f"  [bold]GET[/] {escape(listed.url.raw_path.decode())}\n    {escape(found.description)}")
    console.print(f"  [bold]POST[/] /api/cancel_order\n    {escape(json.dumps(json.loads(body)))}")
    console.print(f"    [green]{answer.status_code} {end.get('outcome') or end.get('code')}[/]", end="\n\n")
    lines = [line for line in end.get("lineItems", []) if found.line in {None, line["lineItemNumber"]}]
    return bool(lines) and all(line["cancelled"] for line in lines)


def _body(system: str, found: Found) -> bytes:
    lines = "" if found.line is None else str(found.line)
    if system in SYSTEMS:
        return render(system, Ticket("", found.order_id or "", lines, customer_domain=DOMAIN))
    request: Json = {"customerDomain": DOMAIN, "orderId": found.order_id}
    return json.dumps(request | ({"lineItems": [{"lineItemNumber": found.line}]} if lines else {})).encode()
