"""What the page of the local cloud asks for, as curl can: it has no way of its own."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.senders.deliveries import SENDERS
from tests.support.local_cloud import ROOT, Json, LocalCloud, order_id_of, running, software_order, write_orders
from tests.support.waiting import wait_until

CUSTOMER = "5f1c2a4e-7d0b-4a57-9a1c-3a5b1f0c9e11"
ORDERS = 20
PAGE = ROOT / "infra" / "local" / "console" / "page"
ROUTES = re.compile(r"^\| `(GET|POST|PUT|DELETE) (/\S*)` \|", re.MULTILINE)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud with callers, as `make serve` runs it."""
    directory = tmp_path_factory.mktemp("console")
    orders = (software_order(order_id_of(f"console-order-{number:02}"), CUSTOMER, lines=2) for number in range(ORDERS))
    # The stand-in of the host alone passes a flow's token on.
    with running(
        directory, "--callers", "--orders", write_orders(directory / "orders", orders), FUNCTIONS_HOST=""
    ) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def _order_ids() -> Iterator[str]:
    return (order_id_of(f"console-order-{number:02}") for number in range(ORDERS))


@pytest.fixture
def order_id(_order_ids: Iterator[str]) -> str:
    """An order of two lines that no other test has touched."""
    return next(_order_ids)


def control(cloud: LocalCloud, method: str, path: str, **options: Any) -> httpx.Response:
    return cloud.http.request(method, f"{cloud.description['controlUrl']}{path}", **options)


def send(cloud: LocalCloud, **members: object) -> Json:
    """Send a request as the page does, and return what it gets."""
    answer = control(cloud, "POST", "/send", json=members)
    assert answer.status_code == 200, answer.text
    sent: Json = answer.json()
    return sent


# The page itself


