"""The message that follows a request up, its schedule, and whether a look shows that the request is done.

No I/O, clock or randomness. A message is read as if an attacker wrote it: a person who can write into the queue can
have a note in our own words put on a ticket of that caller's system, and no more. So a message has no address, no
secret and no free text, its request goes through the request model again, and *cancelled* is told only from a look of
our own.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from shared import strict_json
from shared.contract import CancelRequest, LineItem, OrderState
from shared.errors import all_codes
from shared.ids import GUID
from shared.setting_types import Name

SENDER_REPEATS_S = 900.0  # the sender has this time to repeat a request that changed nothing, before its ticket is told
TELL_AGAIN_S = (60.0, 300.0, 1_800.0, 7_200.0, 21_600.0)  # pauses after failures of the ticketing system
TOLD_WITHIN_S = 86_400.0  # a ticketing system that fails is given up after a day, and all of TELL_AGAIN_S
MOST_FAILURES = 1_000  # the counter of failures stops here
LONGEST_PAUSE_S = 3_600.0  # a ticketing system that asks for a longer pause is tried after this one
CLOCKS_DIFFER_S = 300.0  # the clocks of two instances differ by less


class OpenStep(NamedTuple):
    """The step after a look that does not show how the request ended.

    *next_look_s*: the seconds until the next look, None after the last. *state*: of the note that is written now, None
    for no note.
    """

    next_look_s: float | None
    state: str | None = None


# By the number of looks before this one.
OPEN_STEPS = (
    *(OpenStep(120.0), OpenStep(300.0), OpenStep(900.0)),
    *(OpenStep(3_600.0, "open"), OpenStep(21_600.0), OpenStep(86_400.0)),
    OpenStep(None, "still_open"),
)
LOOKS_BEFORE_NOTE = 3

type Done = Literal["cancelled", "scheduled"]


def _known_code(code: str) -> str:
    if code not in dict(all_codes()):
        raise ValueError("is no code of ours")
    return code


class FollowUp(BaseModel):
    """A message of the queue `follow-up`.

    Attributes:
        caller: its name in CALLERS.
        ticket_id: the ticket's id in the caller's system.
        request: what was asked for, without its reason; None if its mistakes were refused. Its *dry_run* is true
            for an account that only makes dry runs, too.
        code: of the problem with which the request was refused for good; None if it was not, or is not decided.
        decided_at: seconds since 1970; of an intent, when it was made.
        correlation_id: of the request.
        looks: the number of looks so far, none of which showed how the request ended.
        failures: the number of failures of the ticketing system since its last success.
        reason: why the ticket cannot be told, in the queue `follow-up-poison`; None in the queue `follow-up`.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, defer_build=True
    )

    caller: Name
    ticket_id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    request: CancelRequest | None
    code: Annotated[str, AfterValidator(_known_code)] | None
    decided_at: float = Field(ge=0, allow_inf_nan=False)
    correlation_id: Annotated[str, StringConstraints(pattern=GUID)]
    looks: int = Field(0, ge=0, lt=len(OPEN_STEPS))
    failures: int = Field(0, ge=0, le=MOST_FAILURES)
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")] | None = None

    def text(self) -> bytes:
        """Return the message's text, JSON in UTF-8."""
        members = self.model_dump(by_alias=True, exclude={"request"})
        if self.request:
            # Unset members stay out: some of them may not be null.
            given = {"exclude_unset": True, "exclude": {"reason", "customer_domain"}}
            members["request"] = self.request.model_dump(by_alias=True, **given)  # type: ignore[arg-type]
        else:
            members["request"] = None
        return json.dumps(members, separators=(",", ":")).encode()

    @classmethod
    def read(cls, text: bytes, now: float) -> Self | None:
        """Return the follow-up in *text*; None if *text* is none, or was decided in the future.

        *now* is in seconds since 1970. A note with a time in the future would keep later, true notes away.
        """
        try:
            read = cls.model_validate(strict_json.loads(text.decode()))
        except (ValidationError, ValueError, RecursionError):
            return None
        request = read.request
        is_empty = request is None and read.code is None
        # The function puts neither: free text stays out, and a domain was resolved before.
        is_foreign = request is not None and (request.reason is not None or request.customer_domain is not None)
        if is_empty or is_foreign or read.decided_at > now + CLOCKS_DIFFER_S:
            return None
        return read.model_copy(update={"decided_at": min(read.decided_at, now)})

    @property
    def key(self) -> str:
        """The same for all notes about one thing: a hash of caller, ticket, target, lines and when."""
        request = self.request
        target = request and [
            request.account,
            request.customer_tenant_id,
            request.order_id,
            request.subscription_id and request.subscription_id.lower(),
            request.line_numbers and sorted(request.line_numbers),
            request.when,
        ]
        identity = json.dumps([self.caller, self.ticket_id, target])
        return hashlib.sha256(identity.encode()).hexdigest()[:16]

    @property
    def is_dry_run(self) -> bool:
        return self.request is not None and self.request.dry_run

    def pause_s(self, asked_s: float | None, now: float) -> float | None:
        """Return the seconds until a ticketing system that failed is tried again; None to give it up.

        *asked_s* is the pause that it asked for, None if it did not.
        """
        is_over = self.failures >= len(TELL_AGAIN_S) and now - self.decided_at > TOLD_WITHIN_S
        if is_over:
            return None
        if asked_s is not None:
            return min(max(asked_s, 1.0), LONGEST_PAUSE_S)
        return TELL_AGAIN_S[min(self.failures, len(TELL_AGAIN_S) - 1)]


def lines_asked_for(request: CancelRequest, order: OrderState) -> Sequence[LineItem]:
    """Return the lines of *order* that *request* asks for."""
    numbers = request.line_numbers
    if numbers is None:
        return order.line_items
    return [line for line in order.line_items if line.line_item_number in numbers]


def done(request: CancelRequest, order: OrderState) -> Done | None:
    """Return how *request* is done, as *order* shows it; None if it is not done."""
    lines = lines_asked_for(request, order)
    if request.line_items is not None and len(lines) < len(request.line_items):
        return None
    if not lines:
        return "cancelled" if order.status == "cancelled" else None
    if all(line.cancelled for line in lines):
        return "cancelled"
    is_scheduled = request.when == "term_end" and all(line.cancelled or line.ends_at_term for line in lines)
    return "scheduled" if is_scheduled else None
