"""Holds the one TLS context of a worker, for httpx and for the SDKs' `requests`.

Reading the certificate authorities takes 12 ms, and each session of the SDKs would read them again: three times
in every cold start. The authorities are certifi's, or those that SSL_CERT_FILE or SSL_CERT_DIR names.

Source: httpx 0.28.1, requests 2.34.2 and urllib3 2.8.0, read and measured.
"""

import ssl
from functools import cache

import httpx

from shared.errors import OurFault


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
