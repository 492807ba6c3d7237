"""The observations of a queue service: each is a name and what was seen, so that two services can be compared."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import httpx

from infra.local.entra.signing import Signer
from infra.local.storage_queue import MAX_TEXT_BYTES, QUEUES, WEEK_S
from tests.support.storage_queue import QueueService
from tests.support.witness.queue_users import AnyQueueUser, QueueUser, Refused, Taken, message_body

QUEUE = QUEUES[0]
LONG_S = 60
SHORT_S, WAIT_S = 1, 1.3

type Seen = dict[str, Any]


class Observer:
    """Collects what is seen, by name."""

    def __init__(self) -> None:
        self.seen: Seen = {}

    def see[Result](
        self, name: str, ask: Callable[[], Result], show: Callable[[Result], Any] = lambda _: "done"
    ) -> Any:
        """Note how *show* shows the result of *ask*, or how it was refused. Return the result, None if refused."""
        assert name not in self.seen, f"two observations are named: {name}"
        try:
            result = ask()
        except Refused as refused:
            self.seen[name] = str(refused)
            return None
        self.seen[name] = show(result)
        return result


def _contents(messages: list[Taken]) -> list[list[Any]]:
    return [[message.text, message.dequeue_count] for message in messages]


def observe_messages(user: QueueUser, pass_time: Callable[[float], None]) -> Seen:
    """Observe what the product needs, on QUEUE, which exists and is empty, before and afterwards."""
    observer = Observer()
    see = observer.see

    see("a missing queue: count", lambda: user.count("missing"), int)
    see("a missing queue: put", lambda: user.put("missing", "text"))
    see("a missing queue: get", lambda: user.get("missing", 1, hidden_s=LONG_S))
    see("a missing queue: delete", lambda: user.delete("missing", Taken("id", "receipt", "", 0)))
    see("an empty queue: get", lambda: user.get(QUEUE, 1, hidden_s=LONG_S), _contents)
    see("an empty queue: count", lambda: user.count(QUEUE), int)

    put = see("put", lambda: user.put(QUEUE, "one"), lambda taken: [bool(taken.message_id), bool(taken.receipt)])
    [got] = see("get", lambda: user.get(QUEUE, 16, hidden_s=LONG_S), _contents)
    see("get: the same id", lambda: got.message_id == put.message_id, bool)
    see("get: another receipt", lambda: got.receipt != put.receipt, bool)
    see("get again while it is hidden", lambda: user.get(QUEUE, 16, hidden_s=LONG_S), _contents)
    see("count while it is hidden", lambda: user.count(QUEUE), int)
    see("update with the receipt of put after get", lambda: user.update(QUEUE, put, hidden_s=0))
    see("delete with the receipt of put after get", lambda: user.delete(QUEUE, put))
    see("delete with a receipt that never was", lambda: user.delete(QUEUE, got._replace(receipt="AAAA")))
    updated = see(
        "update with text",
        lambda: user.update(QUEUE, got, hidden_s=0, text="two"),
        lambda new: new.receipt != got.receipt,
    )
    see("update with the receipt of get after update", lambda: user.update(QUEUE, got, hidden_s=0))
    [got] = see("get after update", lambda: user.get(QUEUE, 1, hidden_s=LONG_S), _contents)
    see("delete with the receipt of update after get", lambda: user.delete(QUEUE, updated))
    see("delete", lambda: user.delete(QUEUE, got))
    see("delete again", lambda: user.delete(QUEUE, got))
    see("update after delete", lambda: user.update(QUEUE, got, hidden_s=0))
    see("count after delete", lambda: user.count(QUEUE), int)

    put = see("put hidden", lambda: user.put(QUEUE, "hidden", hidden_s=SHORT_S))
    see("put hidden: get", lambda: user.get(QUEUE, 1, hidden_s=LONG_S), _contents)
    see("put hidden: count", lambda: user.count(QUEUE), int)
    put = see("the sender changes the delay alone", lambda: user.update(QUEUE, put, hidden_s=SHORT_S))
    pass_time(WAIT_S)
    put = see("the sender's receipt is good when the delay is over", lambda: user.update(QUEUE, put, hidden_s=0))
    [got] = see("the text is kept", lambda: user.get(QUEUE, 1, hidden_s=SHORT_S), _contents)
    pass_time(WAIT_S)
    see("the receipt of get is good when its time is over", lambda: user.update(QUEUE, got, hidden_s=0))
    [again] = see("it is given again", lambda: user.get(QUEUE, 1, hidden_s=SHORT_S), _contents)
    pass_time(WAIT_S)
    [last] = see("it is given a third time", lambda: user.get(QUEUE, 1, hidden_s=LONG_S), _contents)
    see("delete with the receipt of the get before", lambda: user.delete(QUEUE, again))
    see("delete with the receipt of the last get", lambda: user.delete(QUEUE, last))

    for text in ("a", "b", "c"):
        user.put(QUEUE, text)
    [first, *_] = see("get two of three", lambda: user.get(QUEUE, 2, hidden_s=LONG_S), _contents)
    pass_time(0.01)
    user.update(QUEUE, first, hidden_s=0)
    see("get: one that was given back comes last", lambda: user.get(QUEUE, 32, hidden_s=LONG_S), _contents)
    see("get: no message", lambda: user.get(QUEUE, 0, hidden_s=LONG_S))
    see("get: 33 messages", lambda: user.get(QUEUE, 33, hidden_s=LONG_S))
    see("get: not hidden", lambda: user.get(QUEUE, 1, hidden_s=0))
    see("get: hidden for 7 days", lambda: user.get(QUEUE, 1, hidden_s=WEEK_S), _contents)
    see("get: hidden for 7 days and a second", lambda: user.get(QUEUE, 1, hidden_s=WEEK_S + 1))
    return observer.seen


def observe_limits(user: QueueUser) -> Seen:
    """Observe the limits of Put and Update, on QUEUE."""
    observer = Observer()
    see = observer.see
    full = "x" * MAX_TEXT_BYTES

    put = see("put 64 KiB", lambda: user.put(QUEUE, full))
    see("put 64 KiB and a byte", lambda: user.put(QUEUE, full + "x"))
    see("put 64 KiB and a byte in UTF-8", lambda: user.put(QUEUE, full[1:] + "é"))
    see("update with 64 KiB and a byte", lambda: user.update(QUEUE, put, hidden_s=0, text=full + "x"))
    put = see("update with 64 KiB", lambda: user.update(QUEUE, put, hidden_s=0, text=full))
    put = see("update: hidden for 7 days", lambda: user.update(QUEUE, put, hidden_s=WEEK_S))
    see("update: hidden for 7 days and a second", lambda: user.update(QUEUE, put, hidden_s=WEEK_S + 1))
    see("update: hidden for less than no time", lambda: user.update(QUEUE, put, hidden_s=-1))
    see("put: hidden for 7 days", lambda: user.put(QUEUE, "x", hidden_s=WEEK_S))
    see("put: hidden for 7 days and a second", lambda: user.put(QUEUE, "x", hidden_s=WEEK_S + 1))
    see("put: hidden for less than no time", lambda: user.put(QUEUE, "x", hidden_s=-1))
    see("put: hidden as long as it lives", lambda: user.put(QUEUE, "x", hidden_s=5, ttl_s=5))
    see("put: hidden almost as long as it lives", lambda: user.put(QUEUE, "x", hidden_s=4, ttl_s=5))
    see("put: it lives for no time", lambda: user.put(QUEUE, "x", ttl_s=0))
    see("put: it lives for -2", lambda: user.put(QUEUE, "x", ttl_s=-2))
    see("put: it lives for more than 7 days", lambda: user.put(QUEUE, "x", ttl_s=WEEK_S * 100))
    return observer.seen


def observe_the_rest(user: AnyQueueUser, pass_time: Callable[[float], None]) -> Seen:
    """Observe what the product does not need."""
    observer = Observer()
    see = observer.see

    user.clear(QUEUE)
    see("clear", lambda: user.count(QUEUE), int)
    user.put(QUEUE, "hidden", hidden_s=LONG_S)
    user.put(QUEUE, "visible")
    see("peek", lambda: user.peek(QUEUE, 32), _contents)
    see("get after peek", lambda: user.get(QUEUE, 1, hidden_s=SHORT_S), _contents)
    pass_time(WAIT_S)
    see("peek after get", lambda: user.peek(QUEUE, 1), _contents)
    see("peek 33", lambda: user.peek(QUEUE, 33))
    user.clear(QUEUE)
    user.put(QUEUE, "short", ttl_s=1)
    pass_time(WAIT_S)
    see("expired: get", lambda: user.get(QUEUE, 1, hidden_s=LONG_S), _contents)
    see("expired: count", lambda: user.count(QUEUE), int)
    for text in ("", " two  blanks ", "ä € 𝄞", "<a>&amp;</a>", "line\nline"):
        user.put(QUEUE, text)
    see("texts", lambda: user.get(QUEUE, 32, hidden_s=LONG_S), _contents)
    see("create", lambda: user.create("another-queue"))
    see("create again", lambda: user.create("another-queue"))
    see("put into it", lambda: user.put("another-queue", "x"))
    for name in ("under_score", "Upper", "two--dashes", "-dash", "dash-", "ab", "a" * 63, "a" * 64):
        see(f"create {name}", lambda name=name: user.create(name))  # type: ignore[misc]
    return observer.seen


class Asker:
    """Sends requests and notes the form of their answers, by name."""

    def __init__(self, service: QueueService, http: httpx.Client) -> None:
        self.seen: Seen = {}
        self._service = service
        self._http = http

    def ask(
        self,
        name: str,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request. A header that is empty is left out, also one that every other request has."""
        assert name not in self.seen, f"two observations are named: {name}"
        url = f"{self._service.url}/{path}"
        request = self._http.build_request(method, url, params=query, content=body, headers=headers)
        for header, value in (headers or {}).items():
            if not value:
                del request.headers[header]
        answer = self._http.send(request)
        self.seen[name] = _form(answer)
        return answer


