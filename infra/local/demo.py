"""`make demo`: start the local cloud, cancel orders through the function, and show each request with its effects."""

import json
import os
import time
from dataclasses import replace

import httpx
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table

from infra.local.cloud import LocalCloud, Options, running
from infra.local.demo_find import show_finding
from infra.local.demo_tickets import show_tickets
from infra.local.examples import OLD_LICENCE, ONE_LINE, TWO_LICENCES, WHOLE_ORDER, curl_command
from infra.local.partner_center.resources import LICENCE_CUSTOMER, SOFTWARE_CUSTOMER
from infra.local.values import Json

THREE_LINES = {"customerTenantId": SOFTWARE_CUSTOMER, "orderId": "software-three-lines-000000000001"}

TRAP = (
    "Auto-renew off alone would be a trap: since May 2026 it lets such a licence go on in a paid extended term, so the"
    " function schedules a Cancel in the same PATCH, and reads whether it is there.\n"
)

CALLER = "halo"  # any caller that proves itself with a key, and whose tickets are not told

# The tour: a title, the request, and the outcome or code that the answer must have.
STEPS: tuple[tuple[str, Json, str], ...] = (
    (
        "A dry run of two licences: says that line 1 is too late, and until when; changes nothing",
        TWO_LICENCES | {"dryRun": True},
        "dry_run",
    ),
    (
        "Two of three lines of software; the order is read first, to find the right ones",
        THREE_LINES
        | {
            "lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": 2}],
            "ticketId": "48151",
            "reason": "Customer bought the wrong edition",
        },
        "partially_cancelled",
    ),
    ("A whole order: one PATCH and no other request to Partner Center", WHOLE_ORDER, "cancelled"),
    ("The same request again, as from a webhook delivered twice: no harm", WHOLE_ORDER, "already_cancelled"),
    (
        "An order of a licence: cancelled by its subscription, which the function finds",
        {"customerTenantId": LICENCE_CUSTOMER, "orderId": "8178ac72b28d"},
        "cancelled",
    ),
    (
        "Never more than the order: 2 seats were added since, so nothing is cancelled",
        {"customerTenantId": LICENCE_CUSTOMER, "orderId": "d8998bb8e499"},
        "more_than_the_order",
    ),
    (
        "A licence too old to be cancelled: it is set to end with its term",
        OLD_LICENCE | {"when": "term_end"},
        "scheduled",
    ),
)


async def run_tour(options: Options) -> int:
    """Run the tour and return the exit status: 0 if each step had its outcome."""
    console = Console(highlight=False)
    if "CALLERS" in os.environ:
        console.print("The tour has callers of its own: run it without CALLERS in the environment.")
        return 1
    began = time.monotonic()
    # Audit records would disturb the tour.
    async with running(replace(options, callers=True), log_level="WARNING") as (cloud, _):
        _show_parts(console, cloud, time.monotonic() - began)
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            outcomes = [
                await _show_step(console, cloud, client, f"{number}. {title}", body)
                for number, (title, body, _) in enumerate(STEPS, 1)
            ]
            console.print(TRAP)  # belongs to the last step
            is_found = await show_finding(console, cloud, client, number=len(STEPS) + 1)
            is_told = await show_tickets(console, cloud, client, first=len(STEPS) + 2)
        console.rule("[bold]Try it yourself")
        console.print(
            "[bold]make serve[/] keeps the local cloud running, with a page in the browser that shows everything. A"
            " command for it looks like this:\n"
        )
        console.print(
            curl_command(
                "http://127.0.0.1:7071/api/cancel_order",
                {"x-functions-key": "KEY", "content-type": "application/json"},
                json.dumps(ONE_LINE),
            ),
            soft_wrap=True,
            markup=False,
        )
    return 0 if is_found and is_told and outcomes == [expected for _, _, expected in STEPS] else 1


def _show_parts(console: Console, cloud: LocalCloud, took_s: float) -> None:
    parts = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    function = cloud.function_url.removesuffix("/api/cancel_order")
    for name, url, role in (
        ("Function", function, "this repository on Azure's own runtime"),
        ("Managed identity", cloud.url("identity"), "gives tokens for Key Vault"),
        ("Key Vault", cloud.url("key_vault"), "holds the app's client secret"),
        ("Entra ID", cloud.url("entra"), "gives tokens for Partner Center"),
        (
            "Partner Center",
            cloud.url("partner_center"),
            f"holds {len(cloud.orders)} orders, {len(cloud.subscriptions)} subscriptions",
        ),
        ("Zendesk", cloud.url("zendesk"), "holds tickets; four more ticketing systems run too"),
    ):
        parts.add_row(f"[bold]{name}[/]", f"[cyan]{url}[/]", role)
    console.rule("[bold]The local cloud")
    console.print(parts)
    console.print(f"Started in {took_s:.1f} s, on this machine only, over TLS like the real services.")
    console.print("In the lines of the answers below, members that are null are left out.\n")


async def _show_step(console: Console, cloud: LocalCloud, client: httpx.AsyncClient, title: str, body: Json) -> str:
    """Send *body*, show the answer and the requests that it caused, and return the outcome or code."""
    cloud.traffic.requests.clear()
    began = time.monotonic()
    headers = {"x-functions-key": cloud.function_key, "x-caller-key": cloud.known_callers[CALLER]["key"]}
    response = await client.post(cloud.function_url, json=body, headers=headers)
    took_ms = (time.monotonic() - began) * 1000

    console.rule(f"[bold]{title}", align="left")
    console.print("[bold]POST[/] /api/cancel_order")
    console.print(
        Padding(Syntax(json.dumps(body, indent=2), "json", background_color="default", word_wrap=True), (0, 2))
    )
    colour = "green" if response.is_success else "yellow"
    console.print(f"[bold {colour}]{response.status_code}[/] in {took_ms:.0f} ms")
    console.print(
        Padding(Syntax(_format_answer(response.json()), "json", background_color="default", word_wrap=True), (0, 2))
    )
    requests = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    requests.add_column(style="bold")
    requests.add_column()
    requests.add_column(overflow="fold", style="cyan")
    for request in cloud.traffic.requests:
        took = f"{request['took_s'] * 1000:.1f} ms"
        requests.add_row(request["service"], request["method"], escape(request["path"]), str(request["status"]), took)
    console.print("The function sent:" if requests.row_count else "The function sent no request.")
    console.print(Padding(requests, (0, 2)))
    console.print()
    answer = response.json()
    return str(answer.get("outcome") or answer.get("code"))


def _format_answer(answer: Json) -> str:
    """Return *answer* as indented JSON, with each line item of the order on one line, without its null members.

    A problem has the order as a member.
    """
    order = answer if "lineItems" in answer else answer.get("order") or {}
    members = [
        {name: value for name, value in line.items() if value is not None} for line in order.get("lineItems", [])
    ]
    lines = [json.dumps(line) for line in members]
    placeholders = [f"@{number}" for number in range(len(lines))]
    shown = order | ({"lineItems": placeholders} if lines else {})
    text = json.dumps(shown if order is answer else answer | {"order": shown or None}, indent=2)
    for placeholder, line in zip(placeholders, lines, strict=True):
        text = text.replace(f'"{placeholder}"', line)
    return text
