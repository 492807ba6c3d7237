"""Can the local Partner Center be believed? Asked by clients that nobody here wrote, and rule by rule.

The clients are `partnercenterservices`, generated from Microsoft's own description of the API, and
requests recorded from Microsoft's .NET and Java SDKs; all over TLS on 127.0.0.1.
"""

import asyncio
import json
import re
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.local.partner_center.catalogue import Behaviour, Entry, ProductKind, built_in_orders, load_orders, merge
from infra.local.partner_center.order_rules import PRODUCTS
from infra.local.partner_center.refusals import ODD_REFUSALS, REFUSALS
from infra.local.partner_center.server import SHOWS_LATER_S, PartnerCenter
from infra.local.serving import server_for

with warnings.catch_warnings():
    # These packages are from the days of setuptools' namespace packages.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", DeprecationWarning)
    warnings.filterwarnings("ignore", "Deprecated call to `pkg_resources.declare_namespace", DeprecationWarning)
    from microsoft.store.partnercenterservices import MicrosoftPartnerStoreApis
    from microsoft.store.partnercenterservices.models import (
        MicrosoftPartnerSdkContractsV1Order,
        MicrosoftPartnerSdkContractsV1OrderLineItem,
    )
    from msrest.authentication import BasicTokenAuthentication

SAMPLES = Path(__file__).parents[2] / "samples"
SANDBOX, PRODUCTION = "5b0d70a6-0000-4000-8000-000000000001", "5b0d70a6-0000-4000-8000-000000000002"
AUDIENCE = "https://api.partnercenter.microsoft.com"
ONE, ONE_CUSTOMER = "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1", "bd59b416-37f9-4d8f-8df3-5750111fc615"
TWO, CUSTOMER = "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1", "45411344-b09d-47e7-9653-542006bf9766"
AZURE_CUSTOMER = "b0d70a69-4c42-4b27-b17b-91a835d8686a"
LEGACY = "eeba9d00-7b46-443a-917e-22887a8fc993"
SQL, CAL = "DG7GMGF0FKZV:0003:DG7GMGF0DWMS", "DG7GMGF0DVT7:000C:DG7GMGF0FVZM"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Clock:
    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


class Front:
    """One TLS server for all tests; each puts its own Partner Center behind it."""

    app: ASGIApp
    url: str
    ca_file: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    # With the protocol named: asyncio turns Nagle's algorithm off for such sockets only, and an
    # answer in two writes otherwise waits 40 ms for the client's delayed acknowledgement.
    front, listener = Front(), socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    front.url, front.ca_file = f"https://127.0.0.1:{listener.getsockname()[1]}", str(folder / "ca.pem")
    running = server_for(front, certificate=str(folder / "server.pem"))
    thread = threading.Thread(target=lambda: asyncio.run(running.serve(sockets=[listener])))
    thread.start()
    deadline = time.monotonic() + 5
    while not running.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield front
    running.should_exit = True
    thread.join(5)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def http(front: Front) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=front.url, verify=ssl.create_default_context(cafile=front.ca_file), timeout=5) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


type Open = Callable[..., PartnerCenter]


@pytest.fixture
def open_with(front: Front, clock: Clock) -> Open:
    def open_with(orders: list[Entry] | None = None, **options: Any) -> PartnerCenter:
        partner_center = PartnerCenter(
            tenants={SANDBOX: "sandbox", PRODUCTION: "production"},
            public_key=KEY.public_key(),
            audiences=[AUDIENCE],
            orders=built_in_orders(NOW) if orders is None else orders,
            clock=clock,
            **options,
        )
        front.app = partner_center.app
        return partner_center

    return open_with


@pytest.fixture
def partner_center(open_with: Open) -> PartnerCenter:
    return open_with()


def token(tenant: str = SANDBOX, *, key: rsa.RSAPrivateKey = KEY, **claims: Any) -> str:
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    return jwt.encode({"aud": AUDIENCE, "tid": tenant, "appid": "app", "exp": expires_at} | claims, key, "RS256")


def bearer(tenant: str = SANDBOX, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(tenant)}"} | headers


