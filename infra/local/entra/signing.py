"""The local cloud's keys: one signs the tokens of a national cloud, others belong to the apps' certificates."""

import base64
import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import NameOID

TOKEN_LIFETIME_S = 3599


class Signer:
    """Signs the tokens of one national cloud, those of Entra and those of the managed identity."""

    def __init__(self) -> None:
        self._key = _new_key()
        self.public_key = self._key.public_key()

    def new_token(
        self,
        *,
        audience: str,
        issuer: str,
        tenant_id: str,
        app_id: str,
        lifetime_s: float = TOKEN_LIFETIME_S,
        claims: Mapping[str, object] = MappingProxyType({}),
    ) -> str:
        """Return a JWT signed with RS256. *claims* come in addition to the claims that every token has."""
        now = time.time()
        standard_claims = {
            "aud": audience,
            "iss": issuer,
            "tid": tenant_id,
            "appid": app_id,
            "iat": int(now),
            "nbf": int(now),
            "exp": math.ceil(now + lifetime_s),  # rounded up: it must not end before the client expects
            "uti": uuid.uuid4().hex,  # differs in each token, as at Entra
        }
        return jwt.encode({**standard_claims, **claims}, self._key, algorithm="RS256")


@dataclass(frozen=True)
class KeyPair:
    """A certificate with its key, in both forms in which Key Vault gives a certificate as a secret.

    *pem* is the key in PKCS#8 and then the certificate, *pfx* a PFX without password in base64
    (learn.microsoft.com/azure/key-vault/certificates/about-certificates, read 2026-11-21).
    """

    pem: str
    pfx: str


def new_key_pair(*, lifetime: timedelta = timedelta(days=365)) -> KeyPair:
    """Return a self-signed certificate, valid since yesterday, that ends after *lifetime* (negative: has ended).

    The key is RSA, because azure-identity accepts no other kind.
    """
    key, now = _new_key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local-cloud-app")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lifetime)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pfx = pkcs12.serialize_key_and_certificates(b"local-cloud-app", key, certificate, None, NoEncryption())
    pem = private + certificate.public_bytes(Encoding.PEM)
    return KeyPair(pem.decode(), base64.b64encode(pfx).decode())


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
