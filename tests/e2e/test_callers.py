"""Callers through the real runtime: with a proof, with a forged proof, and with a narrow scope."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.local.callers import KEY_SYSTEMS, SIGNING_SECRET_NAMES
from infra.local.senders.deliveries import Delivery, headers_of
from shared.callers.proofs import ZENDESK_TEST_SECRET
from tests.conftest import CUSTOMER
from tests.support import entra_tokens, proofs
from tests.support.functions_host import audit_records, logged_errors
from tests.support.local_cloud import LocalCloud, order_id_of, running, software_order, write_orders
from tests.support.proofs import Headers
from tests.support.waiting import wait_until

TRAINEE_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766"  # the trainee may act for no other
ORDERS = 200

type Proof = Callable[[LocalCloud, bytes], Headers]  # the headers that go with a body


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud whose callers must prove who they are, with orders of two customers.

    Its host is always the stand-in, because the real host has no App Service Authentication.
    """
    directory = tmp_path_factory.mktemp("guarded")
    orders = (
        software_order(order_id_of(f"guarded-order-{number:03}"), CUSTOMER if number % 2 else TRAINEE_CUSTOMER)
        for number in range(ORDERS)
    )
    options = ("--callers", "--orders", write_orders(directory / "orders", orders))
    with running(directory, *options, FUNCTIONS_HOST="") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def _order_numbers() -> Iterator[int]:
    return iter(range(ORDERS))


@pytest.fixture
def order_ids(_order_numbers: Iterator[int]) -> dict[str, str]:
    """An order of each of the two customers that no other test has touched, by customer."""
    return {
        customer: order_id_of(f"guarded-order-{next(_order_numbers):03}") for customer in (TRAINEE_CUSTOMER, CUSTOMER)
    }


@pytest.fixture(autouse=True)
def _trust(guarded: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let azure-identity and msal, which use requests, trust the local cloud."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", guarded.description["caFile"])


# Proofs


def system(name: str) -> Proof:
    """Use the headers of the ticketing system *name*."""
    return lambda cloud, body: headers_of(name, body, cloud.description, Delivery())


def key(name: str) -> Proof:
    return lambda cloud, _: {"x-caller-key": cloud.description["callers"][name]["key"]}


def zendesk(*, age: timedelta = proofs.NOW, secret: str | None = None, more: bytes = b"") -> Proof:
    """Sign as Zendesk that long ago, with another *secret*, or a body with *more* bytes."""
    return lambda cloud, body: proofs.zendesk(
        body + more, secret or cloud.description["callers"]["zendesk"]["secret"], age=age
    )


def standard_webhooks(*, age: timedelta = proofs.NOW, more: bytes = b"") -> Proof:
    return lambda cloud, body: proofs.standard_webhooks(
        body + more, cloud.description["callers"]["standard-webhooks"]["secret"], age=age
    )


def svix(cloud: LocalCloud, body: bytes) -> Headers:
    """Sign as Svix does under its own header names."""
    headers = standard_webhooks()(cloud, body)
    return {name.replace("webhook-", "svix-"): value for name, value in headers.items()}


def token(fetch: Callable[[LocalCloud], str]) -> Proof:
    return lambda cloud, _: {"authorization": f"Bearer {fetch(cloud)}"}


def forged_principal(_cloud: LocalCloud, _body: bytes) -> Headers:
    return proofs.entra_principal("Orders.Cancel")


def forged_principal_beside_a_token(cloud: LocalCloud, body: bytes) -> Headers:
    return forged_principal(cloud, body) | token(entra_tokens.app_token_without_role)(cloud, body)


PROVEN: dict[str, Proof] = {
    **{name: system(name) for name in SIGNING_SECRET_NAMES},
    "svix": svix,
    "zendesk-4-minutes-ago": zendesk(age=timedelta(minutes=4)),
    "app-with-role": token(entra_tokens.app_token_with_role),
    "user-with-role": token(entra_tokens.user_token),
    **{name: key(name) for name in KEY_SYSTEMS},
}
UNPROVEN: dict[str, Proof] = {
    "function-key-only": lambda _cloud, _body: {},
    "zendesk-published-secret": zendesk(secret=ZENDESK_TEST_SECRET),
    "zendesk-another-secret": zendesk(secret="c2VjcmV0"),
    "zendesk-another-body": zendesk(more=b" "),
    "zendesk-replayed": zendesk(age=timedelta(minutes=6)),
    "zendesk-from-the-future": zendesk(age=-timedelta(minutes=6)),
    "standard-another-body": standard_webhooks(more=b" "),
    "standard-replayed": standard_webhooks(age=timedelta(minutes=6)),
    "another-key": lambda _cloud, _body: {"x-caller-key": "k" * 43},
    "forged-principal": forged_principal,
    "app-without-role": token(entra_tokens.app_token_without_role),
    "user-without-role": token(entra_tokens.user_token_without_role),
    "forged-principal-beside-a-token": forged_principal_beside_a_token,
}
# App Service Authentication refuses these before the function runs, with an empty body.
STOPPED_BY_THE_HOST: dict[str, Proof] = {
    "token-for-partner-center": token(entra_tokens.partner_center_token),
    "token-that-is-none": token(lambda _: "x.y.z"),
}