def path(order_id: str, customer: str = CUSTOMER) -> str:
    return f"/v1/customers/{customer}/orders/{order_id}"


def built(name: str) -> str:
    return f"{name}-".ljust(32, "0") + "1"


def cancel(
    http: httpx.Client,
    order_id: str,
    customer: str = CUSTOMER,
    *,
    body: dict[str, Any] | None = None,
    tenant: str = SANDBOX,
    request_id: str = "",
) -> httpx.Response:
    content = {"id": order_id, "status": "cancelled"} if body is None else body
    return http.patch(
        path(order_id, customer), json=content, headers=bearer(tenant, **{"MS-RequestId": request_id or str(uuid4())})
    )


def outcome(response: httpx.Response) -> tuple[int, Any]:
    """Return the status and Partner Center's code, None for an order."""
    return response.status_code, json.loads(response.content).get("code")


def quantities(order: dict[str, Any] | None) -> list[int]:
    assert order
    return [line["quantity"] for line in order["lineItems"]]


# --- Microsoft's clients ---


@pytest.fixture
def autorest(front: Front) -> Any:
    client = MicrosoftPartnerStoreApis(BasicTokenAuthentication({"access_token": token()}), front.url)
    client.config.connection.verify = front.ca_file
    client.config.retry_policy.retries = 0
    return client


@pytest.mark.usefixtures("partner_center")
def test_the_generated_client_reads_an_order(autorest: Any) -> None:
    order = autorest.getvversioncustomerscustomer.id5(CUSTOMER, TWO, version="1")

    assert (order.id, order.reference_customer_id, order.status) == (TWO, CUSTOMER, "completed")
    assert [(line.line_item_number, line.offer_id, line.quantity) for line in order.line_items] == [
        (0, SQL, 1),
        (1, CAL, 1),
    ]
    assert order.creation_date.date() == (NOW - timedelta(days=2)).date()


def test_the_generated_client_cancels_an_order(partner_center: PartnerCenter, autorest: Any) -> None:
    order = MicrosoftPartnerSdkContractsV1Order(id=ONE, status="cancelled")

    answer = autorest.patchvversioncustomerscustomer.id3(ONE_CUSTOMER, ONE, order, version="1")

    assert answer.status == "cancelled"
    assert [line.quantity for line in answer.line_items] == [1]
    now = partner_center.order(ONE)
    assert now
    assert now["status"] == "cancelled"


def test_the_generated_client_cancels_one_line(partner_center: PartnerCenter, autorest: Any) -> None:
    line = MicrosoftPartnerSdkContractsV1OrderLineItem(line_item_number=0, offer_id=SQL)
    order = MicrosoftPartnerSdkContractsV1Order(id=TWO, status="cancelled", line_items=[line])

    answer = autorest.patchvversioncustomerscustomer.id3(CUSTOMER, TWO, order, version="1")

    assert (answer.status, [line.quantity for line in answer.line_items]) == ("completed", [0, 1])
    assert quantities(partner_center.order(TWO)) == [0, 1]


def test_the_generated_client_sends_a_whole_order_back(partner_center: PartnerCenter, autorest: Any) -> None:
    order = autorest.getvversioncustomerscustomer.id5(CUSTOMER, TWO, version="1")
    order.status = "cancelled"

    answer = autorest.patchvversioncustomerscustomer.id3(CUSTOMER, TWO, order, version="1")

    assert (answer.status, [line.quantity for line in answer.line_items]) == ("cancelled", [0, 0])
    assert quantities(partner_center.order(TWO)) == [0, 0]


def load(folder: Path, order_id: str) -> list[Entry]:
    """Return Microsoft's order of two lines, before anything was cancelled, under another id."""
    order = json.loads((SAMPLES / "orders/software-multiline-partial-cancel-response.json").read_bytes())
    order["id"] = order_id
    order["lineItems"][0]["quantity"] = 1
    (folder / "order.json").write_text(json.dumps(order))
    return load_orders(folder)