def test_the_page_and_all_its_files_come_from_here(guarded: LocalCloud) -> None:
    page = control(guarded, "GET", "/")
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    imported = {name for file in PAGE.glob("*.js") for name in re.findall(r'from "\./([\w.]+)"', file.read_text())}

    files = {*linked, *(f"page/{name}" for name in imported)}
    answers = {name: control(guarded, "GET", f"/{name}") for name in files}

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert {f"page/{file.name}" for file in PAGE.iterdir()} - {"page/index.html"} == files
    assert [name for name, answer in answers.items() if answer.status_code != 200] == []
    types = {Path(name).suffix: answer.headers["content-type"].partition(";")[0] for name, answer in answers.items()}
    assert types == {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    policies = {answer.headers["content-security-policy"] for answer in (page, *answers.values())}
    assert [policy.startswith("default-src 'none'; script-src 'self';") for policy in policies] == [True]


def test_files_beside_the_page_are_not_served(guarded: LocalCloud) -> None:
    paths = ["/page/../routes.py", "/page/%2e%2e/routes.py", "/page/..%2froutes.py", "/page/nothing.js"]

    assert [control(guarded, "GET", path).status_code for path in paths] == [404] * len(paths)


@pytest.mark.parametrize("headers", [{"Host": "attacker.example"}, {"Origin": "https://attacker.example"}])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/requests"), ("POST", "/faults"), ("POST", "/kill"), ("POST", "/send")]
)
def test_other_pages_are_refused_at_every_path(
    guarded: LocalCloud, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = control(guarded, method, path, headers=headers, content=b'{"service": "partner_center"}')

    assert answer.status_code == 403
    assert control(guarded, "GET", "/faults").json() == []


def test_every_path_is_described() -> None:
    """Everything that the page does can be done with curl, so it has to be written down."""
    described = set(ROUTES.findall((ROOT / "infra/local/README.md").read_text()))
    source = "".join(
        (ROOT / f"infra/local/{name}.py").read_text() for name in ("control", "ticket_control", "console/routes")
    )
    routes = {
        (method, re.sub(r"_(\w)", lambda found: found[1].upper(), path))
        for path, method in re.findall(r'Route\(\s*"([^"]+)", \S+, methods=\["(\w+)"\]', source)
    }

    assert described == routes


# What there is


def test_the_catalogue_has_all_and_no_secret(guarded: LocalCloud) -> None:
    answer = control(guarded, "GET", "/catalogue")
    catalogue, description = answer.json(), guarded.description

    assert catalogue["orders"] == description["orders"]
    assert catalogue["customers"] == description["customers"]
    assert [account["name"] for account in catalogue["accounts"]] == list(description["accounts"])
    assert [sender["system"] for sender in catalogue["senders"]] == [*SENDERS, "curl"]
    told = {sender["system"]: sender["tickets"] for sender in catalogue["senders"] if sender["tickets"]}
    own = ("zendesk", "freshdesk", "freshservice", "jira", "standard-webhooks")
    assert told == {system: system for system in own} | {"curl": "jira"}
    secrets = [
        caller[name] for caller in description["callers"].values() for name in ("key", "secret") if name in caller
    ]
    secrets += [
        account[name]
        for account in description["accounts"].values()
        for name in ("clientSecret", "refreshToken", "certificate")
        if name in account
    ]
    assert [secret for secret in [*secrets, description["functionKey"]] if secret in answer.text] == []


# Sending


@pytest.mark.parametrize("system", [*SENDERS, "curl"])
def test_a_request_is_sent_as_each_system_does(guarded: LocalCloud, order_id: str, system: str) -> None:
    sent = send(guarded, system=system, orderId=order_id)

    answer = json.loads(sent["answer"]["body"])
    assert (sent["answer"]["status"], answer["outcome"], answer["orderId"]) == (200, "cancelled", order_id)
    assert json.loads(sent["request"]["body"])["orderId"] == order_id
    assert answer["ticketId"] == sent["ticketId"]
    assert (sent["reaction"] is None) == (system == "curl")
    key = guarded.description["functionKey"]
    assert key not in json.dumps(sent["request"])
    assert sent["curl"].startswith(f"curl -si {guarded.description['functionUrl']} -H 'content-type: application/json'")


def test_lines_the_end_of_the_term_and_a_dry_run_are_sent(guarded: LocalCloud, order_id: str) -> None:
    licence = next(entry for entry in guarded.description["subscriptions"] if entry["kind"] == "licence")

    lines = send(guarded, system="jira", orderId=order_id, lines=[1])
    dry_run = send(guarded, system="zendesk", orderId=order_id, dryRun=True)
    scheduled = send(guarded, system="flow", subscriptionId=licence["subscriptionId"], when="term_end")

    outcomes = [json.loads(sent["answer"]["body"])["outcome"] for sent in (lines, dry_run, scheduled)]
    assert outcomes == ["partially_cancelled", "dry_run", "scheduled"]


def test_the_same_ticket_can_send_again(guarded: LocalCloud, order_id: str) -> None:
    first = send(guarded, system="zendesk", orderId=order_id)
    again = send(guarded, system="zendesk", orderId=order_id, ticketNumber=first["ticketNumber"])

    assert again["ticketId"] == first["ticketId"]
    assert json.loads(again["answer"]["body"])["outcome"] == "already_cancelled"


def test_a_request_without_an_answer_says_so(guarded: LocalCloud, order_id: str) -> None:
    guarded.fault(method="PATCH", slow_s=60, kill_after_s=0.5)

    sent = send(guarded, system="curl", orderId=order_id)

    assert sent["answer"] is None
    assert sent["fault"].startswith("no answer: ")
    wait_until(lambda: guarded.requests("partner_center", "PATCH", order_id)[0]["dropped"], "nobody noticed the kill")
    assert guarded.order(order_id)["status"] == "cancelled"
    assert (
        json.loads(send(guarded, system="curl", orderId=order_id)["answer"]["body"])["outcome"] == "already_cancelled"
    )


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"system": "fax", "orderId": "any"}, "no sender fax"),
        ({"system": "jira"}, "name an order or a subscription"),
        ({"system": "jira", "orderId": "a", "subscriptionId": "b"}, "name an order or a subscription"),
        ({"system": "jira", "orderId": "no-such-order"}, "has no order no-such-order"),
        ({"system": "halo", "orderId": "any", "customer": CUSTOMER, "lines": [0, 1]}, "takes only one line"),
        ({"system": "jira", "orderId": "any", "customer": CUSTOMER, "account": "none"}, "has no account none"),
        ({"system": "jira", "orderId": "any", "dryRun": "yes"}, "valid boolean"),
        ({"system": "jira", "orderId": "any", "unknown": 1}, "Extra inputs"),
    ],
)
def test_a_request_that_cannot_be_sent_is_explained(guarded: LocalCloud, members: Json, words: str) -> None:
    answer = control(guarded, "POST", "/send", json=members)

    assert answer.status_code == 400
    assert words in answer.json()["error"][0]["message"]


def test_without_callers_only_curl_can_send(cloud: LocalCloud) -> None:
    order = {"orderId": order_id_of("test-order-0000"), "dryRun": True}
    senders = control(cloud, "GET", "/catalogue").json()["senders"]

    assert senders == [{"system": "curl", "name": "curl", "tickets": None}]
    assert send(cloud, system="curl", **order)["answer"]["status"] == 200
    assert control(cloud, "POST", "/send", json={"system": "jira"} | order).status_code == 400


# Looking


