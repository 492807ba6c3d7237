"""The meaning of each of Partner Center's answers: the protocol's error table, from its documentation."""

import json

import pytest

from shared.errors import CancelError
from shared.partner_center.retry import retry_delay_s
from shared.replies.answers import accounts_for_change, class_of, error_of, is_throttled, pause_s
from shared.replies.codes import CODES
from shared.replies.refusals import CLASSES
from shared.replies.reply import Reply
from tests.support.replies import reply

# Every row of Partner Center's "error-codes" page, with the code that callers branch on.
TABLE = [
    (400, "900117", "cancellation_window_passed"),
    (400, "900213", "cancellation_window_passed"),
    (400, "800061", "not_cancellable"),
    (400, "800063", "use_subscription_cancel"),
    (403, "800019", "not_cancellable_in_production"),
    (403, "800077", "use_subscription_cancel"),
    (409, "800014", "order_busy"),
    (409, "800060", "order_busy"),
    (400, "800071", "line_item_mismatch"),
    (400, "800040", "not_cancellable"),
    (400, "800096", "not_cancellable"),
    (400, "800042", "not_cancellable"),
    (400, "900141", "not_cancellable"),
    (400, "900127", "not_cancellable"),
    (403, "900321", "not_cancellable"),
    (403, "900263", "use_subscription_cancel"),
    (404, "20000", "order_not_found"),
    (404, "60003", "customer_not_found"),
    (400, "900118", "customer_not_found"),
    (403, "20002", "customer_not_found"),
    (403, "900159", "customer_not_found"),
    (404, "1000", "unexpected_answer"),
    (404, "20003", "subscription_not_found"),
    (404, "800037", "subscription_not_found"),
    (400, "900277", "not_cancellable"),
    (400, "900280", "order_busy"),
    (400, "800081", "not_cancellable"),
    (400, "800093", "not_cancellable"),
    (400, "800095", "not_cancellable"),
    (409, "27009", "not_cancellable"),
    (403, "900115", "not_cancellable"),
    (400, "800002", "unexpected_answer"),
    (400, "3000", "unexpected_answer"),
    (400, "900126", "unexpected_answer"),
    (400, "0", "unexpected_answer"),
    (400, "2055", "unexpected_answer"),
    (417, "800036", "unexpected_answer"),
    (400, "2001", "not_cancellable"),
    (400, "2006", "not_cancellable"),
    (400, "2011", "not_cancellable"),
    (400, "800091", "not_cancellable"),
    (409, "800082", "order_busy"),
    (400, "800082", "order_busy"),
    (409, "900278", "not_cancellable"),
    (400, "900279", "not_cancellable"),
    (400, "900311", "not_cancellable"),
    (400, "4018", "not_cancellable"),
    (400, "800024", "not_cancellable"),
    (400, "800026", "not_cancellable"),
    (400, "800062", "not_cancellable"),
    (403, "800073", "account_blocked"),
    (403, "800074", "account_blocked"),
    (403, "800075", "account_blocked"),
    (403, "900416", "account_blocked"),
    (403, "900124", "account_blocked"),
    (403, "800039", "account_blocked"),
    (403, "900149", "account_blocked"),
    (403, "2032", "credentials_rejected"),
    (403, "900150", "credentials_rejected"),
    (403, "900308", "credentials_rejected"),
    (403, "1002", "credentials_rejected"),
    (403, "900309", "credentials_rejected"),
    (403, "90000", "credentials_rejected"),
    (403, "900329", "credentials_rejected"),
    (401, "900420", "credentials_rejected"),
    (401, "900421", "credentials_rejected"),
    (401, "10001", "credentials_rejected"),
    (401, "400", "credentials_rejected"),
    (401, "800001", "credentials_rejected"),
    (500, "800003", "partner_center_unavailable"),
    (500, "800094", "partner_center_unavailable"),
    (500, "900192", "partner_center_unavailable"),
    (503, "0", "partner_center_unavailable"),
]


@pytest.mark.parametrize(("status", "code", "slug"), TABLE)
@pytest.mark.parametrize("kind", [str, int], ids=["text", "number"])
def test_a_known_code_decides(status: int, code: str, slug: str, kind: type) -> None:
    """Codes are text in the documentation, and numbers in some answers."""
    error = error_of(reply(status, kind(code)))

    assert error.code == slug
    assert error.partner_center is not None
    assert (error.partner_center.code, error.partner_center.description) == (code, "text")
    assert error.detail


