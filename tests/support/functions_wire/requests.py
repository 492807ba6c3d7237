"""The requests, by a readable id: for each the parts to send, the next one after an answer to the one before."""

import json
from pathlib import Path

from tests.support.built_in_orders import SOFTWARE_CUSTOMER, built_in
from tests.support.functions_wire.app import BODY_LIMIT

RECORDED = Path(__file__).resolve().parents[2] / "samples" / "functions-host.json"  # the real host's answers

HOST_HEADER = "Host: functions.local"
KEY = "x-functions-key: right"
MASTER_KEY = "x-functions-key: master-right"
ECHO = "GET /api/echo/a/orders/b"
GET = "GET /api/anyone"
POST = "POST /api/anyone"
ABC = "Content-Length: 3"
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"2\r\nab\r\n0\r\n\r\n"
JSON = "Content-Type: application/json"
CANCEL = "POST /api/cancel_order"
DRY_RUN = {"customerTenantId": SOFTWARE_CUSTOMER, "orderId": built_in("software-three-lines"), "dryRun": True}
REFUSED = DRY_RUN | {"orderId": built_in("refused-with-800061"), "dryRun": False}
UNKNOWN = DRY_RUN | {"orderId": built_in("nowhere")}


def request(line: str, *headers: str, body: bytes = b"", host: str | None = HOST_HEADER, version: str = "1.1") -> bytes:
    """Return the bytes of a request. Characters of its head are bytes (Latin-1)."""
    lines = [f"{line} HTTP/{version}", *([host] if host is not None else []), *headers]
    return "".join(f"{part}\r\n" for part in (*lines, "")).encode("latin-1") + body


def _json(value: object, *headers: str) -> bytes:
    body = json.dumps(value).encode()
    return request(CANCEL, KEY, JSON, f"Content-Length: {len(body)}", *headers, body=body)


def _line_of(length: int) -> bytes:
    """Return a request whose request line has *length* bytes, with its end."""
    return request(f"{GET}?{'a' * (length - len(f'{GET}? HTTP/1.1') - 2)}")


def _headers_of(length: int) -> bytes:
    """Return a request whose headers have *length* bytes, with their ends."""
    return request(GET, f"x: {'a' * (length - len(HOST_HEADER) - len('x: ') - 4)}")


PRODUCT = {
    "dry run": _json(DRY_RUN),
    "dry run, key in the query": _json(DRY_RUN)
    .replace(b"cancel_order ", b"cancel_order?code=right ")
    .replace(KEY.encode(), b"x-other: 1"),
    "unknown order: 404": _json(UNKNOWN),
    "refused: 422": _json(REFUSED),
    "unknown member: 400": _json(DRY_RUN | {"extra": 1}),
    "no body: 400": request(CANCEL, KEY, JSON, "Content-Length: 0"),
    "chunked body: 400, because it arrives empty": request(CANCEL, KEY, JSON, CHUNKED, body=CHUNKS),
    "too large for the product: 413": request(
        CANCEL, KEY, JSON, f"Content-Length: {BODY_LIMIT}", body=b"{" + b" " * (BODY_LIMIT - 1)
    ),
    "not JSON: 415": request(CANCEL, KEY, "Content-Type: text/plain", ABC, body=b"abc"),
    "problem JSON": _json(DRY_RUN | {"extra": 1}, "Accept: application/problem+json"),
    "PUT": request("PUT /api/cancel_order", KEY, ABC, body=b"abc"),
    "preflight": request(
        "OPTIONS /api/cancel_order", "Origin: https://a.example", "Access-Control-Request-Method: POST"
    ),
    "lower case method": _json(DRY_RUN).replace(b"POST", b"post"),
    "no key": request(CANCEL, JSON, ABC, body=b"abc"),
}

METHODS = {
    f"method {method}": request(f"{method} /api/anyone")
    for method in ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO", "get")
} | {"method not of the route": request("PATCH /api/echo/a/orders/b", KEY)}

