"""The Functions host over real sockets, with Microsoft's runtime inside it: its log, its process, what it loads.

test_functions_wire.py has the answers. The runtime holds one app per process, so each small app here is served by a
process of its own.
"""

import http.client
import importlib.metadata
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import azure_functions_runtime_v1 as runtime
import httpx
import pytest

from tests.support.functions_host import function_host
from tests.support.functions_wire.app import write_function
from tests.support.waiting import wait_until

KEY = {"x-functions-key": "right"}
BODY_LIMIT = 1000
BURST = 120  # connections; some systems let no more than 128 wait
STOPS_WITHIN_S = 5.0
LOG = "log.txt"

HOST_JSON: dict[str, Any] = {
    "version": "2.0",
    "functionTimeout": "00:00:01",
    "extensions": {
        "http": {
            "routePrefix": "api",
            "hsts": {"isEnabled": True, "maxAge": "365"},
            "customHeaders": {"X-Content-Type-Options": "nosniff"},
        }
    },
}

ECHO = """
import json
import azure.functions as func

async def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    received = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "query": dict(req.params),
        "params": dict(req.route_params),
        "body": req.get_body().decode(),
        "trace_parent": context.trace_context.trace_parent,
    }
    return func.HttpResponse(json.dumps(received), status_code=201, mimetype="application/json")
"""

ENVIRONMENT = """
import json, os, sys
import azure.functions as func
import tests
from shared import OWNER

def main(req: func.HttpRequest) -> func.HttpResponse:
    found = [__name__, OWNER, tests.OWNER, sys.path[-1], "LOCAL_FUNCTION_KEY" in os.environ]
    return func.HttpResponse(json.dumps(found))
"""

FAILS = """
import asyncio
import azure.functions as func

async def main(req: func.HttpRequest) -> func.HttpResponse:
    raise {error}
"""

HEADER = """
import azure.functions as func

def main(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(headers={"X-Name": "\u00e9"})
"""

WRITES = """
import logging
import azure.functions as func

def main(req: func.HttpRequest) -> func.HttpResponse:
    logging.error("the body is %s", req.get_body().decode())
    return func.HttpResponse()
"""

BLOCKS = """
import pathlib, time
import azure.functions as func

async def main(req: func.HttpRequest) -> func.HttpResponse:
    folder = pathlib.Path(req.get_body().decode())
    (folder / "blocks").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return func.HttpResponse()
"""

LOGS = """
import asyncio, logging
import azure.functions as func

log = logging.getLogger("app")
late = []

async def main(req: func.HttpRequest) -> func.HttpResponse:
    if late:
        return func.HttpResponse("logged late")
    log.info("in the call")
    await asyncio.create_task(log_as("in a task of the call"))
    await asyncio.get_running_loop().run_in_executor(None, log.info, "in a thread")
    await asyncio.get_running_loop().run_in_executor(None, log.error, "an error in a thread")
    asyncio.get_running_loop().call_later(0.05, log_late)
    return func.HttpResponse("done")

def log_late():
    log.info("after the call")
    late.append(True)

async def log_as(text):
    log.info(text)
"""


