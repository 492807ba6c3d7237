"""Writes the audit record: one line of JSON before a call sends its first PATCH, one when the call is decided.

The lines go to the logger `cancel_order.audit`, which Application Insights stores as traces. Azure may end
a worker without warning, so the operator must look at an order that has a "sending" and no "decided". Two
more events are about an account: what GET found, and that a new refresh token could not be stored. Four events are
about a ticket that is told how its request ended, or cannot be told. "found" says who looked at which customer's
orders. Every member is always present. A record never has tokens, secrets, keys, signatures, URLs with a query, or
bodies.
"""

import json
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.call import Call, Patch
from shared.contract import CancelResult, FindResult
from shared.errors import CancelError
from shared.outside_text import clean_text, cut_to_json
from shared.rfc3339 import rfc3339

# A record stays below 31 kB whole: Application Insights cuts it at 32,768 characters, and JSON that is cut is none.
ID_SHOWN, ID_BYTES = 200, 1_200  # of an id that a caller sends along: characters, and bytes in the record's JSON
REASON_SHOWN, REASON_BYTES = 1_000, 6_000
LINES_SHOWN = 300  # line numbers; each takes 12 bytes at most
SUBSCRIPTION_ID_SHOWN = 40  # characters; it is a GUID
SUBSCRIPTIONS_SHOWN = 50  # PATCH requests; each takes 190 bytes at most
REPLACED_SHOWN, REPLACED_TIMES = 1_000, 8  # bytes of JSON, for so many of them

# Headers in which ticketing systems and flows name one delivery, in order of preference.
DELIVERY_HEADERS = (
    "webhook-id",  # Standard Webhooks
    "svix-id",
    "x-zendesk-webhook-invocation-id",
    "x-atlassian-webhook-identifier",
    "x-ms-workflow-run-id",  # Power Automate and Logic Apps
)

log = logging.getLogger("cancel_order.audit")
# Independent of the app's level: an operator who turns INFO off must not lose the record.
log.setLevel(logging.INFO)

# Records made outside a call. The host drops what is logged while no call runs, or in a thread of ours
# (GrpcWorkerChannel.Log of azure-functions-host), so the next record of a call takes them along (decision 34). Calls
# write their records on the event loop's thread alone.
_waiting: deque[dict[str, Any]] = deque()


def sending(call: Call, patch: Patch) -> None:
    """Record that *call* is about to send *patch*, its first PATCH."""
    _write("sending", call, None, [patch])


def decided(call: Call, end: CancelResult | CancelError) -> None:
    """Record how *call* ended."""
    _write("decided", call, end, [patch for patch in call.patches if patch.sent])


def found(call: Call, end: FindResult | CancelError) -> None:
    """Record that somebody looked at a customer's orders, and how that ended."""
    target, error = call.target, end if isinstance(end, CancelError) else None
    _log(
        {
            "event": "found",
            "caller": call.caller,
            "account": target and target.account,
            "customerTenantId": target and target.request.customer_tenant_id,
            "customerDomain": target and target.request.customer_domain,
            "status": error.status if error else 200,
            "code": error.code if error else None,
            "orders": len(end.orders) if isinstance(end, FindResult) else None,
            "more": end.more if isinstance(end, FindResult) else None,
            **_effort(call),
        }
    )


def not_stored(account: str) -> None:
    """Record that the new refresh token of *account* could not be stored, so Key Vault keeps the older one.

    It may be called outside a call. The record is written with the next record of a call in this worker; if
    there is none, the worker that renews the token next tries to store it again.
    """
    _waiting.append(_with_time({"event": "not_stored", "account": account}))


def checked(account: str, health: Mapping[str, Any]) -> None:
    """Record the result of a health check of *account*."""
    _log({"event": "health", "account": account} | dict(health))


