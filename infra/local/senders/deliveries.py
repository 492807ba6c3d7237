"""What each ticketing system, and a flow, puts around a body, and what it does with the answer.

Source: infra/ticketing, a page for each system with its own sources; Standard Webhooks' own library
signs for it. What a Power Automate flow sends: requests of flows that are public, and
learn.microsoft.com/power-automate/error-handling for what it repeats (read 2026-11-21). Guesses: that Zendesk
signs each attempt anew, and that the ids of a flow's run look as here.
"""

import base64
import hmac
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

FUNCTION_KEY, CALLER_KEY = "x-functions-key", "x-caller-key"
SECRET_HEADERS = {FUNCTION_KEY, CALLER_KEY, "authorization", "x-zendesk-webhook-signature", "webhook-signature"}


@dataclass(frozen=True)
class Delivery:
    """One event, however often it is sent: the ids that stay the same over its repeats."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    source_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Next:
    """What a system does after an answer: whether it sends the same again by itself, and in words."""

    repeats: bool
    words: str


@dataclass(frozen=True)
class Sender:
    """A system: *prove* gives the headers of one attempt, *follow* what comes after status and Retry-After."""

    name: str
    prove: Callable[[bytes, Mapping[str, Any], Delivery, datetime], dict[str, str]]
    follow: Callable[[int, int | None], Next]


def headers_of(
    system: str, body: bytes, description: Mapping[str, Any], delivery: Delivery, at: datetime | None = None
) -> dict[str, str]:
    """Return the headers of one attempt of *delivery*, sent *at* that time (aware; None: now).

    *description* is the local cloud's: it has the function key and what proves each caller.
    """
    caller = description["callers"][system]
    common = {"content-type": "application/json", FUNCTION_KEY: description["functionKey"]}
    return common | SENDERS[system].prove(body, caller, delivery, at or datetime.now(UTC))


def zendesk_signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature: over the timestamp and then the body, keyed with the secret's text."""
    return base64.b64encode(hmac.digest(secret.encode(), timestamp.encode() + body, "sha256")).decode()


def _zendesk(body: bytes, caller: Mapping[str, Any], delivery: Delivery, at: datetime) -> dict[str, str]:
    timestamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "user-agent": "Zendesk Webhook",
        "x-zendesk-account-id": "123456",
        "x-zendesk-webhook-id": delivery.source_id,
        "x-zendesk-webhook-invocation-id": delivery.id,
        "x-zendesk-webhook-signature-timestamp": timestamp,
        "x-zendesk-webhook-signature": zendesk_signature(caller["secret"], timestamp, body),
    }


def _standard(body: bytes, caller: Mapping[str, Any], delivery: Delivery, at: datetime) -> dict[str, str]:
    message_id = f"msg_{delivery.id}"
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(caller["secret"]).sign(message_id, at, body.decode()),
    }


def _with_key(**more: str) -> Callable[[bytes, Mapping[str, Any], Delivery, datetime], dict[str, str]]:
    given = {name.replace("_", "-"): value for name, value in more.items()}
    return lambda _body, caller, _delivery, _at: {CALLER_KEY: caller["key"]} | given


def _flow(_body: bytes, caller: Mapping[str, Any], delivery: Delivery, _at: datetime) -> dict[str, str]:
    """Return what the HTTP action and the connector send; *caller* has the `token` that Entra gave."""
    run_id, attempt_id = f"0858{int(delivery.id[:12], 16):018}CU82", str(uuid.uuid4())
    return {
        "authorization": f"Bearer {caller['token']}",
        "user-agent": f"azure-logic-apps/1.0,(workflow {delivery.source_id}; version 08584{secrets.randbelow(10**15)})",
        "x-ms-workflow-id": delivery.source_id,
        "x-ms-workflow-name": str(uuid.UUID(delivery.source_id)),
        "x-ms-workflow-run-id": run_id,
        "x-ms-workflow-operation-name": "Cancel_order",
        "x-ms-client-tracking-id": run_id,
        "x-ms-action-tracking-id": str(uuid.UUID(delivery.id)),
        "x-ms-client-request-id": attempt_id,
        "x-ms-correlation-id": attempt_id,
        "x-ms-tracking-id": attempt_id,
    }


def _after_zendesk(status: int, retry_after_s: int | None) -> Next:
    if status == 409 or (status in {429, 503} and retry_after_s is not None and retry_after_s < 60):
        return Next(True, "repeats it after Retry-After; its id stays the same")
    if status < 300:
        return Next(False, "notes it in the webhook's activity; the ticket does not change by it")
    return Next(False, "does not repeat it; the webhook's activity shows the answer, the ticket does not")


def _after_standard(status: int, _retry_after_s: int | None) -> Next:
    if status < 300:
        return Next(False, "counts it as delivered")
    return Next(True, "repeats it later by its own schedule, with the same webhook-id and a new signature")


def _after_freshdesk(status: int, _retry_after_s: int | None) -> Next:
    if status < 300:
        return Next(False, "is done; a webhook does not change the ticket")
    return Next(True, "repeats it after 5, 30 and 60 minutes, then sends a mail to the administrators")


def _after_flow(status: int, _retry_after_s: int | None) -> Next:
    if status < 300:
        return Next(False, "goes on; branch on outcome")
    if status in {408, 429} or status >= 500:
        return Next(True, "repeats it by the action's retry policy, then the action has failed; branch on code")
    return Next(False, "has a failed action; with 'run after: has failed' it branches on code")


def _once(words: str) -> Callable[[int, int | None], Next]:
    return lambda _status, _retry_after_s: Next(False, words)


SENDERS = {
    "zendesk": Sender("Zendesk", _zendesk, _after_zendesk),
    "standard-webhooks": Sender("The sender", _standard, _after_standard),
    "jira": Sender(
        "Jira",
        _with_key(),
        _once("does not repeat it; the rule's audit log shows it, and {{webhookResponse.body.outcome}} if it waited"),
    ),
    "servicenow": Sender(
        "ServiceNow",
        _with_key(user_agent="ServiceNow/1.0", prefer="wait=25"),
        _once("does not repeat it; the business rule writes it into the record's work notes"),
    ),
    "freshservice": Sender("Freshservice", _with_key(), _once("publishes no rule for repeats")),
    "freshdesk": Sender("Freshdesk", _with_key(), _after_freshdesk),
    "halo": Sender("HaloPSA", _with_key(), _once("goes on in the runbook, by its step for success or for failure")),
    "flow": Sender("Power Automate", _flow, _after_flow),
}


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* for people: of a proof only its beginning."""
    return {
        name: f"{value[: 11 if name == 'authorization' else 5]}…" if name in SECRET_HEADERS else value
        for name, value in headers.items()
    }
