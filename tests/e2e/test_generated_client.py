"""A client that a generator made from infra/openapi.json reads the answers of the live function.

openapi-python-client (PyPI) stands for all generators: most make a class of every `anyOf`, and then fail to read a
text into it. Its client reads problems with the class Problem.
"""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from infra import openapi
from infra.local.partner_center.resources import LICENCE_CUSTOMER, subscription_guid
from tests.conftest import CUSTOMER
from tests.support.local_cloud import Json, LocalCloud, domain_of, order_id_of

PACKAGE = "generated_cancel_order_client"
LIMIT_S = 60
SAAS_ORDER = "saas-0000000000000000000000000001"


class Generated(NamedTuple):
    """The parts of the generated package, and a client for the local cloud."""

    models: ModuleType
    cancel_order: ModuleType
    check_health: ModuleType
    find_orders: ModuleType
    client: Any

    def cancel(self, **members: object) -> Any:
        """Return the client's answer to a request with *members*: its status, content, and what was parsed."""
        request = self.models.CancelRequest.from_dict({"customerTenantId": CUSTOMER, **members})
        return self.cancel_order.sync_detailed(client=self.client, body=request, prefer="wait=20")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the generated package, which can be imported while this file's tests run."""
    directory = tmp_path_factory.mktemp("generated")
    config = directory / "config.yaml"
    config.write_text(f"package_name_override: {PACKAGE}\npost_hooks: []\n")
    command = [
        *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
        *("--path", str(openapi.FILE), "--config", str(config), "--output-path", str(directory / PACKAGE)),
    ]
    done = subprocess.run(  # noqa: S603
        command, cwd=directory, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(directory))
    yield PACKAGE
    sys.path.remove(str(directory))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def generated(package: str, cloud: LocalCloud) -> Iterator[Generated]:
    operations = ("cancel_order", "check_health", "find_orders")
    models = importlib.import_module(f"{package}.models")
    cancel_order, check_health, find_orders = (
        importlib.import_module(f"{package}.api.default.{name}") for name in operations
    )
    make_client = importlib.import_module(f"{package}.client").AuthenticatedClient
    client = make_client(
        base_url=cloud.description["functionUrl"].removesuffix(openapi.PATH),
        token=cloud.description["functionKey"],
        prefix="",
        auth_header_name="x-functions-key",
        httpx_args={"trust_env": False},
    )
    with client:
        yield Generated(models, cancel_order, check_health, find_orders, client)


def content(answer: Any) -> Json:
    found: Json = json.loads(answer.content)
    return found


def test_it_reads_a_cancelled_order(generated: Generated, order_id: str) -> None:
    answer = generated.cancel(orderId=order_id, lineItems=[{"lineItemNumber": 0}], ticketId="ZD-1")

    assert answer.status_code == 200
    assert answer.parsed.outcome is generated.models.Outcome.PARTIALLY_CANCELLED
    assert isinstance(answer.parsed.alternate_id, str)
    assert isinstance(answer.parsed.line_items[0].quantity, int)
    assert answer.parsed.to_dict() == content(answer)


def test_it_reads_an_order_of_which_nothing_is_known(generated: Generated, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="GET", status=200, body={"id": order_id, "lineItems": [{}]})

    answer = generated.cancel(orderId=order_id, dryRun=True)

    assert answer.status_code == 200
    assert answer.parsed.to_dict() == content(answer)
    nulls = {name for name, value in answer.parsed.to_dict().items() if value is None}
    assert nulls == {
        *("alternateId", "status", "billingCycle", "currencyCode", "creationDate", "subscriptionId", "ticketId"),
    }


