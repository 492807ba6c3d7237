"""Every kind of credential on every cloud through the real runtime, and what becomes of them over time."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.conftest import CUSTOMER
from tests.support.local_cloud import ROOT, LocalCloud, running, software_order

LIMIT_S = 60.0  # for any one wait
CLOUDS = ("global", "china", "usgov")
KINDS = ("secret", "certificate", "user", "federated")
ORDERS = 200


def account_of(kind: str, cloud: str) -> str:
    return "default" if (kind, cloud) == ("secret", "global") else f"{kind}-{cloud}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of this module's own: its credentials are broken and rotated."""
    directory = tmp_path_factory.mktemp("credentials")
    orders = directory / "orders"
    orders.mkdir()
    for number in range(ORDERS):
        order = software_order(f"credential-order-{number:03}", CUSTOMER)
        (orders / f"{order['id']}.json").write_text(json.dumps(order))
    with running(directory, "--orders", str(orders)) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def _ids() -> Iterator[str]:
    return (f"credential-order-{number:03}" for number in range(ORDERS))


@pytest.fixture
def own_order(_ids: Iterator[str]) -> str:
    return next(_ids)


@pytest.fixture
def cloud(whole: LocalCloud) -> LocalCloud:
    whole.forget()
    return whole


def look(cloud: LocalCloud, account: str, order_id: str = "credential-order-000", **headers: str) -> httpx.Response:
    """Read an order through *account*; changes nothing."""
    return cloud.post(
        {"customerTenantId": CUSTOMER, "orderId": order_id, "account": account, "dryRun": True}, **headers
    )


def client_of(cloud: LocalCloud, account: str) -> str:
    return f"clients/{cloud.description['accounts'][account]['clientId']}"


