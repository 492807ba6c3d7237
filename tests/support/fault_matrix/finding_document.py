"""The chapter of docs/when-things-break.md about finding orders, made from finding.py."""

import textwrap
from collections.abc import Iterator

from tests.support.fault_matrix.finding import EXPECTED, FOUND, IN_PART, Ends, FindStep
from tests.support.fault_matrix.wrapped import COLUMNS, wrapped

INTRODUCTION = """\
`find_orders` reads two lists, page by page. In these tests it held a token; the faults of the requests for one are
those of cancelling. The tests cause each fault at the request for a domain, and at a later page of each list. 10 MB
stand for 100 MB."""
WORDS = (
    "**found**: 200, with everything that was asked for.",
    "**in part**: 200 with `more: true`, and what was read until then. If that is nothing, the answer is a problem.",
)
REMARKS = {
    FindStep.DOMAIN: "The caller names a domain, here or to cancel. A tenant that was found is kept for a day.",
    FindStep.ORDERS: "A page that cannot be read ends the call: a list with a gap would hide something.",
    FindStep.SUBSCRIPTIONS: "Lines whose subscriptions were not read have `cancellable: null`.",
}


def chapter() -> Iterator[str]:
    """Yield the lines of the chapter."""
    yield "## When orders are looked for"
    yield ""
    yield from textwrap.wrap(INTRODUCTION.replace("\n", " "), COLUMNS)
    yield ""
    for meaning in WORDS:
        yield from textwrap.wrap(meaning, COLUMNS, initial_indent="- ", subsequent_indent="  ")
    for step, expected in EXPECTED.items():
        yield from ("", f"### {step[0].upper()}{step[1:]}", "", REMARKS[step], "")
        yield "| fault | the first request fails | the first two fail |"
        yield "|---|---|---|"
        by_ends: dict[Ends, list[str]] = {}
        for fault, ends in expected.items():
            by_ends.setdefault(ends, []).append(fault)
        for ends, faults in by_ends.items():
            first_two = "the same" if ends.first_two == ends.first else _cell(ends.first_two)
            answers = f" | {_cell(ends.first)} | {first_two} |"
            yield from (f"| {names}{answers}" for names in wrapped(faults, COLUMNS - len("| " + answers)))


def _cell(end: str) -> str:
    return end if end in {FOUND, IN_PART} else f"`{end}`"
