"""Follow-ups that somebody else puts into the queue: at most a note in our own words, on a ticket of that caller."""

import base64
import json
import logging
import random
import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from shared.messages import CODES, OPEN, STILL_OPEN
from tests.conftest import CUSTOMER
from tests.support.forged_follow_ups import GUID, UNKNOWN_ORDER, message, open_message, ticket_events
from tests.support.local_cloud import Json, LocalCloud
from tests.support.telling import TellingApp, Tickets, tell
from tests.support.ticket_agents import SYSTEMS, ticket_of

pytestmark = pytest.mark.anyio

MUTATIONS = 400
AT_ONCE = 40
SEED = 20261130
SPY = "buy-at-evil.example"  # free text that must not get anywhere

# The only requests that telling a ticket needs, by system.
JIRA_KEY = "[A-Z][A-Z0-9_]{0,49}-[0-9]{1,12}"
ALLOWED = {
    "zendesk": [
        r"POST /oauth/tokens",
        r"GET /api/v2/tickets/[0-9]{1,19}\.json",
        r"GET /api/v2/tickets/[0-9]{1,19}/comments\.json\?sort_order=desc&per_page=30&page=[0-9]+",
        r"PUT /api/v2/tickets/[0-9]{1,19}\.json",
    ],
    "freshworks": [
        r"GET /api/v2/tickets/[0-9]{1,19}/conversations\?page=[0-9]+&per_page=100",
        r"POST /api/v2/tickets/[0-9]{1,19}/notes",
    ],
    "jira": [
        rf"GET /rest/api/3/issue/{JIRA_KEY}/comment\?orderBy=-created&maxResults=50&startAt=[0-9]+",
        r"POST /rest/api/3/comment/list\?expand=properties",
        rf"POST /rest/api/3/issue/{JIRA_KEY}/comment",
    ],
    "webhook": [r"POST /workflows/[0-9a-f]+/triggers/manual/paths/invoke\?.*"],
}
ALL_ALLOWED = re.compile("|".join(path for paths in ALLOWED.values() for path in paths))
SENTENCES = [
    *CODES.values(),
    *(OPEN, STILL_OPEN),
    r"This was a trial run; nothing was changed\. .*",
    r"Software 0, Software 1 and Software 2 are cancelled\. Nothing is left to do\.",
]
GUID_FORM = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
IDS = re.compile(
    rf"(?:Order [A-Za-z0-9_-]{{8,64}}, |Subscription {GUID_FORM}, )?(?:customer {GUID_FORM}, )?"
    rf"[Cc]orrelation id {GUID_FORM}\."
)
MARKER = re.compile(r"\[cancel-order [0-9a-f]{16} [a-z_:]+ [0-9TZ:.-]+\]")


@pytest.fixture(autouse=True)
def _audit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cancel_order.audit")


def check(cloud: LocalCloud, tickets: Tickets) -> int:
    """Check all that was sent since the requests were forgotten. Return how many notes were written."""
    assert set(cloud.methods()) <= {"GET"}, "a forged message has cancelled something"
    asked = [f"{request['method']} {request['path']}" for request in cloud.requests("ticketing")]
    assert [line for line in asked if not ALL_ALLOWED.fullmatch(line)] == []
    written = [request for request in cloud.requests("ticketing") if is_note(request)]
    for request in written:
        check_words(request["body"])
    assert all(left.queue in {"follow-up", "follow-up-poison"} for left in tickets.queue())
    return len(written)


def is_note(request: Json) -> bool:
    return request["method"] != "GET" and not re.search("/oauth/|/comment/list", request["path"])


