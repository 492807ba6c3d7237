"""Who is calling, and what may they cancel.

No I/O, clock or randomness. The function key is the first door and the host's; this is the second,
open only while the setting CALLERS is absent. Nothing that a caller sends raises anything but
CallerRefused: each header is read as if an enemy wrote it, and compared in constant time.

Source: developer.zendesk.com/documentation/webhooks/verifying; standard-webhooks/standard-webhooks,
spec/standard-webhooks.md; learn.microsoft.com/azure/app-service/configure-authentication-user-identities
(read 2026-11-21).
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.contract import CancelRequest
from shared.errors import CallerRefused, OurFault
from shared.settings import Account, AnyCaller, Caller, EntraCaller, KeyCaller, Mode, SigningCaller

TOLERANCE_S = 300  # between the time that was signed and ours
KEY_CHARACTERS = 32  # at least; keys must be random, for a hash does not slow guessing
SECRET_BYTES = 24  # at least, of a Standard Webhooks secret

# Zendesk signs with it while a webhook does not exist yet; everybody knows it.
ZENDESK_TEST_SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="  # noqa: S105

_ROLE_CLAIMS = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
_ZENDESK_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|\+00:00)")


@dataclass(frozen=True)
class _Signed:
    """What a request says was signed: *signed_at* in seconds since 1970, *signatures* in base64."""

    message: bytes = field(repr=False)
    signed_at: float
    signatures: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class Proofs:
    """What a request shows of who makes it. *headers* have lower-case names, *at* is now, in seconds since 1970.

    *authenticated* says that App Service Authentication is on: else anybody can send its headers.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: float
    authenticated: bool

    def signed(self, proof: str) -> _Signed | None:
        """Return what was signed in the way *proof*, None if nothing was or not within five minutes of now."""
        signed = _zendesk(self.headers, self.body) if proof == "zendesk" else _standard(self.headers, self.body)
        return signed if signed and abs(self.at - signed.signed_at) <= TOLERANCE_S else None


def secrets_needed(callers: Mapping[str, AnyCaller], proofs: Proofs) -> set[str]:
    """Return the names of the secrets in Key Vault without which `identify` cannot tell."""
    return {
        name
        for caller in callers.values()
        if isinstance(caller, SigningCaller) and proofs.signed(caller.proof)
        for name in caller.secrets
    }


def identify(callers: Mapping[str, AnyCaller], proofs: Proofs, secrets: Mapping[str, str]) -> str:
    """Return the name of the first caller that *proofs* prove, or raise CallerRefused (401).

    *secrets* are those of `secrets_needed` that could be had, by name. Raises OurFault
    (misconfigured) if nobody is proven and one of them is not what its caller signs with.
    """
    # Every caller is tried, so that the time taken does not tell which one came near.
    proven = [name for name, caller in callers.items() if _proves(caller, proofs, secrets)]
    if proven:
        return proven[0]
    for caller in callers.values():
        if isinstance(caller, SigningCaller):
            _check_secrets(caller, secrets)
    raise CallerRefused("caller_not_authenticated", " ".join(_advice(callers, proofs)))


def permit(caller: Caller | None, account_name: str, account: Account, request: CancelRequest) -> None:
    """Raise CallerRefused (403) unless *caller* may do *request* at the account, and the account allows it."""
    if caller:
        _permit_caller(caller, account_name, request)
    if account.mode is Mode.OFF:
        raise CallerRefused("account_off", "The operator has switched this account off; nothing was changed.")
    if account.customers is not None and request.customer_tenant_id not in account.customers:
        raise CallerRefused("customer_not_allowed", "This account may not cancel orders of this customer.")


def _permit_caller(caller: Caller, account_name: str, request: CancelRequest) -> None:
    if caller.accounts is not None and account_name not in caller.accounts:
        raise CallerRefused("caller_not_allowed", "This caller may not use this account.")
    if caller.customers is not None and request.customer_tenant_id not in caller.customers:
        raise CallerRefused("caller_not_allowed", "This caller may not cancel orders of this customer.")
    if caller.dry_run_only and not request.dry_run:
        # Refused, not softened: who asks for a cancellation must not believe that it happened.
        raise CallerRefused("caller_not_allowed", "This caller may only ask for dry runs (dryRun: true).")