KEYS = {
    "key": request(ECHO, KEY),
    "key wrong": request(ECHO, "x-functions-key: wrong"),
    "key empty": request(ECHO, "x-functions-key:"),
    "key in upper case": request(ECHO, "x-functions-key: RIGHT"),
    "key with blanks around it": request(ECHO, "x-functions-key:   right  "),
    "key not ASCII": request(ECHO, "x-functions-key: \xc3\xa9"),
    "key not ASCII in the query": request(f"{ECHO}?code=%C3%A9"),
    "key wrong for a function without one": request(GET, "x-functions-key: wrong"),
    "host key": request(ECHO, "x-functions-key: host-right"),
    "master key": request(ECHO, MASTER_KEY),
    "key in the query": request(f"{ECHO}?code=right"),
    "key in the query as CODE": request(f"{ECHO}?CODE=right"),
    "key in the query, wrong": request(f"{ECHO}?code=wrong"),
    "key in the query, encoded": request(f"{ECHO}?code=%72ight"),
    "host key in the query": request(f"{ECHO}?code=host-right"),
    "key in the header, wrong in the query": request(f"{ECHO}?code=wrong", KEY),
    "key in the query, wrong in the header": request(f"{ECHO}?code=right", "x-functions-key: wrong"),
    "key in the query, empty in the header": request(f"{ECHO}?code=right", "x-functions-key:"),
    "key twice": request(ECHO, KEY, KEY),
    "key first, then a wrong one": request(ECHO, KEY, "x-functions-key: wrong"),
    "key after a wrong one": request(ECHO, "x-functions-key: wrong", KEY),
    "key twice in one header": request(ECHO, "x-functions-key: right,right"),
    "key twice in the query": request(f"{ECHO}?code=right&code=right"),
    "key in the query after a wrong one": request(f"{ECHO}?code=wrong&code=right"),
    "key as a bearer token": request(ECHO, "Authorization: Bearer right"),
}

TARGETS = {
    f"target {target}": request(f"GET {target}", KEY)
    for target in (
        *("/anyone", "/api", "/api/nowhere", "/favicon.ico", "/API/Anyone", "/api/anyone/", "/api/anyone//"),
        *("//api/anyone", "/api//anyone", "/api/anyone/else", "/api/echo/a/orders", "/api/echo//orders/b"),
        *("/api/x/../anyone", "/api/x/%2e%2e/anyone", "/api/./anyone", "/../api/anyone", "/api/../../../api/anyone"),
        *("/api/anyone/.", "/api/anyone/x/..", "/api/echo/a/orders/b/../c", "/api/.../anyone", "/api//../anyone"),
        *("/api%2fanyone", "/%61pi/%61nyone", "/api/echo/a%2fb/orders/a%20b", "/api/echo/%C3%A9/orders/%c3%a9%FF"),
        *("/api/echo/%zz/orders/%", "/api/echo/%c0%af/orders/%ed%a0%80", "/api/echo/%20%22%23%3F%25%5B%5C/orders/b"),
        *("/api/echo/a!$&'()*+,;=:@-._~/orders/\"<>[]^`{|}", "/api/echo/%00/orders/b", "/api\\anyone"),
        *("/api/echo/\xc3\xa9/orders/b", "/api/anyone\xff", "/api/anyone;x=1", "/api/anyone#x"),
        *("http://functions.local/api/anyone?a=b", "http://functions.local:80/api/anyone"),
        *("http://Functions.local/api/anyone", "https://functions.local/api/x/../anyone"),
        *("http://other.example/api/anyone", "HTTP://functions.local/api/anyone", "ftp://functions.local/api/anyone"),
        *("*", "api/anyone", "?a=b", "functions.local:80"),
    )
} | {
    "target * with OPTIONS": request("OPTIONS *"),
    "target of CONNECT, for another host": request("CONNECT other.example:80"),
    "target http://[::1]/api/anyone": request("GET http://[::1]/api/anyone", host="Host: [::1]"),
}

QUERIES = {
    f"query {query}": request(f"{GET}?{query}")
    for query in (
        *("", "a=1&b=&a=2&c=x+y%2B&d&a=", "a=1&A=2&a=3", "=x&&&a==b&c=%zz&%C3%A9=%FF&e=%00&f;g=1", "a?b=c/d"),
        *("a+b=1&a%20b=2&c%3Dd=e", "a=%ff%41%c3%a9&%e2=1", "a=1#x", "=1&=2", "a=\xc3\xa9", "a=\"<>{}|\\^`'"),
    )
}

