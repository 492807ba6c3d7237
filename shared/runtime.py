"""Puts the parts together: what a worker keeps between calls, and the steps of one request.

There is one `Runtime` in a process. It is built on the first request and never closed, because the host ends
the process without a hook.
"""

import asyncio
import logging
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Self

from shared.call import Call, Target
from shared.caller_settings import AnyCaller, SigningCaller
from shared.callers.identify import identify, secrets_needed
from shared.callers.permissions import permit
from shared.callers.proofs import Proofs
from shared.cancelling.accepted import AcceptedPatches
from shared.cancelling.cancel import cancel
from shared.connections.pool import Connections
from shared.contract import CancelRequest, CancelResult, FindRequest, FindResult
from shared.credentials.cached_secrets import vault_secrets
from shared.credentials.tokens import Credentials
from shared.errors import CallerRefused, CancelError, InvalidRequest
from shared.http_request import check_size, parse_query, parse_request, preferred_wait_s
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.throttle import Gate
from shared.settings import Account, Mode, Settings
from shared.tls import check_authorities

if TYPE_CHECKING:
    from shared.credentials.health import Health
    from shared.customers import Customers
    from shared.tickets.follow_up import FollowUp
    from shared.tickets.tickets import Tickets

DEFAULT_ACCOUNT = "default"
DRY_RUN_HEADER = "x-dry-run"
LOOK_WITHIN_S = 30.0  # of a follow-up, for which nobody waits; an order can have many subscriptions

