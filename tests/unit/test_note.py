"""The note in a ticket: its lines, its marker, and when it says something new."""

import pytest

from shared.ticketing.note import Marker, Note, is_needed, markers_in

KEY = "0123456789abcdef"
OTHER = "fedcba9876543210"
NOW = 1_796_000_000.5


def marker(state: str = "cancelled", ago_s: float = 0, key: str = KEY) -> Marker:
    return Marker(key, state, NOW - ago_s)


@pytest.mark.parametrize("state", ["cancelled", "scheduled", "refused:use_subscription_cancel", "open", "dry_run"])
def test_a_marker_is_found_in_what_a_system_makes_of_a_note(state: str) -> None:
    written = marker(state)
    texts = [f"It is cancelled.\n{written.text}", f"<p>{written.text}</p>", f"a{written.text}b{written.text}"]

    assert {found for text in texts for found in markers_in(text)} == {written}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[cancel-order 0123 cancelled 2026-11-30T10:00:00.000Z]",
        f"[cancel-order {KEY} CANCELLED 2026-11-30T10:00:00.000Z]",
        f"[cancel-order {KEY} cancelled 2026-13-30T10:00:00.000Z]",
        f"[cancel-order {KEY} cancelled yesterday]",
    ],
)
def test_other_texts_have_no_marker(text: str) -> None:
    assert markers_in(text) == []


@pytest.mark.parametrize(
    ("written", "needed"),
    [
        pytest.param([], True, id="nothing was written"),
        pytest.param([marker(ago_s=60)], False, id="the same was said"),
        pytest.param([marker("open", 60)], True, id="something else was said"),
        pytest.param([marker("open", 0)], True, id="something else was said by the same follow-up"),
        pytest.param([marker("refused:not_cancellable", -1)], True, id="a note from the future is not ours"),
        pytest.param([marker("open", 60), marker(ago_s=120)], True, id="only the newest counts"),
        pytest.param([marker(ago_s=60), marker("open", 120)], False, id="the newest says the same"),
        pytest.param([marker(ago_s=60, key=OTHER)], True, id="it is about something else"),
    ],
)
def test_a_note_is_written_if_it_says_something_new(written: list[Marker], needed: bool) -> None:
    assert is_needed(marker(), written, NOW) is needed


def test_a_later_decision_counts_more() -> None:
    assert not is_needed(marker("refused:not_cancellable", 60), [marker("cancelled", 30)], NOW)


@pytest.mark.parametrize(
    ("state", "ago_s", "written", "needed"),
    [
        pytest.param("refused:not_cancellable", 60, [marker("dry_run:0123abcd", 30)], True, id="a trial run after it"),
        pytest.param("dry_run", 60, [marker("refused:not_cancellable", 30)], False, id="a trial run before it"),
        pytest.param("dry_run", 60, [marker("dry_run", 30)], False, id="two trial runs"),
        pytest.param(
            "open", 60, [marker("open", 60), marker("dry_run:0123abcd", 30)], False, id="written before a trial run"
        ),
        pytest.param("open", 30, [marker("open", 90), marker("dry_run", 60)], True, id="a trial run in between"),
    ],
)
def test_a_trial_run_says_nothing_about_a_real_request(
    state: str, ago_s: float, written: list[Marker], needed: bool
) -> None:
    assert is_needed(marker(state, ago_s), written, NOW) is needed


@pytest.mark.parametrize("is_newest_first", [False, True])
def test_two_notes_of_one_decision_are_both_the_newest(is_newest_first: bool) -> None:
    """They have the time of the request. Systems list the newest note first, or last."""
    written = [marker("open", 60), marker("still_open", 60)]
    written.sort(key=lambda own: own.state, reverse=is_newest_first)

    assert not is_needed(marker("still_open", 60), written, NOW), "its answer was lost"
    assert not is_needed(marker("still_open", 30), written, NOW), "another request"
    assert not is_needed(marker("open", 60), written, NOW), "its answer was lost"
    assert is_needed(marker("open", 30), written, NOW), "another request: somebody looks again"
    assert is_needed(marker("cancelled", 30), written, NOW)


def test_a_note_has_a_sentence_the_ids_and_its_own_id() -> None:
    members = {
        "orderId": "abc",
        "subscriptionId": None,
        "customerTenantId": "def",
        "correlationId": "ghi",
        "state": "x",
    }

    assert Note(marker(), "It is cancelled.", members).lines == [
        "It is cancelled.",
        "Order abc, customer def, correlation id ghi.",
        marker().text,
    ]


def test_a_note_in_html_shows_what_the_text_says() -> None:
    note = Note(marker(), "<b>A & B</b> is cancelled.", {"correlationId": "ghi"})

    assert note.html.startswith(
        "<p>&lt;b&gt;A &amp; B&lt;/b&gt; is cancelled.</p><p>Correlation id ghi.</p><p>[cancel-order "
    )
