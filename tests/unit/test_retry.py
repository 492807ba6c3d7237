"""The repeats of a request to Partner Center, and the pause before each."""

import pytest

from shared.partner_center.retry import retry_delay_s
from shared.replies.refusals import THROTTLED_S
from shared.replies.reply import Reply
from tests.support.replies import reply


@pytest.mark.parametrize(
    ("answer", "attempt", "jitter", "delay_s"),
    [
        pytest.param(None, 1, 0.0, 0.125, id="no-answer-least"),
        pytest.param(None, 1, 1.0, 0.25, id="no-answer-most"),
        pytest.param(None, 3, 1.0, 1.0, id="doubles"),
        pytest.param(None, 4, 0.0, None, id="four-attempts-are-all"),
        pytest.param(reply(503), 2, 1.0, 0.5, id="5xx"),
        pytest.param(reply(503, retry_after_s=3), 1, 0.5, 3, id="as-partner-center-asks"),
        pytest.param(reply(503, retry_after_s=0), 1, 0.0, 0.25, id="no-pause-least"),
        pytest.param(reply(503, retry_after_s=0), 1, 0.5, 0.375, id="no-pause-with-jitter"),
        pytest.param(reply(503, retry_after_s=0.1), 3, 0.0, 1.0, id="no-pause-grows"),
        pytest.param(reply(429, retry_after_s=57), 1, 0.5, 57, id="429"),
        pytest.param(reply(429), 1, 0.5, THROTTLED_S, id="429-without-a-time"),
        pytest.param(reply(429, retry_after_s=1), 4, 0.5, None, id="429-fourth"),
        pytest.param(reply(400, "800061"), 1, 0.5, None, id="refusal"),
        pytest.param(reply(200), 1, 0.5, None, id="success"),
        pytest.param(reply(200, "800003"), 1, 0.5, None, id="success-with-the-code-of-a-failure"),
        pytest.param(reply(401, "800003"), 1, 1.0, 0.25, id="401-with-the-code-of-a-passing-failure"),
        pytest.param(reply(401), 1, 0.5, None, id="401-needs-no-pause"),
    ],
)
def test_retry_delay(answer: Reply | None, attempt: int, jitter: float, delay_s: float | None) -> None:
    assert retry_delay_s(answer, attempt, jitter) == delay_s
