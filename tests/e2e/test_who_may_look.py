"""A caller may look for the orders of exactly those customers for whom it may ask for a dry run."""

from collections.abc import Iterator

import httpx
import pytest

from infra.local.callers import KEY_SYSTEMS, SIGNING_SECRET_NAMES
from infra.local.partner_center.resources import LICENCE_CUSTOMER, SOFTWARE_CUSTOMER
from infra.local.senders.deliveries import CALLER_KEY, FUNCTION_KEY
from infra.local.senders.find import look
from tests.support.functions_host import audit_records
from tests.support.local_cloud import LocalCloud, running
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with running(tmp_path_factory.mktemp("looks"), "--callers") as cloud:
        yield cloud


def ask(cloud: LocalCloud, caller: str, customer: str) -> httpx.Response:
    return cloud.http.send(look(caller, cloud.description, {"customerTenantId": customer}))


@pytest.mark.parametrize("caller", KEY_SYSTEMS)
def test_a_caller_with_a_key_may_look(guarded: LocalCloud, caller: str) -> None:
    assert ask(guarded, caller, LICENCE_CUSTOMER).status_code == 200


@pytest.mark.parametrize("caller", SIGNING_SECRET_NAMES)
def test_a_caller_that_signs_may_not_look(guarded: LocalCloud, caller: str) -> None:
    """Its signature covers a body. A look has none, so one signature would be good for every customer."""
    answer = ask(guarded, caller, LICENCE_CUSTOMER)

    assert (answer.status_code, answer.json()["code"]) == (403, "caller_not_allowed")
    assert "orders" not in answer.json()


@pytest.mark.parametrize(("customer", "status"), [(SOFTWARE_CUSTOMER, 200), (LICENCE_CUSTOMER, 403)])
def test_a_caller_sees_no_customer_that_is_not_its_own(guarded: LocalCloud, customer: str, status: int) -> None:
    """The trainee may only ask for dry runs, for one customer."""
    headers = {
        FUNCTION_KEY: guarded.description["functionKey"],
        CALLER_KEY: guarded.description["callers"]["trainee"]["key"],
    }
    request = look("jira", guarded.description, {"customerTenantId": customer})

    answer = guarded.http.get(request.url, headers=headers)

    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "caller_not_allowed"


def test_the_function_key_alone_opens_no_list(guarded: LocalCloud) -> None:
    request = look("jira", guarded.description, {"customerTenantId": LICENCE_CUSTOMER})

    answer = guarded.http.get(request.url, headers={FUNCTION_KEY: guarded.description["functionKey"]})

    assert (answer.status_code, answer.json()["code"]) == (401, "caller_not_authenticated")


def test_each_look_is_recorded_with_its_caller_and_customer(guarded: LocalCloud) -> None:
    ids = [ask(guarded, caller, LICENCE_CUSTOMER).json().get("requestId") for caller in ("halo", "zendesk")]

    def found() -> bool:
        records = [record for record in audit_records(guarded.log.read_text()) if record["event"] == "found"]
        looks = {(record["caller"], record["customerTenantId"], record["status"]) for record in records}
        return {("halo", LICENCE_CUSTOMER, 200), ("zendesk", None, 403)} <= looks

    assert ids[1] is not None
    wait_until(found, "not recorded")