def check_words(body: Json) -> None:
    """A note has a sentence of ours, ids, and the marker. It is private."""
    if "ticket" in body:
        comment = body["ticket"]["comment"]
        assert comment["public"] is False
        lines = html_lines(comment["html_body"])
    elif "data" in body:
        lines = body["data"]["text"].split("\n")
        assert SPY not in json.dumps(body)
    elif "private" in body:
        assert body["private"] is True
        lines = html_lines(body["body"])
    else:
        assert {"key": "sd.public.comment", "value": {"internal": True}} in body["properties"]
        lines = [paragraph["content"][0]["text"] for paragraph in body["body"]["content"]]
    sentence, ids, marker = lines
    assert any(sentence == known or re.fullmatch(known, sentence) for known in SENTENCES), sentence
    assert IDS.fullmatch(ids), ids
    assert MARKER.fullmatch(marker), marker


def html_lines(html: str) -> list[str]:
    lines = re.findall(r"<p>([^<>]*)</p>", html)
    assert html == "".join(f"<p>{line}</p>" for line in lines)
    return [unescape(line) for line in lines]


BAD_IDS = [
    *("1/../../users/1", "../../../oauth/tokens", "..", ".", "/", "//evil.example/1", "1%2f..%2f..%2fusers%2f1"),
    *("%2e%2e%2fusers", "1%00", "1\x00", "1\n", "\n1", "1\r\nHost: evil.example", "1 ", " 1", "+1", "-1", "1.0", "1e3"),
    *("1?x=1", "1#", "1;a=b", "1,2", "1.json", "*", "", "\u0661\u0662", "\uff11", "\u00b2", "0x1", "1" * 20, "1" * 100),
    *("IT-1/../../../user", "it-1", "IT-", "-1", "IT_-1-2", "IT-1\n", "A" * 51 + "-1", "IT-1234567890123", "Iẞ-1"),
    *("http://evil.example/", "@evil.example", "a b", "a/b", "a\\b", "_a", "é", "a" * 101, SPY + "/x"),
]
OF_OTHER_SYSTEMS = {"zendesk": "IT-1", "freshdesk": "IT-1", "freshservice": "a.b:c", "jira": "4711"}


