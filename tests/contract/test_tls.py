"""The variables that name certificate authorities: a bad one is the operator's fault, and is named."""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import CancelError
from shared.runtime import Runtime
from shared.settings import Settings
from shared.tls import check_authorities, tls_context
from tests.conftest import CUSTOMER
from tests.support.in_process import get, post
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""
FILES = {"missing": None, "empty": "", "no-certificate": "no certificate", "a-key": KEY}


@pytest.fixture(autouse=True)
def _fresh_context() -> Iterator[None]:
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


@pytest.mark.parametrize("name", FILES)
async def test_a_bad_file_of_authorities_is_misconfigured(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, order_id: str
) -> None:
    path = tmp_path / "bundle-PLANTED.pem"
    if (text := FILES[name]) is not None:
        path.write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    answers = [
        await post(lambda: Runtime(settings), {"customerTenantId": CUSTOMER, "orderId": order_id}),
        await get(lambda: Runtime(settings)),
    ]

    for answer in answers:
        assert answer.status == 500
        assert answer.code == "misconfigured"
        assert "SSL_CERT_FILE" in answer.body["detail"]
        assert "PLANTED" not in answer.body["detail"]


async def test_a_folder_in_place_of_the_file_is_misconfigured(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))

    answer = await get(lambda: Runtime(settings))

    assert answer.code == "misconfigured"
    assert "SSL_CERT_FILE" in answer.body["detail"]


@pytest.mark.parametrize("exists", [False, True], ids=["missing", "empty"])
async def test_a_bad_folder_of_authorities_is_misconfigured(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, exists: bool
) -> None:
    """OpenSSL does not complain about such a folder; every connection would fail."""
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path if exists else tmp_path / "missing"))

    answer = await get(lambda: Runtime(settings))

    assert answer.code == "misconfigured"
    assert "SSL_CERT_DIR" in answer.body["detail"]


def test_a_folder_of_authorities_is_used(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "0123abcd.0").write_text(Path(cloud.description["caFile"]).read_text())
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    assert tls_context().verify_mode is ssl.CERT_REQUIRED


def test_one_of_several_folders_of_authorities_is_enough(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "0123abcd.0").write_text(Path(cloud.description["caFile"]).read_text())
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}:{tmp_path}")

    check_authorities(os.environ)

    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}:")
    with pytest.raises(CancelError, match="SSL_CERT_DIR"):
        check_authorities(os.environ)


def test_blank_variables_mean_the_usual_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", "")

    assert tls_context().get_ca_certs()