def test_it_reads_an_answer_about_a_subscription(generated: Generated, cloud: LocalCloud) -> None:
    [saas] = [entry for entry in cloud.description["subscriptions"] if entry["orderId"] == SAAS_ORDER]

    answer = generated.cancel(
        customerTenantId=saas["customerTenantId"], subscriptionId=saas["subscriptionId"], dryRun=True
    )

    assert answer.status_code == 200
    [line] = answer.parsed.line_items
    assert line.refund is generated.models.Refund.FULL
    assert isinstance(line.term_ends_on, str)
    assert line.cancellable is True
    assert answer.parsed.to_dict() == content(answer)


def test_it_asks_for_the_end_of_the_term(generated: Generated, cloud: LocalCloud) -> None:
    old = subscription_guid("licence-20-days-old")
    when = generated.models.When.TERM_END

    answer = generated.cancel(customerTenantId=LICENCE_CUSTOMER, subscriptionId=old, when=str(when), dryRun=True)

    assert answer.status_code == 200
    assert answer.parsed.when is when
    assert json.loads(answer.parsed.line_items[0].replaces)["autoRenewEnabled"] is True
    assert answer.parsed.to_dict() == content(answer)
    assert cloud.subscription(old)["autoRenewEnabled"] is True


def test_it_lists_the_orders_of_a_customer(generated: Generated, cloud: LocalCloud) -> None:
    domain = domain_of(cloud, LICENCE_CUSTOMER)

    answer = generated.find_orders.sync_detailed(client=generated.client, customer_domain=domain, cancellable=True)

    assert answer.status_code == 200
    assert answer.parsed.to_dict() == content(answer)
    assert {order.customer_tenant_id for order in answer.parsed.orders} == {LICENCE_CUSTOMER}


def test_it_cancels_for_a_domain(generated: Generated, cloud: LocalCloud) -> None:
    request = generated.models.CancelRequest.from_dict(
        {
            "customerDomain": domain_of(cloud, LICENCE_CUSTOMER),
            "subscriptionId": subscription_guid("licence-20-days-old"),
            "when": "term_end",
            "dryRun": True,
        }
    )

    answer = generated.cancel_order.sync_detailed(client=generated.client, body=request)

    assert answer.status_code == 200
    assert answer.parsed.customer_tenant_id == LICENCE_CUSTOMER


PROBLEMS: dict[str, tuple[Json, Json]] = {
    "without-an-error-of-partner-center": ({"orderId": "x"}, {}),
    "with-an-error-of-partner-center": (
        {"orderId": order_id_of("test-order-x")},
        {"method": "PATCH", "status": 400, "body": {"code": "800063", "description": "no"}},
    ),
    "with-a-code-alone": (
        {"orderId": order_id_of("test-order-x")},
        {"method": "PATCH", "status": 400, "body": {"code": "800063"}},
    ),
}


@pytest.mark.parametrize(("members", "fault"), PROBLEMS.values(), ids=PROBLEMS)
def test_it_reads_a_problem(generated: Generated, cloud: LocalCloud, members: Json, fault: Json) -> None:
    if fault:
        cloud.fault(**fault)

    answer = generated.cancel(**members)

    assert answer.status_code >= 400
    problem = generated.models.Problem.from_dict(content(answer))
    assert problem.to_dict() == content(answer)
    assert (problem.partner_center is None) is (not fault)


def test_it_reads_the_health_report(generated: Generated) -> None:
    answer = generated.check_health.sync_detailed(client=generated.client)

    assert answer.status_code in {200, 503}
    assert answer.parsed.to_dict() == content(answer)


def test_a_member_that_may_be_null_is_no_class_of_its_own(generated: Generated) -> None:
    """A generator that makes classes for them shows it in their number."""
    models = {name for name in vars(generated.models)["__all__"] if not name.startswith("Problem")}

    assert models == {
        *("AccountHealth", "CancelRequest", "CancelResult", "Credential", "FieldError", "FindResult", "Health"),
        *("HealthAccounts", "HealthCallers", "TellHealth"),
        *("LineItem", "LineItemRef", "Mode", "OrderState", "Outcome", "PartnerCenterError", "Refund", "When"),
    }
