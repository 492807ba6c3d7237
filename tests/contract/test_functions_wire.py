"""The stand-in for the Functions host against the real one: the same bytes in, the same answers out.

tests/samples/functions-host.json has the real host's answers, so that the stand-in is held to them everywhere. If
FUNCTIONS_HOST names a program that starts the real host (infra/local/README.md), that host is held to them too. A new
request needs its answer: `FUNCTIONS_HOST=PROGRAM python -m tests.support.functions_wire`.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.functions.own_pages import HOME_PAGE
from tests.support.functions_wire.app import serving, write_app
from tests.support.functions_wire.exchange import exchange
from tests.support.functions_wire.requests import RECORDED, REQUESTS
from tests.support.local_cloud import Json, LocalCloud
from tests.support.timer_functions import EVERY_MINUTE, EVERY_SECOND, USUAL, Timer, host, run_by_hand

ANSWERS: dict[str, list[Any]] = json.loads(RECORDED.read_text())
OWN_PAGE = "the real host's page is Microsoft's text"
FEW_PAGES = "the stand-in has no pages for keys and functions"
FEW_MEMBERS = "the stand-in's status has only the members that the local cloud reads"
ONLY_TIMERS = "the stand-in runs only timer functions by hand"
IN_APP_SERVICE = "the stand-in answers as in App Service, behind TLS and with Application Insights"


def answer(status: int, reason: str, body: Any, **headers: str) -> Json:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"status": status, "reason": reason, "headers": named | {"x-content-type-options": "nosniff"}, "body": body}


def own_page(body: str = HOME_PAGE.decode()) -> Json:
    return answer(200, "OK", body, content_length=str(len(HOME_PAGE)), content_type="text/html")


NOT_FOUND = answer(404, "Not Found", "", content_length="0")
STATUS = answer(
    200, "OK", {"state": "Running", "version": "4.1037.0.0"}, content_type="application/json; charset=utf-8"
)
TRACED = answer(200, "OK", "a trace", content_type="text/plain; charset=utf-8", transfer_encoding="chunked")
OVER_TLS = answer(
    201,
    "Created",
    {
        "method": "GET",
        "url": "https://functions.local/api/anyone",
        "headers": {"host": "functions.local", "x-forwarded-proto": "https"},
    },
    content_type="application/json",
    transfer_encoding="chunked",
    strict_transport_security="max-age=31536000",
)

# Each difference has its reason, and the stand-in's answer.
KNOWN_DIFFERENCES: dict[str, tuple[str, Json]] = {
    "GET /": (OWN_PAGE, own_page()),
    "POST /": (OWN_PAGE, own_page()),
    "HEAD /": (OWN_PAGE, own_page("")),
    "GET /admin/host/status, with the master key": (FEW_MEMBERS, STATUS),
    "status with the master key in the query": (FEW_MEMBERS, STATUS),
    "GET /admin/host/keys, with the master key": (FEW_PAGES, NOT_FOUND),
    "by hand, a function of HTTP": (ONLY_TIMERS, NOT_FOUND),
    "answer trace": (IN_APP_SERVICE, TRACED),
    "header 'X-Forwarded-Proto: https'": (IN_APP_SERVICE, OVER_TLS),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_app(tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def stand_in_port(app: Path, whole_cloud: LocalCloud) -> Iterator[int]:
    whole_cloud.forget()
    with serving(app, app.parent / "stand-in.log", whole_cloud.description["environment"], "") as port:
        yield port


@pytest.mark.parametrize("name", REQUESTS)
def test_the_stand_in_answers_like_the_real_host(stand_in_port: int, name: str) -> None:
    expected = [KNOWN_DIFFERENCES[name][1], "open"] if name in KNOWN_DIFFERENCES else ANSWERS[name]

    assert exchange(stand_in_port, REQUESTS[name]) == expected


def test_each_known_difference_is_still_one() -> None:
    assert [name for name, (_, own) in KNOWN_DIFFERENCES.items() if [own, "open"] == ANSWERS[name]] == []


def test_the_real_host_answers_as_recorded(app: Path, whole_cloud: LocalCloud) -> None:
    program = os.environ.get("FUNCTIONS_HOST")
    if not program:
        pytest.skip("FUNCTIONS_HOST names no program that starts the real Functions host")
    with serving(app, app.parent / "real-host.log", whole_cloud.description["environment"], program) as port:
        answers = {name: exchange(port, parts) for name, parts in REQUESTS.items()}

    assert {name: answer for name, answer in answers.items() if answer != ANSWERS[name]} == {}
    assert answers.keys() == ANSWERS.keys()


def test_the_real_host_runs_timer_functions(tmp_path: Path) -> None:
    """By their schedule and by hand, as contract/test_timers.py has it of the stand-in."""
    program = os.environ.get("FUNCTIONS_HOST")
    if not program:
        pytest.skip("FUNCTIONS_HOST names no program that starts the real Functions host")
    seconds = Timer(tmp_path, "seconds", EVERY_SECOND)
    off = Timer(tmp_path, "off", EVERY_SECOND)
    minute = Timer(tmp_path, "minute", EVERY_MINUTE, useMonitor=False)

    with host(tmp_path, FUNCTIONS_HOST=program, **{"AzureWebJobs.off.Disabled": "true"}) as client:
        seconds.wait_for_runs(2)
        assert off.runs == []
        assert run_by_hand(client, "off") == 202
        off.wait_for_runs(1)
        assert run_by_hand(client, "minute") == 202
        minute.wait_for_runs(1)
        assert run_by_hand(client, "nobody") == 404

    assert [seconds.runs[0], off.runs[0], minute.runs[0]] == [USUAL] * 3
