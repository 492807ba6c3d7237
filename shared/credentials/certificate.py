"""Reads the certificate that a Key Vault secret holds: PEM, or PFX in base64, as Key Vault exports it."""

import base64
import binascii
from datetime import datetime


def certificate_bytes(text: str) -> bytes:
    """Return the certificate in a secret's *text*: PEM as it is, PFX decoded. Raises ValueError if it is neither."""
    if "-----BEGIN" in text:
        return text.encode()
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # tools wrap base64 in lines
    except binascii.Error as error:
        raise ValueError("neither PEM nor base64") from error


def certificate_end(text: str) -> datetime | None:
    """Return when the certificate in a secret's *text* expires, None if the text is not a certificate."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import pkcs12  # noqa: PLC0415

    try:
        data = certificate_bytes(text)
        pem = x509.load_pem_x509_certificate(data) if b"-----BEGIN" in data else None
        found = pem or pkcs12.load_key_and_certificates(data, None)[1]
    except (TypeError, ValueError, UnsupportedAlgorithm):  # TypeError for a key with a password
        return None
    return found.not_valid_after_utc if found else None
