"""What is known of one call while it runs: its ids, its deadline, and whether a PATCH may have arrived.

The one mutable thing of a request, made by the entry and handed down; the audit record is read off it.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.contract import CancelRequest
from shared.errors import CancelError, OurFault, OutcomeUnknown, Unavailable

UNKNOWN = (
    "The request may have reached Partner Center, and no answer tells what became of it. Ask again with the same"
    " body: a repeat is safe, and finds out."
)


@dataclass(frozen=True)
class Target:
    """What a call is about: the order, and the account it is reached through."""

    account: str
    tenant_id: str
    api_root: str
    request: CancelRequest
    dry_run: bool


@dataclass
class Call:
    """One call of ours. *started_at* is on the monotonic clock; *allowed_s* is 0 until the settings are read.

    *request_id* is the PATCH's MS-RequestId, the same over its repeats. It is never carried into
    another call, or an old refusal that Partner Center replays would come back for ever.
    """

    correlation_id: str
    headers: Mapping[str, str] = field(repr=False)  # keys and signatures too
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started_at: float = field(default_factory=time.monotonic)
    allowed_s: float = 0.0
    caller: str | None = None
    target: Target | None = None
    announced: bool = False  # the audit record "sending" is out
    patch_sent: bool = False  # the first byte of a PATCH's body has left
    patch_lost: bool = False  # an attempt of it ended without an answer that accounts for it
    attempts: int = 0
    token_s: float = 0.0
    partner_center_s: float = 0.0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started_at

    @property
    def remaining_s(self) -> float:
        """The seconds left of the deadline; negative once it has passed."""
        return self.allowed_s - self.elapsed_s

    def interrupted(self, *, by_host: bool) -> CancelError:
        """Return how to report that the host gave up on this call, or a bug of ours ended it."""
        if self.patch_sent:
            return OutcomeUnknown("outcome_unknown", UNKNOWN)
        if by_host:
            return Unavailable(
                "partner_center_unavailable", "The call was interrupted. Nothing was changed; ask again."
            )
        return OurFault("internal_error", "A fault of ours; nothing was changed. Report the correlationId.")