@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_id_of_another_form_reaches_no_ticketing_system(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, system: str
) -> None:
    bad = [*BAD_IDS, OF_OTHER_SYSTEMS.get(system, "..")]
    if system == "standard-webhooks":  # names with these letters are ids there, and no part of a path
        bad = [name for name in bad if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", name)]
    for name in bad:
        tickets.forge(json.dumps(message(system, name)))

    await tell(telling_app)

    assert cloud.requests("ticketing") == []
    poisoned = [(left.content or {}).get("reason") for left in tickets.queue()]
    assert len(poisoned) == len(bad)
    assert set(poisoned) <= {"ticket_not_found", None}
    assert {left.queue for left in tickets.queue()} == {"follow-up-poison"}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "x",
            "null",
            "[]",
            "{}",
            '"',
            "\x00",
            "{",
            '{"caller":',
            "[" * 11_000,
            '{"a":' * 1_900 + "1" + "}" * 1_900,
        ),
        "x" * 12_000,
        json.dumps({"x": "y" * 11_000}),
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(base64.b64encode(b"{}")).decode(),
        json.dumps(message("zendesk", "1")) + " x",
        json.dumps(message("zendesk", "1"))[:-1] + ', "caller": "jira"}',
        json.dumps(message("zendesk", "1")).replace('"looks": 0', '"looks": NaN'),
        json.dumps(message("zendesk", "1")).replace('"looks": 0', '"looks": 1' + "0" * 5_000),
        json.dumps(message("zendesk", "\ud800")),
        "<QueueMessage><MessageText>" + SPY + "</MessageText></QueueMessage>",
    ],
    ids=range(21),
)
async def test_what_is_no_follow_up_is_poisoned_as_it_is(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    tickets.forge(text)
    [before] = tickets.queue()

    await tell(telling_app)

    [left] = tickets.queue()
    assert (left.queue, left.text) == ("follow-up-poison", before.text)
    assert cloud.requests("ticketing") == []
    [event] = ticket_events(caplog)
    assert (event["event"], event["reason"]) == ("poisoned", "message_unreadable")
    assert {event[name] for name in ("caller", "system", "ticketId", "state", "correlationId")} == {None}
    assert SPY not in caplog.text


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "no_such_code"},
        {"code": SPY},
        {"code": ""},
        {"text": SPY},
        {"url": "https://evil.example"},
        {"looks": 7},
        {"looks": -1},
        {"looks": 10**30},
        {"looks": 1.0},
        {"looks": True},
        {"failures": 1_001},
        {"failures": -1},
        {"failures": "0"},
        {"decidedAt": -1},
        {"decidedAt": 10**400},
        {"decidedAt": "now"},
        {"decidedAt": None},
        {"correlationId": SPY},
        {"correlationId": GUID + "\n"},
        {"caller": SPY},
        {"caller": None},
        {"reason": SPY},
        {"request": None, "code": None},
        {"request": []},
        {"request": {}},
        {"request": {"customerTenantId": CUSTOMER, "orderId": UNKNOWN_ORDER, "reason": SPY}},
        {"request": {"customerTenantId": CUSTOMER, "orderId": SPY}},
        {"request": {"customerTenantId": SPY, "orderId": UNKNOWN_ORDER}},
        {"request": {"customerTenantId": CUSTOMER, "orderId": UNKNOWN_ORDER, "message": SPY}},
        {"request": {"customerTenantId": CUSTOMER, "orderId": UNKNOWN_ORDER, "dryRun": None}},
        {"request": {"customerTenantId": CUSTOMER, "orderId": "../../customers/" + GUID}},
    ],
    ids=lambda changes: re.sub(r"\W+", "-", json.dumps(changes))[:50],
)
async def test_a_message_that_no_call_of_ours_writes_is_poisoned(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, ticket_id: str, changes: Json
) -> None:
    tickets.forge(json.dumps(message("zendesk", ticket_id) | changes))

    await tell(telling_app)

    assert cloud.requests("ticketing") == []
    assert cloud.requests("partner_center") == []
    assert [left.queue for left in tickets.queue()] == ["follow-up-poison"]


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_real_cancellation_is_only_looked_at(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, order_id: str, ticket_id: str, system: str
) -> None:
    """The request in the message asks for one, and its code says that it was refused: nothing is cancelled."""
    before = cloud.order(order_id)
    ticket = ticket_of(system, ticket_id)
    for content in (open_message(system, ticket, order_id), open_message(system, ticket, order_id, looks=6)):
        tickets.forge(json.dumps(content))

    await tell(telling_app)

    assert cloud.order(order_id) == before
    assert check(cloud, tickets) == 1  # that the end is still open, in our words


