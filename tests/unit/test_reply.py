"""The reading of Partner Center's error bodies."""

import pytest

from shared.errors import PartnerCenterError
from shared.partner_center.reply import read_error


@pytest.mark.parametrize(
    ("body", "code", "description"),
    [
        (b'{"code": "800061", "description": "no", "data": [], "source": "x"}', "800061", "no"),
        (b'{"code": 0, "description": "bad status"}', "0", "bad status"),
        (b'{"Code": 800061, "Description": "no"}', "800061", "no"),
        (b'\xef\xbb\xbf{"code": "800061"}', "800061", None),
        (b'{"statusCode": 429, "message": "slow"}', "429", "slow"),
        (b'{"error": "invalid_client", "error_description": "AADSTS7000215"}', "invalid_client", "AADSTS7000215"),
        (b'{"error": {"code": "Forbidden", "message": "no"}}', "Forbidden", "no"),
        (b"Authentication failed. MFA required. (10001)", "10001", "Authentication failed. MFA required. (10001)"),
        (b"gone", None, "gone"),
        (b"", None, None),
        (b"<html><body>502</body></html>", None, None),
        (b'{"code": "8000', None, None),
        (b'{"code": true, "description": 5}', None, None),
        (b"[1]", None, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_every_form_of_an_error_body_is_read(body: bytes, code: str | None, description: str | None) -> None:
    assert read_error(body) == PartnerCenterError(code, description)


def test_a_token_in_an_error_text_is_removed() -> None:
    error = read_error(
        b'{"code": "1", "description": "bad header: Bearer abc.def and eyJhbGciOi.eyJhdWQi.sig-na_ture"}'
    )

    assert error.description == "bad header: … and …"


def test_a_description_is_cut_at_its_documented_length() -> None:
    assert len(read_error(b'{"description": "%s"}' % (b"x" * 5000)).description or "") == 1024
