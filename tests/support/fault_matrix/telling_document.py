"""The chapter of docs/when-things-break.md about telling tickets, made from telling.py."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from tests.support.fault_matrix.telling import (
    FOLLOW_UPS,
    LOOK,
    OF_OTHERS,
    OF_ZENDESK,
    QUEUE,
    TICKETING,
    TOKEN,
    VAULT,
    End,
    Row,
)
from tests.support.fault_matrix.wrapped import COLUMNS, wrapped

INTRODUCTION = """\
The result of a request waits as a follow-up in the queue `follow-up`. Each minute the function takes what is due, looks
at the order or the subscription, reads the notes of the ticket, and writes its own. The tests cause each of these
faults, look into the ticket and into both queues, and end the fault. Then each ticket is told exactly once, with one
exception: a webhook's receiver that says yes and does nothing."""
WORDS = (
    "**told**: the ticket has its note, and the follow-up is gone.",
    "**again after 1 min**: the ticket has no note yet; the follow-up shows again after that time.",
    (
        "**told, seen after 1 min**: the ticket has its note, and the function does not know it. The follow-up shows"
        " again; the note is found then, and not repeated."
    ),
    "**run fails**: the host logs a failed run. The follow-up stays as it is, unless a time says when it shows again.",
    (
        "**`a_reason`**: the ticket has no note. The follow-up is in the queue `follow-up-poison` with this reason, and"
        " the audit record has an event `poisoned`. It can be put back as it is."
    ),
    "**nothing**: the follow-up is gone, and the ticket has no note.",
)
SYSTEM = """\
A pause that the system asks for counts from 1 second to 1 hour. Without one, the pauses are 1, 5 and 30 minutes, then
2 and 6 hours; the table shows the first. The answer to a webhook needs no body."""
AGAINST_REPEATS = """\
Zendesk renews a token once that it refuses, and the function reads a ticket again that somebody else has changed (409),
three times in all. A replaced secret is in the table of Key Vault."""
TOKEN_REMARK = "The function asks Zendesk for a token with the OAuth client's secret."
VAULT_REMARK = """\
The function reads the credential of the ticketing system, and keeps it for 15 minutes. While Key Vault fails, a
credential that is kept serves on. After a refusal a secret that is older than half a minute is read again."""
LOOK_REMARK = """\
The worker ended before it knew what became of the request, and the order is cancelled. While no look shows that, the
looks follow after 2, 5 and 15 minutes, then after 1, 6 and 24 hours. With the fourth look the ticket is told that the
end is open, and with the last that it still is. A request that was refused is told without a look."""
QUEUE_REMARK = """\
A follow-up that a run takes is hidden from other runs for 5 minutes. It shows again after that time if the run cannot
delete or change it."""
FOLLOW_UP_REMARK = """\
A follow-up can be older than the settings, or somebody else's who can write into the queue. Each is checked as if an
attacker wrote it."""


def chapter() -> Iterator[str]:
    """Yield the lines of the chapter."""
    yield "## When a ticket is told"
    yield ""
    yield from _paragraph(INTRODUCTION)
    yield ""
    for meaning in WORDS:
        yield from textwrap.wrap(meaning, COLUMNS, initial_indent="- ", subsequent_indent="  ")
    yield from _section("The ticketing system", SYSTEM)
    yield from _table(("reading the notes", "writing the note", "sending a webhook"), _three(TICKETING))
    yield ""
    yield from _paragraph(AGAINST_REPEATS)
    yield ""
    at_some = {("Zendesk", name): row for name, row in OF_ZENDESK.items()}
    at_some |= {("any other", name): row for name, row in OF_OTHERS.items()}
    columns = ("reading the notes", "writing the note or sending a webhook")
    yield from _tables("system", columns, {name: (row.reading, row.writing) for name, row in at_some.items()})
    yield from _section("Zendesk's tokens", TOKEN_REMARK)
    yield from _table(("then",), {name: (end,) for name, (_, end) in TOKEN.items()})
    yield from _section("Key Vault, for tickets", VAULT_REMARK)
    yield from _table(("then",), {name: (end,) for name, end in VAULT.items()})
    yield from _section("The look", LOOK_REMARK)
    yield from _tables("service", ("then",), {name: (end,) for name, (_, end) in LOOK.items()})
    yield from _section("The queue", QUEUE_REMARK)
    yield from _tables("request", ("then",), {name: (row.end,) for name, row in QUEUE.items()})
    yield from _section("The follow-up itself", FOLLOW_UP_REMARK)
    yield from _table(("then",), {name: (end,) for name, end in FOLLOW_UPS.items()})


def _three(table: Mapping[str, Row]) -> dict[str, tuple[End | None, ...]]:
    return {name: (row.reading, row.writing, row.webhook or row.writing) for name, row in table.items()}


def _section(title: str, remark: str) -> Iterator[str]:
    yield from ("", f"### {title}", "")
    yield from _paragraph(remark)
    yield ""


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text.replace("\n", " "), COLUMNS)


type Ends = tuple[End | None, ...]


def _table(columns: Sequence[str], ends_by_fault: Mapping[str, Ends]) -> Iterator[str]:
    yield f"| fault | {' | '.join(columns)} |"
    yield f"|---{'|---' * len(columns)}|"
    yield from _rows("|", ends_by_fault)


def _tables(title: str, columns: Sequence[str], ends: Mapping[tuple[str, str], Ends]) -> Iterator[str]:
    """Yield one table, whose first column groups the faults; its heading is *title*."""
    yield f"| {title} | fault | {' | '.join(columns)} |"
    yield f"|---|---{'|---' * len(columns)}|"
    for group in dict.fromkeys(group for group, _ in ends):
        yield from _rows(f"| {group} |", {fault: end for (name, fault), end in ends.items() if name == group})


def _rows(begin: str, ends_by_fault: Mapping[str, Ends]) -> Iterator[str]:
    by_ends: dict[Ends, list[str]] = {}
    for fault, ends in ends_by_fault.items():
        by_ends.setdefault(ends, []).append(fault)
    for ends, faults in by_ends.items():
        cells = f" | {' | '.join(map(_cell, ends))} |"
        yield from (f"{begin} {names}{cells}" for names in wrapped(faults, COLUMNS - len(f"{begin} {cells}")))


def _cell(end: End | None) -> str:
    if end is None:
        return ""
    if end == End():
        return "nothing"
    time = _time(end.again_s) if end.again_s else ""
    if end.reason:
        return f"`{end.reason}`" + (f", and again after {time}" if time else "")
    if end.has_note:
        return f"told, seen after {time}" if time else "told"
    if end.run_fails:
        return f"run fails; again after {time}" if time else "run fails"
    return f"again after {time}"


def _time(seconds: int) -> str:
    if seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
