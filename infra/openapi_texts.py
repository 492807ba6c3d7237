"""The texts of the OpenAPI description, and the few schemas that do not come from a model.

Each table has an entry for every name in the code, and no other: tests/unit/test_openapi.py checks both ways.
CODES is also the table of errors in the documents.
"""

from typing import Any

from shared.contract import OrderState, Outcome, Refund
from shared.messages import of_result

type Json = dict[str, Any]

TITLE = "Cancel Partner Center orders and subscriptions"
DESCRIPTION = """\
Cancels one order of Microsoft Partner Center, whole or by line items, or one subscription; or lets subscriptions end
with their terms instead of renewing. Answers with the order in one normalized form, or with one problem (RFC 9457)
whose `code` never changes its meaning. Lists a customer's orders, to choose from.

Sending the same body again is safe: an order that is cancelled already is answered with `already_cancelled`."""

CANCEL_SUMMARY = "Cancel an order, some of its line items, or a subscription"
CANCEL_DESCRIPTION = """\
Send exactly one of `customerTenantId` and `customerDomain`, and exactly one of `orderId` and `subscriptionId`;
`lineItems` only beside `orderId`. The lines of an order of licences or of SaaS are cancelled by their subscriptions, if
the operator allows that, and never more than the order bought.

`when` says which of two things is meant. `now`, or left out: cancel now. `term_end`: do not renew. The subscriptions
then run, and are paid, until the end of their present terms, and neither renew nor go on as paid extended terms.
Nothing is cancelled before. If a line has no subscription, nothing is changed: it has no term to end with.

The function is stricter than a JSON schema can express. It refuses with 400: a name that is twice in one object; a
`lineItemNumber` that is twice in `lineItems`; numbers that are not written as integers (`0.0`), NaN and Infinity;
texts with half of a surrogate pair (`"\\ud800"`); a byte order mark. It refuses with 415: any media type except JSON,
any charset except UTF-8, and any content encoding. It refuses with 413: more than {limit} bytes.

Send a `Content-Length`. Azure's host passes a chunked body on as an empty one, which is answered with 400
`invalid_json`.

The operator's setting CALLERS decides whether the function key is enough, or the caller must also prove who it is."""
CANCELLED = "The order as it is now. Branch on `outcome`."

FIND_SUMMARY = "List a customer's orders, to choose what to cancel"
FIND_DESCRIPTION = """\
Send exactly one of `customerTenantId` and `customerDomain`. The answer has the customer's orders, the newest first, in
the shape that a cancellation answers with, and the subscriptions that no order names. Changes nothing.

Each line says what a request for that line alone could do now, as far as the lists of Partner Center show it. A dry run
of the request itself looks closer, so send one before you cancel.

A name that the function does not know is refused with 400; `pointer` in `errors` names it. An empty value counts as
left out: Azure's host drops it.

A caller that proves itself by a signature is refused with 403: its signature does not cover the query. The operator's
setting CALLERS decides whether the function key is enough."""
FOUND = "The orders that were found; none of them, if nothing matches."

QUERY = {
    "customerTenantId": "The id of the customer's tenant.",
    "customerDomain": "One of the customer's domains, in the place of `customerTenantId`.",
    "account": "The name of one of the operator's accounts. Without it the only account is used, or the one named"
    " `default`.",
    "text": "A part of a product's name, an offer's id, or the id of an order or a subscription. Upper and lower case"
    " are the same.",
    "subscriptionId": "The id of a subscription: only the order that has it.",
    "cancellable": "True: leave out the orders of which certainly nothing can be cancelled.",
}

HEALTH_SUMMARY = "Check that every account's credential works"
HEALTH_DESCRIPTION = """\
Gets a token for each account that is not switched off. Cancels nothing. Needs the function key and no other proof."""
HEALTHY = "Every account's credential works."
UNHEALTHY = "The credential of at least one account does not work; `accounts` says which."

PREFERENCE_APPLIED = "The seconds that the function used, if the request had a valid `Prefer: wait`."
RETRY_AFTER = "The seconds to wait before the same request is sent again."

