"""What a worker keeps between calls: settings, connections, tokens; and the way of one request.

One per process, built on the first request and never closed: the host ends the process without a hook.
"""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Self

from shared.call import Call, Target
from shared.callers.identify import Proofs, identify, permit, secrets_needed
from shared.callers.signing_secrets import SigningSecrets
from shared.cancelling.order import cancel_order
from shared.contract import CancelRequest, CancelResult, check_size, parse_cancel_request, preferred_wait_s
from shared.credentials.health import Health, check
from shared.credentials.tokens import Credentials
from shared.errors import CancelError, InvalidRequest
from shared.partner_center.client import Exchange
from shared.partner_center.connections import Connections
from shared.partner_center.throttle import Gate
from shared.settings import Account, Mode, Settings

DEFAULT_ACCOUNT = "default"

# Below WARNING they log every request, some with headers and bodies.
for _name in ("azure", "httpcore", "httpx", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# These log a token answer that they cannot read, token and all, as a warning or an error. What
# they raise is told in our own words.
for _name in ("azure.identity", "msal"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class Runtime:
    """The worker's one set of settings, connections and tokens."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._credentials = Credentials(settings)
        self._signing_secrets = SigningSecrets(settings)
        self._gates: defaultdict[tuple[str, str], Gate] = defaultdict(Gate)  # by api root and partner tenant
        self._connections = Connections()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._credentials.close()
        self._signing_secrets.close()
        await self._connections.aclose()

    def deadline_s(self, headers: Mapping[str, str]) -> tuple[float, int | None]:
        """Return the seconds that a call may take, and the preference that was applied, if any.

        `Prefer: wait` replaces the default deadline, shorter or longer, within 1 s and CANCEL_MAX_WAIT_S.
        """
        wait_s = preferred_wait_s(headers.get("prefer"))
        if wait_s is None:
            return self.settings.deadline_s, None
        applied_s = int(min(max(wait_s, 1), self.settings.max_wait_s))
        return applied_s, applied_s

    async def cancel(self, body: bytes, call: Call) -> CancelResult:
        """Do what *body* asks for, if its caller may; raise a CancelError for every other end."""
        check_size(body)
        call.caller = await self._caller(body, call)
        request = parse_cancel_request(body, call.headers)
        name, account = self._account(request)
        call.target = target = Target(
            account=name,
            tenant_id=account.tenant_id,
            api_root=account.endpoints.api_root,
            request=request,
            dry_run=request.dry_run or account.mode is Mode.DRY_RUN,
        )
        permit((self.settings.callers or {}).get(call.caller or ""), name, account, request)
        gate = self._gates[target.api_root, target.tenant_id]
        exchange = Exchange(target, call, connections=self._connections, tokens=self._credentials, gate=gate)
        return await cancel_order(target, call, exchange)

    async def health(self) -> Health:
        """Tell whether each account's credential works, cancelling nothing."""
        return await check(self.settings, self._credentials)

    async def _caller(self, body: bytes, call: Call) -> str | None:
        """Return the caller's name, None while none are set; raise CallerRefused (401) if it proves to be none."""
        callers = self.settings.callers
        if callers is None:
            return None
        proofs = Proofs(call.headers, body, time.time(), authenticated=self.settings.is_entra_checked)
        needed = secrets_needed(callers, proofs)
        while True:
            secrets, missing = await self._signing_secrets.values(needed, call.remaining_s)
            try:
                return identify(callers, proofs, secrets)
            except CancelError:
                if missing:
                    raise missing from None
                if not self._signing_secrets.read_again(needed):
                    raise

    def _account(self, request: CancelRequest) -> tuple[str, Account]:
        accounts = self.settings.accounts
        name = request.account or (DEFAULT_ACCOUNT if len(accounts) > 1 else next(iter(accounts)))
        if name not in accounts:
            raise InvalidRequest(
                "unknown_account",
                "No account of that name is set up; ask the operator for the names."
                if request.account
                else "Several accounts are set up and none is called default: name one in account.",
            )
        return name, accounts[name]


@cache
def worker() -> Runtime:
    """Return this worker's Runtime, built on the first request.

    Not at import: a bad setting must reach the caller as a problem, not stop the host from
    loading the function. Raises OurFault (misconfigured).
    """
    return Runtime(Settings.from_environ(os.environ))
