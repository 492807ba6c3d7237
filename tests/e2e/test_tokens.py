"""Tokens: a valid one serves while Key Vault and Entra ID are down; one fetch serves many calls, and has a limit."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.credentials.repeats import MAX_ATTEMPTS
from tests.support.another_function import another_function
from tests.support.load import Load, read_order
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_until

# Outages

OUTAGES: dict[str, Json] = {
    "secret-usgov": {"hang_up": "before"},
    "certificate-china": {"delay_s": 600},
    "user-china": {"status": 403, "body": {"error": {"code": "Forbidden", "message": "no"}}},
}
TOKEN_LIVES_S = (10, 20, 40)
CALLS_AFTER = 5  # of each account, after its renewal has begun


@pytest.fixture
def _lives_put_back(cloud: LocalCloud) -> Iterator[None]:
    yield
    cloud.forget()
    for account in OUTAGES:
        cloud.change_app(account, tokenLifetime_s=3599)


@pytest.mark.usefixtures("_lives_put_back")
def test_while_a_token_is_held_key_vault_and_entra_may_be_down(cloud: LocalCloud, tmp_path: Path) -> None:
    """Three outages side by side, each for one account; calls go on after its renewal has begun.

    The renewal begins at 80 % of a token's life. If a machine is too slow to see this before the first token
    ends, the attempt shows nothing, and the next one is made with tokens of twice the life.
    """
    for life_s in TOKEN_LIVES_S:
        loads, was_in_time = call_in_an_outage(cloud, tmp_path / f"function-{life_s}.log", life_s)
        if was_in_time:
            break

    assert was_in_time, "no renewal began while the old token was valid"
    assert [load.answers.keys() for load in loads] == [{"200 dry_run"}] * 3


def call_in_an_outage(cloud: LocalCloud, log: Path, life_s: float) -> tuple[list[Load], bool]:
    """Let a new instance fetch tokens of *life_s*, and call it in the outage until after each renewal has begun.

    Return the callers with their answers, and whether all answers came before the first token ended.
    """
    with another_function(cloud, log) as function, ExitStack() as calling:
        cloud.forget()
        assert read_order(function, "default").status_code == 200  # the process is up
        first_end = int(time.time()) + life_s  # the SDKs drop the fraction of a second
        for account in OUTAGES:
            cloud.change_app(account, tokenLifetime_s=life_s)
            assert read_order(function, account).status_code == 200
        break_down(cloud)
        cloud.forget_requests()

        loads = [calling.enter_context(Load(function, account, callers=4, pause_s=0.1)) for account in OUTAGES]
        for account, load in zip(OUTAGES, loads, strict=True):
            wait_for_renewal(cloud, account)
            load.wait_for(CALLS_AFTER)
        calling.close()
        return loads, time.time() < first_end


def wait_for_renewal(cloud: LocalCloud, account: str) -> None:
    tenant_id = cloud.description["accounts"][account]["tenantId"]
    wait_until(lambda: cloud.requests("entra", path=tenant_id), f"no renewal for {account}", poll_s=0.1)


def break_down(cloud: LocalCloud) -> None:
    """Begin the outage of each account, for its tenant at Entra ID and its secret in Key Vault."""
    for account, fault in OUTAGES.items():
        known = cloud.description["accounts"][account]
        cloud.fault(service="entra", path=known["tenantId"], times=10_000, **fault)
        cloud.fault(
            service="key_vault", path=known.get("secretName") or known["certificateName"], times=10_000, **fault
        )


# Fetches by an instance that has just started


@pytest.fixture
def cold(cloud: LocalCloud, tmp_path: Path) -> Iterator[LocalCloud]:
    """The local cloud with a function that has just started."""
    with another_function(cloud, tmp_path / "function.log") as function:
        yield function


def test_a_read_of_key_vault_that_hangs_is_given_up(cold: LocalCloud) -> None:
    """The SDK's own limit is 300 s; a call that waits for a minute must get its answer before."""
    cold.fault(service="key_vault", delay_s=600, times=MAX_ATTEMPTS)

    problem = read_order(cold, "user-usgov", prefer="wait=60").json()
    cold.clear_faults()
    later = read_order(cold, "user-usgov")

    assert problem["code"] == "credentials_unavailable"
    assert problem["retryable"] is True
    assert later.status_code == 200


def test_a_hundred_calls_at_a_cold_instance_fetch_one_token(cold: LocalCloud) -> None:
    with ThreadPoolExecutor(100) as callers:
        statuses = Counter(callers.map(lambda _: read_order(cold, "default").status_code, range(100)))

    assert statuses == {200: 100}
    assert len(cold.requests("identity")) == 1
    assert [request["status"] for request in cold.requests("key_vault")] == [401, 200]
    assert [request["status"] for request in cold.requests("entra", "POST")] == [200]


def test_a_rejected_credential_is_tried_once_in_half_a_minute(cold: LocalCloud) -> None:
    with ThreadPoolExecutor(8) as callers:
        codes = Counter(callers.map(lambda _: read_order(cold, "expired").json()["code"], range(40)))

    assert codes == {"credentials_rejected": 40}
    assert [request["status"] for request in cold.requests("entra", "POST")] == [401]