# Answers that Azure's host gives before the function sees the request. They have no body, so no `code`.
HOST_ANSWERS = {
    400: "With an empty body, from Azure's host: the request is not valid HTTP.",
    401: "With an empty body, from Azure's host: the function key is missing or wrong, or the host cannot"
    " read its keys.",
    404: "With an empty body, from Azure's host: the route does not exist, or does not take this method.",
    429: "With an empty body and without Retry-After, from Azure's host: it is overloaded; nothing was changed.",
    500: "With an empty body, from Azure's host: the request is larger than 128 KiB, and nothing was changed; or the"
    " app broke, and an order that was to be cancelled may be cancelled.",
}

HEADERS: dict[str, tuple[str, Json]] = {
    "Prefer": (
        "`wait=SECONDS` (RFC 7240): how long the function may take. The nearest allowed value is used.",
        {"type": "string", "examples": ["wait=60"]},
    ),
    "Idempotency-Key": (
        "Is written to the audit record. Sending a request again is safe without it.",
        {"type": "string"},
    ),
    "traceparent": (
        "W3C Trace Context. Its trace id becomes the correlation id if Azure's host gives none.",
        {"type": "string"},
    ),
}


def _header(name: str, description: str) -> Json:
    return {"type": "apiKey", "in": "header", "name": name, "description": description}


SECURITY_SCHEMES: Json = {
    "functionKey": _header("x-functions-key", "The key of the function, which Azure's host checks."),
    "callerKey": _header("X-Caller-Key", "The caller's own key, of at least 32 characters."),
    "entra": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of Entra ID for the function's app, with the app role that the operator requires."
        " App Service Authentication checks it.",
    },
    "zendeskSignature": _header(
        "X-Zendesk-Webhook-Signature", "Zendesk's signature: base64 of HMAC-SHA256 over the timestamp and the body."
    ),
    "zendeskTimestamp": _header(
        "X-Zendesk-Webhook-Signature-Timestamp", "The time of the signature; at most 5 minutes from now."
    ),
    "webhookId": _header("webhook-id", "The delivery's id (Standard Webhooks)."),
    "webhookTimestamp": _header(
        "webhook-timestamp", "The time of the signature in Unix seconds; at most 5 minutes from now."
    ),
    "webhookSignature": _header(
        "webhook-signature",
        "One or more signatures: `v1,` and base64 of HMAC-SHA256 over the id, the timestamp and the body.",
    ),
    "svixId": _header("svix-id", "Svix's own name of `webhook-id`."),
    "svixTimestamp": _header("svix-timestamp", "Svix's own name of `webhook-timestamp`."),
    "svixSignature": _header("svix-signature", "Svix's own name of `webhook-signature`."),
}
PROOFS: tuple[dict[str, list[str]], ...] = (
    {"callerKey": []},
    {"entra": []},
    {"zendeskSignature": [], "zendeskTimestamp": []},
    {"webhookId": [], "webhookTimestamp": [], "webhookSignature": []},
    {"svixId": [], "svixTimestamp": [], "svixSignature": []},
)

# A signature covers the body, not the query.
FIND_PROOFS: tuple[dict[str, list[str]], ...] = ({"callerKey": []}, {"entra": []})
FIND_HEADERS = ("Prefer", "traceparent")
# The problems that a GET for a list can have.
FIND_CODES = frozenset(
    (
        *("invalid_request", "unknown_account", "caller_not_authenticated", "caller_not_allowed"),
        *("customer_not_allowed", "account_off", "customer_not_found", "account_blocked", "throttled"),
        *("internal_error", "misconfigured", "credentials_rejected", "unexpected_answer"),
        *("partner_center_unavailable", "credentials_unavailable"),
    )
)

