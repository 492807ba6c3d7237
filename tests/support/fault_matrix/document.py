"""The tables of docs/when-things-break.md, made from the expectations that the tests prove."""

import textwrap
from collections.abc import Iterator

from tests.support.fault_matrix.expected import EXPECTED, Expected, Result
from tests.support.fault_matrix.faults import ALL_FAULTS, CREDENTIAL_STEPS, LASTING_FAULTS, SUBSCRIPTION_STEPS, Step
from tests.support.fault_matrix.finding_document import chapter as finding_chapter
from tests.support.fault_matrix.telling_document import chapter as telling_chapter
from tests.support.fault_matrix.wrapped import COLUMNS, wrapped
from tests.support.local_cloud import ROOT

PAGE = ROOT / "docs/when-things-break.md"
COMMAND = "make docs"
SOURCE = "tests/support/fault_matrix"
BEGIN, END = f"<!-- tables: written by `{COMMAND}` from {SOURCE} -->\n", "<!-- end of the tables -->\n"

DEADLINE = (
    "(1) 4 s at the requests for subscriptions: the PATCH of a subscription never begins with less than 2 s left."
)
STEPS = {
    Step.IDENTITY: "The function asks its managed identity for a token for Key Vault.",
    Step.KEY_VAULT: "The function reads the account's client secret.",
    Step.DISCOVERY: "The function asks Entra ID where it gives out tokens.",
    Step.TOKEN: "The function asks Entra ID for a token for Partner Center.",
    Step.PATCH: "The function asks Partner Center to cancel a whole order.",
    Step.PATCH_OF_CANCELLED: (
        "The function asks Partner Center to cancel an order that is cancelled already. If the answer to the first"
        " PATCH is lost or proves nothing, as 408 and 5xx, the function cannot know whether this PATCH or an earlier"
        " call cancelled the order. It then answers `cancelled`, not `already_cancelled`."
    ),
    Step.GET_BEFORE_LINES: "The caller wants one line cancelled. The function reads the order before it changes it.",
    Step.GET_AFTER_REFUSAL: (
        "Partner Center refused the PATCH of an order that is cancelled already."
        " The function reads the order to learn why."
    ),
    Step.GET_AFTER_LOST_PATCH: (
        "The connection broke after a PATCH, and Partner Center refused its repeat."
        " The function reads the order to learn whether the first PATCH cancelled it."
    ),
    Step.GET_AFTER_UNREADABLE: (
        "Partner Center accepted the PATCH, and its answer is not JSON."
        " The function reads the order to learn whether it is cancelled."
    ),
    Step.GET_SUBSCRIPTION: (
        "The caller names a subscription, or an order of licences. The function reads the subscription before it"
        " changes it."
    ),
    Step.LIST_SUBSCRIPTIONS: (
        "The caller names an order of licences, whose lines do not say which subscriptions they began. The function"
        " asks for the list of the order's subscriptions."
    ),
    Step.PATCH_SUBSCRIPTION: (
        "The function asks Partner Center to cancel a subscription. If the answer is lost, or says that something else"
        " changes the subscription, the function reads it again before it sends another PATCH, at most four in one"
        " call."
    ),
    Step.LOOK_AFTER_UNREADABLE: (
        "Partner Center accepted the PATCH of a subscription, and its answer is not JSON."
        " The function reads the subscription to learn whether it is cancelled."
    ),
    Step.LOOK_AFTER_REFUSAL: (
        "Somebody else cancelled the subscription just before the PATCH, which Partner Center refused."
        " The function reads the subscription to learn why."
    ),
    Step.PATCH_TERM_END: (
        "The caller asks for `when: term_end`. The function asks Partner Center to end a subscription with its term,"
        " and then looks at it. A repeat says `already_scheduled`."
    ),
    Step.LOOK_AT_TERM_END: (
        "Partner Center accepted that PATCH. The function reads the subscription, because only this shows that it ends"
        " with its term."
    ),
}
CHAPTERS = (
    (
        "Faults while the function gets a token",
        (
            "In these tests the function held no token and needed each of these requests. While it holds a token, which"
            " is valid for about an hour, it sends none of them, and such a fault changes no answer. A refused"
            " connection, an unknown host and a false certificate are in one table only, that of the first request to"
            " Entra ID: the function never comes to the token request then. For the managed identity and Key Vault,"
            " which all accounts share, these tests do not cause them."
        ),
        [step for step in Step if step in CREDENTIAL_STEPS],
    ),
    (
        "Faults of Partner Center",
        "In these tests the function had no trouble with its token.",
        [step for step in Step if step not in CREDENTIAL_STEPS | SUBSCRIPTION_STEPS],
    ),
    (
        "Faults of Partner Center, for subscriptions",
        (
            "In these tests the function had no trouble with its token. The answers are the same whether the caller"
            " names the order or the subscription. At the end of a term not all faults are caused, because the same"
            " code sends these requests."
        ),
        [step for step in Step if step in SUBSCRIPTION_STEPS],
    ),
)


def tables() -> str:
    """Return the tables in Markdown: the faults, then the answers of each step."""
    return "\n".join(_lines()) + "\n"


def page_with_tables(page: str) -> str:
    """Return *page* with the tables between its two markers replaced by those of today."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def _lines() -> Iterator[str]:
    yield "## The faults"
    yield ""
    yield "| fault | effect |"
    yield "|---|---|"
    for name, fault in (LASTING_FAULTS | ALL_FAULTS).items():
        yield f"| {name} | {fault.effect} |"
    yield ""
    yield from textwrap.wrap(DEADLINE, COLUMNS)
    for title, remark, steps in CHAPTERS:
        yield ""
        yield f"## {title}"
        yield ""
        yield from textwrap.wrap(remark, COLUMNS)
        for step in steps:
            yield from _section(step)
    yield ""
    yield from finding_chapter()
    yield ""
    yield from telling_chapter()


def _section(step: Step) -> Iterator[str]:
    by_answer: dict[Expected, list[str]] = {}
    for fault, expected in EXPECTED[step].items():
        by_answer.setdefault(expected, []).append(fault)
    yield ""
    yield f"### {step[0].upper()}{step[1:]}"
    yield ""
    yield from textwrap.wrap(STEPS[step], COLUMNS)
    yield ""
    yield "| fault | the first request fails | the first two fail |"
    yield "|---|---|---|"
    for expected, faults in by_answer.items():
        first, first_two = map(_cell, expected)
        answers = f" | {first} | {'the same' if first_two == first else first_two} |"
        yield from (f"| {names}{answers}" for names in wrapped(faults, COLUMNS - len("| " + answers)))


def _cell(results: frozenset[Result]) -> str:
    return " or ".join(f"`{result}`" for result in sorted(results))
