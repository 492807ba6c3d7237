"""An app that proves itself with an assertion signed by its certificate's key."""

import base64
import time
from datetime import timedelta

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from infra.local.accounts import PFX, LocalAccount
from infra.local.cloud import LocalCloud
from infra.local.entra.client_proof import JWT_BEARER
from infra.local.entra.signing import new_key_pair
from infra.local.national_clouds import NATIONAL_CLOUDS, NationalCloud
from tests.support.entra import (
    account_with,
    change_registration,
    control,
    msal_app,
    post_token_request,
    refusal_of,
    scope_of,
    token_by_certificate,
)
from tests.support.local_cloud import Json


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_another_certificate_is_refused_until_it_is_registered(cloud: LocalCloud, at: NationalCloud) -> None:
    account = account_with(cloud, "certificate", at)
    new = control(cloud, "POST", "certificates")
    in_vault = new["pfx" if account.certificate_type == PFX else "pem"]

    assert refusal_of(token_by_certificate, cloud, account, in_vault) == 700027
    both = [account.key_pair.pem if account.key_pair else "", new["pem"]]
    change_registration(cloud, account, certificates=both)
    assert token_by_certificate(cloud, account, in_vault)
    assert token_by_certificate(cloud, account)
    change_registration(cloud, account, certificate=new["pem"])
    assert token_by_certificate(cloud, account, in_vault)
    assert refusal_of(token_by_certificate, cloud, account) == 700027


def test_a_certificate_without_its_chain_is_refused(cloud: LocalCloud) -> None:
    """Entra finds an app registered by subject name only by x5c; a product that does not send it must fail here."""
    account = account_with(cloud, "certificate", "global")

    assert refusal_of(token_by_certificate, cloud, account, send_certificate_chain=False) == 700027


@pytest.mark.parametrize("is_over", [True, False])
def test_a_certificate_past_its_time_is_refused(cloud: LocalCloud, is_over: bool) -> None:
    account = account_with(cloud, "certificate", "global")
    pem = new_key_pair(lifetime=timedelta(hours=-1) if is_over else timedelta(hours=1)).pem
    change_registration(cloud, account, certificate=pem, **({} if is_over else {"trouble": "secret_expired"}))

    assert refusal_of(token_by_certificate, cloud, account, pem) == 700027


def test_a_sha_256_thumbprint_with_ps256_is_accepted(cloud: LocalCloud) -> None:
    """msal sends these if it gets key and certificate separately."""
    account = account_with(cloud, "certificate", "usgov")
    credential = {"private_key": account.certificate, "public_certificate": public_pem(account.certificate)}

    answer = msal_app(cloud, account, credential).acquire_token_for_client([scope_of(account)])

    assert answer["access_token"]


def public_pem(pem: str) -> str:
    return pem[pem.index("-----BEGIN CERTIFICATE") :]


def assertion_of(cloud: LocalCloud, account: LocalAccount, header: Json, claims: Json, key: str | None = None) -> str:
    """Return a valid assertion of *account*, with changes in *header* and *claims*, signed with *key* if given.

    None in *header* removes the member.
    """
    certificate = x509.load_pem_x509_certificate(account.certificate.encode())
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA1())).decode()  # noqa: S303
    chain = ["".join(public_pem(account.certificate).splitlines()[1:-1])]
    endpoint = f"{cloud.url('entra', account.national_cloud)}/{account.tenant_id}/oauth2/v2.0/token"
    now = int(time.time())
    valid = {"aud": endpoint, "iss": account.client_id, "sub": account.client_id, "nbf": now, "exp": now + 600}
    headers = {name: value for name, value in ({"x5t": thumbprint, "x5c": chain} | header).items() if value is not None}
    return jwt.encode(valid | claims, key or account.certificate, algorithm="RS256", headers=headers)


@pytest.mark.parametrize(
    ("header", "claims", "number"),
    [
        pytest.param({}, {}, None, id="valid"),
        pytest.param({"x5t": None}, {}, 5002723, id="no-thumbprint"),
        pytest.param({"x5t": "AAAA"}, {}, 700027, id="unknown-thumbprint"),
        pytest.param({"x5c": None}, {}, 700027, id="no-chain"),
        pytest.param({"x5c": ["AAAA"]}, {}, 700027, id="broken-chain"),
        pytest.param({}, {"iss": "someone"}, 700021, id="another-issuer"),
        pytest.param({}, {"sub": "someone"}, 700021, id="another-subject"),
        pytest.param({}, {"aud": "https://login.microsoftonline.com"}, 700023, id="another-audience"),
        pytest.param({}, {"exp": 1_700_000_000}, 700024, id="expired"),
        pytest.param({}, {"nbf": 4_000_000_000}, 700024, id="not-yet-valid"),
        pytest.param({}, {"exp": None}, 50027, id="no-end"),
    ],
)
def test_an_assertion_is_checked(
    cloud: LocalCloud, http: httpx.Client, header: Json, claims: Json, number: int | None
) -> None:
    account = account_with(cloud, "certificate", "global")
    assertion = assertion_of(cloud, account, header, claims)

    answer = post_token_request(cloud, http, account, client_assertion=assertion, client_assertion_type=JWT_BEARER)

    assert answer.get("error_codes", [None]) == [number]


def test_an_assertion_signed_with_another_key_is_refused(cloud: LocalCloud, http: httpx.Client) -> None:
    """The thumbprint is public, the key is not."""
    account = account_with(cloud, "certificate", "global")
    assertion = assertion_of(cloud, account, {}, {}, key=new_key_pair().pem)

    answer = post_token_request(cloud, http, account, client_assertion=assertion, client_assertion_type=JWT_BEARER)

    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [700027])


def test_five_minutes_of_clock_skew_are_allowed(cloud: LocalCloud, http: httpx.Client) -> None:
    account = account_with(cloud, "certificate", "global")

    for skew_s in (-280, 280):
        now = int(time.time()) + skew_s
        assertion = assertion_of(cloud, account, {}, {"nbf": now, "iat": now, "exp": now + 1})
        answer = post_token_request(cloud, http, account, client_assertion=assertion, client_assertion_type=JWT_BEARER)
        assert "access_token" in answer
