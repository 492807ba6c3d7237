"""The tokens that Partner Center accepts."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.partner_center import SANDBOX, TWO_LINES, path_of, status_and_code, token_for

ANOTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        pytest.param(None, (401, "800001"), id="none"),
        pytest.param("Bearer", (401, "800001"), id="empty"),
        pytest.param("Basic dTpw", (401, "800001"), id="another scheme"),
        pytest.param("Bearer garbage", (401, "400"), id="garbage"),
        pytest.param(f"Bearer {token_for(exp=LONG_AGO)}", (401, "400"), id="expired"),
        pytest.param(f"Bearer {token_for(key=ANOTHER_KEY)}", (401, "400"), id="another's signature"),
        pytest.param(f"Bearer {token_for(aud='https://graph.windows.net')}", (401, "900420"), id="Azure AD Graph"),
        pytest.param(f"Bearer {token_for(aud='https://management.azure.com')}", (401, "400"), id="another audience"),
        pytest.param(f"Bearer {token_for(str(uuid4()))}", (403, "1002"), id="unknown tenant"),
        pytest.param(f"Bearer {token_for(SANDBOX.upper())}", (200, None), id="valid"),
    ],
)
def test_a_token_is_checked(http: httpx.Client, authorization: str | None, expected: tuple[int, Any]) -> None:
    answer = http.get(path_of(TWO_LINES), headers={"Authorization": authorization} if authorization else {})

    assert status_and_code(answer) == expected
    assert answer.headers.get("www-authenticate") == ("Bearer" if expected[0] == 401 else None)


@pytest.mark.usefixtures("partner_center")
def test_an_unsigned_token_is_refused(http: httpx.Client) -> None:
    claims = jwt.decode(token_for(), options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", "none")

    answer = http.get(path_of(TWO_LINES), headers={"Authorization": f"Bearer {unsigned}"})

    assert status_and_code(answer) == (401, "400")
