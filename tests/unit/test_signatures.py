"""Signed requests and Entra's principals: published vectors, every bit that can be changed, and invalid input."""

import base64
import contextlib
import random
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.call import Call
from shared.callers.identify import identify, secrets_needed
from shared.callers.proofs import ZENDESK_TEST_SECRET, Proofs
from shared.errors import CallerRefused, OurFault
from tests.support.callers import (
    BODY,
    FLOW,
    KEY,
    NOW,
    STANDARD_WEBHOOKS,
    WEBHOOK_SECRET,
    ZENDESK,
    ZENDESK_SECRET,
    Headers,
    any_caller,
    caller_of,
    digest,
    key_caller,
    principal_headers,
    standard_webhooks_headers,
    svix_headers,
    under_svix_names,
    zendesk_headers,
)

SECRETS = {"zendesk": ZENDESK_SECRET, "webhooks": WEBHOOK_SECRET}
CALLERS = {"zendesk": ZENDESK, "webhooks": STANDARD_WEBHOOKS, "flow": FLOW, "helpdesk": key_caller()}
TRIES = 5_000

# The test suite of github.com/standard-webhooks/standard-webhooks.
PUBLISHED = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
PUBLISHED_SECRETS = {"webhooks": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
PUBLISHED_BODY = b'{"test": 2432232314}'


def signed_by(headers: Headers, body: bytes = BODY, **more: Any) -> str | None:
    return caller_of(CALLERS, headers, body, secrets=SECRETS, **more)


def test_the_published_standard_webhooks_vector() -> None:
    at = float(PUBLISHED["webhook-timestamp"])

    assert caller_of({"w": STANDARD_WEBHOOKS}, PUBLISHED, PUBLISHED_BODY, secrets=PUBLISHED_SECRETS, now=at) == "w"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(under_svix_names(PUBLISHED), id="svix-names"),
        pytest.param(PUBLISHED | under_svix_names(PUBLISHED), id="both-names"),
        pytest.param(under_svix_names(PUBLISHED) | {"webhook-signature": ""}, id="an-empty-header-beside"),
        pytest.param(under_svix_names(PUBLISHED) | {"webhook-id": "x"}, id="another-id-beside"),
    ],
)
def test_svix_signs_under_its_own_header_names(headers: Headers) -> None:
    """Svix sends `svix-id`, `svix-timestamp` and `svix-signature`, unless its customer asks for the other names."""
    at = float(PUBLISHED["webhook-timestamp"])

    assert caller_of({"w": STANDARD_WEBHOOKS}, headers, PUBLISHED_BODY, secrets=PUBLISHED_SECRETS, now=at) == "w"


def test_the_headers_of_one_signature_have_one_name() -> None:
    """A mixture of the two names is none that anybody sends."""
    ours, svix = standard_webhooks_headers(), svix_headers()

    for name in ours:
        mixed = {other: value for other, value in ours.items() if other != name}
        replaced = name.replace("webhook-", "svix-")
        assert signed_by(mixed | {replaced: svix[replaced]}) is None


def test_the_secret_may_stand_without_its_prefix() -> None:
    secrets = {"webhooks": PUBLISHED_SECRETS["webhooks"].removeprefix("whsec_")}
    at = float(PUBLISHED["webhook-timestamp"])

    assert caller_of({"w": STANDARD_WEBHOOKS}, PUBLISHED, PUBLISHED_BODY, secrets=secrets, now=at) == "w"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("v1,{0} v1,{1}", "webhooks", id="two-signatures"),
        pytest.param("v1,{1} v1,{0}", "webhooks", id="the-second-is-ours"),
        pytest.param("v1a,{1} v1,{0}", "webhooks", id="beside-another-version"),
        pytest.param("v1,{1}", None, id="of-another-secret"),
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
    other = standard_webhooks_headers(secret="whsec_" + base64.b64encode(b"another secret of 32 bytes......").decode())
    ours = standard_webhooks_headers()
    signatures = [headers["webhook-signature"].removeprefix("v1,") for headers in (ours, other)]

    assert signed_by(ours | {"webhook-signature": pattern.format(*signatures)}) == expected


def test_a_request_that_proves_several_callers_is_of_the_first() -> None:
    both = zendesk_headers() | {"x-caller-key": KEY}

    assert signed_by(both) == "zendesk"
    assert caller_of(dict(reversed(CALLERS.items())), both, secrets=SECRETS) == "helpdesk"


