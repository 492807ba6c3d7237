"""Who may cancel what, through the real runtime: callers, forgers, and the trainee, each at every target."""

import base64
import json
import re
import shlex
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msal  # type: ignore[import-untyped, unused-ignore]  # it has no types
import pytest
from azure.identity import ClientSecretCredential

from infra.local.senders.deliveries import SENDERS, Delivery, headers_of, zendesk_signature
from shared.callers.proofs import ZENDESK_TEST_SECRET
from tests.conftest import CUSTOMER
from tests.support.local_cloud import Json, LocalCloud, running, software_order

ITS_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766"  # the trainee's
ORDERS = 200
NOBODY = (401, "caller_not_authenticated")
HOST_SAYS_NO = (401, None)  # App Service Authentication, with an empty body
NOT_ALLOWED = (403, "caller_not_allowed")

type Answer = tuple[int, str | None]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud whose callers must prove themselves, with orders of two customers."""
    directory = tmp_path_factory.mktemp("guarded")
    for number in range(ORDERS):
        order = software_order(f"guarded-order-{number:03}", CUSTOMER if number % 2 else ITS_CUSTOMER)
        (directory / f"{order['id']}.json").write_text(json.dumps(order))
    with running(directory, "--callers", "--orders", str(directory)) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def _order_numbers() -> Iterator[int]:
    return iter(range(ORDERS))


@pytest.fixture(autouse=True)
def _trust(guarded: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What azure-identity and msal ask with is requests, which trusts this."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", guarded.description["caFile"])


@pytest.fixture
def order_ids(_order_numbers: Iterator[int]) -> dict[str, str]:
    """An order of each of the two customers that no other test has touched."""
    its, others = next(_order_numbers), next(_order_numbers)
    return {ITS_CUSTOMER: f"guarded-order-{its:03}", CUSTOMER: f"guarded-order-{others:03}"}


# How one presents oneself: from the local cloud's description and the body to headers.


def as_system(name: str) -> Callable[[LocalCloud, bytes], dict[str, str]]:
    return lambda cloud, body: headers_of(name, body, cloud.description, Delivery())


def with_key(key: str | None, name: str = "jira") -> Callable[[LocalCloud, bytes], dict[str, str]]:
    return lambda cloud, _: {"x-caller-key": key or cloud.description["callers"][name]["key"]}


def signed(
    name: str, *, age: timedelta = timedelta(), secret: str | None = None, other_body: bool = False
) -> Callable[[LocalCloud, bytes], dict[str, str]]:
    """As *name*, but some time ago, or with another secret, or for another body."""

    def present(cloud: LocalCloud, body: bytes) -> dict[str, str]:
        caller = cloud.description["callers"][name]
        signed_body = body + b" " if other_body else body
        known = {**caller, "secret": secret or caller["secret"]}
        return SENDERS[name].sign(signed_body, known, Delivery(), datetime.now(UTC) - age)

    return present


def bearer(token: Callable[[LocalCloud], str]) -> Callable[[LocalCloud, bytes], dict[str, str]]:
    return lambda cloud, _: {"authorization": f"Bearer {token(cloud)}"}


def with_role(cloud: LocalCloud) -> str:
    return app_token(cloud, cloud.description["callers"]["flow"])


def without_role(cloud: LocalCloud) -> str:
    return app_token(cloud, cloud.description["callers"]["flow"]["withoutRole"])


def app_token(cloud: LocalCloud, app: Json, scope: str | None = None) -> str:
    """Ask as an app does, with azure-identity."""
    where: dict[str, Any] = {"authority": cloud.description["entraUrl"], "disable_instance_discovery": True}
    with ClientSecretCredential(app["tenantId"], app["clientId"], app["clientSecret"], **where) as asked:
        return asked.get_token(scope or app["scope"]).token


def partner_center_token(cloud: LocalCloud) -> str:
    """A token of the local Entra that is good for something else."""
    account = cloud.description["accounts"]["default"]
    return app_token(cloud, account, "https://api.partnercenter.microsoft.com/.default")


def user_token(cloud: LocalCloud, *, hint: str | None = None) -> str:
    """Sign a user in, with msal; *hint* is another than the app's own user."""
    app = cloud.description["callers"]["flow"]
    authority = f"{cloud.description['entraUrl']}/{app['tenantId']}"
    known = {"client_credential": app["clientSecret"], "authority": authority, "instance_discovery": False}
    client = msal.ConfidentialClientApplication(app["clientId"], **known)
    with pytest.warns(UserWarning, match="form_post"):  # msal's advice; a loopback listener needs the query
        flow = client.initiate_auth_code_flow(
            [app["scope"]], "http://localhost/", response_mode="query", login_hint=hint
        )
    tls = ssl.create_default_context(cafile=cloud.description["caFile"])
    page = httpx.get(flow["auth_uri"], verify=tls, trust_env=False)
    answer = client.acquire_token_by_auth_code_flow(flow, dict(parse_qsl(urlsplit(page.headers["location"]).query)))
    return str(answer["access_token"])


