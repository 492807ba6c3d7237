"""Headers of requests: most name a JSON body, and any may be odd."""

from hypothesis import strategies as st

from tests.support.hostile_requests.values import weighted

type Headers = dict[str, bytes]

# Every byte that HTTP lets through inside a header's value, more than most senders use. The host answers by itself if
# they are not UTF-8, so most are.
_CHARACTERS = [chr(code) for code in (*range(0x01, 0x09), *range(0x20, 0x80), 0xE9, 0x663, 0x65E5, 0x1F600)]
_header_bytes = weighted(
    (7, st.lists(st.sampled_from(_CHARACTERS), max_size=40).map(lambda found: "".join(found).strip().encode())),
    (1, st.sampled_from((b"\xe9", b"a\xff", b"\xc3", b"\xed\xa0\x80"))),
)
_TRACE = "0af7651916cd43dd8448eb211c80319c"
_ODD_VALUES = {
    "content-type": (
        *("application/json; charset=utf-16", "application/json; charset", "text/plain", "", "json", ";", "é"),
        *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json, text/html"),
    ),
    "accept": ("*/*", "application/problem+json", "APPLICATION/PROBLEM+JSON;q=0.1", "text/html", "", "é"),
    "prefer": (
        *("wait=60", 'wait="7"', "WAIT=30;a=b", "respond-async, wait=9", "wait=999999999", "wait=9999999999", "wait="),
        *("wait=-1", "wait=1.5", "wait=1e9", "wait=²", "wait=٣", ",;=", ""),
    ),
    "traceparent": (f"00-{_TRACE}-b7ad6b7169203331-01", f"ff-{_TRACE}-b7ad6b7169203331-01", f"00-{'0' * 32}-x"),
    "content-encoding": ("identity", "gzip", "br", "deflate, gzip", "", "é"),
    "x-caller-key": ("", "secret", "é" * 40),
    "idempotency-key": ("", "8e03978e-40d5-43e8-bc93-6894a57f9324", '"8e03978e"', "é", "x" * 8_000),
    "x-request-id": ("", "1", "é"),
}
_odd_headers: st.SearchStrategy[Headers] = st.fixed_dictionaries(
    {},
    optional={
        name: weighted((3, st.sampled_from([value.encode() for value in values])), (1, _header_bytes))
        for name, values in _ODD_VALUES.items()
    },
)
_JSON_TYPES = (
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "application/cloudevents+json",
)


def _with_json_type(headers: Headers, media_type: str) -> Headers:
    """Return *headers* with a content type for which the function reads the body."""
    others = {name: value for name, value in headers.items() if not name.startswith("content-")}
    return others | {"content-type": media_type.encode()}


headers = weighted((4, st.builds(_with_json_type, _odd_headers, st.sampled_from(_JSON_TYPES))), (1, _odd_headers))


def are_readable(headers: Headers) -> bool:
    """Tell whether the host can read *headers*: it wants UTF-8."""
    try:
        b" ".join(headers.values()).decode()
    except UnicodeDecodeError:
        return False
    return True
