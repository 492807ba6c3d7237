"""The life of a refresh token: the function stores the new one from Entra ID, and never overwrites a consent."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.another_function import another_function
from tests.support.functions_host import audit_records
from tests.support.load import read_order
from tests.support.local_cloud import Json, LocalCloud, running
from tests.support.waiting import LIMIT_S, wait_until

ACCOUNT = "user-global"
DAY_S = 86_400
LONG_AGO = {"created": 1_700_000_000, "updated": 1_700_000_000}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of this file's own: its refresh tokens are replaced."""
    with running(tmp_path_factory.mktemp("refresh-token")) as cloud:
        yield cloud


@pytest.fixture
def function(cloud: LocalCloud, tmp_path: Path) -> Iterator[LocalCloud]:
    """The local cloud with a function that has just started, and no request so far."""
    cloud.forget()
    with another_function(cloud, tmp_path / "function.log") as function:
        yield function


class StoredToken:
    """The refresh token of the account, in Key Vault."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self.name = cloud.description["accounts"][ACCOUNT]["refreshTokenName"]

    def store(self, value: str, **more: object) -> None:
        """Store a token that Entra accepts; *more* are its attributes, tags, contentType."""
        self._cloud.change_app(ACCOUNT, refreshToken=value)
        self._cloud.store_secret(self.name, value, **more)

    @property
    def versions(self) -> list[Json]:
        return self._cloud.secret_versions(self.name)

    @property
    def writes(self) -> list[Json]:
        """The function's requests to store a new version."""
        return self._cloud.requests("key_vault", "PUT", self.name)


@pytest.fixture
def stored(cloud: LocalCloud) -> StoredToken:
    return StoredToken(cloud)


def test_a_token_over_a_day_old_is_replaced_in_key_vault(function: LocalCloud, stored: StoredToken) -> None:
    stored.store("1.old", attributes=LONG_AGO, tags={"owner": "ops"}, contentType="text/x-refresh-token")
    before = len(stored.versions)

    assert read_order(function, ACCOUNT).status_code == 200
    wait_until(lambda: len(stored.versions) > before, "the token was not replaced")

    newest = stored.versions[-1]
    assert newest["value"] != "1.old"
    assert (newest["tags"], newest["contentType"]) == ({"owner": "ops"}, "text/x-refresh-token")
    assert 89 * DAY_S < newest["attributes"]["exp"] - time.time() < 91 * DAY_S


def test_a_young_token_stays(function: LocalCloud, stored: StoredToken) -> None:
    stored.store("1.young")

    assert read_order(function, ACCOUNT).status_code == 200
    assert read_order(function, ACCOUNT).status_code == 200

    assert stored.writes == []


def test_a_token_that_cannot_be_stored_is_recorded_and_fails_no_call(function: LocalCloud, stored: StoredToken) -> None:
    stored.store("1.old", attributes=LONG_AGO)
    forbidden = {"error": {"code": "Forbidden", "message": "no"}}
    function.fault(service="key_vault", method="PUT", status=403, body=forbidden)

    assert read_order(function, ACCOUNT).status_code == 200

    wait_until(lambda: "not_stored" in events_after_a_call(function), "it was not recorded")
    assert stored.versions[-1]["value"] == "1.old"


def events_after_a_call(function: LocalCloud) -> list[str]:
    assert read_order(function, ACCOUNT).status_code == 200
    return [record["event"] for record in audit_records(function.log.read_text()) if record["account"] == ACCOUNT]


def test_a_new_consent_is_not_overwritten(function: LocalCloud, stored: StoredToken) -> None:
    """The operator consents while the function exchanges the old token."""
    stored.store("1.old", attributes=LONG_AGO)
    function.fault(service="entra", method="POST", delay_s=600)
    with ThreadPoolExecutor(1) as background:
        call = background.submit(read_order, function, ACCOUNT, prefer="wait=60")
        wait_until(lambda: function.requests("entra", "POST"), "no token was exchanged")
        stored.store("1.consented-meanwhile")
        function.clear_faults()

        assert call.result(LIMIT_S).status_code == 200

    wait_until(lambda: reads(function) >= 3, "Key Vault was not read before the write")
    assert stored.writes == []
    assert stored.versions[-1]["value"] == "1.consented-meanwhile"


def reads(function: LocalCloud) -> int:
    return len([request for request in function.requests("key_vault") if request["status"] == 200])


def test_an_instance_that_dies_between_exchange_and_write_harms_no_other(
    cloud: LocalCloud, stored: StoredToken, tmp_path: Path
) -> None:
    cloud.forget()
    stored.store("1.old", attributes=LONG_AGO)
    cloud.fault(service="key_vault", method="PUT", delay_s=600, hang_up="before")
    before = len(stored.versions)

    with another_function(cloud, tmp_path / "dying.log") as dying:
        assert read_order(dying, ACCOUNT).status_code == 200
        wait_until(lambda: len(stored.writes) == 1, "it did not come to the write")
        dying.kill()
        assert len(stored.versions) == before

    with another_function(cloud, tmp_path / "survivor.log") as survivor:
        assert read_order(survivor, ACCOUNT).status_code == 200
        wait_until(lambda: len(stored.versions) == before + 1, "the survivor did not write")

    with another_function(cloud, tmp_path / "next.log") as following:
        assert read_order(following, ACCOUNT).status_code == 200
