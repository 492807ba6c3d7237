"""POST /api/cancel_order: bytes in, an HTTP answer out. GET tells whether it works.

The only module that knows Azure Functions. Source: the host calls `main` as function.json says;
an exception that escapes becomes a 500 with an empty body, a CancelledError no answer at all
(azure-functions-runtime-v1 1.2.0, handle_event.py).
"""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import azure.functions as func

from shared import audit
from shared.call import Call
from shared.contract import CancelResult
from shared.errors import CancelError, problem_body
from shared.runtime import Runtime, worker

log = logging.getLogger("cancel_order")

_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


async def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await handle(req, context, worker)


async def handle(req: func.HttpRequest, context: func.Context, app: Callable[[], Runtime]) -> func.HttpResponse:
    """Answer 200 with the normalized order, or one problem; GET with the health report. Never raises."""
    headers = {name.lower(): value for name, value in req.headers.items()}
    call = Call(_correlation_id(context, headers), headers)
    answer_headers = {"Cache-Control": "no-store"}
    end: CancelResult | CancelError
    try:
        runtime = app()
        if req.method == "GET":
            health = await runtime.health()
            status = 200 if health.healthy else 503
            return _answer(status, health.model_dump(by_alias=True), "application/json", answer_headers)
        call.allowed_s, applied_s = runtime.deadline_s(headers)
        if applied_s is not None:
            answer_headers["Preference-Applied"] = f"wait={applied_s}"
        end = await runtime.cancel(req.get_body(), call)
    except CancelError as error:
        end = error
    except asyncio.CancelledError:
        # If this escaped, the worker would answer nothing and the caller would hang.
        end = call.interrupted(by_host=True)
    except Exception:
        # Our bug, not the caller's: log it whole, tell them only that it happened.
        log.exception("cancel_order failed, correlation id %s", call.correlation_id)
        end = call.interrupted(by_host=False)
    audit.decided(call, end)
    if isinstance(end, CancelResult):
        return _answer(200, end.model_dump(by_alias=True), "application/json", answer_headers)
    if end.retry_after_s is not None:
        answer_headers["Retry-After"] = str(end.retry_after_s)
    # Logic Apps wraps every other type in base64, so the problem type is for those who ask for it.
    asked_for = "application/problem+json" in headers.get("accept", "").lower()
    media_type = "application/problem+json" if asked_for else "application/json"
    return _answer(end.status, problem_body(end, call.request_id, call.correlation_id), media_type, answer_headers)


def _answer(status: int, body: dict[str, Any], media_type: str, headers: dict[str, str]) -> func.HttpResponse:
    # What the caller sent may hold half surrogate pairs, which UTF-8 cannot carry.
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return func.HttpResponse(text, status_code=status, headers=headers, mimetype=media_type)


def _correlation_id(context: func.Context, headers: Mapping[str, str]) -> str:
    """Return the trace id as a GUID: one id from the ticket to Partner Center's support."""
    for trace_parent in (context.trace_context.trace_parent, headers.get("traceparent")):
        if found := _TRACE_PARENT.fullmatch(trace_parent or ""):
            return str(uuid.UUID(found[1]))
    return str(uuid.uuid4())