def ticket(
    event: str,
    *,
    caller: str | None,
    system: str | None,
    ticket_id: str | None,
    correlation_id: str | None,
    state: str | None = None,
    reason: str | None = None,
    attempts: int = 1,
    age_s: float | None = None,
) -> None:
    """Record what became of telling a ticket.

    *event*: `told`, `not_told` (a call could not put its follow-up), `poisoned` (the ticket cannot be told),
    `still_open` (after a day nobody knows how the request ended). *state*: of the note. *reason*: why the ticket was
    not told. *age_s*: seconds since the decision.
    """
    _log(
        {
            "event": event,
            "caller": caller,
            "system": system,
            "ticketId": _shown(ticket_id, ID_SHOWN, ID_BYTES),
            "state": state,
            "reason": reason,
            "attempts": attempts,
            "ageS": None if age_s is None else round(age_s, 1),
            "correlationId": correlation_id,
        }
    )


def _write(event: str, call: Call, end: CancelResult | CancelError | None, patches: Sequence[Patch]) -> None:
    target = call.target
    request = target.request if target else None
    lines = request.line_items if request else None
    subscriptions = [patch for patch in patches if patch.subscription_id]
    error = end if isinstance(end, CancelError) else None
    partner_center_error = error.partner_center if error else None
    delivery = next((call.headers[name] for name in DELIVERY_HEADERS if call.headers.get(name)), None)
    record = {
        "event": event,
        "caller": call.caller,
        "account": target and target.account,
        "customerTenantId": request and request.customer_tenant_id,
        "customerDomain": request and request.customer_domain,
        "orderId": request and request.order_id,
        "subscriptionId": request and request.subscription_id,
        "when": request and request.when,
        "route": _route(patches),
        "orderPatches": [
            {"requestId": patch.request_id, "code": patch.code} for patch in patches if not patch.subscription_id
        ],
        "subscriptions": [
            {
                "id": _shown(patch.subscription_id, SUBSCRIPTION_ID_SHOWN, SUBSCRIPTION_ID_SHOWN),
                "requestId": patch.request_id,
                "code": patch.code,
                "replaced": _shown(patch.replaced, REPLACED_SHOWN, REPLACED_SHOWN) if place < REPLACED_TIMES else None,
            }
            for place, patch in enumerate(subscriptions[:SUBSCRIPTIONS_SHOWN])
        ],
        "subscriptionsLeftOut": len(subscriptions[SUBSCRIPTIONS_SHOWN:]),
        "lineItems": None if lines is None else [line.line_item_number for line in lines[:LINES_SHOWN]],
        "lineItemsLeftOut": len(lines[LINES_SHOWN:]) if lines else 0,
        "dryRun": target and target.dry_run,
        "ticketId": _shown(request.ticket_id if request else None, ID_SHOWN, ID_BYTES),
        "reason": _shown(request.reason if request else None, REASON_SHOWN, REASON_BYTES),
        "deliveryId": _shown(delivery, ID_SHOWN, ID_BYTES),
        "idempotencyKey": _shown(call.headers.get("idempotency-key"), ID_SHOWN, ID_BYTES),
        "status": error.status if error else 200 if end else None,
        "outcome": end.outcome if isinstance(end, CancelResult) else None,
        "code": error.code if error else None,
        "partnerCenterCode": partner_center_error.code if partner_center_error else None,
        **_effort(call),
    }
    _log(record)


def _effort(call: Call) -> dict[str, object]:
    """Return what a call took so far, and its ids."""
    return {
        "attempts": call.attempts,
        "tokenMs": round(call.token_s * 1000),
        "partnerCenterMs": round(call.partner_center_s * 1000),
        "totalMs": round(call.elapsed_s * 1000),
        "requestId": call.request_id,
        "correlationId": call.correlation_id,
    }


def _route(patches: Sequence[Patch]) -> str | None:
    """Return by which PATCH requests a call went: `order`, `subscription` or `both`; None without any."""
    ways = {"subscription" if patch.subscription_id else "order" for patch in patches}
    return "both" if len(ways) > 1 else next(iter(ways), None)


def _shown(text: str | None, limit: int, limit_bytes: int) -> str | None:
    """Return *text* as far as a record shows it: without credentials, and cut where it is too long."""
    return None if text is None else cut_to_json(clean_text(text, limit), limit_bytes)


def _log(record: dict[str, Any]) -> None:
    while _waiting:
        log.info("%s", json.dumps(_waiting[0]))
        _waiting.popleft()
    log.info("%s", json.dumps(_with_time(record)))


def _with_time(record: dict[str, Any]) -> dict[str, Any]:
    return {"time": rfc3339(datetime.now(UTC))} | record
