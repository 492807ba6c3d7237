"""Decides what a caller may do: its accounts, its customers, dry runs only; and what the account itself allows.

No I/O, clock or randomness.
"""

from shared.caller_settings import Caller
from shared.errors import CallerRefused
from shared.settings import Account, Mode


def permit(
    caller: Caller | None, account_name: str, account: Account, customer_tenant_id: str | None, *, dry_run: bool
) -> None:
    """Raise CallerRefused (403) unless *caller* may act for this customer at the account, and the account allows it.

    *caller* is None if CALLERS is not set. *customer_tenant_id* None stands for a customer who is not known yet: the
    limits to customers are left out. *dry_run* says what the request asks for.
    """
    if caller:
        _permit_caller(caller, account_name, customer_tenant_id, dry_run=dry_run)
    if account.mode is Mode.OFF:
        raise CallerRefused(
            "account_off", "The operator has switched this account off; nothing was changed. Ask the operator."
        )
    if customer_tenant_id is not None and account.customers is not None and customer_tenant_id not in account.customers:
        raise CallerRefused(
            "customer_not_allowed",
            "This account may not cancel orders of this customer; nothing was changed. Ask the operator.",
        )


def _permit_caller(caller: Caller, account_name: str, customer_tenant_id: str | None, *, dry_run: bool) -> None:
    if caller.accounts is not None and account_name not in caller.accounts:
        raise CallerRefused(
            "caller_not_allowed", "This caller may not use this account; nothing was changed. Ask the operator."
        )
    if customer_tenant_id is not None and caller.customers is not None and customer_tenant_id not in caller.customers:
        raise CallerRefused(
            "caller_not_allowed",
            "This caller may not cancel orders of this customer; nothing was changed. Ask the operator.",
        )
    if caller.dry_run_only and not dry_run:
        # Refused, not turned into a dry run: the caller must not believe that the order was cancelled.
        raise CallerRefused(
            "caller_not_allowed", "This caller may only ask for dry runs (dryRun: true); nothing was changed."
        )
