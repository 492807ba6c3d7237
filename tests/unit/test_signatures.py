"""Signed requests and Entra's principals: the published vectors, every bit that can be changed, every rubbish."""

import base64
import contextlib
import hashlib
import hmac
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.call import Call
from shared.callers.identify import ZENDESK_TEST_SECRET, Proofs, identify, secrets_needed
from shared.errors import CallerRefused, OurFault
from tests.unit.test_callers import BODY, FLOW, KEY, NOW, STANDARD, ZENDESK, Headers, any_caller, caller, known

ZENDESK_SECRET = "2rhmRXlPnbTY5p4mBpHcJTTDVdYVkBTrZUHMwq7d3Ew="
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SECRETS = {"zendesk": ZENDESK_SECRET, "webhooks": WEBHOOK_SECRET}
CALLERS = {"zendesk": ZENDESK, "webhooks": STANDARD, "flow": FLOW, "helpdesk": caller()}
TRIES = 5_000

# The test suite of github.com/standard-webhooks/standard-webhooks.
PUBLISHED = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
PUBLISHED_SECRETS = {"webhooks": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
PUBLISHED_BODY = b'{"test": 2432232314}'


def digest(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def zendesk(body: bytes = BODY, at: float = NOW, secret: str = ZENDESK_SECRET) -> Headers:
    timestamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "x-zendesk-webhook-signature": digest(secret.encode(), timestamp.encode() + body),
        "x-zendesk-webhook-signature-timestamp": timestamp,
    }


def standard(body: bytes = BODY, at: float = NOW, secret: str = WEBHOOK_SECRET) -> Headers:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = digest(key, f"msg_1.{at:.0f}.".encode() + body)
    return {"webhook-id": "msg_1", "webhook-timestamp": f"{at:.0f}", "webhook-signature": f"v1,{signature}"}


def principal(*roles: str, auth_typ: str = "aad", typ: str = "roles", **more: Any) -> Headers:
    claims = [{"typ": "appid", "val": "x"}, *({"typ": typ, "val": role} for role in roles)]
    text = json.dumps({"auth_typ": auth_typ, "claims": claims, "name_typ": "name", "role_typ": typ} | more)
    return {"x-ms-client-principal": base64.b64encode(text.encode()).decode()}


def signed_by(headers: Headers, body: bytes = BODY, **more: Any) -> str | None:
    return known(CALLERS, headers, body, secrets=SECRETS, **more)


def test_the_published_standard_webhooks_vector() -> None:
    at = float(PUBLISHED["webhook-timestamp"])

    assert known({"w": STANDARD}, PUBLISHED, PUBLISHED_BODY, secrets=PUBLISHED_SECRETS, now=at) == "w"


def test_the_secret_may_stand_without_its_prefix() -> None:
    secrets = {"webhooks": PUBLISHED_SECRETS["webhooks"].removeprefix("whsec_")}
    at = float(PUBLISHED["webhook-timestamp"])

    assert known({"w": STANDARD}, PUBLISHED, PUBLISHED_BODY, secrets=secrets, now=at) == "w"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("v1,{0} v1,{1}", "webhooks", id="two-signatures"),
        pytest.param("v1,{1} v1,{0}", "webhooks", id="the-second-is-ours"),
        pytest.param("v1a,{1} v1,{0}", "webhooks", id="beside-another-version"),
        pytest.param("v1,{1}", None, id="another-secrets"),
        pytest.param("v1a,{0}", None, id="as-another-version"),
        pytest.param("v2,{0}", None, id="as-a-later-version"),
        pytest.param("{0}", None, id="without-version"),
        pytest.param("v1", None, id="only-a-version"),
        pytest.param("v1,", None, id="empty"),
        pytest.param("v1,{0},v1,{0}", None, id="joined-by-commas"),
    ],
)
def test_a_list_of_signatures(pattern: str, expected: str | None) -> None:
    """A sender that rotates its secret signs with both for a while."""
    other = standard(secret="whsec_" + base64.b64encode(b"another secret of 32 bytes......").decode())
    ours = standard()
    signatures = [one["webhook-signature"].removeprefix("v1,") for one in (ours, other)]

    assert signed_by(ours | {"webhook-signature": pattern.format(*signatures)}) == expected


def test_who_is_proven_by_several_callers_is_the_first_of_them() -> None:
    both = zendesk() | {"x-caller-key": KEY}

    assert signed_by(both) == "zendesk"
    assert known(dict(reversed(CALLERS.items())), both, secrets=SECRETS) == "helpdesk"


def test_proofs_and_signatures_are_in_no_repr() -> None:
    proofs = Proofs(zendesk() | standard() | {"x-caller-key": KEY}, BODY, NOW, authenticated=False)
    texts = repr([proofs, proofs.signed("zendesk"), proofs.signed("standard-webhooks"), Call("id", proofs.headers)])

    for name in ("x-caller-key", "x-zendesk-webhook-signature", "webhook-signature"):
        assert proofs.headers[name].removeprefix("v1,") not in texts
    assert "orderId" not in texts


