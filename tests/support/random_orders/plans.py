"""What is drawn: an order with its subscriptions, a request, and what happens to the requests to Partner Center."""

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

type Kind = Literal[
    "licence", "software", "software subscription", "SaaS", "trial", "legacy", "Azure plan", "savings plan", "unknown"
]

LINES = 5  # of an order, at most


@dataclass(frozen=True)
class LinePlan:
    """A line of the order and its subscription, which has the same offer.

    Attributes:
        names: how the line names its subscription.
        offer: lines of one kind with the same number have the same offer.
        seats: of the line.
        added_seats: how many the subscription has beyond these; None for no quantity.
        begun_by: the order that the subscription tells.
        term: the term that the subscription is in.
        shares: the line has the subscription of the line before it.
        is_cancelled: the line's quantity is 0.
        auto_renew: of the subscription.
        action: one that is scheduled; of ACTIONS.
        knows: by which name the time of an action is known, all others are ignored.
        is_odd: member names in PascalCase, and members that nobody knows.
    """

    kind: Kind
    names: Literal["member", "link", "none"] = "member"
    offer: int = 0
    seats: int = 5
    added_seats: int | None = 0
    transaction: str | None = "New"
    begun_by: Literal["id", "alternateId", "other", "none"] = "id"
    status: str = "active"
    term: Literal["first", "first, by day", "renewed", "extended", "missing"] = "first"
    shares: bool = False
    is_cancelled: bool = False
    auto_renew: bool = True
    action: str = "none"
    knows: Literal["both", "scheduleType", "scheduledType", "none"] = "both"
    patch_answers: Literal[200, 202] = 200
    is_odd: bool = False


@dataclass(frozen=True)
class Event:
    """Something that happens to one request: the *nth* with *method* to *place*.

    Attributes:
        place: `order`, `list`, or the number of the line whose subscription it is.
        fault: of FAULTS.
        change: made by somebody else after the request; of CHANGES.
        changes_line: the number of the line whose subscription is changed.
    """

    method: Literal["GET", "PATCH"]
    place: str
    nth: int = 0
    fault: str = "none"
    change: str | None = None
    changes_line: int = 0


@dataclass(frozen=True)
class Scenario:
    """An order, a request that is sent several times, and what happens during the first call.

    *by* is what the request names; of a `subscription` it is that of line *line*. *asked* are the numbers of lines,
    None for the whole order. Without *shows_lines* the order has no lines. *has_stray*: it began one more
    subscription that no line names.
    """

    lines: tuple[LinePlan, ...]
    id_form: Literal["33 characters", "12 digits", "GUID"] = "12 digits"
    has_alternate_id: bool = True
    age_days: int = 2
    term: str = "P1Y"
    order_status: str = "completed"
    shows_lines: bool = True
    has_stray: bool = False
    by: Literal["id", "alternateId", "subscription"] = "id"
    line: int = 0
    asked: tuple[int, ...] | None = None
    when: Literal["now", "term_end"] = "now"
    has_offers: bool = False
    account: Literal["default", "production", "orders-only"] = "default"
    is_dry_run: bool = False
    events: tuple[Event, ...] = ()


def mostly[T](usual: T, *others: T) -> st.SearchStrategy[T]:
    """Return a strategy that draws *usual* in three of four cases."""
    return st.sampled_from([usual] * 3 * max(1, len(others)) + list(others))


LINE_PLANS = st.builds(
    LinePlan,
    kind=st.sampled_from(
        ["licence"] * 8
        + ["software"] * 3
        + ["software subscription", "SaaS"] * 2
        + ["trial", "legacy", "Azure plan", "savings plan", "unknown"]
    ),
    names=st.sampled_from(["member", "member", "member", "link", "none"]),
    offer=mostly(0, 1),
    seats=mostly(5, 1),
    added_seats=mostly(0, 2, -1, None),
    transaction=mostly("New", None, "addQuantity", "renew", "NEW"),
    begun_by=mostly("id", "alternateId", "other", "none"),
    status=mostly("active", "suspended", "deleted", "pending", "expired", "disabled"),
    term=mostly("first", "first, by day", "renewed", "extended", "missing"),
    shares=mostly(False, False, False, True),
    is_cancelled=mostly(False, False, True),
    auto_renew=mostly(True, False),
    action=mostly("none", "cancel", "cancel, spelt otherwise", "renew", "on a date"),
    knows=mostly("both", "scheduleType", "scheduledType", "none"),
    patch_answers=mostly(200, 202),
    is_odd=mostly(False, True),
)
USUAL_LINES = st.builds(
    LinePlan,
    kind=st.sampled_from(["licence", "licence", "software"]),
    names=st.sampled_from(["member", "member", "link", "none"]),
)

