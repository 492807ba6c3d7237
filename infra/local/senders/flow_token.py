"""Gets the token of a flow from Entra, as the flow's connection does."""

import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from infra.local.values import Json


async def with_token(description: Mapping[str, Any]) -> Json:
    """Return *description* with a `token` of the flow's app. Raises httpx.HTTPError, and OSError without the authority.

    Without the local cloud's authority nothing of it can be trusted: its file is gone once the local cloud has ended.
    """
    app = description["callers"]["flow"]
    form = {
        "grant_type": "client_credentials",
        "client_id": app["clientId"],
        "client_secret": app["clientSecret"],
        "scope": app["scope"],
    }
    authority = ssl.create_default_context(cafile=description["caFile"])
    async with httpx.AsyncClient(trust_env=False, verify=authority) as client:
        answer = (await client.post(app["tokenUrl"], data=form)).raise_for_status()
    flow = app | {"token": answer.json()["access_token"]}
    return {**description, "callers": description["callers"] | {"flow": flow}}