@pytest.mark.parametrize(
    ("status", "slug"),
    [
        (301, "unexpected_answer"),
        (400, "unexpected_answer"),
        (401, "credentials_rejected"),
        (403, "unexpected_answer"),
        (404, "unexpected_answer"),
        (405, "unexpected_answer"),
        (408, "partner_center_unavailable"),
        (409, "unexpected_answer"),
        (412, "unexpected_answer"),
        (429, "throttled"),
        (500, "partner_center_unavailable"),
        (502, "partner_center_unavailable"),
        (504, "partner_center_unavailable"),
        (511, "partner_center_unavailable"),
        (599, "partner_center_unavailable"),
    ],
)
@pytest.mark.parametrize("code", [None, "424242"], ids=["no-code", "unknown-code"])
def test_without_a_known_code_the_status_decides(status: int, slug: str, code: str | None) -> None:
    """A 404 alone does not prove that an order is unknown: a gateway sends it too."""
    error = error_of(reply(status, code))

    assert error.code == slug
    assert (error.partner_center and error.partner_center.code) == code


def test_the_code_decides_before_the_status() -> None:
    assert error_of(reply(409, "900117")).code == "cancellation_window_passed"
    assert error_of(reply(500, "800061")).code == "not_cancellable"


@pytest.mark.parametrize("code", ["800003", "800094", "900192"])
@pytest.mark.parametrize(("status", "slug"), [(401, "credentials_rejected"), (429, "throttled")])
def test_the_code_of_a_passing_failure_says_less_than_these_statuses(status: int, slug: str, code: str) -> None:
    """It still leaves open what became of a change."""
    answer = reply(status, code)

    assert error_of(answer).code == slug
    assert not accounts_for_change(answer)


@pytest.mark.parametrize(("status", "slug"), [(503, "partner_center_unavailable"), (401, "credentials_rejected")])
def test_an_inner_code_says_less_than_these_statuses(status: int, slug: str) -> None:
    """It may be the cause of something else, and the call would end as refused while it may work later."""
    inner = {"code": "ServiceUnavailable", "message": "later", "details": [{"code": "800061", "message": "inner"}]}
    answer = Reply(status, json.dumps({"error": inner}).encode())

    assert error_of(answer).code == slug
    assert accounts_for_change(answer) is (status == 401)


def test_the_code_of_the_old_mfa_error_is_in_its_text() -> None:
    error = error_of(Reply(401, b"Authentication failed. MFA required. (10001)"))

    assert (error.code, error.partner_center and error.partner_center.code) == ("credentials_rejected", "10001")
    assert "MFA" in error.detail


def test_every_code_is_in_this_table() -> None:
    missing = CODES.keys() - {code for _, code, _ in TABLE}

    assert not missing, f"add a row to TABLE in this file for {', '.join(sorted(missing))}"


def test_every_class_of_answers_is_in_use() -> None:
    slugs = {slug for _, _, slug in TABLE} | {"throttled"}

    assert slugs == CLASSES.keys()


def test_every_detail_says_what_happened_to_the_order() -> None:
    """The person at the ticket reads nothing else."""
    details = [row.detail for row in CLASSES.values()] + [code.detail for code in CODES.values() if code.detail]
    silent = [detail for detail in details if "othing was changed" not in detail and "is not certain" not in detail]

    assert silent == [], 'shared/replies/codes.py has details that do not say it: add "nothing was changed"'


@pytest.mark.parametrize(
    ("answer", "retry_after_s"),
    [
        pytest.param(reply(429, retry_after_s=57), 57, id="as-partner-center-asks"),
        pytest.param(reply(429, retry_after_s=0), 1, id="at-least-1"),
        pytest.param(reply(429, retry_after_s=3600), 59, id="at-most-59"),
        pytest.param(reply(429), 10, id="throttled-without-a-time"),
        pytest.param(reply(409, "800060"), 59, id="busy-takes-minutes"),
        pytest.param(reply(503, retry_after_s=1.2), 2, id="whole-seconds"),
        pytest.param(reply(503), 5, id="default"),
        pytest.param(reply(400, "800061"), None, id="final"),
        pytest.param(Reply(429, b'{"statusCode": 429, "message": "Try again in 57 seconds."}'), 57, id="in-the-text"),
    ],
)
def test_retry_after(answer: Reply, retry_after_s: int | None) -> None:
    """Zendesk repeats a request only if the value is below 60."""
    error: CancelError = error_of(answer)

    assert error.retry_after_s == retry_after_s


