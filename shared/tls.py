"""Holds the one TLS context of a worker, for httpx and for the SDKs' `requests`.

Reading the certificate authorities takes 12 ms, and each session of the SDKs would read them again: three times
in every cold start. The authorities are certifi's, or those that SSL_CERT_FILE or SSL_CERT_DIR names.

Source: httpx 0.28.1, requests 2.34.2 and urllib3 2.8.0, read and measured.
"""

import os
import re
import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import httpx

from shared.errors import OurFault


@cache
def tls_context() -> ssl.SSLContext:
    """Return a context that checks certificates and names. Raises OSError or ssl.SSLError for a bad SSL_CERT_FILE."""
    return httpx.create_ssl_context()


def check_authorities(environ: Mapping[str, str]) -> None:
    """Raise OurFault if SSL_CERT_FILE or SSL_CERT_DIR in *environ* names no certificates.

    Every connection would fail, as if the services were down.
    """
    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    try:
        context = tls_context()
    except OSError:  # ssl.SSLError is one
        raise _unusable("SSL_CERT_FILE: is not a readable file with certificates in PEM.") from None
    if file and not context.cert_store_stats()["x509"]:  # something else in PEM, such as a revocation list
        raise _unusable("SSL_CERT_FILE: has no certificates.")
    folders = (folder or "").split(os.pathsep)  # OpenSSL takes a list, and reads it with the first connection
    if folder and not file and not any(_has_certificates(path) for path in folders if path):
        raise _unusable("SSL_CERT_DIR: is not a readable folder with certificates, named as `openssl rehash` does.")


def _has_certificates(folder: str) -> bool:
    try:
        return any(re.fullmatch(r"[0-9a-f]{8}\.\d+", path.name) for path in Path(folder).iterdir())
    except OSError:
        return False


def _unusable(reason: str) -> OurFault:
    return OurFault("misconfigured", f"The operator must correct these settings. {reason}")
