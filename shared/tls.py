"""Holds the one TLS context of a worker, for httpx and for the SDKs' `requests`.

Reading the certificate authorities takes 12 ms, and each session of the SDKs would read them again: three times
in every cold start. The authorities are certifi's, or those that SSL_CERT_FILE or SSL_CERT_DIR names.

Source: httpx 0.28.1, requests 2.34.2 and urllib3 2.8.0, read and measured.
"""

import socket
import ssl
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from shared.errors import OurFault

if TYPE_CHECKING:
    import requests


@cache
def tls_context() -> ssl.SSLContext:
    """Return a context that checks certificates and names.

    Raises OurFault if SSL_CERT_FILE names no file with certificates.
    """
    try:
        return httpx.create_ssl_context()
    except OSError:  # ssl.SSLError is one
        raise OurFault(
            "misconfigured",
            "The operator must correct these settings. SSL_CERT_FILE: is not a readable file with certificates in PEM.",
        ) from None


def open_session(limit_s: float) -> "requests.Session":
    """Return a session that trusts the authorities of `tls_context`, and ends each request after *limit_s* seconds.

    The timeouts of `requests` are for each read. A server that sends a byte now and then would hold its thread
    for hours, so a timer ends the connection.
    """
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415
    from urllib3.connection import HTTPConnection, HTTPSConnection  # noqa: PLC0415

    in_use: list[HTTPConnection] = []

    class Http(HTTPConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            in_use.append(self)
            super().request(*args, **kwargs)

    class Https(HTTPSConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            in_use.append(self)
            super().request(*args, **kwargs)

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    def end_connection() -> None:
        for connection in in_use:
            if connection.sock is not None:
                with suppress(OSError):
                    # Below TLS, whose own shutdown is not safe while another thread reads.
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            super().init_poolmanager(*args, **kwargs, ssl_context=tls_context())
            self.poolmanager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}

        def send(self, *args: Any, **kwargs: Any) -> "requests.Response":  # noqa: ANN401
            in_use.clear()
            timer = threading.Timer(limit_s, end_connection)
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
            request: requests.PreparedRequest,
            _verify: object,
            cert: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            # True instead of a bundle's path, which would be read again. The context has the authorities.
            return super().build_connection_pool_key_attributes(request, verify=True, cert=cert)

        def cert_verify(self, conn: Any, *_: object) -> None:  # noqa: ANN401
            conn.cert_reqs = "CERT_REQUIRED"  # no bundle: the context has the authorities

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
    return session