QUOTA = "Out of call volume quota. Quota will be replenished in"


@pytest.mark.parametrize(
    ("status", "text", "throttled", "seconds"),
    [
        pytest.param(403, f"{QUOTA} 00:00:12.", True, 12.0, id="quota"),
        pytest.param(403, f"{QUOTA} 01:02:03.", True, 3723.0, id="hours-minutes-and-seconds"),
        pytest.param(403, "OUT OF CALL VOLUME QUOTA", True, None, id="quota-without-a-time"),
        pytest.param(403, "no right. Try again in 5 seconds.", False, None, id="another-403"),
        pytest.param(404, f"{QUOTA} 00:00:12.", False, None, id="another-status"),
        pytest.param(429, "Rate limit is exceeded. Try again in 57 seconds.", True, 57.0, id="rate-limit"),
        pytest.param(429, "Try again in 1 second", True, 1.0, id="one-second"),
        pytest.param(429, "slow down", True, None, id="without-a-time"),
        pytest.param(503, "Try again in 57 seconds.", False, None, id="not-throttled"),
    ],
)
def test_throttling_and_its_pause_are_read_from_the_text(
    status: int, text: str, throttled: bool, seconds: float | None
) -> None:
    """API Management answers a call beyond its quota with 403."""
    answer = Reply(status, json.dumps({"statusCode": status, "message": text}).encode())

    assert is_throttled(answer) is throttled
    assert pause_s(answer) == seconds


def test_retry_after_precedes_the_text() -> None:
    assert pause_s(Reply(403, json.dumps({"message": f"{QUOTA} 00:00:12."}).encode(), retry_after_s=3)) == 3


def test_a_403_with_a_code_of_partner_center_is_no_throttling() -> None:
    answer = Reply(403, json.dumps({"code": "800019", "description": f"{QUOTA} 00:00:12."}).encode())

    assert error_of(answer).code == "not_cancellable_in_production"


def test_an_answer_without_a_text_has_no_error_of_partner_center() -> None:
    assert error_of(Reply(503, b"")).partner_center is None


@pytest.mark.parametrize(
    ("answer", "is_repeated", "is_accounted_for"),
    [
        pytest.param(reply(200), False, True, id="success"),
        pytest.param(reply(408), True, False, id="408"),
        pytest.param(reply(429), True, True, id="429-changes-nothing"),
        pytest.param(reply(500), True, False, id="500"),
        pytest.param(reply(504, "0"), True, False, id="gateway"),
        pytest.param(reply(400, "800094"), True, False, id="update-failed"),
        pytest.param(reply(409, "800060"), False, True, id="busy-for-minutes"),
        pytest.param(reply(500, "800061"), False, False, id="refusal-as-500"),
        pytest.param(reply(400), False, True, id="400"),
    ],
)
def test_is_it_repeated_and_does_it_account_for_the_change(
    answer: Reply, is_repeated: bool, is_accounted_for: bool
) -> None:
    assert (retry_delay_s(answer, 1, 0.5) is not None) is is_repeated
    assert accounts_for_change(answer) is is_accounted_for


@pytest.mark.parametrize(
    ("code", "needs_look", "may_mean_done"),
    [
        ("800061", True, True),
        ("800040", True, True),
        ("2011", True, True),
        ("900117", True, True),
        ("800063", True, False),
        ("800019", True, False),
        ("900416", True, False),
        ("800071", True, False),
        ("424242", True, True),
        ("20000", False, False),
        ("20002", False, False),
        ("2032", False, False),
        ("800060", False, False),
    ],
)
def test_a_refusal_that_may_mean_done(code: str, needs_look: bool, may_mean_done: bool) -> None:
    """Nobody could confirm how a second cancellation is answered, so the order is looked at after a refusal."""
    answer_class = class_of(reply(400, code))

    assert (answer_class.needs_look, answer_class.may_mean_done) == (needs_look, may_mean_done)
