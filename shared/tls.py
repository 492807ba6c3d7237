"""Holds the one TLS context of a worker, for httpx and for the SDKs' `requests`.

Reading the certificate authorities takes 12 ms, and each session of the SDKs would read them again: three times
in every cold start. The authorities are certifi's, or those that SSL_CERT_FILE or SSL_CERT_DIR names.

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
    """Return a session that trusts the authorities of `tls_context` and repeats nothing."""
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
            # True instead of a bundle's path, which would be read again. The context has the authorities.
            return super().build_connection_pool_key_attributes(request, verify=True, cert=cert)

        def cert_verify(self, conn: Any, *_: object) -> None:  # noqa: ANN401
            conn.cert_reqs = "CERT_REQUIRED"  # no bundle: the context has the authorities

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, OneContext())
    return session
