"""App Service Authentication's stand-in: which tokens it believes, and what it tells the function of them."""

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

OURS, THEIRS = Signer(), Signer()
ISSUER = FUNCTION_APP.issuer.format(tenant=TENANT_ID)
SOUND = {"audience": FUNCTION_APP.audience, "issuer": ISSUER, "tenant_id": TENANT_ID, "app_id": "an-app"}
FORGED = base64.b64encode(b'{"auth_typ": "aad", "claims": [{"typ": "roles", "val": "Orders.Cancel"}]}').decode()


def token(signer: Signer = OURS, *, claims: dict[str, Any] | None = None, **changes: Any) -> str:
    return signer.new_token(**SOUND | changes, claims=claims or {})


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that answers with the headers that it sees."""

    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(dict(request.headers))

    app = with_authentication(Starlette(routes=[Route("/", echo)]), trusted_issuer(OURS.public_key))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as client:
        yield client


async def test_a_token_of_the_function_s_app_becomes_a_principal(http: httpx.AsyncClient) -> None:
    claims = {"oid": "its-id", "roles": ["Orders.Cancel", "Orders.Read"], "scp": "user_impersonation", "upn": "ada@x"}

    seen = (await http.get("/", headers={"Authorization": f"Bearer {token(claims=claims)}"})).json()

    principal = json.loads(base64.b64decode(seen["x-ms-client-principal"], validate=True))
    assert principal.keys() == {"auth_typ", "claims", "name_typ", "role_typ"}
    assert principal["auth_typ"] == "aad"
    assert [one["val"] for one in principal["claims"] if one["typ"] == "roles"] == ["Orders.Cancel", "Orders.Read"]
    assert all(isinstance(one["val"], str) for one in principal["claims"])
    assert seen["x-ms-client-principal-id"] == "its-id"
    assert seen["x-ms-client-principal-name"] == "ada@x"
    assert seen["x-ms-client-principal-idp"] == "aad"
    assert seen["authorization"].startswith("Bearer ")  # it is passed on


@pytest.mark.parametrize(
    "bearer",
    [
        pytest.param(token(THEIRS), id="another-signer"),
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
        pytest.param("x.y.z", id="rubbish"),
        pytest.param("ключ", id="not-ascii"),
    ],
)
async def test_any_other_token_ends_there(http: httpx.AsyncClient, bearer: str) -> None:
    answer = await http.get("/", headers=[(b"authorization", b"Bearer " + bearer.encode())])

    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize(
    "authorization",
    [pytest.param({}, id="none"), pytest.param({"Authorization": "Basic eDp5"}, id="of-another-kind")],
)
async def test_without_a_token_the_request_passes_as_nobody(
    http: httpx.AsyncClient, authorization: dict[str, str]
) -> None:
    """Ticketing systems have none."""
    forged = {"X-MS-CLIENT-PRINCIPAL": FORGED, "x-ms-client-principal-id": "me", "X-MS-TOKEN-AAD-ID-TOKEN": "x"}

    seen = (await http.get("/", headers={**authorization, **forged, "x-caller-key": "kept"})).json()

    assert not [name for name in seen if name.startswith("x-ms-")]
    assert seen["x-caller-key"] == "kept"


async def test_a_forged_principal_does_not_add_to_a_token_s(http: httpx.AsyncClient) -> None:
    headers = [("x-ms-client-principal", FORGED), ("authorization", f"Bearer {token()}")]

    seen = (await http.get("/", headers=headers)).json()

    assert "Orders.Cancel" not in base64.b64decode(seen["x-ms-client-principal"], validate=True).decode()


async def test_who_it_is_is_told_without_a_role_too(http: httpx.AsyncClient) -> None:
    """App Service Authentication says who it is; whether that is enough is the function's to say."""
    answer = await http.get("/", headers={"Authorization": f"bearer {token()}"})

    assert answer.status_code == 200
    assert answer.json()["x-ms-client-principal-name"] == "an-app"
