"""Any other system: a signed call of Standard Webhooks, which a flow, ServiceNow or n8n can take.

Nobody can ask a receiver which notes it has. So `webhook-id` is made of the note's key and state: the receiver must
take each id once.

Source: standard-webhooks/standard-webhooks, spec/standard-webhooks.md (read 2026-11-28).
"""

import base64
import hmac
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from shared.callers.proofs import signing_key
from shared.rfc3339 import rfc3339
from shared.ticketing.note import Note
from shared.ticketing.system import Api, Notes, TellFailed, check_answer

TYPE = "order.cancellation.decided"
# After these the signing secret or the address may have been replaced. Standard Webhooks names no status for that.
MAYBE_REPLACED = {400, 401, 403, 404}
PORTS = range(1, 65_536)
_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::([0-9]{1,5}))?(?:/[!-~]*)?")


class Webhook:
    """One receiver. Its whole address is a secret, since that of a flow carries a signature."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def notes(self, ticket_id: str, key: str) -> Notes:  # noqa: ARG002  (nobody can read them)
        return Notes([])

    async def write(self, ticket_id: str, note: Note, seen: Notes) -> None:  # noqa: ARG002
        data = {**note.members, "ticketId": ticket_id, "text": "\n".join(note.lines)}
        decided_at = rfc3339(datetime.fromtimestamp(note.marker.decided_at, UTC))
        body = {"type": TYPE, "timestamp": decided_at, "data": data}
        while True:
            secrets = await self._secrets()
            url, key = self._address_and_key(secrets)
            answer = await self._api.ask("POST", url, _signed(key, note, body), body)
            if answer.status not in MAYBE_REPLACED or not await self._api.is_replaced(secrets):
                break
        check_answer(answer)

    async def check(self) -> None:
        self._address_and_key(await self._secrets())

    async def _secrets(self) -> dict[str, str]:
        return {name: await self._api.secret(name) for name in self._api.tell.secrets}

    def _address_and_key(self, secrets: Mapping[str, str]) -> tuple[str, bytes]:
        tell = self._api.tell
        url, key = secrets[tell.url_secret or ""], signing_key("standard-webhooks", secrets[tell.secret])
        found = _URL.fullmatch(url)
        if not found or int(found[1] or PORTS[-1]) not in PORTS or not key:
            raise TellFailed("misconfigured", is_permanent=True)
        return url, key


def _signed(key: bytes, note: Note, body: Mapping[str, object]) -> dict[str, str]:
    """Return the headers of one attempt: the same id each time, the time and the signature of now."""
    message_id = f"note_{note.marker.key}_{note.marker.state.replace(':', '-')}"
    timestamp = str(int(time.time()))
    message = f"{message_id}.{timestamp}.{json.dumps(body)}".encode()
    signature = base64.b64encode(hmac.digest(key, message, "sha256")).decode()
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
