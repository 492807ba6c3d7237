"""The product's own client of the queue: what it makes of a queue service."""

import asyncio
import os
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from shared.connections.pool import Connections
from shared.credentials.cached_secrets import CachedSecrets, Fetched
from shared.tickets.queue import FOLLOW_UP, POISON, TEXT_LIMIT_BYTES, Message, Queue, QueueFailed
from shared.tls import tls_context
from tests.support.storage_queue import QueueService

LONG_S = 60.0
SHORT_S, WAIT_S = 1.0, 1.3

type Seen = dict[str, Any]


def observe_own_client(service: QueueService) -> Seen:
    """Observe what the product does with its queues. FOLLOW_UP exists and is empty, before and afterwards."""
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(service.ca_file)  # as on Azure: through the environment
    tls_context.cache_clear()
    try:
        return asyncio.run(_observe(service))
    finally:
        tls_context.cache_clear()
        del os.environ["SSL_CERT_FILE"]
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before


async def _observe(service: QueueService) -> Seen:
    tokens = CachedSecrets(lambda _scope, _ends_at: Fetched(service.token(), 3600.0), "nobody")
    connections = Connections()
    queue = Queue(service.url, connections, tokens)
    seen: Seen = {}
    try:
        with suppress(QueueFailed):
            await queue._ask("PUT", POISON)  # noqa: SLF001  (the product never makes a queue)
        seen["check"] = await _end(queue.check())
        seen["take from an empty queue"] = _shown(await queue.take(LONG_S))
        receipt = await queue.put(b'{"a": "b"}', 0)
        [taken] = await queue.take(LONG_S)
        seen["take"] = _shown([taken])
        seen["the same message"] = taken.receipt.message_id == receipt.message_id
        seen["take while it is hidden"] = _shown(await queue.take(LONG_S))
        seen["update too late"] = await _end(queue.update(receipt, b"late", 0))
        seen["update"] = await _end(queue.update(taken.receipt, b"two", 0))
        [taken] = await queue.take(LONG_S)
        seen["take after update"] = _shown([taken])
        seen["delete too late"] = await _end(queue.delete(receipt))
        seen["delete"] = await _end(queue.delete(taken.receipt))
        seen["delete again"] = await _end(queue.delete(taken.receipt))
        hidden = await queue.put(b"hidden", SHORT_S)
        seen["take what is hidden"] = _shown(await queue.take(LONG_S))
        seen["rewrite what is hidden"] = await _end(queue.update(hidden, b"rewritten", 0))
        [taken] = await queue.take(SHORT_S)
        seen["take what was rewritten"] = _shown([taken])
        service.pass_time(WAIT_S)
        [taken] = await queue.take(LONG_S)
        seen["take what nobody deleted"] = _shown([taken])
        await queue.delete(taken.receipt)
        seen["put as much as fits"] = await _end(queue.put(b"x" * TEXT_LIMIT_BYTES, 0))
        [taken] = await queue.take(LONG_S)
        await queue.delete(taken.receipt)
        seen["put more"] = await _end(queue.put(b"x" * (TEXT_LIMIT_BYTES + 1), 0))
        seen["put hidden for years"] = await _end(queue.put(b"x", 1e9))
        seen["put into no queue"] = await _end(queue.put(b"x", 0, queue="missing"))
        await queue._ask("DELETE", f"{FOLLOW_UP}/messages")  # noqa: SLF001  (nor clears one)
    finally:
        tokens.close()
        await connections.aclose()
    return seen


async def _end(call: Awaitable[object]) -> str:
    try:
        await call
    except QueueFailed as failure:
        return f"{failure.code}{', gone' if failure.is_gone else ''}"
    return "done"


def _shown(messages: list[Message]) -> list[list[object]]:
    return [[message.text and message.text.decode(), message.dequeue_count] for message in messages]
