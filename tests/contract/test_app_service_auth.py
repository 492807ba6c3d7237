"""App Service Authentication's stand-in: which tokens it accepts, and how the function sees the client."""

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from infra.local.callers import FUNCTION_APP, TENANT_ID, trusted_issuer
from infra.local.entra.signing import Signer
from infra.local.functions.app_service_auth import with_authentication

pytestmark = pytest.mark.anyio

TRUSTED, ANOTHER = Signer(), Signer()
ISSUER = FUNCTION_APP.issuer.format(tenant=TENANT_ID)
VALID = {"audience": FUNCTION_APP.audience, "issuer": ISSUER, "tenant_id": TENANT_ID, "app_id": "an-app"}
FORGED = base64.b64encode(b'{"auth_typ": "aad", "claims": [{"typ": "roles", "val": "Orders.Cancel"}]}').decode()


def token(signer: Signer = TRUSTED, *, claims: dict[str, Any] | None = None, **changes: Any) -> str:
    return signer.new_token(**VALID | changes, claims=claims or {})


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that answers with the headers that it gets."""

    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(dict(request.headers))

    app = with_authentication(Starlette(routes=[Route("/", echo)]), trusted_issuer(TRUSTED.public_key))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as client:
        yield client


async def test_a_token_of_the_function_s_app_becomes_a_principal(http: httpx.AsyncClient) -> None:
    claims = {"oid": "its-id", "roles": ["Orders.Cancel", "Orders.Read"], "scp": "user_impersonation", "upn": "ada@x"}

    received = (await http.get("/", headers={"Authorization": f"Bearer {token(claims=claims)}"})).json()

    principal = json.loads(base64.b64decode(received["x-ms-client-principal"], validate=True))
    assert principal.keys() == {"auth_typ", "claims", "name_typ", "role_typ"}
    assert principal["auth_typ"] == "aad"
    assert [claim["val"] for claim in principal["claims"] if claim["typ"] == "roles"] == [
        "Orders.Cancel",
        "Orders.Read",
    ]
    assert all(isinstance(claim["val"], str) for claim in principal["claims"])
    assert received["x-ms-client-principal-id"] == "its-id"
    assert received["x-ms-client-principal-name"] == "ada@x"
    assert received["x-ms-client-principal-idp"] == "aad"
    assert received["authorization"].startswith("Bearer ")  # the function gets it too


@pytest.mark.parametrize(
    "bearer",
    [
        pytest.param(token(ANOTHER), id="another-signer"),
        pytest.param(token(audience="https://api.partnercenter.microsoft.com"), id="another-audience"),
        pytest.param(token(issuer=f"https://sts.windows.net/{TENANT_ID}/"), id="another-issuer"),
        pytest.param(token(lifetime_s=-60), id="expired"),
        pytest.param(token(claims={"nbf": int(time.time()) + 600}), id="not-yet"),
        pytest.param(
            jwt.encode({"aud": FUNCTION_APP.audience, "iss": ISSUER}, key="", algorithm="none"), id="unsigned"
        ),
        pytest.param(jwt.encode({"aud": FUNCTION_APP.audience}, "k" * 32, algorithm="HS256"), id="shared-key"),
        pytest.param(f"{token()[:-6]}AAAAAA", id="another-signature"),
        pytest.param("", id="empty"),
        pytest.param("x.y.z", id="not-a-jwt"),
        pytest.param("ключ", id="not-ascii"),
    ],
)
async def test_any_other_token_is_answered_with_401(http: httpx.AsyncClient, bearer: str) -> None:
    answer = await http.get("/", headers=[(b"authorization", b"Bearer " + bearer.encode())])

    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize(
    "authorization",
    [pytest.param({}, id="none"), pytest.param({"Authorization": "Basic eDp5"}, id="of-another-kind")],
)
async def test_a_request_without_a_token_passes_without_a_principal(
    http: httpx.AsyncClient, authorization: dict[str, str]
) -> None:
    """Ticketing systems have no token. A principal that they send themselves is forged."""
    forged = {"X-MS-CLIENT-PRINCIPAL": FORGED, "x-ms-client-principal-id": "me", "X-MS-TOKEN-AAD-ID-TOKEN": "x"}

    received = (await http.get("/", headers={**authorization, **forged, "x-caller-key": "kept"})).json()

    assert not [name for name in received if name.startswith("x-ms-")]
    assert received["x-caller-key"] == "kept"


async def test_a_forged_principal_adds_nothing_to_that_of_a_token(http: httpx.AsyncClient) -> None:
    headers = [("x-ms-client-principal", FORGED), ("authorization", f"Bearer {token()}")]

    received = (await http.get("/", headers=headers)).json()

    assert "Orders.Cancel" not in base64.b64decode(received["x-ms-client-principal"], validate=True).decode()


async def test_a_token_without_a_role_becomes_a_principal_too(http: httpx.AsyncClient) -> None:
    """App Service Authentication names the client; the function decides whether it may call."""
    answer = await http.get("/", headers={"Authorization": f"bearer {token()}"})

    assert answer.status_code == 200
    assert answer.json()["x-ms-client-principal-name"] == "an-app"