# For a flow maker: what happened to the order, and what to do.
CODES = {
    "invalid_json": "The body is not JSON; nothing was changed. `detail` gives the line, the column and the usual"
    " correction.",
    "invalid_request": "The request has mistakes; nothing was changed. `errors` lists each mistake with its field.",
    "unknown_account": "The function has no account of this name; nothing was changed. Ask the operator for the names.",
    "caller_not_authenticated": "The request does not prove who sent it; nothing was changed. Check the caller key, the"
    " signature or the app role.",
    "caller_not_allowed": "This caller may not do this; nothing was changed. Ask the operator which accounts and"
    " customers are allowed, and whether only dry runs are.",
    "customer_not_allowed": "This account may not be used for this customer; nothing was changed. Ask the operator.",
    "account_off": "The operator has switched this account off; nothing was changed. Ask the operator.",
    "order_not_found": "The customer has no such order; nothing was changed. Check the order id, upper and lower case"
    " included, and send the id of a subscription as `subscriptionId`; a new order can take 15 minutes to appear.",
    "subscription_not_found": "The customer has no such subscription; nothing was changed. Check the subscription's id,"
    " the customer and the account; a new subscription can take 15 minutes to appear.",
    "customer_not_found": "The account has no such customer, or no tenant has this domain; nothing was changed. Check"
    " the customer, the account (production or sandbox) and the cloud.",
    "body_too_large": "The body is larger than 64 KiB; nothing was changed. Send less.",
    "unsupported_media_type": "The body is compressed, or is not JSON in UTF-8; nothing was changed. Send it as"
    " `application/json`.",
    "cancellation_window_passed": "It is too late to cancel this now; nothing was changed. `detail` says until when the"
    " present term runs, and whether the request can be sent with `when: term_end` (do not renew).",
    "not_cancellable": "Partner Center does not cancel this product, or not in its present state; nothing was"
    " changed. Look at the order in Partner Center.",
    "not_cancellable_in_production": "In production Partner Center cancels only perpetual software and software"
    " subscriptions as orders; nothing was changed. `detail` says where to cancel other products.",
    "use_subscription_cancel": "This product is cancelled by its subscription, which the function may not do here, or"
    " cannot find for certain; nothing was changed. `detail` says who can do what.",
    "line_item_mismatch": "The order has no such line, or the line has another offer; nothing was changed. Send a dry"
    " run without `lineItems` to see the order's lines.",
    "more_than_the_order": "A subscription now holds more than the order bought, such as added seats or a later term;"
    " nothing was changed. Send its `subscriptionId` to cancel all of it, or take seats away in Partner Center.",
    "nothing_to_schedule": "Something in the request has no term with which it could end, or its renewal cannot be"
    " turned off here; nothing was changed. `detail` gives the reason; a subscription in its extended term can be"
    " cancelled now.",
    "some_lines_refused": "Some lines are cancelled (`term_end`: end with their terms), others were refused."
    " `order` shows which, with a `code` for each that says what to do.",
    "account_blocked": "Partner Center has blocked the customer or the partner; nothing was changed. Remove the block"
    " in Partner Center, then send the request again.",
    "throttled": "Partner Center received too many requests; nothing was changed. Send the request again after"
    " `Retry-After`.",
    "internal_error": "The function has a fault; nothing was changed. Give the operator the `correlationId`.",
    "misconfigured": "A setting of the function is wrong; nothing was changed. The operator must correct the setting"
    " that `detail` names.",
    "credentials_rejected": "Microsoft refused the function's own sign-in; nothing was changed. Tell the operator;"
    " `detail` gives the reason.",
    "unexpected_answer": "Partner Center gave an answer that the function does not know, so it is not certain what"
    " was changed. Look at the order or subscription in Partner Center.",
    "partner_center_unavailable": "Partner Center does not answer; nothing was changed. Send the request again after"
    " `Retry-After`.",
    "order_busy": "Partner Center is still working on this order or subscription; nothing was changed. Send the request"
    " again in some minutes.",
    "credentials_unavailable": "Key Vault or Entra ID gives no usable answer; nothing was changed. Send the request"
    " again after `Retry-After`.",
    "some_lines_unfinished": "Some lines are cancelled (`term_end`: end with their terms), others not yet; `order`"
    " shows which. Send the same request again after `Retry-After`: it does the rest.",
    "outcome_unknown": "The order may be cancelled (`term_end`: set to end with its term). Send the same request"
    " again: a repeat is safe, and its answer says what happened.",
}


class TextMissing(Exception):
    """The code has something that no text explains. The message says which file lacks it."""


def meaning_of(code: str) -> str:
    """Return what a problem code means. Raises TextMissing."""
    if code not in CODES:
        raise TextMissing(f"CODES in infra/openapi_texts.py has no meaning for the problem code {code}.")
    return CODES[code]


# A generated client may stop at a value that it does not know.
OPEN = " Values may be added, so a client must also accept a value that it does not know."

