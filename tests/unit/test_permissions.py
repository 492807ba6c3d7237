"""The permissions of callers and accounts."""

from typing import NamedTuple

import pytest

from shared.caller_settings import Caller
from shared.callers.permissions import permit
from shared.errors import CallerRefused
from shared.settings import Account
from tests.support.callers import key_caller

OURS = "bd59b416-37f9-4d8f-8df3-5750111fc615"
THEIRS = "45411344-b09d-47e7-9653-542006bf9766"


def account(**members: object) -> Account:
    plain = {"cloud": "global", "tenantId": OURS, "clientId": OURS, "clientSecret": "s", "mode": "live"}
    return Account.model_validate(plain | members)


class Case(NamedTuple):
    """A request for the customer OURS at the account "default". *code* None: it is permitted."""

    caller: Caller | None
    account: Account
    dry_run: bool
    code: str | None


CASES = {
    "all-open": Case(None, account(), False, None),
    "no-limits": Case(key_caller(), account(), False, None),
    "its-account": Case(key_caller(accounts=["default"]), account(), False, None),
    "another-account": Case(key_caller(accounts=["x"]), account(), False, "caller_not_allowed"),
    "its-customer": Case(key_caller(customers=[OURS.upper()]), account(), False, None),
    "another-customer": Case(key_caller(customers=[THEIRS]), account(), False, "caller_not_allowed"),
    "dry-run-only": Case(key_caller(dryRunOnly=True), account(), True, None),
    "real-run-refused": Case(key_caller(dryRunOnly=True), account(), False, "caller_not_allowed"),
    "not-made-a-dry-run": Case(key_caller(dryRunOnly=True), account(mode="dry_run"), False, "caller_not_allowed"),
    "off": Case(None, account(mode="off"), False, "account_off"),
    "off-for-dry-runs-too": Case(None, account(mode="off"), True, "account_off"),
    "the-accounts-customer": Case(None, account(customers=[OURS]), False, None),
    "not-the-accounts-customer": Case(None, account(customers=[THEIRS]), False, "customer_not_allowed"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_permit(case: Case) -> None:
    if case.code is None:
        permit(case.caller, "default", case.account, OURS, dry_run=case.dry_run)
        return
    with pytest.raises(CallerRefused) as caught:
        permit(case.caller, "default", case.account, OURS, dry_run=case.dry_run)

    assert (caught.value.code, caught.value.status) == (case.code, 403)
    assert caught.value.detail
