"""Azure Queue Storage's stand-in: one storage account with the two queues of the function, behind Entra tokens.

Addresses are path-style, as the emulator's: https://127.0.0.1:P/ACCOUNT/QUEUE/messages. The real service has the
account in the host name, so a client must take the whole base address from its settings.

Stood in for: Put, Get, Peek, Update, Delete and Clear Messages, Get Queue Metadata, Create Queue.

Documented: the operations and their parameters, the limits of 64 KiB, 32 messages and 7 days, visibility below the time
to live, and not later than the expiry in an update; the members of the answers; the codes of the errors and their
statuses. A version of 2017-11-09 or later is required with a token. A request without a valid token is answered 401
with a challenge.

Observed at the real service by others: the text for a token of another audience (Azure/AzureStor #119), and 403
AuthenticationFailed, "Authentication scheme Bearer is not supported in this version", where `x-ms-version` is missing
(MicrosoftDocs/azure-docs #95050, microsoft/typespec #7216). The text for an expired token; its status then was 403
(Azure/azure-sdk-for-java #8667, 2020), before the challenge came.

Observed at the emulator, Azurite 3.35: the rest, which tests/samples/azurite.json records; above all, that a pop
receipt is good until the message's next Get or Update, whether it is visible or not. Delete Message's page says 404 for
an old pop receipt, the table of errors and the emulator say 400 PopReceiptMismatch; here it is 400.

Guesses: the token is looked at before anything else of the request. Any version from 2017-11-09 on is known. Only
tokens of the one tenant are accepted, and each of them may do everything. The text for another issuer or a broken
token. The code of an update that would hide a message beyond its expiry.

Left out: account keys and SAS, listing and deleting queues, queues' own metadata and access policies, throttling.

Source: learn.microsoft.com/rest/api/storageservices: put-message, get-messages, peek-messages, update-message,
delete-message2, clear-messages, get-queue-metadata, create-queue4, naming-queues-and-metadata,
queue-service-error-codes, common-rest-api-error-codes, status-and-error-codes2 and
authorize-with-azure-active-directory (read 2026-11-30).
"""

import base64
import binascii
import re
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from xml.etree import ElementTree as ET

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.local.values import Json

ACCOUNT = "localcloud"
QUEUES = ("follow-up", "follow-up-poison")
AUDIENCES = ("https://storage.azure.com", "https://storage.azure.com/")
FIRST_VERSION_WITH_TOKENS = "2017-11-09"
MAX_TEXT_BYTES = 64 * 1024
MAX_MESSAGES = 32
WEEK_S = 7 * 24 * 3600
DEFAULT_HIDDEN_S = 30  # of Get; Put's is 0, and Update has none
NEVER = 253_402_300_799.0  # 9999-12-31T23:59:59Z, the expiry of a message that does not expire


class StorageRefusal(Exception):
    """A request that is refused. *members* come into the XML of the error, *headers* into the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        members: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.members = members or {}
        self.headers = headers or {}


@dataclass(eq=False)
class Message:
    """A message. Times are seconds since 1970."""

    text: str
    inserted_at: float
    expires_at: float
    visible_at: float
    message_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    pop_receipt: str = ""
    dequeue_count: int = 0

    def renew_receipt(self) -> None:
        # Real receipts are base64 too: a client that does not escape `+`, `/` and `=` in the query fails here as there.
        self.pop_receipt = base64.b64encode(b"\xfb\xff" + secrets.token_bytes(14)).decode()


class MessageQueue:
    """The messages of one queue, in the order in which they were put."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._messages: list[Message] = []
        self.found_empty_at = 0.0  # when a Get last found no message

    def messages(self) -> list[Message]:
        """Return the messages that have not expired, hidden ones too."""
        self._messages = [message for message in self._messages if message.expires_at > self._clock()]
        return self._messages

    def put(self, text: str, *, hidden_s: int = 0, ttl_s: int = -1) -> Message:
        """Add a message. A *ttl_s* of -1 means that it does not expire."""
        now = self._clock()
        message = Message(text, now, NEVER if ttl_s == -1 else min(now + ttl_s, NEVER), now + hidden_s)
        message.renew_receipt()
        self._messages.append(message)
        return message

    def peek(self, count: int) -> list[Message]:
        """Return up to *count* visible messages; the one that is visible for longest is the first."""
        visible = [message for message in self.messages() if message.visible_at <= self._clock()]
        return sorted(visible, key=lambda message: message.visible_at)[:count]

    def get(self, count: int, *, hidden_s: int) -> list[Message]:
        """Return up to *count* visible messages, and hide them."""
        taken = self.peek(count)
        if not taken:
            self.found_empty_at = self._clock()
        for message in taken:
            message.visible_at = self._clock() + hidden_s
            message.dequeue_count += 1
            message.renew_receipt()
        return taken

    def find(self, message_id: str, pop_receipt: str) -> Message:
        for message in self.messages():
            if message.message_id == message_id:
                if message.pop_receipt != pop_receipt:
                    text = "The specified pop receipt did not match the pop receipt for a dequeued message."
                    raise StorageRefusal(400, "PopReceiptMismatch", text)
                return message
        raise StorageRefusal(404, "MessageNotFound", "The specified message does not exist.")

    def update(self, message_id: str, pop_receipt: str, *, hidden_s: int, text: str | None) -> Message:
        """Hide the message for *hidden_s* from now on, and give it the *text*, if there is one."""
        message = self.find(message_id, pop_receipt)
        visible_at = self._clock() + hidden_s
        if visible_at > message.expires_at:
            raise _bad_parameter("visibilitytimeout", str(hidden_s), "The message expires before.")
        message.visible_at = visible_at
        if text is not None:
            message.text = text
        message.renew_receipt()
        return message

    def delete(self, message_id: str, pop_receipt: str) -> None:
        message = self.find(message_id, pop_receipt)
        self._messages.remove(message)

    def clear(self) -> None:
        self._messages.clear()

    def wake(self) -> None:
        """Show every hidden message."""
        for message in self._messages:
            message.visible_at = min(message.visible_at, self._clock())


