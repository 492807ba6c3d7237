"""What becomes of a follow-up and of the note in its ticket, by what goes wrong while the ticket is told.

The tests in tests/contract/tickets/ prove each: test_tell_faults.py, test_tell_secrets.py, test_tell_queue.py. The
document shows them.
"""

from typing import NamedTuple

from tests.support.local_cloud import Json

MINUTE_S, TAKEN_S, FIRST_LOOK_S = 60, 300, 120
LARGE_BYTES = 10_000_000


class End(NamedTuple):
    """The state after one run.

    Attributes:
        has_note: whether the ticket has its note.
        again_s: the seconds until the follow-up shows again in its queue; None if it is no longer there.
        reason: why it is in `follow-up-poison`; None if it is not.
        run_fails: whether the host logs a failed run.
    """

    has_note: bool = False
    again_s: int | None = None
    reason: str | None = None
    run_fails: bool = False


TOLD = End(has_note=True)
AGAIN = End(again_s=MINUTE_S)
FOUND_LATER = End(has_note=True, again_s=MINUTE_S)
STAYS = End(again_s=0, run_fails=True)


def poisoned(reason: str) -> End:
    return End(reason=reason)


def again(seconds: int) -> End:
    return End(again_s=seconds)


# The ticketing system.


class Row(NamedTuple):
    """A fault of the ticketing system: the body of `POST /faults`, and the ends.

    *reading* is when the notes are read, *writing* when the note is written; None where it is not caused.
    *webhook* is when a webhook is sent, None if it is as *writing*.
    """

    control: Json
    reading: End | None
    writing: End
    webhook: End | None = None


def status(number: int, **headers: str) -> Json:
    return {"status": number, "headers": {name.replace("_", "-"): value for name, value in headers.items()}}