# Permissions


class Target(NamedTuple):
    """A request's customer, account and dry run, and the status and the outcome or code that the trainee gets."""

    customer: str
    account: str
    dry_run: bool
    for_trainee: tuple[int, str]


TARGETS = {
    "dry-run": Target(TRAINEE_CUSTOMER, "default", True, (200, "dry_run")),
    "for-real": Target(TRAINEE_CUSTOMER, "default", False, (403, "caller_not_allowed")),
    "another-customer": Target(CUSTOMER, "default", True, (403, "caller_not_allowed")),
    "another-account": Target(TRAINEE_CUSTOMER, "rehearsal", True, (403, "caller_not_allowed")),
}


def send(cloud: LocalCloud, proof: Proof, target: Target, order_ids: dict[str, str]) -> tuple[int, str | None]:
    """Send the request for *target* with *proof*; return the status, and the outcome or code."""
    request = {
        "customerTenantId": target.customer,
        "orderId": order_ids[target.customer],
        "account": target.account,
        "dryRun": target.dry_run,
    }
    body = json.dumps(request).encode()
    response = cloud.post(body, **proof(cloud, body))
    answer = response.json() if response.content else {}
    return response.status_code, answer.get("outcome") or answer.get("code")


@pytest.mark.parametrize("target_name", TARGETS)
@pytest.mark.parametrize("proof_name", PROVEN)
def test_a_caller_without_a_narrow_scope_may_do_everything(
    guarded: LocalCloud, order_ids: dict[str, str], proof_name: str, target_name: str
) -> None:
    target = TARGETS[target_name]

    answer = send(guarded, PROVEN[proof_name], target, order_ids)

    assert answer == (200, "dry_run" if target.dry_run else "cancelled")


@pytest.mark.parametrize("proof_name", UNPROVEN)
def test_a_caller_without_proof_may_not_even_read(
    guarded: LocalCloud, order_ids: dict[str, str], proof_name: str
) -> None:
    before = guarded.order(order_ids[TRAINEE_CUSTOMER])

    for target in (TARGETS["dry-run"], TARGETS["for-real"]):
        answer = send(guarded, UNPROVEN[proof_name], target, order_ids)
        assert answer == (401, "caller_not_authenticated")

    assert before["status"] == "completed"
    assert guarded.order(order_ids[TRAINEE_CUSTOMER]) == before


@pytest.mark.parametrize("proof_name", STOPPED_BY_THE_HOST)
def test_a_token_that_is_not_for_the_function_does_not_reach_it(
    guarded: LocalCloud, order_ids: dict[str, str], proof_name: str
) -> None:
    before = guarded.order(order_ids[TRAINEE_CUSTOMER])

    for target in (TARGETS["dry-run"], TARGETS["for-real"]):
        answer = send(guarded, STOPPED_BY_THE_HOST[proof_name], target, order_ids)
        assert answer == (401, None)

    assert before["status"] == "completed"
    assert guarded.order(order_ids[TRAINEE_CUSTOMER]) == before


@pytest.mark.parametrize("target_name", TARGETS)
def test_the_trainee_may_do_dry_runs_for_one_customer_at_one_account(
    guarded: LocalCloud, order_ids: dict[str, str], target_name: str
) -> None:
    target = TARGETS[target_name]
    before = guarded.order(order_ids[target.customer])

    answer = send(guarded, key("trainee"), target, order_ids)

    assert answer == target.for_trainee
    assert guarded.order(order_ids[target.customer]) == before


# Senseless proofs

CALLER_HEADERS = (
    "x-caller-key",
    "x-zendesk-webhook-signature",
    "x-zendesk-webhook-signature-timestamp",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
    "x-ms-client-principal",
    "authorization",
)
SENSELESS = (b"", b"\xff\xfe", "ключ".encode(), b"v1", b"v1,", b"v1,!!!", b"9" * 4_000, b"Bearer", b"Bearer \xff")
NOT_UTF_8 = (b"\xff\xfe", b"Bearer \xff")  # Azure's host refuses them by itself


