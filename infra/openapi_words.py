"""The words of the OpenAPI description, and the few schemas that no model gives.

Each table is complete, and has nothing that the code does not have: tests/unit/test_openapi.py checks both.
"""

from typing import Any

from shared.contract import Outcome

type Json = dict[str, Any]

TITLE = "Cancel Partner Center orders"
DESCRIPTION = """\
Cancels one order of Microsoft Partner Center, whole or by line items, and answers with the order in one
normalized form, or with one problem (RFC 9457) whose `code` never changes its meaning.

Calling again with the same body is safe: what is cancelled already answers `already_cancelled`."""

CANCEL_SUMMARY = "Cancel an order, or some of its line items"
CANCEL_DESCRIPTION = """\
Stricter than JSON Schema can say. Refused with 400 are also: a name that stands twice in one object; a
`lineItemNumber` that stands twice in `lineItems`; numbers that are not written as integers (`0.0`), NaN and Infinity;
texts with half of a surrogate pair (`"\\ud800"`); a byte order mark. Refused with 415: any other media type, charset
or content encoding than JSON, UTF-8 and none. Refused with 413: more than {limit} bytes.

Send a `Content-Length`: Azure's host hands chunked bodies over as empty ones, which answer 400 `invalid_json`.

Whether only the function key is needed or also a proof of who calls, the operator decides (setting CALLERS)."""
CANCELLED = "The order as it is now. Branch on `outcome`."

HEALTH_SUMMARY = "Check that every account's credential works"
HEALTH_DESCRIPTION = """\
Gets a token for each account that is not switched off, and cancels nothing. Needs the function key, no other proof."""
HEALTHY = "Every account's credential works."
UNHEALTHY = "The credential of at least one account does not work; `accounts` says which."

PREFERENCE_APPLIED = "The seconds that were used, where `Prefer: wait` was understood."
RETRY_AFTER = "Seconds after which to ask again."

# What Azure's host answers before the function sees the request: never with a body, so without a `code`.
HOST_ANSWERS = {
    401: "With an empty body, from Azure's host: the function key is missing or wrong.",
    404: "With an empty body, from Azure's host: no such route, or a method that the route does not take.",
    413: "With an empty body, from Azure's host: the body is beyond the host's own limit.",
    429: "With an empty body and without Retry-After, from Azure's host: it is overloaded; nothing was changed.",
}

HEADERS: dict[str, tuple[str, Json]] = {
    "Prefer": (
        "`wait=SECONDS` (RFC 7240): how long the function may take; taken to the nearest allowed value.",
        {"type": "string", "examples": ["wait=60"]},
    ),
    "Idempotency-Key": (
        "Goes into the audit record. A repeat needs no key to be safe.",
        {"type": "string"},
    ),
    "traceparent": (
        "W3C Trace Context; its trace id becomes the correlation id where Azure's host gives none.",
        {"type": "string"},
    ),
}


def _header(name: str, description: str) -> Json:
    return {"type": "apiKey", "in": "header", "name": name, "description": description}


SECURITY_SCHEMES: Json = {
    "functionKey": _header("x-functions-key", "The key of the function, which Azure's host checks."),
    "callerKey": _header("X-Caller-Key", "A caller's own key, of 32 characters at least."),
    "entra": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of Entra ID for the function's app, with the app role that the operator asks for;"
        " App Service Authentication checks it.",
    },
    "zendeskSignature": _header(
        "X-Zendesk-Webhook-Signature", "Base64 of HMAC-SHA256 over the timestamp and the body, by Zendesk."
    ),
    "zendeskTimestamp": _header("X-Zendesk-Webhook-Signature-Timestamp", "When it was signed: within 5 minutes."),
    "webhookId": _header("webhook-id", "The delivery's id (Standard Webhooks)."),
    "webhookTimestamp": _header("webhook-timestamp", "When it was signed, in Unix seconds: within 5 minutes."),
    "webhookSignature": _header(
        "webhook-signature", "One or more of `v1,` and base64 of HMAC-SHA256 over id, timestamp and body."
    ),
}
PROOFS: tuple[dict[str, list[str]], ...] = (
    {"callerKey": []},
    {"entra": []},
    {"zendeskSignature": [], "zendeskTimestamp": []},
    {"webhookId": [], "webhookTimestamp": [], "webhookSignature": []},
)

