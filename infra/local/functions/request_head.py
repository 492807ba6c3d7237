"""The head of an HTTP request as Kestrel reads it, the web server inside the Functions host.

No I/O: lines of bytes come in; a Head or a refusal comes out. Kestrel answers a refusal by itself, before the host
and the function see the request.

Source: the real host (4.1037.0 with Kestrel of .NET 8). tests/contract/test_functions_wire.py compares both.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

LINE_LIMIT_BYTES = 8 * 1024  # of the request line, with its end
HEADERS_LIMIT_BYTES = 32 * 1024  # of all header lines, with their ends
HEADER_COUNT_LIMIT = 100
CONTENT_LENGTH_LIMIT = 2**63 - 1
CONTENT_LENGTH_DIGITS = 19

REQUEST_LINE = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+) ([!-~]+) ([^ ]*)")  # method, target, version
HEADER_NAME = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f!-9;-\x7f]+")  # much more than a token
HOST_VALUE = re.compile(r"([-!$&'()._~0-9A-Za-z]*|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
AUTHORITY = re.compile(r"[-!$&'()._~:\[\]0-9A-Za-z]+")
CONTENT_LENGTH = re.compile(r"\+?[0-9]+|-0+")
PERCENT_RUN = re.compile("(?:%[0-9A-Fa-f]{2})+")
NOT_IN_PATHS = re.compile(r"%(?![0-9A-Fa-f]{2})|[^-%!$&'()*+,;=:@/._~0-9A-Za-z]")
DEFAULT_PORTS = {"http": 80, "https": 443}


class Refused(Exception):
    """Kestrel answers the request by itself: with *status*, without a body, and closes the connection."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


@dataclass
class Head:
    """A request line and its headers.

    Attributes:
        path: decoded, without dot segments; "" for `OPTIONS *`. `%2F` and what is no UTF-8 stay encoded.
        query: as sent, without the question mark.
        headers: names in lower case; repeated ones are several items.
        length: of the body; None if the body is chunked.
        keep_alive: whether the connection may carry another request.
    """

    method: str
    target: str
    version: str
    path: str = ""
    query: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    length: int | None = 0
    keep_alive: bool = True

    def value(self, name: str) -> str:
        """Return the first value of the header *name*, or "" without one."""
        return next((value for key, value in self.headers if key == name), "")


def read_request_line(line: bytes) -> Head:
    """Return the head that *line* begins. Raises Refused."""
    found = REQUEST_LINE.fullmatch(line)
    if not found:
        raise Refused(400)
    method, target, version = (part.decode("latin-1") for part in found.groups())
    if version not in {"HTTP/1.0", "HTTP/1.1"}:
        raise Refused(505 if len(version) in {7, 8} else 400)  # Kestrel reads 8 bytes, the line's end among them
    head = Head(method, target, version)
    if target.startswith("/"):
        head.path, head.query = _path_and_query(target)
    elif target == "*":
        if method != "OPTIONS":
            raise Refused(405, allow="OPTIONS")
    elif target.startswith(("http://", "https://")):
        head.path, head.query = _path_and_query(re.sub("^https?://[^/?]*", "", target))
    elif AUTHORITY.fullmatch(target):
        if method != "CONNECT":
            raise Refused(405, allow="CONNECT")
    else:
        raise Refused(400)
    return head


def read_header(line: bytes) -> tuple[str, str]:
    """Return name and value of a header. Raises Refused."""
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not HEADER_NAME.fullmatch(name) or b"\0" in value or b"\r" in value:
        raise Refused(400)
    try:
        return name.decode("ascii").lower(), value.decode()
    except UnicodeDecodeError:
        raise Refused(400) from None


def check_headers(head: Head) -> None:
    """Check the headers of *head* together, and set what they decide. Raises Refused."""
    _check_host(head)
    _read_connection(head)
    _read_framing(head)


def decoded(text: str, *, keep: str = "") -> str:
    """Return *text* without percent-encoding, but for the characters in *keep* and for bytes that are no UTF-8."""
    return PERCENT_RUN.sub(lambda run: _decoded_run(run[0], keep), text) if "%" in text else text


