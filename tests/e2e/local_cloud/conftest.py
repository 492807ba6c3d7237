"""A client of Partner Center, and a second local cloud whose options are not the defaults."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.local_cloud import Json, LocalCloud, running, software_order, write_orders
from tests.support.partner_center import sample
from tests.support.stand_in_clients import partner_center_client

CALLER_KEY = "a-caller-s-own-key-of-32-characters"
LICENCE = "5cf72f146967"  # the built-in order with this id cannot be cancelled as an order
CONFIGURED_CUSTOMER = "0a7f3c55-9d0c-4f0e-8f6b-5d3d1f6f2a10"
CONFIGURED_LICENCE_ORDER, CONFIGURED_SUBSCRIPTION = "34b37d7340cc", "a4c1340d-6911-4758-bba3-0c4c6007d161"
CONFIGURED_ORDERS = ("configured-order-0", "configured-order-1", "configured-order-2")


@pytest.fixture(scope="session")
def _partner_center(whole_cloud: LocalCloud) -> Iterator[httpx.Client]:
    with partner_center_client(whole_cloud) as client:
        yield client


@pytest.fixture
def client(cloud: LocalCloud, _partner_center: httpx.Client) -> Iterator[httpx.Client]:
    """A client of Partner Center's stand-in. No request or fault is left over, before and after the test."""
    cloud.forget()
    yield _partner_center
    cloud.forget()


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture(scope="session")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud with most options away from their defaults, and with settings in its environment."""
    directory = tmp_path_factory.mktemp("configured")
    orders = directory / "orders"
    write_orders(orders, (software_order(order_id, CONFIGURED_CUSTOMER) for order_id in CONFIGURED_ORDERS))
    replacement = {
        "Id": LICENCE,
        "ReferenceCustomerId": CONFIGURED_CUSTOMER,
        "LineItems": [{"LineItemNumber": 0, "OfferId": "CFQ7TTC0LH0Z:0001:CFQ7TTC0K18P", "Quantity": 1}],
        "CreationDate": "2018-03-06T17:37:05.253-08:00",
        "Status": "completed",
    }
    (orders / "replacement.json").write_text(json.dumps(replacement))
    (orders / "notes.txt").write_text("no order")
    of_licence = software_order(CONFIGURED_LICENCE_ORDER, CONFIGURED_CUSTOMER)
    of_licence["lineItems"][0]["subscriptionId"] = CONFIGURED_SUBSCRIPTION
    write_orders(orders, [of_licence])
    subscriptions = directory / "subscriptions"
    subscriptions.mkdir()
    licence = sample("subscriptions/nce-seat-active-refundable")
    own = {"id": CONFIGURED_SUBSCRIPTION, "orderId": CONFIGURED_LICENCE_ORDER}
    loaded = {"customerTenantId": CONFIGURED_CUSTOMER, "subscription": licence | own, "patchAnswers": 202}
    (subscriptions / "licence.json").write_text(json.dumps(loaded))
    callers = {"helpdesk": {"proof": "key", "sha256": hashlib.sha256(CALLER_KEY.encode()).hexdigest()}}
    environment = {
        "CALLERS": json.dumps(callers),
        "CANCEL_DEADLINE_S": "1",
        # These settings name stand-ins. The local cloud must replace them.
        "KEY_VAULT_URL": "https://vault.invalid",
        "PARTNER_CENTER_ACCOUNTS": "{}",
        "AZURE_CLIENT_ID": "nobody",
        "IDENTITY_ENDPOINT": "http://identity.invalid",
        "IDENTITY_HEADER": "wrong",
        "SSL_CERT_FILE": "/nowhere.pem",
        "REQUESTS_CA_BUNDLE": "/nowhere.pem",
        # A company's machine has a proxy. Requests on loopback must not go through it.
        "HTTPS_PROXY": "http://proxy.invalid",
        "no_proxy": "example.com",
        "NO_PROXY": "example.com",
    }
    folders = ("--orders", str(orders), "--subscriptions", str(subscriptions))
    with running(directory, *folders, "--latency-ms", "150", "--no-replay", "--callers", **environment) as cloud:
        yield cloud


def post_as_helpdesk(configured: LocalCloud, body: Json) -> httpx.Response:
    """Send *body* with the caller's proof, and with more time than the short deadline of this local cloud."""
    return configured.post(body, x_caller_key=CALLER_KEY, prefer="wait=60")
