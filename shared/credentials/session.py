"""Opens the HTTP session of an SDK call: one TLS context for all, and a time at which its requests end.

The timeouts of `requests` are for each read. A server that sends a byte now and then would hold its thread for
hours, so a timer ends the connection.

Source: requests 2.34.2 and urllib3 2.8.0, read and measured.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from shared.tls import tls_context

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection

CONNECT_TIMEOUT_S = 2.0  # for each address of a host, and for TLS
READ_TIMEOUT_S = 5.0  # for each read


class TimeIsUp(TimeoutError):
    """The time of an SDK call is over. An OSError, because urllib3 expects one."""


class _Limit:
    """Ends the connections of a session at the time *ends_at*."""

    def __init__(self, ends_at: float) -> None:
        self._ends_at = ends_at
        self._in_use: list[HTTPConnection] = []

    @property
    def left_s(self) -> float:
        return self._ends_at - time.monotonic()

    def check(self) -> None:
        if self.left_s <= 0:
            raise TimeIsUp

    def note(self, connection: "HTTPConnection") -> None:
        self._in_use.append(connection)

    @contextmanager
    def on_one_request(self) -> Iterator[None]:
        self._in_use.clear()
        timer = threading.Timer(self.left_s, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        for connection in self._in_use:
            open_socket = connection.sock  # the other thread may close it meanwhile
            if isinstance(open_socket, socket.socket):
                with suppress(OSError):
                    # Below TLS: its own shutdown is not safe while another thread reads.
                    socket.socket.shutdown(open_socket, socket.SHUT_RDWR)


def open_session(
    ends_at: float, *, connect_timeout_s: float = CONNECT_TIMEOUT_S, read_timeout_s: float = READ_TIMEOUT_S
) -> "requests.Session":
    """Return a session that trusts the authorities of `tls_context`, and whose requests end at *ends_at* (monotonic).

    The session's timeouts replace those that an SDK asks for.
    """
    import requests  # noqa: PLC0415

    session = requests.Session()
    session.max_redirects = 0  # a redirect would take the app's secret elsewhere
    for scheme in ("http://", "https://"):
        session.mount(scheme, _adapter(_Limit(ends_at), (connect_timeout_s, read_timeout_s)))
    return session


def _adapter(limit: _Limit, timeouts: tuple[float, float]) -> "HTTPAdapter":
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    pool_classes = _pool_classes(limit)

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            super().init_poolmanager(*args, **kwargs, ssl_context=tls_context())
            self.poolmanager.pool_classes_by_scheme = pool_classes

        def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            manager = super().proxy_manager_for(proxy, **kwargs, ssl_context=tls_context())
            manager.pool_classes_by_scheme = pool_classes
            return manager

        def send(self, request: "requests.PreparedRequest", *args: Any, **kwargs: Any) -> "requests.Response":  # noqa: ANN401
            try:
                limit.check()
                with limit.on_one_request():
                    response = super().send(request, *args, **kwargs | {"timeout": timeouts})
                    _ = response.content  # read here, so that the limit holds for the body too
                limit.check()  # a connection that was ended in its headers looks like a whole answer
            except TimeIsUp as error:
                raise requests.ConnectionError(error, request=request) from None
            return response

        def build_connection_pool_key_attributes(
            self,
            request: "requests.PreparedRequest",
            _verify: object,
            cert: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            # True instead of a bundle's path, which would be read again. The context has the authorities.
            return super().build_connection_pool_key_attributes(request, verify=True, cert=cert)

        def cert_verify(self, conn: Any, *_: object) -> None:  # noqa: ANN401
            conn.cert_reqs = "CERT_REQUIRED"  # no bundle: the context has the authorities

    return Adapter()


def _pool_classes(limit: _Limit) -> dict[str, Any]:
    """Return urllib3's pools, whose connections *limit* ends."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415
    from urllib3.connection import HTTPConnection, HTTPSConnection  # noqa: PLC0415

    class Limited(HTTPConnection):
        def connect(self) -> None:
            limit.note(self)
            super().connect()
            limit.check()  # while it connected, there was no socket that the timer could end

        def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            limit.note(self)
            super().request(*args, **kwargs)

    class LimitedWithTls(Limited, HTTPSConnection):
        pass

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Limited

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = LimitedWithTls

    return {"http": HttpPool, "https": HttpsPool}
