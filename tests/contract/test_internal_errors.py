"""Our own bugs and bad settings: the answer shows nothing of a bug, and no value of a setting."""

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.support.in_process import post

pytestmark = pytest.mark.anyio


async def test_a_bug_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Runtime:
        raise RuntimeError("a bug")

    answer = await post(broken, {})

    assert answer.status == 500
    assert answer.code == "internal_error"
    assert answer.body["retryable"] is False
    assert "a bug" not in str(answer.body)
    assert "a bug" in caplog.text


async def test_bad_settings_are_named_without_their_values() -> None:
    answer = await post(lambda: Runtime(Settings.from_environ({"CANCEL_DEADLINE_S": "s3cret"})), {})

    assert answer.status == 500
    assert answer.code == "misconfigured"
    for name in ("KEY_VAULT_URL", "PARTNER_CENTER_ACCOUNTS", "CANCEL_DEADLINE_S"):
        assert name in answer.body["detail"]
    assert "s3cret" not in answer.body["detail"]