def encoded_path(path: str) -> str:
    """Return a decoded *path* as it is in a URL."""
    return NOT_IN_PATHS.sub(lambda found: quote(found[0], safe=""), path)


def _path_and_query(target: str) -> tuple[str, str]:
    path, _, query = target.partition("?")
    path = decoded(path, keep="/") or "/"
    if "\0" in path:
        raise Refused(400)
    return _without_dots(path), query


def _decoded_run(run: str, keep: str) -> str:
    raw = bytes.fromhex(run.replace("%", ""))
    found, at = "", 0
    while at < len(raw):
        for end in range(at + 1, at + 5):
            try:
                character = raw[at:end].decode()
            except UnicodeDecodeError:
                continue
            found += run[3 * at : 3 * end] if character in keep else character
            at = end
            break
        else:
            found += run[3 * at : 3 * at + 3]
            at += 1
    return found


def _without_dots(path: str) -> str:
    segments: list[str] = []
    *folders, last = path.split("/")[1:]
    for segment in (*folders, last):
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    return "/" + "/".join(segments) + ("/" if last in {".", ".."} and segments else "")


def _check_host(head: Head) -> None:
    hosts = [value for name, value in head.headers if name == "host"]
    if len(hosts) > 1 or (not hosts and head.version == "HTTP/1.1"):
        raise Refused(400)
    host = hosts[0] if hosts else ""
    if not HOST_VALUE.fullmatch(host):
        raise Refused(400)
    if head.method == "CONNECT" and not head.target.startswith("/") and host != head.target:
        raise Refused(400)
    if head.target.startswith("http") and host not in _authorities(head.target):
        raise Refused(400)


def _authorities(target: str) -> set[str]:
    """Return the Host headers that go with a whole URL as *target*."""
    try:
        url = urlsplit(target)
        port = url.port or DEFAULT_PORTS[url.scheme]
    except ValueError:
        return set()
    name = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    return {f"{name}:{port}"} | ({str(name)} if port == DEFAULT_PORTS[url.scheme] else set())


def _read_connection(head: Head) -> None:
    options = {option for name, value in head.headers if name == "connection" for option in _options(value)}
    head.keep_alive = "close" not in options and (head.version == "HTTP/1.1" or "keep-alive" in options)
    head.headers = [(name, _connection_value(value) if name == "connection" else value) for name, value in head.headers]


def _options(connection: str) -> set[str]:
    return {option.strip(" \t") for option in connection.lower().split(",")}


def _connection_value(value: str) -> str:
    """Return a Connection header as the function gets it: Kestrel has constants for the common ones."""
    if "upgrade" in _options(value):
        return "Upgrade"
    return value.lower() if value.lower() in {"close", "keep-alive"} else value


def _read_framing(head: Head) -> None:
    codings = [value for name, value in head.headers if name == "transfer-encoding"]
    lengths = [value for name, value in head.headers if name == "content-length"]
    if len(lengths) > 1:
        raise Refused(400)
    if lengths:
        head.length = _length(lengths[0])
        head.headers = [(name, str(head.length) if name == "content-length" else v) for name, v in head.headers]
    if codings:
        if ",".join(codings).rpartition(",")[2].strip(" \t").lower() != "chunked":
            raise Refused(400)
        head.length = None
        if lengths:  # a way to smuggle a request, so Kestrel moves one aside and closes
            head.keep_alive = False
            head.headers = [("x-content-length" if name == "content-length" else name, v) for name, v in head.headers]
    elif not lengths and head.version == "HTTP/1.0" and head.method in {"POST", "PUT"}:
        raise Refused(400)


def _length(text: str) -> int:
    """Return a Content-Length. Raises Refused."""
    digits = text.lstrip("+-").lstrip("0") or "0"
    # Python refuses to read more than 4,300 digits.
    if not CONTENT_LENGTH.fullmatch(text) or len(digits) > CONTENT_LENGTH_DIGITS or int(digits) > CONTENT_LENGTH_LIMIT:
        raise Refused(400)
    return int(digits)