HEADERS = {
    f"header {header!r}": request(GET, header)
    for header in (
        *("X-Name: \xc3\xbc", "X-Name: \xf0\x9f\x98\x80", "X-Name: \xe9", "X-Name: \xff", "X-Name: \xed\xa0\x80"),
        *("X-N\xc3\xbc: a", "X-Name: a\0b", "X-Name: a\x01b\x7f", "X-Name: a\rb", "X-Name:\ta\tb\t", "X-Name: a\r\n b"),
        *("X-Name : a", "X-Name", ": a", "X Name: a", "X(Name): a", "X-Name:", "User-Agent: \xe9"),
        *("Content-Type: \xc3\xa9", "Cookie: a=1; b=2", "Accept-Encoding: gzip, br", "Range: bytes=0-3"),
        *("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "traceparent: x"),
        *("X-HTTP-Method-Override: PUT", "X-Original-URL: /api/nowhere", "X-Forwarded-Proto: https"),
    )
} | {
    "header repeated": request(GET, "X-Name: a", "x-name: b, c", "Cookie: a=1", "Cookie: b=2"),
    "header repeated, empty first": request(GET, "X-Name:", "X-Name: a"),
    "header repeated, empty last": request(GET, "X-Name: a", "X-Name:"),
    "100 headers": request(GET, *(f"x-{number}: 1" for number in range(99))),
    "101 headers": request(GET, *(f"x-{number}: 1" for number in range(100))),
    "32 KiB of headers": _headers_of(32_768),
    "32 KiB of headers and a byte": _headers_of(32_769),
    "64 KiB of headers": _headers_of(65_536),
    "34 KiB of short headers": request(GET, *["x: " + "a" * 1000] * 34),
    "8 KiB of request line": _line_of(8192),
    "8 KiB of request line and a byte": _line_of(8193),
    "40 KiB of request line": _line_of(40_960),
}

HOSTS = {
    f"host {host}": request(GET, host=f"Host: {host}")
    for host in (
        *("", "a.example:8080", "a.example:80", "A.Example", "[::1]:80", "a_b", "a b", "a/b", "a@b", "a:b"),
        *("\xc3\xbc.example", "a..b", ".", "a.", "a-b", "-a", *(f"a{character}b" for character in "!$&'()~")),
    )
} | {
    "no host": request(GET, host=None),
    "two hosts": request(GET, HOST_HEADER),
    "HTTP/1.0 without host": request(GET, host=None, version="1.0"),
    "HTTP/1.0 without host, unknown path": request("GET /api/nowhere", host=None, version="1.0"),
}

VERSIONS = {
    "HTTP/1.0": request(GET, version="1.0"),
    "HTTP/1.0, keep-alive": request(GET, "Connection: keep-alive", version="1.0"),
    "HTTP/1.0, keep-alive, no body": request("GET /api/nowhere", "Connection: keep-alive", version="1.0"),
    "HTTP/1.0, keep-alive, length": request("GET /api/odd/length", "Connection: keep-alive", version="1.0"),
    "HTTP/1.0, POST": request(POST, ABC, body=b"abc", version="1.0"),
    "HTTP/1.0, POST without length": request(POST, body=b"abc", version="1.0"),
    "HTTP/1.0, PATCH without length": request("PATCH /api/anyone", version="1.0"),
    "HTTP/1.0, chunked": request(POST, CHUNKED, body=CHUNKS, version="1.0"),
    "HTTP/1.0, HEAD": request("HEAD /api/anyone", version="1.0"),
    "HTTP/1.0, 204": request("GET /api/odd/no-content", version="1.0"),
    "HTTP/1.2": request(GET, version="1.2"),
    "version of nine characters": request(GET, version="1.1_"),
    "version of seven characters": request(GET, version="1."),
    "version not ASCII": request(GET, version="1\xf61"),
    "HTTP/2.0": request(GET, version="2.0"),
    "no version": b"GET /api/anyone\r\n\r\n",
    "version in lower case": b"GET /api/anyone http/1.1\r\nHost: functions.local\r\n\r\n",
    "two blanks": request("GET  /api/anyone"),
    "blank in the target": request("GET /api/any one"),
    "tab": request("GET\t/api/anyone"),
    "bad method": request("G@T /api/anyone"),
    "junk": b"\x00\x01\x02junk\r\n\r\n",
    "half a head with a mistake": b"GET /api/anyone HTTP/1.1\r\nX Name: a\r\n",
    "blank lines first": b"\r\n\r\n" + request(GET),
    "line feeds alone": request(GET).replace(b"\r\n", b"\n"),
}

CONNECTIONS = {
    f"connection {options}": request(GET, f"Connection: {options}")
    for options in ("close", "Close", "keep-alive", "Keep-Alive", "keep-alive, close", "FOO", "xupgrade", "\x0bclose")
} | {
    "connection close, unknown path": request("GET /api/nowhere", "Connection: close"),
    "upgrade to a web socket": request(
        GET, "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: YWFhYQ=="
    ),
    "upgrade to HTTP/2": request(GET, "Connection: upgrade, http2-settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"),
    "pipeline": request(f"{GET}?1") + request("GET /api/nowhere") + request(f"{GET}?2"),
    "pipeline after a body": request(POST, ABC, body=b"abc") + request(f"{GET}?2"),
    "pipeline with junk": request(GET) + b"JUNK\r\n\r\n",
}

BODIES = {
    f"content-length {length!r}": request(POST, f"Content-Length: {length}", body=b"abc" if "3" in length else b"")
    for length in ("+3", "0003", "\t3\t", "3, 3", "3.0", "0x3", "-1", "-0", "abc", "", "99999999999999999999")
} | {
    "content-length of 5,000 zeros": request(POST, f"Content-Length: {'0' * 5000}"),
    "content-length of 5,000 nines": request(POST, f"Content-Length: {'9' * 5000}"),
    "two lengths": request(POST, "Content-Length: 2", ABC, body=b"abc"),
    "two lengths alike": request(POST, ABC, ABC, body=b"abc"),
    "no length": request(POST),
    "no length, but a body": request(POST, body=b"abc\r\n\r\n"),
    "body of a GET": request(GET, ABC, body=b"abc"),
    "body not UTF-8": request(POST, JSON, "Content-Length: 4", body=b"{\xff\x00}"),
    "body compressed": request(POST, "Content-Encoding: gzip", ABC, body=b"abc"),
    "body of a form": request(POST, "Content-Type: application/x-www-form-urlencoded", ABC, body=b"a=b"),
    "body without key": request("POST /api/echo/a/orders/b", ABC, body=b"abc"),
    "body for an unknown path": request("POST /api/nowhere", ABC, body=b"abc"),
    "body over the limit": request(POST, f"Content-Length: {BODY_LIMIT + 1}"),
    "body over the limit, without key": request("POST /api/echo/a/orders/b", f"Content-Length: {BODY_LIMIT + 1}"),
    "body over the limit, unknown path": request("POST /api/nowhere", f"Content-Length: {BODY_LIMIT + 1}"),
    "body of 8 EiB": request(POST, f"Content-Length: {2**63 - 1}"),
    "chunked": request(POST, CHUNKED, body=CHUNKS),
    "Chunked": request(POST, "Transfer-Encoding: Chunked", body=CHUNKS),
    "chunked, unknown path": request("POST /api/nowhere", CHUNKED, body=CHUNKS),
    "chunked, extension and trailer": request(POST, CHUNKED, body=b"2;x=y\r\nab\r\n0\r\nTrailer: x\r\n\r\n"),
    "chunked, bad size": request(POST, CHUNKED, body=b"zz\r\nab\r\n0\r\n\r\n"),
    **{
        f"chunked, size {size!r}": request(POST, CHUNKED, body=size.encode() + b"\r\nab\r\n0\r\n\r\n")
        for size in ("0x2", "+2", "0_2", "-0", " 2", "2 ", "02", "00000002", "000000002", "2;x", "2;x\ry")
    },
    "chunked, trailer without a colon": request(POST, CHUNKED, body=b"0\r\nGET /x HTTP/1.1\r\n\r\n"),
    "chunked, 64 KiB of trailers": request(POST, CHUNKED, body=b"0\r\n" + b"a: b\r\n" * 11_000 + b"\r\n"),
    "chunked after a control character": request(POST, "Transfer-Encoding: \x0bchunked", body=CHUNKS),
    "chunked and a length with zeros": request(POST, "Content-Length: 0003", CHUNKED, body=CHUNKS),
    "chunked, longer than its size": request(POST, CHUNKED, body=b"2\r\nabc\r\n0\r\n\r\n"),
    "chunked, over the limit": request(
        POST, CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (BODY_LIMIT + 1, b"x" * (BODY_LIMIT + 1))
    ),
    "chunked and a length": request(POST, ABC, CHUNKED, body=CHUNKS),
    "chunked twice": request(POST, CHUNKED, CHUNKED, body=CHUNKS),
    "gzip, chunked": request(POST, "Transfer-Encoding: gzip, chunked", body=CHUNKS),
    "chunked, gzip": request(POST, "Transfer-Encoding: chunked, gzip"),
    "gzip": request(POST, "Transfer-Encoding: gzip"),
    "identity": request(POST, "Transfer-Encoding: identity"),
    "empty coding": request(POST, "Transfer-Encoding:"),
    "expect, body there": request(POST, ABC, "Expect: 100-continue", body=b"abc"),
    "expect, no body": request(POST, "Expect: 100-continue"),
    "expect, over the limit": request(POST, f"Content-Length: {BODY_LIMIT + 1}", "Expect: 100-continue"),
    "expect something else": request(POST, ABC, "Expect: banana", body=b"abc"),
}

ODD_ANSWERS = {
    f"answer {kind}": request(f"GET /api/odd/{kind}")
    for kind in (
        *("empty", "no-content", "no-content-with-body", "not-modified", "reset", "length", "length-too-small"),
        *(
            "length-too-large",
            "length-not-a-number",
            "latin-1",
            "not-latin-1",
            "line-break",
            "bad-name",
            "custom",
            "content-type",
            "close",
        ),
        *("not-ascii", "large", "text", "nothing", "raises", "trace"),
        *("199", "202", "402", "409", "413", "414", "416", "418", "422", "425", "429", "431", "451", "499"),
        *("500", "501", "502", "503", "504", "507", "600", "999"),
    )
} | {
    "answer length to HEAD": request("HEAD /api/odd/length"),
    "answer no-content to HEAD": request("HEAD /api/odd/no-content"),
}

OWN_PAGES = {
    f"{line}{', with the master key' if key else ''}": request(line, *key)
    for line in (
        *("GET /admin", "GET /admin/nowhere", "GET /admin/host/ping", "POST /admin/host/ping", "PUT /admin/host/ping"),
        *("HEAD /admin/host/ping", "GET /ADMIN/host/ping/", "GET /admin/warmup", "GET /admin/host/status"),
        *("POST /admin/host/status", "GET /admin/host/keys", "GET /runtime/webhooks/x"),
    )
    for key in ((), (MASTER_KEY,))
} | {
    "GET /admin/functions": request("GET /admin/functions"),
    "GET /admin/functions/echo": request("GET /admin/functions/echo"),
    "POST /admin/functions/echo": request("POST /admin/functions/echo", ABC, body=b"abc"),
    "GET /": request("GET /"),
    "POST /": request("POST /"),
    "HEAD /": request("HEAD /"),
    "status with the function key": request("GET /admin/host/status", KEY),
    "status with the host key": request("GET /admin/host/status", "x-functions-key: host-right"),
    "status with the master key in the query": request("GET /admin/host/status?code=master-right"),
}

RUN = '{"input": ""}'


def _by_hand(*headers: str, name: str = "tick", body: str = RUN) -> bytes:
    line = f"POST /admin/functions/{name}"
    return request(line, f"Content-Length: {len(body)}", *headers, body=body.encode())


BY_HAND = {
    "by hand": _by_hand(MASTER_KEY, JSON),
    "by hand, name in upper case": _by_hand(MASTER_KEY, JSON, name="TICK/"),
    "by hand, with a charset": _by_hand(MASTER_KEY, f"{JSON}; charset=utf-8"),
    "by hand, text/json": _by_hand(MASTER_KEY, "Content-Type: text/json"),
    "by hand, text": _by_hand(MASTER_KEY, "Content-Type: text/plain"),
    "by hand, without type": _by_hand(MASTER_KEY),
    "by hand, empty object": _by_hand(MASTER_KEY, JSON, body="{}"),
    "by hand, list": _by_hand(MASTER_KEY, JSON, body="[]"),
    "by hand, null": _by_hand(MASTER_KEY, JSON, body="null"),
    "by hand, broken JSON": _by_hand(MASTER_KEY, JSON, body="{"),
    "by hand, no body": _by_hand(MASTER_KEY, JSON, body=""),
    "by hand, unknown function": _by_hand(MASTER_KEY, JSON, name="nobody"),
    "by hand, unknown function without a body": _by_hand(MASTER_KEY, JSON, name="nobody", body=""),
    "by hand, a function of HTTP": _by_hand(MASTER_KEY, JSON, name="echo"),
    "by hand, with the host key": _by_hand("x-functions-key: host-right", JSON),
    "by hand, with the function key": _by_hand(KEY, JSON),
    "by hand, without key": _by_hand(JSON),
}

IN_PARTS = {
    "expect": (request(POST, ABC, "Expect: 100-continue"), b"abc"),
    "expect, half the body there": (request(POST, ABC, "Expect: 100-continue", body=b"a"), b"bc"),
    "expect, without key": (request("POST /api/echo/a/orders/b", ABC, "Expect: 100-continue"), b"abc" + request(GET)),
    "expect, HTTP/1.0": (request(POST, "Content-Length: 0", "Expect: 100-continue", version="1.0"),),
    "two requests": (request(f"{GET}?1"), request(f"{GET}?2")),
}

REQUESTS: dict[str, tuple[bytes, ...]] = {
    name: (whole,)
    for requests in (
        *(PRODUCT, METHODS, KEYS, TARGETS, QUERIES, HEADERS, HOSTS, VERSIONS, CONNECTIONS, BODIES, ODD_ANSWERS),
        *(OWN_PAGES, BY_HAND),
    )
    for name, whole in requests.items()
} | IN_PARTS