CODES = {
    "invalid_json": "The body is not JSON; `detail` has line, column and the usual cure.",
    "invalid_request": "`errors` lists every fault of the request.",
    "unknown_account": "No such account; the operator knows the names.",
    "caller_not_authenticated": "The operator asks callers for a proof, and the call carries none that is valid.",
    "caller_not_allowed": "Outside what this caller may do.",
    "customer_not_allowed": "Outside the customers of this account.",
    "account_off": "The operator switched the account off.",
    "order_not_found": "The customer has no such order; a new one can take 15 minutes to appear.",
    "customer_not_found": "Wrong customer, wrong account, or wrong cloud.",
    "body_too_large": "The body is larger than 64 KiB.",
    "unsupported_media_type": "Send JSON in UTF-8, not compressed.",
    "cancellation_window_passed": "Too late for this order.",
    "not_cancellable": "Not in the order's present state, or not this product.",
    "not_cancellable_in_production": "Can be cancelled in a sandbox only.",
    "use_subscription_cancel": "Cancel the subscription instead.",
    "line_item_mismatch": "No such line, or it has another offer; nothing was changed.",
    "account_blocked": "Partner Center blocked the customer or the partner.",
    "throttled": "Too many requests to Partner Center.",
    "internal_error": "A fault of the function; nothing was changed.",
    "misconfigured": "The operator must mend the setting that `detail` names.",
    "credentials_rejected": "Entra ID or Partner Center refused the operator's app; `detail` says why.",
    "unexpected_answer": "Partner Center's answer has no agreed meaning: look at the order.",
    "partner_center_unavailable": "Partner Center does not answer; nothing was changed.",
    "order_busy": "Partner Center is still working on the order.",
    "credentials_unavailable": "Key Vault or Entra ID does not answer; nothing was changed.",
    "outcome_unknown": "It may have happened. Ask again with the same body: a repeat is safe and finds out.",
}

SCHEMAS = {
    "CancelRequest": "What to cancel. Without `lineItems`: the whole order. Unknown members are refused.",
    "LineItemRef": "A line to cancel.",
    "CancelResult": "The order in one shape for every product: every member is always there, null where Partner"
    " Center said nothing.",
    "LineItem": "A line as it is now.",
    "Outcome": "What happened to the order. `cancelled`: no line lives on. `partially_cancelled`: the lines asked for"
    " are cancelled, others live on. `already_cancelled`: nothing was left to do. `pending`: Partner Center accepted it"
    " and the order does not show it yet; a later dry run tells. `dry_run`: nothing was changed.",
    "Guid": "A GUID; upper and lower case are the same.",
    "Problem": "What went wrong (RFC 9457). Branch on `code`, never on the words.",
    "FieldError": "One fault of the request.",
    "PartnerCenterError": "What Partner Center said.",
    "Health": "Whether each account's credential works.",
    "Mode": "How far an account may go: cancel, only say what it would cancel, or nothing at all.",
    "Credential": "How an account proves itself to Entra ID.",
    "AccountHealth": "One account. One that is switched off is not tried and counts as healthy.",
}

