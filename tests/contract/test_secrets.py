"""No log at any level, no answer and no error shows a token, a secret or a key."""

import json
import logging

import pytest

from shared.credentials.repeats import MAX_ATTEMPTS
from shared.credentials.tokens import Credentials
from shared.errors import CancelError
from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.in_process import App, post
from tests.support.local_cloud import Json, LocalCloud
from tests.support.logged import everything_logged

pytestmark = pytest.mark.anyio

FUNCTION_KEY = "function-key-PLANTED-1"
CALLER_KEY = "caller-key-PLANTED-2"
SIGNATURE = "v1,signature-PLANTED-3"
AUTHORIZATION = "Bearer PLANTED-4"

FAULTS: dict[str, Json | None] = {
    "none": None,
    "patch-answer-lost": {"method": "PATCH", "hang_up": "after"},
    "patch-answer-broken-off": {"method": "PATCH", "hang_up": "halfway"},
    "patch-401": {"method": "PATCH", "status": 401, "times": 2},
    "patch-redirected": {"method": "PATCH", "status": 307, "headers": {"Location": "https://elsewhere.example/"}},
    "token-refused": {"service": "entra", "method": "POST", "status": 401, "body": {"error": "invalid_client"}},
    "token-junk": {"service": "entra", "method": "POST", "body": "<html>"},
    "entra-hangs-up": {"service": "entra", "hang_up": "before"},
    "vault-500": {"service": "key_vault", "status": 500},
    "vault-answer-lost": {"service": "key_vault", "hang_up": "after"},
    "identity-500": {"service": "identity", "status": 500},
}


