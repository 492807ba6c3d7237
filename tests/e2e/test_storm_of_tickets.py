"""A storm of tickets that are told: no note is untrue, and no ticket is forgotten, whatever fails and whenever.

`--soak` delivers 2,000 times for 300 tickets; without it a twentieth of that.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.support.answers import Answer
from tests.support.functions_host import NEEDS_ONE_RUN_AT_A_TIME
from tests.support.storm_told_tickets import CANCELLED, SCHEDULED, UNCHANGED, ToldTicket
from tests.support.told_storm import Note, Size, Storm, run_storm

pytestmark = NEEDS_ONE_RUN_AT_A_TIME

SIZE = Size(tickets=16, deliveries=100, kills=2, outages=1, comments=10, in_flight=16, stormy_runs=0)
SOAK_SIZE = Size(tickets=300, deliveries=2_000, kills=12, outages=10, comments=200, in_flight=48, stormy_runs=4)
CLOCK_S = 0.002  # a marker has milliseconds
OPEN = {"open", "still_open"}
WRITES_ONCE = {"zendesk", "jira"}  # by safe_update, and by properties of comments that show at once
CANNOT_BE_READ = {"standard-webhooks"}


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, report: list[str]) -> Storm:
    size = SOAK_SIZE if pytestconfig.getoption("--soak") else SIZE
    storm = run_storm(tmp_path_factory.mktemp("told-storm"), size)
    report += summary(storm)
    return storm


def summary(storm: Storm) -> list[str]:
    notes = [note for ticket in storm.tickets for note in storm.notes_of(ticket)]
    results = Counter(call.answer.result if call.answer else "connection broken" for call in storm.calls)
    events = Counter(record["event"] for record in storm.records)
    how_often = (
        f"{storm.size.deliveries:,} deliveries ({len(storm.calls):,} attempts) for {len(storm.tickets)} tickets in"
        f" {storm.seconds:.0f} s, with {storm.size.kills} kills: {len(notes)} notes, {len(duplicates(storm))} twice,"
        f" {storm.rounds} runs of the timer, {storm.lost_writes} answers to a note lost"
    )
    return [
        how_often,
        f"answers: {dict(results.most_common())}",
        f"notes: {dict(Counter(note.state for note in notes).most_common())}",
        f"events: {dict(events)}, requests behind the function: {dict(storm.requests)}",
        f"not told: {dict(Counter(record['reason'] for record in storm.records if record['event'] == 'not_told'))}",
        f"poison: {dict(Counter(str((message.content or {}).get('reason')) for message in storm.poison))}",
    ]


def each_note(storm: Storm) -> Iterator[tuple[ToldTicket, Note]]:
    for ticket in storm.tickets:
        for note in storm.notes_of(ticket):
            yield ticket, note


def by_key(notes: list[Note]) -> list[list[Note]]:
    found = defaultdict(list)
    for note in notes:
        found[note.key].append(note)
    return list(found.values())


def duplicates(storm: Storm) -> list[tuple[ToldTicket, str]]:
    """Return each note that says what the one before it about the same thing says."""
    return [
        (ticket, after.text)
        for ticket in storm.tickets
        for notes in by_key(storm.notes_of(ticket))
        for before, after in pairwise(notes)
        if before.state == after.state
    ]


def answers_by_correlation_id(storm: Storm) -> dict[str, Answer]:
    return {call.answer.body["correlationId"]: call.answer for call in storm.calls if call.answer}


def answer_to(note: Note, answers: dict[str, Answer]) -> Answer | None:
    """Return the answer to the request that *note* names; None if its connection broke."""
    return next((answer for own_id, answer in answers.items() if own_id in note.text), None)


def test_every_ticket_is_told(storm: Storm) -> None:
    """Unless the queue has taken none of its follow-ups, or its callers could not be identified."""
    refused_by_queue = {record["correlationId"] for record in storm.records if record["event"] == "not_told"}
    to_be_told = {
        (call.ticket.system, call.ticket.ticket_id)
        for call in storm.calls
        if call.answer
        and call.answer.code != "credentials_unavailable"
        and call.answer.body["correlationId"] not in refused_by_queue
    }

    assert len(to_be_told) > len(storm.tickets) // 2
    assert [own for own in to_be_told if not storm.notes[own]] == []


def test_done_is_told_only_once_it_is_done(storm: Storm) -> None:
    """Partner Center shows it when the note is first seen, and a PATCH that can have done it came before."""
    told = [(ticket, note) for ticket, note in each_note(storm) if note.state in {CANCELLED, SCHEDULED}]

    assert told
    assert [(ticket, note) for ticket, note in told if note.state != ticket.end or not note.was_done] == []
    for ticket, note in told:
        assert max(storm.patched_at[target] for target in ticket.targets) <= note.decided_at + CLOCK_S


def test_what_is_done_is_told(storm: Storm) -> None:
    done = [ticket for ticket in storm.tickets if ticket.ticket_id in storm.done]

    assert done
    assert [ticket for ticket in done if ticket.end not in {note.state for note in storm.notes_of(ticket)}] == []


def test_what_can_be_done_is_done(storm: Storm) -> None:
    """A request can be refused where somebody else has added seats, or where its sender gave up."""
    sent = Counter(call.ticket.ticket_id for call in storm.calls if call.answer)
    asked = [
        ticket
        for ticket in storm.tickets
        if ticket.end != UNCHANGED and "gain" not in ticket.kind and sent[ticket.ticket_id] > 1
    ]

    left = [ticket.kind for ticket in asked if ticket.ticket_id not in storm.done]
    assert len(left) <= len(asked) // 5, left


def test_a_refusal_is_told_only_if_the_request_was_refused_with_this_code(storm: Storm) -> None:
    """A connection that broke may have had any answer. A dry run that failed is looked at again."""
    answers = answers_by_correlation_id(storm)
    for ticket, note in each_note(storm):
        state, _, code = note.state.partition(":")
        if state == "refused" and (answer := answer_to(note, answers)):
            assert answer.code == code or (ticket.kind == "dry run" and answer.status in {429, 503}), (ticket, note)


def test_a_dry_run_is_told_only_of_a_dry_run(storm: Storm) -> None:
    for ticket, note in each_note(storm):
        assert (note.state == "dry_run") <= (ticket.kind == "dry run"), (ticket, note)


def test_open_is_told_only_while_nothing_is_decided(storm: Storm) -> None:
    """After a note that something is decided no note says that the same is open. A receiver can be told late."""
    for ticket in storm.tickets:
        for notes in by_key(storm.notes_of(ticket)):
            for before, after in pairwise(notes):
                if ticket.system not in CANNOT_BE_READ:
                    assert before.decided_at <= after.decided_at, (ticket, before, after)
                    assert not (before.state in {CANCELLED, SCHEDULED} and after.state in OPEN), (ticket, before, after)


def test_no_note_is_written_twice(storm: Storm) -> None:
    """Others than these systems take a note twice if the answer to the first one is lost."""
    twice = duplicates(storm)

    assert [ticket for ticket, _ in twice if ticket.system in WRITES_ONCE] == []
    assert len(twice) <= storm.lost_writes


def test_no_message_is_left(storm: Storm) -> None:
    assert storm.left == []


def test_only_what_could_not_be_told_was_put_aside(storm: Storm) -> None:
    """One ticket was closed at first, which Zendesk refuses. What was put aside is told once it is put back."""
    reasons = {
        (message.content or {}).get("ticketId"): (message.content or {}).get("reason") for message in storm.poison
    }

    assert reasons == {storm.closed.ticket_id: "note_refused"}
    assert storm.notes_of(storm.closed)


def test_the_faults_reached_the_tickets(storm: Storm) -> None:
    """Otherwise the tests above would prove less."""
    systems = {ticket.system for ticket, _ in each_note(storm)}
    results = Counter(call.answer.result if call.answer else "broken" for call in storm.calls)

    assert len(systems) == 5
    assert storm.lost_writes
    assert results["outcome_unknown"] or results["pending"]
    assert results["broken"]