def _proves(caller: AnyCaller, proofs: Proofs, secrets: Mapping[str, str]) -> bool:
    match caller:
        case KeyCaller():
            key = proofs.headers.get("x-caller-key", "")
            sent = hashlib.sha256(_bytes(key)).hexdigest()
            return hmac.compare_digest(sent, caller.sha256) and len(key) >= KEY_CHARACTERS
        case SigningCaller():
            signed = proofs.signed(caller.proof)
            keys = [_signing_key(caller.proof, secrets.get(name, "")) for name in caller.secrets]
            return signed is not None and sum(_is_signed_with(key, signed) for key in keys if key) > 0
        case EntraCaller():
            roles = _roles(proofs.headers.get("x-ms-client-principal", "")) if proofs.authenticated else set()
            return caller.role in roles


def _is_signed_with(key: bytes, signed: _Signed) -> bool:
    expected = base64.b64encode(hmac.digest(key, signed.message, "sha256"))
    # As text: in base64 the last character has bits that decoding drops.
    return sum(hmac.compare_digest(expected, signature) for signature in signed.signatures) > 0


def _zendesk(headers: Mapping[str, str], body: bytes) -> _Signed | None:
    timestamp = headers.get("x-zendesk-webhook-signature-timestamp", "")
    signature = headers.get("x-zendesk-webhook-signature", "")
    if not signature or not _ZENDESK_TIME.fullmatch(timestamp):
        return None
    try:
        signed_at = datetime.fromisoformat(timestamp).timestamp()
    except (ValueError, OverflowError):
        return None
    return _Signed(timestamp.encode() + body, signed_at, (_bytes(signature),))


def _standard(headers: Mapping[str, str], body: bytes) -> _Signed | None:
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    versions = [one.partition(",") for one in headers.get("webhook-signature", "").split(" ")]
    signatures = tuple(_bytes(signature) for version, _, signature in versions if version == "v1")
    # With a dot in the id, what was signed could be split into id, time and body in another way.
    if not message_id or "." in message_id or not signatures or not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return None
    return _Signed(_bytes(message_id) + b"." + timestamp.encode() + b"." + body, float(timestamp), signatures)


def _signing_key(proof: str, secret: str) -> bytes:
    """Return the key of the HMAC; nothing if *secret* is not what such callers sign with."""
    if ZENDESK_TEST_SECRET in secret:
        return b""
    if proof == "zendesk":
        return _bytes(secret)  # the text itself, though it looks like base64
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return b""
    return key if len(key) >= SECRET_BYTES else b""


def _check_secrets(caller: SigningCaller, secrets: Mapping[str, str]) -> None:
    for name in caller.secrets:
        if name in secrets and not _signing_key(caller.proof, secrets[name]):
            raise OurFault(
                "misconfigured",
                f"The secret {name} in Key Vault is nothing to sign with: for zendesk it is the webhook's own, not the"
                f" one published for tests; for standard-webhooks whsec_ and at least {SECRET_BYTES} bytes in base64.",
            )


def _roles(principal: str) -> set[str]:
    """Return the app roles in X-MS-CLIENT-PRINCIPAL, of an app or of a user alike; none if it is not Entra's."""
    try:
        read = json.loads(base64.b64decode(_bytes(principal), validate=True))
    except (ValueError, RecursionError):
        return set()
    if not isinstance(read, dict) or read.get("auth_typ") != "aad" or not isinstance(read.get("claims"), list):
        return set()
    claims = [claim for claim in read["claims"] if isinstance(claim, dict)]
    return {str(claim.get("val")) for claim in claims if claim.get("typ") in _ROLE_CLAIMS}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _advice(callers: Mapping[str, AnyCaller], proofs: Proofs) -> Iterator[str]:
    """Yield what whoever sets a webhook up needs to hear; nothing here helps to guess a secret."""
    yield "The call carries no valid proof of who makes it."
    kinds = {caller.proof for caller in callers.values()}
    for proof, header, how in (
        ("zendesk", "x-zendesk-webhook-signature", "X-Zendesk-Webhook-Signature"),
        ("standard-webhooks", "webhook-signature", "webhook-signature"),
    ):
        if proof in kinds and header in proofs.headers:
            if proofs.signed(proof):
                yield f"{how} was not made with the secret that Key Vault holds, or the body was changed on its way."
            else:
                yield f"{how} is malformed, or its time is more than {TOLERANCE_S // 60} minutes from this clock."
    if "entra" in kinds and not proofs.authenticated:
        yield "Entra identities are not believed: App Service Authentication is off."
    elif "entra" in kinds and "x-ms-client-principal" in proofs.headers:
        yield "The app or user has no app role that is asked for."
    if "key" in kinds:
        yield (
            "X-Caller-Key is not the key of a caller."
            if "x-caller-key" in proofs.headers
            else "Send a caller's own key in X-Caller-Key."
        )
