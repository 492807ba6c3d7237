"""The headers that each ticketing system, and a flow, adds to a body, and its reaction to the answer.

Source: infra/ticketing, with a page for each system that names its sources. Standard Webhooks' own library makes
their signature. For a Power Automate flow: requests of public flows, and learn.microsoft.com/power-automate/
error-handling for its repeats (read 2026-11-21).

Guesses: Zendesk signs each attempt anew; the form of the ids of a flow's run.
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
SECRET_HEADERS = {
    FUNCTION_KEY,
    CALLER_KEY,
    "authorization",
    "x-zendesk-webhook-signature",
    "webhook-signature",
    "svix-signature",
}


@dataclass(frozen=True)
class Delivery:
    """One event in a ticketing system. All its attempts have the same ids."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    source_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Reaction:
    """A system's reaction to an answer: whether it repeats the request by itself, and a description for people.

    The description continues a sentence that begins with the system's name.
    """

    repeats: bool
    description: str


@dataclass(frozen=True)
class Sender:
    """A ticketing system or a flow.

    Attributes:
        name: for people.
        sign: returns the system's own headers for one attempt, with the proof of the caller. It gets the body, the
            caller from the local cloud's description, the delivery and the time.
        react: returns the reaction to an answer with this status and these seconds in Retry-After.
    """

    name: str
    sign: Callable[[bytes, Mapping[str, Any], Delivery, datetime], dict[str, str]]
    react: Callable[[int, int | None], Reaction]


def headers_of(
    system: str, body: bytes, description: Mapping[str, Any], delivery: Delivery, at: datetime | None = None
) -> dict[str, str]:
    """Return the headers of one attempt of *delivery*, sent at the time *at* (aware; None means now).

    *description* is that of the local cloud. It has the function key and the secrets of each caller.
    """
    caller = description["callers"][system]
    common = {"content-type": "application/json", FUNCTION_KEY: description["functionKey"]}
    return common | SENDERS[system].sign(body, caller, delivery, at or datetime.now(UTC))


def zendesk_signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of the timestamp followed by the body. The key is the text of the secret."""
    return base64.b64encode(hmac.digest(secret.encode(), timestamp.encode() + body, "sha256")).decode()


def _sign_zendesk(body: bytes, caller: Mapping[str, Any], delivery: Delivery, at: datetime) -> dict[str, str]:
    timestamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "user-agent": "Zendesk Webhook",
        "x-zendesk-account-id": "123456",
        "x-zendesk-webhook-id": delivery.source_id,
        "x-zendesk-webhook-invocation-id": delivery.id,
        "x-zendesk-webhook-signature-timestamp": timestamp,
        "x-zendesk-webhook-signature": zendesk_signature(caller["secret"], timestamp, body),
    }


def _sign_standard(body: bytes, caller: Mapping[str, Any], delivery: Delivery, at: datetime) -> dict[str, str]:
    message_id = f"msg_{delivery.id}"
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(caller["secret"]).sign(message_id, at, body.decode()),
    }


def _sign_with_key(**own_headers: str) -> Callable[[bytes, Mapping[str, Any], Delivery, datetime], dict[str, str]]:
    headers = {name.replace("_", "-"): value for name, value in own_headers.items()}
    return lambda _body, caller, _delivery, _at: {CALLER_KEY: caller["key"]} | headers


def _sign_flow(_body: bytes, caller: Mapping[str, Any], delivery: Delivery, _at: datetime) -> dict[str, str]:
    """Return the headers of the HTTP action and the connector. *caller* has a `token` from Entra."""
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


def retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Return the seconds in an answer's Retry-After, None without a number. Names in *headers* are in lower case."""
    given = headers.get("retry-after", "")
    return int(given) if given.isdecimal() else None


def _react_zendesk(status: int, retry_after_s: int | None) -> Reaction:
    if status == 409 or (status in {429, 503} and retry_after_s is not None and retry_after_s < 60):
        return Reaction(True, "repeats it after Retry-After, with the same id")
    if status < 300:
        return Reaction(False, "shows the answer in the webhook's activity, and writes nothing into the ticket")
    return Reaction(False, "does not repeat the request; the webhook's activity shows the answer, the ticket does not")


def _react_standard(status: int, _retry_after_s: int | None) -> Reaction:
    if status < 300:
        return Reaction(False, "counts the webhook as delivered")
    return Reaction(True, "repeats the webhook later by its own schedule, with the same webhook-id and a new signature")


def _react_freshdesk(status: int, _retry_after_s: int | None) -> Reaction:
    if status < 300:
        return Reaction(False, "does nothing more, and writes nothing into the ticket")
    return Reaction(True, "repeats the request after 5, 30 and 60 minutes, then sends a mail to the administrators")


def _react_flow(status: int, _retry_after_s: int | None) -> Reaction:
    if status < 300:
        return Reaction(False, "continues the flow, which can branch on outcome")
    if status in {408, 429} or status >= 500:
        return Reaction(
            True,
            "repeats the request by the action's retry policy; after that the flow can branch on code",
        )
    return Reaction(False, "marks the action as failed; with 'run after: has failed' the flow can branch on code")


def _never_repeats(description: str) -> Callable[[int, int | None], Reaction]:
    return lambda _status, _retry_after_s: Reaction(False, description)


SENDERS = {
    "zendesk": Sender("Zendesk", _sign_zendesk, _react_zendesk),
    "standard-webhooks": Sender("The sender", _sign_standard, _react_standard),
    "jira": Sender(
        "Jira",
        _sign_with_key(),
        _never_repeats(
            "does not repeat the request; the rule's audit log shows the answer, and a rule that waits for it has"
            " {{webhookResponse.body.outcome}}"
        ),
    ),
    "servicenow": Sender(
        "ServiceNow",
        _sign_with_key(user_agent="ServiceNow/1.0", prefer="wait=25"),
        _never_repeats("does not repeat the request; the business rule writes the answer into the record's work notes"),
    ),
    "freshservice": Sender(
        "Freshservice", _sign_with_key(), _never_repeats("does not publish whether it repeats a request")
    ),
    "freshdesk": Sender("Freshdesk", _sign_with_key(), _react_freshdesk),
    "halo": Sender(
        "HaloPSA", _sign_with_key(), _never_repeats("continues the runbook with its step for success or for failure")
    ),
    "flow": Sender("Power Automate", _sign_flow, _react_flow),
}


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* for people, with only the beginning of each secret."""
    return {
        name: f"{value[: 11 if name == 'authorization' else 5]}…" if name in SECRET_HEADERS else value
        for name, value in headers.items()
    }
