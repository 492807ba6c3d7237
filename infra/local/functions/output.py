"""Passes the output of the function's process on, and picks the audit records out of it."""

import asyncio
import contextlib
import json
import os
import queue
import re
import threading
from collections.abc import Callable

from infra.local.values import Json

type RecordTaker = Callable[[Json], object]

CHUNK_BYTES = 64 * 1024
LINE_BYTES = 64 * 1024  # a record has less than 32 kB; a longer line is passed on, not looked at
WAITING_CHUNKS = 1_000
END_LIMIT_S = 1.0
# The stand-in writes a record at the end of a line of its own logger, the real host alone on the next line, indented.
RECORD = re.compile(rb'\{"time": ".*\}(?=\s*$)')


class _Writer:
    """Writes to *descriptor* in a thread of its own.

    A terminal can be held up, and a reader such as `head` can end. Neither may stop the function, which waits when its
    own output is not read, or keep the local cloud from ending. So what is too much is dropped.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._chunks: queue.Queue[bytes | None] = queue.Queue(WAITING_CHUNKS)
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def write(self, chunk: bytes) -> None:
        with contextlib.suppress(queue.Full):
            self._chunks.put_nowait(chunk)

    async def close(self) -> None:
        """Return once all is written, or after END_LIMIT_S."""
        with contextlib.suppress(queue.Full):
            self._chunks.put_nowait(None)
        await asyncio.to_thread(self._thread.join, END_LIMIT_S)

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # nobody reads it any more
            while (chunk := self._chunks.get()) is not None:
                while chunk:
                    chunk = chunk[os.write(self._descriptor, chunk) :]


async def pass_on(source: asyncio.StreamReader | None, descriptor: int, take_record: RecordTaker) -> None:
    """Write what comes from *source* to *descriptor* until its end, and give each audit record to *take_record*."""
    if source is None:
        return
    writer, line = _Writer(descriptor), b""
    while chunk := await source.read(CHUNK_BYTES):
        writer.write(chunk)
        *lines, line = (line + chunk).split(b"\n")
        for whole_line in lines:
            if (record := read_record(whole_line)) is not None:
                take_record(record)
        line = line[-LINE_BYTES - 1 :]
    await writer.close()


def read_record(line: bytes) -> Json | None:
    """Return the audit record in a *line* of the log, or None if there is none."""
    found = RECORD.search(line) if len(line) <= LINE_BYTES else None
    if found is None:
        return None
    try:
        record = json.loads(found[0])
    except ValueError:
        return None
    return record if isinstance(record, dict) and "event" in record else None
