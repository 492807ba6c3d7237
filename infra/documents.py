"""The tables in docs/ that come from the code: `make docs` writes them between their markers.

A table stands between `<!-- NAME: written by `make docs` -->` and `<!-- end -->`.
tests/unit/test_documents.py compares each page with what this module makes.

`make docs` also runs tests/support/fault_matrix, which writes docs/when-things-break.md from what the tests expect,
and infra/openapi.py.
"""

import re
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from textwrap import wrap

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.openapi_texts import TextMissing, meaning_of
from shared.caller_settings import Caller, EntraCaller, KeyCaller, SigningCaller, Tell
from shared.errors import RETRYABLE_STATUSES, all_codes
from shared.replies import codes as codes_of_partner_center
from shared.settings import Account, Settings

DOCS = Path(__file__).resolve().parents[1] / "docs"
MARKED = re.compile(r"(<!-- (\w+): written by `make docs` -->\n).*?(<!-- end -->)", re.DOTALL)
COLUMNS = 120
BOUNDS = {"gt": "more than", "ge": "at least", "le": "at most"}

# The callers by the ways to prove themselves.
CALLERS: dict[str, type[Caller]] = {
    "`key`": KeyCaller,
    "`zendesk`, `standard-webhooks`": SigningCaller,
    "`entra`": EntraCaller,
}


def errors() -> Iterator[str]:
    """Yield the problem codes with their meanings, under their statuses.

    A list and no table: the meanings are sentences, and a table's row cannot be broken into lines.
    """
    codes = sorted(all_codes(), key=lambda code_and_status: code_and_status[1])
    for status, group in groupby(codes, key=lambda code_and_status: code_and_status[1]):
        yield f"**{status}** ({'repeat' if status in RETRYABLE_STATUSES else 'do not repeat'})"
        yield ""
        for code, _ in group:
            yield from wrap(f"- `{code}`: {meaning_of(code)}", COLUMNS, subsequent_indent="  ", break_on_hyphens=False)
        yield ""


def refusals() -> Iterator[str]:
    """Yield the table of Partner Center's codes, by the problem code that they become."""
    yield "| Partner Center's code | its meaning | answered as |"
    yield "|---|---|---|"
    for number, code in codes_of_partner_center.CODES.items():
        yield f"| {number} | {code.meaning} | `{code.answer_class.code}` |"


def settings() -> Iterator[str]:
    """Yield the table of the environment variables."""
    yield "| setting | if left out | meaning |"
    yield "|---|---|---|"
    for field in _described(Settings):
        yield f"| `{field.alias}` | {_if_left_out(field)} | {field.description} |"


def account() -> Iterator[str]:
    """Yield the table of an account's members."""
    yield "| member | if left out | meaning |"
    yield "|---|---|---|"
    for field in _described(Account):
        yield f"| `{field.alias}` | {_if_left_out(field)} | {field.description} |"


def callers() -> Iterator[str]:
    """Yield the table of a caller's members: the members of every caller, then the members of each proof."""
    yield "| member | of | if left out | meaning |"
    yield "|---|---|---|---|"
    everyone = [KeyCaller.model_fields["proof"], *_described(Caller)]
    known = {field.alias for field in everyone}
    rows = [("every caller", field) for field in everyone]
    for proofs, kind in CALLERS.items():
        rows += [(proofs, field) for field in _described(kind) if field.alias not in known]
    for proofs, field in rows:
        yield f"| `{field.alias}` | {proofs} | {_if_left_out(field)} | {field.description} |"


def tell() -> Iterator[str]:
    """Yield the table of the members of `tell`."""
    yield "| member | if left out | meaning |"
    yield "|---|---|---|"
    for field in _described(Tell):
        yield f"| `{field.alias}` | {_if_left_out(field)} | {field.description} |"


def _described(model: type[BaseModel]) -> list[FieldInfo]:
    for name, field in model.model_fields.items():
        if not field.description:
            raise TextMissing(f"{model.__name__}.{name} has no description.")
    return list(model.model_fields.values())


def _if_left_out(field: FieldInfo) -> str:
    """Return what counts without a value: `required`, the default with its bounds, or a dash."""
    if field.is_required():
        return "**required**"
    if isinstance(field.default, bool) or not isinstance(field.default, int | float):
        return "–"
    bounds = [
        f"{bound} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, bound in BOUNDS.items()
        if hasattr(rule, name)
    ]
    return f"{field.default:g} ({', '.join(bounds)})" if bounds else f"{field.default:g}"


# By page, the tables in it.
PAGES: dict[str, dict[str, Callable[[], Iterator[str]]]] = {
    "interface.md": {"errors": errors},
    "partner-center-codes.md": {"refusals": refusals},
    "settings.md": {"settings": settings, "account": account, "callers": callers, "tell": tell},
}


def page(name: str) -> str:
    """Return the page *name* with its tables as the code has them now. Raises TextMissing."""
    tables = PAGES[name]

    def filled(marked: re.Match[str]) -> str:
        opening, table, closing = marked.groups()
        return opening + "".join(f"{row}\n" for row in tables[table]()) + closing

    return MARKED.sub(filled, (DOCS / name).read_text())


def main() -> int:
    """Write the pages; return 1 if the code has something that no text explains."""
    try:
        pages = {name: page(name) for name in PAGES}
    except TextMissing as missing:
        print(f"{missing} Add it, then run `make docs` again.", file=sys.stderr)
        return 1
    for name, text in pages.items():
        (DOCS / name).write_text(text)
        print(DOCS / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
