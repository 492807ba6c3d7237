"""`python -m infra.local send SYSTEM --order ID`: send a request and its repeat, as that system sends them.

With `--find TEXT` in the place of the order it looks for it first. Shows an administrator the request, the answer, the
system's reaction to it, and the note in the ticket, before the real system is set up. The ticket is made up; the body
is the system's template from infra/ticketing.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent

import httpx

from infra.local.senders.deliveries import SENDERS, Delivery, headers_of, masked, retry_after_s
from infra.local.senders.find import Found, customer_query, found_in, look, looker_of
from infra.local.senders.flow_token import with_token
from infra.local.senders.notes import follow_ups_of, in_words, notes_of, tell_tickets, ticket_id_in
from infra.local.senders.requests import CannotSend, Errand, bodies_for, check_account, ticket_for
from infra.local.values import Json

DEFAULT_FILE = Path(".local-cloud.json")
LONGEST_WAIT_S = 59


def main(argv: list[str], *, wait: Callable[[float], None] = time.sleep) -> int:
    """Return 0 if the last answer was a success. *wait* waits for the given seconds before a repeat."""
    arguments = _parser().parse_args(argv)
    try:
        description = _read_description(arguments.cloud)
        check_account(arguments.account, description)
        if arguments.find is not None:
            _choose(arguments, _find(arguments, description))
        errand = Errand(
            order_id=arguments.order,
            subscription_id=arguments.subscription,
            customer=arguments.customer,
            lines=arguments.line or [],
            when=arguments.when,
            account=arguments.account,
            dry_run=arguments.dry_run,
        )
        status = 0
        requests = bodies_for(arguments.system, errand, ticket_for(arguments.system, errand, description))
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
    target.add_argument("--find", metavar="TEXT", help="look for it first: a part of the product's name, or an id")
    parser.add_argument(
        "--customer",
        metavar="DOMAIN-OR-GUID",
        help="the customer: a domain, or the tenant's id (default: as the local cloud has it; needed for --find)",
    )
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


def _find(arguments: argparse.Namespace, description: Json) -> Found:
    """Look for the product, show what is found, and return the one to ask for. Raises CannotSend if there is not one.

    Costs one request.
    """
    if arguments.customer is None:
        domains = ", ".join(customer["domain"] for customer in description["customers"])
        raise CannotSend(f"--find needs the customer: --customer with one of {domains}, or an id.")
    if arguments.line:
        raise CannotSend("--line belongs to --order; --find finds the line.")
    sender, looker = SENDERS[arguments.system], looker_of(arguments.system, description)
    print(f"== {SENDERS[looker].name}: a look for {arguments.find!r}\n")
    if looker != arguments.system:
        print(
            f"{sender.name} signs its requests, and a signature does not cover a look, so the function refuses it. The"
            f" caller {looker} looks here; in a company a person with the flow would.\n"
        )
    query = customer_query(arguments.customer) | {"text": arguments.find}
    if arguments.account:
        query["account"] = arguments.account
    with httpx.Client(trust_env=False, timeout=120) as client:
        if looker == "flow":
            description = _with_token(description)
        with _answer_expected():
            began = time.monotonic()
            answer = client.send(look(looker, description, query))
    print(f"GET {answer.url.raw_path.decode()}\n-> {answer.status_code} in {(time.monotonic() - began) * 1000:.0f} ms")
    if not answer.is_success:
        _show_body(answer)
        raise CannotSend("nothing was sent, as the look was refused.")
    return _the_one(
        found_in(answer.json(), arguments.find, arguments.when), arguments, is_all=not answer.json()["more"]
    )


def _the_one(found: list[Found], arguments: argparse.Namespace, *, is_all: bool) -> Found:
    """Show what was *found*, and return the only entry that can be asked for. Raises CannotSend without one."""
    for entry in found:
        print(f"  {entry.arguments(arguments.when):<56} {entry.description}")
    print()
    # Two orders can have one subscription.
    choices = list({entry.arguments(arguments.when): entry for entry in found if entry.may}.values())
    if not found:
        raise CannotSend(f"the customer {arguments.customer} has nothing with {arguments.find!r}; nothing was sent.")
    if not choices:
        raise CannotSend("nothing of it can be asked for; nothing was sent.")
    if len(choices) > 1 or not is_all:
        more = "" if is_all else " There is more than is shown."
        raise CannotSend(
            f"{len(choices)} fit, so nothing was sent.{more} Use a longer --find, or the arguments before the one that"
            f" you mean in the place of --find, such as {choices[0].arguments(arguments.when)}"
        )
    return choices[0]


def _choose(arguments: argparse.Namespace, found: Found) -> None:
    """Write what was *found* into *arguments*, as if it had been named."""
    if found.is_subscription(arguments.when):
        arguments.subscription = found.subscription_id
    else:
        arguments.order = found.order_id
        arguments.line = None if found.line is None else [found.line]


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
            wait_s = retry_after_s(answer.headers)
            reaction = sender.react(status, wait_s)
            print(f"{sender.name} {reaction.description}.\n")
            if "tell" in description["callers"][system]:
                with _answer_expected():
                    notes_shown = _show_notes(client, description, system, ticket_id_in(body), notes_shown)
            if number < repeats and not reaction.repeats:
                print("-- The same request again, as if its answer had got lost:\n")
            elif number < repeats:
                delay = f"after {wait_s} s" if wait_s else "here at once"
                print(f"-- The repeat, {delay}:\n", flush=True)
                wait(min(wait_s or 0, LONGEST_WAIT_S))
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
    with _answer_expected():
        return asyncio.run(with_token(description))


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
    _show_body(answer)


def _show_body(answer: httpx.Response) -> None:
    try:
        print(json.dumps(answer.json(), indent=2, ensure_ascii=False))
    except ValueError:
        print(answer.text or "(no body: the answer is the host's, not the function's)")
    print()