@pytest.mark.parametrize("name", sorted(file.stem for file in (SAMPLES / "sdk-requests").glob("*.json")))
def test_what_microsofts_sdks_send_cancels_what_they_mean(
    http: httpx.Client, open_with: Open, tmp_path: Path, name: str
) -> None:
    recorded = json.loads((SAMPLES / f"sdk-requests/{name}.json").read_bytes())
    order_id = recorded[-1]["path"].rpartition("/")[2]
    partner_center = open_with(load(tmp_path, order_id))

    for request in recorded:
        response = http.request(
            request["method"],
            request["path"],
            headers=request["headers"] | bearer(),
            content=json.dumps(request["body"]) if request["body"] else None,
        )
        assert response.status_code == 200

    expected = ("completed", [0, 1]) if "one_line" in name else ("cancelled", [0, 0])
    answer, now = response.json(), partner_center.order(order_id)
    assert (answer["status"], quantities(answer)) == expected
    assert answer == now


# --- reading and cancelling ---


def test_a_whole_order_is_cancelled_and_keeps_its_quantities(http: httpx.Client, partner_center: PartnerCenter) -> None:
    before = partner_center.order(ONE)
    assert before

    answer = cancel(http, ONE, ONE_CUSTOMER)

    assert answer.status_code == 200
    assert answer.json() == before | {"status": "cancelled"}
    assert http.get(path(ONE, ONE_CUSTOMER), headers=bearer()).json() == answer.json()


def test_an_order_is_cancelled_with_its_last_line(http: httpx.Client, partner_center: PartnerCenter) -> None:
    three = built("software-three-lines")
    seen = []
    for number in (1, 0, 2):
        line = {"lineItemNumber": number}
        cancel(http, three, body={"id": three, "status": "cancelled", "lineItems": [line]})
        now = partner_center.order(three)
        assert now
        seen.append((now["status"], quantities(now)))

    assert seen == [("completed", [1, 0, 1]), ("completed", [0, 0, 1]), ("cancelled", [0, 0, 0])]


def test_the_rest_of_an_order_can_follow_its_first_line(http: httpx.Client, partner_center: PartnerCenter) -> None:
    order_id = built("line-0-cancelled-already")

    answer = cancel(http, order_id)

    assert (answer.json()["status"], quantities(partner_center.order(order_id))) == ("cancelled", [0, 1])


@pytest.mark.usefixtures("partner_center")
def test_a_cancelled_order_is_refused(http: httpx.Client) -> None:
    cancel(http, TWO)

    assert outcome(cancel(http, TWO)) == (400, "800061")
    assert outcome(cancel(http, built("cancelled-already"))) == (400, "800061")


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("order_id", "customer", "expected"),
    [
        pytest.param(TWO, CUSTOMER, (200, None), id="id"),
        pytest.param("c403d91b21d2", CUSTOMER, (200, None), id="alternateId"),
        pytest.param(TWO, CUSTOMER.upper(), (200, None), id="customer in capitals"),
        pytest.param(TWO.upper(), CUSTOMER, (404, "20000"), id="id in other case"),
        pytest.param(LEGACY.upper(), AZURE_CUSTOMER, (200, None), id="GUID in other case"),
        pytest.param(TWO, ONE_CUSTOMER, (404, "20000"), id="another customer's order"),
        pytest.param("x" * 33, CUSTOMER, (404, "20000"), id="unknown order"),
        pytest.param(TWO, str(uuid4()), (403, "20002"), id="unknown customer"),
        pytest.param(built("stranger"), "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04", (403, "20002"), id="no relationship"),
        pytest.param(TWO, "contoso", (400, "800002"), id="customer no GUID"),
    ],
)
def test_how_an_order_is_found(http: httpx.Client, order_id: str, customer: str, expected: tuple[int, Any]) -> None:
    assert outcome(http.get(path(order_id, customer), headers=bearer())) == expected


def test_a_guid_is_answered_in_lower_case(http: httpx.Client, open_with: Open) -> None:
    legacy = next(entry for entry in built_in_orders(NOW) if entry.order.get("id") == LEGACY)
    open_with([replace(legacy, kind=ProductKind.SOFTWARE, behaviour=Behaviour.NO_LIMITS)])

    answer = cancel(http, LEGACY.upper(), AZURE_CUSTOMER)

    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (200, LEGACY, "cancelled")


