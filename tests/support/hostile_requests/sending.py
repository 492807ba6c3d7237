"""Sends hostile requests to the live function, and checks what each answer claims."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support.answers import Answer, check_shape
from tests.support.hostile_requests.headers import are_readable
from tests.support.hostile_requests.requests import HostileRequest
from tests.support.local_cloud import Json, LocalCloud


def send_examples(
    round_number: int,
    count: int,
    requests: st.SearchStrategy[HostileRequest],
    send: Callable[[HostileRequest], None],
) -> None:
    """Call *send* with *count* examples, which are the same whenever a round of this number runs."""

    @seed(round_number)
    @settings(
        derandomize=True,
        database=None,  # a failure comes back without it: the round is the seed
        max_examples=count,
        deadline=None,  # an answer waits for the machine's other work
        phases=(Phase.generate, Phase.shrink),
        # Bodies of 64 KiB are big, and live HTTP is slow.
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example),
    )
    @given(requests)
    def send_example(request: HostileRequest) -> None:
        send(request)

    send_example()


@dataclass
class Sender:
    """Sends requests to the function and keeps the answers of one round."""

    cloud: LocalCloud
    answers: list[Answer] = field(default_factory=list)

    def send(self, request: HostileRequest) -> None:
        """Send *request* and check that its answer has one of the two shapes, or is the host's own."""
        url, key = self.cloud.description["functionUrl"], self.cloud.description["functionKey"]
        content = [request.body] if request.is_chunked else request.body
        headers = [("x-functions-key", key), *request.headers.items()]
        response = self.cloud.http.send(httpx.Request("POST", url, content=content, headers=headers))
        if not are_readable(request.headers):
            assert (response.status_code, response.content) == (400, b"")  # from the host
            return

        answer = Answer.of(response)
        wants_problem = "application/problem+json" in response.request.headers.get("accept", "").lower()
        is_problem = answer.status != 200
        check_shape(answer, "application/problem+json" if wants_problem and is_problem else "application/json")
        assert answer.status < 500, answer.body
        self.answers.append(answer)

    def send_and_expect_refusal(self, request: HostileRequest) -> None:
        """Send *request*, which has a mistake, and check that the answer says so."""
        self.send(request)
        assert self.answers[-1].status in {400, 413, 415}, request

    @property
    def statuses(self) -> set[int]:
        return {answer.status for answer in self.answers}

    def check_patches(self) -> None:
        """Check that each PATCH belongs to an answer that says so: as done, or as refused by Partner Center."""
        with_patch = {
            answer.request_id
            for answer in self.answers
            if (answer.body["dryRun"] is False if answer.outcome else answer.body["partnerCenter"] is not None)
        }
        patches = [request for request in self.cloud.requests("partner_center") if request["method"] == "PATCH"]
        assert {patch["headers"]["ms-requestid"] for patch in patches} <= with_patch

    def check_order(self, before: Json) -> None:
        """Check that the order is as it was *before*, except for the lines that an answer calls cancelled."""
        after = self.cloud.order(before["id"])
        claims = [
            answer.body["cancelledLineItems"]
            for answer in self.answers
            if answer.body.get("orderId") == before["id"] and answer.body["dryRun"] is False
        ]
        if not claims:
            assert after == before
            return
        is_whole = after["status"] == "cancelled"
        assert claims[-1] == [
            line["lineItemNumber"] for line in after["lineItems"] if is_whole or line["quantity"] == 0
        ]
