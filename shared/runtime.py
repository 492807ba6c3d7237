"""What a worker keeps between calls: settings, connections, tokens; and the way of one request.

One per process, built on the first request and never closed: the host ends the process without a hook.
"""

import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Self

import httpx

from shared.callers import identify, permit
from shared.cancel import Call, Target, cancel_order
from shared.contract import CancelRequest, CancelResult, check_size, parse_cancel_request, preferred_wait_s
from shared.credentials import Credentials
from shared.errors import InvalidRequest
from shared.settings import Account, Mode, Settings

KEEPALIVE_S = 120.0  # tickets come minutes apart; Azure drops an idle outbound flow after 4
DEFAULT_ACCOUNT = "default"

# At INFO they log every request, httpx with its URL.
for _name in ("azure", "httpx"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Runtime:
    """The worker's one set of settings, connections and tokens."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._credentials = Credentials(settings)
        self._http = httpx.AsyncClient(
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE_S),
            follow_redirects=False,  # a redirect must not take the token elsewhere
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._credentials.close()
        await self._http.aclose()

    def deadline_s(self, headers: Mapping[str, str]) -> tuple[float, int | None]:
        """Return the seconds that a call may take, and the preference that was applied, if any.

        `Prefer: wait` replaces the default deadline, shorter or longer, within 1 s and CANCEL_MAX_WAIT_S.
        """
        wait_s = preferred_wait_s(headers.get("prefer"))
        if wait_s is None:
            return self.settings.deadline_s, None
        applied_s = int(min(max(wait_s, 1), self.settings.max_wait_s))
        return applied_s, applied_s

    async def cancel(self, body: bytes, headers: Mapping[str, str], call: Call) -> CancelResult:
        """Do what *body* asks for, if its caller may; raise a CancelError for every other end."""
        check_size(body)
        caller = identify(self.settings.callers, headers)
        request = parse_cancel_request(body, headers)
        name, account = self._account(request)
        permit((self.settings.callers or {}).get(caller or ""), name, account, request)
        target = Target(
            account=name,
            api_root=account.endpoints.api_root,
            request=request,
            dry_run=request.dry_run or account.mode is Mode.DRY_RUN,
        )
        return await cancel_order(target, call, http=self._http, tokens=self._credentials)

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
