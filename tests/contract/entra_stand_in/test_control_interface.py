"""Requests to the control interface that it refuses."""

import httpx
import pytest

from infra.local.cloud import LocalCloud
from tests.support.local_cloud import Json


@pytest.mark.parametrize(
    "change",
    [{"certificate": "x"}, {"certificates": []}, {"secrets": []}, {"trouble": "x"}, {"refreshToken": ""}],
    ids=str,
)
def test_a_change_of_an_app_registration_that_makes_no_sense_is_refused(cloud: LocalCloud, change: Json) -> None:
    url = f"{cloud.url('control')}/clients/{cloud.accounts['default'].client_id}"

    assert httpx.put(url, json=change, trust_env=False).status_code == 400


def test_an_unknown_secret_has_no_versions(cloud: LocalCloud) -> None:
    assert httpx.get(f"{cloud.url('control')}/secrets/none", trust_env=False).status_code == 404