def test_proofs_and_signatures_are_in_no_repr() -> None:
    headers = zendesk_headers() | standard_webhooks_headers() | svix_headers() | {"x-caller-key": KEY}
    proofs = Proofs(headers, BODY, NOW, is_entra_checked=False)
    texts = repr([proofs, proofs.signed("zendesk"), proofs.signed("standard-webhooks"), Call("id", proofs.headers)])

    for name in ("x-caller-key", "x-zendesk-webhook-signature", "webhook-signature", "svix-signature"):
        assert proofs.headers[name].removeprefix("v1,") not in texts
    assert "orderId" not in texts


def test_a_signed_text_cannot_be_split_in_another_way() -> None:
    """A signature for the id "msg_1.1795000000" and one body would also fit the id "msg_1" and another body."""
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    signature = digest(key, f"msg_1.{NOW:.0f}.{NOW:.0f}.".encode() + BODY)
    headers = {"webhook-timestamp": f"{NOW:.0f}", "webhook-signature": f"v1,{signature}"}

    assert signed_by(headers | {"webhook-id": f"msg_1.{NOW:.0f}"}) is None


def test_any_of_a_callers_secrets_may_have_signed() -> None:
    next_secret = "whsec_" + base64.b64encode(b"the next secret, of thirty bytes").decode()
    secrets = SECRETS | {"webhooks-next": next_secret}
    proofs = Proofs(standard_webhooks_headers(), BODY, NOW, is_entra_checked=False)

    assert secrets_needed(CALLERS, proofs) == {"webhooks", "webhooks-next"}
    for secret in (WEBHOOK_SECRET, next_secret):
        assert caller_of(CALLERS, standard_webhooks_headers(secret=secret), secrets=secrets) == "webhooks"


def test_zendesk_signs_the_timestamp_then_the_body() -> None:
    """An old copy of Zendesk's page has them in the other order."""
    good = zendesk_headers()
    timestamp = good["x-zendesk-webhook-signature-timestamp"]
    reversed_ = digest(ZENDESK_SECRET.encode(), BODY + timestamp.encode())

    assert signed_by(good) == "zendesk"
    assert signed_by(good | {"x-zendesk-webhook-signature": reversed_}) is None


def test_zendesks_secret_is_text() -> None:
    """It looks like base64, but the decoded bytes are not the key."""
    timestamp = zendesk_headers()["x-zendesk-webhook-signature-timestamp"]
    decoded = digest(base64.b64decode(ZENDESK_SECRET), timestamp.encode() + BODY)

    assert signed_by(zendesk_headers() | {"x-zendesk-webhook-signature": decoded}) is None


def test_zendesks_test_secret_is_refused() -> None:
    """It is in Zendesk's documentation, and an operator may have stored it during a first try."""
    signed = zendesk_headers(secret=ZENDESK_TEST_SECRET)

    assert signed_by(signed) is None
    with pytest.raises(OurFault) as caught:
        caller_of({"zendesk": ZENDESK}, signed, secrets={"zendesk": ZENDESK_TEST_SECRET})
    assert caught.value.code == "misconfigured"
    assert ZENDESK_TEST_SECRET not in caught.value.detail


def test_zendesks_test_secret_is_refused_in_another_form() -> None:
    secret = f"whsec_{ZENDESK_TEST_SECRET}"

    with pytest.raises(OurFault):
        caller_of({"w": STANDARD_WEBHOOKS}, standard_webhooks_headers(secret=secret), secrets={"webhooks": secret})


@pytest.mark.parametrize(
    "stored", [{}, {"zendesk": "", "webhooks": ""}, {"zendesk": ZENDESK_TEST_SECRET, "webhooks": "x"}]
)
@pytest.mark.parametrize("sign", [zendesk_headers, standard_webhooks_headers, svix_headers])
def test_a_secret_that_is_missing_is_not_the_empty_key(sign: Any, stored: dict[str, str]) -> None:
    """Anybody can sign with an empty key."""
    with contextlib.suppress(OurFault):
        assert caller_of(CALLERS, sign(secret=""), secrets=stored) is None


def test_a_signature_that_lacks_a_header_needs_no_secret() -> None:
    """Anybody could make the function read Key Vault."""
    for headers in (zendesk_headers(), standard_webhooks_headers(), svix_headers()):
        for left_out in headers:
            rest = {name: value for name, value in headers.items() if name != left_out}
            assert secrets_needed(CALLERS, Proofs(rest, BODY, NOW, is_entra_checked=False)) == set(), left_out


@pytest.mark.parametrize("secret", ["whsec_!!!", f"whsec_!{'A' * 32}", "short", "whsec_c2hvcnQ=", "whsec_\xfc"])
def test_an_unusable_secret_is_misconfigured(secret: str) -> None:
    with pytest.raises(OurFault) as caught:
        caller_of({"w": STANDARD_WEBHOOKS}, standard_webhooks_headers(), secrets={"webhooks": secret})

    assert "webhooks" in caught.value.detail
    assert secret not in caught.value.detail


