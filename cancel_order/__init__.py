"""POST /api/cancel_order: request bytes in, an HTTP answer out. GET reports whether the function works.

Source: the host calls `main`, as function.json says. An exception that escapes becomes a 500 with an empty body, and a
CancelledError leaves the caller without an answer (azure-functions-runtime-v1 1.2.0, handle_event.py).
"""

from collections.abc import Callable

import azure.functions as func

from shared import audit
from shared.call import Call
from shared.errors import CancelError
from shared.http_answer import HttpAnswer, answer_of, end_of, new_call
from shared.runtime import Runtime, worker


async def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await handle(req, context, worker)


async def handle(req: func.HttpRequest, context: func.Context, app: Callable[[], Runtime]) -> func.HttpResponse:
    """Answer a POST with 200 and the normalized order, or with one problem; a GET with the health report.

    Never raises. *app* returns this worker's Runtime; it raises OurFault for a bad setting.
    """
    call = new_call(context.trace_context.trace_parent, req.headers.items())
    if req.method == "GET":
        answer = await _health(call, app)
    else:
        answer = await _cancel(call, app, req.get_body())
    return func.HttpResponse(answer.body, status_code=answer.status, headers=answer.headers, mimetype=answer.media_type)


async def _cancel(call: Call, app: Callable[[], Runtime], body: bytes) -> HttpAnswer:
    end = await end_of(call, lambda: app().cancel(body, call))
    audit.decided(call, end)
    if call.on_end:
        await call.on_end(end)
    return answer_of(call, end)


async def _health(call: Call, app: Callable[[], Runtime]) -> HttpAnswer:
    health = await end_of(call, lambda: app().health())
    if isinstance(health, CancelError):
        audit.decided(call, health)
        return answer_of(call, health)
    return answer_of(call, health, status=200 if health.healthy else 503)