# Below WARNING these loggers write every request, some with headers and bodies.
for _name in ("azure", "httpcore", "httpx", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# These two write a token answer that they cannot read, token included, as a warning or an error. Our own
# errors say what they raise.
for _name in ("azure.identity", "msal"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class Runtime:
    """Holds one worker's settings, connections and tokens, and runs a request through its steps."""

    def __init__(self, settings: Settings) -> None:
        check_authorities(os.environ)  # before anything is sent
        self.settings = settings
        self._credentials = Credentials(settings)
        self._secrets = vault_secrets(settings)
        self._gates: defaultdict[tuple[str, str], Gate] = defaultdict(Gate)  # by api root and partner tenant
        self._connections = Connections()
        self._accepted_patches = AcceptedPatches()
        self._customers: Customers | None = None
        self._tickets = self._open_tickets()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._credentials.close()
        if self._tickets:
            self._tickets.close()
        self._secrets.close()
        await self._connections.aclose()

    async def cancel(self, body: bytes, call: Call) -> CancelResult:
        """Cancel the order that *body* names, if its caller is allowed to. Raises CancelError if that fails."""
        self._allow_time(call)
        check_size(body)
        call.caller = await self._identify_caller(body, call)
        follow_up = self._tickets.intent(call, body) if self._tickets else None
        if follow_up:
            call.on_end = follow_up.end
        request = parse_request(CancelRequest, body, call.headers)
        if DRY_RUN_HEADER in call.headers:  # with any value: its sender wants to be sure that nothing is changed
            request = request.model_copy(update={"dry_run": True})
        target = await self._target(request, call)
        if follow_up:
            follow_up.about(target)
            call.on_first_patch = follow_up.begin
        return await self._run(target, call)

    async def find(self, query: Mapping[str, str], call: Call) -> FindResult:
        """Return the orders of the customer that *query* names, if its caller may see them. Raises CancelError."""
        from shared.finding.find import find  # noqa: PLC0415  (a cancellation needs nothing of it, and starts faster)

        self._allow_time(call)
        call.caller = await self._identify_caller(b"", call)
        if isinstance(self._caller(call), SigningCaller):
            raise CallerRefused(
                "caller_not_allowed",
                "The signature of this caller does not cover a query, so it may not look for orders. Use a caller with"
                " a key of its own or with an Entra identity.",
            )
        request = parse_query(FindRequest, query)
        # Permissions and the client take a target: a dry run of a request that names nothing but the customer.
        looks_at = CancelRequest.model_construct(
            customer_tenant_id=request.customer_tenant_id,
            customer_domain=request.customer_domain,
            subscription_id=None,
            order_id=None,
            account=request.account,
            dry_run=True,
        )
        target = await self._target(looks_at, call)
        return await find(request, target, call, self._client(target, call))

    async def tell_tickets(self) -> None:
        """Tell the tickets whose follow-ups are due. Raises QueueFailed if the queue cannot be used."""
        if self._tickets:
            await self._tickets.tell(self._look)

    async def health(self) -> "Health":
        """Check whether each account's credential works, and whether tickets can be told. Nothing is cancelled."""
        from shared.credentials.health import check  # noqa: PLC0415  (a cancellation needs nothing of it)

        if self._tickets is None:
            return await check(self.settings, self._credentials)
        health, callers = await asyncio.gather(check(self.settings, self._credentials), self._tickets.health())
        return health.model_copy(update={"callers": callers})

    def _allow_time(self, call: Call) -> None:
        """Set the deadline of *call*: the default, or that of `Prefer: wait`, from 1 s to CANCEL_MAX_WAIT_S."""
        call.allowed_s = self.settings.deadline_s
        wait_s = preferred_wait_s(call.headers.get("prefer"))
        if wait_s is not None:
            call.allowed_s = call.applied_wait_s = int(min(max(wait_s, 1), self.settings.max_wait_s))

    def _open_tickets(self) -> "Tickets | None":
        if not any(caller.tell for caller in (self.settings.callers or {}).values()):
            return None
        from shared.tickets.tickets import Tickets  # noqa: PLC0415  (most apps tell no tickets, and start faster)

        return Tickets(self.settings, self._connections, self._secrets)

    def _open_customers(self) -> "Customers":
        if self._customers is None:
            from shared.customers import Customers  # noqa: PLC0415  (most requests have a tenant, and start faster)

            self._customers = Customers(self._connections)
        return self._customers

    async def _look(self, follow_up: "FollowUp") -> CancelResult:
        """Make a dry run of the request in *follow_up*, which has one. Raises CancelError."""
        call = Call(follow_up.correlation_id, {}, allowed_s=LOOK_WITHIN_S, caller=follow_up.caller)
        if follow_up.request is None:
            raise InvalidRequest("invalid_request", "The follow-up has no request.")
        return await self._run(replace(await self._target(follow_up.request, call), dry_run=True), call)

    def _caller(self, call: Call) -> AnyCaller | None:
        return (self.settings.callers or {}).get(call.caller or "")

    async def _target(self, request: CancelRequest, call: Call) -> Target:
        """Return what *request* is about, also as the target of *call*. Raises CancelError."""
        name, account = self._account_of(request)
        caller = self._caller(call)
        target = Target(
            account=name,
            tenant_id=account.tenant_id,
            api_root=account.endpoints.api_root,
            request=request,
            dry_run=request.dry_run or account.mode is Mode.DRY_RUN,
            may_cancel_subscriptions=account.subscriptions and (caller is None or caller.subscriptions),
            is_sandbox=account.sandbox,
        )
        call.target = target  # the audit record has the domain, too, if its tenant cannot be found
        if request.customer_domain:
            # What is refused for every customer needs no answer of Entra ID.
            permit(caller, name, account, None, dry_run=request.dry_run)
            authority = account.endpoints.authority
            customers = self._open_customers()
            tenant_id = await customers.tenant_of(request.customer_domain, authority, lambda: call.remaining_s)
            request = request.model_copy(update={"customer_tenant_id": tenant_id})
            call.target = target = replace(target, request=request)
        return target

    async def _run(self, target: Target, call: Call) -> CancelResult:
        """Do what *target* asks for. Raises CancelError."""
        return await cancel(target, call, self._client(target, call), self._accepted_patches)

    def _client(self, target: Target, call: Call) -> PartnerCenterClient:
        """Return the client for *target*, which its caller and its account must allow. Raises CallerRefused."""
        account = self.settings.accounts[target.account]
        permit(self._caller(call), target.account, account, target.customer_tenant_id, dry_run=target.request.dry_run)
        gate = self._gates[target.api_root, target.tenant_id]
        return PartnerCenterClient(target, call, connections=self._connections, tokens=self._credentials, gate=gate)

    async def _identify_caller(self, body: bytes, call: Call) -> str | None:
        """Return the caller's name, or None if CALLERS is not set. Raises CallerRefused (401) for an unknown caller."""
        callers = self.settings.callers
        if callers is None:
            return None
        proofs = Proofs(call.headers, body, time.time(), is_entra_checked=self.settings.is_entra_checked)
        names = secrets_needed(callers, proofs)
        while True:
            secrets, missing_error = await self._secrets.values(names, call.remaining_s)
            try:
                return identify(callers, proofs, secrets)
            except CancelError:
                if missing_error:
                    raise missing_error from None
                if not self._secrets.read_again(names):
                    raise

    def _account_of(self, request: CancelRequest) -> tuple[str, Account]:
        accounts = self.settings.accounts
        name = request.account or (DEFAULT_ACCOUNT if len(accounts) > 1 else next(iter(accounts)))
        if name not in accounts:
            raise InvalidRequest(
                "unknown_account",
                "The function has no account of this name; nothing was changed. Ask the operator for the names."
                if request.account
                else "The function has several accounts and none is named default; nothing was changed. Name an account"
                " in the member account.",
            )
        return name, accounts[name]


@cache
def worker() -> Runtime:
    """Return this worker's Runtime, which the first request builds.

    It is not built at import: a bad setting must reach the caller as a problem, and must not stop the host
    from loading the function. Raises OurFault (misconfigured).
    """
    return Runtime(Settings.from_environ(os.environ))
