"""The output of the function's process: it is passed on unchanged, and audit records are picked out of it."""

import asyncio
import json
import os
from typing import Any

import pytest

from infra.local.functions.output import LINE_BYTES, pass_on, read_record

RECORD = {"time": "2026-11-30T22:33:11Z", "event": "decided", "outcome": "cancelled"}
TEXT = json.dumps(RECORD).encode()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"2026-11-30 22:33:11,205 INFO cancel_order.audit " + TEXT, id="the-stand-in"),
        pytest.param(b"      " + TEXT + b"\r", id="the-real-host"),
    ],
)
def test_a_record_is_read(line: bytes) -> None:
    assert read_record(line) == RECORD


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"2026-11-30 22:33:11,205 INFO httpx HTTP Request", id="another-line"),
        pytest.param(TEXT[:-10], id="cut-off"),
        pytest.param(b'{"time": "noon"} and more', id="not-at-the-end"),
        pytest.param(b'{"time": "2026-11-30T22:33:11Z"}', id="no-event"),
        pytest.param(b'{"time": "}', id="no-json"),
    ],
)
def test_other_lines_are_no_record(line: bytes) -> None:
    assert read_record(line) is None


def passed_on(chunks: list[bytes], *, is_read: bool = True) -> tuple[bytes, list[Any]]:
    """Return what is written, and the records that are taken, if the process writes *chunks*.

    Unless *is_read* nobody reads what is written, as from a terminal that is held up.
    """
    written, records = bytearray(), list[Any]()

    async def run() -> None:
        reader, writer = os.pipe()
        source = asyncio.StreamReader()
        passing = asyncio.create_task(pass_on(source, writer, records.append))
        reading = asyncio.create_task(asyncio.to_thread(read_all, reader, written)) if is_read else None
        for chunk in chunks:
            source.feed_data(chunk)
            await asyncio.sleep(0)
        source.feed_eof()
        await passing
        os.close(writer)
        if reading:
            await reading
        os.close(reader)

    asyncio.run(run())
    return bytes(written), records


def read_all(descriptor: int, into: bytearray) -> None:
    while piece := os.read(descriptor, 65_536):
        into += piece


def test_a_record_that_comes_in_pieces_is_taken_once() -> None:
    line = b"first\nINFO " + TEXT + b"\nlast"

    written, records = passed_on([line[:30], line[30:50], line[50:]])

    assert written == line
    assert records == [RECORD]


def test_a_line_without_an_end_is_passed_on() -> None:
    """A program that never ends its line must not fill the memory."""
    written, records = passed_on([b"x" * LINE_BYTES, b"y" * LINE_BYTES, b"\n" + TEXT + b"\n"])

    assert len(written) == 2 * LINE_BYTES + len(TEXT) + 2
    assert records == [RECORD]


def test_output_that_nobody_reads_stops_nothing() -> None:
    """The function waits when its output is not read; a terminal can be held up for hours."""
    chunks = [b"z" * 60_000 + b"\n"] * 40

    _, records = passed_on([*chunks, TEXT + b"\n"], is_read=False)

    assert records == [RECORD]


def test_a_reader_that_has_ended_stops_nothing() -> None:
    records = list[Any]()

    async def run() -> None:
        reader, writer = os.pipe()
        os.close(reader)
        source = asyncio.StreamReader()
        for _ in range(3):
            source.feed_data(TEXT + b"\n")
        source.feed_eof()
        await pass_on(source, writer, records.append)
        os.close(writer)

    asyncio.run(run())

    assert records == [RECORD] * 3