LINE = {"lineItemNumber": 0, "offerId": SQL}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"id": TWO, "status": "cancelled"}, ("cancelled", [1, 1]), id="whole"),
        pytest.param({"id": TWO, "status": "cancelled", "lineItems": None}, ("cancelled", [1, 1]), id="lines null"),
        pytest.param({"id": TWO, "status": "cancelled", "lineItems": []}, ("cancelled", [1, 1]), id="lines empty"),
        pytest.param({"id": "c403d91b21d2", "status": "cancelled"}, ("cancelled", [1, 1]), id="alternateId"),
        pytest.param({"Id": None, "Status": "Cancelled"}, ("cancelled", [1, 1]), id="PascalCase, id null"),
        pytest.param({"STATUS": "CANCELLED", "new": {"a": 1}}, ("cancelled", [1, 1]), id="capitals, unknown member"),
        pytest.param({"status": "cancelled", "lineItems": [LINE]}, ("completed", [0, 1]), id="one line"),
        pytest.param(
            {"Status": "cancelled", "LineItems": [{"LineItemNumber": 1, "OfferId": CAL.lower(), "Quantity": 5}]},
            ("completed", [1, 0]),
            id="one line, PascalCase",
        ),
        pytest.param(
            {"status": "cancelled", "lineItems": [{"lineItemNumber": 1, "offerId": None}]},
            ("completed", [1, 0]),
            id="offer null",
        ),
        pytest.param({"id": TWO, "status": "completed"}, ("completed", [1, 1]), id="another status"),
        pytest.param({"id": TWO, "billingCycle": "annual"}, ("completed", [1, 1]), id="no status"),
    ],
)
def test_what_a_patch_asks_for(
    http: httpx.Client, partner_center: PartnerCenter, body: dict[str, Any], expected: tuple[str, list[int]]
) -> None:
    answer = cancel(http, TWO, body=body)

    assert answer.status_code == 200
    assert (answer.json()["status"], quantities(answer.json())) == expected
    assert partner_center.order(TWO) == answer.json()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b'{"id": "' + TWO.encode() + b'", "status": "cancelled",}', "800002", id="broken JSON"),
        pytest.param(b"", "800002", id="nothing"),
        pytest.param(b"[" * 100_000, "800002", id="too deep"),
        pytest.param(b"[]", "800002", id="no order"),
        pytest.param(b'{"id": "another", "status": "cancelled"}', "3000", id="another id"),
        pytest.param(b'{"status": "canceled"}', 0, id="one l"),
        pytest.param(b'{"status": 5}', 0, id="status a number"),
        pytest.param(b'{"status": "cancelled", "lineItems": {"lineItemNumber": 0}}', "3000", id="lines no list"),
        pytest.param(b'{"status": "cancelled", "lineItems": [{"offerId": "a:b:c"}]}', "3000", id="line without number"),
        pytest.param(b'{"status": "cancelled", "lineItems": [{"lineItemNumber": 2}]}', "800071", id="no such line"),
        pytest.param(
            b'{"status": "cancelled", "lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": -1}]}',
            "800071",
            id="one line of two missing",
        ),
        pytest.param(
            f'{{"status": "cancelled", "lineItems": [{{"lineItemNumber": 1, "offerId": "{SQL}"}}]}}'.encode(),
            "800002",
            id="another line's offer",
        ),
    ],
)
def test_a_patch_that_makes_no_sense_changes_nothing(
    http: httpx.Client, partner_center: PartnerCenter, body: bytes, code: str | int
) -> None:
    before = partner_center.order(TWO)

    answer = http.patch(path(TWO), content=body, headers=bearer())

    assert outcome(answer) == (400, code)
    assert partner_center.order(TWO) == before


@pytest.mark.usefixtures("partner_center")
def test_an_unknown_status_is_told_as_microsoft_does(http: httpx.Client) -> None:
    """The answer that users reported: a number for a code, and Microsoft's name for the front door."""
    answer = cancel(http, TWO, body={"id": TWO, "status": "none"})

    assert answer.json() == {
        "code": 0,
        "description": "The provided value 'none' is not a valid OrderStatus.",
        "data": [],
        "source": "PartnerFD",
    }


