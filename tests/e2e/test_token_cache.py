"""Many calls at once, at an instance that has just started, cause one fetch."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.function import another_function
from tests.support.load import read_order
from tests.support.local_cloud import LocalCloud


@pytest.fixture
def cold(cloud: LocalCloud, tmp_path: Path) -> Iterator[LocalCloud]:
    """The local cloud with a function that has just started."""
    with another_function(cloud, tmp_path / "function.log") as function:
        yield function


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
