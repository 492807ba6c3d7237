"""How texts from outside are cleaned of credentials, and cut."""

import json

import pytest

from shared.outside_text import clean_text, cut_to_json

# Made up; none is a credential of anybody.
TOKEN = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJ4In0.c2lnbmF0dXJl-_"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        pytest.param(f"Authorization: Bearer {TOKEN}", "Authorization: …", id="header"),
        pytest.param(f"authorization=BEARER\t{TOKEN}; x", "authorization=… x", id="another-case"),
        pytest.param("token Bearer opaque-token was refused", "token … was refused", id="opaque-token"),
        pytest.param(f"the token {TOKEN}, of today", "the token …, of today", id="token-alone"),
        pytest.param(f"{TOKEN}{TOKEN}", "…", id="twice"),
        pytest.param(TOKEN[:-30], "…", id="a-token-that-breaks-off"),
        pytest.param(f"İİİ{TOKEN}", "İİİ…", id="after-letters-that-are-two-in-lower-case"),
        pytest.param("\x00".join(f"Bearer {TOKEN}"), "…", id="utf-16"),
        pytest.param("two\nlines\tand a tab", "two\nlines\tand a tab", id="line-breaks-stay"),
        pytest.param("bell\x07 and escape\x1b", "bell and escape", id="control-characters"),
        pytest.param("half \ud800 pair", "half ? pair", id="half-a-surrogate-pair"),
        pytest.param("eyJx4F_rVgDAXMxypQPPnTquuXhKVK_3N1", "eyJx4F_rVgDAXMxypQPPnTquuXhKVK_3N1", id="order-id"),
        pytest.param("Microsoft 365 Business Basic", "Microsoft 365 Business Basic", id="product"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_text_is_cleaned(text: str, cleaned: str) -> None:
    assert clean_text(text, 200) == cleaned


@pytest.mark.parametrize(
    ("text", "shown"), [("x" * 10, "x" * 10), ("x" * 11, "x" * 9 + "…"), ("x" * 900_000, "x" * 9 + "…")]
)
def test_a_text_is_cut_and_marked(text: str, shown: str) -> None:
    assert clean_text(text, 10) == shown


def test_a_token_is_removed_before_the_text_is_cut() -> None:
    """A cut token would no longer look like one."""
    assert clean_text(f"Bearer {TOKEN}", 10) == "…"
    assert clean_text(f"12345678 {TOKEN}", 10) == "12345678 …"


@pytest.mark.parametrize("part", ["eyJ", "eyJ.", "bearer ", "bearer", "a.", ".", " "])
def test_a_text_as_long_as_a_body_does_not_stop_the_worker(part: str) -> None:
    """This would take hours if its time grew with the square of the length."""
    assert len(clean_text(part * 350_000, 200)) <= 200


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        pytest.param("x" * 20, 20, "x" * 20, id="fits"),
        pytest.param("x" * 21, 20, "x" * 14 + "…", id="ascii"),
        pytest.param("é" * 4, 24, "é" * 4, id="6-bytes-each-fit"),
        pytest.param("é" * 5, 24, "é" * 3 + "…", id="6-bytes-each"),
        pytest.param("😀" * 3, 30, "😀" * 2 + "…", id="12-bytes-each"),
        pytest.param('"' * 11, 20, '"' * 7 + "…", id="escaped"),
        pytest.param("", 20, "", id="empty"),
    ],
)
def test_a_text_is_cut_by_the_length_of_its_json(text: str, limit: int, shown: str) -> None:
    assert cut_to_json(text, limit) == shown
    assert len(json.dumps(shown)) - 2 <= limit
