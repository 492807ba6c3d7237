"""Callers with a key or an Entra ID role: the function identifies them before it reads the request."""

import hashlib
from collections.abc import AsyncIterator

import pytest

from shared.caller_settings import EntraCaller, KeyCaller
from shared.runtime import Runtime
from shared.settings import Mode, Settings
from tests.conftest import CUSTOMER
from tests.support import proofs
from tests.support.in_process import App

pytestmark = pytest.mark.anyio

KEY = "a-key-of-its-own-of-32-random-bytes"


@pytest.fixture
async def guarded(settings: Settings) -> AsyncIterator[App]:
    """A worker with one caller, which has a key and may do dry runs only."""
    helpdesk = {"proof": "key", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "dryRunOnly": True}
    callers = {"helpdesk": KeyCaller.model_validate(helpdesk)}
    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        yield App(runtime)


async def test_without_a_key_no_request_is_read(guarded: App, order_id: str) -> None:
    keyless = await guarded.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    wrong_key = await guarded.post(b"not even JSON", x_caller_key="wrong")

    assert keyless.code == "caller_not_authenticated"
    assert wrong_key.code == "caller_not_authenticated"


async def test_a_caller_with_a_key_may_do_what_its_scope_allows(guarded: App, order_id: str) -> None:
    for_real = await guarded.post({"customerTenantId": CUSTOMER, "orderId": order_id}, x_caller_key=KEY)
    dry_run = await guarded.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}, x_caller_key=KEY)

    assert for_real.code == "caller_not_allowed"
    assert dry_run.outcome == "dry_run"


async def test_a_real_request_of_a_caller_for_dry_runs_is_refused_at_a_dry_run_account(
    settings: Settings, order_id: str
) -> None:
    """The account would make a dry run of it, and the caller would take that for a cancellation."""
    helpdesk = {"proof": "key", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "dryRunOnly": True}
    accounts = {"default": settings.accounts["default"].model_copy(update={"mode": Mode.DRY_RUN})}
    guarded = settings.model_copy(
        update={"accounts": accounts, "callers": {"helpdesk": KeyCaller.model_validate(helpdesk)}}
    )

    async with Runtime(guarded) as runtime:
        answer = await App(runtime).post({"customerTenantId": CUSTOMER, "orderId": order_id}, x_caller_key=KEY)

    assert answer.code == "caller_not_allowed"


@pytest.mark.parametrize(
    ("auth_enabled", "code"),
    [
        pytest.param(None, "caller_not_authenticated", id="off"),
        pytest.param("True", "invalid_request", id="on"),  # the caller is known, and its body is empty
    ],
)
async def test_an_entra_principal_counts_only_while_app_service_authentication_is_on(
    settings: Settings, auth_enabled: str | None, code: str
) -> None:
    """While it is off, anybody can send this header."""
    callers = {"flow": EntraCaller(proof="entra", role="Orders.Cancel")}
    known = settings.model_copy(update={"callers": callers, "website_auth_enabled": auth_enabled})

    async with Runtime(known) as runtime:
        answer = await App(runtime).post(b"{}", **proofs.entra_principal("Orders.Cancel"))

    assert answer.code == code
