"""The sentences for people: one for each outcome and each code, plain, short, and true."""

import re
from collections.abc import Iterable
from typing import Any

import pytest

from shared.contract import LineItem, OrderState, Outcome, When
from shared.errors import all_codes
from shared.messages import CODES, OPEN, REASONS, STILL_OPEN, of_code, of_result

STATUS_OF = dict(all_codes())
MAY_HAVE_CHANGED = {"some_lines_refused", "some_lines_unfinished", "unexpected_answer", "outcome_unknown"}
SUBSCRIPTION = "8c7f8209-6ea2-5f15-959c-175c7bc98c37"
JANUARY, MARCH = "2027-01-31T23:59:59Z", "2027-03-14T23:59:59Z"

# Words of the interface, which a person at a ticket does not know: names of members and codes, methods, statuses.
OF_THE_INTERFACE = re.compile(
    r"[{}`_\[\]<>]|[a-z][A-Z]|\b(?:JSON|HTTP|URL|API|GET|PATCH|POST|null|true|false|body|[245]\d\d)\b"
)
CLAIM = re.compile(
    r"\b(?:is|are|was|were|been) (?:now |already |all )?(?:cancelled|done|stopped|set to end|turned off)\b"
)


def line(number: int | None = 0, name: str | None = "Visio Plan 2", **members: Any) -> LineItem:
    of_product: dict[str, Any] = {"offer_id": None, "quantity": 1, "term_duration": "P1Y", "subscription_id": None}
    known = {"line_item_number": number, "friendly_name": name, "cancelled": False}
    return LineItem.model_validate(of_product | known | members)


def order(
    *lines: LineItem, when: When = "now", subscription_id: str | None = None, status: str | None = None
) -> OrderState:
    return OrderState(
        order_id="UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1",
        subscription_id=subscription_id,
        when=when,
        alternate_id=None,
        customer_tenant_id="bd59b416-37f9-4d8f-8df3-5750111fc615",
        status=status,
        billing_cycle=None,
        currency_code=None,
        creation_date=None,
        cancelled_line_items=[],
        line_items=list(lines),
    )


def gone(number: int = 0, name: str | None = "Visio Plan 2") -> LineItem:
    return line(number, name, quantity=0, cancelled=True)


def licence(number: int | None = 0, name: str | None = "Microsoft 365 E3", **members: Any) -> LineItem:
    own: dict[str, Any] = {"quantity": 25, "subscription_id": SUBSCRIPTION, "term_ends_on": JANUARY}
    return line(number, name, **own | members)


# The codes.


@pytest.mark.parametrize("code", STATUS_OF)
def test_every_code_has_a_text(code: str) -> None:
    assert code in CODES, f"CODES in shared/messages.py has no text for people for the code {code}"
    assert of_code(code)


def test_no_text_is_left_over() -> None:
    assert list(CODES) == list(STATUS_OF), "CODES in shared/messages.py: in the order of shared/errors.py"


@pytest.mark.parametrize("code", STATUS_OF)
def test_every_refusal_of_a_line_has_a_reason_for_dry_runs(code: str) -> None:
    can_be_of_a_line = STATUS_OF[code] in {404, 422} or code == "order_busy"

    assert (code in REASONS) is (can_be_of_a_line and not code.startswith("some_lines")), (
        f"REASONS in shared/messages.py: a reason for {code} there is missing, or one too many"
    )


def texts() -> Iterable[tuple[str, str]]:
    yield from CODES.items()
    yield from [("open", OPEN), ("still open", STILL_OPEN)]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in texts()])
def test_a_text_is_short_and_plain(text: str) -> None:
    """A person at a ticket reads it, without the request and the answer beside it."""
    assert len(text) < 400
    assert text.endswith(".")
    assert "  " not in text
    assert OF_THE_INTERFACE.search(text) is None


@pytest.mark.parametrize("code", STATUS_OF)
def test_a_text_claims_a_change_only_where_there_may_be_one(code: str) -> None:
    text = of_code(code)

    assert ("Nothing was changed by it." in text) is (code not in MAY_HAVE_CHANGED)
    if code not in MAY_HAVE_CHANGED:
        assert CLAIM.search(text) is None


@pytest.mark.parametrize("text", [of_code("outcome_unknown"), OPEN, STILL_OPEN], ids=["unknown", "open", "still open"])
def test_a_text_about_what_nobody_knows_claims_nothing(text: str) -> None:
    unsure = re.sub(
        r"(It is (?:still )?not (?:known|confirmed)).*? whether what the request asked for was done", "", text
    )

    assert unsure != text
    assert CLAIM.search(unsure) is None
    assert "safe" in text


@pytest.mark.parametrize("code", STATUS_OF)
def test_a_text_says_what_to_do(code: str) -> None:
    advice = r"\b(?:[Aa]sk|[Ss]end|[Tt]ell|[Cc]heck|[Ll]ook|[Cc]orrect|[Cc]ancel|[Ss]horten|[Hh]ave|must)\b"

    assert re.search(advice, of_code(code).split(". ", 1)[1])


