"""What `make serve` tells whoever started it: what there is, and lines to paste."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from infra.local.cloud import Cloud

WHOLE = {"customerTenantId": "bd59b416-37f9-4d8f-8df3-5750111fc615", "orderId": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1"}
LINE = {
    "customerTenantId": "45411344-b09d-47e7-9653-542006bf9766",
    "orderId": "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1",
    "lineItems": [{"lineItemNumber": 0}],
}


def curl(url: str, key: str, body: Mapping[str, Any]) -> str:
    """Return a command line that sends *body* to the function."""
    return f"curl -si {url} -H 'x-functions-key: {key}' -H 'Content-Type: application/json' -d '{json.dumps(body)}'"


def welcome(cloud: Cloud) -> str:
    paste = partial(curl, cloud.function_url, cloud.function_key)
    accounts = "\n".join(f"  {name:<18} {account.note}" for name, account in cloud.accounts.items())
    width = max(len(entry.order_id) for entry in cloud.entries)
    orders = "\n".join(
        f"  {entry.customer_tenant_id}  {entry.order_id:<{width}}  {entry.kind}: {entry.note}"
        for entry in cloud.entries
    )
    return f"""\
Orders (customerTenantId, orderId, what it is):
{orders}

Accounts (account in the request; default if left out):
{accounts}

Look first, change nothing:
  {paste(LINE | {"dryRun": True})}
Cancel one of two lines:
  {paste(LINE)}
Cancel a whole order:
  {paste(WHOLE)}
What reached Partner Center, Entra ID, Key Vault and the managed identity:
  curl -s {cloud.url("control")}/requests

The function listens at {cloud.function_url}; Ctrl-C ends everything.
"""
