"""The time limits of the Azure SDKs' requests: no server can hold the thread of an account."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server, socket
from typing import NamedTuple

import pytest
import requests

from shared.credentials import azure_sdk, repeats, session
from shared.credentials.azure_sdk import SdkCall, sdk_options
from shared.credentials.session import open_session

LIMIT_S = 30.0  # of a test
SHORT_S = 0.3
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
PAUSE_S = 0.02


class Server(NamedTuple):
    """A server that never finishes an answer."""

    url: str
    was_left: threading.Event  # set once the client has closed the connection, or ended it


@contextmanager
def server(head: bytes, *, drips: bool) -> Iterator[Server]:
    """Serve one request: send *head*, then nothing, or one byte now and then, until the client leaves."""
    was_left, stops = threading.Event(), threading.Event()

    def serve() -> None:
        listener.settimeout(LIMIT_S)
        client, _ = listener.accept()
        with client:
            client.settimeout(PAUSE_S)
            client.sendall(head)
            while not stops.is_set():
                if _has_left(client):
                    was_left.set()
                    return
                if drips:
                    client.sendall(b"x")

    def _has_left(client: socket) -> bool:
        try:
            while client.recv(1000):
                pass  # the request
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", was_left)
        finally:
            stops.set()
            thread.join(LIMIT_S)


def timers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


DRIPS = {"headers": b"HTTP/1.1 200 OK\r\nX-Slow: ", "body": HEAD}


@pytest.mark.parametrize("name", DRIPS)
@pytest.mark.parametrize("is_proxy", [False, True], ids=["direct", "by-proxy"])
def test_a_dripping_server_is_left_at_the_time_limit(name: str, *, is_proxy: bool) -> None:
    """Each read is short, so the timeouts of `requests` alone would wait for hours."""
    with server(DRIPS[name], drips=True) as dripping, open_session(time.monotonic() + SHORT_S) as http:
        if is_proxy:
            http.proxies = {"http": dripping.url}
        with pytest.raises(requests.RequestException):
            http.get("http://service.invalid/" if is_proxy else dripping.url)

        assert dripping.was_left.wait(LIMIT_S)


@pytest.mark.parametrize("asked", [{}, {"timeout": 300}], ids=["msal", "azure-core"])
def test_a_silent_server_is_left_after_the_sessions_own_timeout(asked: dict[str, float]) -> None:
    """msal asks for no timeout, azure-core for 300 s. Neither counts."""
    with server(b"", drips=False) as silent, open_session(time.monotonic() + LIMIT_S, read_timeout_s=SHORT_S) as http:
        with pytest.raises(requests.ReadTimeout):
            http.get(silent.url, **asked)  # type: ignore[arg-type]

        assert silent.was_left.wait(LIMIT_S)


def test_no_request_begins_after_the_limit() -> None:
    with create_server(("127.0.0.1", 0)) as listener, open_session(time.monotonic()) as http:
        with pytest.raises(requests.ConnectionError):
            http.get(f"http://127.0.0.1:{listener.getsockname()[1]}")

        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_timer_ends_with_its_request() -> None:
    """A timer that went on would cut the connection of a later request, and its thread would stay."""
    before = set(timers())
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", drips=False) as quick:
        with open_session(time.monotonic() + 600) as http:
            assert http.get(quick.url).status_code == 200
        for timer in set(timers()) - before:
            timer.join(LIMIT_S)
            assert not timer.is_alive()


def test_an_sdk_call_has_the_limited_session() -> None:
    call = SdkCall(time.monotonic() + SHORT_S)
    with (
        server(HEAD, drips=True) as dripping,
        sdk_options(call)["transport"] as transport,
        pytest.raises(requests.RequestException),
    ):
        transport.session.get(dripping.url)


def test_a_call_ends_with_its_flight_or_before() -> None:
    now = time.monotonic()

    assert SdkCall(now + 1).ends_at == now + 1
    assert SdkCall(now + 100).ends_at < now + 100


def test_the_limits_leave_time_for_another_attempt() -> None:
    """The default deadline of a call is 8 s. A hung request must not take all of it."""
    assert session.CONNECT_TIMEOUT_S < session.READ_TIMEOUT_S < azure_sdk.CALL_LIMIT_S < repeats.FLIGHT_LIMIT_S <= 8
