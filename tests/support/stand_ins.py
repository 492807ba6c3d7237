"""The stand-ins of a local cloud in a thread of this process, without the function."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.cloud import LocalCloud, Options

START_LIMIT_S = 30


@contextmanager
def serving_stand_ins(directory: Path, *, callers: bool = False) -> Iterator[LocalCloud]:
    started, stopping = threading.Event(), asyncio.Event()
    cloud = LocalCloud(Options(port=0, callers=callers), directory)

    async def serve() -> None:
        async with cloud.stand_ins():
            started.set()
            await stopping.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    assert started.wait(START_LIMIT_S)
    yield cloud
    gc.collect()  # azure-core's errors are reference cycles that keep their connections open
    loop.call_soon_threadsafe(stopping.set)
    thread.join(START_LIMIT_S)
    loop.close()