@contextmanager
def host_process(app_root: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve *app_root* with the stand-in. Yield its process and its address."""
    (app_root / "host.json").write_text(json.dumps(HOST_JSON))
    settings = {"FUNCTIONS_HOST": "", "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(BODY_LIMIT)}
    with function_host(app_root, app_root / LOG, "right", os.environ | settings | environment) as (process, port):
        yield process, f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def app_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app_root = tmp_path_factory.mktemp("app")
    for package in ("shared", "tests"):
        (app_root / package).mkdir()
        (app_root / package / "__init__.py").write_text("OWNER = 'the app'\n")
    write_function(app_root, "echo", ECHO, route="echo/{customer}/orders/{order}", methods=["get", "post"])
    write_function(app_root, "anyone", ECHO, authLevel="anonymous")
    write_function(app_root, "environment", ENVIRONMENT, authLevel="anonymous")
    write_function(app_root, "raises", FAILS.format(error="ValueError('our bug')"), authLevel="anonymous")
    write_function(app_root, "exits", FAILS.format(error="SystemExit(3)"), authLevel="anonymous")
    write_function(app_root, "header", HEADER, authLevel="anonymous")
    write_function(app_root, "writes", WRITES, authLevel="anonymous")
    write_function(app_root, "blocks", BLOCKS, authLevel="anonymous")
    write_function(app_root, "logs", LOGS, authLevel="anonymous")
    write_function(app_root, "cancelled", FAILS.format(error="asyncio.CancelledError"), authLevel="anonymous")
    return app_root


@pytest.fixture(scope="module")
def host(app_root: Path) -> Iterator[httpx.Client]:
    with host_process(app_root) as (_, address), httpx.Client(base_url=f"http://{address}", timeout=10) as client:
        assert client.get("/admin/host/ping").status_code == 200
        yield client


def test_the_function_sees_its_key(host: httpx.Client) -> None:
    """Azure does not remove it, so code that logs headers, query or url leaks the key. Such a leak must show here."""
    received = host.get("/api/echo/c/orders/1?code=right", headers=KEY).json()

    assert received["headers"]["x-functions-key"] == "right"
    assert received["query"] == {"code": "right"}
    assert received["url"].endswith("?code=right")


def test_a_body_over_the_limit_is_500_before_it_is_read_and_logged(host: httpx.Client, app_root: Path) -> None:
    with closing(http.client.HTTPConnection(host.base_url.host, host.base_url.port, timeout=5)) as connection:
        connection.putrequest("POST", "/api/anyone")
        connection.putheader("content-length", str(BODY_LIMIT + 1))
        connection.endheaders()  # without a body: a host that waits for it never answers

        response = connection.getresponse()

        assert (response.status, response.read()) == (500, b"")
        assert response.getheader("connection") == "close"
    assert "anyone raised\nThe request body is too large: over 1000 bytes" in (app_root / LOG).read_text()


def test_a_caller_that_breaks_off_in_its_body_reaches_no_function(host: httpx.Client, app_root: Path) -> None:
    log = app_root / LOG
    head = b"POST /api/writes HTTP/1.1\r\nHost: functions.local\r\nContent-Length: 10\r\n\r\n"
    with socket.create_connection((host.base_url.host, host.base_url.port or 0), timeout=10) as connection:
        connection.sendall(head + b"12345")
        connection.shutdown(socket.SHUT_WR)

        assert connection.recv(1) == b""

    assert host.post("/api/writes", content=b"whole").status_code == 200
    assert re.findall("the body is (.*)", log.read_text()) == ["whole"]
    assert "Unhandled exception" not in log.read_text()


def test_callers_can_connect_while_the_host_is_busy(host: httpx.Client, tmp_path: Path) -> None:
    """A burst of calls meets a worker that is in the middle of something."""
    address = (host.base_url.host, host.base_url.port or 0)
    with ThreadPoolExecutor(1) as background, ExitStack() as connections:
        call = background.submit(host.post, "/api/blocks", content=str(tmp_path).encode())
        wait_until((tmp_path / "blocks").exists, "the function was not called")
        try:
            for _ in range(BURST):
                connections.enter_context(socket.create_connection(address, timeout=10))
        finally:
            (tmp_path / "go").touch()

        assert call.result().status_code == 200


def test_an_exception_is_500_without_a_body_and_logged(host: httpx.Client, app_root: Path) -> None:
    response = host.get("/api/raises")

    assert (response.status_code, response.content) == (500, b"")
    assert "ValueError: our bug" in (app_root / LOG).read_text()


def test_a_header_outside_ascii_is_500_and_logged(host: httpx.Client, app_root: Path) -> None:
    response = host.get("/api/header")

    assert (response.status_code, response.content) == (500, b"")
    assert "header raised\nA header of its answer is not ASCII" in (app_root / LOG).read_text()


def test_what_is_logged_outside_a_call_is_dropped(host: httpx.Client, app_root: Path) -> None:
    """Azure's host drops it too, so an audit record that is written so would be missing there."""
    wait_until(lambda: host.get("/api/logs").text == "logged late", "nothing was logged after the call")

    log = (app_root / LOG).read_text()
    assert "INFO app in the call" in log
    assert "INFO app in a task of the call" in log
    assert "in a thread" not in log.replace("ERROR app an error in a thread", "")
    assert "after the call" not in log


def test_a_system_exit_is_500_and_the_host_goes_on(host: httpx.Client, app_root: Path) -> None:
    """The real host starts another worker."""
    response = host.get("/api/exits")

    assert (response.status_code, response.content) == (500, b"")
    assert "exits ended its worker with status 3" in (app_root / LOG).read_text()
    assert host.get("/api/anyone").status_code == 201


def test_an_escaped_cancelled_error_is_not_answered_before_function_timeout(host: httpx.Client) -> None:
    """In Azure the caller hangs. A host that answers at once would hide that bug."""
    started = time.monotonic()

    response = host.get("/api/cancelled")

    assert (response.status_code, response.content) == (500, b"")
    assert time.monotonic() - started >= 1.0


def test_a_request_without_a_trace_starts_one(host: httpx.Client) -> None:
    first, second = (host.get("/api/anyone").json()["trace_parent"] for _ in range(2))

    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", first)
    assert first != second


def test_the_callers_trace_is_continued_with_a_new_span(host: httpx.Client) -> None:
    trace_id, span_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

    received = host.get("/api/anyone", headers={"traceparent": f"00-{trace_id}-{span_id}-01"}).json()

    assert re.fullmatch(f"00-{trace_id}-[0-9a-f]{{16}}-01", received["trace_parent"])
    assert span_id not in received["trace_parent"]


@pytest.mark.parametrize(
    ("host_name", "scheme", "expected"),
    [
        pytest.param("function.example", "https", "max-age=31536000", id="App Service"),
        pytest.param("function.example:443", "https", "max-age=31536000", id="with a port"),
        pytest.param("function.example", "http", None, id="no TLS"),
        pytest.param("127.0.0.1:7071", "https", None, id="loopback"),
        pytest.param("[::1]", "https", None, id="loopback, IPv6"),
    ],
)
def test_hsts_is_on_every_answer_over_tls(
    host: httpx.Client, host_name: str, scheme: str, expected: str | None
) -> None:
    """App Service ends TLS and tells the host in X-Forwarded-Proto."""
    headers = {"host": host_name, "x-forwarded-proto": scheme}

    answers = [host.get(path, headers=headers) for path in ("/api/anyone", "/api/nowhere", "/api/raises", "/")]

    assert {answer.headers.get("strict-transport-security") for answer in answers} == {expected}


@pytest.mark.parametrize(
    ("setting", "status"), [pytest.param("true", 204, id="off"), pytest.param("false", 200, id="on")]
)
def test_a_setting_turns_the_home_page_off(tmp_path: Path, setting: str, status: int) -> None:
    with host_process(tmp_path, AzureWebJobsDisableHomepage=setting) as (_, address):
        assert httpx.get(f"http://{address}/", timeout=10).status_code == status


def test_the_function_finds_the_environment_that_it_has_in_azure(host: httpx.Client) -> None:
    """Above all the app's own `shared` and `tests`, because the runtime's wheel installs a package `tests`, too."""
    name, shared, tests, last_on_path, has_key = host.get("/api/environment").json()

    assert name == "__app__.environment"
    assert (shared, tests) == ("the app", "the app")
    assert Path(last_on_path, "host.json").is_file()
    assert not has_key


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param("def main(req: dict) -> str: ...", 'does not match its Python annotation "dict"', id="annotation"),
        pytest.param("def main(req, extra): ...", "not in function.json: {'extra'}", id="stray parameter"),
        pytest.param("def handler(req): ...", "is not present in %s', 'broken', 'main'", id="no main"),
        pytest.param("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'", id="import"),
        pytest.param("def main(req) -> 'str | None': ...", "invalid non-type return annotation", id="return type"),
    ],
)
def test_a_function_that_azure_would_not_load_ends_the_host_with_the_reason(
    tmp_path: Path, code: str, message: str
) -> None:
    write_function(tmp_path, "broken", code)

    with host_process(tmp_path) as (process, _):
        status = process.wait(STOPS_WITHIN_S)

    assert status == 1
    log = (tmp_path / LOG).read_text()
    assert "broken failed to load" in log
    assert message in log