# The usual run has each pair of counters, and each age with every fourth of them.
@pytest.mark.parametrize(
    ("looks", "failures", "ago_s"),
    [
        pytest.param(looks, failures, ago_s, marks=pytest.mark.long if (looks + failures // 1_000 + age) % 4 else ())
        for age, ago_s in enumerate((0.0, 1e6, 1.7e9, -299.0))
        for failures in (0, 1_000)
        for looks in range(7)
    ],
)
async def test_counters_at_their_ends_are_followed_as_others(
    telling_app: TellingApp,
    cloud: LocalCloud,
    tickets: Tickets,
    order_id: str,
    ticket_id: str,
    looks: int,
    failures: int,
    ago_s: float,
) -> None:
    decided_at = max(0.0, time.time() - ago_s)
    changes = {"looks": looks, "failures": failures, "decidedAt": decided_at}
    tickets.forge(json.dumps(open_message("zendesk", ticket_id, order_id, **changes)))

    await tell(telling_app)

    assert check(cloud, tickets) == (looks in {3, 6})
    assert [left.queue for left in tickets.queue()] == ["follow-up"] * (looks < 6)


@pytest.mark.parametrize(
    ("caller", "request_changes", "code", "notes"),
    [
        ("nobody", {}, "not_cancellable", 0),
        ("trainee", {}, "not_cancellable", 0),
        ("flow", {}, None, 0),
        ("jira", {"account": "closed"}, None, 0),
        ("jira", {"account": "limited"}, None, 0),
        ("jira", {"account": "nobody"}, None, 0),
        ("jira", {"account": "limited"}, "not_cancellable", 1),
        ("jira", {"account": "no-secret"}, "internal_error", 1),
    ],
)
async def test_what_a_caller_may_not_do_is_not_looked_at(
    telling_app: TellingApp,
    cloud: LocalCloud,
    tickets: Tickets,
    ticket_id: str,
    caller: str,
    request_changes: Json,
    code: str | None,
    notes: int,
) -> None:
    content = message(caller, f"IT-{ticket_id}", code=code)
    tickets.forge(json.dumps(content | {"request": content["request"] | request_changes}))

    await tell(telling_app)

    assert check(cloud, tickets) == notes
    assert cloud.requests("partner_center") == []
    assert [left.queue for left in tickets.queue()] == ["follow-up-poison"] * (1 - notes)


# Mutations.

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 6, 7, 1_000, 10**18, 1e300, 0.5, "", "0", "x", SPY, GUID, CUSTOMER, UNKNOWN_ORDER),
    *("zendesk", "freshdesk", "freshservice", "jira", "standard-webhooks", "halo", "flow", "default", "limited"),
    *("closed", "term_end", "now", "not_cancellable", "internal_error", "outcome_unknown", "dry_run", "cancelled"),
    *(
        *BAD_IDS,
        [],
        {},
        [SPY],
        {"note": SPY},
        "<script>alert(1)</script>",
        "[cancel-order 0 cancelled]",
        "{{ticket.id}}",
    ),
]


def mutations(count: int, order_id: str) -> Iterator[str]:
    """Yield texts that are nearly follow-ups, the same at each run but for *order_id* and the time."""
    chance = random.Random(SEED)  # noqa: S311  (nobody must not guess it)
    for number in range(count):
        system = chance.choice(SYSTEMS)
        ticket = ticket_of(system, f"9{number}")
        content = message(system, ticket) if chance.random() < 0.5 else open_message(system, ticket, order_id)
        for _ in range(chance.randint(0, 3)):
            place = chance.choice((content, content["request"]))
            if not isinstance(place, dict):
                continue
            name = chance.choice([*place, "lineItems", "subscriptionId", "reason", "when", "dryRun", "x"])
            if chance.random() < 0.2:
                place.pop(name, None)
            else:
                place[name] = chance.choice(VALUES)
            content.setdefault("request", {})
        text = json.dumps(content, ensure_ascii=chance.random() < 0.8)
        if chance.random() < 0.2:
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(("", '"', "}", "\\", "0", SPY)) + text[at + chance.randint(0, 2) :]
        yield text


async def test_a_mutated_message_does_no_more_than_one_of_ours(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, order_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each becomes a note of ours, is looked at again later, or is poisoned; nothing is lost, nothing is cancelled."""
    before, notes = cloud.order(order_id), 0
    texts = list(mutations(MUTATIONS, order_id))
    for start in range(0, len(texts), AT_ONCE):
        cloud.forget_requests()
        for text in texts[start : start + AT_ONCE]:
            tickets.forge(text.encode("utf-8", "replace").decode())
        await tell(telling_app)
        notes += check(cloud, tickets)

    events = [event["event"] for event in ticket_events(caplog)]
    later = len(tickets.queue("follow-up"))
    assert notes > MUTATIONS / 20
    assert events.count("told") == notes
    assert events.count("poisoned") == len(tickets.queue("follow-up-poison")) > MUTATIONS / 5
    assert notes + later + events.count("poisoned") >= MUTATIONS
    assert cloud.order(order_id) == before
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