def test_a_secret_that_is_no_text_proves_nothing() -> None:
    assert caller_of({"zendesk": ZENDESK}, zendesk_headers(), secrets={"zendesk": "\ud800"}) is None


def test_an_unusable_secret_of_one_caller_does_not_harm_another() -> None:
    callers = {"other": any_caller(proof="standard-webhooks", secrets=["other"]), "ours": STANDARD_WEBHOOKS}

    found = caller_of(callers, standard_webhooks_headers(), secrets=SECRETS | {"other": "rubbish"})

    assert found == "ours"


@pytest.mark.parametrize("sign", [zendesk_headers, standard_webhooks_headers, svix_headers])
@pytest.mark.parametrize(("offset_s", "valid"), [(-299, True), (299, True), (-301, False), (301, False), (-1e9, False)])
def test_a_signature_is_valid_for_five_minutes(sign: Any, offset_s: float, valid: bool) -> None:
    """A later request is a replay, or a clock is wrong."""
    signed = sign(at=NOW + offset_s)

    assert (signed_by(signed) is not None) is valid
    assert bool(secrets_needed(CALLERS, Proofs(signed, BODY, NOW, is_entra_checked=False))) is valid


def time_in(headers: Headers) -> float:
    """Return the time in *headers*, NOW if it cannot be read."""
    with contextlib.suppress(ValueError, OverflowError):
        if stamp := headers.get("x-zendesk-webhook-signature-timestamp"):
            return datetime.fromisoformat(stamp).timestamp()
        return float(headers.get("webhook-timestamp") or headers["svix-timestamp"])
    return NOW


@pytest.mark.parametrize("sign", [zendesk_headers, standard_webhooks_headers, svix_headers])
def test_every_single_bit_counts(sign: Any) -> None:
    generator = random.Random(20261121)  # noqa: S311
    headers: Headers = sign()
    callers = {"zendesk": ZENDESK, "webhooks": STANDARD_WEBHOOKS}
    places = {name: value.encode() for name, value in headers.items()} | {"": BODY}
    bits = [(name, bit) for name, text in places.items() for bit in range(8 * len(text))]
    assert caller_of(callers, headers, secrets=SECRETS) is not None

    tries = [*bits, *generator.choices(bits, k=max(0, TRIES - len(bits)))]
    for name, bit in tries[:TRIES]:
        text = bytearray(places[name])
        text[bit // 8] ^= 1 << bit % 8
        changed = headers if not name else headers | {name: text.decode("latin-1")}
        body = bytes(text) if not name else BODY
        # The clock is also set to the changed time, so that only the signature can refuse it.
        for now in (NOW, time_in(changed)):
            assert caller_of(callers, changed, body, secrets=SECRETS, now=now) is None, (name, bit)


def test_a_signature_does_not_fit_another_body() -> None:
    assert signed_by(zendesk_headers(b""), b"") == "zendesk"
    assert signed_by(zendesk_headers(b""), BODY) is None
    assert signed_by(standard_webhooks_headers(b"{}"), BODY) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(principal_headers("Orders.Cancel"), "flow", id="app"),
        pytest.param(principal_headers("Other", "Orders.Cancel"), "flow", id="several-roles"),
        pytest.param(
            principal_headers("Orders.Cancel", typ="http://schemas.microsoft.com/ws/2008/06/identity/claims/role"),
            "flow",
            id="user",
        ),
        pytest.param(principal_headers(), None, id="no-role"),
        pytest.param(principal_headers("orders.cancel"), None, id="another-case"),
        pytest.param(principal_headers("Orders.Cancel", typ="name"), None, id="another-claim"),
        pytest.param(principal_headers("Orders.Cancel", auth_typ="github"), None, id="another-provider"),
        pytest.param(principal_headers(claims=None), None, id="no-claims"),
        pytest.param(
            principal_headers(claims=[None, 1, [], {"typ": []}, {"val": "Orders.Cancel"}]), None, id="odd-claims"
        ),
        pytest.param({"x-ms-client-principal": "e30"}, None, id="no-padding"),
        pytest.param(
            {"x-ms-client-principal": "!" + principal_headers("Orders.Cancel")["x-ms-client-principal"]},
            None,
            id="not-base64",
        ),
        pytest.param({"x-ms-client-principal": "W10="}, None, id="a-list"),
        pytest.param({"x-ms-client-principal": "ключ"}, None, id="not-ascii"),
        pytest.param({"x-ms-client-principal": base64.b64encode(b"[" * 40_000).decode()}, None, id="deep"),
    ],
)
def test_an_entra_principal_is_known_by_its_role(headers: Headers, expected: str | None) -> None:
    assert signed_by(headers) == expected


