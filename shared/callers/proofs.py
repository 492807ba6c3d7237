"""The proofs that a request can carry: signatures, a caller's own key, an Entra app role.

No I/O, clock or randomness. Headers and body are read as if an attacker wrote them: nothing in them raises
an exception, and keys and signatures are compared in constant time.

Source: developer.zendesk.com/documentation/webhooks/verifying; standard-webhooks/standard-webhooks,
spec/standard-webhooks.md; docs.svix.com/receiving/verifying-payloads/how-manual;
learn.microsoft.com/azure/app-service/configure-authentication-user-identities (read 2026-11-21).
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.caller_settings import AnyCaller, EntraCaller, KeyCaller, SigningCaller

TOLERANCE_S = 300  # between the time that was signed and now
KEY_CHARACTERS = 32  # at least; keys must be random, since a hash does not slow down guessing
SECRET_BYTES = 24  # at least, of a Standard Webhooks secret

# Zendesk signs with this published secret before a webhook is created.
ZENDESK_TEST_SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="  # noqa: S105

_ROLE_CLAIMS = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
_ZENDESK_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|\+00:00)")


@dataclass(frozen=True)
class SignedMessage:
    """The signed part of a request. *signed_at* is in seconds since 1970, *signatures* are in base64."""

    message: bytes = field(repr=False)
    signed_at: float
    signatures: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class Proofs:
    """Everything in a request that can prove who sent it.

    Attributes:
        headers: with names in lower case.
        body: as it was received.
        received_at: seconds since 1970.
        is_entra_checked: App Service Authentication is on. If it is off, anybody can send its headers.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float
    is_entra_checked: bool

    def signed(self, proof: str) -> SignedMessage | None:
        """Return the message signed in the way of *proof*, None if there is none or if it is over five minutes old."""
        if proof == "zendesk":
            signed = _zendesk_message(self.headers, self.body)
        else:
            signed = _standard_webhooks_message(self.headers, self.body)
        return signed if signed and abs(self.received_at - signed.signed_at) <= TOLERANCE_S else None


def proves(caller: AnyCaller, proofs: Proofs, secrets: Mapping[str, str]) -> bool:
    """True if *proofs* show that *caller* sent the request. *secrets* are signing secrets by their name."""
    match caller:
        case KeyCaller():
            key = proofs.headers.get("x-caller-key", "")
            sent_hash = hashlib.sha256(_to_bytes(key)).hexdigest()
            return hmac.compare_digest(sent_hash, caller.sha256) and len(key) >= KEY_CHARACTERS
        case SigningCaller():
            signed = proofs.signed(caller.proof)
            keys = [signing_key(caller.proof, secrets.get(name, "")) for name in caller.secrets]
            return signed is not None and sum(_is_signed_with(key, signed) for key in keys if key) > 0
        case EntraCaller():
            principal = proofs.headers.get("x-ms-client-principal", "")
            return caller.role in (_roles(principal) if proofs.is_entra_checked else set())


def signing_key(proof: str, secret: str) -> bytes:
    """Return the HMAC key in *secret*, empty if callers with this *proof* cannot sign with it."""
    if ZENDESK_TEST_SECRET in secret:
        return b""
    if proof == "zendesk":
        return _to_bytes(secret)  # the text itself, although it looks like base64
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return b""
    return key if len(key) >= SECRET_BYTES else b""


def _is_signed_with(key: bytes, signed: SignedMessage) -> bool:
    expected = base64.b64encode(hmac.digest(key, signed.message, "sha256"))
    # Compared as text: decoding base64 drops some bits of the last character.
    return sum(hmac.compare_digest(expected, signature) for signature in signed.signatures) > 0


def _zendesk_message(headers: Mapping[str, str], body: bytes) -> SignedMessage | None:
    timestamp = headers.get("x-zendesk-webhook-signature-timestamp", "")
    signature = headers.get("x-zendesk-webhook-signature", "")
    if not signature or not _ZENDESK_TIME.fullmatch(timestamp):
        return None
    try:
        signed_at = datetime.fromisoformat(timestamp).timestamp()
    except (ValueError, OverflowError):
        return None
    return SignedMessage(timestamp.encode() + body, signed_at, (_to_bytes(signature),))


def _standard_webhooks_message(headers: Mapping[str, str], body: bytes) -> SignedMessage | None:
    # Svix made this standard, and sends the three headers under its own name or under both.
    messages = (_named_message(prefix, headers, body) for prefix in ("webhook", "svix"))
    return next(filter(None, messages), None)


def _named_message(prefix: str, headers: Mapping[str, str], body: bytes) -> SignedMessage | None:
    message_id, timestamp = headers.get(f"{prefix}-id", ""), headers.get(f"{prefix}-timestamp", "")
    versions = [part.partition(",") for part in headers.get(f"{prefix}-signature", "").split(" ")]
    signatures = tuple(_to_bytes(signature) for version, _, signature in versions if version == "v1")
    # An id with a dot is refused: the signed text could be split into id, time and body in another way.
    if not message_id or "." in message_id or not signatures or not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return None
    message = _to_bytes(message_id) + b"." + timestamp.encode() + b"." + body
    return SignedMessage(message, float(timestamp), signatures)


def _roles(principal: str) -> set[str]:
    """Return the app roles in X-MS-CLIENT-PRINCIPAL, of an app or of a user. There are none if it is not Entra's."""
    try:
        parsed = json.loads(base64.b64decode(_to_bytes(principal), validate=True))
    except (ValueError, RecursionError):
        return set()
    if not isinstance(parsed, dict) or parsed.get("auth_typ") != "aad" or not isinstance(parsed.get("claims"), list):
        return set()
    claims = [claim for claim in parsed["claims"] if isinstance(claim, dict)]
    return {str(claim.get("val")) for claim in claims if claim.get("typ") in _ROLE_CLAIMS}


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
