"""`python -m infra.local send SYSTEM --order ID`: send a request and its repeat, as that system sends them.

Shows an administrator the request, the answer, the system's reaction to it, and the note in the ticket, before the
real system is set up. The ticket is made up; the body is the system's template from infra/ticketing.
"""

import argparse
import json
import os
import secrets
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import indent

import httpx

from infra.local.senders.deliveries import SENDERS, Delivery, headers_of, masked
from infra.local.senders.notes import follow_ups_of, in_words, notes_of, tell_tickets, ticket_id_in
from infra.local.senders.templates import SYSTEMS, Ticket, render
from infra.local.values import Json

DEFAULT_FILE = Path(".local-cloud.json")
LONGEST_WAIT_S = 59
TICKET_NUMBERS = range(10_000, 1_000_000)


class CannotSend(Exception):
    """The request cannot be sent. The text says what to do."""


def main(argv: list[str], *, wait: Callable[[float], None] = time.sleep) -> int:
    """Return 0 if the last answer was a success. *wait* waits for the given seconds before a repeat."""
    arguments = _parser().parse_args(argv)
    try:
        description = _read_description(arguments.cloud)
        ticket = _make_ticket(arguments, description)
        status = 0
        requests = _requests(arguments, ticket)
        for number, (title, body) in enumerate(requests, 1):
            print(f"== {SENDERS[arguments.system].name}: {title}\n")
            repeats = arguments.repeat if number == len(requests) else 0
            status = _deliver(arguments.system, body, description, repeats, wait)
        sys.stdout.flush()
    except CannotSend as error:
        print(f"infra.local send: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of the output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise Python complains when it ends
        return 1
    return 0 if status < 300 else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local send",
        description="Send a request as a ticketing system or a flow would. The local cloud of `make serve` must run."
        " Shows the request, the answer, the system's reaction, and the note in the ticket.",
    )
    parser.add_argument("system", choices=SENDERS, help="the system to play")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--order", metavar="ID", help="the order to cancel")
    target.add_argument("--subscription", metavar="ID", help="the subscription to cancel, in the place of an order")
    parser.add_argument("--customer", metavar="GUID", help="the customer (default: as the local cloud has it)")
    parser.add_argument(
        "--line",
        type=int,
        action="append",
        metavar="N",
        help="cancel this line of the order only; can be given several times",
    )
    parser.add_argument(
        "--when",
        choices=("now", "term_end"),
        default="now",
        help="cancel it now (the default), or do not renew it: it then ends with its term",
    )
    parser.add_argument("--account", metavar="NAME", help="one of the local cloud's accounts (default)")
    parser.add_argument("--dry-run", action="store_true", help="ask for a dry run, which changes nothing")
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="then send the same request N more times (1)"
    )
    parser.add_argument(
        "--cloud",
        type=Path,
        default=DEFAULT_FILE,
        metavar="FILE",
        help=f"the file that the local cloud wrote with --describe ({DEFAULT_FILE})",
    )
    return parser


def _read_description(file: Path) -> Json:
    try:
        description: Json = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise CannotSend(f"there is no {file}. Start the local cloud with `make serve`, in another window.") from None
    except ValueError:
        raise CannotSend(f"{file} is not what the local cloud writes with --describe.") from None
    if not description.get("callers"):
        raise CannotSend("the local cloud runs without its own callers. Start it with `make serve`, or with --callers.")
    return description


def _make_ticket(arguments: argparse.Namespace, description: Json) -> Ticket:
    lines, subscription_id = arguments.line or [], arguments.subscription or ""
    if subscription_id and lines:
        raise CannotSend("--line belongs to --order; a subscription is cancelled as a whole.")
    kind, target = ("subscription", subscription_id) if subscription_id else ("order", arguments.order)
    customers = {entry[f"{kind}Id"]: entry["customerTenantId"] for entry in description[f"{kind}s"]}
    customer = arguments.customer or customers.get(target)
    if customer is None:
        raise CannotSend(f"the local cloud has no {kind} {target}. Name its customer with --customer GUID.")
    if arguments.account not in {None, *description["accounts"]}:
        raise CannotSend(f"the local cloud has no account {arguments.account}. `make serve` lists them.")
    template = SYSTEMS.get(arguments.system)
    if len(lines) > 1 and template and not template.takes_lines:
        raise CannotSend(f"the {arguments.system} template takes only one line; send one --line at a time.")
    if arguments.system == "servicenow" and arguments.when == "term_end" and not subscription_id:
        raise CannotSend("the servicenow script takes do_not_renew for a subscription only; send --subscription.")
    ticket = Ticket(
        customer,
        arguments.order or "",
        ",".join(map(str, lines)),
        subscription_id=subscription_id,
        when=arguments.when,
    )
    # A ticket that is told is new each time: else the notes of the last time would be in it.
    is_told = "tell" in description["callers"].get(arguments.system, {})
    return replace(ticket, number=secrets.choice(TICKET_NUMBERS)) if is_told else ticket


