"""Runs the function and its host in a process of their own, until the local cloud ends.

The host is the stand-in beside this module, or the program that FUNCTIONS_HOST names; infra/local/README.md says what
such a program must do.
"""

import asyncio
import http.client
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = "127.0.0.1"
BACKLOG = 1024
START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0  # the real host waits 10 s for calls that are under way
STATUS_LIMIT_S = 5.0

# Settings of the host itself. A program that starts the real host may drop them from its environment, because a
# developer's machine can have some that are not meant for it. The list is short, because others hold account keys, and
# a command line can be seen.
HOST_SETTINGS = ("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "AzureWebJobsDisableHomepage")
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
        listener.bind((ADDRESS, port))
    except OSError:
        listener.close()
        raise
    return listener


def real_host(environment: Mapping[str, str]) -> str | None:
    """Return the program that FUNCTIONS_HOST names, None for the stand-in. Raises ValueError if it cannot be run."""
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

    *listener* does not listen yet. The stand-in inherits it. The real host binds the same port, and nobody else gets
    that port while *listener* is open.

    *log_level* is INFO or WARNING. *trusted_issuer* is the JSON of a TrustedIssuer, for App Service Authentication,
    which the stand-in alone has. Raises ValueError if FUNCTIONS_HOST names no program.
    """
    program = real_host(environment)
    if program is None:
        listener.listen(BACKLOG)
        own = {"LOCAL_FUNCTION_KEY": function_key, "LOCAL_LOG_LEVEL": log_level, "LOCAL_AUTH": trusted_issuer}
        descriptor = listener.fileno()
        arguments = ["-m", "infra.local.functions.host", "--app-root", str(app_root), "--fd", str(descriptor)]
        return HostCommand([sys.executable, *arguments], {**environment, **own}, (descriptor,))

    port = str(listener.getsockname()[1])
    arguments = ["--app", str(app_root), "--port", port, "--key", function_key, "--python", sys.executable]
    for name in HOST_SETTINGS:
        if name in environment:
            arguments += ["--setting", f"{name}={environment[name]}"]
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


def is_running(port: int, function_key: str) -> bool:
    """Return whether the host is in the state Running. The real host answers before it has loaded the function."""
    with closing(http.client.HTTPConnection(ADDRESS, port, timeout=STATUS_LIMIT_S)) as connection:
        try:
            connection.request("GET", "/admin/host/status", headers={"x-functions-key": f"master-{function_key}"})
            answer = connection.getresponse()
            return answer.status == 200 and json.load(answer).get("state") == "Running"
        except (OSError, http.client.HTTPException, ValueError, AttributeError):  # also another program's answer
            return False


async def _wait_until_up(process: asyncio.subprocess.Process, port: int, function_key: str) -> None:
    try:
        async with asyncio.timeout(START_LIMIT_S):
            while process.returncode is None:
                if await asyncio.to_thread(is_running, port, function_key):
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise RuntimeError(f"the Functions host did not run within {START_LIMIT_S:g} s") from None
    raise RuntimeError(f"the Functions host ended with status {process.returncode} before it was up")
