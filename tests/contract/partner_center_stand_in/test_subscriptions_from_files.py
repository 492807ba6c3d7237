"""Subscriptions from the folder of `--subscriptions`, and loaded orders whose lines name one."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.partner_center.files import load_orders, load_subscriptions, merge_subscriptions, with_kinds
from infra.local.partner_center.subscription_catalogue import built_in_subscriptions
from tests.support.clock import Clock
from tests.support.local_cloud import Json
from tests.support.partner_center import (
    CUSTOMER,
    NOW,
    ONE_LINE_CUSTOMER,
    PRODUCTION,
    OpenPartnerCenter,
    cancel,
    change,
    sample,
    status_and_code,
)

LICENCE = sample("subscriptions/nce-seat-active-refundable")
BUILT_IN = "fcddfa52-1da8-4529-d347-50ea51e1e7be"
[SOFTWARE] = sample("subscriptions/list-software-subscription")["items"]


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def of_customer(subscription: Json, **members: object) -> Json:
    return {"customerTenantId": CUSTOMER, "subscription": subscription} | members


def test_a_loaded_subscription_replaces_the_built_in_one_and_can_be_cancelled_at_any_age(
    http: httpx.Client, open_partner_center: OpenPartnerCenter, tmp_path: Path
) -> None:
    loaded = load_subscriptions(write(tmp_path, a=of_customer(LICENCE | {"id": BUILT_IN.upper()})))
    entries = merge_subscriptions(built_in_subscriptions(NOW), loaded)
    open_partner_center([], entries)

    answer = change(http, BUILT_IN, CUSTOMER, tenant=PRODUCTION, status="deleted")

    assert len(entries) == len(built_in_subscriptions(NOW))
    assert (answer.status_code, answer.json()["creationDate"][:4]) == (200, "2021")


def test_a_loaded_subscription_keeps_the_deadline_that_it_tells(
    http: httpx.Client, open_partner_center: OpenPartnerCenter, clock: Clock, tmp_path: Path
) -> None:
    open_partner_center([], load_subscriptions(write(tmp_path, a=of_customer(SOFTWARE))))

    assert status_and_code(change(http, SOFTWARE["id"], CUSTOMER, status="deleted")) == (400, "900117")
    clock.now = datetime(2021, 11, 14, 23, tzinfo=UTC).timestamp()
    assert change(http, SOFTWARE["id"], CUSTOMER, status="deleted").status_code == 200


def test_a_file_can_ask_for_202(http: httpx.Client, open_partner_center: OpenPartnerCenter, tmp_path: Path) -> None:
    open_partner_center([], load_subscriptions(write(tmp_path, a=of_customer(LICENCE, patchAnswers=202))))

    answer = change(http, LICENCE["id"], CUSTOMER, status="deleted")

    assert (answer.status_code, answer.content) == (202, b"")


def test_a_subscription_is_loaded_whatever_the_case_of_its_names(tmp_path: Path) -> None:
    pascal = {"Id": LICENCE["id"], "ProductType": {"Id": "Software"}, "OrderId": "34b37d7340cc"}

    [entry] = load_subscriptions(write(tmp_path, a=of_customer(pascal)))

    assert (entry.subscription, entry.kind, entry.order_id) == (pascal, "software subscription", "34b37d7340cc")
    assert entry.note == "loaded from a.json"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param([], id="not-an-object"),
        pytest.param(LICENCE, id="bare subscription"),
        pytest.param({"subscription": LICENCE}, id="no-customer"),
        pytest.param(of_customer(LICENCE, customerTenantId="contoso"), id="customer-not-a-guid"),
        pytest.param(of_customer(LICENCE | {"id": 5}), id="id-is-a-number"),
        pytest.param(of_customer(LICENCE | {"id": "5cf72f146967"}), id="id-of-an-order"),
        pytest.param({"customerTenantId": CUSTOMER, "subscription": []}, id="a-list"),
        pytest.param(of_customer(LICENCE, patchAnswers=204), id="another-answer"),
        pytest.param(of_customer(LICENCE, patchanswers=202), id="unknown-member"),
    ],
)
def test_json_that_is_not_a_subscription_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: object
) -> None:
    assert load_subscriptions(write(tmp_path, other=content)) == []
    assert "other.json is left out: a file needs customerTenantId" in caplog.text


def test_the_error_names_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text("{")

    with pytest.raises(ValueError, match=r"wrong\.json: not JSON"):
        load_subscriptions(tmp_path)
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        load_subscriptions(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["NaN", '"\\ud800"', "[" * 700 + "]" * 700], ids=["NaN", "surrogate", "nested"])
def test_json_that_cannot_be_sent_again_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "wrong.json").write_text(content)

    with pytest.raises(ValueError, match=r"wrong\.json: not JSON"):
        load_subscriptions(tmp_path)


def order_with(*lines: Json) -> Json:
    numbered = [{"lineItemNumber": number, "quantity": 1} | line for number, line in enumerate(lines)]
    return {"id": "LOADED", "referenceCustomerId": CUSTOMER, "lineItems": numbered}


BY_ID = {"subscriptionId": LICENCE["id"].upper()}
BY_LINK = {"links": {"subscription": {"uri": f"/customers/{CUSTOMER}/subscriptions/{LICENCE['id']}"}}}
BY_ID_OF_SOFTWARE = {"subscriptionId": SOFTWARE["id"]}


@pytest.mark.parametrize(
    ("order", "kind", "note", "expected"),
    [
        pytest.param(order_with(BY_ID), "licence", "", (400, "800063"), id="by id"),
        pytest.param(order_with(BY_LINK), "licence", "", (400, "800063"), id="by link"),
        pytest.param(order_with(BY_ID_OF_SOFTWARE), "software subscription", "", (200, None), id="software"),
        pytest.param(order_with({}, BY_ID), "software", ", with a licence", (400, "800063"), id="one of two lines"),
        pytest.param(order_with({"subscriptionId": ONE_LINE_CUSTOMER}), "software", "", (200, None), id="unknown"),
        pytest.param(order_with({}), "software", "", (200, None), id="none"),
        pytest.param(order_with({"links": [1]}), "software", "", (200, None), id="links a list"),
    ],
)
def test_a_loaded_order_has_the_kind_of_the_subscription_that_its_line_names(
    http: httpx.Client,
    open_partner_center: OpenPartnerCenter,
    tmp_path: Path,
    order: Json,
    kind: str,
    note: str,
    expected: tuple[int, Any],
) -> None:
    subscriptions = load_subscriptions(
        write(tmp_path / "subscriptions", a=of_customer(LICENCE), b=of_customer(SOFTWARE))
    )
    [entry] = with_kinds(load_orders(write(tmp_path / "orders", order=order)), subscriptions)
    open_partner_center([entry], subscriptions)

    assert (entry.kind, entry.note) == (kind, f"loaded from order.json{note}")
    assert status_and_code(cancel(http, "LOADED", tenant=PRODUCTION)) == expected
