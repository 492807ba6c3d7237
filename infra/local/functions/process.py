"""Runs the function and its host in a process of their own, until the local cloud ends.

The host is the imitation beside this module. The environment variable FUNCTIONS_HOST puts another program in its
place, such as Microsoft's own host: a program that takes

    PROGRAM --app DIR --port N --key KEY --python PYTHON [--setting NAME=VALUE ...]

and serves the function app in DIR on 127.0.0.1:N, with KEY as the function key and master-KEY as the master key. The
app gets the program's environment and the settings: host settings, which such a program does not take from its
environment. The program ends with SIGTERM, and when its standard input is closed.
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

ROOT = Path(__file__).resolve().parents[3]
HOST = "127.0.0.1"
BACKLOG = 1024
START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0  # Microsoft's host waits 10 s for calls that are under way
STATUS_PATH = "/admin/host/status"

# Settings of the host itself. A program in the imitation's place may drop them from its environment, because a
# developer's machine can have some that are not meant for it.
HOST_SETTINGS = ("FUNCTIONS_", "AzureWebJobs")
LOG_LEVELS = {"INFO": "Information", "WARNING": "Warning"}  # Microsoft's names


class HostCommand(NamedTuple):
    """How to start a Functions host: the arguments of `subprocess.Popen`."""

    arguments: list[str]
    environment: dict[str, str]
    pass_fds: tuple[int, ...]


def bound_socket(port: int) -> socket.socket:
    """Return a socket on loopback that has *port*, 0 for a free one, and does not listen yet."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted connections inherit it. asyncio sets it only on sockets that asyncio itself created; without it
    # an answer in two writes waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


def other_host(environment: Mapping[str, str]) -> str | None:
    """Return the program that FUNCTIONS_HOST names, None for the imitation. Raises ValueError if it cannot be run."""
    name = environment.get("FUNCTIONS_HOST")
    if not name:
        return None
    program = shutil.which(name)
    if not program:
        raise ValueError(f"FUNCTIONS_HOST names {name}, which is not a program that can be run")
    return str(Path(program).absolute())


def host_command(
    app_root: Path,
    listener: socket.socket,
    function_key: str,
    environment: Mapping[str, str],
    *,
    log_level: str = "INFO",
    trusted_issuer: str = "",
) -> HostCommand:
    """Return the command that serves *app_root* at the address to which *listener* is bound.

    *listener* does not listen yet. The imitation inherits it. Another program binds the same port, and nobody else
    gets that port while *listener* is open.

    *log_level* is INFO or WARNING. *trusted_issuer* is the JSON of a TrustedIssuer, for App Service Authentication,
    which the imitation alone has. Raises ValueError if FUNCTIONS_HOST names no program.
    """
    program = other_host(environment)
    if program is None:
        listener.listen(BACKLOG)
        own = {"LOCAL_FUNCTION_KEY": function_key, "LOCAL_LOG_LEVEL": log_level, "LOCAL_AUTH": trusted_issuer}
        descriptor = listener.fileno()
        arguments = ["-m", "infra.local.functions.host", "--app-root", str(app_root), "--fd", str(descriptor)]
        return HostCommand([sys.executable, *arguments], {**environment, **own}, (descriptor,))

    port = str(listener.getsockname()[1])
    arguments = ["--app", str(app_root), "--port", port, "--key", function_key, "--python", sys.executable]
    for name, value in environment.items():
        if name.startswith(HOST_SETTINGS) and name != "FUNCTIONS_HOST":
            arguments += ["--setting", f"{name}={value}"]
    logging = {
        "AzureFunctionsJobHost__Logging__LogLevel__Default": "Warning",
        "AzureFunctionsJobHost__Logging__LogLevel__Function": LOG_LEVELS[log_level],
    }
    return HostCommand([program, *arguments], {**logging, **environment}, ())


@asynccontextmanager
async def function_process(
    listener: socket.socket, function_key: str, environment: Mapping[str, str], *, log_level: str, trusted_issuer: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the function at the address of *listener*, and yield its process once the host runs.

    The arguments are those of `host_command`. *environment* is added to this process's own.
    """
    command = host_command(
        ROOT,
        listener,
        function_key,
        {**os.environ, **environment},
        log_level=log_level,
        trusted_issuer=trusted_issuer,
    )
    process = await asyncio.create_subprocess_exec(
        *command.arguments,
        cwd=ROOT,
        env=command.environment,
        stdin=asyncio.subprocess.PIPE,  # closes if this process is killed; then the function's process ends too
        pass_fds=command.pass_fds,
    )
    try:
        await _wait_until_up(process, listener.getsockname()[1], function_key)
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


async def _wait_until_up(process: asyncio.subprocess.Process, port: int, function_key: str) -> None:
    """Wait for the state Running. Microsoft's host answers other requests before it has loaded the function."""
    master_key = {"x-functions-key": f"master-{function_key}"}
    url = f"http://{HOST}:{port}{STATUS_PATH}"
    async with asyncio.timeout(START_LIMIT_S), httpx.AsyncClient(trust_env=False, timeout=START_LIMIT_S) as client:
        while process.returncode is None:
            try:
                answer = await client.get(url, headers=master_key)
                if answer.is_success and answer.json()["state"] == "Running":
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)
    raise RuntimeError(f"the Functions host ended with status {process.returncode} before it was up")
