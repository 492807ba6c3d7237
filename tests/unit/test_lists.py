"""How one page of Partner Center's lists is read, and how pages follow each other."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from shared.errors import BadGateway
from shared.partner_center.lists import read_list, read_page
from shared.partner_center.orders import order_in
from shared.partner_center.subscriptions import subscription_in
from tests.support.subscriptions import GUID, LICENCE

pytestmark = pytest.mark.anyio

ROOT, URI = "https://root", "/customers/c/orders"
NEXT = f"{URI}?seekOperation=Next"


def page(*ids: str, uri: object = None, token: str | None = None) -> bytes:
    """Return a page with orders of these *ids*, which leads to *uri* with *token* in a header."""
    headers = [] if token is None else [{"key": "MS-ContinuationToken", "value": token}]
    links = {} if uri is None else {"next": {"uri": uri, "method": "GET", "headers": headers}}
    return json.dumps({"totalCount": 37, "items": [{"id": order_id} for order_id in ids], "links": links}).encode()


def test_a_page_leads_to_the_next() -> None:
    link = {"uri": "/customers/c/subscriptions?order_id=o&seekOperation=Next", "method": "GET"}
    token = {"key": "MS-ContinuationToken", "value": "4"}
    content = {"totalCount": 37, "items": [LICENCE], "links": {"next": link | {"headers": [token]}}}

    found = read_page(json.dumps(content).encode(), subscription_in)

    assert found
    subscriptions, uri, headers = found
    assert [subscription.subscription_id for subscription in subscriptions] == [GUID]
    assert (uri, headers) == (link["uri"], {"MS-ContinuationToken": "4"})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"items": []}, id="no-links"),
        pytest.param({"items": [], "links": {"self": {"uri": URI}}}, id="no-next"),
        pytest.param({"items": [], "links": {"next": None}}, id="next-null"),
        pytest.param({"items": [], "links": None}, id="links-null"),
    ],
)
def test_the_last_page_leads_nowhere(content: object) -> None:
    assert read_page(json.dumps(content).encode(), order_in) == ([], None, {})


@pytest.mark.parametrize("name", ["lower", "upper"])
def test_names_are_read_in_any_case(name: str) -> None:
    text = page("a", uri=NEXT, token="t").decode()
    body = json.loads(text, object_pairs_hook=lambda pairs: {getattr(key, name)(): value for key, value in pairs})

    found = read_page(json.dumps(body).encode(), order_in)

    assert found
    assert ([order.order_id for order in found[0]], *found[1:]) == (["a"], NEXT, {"MS-ContinuationToken": "t"})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no-items"),
        pytest.param({"items": None}, id="null"),
        pytest.param({"items": {}}, id="items-are-an-object"),
        pytest.param({"items": [LICENCE, {}]}, id="an-item-without-id"),
        pytest.param({"items": [LICENCE, None]}, id="an-item-that-is-null"),
        pytest.param([LICENCE], id="a-bare-list"),
        pytest.param("garbage", id="text"),
    ],
)
@pytest.mark.parametrize("read_item", [subscription_in, order_in])
def test_a_list_with_gaps_is_none(body: object, read_item: Any) -> None:
    """What is missing in it could be the subscription of another line."""
    assert read_page(json.dumps(body).encode(), read_item) is None


class Pages:
    """Answers with one page after the other, and keeps what was asked for."""

    def __init__(self, *pages: bytes) -> None:
        self._pages = list(pages)
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def read(self, url: str, headers: Mapping[str, str]) -> bytes:
        self.asked.append((url, dict(headers)))
        return self._pages.pop(0)

    async def ids(self, max_pages: int = 9) -> tuple[list[str | None], bool]:
        """Return the ids of the orders, and whether these are all."""
        found: list[Any] = []
        url = f"{ROOT}/v1{URI}"
        is_whole = await read_list(self.read, url, api_root=ROOT, read_item=order_in, found=found, max_pages=max_pages)
        return [order.order_id for order in found], is_whole


async def test_pages_are_followed_by_path_and_token() -> None:
    """From the second page on the path stays the same; only the token tells pages apart."""
    pages = Pages(page("a", "b", uri=NEXT, token="2"), page("c", uri=NEXT, token="3"), page("d"))

    assert await pages.ids() == (["a", "b", "c", "d"], True)
    assert pages.asked == [
        (f"{ROOT}/v1{URI}", {}),
        (f"{ROOT}/v1{NEXT}", {"MS-ContinuationToken": "2"}),
        (f"{ROOT}/v1{NEXT}", {"MS-ContinuationToken": "3"}),
    ]


async def test_no_more_pages_are_read_than_allowed() -> None:
    pages = Pages(*(page(str(number), uri=NEXT, token=str(number)) for number in range(5)))

    assert await pages.ids(max_pages=3) == (["0", "1", "2"], False)
    assert len(pages.asked) == 3


async def test_only_the_token_of_a_link_is_sent() -> None:
    """A header of a page must not replace one of ours."""
    first = json.loads(page("a", uri=NEXT, token="2"))
    first["links"]["next"]["headers"] += [
        {"key": "Authorization", "value": "Bearer x"},
        {"key": "Host", "value": "elsewhere.example"},
        None,
        {"key": "X"},
    ]
    pages = Pages(json.dumps(first).encode(), page())

    await pages.ids()

    assert pages.asked[1][1] == {"MS-ContinuationToken": "2"}


@pytest.mark.parametrize(
    ("uri", "token"),
    [
        pytest.param("https://elsewhere.example/v1/customers/c/orders", "2", id="another-host"),
        pytest.param("@elsewhere.example/customers/c/orders", "2", id="another-host-by-user-info"),
        pytest.param("/customers/d/orders?seekOperation=Next", "2", id="another-customer"),
        pytest.param("/customers/c/orders/../../d/orders", "2", id="another-customer-by-dots"),
        pytest.param("/customers/c/subscriptions", "2", id="another-list"),
        pytest.param(f"{NEXT} HTTP/1.1\r\nX: y", "2", id="a-line-break"),
        pytest.param(f"{NEXT}&é", "2", id="not-ascii"),
        pytest.param(NEXT, "2\r\nX: y", id="a-line-break-in-the-token"),
        pytest.param(URI, None, id="the-same-page-again"),
    ],
)
async def test_a_page_that_leads_astray_is_no_answer(uri: str, token: str | None) -> None:
    pages = Pages(page("a", uri=uri, token=token), page("b"))

    with pytest.raises(BadGateway):
        await pages.ids()
    assert len(pages.asked) == 1


async def test_pages_that_lead_round_in_a_circle_are_no_answer() -> None:
    """Each of them would be told again and again, until the last page that is allowed."""
    pages = Pages(*(page("a", uri=NEXT, token=token) for token in ("2", "3", "2", "3", "2")))

    with pytest.raises(BadGateway):
        await pages.ids()
    assert len(pages.asked) == 3