def stranger_token(cloud: LocalCloud) -> str:
    return user_token(cloud, hint="ada@partner.example")


def forged_principal(_cloud: LocalCloud, _body: bytes) -> dict[str, str]:
    claims = [{"typ": "roles", "val": "Orders.Cancel"}]
    principal = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(principal).encode()).decode()}


def forged_beside_a_token(cloud: LocalCloud, body: bytes) -> dict[str, str]:
    return forged_principal(cloud, body) | bearer(without_role)(cloud, body)


PROVEN = {
    "zendesk": as_system("zendesk"),
    "standard-webhooks": as_system("standard-webhooks"),
    "zendesk-4-minutes-ago": signed("zendesk", age=timedelta(minutes=4)),
    "app-with-role": bearer(with_role),
    "user-with-role": bearer(user_token),
    **{name: with_key(None, name) for name in ("jira", "servicenow", "freshservice", "freshdesk", "halo")},
}
REFUSED = {
    "function-key-only": (lambda _cloud, _body: {}, NOBODY),
    "zendesk-published-secret": (signed("zendesk", secret=ZENDESK_TEST_SECRET), NOBODY),
    "zendesk-another-secret": (signed("zendesk", secret="c2VjcmV0"), NOBODY),
    "zendesk-another-body": (signed("zendesk", other_body=True), NOBODY),
    "zendesk-replayed": (signed("zendesk", age=timedelta(minutes=6)), NOBODY),
    "zendesk-from-the-future": (signed("zendesk", age=-timedelta(minutes=6)), NOBODY),
    "standard-another-body": (signed("standard-webhooks", other_body=True), NOBODY),
    "standard-replayed": (signed("standard-webhooks", age=timedelta(minutes=6)), NOBODY),
    "another-key": (with_key("k" * 43), NOBODY),
    "forged-principal": (forged_principal, NOBODY),
    "app-without-role": (bearer(without_role), NOBODY),
    "user-without-role": (bearer(stranger_token), NOBODY),
    "forged-principal-beside-a-token": (forged_beside_a_token, NOBODY),
    "token-for-partner-center": (bearer(partner_center_token), HOST_SAYS_NO),
    "token-that-is-none": (bearer(lambda _: "x.y.z"), HOST_SAYS_NO),
}
# What is asked for: customer, account, dry run; and what the trainee is told.
TARGETS: dict[str, tuple[str, str, bool, Answer]] = {
    "dry-run": (ITS_CUSTOMER, "default", True, (200, "dry_run")),
    "for-real": (ITS_CUSTOMER, "default", False, NOT_ALLOWED),
    "another-customer": (CUSTOMER, "default", True, NOT_ALLOWED),
    "another-account": (ITS_CUSTOMER, "rehearsal", True, NOT_ALLOWED),
}


