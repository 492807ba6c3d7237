"""The rules of the queue stand-in that a comparison with the emulator does not show."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from infra.local.storage_queue import MAX_MESSAGES, QUEUES, WEEK_S
from tests.support.storage_queue import QueueService
from tests.support.witness.queue_users import Refused, RestUser, message_body

QUEUE, POISON = QUEUES
HOUR_S = 3600


def test_both_queues_exist_at_the_start(user: RestUser) -> None:
    """As Bicep creates them; the product creates none."""
    assert [user.count(queue) for queue in ("follow-up", "follow-up-poison")] == [0, 0]


def test_the_queues_are_separate(user: RestUser) -> None:
    user.put(POISON, "text")

    assert (user.count(QUEUE), user.count(POISON)) == (0, 1)
    assert user.get(QUEUE, 1, hidden_s=1) == []


def test_a_hidden_message_shows_at_its_second(service: QueueService, user: RestUser) -> None:
    user.put(QUEUE, "text", hidden_s=WEEK_S)

    service.pass_time(WEEK_S - 0.1)
    before = user.get(QUEUE, 1, hidden_s=1)
    service.pass_time(0.1)

    assert before == []
    assert [message.text for message in user.get(QUEUE, 1, hidden_s=1)] == ["text"]


def test_without_a_time_to_live_a_message_is_gone_after_seven_days(
    service: QueueService, user: RestUser, http: httpx.Client
) -> None:
    http.post(f"{service.url}/{QUEUE}/messages", content=message_body("default")).raise_for_status()
    user.put(QUEUE, "for ever", ttl_s=-1)

    service.pass_time(WEEK_S)

    assert user.count(QUEUE) == 1
    assert [message.text for message in user.get(QUEUE, 2, hidden_s=1)] == ["for ever"]


def test_an_expired_message_cannot_be_changed(service: QueueService, user: RestUser) -> None:
    message = user.put(QUEUE, "text", ttl_s=10)
    service.pass_time(10)

    with pytest.raises(Refused, match="404 MessageNotFound"):
        user.update(QUEUE, message, hidden_s=0)
    with pytest.raises(Refused, match="404 MessageNotFound"):
        user.delete(QUEUE, message)


def test_an_update_cannot_hide_a_message_beyond_its_expiry(user: RestUser) -> None:
    message = user.put(QUEUE, "text", ttl_s=HOUR_S)

    with pytest.raises(Refused, match="400 InvalidQueryParameterValue"):
        user.update(QUEUE, message, hidden_s=HOUR_S + 1)
    assert user.update(QUEUE, message, hidden_s=HOUR_S).receipt != message.receipt


def test_a_get_may_hide_a_message_beyond_its_expiry(user: RestUser) -> None:
    user.put(QUEUE, "text", ttl_s=HOUR_S)

    assert len(user.get(QUEUE, 1, hidden_s=HOUR_S + 1)) == 1


def test_a_refused_update_changes_nothing(service: QueueService, user: RestUser) -> None:
    user.put(QUEUE, "text")
    [message] = user.get(QUEUE, 1, hidden_s=10)
    with pytest.raises(Refused, match="400 PopReceiptMismatch"):
        user.update(QUEUE, message._replace(receipt="AAAA"), hidden_s=0, text="other")

    assert user.get(QUEUE, 1, hidden_s=1) == []
    service.pass_time(10)
    [again] = user.get(QUEUE, 1, hidden_s=1)
    assert (again.text, again.dequeue_count) == ("text", 2)


def test_an_update_does_not_count_as_a_get(user: RestUser) -> None:
    message = user.put(QUEUE, "text")
    for _ in range(3):
        message = user.update(QUEUE, message, hidden_s=0, text="newer")

    [got] = user.get(QUEUE, 1, hidden_s=1)
    assert (got.text, got.dequeue_count, got.message_id) == ("newer", 1, message.message_id)


def test_messages_of_one_get_have_receipts_of_their_own(user: RestUser) -> None:
    for number in range(MAX_MESSAGES + 1):
        user.put(QUEUE, str(number))

    got = user.get(QUEUE, MAX_MESSAGES, hidden_s=60)

    assert [message.text for message in got] == [str(number) for number in range(MAX_MESSAGES)]
    assert len({message.receipt for message in got}) == MAX_MESSAGES
    assert user.count(QUEUE) == MAX_MESSAGES + 1


def test_receipts_have_characters_that_a_query_must_escape(
    service: QueueService, user: RestUser, http: httpx.Client
) -> None:
    """`+` in a query is a blank: a client that pastes the receipt into the address fails, as at the real service."""
    message = user.put(QUEUE, "text")
    pasted = f"{service.url}/{QUEUE}/messages/{message.message_id}?popreceipt={message.receipt}&visibilitytimeout=0"

    assert {"+", "/", "="} <= set(message.receipt)
    assert http.put(pasted).headers["x-ms-error-code"] == "PopReceiptMismatch"
    assert user.update(QUEUE, message, hidden_s=0)


def test_times_are_those_of_the_service(service: QueueService, user: RestUser) -> None:
    with service.sdk() as sdk:
        queue = sdk.get_queue_client(QUEUE)
        sent = queue.send_message("text", visibility_timeout=60, time_to_live=120)
        for_ever = queue.send_message("text", time_to_live=-1)

    inserted = sent.inserted_on
    assert inserted
    assert inserted.tzinfo == UTC
    assert sent.next_visible_on == inserted + timedelta(seconds=60)
    assert sent.expires_on == inserted + timedelta(seconds=120)
    assert for_ever.expires_on == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert user.count(QUEUE) == 2


def test_an_update_tells_when_the_message_shows(service: QueueService, user: RestUser) -> None:
    with service.sdk() as sdk:
        queue = sdk.get_queue_client(QUEUE)
        sent = queue.send_message("text")
        updated = queue.update_message(sent, visibility_timeout=60)

    assert sent.inserted_on
    assert updated.next_visible_on == sent.inserted_on + timedelta(seconds=60)
    assert user.get(QUEUE, 1, hidden_s=1) == []


@pytest.mark.parametrize(
    "body",
    [
        b"<QueueMessage><MessageText>x</MessageText>",
        b"<Message><MessageText>x</MessageText></Message>",
        b"<QueueMessage><Text>x</Text></QueueMessage>",
        b'<?xml version="1.0" encoding="none"?><QueueMessage><MessageText>x</MessageText></QueueMessage>',
        b"\xff",
    ],
)
def test_a_body_that_is_no_message_is_refused(
    service: QueueService, user: RestUser, http: httpx.Client, body: bytes
) -> None:
    message = user.put(QUEUE, "text", hidden_s=60)
    put = http.post(f"{service.url}/{QUEUE}/messages", content=body)
    query = {"popreceipt": message.receipt, "visibilitytimeout": "0"}
    update = http.put(f"{service.url}/{QUEUE}/messages/{message.message_id}", params=query, content=body)

    for answer in (put, update):
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidXmlDocument")
    assert user.count(QUEUE) == 1
    assert user.get(QUEUE, 1, hidden_s=1) == []


def test_a_number_of_many_digits_is_refused(service: QueueService, user: RestUser, http: httpx.Client) -> None:
    answer = http.get(f"{service.url}/{QUEUE}/messages", params={"numofmessages": "9" * 5000})

    assert answer.headers["x-ms-error-code"] == "InvalidQueryParameterValue"
    assert user.count(QUEUE) == 0


def test_another_account_is_not_here(service: QueueService, http: httpx.Client) -> None:
    base = service.url.rpartition("/")[0]

    assert http.get(f"{base}/another/{QUEUE}", params={"comp": "metadata"}).status_code == 404


def test_only_metadata_of_a_queue_can_be_read(service: QueueService, http: httpx.Client) -> None:
    for query in ({}, {"comp": "acl"}):
        assert http.get(f"{service.url}/{QUEUE}", params=query).headers["x-ms-error-code"] == (
            "InvalidQueryParameterValue"
        )


def test_an_error_says_which_request_it_answers(service: QueueService, http: httpx.Client) -> None:
    first, second = (http.get(f"{service.url}/missing/messages") for _ in range(2))

    assert first.headers["x-ms-request-id"] in first.text
    assert first.headers["x-ms-request-id"] != second.headers["x-ms-request-id"]
