"""The note in a ticket: a sentence for people, ids, and the note's own id, by which it is written at most once.

No I/O. The last line is the marker. Only markers in private notes count: a customer can write into a ticket, too.
"""

import html
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

# The ids in a note, as people know them.
_LABELS = {
    "orderId": "order",
    "subscriptionId": "subscription",
    "customerTenantId": "customer",
    "correlationId": "correlation id",
}
OPEN, STILL_OPEN = "open", "still_open"  # states of notes
DRY_RUN = "dry_run"  # how the state of a dry run's note begins
RESOLUTION_S = 0.001  # of the times in markers
_MARKER = re.compile(
    r"\[cancel-order ([0-9a-f]{16}) ([a-z_]+(?::[a-z0-9_]+)?) "
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)\]"
)


class Marker(NamedTuple):
    """The id of a note: what it is about, what it says, and when that was decided (seconds since 1970)."""

    key: str
    state: str
    decided_at: float

    @property
    def is_dry_run(self) -> bool:
        return self.state.partition(":")[0] == DRY_RUN

    @property
    def text(self) -> str:
        time = datetime.fromtimestamp(self.decided_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"[cancel-order {self.key} {self.state} {time}]"


class Note(NamedTuple):
    """A note in plain text.

    *sentence* is for people. *members* are the ids of the request and what a program wants to know, by their names
    in the interface.
    """

    marker: Marker
    sentence: str
    members: Mapping[str, Any]

    @property
    def lines(self) -> list[str]:
        named = ((label, self.members.get(name)) for name, label in _LABELS.items())
        ids = ", ".join(f"{label} {value}" for label, value in named if value is not None)
        return [self.sentence, f"{ids[:1].upper()}{ids[1:]}.", self.marker.text]

    @property
    def html(self) -> str:
        """The note in HTML, for systems that take it."""
        return "".join(f"<p>{html.escape(line)}</p>" for line in self.lines)


def markers_in(text: str) -> list[Marker]:
    """Return the markers in *text*, in which a system may have changed what is around them."""
    found = []
    for key, state, time in _MARKER.findall(text):
        try:
            found.append(Marker(key, state, datetime.fromisoformat(time).timestamp()))
        except ValueError:
            continue
    return found


def is_outdated(marker: Marker, written: Collection[Marker], now: float) -> bool:
    """True if a note about the same thing was decided later. *written* are the markers of the ticket's notes.

    A dry run decides nothing about a real request. A marker with a time after *now* (seconds since 1970) is not ours.
    """
    return any(
        marker.decided_at < other.decided_at <= now and (marker.is_dry_run or not other.is_dry_run)
        for other in written
        if other.key == marker.key
    )


def is_needed(marker: Marker, written: Collection[Marker], now: float) -> bool:
    """True if a note with *marker* says something new: it is not outdated, and the newest note before says other.

    Notes of one decision have one time, so there can be several newest; of these "still_open" is the last.
    """
    same = [other for other in written if other.key == marker.key and other.decided_at <= marker.decided_at]
    newest_at = max((other.decided_at for other in same), default=marker.decided_at)
    newest = {other.state for other in same if other.decided_at == newest_at}
    if STILL_OPEN in newest and marker.decided_at - newest_at >= RESOLUTION_S:
        newest.discard(OPEN)  # of another request
    return marker.state not in newest and not is_outdated(marker, written, now)
