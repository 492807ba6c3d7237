"""Who may cancel what."""

import hashlib
import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from shared.callers.identify import Proofs, identify, permit
from shared.contract import CancelRequest
from shared.errors import CallerRefused
from shared.settings import Account, AnyCaller, Caller

OURS = "bd59b416-37f9-4d8f-8df3-5750111fc615"
THEIRS = "45411344-b09d-47e7-9653-542006bf9766"
KEY = "k" * 43
NOW = 1_795_000_000.0
BODY = b'{"customerTenantId": "bd59b416-37f9-4d8f-8df3-5750111fc615", "orderId": "ORDER-ID"}'

type Headers = dict[str, str]


def any_caller(**members: object) -> AnyCaller:
    return TypeAdapter[AnyCaller](AnyCaller).validate_python(members)


def caller(**scope: object) -> AnyCaller:
    return any_caller(**{"proof": "key", "sha256": hashlib.sha256(KEY.encode()).hexdigest()} | scope)


ZENDESK = any_caller(proof="zendesk", secrets=["zendesk"])
STANDARD = any_caller(proof="standard-webhooks", secrets=["webhooks", "webhooks-next"])
FLOW = any_caller(proof="entra", role="Orders.Cancel")


def known(
    callers: dict[str, AnyCaller],
    headers: Headers,
    body: bytes = BODY,
    *,
    secrets: dict[str, str] | None = None,
    now: float = NOW,
    authenticated: bool = True,
) -> str | None:
    """Return who is known, None if nobody is."""
    try:
        return identify(callers, Proofs(headers, body, now, authenticated), secrets or {})
    except CallerRefused:
        return None


def account(**more: object) -> Account:
    plain = {"cloud": "global", "tenantId": OURS, "clientId": OURS, "clientSecret": "s", "mode": "live"}
    return Account.model_validate(plain | more)


def request(customer: str = OURS, **more: Any) -> CancelRequest:
    return CancelRequest.model_validate({"customerTenantId": customer, "orderId": "ORDER-ID"} | more)


def test_a_caller_is_known_by_its_key() -> None:
    others = caller(sha256="0" * 64)

    assert known({"others": others, "helpdesk": caller()}, {"x-caller-key": KEY}) == "helpdesk"


@pytest.mark.parametrize(
    "key", [None, "", KEY[:-1], "ключ", "\ud800"], ids=["none", "empty", "shorter", "not-ascii", "no-text"]
)
def test_whoever_matches_none_is_refused(key: str | None) -> None:
    assert known({"helpdesk": caller()}, {} if key is None else {"x-caller-key": key}) is None


def test_a_refusal_is_a_401() -> None:
    with pytest.raises(CallerRefused) as caught:
        identify({"helpdesk": caller()}, Proofs({}, BODY, NOW, authenticated=True), {})

    assert (caught.value.code, caught.value.status) == ("caller_not_authenticated", 401)


def test_a_key_of_32_characters_is_long_enough() -> None:
    shortest = "k" * 32

    assert known({"a": caller(sha256=hashlib.sha256(shortest.encode()).hexdigest())}, {"x-caller-key": shortest}) == "a"


def test_a_short_key_proves_nothing() -> None:
    """The hash in the setting cannot tell that somebody chose a password."""
    short = "k" * 31

    assert (
        known({"careless": caller(sha256=hashlib.sha256(short.encode()).hexdigest())}, {"x-caller-key": short}) is None
    )


@pytest.mark.parametrize(
    ("who", "where", "what", "code"),
    [
        pytest.param(None, account(), request(), None, id="all-open"),
        pytest.param(caller(), account(), request(), None, id="no-scope"),
        pytest.param(caller(accounts=["default"]), account(), request(), None, id="its-account"),
        pytest.param(caller(accounts=["x"]), account(), request(), "caller_not_allowed", id="another-account"),
        pytest.param(caller(customers=[OURS.upper()]), account(), request(), None, id="its-customer"),
        pytest.param(caller(customers=[THEIRS]), account(), request(), "caller_not_allowed", id="another-customer"),
        pytest.param(caller(dryRunOnly=True), account(), request(dryRun=True), None, id="dry-run"),
        pytest.param(caller(dryRunOnly=True), account(), request(), "caller_not_allowed", id="real-run"),
        pytest.param(
            caller(dryRunOnly=True), account(mode="dry_run"), request(), "caller_not_allowed", id="not-softened"
        ),
        pytest.param(None, account(mode="off"), request(), "account_off", id="off"),
        pytest.param(None, account(mode="off"), request(dryRun=True), "account_off", id="off-is-off"),
        pytest.param(None, account(customers=[OURS]), request(), None, id="account-customer"),
        pytest.param(None, account(customers=[THEIRS]), request(), "customer_not_allowed", id="not-its-customer"),
    ],
)
def test_permit(who: Caller | None, where: Account, what: CancelRequest, code: str | None) -> None:
    if code is None:
        permit(who, "default", where, what)
        return
    with pytest.raises(CallerRefused) as caught:
        permit(who, "default", where, what)

    assert (caught.value.code, caught.value.status) == (code, 403)


def test_the_hash_of_nothing_is_nobodys_key() -> None:
    """A script that hashes a variable which is not set makes it: without care, an open door."""
    careless = caller(sha256=hashlib.sha256(b"").hexdigest())

    for headers in ({}, {"x-caller-key": ""}):
        assert known({"careless": careless}, headers) is None


def test_a_key_is_only_kept_as_its_hash() -> None:
    assert KEY not in json.dumps(caller().model_dump(mode="json"))
