"""Callers that prove themselves by a key of their own."""

import hashlib
import json

import pytest

from shared.callers.identify import identify
from shared.callers.proofs import Proofs
from shared.errors import CallerRefused
from tests.support.callers import BODY, KEY, NOW, caller_of, key_caller


def test_a_caller_is_known_by_its_key() -> None:
    others = key_caller(sha256="0" * 64)

    assert caller_of({"others": others, "helpdesk": key_caller()}, {"x-caller-key": KEY}) == "helpdesk"


@pytest.mark.parametrize(
    "key", [None, "", KEY[:-1], "ключ", "\ud800"], ids=["none", "empty", "shorter", "not-ascii", "no-text"]
)
def test_an_unknown_key_is_refused(key: str | None) -> None:
    assert caller_of({"helpdesk": key_caller()}, {} if key is None else {"x-caller-key": key}) is None


def test_a_refusal_is_a_401() -> None:
    with pytest.raises(CallerRefused) as caught:
        identify({"helpdesk": key_caller()}, Proofs({}, BODY, NOW, is_entra_checked=True), {})

    assert (caught.value.code, caught.value.status) == ("caller_not_authenticated", 401)


def test_a_key_of_32_characters_is_long_enough() -> None:
    key = "k" * 32
    callers = {"helpdesk": key_caller(sha256=hashlib.sha256(key.encode()).hexdigest())}

    assert caller_of(callers, {"x-caller-key": key}) == "helpdesk"


def test_a_short_key_proves_nothing() -> None:
    """The hash in the setting does not show that somebody chose a password as the key."""
    key = "k" * 31
    callers = {"careless": key_caller(sha256=hashlib.sha256(key.encode()).hexdigest())}

    assert caller_of(callers, {"x-caller-key": key}) is None


def test_the_hash_of_an_empty_text_is_no_key() -> None:
    """A script makes this hash from a variable that is not set. It must not let everybody in."""
    careless = key_caller(sha256=hashlib.sha256(b"").hexdigest())

    for headers in ({}, {"x-caller-key": ""}):
        assert caller_of({"careless": careless}, headers) is None


def test_a_key_is_only_kept_as_its_hash() -> None:
    assert KEY not in json.dumps(key_caller().model_dump(mode="json"))