SCHEMAS = {
    "CancelRequest": "The order or subscription to cancel: exactly one of `customerTenantId` and `customerDomain`, and"
    " exactly one of `orderId` and `subscriptionId`. Without `lineItems` the whole order is cancelled, and a"
    " subscription always as a whole. Unknown members are refused.",
    "LineItemRef": "A line to cancel.",
    "When": "`now`: cancel now. `term_end`: do not renew; the subscription runs to the end of its present term, and"
    f" neither renews nor goes on.{OPEN}",
    "CancelResult": "The order, in the same shape for every product: every member is always there, and is null if"
    " Partner Center did not give it.",
    "OrderState": "The order as it was read, in the shape of the answer 200.",
    "FindResult": "The customer's orders that match.",
    "LineItem": "A line as it is now, with what Partner Center says of its subscription.",
    "Refund": "What the cancellation of a subscription at this moment gives back. `full`: all that was paid. `partial`:"
    f" a part of it. `none`: nothing.{OPEN}",
    "Outcome": "The result of the request. `cancelled`: every line is cancelled. `partially_cancelled`: the requested"
    " lines are cancelled, other lines are not. `already_cancelled`: there was nothing left to cancel. `pending`:"
    " Partner Center accepted the change and does not show it yet; send a dry run later to see it. `dry_run`: nothing"
    " was changed. `scheduled`: the subscriptions end with their terms, and Partner Center shows that."
    f" `already_scheduled`: that was so before.{OPEN}",
    "Problem": "The reason why the request failed (RFC 9457). Branch on `code`, not on the texts.",
    "FieldError": "One mistake in the request.",
    "PartnerCenterError": "Partner Center's own error.",
    "Health": "The state of each account's credential, and whether tickets can be told.",
    "Mode": f"`live`: the account cancels. `dry_run`: it only says what it would cancel. `off`: it does nothing.{OPEN}",
    "Credential": f"The kind of credential with which an account signs in to Entra ID.{OPEN}",
    "AccountHealth": "One account. An account that is switched off is not tried, and counts as healthy.",
    "TellHealth": "Whether the tickets of one caller can be told how their requests ended.",
}

