"""`python -m infra.try_tell CALLER TICKET`: write a test note into a real ticket, as the function would.

It takes `tell` of CALLER, reads its secrets as the user who is signed in (`az login`), who must be allowed to read
them, and writes, reads and explains with the function's own code. It reads the function's settings from the
environment; `--callers FILE` takes CALLERS from a file, so that a `tell` can be tried before it is deployed.

Source: shared/ticketing, where each system has its own.
"""

import argparse
import asyncio
import logging
import os
import secrets
import sys
import time
import uuid
from pathlib import Path

from shared.caller_settings import Tell
from shared.connections.pool import Connections
from shared.credentials.cached_secrets import CachedSecrets, vault_secrets
from shared.errors import CancelError
from shared.settings import Settings
from shared.ticketing.note import Marker, Note
from shared.ticketing.system import TICKET_IDS, TellFailed, TicketingSystem, write_once
from shared.ticketing.systems import open_system

SENTENCE = "This is a test note of the function that cancels orders. It can write to this ticket."
SECRETS_WITHIN_S = 30.0

NAMES = {
    "zendesk": "Zendesk",
    "freshdesk": "Freshdesk",
    "freshservice": "Freshservice",
    "jira": "Jira",
    "webhook": "The receiver",
}
IDS = {"jira": "a key in upper case, such as IT-42", "webhook": "letters, digits and . _ : -, at most 100"}
# What the operator has to correct, by system, if it refuses the credential.
CREDENTIALS = {
    "zendesk": "clientId must be the OAuth client's identifier and the secret its secret; the client must be"
    " confidential, may have the scopes tickets:read and tickets:write, and its agent must be able to see the ticket",
    "freshdesk": "the secret must be the API key of an agent that is active and may see the ticket and add notes",
    "freshservice": "the secret must be the API key of an agent that is active and may see the ticket and add notes",
    "jira": "user must be the account's e-mail address and the secret its API token, which may have expired; the"
    " account needs Browse projects and Add comments in the project",
    "webhook": "it must accept the secret in its address, and verify with the same whsec_ secret",
}

# By the reason with which shared/ticketing fails.
CAUSES = {
    "credentials_rejected": "{who} refused the credential in the secret {secret}: {credential}",
    "ticket_not_found": "{who} knows no ticket {ticket_id} at {place}, or does not show it to this account: check the"
    " address, the id, and what the account may see",
    "note_refused": "{who} takes no note for the ticket {ticket_id}: it may be closed, or have too many notes",
    "ticket_changes": "somebody else is changing the ticket {ticket_id}: try again",
    "no_answer": "no answer came from {place}: check the address, the network and the certificate",
    "system_unavailable": "{who} failed at {place}, or limits requests now: try again in some minutes",
    "misconfigured": "the secrets have not the right form: {url_secret} must hold the whole https address, and {secret}"
    " must begin with whsec_, with the base64 of 24 bytes or more behind it",
}
CAUSES_OF_A_RECEIVER = {
    "ticket_not_found": "{who} answered 404: the secret {url_secret} must hold the whole address, as the flow or the"
    " system shows it, and the receiver must know the ticket {ticket_id}",
    "note_refused": "{who} refused the call (400, 413 or 422): it may not verify with the secret {secret}, or not know"
    " the ticket {ticket_id}; its own log says which",
}


class TryFailed(Exception):
    """The ticket cannot be told. The text says why, and what to correct."""


def main() -> int:
    for name in ("azure", "msal"):  # the errors below say what these loggers would
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return run(sys.argv[1:])


def run(argv: list[str]) -> int:
    """Return 0 if the ticket got its note."""
    parser = argparse.ArgumentParser(prog="python -m infra.try_tell", description=__doc__.partition("\n")[0])
    parser.add_argument("caller", help="its name in CALLERS")
    parser.add_argument("ticket", help="id of a ticket that may get a test note")
    parser.add_argument("--callers", type=Path, metavar="FILE", help="take CALLERS from this file")
    arguments = parser.parse_args(argv)
    try:
        settings = _read_settings(arguments.callers)
        told = asyncio.run(try_tell(settings, arguments.caller, arguments.ticket))
    except CancelError as error:
        print(f"infra.try_tell: {error.detail}", file=sys.stderr)
        return 1
    except (TryFailed, OSError) as error:
        print(f"infra.try_tell: {error}", file=sys.stderr)
        return 1
    print(told)
    return 0


