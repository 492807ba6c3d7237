"""The app's own queues, by the REST interface of Queue Storage: Put, Get, Update and Delete Message.

An output binding would be shorter, but its failure would make an empty 500 of a cancellation that was done, and it
can neither delay nor rewrite a message. Texts are base64 here, as the host and Azure's tools expect them.

Source: learn.microsoft.com/rest/api/storageservices/operations-on-messages; tried against Azurite 3.35 (read
2026-11-28).
"""

import base64
import html
import re
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote

from shared.connections.one_request import ANSWER_LIMIT_BYTES, TIME_LIMIT_S, Answer, NoAnswer, send
from shared.connections.pool import Connections
from shared.credentials.cached_secrets import STORAGE_SCOPE, CachedSecrets

FOLLOW_UP, POISON = "follow-up", "follow-up-poison"
VERSION = "2021-12-02"
TEXT_LIMIT_BYTES = 48 * 1024  # before base64, which makes 64 KiB of it
BATCH = 16
BATCH_LIMIT_BYTES = BATCH * 72 * 1024
LONGEST_DELAY_S = 7 * 86_400
NO_ANSWER_ADVICE = (
    "The queue gave no answer in time. Check again in some minutes; if it lasts, the operator must check the storage,"
    " and the network to it."
)

_MESSAGE = re.compile(r"<QueueMessage>(.*?)</QueueMessage>", re.DOTALL)