@pytest.mark.parametrize("where", CLOUDS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_order_is_cancelled_with_every_kind_on_every_cloud(
    cloud: LocalCloud, own_order: str, kind: str, where: str
) -> None:
    account = account_of(kind, where)

    answer = cloud.post({"customerTenantId": CUSTOMER, "orderId": own_order, "account": account}).json()

    assert (answer.get("outcome"), answer.get("account")) == ("cancelled", account)
    assert cloud.order(own_order)["status"] == "cancelled"
    hosts = {one["service"]: one["headers"]["host"] for one in cloud.requests()}
    own = cloud.description["clouds"][where]
    assert hosts["partner_center"] == own["partnerCenterUrl"].removeprefix("https://")
    assert hosts.get("entra", own["entraUrl"].removeprefix("https://")) == own["entraUrl"].removeprefix("https://")


# What is wrong, with which account, and what the operator must read. Each with an account that no
# other row spoils: a rejected credential is remembered for half a minute.
WRONG = [
    pytest.param("secret-china", {"secret": "another"}, "AADSTS7000215", "client secret is wrong", id="wrong-secret"),
    pytest.param(
        "secret-usgov", {"trouble": "secret_expired"}, "AADSTS7000222", "client secret has expired", id="expired-secret"
    ),
    pytest.param("certificate-global", {"certificate": "new"}, "AADSTS700027", "certificate", id="wrong-certificate"),
    pytest.param(
        "certificate-china", {"trouble": "disabled"}, "AADSTS7000112", "the app is disabled", id="disabled-app"
    ),
    pytest.param(
        "certificate-usgov", {"trouble": "conditional_access"}, "AADSTS53003", "Conditional Access", id="blocked"
    ),
    pytest.param(
        "user-global", {"expire": True}, "AADSTS700082", "consent again, with MFA", id="expired-refresh-token"
    ),
    pytest.param("user-china", {"revoke": True}, "AADSTS50173", "consent again, with MFA", id="revoked-refresh-token"),
    pytest.param(
        "user-usgov", {"trouble": "interaction_required"}, "AADSTS50076", "consent again, with MFA", id="wants-mfa"
    ),
    pytest.param("federated-global", {"trouble": "disabled"}, "AADSTS7000112", "disabled", id="federated-disabled"),
]


@pytest.mark.parametrize(("account", "change", "number", "words"), WRONG)
def test_a_wrong_credential_says_what_the_operator_must_do(
    broken: LocalCloud, account: str, change: dict[str, Any], number: str, words: str
) -> None:
    if change.get("certificate") == "new":
        change = {"certificate": new_certificate(broken)["pem"]}
    broken.put(client_of(broken, account), change)

    response = look(broken, account)

    problem = response.json()
    assert (response.status_code, problem["code"], problem["retryable"]) == (502, "credentials_rejected", False)
    assert number in problem["detail"]
    assert words in problem["detail"]
    assert f"account {account}" in problem["detail"]


def test_a_user_without_mfa_is_told_by_partner_center(tmp_path: Path) -> None:
    with running(tmp_path) as cloud:
        cloud.put(client_of(cloud, "user-usgov"), {"trouble": "mfa_missing"})
        problem = look(cloud, "user-usgov").json()

    assert (problem["code"], problem["partnerCenter"]["code"]) == ("credentials_rejected", "900421")
    assert "consent again, with MFA" in problem["detail"]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud whose credentials are spoilt one by one."""
    with running(tmp_path_factory.mktemp("broken")) as cloud:
        yield cloud


def new_certificate(cloud: LocalCloud) -> dict[str, str]:
    pair: dict[str, str] = cloud.http.post(f"{cloud.description['controlUrl']}/certificates").json()
    return pair


def test_a_rejected_credential_is_asked_once_in_half_a_minute(cloud: LocalCloud) -> None:
    with ThreadPoolExecutor(8) as callers:
        codes = set(callers.map(lambda _: look(cloud, "expired").json()["code"], range(40)))

    assert codes == {"credentials_rejected"}
    assert tokens_asked_for(cloud) == {401: 1}


def tokens_asked_for(cloud: LocalCloud) -> Counter[int]:
    return Counter(one["status"] for one in cloud.requests("entra") if one["method"] == "POST")


def test_a_hundred_calls_at_a_cold_instance_fetch_once(tmp_path: Path) -> None:
    with running(tmp_path) as cold, ThreadPoolExecutor(100) as callers:
        statuses = Counter(callers.map(lambda _: look(cold, "default").status_code, range(100)))

        assert statuses == {404: 100}  # no such order, which Partner Center says only to a valid token
        assert len(cold.requests("identity")) == 1
        assert [one["status"] for one in cold.requests("key_vault")] == [401, 200]
        assert tokens_asked_for(cold) == {200: 1}


class Load:
    """Callers that look at orders through one account as long as this is entered."""

    def __init__(self, cloud: LocalCloud, account: str, callers: int) -> None:
        self.answers: Counter[str] = Counter()
        self._cloud, self._account = cloud, account
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * LIMIT_S)

    def _call(self) -> None:
        while not self._stop.is_set():
            response = look(self._cloud, self._account, prefer="wait=60")
            self.answers[f"{response.status_code} {response.json().get('code')}"] += 1


def until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


ROTATIONS = 10
ROTATED = {"secret": "secret-china", "certificate": "certificate-global", "user": "user-global"}


def test_rotations_under_load_fail_nobody(cloud: LocalCloud) -> None:
    """Three kinds side by side, 32 calls in flight; the old one is refused the moment that the new one is there.

    Each rotation costs one look into Key Vault and one refused token request. Only where a short-lived
    token ended on its way to Partner Center, which says 401 then, is the vault looked into once more.
    """
    for account in ROTATED.values():
        fetch_anew(cloud, account, 3)
    cloud.forget()
    loads = [Load(cloud, account, callers) for account, callers in zip(ROTATED.values(), (11, 11, 10), strict=True)]

    with loads[0], loads[1], loads[2], ThreadPoolExecutor(3) as operators:
        for rotations in operators.map(lambda kind: rotate_often(cloud, kind), ROTATED):
            assert rotations == ROTATIONS

    assert [load.answers.keys() for load in loads] == [{"200 None"}] * 3
    for kind, account in ROTATED.items():
        known = cloud.description["accounts"][account]
        late = sum(one["status"] == 401 for one in cloud.requests("partner_center"))
        looks = len(answered(cloud, "key_vault", "GET", known.get("secretName") or known["certificateName"]))
        refused = [one for one in asked(cloud, known["tenantId"]) if one["status"] not in {200, None}]
        assert ROTATIONS - late <= len(refused) <= ROTATIONS, kind
        assert ROTATIONS <= looks <= ROTATIONS + late, kind
        cloud.put(client_of(cloud, account), {"tokenLifetime_s": 3599})


def rotate_often(cloud: LocalCloud, kind: str) -> int:
    """Rotate, each time once a token was had with the one before; return how often."""
    account = ROTATED[kind]
    tenant = cloud.description["accounts"][account]["tenantId"]
    known = cloud.description["accounts"][account]
    current = {"secret": known.get("clientSecret"), "certificate": known.get("certificate")}.get(kind, "")
    for number in range(1, ROTATIONS + 1):
        current = rotate(cloud, kind, account, number, current)
        done = time.time()
        until(
            lambda done=done: any(one["status"] == 200 and one["time"] > done for one in asked(cloud, tenant)),
            f"no token after rotation {number} of a {kind}",
        )
    return ROTATIONS


def asked(cloud: LocalCloud, tenant: str) -> list[dict[str, Any]]:
    """Return the token requests in *tenant*."""
    return [one for one in cloud.requests("entra") if one["method"] == "POST" and tenant in one["path"]]


def answered(cloud: LocalCloud, service: str, method: str, name: str) -> list[dict[str, Any]]:
    return [
        one
        for one in cloud.requests(service)
        if (one["method"], one["status"]) == (method, 200) and f"/{name}/" in one["path"]
    ]


def fetch_anew(cloud: LocalCloud, account: str, lifetime_s: float) -> None:
    """Let the function hold a token of *lifetime_s*, whatever it held before."""
    cloud.put(client_of(cloud, account), {"tokenLifetime_s": lifetime_s})
    cloud.fault(status=401)
    assert look(cloud, account).status_code == 200


def recovered(cloud: LocalCloud, rotations: int) -> bool:
    """True once *rotations* were refused and the last of them was followed by a token."""
    statuses = [one["status"] for one in cloud.requests("entra") if one["method"] == "POST"]
    refused = [index for index, status in enumerate(statuses) if status not in {200, None}]
    return len(refused) == rotations and 200 in statuses[refused[-1] :]


def looks(cloud: LocalCloud) -> int:
    return len([one for one in cloud.requests("key_vault") if one["method"] == "GET" and one["status"] == 200])


def rotate(cloud: LocalCloud, kind: str, account: str, number: int, old: str) -> str:
    """Put a new one in the place of *old*, refuse every other the moment that it is there, and return it."""
    known = cloud.description["accounts"][account]
    before: dict[str, Any]
    after: dict[str, Any]
    match kind:
        case "secret":
            new = f"secret-{number}"
            stored, body, before, after = known["secretName"], {"value": new}, {"secrets": [old, new]}, {"secret": new}
        case "certificate":
            pair = new_certificate(cloud)
            new = pair["pem"]
            form = ("pem", "application/x-pem-file") if number % 2 else ("pfx", "application/x-pkcs12")
            stored, body = known["certificateName"], {"value": pair[form[0]], "contentType": form[1]}
            before, after = {"certificates": [old, new]}, {"certificate": new}
        case _:
            new = f"1.consent-{number}"
            stored, body = known["refreshTokenName"], {"value": new}
            before, after = {"refreshToken": new}, {"revoke": True, "refreshToken": new}
    cloud.put(client_of(cloud, account), before)  # else the two would disagree between one line and the next
    cloud.put(f"secrets/{stored}", body)
    cloud.put(client_of(cloud, account), after)
    return new


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[LocalCloud]:
    """A cold instance with a local cloud of its own."""
    with running(tmp_path) as cloud:
        yield cloud


OUTAGES: list[tuple[str, str, dict[str, Any]]] = [
    ("secret-usgov", "switched off", {"hang_up": "before"}),
    ("certificate-china", "hanging", {"delay_s": 60}),
    ("user-china", "refusing", {"status": 403, "body": {"error": {"code": "Forbidden", "message": "no"}}}),
]


def test_while_a_token_is_held_key_vault_and_entra_may_be_down(cloud: LocalCloud) -> None:
    """Three outages side by side, each with an account; callers are at it until after its renewal has failed."""
    loads = []
    for account, _, fault in OUTAGES:
        fetch_anew(cloud, account, 20)
        known = cloud.description["accounts"][account]
        for where in (known["tenantId"], known.get("secretName") or known["certificateName"]):
            for service in ("entra", "key_vault"):
                cloud.fault(service=service, path=where, times=10_000, **fault)
        loads.append(Load(cloud, account, 4))

    with loads[0], loads[1], loads[2]:
        for account, what, _ in OUTAGES:
            tenant = cloud.description["accounts"][account]["tenantId"]
            until(lambda tenant=tenant: asked_entra(cloud, tenant) > 2, f"no renewal while Entra was {what}")

    assert [load.answers.keys() for load in loads] == [{"200 None"}] * 3


def asked_entra(cloud: LocalCloud, tenant: str) -> int:
    return len([one for one in cloud.requests("entra") if tenant in one["path"]])


def test_a_hung_read_ends_for_whoever_waits(fresh: LocalCloud) -> None:
    fresh.fault(service="key_vault", delay_s=600)

    problem = look(fresh, "user-usgov", prefer="wait=60").json()

    assert (problem["code"], problem["retryable"]) == ("credentials_unavailable", True)
    fresh.forget()
    assert look(fresh, "user-usgov").status_code == 404  # no such order: it has a token


# The refresh token's life.

OLD = {"created": 1_700_000_000, "updated": 1_700_000_000}


class Stored:
    """The refresh token of one account, as Key Vault has it."""

    def __init__(self, cloud: LocalCloud, account: str) -> None:
        self._cloud = cloud
        self.account = account
        self.name = cloud.description["accounts"][account]["refreshTokenName"]

    def put(self, value: str, **more: Any) -> None:
        """Store a token that Entra accepts, and let the function fetch with it."""
        self._cloud.put(client_of(self._cloud, self.account), {"refreshToken": value, "tokenLifetime_s": 3599})
        self._cloud.put(f"secrets/{self.name}", {"value": value} | more)

    @property
    def versions(self) -> list[dict[str, Any]]:
        url = f"{self._cloud.description['controlUrl']}/secrets/{self.name}"
        found: list[dict[str, Any]] = self._cloud.http.get(url).json()
        return found

    def writes(self) -> list[dict[str, Any]]:
        return [one for one in self._cloud.requests("key_vault") if one["method"] == "PUT" and self.name in one["path"]]


def test_a_refresh_token_over_a_day_old_is_renewed_in_the_vault(fresh: LocalCloud) -> None:
    stored = Stored(fresh, "user-global")
    stored.put("1.old", attributes=OLD, tags={"owner": "ops"}, contentType="text/x-refresh-token")
    before = len(stored.versions)

    assert look(fresh, "user-global").status_code == 404
    until(lambda: len(stored.versions) > before, "it was not renewed")

    newest = stored.versions[-1]
    assert newest["value"] != "1.old"
    assert (newest["tags"], newest["contentType"]) == ({"owner": "ops"}, "text/x-refresh-token")
    assert 89 * 86_400 < newest["attributes"]["exp"] - time.time() < 91 * 86_400


def test_a_young_refresh_token_is_left_alone(fresh: LocalCloud) -> None:
    stored = Stored(fresh, "user-global")
    stored.put("1.young")

    assert look(fresh, "user-global").status_code == 404
    assert look(fresh, "user-global").status_code == 404

    assert stored.writes() == []


def test_a_renewal_that_cannot_be_stored_is_recorded_and_hurts_nobody(fresh: LocalCloud) -> None:
    stored = Stored(fresh, "user-global")
    stored.put("1.old", attributes=OLD)
    fresh.fault(service="key_vault", method="PUT", status=403, body={"error": {"code": "Forbidden", "message": "no"}})

    assert look(fresh, "user-global").status_code == 404

    until(lambda: '"event": "not_stored", "account": "user-global"' in fresh.log.read_text(), "it was not recorded")
    assert stored.versions[-1]["value"] == "1.old"


def test_an_operators_new_consent_is_not_overwritten(fresh: LocalCloud) -> None:
    stored = Stored(fresh, "user-global")
    stored.put("1.old", attributes=OLD)
    fresh.fault(service="entra", method="POST", delay_s=600)
    with ThreadPoolExecutor(1) as background:
        waiting = background.submit(look, fresh, "user-global", prefer="wait=60")
        until(lambda: any(one["method"] == "POST" for one in fresh.requests("entra")), "nothing was exchanged")
        stored.put("1.consented-meanwhile")
        fresh.http.delete(f"{fresh.description['controlUrl']}/faults")

        assert waiting.result(LIMIT_S).status_code == 404

    until(lambda: len([one for one in fresh.requests("key_vault") if one["status"] == 200]) >= 3, "nobody looked")
    assert stored.writes() == []
    assert stored.versions[-1]["value"] == "1.consented-meanwhile"


def test_an_instance_that_dies_between_exchange_and_write_harms_no_other(fresh: LocalCloud) -> None:
    stored = Stored(fresh, "user-global")
    stored.put("1.old", attributes=OLD)
    fresh.fault(service="key_vault", method="PUT", delay_s=600, hang_up="before")
    before = len(stored.versions)

    with another_instance(fresh) as (url, process):
        assert look_at(fresh, url).status_code == 404
        until(lambda: len(stored.writes()) == 1, "it did not come to the write")
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)
        assert len(stored.versions) == before

        assert look(fresh, "user-global").status_code == 404
        until(lambda: len(stored.versions) == before + 1, "the survivor did not write")

    with another_instance(fresh) as (url, _):
        assert look_at(fresh, url).status_code == 404


def look_at(cloud: LocalCloud, url: str) -> httpx.Response:
    body = {"customerTenantId": CUSTOMER, "orderId": "no-such-order", "account": "user-global", "dryRun": True}
    return cloud.http.post(url, json=body, headers={"x-functions-key": cloud.description["functionKey"]})


@contextmanager
def another_instance(cloud: LocalCloud) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a second worker of the function beside the first, at the same stand-ins."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "infra.local.functions.host"]
        process = subprocess.Popen(  # noqa: S603
            [*command, "--app-root", str(ROOT), "--fd", str(listener.fileno())],
            cwd=ROOT,
            env={
                **os.environ,
                **cloud.description["environment"],
                "LOCAL_FUNCTION_KEY": cloud.description["functionKey"],
            },
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
    try:
        yield f"http://127.0.0.1:{port}/api/cancel_order", process
    finally:
        if process.stdin:
            process.stdin.close()  # which ends it
        process.kill()
        process.wait(LIMIT_S)


def test_consent_stores_the_first_refresh_token(fresh: LocalCloud) -> None:
    """The operator's command, with the local Entra signing in a made-up user."""
    stored = Stored(fresh, "user-china")
    before = stored.versions[-1]["value"]
    with consenting(fresh, "user-china") as process:
        assert "Done here" in sign_in(fresh, process, astray="/?state=anothers&code=x").text
        assert process.wait(LIMIT_S) == 0

    newest = stored.versions[-1]
    assert newest["value"] != before
    assert 89 * 86_400 < newest["attributes"]["exp"] - time.time() < 91 * 86_400
    assert look(fresh, "user-china").status_code == 404  # which Partner Center says only to a valid token


@pytest.mark.parametrize(
    ("account", "trouble", "words"),
    [
        ("default", None, "no account default with a refreshToken"),
        ("nobody", None, "no account nobody with a refreshToken"),
        ("user-usgov", "mfa_missing", "without MFA"),
        ("user-global", {"service": "entra", "status": 503, "times": 10}, "Entra ID gave no usable answer"),
        ("user-global", {"service": "key_vault", "method": "PUT", "status": 403}, "Key Vault did not store"),
    ],
    ids=str,
)
def test_consent_says_what_is_wrong(
    broken: LocalCloud, account: str, trouble: str | dict[str, Any] | None, words: str
) -> None:
    broken.forget()
    if isinstance(trouble, str):
        broken.put(client_of(broken, account), {"trouble": trouble})
    elif trouble:
        broken.fault(**trouble)
    with consenting(broken, account) as process:
        if isinstance(trouble, str) or (trouble and trouble["service"] == "key_vault"):
            sign_in(broken, process)
        assert process.wait(LIMIT_S) == 1
        assert process.stderr is not None
        said = process.stderr.read()

    assert words in said
    assert "Traceback" not in said


@contextmanager
def consenting(cloud: LocalCloud, account: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "infra.consent", account, "--no-browser"],
        cwd=ROOT,
        env={**os.environ, **cloud.description["environment"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def sign_in(cloud: LocalCloud, process: subprocess.Popen[str], astray: str = "") -> httpx.Response:
    """Open the address that *process* prints, as a browser would, which may first bring back something *astray*."""
    assert process.stdout is not None
    address = next(line.strip() for line in iter(process.stdout.readline, "") if line.startswith("https://"))
    with httpx.Client(verify=tls(cloud), trust_env=False, follow_redirects=True) as browser:
        if astray:
            browser.get(dict(parse_qsl(urlsplit(address).query))["redirect_uri"] + astray)
        return browser.get(address)


def tls(cloud: LocalCloud) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cloud.description["caFile"])
