"""The error table: each code has one class and one status, and every problem has the same members."""

import pytest

from shared.errors import (
    CancelError,
    CancelRefused,
    FieldError,
    InvalidRequest,
    PartnerCenterError,
    Unavailable,
    all_codes,
    problem_body,
)


def test_the_published_codes_keep_their_status() -> None:
    """Flows branch on the codes, so changing one breaks flows."""
    published = {
        "invalid_json": 400,
        "invalid_request": 400,
        "unknown_account": 400,
        "caller_not_authenticated": 401,
        "caller_not_allowed": 403,
        "customer_not_allowed": 403,
        "account_off": 403,
        "order_not_found": 404,
        "subscription_not_found": 404,
        "customer_not_found": 404,
        "body_too_large": 413,
        "unsupported_media_type": 415,
        "cancellation_window_passed": 422,
        "not_cancellable": 422,
        "not_cancellable_in_production": 422,
        "use_subscription_cancel": 422,
        "line_item_mismatch": 422,
        "more_than_the_order": 422,
        "nothing_to_schedule": 422,
        "some_lines_refused": 422,
        "account_blocked": 422,
        "throttled": 429,
        "internal_error": 500,
        "misconfigured": 500,
        "credentials_rejected": 502,
        "unexpected_answer": 502,
        "partner_center_unavailable": 503,
        "order_busy": 503,
        "credentials_unavailable": 503,
        "some_lines_unfinished": 503,
        "outcome_unknown": 503,
    }

    changed = published.items() ^ dict(all_codes()).items()
    assert not changed, f"add new codes to this table, and mark them Contract in CHANGELOG.md: {changed}"
    assert len(list(all_codes())) == len(dict(all_codes()))


def test_no_status_makes_a_ticketing_system_repeat_wrongly() -> None:
    assert not {202, 408, 409, 425, 504} & {status for _, status in all_codes()}


@pytest.mark.parametrize(("code", "status"), list(all_codes()))
def test_retryable_is_exactly_429_and_503(code: str, status: int) -> None:
    kind = next(kind for kind in CancelError.__subclasses__() if code in kind.codes)
    error = kind(code, "detail")

    assert error.status == status
    assert error.retryable is (status in {429, 503})
    assert (error.retry_after_s is None) is not error.retryable


def test_a_code_belongs_to_one_class() -> None:
    with pytest.raises(KeyError):
        CancelRefused("throttled", "detail")


def test_a_problem_always_has_the_same_members() -> None:
    plain = problem_body(Unavailable("order_busy", "Come back."), "request", "correlation")
    full = problem_body(
        InvalidRequest(
            "invalid_request",
            "Faults.",
            errors=[FieldError("/orderId", "is required")],
            partner_center=PartnerCenterError("1", None),
        ),
        "request",
        "correlation",
        {"orderId": "a68736758d9c"},
    )

    assert plain == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Come back.",
        "instance": "urn:uuid:request",
        "code": "order_busy",
        "retryable": True,
        "errors": [],
        "partnerCenter": None,
        "order": None,
        "requestId": "request",
        "correlationId": "correlation",
    }
    assert full.keys() == plain.keys()
    assert full["errors"] == [{"pointer": "/orderId", "message": "is required"}]
    assert full["partnerCenter"] == {"code": "1", "description": None}
    assert full["order"] == {"orderId": "a68736758d9c"}
