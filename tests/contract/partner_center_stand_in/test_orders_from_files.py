"""Orders from the folder of `--orders`."""

import json
from pathlib import Path

import httpx
import pytest

from infra.local.partner_center.catalogue import built_in_orders
from infra.local.partner_center.files import load_orders, merge
from tests.support.partner_center import CUSTOMER, NOW, PRODUCTION, TWO_LINES, OpenPartnerCenter, cancel, load_two_lines


def test_a_loaded_order_replaces_the_built_in_one_and_can_be_cancelled_at_any_age(
    http: httpx.Client, open_partner_center: OpenPartnerCenter, tmp_path: Path
) -> None:
    loaded = load_two_lines(tmp_path, TWO_LINES)
    entries = merge(built_in_orders(NOW), loaded)
    open_partner_center(entries)

    answer = cancel(http, TWO_LINES, tenant=PRODUCTION)

    assert len(entries) == len(built_in_orders(NOW))
    assert (answer.status_code, answer.json()["creationDate"][:4]) == (200, "2019")


def test_an_order_is_loaded_whatever_the_case_of_its_names(
    http: httpx.Client, open_partner_center: OpenPartnerCenter, tmp_path: Path
) -> None:
    order = {"Id": "LOADED", "ReferenceCustomerId": CUSTOMER.upper(), "LineItems": [{"LineItemNumber": 0}]}
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(order).encode())
    (tmp_path / "notes.txt").write_text("not read")
    open_partner_center(load_orders(tmp_path))

    line = {"lineItemNumber": 0}
    answer = cancel(http, "LOADED", body={"status": "cancelled", "lineItems": [line]})

    cancelled = {"Status": "cancelled", "LineItems": [{"LineItemNumber": 0, "Quantity": 0}]}
    assert answer.json() == order | cancelled


def test_the_error_names_a_file_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text("{")

    with pytest.raises(ValueError, match=r"wrong\.json: not JSON"):
        load_orders(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("[]", id="not-an-object"),
        pytest.param('{"id": 5}', id="id-is-a-number"),
        pytest.param('{"id": "A1"}', id="no-customer"),
        pytest.param(f'{{"id": "A1", "referenceCustomerId": "{CUSTOMER}", "lineItems": [1]}}', id="line-is-a-number"),
    ],
)
def test_json_that_is_not_an_order_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    """Folders of samples hold error bodies and subscriptions, too."""
    (tmp_path / "other.json").write_text(content)

    assert load_orders(tmp_path) == []
    assert "other.json is left out" in caplog.text


def test_the_error_names_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        load_orders(tmp_path / "nowhere")