def test_a_look_is_told_apart_by_its_trace(guarded: LocalCloud) -> None:
    """The page leaves the calls of its own looks out of the drawing."""
    trace_id = "0123456789abcdef0123456789abcdef"
    guarded.forget()

    found = control(
        guarded, "POST", "/find", json={"customer": CUSTOMER, "text": "console-order-00", "traceId": trace_id}
    )

    orders = json.loads(found.json()["body"])["orders"]
    assert [order["orderId"] for order in orders] == [order_id_of("console-order-00")]
    correlation_ids = {request["headers"]["ms-correlationid"] for request in guarded.requests("partner_center")}
    assert correlation_ids == {"01234567-89ab-cdef-0123-456789abcdef"}


def test_a_look_that_is_refused_shows_the_answer(guarded: LocalCloud) -> None:
    refused = control(guarded, "POST", "/find", json={"customer": "nobody.example"}).json()
    unknown = control(guarded, "POST", "/find", json={"customer": CUSTOMER, "account": "none"})

    assert (refused["status"], json.loads(refused["body"])["code"]) == (404, "customer_not_found")
    assert unknown.status_code == 400


# Faults by their name, and what happens


def test_a_fault_is_listed_and_removed_by_its_name(guarded: LocalCloud) -> None:
    guarded.forget()
    guarded.fault(name="mine", status=500, times=3)
    guarded.fault(name="other", path="/nowhere", hang_up="after")

    listed = control(guarded, "GET", "/faults").json()
    control(guarded, "DELETE", "/faults?name=mine")

    assert listed == [
        {"service": "partner_center", "name": "mine", "status": 500, "times": 3},
        {"service": "partner_center", "name": "other", "path": "/nowhere", "hang_up": "after", "times": 1},
    ]
    assert [fault["name"] for fault in control(guarded, "GET", "/faults").json()] == ["other"]
    guarded.forget()


@pytest.mark.parametrize("fault", ['"delay_s": 1e999', '"body": {"n": NaN}', '"slow_s": Infinity'])
def test_a_fault_that_could_not_be_listed_is_refused(guarded: LocalCloud, fault: str) -> None:
    answer = control(guarded, "POST", "/faults", content=f'{{"service": "queue", {fault}}}')

    assert answer.status_code == 400
    assert control(guarded, "GET", "/faults").json() == []


def test_audit_records_are_listed(guarded: LocalCloud, order_id: str) -> None:
    sent = send(guarded, system="halo", orderId=order_id)
    correlation_id = json.loads(sent["answer"]["body"])["correlationId"]

    def records() -> list[Json]:
        listed: list[Json] = control(guarded, "GET", "/audit").json()
        return [record for record in listed if record["correlationId"] == correlation_id]

    wait_until(lambda: len(records()) == 2, "the records did not come")
    assert [(record["event"], record["caller"]) for record in records()] == [("sending", "halo"), ("decided", "halo")]


class Events:
    """The events that the server pushes, read by a thread."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.found: list[tuple[str, Any]] = []
        self.has_ended = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(f"{cloud.description['controlUrl']}/events",))
        self._thread.start()

    def _read(self, url: str) -> None:
        name = ""
        with httpx.Client(trust_env=False, timeout=60) as client, client.stream("GET", url) as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.found.append((name, json.loads(line.removeprefix("data: "))))
        self.has_ended.set()

    def named(self, name: str) -> list[Any]:
        return [content for event, content in self.found if event == name]


def test_what_happens_is_pushed_and_the_stream_ends_with_the_local_cloud(tmp_path: Path) -> None:
    """An open page must not keep the local cloud from ending."""
    with running(tmp_path, FUNCTIONS_HOST="") as cloud:
        events = Events(cloud)
        wait_until(lambda: events.named("start"), "the stream did not start")
        cloud.fault(method="PATCH", hang_up="after", name="lost")
        order = {
            "customerTenantId": "bd59b416-37f9-4d8f-8df3-5750111fc615",
            "orderId": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1",
        }
        assert cloud.post(order).json()["outcome"] == "cancelled"
        wait_until(lambda: len(events.named("audit")) == 2, "the records did not come")

    assert events.has_ended.wait(30)
    assert [[fault["name"] for fault in faults] for faults in events.named("faults")][:2] == [["lost"], []]
    patches = [call for call in events.named("request") if call["method"] == "PATCH"]
    states = [(call["status"], call["dropped"]) for call in patches]
    assert states == [(None, False), (None, True), (None, False), (200, False)]
    assert [patch["number"] for patch in patches[:2]] == [patches[0]["number"]] * 2
    assert [record["event"] for record in events.named("audit")] == ["sending", "decided"]
    assert "Traceback" not in cloud.log.read_text()
    assert "ERROR" not in cloud.log.read_text()
