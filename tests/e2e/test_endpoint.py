"""The function's address: its key, its methods, and the health report."""

from pathlib import Path

import pytest

from tests.conftest import CUSTOMER
from tests.support.another_function import another_function
from tests.support.functions_host import logged_errors
from tests.support.local_cloud import LocalCloud


@pytest.fixture(scope="module", autouse=True)
def log_start(whole_cloud: LocalCloud) -> int:
    """The size of the function's log before the tests of this file."""
    return whole_cloud.log.stat().st_size


@pytest.mark.parametrize("key", [pytest.param("wrong", id="wrong-key"), pytest.param("", id="no-key")])
def test_without_the_function_key_the_host_answers(cloud: LocalCloud, key: str) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": "some-order"}

    response = cloud.post(body, x_functions_key=key)

    assert response.status_code == 401
    assert response.content == b""
    assert cloud.requests() == []


def test_a_chunked_body_is_explained(cloud: LocalCloud) -> None:
    """Azure's host drops a chunked body, so the function gets an empty body; the caller must learn why."""
    response = cloud.http.post(
        cloud.description["functionUrl"],
        content=iter([b'{"customerTenantId": ', b'"x"}']),
        headers={"x-functions-key": cloud.description["functionKey"], "content-type": "application/json"},
    )

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_json"
    assert "chunked" in response.json()["detail"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_no_method_but_post_and_get_is_served(cloud: LocalCloud, method: str) -> None:
    headers = {"x-functions-key": cloud.description["functionKey"]}

    response = cloud.http.request(method, cloud.description["functionUrl"], headers=headers)

    assert response.status_code == 404


def test_the_health_report_needs_the_function_key(cloud: LocalCloud) -> None:
    assert cloud.http.get(cloud.description["functionUrl"]).status_code == 401


def test_the_health_report_covers_every_account(cloud: LocalCloud, tmp_path: Path) -> None:
    with another_function(cloud, tmp_path / "function.log") as function:
        headers = {"x-functions-key": function.description["functionKey"]}
        response = function.http.get(function.description["functionUrl"], headers=headers)

    assert logged_errors(function.log.read_text()) == []
    assert response.status_code == 503
    assert response.json()["healthy"] is False  # some accounts of the local cloud are broken on purpose
    accounts = response.json()["accounts"]
    assert accounts.keys() == cloud.description["accounts"].keys()
    assert accounts["default"]["healthy"]
    assert accounts["expired"]["code"] == "credentials_rejected"
    for account in cloud.description["accounts"].values():
        secrets = [account[member] for member in ("clientSecret", "refreshToken", "certificate") if member in account]
        assert not [secret for secret in secrets if secret in response.text]


def test_nothing_went_wrong_in_the_log(cloud: LocalCloud, log_start: int) -> None:
    assert logged_errors(cloud.log.read_bytes()[log_start:].decode()) == []