_ORDER_MEMBERS = {
    "orderId": "The order's id. For a request with `subscriptionId`: the id of the order that began the subscription,"
    " or null.",
    "subscriptionId": "The subscription that the request names, else null. If it names one, there is one line, which"
    " has no number; `cancelledLineItems` is then empty, and the line's `cancelled` says whether it is cancelled.",
    "when": "What the request asks for.",
    "alternateId": "The order's second id.",
    "customerTenantId": "The id of the customer's tenant, in lower case.",
    "status": "Partner Center's status of the order, in lower case.",
    "billingCycle": "How often the order is billed, in lower case.",
    "currencyCode": "The order's currency.",
    "creationDate": "The time at which the order was created, in UTC (RFC 3339).",
    "lineItems": "All lines of the order.",
}
MEMBERS: dict[str, dict[str, str]] = {
    "CancelRequest": {
        "customerTenantId": "The id of the customer's tenant. Blanks and braces around it are taken off. Left out if"
        " `customerDomain` is sent.",
        "customerDomain": "One of the customer's domains, in the place of `customerTenantId`. Entra ID says whose it"
        " is. A domain with other letters than those of ASCII is taken as it is written, or in Punycode.",
        "orderId": "The order's id as Partner Center shows it, upper and lower case included. The order's alternate id"
        " is passed on to Partner Center too. Blanks around it are taken off. Left out if `subscriptionId` is sent.",
        "subscriptionId": "The id of a subscription, in the place of `orderId`. All of it is cancelled, with every seat"
        " that was added since. Blanks and braces around it are taken off.",
        "lineItems": "The lines to cancel, each number once; only beside `orderId`. Without it the whole order is"
        " cancelled.",
        "when": "`now`, or left out: cancel now. `term_end`: do not renew. The subscription runs to the end of its"
        " present term, and neither renews nor goes on as a paid extended term; an order stands for its subscriptions.",
        "account": "The name of one of the operator's accounts. Without it the only account is used, or the one named"
        " `default`.",
        "ticketId": "The ticket's id. It is written to the audit record and returned in the answer.",
        "reason": "The reason for the cancellation. It is written to the audit record.",
        "dryRun": "True: only read the order and its subscriptions, and change nothing. The answer says for each line"
        " whether it can be cancelled, as far as that can be known.",
    },
    "LineItemRef": {
        "lineItemNumber": "The line's number in the order; the first line is 0.",
        "offerId": "The line's offer, as a check: if the line has another offer, nothing is changed. Upper and lower"
        " case are the same.",
    },
    "OrderState": _ORDER_MEMBERS | {"cancelledLineItems": "The numbers of all cancelled lines."},
    "FindResult": {
        "orders": "At most 200 orders, the newest first. A subscription that no order names is one of them, with one"
        " line, `orderId` null, and its id in `subscriptionId`. In `cancelledLineItems` are the lines that a request"
        " for each alone may cancel.",
        "more": "True if there are other orders: more than 200 match, or there was no time to read them all. Ask for"
        " less, with `text`, or for longer, with `Prefer: wait`.",
    },
    "CancelResult": _ORDER_MEMBERS
    | {
        "outcome": f"The result of the request; branch on it.{OPEN}",
        "message": "A text for people: what happened to which product, and what to do. It is plain text in one line."
        " Its words may change, so do not branch on it.",
        "dryRun": "True if nothing was changed because the request or the account's mode asks for a dry run.",
        "cancelledLineItems": "The numbers of all cancelled lines. In a dry run: of the lines that the request would"
        " act on, without those whose `cancellable` is false.",
        "account": "The name of the account that was used.",
        "ticketId": "The ticket's id from the request.",
        "requestId": "The id of the request to Partner Center, of several changes the first one's (MS-RequestId).",
        "correlationId": "The id of this call in every log (MS-CorrelationId). Microsoft's support asks for it.",
    },
    "LineItem": {
        "lineItemNumber": "The line's number. Null for a request with `subscriptionId`.",
        "offerId": "The line's offer.",
        "friendlyName": "The product's name.",
        "quantity": "The quantity that was bought; 0 if the line is cancelled.",
        "termDuration": "The length of the term, as an ISO 8601 duration.",
        "subscriptionId": "The id of the line's subscription.",
        "cancelled": "True if the line is cancelled: its quantity is 0, the order's status is `cancelled`, or its"
        " subscription's status is `deleted`.",
        "code": "The reason why what the request asks for was not done to the line; in a dry run: why it would not be."
        f" The codes are those of a problem. Null if there is none.{OPEN}",
        "cancellable": "Whether what the request asks for, now or at the end of the term, can be done to the line; this"
        " counts, not `cancellableUntil`. Null if nobody can tell, also for a line that the request does not name, and"
        " for one at which nothing is left to do.",
        "subscriptionStatus": "The status of the line's subscription, in lower case, such as `active`.",
        "autoRenew": "Whether the subscription renews at the end of its term.",
        "termEndsOn": "The end of the subscription's present term, in UTC (RFC 3339).",
        "endsAtTerm": "Whether the subscription is set to end with its present term, whoever set that. Auto-renew that"
        " is off alone can mean a paid extended term; then this is false.",
        "replaces": "What `when: term_end` takes out of the subscription, such as a change at renewal, as JSON text to"
        " put back by hand. In dry runs and refusals; null if that is nothing, and once it is done.",
        "cancellableUntil": "The last moment at which the subscription can be cancelled, as Partner Center says, in UTC"
        " (RFC 3339). `cancellable` counts.",
        "refund": "What the cancellation of the subscription at this moment gives back. Null if Partner Center does not"
        f" say.{OPEN}",
    },
    "Problem": {
        "type": "Always `about:blank`; `code` identifies the problem.",
        "title": "The name of the HTTP status.",
        "status": "The HTTP status.",
        "detail": "A text for people: what failed and what to do.",
        "instance": "The id of this call, as a URN of its request id.",
        "code": f"The kind of problem; branch on it.{OPEN} `status` and `retryable` then say what to do.",
        "retryable": "True: send the same body again after `Retry-After`. False: sending it again does not help.",
        "errors": "All mistakes in the request; empty for every status except 400.",
        "partnerCenter": "Partner Center's own error, null if Partner Center gave none.",
        "order": "The order as it was read, with a `code` for each line that was not cancelled. Null if it was not"
        " read, or if nobody knows how it is since.",
        "requestId": "The id of the request to Partner Center, of several changes the first one's (MS-RequestId).",
        "correlationId": "The id of this call in every log (MS-CorrelationId). Microsoft's support asks for it.",
    },
    "FieldError": {
        "pointer": "The place of the mistake, as a JSON Pointer (RFC 6901); empty for the whole body.",
        "message": "A text for people: what is wrong there.",
    },
    "PartnerCenterError": {
        "code": "Partner Center's error code, always as text.",
        "description": "Partner Center's description of the error.",
    },
    "Health": {
        "healthy": "True if every account is healthy, whether tickets can be told or not.",
        "time": "The time of the check, in UTC.",
        "accounts": "The accounts by their names.",
        "callers": "The callers whose tickets are told, by their names. They do not change `healthy` above.",
    },
    "TellHealth": {
        "healthy": "True if the queue and the credential for the ticketing system work.",
        "system": "The ticketing system.",
        "code": f"The reason if it does not work, else null.{OPEN}",
        "detail": "A text for people: what failed and what to do.",
    },
    "AccountHealth": {
        "healthy": "True if the account got a token, or is switched off.",
        "mode": "What the account may do.",
        "credential": "The kind of credential with which the account signs in to Entra ID.",
        "expiresOn": "The time at which the credential ends, as far as it is known; else null.",
        "code": f"The kind of problem if the account is not healthy; the codes are those of a problem.{OPEN}",
        "detail": "A text for people: what failed and what to do.",
    },
}

