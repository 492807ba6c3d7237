"""`python -m infra.local send SYSTEM --order ID`: a delivery and its repeat, as that system sends them.

For whoever sets a webhook up: what is sent, what comes back, and what the system makes of it, before
touching the real one. The ticket is made up; the body is the system's own template from infra/ticketing.
"""

import argparse
import json
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from infra.local.senders.deliveries import SENDERS, Delivery, headers_of, masked
from infra.local.senders.templates import SYSTEMS, Ticket, render
from infra.local.values import Json

DEFAULT_FILE = Path(".local-cloud.json")
LONGEST_WAIT_S = 59


class CannotSend(Exception):
    """There is nothing to send, or nobody to send it to; the text says what to do."""


def main(argv: list[str], *, wait: Callable[[float], None] = time.sleep) -> int:
    """Return 0 if the last answer was a success. *wait* passes the seconds before a repeat."""
    arguments = _parser().parse_args(argv)
    try:
        description = _description(arguments.cloud)
        ticket = _ticket(arguments, description)
        status = 0
        *asked_first, last = _bodies(arguments, ticket)
        for (title, body), repeats in [*((one, 0) for one in asked_first), (last, arguments.repeat)]:
            print(f"== {SENDERS[arguments.system].name}: {title}\n")
            status = _deliver(arguments.system, body, description, repeats, wait)
    except CannotSend as error:
        print(f"infra.local send: {error}", file=sys.stderr)
        return 1
    except (httpx.HTTPError, OSError) as error:  # with its process the local cloud's certificate is gone too
        print(f"infra.local send: no answer ({error}). Does `make serve` still run?", file=sys.stderr)
        return 1
    return 0 if status < 300 else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local send",
        description="Send what a ticketing system or a flow sends, to the local cloud that `make serve` started.",
    )
    parser.add_argument("system", choices=SENDERS)
    parser.add_argument("--order", required=True, metavar="ID")
    parser.add_argument("--customer", metavar="GUID", help="left out: whose order it is in the local cloud")
    parser.add_argument("--line", type=int, action="append", metavar="N", help="this line only; may be repeated")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="send the same delivery N times more (1)")
    parser.add_argument(
        "--cloud", type=Path, default=DEFAULT_FILE, metavar="FILE", help=f"its --describe file ({DEFAULT_FILE})"
    )
    return parser


def _description(file: Path) -> Json:
    try:
        description: Json = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise CannotSend(f"there is no {file}. Start the local cloud with `make serve`, in another window.") from None
    except ValueError:
        raise CannotSend(f"{file} is not what the local cloud writes with --describe.") from None
    if not description.get("callers"):
        raise CannotSend("the local cloud runs without callers of its own. Start it with `make serve`.")
    return description


def _ticket(arguments: argparse.Namespace, description: Json) -> Ticket:
    customers = {order["orderId"]: order["customerTenantId"] for order in description["orders"]}
    customer = arguments.customer or customers.get(arguments.order)
    if customer is None:
        raise CannotSend(f"the local cloud has no order {arguments.order}; whose is it? Add --customer GUID.")
    lines = arguments.line or []
    template = SYSTEMS.get(arguments.system)
    if len(lines) > 1 and template and not template.takes_lines:
        raise CannotSend(f"the {arguments.system} template has one line in a field; send one --line at a time.")
    return Ticket(customer, arguments.order, ",".join(map(str, lines)))


def _bodies(arguments: argparse.Namespace, ticket: Ticket) -> list[tuple[str, bytes]]:
    """Return what is sent, one after the other: a flow first asks what would be cancelled."""
    if arguments.system in SYSTEMS:
        return [("a ticket", render(arguments.system, ticket, dry_run=arguments.dry_run))]
    request: Json = {"customerTenantId": ticket.customer_tenant_id, "orderId": ticket.order_id}
    if ticket.lines:
        request["lineItems"] = [{"lineItemNumber": int(line)} for line in ticket.lines.split(",")]
    request |= {"ticketId": ticket.key, "reason": ticket.subject}
    dry_run = ("a dry run", json.dumps(request | {"dryRun": True}, indent=2).encode())
    real = ("a cancellation", json.dumps(request | {"dryRun": False}, indent=2).encode())
    if arguments.dry_run:
        return [dry_run]
    return [dry_run, ("approved, so for real", real[1])] if arguments.system == "flow" else [real]


def _deliver(system: str, body: bytes, description: Json, repeats: int, wait: Callable[[float], None]) -> int:
    """Send *body* and its *repeats*, show what happens, and return the last status."""
    sender, delivery, status = SENDERS[system], Delivery(), 0
    with httpx.Client(trust_env=False, timeout=120) as client:
        if system == "flow":
            description = _with_token(description)
        for number in range(1 + repeats):
            headers = headers_of(system, body, description, delivery)
            _show_request(description["functionUrl"], headers, "(the same body)" if number else body.decode().strip())
            began = time.monotonic()
            answer = client.post(description["functionUrl"], content=body, headers=headers)
            status = answer.status_code
            _show_answer(answer, time.monotonic() - began)
            retry_after = answer.headers.get("retry-after", "")
            retry_after_s = int(retry_after) if retry_after.isdecimal() else None
            follows = sender.follow(status, retry_after_s)
            print(f"{sender.name} {follows.words}.\n")
            if number < repeats and not follows.repeats:
                print("-- The same delivery again, as when its answer got lost:\n")
            elif number < repeats:
                print(
                    f"-- The repeat, {f'after {retry_after_s} s' if retry_after_s else 'here at once'}:\n", flush=True
                )
                wait(min(retry_after_s or 0, LONGEST_WAIT_S))
    return status


def _with_token(description: Json) -> Json:
    """Return *description* with a token from Entra for the flow's app, asked for as a connection does."""
    app = description["callers"]["flow"]
    form = {
        "grant_type": "client_credentials",
        "client_id": app["clientId"],
        "client_secret": app["clientSecret"],
        "scope": app["scope"],
    }
    authority = ssl.create_default_context(cafile=description["caFile"])
    answer = httpx.post(app["tokenUrl"], data=form, verify=authority, trust_env=False)
    answer.raise_for_status()
    flow = app | {"token": answer.json()["access_token"]}
    return description | {"callers": description["callers"] | {"flow": flow}}


def _show_request(url: str, headers: Mapping[str, str], body: str) -> None:
    print(f"POST {url}")
    for name, value in masked(headers).items():
        print(f"{name}: {value}")
    print(f"\n{body}\n")


def _show_answer(answer: httpx.Response, took_s: float) -> None:
    print(f"-> {answer.status_code} in {took_s * 1000:.0f} ms")
    if "retry-after" in answer.headers:
        print(f"Retry-After: {answer.headers['retry-after']}")
    try:
        print(json.dumps(answer.json(), indent=2, ensure_ascii=False))
    except ValueError:
        print(answer.text or "(no body: the host's own answer)")
    print()
