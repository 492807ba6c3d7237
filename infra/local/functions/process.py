"""Runs the function and its host in a process of their own, until the local cloud ends."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket

import httpx

ROOT = Path(__file__).resolve().parents[3]
START_LIMIT_S = 60.0
STOP_LIMIT_S = 3.0


@asynccontextmanager
async def function_process(
    listener: socket, url: str, environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the function on *listener*, and yield its process once the host at *url* answers."""
    command = ["-m", "infra.local.functions.host", "--app-root", str(ROOT), "--fd", str(listener.fileno())]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,  # closes if this process is killed; then the function's process ends too
        pass_fds=[listener.fileno()],
    )
    try:
        await _wait_until_up(process, url)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _wait_until_up(process: asyncio.subprocess.Process, url: str) -> None:
    root = url.removesuffix("/api/cancel_order")
    async with asyncio.timeout(START_LIMIT_S), httpx.AsyncClient(trust_env=False) as client:
        while process.returncode is None:
            try:
                if (await client.get(f"{root}/admin/host/ping")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)
    raise RuntimeError(f"the Functions host ended with status {process.returncode} before it was up")