_CUSTOMER, _ORDER = "45411344-b09d-47e7-9653-542006bf9766", "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
_SUBSCRIPTION = "e3ed3c01-ad90-4f39-ac6b-a2b8a27f3c0d"
REQUEST_EXAMPLES: Json = {
    "wholeOrder": {"customerTenantId": _CUSTOMER, "orderId": _ORDER},
    "oneLine": {
        "customerTenantId": _CUSTOMER,
        "orderId": _ORDER,
        "lineItems": [{"lineItemNumber": 0, "offerId": "DG7GMGF0FKZV:0003:DG7GMGF0DWMS"}],
        "account": "default",
        "ticketId": "48151",
        "reason": "Customer bought the wrong edition",
        "dryRun": True,
    },
    "byDomain": {
        "customerDomain": "fabrikam.com",
        "orderId": _ORDER,
        "ticketId": "48151",
    },
    "subscription": {
        "customerTenantId": _CUSTOMER,
        "subscriptionId": _SUBSCRIPTION,
        "account": "default",
        "ticketId": "48152",
        "reason": "Customer has too many licences",
        "dryRun": False,
    },
    "doNotRenew": {
        "customerTenantId": _CUSTOMER,
        "subscriptionId": _SUBSCRIPTION,
        "when": "term_end",
        "ticketId": "48153",
        "reason": "Customer leaves at the end of the year",
    },
}

_NO_SUBSCRIPTION: Json = dict.fromkeys(
    (
        *("code", "cancellable", "subscriptionStatus", "autoRenew", "termEndsOn", "endsAtTerm", "replaces"),
        *("cancellableUntil", "refund"),
    )
)


def _line(number: int, quantity: int) -> Json:
    return {
        "lineItemNumber": number,
        "offerId": f"DG7GMGF0FKZV:0003:DG7GMGF0DWM{number}",
        "friendlyName": "SQL Server Enterprise - 2 Core License Pack - 3 year",
        "quantity": quantity,
        "termDuration": "P3Y",
        "subscriptionId": None,
        "cancelled": quantity == 0,
    } | _NO_SUBSCRIPTION


def _licence(number: int | None, subscription_id: str, **members: object) -> Json:
    return {
        "lineItemNumber": number,
        "offerId": "CFQ7TTC0LH18:0001:CFQ7TTC0K971",
        "friendlyName": "Microsoft 365 Business Basic",
        "quantity": 5,
        "termDuration": "P1Y",
        "subscriptionId": subscription_id,
        "cancelled": False,
        "code": None,
        "cancellable": True,
        "subscriptionStatus": "active",
        "autoRenew": True,
        "termEndsOn": "2027-11-25T23:59:59Z",
        "endsAtTerm": False,
        "replaces": None,
        "cancellableUntil": "2026-12-02T10:12:00Z",
        "refund": None,
    } | members


def _answer(outcome: Outcome, asked: frozenset[int] | None = None, **members: object) -> Json:
    answer = {
        "outcome": outcome,
        "message": "",
        "orderId": _ORDER,
        "subscriptionId": None,
        "when": "now",
        "alternateId": None,
        "customerTenantId": _CUSTOMER,
        "status": None,
        "billingCycle": None,
        "currencyCode": None,
        "creationDate": None,
        "dryRun": False,
        "cancelledLineItems": [],
        "lineItems": [],
        "account": "default",
        "ticketId": "48151",
        "requestId": "655890ba-4d2b-4d09-a95f-4ea1348686a5",
        "correlationId": "1438ea3d-b515-45c7-9ec1-27ee0cc8e6bd",
    } | members
    return answer | {"message": of_result(outcome, OrderState.model_validate(answer), asked)}


