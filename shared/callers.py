"""Who is calling, and what may they cancel.

No I/O. The function key is the first door and the host's; this is the second, open only while
the setting CALLERS is absent. A caller's own key is compared as SHA-256, so that the setting
gives nothing away; keys must be random and at least 32 bytes long, for a hash does not slow guessing.
"""

import hashlib
import hmac
from collections.abc import Mapping

from shared.contract import CancelRequest
from shared.errors import CallerRefused
from shared.settings import Account, Caller, Mode


def identify(callers: Mapping[str, Caller] | None, headers: Mapping[str, str]) -> str | None:
    """Return the caller's name, None while no callers are set, or raise CallerRefused (401).

    *headers* have lower-case names.
    """
    if callers is None:
        return None
    key = headers.get("x-caller-key", "")
    sent = hashlib.sha256(key.encode()).hexdigest()
    # Every caller is compared, so that the time taken does not tell which one came near.
    matching = [name for name, caller in callers.items() if hmac.compare_digest(sent, caller.sha256)]
    if not key or not matching:  # the hash of nothing is what a script makes of a variable that is not set
        raise CallerRefused(
            "caller_not_authenticated", "The call carries no valid proof of who makes it (header X-Caller-Key)."
        )
    return matching[0]


def permit(caller: Caller | None, account_name: str, account: Account, request: CancelRequest) -> None:
    """Raise CallerRefused (403) unless *caller* may do *request* at the account, and the account allows it."""
    if caller:
        _permit_caller(caller, account_name, request)
    if account.mode is Mode.OFF:
        raise CallerRefused("account_off", "The operator has switched this account off; nothing was changed.")
    if account.customers is not None and request.customer_tenant_id not in account.customers:
        raise CallerRefused("customer_not_allowed", "This account may not cancel orders of this customer.")


def _permit_caller(caller: Caller, account_name: str, request: CancelRequest) -> None:
    if caller.accounts is not None and account_name not in caller.accounts:
        raise CallerRefused("caller_not_allowed", "This caller may not use this account.")
    if caller.customers is not None and request.customer_tenant_id not in caller.customers:
        raise CallerRefused("caller_not_allowed", "This caller may not cancel orders of this customer.")
    if caller.dry_run_only and not request.dry_run:
        # Refused, not softened: who asks for a cancellation must not believe that it happened.
        raise CallerRefused("caller_not_allowed", "This caller may only ask for dry runs (dryRun: true).")
