"""`make demo`: the local cloud stood up, orders cancelled through it, and what happened shown to a person."""

import json
import time

import httpx
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table

from infra.local.cloud import Cloud, Options, running
from infra.local.values import Json
from infra.local.welcome import LINE, WHOLE, curl

SOFTWARE = "45411344-b09d-47e7-9653-542006bf9766"
THREE_LINES = {"customerTenantId": SOFTWARE, "orderId": "software-three-lines-000000000001"}

# What to show, in this order: what it is, the request, and the outcome or code it must have.
STEPS: tuple[tuple[str, Json, str], ...] = (
    ("A dry run: what would be cancelled? Nothing is changed", THREE_LINES | {"dryRun": True}, "dry_run"),
    (
        "Two of its three lines; the order is read first, so that no wrong line is hit",
        THREE_LINES
        | {
            "lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": 2}],
            "ticketId": "ZD-48151",
            "reason": "Customer bought the wrong edition",
        },
        "partially_cancelled",
    ),
    ("A whole order: one PATCH, nothing else", WHOLE, "cancelled"),
    ("The same again, as a webhook delivered twice: no harm, and the truth", WHOLE, "already_cancelled"),
    (
        "A licence, which is not cancelled as an order: a refusal that says what to do",
        {"customerTenantId": "f81d98dd-c2f4-499e-a194-5619e260344e", "orderId": "5cf72f146967"},
        "use_subscription_cancel",
    ),
)


async def show(options: Options) -> int:
    """Run the tour and return the process's exit status: 0 if every step went as it must."""
    console = Console(highlight=False)
    began = time.monotonic()
    async with running(options, log_level="WARNING") as (cloud, _):  # the audit records would run into the tour
        _show_parts(console, cloud, time.monotonic() - began)
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            told = [
                await _show_step(console, cloud, client, f"{number}. {title}", body)
                for number, (title, body, _) in enumerate(STEPS, 1)
            ]
        console.rule("[bold]Try it yourself")
        console.print(
            "[bold]make serve[/] keeps it running, lists every order, and prints lines to paste, like this one:\n"
        )
        console.print(curl("http://127.0.0.1:7071/api/cancel_order", "KEY", LINE), soft_wrap=True, markup=False)
    return 0 if told == [expected for _, _, expected in STEPS] else 1


def _show_parts(console: Console, cloud: Cloud, took_s: float) -> None:
    parts = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    function = cloud.function_url.removesuffix("/api/cancel_order")
    for name, url, what in (
        ("Function", function, "this repository on Azure's own runtime"),
        ("Managed identity", cloud.url("identity"), "gives tokens for Key Vault"),
        ("Key Vault", cloud.url("key_vault"), "holds the app's client secret"),
        ("Entra ID", cloud.url("entra"), "gives tokens for it"),
        ("Partner Center", cloud.url("partner_center"), f"{len(cloud.entries)} orders"),
    ):
        parts.add_row(f"[bold]{name}[/]", f"[cyan]{url}[/]", what)
    console.rule("[bold]The local cloud")
    console.print(parts)
    console.print(f"Up after {took_s:.1f} s, all on loopback, over TLS where the real one is.\n")


async def _show_step(console: Console, cloud: Cloud, client: httpx.AsyncClient, title: str, body: Json) -> str:
    """Send *body*, show what came of it, and return the outcome or code."""
    cloud.traffic.requests.clear()
    began = time.monotonic()
    response = await client.post(cloud.function_url, json=body, headers={"x-functions-key": cloud.function_key})
    took_ms = (time.monotonic() - began) * 1000

    console.rule(f"[bold]{title}", align="left")
    console.print("[bold]POST[/] /api/cancel_order")
    console.print(
        Padding(Syntax(json.dumps(body, indent=2), "json", background_color="default", word_wrap=True), (0, 2))
    )
    colour = "green" if response.is_success else "yellow"
    console.print(f"[bold {colour}]{response.status_code}[/] in {took_ms:.0f} ms")
    console.print(Padding(Syntax(_shown(response.json()), "json", background_color="default", word_wrap=True), (0, 2)))
    calls = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    calls.add_column(style="bold")
    calls.add_column()
    calls.add_column(overflow="fold", style="cyan")
    for call in cloud.traffic.requests:
        took = f"{call['took_s'] * 1000:.1f} ms"
        calls.add_row(call["service"], call["method"], escape(call["path"]), str(call["status"]), took)
    console.print("It caused:" if calls.row_count else "It caused no call.")
    console.print(Padding(calls, (0, 2)))
    console.print()
    answer = response.json()
    return str(answer.get("outcome") or answer.get("code"))


def _shown(answer: Json) -> str:
    """Return *answer* as JSON, a line of the order on a line of its own."""
    lines = [json.dumps(line) for line in answer.get("lineItems", [])]
    slots = {f'"@{number}"': line for number, line in enumerate(lines)}
    text = json.dumps(
        answer | ({"lineItems": [f"@{number}" for number in range(len(lines))]} if lines else {}), indent=2
    )
    for slot, line in slots.items():
        text = text.replace(slot, line)
    return text
