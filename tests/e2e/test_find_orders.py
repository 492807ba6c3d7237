"""Finding a customer's orders through the host: its doors, and from a domain and a word to a cancelled licence."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.local.callers import KEY_SYSTEMS, SIGNING_SECRET_NAMES
from tests.support import entra_tokens, proofs
from tests.support.answers import PROBLEM, Answer
from tests.support.built_in_orders import LICENCE_CUSTOMER, SOFTWARE_CUSTOMER
from tests.support.functions_host import audit_records, logged_errors
from tests.support.local_cloud import Json, LocalCloud, running

LICENCES = {"customerDomain": "wingtip.example"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud whose callers must prove who they are. The real host has no App Service Authentication."""
    with running(tmp_path_factory.mktemp("guarded"), "--callers", FUNCTIONS_HOST="") as cloud:
        yield cloud


@pytest.fixture
def flow_token(guarded: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", guarded.description["caFile"])
    return entra_tokens.app_token_with_role(guarded)


# The host's own door


@pytest.mark.parametrize("key", ["wrong", ""], ids=["wrong-key", "no-key"])
def test_without_the_function_key_the_host_answers(cloud: LocalCloud, key: str) -> None:
    response = cloud.find(LICENCES, x_functions_key=key)

    assert (response.status_code, response.content) == (401, b"")
    assert cloud.requests() == []


@pytest.mark.parametrize("prefix", ["", "host-", "master-"])
def test_each_key_of_the_host_opens_it(cloud: LocalCloud, prefix: str) -> None:
    response = cloud.find(LICENCES, x_functions_key=f"{prefix}{cloud.description['functionKey']}")

    assert response.status_code == 200


def test_the_key_may_stand_in_the_query(cloud: LocalCloud) -> None:
    query = LICENCES | {"code": cloud.description["functionKey"], "clientId": "default"}

    response = cloud.http.get(cloud.find_url, params=query)

    assert response.status_code == 200
    assert response.json()["orders"]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_no_method_but_get_is_served(cloud: LocalCloud, method: str) -> None:
    headers = {"x-functions-key": cloud.description["functionKey"]}

    response = cloud.http.request(method, cloud.find_url, params=LICENCES, headers=headers)

    assert response.status_code == 404
    assert cloud.requests() == []


def test_words_of_any_language_arrive(cloud: LocalCloud) -> None:
    """The query is escaped; a domain with an umlaut leads to the same customer as its punycode."""
    answers = [cloud.find({"customerDomain": domain}) for domain in ("b\u00fccher.example", "xn--bcher-kva.example")]
    nothing = cloud.find({"customerDomain": "b\u00fccher.example", "text": "\u2603 + & % = #"})

    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["orders"]
    assert nothing.json() == {"orders": [], "more": False}


def test_the_form_of_a_problem_is_that_of_all(cloud: LocalCloud) -> None:
    response = cloud.find({"customerDomain": "b\u00fccher", "cancellable": "maybe"}, accept="application/problem+json")

    answer = Answer.of(response)
    assert (answer.status, answer.code, answer.body.keys()) == (400, "invalid_request", PROBLEM.keys())
    assert {error["pointer"] for error in answer.body["errors"]} == {"/customerDomain", "/cancellable"}
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


# From a domain and a word to a cancelled licence, in two requests


def proven_headers(guarded: LocalCloud, caller: str, flow_token: str) -> dict[str, str]:
    if caller == "flow":
        return {"authorization": f"Bearer {flow_token}"}
    return {"x-caller-key": guarded.description["callers"][caller]["key"]}


@pytest.mark.parametrize("caller", [*KEY_SYSTEMS, "flow"])
def test_a_licence_is_found_by_a_word_and_cancelled(guarded: LocalCloud, caller: str, flow_token: str) -> None:
    headers = proven_headers(guarded, caller, flow_token)
    query = LICENCES | {"text": "business basic", "cancellable": "true"}

    found = guarded.find(query, **headers)
    order, line = next(
        (order, line)
        for order in found.json()["orders"]
        for line in order["lineItems"]
        if line["cancellable"] and order["orderId"] and line["subscriptionId"]
    )
    before = guarded.subscription(line["subscriptionId"])
    lines = [{"lineItemNumber": line["lineItemNumber"], "offerId": line["offerId"]}]
    try:
        cancelled = guarded.post(LICENCES | {"orderId": order["orderId"], "lineItems": lines}, **headers)
        left = guarded.find(query | {"subscriptionId": line["subscriptionId"]}, **headers)
    finally:
        guarded.put(f"subscriptions/{line['subscriptionId']}", before)

    assert "Business Basic" in line["friendlyName"]
    assert cancelled.json()["outcome"] in {"cancelled", "partially_cancelled"}
    assert cancelled.json()["customerTenantId"] == LICENCE_CUSTOMER
    [shown] = [one for one in cancelled.json()["lineItems"] if one["lineItemNumber"] == line["lineItemNumber"]]
    assert shown["cancelled"]
    assert line["subscriptionId"] not in [
        one["subscriptionId"] for order in left.json()["orders"] for one in order["lineItems"] if one["cancellable"]
    ]


# Callers


def status_and_code(response: httpx.Response) -> tuple[int, str | None]:
    return response.status_code, response.json().get("code") if response.content else None


@pytest.mark.parametrize("caller", SIGNING_SECRET_NAMES)
def test_a_caller_that_signs_is_refused(guarded: LocalCloud, caller: str) -> None:
    secret = guarded.description["callers"][caller]["secret"]
    signed = proofs.zendesk(b"", secret) if caller == "zendesk" else proofs.standard_webhooks(b"", secret)
    guarded.forget()

    assert status_and_code(guarded.find(LICENCES, **signed)) == (403, "caller_not_allowed")
    assert guarded.requests("partner_center") == []


def test_the_function_key_alone_is_not_enough(guarded: LocalCloud) -> None:
    wrong_key = guarded.find(LICENCES, x_caller_key="k" * 43)
    forged = guarded.find(LICENCES, **proofs.entra_principal("Orders.Cancel"))

    assert status_and_code(guarded.find(LICENCES)) == (401, "caller_not_authenticated")
    assert status_and_code(wrong_key) == status_and_code(forged) == (401, "caller_not_authenticated")


def test_a_token_without_the_role_is_not_enough(guarded: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", guarded.description["caFile"])
    token = entra_tokens.app_token_without_role(guarded)

    response = guarded.find(LICENCES, authorization=f"Bearer {token}")

    assert status_and_code(response) == (401, "caller_not_authenticated")


def test_the_trainee_sees_one_customer_at_one_account(guarded: LocalCloud) -> None:
    headers = {"x-caller-key": guarded.description["callers"]["trainee"]["key"]}
    own = {"customerTenantId": SOFTWARE_CUSTOMER}

    answers = [
        status_and_code(guarded.find(query, **headers))
        for query in (own, {"customerDomain": "fabrikam.example"}, LICENCES, own | {"account": "production"})
    ]

    assert answers == [(200, None), (200, None), (403, "caller_not_allowed"), (403, "caller_not_allowed")]


def test_the_log_has_one_record_for_each_request_and_no_proof(tmp_path: Path) -> None:
    with running(tmp_path, "--callers", FUNCTIONS_HOST="") as cloud:
        key = cloud.description["callers"]["jira"]["key"]
        asked: list[Json] = [LICENCES, LICENCES | {"text": "PLANTED"}, {}, LICENCES | {"account": "closed"}]
        statuses = [cloud.find(query, x_caller_key=key).status_code for query in asked]
    _, _, log = cloud.log.read_text().partition("Press Ctrl-C to end everything.")  # whole only now

    records = audit_records(log)
    assert [(record["event"], record["caller"], record["status"]) for record in records] == [
        ("found", "jira", status) for status in statuses
    ]
    assert [secret for secret in (key, cloud.description["functionKey"], "PLANTED", "eyJ") if secret in log] == []
    assert logged_errors(log) == []