# The outcomes.

E3 = "Microsoft 365 E3 (25 licences)"
RESULTS: dict[str, tuple[Outcome, OrderState, set[int] | None, str]] = {
    "cancelled": (
        Outcome.CANCELLED,
        order(gone(name="Microsoft 365 E3")),
        None,
        "Microsoft 365 E3 is cancelled. Nothing is left to do.",
    ),
    "cancelled, several": (
        Outcome.CANCELLED,
        order(*(gone(number, f"Visio {number}") for number in range(5))),
        None,
        "Visio 0, Visio 1, Visio 2 and 2 others are cancelled. Nothing is left to do.",
    ),
    "cancelled, the same product twice": (
        Outcome.CANCELLED,
        order(gone(0), gone(1), gone(2, None)),
        None,
        "2 lines of Visio Plan 2 and the product are cancelled. Nothing is left to do.",
    ),
    "cancelled, the last living line": (
        Outcome.CANCELLED,
        order(gone(0, "Visio"), gone(1, "Project")),
        {1},
        "Project is cancelled. Nothing is left to do.",
    ),
    "cancelled, an order without lines": (
        Outcome.CANCELLED,
        order(),
        None,
        "The order is cancelled. Nothing is left to do.",
    ),
    "cancelled, a subscription without a name": (
        Outcome.CANCELLED,
        order(line(None, None, cancelled=True), subscription_id=SUBSCRIPTION),
        None,
        "The subscription is cancelled. Nothing is left to do.",
    ),
    "partially": (
        Outcome.PARTIALLY_CANCELLED,
        order(gone(0, "Visio"), licence(1), line(2, "Project")),
        {0},
        f"Visio is cancelled. Other products of the order are not cancelled: {E3} and Project.",
    ),
    "already cancelled": (
        Outcome.ALREADY_CANCELLED,
        order(gone()),
        None,
        "Visio Plan 2 is cancelled already. Nothing was left to do.",
    ),
    "pending": (
        Outcome.PENDING,
        order(gone(0, "Visio"), licence(1)),
        None,
        (
            f"Visio is cancelled. Partner Center has accepted the cancellation of {E3}, and does not show it yet."
            " Nothing is to be done now; look in Partner Center later, or send the request again: a repeat is safe."
        ),
    ),
    "pending, not asked for all": (
        Outcome.PENDING,
        order(line(0, "Visio"), line(1, "Project")),
        {1},
        (
            "Partner Center has accepted the cancellation of Project, and does not show it yet."
            " Nothing is to be done now; look in Partner Center later, or send the request again: a repeat is safe."
        ),
    ),
    "pending, end of the term": (
        Outcome.PENDING,
        order(licence(0, ends_at_term=True), licence(1, "Visio", ends_at_term=False), when="term_end"),
        None,
        (
            "Partner Center has accepted the request not to renew Visio (25 licences), and does not show it yet."
            " Nothing is to be done now; look in Partner Center later, or send the request again: a repeat is safe."
        ),
    ),
    "scheduled": (
        Outcome.SCHEDULED,
        order(licence(None), when="term_end", subscription_id=SUBSCRIPTION),
        None,
        f"{E3} runs until 31 January 2027 and then ends; it does not renew. Nothing is left to do.",
    ),
    "scheduled, one day": (
        Outcome.SCHEDULED,
        order(licence(0), licence(1, "Visio", quantity=1), when="term_end"),
        None,
        f"{E3} and Visio run until 31 January 2027 and then end; they do not renew. Nothing is left to do.",
    ),
    "scheduled, several days": (
        Outcome.SCHEDULED,
        order(licence(0), licence(1, "Visio", term_ends_on=MARCH), gone(2, "Project"), when="term_end"),
        None,
        (
            f"{E3} and Visio (25 licences) run to the end of their terms and then end; they do not renew. Project is"
            " cancelled. Nothing is left to do."
        ),
    ),
    "already scheduled": (
        Outcome.ALREADY_SCHEDULED,
        order(licence(term_ends_on=None), when="term_end"),
        None,
        f"{E3} runs to the end of its term and then ends; it does not renew. Nothing was left to do.",
    ),
    "dry run": (
        Outcome.DRY_RUN,
        order(
            licence(0, cancellable=True),
            line(1, "Visio", code="cancellation_window_passed", cancellable=False),
            line(2, "Project", cancellable=None),
            gone(3, "Office"),
            line(4, "Not asked for"),
        ),
        {0, 1, 2, 3},
        (
            "This was a trial run; nothing was changed. Office is cancelled already."
            f" By what Partner Center shows, {E3} would be cancelled."
            " Visio would not be cancelled: the time in which this can be cancelled has passed."
            " Nobody can tell beforehand whether Project would be cancelled."
        ),
    ),
    "dry run, all cancelled": (
        Outcome.DRY_RUN,
        order(gone()),
        None,
        "This was a trial run; nothing was changed. Visio Plan 2 is cancelled already.",
    ),
    "dry run, an order without lines": (
        Outcome.DRY_RUN,
        order(),
        None,
        "This was a trial run; nothing was changed. Nobody can tell beforehand whether the order would be cancelled.",
    ),
    "dry run, a cancelled order without lines": (
        Outcome.DRY_RUN,
        order(status="cancelled"),
        None,
        "This was a trial run; nothing was changed. The order is cancelled already.",
    ),
    "dry run, end of the term": (
        Outcome.DRY_RUN,
        order(
            licence(0, cancellable=True),
            licence(1, "Visio", ends_at_term=True, term_ends_on=MARCH, quantity=1),
            line(2, "Project", code="nothing_to_schedule", cancellable=False),
            when="term_end",
        ),
        None,
        (
            "This was a trial run; nothing was changed. Visio is set already to end with its term on 14 March 2027."
            f" By what Partner Center shows, {E3} would end with its term on 31 January 2027, and not renew."
            " Project would not be set to end with its term: there is no term to end with, or the renewal cannot be"
            " turned off here."
        ),
    ),
    "dry run, a code that is new": (
        Outcome.DRY_RUN,
        order(line(code="other", cancellable=False)),
        None,
        "This was a trial run; nothing was changed. Visio Plan 2 would not be cancelled: the request would be refused.",
    ),
}


