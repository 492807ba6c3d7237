"""The strict reading of a request: its JSON, media type, size and the header Prefer."""

import pytest

from shared.errors import InvalidRequest
from shared.http_request import BODY_LIMIT_BYTES, check_size, preferred_wait_s
from tests.support.cancel_request import WHOLE, parse, refused

DOCUMENTED_TRAILING_COMMA = b'{\n    "id": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1",\n    "status": "cancelled",\n}'
DOCUMENTED_CURLY_QUOTES = '{\n    “id”: “2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1",\n    status": "cancelled"\n}'.encode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"", "chunked", id="empty"),
        pytest.param(b"\xef\xbb\xbf{}", "byte order mark", id="bom"),
        pytest.param(b"\xff\xfe{\x00}\x00", "UTF-8", id="utf-16"),
        pytest.param(b'{"orderId": "\xed\xa0\x80"}', "UTF-8", id="raw-surrogate"),
        pytest.param(DOCUMENTED_TRAILING_COMMA, "line 3, column 26. Remove the comma", id="trailing-comma"),
        pytest.param(DOCUMENTED_CURLY_QUOTES, "line 2, column 5. Replace curly quotes", id="curly-quotes"),
        pytest.param(b"{'orderId': 1}", "double quotes", id="single-quotes"),
        pytest.param(b'{"dryRun": True}', "true, false and null", id="python-literal"),
        pytest.param(b'{"orderId": {{ticket.order}}}', "placeholder", id="placeholder-left"),
        pytest.param(b'{"reason": "two\nlines"}', "Escape line breaks", id="raw-newline"),
        pytest.param(b'{"a": NaN}', "NaN", id="nan"),
        pytest.param(b'{"a": -Infinity}', "NaN and Infinity", id="infinity"),
        pytest.param(b'{"lineItems": [{"lineItemNumber": 0}], "lineItems": null}', "twice", id="name-twice"),
        pytest.param(b'{"lineItems": [{"lineItemNumber": 0, "lineItemNumber": 1}]}', "twice", id="name-twice-inside"),
        pytest.param(b"[" * 60_000, "nested", id="deep"),
        pytest.param(b'{"a":' * 10_000, "nested", id="deep-objects"),
        pytest.param(b"1" * 5000, "too long", id="long-number"),
        pytest.param(b"{} {}", "line 1, column 4", id="two-documents"),
    ],
)
def test_a_mistake_in_the_json_says_where_it_is_and_how_to_correct_it(body: bytes, text: str) -> None:
    error = refused(body)

    assert (error.code, error.status) == ("invalid_json", 400)
    assert text in error.detail
    assert error.errors[0].pointer == ""
    assert error.errors[0].message


@pytest.mark.parametrize("body", [[], None, "text", 1, True], ids=repr)
def test_json_without_an_object_is_refused(body: object) -> None:
    assert refused(body).code == "invalid_request"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="missing"),
        pytest.param({"content_type": "application/json"}, id="json"),
        pytest.param({"content_type": 'Application/JSON; charset="UTF-8"'}, id="case-and-charset"),
        pytest.param({"content_type": "application/vnd.api+json"}, id="json-suffix"),
        pytest.param({"content_encoding": "identity"}, id="identity"),
        pytest.param({"content_type": "application/json, application/json"}, id="twice"),
        pytest.param({"content_type": "application/json,Application/JSON"}, id="twice-in-another-case"),
        pytest.param({"content_type": "application/json; charset=utf-8, application/json"}, id="twice-with-a-charset"),
        pytest.param({"content_type": "application/json, application/json, "}, id="twice-and-an-empty-one"),
        pytest.param({"content_encoding": "identity, Identity"}, id="identity-twice"),
    ],
)
def test_every_name_of_json_is_accepted(headers: dict[str, str]) -> None:
    assert parse(WHOLE, **headers)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"content_type": "text/plain"}, id="text"),
        pytest.param({"content_type": "application/x-www-form-urlencoded"}, id="form"),
        pytest.param({"content_type": ""}, id="empty"),
        pytest.param({"content_type": "application/json; charset=utf-16"}, id="utf-16"),
        pytest.param({"content_type": "application/json; CHARSET=UTF-16"}, id="utf-16-in-another-case"),
        pytest.param({"content_encoding": "gzip"}, id="gzip"),
        pytest.param({"content_encoding": "identity, gzip"}, id="identity-and-gzip"),
        pytest.param({"content_type": "application/json, text/plain"}, id="json-and-text"),
        pytest.param({"content_type": "text/plain, application/json"}, id="text-and-json"),
        pytest.param({"content_type": "application/json, application/json; charset=utf-16"}, id="twice-and-utf-16"),
        pytest.param({"content_type": "application/json application/json"}, id="without-a-comma"),
        pytest.param({"content_type": ", "}, id="only-a-comma"),
    ],
)
def test_another_media_type_is_refused(headers: dict[str, str]) -> None:
    error = refused(WHOLE, **headers)

    assert (error.code, error.status) == ("unsupported_media_type", 415)


def test_64_kib_is_the_limit() -> None:
    check_size(b" " * BODY_LIMIT_BYTES)
    with pytest.raises(InvalidRequest) as caught:
        check_size(b" " * (BODY_LIMIT_BYTES + 1))

    assert (caught.value.code, caught.value.status) == ("body_too_large", 413)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("wait=20", 20),
        ("respond-async, wait = 20", 20),
        ('Wait="7"; x=1', 7),
        ("wait=0", 0),
        ("wait=3, wait=9", 3),
        ("wait", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=٣", None),
        ("wait=9999999999", None),
        ("waiting=3", None),
        ("", None),
    ],
)
def test_prefer_wait(prefer: str | None, seconds: int | None) -> None:
    """A malformed preference is ignored (RFC 7240)."""
    assert preferred_wait_s(prefer) == seconds