def test_the_end_of_stdin_ends_the_host(tmp_path: Path) -> None:
    """A parent that is killed cannot end its children, but its pipes close."""
    with host_process(tmp_path) as (process, address):
        httpx.get(f"http://{address}/admin/host/ping", timeout=10)
        assert process.stdin
        process.stdin.close()

        assert process.wait(STOPS_WITHIN_S) == 0


def test_sigterm_ends_the_host_while_a_request_runs(tmp_path: Path) -> None:
    write_function(tmp_path, "slow", "import time\ndef main(req): time.sleep(60)", authLevel="anonymous")

    with host_process(tmp_path) as (process, address):
        httpx.get(f"http://{address}/admin/host/ping", timeout=10)
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"http://{address}/api/slow", timeout=0.2)
        process.terminate()

        assert process.wait(STOPS_WITHIN_S) == 0


def test_the_runtime_has_what_the_host_relies_on() -> None:
    """None of it is documented. This test fails first when a new version of the pinned runtime moves it."""
    files = [file.as_posix() for file in importlib.metadata.files("azure-functions-runtime-v1") or []]

    assert {
        "worker_init_request",
        "functions_metadata_request",
        "function_load_request",
        "invocation_request",
        "start_threadpool_executor",
        "invocation_id_cv",
    } <= set(runtime.__all__)
    assert "tests/protos/FunctionRpc_pb2.py" in files
