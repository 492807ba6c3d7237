"""Resolves host names for the connections to Partner Center, so that one that hangs stops nobody else.

asyncio looks names up in the event loop's default thread pool, of 5 to 32 threads. One name whose server does
not answer would fill it with lookups, and then no account could connect. Here each name has at most one lookup
in progress, in a pool of its own.

Source: httpcore 1.0.9 (its `network_backend`), CPython 3.13 (asyncio.loop.getaddrinfo).
"""

import asyncio
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import httpcore

THREADS = 16  # a lookup keeps its thread until the system's resolver gives up

type Addresses = list[str]


class HostNames:
    """Looks up host names, each once at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="host-names")
        self._flights: dict[str, asyncio.Future[Addresses]] = {}

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def resolve(self, host: str) -> Addresses:
        """Return the addresses of *host*, the system's preferred one first. Raises OSError if it has none."""
        flight = self._flights.get(host)
        if flight is None:
            loop = asyncio.get_running_loop()
            flight = self._flights[host] = loop.run_in_executor(self._threads, _look_up, host)
            flight.add_done_callback(lambda done: self._on_flight_done(host, done))
        return await asyncio.shield(flight)  # other calls wait for the same lookup

    def _on_flight_done(self, host: str, flight: asyncio.Future[Addresses]) -> None:
        self._flights.pop(host, None)
        if not flight.cancelled():
            flight.exception()  # asyncio warns if nobody retrieves it


class ResolvingBackend(httpcore.AnyIOBackend):
    """httpcore's network, with names resolved by *host_names*. TLS still checks the name, not the address."""

    def __init__(self, host_names: HostNames) -> None:
        self._host_names = host_names

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to *host*, to its next address if one does not answer. Raises httpcore.ConnectError or -Timeout."""
        ends_at = None if timeout is None else time.monotonic() + timeout
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._host_names.resolve(host)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no address of {host} in time") from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share_s = None if ends_at is None else max(0.0, ends_at - time.monotonic()) / left
            try:
                return await super().connect_tcp(address, port, share_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == 1:
                    raise
        raise httpcore.ConnectError(f"{host} has no address")


def _look_up(host: str) -> Addresses:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