RATE_LIMIT = {"body": "Rate limit exceeded", "status": 429}
HTML = {"content-type": "text/html"}
TICKETING: dict[str, Row] = {
    "hang-up (not done)": Row({"hang_up": "before"}, AGAIN, AGAIN),
    "hang-up (done)": Row({"hang_up": "after"}, AGAIN, FOUND_LATER),
    "half a body": Row({"hang_up": "halfway"}, AGAIN, FOUND_LATER, webhook=TOLD),  # it has no body
    "timeout (not done)": Row({"delay_s": 9e9, "status": 503}, AGAIN, AGAIN),
    "slow body": Row({"slow_s": 20, "body_bytes": 100}, AGAIN, FOUND_LATER),
    "garbage (not done)": Row({"status": 200, "body": "garbage"}, AGAIN, AGAIN, webhook=End()),
    "garbage (done)": Row({"body": "<html>"}, AGAIN, FOUND_LATER, webhook=TOLD),
    "empty body": Row({"body": ""}, AGAIN, FOUND_LATER, webhook=TOLD),
    "10 MB": Row({"body_bytes": LARGE_BYTES}, AGAIN, FOUND_LATER, webhook=TOLD),
    "gzip bomb": Row(
        {"body_bytes": LARGE_BYTES, "headers": {"content-encoding": "gzip"}}, AGAIN, FOUND_LATER, webhook=TOLD
    ),
    "redirect": Row(status(307, location="https://127.0.0.1:9/elsewhere"), *2 * (poisoned("unexpected_answer"),)),
    "301": Row(status(301, location="/elsewhere"), *2 * (poisoned("unexpected_answer"),)),
    "400": Row(status(400), *2 * (poisoned("note_refused"),)),
    "403": Row(status(403), *2 * (poisoned("credentials_rejected"),)),
    "404": Row(status(404), *2 * (poisoned("ticket_not_found"),)),
    "408": Row(status(408), AGAIN, AGAIN),
    "410": Row(status(410), *2 * (poisoned("ticket_not_found"),)),
    "413": Row(status(413), *2 * (poisoned("note_refused"),)),
    "418": Row(status(418), *2 * (poisoned("unexpected_answer"),)),
    "422": Row(status(422), *2 * (poisoned("note_refused"),)),
    "429": Row(status(429), AGAIN, AGAIN),
    "429 for 93 s in HTML": Row(RATE_LIMIT | {"headers": HTML | {"retry-after": "93"}}, again(93), again(93)),
    "429 for 0 s": Row(RATE_LIMIT | {"headers": {"retry-after": "0"}, "times": 9}, again(1), again(1)),
    "429 until a past date": Row(
        RATE_LIMIT | {"headers": {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "times": 9}, again(1), again(1)
    ),
    "429 until a far date": Row(
        RATE_LIMIT | {"headers": {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}}, again(3600), again(3600)
    ),
    "429 for 9999999999 s": Row(RATE_LIMIT | {"headers": {"retry-after": "9999999999"}}, again(3600), again(3600)),
    "429 for no number": Row(RATE_LIMIT | {"headers": {"retry-after": "soon"}}, AGAIN, AGAIN),
    "500": Row(status(500), AGAIN, AGAIN),
    "502 HTML": Row({"status": 502, "headers": HTML, "body": "<html>Bad Gateway</html>"}, AGAIN, AGAIN),
    "503": Row(status(503), AGAIN, AGAIN),
    "503 for 93 s": Row(status(503, retry_after="93"), again(93), again(93)),
}
OF_ZENDESK: dict[str, Row] = {
    "401 once": Row(status(401), TOLD, TOLD),
    "401 twice": Row(status(401) | {"times": 2}, *2 * (poisoned("credentials_rejected"),)),
    "409 once": Row(status(409), poisoned("unexpected_answer"), TOLD),
    "409 twice": Row(status(409) | {"times": 2}, None, TOLD),
    "409 three times": Row(status(409) | {"times": 3}, None, AGAIN),
}
OF_OTHERS: dict[str, Row] = {
    "401": Row(status(401), *2 * (poisoned("credentials_rejected"),)),
    "409": Row(status(409), *2 * (poisoned("unexpected_answer"),)),
}

# Zendesk's token endpoint.
TOKEN: dict[str, tuple[Json, End]] = {
    "hang-up (not done)": ({"hang_up": "before"}, AGAIN),
    "hang-up (done)": ({"hang_up": "after"}, AGAIN),
    "half a body": ({"hang_up": "halfway"}, AGAIN),
    "garbage (done)": ({"body": "garbage"}, AGAIN),
    "no token in it": ({"body": {}}, AGAIN),
    "a token that cannot be sent": ({"body": {"access_token": "a\nb", "expires_in": 1800}}, AGAIN),
    "10 MB": ({"body_bytes": LARGE_BYTES}, AGAIN),
    "redirect": (status(307, location="https://127.0.0.1:9/elsewhere"), poisoned("unexpected_answer")),
    "400": (status(400), poisoned("credentials_rejected")),
    "401": (status(401), poisoned("credentials_rejected")),
    "403": (status(403), poisoned("credentials_rejected")),
    "404": (status(404), poisoned("unexpected_answer")),
    "422": (status(422), poisoned("unexpected_answer")),
    "429 for 93 s in HTML": (RATE_LIMIT | {"headers": HTML | {"retry-after": "93"}}, again(93)),
    "500": (status(500), AGAIN),
    "503": (status(503), AGAIN),
}

# The look: nobody knows yet whether the order is cancelled, and it is. A refused request is told whatever the look is.
LATER = again(FIRST_LOOK_S)
PARTNER_CENTER, ENTRA = "Partner Center", "Entra ID"
LOOK: dict[tuple[str, str], tuple[Json, End]] = {
    (PARTNER_CENTER, "503"): ({"service": "partner_center", "status": 503, "headers": {"retry-after": "59"}}, LATER),
    (PARTNER_CENTER, "429"): ({"service": "partner_center", "status": 429, "headers": {"retry-after": "59"}}, LATER),
    (PARTNER_CENTER, "401"): ({"service": "partner_center", "status": 401}, LATER),
    (PARTNER_CENTER, "403"): ({"service": "partner_center", "status": 403}, LATER),
    (PARTNER_CENTER, "404"): (
        {"service": "partner_center", "status": 404, "body": {"code": "2001", "description": "?"}},
        LATER,
    ),
    (PARTNER_CENTER, "garbage"): ({"service": "partner_center", "body": "garbage"}, LATER),
    (PARTNER_CENTER, "hang-up"): ({"service": "partner_center", "hang_up": "before"}, LATER),
    (ENTRA, "503"): ({"service": "entra", "status": 503, "headers": {"retry-after": "59"}}, LATER),
    (ENTRA, "401 for the secret"): ({"service": "entra", "status": 401, "body": {"error": "invalid_client"}}, LATER),
}

# Key Vault, and what is in it.
VAULT: dict[str, End] = {
    "Key Vault fails": AGAIN,
    "the secret is missing or may not be read": poisoned("misconfigured"),
    "the webhook's address is none": poisoned("misconfigured"),
    "the webhook's signing secret is none": poisoned("misconfigured"),
    "the secret was replaced: the system refuses the old one": TOLD,
}


# The queue, by its request.


class QueueRow(NamedTuple):
    """A fault of one request to the queue. *kind* is of the follow-up: `told`, `open` or `poison`."""

    kind: str
    control: Json
    end: End


GET, UPDATE, DELETE = {"method": "GET"}, {"method": "PUT"}, {"method": "DELETE"}
POISON = {"method": "POST", "path": "/follow-up-poison/"}
MISMATCH = {"status": 400, "headers": {"x-ms-error-code": "PopReceiptMismatch"}}
NO_QUEUE = {"status": 404, "headers": {"x-ms-error-code": "QueueNotFound"}}
SHOWS_LATER, TOLD_SHOWS_LATER = again(TAKEN_S), End(has_note=True, again_s=TAKEN_S)
GET_MESSAGES, UPDATE_MESSAGE, DELETE_MESSAGE = "taking follow-ups", "putting one back", "deleting a told one"
IDENTITY = "a token of the managed identity"
PUT_POISON, DELETE_AFTER_PUT = "putting one into `follow-up-poison`", "deleting it after that"
QUEUE: dict[tuple[str, str], QueueRow] = {
    **{
        (IDENTITY, str(number)): QueueRow("told", {"service": "identity", "status": number, "times": 1000}, STAYS)
        for number in (401, 403, 500, 503)
    },
    (GET_MESSAGES, "hang-up (not done)"): QueueRow("told", GET | {"hang_up": "before"}, STAYS),
    (GET_MESSAGES, "401"): QueueRow("told", GET | {"status": 401}, STAYS),
    (GET_MESSAGES, "403"): QueueRow("told", GET | {"status": 403}, STAYS),
    (GET_MESSAGES, "404 without the queue"): QueueRow("told", GET | NO_QUEUE, STAYS),
    (GET_MESSAGES, "500"): QueueRow("told", GET | {"status": 500}, STAYS),
    (GET_MESSAGES, "503"): QueueRow("told", GET | {"status": 503}, STAYS),
    (GET_MESSAGES, "hang-up (done)"): QueueRow(
        "told", GET | {"hang_up": "after"}, End(again_s=TAKEN_S, run_fails=True)
    ),
    (GET_MESSAGES, "half a body"): QueueRow("told", GET | {"hang_up": "halfway"}, End(again_s=TAKEN_S, run_fails=True)),
    (GET_MESSAGES, "garbage"): QueueRow("told", GET | {"body": "<html>"}, SHOWS_LATER),
    (UPDATE_MESSAGE, "hang-up (not done)"): QueueRow("open", UPDATE | {"hang_up": "before"}, SHOWS_LATER),
    (UPDATE_MESSAGE, "403"): QueueRow("open", UPDATE | {"status": 403}, SHOWS_LATER),
    (UPDATE_MESSAGE, "503"): QueueRow("open", UPDATE | {"status": 503}, SHOWS_LATER),
    (UPDATE_MESSAGE, "hang-up (done)"): QueueRow("open", UPDATE | {"hang_up": "after"}, LATER),
    (UPDATE_MESSAGE, "400 since another has it"): QueueRow("open", UPDATE | MISMATCH, SHOWS_LATER),
    (DELETE_MESSAGE, "hang-up (not done)"): QueueRow("told", DELETE | {"hang_up": "before"}, TOLD_SHOWS_LATER),
    (DELETE_MESSAGE, "403"): QueueRow("told", DELETE | {"status": 403}, TOLD_SHOWS_LATER),
    (DELETE_MESSAGE, "503"): QueueRow("told", DELETE | {"status": 503}, TOLD_SHOWS_LATER),
    (DELETE_MESSAGE, "400 since another has it"): QueueRow("told", DELETE | MISMATCH, TOLD_SHOWS_LATER),
    (DELETE_MESSAGE, "hang-up (done)"): QueueRow("told", DELETE | {"hang_up": "after"}, TOLD),
    (PUT_POISON, "hang-up (not done)"): QueueRow("poison", POISON | {"hang_up": "before"}, SHOWS_LATER),
    (PUT_POISON, "403"): QueueRow("poison", POISON | {"status": 403}, SHOWS_LATER),
    (PUT_POISON, "404 without the queue"): QueueRow("poison", POISON | NO_QUEUE, SHOWS_LATER),
    (PUT_POISON, "503"): QueueRow("poison", POISON | {"status": 503}, SHOWS_LATER),
    (PUT_POISON, "hang-up (done)"): QueueRow(
        "poison", POISON | {"hang_up": "after"}, End(again_s=TAKEN_S, reason="ticket_not_found")
    ),
    (DELETE_AFTER_PUT, "503"): QueueRow(
        "poison", DELETE | {"status": 503}, End(again_s=TAKEN_S, reason="ticket_not_found")
    ),
}

# What is in the follow-up itself, or in the settings.
TAKEN_OFTEN = "one that each run takes and none finishes, 2,000 times"
FOLLOW_UPS: dict[str, End] = {
    "no caller of this name": poisoned("caller_unknown"),
    "a caller without `tell`": poisoned("caller_unknown"),
    "a ticket id of another form": poisoned("ticket_not_found"),
    "a customer that the account may not use": poisoned("not_allowed"),
    "an account that is off": poisoned("not_allowed"),
    "an account that is not there": poisoned("not_allowed"),
    "a text in another form": poisoned("message_unreadable"),
    "a time in the future": poisoned("message_unreadable"),
    "a ticketing system that has failed for a day": poisoned("given_up"),
    TAKEN_OFTEN: poisoned("given_up"),
}
