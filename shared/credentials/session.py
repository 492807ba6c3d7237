"""Opens the HTTP session of an SDK call: one TLS context for all, and a time limit for each request as a whole.

The timeouts of `requests` are for each read. A server that sends a byte now and then would hold its thread for
hours, so a timer ends the connection.

Source: requests 2.34.2 and urllib3 2.8.0, read and measured.
"""

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from shared.tls import tls_context

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection


def open_session(limit_s: float) -> "requests.Session":
    """Return a session that trusts the authorities of `tls_context`, and ends each request after *limit_s* seconds."""
    import requests  # noqa: PLC0415

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _adapter(limit_s))
    return session


def _adapter(limit_s: float) -> "HTTPAdapter":
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    in_use: list[HTTPConnection] = []

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            super().init_poolmanager(*args, **kwargs, ssl_context=tls_context())
            self.poolmanager.pool_classes_by_scheme = _pool_classes(in_use)

        def send(self, *args: Any, **kwargs: Any) -> "requests.Response":  # noqa: ANN401
            in_use.clear()
            timer = threading.Timer(limit_s, _end, [in_use])
            timer.daemon = True
            timer.start()
            try:
                response = super().send(*args, **kwargs)
                _ = response.content  # read here, so that the limit holds for the body too
            finally:
                timer.cancel()
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


def _pool_classes(in_use: "list[HTTPConnection]") -> dict[str, Any]:
    """Return urllib3's pools, whose connections note in *in_use* that they send a request."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415
    from urllib3.connection import HTTPConnection, HTTPSConnection  # noqa: PLC0415

    class Noting(HTTPConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            in_use.append(self)
            super().request(*args, **kwargs)

    class NotingWithTls(Noting, HTTPSConnection):
        pass

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Noting

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = NotingWithTls

    return {"http": HttpPool, "https": HttpsPool}


def _end(connections: "list[HTTPConnection]") -> None:
    for connection in connections:
        if connection.sock is not None:
            with suppress(OSError):
                # Below TLS: its own shutdown is not safe while another thread reads.
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