def _requests(arguments: argparse.Namespace, ticket: Ticket) -> list[tuple[str, bytes]]:
    """Return title and body of each request, in order. A flow asks for a dry run before the real cancellation."""
    if arguments.system in SYSTEMS:
        account = arguments.account or "default"
        return [("a ticket", render(arguments.system, ticket, dry_run=arguments.dry_run, account=account))]
    request: Json = {"customerTenantId": ticket.customer_tenant_id}
    if ticket.subscription_id:
        request["subscriptionId"] = ticket.subscription_id
    else:
        request["orderId"] = ticket.order_id
    if ticket.lines:
        request["lineItems"] = [{"lineItemNumber": int(line)} for line in ticket.lines.split(",")]
    if ticket.when != "now":
        request["when"] = ticket.when
    if arguments.account:
        request["account"] = arguments.account
    request |= {"ticketId": ticket.key, "reason": ticket.subject}
    dry_run = ("a dry run", json.dumps(request | {"dryRun": True}, indent=2).encode())
    cancellation = json.dumps(request | {"dryRun": False}, indent=2).encode()
    if arguments.dry_run:
        return [dry_run]
    if arguments.system == "flow":
        return [dry_run, ("the request, after somebody has approved it", cancellation)]
    return [("a request", cancellation)]


def _deliver(system: str, body: bytes, description: Json, repeats: int, wait: Callable[[float], None]) -> int:
    """Send *body* and its *repeats*, print requests, answers and notes, and return the last status."""
    sender, delivery, status, notes_shown = SENDERS[system], Delivery(), 0, 0
    with httpx.Client(trust_env=False, timeout=120) as client:
        if system == "flow":
            description = _with_token(description)
        for number in range(1 + repeats):
            headers = headers_of(system, body, description, delivery)
            _show_request(description["functionUrl"], headers, "(the same body)" if number else body.decode().strip())
            began = time.monotonic()
            with _answer_expected():
                answer = client.post(description["functionUrl"], content=body, headers=headers)
            status = answer.status_code
            _show_answer(answer, time.monotonic() - began)
            retry_after = answer.headers.get("retry-after", "")
            retry_after_s = int(retry_after) if retry_after.isdecimal() else None
            reaction = sender.react(status, retry_after_s)
            print(f"{sender.name} {reaction.description}.\n")
            if "tell" in description["callers"][system]:
                with _answer_expected():
                    notes_shown = _show_notes(client, description, system, ticket_id_in(body), notes_shown)
            if number < repeats and not reaction.repeats:
                print("-- The same request again, as if its answer had got lost:\n")
            elif number < repeats:
                delay = f"after {retry_after_s} s" if retry_after_s else "here at once"
                print(f"-- The repeat, {delay}:\n", flush=True)
                wait(min(retry_after_s or 0, LONGEST_WAIT_S))
    return status


def _show_notes(client: httpx.Client, description: Json, system: str, ticket_id: str | None, shown: int) -> int:
    """Have the ticket told, print its notes beyond the first *shown*, and return how many it has."""
    control_url = description["controlUrl"]
    tell_tickets(client, control_url)
    # An id that the system cannot have is no ticket of it, so there are no notes.
    notes = notes_of(client, control_url, system, ticket_id) if ticket_id else []
    waiting = follow_ups_of(client, control_url, system, ticket_id) if ticket_id else []
    for note in notes[shown:]:
        seen = "only the agent sees" if note["private"] else "everybody sees"
        print(f"Within about a minute the ticket {ticket_id} has this note, which {seen}:\n")
        print(f"{indent(note['text'], '  | ')}\n")
    if len(notes) > shown:
        return len(notes)
    if waiting and (reason := waiting[0].reason):
        print(f"The ticket {ticket_id} cannot be told ({reason}); the operator gets the alert poisoned.\n")
    elif waiting:
        print(
            f"The ticket {ticket_id} is told nothing yet, as it is open what happened. The function looks again in"
            f" {in_words(waiting[0].due_in_s)}.\n"
        )
    elif notes:
        print(f"The ticket {ticket_id} gets no second note: it would say the same.\n")
    else:
        print(f"The ticket {ticket_id or '(none that can be read)'} gets no note.\n")
    return len(notes)


def _with_token(description: Json) -> Json:
    """Return *description* with a token from Entra for the flow's app, which a connection would get."""
    app = description["callers"]["flow"]
    form = {
        "grant_type": "client_credentials",
        "client_id": app["clientId"],
        "client_secret": app["clientSecret"],
        "scope": app["scope"],
    }
    with _answer_expected():
        authority = ssl.create_default_context(cafile=description["caFile"])
        answer = httpx.post(app["tokenUrl"], data=form, verify=authority, trust_env=False)
        answer.raise_for_status()
    flow = app | {"token": answer.json()["access_token"]}
    return description | {"callers": description["callers"] | {"flow": flow}}


@contextmanager
def _answer_expected() -> Iterator[None]:
    """Explain a request that gets no answer. The certificate too is gone once the local cloud has ended."""
    try:
        yield
    except (httpx.HTTPError, OSError) as error:
        raise CannotSend(f"no answer ({error}). Does `make serve` still run?") from error


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
        print(answer.text or "(no body: the answer is the host's, not the function's)")
    print()
