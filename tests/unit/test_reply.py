"""The reading of Partner Center's error bodies."""

import json

import pytest

from shared.errors import PartnerCenterError
from shared.replies.reply import read_error, to_integer

FORMS = {
    "documented": (b'{"code": "800061", "description": "no", "data": [], "source": "x"}', "800061", "no"),
    "number": (b'{"code": 0, "description": "bad status"}', "0", "bad status"),
    "pascal-case": (b'{"Code": 800061, "Description": "no"}', "800061", "no"),
    "byte-order-mark": (b'\xef\xbb\xbf{"code": "800061"}', "800061", None),
    "utf-16": ('{"code": "800061", "description": "n\u00e4"}'.encode("utf-16"), "800061", "n\u00e4"),
    "utf-16-text": ("gone (10001)".encode("utf-16-le"), "10001", "gone (10001)"),
    "latin-1": (b'{"code": "800061", "description": "n\xe4"}', "800061", "n\ufffd"),
    "blanks": (b'{"code": " 800061 ", "description": "no"}', "800061", "no"),
    "gateway": (b'{"statusCode": 429, "message": "slow"}', "429", "slow"),
    "gateway-around": (b'{"statusCode": 400, "message": "x", "data": {"code": "800061"}}', "800061", "x"),
    "error-code": (b'{"errorCode": "800061", "errorMessage": "no"}', "800061", "no"),
    "error-code-number": (b'{"ErrorCode": 800061, "ErrorMessage": "no"}', "800061", "no"),
    "snake-case": (b'{"error_code": "800061", "error_message": "no"}', "800061", "no"),
    "kebab-case": (b'{"error-code": "800061", "error-description": "no"}', "800061", "no"),
    "entra": (b'{"error": "invalid_client", "error_description": "AADSTS7000215"}', "invalid_client", "AADSTS7000215"),
    "a-word-alone": (b'{"error": "invalid_client"}', "invalid_client", None),
    "azure": (b'{"error": {"code": "Forbidden", "message": "no"}}', "Forbidden", "no"),
    "azure-inner": (
        b'{"error": {"code": "BadRequest", "message": "x", "innererror": {"code": "800061", "message": "no"}}}',
        "800061",
        "no",
    ),
    "azure-details": (
        b'{"error": {"code": "BadRequest", "message": "x", "details": [{"code": "800061", "message": "no"}]}}',
        "800061",
        "no",
    ),
    "odata": (
        b'{"odata.error": {"code": "800061", "message": {"lang": "en-US", "value": "no"}}}',
        "800061",
        "no",
    ),
    "list": (b'[{"code": "800061", "description": "no"}]', "800061", "no"),
    "list-inside": (b'{"errors": [{"code": "800061", "message": "no"}, {"code": "2"}]}', "800061", "no"),
    "list-of-texts": (b'{"errors": ["no"]}', None, "no"),
    "spring": (b'{"status": 404, "error": "Not Found", "path": "/v1"}', None, "Not Found"),
    "asp-net": (b'{"Message": "An error has occurred.", "ExceptionMessage": "x"}', None, "An error has occurred."),
    "problem": (b'{"type": "about:blank", "title": "x", "status": 404, "detail": "no"}', None, "no"),
    "fault": (b'{"fault": {"faultcode": "800061", "faultstring": "no"}}', "800061", "no"),
    "nested-in-data": (b'{"data": {"error": {"errorCode": "800061", "errorMessage": "no"}}}', "800061", "no"),
    "json-in-a-text": (
        b'{"statusCode": 400, "message": "{\\"code\\": 800061, \\"description\\": \\"no\\"}"}',
        "800061",
        "no",
    ),
    "json-in-a-text-after-a-blank": (b'{"message": " {\\"code\\": 800061}"}', "800061", ' {"code": 800061}'),
    "beside-other-objects": (b'[{"a": {}}, {"b": {"code": "800061"}}, {"c": {}}, [{}], {"d": 1}]', "800061", None),
    "beside-other-lists": (b'{"a": [{"code": "800061"}], "b": [{}], "c": {"d": {}}}', "800061", None),
    "json-as-a-text": (b'"{\\"code\\": \\"800061\\"}"', "800061", None),
    "the-outer-code": (
        b'{"code": "800061", "description": "no", "data": {"code": "1", "message": "x"}}',
        "800061",
        "no",
    ),
    "the-text-beside-the-code": (b'{"message": "x", "error": {"code": "800061", "message": "no"}}', "800061", "no"),
    "empty-code": (b'{"code": "", "description": "no", "errorCode": 800061}', "800061", "no"),
    "code-null": (b'{"code": null, "description": "no"}', None, "no"),
    "plain-text": (
        b"Authentication failed. MFA required. (10001)",
        "10001",
        "Authentication failed. MFA required. (10001)",
    ),
    "json-text": (b'"Authentication failed. (10001)"', "10001", "Authentication failed. (10001)"),
    "code-in-a-message": (b'{"statusCode": 401, "message": "MFA required. (10001)"}', "10001", "MFA required. (10001)"),
    "text-alone": (b"gone", None, "gone"),
    "empty": (b"", None, None),
    "html": (b"<html><body>502</body></html>", None, None),
    "broken-off": (b'{"code": "8000', None, None),
    "other-types": (b'{"code": true, "description": 5}', None, None),
    "list-of-numbers": (b"[1]", None, None),
    "empty-object": (b"{}", None, None),
    "null": (b"null", None, None),
}


