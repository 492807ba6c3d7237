"""POST /api/cancel_order: request bytes in, an HTTP answer out. GET reports whether the function works.

This is the only module that knows Azure Functions. Source: the host calls `main`, as function.json says. An
exception that escapes becomes a 500 with an empty body, and a CancelledError leaves the caller without an
answer (azure-functions-runtime-v1 1.2.0, handle_event.py).
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
    """Answer a POST with 200 and the normalized order, or with one problem; a GET with the health report.

    Never raises. *app* returns this worker's Runtime; it raises OurFault for a bad setting.
    """
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
        # If this escaped, the worker would send no answer and the caller would wait for ever.
        end = call.interrupted(by_host=True)
    except Exception:
        # A bug of ours. The log gets the traceback, the caller only learns that it happened.
        log.exception("cancel_order failed, correlation id %s", call.correlation_id)
        end = call.interrupted(by_host=False)
    audit.decided(call, end)
    if call.on_end:
        await call.on_end(end)
    if isinstance(end, CancelResult):
        return _answer(200, end.model_dump(by_alias=True), "application/json", answer_headers)
    if end.retry_after_s is not None:
        answer_headers["Retry-After"] = str(end.retry_after_s)
    # Logic Apps wraps every type but application/json in base64, so callers must ask for the problem type.
    is_requested = "application/problem+json" in headers.get("accept", "").lower()
    media_type = "application/problem+json" if is_requested else "application/json"
    order = call.order.model_dump(by_alias=True) if call.order else None
    problem = problem_body(end, call.request_id, call.correlation_id, order)
    return _answer(end.status, problem, media_type, answer_headers)


def _answer(status: int, body: dict[str, Any], media_type: str, headers: dict[str, str]) -> func.HttpResponse:
    # Texts from the request may hold half surrogate pairs, which UTF-8 cannot carry: they become "?".
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return func.HttpResponse(text, status_code=status, headers=headers, mimetype=media_type)


def _correlation_id(context: func.Context, headers: Mapping[str, str]) -> str:
    """Return the trace id as a GUID, so that one id leads from the ticket to Partner Center's support."""
    for trace_parent in (context.trace_context.trace_parent, headers.get("traceparent")):
        if found := _TRACE_PARENT.fullmatch(trace_parent or ""):
            return str(uuid.UUID(found[1]))
    return str(uuid.uuid4())