def observe_answers(service: QueueService, http: httpx.Client) -> Seen:
    """Observe whole answers: statuses, headers, the members of the XML."""
    asker = Asker(service, http)
    ask = asker.ask
    messages = f"{QUEUE}/messages"
    one = message_body("one")

    ask("clear", "DELETE", messages)
    ask("get nothing", "GET", messages)
    ask("put", "POST", messages, body=one)
    ask("peek", "GET", messages, {"peekonly": "true"})
    got = ask("get", "GET", messages, {"visibilitytimeout": "60"})
    message = f"{messages}/{_member(got, 'MessageId')}"
    first = {"popreceipt": _member(got, "PopReceipt")}
    ask("update without a receipt", "PUT", message, {"visibilitytimeout": "60"}, one)
    updated = ask("update", "PUT", message, first | {"visibilitytimeout": "60"}, one)
    receipt = {"popreceipt": updated.headers["x-ms-popreceipt"]}
    ask("update with an old receipt", "PUT", message, first | {"visibilitytimeout": "60"}, one)
    ask("delete without a receipt", "DELETE", message)
    ask("delete", "DELETE", message, receipt)
    ask("delete again", "DELETE", message, receipt)
    ask("update without a delay", "PUT", message, receipt, one)
    ask("metadata", "GET", QUEUE, {"comp": "metadata"})
    ask("metadata of a missing queue", "GET", "missing", {"comp": "metadata"})
    ask("a name with _", "GET", "a_b", {"comp": "metadata"})
    ask("a short name", "GET", "ab", {"comp": "metadata"})
    ask("create", "PUT", "created-once")
    ask("create again", "PUT", "created-once")
    ask("put: hidden for too long", "POST", messages, {"visibilitytimeout": "604801"}, one)
    ask("put: hidden as long as it lives", "POST", messages, {"visibilitytimeout": "5", "messagettl": "5"}, one)
    ask("put: the delay is no number", "POST", messages, {"visibilitytimeout": "x"}, one)
    ask("put: too much text", "POST", messages, body=message_body("x" * (MAX_TEXT_BYTES + 1)))
    ask("put: no XML", "POST", messages, body=b"one")
    ask("put: no body", "POST", messages)
    ask("put: no text", "POST", messages, body=b"<QueueMessage />")
    ask("put: empty text", "POST", messages, body=message_body(""))
    ask("the client's request id", "GET", messages, headers={"x-ms-client-request-id": "mine"})
    return asker.seen


