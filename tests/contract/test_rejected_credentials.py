"""Entra rejects a credential: the function remembers the rejection for half a minute."""

import pytest

from shared.credentials.tokens import Credentials
from shared.errors import CancelError
from tests.support.clock import Clock
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

LONG_S = 30.0


async def test_a_rejection_is_remembered(credentials: Credentials, cloud: LocalCloud) -> None:
    """Callers repeat, and Entra locks out an app that fails too often."""
    details = []
    for _ in range(5):
        with pytest.raises(CancelError) as caught:
            await credentials.bearer("expired", LONG_S)
        assert caught.value.code == "credentials_rejected"
        details.append(caught.value.detail)

    assert len(cloud.requests("entra", "POST")) == 1
    [detail] = set(details)
    assert "AADSTS7000215" in detail
    assert "client secret is wrong" in detail


async def test_a_rejection_is_forgotten_after_half_a_minute(
    credentials: Credentials, cloud: LocalCloud, clock: Clock, spare_account: str
) -> None:
    cloud.set_client_secret(spare_account, at_entra="right", in_key_vault="wrong")
    with pytest.raises(CancelError, match="AADSTS7000215"):
        await credentials.bearer(spare_account, LONG_S)
    cloud.set_client_secret(spare_account, at_entra="right", in_key_vault="right")
    with pytest.raises(CancelError, match="AADSTS7000215"):
        await credentials.bearer(spare_account, LONG_S)

    clock.now += 31

    assert await credentials.bearer(spare_account, LONG_S)