class StorageQueue:
    """The queue service of one account at *url*, in memory.

    *public_key* verifies tokens. They must name *issuer*. *authority* is the address that a challenge names.
    """

    def __init__(
        self,
        url: str,
        *,
        public_key: RSAPublicKey,
        issuer: str,
        authority: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = f"{url}/{ACCOUNT}"
        self._public_key = public_key
        self._issuer = issuer
        self._challenge = f"Bearer authorization_uri={authority}/oauth2/authorize resource_id={AUDIENCES[0]}"
        self._clock = clock
        self._queues = {name: MessageQueue(clock) for name in QUEUES}
        queue, messages = f"/{ACCOUNT}/{{queue}}", f"/{ACCOUNT}/{{queue}}/messages"
        self.app = Starlette(
            routes=[
                Route(queue, self._checked(self._create_queue), methods=["PUT"]),
                Route(queue, self._checked(self._show_metadata), methods=["GET"]),
                Route(messages, self._checked(self._put), methods=["POST"]),
                Route(messages, self._checked(self._get_or_peek), methods=["GET"]),
                Route(messages, self._checked(self._clear), methods=["DELETE"]),
                Route(messages + "/{message_id}", self._checked(self._update), methods=["PUT"]),
                Route(messages + "/{message_id}", self._checked(self._delete), methods=["DELETE"]),
            ]
        )

    # For the control interface.

    def list_messages(self) -> list[Json]:
        """Return the messages of all queues, with their texts decoded."""
        return [
            {
                "queue": name,
                "id": message.message_id,
                "text": _decoded(message.text) or message.text,
                "visible_in_s": max(0.0, round(message.visible_at - self._clock(), 3)),
                "dequeue_count": message.dequeue_count,
            }
            for name, queue in self._queues.items()
            for message in queue.messages()
        ]

    def wake(self) -> None:
        """Show the hidden messages of all queues."""
        for queue in self._queues.values():
            queue.wake()

    def has_been_found_empty(self, since: float) -> bool:
        """Return whether a Get found no message in the first queue since this time, in seconds since 1970.

        Such a Get is the last thing that the function does there in a run of its timer.
        """
        return self._queues[QUEUES[0]].found_empty_at >= since

    def put(self, text: str) -> str:
        """Put a message into the first queue and return its id. A *text* that is not in base64 is encoded first."""
        stored = text if _decoded(text) is not None else base64.b64encode(text.encode()).decode()
        return self._queues[QUEUES[0]].put(stored).message_id

    # The operations.

    async def _create_queue(self, request: Request) -> Response:
        name = request.path_params["queue"]
        if name in self._queues:
            return Response(status_code=204)
        self._queues[name] = MessageQueue(self._clock)
        return Response(status_code=201)

    async def _show_metadata(self, request: Request) -> Response:
        if (operation := request.query_params.get("comp")) != "metadata":
            raise _bad_parameter("comp", operation or "", "Only metadata is known here.")
        count = len(self._queue(request).messages())
        return Response(headers={"x-ms-approximate-messages-count": str(count)})

    async def _put(self, request: Request) -> Response:
        text = _read_text(await request.body())
        hidden_s = _number(request, "visibilitytimeout", 0, least=0, most=WEEK_S)
        ttl_s = _number(request, "messagettl", WEEK_S)
        if ttl_s != -1 and ttl_s < 1:
            raise _bad_parameter("messagettl", str(ttl_s), "Value must be greater than or equal to 1, or -1.")
        if ttl_s != -1 and hidden_s >= ttl_s:
            reason = "messagettl must be greater than visibilitytimeout."
            raise _bad_parameter("visibilitytimeout", str(hidden_s), reason)
        message = self._queue(request).put(text, hidden_s=hidden_s, ttl_s=ttl_s)
        members = ("MessageId", "InsertionTime", "ExpirationTime", "PopReceipt", "TimeNextVisible")
        return _messages_answer(201, [message], members)

    async def _get_or_peek(self, request: Request) -> Response:
        count = _number(request, "numofmessages", 1, least=1, most=MAX_MESSAGES)
        times, content = ("MessageId", "InsertionTime", "ExpirationTime"), ("DequeueCount", "MessageText")
        if request.query_params.get("peekonly", "").lower() == "true":
            return _messages_answer(200, self._queue(request).peek(count), (*times, *content))
        hidden_s = _number(request, "visibilitytimeout", DEFAULT_HIDDEN_S, least=1, most=WEEK_S)
        taken = self._queue(request).get(count, hidden_s=hidden_s)
        return _messages_answer(200, taken, (*times, "PopReceipt", "TimeNextVisible", *content))

    async def _clear(self, request: Request) -> Response:
        self._queue(request).clear()
        return Response(status_code=204)

    async def _update(self, request: Request) -> Response:
        body = await request.body()
        message = self._queue(request).update(
            request.path_params["message_id"],
            _required(request, "popreceipt"),
            hidden_s=_number(request, "visibilitytimeout", None, least=0, most=WEEK_S),
            text=_read_text(body) if body else None,
        )
        visible = formatdate(message.visible_at, usegmt=True)
        headers = {"x-ms-popreceipt": message.pop_receipt, "x-ms-time-next-visible": visible}
        return Response(status_code=204, headers=headers)

    async def _delete(self, request: Request) -> Response:
        self._queue(request).delete(request.path_params["message_id"], _required(request, "popreceipt"))
        return Response(status_code=204)

    # What all operations have in common.

    def _queue(self, request: Request) -> MessageQueue:
        if queue := self._queues.get(request.path_params["queue"]):
            return queue
        raise StorageRefusal(404, "QueueNotFound", "The specified queue does not exist.")

    def _checked(self, operation: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Return *operation* with the checks before it, and the headers that every answer has."""

        async def endpoint(request: Request) -> Response:
            request_id = str(uuid.uuid4())
            try:
                self._check_token(request)
                _check_queue_name(request.path_params["queue"])
                response = await operation(request)
            except StorageRefusal as refusal:
                response = _error_answer(refusal, request_id, self._clock())
            response.headers["Server"] = "Windows-Azure-Queue/1.0 Microsoft-HTTPAPI/2.0"
            response.headers["x-ms-request-id"] = request_id
            for name in ("x-ms-version", "x-ms-client-request-id"):
                if name in request.headers:
                    response.headers[name] = request.headers[name]
            return response

        return endpoint

    def _check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            raise self._challenged("NoAuthenticationInformation", None)
        if scheme != "Bearer":
            text = "Authentication information is not given in the correct format. Check the value of Authorization"
            raise StorageRefusal(400, "InvalidAuthenticationInfo", f"{text} header.")
        version = request.headers.get("x-ms-version", "")
        if version and not re.fullmatch(r"\d{4}-\d\d-\d\d", version):
            text = "The value for one of the HTTP headers is not in the correct format."
            members = {"HeaderName": "x-ms-version", "HeaderValue": version}
            raise StorageRefusal(400, "InvalidHeaderValue", text, members=members)
        if version < FIRST_VERSION_WITH_TOKENS:
            text = (
                "Server failed to authenticate the request. Make sure the value of Authorization header is formed"
                " correctly including the signature."
            )
            detail = {"AuthenticationErrorDetail": "Authentication scheme Bearer is not supported in this version."}
            raise StorageRefusal(403, "AuthenticationFailed", text, members=detail)
        if fault := self._fault_of(token):
            raise self._challenged("InvalidAuthenticationInfo", fault)

    def _fault_of(self, token: str) -> str | None:
        """Return what is wrong with *token*, None for a good one."""
        # PyJWT would compare times with its own clock.
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
        options["require"] = ["exp", "nbf", "iat", "iss", "aud"]
        try:
            claims = jwt.decode(token, self._public_key, algorithms=["RS256"], options=options)
        except jwt.InvalidTokenError:
            return "Signature validation failed."
        if claims["aud"] not in AUDIENCES:
            return "Audience validation failed. Audience did not match."
        if claims["iss"] != self._issuer:
            return "Issuer validation failed. Issuer did not match."
        if claims["nbf"] > self._clock() + 1:  # tokens have whole seconds
            return "Lifetime validation failed. The token is not yet valid."
        if claims["exp"] <= self._clock():
            return "Lifetime validation failed. The token is expired."
        return None

    def _challenged(self, code: str, detail: str | None) -> StorageRefusal:
        text = "Server failed to authenticate the request. Please refer to the information in the www-authenticate"
        members = {"AuthenticationErrorDetail": detail} if detail else {}
        headers = {"WWW-Authenticate": self._challenge}
        return StorageRefusal(401, code, f"{text} header.", members=members, headers=headers)


def _check_queue_name(name: str) -> None:
    if not 3 <= len(name) <= 63:
        text = "The specified resource name length is not within the permissible limits."
        raise StorageRefusal(400, "OutOfRangeInput", text)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        text = "The specified resource name contains invalid characters."
        raise StorageRefusal(400, "InvalidResourceName", text)


def _required(request: Request, name: str) -> str:
    if value := request.query_params.get(name):
        return value
    text = "A query parameter that's mandatory for this request is not specified."
    raise StorageRefusal(400, "MissingRequiredQueryParameter", text, members={"QueryParameterName": name})


def _number(
    request: Request, name: str, default: int | None, *, least: int | None = None, most: int | None = None
) -> int:
    """Return the query parameter *name*, or *default*; if that is None, the parameter is required."""
    text = _required(request, name) if default is None else request.query_params.get(name, str(default))
    if not re.fullmatch(r"-?[0-9]{1,10}", text):
        raise _bad_parameter(name, text, "Not a whole number.")
    number = int(text)
    if (least is not None and number < least) or (most is not None and number > most):
        members = {
            "QueryParameterName": name,
            "QueryParameterValue": text,
            "MinimumAllowed": str(least),
            "MaximumAllowed": str(most),
        }
        message = "One of the query parameters specified in the request URI is outside the permissible range."
        raise StorageRefusal(400, "OutOfRangeQueryParameterValue", message, members=members)
    return number


def _bad_parameter(name: str, value: str, reason: str) -> StorageRefusal:
    text = "Value for one of the query parameters specified in the request URI is invalid."
    members = {"QueryParameterName": name, "QueryParameterValue": value, "Reason": reason}
    return StorageRefusal(400, "InvalidQueryParameterValue", text, members=members)


def _read_text(body: bytes) -> str:
    """Return the text of the message in *body*, `<QueueMessage><MessageText>…`."""
    try:
        root = ET.fromstring(body)  # noqa: S314  (from this machine; expat limits what entities become)
    except (ET.ParseError, LookupError, ValueError):  # an encoding that nobody knows is one of the last two
        root = ET.Element("")
    text = root.find("MessageText")
    if root.tag != "QueueMessage" or text is None:
        raise StorageRefusal(400, "InvalidXmlDocument", "XML specified is not syntactically valid.")
    content = text.text or ""
    if len(content.encode()) > MAX_TEXT_BYTES:
        message = "The request body is too large and exceeds the maximum permissible limit."
        raise StorageRefusal(413, "RequestBodyTooLarge", message, members={"MaxLimit": str(MAX_TEXT_BYTES)})
    return content


def _decoded(text: str) -> str | None:
    """Return what *text* is the base64 of, None if it is not the base64 of text."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _messages_answer(status: int, messages: list[Message], members: tuple[str, ...]) -> Response:
    root = ET.Element("QueueMessagesList")
    for message in messages:
        values = {
            "MessageId": message.message_id,
            "InsertionTime": formatdate(message.inserted_at, usegmt=True),
            "ExpirationTime": formatdate(message.expires_at, usegmt=True),
            "PopReceipt": message.pop_receipt,
            "TimeNextVisible": formatdate(message.visible_at, usegmt=True),
            "DequeueCount": str(message.dequeue_count),
            "MessageText": message.text,
        }
        element = ET.SubElement(root, "QueueMessage")
        for name in members:
            ET.SubElement(element, name).text = values[name]
    return _xml_answer(status, root)


def _error_answer(refusal: StorageRefusal, request_id: str, now: float) -> Response:
    root = ET.Element("Error")
    ET.SubElement(root, "Code").text = refusal.code
    time_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    ET.SubElement(root, "Message").text = f"{refusal.message}\nRequestId:{request_id}\nTime:{time_text}.0000000Z"
    for name, value in refusal.members.items():
        ET.SubElement(root, name).text = value
    response = _xml_answer(refusal.status, root)
    response.headers.update({"x-ms-error-code": refusal.code, **refusal.headers})
    return response


def _xml_answer(status: int, root: ET.Element) -> Response:
    content = '<?xml version="1.0" encoding="utf-8"?>' + ET.tostring(root, encoding="unicode")
    return Response(content, status, media_type="application/xml")
