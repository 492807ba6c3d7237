"""Tokens, secrets and keys are in nothing that comes out: no log at any level, no answer, no text of an error."""

import logging
import traceback
from typing import Any

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.contract.conftest import App, post
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

FUNCTION_KEY = "function-key-PLANTED-1"
CALLER_KEY = "caller-key-PLANTED-2"
SIGNATURE = "v1,signature-PLANTED-3"


def whole(order_id: str, **more: Any) -> dict[str, Any]:
    return {"customerTenantId": CUSTOMER, "orderId": order_id} | more


def echo(bearer: str) -> list[dict[str, Any]]:
    """Return faults that give back what they were sent, as error pages of proxies do."""
    return [
        {"status": 400, "body": {"code": "1", "description": f"bad header Authorization: Bearer {bearer}"}},
        {"status": 403, "body": f"Authorization: Bearer {bearer}"},
        {"status": 502, "body": f"token {bearer}", "times": 4, "headers": {"Retry-After": "0"}},
    ]


CASES: list[dict[str, Any]] = [
    {},
    {"method": "PATCH", "hang_up": "after"},
    {"method": "PATCH", "hang_up": "halfway"},
    {"method": "PATCH", "status": 401, "times": 2},
    {"method": "PATCH", "status": 307, "headers": {"Location": "https://elsewhere.example/"}},
    {"service": "entra", "method": "POST", "status": 401, "body": {"error": "invalid_client"}},
    {"service": "entra", "method": "POST", "body": "<html>"},
    {"service": "entra", "hang_up": "before"},
    {"service": "key_vault", "status": 500},
    {"service": "key_vault", "hang_up": "after"},
    {"service": "identity", "status": 500},
]


@pytest.mark.parametrize("fault", CASES, ids=str)
async def test_nothing_planted_comes_out(
    settings: Settings, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str, fault: dict[str, Any]
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault:
        cloud.fault(**fault)

    async with Runtime(settings) as runtime:
        _, answer, headers = await App(runtime).post(
            whole(order_id, reason="wrong edition"),
            x_functions_key=FUNCTION_KEY,
            x_caller_key=CALLER_KEY,
            webhook_signature=SIGNATURE,
            authorization="Bearer PLANTED-4",
        )
        held = runtime.__dict__["_credentials"].__dict__
        bearers = [one.bearer for one in held["_tokens"].values()]
        texts = [repr(runtime), repr(runtime.settings), repr(held)]

    out = "\n".join([str(answer), str(dict(headers)), *texts, *map(format_record, caplog.records)])
    account = cloud.description["accounts"]["default"]
    environment = cloud.description["environment"]
    for secret in ("PLANTED", account["clientSecret"], environment["IDENTITY_HEADER"], *bearers):
        assert secret not in out


@pytest.mark.parametrize("service", ["entra", "identity"])
@pytest.mark.parametrize("tail", [" <!-- proxy -->", ""], ids=["broken", "incomplete"])
async def test_a_token_answer_that_cannot_be_read_is_not_logged(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str, service: str, tail: str
) -> None:
    """The SDKs put what they could not parse into their warnings, the token in it too."""
    caplog.set_level(logging.DEBUG)
    body = '{"token_type": "Bearer", "access_token": "eyJPLANTED.SECRET.TOKEN"' + (f"}}{tail}" if tail else "")
    cloud.fault(service=service, method="POST" if service == "entra" else "GET", body=body)

    _, problem, _ = await app.post(whole(order_id))

    assert problem["code"] == "credentials_unavailable"
    assert "PLANTED" not in "\n".join([str(problem), *map(format_record, caplog.records)])


@pytest.mark.parametrize("number", range(3), ids=["described", "as-text", "again-and-again"])
async def test_an_echo_of_the_token_stops_here(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str, number: int
) -> None:
    caplog.set_level(logging.DEBUG)
    await app.post(whole(order_id, dryRun=True))
    [held] = app.runtime.__dict__["_credentials"].__dict__["_tokens"].values()
    cloud.fault(method="PATCH", **echo(held.bearer)[number])

    _, problem, _ = await app.post(whole(order_id))

    assert problem["partnerCenter"] is not None
    assert held.bearer not in "\n".join([str(problem), *map(format_record, caplog.records)])


async def test_the_traceback_of_a_bug_holds_no_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def broken() -> Runtime:
        raise RuntimeError("a bug")

    await post(broken, {}, x_functions_key=FUNCTION_KEY)

    assert "PLANTED" not in "\n".join(map(format_record, caplog.records))
    assert "a bug" in caplog.text


def format_record(record: logging.LogRecord) -> str:
    trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
    return f"{record.name} {record.getMessage()} {record.__dict__} {trace}"