def test_what_was_signed_cannot_be_split_in_another_way() -> None:
    """Signed as id "msg_1.1795000000" with one body, it would also be signed as id "msg_1" with another."""
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    signature = digest(key, f"msg_1.{NOW:.0f}.{NOW:.0f}.".encode() + BODY)
    headers = {"webhook-timestamp": f"{NOW:.0f}", "webhook-signature": f"v1,{signature}"}

    assert signed_by(headers | {"webhook-id": f"msg_1.{NOW:.0f}"}) is None


def test_any_of_a_callers_secrets_may_have_signed() -> None:
    following = "whsec_" + base64.b64encode(b"the next secret, of thirty bytes").decode()

    assert secrets_needed(CALLERS, Proofs(standard(), BODY, NOW, authenticated=False)) == {"webhooks", "webhooks-next"}
    for secret in (WEBHOOK_SECRET, following):
        found = known(CALLERS, standard(secret=secret), secrets=SECRETS | {"webhooks-next": following})
        assert found == "webhooks"


def test_zendesk_signs_the_timestamp_then_the_body() -> None:
    """An old copy of its page has it the other way round."""
    good = zendesk()
    timestamp = good["x-zendesk-webhook-signature-timestamp"]
    reversed_ = digest(ZENDESK_SECRET.encode(), BODY + timestamp.encode())

    assert signed_by(good) == "zendesk"
    assert signed_by(good | {"x-zendesk-webhook-signature": reversed_}) is None


def test_zendesks_secret_is_text() -> None:
    """It looks like base64, and decoding it gives a key that signs nothing."""
    timestamp = zendesk()["x-zendesk-webhook-signature-timestamp"]
    decoded = digest(base64.b64decode(ZENDESK_SECRET), timestamp.encode() + BODY)

    assert signed_by(zendesk() | {"x-zendesk-webhook-signature": decoded}) is None


def test_zendesks_test_secret_opens_nothing() -> None:
    """Whoever reads Zendesk's documentation has it; an operator may have stored it while trying things out."""
    signed = zendesk(secret=ZENDESK_TEST_SECRET)

    assert signed_by(signed) is None
    with pytest.raises(OurFault) as caught:
        known({"zendesk": ZENDESK}, signed, secrets={"zendesk": ZENDESK_TEST_SECRET})
    assert caught.value.code == "misconfigured"
    assert ZENDESK_TEST_SECRET not in caught.value.detail


def test_zendesks_test_secret_opens_nothing_in_another_form() -> None:
    secret = f"whsec_{ZENDESK_TEST_SECRET}"

    with pytest.raises(OurFault):
        known({"w": STANDARD}, standard(secret=secret), secrets={"webhooks": secret})


@pytest.mark.parametrize(
    "held", [{}, {"zendesk": "", "webhooks": ""}, {"zendesk": ZENDESK_TEST_SECRET, "webhooks": "x"}]
)
@pytest.mark.parametrize("sign", [zendesk, standard])
def test_a_secret_that_is_missing_is_not_the_empty_key(sign: Any, held: dict[str, str]) -> None:
    """Anybody can sign with that one."""
    with contextlib.suppress(OurFault):
        assert known(CALLERS, sign(secret=""), secrets=held) is None


@pytest.mark.parametrize("secret", ["whsec_!!!", f"whsec_!{'A' * 32}", "short", "whsec_c2hvcnQ=", "whsec_\xfc"])
def test_an_unusable_secret_is_the_operators_to_mend(secret: str) -> None:
    with pytest.raises(OurFault) as caught:
        known({"w": STANDARD}, standard(), secrets={"webhooks": secret})

    assert "webhooks" in caught.value.detail
    assert secret not in caught.value.detail


def test_a_secret_that_is_no_text_proves_nothing() -> None:
    assert known({"zendesk": ZENDESK}, zendesk(), secrets={"zendesk": "\ud800"}) is None


def test_one_callers_unusable_secret_is_not_anothers_trouble() -> None:
    other = any_caller(proof="standard-webhooks", secrets=["other"])

    found = known({"other": other, "ours": STANDARD}, standard(), secrets=SECRETS | {"other": "rubbish"})

    assert found == "ours"


@pytest.mark.parametrize("sign", [zendesk, standard])
@pytest.mark.parametrize(("off_s", "good"), [(-299, True), (299, True), (-301, False), (301, False), (-1e9, False)])
def test_a_signature_is_good_for_five_minutes(sign: Any, off_s: float, good: bool) -> None:
    """Later, it is a replay, or a clock that is wrong."""
    signed = sign(at=NOW + off_s)

    assert (signed_by(signed) is not None) is good
    assert bool(secrets_needed(CALLERS, Proofs(signed, BODY, NOW, authenticated=False))) is good


def time_in(headers: Headers) -> float:
    """Return the time that *headers* claim, NOW if that cannot be read."""
    with contextlib.suppress(ValueError, OverflowError):
        if stamp := headers.get("x-zendesk-webhook-signature-timestamp"):
            return datetime.fromisoformat(stamp).timestamp()
        return float(headers["webhook-timestamp"])
    return NOW


