"""The receiving end of a signed webhook: a flow that puts the note into a ticket of any system.

Its URL looks like that of a Power Automate flow ("When an HTTP request is received"), with a secret in the query.
The `standardwebhooks` library checks signature and time.

Documented
    - Standard Webhooks: the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`; times older or newer
      than 5 minutes are refused; a receiver knows a repeat by its `webhook-id`; the payload has `type`, `timestamp` and
      `data`, and stays below 20 kB; any 2xx is success.
    - A flow without an action *Response* answers 202, without a body.

Guesses
    401 for a URL without the right `sig`; 400 for a wrong signature, since Standard Webhooks names no status.

The receiver's own rules, which every receiver makes for itself
    `data` has `ticketId` and `text`. Notes are private. 404 for a missing ticket; a closed ticket takes notes.

Left out
    Asymmetric signatures (v1a), 410 to end the deliveries, limits of requests. Redirects, 429, 502 and 504 come as
    faults.

Source: github.com/standard-webhooks/standard-webhooks spec/standard-webhooks.md, standardwebhooks 1.1.0,
learn.microsoft.com/azure/connectors/connectors-native-reqres (read 2026-11-28).
"""

import binascii
from datetime import datetime

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.local.tickets.desk import Clock, Desk, utc_now
from infra.local.tickets.http import Refusal, answer_refusal, is_same, read_body
from infra.local.values import Json

TICKET = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}"
MAX_BYTES = 20_000
PATH = "/workflows/{workflow}/triggers/manual/paths/invoke"


class WebhookReceiver:
    """One flow. *path_secret* is the `sig` in its URL, *signing_secret* begins with `whsec_`."""

    def __init__(self, *, path_secret: str, signing_secret: str, now: Clock = utc_now) -> None:
        self.desk = Desk(TICKET, now)
        self.app = Starlette(
            routes=[Route(PATH, self._receive, methods=["POST"])], exception_handlers={Refusal: answer_refusal}
        )
        self._path_secret = path_secret
        self._webhook = Webhook(signing_secret)
        self._seen_ids: set[str] = set()

    async def _receive(self, request: Request) -> Response:
        if not is_same(request.query_params.get("sig", ""), self._path_secret):
            raise _error(401, "DirectApiAuthorizationRequired", "The request must be authenticated by its signature.")
        content = await request.body()
        if len(content) > MAX_BYTES:
            raise _error(413, "RequestEntityTooLarge", f"The payload has more than {MAX_BYTES} bytes.")
        self._check_signature(request, content)
        try:
            payload = await read_body(request)
        except ValueError:
            payload = None
        ticket_id, text = _read_payload(payload)
        if self.desk.ticket(ticket_id) is None:
            raise _error(400, "InvalidPayload", "data.ticketId has not the form of an id.")
        ticket = self.desk.find(ticket_id)
        if ticket is None:
            raise _error(404, "TicketNotFound", "There is no such ticket.")
        webhook_id = request.headers["webhook-id"]
        if webhook_id not in self._seen_ids:
            self._seen_ids.add(webhook_id)
            self.desk.add_note(ticket, payload, text=text, is_private=True)
        return Response(status_code=202)

    def _check_signature(self, request: Request, content: bytes) -> None:
        try:
            self._webhook.verify(content, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, UnicodeDecodeError, binascii.Error, ValueError):
            # The library raises the last three for what an attacker can write into the headers and the body.
            raise _error(400, "InvalidSignature", "The signature or the timestamp is not valid.") from None


def _read_payload(payload: object) -> tuple[str, str]:
    """Return the id of the ticket and the text of the note. Refuse a payload that is not one of Standard Webhooks."""
    if isinstance(payload, dict) and payload.keys() == {"type", "timestamp", "data"}:
        data = payload["data"]
        if isinstance(payload["type"], str) and _is_time(payload["timestamp"]) and isinstance(data, dict):
            ticket_id, text = data.get("ticketId"), data.get("text")
            if isinstance(ticket_id, str) and isinstance(text, str) and text.strip():
                return ticket_id, text
    raise _error(400, "InvalidPayload", "type, timestamp, and data with ticketId and text are needed.")


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _error(status: int, code: str, message: str) -> Refusal:
    error: Json = {"code": code, "message": message}
    return Refusal(status, {"error": error})
