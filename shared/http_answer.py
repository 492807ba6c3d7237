"""Answers as HTTP: a call's end becomes 200 with a model, or one problem. Used by each function that answers.

Source: RFC 9457 (problems), RFC 7240 (Preference-Applied), W3C Trace Context for `traceparent`.
"""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from shared.call import Call
from shared.errors import CancelError, problem_body

log = logging.getLogger("cancel_order")

_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


class HttpAnswer(NamedTuple):
    """An answer, without the host's own headers."""

    status: int
    body: bytes
    media_type: str
    headers: dict[str, str]


async def end_of[Result: BaseModel](call: Call, run: Callable[[], Awaitable[Result]]) -> Result | CancelError:
    """Return what *run* returns, or the error with which it ended. Raises nothing."""
    try:
        return await run()
    except CancelError as error:
        return error
    except asyncio.CancelledError:
        # If this escaped, the worker would send no answer and the caller would wait for ever.
        return call.interrupted(by_host=True)
    except Exception:
        # A bug of ours. The log gets the traceback, the caller only learns that it happened.
        log.exception("the call failed, correlation id %s", call.correlation_id)
        return call.interrupted(by_host=False)


def answer_of(call: Call, end: BaseModel | CancelError, status: int = 200) -> HttpAnswer:
    """Return the answer to a call that ended with *end*. *status* is that of a success."""
    headers = {"Cache-Control": "no-store"}
    if call.applied_wait_s is not None:
        headers["Preference-Applied"] = f"wait={call.applied_wait_s}"
    if not isinstance(end, CancelError):
        return HttpAnswer(status, _encoded(end.model_dump(by_alias=True)), "application/json", headers)
    if end.retry_after_s is not None:
        headers["Retry-After"] = str(end.retry_after_s)
    # Logic Apps wraps every type but application/json in base64, so callers must ask for the problem type.
    is_requested = "application/problem+json" in call.headers.get("accept", "").lower()
    media_type = "application/problem+json" if is_requested else "application/json"
    order = call.order.model_dump(by_alias=True) if call.order else None
    problem = problem_body(end, call.request_id, call.correlation_id, order)
    return HttpAnswer(end.status, _encoded(problem), media_type, headers)


def new_call(trace_parent: str | None, headers: Iterable[tuple[str, str]]) -> Call:
    """Return the call of one request. Its correlation id is the trace's id, so that one id leads to Partner Center."""
    lower = {name.lower(): value for name, value in headers}
    return Call(_correlation_id(trace_parent, lower), lower)


def _encoded(body: dict[str, Any]) -> bytes:
    # Texts from the request may hold half surrogate pairs, which UTF-8 cannot carry: they become "?".
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _correlation_id(trace_parent: str | None, headers: Mapping[str, str]) -> str:
    for text in (trace_parent, headers.get("traceparent")):
        if found := _TRACE_PARENT.fullmatch(text or ""):
            return str(uuid.UUID(found[1]))
    return str(uuid.uuid4())
