"""Looks for an order by a word of a product's name, as a person does before the ticket is filled in.

The function refuses a look by callers that sign, since a signature does not cover a query. Then another caller of the
local cloud looks, as in a company a person with the flow would.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from infra.local.senders.deliveries import Delivery, headers_of
from infra.local.values import Json
from shared.contract import When

SIGNING_PROOFS = {"zendesk", "standard-webhooks"}
LOOKER = "jira"  # a caller that proves itself with a key, which every Functions host passes on


@dataclass(frozen=True)
class Found:
    """A product that was found: a line of an order, the whole order, or a subscription that no order names.

    Attributes:
        line: the line's number, None for the whole order, which has no other line.
        may: whether it can be asked for.
        name: of the product.
        description: for a person who chooses.
    """

    order_id: str | None
    line: int | None
    subscription_id: str | None
    may: bool
    name: str
    description: str

    def arguments(self, when: When) -> str:
        """Return the arguments of `send` for it."""
        if self.is_subscription(when):
            return f"--subscription {self.subscription_id}"
        line = "" if self.line is None else f" --line {self.line}"
        return f"--order {self.order_id}{line}"

    def is_subscription(self, when: When) -> bool:
        """Whether the subscription is named, as an agent does for *do not renew*, and where there is no order."""
        return bool(self.subscription_id) and (when == "term_end" or self.order_id is None)


def looker_of(system: str, description: Mapping[str, Any]) -> str:
    """Return the caller that looks for *system*."""
    return LOOKER if description["callers"][system]["proof"] in SIGNING_PROOFS else system


def customer_query(customer: str) -> dict[str, str]:
    """Return the member that names *customer*, a domain or a tenant's id. A domain has a dot, an id has none."""
    return {"customerDomain" if "." in customer else "customerTenantId": customer}


def find_url(description: Mapping[str, Any]) -> str:
    """Return the address of the function find_orders."""
    return str(description["functionUrl"]).replace("cancel_order", "find_orders")


def look(looker: str, description: Mapping[str, Any], query: Mapping[str, str]) -> httpx.Request:
    """Return the request of *looker* for a customer's orders."""
    url = httpx.URL(find_url(description), params=query)
    return httpx.Request("GET", url, headers=headers_of(looker, b"", description, Delivery()))


def found_in(answer: Json, text: str, when: When) -> list[Found]:
    """Return the products in *answer* that *text* means, the newest first: by a part of the name, or by a whole id.

    The function finds a part of an id too. That is left out here: `e3` is a product to people.
    """
    return [entry for order in answer["orders"] for entry in _of_order(order, text.casefold(), when)]


def _of_order(order: Json, text: str, when: When) -> Iterator[Found]:
    lines: list[Json] = order["lineItems"]
    is_named = text in {str(order["orderId"]).casefold(), str(order["alternateId"]).casefold()}
    for line in lines:
        if not (is_named or text in _name(line) or text == str(line["subscriptionId"]).casefold()):
            continue
        subscription_id = line["subscriptionId"]
        yield Found(
            order_id=order["orderId"],
            line=line["lineItemNumber"] if len(lines) > 1 else None,
            subscription_id=subscription_id,
            may=not line["cancelled"]
            and (bool(subscription_id) if when == "term_end" else line["cancellable"] is not False),
            name=line["friendlyName"] or line["offerId"] or "",
            description=_describe(line, order),
        )


def _name(line: Json) -> str:
    return f"{line['friendlyName'] or ''}\n{line['offerId'] or ''}".casefold()


def _describe(line: Json, order: Json) -> str:
    """Return what a person needs to know to choose: the product, its quantity and date, and what can be done."""
    if line["cancelled"]:
        state = "cancelled"
    elif line["cancellable"] is False:
        state = f"cannot be cancelled now ({line['code']})"
    elif line["cancellable"]:
        until = f" until {line['cancellableUntil']}" if line["cancellableUntil"] else ""
        state = f"can be cancelled{until}"
    else:
        state = "nobody can tell whether it can be cancelled"
    if line["endsAtTerm"]:
        state += f", ends with its term on {line['termEndsOn']}"
    bought = f", of {order['creationDate'][:10]}" if order["creationDate"] else ""
    return f"{line['friendlyName'] or line['offerId']}, quantity {line['quantity']}{bought}: {state}"
