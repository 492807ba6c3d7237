"""A client secret is rotated: the function reads it again once, and no call fails."""

import asyncio
from datetime import UTC, datetime

import pytest

from shared.credentials.tokens import Credentials
from tests.support.clock import Clock
from tests.support.local_cloud import LocalCloud
from tests.support.waiting import wait_for_request, wait_until

pytestmark = pytest.mark.anyio

LONG_S = 30.0


async def test_a_rotated_secret_costs_no_failed_call(
    credentials: Credentials, cloud: LocalCloud, clock: Clock, spare_account: str
) -> None:
    """Entra rejects the cached secret; Key Vault has the new one."""
    cloud.change_app(spare_account, tokenLifetime_s=60)
    bearer = await credentials.bearer(spare_account, LONG_S)
    cloud.set_client_secret(spare_account, at_entra="another~secret", in_key_vault="another~secret")
    clock.now += 61
    cloud.forget()

    assert await credentials.bearer(spare_account, LONG_S) != bearer
    assert cloud.traffic() == [
        "entra GET 200",
        "entra POST 401",
        "identity GET 200",
        "key_vault GET 200",
        "entra GET 200",
        "entra POST 200",
    ]


async def test_a_secret_rotated_between_its_read_and_its_use_fails_no_call(
    credentials: Credentials, cloud: LocalCloud, spare_account: str
) -> None:
    """On a busy machine seconds pass between the two."""
    cloud.fault(service="entra", method="GET", delay_s=60)
    fetch = asyncio.create_task(credentials.bearer(spare_account, LONG_S))
    await wait_for_request(cloud, "entra")

    cloud.set_client_secret(spare_account, at_entra="rotated-meanwhile", in_key_vault="rotated-meanwhile")
    cloud.clear_faults()

    assert await fetch


def is_in_the_future(date: datetime | None) -> bool:
    return date is not None and date > datetime.now(UTC)


async def test_a_refresh_token_that_was_just_stored_is_not_read_again(
    credentials: Credentials, cloud: LocalCloud, clock: Clock
) -> None:
    """It is kept like one that was read, for SECRET_TTL_S."""
    account = "user-usgov"
    name = cloud.description["accounts"][account]["refreshTokenName"]
    cloud.change_app(account, refreshToken="1.old", tokenLifetime_s=60)
    cloud.store_secret(name, "1.old", attributes={"created": 1_700_000_000, "updated": 1_700_000_000})
    try:
        await credentials.bearer(account, LONG_S)
        await asyncio.to_thread(wait_until, lambda: is_in_the_future(credentials.expires_at(account)), "not stored")
        clock.now += 61
        cloud.forget_requests()

        await credentials.bearer(account, LONG_S)
    finally:
        cloud.change_app(account, tokenLifetime_s=3599)

    assert cloud.requests("key_vault", "GET", name) == []
