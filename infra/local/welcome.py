"""What `make serve` tells whoever started it: what there is, and lines to paste."""

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from infra.local.cloud import Cloud

WHOLE = {"customerTenantId": "bd59b416-37f9-4d8f-8df3-5750111fc615", "orderId": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1"}
LINE = {
    "customerTenantId": "45411344-b09d-47e7-9653-542006bf9766",
    "orderId": "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1",
    "lineItems": [{"lineItemNumber": 0}],
}


def curl(url: str, key: str, body: Mapping[str, Any], *, caller_key: str | None = None) -> str:
    """Return a command line that sends *body* to the function, as the caller with *caller_key* where there is one."""
    proof = f" -H 'X-Caller-Key: {caller_key}'" if caller_key else ""
    sent = json.dumps(body)
    return f"curl -si {url} -H 'x-functions-key: {key}'{proof} -H 'Content-Type: application/json' -d '{sent}'"


def welcome(cloud: Cloud) -> str:
    callers = cloud.known_callers
    caller_key = callers["jira"]["key"] if callers else None
    paste = partial(curl, cloud.function_url, cloud.function_key, caller_key=caller_key)
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
{_callers(callers) if callers else ""}What reached Partner Center, Entra ID, Key Vault and the managed identity:
  curl -s {cloud.url("control")}/requests

The function listens at {cloud.function_url}; Ctrl-C ends everything.
"""


def _callers(callers: Mapping[str, Any]) -> str:
    """Return who may call, how each proves it, and how to play one of them."""
    proofs = {
        "zendesk": "its signature",
        "standard-webhooks": "its signature",
        "entra": "a token of the app {clientId} from Entra ID",
        "key": "X-Caller-Key: {key}",
    }
    lines = "\n".join(f"  {name:<18} {proofs[one['proof']].format_map(one)}" for name, one in callers.items())
    python = Path(sys.executable)
    shown = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return f"""\
Callers (the lines above call as jira; trainee may ask for dry runs of {callers["trainee"]["customers"][0]} only):
{lines}
Play one of them, from this folder (all but trainee):
  {shown} -m infra.local send zendesk --order {WHOLE["orderId"]}
"""