# --- what may be cancelled where ---


def aged(kind: str, **age: float) -> Entry:
    order = {
        "id": "AGED",
        "creationDate": f"{NOW - timedelta(**age):%Y-%m-%dT%H:%M:%S}.1335741Z",
        "lineItems": [{"lineItemNumber": 0, "quantity": 1}],
    }
    return Entry(order, CUSTOMER, kind, "")


@pytest.mark.parametrize(
    ("kind", "sandbox", "production"),
    [
        (ProductKind.SOFTWARE, (200, None), (200, None)),
        (ProductKind.SOFTWARE_SUBSCRIPTION, (200, None), (200, None)),
        (ProductKind.RESERVATION, (200, None), (403, "800019")),
        (ProductKind.SAAS, (403, "800077"), (403, "800077")),
        (ProductKind.SAAS_2021, (200, None), (403, "800019")),
        (ProductKind.LICENCE, (400, "800063"), (400, "800063")),
        (ProductKind.LEGACY_LICENCE, (400, "800063"), (400, "800063")),
        (ProductKind.AZURE_PLAN, (400, "800063"), (400, "800063")),
        (ProductKind.SAVINGS_PLAN, (403, "900321"), (403, "900321")),
    ],
)
def test_the_product_table(
    http: httpx.Client, open_with: Open, kind: ProductKind, sandbox: tuple[int, Any], production: tuple[int, Any]
) -> None:
    for tenant, expected in ((SANDBOX, sandbox), (PRODUCTION, production)):
        partner_center = open_with([aged(kind, days=1)])

        assert outcome(cancel(http, "AGED", tenant=tenant)) == expected

        now = partner_center.order("AGED")
        assert now
        assert now.get("status") == ("cancelled" if expected[0] == 200 else None)
    assert set(PRODUCTS) == set(ProductKind)


@pytest.mark.parametrize(
    ("entry", "tenant", "days"),
    [
        pytest.param(aged(ProductKind.SOFTWARE, days=59), SANDBOX, None, id="sandbox, 59 days"),
        pytest.param(aged(ProductKind.SOFTWARE, days=60, minutes=1), SANDBOX, 60, id="sandbox, over 60 days"),
        pytest.param(aged(ProductKind.RESERVATION, days=61), SANDBOX, 60, id="sandbox, reservation"),
        pytest.param(aged(ProductKind.SOFTWARE, days=29), PRODUCTION, None, id="production, 29 days"),
        pytest.param(aged(ProductKind.SOFTWARE, days=30, minutes=1), PRODUCTION, 30, id="production, over 30 days"),
        pytest.param(aged(ProductKind.SOFTWARE_SUBSCRIPTION, days=6), PRODUCTION, None, id="subscription, 6 days"),
        pytest.param(aged(ProductKind.SOFTWARE_SUBSCRIPTION, days=8), PRODUCTION, 7, id="subscription, over 7 days"),
    ],
)
def test_windows(http: httpx.Client, open_with: Open, entry: Entry, tenant: str, days: int | None) -> None:
    open_with([entry])

    answer = cancel(http, "AGED", tenant=tenant)

    assert outcome(answer) == ((400, "900117") if days else (200, None))
    if days:
        assert f"{days}-day" in answer.json()["description"]


BUILT_IN = {
    ONE: [(200, None), (200, None)],
    TWO: [(200, None), (200, None)],
    built("software-three-lines"): [(200, None), (200, None)],
    built("software-subscription"): [(200, None), (200, None)],
    built("cancelled-already"): [(400, "800061"), (400, "800061")],
    built("line-0-cancelled-already"): [(200, None), (200, None)],
    built("software-40-days-old"): [(200, None), (400, "900117")],
    built("software-70-days-old"): [(400, "900117"), (400, "900117")],
    built("subscription-10-days-old"): [(200, None), (400, "900117")],
    built("reservation"): [(200, None), (403, "800019")],
    built("savings-plan"): [(403, "900321"), (403, "900321")],
    "a68736758d9c": [(400, "800063"), (400, "800063")],
    "5cf72f146967": [(400, "800063"), (400, "800063")],
    LEGACY: [(400, "800063"), (400, "800063")],
    built("saas"): [(403, "800077"), (403, "800077")],
    built("saas-2021"): [(200, None), (403, "800019")],
    built("no-status-no-lines"): [(200, None), (200, None)],
    built("pascal-case"): [(200, None), (200, None)],
    built("begins-with-a-bom"): [(200, None), (200, None)],
    built("shows-later"): [(200, None), (200, None)],
    built("never-changes"): [(200, None), (200, None)],
    built("stranger"): [(403, "20002"), (403, "20002")],
}


