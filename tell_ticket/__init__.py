"""Every minute: tells the tickets whose follow-ups are due. The host runs one at a time.

Source: the host calls `main`, as function.json says. An exception is a failed run in its log; a CancelledError leaves
the host without an answer until functionTimeout (azure-functions-runtime-v1 1.2.0, handle_event.py).
"""

import asyncio

import azure.functions as func

from shared.runtime import worker


async def main(tick: func.TimerRequest) -> None:  # noqa: ARG001  (the host gives it)
    try:
        await worker().tell_tickets()
    except asyncio.CancelledError:
        raise RuntimeError("the host ended the run; the follow-ups show again in the queue") from None