def _read_settings(callers: Path | None) -> Settings:
    own = {} if callers is None else {"CALLERS": callers.read_text()}
    return Settings.from_environ({**os.environ, **own})


async def try_tell(settings: Settings, name: str, ticket_id: str) -> str:
    """Write a test note into the ticket and read it back. Return what works. Raises TryFailed."""
    tell = _tell_of(settings, name)
    if not TICKET_IDS[tell.system].fullmatch(ticket_id):
        raise TryFailed(f"{ticket_id} is no id of a ticket there: it must be {IDS.get(tell.system, 'a number')}")
    vault, connections = vault_secrets(settings), Connections()
    try:
        await _read_secrets(vault, tell)
        return await _write_and_read(open_system(tell, connections, vault), tell, ticket_id)
    finally:
        vault.close()
        await connections.aclose()


def _tell_of(settings: Settings, name: str) -> Tell:
    callers = settings.callers or {}
    if name not in callers:
        known = ", ".join(callers) or "none at all"
        raise TryFailed(f"CALLERS has no caller {name}; it has {known}")
    tell = callers[name].tell
    if tell is None:
        telling = ", ".join(other for other, caller in callers.items() if caller.tell) or "no caller"
        raise TryFailed(f"the caller {name} has no tell in CALLERS; {telling} has one")
    return tell


async def _read_secrets(vault: CachedSecrets, tell: Tell) -> None:
    for name in tell.secrets:
        found, error = await vault.values([name], SECRETS_WITHIN_S)
        if name not in found:
            cause = error.detail if error else "Key Vault gave no answer in time."
            raise TryFailed(
                f"{cause} This command reads it with your own sign-in (az login): you need a role such as Key Vault"
                " Secrets User on the vault, too, and your address must be let through the vault's firewall."
            )


async def _write_and_read(system: TicketingSystem, tell: Tell, ticket_id: str) -> str:
    who = NAMES[tell.system]
    marker = Marker(secrets.token_hex(8), "test", time.time())
    note = Note(marker, SENTENCE, {"correlationId": str(uuid.uuid4())})
    try:
        await write_once(system, ticket_id, note)
    except TellFailed as failure:
        raise TryFailed(_explain(tell, ticket_id, failure.reason)) from None
    if tell.system == "webhook":
        return (
            f"{who} accepted the note for the ticket {ticket_id}. Nobody can read it from here: look into the ticket"
            f" for a note that ends with {marker.text}"
        )
    try:
        seen = await system.notes(ticket_id, marker.key)
    except TellFailed as failure:
        raise TryFailed(
            f"the note was written, but not read again. {_explain(tell, ticket_id, failure.reason)}"
        ) from None
    if marker.key not in {other.key for other in seen.markers}:
        raise TryFailed(
            f"{who} accepted the note, but does not show it as a private note of the ticket {ticket_id}. Look into the"
            " ticket: if the note is public, customers see it; do not use this tell"
        )
    seen_by = "internal in a service project and seen by everybody in any other" if tell.system == "jira" else "private"
    return f"{who} works: the ticket {ticket_id} has a test note, which can be read again and is {seen_by}."


def _explain(tell: Tell, ticket_id: str, reason: str) -> str:
    """Return what is wrong and what to correct, without any secret."""
    texts = CAUSES | (CAUSES_OF_A_RECEIVER if tell.system == "webhook" else {})
    text = texts.get(reason, "the answer from {place} is not one of its API ({reason}): check the address")
    return text.format(
        who=NAMES[tell.system],
        place=tell.url or "the address in the secret that urlSecret names",
        credential=CREDENTIALS[tell.system],
        ticket_id=ticket_id,
        secret=tell.secret,
        url_secret=tell.url_secret,
        reason=reason,
    )


if __name__ == "__main__":
    sys.exit(main())