RESULT_EXAMPLES: Json = {
    "oneLine": _answer(
        Outcome.PARTIALLY_CANCELLED,
        frozenset({0}),
        alternateId="c403d91b21d2",
        status="completed",
        billingCycle="one_time",
        currencyCode="USD",
        creationDate="2019-12-12T17:33:56.130649Z",
        cancelledLineItems=[0],
        lineItems=[_line(0, quantity=0), _line(1, quantity=1)],
    ),
    "subscription": _answer(
        Outcome.CANCELLED,
        orderId="8178ac72b28d",
        subscriptionId=_SUBSCRIPTION,
        lineItems=[
            _licence(
                None,
                _SUBSCRIPTION,
                cancelled=True,
                cancellable=None,
                subscriptionStatus="deleted",
                endsAtTerm=None,
            )
        ],
        ticketId="48152",
    ),
    "dryRunOfLicences": _answer(
        Outcome.DRY_RUN,
        orderId="1f64b775d881",
        alternateId="1f64b775d881",
        status="completed",
        billingCycle="annual",
        currencyCode="USD",
        creationDate="2026-11-25T10:12:00Z",
        dryRun=True,
        cancelledLineItems=[0],
        lineItems=[
            _licence(0, "5c3a9b6e-3a0c-4b0e-8f57-0d2b1a6f4e11"),
            _licence(
                1,
                "b1f0a7d2-6c1d-4f4c-9a55-7e0f3f9d2c22",
                code="cancellation_window_passed",
                cancellable=False,
                cancellableUntil="2026-11-28T10:12:00Z",
                refund=Refund.NONE,
            ),
        ],
    ),
    "dryRunOfDoNotRenew": _answer(
        Outcome.DRY_RUN,
        orderId="8178ac72b28d",
        subscriptionId=_SUBSCRIPTION,
        when="term_end",
        dryRun=True,
        lineItems=[
            _licence(
                None,
                _SUBSCRIPTION,
                termEndsOn="2027-03-14T23:59:59Z",
                replaces='{"autoRenewEnabled": true, "scheduledNextTermInstructions": {"quantity": 8}}',
                cancellableUntil="2026-03-22T10:12:00Z",
                refund=Refund.NONE,
            )
        ],
        ticketId="48153",
    ),
    "scheduled": _answer(
        Outcome.SCHEDULED,
        orderId="8178ac72b28d",
        subscriptionId=_SUBSCRIPTION,
        when="term_end",
        lineItems=[
            _licence(
                None,
                _SUBSCRIPTION,
                cancellable=None,
                autoRenew=False,
                termEndsOn="2027-03-14T23:59:59Z",
                endsAtTerm=True,
                cancellableUntil="2026-03-22T10:12:00Z",
                refund=Refund.NONE,
            )
        ],
        ticketId="48153",
    ),
}


def _found(**members: object) -> Json:
    """Return an order as a list has it."""
    unknown = dict.fromkeys(("orderId", "alternateId", "status", "billingCycle", "currencyCode", "creationDate"))
    known = {"customerTenantId": _CUSTOMER, "cancelledLineItems": []}
    return OrderState.model_validate(unknown | known | members).model_dump(by_alias=True)


FIND_EXAMPLES: Json = {
    "licences": {
        "orders": [
            _found(
                orderId="1f64b775d881",
                alternateId="1f64b775d881",
                status="completed",
                billingCycle="annual",
                currencyCode="USD",
                creationDate="2026-11-25T10:12:00Z",
                cancelledLineItems=[0],
                lineItems=[_licence(0, "5c3a9b6e-3a0c-4b0e-8f57-0d2b1a6f4e11")],
            ),
            _found(
                subscriptionId=_SUBSCRIPTION,
                lineItems=[
                    _licence(
                        None,
                        _SUBSCRIPTION,
                        code="cancellation_window_passed",
                        cancellable=False,
                        cancellableUntil="2026-03-22T10:12:00Z",
                        refund=Refund.NONE,
                    )
                ],
            ),
        ],
        "more": False,
    }
}