@pytest.mark.parametrize("name", FAULTS)
async def test_no_planted_secret_comes_out(
    settings: Settings, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault := FAULTS[name]:
        cloud.fault(**fault)

    async with Runtime(settings) as runtime:
        answer = await App(runtime).post(
            {"customerTenantId": CUSTOMER, "orderId": order_id, "reason": "wrong edition"},
            x_functions_key=FUNCTION_KEY,
            x_caller_key=CALLER_KEY,
            webhook_signature=SIGNATURE,
            authorization=AUTHORIZATION,
        )
        credentials = runtime.__dict__["_credentials"].__dict__
        bearers = [token.bearer for token in credentials["_tokens"].values()]
        reprs = [repr(runtime), repr(runtime.settings), repr(credentials)]

    output = "\n".join([str(answer.body), str(dict(answer.headers)), *reprs, everything_logged(caplog)])
    account = cloud.description["accounts"]["default"]
    environment = cloud.description["environment"]
    for secret in ("PLANTED", account["clientSecret"], environment["IDENTITY_HEADER"], *bearers):
        assert secret not in output


@pytest.mark.parametrize("service", ["entra", "identity"])
@pytest.mark.parametrize("tail", ["} <!-- proxy -->", ""], ids=["broken", "incomplete"])
async def test_a_token_answer_that_cannot_be_read_is_not_logged(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str, service: str, tail: str
) -> None:
    """The SDKs log an answer that they cannot parse as a warning, with the token in it."""
    caplog.set_level(logging.DEBUG)
    body = '{"token_type": "Bearer", "access_token": "eyJPLANTED.SECRET.TOKEN"' + tail
    cloud.fault(service=service, method="POST" if service == "entra" else "GET", body=body, times=MAX_ATTEMPTS)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=1")

    assert answer.code == "credentials_unavailable"
    assert "PLANTED" not in str(answer.body) + everything_logged(caplog)


async def test_a_monstrous_error_of_entra_is_cut(app: App, cloud: LocalCloud, order_id: str) -> None:
    body = {"error": "invalid_client", "error_description": f"AADSTS{'9' * 900_000}: no"}
    cloud.fault(service="entra", method="POST", status=400, body=body, times=100)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=1")

    assert answer.status >= 500
    assert len(str(answer.body)) < 2_000


# Error pages of proxies repeat the headers of a request. BEARER stands for the token.
ECHOES: dict[str, Json] = {
    "described": {"status": 400, "body": {"code": "1", "description": "bad header Authorization: Bearer BEARER"}},
    "as-code": {"status": 400, "body": {"code": "Authorization: Bearer BEARER"}},
    "as-code-alone": {"status": 400, "body": {"code": "BEARER"}},
    "as-error-code": {"status": 400, "body": {"errorCode": "Bearer BEARER", "errorMessage": "token BEARER"}},
    "as-error": {"status": 400, "body": {"error": "BEARER", "error_description": "token BEARER"}},
    "as-inner-error": {"status": 400, "body": {"error": {"code": "BEARER", "message": {"value": "token BEARER"}}}},
    "in-an-accepted-order": {"status": 200, "body": {"status": "BEARER", "currencyCode": "token BEARER"}},
    "as-text": {"status": 403, "body": "Authorization: Bearer BEARER"},
    "again-and-again": {"status": 502, "body": "token BEARER", "times": 4, "headers": {"Retry-After": "0"}},
}


@pytest.mark.parametrize("name", ECHOES)
async def test_an_echo_of_the_token_is_not_passed_on(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    [token] = app.runtime.__dict__["_credentials"].__dict__["_tokens"].values()
    echo = json.loads(json.dumps(ECHOES[name]).replace("BEARER", token.bearer))
    cloud.fault(method="PATCH", **echo)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome or answer.body["partnerCenter"] is not None
    assert token.bearer not in str(answer.body) + everything_logged(caplog)


async def test_the_traceback_of_a_bug_holds_no_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def broken() -> Runtime:
        raise RuntimeError("a bug")

    await post(broken, {}, x_functions_key=FUNCTION_KEY)

    assert "PLANTED" not in everything_logged(caplog)
    assert "a bug" in caplog.text


async def test_neither_credentials_nor_their_errors_show_a_secret(credentials: Credentials, cloud: LocalCloud) -> None:
    bearer = await credentials.bearer("default", 30)
    with pytest.raises(CancelError) as caught:
        await credentials.bearer("expired", 30)

    error = caught.value
    texts = repr([credentials.__dict__, vars(error), str(error), error.__cause__, error.__context__])
    assert bearer not in texts
    assert cloud.description["accounts"]["expired"]["clientSecret"] not in texts


PLANTED = "answer-PLANTED-5"
REFUSALS: dict[str, Json] = {
    "identity": {"service": "identity", "status": 400, "body": {"statusCode": 400, "message": PLANTED}},
    "vault": {"service": "key_vault", "status": 403, "body": {"error": {"code": PLANTED, "message": PLANTED}}},
    "discovery": {"service": "entra", "method": "GET", "status": 400, "body": {"error": PLANTED}},
    "token": {
        "service": "entra",
        "method": "POST",
        "status": 401,
        "body": {"error": "invalid_client", "error_description": f"AADSTS7000215: {PLANTED}"},
    },
    "gateway": {"service": "entra", "status": 403, "body": f"<html>{PLANTED}</html>"},
}


@pytest.mark.parametrize("account", ["default", "user-global", "federated-global"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_the_text_of_a_refusal_is_searched_and_never_shown(
    settings: Settings, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str, account: str, name: str
) -> None:
    """A gateway's page may repeat a secret that we sent. The codes in it are enough to say what is wrong."""
    caplog.set_level(logging.DEBUG)
    cloud.fault(**REFUSALS[name])

    async with Runtime(settings) as runtime:
        app = App(runtime)
        answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "account": account})
        credentials = runtime.__dict__["_credentials"].__dict__
        errors = [error for _, error in credentials["_rejections"].values()]

    is_met = bool(errors)
    assert is_met == (not (account == "federated-global" and name in {"vault", "discovery"}))
    chain = [link for error in errors for link in (error.__cause__, error.__context__)]
    assert chain == [None] * len(chain)  # they would hold the SDK's exception, with the request and the answer
    output = f"{answer.body} {credentials} {[vars(error) for error in errors]} {everything_logged(caplog)}"
    assert "PLANTED" not in output
