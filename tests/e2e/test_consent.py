"""The operator's command `python -m infra.consent`, with the local Entra ID, which signs in a made-up user."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.support.load import read_order
from tests.support.local_cloud import ROOT, Json, LocalCloud, running
from tests.support.waiting import LIMIT_S

DAY_S = 86_400


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of this file's own: its refresh tokens are replaced."""
    with running(tmp_path_factory.mktemp("consent")) as cloud:
        yield cloud


@contextmanager
def consent_command(cloud: LocalCloud, account: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "infra.consent", account, "--no-browser"],
        cwd=ROOT,
        env={**os.environ, **cloud.description["environment"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def sign_in_address(command: subprocess.Popen[str]) -> str:
    """Return the address that *command* prints for the browser."""
    assert command.stdout is not None
    return next(line.strip() for line in iter(command.stdout.readline, "") if line.startswith("https://"))


def browser(cloud: LocalCloud) -> httpx.Client:
    tls = ssl.create_default_context(cafile=cloud.description["caFile"])
    return httpx.Client(verify=tls, trust_env=False, follow_redirects=True)


def test_consent_stores_the_first_refresh_token(cloud: LocalCloud) -> None:
    name = cloud.description["accounts"]["user-china"]["refreshTokenName"]
    before = cloud.secret_versions(name)[-1]["value"]

    with consent_command(cloud, "user-china") as command, browser(cloud) as tab:
        address = sign_in_address(command)
        redirect_uri = dict(parse_qsl(urlsplit(address).query))["redirect_uri"]
        tab.get(f"{redirect_uri}/?state=anothers&code=x")  # the answer to another sign-in changes nothing
        assert "Done here" in tab.get(address).text
        assert command.wait(LIMIT_S) == 0

    newest = cloud.secret_versions(name)[-1]
    assert newest["value"] != before
    assert 89 * DAY_S < newest["attributes"]["exp"] - time.time() < 91 * DAY_S
    assert read_order(cloud, "user-china").status_code == 200


class Failure(NamedTuple):
    """A consent that fails: for *account*, after a *change* of its app, with a *fault*, at sign-in or before."""

    account: str
    message: str
    change: Json | None = None
    fault: Json | None = None
    signs_in: bool = False


FAILURES = {
    "no-user-account": Failure("default", "no account default with a refreshToken"),
    "no-account": Failure("nobody", "no account nobody with a refreshToken"),
    "without-mfa": Failure("user-usgov", "without MFA", change={"trouble": "mfa_missing"}, signs_in=True),
    "entra-503": Failure(
        "user-global",
        "Entra ID gave no usable answer",
        fault={"service": "entra", "status": 503, "times": 10},
    ),
    "vault-forbids": Failure(
        "user-global",
        "Key Vault did not store",
        fault={"service": "key_vault", "method": "PUT", "status": 403},
        signs_in=True,
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_consent_says_why(cloud: LocalCloud, name: str) -> None:
    failure = FAILURES[name]
    cloud.forget()
    if failure.change:
        cloud.change_app(failure.account, **failure.change)
    if failure.fault:
        cloud.fault(**failure.fault)

    with consent_command(cloud, failure.account) as command, browser(cloud) as tab:
        if failure.signs_in:
            tab.get(sign_in_address(command))
        assert command.wait(LIMIT_S) == 1
        assert command.stderr is not None
        message = command.stderr.read()

    assert failure.message in message
    assert "Traceback" not in message