ACTIONS: dict[str, dict[str, object]] = {
    "cancel": {"scheduleType": "TermEnd", "actionType": "Cancel"},
    "cancel, spelt otherwise": {"scheduledType": "TermEnd", "actionType": "Cancel"},
    "renew": {"scheduledType": "termEnd", "actionType": "RenewToNewTerm", "instructions": {"quantity": 7}},
    "on a date": {"scheduleType": "CustomDate", "actionType": "Transition", "effectiveDate": "2030-01-01T00:00:00Z"},
}
# As the control interface takes them. With a status the request is not carried out.
FAULTS: dict[str, dict[str, object]] = {
    "none": {},
    "hang-up before": {"hang_up": "before"},
    "hang-up after": {"hang_up": "after"},
    "half a body": {"hang_up": "halfway"},
    "409": {"status": 409},
    "409 not ready": {"status": 409, "body": {"code": "800082", "description": "Not ready."}},
    "412": {"status": 412},
    "500": {"status": 500},
    "503": {"status": 503, "headers": {"retry-after": "0"}},
    "429": {"status": 429, "headers": {"retry-after": "0"}},
    "behind 1": {"behind": 1},
    "behind 2": {"behind": 2},
    "behind 1, hang-up after": {"behind": 1, "hang_up": "after"},
    "late": {"delay_s": 5.5},  # not drawn
}
CHANGES = ("more seats", "renewed", "deleted", "suspended", "renamed", "scheduled")
# 429 is rare, because all calls wait then.
GET_FAULTS = ["none"] * 6 + ["hang-up before", "half a body", "500", "503", "409"] * 2 + ["429"]
PATCH_FAULTS = (
    ["none", "hang-up before", "half a body", "409", "409 not ready", "412", "500", "503", "behind 1", "behind 2"] * 2
    + ["hang-up after", "behind 1, hang-up after"] * 4
    + ["429"]
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    lines = draw(st.lists(st.one_of(LINE_PLANS, USUAL_LINES), min_size=1, max_size=LINES))
    numbers = st.integers(0, len(lines) - 1)
    asked = draw(st.none() | st.lists(numbers, min_size=1, max_size=len(lines), unique=True).map(tuple))
    places = st.sampled_from([*map(str, asked or range(len(lines)))] * 2 + ["order", "list"])
    change, changes_line = st.none() | st.sampled_from(CHANGES), numbers
    reads, patches = (
        st.builds(
            Event,
            method=st.just(method),
            place=places,
            nth=mostly(0, 1),
            fault=st.sampled_from(faults),
            change=change,
            changes_line=changes_line,
        )
        for method, faults in (("GET", GET_FAULTS), ("PATCH", PATCH_FAULTS))
    )
    return Scenario(
        lines=tuple(lines),
        id_form=draw(st.sampled_from(["12 digits", "33 characters", "GUID"])),
        has_alternate_id=draw(mostly(True, False)),
        age_days=draw(mostly(2, 20, 400)),
        term=draw(mostly("P1Y", "P1M", "P3Y", "")),
        order_status=draw(mostly("completed", "pending", "cancelled", "suspended")),
        shows_lines=draw(mostly(True, True, True, False)),
        has_stray=draw(mostly(False, True)),
        by=draw(mostly("id", "alternateId", "subscription")),
        line=draw(numbers),
        asked=asked,
        when=draw(st.sampled_from(["now", "now", "term_end"])),
        has_offers=draw(st.booleans()),
        account=draw(mostly("default", "production", "orders-only")),
        is_dry_run=draw(mostly(False, False, False, True)),
        events=tuple(draw(st.lists(patches | reads, max_size=4))),
    )