def test_every_built_in_order_does_what_it_is_there_for(http: httpx.Client, open_with: Open) -> None:
    entries = {entry.order.get("id") or entry.order["Id"]: entry for entry in built_in_orders(NOW) if not entry.refusal}
    del entries[built("accepted")]  # answers without a body, has its own test
    seen: dict[str, list[tuple[int, Any]]] = {order_id: [] for order_id in entries}
    for tenant in (SANDBOX, PRODUCTION):
        open_with()
        for order_id, entry in entries.items():
            seen[order_id].append(outcome(cancel(http, order_id, entry.customer_tenant_id, tenant=tenant)))

    assert seen == BUILT_IN


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)
def test_every_refusal_of_the_table_has_its_order(http: httpx.Client, refusal: Any) -> None:
    order_id = built(f"refused-with-{refusal.code}")

    answer = cancel(http, order_id)

    assert outcome(answer) == (refusal.status, refusal.code)
    assert answer.json() == {"code": refusal.code, "description": refusal.message, "data": [], "source": "PartnerFD"}
    read = http.get(path(order_id), headers=bearer())
    assert (read.status_code, read.json()["status"]) == (200, "completed")


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("name", "status", "content_type", "body"),
    [
        ("a-code-of-0", 400, "application/json", rb'^\{"code": 0, '),
        ("a-numeric-code", 400, "application/json", rb'^\{"code": 900213, '),
        ("a-bom", 400, "application/json", rb'^\xef\xbb\xbf\{"code": "800096", '),
        ("plain-text", 401, "text/plain", rb"^Authentication failed.*\(10001\)$"),
        ("408-empty", 408, "", rb"^$"),
        ("412-empty", 412, "", rb"^$"),
        ("502-html", 502, "text/plain", rb"^<html>"),
        ("503-gateway", 503, "application/json", rb'^\{"statusCode": 503, "message": '),
        ("504-empty", 504, "", rb"^$"),
    ],
)
def test_refusals_of_other_forms(http: httpx.Client, name: str, status: int, content_type: str, body: bytes) -> None:
    answer = cancel(http, built(f"refused-with-{name}"))

    assert answer.status_code == status
    assert answer.headers.get("content-type", "").partition(";")[0] == content_type
    assert re.search(body, answer.content)
    assert name in ODD_REFUSALS


def test_ids_are_of_the_documented_families_and_stay() -> None:
    ids = [entry.order.get("id") or entry.order["Id"] for entry in built_in_orders(NOW)]

    assert len(set(ids)) == len(ids)
    for order_id in ids:
        assert re.fullmatch(r"[\w-]{32}1|[0-9a-f]{12}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", order_id, re.ASCII)
    later = [entry.order.get("id") or entry.order["Id"] for entry in built_in_orders(NOW + timedelta(days=400))]
    assert later == ids


# --- unusual orders ---


def test_an_order_keeps_the_casing_of_its_names(http: httpx.Client, partner_center: PartnerCenter) -> None:
    order_id = built("pascal-case")
    before = partner_center.order(order_id)
    assert before

    body = {"id": order_id, "status": "cancelled", "lineItems": [LINE]}
    answer = cancel(http, order_id, body=body).json()

    assert set(answer) == set(before)
    assert (answer["Status"], [line["Quantity"] for line in answer["LineItems"]]) == ("completed", [0, 1])
    assert cancel(http, order_id).json()["Status"] == "cancelled"