def ask(
    cloud: LocalCloud, present: Callable[[LocalCloud, bytes], dict[str, str]], order_id: str, target: str
) -> Answer:
    customer, account, dry_run, _ = TARGETS[target]
    request = {"customerTenantId": customer, "orderId": order_id, "account": account, "dryRun": dry_run}
    body = json.dumps(request).encode()
    answer = cloud.post(body, **present(cloud, body))
    told = answer.json() if answer.content else {}
    return answer.status_code, told.get("outcome") or told.get("code")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("caller", PROVEN)
def test_whoever_proves_itself_may_do_all(
    guarded: LocalCloud, order_ids: dict[str, str], caller: str, target: str
) -> None:
    customer, _, dry_run, _ = TARGETS[target]

    answer = ask(guarded, PROVEN[caller], order_ids[customer], target)

    assert answer == (200, "dry_run" if dry_run else "cancelled")


@pytest.mark.parametrize("caller", REFUSED)
def test_whoever_does_not_may_not_even_look(guarded: LocalCloud, order_ids: dict[str, str], caller: str) -> None:
    present, expected = REFUSED[caller]
    before = guarded.order(order_ids[ITS_CUSTOMER])

    for target in ("dry-run", "for-real"):
        assert ask(guarded, present, order_ids[ITS_CUSTOMER], target) == expected

    assert guarded.order(order_ids[ITS_CUSTOMER]) == before
    assert before["status"] == "completed"


@pytest.mark.parametrize("target", TARGETS)
def test_the_trainee_may_do_dry_runs_of_its_one_customer_at_its_one_account(
    guarded: LocalCloud, order_ids: dict[str, str], target: str
) -> None:
    customer, _, _, expected = TARGETS[target]
    before = guarded.order(order_ids[customer])

    assert ask(guarded, with_key(None, "trainee"), order_ids[customer], target) == expected

    assert guarded.order(order_ids[customer]) == before


# An operator's mistakes: App Service Authentication is off, and the secret that everybody knows is in Key Vault.


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    callers = {
        "zendesk": {"proof": "zendesk", "secrets": ["zendesk-signing"]},
        "flow": {"proof": "entra", "role": "Orders.Cancel"},
    }
    with running(tmp_path_factory.mktemp("careless"), CALLERS=json.dumps(callers)) as cloud:
        cloud.put("secrets/zendesk-signing", {"value": ZENDESK_TEST_SECRET})
        yield cloud


def test_a_principal_that_anybody_can_send_is_not_believed(careless: LocalCloud) -> None:
    """Without App Service Authentication the header comes through, as it does on Azure."""
    answer = careless.post(b"{}", **forged_principal(careless, b""))

    assert (answer.status_code, answer.json()["code"]) == NOBODY
    assert "App Service Authentication is off" in answer.json()["detail"]


def test_the_secret_that_everybody_knows_opens_nothing(careless: LocalCloud) -> None:
    body, timestamp = b"{}", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    answer = careless.post(
        body,
        x_zendesk_webhook_signature=zendesk_signature(ZENDESK_TEST_SECRET, timestamp, body),
        x_zendesk_webhook_signature_timestamp=timestamp,
    )

    assert (answer.status_code, answer.json()["code"]) == (500, "misconfigured")
    assert ZENDESK_TEST_SECRET not in answer.text


RUBBISH: list[tuple[str, bytes]] = [
    (name, value)
    for name in (
        *("x-caller-key", "x-zendesk-webhook-signature", "x-zendesk-webhook-signature-timestamp", "webhook-id"),
        *("webhook-timestamp", "webhook-signature", "x-ms-client-principal", "authorization"),
    )
    for value in (b"", b"\xff\xfe", "ключ".encode(), b"v1", b"v1,", b"v1,!!!", b"9" * 4_000, b"Bearer", b"Bearer \xff")
]


