"""The one TLS context of a worker, for httpx and for the SDKs' requests alike.

Reading the certificate authorities takes 12 ms, and each of their sessions would read them again:
three times in every cold start. They are certifi's, or those that SSL_CERT_FILE or SSL_CERT_DIR names.

Source: httpx 0.28.1, requests 2.34.2 and urllib3 2.8.0, read and measured.
"""

import ssl
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import requests


@cache
def tls_context() -> ssl.SSLContext:
    """Return a context that checks certificates and names."""
    return httpx.create_ssl_context()


def open_session() -> "requests.Session":
    """Return a session that trusts whom `tls_context` does, and repeats nothing."""
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    class OneContext(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            super().init_poolmanager(*args, **kwargs, ssl_context=tls_context())

        def build_connection_pool_key_attributes(
            self,
            request: requests.PreparedRequest,
            _verify: object,
            cert: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            # True, or the path of a bundle would be read again: the context says whom to trust.
            return super().build_connection_pool_key_attributes(request, verify=True, cert=cert)

        def cert_verify(self, conn: Any, *_: object) -> None:  # noqa: ANN401
            conn.cert_reqs = "CERT_REQUIRED"  # and no bundle beside the context's

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, OneContext())
    return session
