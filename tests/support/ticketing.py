"""Requests to the stand-ins for ticketing systems, and the requests that were recorded from public clients."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.support.local_cloud import Json

RECORDED = Path(__file__).parents[1] / "samples/ticketing-requests"

type Notes = Callable[[str, str], list[tuple[str, bool]]]  # of a system's ticket: text, and whether it is private
type SetStatus = Callable[[str, str, str], None]  # system, ticket, status


def recorded_requests(name: str) -> list[Json]:
    requests: list[Json] = json.loads((RECORDED / f"{name}.json").read_text())
    return requests


def send_recorded(
    http: httpx.Client, request: Json, base_url: str, authorization: str, body: Any = None
) -> httpx.Response:
    """Send *request* to *base_url*, with *authorization* and, if it is given, with another *body*."""
    url = httpx.URL(request["url"])
    content = body if body is not None else request["body"]
    return http.request(
        request["method"],
        base_url + url.raw_path.decode(),
        headers=request["headers"] | {"Authorization": authorization},
        content=json.dumps(content) if content is not None else None,
    )