@pytest.mark.parametrize("start", ["zendesk", "standard-webhooks", "jira", "flow"])
def test_no_rubbish_in_a_header_is_anything_but_a_refusal(
    guarded: LocalCloud, order_ids: dict[str, str], start: str
) -> None:
    """Each header in turn spoiled, the others as they should be: nobody gets in, and nothing breaks."""
    request = {"customerTenantId": ITS_CUSTOMER, "orderId": order_ids[ITS_CUSTOMER], "dryRun": True}
    body = json.dumps(request).encode()
    present = {**PROVEN, "flow": PROVEN["app-with-role"]}[start]
    sound = {"x-functions-key": guarded.description["functionKey"]} | present(guarded, body)
    needed = {name for name, _ in RUBBISH} & sound.keys()

    for name, value in RUBBISH:
        headers = [(one.encode(), given.encode()) for one, given in sound.items() if one != name]
        headers.append((name.encode(), value))
        answer = guarded.http.post(guarded.description["functionUrl"], content=body, headers=headers)
        # A header that this caller does not need may hold what it likes, but for a bearer token that is none.
        expected = {401} if name in needed else {200, 401} if name == "authorization" else {200}
        assert answer.status_code in expected, (name, value, answer.text)


def test_a_body_that_is_signed_and_makes_no_sense_is_the_caller_s_fault(guarded: LocalCloud) -> None:
    body = b'{"customerTenantId": "\xff"}'
    secret = guarded.description["callers"]["zendesk"]["secret"]
    timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    answer = guarded.post(
        body,
        x_zendesk_webhook_signature=zendesk_signature(secret, timestamp, body),
        x_zendesk_webhook_signature_timestamp=timestamp,
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


def test_the_record_names_each_caller_and_holds_no_proof(guarded: LocalCloud, order_ids: dict[str, str]) -> None:
    for present in PROVEN.values():
        ask(guarded, present, order_ids[ITS_CUSTOMER], "dry-run")

    # What the function logged; above it stands what was printed for whoever started it, keys included.
    lines = [line for line in guarded.log.read_text().splitlines() if re.match(r"\d{4}-\d{2}-\d{2} ", line)]
    log = "\n".join(lines)
    records = [json.loads(line[line.index("{") :]) for line in lines if " cancel_order.audit " in line]
    assert {one["caller"] for one in records} >= set(guarded.description["callers"]) - {"trainee"}
    callers = guarded.description["callers"]
    proofs = [one[name] for one in callers.values() for name in ("key", "secret", "clientSecret") if name in one]
    assert len(proofs) == len(callers)
    assert [proof for proof in [*proofs, guarded.description["functionKey"], "eyJ"] if proof in log] == []
    assert "Traceback" not in guarded.log.read_text()


def test_the_signing_secrets_are_in_key_vault_alone(guarded: LocalCloud) -> None:
    for name in ("zendesk", "standard-webhooks"):
        caller = guarded.description["callers"][name]

        [version] = guarded.http.get(f"{guarded.description['controlUrl']}/secrets/{caller['secretName']}").json()

        assert version["value"] == caller["secret"]
        assert caller["secret"] not in guarded.description["environment"]["CALLERS"]


def test_what_is_printed_works_as_it_stands(guarded: LocalCloud) -> None:
    """`make serve` prints lines to paste; they carry the proof that they need."""
    [look, *_] = [line for line in guarded.log.read_text().splitlines() if line.strip().startswith("curl -si")]

    _, _, url, *options = shlex.split(look)

    given = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in given if name == "-H")
    [body] = [value for name, value in given if name == "-d"]
    answer = guarded.http.post(url, content=body, headers=headers)
    assert answer.json()["outcome"] == "dry_run"


def test_the_description_is_for_its_owner_only(guarded: LocalCloud) -> None:
    assert Path(guarded.log.parent / "cloud.json").stat().st_mode & 0o077 == 0
