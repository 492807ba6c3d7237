"""The text that `make serve` prints: customers, orders and subscriptions, accounts, callers, and commands to paste."""

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from infra.local.cloud import LocalCloud
from infra.local.partner_center.resources import (
    LICENCE_CUSTOMER,
    ONE_LINE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    subscription_guid,
)

WHOLE_ORDER = {
    "customerTenantId": ONE_LINE_CUSTOMER,
    "orderId": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1",
}
ONE_LINE = {
    "customerTenantId": SOFTWARE_CUSTOMER,
    "orderId": "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1",
    "lineItems": [{"lineItemNumber": 0}],
}
TWO_LICENCES = {"customerTenantId": LICENCE_CUSTOMER, "orderId": "1f64b775d881"}  # the second one is too late
SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_guid("licence")}
OLD_LICENCE = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_guid("licence-20-days-old")}


NO_TOKENS = """\
This Functions host has no App Service Authentication: tokens from Entra ID are refused.
Without FUNCTIONS_HOST they work.
"""


def curl_command(url: str, key: str, body: Mapping[str, Any], *, caller_key: str | None = None) -> str:
    """Return a command line that sends *body* to the function; with *caller_key* it sends the caller's proof too."""
    proof = f" -H 'X-Caller-Key: {caller_key}'" if caller_key else ""
    content = json.dumps(body)
    return f"curl -si {url} -H 'x-functions-key: {key}'{proof} -H 'Content-Type: application/json' -d '{content}'"


def welcome(cloud: LocalCloud) -> str:
    callers = cloud.known_callers
    caller_key = callers["jira"]["key"] if callers else None
    command = partial(curl_command, cloud.function_url, cloud.function_key, caller_key=caller_key)
    name_width = max(len(name) for name in cloud.accounts)
    accounts = "\n".join(f"  {name:<{name_width}}  {account.note}" for name, account in cloud.accounts.items())
    id_width = max(len(entry.order_id) for entry in cloud.orders)
    orders = "\n".join(
        f"  {entry.customer_tenant_id}  {entry.order_id:<{id_width}}  {entry.kind}: {entry.note}"
        for entry in cloud.orders
    )
    subscriptions = "\n".join(
        f"  {entry.subscription_id}  {entry.order_id or '':<{id_width}}  {entry.kind}: {entry.note}"
        for entry in cloud.subscriptions
    )
    domain_width = max(len(customer.domain) for customer in cloud.customers)
    customers = "\n".join(
        f"  {customer.tenant_id}  {customer.domain:<{domain_width}}  {customer.name}" for customer in cloud.customers
    )
    return f"""\
Customers (customerTenantId, domain, name):
{customers}

Orders (customerTenantId, orderId, kind: note):
{orders}

Subscriptions (subscriptionId, the orderId that began it, kind: note); the customer is that of the order:
{subscriptions}

Accounts ("account" in the request; "default" if it is absent):
{accounts}

A dry run, which changes nothing; one of the two licences is too late:
  {command(TWO_LICENCES | {"dryRun": True})}
Cancel one of two lines:
  {command(ONE_LINE)}
Cancel a whole order:
  {command(WHOLE_ORDER)}
Cancel a subscription:
  {command(SUBSCRIPTION)}
Do not renew a subscription, which is too old to be cancelled:
  {command(OLD_LICENCE | {"when": "term_end"})}
{_describe_callers(cloud) if callers else ""}See what the function sent to the stand-ins:
  curl -s {cloud.url("control")}/requests
See the note in a ticket, a minute after a request with its ticketId, and what is still to be told:
  curl -s {cloud.url("control")}/tickets/zendesk/35436
  curl -s {cloud.url("control")}/queue

The function listens at {cloud.function_url}. Press Ctrl-C to end everything.
"""


def _describe_callers(cloud: LocalCloud) -> str:
    """Return who may call the function, how each caller proves itself, and a command that acts as one of them."""
    proofs = {
        "zendesk": "a signature",
        "standard-webhooks": "a signature",
        "entra": "a token from Entra ID for the app {clientId}",
        "key": "X-Caller-Key: {key}",
    }
    callers = cloud.known_callers
    lines = "\n".join(f"  {name:<18} {proofs[caller['proof']].format_map(caller)}" for name, caller in callers.items())
    python = Path(sys.executable)
    python = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return f"""\
Callers and their proofs (the commands above call as jira; trainee may only make dry runs for customer
{callers["trainee"]["customers"][0]}):
{lines}
{"" if cloud.has_authentication else NO_TOKENS}Send a request as one of them, from this folder (not as trainee):
  {python} -m infra.local send zendesk --order {WHOLE_ORDER["orderId"]}
  {python} -m infra.local send jira --subscription {SUBSCRIPTION["subscriptionId"]}
  {python} -m infra.local send halo --subscription {OLD_LICENCE["subscriptionId"]} --when term_end
"""
