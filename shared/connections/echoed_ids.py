"""Recognises an answer to another request by the ids that Partner Center echoes in it.

No I/O, clock or randomness. A server or a proxy may send an answer that nobody waits for, or one that comes late. The
next request on that connection, which may be for another order, would take it for its own.

Source: Partner Center's "headers" page: an answer has the MS-RequestId and MS-CorrelationId of its request.
"""

from collections.abc import Mapping

REQUEST_ID, CORRELATION_ID = "ms-requestid", "ms-correlationid"
REMEMBERED = 1000  # request ids; an answer that comes late is late by seconds


class EchoedIds:
    """Compares the ids of answers with those of their requests. All header names are in lower case."""

    def __init__(self) -> None:
        self._sent: dict[str, None] = {}  # the newest request ids of this worker, oldest first
        self._origins_with_own_ids: set[str] = set()

    def note_sent(self, request: Mapping[str, str]) -> None:
        """Remember the id of a request with the headers *request*."""
        if request_id := request.get(REQUEST_ID):
            self._sent[request_id.lower()] = None
            if len(self._sent) > REMEMBERED:
                del self._sent[next(iter(self._sent))]

    def is_of_another_request(
        self, origin: str, request: Mapping[str, str], answer: Mapping[str, str], *, is_first: bool
    ) -> bool:
        """True if the headers *answer* belong to another request than the headers *request*.

        *is_first*: it is the first answer on its connection, so there was no other request. If its ids differ all
        the same, a gateway at *origin* makes ids of its own. They prove nothing there from then on, unless they are
        those of another request of this worker.
        """
        sent_id, answered_id = (headers.get(REQUEST_ID, "").lower() for headers in (request, answer))
        if not sent_id or not answered_id or sent_id == answered_id:
            return False
        if answered_id in self._sent:
            return True
        correlation_id = answer.get(CORRELATION_ID, "").lower()
        if not correlation_id or correlation_id == request.get(CORRELATION_ID, "").lower():
            return False
        if is_first:
            self._origins_with_own_ids.add(origin)
        return origin not in self._origins_with_own_ids