@pytest.mark.parametrize("sign", [zendesk, standard])
def test_every_single_bit_counts(sign: Any) -> None:
    choose = random.Random(20261121)  # noqa: S311
    headers: Headers = sign()
    callers = {"zendesk": ZENDESK, "webhooks": STANDARD}
    places = {name: value.encode() for name, value in headers.items()} | {"": BODY}
    bits = [(name, bit) for name, text in places.items() for bit in range(8 * len(text))]
    assert known(callers, headers, secrets=SECRETS) is not None

    tries = [*bits, *choose.choices(bits, k=max(0, TRIES - len(bits)))]
    for name, bit in tries[:TRIES]:
        text = bytearray(places[name])
        text[bit // 8] ^= 1 << bit % 8
        changed = headers if not name else headers | {name: text.decode("latin-1")}
        body = bytes(text) if not name else BODY
        # The clock is wherever the changed timestamp would be fresh: the signature alone must refuse it.
        for now in (NOW, time_in(changed)):
            assert known(callers, changed, body, secrets=SECRETS, now=now) is None, (name, bit)


def test_a_request_is_not_signed_for_another_body() -> None:
    assert signed_by(zendesk(b""), b"") == "zendesk"
    assert signed_by(zendesk(b""), BODY) is None
    assert signed_by(standard(b"{}"), BODY) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(principal("Orders.Cancel"), "flow", id="app"),
        pytest.param(principal("Other", "Orders.Cancel"), "flow", id="several-roles"),
        pytest.param(
            principal("Orders.Cancel", typ="http://schemas.microsoft.com/ws/2008/06/identity/claims/role"),
            "flow",
            id="user",
        ),
        pytest.param(principal(), None, id="no-role"),
        pytest.param(principal("orders.cancel"), None, id="another-case"),
        pytest.param(principal("Orders.Cancel", typ="name"), None, id="another-claim"),
        pytest.param(principal("Orders.Cancel", auth_typ="github"), None, id="another-provider"),
        pytest.param(principal(claims=None), None, id="no-claims"),
        pytest.param(principal(claims=[None, 1, [], {"typ": []}, {"val": "Orders.Cancel"}]), None, id="odd-claims"),
        pytest.param({"x-ms-client-principal": "e30"}, None, id="no-padding"),
        pytest.param({"x-ms-client-principal": "W10="}, None, id="a-list"),
        pytest.param({"x-ms-client-principal": "ключ"}, None, id="not-ascii"),
        pytest.param({"x-ms-client-principal": base64.b64encode(b"[" * 40_000).decode()}, None, id="deep"),
    ],
)
def test_an_entra_principal_is_known_by_its_role(headers: Headers, expected: str | None) -> None:
    assert signed_by(headers) == expected


def test_a_principal_is_believed_only_while_azure_checks_it() -> None:
    """With App Service Authentication off, anybody can send the header."""
    assert signed_by(principal("Orders.Cancel"), authenticated=False) is None


HEADERS = (
    *("x-caller-key", "x-ms-client-principal", "x-zendesk-webhook-signature"),
    *("x-zendesk-webhook-signature-timestamp", "webhook-id", "webhook-timestamp", "webhook-signature"),
)
GOOD = zendesk() | standard() | principal("Orders.Cancel")
TEXTS = st.text(st.characters()) | st.text("0123456789-:TZ.,v =") | st.sampled_from(sorted(GOOD.values()))


@given(
    st.dictionaries(st.sampled_from(HEADERS), TEXTS),
    st.binary() | st.just(BODY),
    st.floats(allow_nan=True) | st.just(NOW),
    st.booleans(),
    st.dictionaries(st.sampled_from(["zendesk", "webhooks", "webhooks-next"]), st.text(st.characters())),
)
def test_nothing_that_is_sent_raises_anything_but_a_refusal(
    headers: Headers, body: bytes, now: float, authenticated: bool, secrets: dict[str, str]
) -> None:
    proofs = Proofs(headers, body, now, authenticated)
    secrets_needed(CALLERS, proofs)

    with contextlib.suppress(CallerRefused):
        identify(CALLERS, proofs, SECRETS)
    with contextlib.suppress(CallerRefused, OurFault):  # an operator's rubbish is the operator's to mend
        identify(CALLERS, proofs, secrets)


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        (zendesk(secret="x" * 44), "secret"),
        (zendesk(at=NOW - 1000), "5 minutes"),
        (standard() | {"webhook-timestamp": "yesterday"}, "malformed"),
        (principal("Other"), "app role"),
        ({"x-caller-key": "x" * 43}, "X-Caller-Key"),
        ({}, "X-Caller-Key"),
    ],
)
def test_a_refusal_says_what_was_wrong(headers: Headers, word: str) -> None:
    with pytest.raises(CallerRefused) as caught:
        identify(CALLERS, Proofs(headers, BODY, NOW, authenticated=True), SECRETS)

    assert word in caught.value.detail
    for secret in (*SECRETS.values(), *headers.values()):
        assert secret not in caught.value.detail