class QueueFailed(Exception):
    """The queue did not do what was asked.

    Attributes:
        code: of one of our errors, or `queue_refused`, or `queue_unavailable`, after which it may be done all the same.
        detail: a text for the operator: what failed and what to do.
        is_gone: the message was deleted, or another run has it.
    """

    def __init__(self, code: str, detail: str, *, is_gone: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.is_gone = is_gone


class Receipt(NamedTuple):
    """The right to rewrite or delete one message, until it is handed out again."""

    message_id: str
    pop_receipt: str


class Message(NamedTuple):
    """A message that was taken out of the queue for a while. A *text* that is not base64 is as it was put."""

    receipt: Receipt
    text: bytes
    dequeue_count: int


class Queue:
    """The queues at *url*, reached with the function's identity.

    *url* None means that the setting is missing: then each request is a QueueFailed (`misconfigured`).
    """

    def __init__(self, url: str | None, connections: Connections, tokens: CachedSecrets) -> None:
        self._url = url
        self._connections = connections
        self._tokens = tokens

    def fetch_token_ahead(self) -> None:
        if self._url:
            self._tokens.fetch_ahead(STORAGE_SCOPE)

    async def put(
        self, text: bytes, hidden_s: float, *, queue: str = FOLLOW_UP, limit_s: float = TIME_LIMIT_S
    ) -> Receipt:
        """Put a message into *queue*, which shows it after *hidden_s* seconds. Raises QueueFailed."""
        # A messagettl of -1 keeps the message until it is deleted.
        path = f"{queue}/messages?visibilitytimeout={_whole_seconds(hidden_s)}&messagettl=-1"
        answer = await self._ask("POST", path, _body(text), limit_s=limit_s)
        receipt = _receipt(answer.body.decode("utf-8", "replace"))
        if not all(receipt):
            raise QueueFailed("queue_unavailable", "The queue gave an answer that cannot be read.")
        return receipt

    async def take(self, hidden_s: float) -> list[Message]:
        """Take up to BATCH messages, which nobody else gets for *hidden_s* seconds. Raises QueueFailed."""
        path = f"{FOLLOW_UP}/messages?numofmessages={BATCH}&visibilitytimeout={_whole_seconds(hidden_s)}"
        answer = await self._ask("GET", path, limit_bytes=BATCH_LIMIT_BYTES)
        return [_message(entry) for entry in _MESSAGE.findall(answer.body.decode("utf-8", "replace"))]

    async def update(self, receipt: Receipt, text: bytes, hidden_s: float, *, limit_s: float = TIME_LIMIT_S) -> None:
        """Rewrite a message, which the queue shows after *hidden_s* seconds. Raises QueueFailed."""
        path = f"{_path(receipt)}&visibilitytimeout={_whole_seconds(hidden_s)}"
        await self._ask("PUT", path, _body(text), limit_s=limit_s)

    async def delete(self, receipt: Receipt) -> None:
        """Delete a message. Raises QueueFailed."""
        await self._ask("DELETE", _path(receipt))

    async def check(self) -> None:
        """Raise QueueFailed unless both queues are there and may be read."""
        for queue in (FOLLOW_UP, POISON):
            await self._ask("GET", f"{queue}?comp=metadata")

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        limit_s: float = TIME_LIMIT_S,
        limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> Answer:
        """Return a successful answer. A refused token is fetched again once."""
        if self._url is None:
            raise QueueFailed(
                "misconfigured",
                "AzureWebJobsStorage__queueServiceUri is not set; the operator must deploy again.",
            )
        while True:
            found, error = await self._tokens.values([STORAGE_SCOPE], limit_s)
            if error and not found:
                raise QueueFailed(error.code, error.detail)
            headers = {"Authorization": f"Bearer {found[STORAGE_SCOPE]}", "x-ms-version": VERSION}
            if body is not None:
                headers["Content-Type"] = "application/xml"
            try:
                answer = await send(
                    self._connections,
                    method,
                    f"{self._url}/{path}",
                    headers,
                    body,
                    limit_s=limit_s,
                    limit_bytes=limit_bytes,
                )
            except NoAnswer:
                raise QueueFailed("queue_unavailable", NO_ANSWER_ADVICE) from None
            if answer.status != 401 or not self._tokens.read_again([STORAGE_SCOPE]):
                break
        if not answer.is_success:
            raise _failure(answer)
        return answer


def _failure(answer: Answer) -> QueueFailed:
    code = answer.headers.get("x-ms-error-code", "")
    if answer.status in {401, 403}:
        return QueueFailed(
            "misconfigured",
            "The queue refused the function's identity. The operator must give it the role Storage Queue Data"
            " Contributor on the queues follow-up and follow-up-poison, and let it through the storage's firewall.",
        )
    if code == "QueueNotFound":
        return QueueFailed("misconfigured", "The queues follow-up and follow-up-poison must exist; deploy again.")
    is_gone = code in {"PopReceiptMismatch", "MessageNotFound"}
    is_unavailable = answer.status >= 500 or answer.status == 408
    return QueueFailed(
        "queue_unavailable" if is_unavailable else "queue_refused",
        f"The queue answered {answer.status}. Check again in some minutes; if it lasts, the operator must check the"
        " storage and AzureWebJobsStorage__queueServiceUri.",
        is_gone=is_gone,
    )


def _path(receipt: Receipt) -> str:
    message_id, pop_receipt = (quote(part, safe="") for part in receipt)
    return f"{FOLLOW_UP}/messages/{message_id}?popreceipt={pop_receipt}"


def _body(text: bytes) -> bytes:
    return b"<QueueMessage><MessageText>%s</MessageText></QueueMessage>" % base64.b64encode(text)


def _whole_seconds(seconds: float) -> int:
    return max(0, min(round(seconds), LONGEST_DELAY_S - 1))


def _member(xml: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]*)</{name}>", xml)
    return found[1] if found else ""


def _receipt(xml: str) -> Receipt:
    return Receipt(_member(xml, "MessageId"), _member(xml, "PopReceipt"))


def _message(xml: str) -> Message:
    count, text = _member(xml, "DequeueCount"), html.unescape(_member(xml, "MessageText")).encode("utf-8", "replace")
    with suppress(ValueError):
        text = base64.b64decode(text, validate=True)
    return Message(_receipt(xml), text, int(count) if count.isdecimal() else 0)