MEMBERS: dict[str, dict[str, str]] = {
    "CancelRequest": {
        "customerTenantId": "The customer's tenant.",
        "orderId": "The order's id as Partner Center has it, in its own case; its alternate id is passed on too.",
        "lineItems": "The lines to cancel, each number once. Left out: the whole order.",
        "account": "One of the operator's accounts. Left out: the only one, or the one called `default`.",
        "ticketId": "For the audit record, and given back in the answer.",
        "reason": "For the audit record.",
        "dryRun": "True: read the order and say what would be cancelled, change nothing.",
    },
    "LineItemRef": {
        "lineItemNumber": "The line's number in the order; the first is 0.",
        "offerId": "If given, it must be the line's offer, compared without case; else nothing is changed.",
    },
    "CancelResult": {
        "outcome": "What happened; branch on it.",
        "orderId": "The order's id.",
        "alternateId": "The order's other id.",
        "customerTenantId": "The customer's tenant, in lower case.",
        "status": "Partner Center's status of the order, in lower case.",
        "billingCycle": "How the order is billed, in lower case.",
        "currencyCode": "The order's currency.",
        "creationDate": "When the order was made, in UTC (RFC 3339).",
        "dryRun": "True if nothing was changed, because the request or the account's mode said so.",
        "cancelledLineItems": "The numbers of all lines that are cancelled; in a dry run of those that would newly be.",
        "lineItems": "Every line of the order.",
        "account": "The account that was used.",
        "ticketId": "As it was sent.",
        "requestId": "The id of the request to Partner Center (MS-RequestId).",
        "correlationId": "The id of this call in every log (MS-CorrelationId); Microsoft's support asks for it.",
    },
    "LineItem": {
        "lineItemNumber": "The line's number.",
        "offerId": "The line's offer.",
        "friendlyName": "What was bought, in words.",
        "quantity": "How many; 0 where the line is cancelled.",
        "termDuration": "For how long, as an ISO 8601 duration.",
        "subscriptionId": "The line's subscription.",
        "cancelled": "True if the line is cancelled: its quantity is 0, or the order's status is `cancelled`.",
    },
    "Problem": {
        "type": "`code` is the stable name.",
        "title": "The status in words.",
        "status": "The HTTP status.",
        "detail": "What failed and what to do, for people.",
        "instance": "This call, as a URN of its request id.",
        "code": "What went wrong; branch on it.",
        "retryable": "True: ask again with the same body after Retry-After. False: asking again does not help.",
        "errors": "Every fault of the request; empty but for 400.",
        "partnerCenter": "What Partner Center said, null if it said nothing.",
        "requestId": "The id of the request to Partner Center (MS-RequestId).",
        "correlationId": "The id of this call in every log (MS-CorrelationId); Microsoft's support asks for it.",
    },
    "FieldError": {
        "pointer": "Where, as a JSON Pointer (RFC 6901); empty for the whole body.",
        "message": "What is wrong there.",
    },
    "PartnerCenterError": {
        "code": "Partner Center's error code, always as text.",
        "description": "Partner Center's words.",
    },
    "Health": {
        "healthy": "True if every account's is.",
        "time": "When this was found, in UTC.",
        "accounts": "Each account by its name.",
    },
    "AccountHealth": {
        "healthy": "True if a token could be had, or the account is switched off.",
        "mode": "How far the account may go.",
        "credential": "How the account proves itself to Entra ID.",
        "expiresOn": "The earliest known end of what it proves itself with; null if unknown.",
        "code": "Why it is not healthy, as in a problem.",
        "detail": "What failed and what to do, for people.",
    },
}

_CUSTOMER, _ORDER = "45411344-b09d-47e7-9653-542006bf9766", "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
REQUEST_EXAMPLES: Json = {
    "wholeOrder": {"customerTenantId": _CUSTOMER, "orderId": _ORDER},
    "oneLine": {
        "customerTenantId": _CUSTOMER,
        "orderId": _ORDER,
        "lineItems": [{"lineItemNumber": 0, "offerId": "DG7GMGF0FKZV:0003:DG7GMGF0DWMS"}],
        "account": "default",
        "ticketId": "ZD-48151",
        "reason": "Customer bought the wrong edition",
        "dryRun": True,
    },
}


def _line(number: int, quantity: int) -> Json:
    return {
        "lineItemNumber": number,
        "offerId": f"DG7GMGF0FKZV:0003:DG7GMGF0DWM{number}",
        "friendlyName": "SQL Server Enterprise - 2 Core License Pack - 3 year",
        "quantity": quantity,
        "termDuration": "P3Y",
        "subscriptionId": None,
        "cancelled": quantity == 0,
    }


RESULT_EXAMPLES: Json = {
    "oneLine": {
        "outcome": Outcome.PARTIALLY_CANCELLED,
        "orderId": _ORDER,
        "alternateId": "c403d91b21d2",
        "customerTenantId": _CUSTOMER,
        "status": "completed",
        "billingCycle": "one_time",
        "currencyCode": "USD",
        "creationDate": "2019-12-12T17:33:56.130649Z",
        "dryRun": False,
        "cancelledLineItems": [0],
        "lineItems": [_line(0, quantity=0), _line(1, quantity=1)],
        "account": "default",
        "ticketId": "ZD-48151",
        "requestId": "655890ba-4d2b-4d09-a95f-4ea1348686a5",
        "correlationId": "1438ea3d-b515-45c7-9ec1-27ee0cc8e6bd",
    },
}