@pytest.mark.parametrize(
    ("outcome", "state", "asked", "text"), [pytest.param(*row, id=name) for name, row in RESULTS.items()]
)
def test_an_outcome_is_said_in_sentences(
    outcome: Outcome, state: OrderState, asked: set[int] | None, text: str
) -> None:
    assert of_result(outcome, state, asked) == text
    assert OF_THE_INTERFACE.search(text) is None


def test_every_outcome_is_in_the_table() -> None:
    assert {outcome for outcome, *_ in RESULTS.values()} == set(Outcome), "add the new outcome to RESULTS"


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("when", ["now", "term_end"])
@pytest.mark.parametrize("lines", [[], [line(None, None)], [gone()], [licence(0), gone(1)]])
@pytest.mark.parametrize("asked", [None, {0}, {7}])
def test_an_answer_of_any_shape_has_sentences(
    outcome: Outcome, when: When, lines: list[LineItem], asked: set[int] | None
) -> None:
    text = of_result(outcome, order(*lines, when=when), asked)

    assert re.fullmatch(r"[A-Z0-9][^\n]*\.", text)
    assert "None" not in text
    assert len(text) < 400


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Visio\r\n\u2028 Plan\t2", "Visio Plan 2"),
        ("{{ticket.requester.email}}{% raw %}${x}", "((ticket.requester.email))(% raw %)$(x)"),
        ("<script>&<<ticket^id>>", "‹script›&‹‹ticket^id››"),
        ("[code]<b>x</b>[/code] [~admin]", "(code)‹b›x‹/b›(/code) (~admin)"),
        ("Visio \u202e2 nalP\u2066\u200b!", "Visio 2 nalP !"),
        ("Bearer eyJhbGciOi.eyJzdWIiOiI.c2ln Visio", "… Visio"),
        ("x" * 500, "x" * 79 + "…"),
        ("the best of all", "The best of all"),
    ],
)
def test_a_name_from_outside_can_do_no_harm_in_a_ticket(name: str, shown: str) -> None:
    """A product's name can come from any publisher of the marketplace."""
    text = of_result(Outcome.CANCELLED, order(gone(0, name)), None)

    assert text == f"{shown} is cancelled. Nothing is left to do."


@pytest.mark.parametrize(("name", "offer"), [(None, "CFQ7TTC0LH18:0001"), (" \n\u200b", "CFQ7TTC0LH18:0001")])
def test_a_product_without_a_name_is_called_by_its_offer(name: str | None, offer: str) -> None:
    text = of_result(Outcome.CANCELLED, order(line(0, name, offer_id=offer, cancelled=True)), None)

    assert text.startswith(f"{offer} is cancelled.")


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"quantity": 1}, "Microsoft 365 E3"),
        ({"quantity": 0}, "Microsoft 365 E3"),
        ({"quantity": None}, "Microsoft 365 E3"),
        ({"subscription_id": None}, "Microsoft 365 E3"),
        ({"quantity": 2}, "Microsoft 365 E3 (2 licences)"),
    ],
)
def test_licences_are_counted_if_there_are_several(members: dict[str, Any], name: str) -> None:
    text = of_result(Outcome.SCHEDULED, order(licence(**members), when="term_end"), None)

    assert text.startswith(f"{name} runs until")
