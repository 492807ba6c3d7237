"""Credentials are rotated under load: no call fails.

`--soak` rotates ten times, `make test` twice: enough for each kind, and for a certificate as PEM and as PFX.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.support.load import Load, read_order
from tests.support.local_cloud import Json, LocalCloud, running
from tests.support.waiting import wait_until

ROTATIONS, SOAK_ROTATIONS = 2, 10
PAUSE_S = 0.2  # of each caller between its calls; without one they would take a whole processor. `--soak` makes none
TOKEN_LIFE_S = 3


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of this file's own: its credentials are rotated."""
    with running(tmp_path_factory.mktemp("rotation")) as cloud:
        yield cloud


def rotate_secret(cloud: LocalCloud, account: str, number: int, old: str) -> str:
    """Put a new secret in the place of *old*, and return it. Entra accepts both until Key Vault has the new one."""
    new = f"secret-{number}"
    cloud.change_app(account, secrets=[old, new])
    cloud.store_secret(cloud.description["accounts"][account]["secretName"], new)
    cloud.change_app(account, secret=new)
    return new


def rotate_certificate(cloud: LocalCloud, account: str, number: int, old: str) -> str:
    """Put a new certificate in the place of *old*, by turns as PEM and as PFX, and return it as PEM."""
    new = cloud.new_certificate()
    form, content_type = ("pem", "application/x-pem-file") if number % 2 else ("pfx", "application/x-pkcs12")
    cloud.change_app(account, certificates=[old, new["pem"]])
    name = cloud.description["accounts"][account]["certificateName"]
    cloud.store_secret(name, new[form], contentType=content_type)
    cloud.change_app(account, certificate=new["pem"])
    return new["pem"]


def rotate_refresh_token(cloud: LocalCloud, account: str, number: int, _old: str) -> str:
    """Put a new consent in the place of the old one, and return its refresh token."""
    new = f"1.consent-{number}"
    cloud.change_app(account, refreshToken=new)
    cloud.store_secret(cloud.description["accounts"][account]["refreshTokenName"], new)
    cloud.change_app(account, revoke=True, refreshToken=new)
    return new


class Kind(NamedTuple):
    """A kind of credential, and how it is rotated.

    Attributes:
        account: an account that has it
        member: where the account's description holds the credential
        name_member: where it holds the name of a secret that is read from Key Vault for each token
        rotate: puts a new credential in the place of the one in its last argument, and returns it
        callers: how many call through the account meanwhile
    """

    account: str
    member: str
    name_member: str
    rotate: Callable[[LocalCloud, str, int, str], str]
    callers: int


KINDS = {
    "secret": Kind("secret-china", "clientSecret", "secretName", rotate_secret, callers=11),
    "certificate": Kind("certificate-global", "certificate", "certificateName", rotate_certificate, callers=11),
    "user": Kind("user-global", "refreshToken", "secretName", rotate_refresh_token, callers=10),
}


def token_requests(cloud: LocalCloud, account: str) -> list[Json]:
    return cloud.requests("entra", "POST", cloud.description["accounts"][account]["tenantId"])


def wait_for_token(cloud: LocalCloud, account: str, *, since: float) -> None:
    """Return once a token was given for a request that arrived after *since*."""
    wait_until(
        lambda: any(r["status"] == 200 and r["time"] > since for r in token_requests(cloud, account)),
        f"no token of {account} after a rotation",
        poll_s=0.1,  # each poll reads all requests so far
    )


def rotate_repeatedly(cloud: LocalCloud, kind: Kind, rotations: int) -> None:
    """Rotate, and wait after each rotation for a token with the new credential."""
    current = cloud.description["accounts"][kind.account][kind.member]
    for number in range(1, rotations + 1):
        current = kind.rotate(cloud, kind.account, number, current)
        wait_for_token(cloud, kind.account, since=time.time())


def test_rotations_under_load_fail_no_call(cloud: LocalCloud, pytestconfig: pytest.Config) -> None:
    """Three kinds side by side, 32 callers; Entra rejects the old credential once Key Vault has the new one.

    Each rotation costs one read of Key Vault and one rejected token request. A token that ends on its way
    to Partner Center is answered with 401, and costs one more read.
    """
    is_long = pytestconfig.getoption("--soak")
    rotations, pause_s = (SOAK_ROTATIONS, 0.0) if is_long else (ROTATIONS, PAUSE_S)
    for kind in KINDS.values():
        cloud.change_app(kind.account, tokenLifetime_s=TOKEN_LIFE_S)
        assert read_order(cloud, kind.account).status_code == 200
    cloud.forget()

    with ExitStack() as calling, ThreadPoolExecutor(len(KINDS)) as operators:
        loads = [
            calling.enter_context(Load(cloud, kind.account, kind.callers, pause_s=pause_s)) for kind in KINDS.values()
        ]
        rotating = [operators.submit(rotate_repeatedly, cloud, kind, rotations) for kind in KINDS.values()]
        for rotation in rotating:
            rotation.result()

    assert [load.answers.keys() for load in loads] == [{"200 dry_run"}] * 3
    late = sum(request["status"] == 401 for request in cloud.requests("partner_center"))
    for kind in KINDS.values():
        rejected = [r for r in token_requests(cloud, kind.account) if r["status"] not in {200, None}]
        name = cloud.description["accounts"][kind.account][kind.name_member]
        reads = [r for r in cloud.requests("key_vault", "GET", f"/{name}/") if r["status"] == 200]
        assert rotations - late <= len(rejected) <= rotations, kind.account
        assert rotations <= len(reads) <= rotations + late, kind.account
