"""Clients of a queue service in one form, so that the same observations can be made with each of them."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol
from xml.etree import ElementTree as ET

import httpx
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueServiceClient


class Refused(Exception):
    """The service refused, with the status and the code of its error."""

    def __init__(self, status: int | None, code: object) -> None:
        super().__init__(f"{status} {code}")


class Taken(NamedTuple):
    """A message as Put, Get or Peek gave it; Put gives neither text nor count, and Peek no receipt."""

    message_id: str
    receipt: str
    text: str
    dequeue_count: int


class QueueUser(Protocol):
    """The operations that the product needs of a queue. Each method raises Refused."""

    def put(self, queue: str, text: str, *, hidden_s: int = 0, ttl_s: int = -1) -> Taken: ...

    def get(self, queue: str, count: int, *, hidden_s: int) -> list[Taken]: ...

    def update(self, queue: str, message: Taken, *, hidden_s: int, text: str | None = None) -> Taken:
        """Return *message* with its new receipt."""

    def delete(self, queue: str, message: Taken) -> None: ...

    def count(self, queue: str) -> int:
        """Return the approximate number of messages."""


class AnyQueueUser(QueueUser, Protocol):
    """Has the other operations too."""

    def peek(self, queue: str, count: int) -> list[Taken]: ...

    def clear(self, queue: str) -> None: ...

    def create(self, queue: str) -> None: ...


class SdkUser:
    """Microsoft's own client, azure-storage-queue."""

    def __init__(self, client: QueueServiceClient) -> None:
        self._client = client

    def put(self, queue: str, text: str, *, hidden_s: int = 0, ttl_s: int = -1) -> Taken:
        send = self._client.get_queue_client(queue).send_message
        sent = _translated(lambda: send(text, visibility_timeout=hidden_s, time_to_live=ttl_s))
        return Taken(sent.id, sent.pop_receipt, "", 0)

    def get(self, queue: str, count: int, *, hidden_s: int) -> list[Taken]:
        receive = self._client.get_queue_client(queue).receive_messages
        pages = _translated(
            lambda: list(receive(messages_per_page=count, visibility_timeout=hidden_s, max_messages=count))
        )
        return [Taken(message.id, message.pop_receipt, message.content, message.dequeue_count) for message in pages]

    def update(self, queue: str, message: Taken, *, hidden_s: int, text: str | None = None) -> Taken:
        update = self._client.get_queue_client(queue).update_message
        answer = _translated(
            lambda: update(message.message_id, message.receipt, content=text, visibility_timeout=hidden_s)
        )
        return message._replace(receipt=answer.pop_receipt)

    def delete(self, queue: str, message: Taken) -> None:
        delete = self._client.get_queue_client(queue).delete_message
        _translated(lambda: delete(message.message_id, message.receipt))

    def count(self, queue: str) -> int:
        properties = _translated(self._client.get_queue_client(queue).get_queue_properties)
        return int(properties.approximate_message_count)

    def peek(self, queue: str, count: int) -> list[Taken]:
        messages = _translated(lambda: self._client.get_queue_client(queue).peek_messages(count))
        return [Taken(message.id, "", message.content, message.dequeue_count) for message in messages]

    def clear(self, queue: str) -> None:
        _translated(self._client.get_queue_client(queue).clear_messages)

    def create(self, queue: str) -> None:
        _translated(self._client.get_queue_client(queue).create_queue)


def _translated(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except HttpResponseError as error:
        code = getattr(error, "error_code", None)
        raise Refused(error.status_code, getattr(code, "value", code)) from None
    except ValueError:  # the client itself refuses
        raise Refused(None, "ValueError") from None


class RestUser:
    """The requests that the product sends, without a library of Microsoft's. *url* has the account."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self._http = http
        self._url = url

    def put(self, queue: str, text: str, *, hidden_s: int = 0, ttl_s: int = -1) -> Taken:
        query = {"visibilitytimeout": str(hidden_s), "messagettl": str(ttl_s)}
        [taken] = self._messages("POST", f"{queue}/messages", query, message_body(text))
        return taken

    def get(self, queue: str, count: int, *, hidden_s: int) -> list[Taken]:
        query = {"numofmessages": str(count), "visibilitytimeout": str(hidden_s)}
        return self._messages("GET", f"{queue}/messages", query)

    def update(self, queue: str, message: Taken, *, hidden_s: int, text: str | None = None) -> Taken:
        query = {"popreceipt": message.receipt, "visibilitytimeout": str(hidden_s)}
        body = b"" if text is None else message_body(text)
        answer = self._send("PUT", f"{queue}/messages/{message.message_id}", query, body)
        return message._replace(receipt=answer.headers["x-ms-popreceipt"])

    def delete(self, queue: str, message: Taken) -> None:
        self._send("DELETE", f"{queue}/messages/{message.message_id}", {"popreceipt": message.receipt})

    def count(self, queue: str) -> int:
        return int(self._send("GET", queue, {"comp": "metadata"}).headers["x-ms-approximate-messages-count"])

    def peek(self, queue: str, count: int) -> list[Taken]:
        return self._messages("GET", f"{queue}/messages", {"peekonly": "true", "numofmessages": str(count)})

    def clear(self, queue: str) -> None:
        self._send("DELETE", f"{queue}/messages")

    def create(self, queue: str) -> None:
        self._send("PUT", queue)

    def _messages(self, method: str, path: str, query: dict[str, str], body: bytes = b"") -> list[Taken]:
        root = ET.fromstring(self._send(method, path, query, body).content)  # noqa: S314  (a server that we started)
        return [
            Taken(
                message.findtext("MessageId", ""),
                message.findtext("PopReceipt", ""),
                message.findtext("MessageText", ""),
                int(message.findtext("DequeueCount", "0")),
            )
            for message in root
        ]

    def _send(self, method: str, path: str, query: dict[str, str] | None = None, body: bytes = b"") -> httpx.Response:
        answer = self._http.request(method, f"{self._url}/{path}", params=query, content=body)
        if not answer.is_success:
            raise Refused(answer.status_code, answer.headers.get("x-ms-error-code"))
        return answer


def message_body(text: str) -> bytes:
    """Return the body of Put Message and Update Message."""
    root = ET.Element("QueueMessage")
    ET.SubElement(root, "MessageText").text = text
    return ET.tostring(root, encoding="unicode").encode()
