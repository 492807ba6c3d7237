"""Holds the facts of one call while it runs: its ids, its deadline, and whether a PATCH may have arrived.

The entry makes one `Call` for each request and passes it down. It is the only mutable state of a request;
the audit record is written from it.
"""

import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from shared.contract import CancelRequest, CancelResult, OrderState
from shared.errors import CancelError, OurFault, OutcomeUnknown, Unavailable

UNKNOWN = (
    "It may have been done: no answer of Partner Center shows what happened. Send the same request again: a repeat is"
    " safe, and its answer says what happened."
)


@dataclass(frozen=True)
class Target:
    """The order or subscription that a call is about, and the account through which it is reached.

    Attributes:
        account: the account's name in the settings.
        tenant_id: the partner's tenant.
        api_root: the URL of Partner Center's API, without the version.
        request: the caller's request. Where it names a domain, the tenant is added once Entra ID has named it.
        dry_run: nothing may be changed, because the caller or the account's mode says so.
        may_cancel_subscriptions: the account and the caller allow it.
        is_sandbox: the account is an integration sandbox, by its settings.
    """

    account: str
    tenant_id: str
    api_root: str
    request: CancelRequest
    dry_run: bool
    may_cancel_subscriptions: bool = False
    is_sandbox: bool = False

    @property
    def customer_tenant_id(self) -> str:
        return self.request.customer_tenant_id or ""


@dataclass
class Patch:
    """One PATCH of a call, with its repeats: the same bytes to the same order or subscription.

    Attributes:
        request_id: its MS-RequestId; a repeat with a new token has another.
        subscription_id: the subscription that it changes; None for the order.
        sent: requests of which at least the first byte of the body has left.
        unaccounted: those of them without an answer that shows whether they changed anything.
        code: the code of the error with which it ended; None if it was accepted, or has not ended.
        replaced: what it takes out of the subscription, as JSON text; None if that is nothing.
    """

    request_id: str
    subscription_id: str | None = None
    sent: int = 0
    unaccounted: int = 0
    code: str | None = None
    replaced: str | None = None


@dataclass
class Call:
    """One call to this function.

    Attributes:
        correlation_id: the trace id as a GUID; MS-CorrelationId of every request to Partner Center.
        headers: the caller's headers, with names in lower case.
        request_id: MS-RequestId of the first PATCH and of its repeats. Each call has its own: Partner Center may
            replay an old refusal to a known id.
        started_at: seconds on the monotonic clock.
        allowed_s: seconds from start to deadline; 0 until the settings are read.
        applied_wait_s: the seconds of its `Prefer: wait` that were applied; None if it has none.
        caller: the caller's name in CALLERS; None before it is identified, or if callers are not set up.
        target: the order or subscription and its account; None until the request is read.
        patches: the PATCH requests, in the order in which they began.
        order: the order as it was read, for the answer to a call that fails; None if it was not read, or if a PATCH
            may have changed it since.
        attempts: requests to Partner Center that have ended.
        token_s: seconds spent waiting for a token.
        partner_center_s: seconds spent waiting for Partner Center.
        on_first_patch: called when the first byte of its first PATCH leaves.
        on_end: called with the end of the call, before the answer; it never raises.
    """

    correlation_id: str
    headers: Mapping[str, str] = field(repr=False)  # they hold keys and signatures
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started_at: float = field(default_factory=time.monotonic)
    allowed_s: float = 0.0
    applied_wait_s: int | None = None
    caller: str | None = None
    target: Target | None = None
    patches: list[Patch] = field(default_factory=list)
    order: OrderState | None = None
    attempts: int = 0
    token_s: float = 0.0
    partner_center_s: float = 0.0
    on_first_patch: Callable[[], None] | None = None
    on_end: Callable[[CancelResult | CancelError], Awaitable[None]] | None = None

    @property
    def patches_sent(self) -> int:
        """The PATCH requests of which at least the first byte of the body has left."""
        return sum(patch.sent for patch in self.patches)

    def new_patch(self, subscription_id: str | None = None) -> Patch:
        """Return a new PATCH of this call. The first one has the call's own request id."""
        request_id = str(uuid.uuid4()) if self.patches else self.request_id
        self.patches.append(Patch(request_id, subscription_id))
        return self.patches[-1]

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started_at

    @property
    def remaining_s(self) -> float:
        """The seconds left of the deadline; negative once it has passed."""
        return self.allowed_s - self.elapsed_s

    def interrupted(self, *, by_host: bool) -> CancelError:
        """Return the error for a call that the host interrupted, or that ended with a bug of ours."""
        if self.patches_sent:
            return OutcomeUnknown("outcome_unknown", UNKNOWN)
        if by_host:
            return Unavailable(
                "partner_center_unavailable", "The call was interrupted. Nothing was changed; send the request again."
            )
        return OurFault(
            "internal_error", "The function has a fault; nothing was changed. Give the operator the correlationId."
        )