def observe_tokens(service: QueueService, http: httpx.Client) -> Seen:
    """Observe which tokens and versions are accepted, and how others are refused."""
    asker = Asker(service, http)

    def metadata(name: str, **headers: str) -> None:
        names = {header.replace("_", "-"): value for header, value in headers.items()}
        asker.ask(name, "GET", QUEUE, {"comp": "metadata"}, headers=names)

    metadata("no version", x_ms_version="")
    metadata("a version before tokens", x_ms_version="2017-07-29")
    metadata("the first version with tokens", x_ms_version="2017-11-09")
    metadata("a version that is none", x_ms_version="new")
    metadata("no token", authorization="")
    metadata("another scheme", authorization="Basic YTpi")
    for name, token in {
        "a broken token": "broken",
        "signed by another key": _signed_by(Signer(), service),
        "for the service with a slash": service.token(aud="https://storage.azure.com/"),
        "for Key Vault": service.token(aud="https://vault.azure.net"),
        "for a list of audiences": service.token(aud=["https://storage.azure.com"]),
        "of a v2 issuer": service.token(iss="https://login.microsoftonline.com/common/v2.0"),
        "expired": service.token(exp=1_700_000_000),
        "not yet valid": service.token(nbf=4_000_000_000, exp=4_000_000_001),
    }.items():
        metadata(name, authorization=f"Bearer {token}")
    return asker.seen


def _signed_by(signer: Signer, service: QueueService) -> str:
    return QueueService(service.url, service.ca_file, service.pass_time, signer).token()


def _form(answer: httpx.Response) -> Seen:
    """Return what can be compared: no ids, times and texts for people."""
    form: Seen = {"status": answer.status_code, "headers": _ms_headers(answer)}
    if code := answer.headers.get("x-ms-error-code"):
        form["code"] = code
    if answer.content:
        form["type"] = answer.headers.get("content-type")
        form["xml"] = _tree(ET.fromstring(answer.content))  # noqa: S314  (a server that we started)
    return form


def _ms_headers(answer: httpx.Response) -> list[str]:
    return sorted(name for name in answer.headers if name.startswith(("x-ms-", "www-auth")))


def _tree(element: ET.Element) -> Any:
    """Return the names of *element* and of all in it, with the texts of those that do not change."""
    if len(element):
        return {element.tag: [_tree(child) for child in element]}
    is_fixed = element.tag in {"Code", "DequeueCount", "MessageText", "AuthenticationErrorDetail"}
    return f"{element.tag}: {element.text}" if is_fixed else element.tag


def _member(answer: httpx.Response, name: str) -> str:
    found = ET.fromstring(answer.content).findtext(f"QueueMessage/{name}")  # noqa: S314  (a server that we started)
    assert found, answer.text
    return found