@pytest.mark.parametrize("proof_name", ["zendesk", "standard-webhooks", "svix", "jira", "app-with-role"])
def test_a_senseless_header_is_refused_and_breaks_nothing(
    guarded: LocalCloud, order_ids: dict[str, str], proof_name: str
) -> None:
    """Each header in turn is spoilt, while the others stay sound."""
    order_id = order_ids[TRAINEE_CUSTOMER]
    body = json.dumps({"customerTenantId": TRAINEE_CUSTOMER, "orderId": order_id, "dryRun": True}).encode()
    sound = {"x-functions-key": guarded.description["functionKey"]} | PROVEN[proof_name](guarded, body)

    for name in CALLER_HEADERS:
        # A header that the caller does not need may hold anything; but the host checks every bearer token.
        expected = {401} if name in sound else {200, 401} if name == "authorization" else {200}
        others = [(other.encode(), value.encode()) for other, value in sound.items() if other != name]
        for value in SENSELESS:
            headers = [*others, (name.encode(), value)]
            response = guarded.http.post(guarded.description["functionUrl"], content=body, headers=headers)
            allowed = {400} if value in NOT_UTF_8 else expected
            assert response.status_code in allowed, (name, value, response.text)


def test_a_signed_body_that_is_no_json_is_a_bad_request(guarded: LocalCloud) -> None:
    body = b'{"customerTenantId": "\xff"}'

    response = guarded.post(body, **zendesk()(guarded, body))

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_json"


CONTENT_TYPES = {
    "json-twice": (("application/json", "application/json"), 200),
    "json-with-and-without-a-charset": (("application/json; charset=utf-8", "application/json"), 200),
    "json-and-text": (("application/json", "text/plain"), 415),
}


@pytest.mark.parametrize(("types", "status"), CONTENT_TYPES.values(), ids=CONTENT_TYPES)
def test_a_content_type_may_arrive_twice(
    guarded: LocalCloud, order_ids: dict[str, str], types: tuple[str, str], status: int
) -> None:
    """The host joins a header that a sender and a proxy both set."""
    request = {"customerTenantId": CUSTOMER, "orderId": order_ids[CUSTOMER], "dryRun": True}
    body = json.dumps(request).encode()
    sound = {"x-functions-key": guarded.description["functionKey"]} | key("jira")(guarded, body)

    headers = [*sound.items(), *(("content-type", media_type) for media_type in types)]
    response = guarded.http.post(guarded.description["functionUrl"], content=body, headers=headers)

    assert response.status_code == status, response.text


# Secrets of callers


def test_the_record_names_each_caller_and_holds_no_proof(guarded: LocalCloud, order_ids: dict[str, str]) -> None:
    for proof in PROVEN.values():
        send(guarded, proof, TARGETS["dry-run"], order_ids)

    callers = guarded.description["callers"]

    def recorded() -> bool:  # a record can come after the answer
        records = audit_records(guarded.log.read_text())
        return {record["caller"] for record in records} >= set(callers) - {"trainee"}

    wait_until(recorded, "a caller has no record")
    # The log begins with what `make serve` prints.
    _, _, log = guarded.log.read_text().partition("Press Ctrl-C to end everything.")
    secrets = [
        caller[member]
        for caller in callers.values()
        for member in ("key", "secret", "clientSecret")
        if member in caller
    ]
    assert len(secrets) == len(callers)
    assert [secret for secret in [*secrets, guarded.description["functionKey"], "eyJ"] if secret in log] == []
    assert logged_errors(guarded.log.read_text()) == []


@pytest.mark.parametrize("name", ["zendesk", "standard-webhooks"])
def test_a_signing_secret_is_in_key_vault_alone(guarded: LocalCloud, name: str) -> None:
    caller = guarded.description["callers"][name]

    [version] = guarded.secret_versions(caller["secretName"])

    assert version["value"] == caller["secret"]
    assert caller["secret"] not in guarded.description["environment"]["CALLERS"]


# The output of `make serve`


def test_one_address_is_printed_and_it_is_that_of_the_page(guarded: LocalCloud) -> None:
    printed, _, _ = guarded.log.read_text().partition("Press Ctrl-C to end everything.")

    assert re.findall(r"https?://\S+", printed) == [f"{guarded.description['controlUrl']}/"]


def test_the_description_can_be_read_by_its_owner_only(guarded: LocalCloud) -> None:
    assert Path(guarded.log.parent / "cloud.json").stat().st_mode & 0o077 == 0
