"""GET /api/find_orders: a customer's orders and subscriptions, to choose what to cancel.

Source: the host calls `main`, as function.json says (azure-functions-runtime-v1 1.2.0, handle_event.py).
"""

from collections.abc import Callable

import azure.functions as func

from shared import audit
from shared.http_answer import answer_of, end_of, new_call
from shared.runtime import Runtime, worker


async def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await handle(req, context, worker)


async def handle(req: func.HttpRequest, context: func.Context, app: Callable[[], Runtime]) -> func.HttpResponse:
    """Answer with 200 and the orders, or with one problem. Never raises.

    *app* returns this worker's Runtime; it raises OurFault for a bad setting.
    """
    call = new_call(context.trace_context.trace_parent, req.headers.items())
    end = await end_of(call, lambda: app().find(req.params, call))
    audit.found(call, end)
    answer = answer_of(call, end)
    return func.HttpResponse(answer.body, status_code=answer.status, headers=answer.headers, mimetype=answer.media_type)
