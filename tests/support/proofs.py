"""Headers with which callers prove who they are."""

import base64
import json
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook

from infra.local.senders.deliveries import zendesk_signature

type Headers = dict[str, str]

NOW = timedelta()


def zendesk(body: bytes, secret: str, *, age: timedelta = NOW) -> Headers:
    """Return the headers of Zendesk for *body*, signed *age* ago."""
    timestamp = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "x-zendesk-webhook-signature": zendesk_signature(secret, timestamp, body),
        "x-zendesk-webhook-signature-timestamp": timestamp,
    }


def standard_webhooks(body: bytes, secret: str, *, age: timedelta = NOW) -> Headers:
    """Return the headers of Standard Webhooks for *body*, signed *age* ago."""
    at = datetime.now(UTC) - age
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body.decode()),
    }


def entra_principal(role: str) -> Headers:
    """Return the header in which App Service Authentication names an app with *role*."""
    claims = [{"typ": "roles", "val": role}]
    principal = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(principal).encode()).decode()}