@pytest.mark.parametrize(("order", "name"), [({"id": "BARE"}, "status"), ({"Id": "BARE"}, "Status")])
def test_an_order_without_a_status_gets_one(
    http: httpx.Client, open_with: Open, order: dict[str, Any], name: str
) -> None:
    open_with([Entry(order, CUSTOMER, ProductKind.SOFTWARE, "")])

    assert cancel(http, "BARE").json() == order | {name: "cancelled"}


@pytest.mark.usefixtures("partner_center")
def test_answers_of_one_order_begin_with_a_bom(http: httpx.Client) -> None:
    order_id = built("begins-with-a-bom")

    answers = [http.get(path(order_id), headers=bearer()), cancel(http, order_id)]

    for answer in answers:
        assert answer.content.startswith(b"\xef\xbb\xbf{")
    assert json.loads(answers[1].content)["status"] == "cancelled"


@pytest.mark.parametrize(("name", "status"), [("shows-later", 200), ("accepted", 202)])
def test_a_change_may_show_later(
    http: httpx.Client, partner_center: PartnerCenter, clock: Clock, name: str, status: int
) -> None:
    order_id = built(name)
    before = partner_center.order(order_id)

    answer = cancel(http, order_id, body={"id": order_id, "status": "cancelled", "lineItems": [LINE]})

    assert answer.status_code == status
    assert answer.content == b"" if status == 202 else answer.json() == before
    assert answer.headers.get("location") == (path(order_id) if status == 202 else None)
    assert http.get(path(order_id), headers=bearer()).json() == before
    assert outcome(cancel(http, order_id)) == (409, "800060")
    clock.now += SHOWS_LATER_S
    assert quantities(http.get(path(order_id), headers=bearer()).json()) == [0, 1]


def test_an_order_may_never_change(http: httpx.Client, partner_center: PartnerCenter, clock: Clock) -> None:
    order_id = built("never-changes")
    before = partner_center.order(order_id)

    assert cancel(http, order_id).status_code == 200

    clock.now += 3600
    assert partner_center.order(order_id) == before


# --- tokens, headers, replay, throttling ---

STRANGERS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        pytest.param(None, (401, "800001"), id="none"),
        pytest.param("Bearer", (401, "800001"), id="empty"),
        pytest.param("Basic dTpw", (401, "800001"), id="another scheme"),
        pytest.param("Bearer garbage", (401, "400"), id="garbage"),
        pytest.param(f"Bearer {token(exp=LONG_AGO)}", (401, "400"), id="expired"),
        pytest.param(f"Bearer {token(key=STRANGERS_KEY)}", (401, "400"), id="another's signature"),
        pytest.param(f"Bearer {token(aud='https://graph.windows.net')}", (401, "900420"), id="old graph"),
        pytest.param(f"Bearer {token(aud='https://management.azure.com')}", (401, "400"), id="another audience"),
        pytest.param(f"Bearer {token(str(uuid4()))}", (403, "1002"), id="unknown tenant"),
        pytest.param(f"Bearer {token(SANDBOX.upper())}", (200, None), id="good"),
    ],
)
def test_tokens(http: httpx.Client, authorization: str | None, expected: tuple[int, Any]) -> None:
    answer = http.get(path(TWO), headers={"Authorization": authorization} if authorization else {})

    assert outcome(answer) == expected
    assert answer.headers.get("www-authenticate") == ("Bearer" if expected[0] == 401 else None)


