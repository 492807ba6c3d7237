"""Resolves host names for the connections to Partner Center, so that one that hangs stops nobody else.

asyncio looks names up in the event loop's default thread pool, of 5 to 32 threads. One name whose server does
not answer would fill it with look-ups, and then no account could connect. Here each name has at most one look-up in
progress, in a pool of its own.

Source: httpcore 1.0.9 (its `network_backend`), CPython 3.13 (asyncio.loop.getaddrinfo).
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import anyio
import httpcore

THREADS = 16  # a look-up keeps its thread until the system's resolver gives up
NEXT_ADDRESS_S = 0.25

type Addresses = list[str]
type Attempt = asyncio.Task[httpcore.AsyncNetworkStream]


class HostNames:
    """Looks up host names, each once at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="host-names")
        self._flights: dict[str, asyncio.Future[Addresses]] = {}

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def resolve(self, host: str) -> Addresses:
        """Return the addresses of *host*, the system's preferred one first.

        Raises OSError if it has none, UnicodeError if it cannot be a name.
        """
        with suppress(ValueError):
            return [str(ip_address(host))]  # needs no look-up
        flight = self._flights.get(host)
        if flight is None:
            loop = asyncio.get_running_loop()
            flight = self._flights[host] = loop.run_in_executor(self._threads, _look_up, host)
            flight.add_done_callback(lambda done: self._on_flight_done(host, done))
        return await asyncio.shield(flight)  # other calls wait for the same look-up

    def _on_flight_done(self, host: str, flight: asyncio.Future[Addresses]) -> None:
        self._flights.pop(host, None)
        _retrieve(flight)


class _Connected(httpcore.AsyncNetworkStream):
    """A connection before its TLS handshake. It can do nothing else, since every address is https.

    httpcore leaves a connection open that is cancelled in its handshake, until the garbage collector finds it.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  (httpcore's signature)
        return self._stream.get_extra_info(info)


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
        """Connect to *host* within *timeout* seconds. Raises httpcore.ConnectError or ConnectTimeout.

        If an address has not answered after NEXT_ADDRESS_S, the next one is tried beside it (RFC 8305).
        """
        attempts: list[Attempt] = []
        stream: httpcore.AsyncNetworkStream | None = None
        try:
            async with asyncio.timeout(timeout):
                for address in await self._host_names.resolve(host):
                    connect = super().connect_tcp(address, port, None, local_address, socket_options)
                    attempts.append(asyncio.create_task(connect))
                    attempts[-1].add_done_callback(_retrieve)
                    if stream := await _first_connected(attempts, NEXT_ADDRESS_S):
                        return _Connected(stream)
                stream = await _first_connected(attempts, None)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} did not answer in time") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: no name can be like this
            raise httpcore.ConnectError(str(error)) from error
        finally:
            connected = [attempt for attempt in attempts if attempt.done() and not attempt.cancelled()]
            for attempt in attempts:  # all of them before the first wait, which a cancelled call would end
                attempt.cancel()
            for attempt in connected:
                if not attempt.exception() and attempt.result() is not stream:
                    await attempt.result().aclose()
        if stream is None:
            raise httpcore.ConnectError(f"no address of {host} takes connections")
        return _Connected(stream)


async def _first_connected(attempts: Iterable[Attempt], limit_s: float | None) -> httpcore.AsyncNetworkStream | None:
    """Return the first connection of *attempts*. None if all have failed, or if none ended within *limit_s*."""
    pending = set(attempts)
    while pending:
        done, pending = await asyncio.wait(pending, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return None
        for attempt in done:
            if not attempt.exception():
                return attempt.result()
    return None


def _retrieve(attempt: asyncio.Future[Any]) -> None:
    """Take the exception of *attempt*, if it has one: asyncio warns if nobody does."""
    if not attempt.cancelled():
        attempt.exception()


def _look_up(host: str) -> Addresses:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
