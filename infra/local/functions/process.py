"""Runs the function and its host in a process of their own, until the local cloud ends, and again after a kill.

The host is the stand-in beside this module, or the program that FUNCTIONS_HOST names; infra/local/README.md says what
such a program must do.
"""

import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import quote

from infra.local.functions.kill import kill
from infra.local.functions.output import RecordTaker, pass_on

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = "127.0.0.1"
BACKLOG = 1024
START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0  # the real host waits 10 s for calls that are under way
STATUS_LIMIT_S = 5.0
STDOUT, STDERR = 1, 2
OUTPUT_LIMIT_S = 2.0

# Settings of the host itself. A program that starts the real host may drop them from its environment, because a
# developer's machine can have some that are not meant for it. The list is short, because others hold account keys, and
# a command line can be seen.
HOST_SETTINGS = re.compile(
    r"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT|AzureWebJobsDisableHomepage|AzureWebJobsStorage__queueServiceUri"
    r"|AzureWebJobs[._].+[._]Disabled"
)
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
    for name in filter(HOST_SETTINGS.fullmatch, environment):
        arguments += ["--setting", f"{name}={environment[name]}"]
    logging = {
        "AzureFunctionsJobHost__Logging__LogLevel__Default": "Warning",
        "AzureFunctionsJobHost__Logging__LogLevel__Function": LOG_LEVELS[log_level],
    }
    return HostCommand([program, *arguments], {**logging, **environment}, ())


class FunctionApp:
    """The function and its host in a process of their own, which can be killed and started again.

    `async with` starts it at the address of *listener*, and ends it. The arguments are those of `host_command`.
    *environment* is added to this process's own. *take_record* gets each audit record.
    """

    def __init__(
        self,
        listener: socket.socket,
        function_key: str,
        environment: Mapping[str, str],
        *,
        log_level: str,
        trusted_issuer: str,
        take_record: RecordTaker,
    ) -> None:
        self._listener = listener
        self._function_key = function_key
        self._environment = environment
        self._log_level = log_level
        self._trusted_issuer = trusted_issuer
        self._take_record = take_record
        self._restart = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def wait(self) -> int:
        """Return the process's status once it has ended by itself, and not by `kill`."""
        while True:
            process = self._process
            await process.wait()
            async with self._restart:
                if process is self._process:
                    return await process.wait()

    async def kill(self) -> None:
        """End the process at once, start it again, and return when the new one serves. Calls wait for each other.

        Raises RuntimeError if the new one does not come up; then `wait` returns.
        """
        async with self._restart:
            if self._process.returncode is None:
                kill(self._process.pid)
                await self._wait_for_end()
            await self._drain()
            await self._start()

    async def run_timer(self, name: str) -> int:
        """Run the timer function *name* by hand, and return the status of the host's answer: 202, or 404 if unknown.

        The stand-in answers when the run has ended, the real host before it begins. Raises httpx.HTTPError.
        """
        url = f"http://{ADDRESS}:{self._port}/admin/functions/{quote(name, safe='')}"
        headers = {"x-functions-key": f"master-{self._function_key}"}
        import httpx  # noqa: PLC0415  (the host imports this module, and must not load a package of the app's)

        async with httpx.AsyncClient(trust_env=False, timeout=None) as client:  # noqa: S113  (the caller has a limit)
            return (await client.post(url, json={"input": ""}, headers=headers)).status_code

    @property
    def _port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    async def _start(self) -> None:
        command = host_command(
            ROOT,
            self._listener,
            self._function_key,
            {**os.environ, **self._environment},
            log_level=self._log_level,
            trusted_issuer=self._trusted_issuer,
        )
        self._process = await asyncio.create_subprocess_exec(
            *command.arguments,
            cwd=ROOT,
            env=command.environment,
            stdin=asyncio.subprocess.PIPE,  # closes if this process is killed; then the function's process ends too
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=command.pass_fds,
        )
        self._output = asyncio.gather(
            pass_on(self._process.stdout, STDOUT, self._take_record),
            pass_on(self._process.stderr, STDERR, self._take_record),
        )
        try:
            await _wait_until_up(self._process, self._port, self._function_key)
        except BaseException:  # also the cancellation of a start that takes long
            await self._end()
            raise

    async def _end(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            await self._wait_for_end()
        await self._drain()

    async def _wait_for_end(self) -> None:
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _drain(self) -> None:
        """Pass on what the process has written last. A process that it has left behind may hold the pipe open."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OUTPUT_LIMIT_S):
                await self._output


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
