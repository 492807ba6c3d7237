"""Passes the output of the function's process on, and picks the audit records out of it."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import TextIO

from infra.local.values import Json

type RecordTaker = Callable[[Json], object]

CHUNK_BYTES = 64 * 1024
LINE_BYTES = 1024 * 1024  # no record is as long; what is left of a longer line is passed on, not looked at
# The stand-in writes a record at the end of a line of its own logger, the real host alone on the next line, indented.
RECORD = re.compile(rb'\{"time": ".*\}(?=\s*$)')


async def pass_on(source: asyncio.StreamReader | None, target: TextIO, take_record: RecordTaker) -> None:
    """Write what comes from *source* to *target* until its end, and give each audit record to *take_record*."""
    if source is None:
        return
    line = b""
    while chunk := await source.read(CHUNK_BYTES):
        await asyncio.to_thread(_write, chunk, target)  # a terminal may be held up, and the stand-ins must not be
        *lines, line = (line + chunk).split(b"\n")
        for whole_line in lines:
            if (record := read_record(whole_line)) is not None:
                take_record(record)
        line = line[-LINE_BYTES:]


def read_record(line: bytes) -> Json | None:
    """Return the audit record in a *line* of the log, or None if there is none."""
    found = RECORD.search(line)
    if found is None:
        return None
    try:
        record = json.loads(found[0])
    except ValueError:
        return None
    return record if isinstance(record, dict) and "event" in record else None


def _write(chunk: bytes, target: TextIO) -> None:
    target.flush()
    target.buffer.write(chunk)
    target.buffer.flush()
