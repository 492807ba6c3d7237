"""Callers as the settings have them, and requests that carry their proofs."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from shared.caller_settings import AnyCaller
from shared.callers.identify import identify
from shared.callers.proofs import Proofs
from shared.errors import CallerRefused

KEY = "k" * 43
NOW = 1_795_000_000.0
BODY = b'{"customerTenantId": "bd59b416-37f9-4d8f-8df3-5750111fc615", "orderId": "ORDER-ID"}'
ZENDESK_SECRET = "2rhmRXlPnbTY5p4mBpHcJTTDVdYVkBTrZUHMwq7d3Ew="
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()

type Headers = dict[str, str]


def any_caller(**members: object) -> AnyCaller:
    return TypeAdapter[AnyCaller](AnyCaller).validate_python(members)


def key_caller(**members: object) -> AnyCaller:
    """Return a caller that proves itself by KEY, with the limits in *members*."""
    return any_caller(**{"proof": "key", "sha256": hashlib.sha256(KEY.encode()).hexdigest()} | members)


ZENDESK = any_caller(proof="zendesk", secrets=["zendesk"])
STANDARD_WEBHOOKS = any_caller(proof="standard-webhooks", secrets=["webhooks", "webhooks-next"])
FLOW = any_caller(proof="entra", role="Orders.Cancel")


def caller_of(
    callers: dict[str, AnyCaller],
    headers: Headers,
    body: bytes = BODY,
    *,
    secrets: dict[str, str] | None = None,
    now: float = NOW,
    is_entra_checked: bool = True,
) -> str | None:
    """Return the name of the caller that a request proves, None if it is refused."""
    try:
        return identify(callers, Proofs(headers, body, now, is_entra_checked), secrets or {})
    except CallerRefused:
        return None


def digest(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def zendesk_headers(body: bytes = BODY, at: float = NOW, secret: str = ZENDESK_SECRET) -> Headers:
    timestamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "x-zendesk-webhook-signature": digest(secret.encode(), timestamp.encode() + body),
        "x-zendesk-webhook-signature-timestamp": timestamp,
    }


def standard_webhooks_headers(body: bytes = BODY, at: float = NOW, secret: str = WEBHOOK_SECRET) -> Headers:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = digest(key, f"msg_1.{at:.0f}.".encode() + body)
    return {"webhook-id": "msg_1", "webhook-timestamp": f"{at:.0f}", "webhook-signature": f"v1,{signature}"}


def svix_headers(body: bytes = BODY, at: float = NOW, secret: str = WEBHOOK_SECRET) -> Headers:
    return under_svix_names(standard_webhooks_headers(body, at, secret))


def under_svix_names(headers: Headers) -> Headers:
    return {name.replace("webhook-", "svix-"): value for name, value in headers.items()}


def principal_headers(*roles: str, auth_typ: str = "aad", typ: str = "roles", **members: Any) -> Headers:
    claims = [{"typ": "appid", "val": "x"}, *({"typ": typ, "val": role} for role in roles)]
    text = json.dumps({"auth_typ": auth_typ, "claims": claims, "name_typ": "name", "role_typ": typ} | members)
    return {"x-ms-client-principal": base64.b64encode(text.encode()).decode()}
