"""The app of the wire tests: the product, and small functions that show what the host makes of a request."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.functions_host import function_host
from tests.support.local_cloud import ROOT

KEY = "right"
BODY_LIMIT = 131_072  # bytes, as in Azure (function.bicep)

ECHO = """
import json
import azure.functions as func

async def main(req: func.HttpRequest) -> func.HttpResponse:
    received = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "query": dict(req.params),
        "params": dict(req.route_params),
        "body": req.get_body().decode("latin-1"),
    }
    received = {name: value for name, value in received.items() if value}
    if sum(map(len, received.get("headers", {}).values())) + len(received["url"]) > 3000:
        received = {"is_long": True}
    return func.HttpResponse(json.dumps(received), status_code=201, mimetype="application/json")
"""

ODD = """
import azure.functions as func

ANSWERS = {
    "empty": lambda: func.HttpResponse(),
    "no-content": lambda: func.HttpResponse(status_code=204),
    "no-content-with-body": lambda: func.HttpResponse("x", status_code=204),
    "not-modified": lambda: func.HttpResponse(status_code=304),
    "reset": lambda: func.HttpResponse(status_code=205),
    "length": lambda: func.HttpResponse("hello", headers={"Content-Length": "5"}),
    "length-too-small": lambda: func.HttpResponse("hello", headers={"Content-Length": "3"}),
    "length-too-large": lambda: func.HttpResponse("hello", headers={"Content-Length": "9"}),
    "length-not-a-number": lambda: func.HttpResponse("hello", headers={"Content-Length": "five"}),
    "latin-1": lambda: func.HttpResponse("x", headers={"X-Name": "\\u00e9"}),
    "not-latin-1": lambda: func.HttpResponse("x", headers={"X-Name": "\\u65e5"}),
    "line-break": lambda: func.HttpResponse("x", headers={"X-Name": "a\\r\\nX-Evil: 1"}),
    "bad-name": lambda: func.HttpResponse("x", headers={"X Name": "a"}),
    "custom": lambda: func.HttpResponse("x", headers={"X-Content-Type-Options": "own"}),
    "content-type": lambda: func.HttpResponse("x", headers={"Content-Type": "text/weird"}, mimetype="a/b"),
    "close": lambda: func.HttpResponse("x", headers={"Connection": "close"}),
    "not-ascii": lambda: func.HttpResponse("\\u00e9\\u65e5"),
    "large": lambda: func.HttpResponse(b"x" * 300_000),
    "text": lambda: "text",
    "nothing": lambda: None,
    "raises": lambda: 1 / 0,
}

async def main(req: func.HttpRequest, context: func.Context):
    kind = req.route_params["kind"]
    if kind == "trace":
        return func.HttpResponse("a trace" if context.trace_context.trace_parent else "no trace")
    return func.HttpResponse("x", status_code=int(kind)) if kind.isdigit() else ANSWERS[kind]()
"""

TICK = """
import azure.functions as func

async def main(tick: func.TimerRequest) -> None:
    pass
"""


def write_app(folder: Path) -> Path:
    """Write the app into *folder*, which exists, and return it."""
    shutil.copy(ROOT / "host.json", folder)
    for package in ("cancel_order", "shared"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    write_function(folder, "echo", ECHO, route="echo/{customer}/orders/{order}", methods=["get", "post"])
    write_function(folder, "anyone", ECHO, authLevel="anonymous")
    write_function(folder, "odd", ODD, authLevel="anonymous", route="odd/{kind}")
    write_timer(
        folder, "tick", TICK, schedule="0 0 0 29 2 *", useMonitor=False
    )  # without a monitor it needs no storage
    return folder


@contextmanager
def serving(app: Path, log: Path, settings: Mapping[str, str], program: str) -> Iterator[int]:
    """Serve *app* with the host that *program* starts, or with the stand-in if it is blank. Yield the port."""
    own = {"FUNCTIONS_HOST": program, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(BODY_LIMIT)}
    with function_host(app, log, KEY, os.environ | settings | own) as (_, port):
        yield port


def write_function(app: Path, name: str, code: str, **trigger: Any) -> None:
    """Write the function *name* with the HTTP trigger *trigger* into *app*."""
    http_trigger = {"type": "httpTrigger", "direction": "in", "name": "req", **trigger}
    _write(app / name, code, http_trigger, {"type": "http", "direction": "out", "name": "$return"})


def write_timer(app: Path, name: str, code: str, **trigger: Any) -> None:
    """Write the function *name* with the timer *trigger* into *app*."""
    _write(app / name, code, {"type": "timerTrigger", "direction": "in", "name": "tick", **trigger})


def _write(folder: Path, code: str, *bindings: dict[str, Any]) -> None:
    folder.mkdir()
    (folder / "__init__.py").write_text(code)
    (folder / "function.json").write_text(json.dumps({"scriptFile": "__init__.py", "bindings": bindings}))