@pytest.mark.parametrize(("body", "code", "description"), FORMS.values(), ids=FORMS)
def test_every_form_of_an_error_body_is_read(body: bytes, code: str | None, description: str | None) -> None:
    assert read_error(body) == PartnerCenterError(code, description)


def test_a_token_in_an_error_text_is_removed() -> None:
    error = read_error(
        b'{"code": "1", "description": "bad header: Bearer abc.def and eyJhbGciOi.eyJhdWQi.sig-na_ture"}'
    )

    assert error.description == "bad header: … and …"


@pytest.mark.parametrize("member", ["code", "description", "errorCode", "errorMessage", "error", "message"])
def test_a_token_is_removed_from_every_member(member: str) -> None:
    error = read_error(json.dumps({member: "Authorization: Bearer eyJhbGciOi.eyJhdWQi.sig-na_ture"}).encode())

    assert {error.code, error.description} == {"Authorization: …", None}


@pytest.mark.parametrize("code", ["x" * 900_000, int("9" * 4_000)], ids=["text", "number"])
def test_a_code_is_cut_and_marked(code: object) -> None:
    found = read_error(json.dumps({"code": code}).encode()).code or ""

    assert len(found) <= 40
    assert found.endswith("…")


def test_a_description_is_cut_at_its_documented_length() -> None:
    found = read_error(b'{"description": "%s"}' % (b"x " * 5000)).description

    assert found == ("x " * 512)[:1023] + "…"


@pytest.mark.parametrize("member", ["code", "description"])
@pytest.mark.parametrize(
    "token", ["a1_-" * 10, "\n".join(["0.AXkAq7" * 9 + "x_Z9" * 10] * 3)], ids=["opaque", "broken"]
)
def test_a_token_without_the_marks_of_one_is_removed(member: str, token: str) -> None:
    error = read_error(json.dumps({member: f"refused: {token}"}).encode())

    shown = error.code or error.description or ""
    assert shown.startswith("refused: ")
    assert "a1_-" not in shown
    assert "x_Z9" not in shown


@pytest.mark.parametrize(
    "text", ["/customers/45411344-b09d-47e7-9653-542006bf9766/orders/c403d91b21d2", "four words of text, " * 20 + "end"]
)
def test_paths_and_ids_stay_in_a_description(text: str) -> None:
    assert read_error(json.dumps({"description": text}).encode()).description == text


@pytest.mark.parametrize(("number", "code"), [(198, "1"), (199, "1"), (200, None), (250, None)])
@pytest.mark.parametrize("other", [{}, "text", {"a": 1}], ids=str)
def test_200_objects_and_texts_are_read(number: int, code: str | None, other: object) -> None:
    body = json.dumps([*[other] * number, {"code": "1"}]).encode()

    assert read_error(body).code == code


@pytest.mark.parametrize(("value", "integer"), [(1000, 1000), (2**63 - 1, 2**63 - 1), (2**63, None), (-(2**63), None)])
def test_an_integer_has_64_bits(value: int, integer: int | None) -> None:
    assert to_integer(value) == integer


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":' * 900 + b'{"code": "1"}' + b"}" * 900, id="deep"),
        pytest.param(b"[" + b"{}," * 300_000 + b'{"code": "1"}]', id="long"),
        pytest.param(b"[" * 200_000, id="not-closed"),
    ],
)
def test_a_monstrous_body_has_no_error(body: bytes) -> None:
    assert read_error(body) == PartnerCenterError(None, None)