@pytest.mark.usefixtures("partner_center")
def test_an_unsigned_token_is_refused(http: httpx.Client) -> None:
    claims = jwt.decode(token(), options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", "none")

    assert outcome(http.get(path(TWO), headers={"Authorization": f"Bearer {unsigned}"})) == (401, "400")


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("order_id", [TWO, "unknown-order"])
def test_tracing_headers_are_echoed_or_made(http: httpx.Client, order_id: str) -> None:
    sent = {"MS-RequestId": str(uuid4()), "MS-CorrelationId": str(uuid4()), "MS-CV": "abc.1", "X-Locale": "de-DE"}

    echoed = http.get(path(order_id), headers=bearer(**sent)).headers
    made = http.get(path(order_id), headers=bearer()).headers

    assert {name: echoed[name] for name in sent} == sent
    assert echoed["MS-ServerId"]
    assert made["X-Locale"] == "en-US"
    assert all(made[name] not in ("", sent[name]) for name in sent)


def test_a_repeated_request_id_gets_the_same_answer(http: httpx.Client, partner_center: PartnerCenter) -> None:
    request_id = str(uuid4())
    read = http.get(path(TWO), headers=bearer(**{"MS-RequestId": request_id})).json()
    first = cancel(http, TWO, request_id=request_id)

    again = cancel(http, TWO, request_id=request_id.upper())

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.json()["status"] == "cancelled"
    assert again.headers["MS-CorrelationId"] != first.headers["MS-CorrelationId"]
    assert outcome(cancel(http, TWO)) == (400, "800061")
    assert outcome(cancel(http, TWO, tenant=PRODUCTION, request_id=request_id)) == (400, "800061")
    assert http.get(path(TWO), headers=bearer(**{"MS-RequestId": request_id})).json() == read
    partner_center.replay = False
    assert outcome(cancel(http, TWO, request_id=request_id)) == (400, "800061")


def test_a_refusal_is_replayed_even_when_it_no_longer_holds(
    http: httpx.Client, partner_center: PartnerCenter, clock: Clock
) -> None:
    order_id, request_id = built("shows-later"), str(uuid4())
    cancel(http, order_id)
    assert outcome(cancel(http, order_id, request_id=request_id)) == (409, "800060")
    clock.now += SHOWS_LATER_S
    assert partner_center.order(order_id)

    assert outcome(cancel(http, order_id, request_id=request_id)) == (409, "800060")


def test_a_tenant_that_asks_too_often_has_to_wait(
    http: httpx.Client, partner_center: PartnerCenter, clock: Clock
) -> None:
    partner_center.requests_per_minute = 2
    request_id = str(uuid4())

    def read(tenant: str = SANDBOX) -> httpx.Response:
        return http.get(path(TWO), headers=bearer(tenant))

    assert [read().status_code for _ in range(3)] == [200, 200, 429]
    clock.now += 3
    refused = cancel(http, TWO, request_id=request_id)
    assert refused.json() == {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds."}
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "57")
    assert read(PRODUCTION).status_code == 200
    clock.now += 57
    assert cancel(http, TWO, request_id=request_id).status_code == 200
    assert [read().status_code for _ in range(2)] == [200, 429]
    partner_center.requests_per_minute = 0
    assert read().status_code == 200


# --- orders from files ---


def test_a_loaded_order_replaces_the_built_in_one_and_knows_no_limits(
    http: httpx.Client, open_with: Open, tmp_path: Path
) -> None:
    loaded = load(tmp_path, TWO)
    entries = merge(built_in_orders(NOW), loaded)
    open_with(entries)

    answer = cancel(http, TWO, tenant=PRODUCTION)

    assert len(entries) == len(built_in_orders(NOW))
    assert (answer.status_code, answer.json()["creationDate"][:4]) == (200, "2019")


def test_an_order_is_loaded_in_any_casing(http: httpx.Client, open_with: Open, tmp_path: Path) -> None:
    order = {"Id": "LOADED", "ReferenceCustomerId": CUSTOMER.upper(), "LineItems": [{"LineItemNumber": 0}]}
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(order).encode())
    (tmp_path / "notes.txt").write_text("not read")
    open_with(load_orders(tmp_path))

    line = {"lineItemNumber": 0}
    answer = cancel(http, "LOADED", body={"status": "cancelled", "lineItems": [line]})

    cancelled = {"Status": "cancelled", "LineItems": [{"LineItemNumber": 0, "Quantity": 0}]}
    assert answer.json() == order | cancelled


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text("{")

    with pytest.raises(ValueError, match=r"wrong\.json: not JSON"):
        load_orders(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"id": 5}',
        '{"id": "A1"}',
        f'{{"id": "A1", "referenceCustomerId": "{CUSTOMER}", "lineItems": [1]}}',
    ],
)
def test_json_that_is_no_order_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    """Folders of samples hold error bodies and subscriptions too."""
    (tmp_path / "other.json").write_text(content)

    assert load_orders(tmp_path) == []
    assert "other.json is left out" in caplog.text


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        load_orders(tmp_path / "nowhere")