def test_a_principal_is_accepted_only_while_azure_checks_it() -> None:
    """With App Service Authentication off, anybody can send the header."""
    assert signed_by(principal_headers("Orders.Cancel"), is_entra_checked=False) is None


HEADERS = (
    *("x-caller-key", "x-ms-client-principal", "x-zendesk-webhook-signature"),
    *("x-zendesk-webhook-signature-timestamp", "webhook-id", "webhook-timestamp", "webhook-signature"),
    *("svix-id", "svix-timestamp", "svix-signature"),
)
GOOD = zendesk_headers() | standard_webhooks_headers() | svix_headers() | principal_headers("Orders.Cancel")
TEXTS = st.text(st.characters()) | st.text("0123456789-:TZ.,v =") | st.sampled_from(sorted(GOOD.values()))


@given(
    st.dictionaries(st.sampled_from(HEADERS), TEXTS),
    st.binary() | st.just(BODY),
    st.floats(allow_nan=True) | st.just(NOW),
    st.booleans(),
    st.dictionaries(st.sampled_from(["zendesk", "webhooks", "webhooks-next"]), st.text(st.characters())),
)
def test_invalid_input_raises_nothing_but_a_refusal(
    headers: Headers, body: bytes, now: float, is_entra_checked: bool, secrets: dict[str, str]
) -> None:
    proofs = Proofs(headers, body, now, is_entra_checked)
    secrets_needed(CALLERS, proofs)

    with contextlib.suppress(CallerRefused):
        identify(CALLERS, proofs, SECRETS)
    with contextlib.suppress(CallerRefused, OurFault):  # for a secret that cannot be used
        identify(CALLERS, proofs, secrets)


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (zendesk_headers(secret="x" * 44), "secret"),
        (zendesk_headers(at=NOW - 1000), "5 minutes"),
        (standard_webhooks_headers() | {"webhook-timestamp": "yesterday"}, "webhook-signature is malformed"),
        (svix_headers() | {"svix-timestamp": "yesterday"}, "svix-signature is malformed"),
        (svix_headers(b"{}"), "svix-signature was not made with the secret"),
        (principal_headers("Other"), "app role"),
        ({"x-caller-key": "x" * 43}, "X-Caller-Key"),
        ({}, "X-Caller-Key"),
    ],
)
def test_a_refusal_says_what_was_wrong(headers: Headers, text: str) -> None:
    with pytest.raises(CallerRefused) as caught:
        identify(CALLERS, Proofs(headers, BODY, NOW, is_entra_checked=True), SECRETS)

    assert text in caught.value.detail
    for secret in (*SECRETS.values(), *headers.values()):
        assert secret not in caught.value.detail


INTRODUCTION = "The request carries no valid proof of who sends it; nothing was changed."
NO_KEY, WRONG_KEY = "Send the caller's own key in X-Caller-Key.", "X-Caller-Key is not the key of a known caller."
NO_ROLE = "The app or user does not have the app role that is required."
ENTRA_OFF = "Entra identities are not accepted: App Service Authentication is off."


@pytest.mark.parametrize(
    ("names", "headers", "is_entra_checked", "sentences"),
    [
        pytest.param(["helpdesk"], {}, True, [NO_KEY], id="no-key"),
        pytest.param(["helpdesk"], {"x-caller-key": "x" * 43}, True, [WRONG_KEY], id="wrong-key"),
        pytest.param(["flow"], {}, True, [], id="no-identity"),
        pytest.param(["flow"], principal_headers("Other"), True, [NO_ROLE], id="no-role"),
        pytest.param(["flow"], principal_headers("Orders.Cancel"), False, [ENTRA_OFF], id="entra-off"),
        pytest.param(["zendesk"], principal_headers("Other"), True, [], id="a-proof-that-no-caller-uses"),
        pytest.param(["helpdesk"], svix_headers(b"{}"), True, [NO_KEY], id="a-signature-that-no-caller-uses"),
        pytest.param(["helpdesk"], {}, False, [NO_KEY], id="entra-that-no-caller-uses"),
    ],
)
def test_a_refusal_advises_only_what_a_caller_can_use(
    names: list[str], headers: Headers, is_entra_checked: bool, sentences: list[str]
) -> None:
    """Advice about a proof that the operator has not set up leads the reader astray."""
    callers = {name: CALLERS[name] for name in names}

    with pytest.raises(CallerRefused) as caught:
        identify(callers, Proofs(headers, BODY, NOW, is_entra_checked), {})

    assert caught.value.detail == " ".join([INTRODUCTION, *sentences])
