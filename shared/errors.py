"""The error tree: every way in which a call can fail, and the problem body that the caller receives.

CancelError
├── InvalidRequest       400, 413, 415  the caller must change the request
├── CallerRefused        401, 403       the caller is unknown, or may not do this
├── NotFound             404            no such order, subscription or customer, by Partner Center's code
├── CancelRefused        422            Partner Center or the function refused; a repeat will not help
├── Throttled            429            repeat after retry_after_s
├── OurFault             500            a bug, or a setting that the operator must correct
├── BadGateway           502            our app was refused, or Partner Center's answer has no known meaning
├── Unavailable          503            nothing was changed; repeat after retry_after_s
├── SomeLinesUnfinished  503            some lines are done, others not yet; a repeat does the rest
└── OutcomeUnknown       503            the change may have been made; a repeat is safe

Each class lists its codes with their statuses. Callers branch on `code`, so a code never changes its
meaning. The statuses 408, 409, 425 and 504 are not used: ticketing systems repeat a 409 without a pause,
and some never repeat a 504.

Source: RFC 9457 (problem details), RFC 9110 (status phrases, Retry-After).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Self

RETRYABLE_STATUSES = frozenset({429, 503})
RETRY_AFTER_MAX_S = 59  # Zendesk repeats a 429 or 503 only with a Retry-After below 60
RETRY_AFTER_DEFAULT_S = 5


@dataclass(frozen=True)
class FieldError:
    """One mistake in the request: *pointer* is its JSON Pointer (RFC 6901), "" the whole body."""

    pointer: str
    message: str


@dataclass(frozen=True)
class PartnerCenterError:
    """The error that Partner Center reported. *code* is text, although some of its answers have a number."""

    code: str | None
    description: str | None


class CancelError(Exception):
    """Ends a call without an answer 200.

    *detail* reaches the caller: it says what failed and what to do. It holds no secret and nothing from the request.
    """

    codes: ClassVar[dict[str, int]] = {}

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after_s: float | None = None,
        errors: Sequence[FieldError] = (),
        partner_center: PartnerCenterError | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.status = self.codes[code]
        self.detail = detail
        self.errors = errors
        self.partner_center = partner_center
        self.retryable = self.status in RETRYABLE_STATUSES
        self.asked_pause_s = retry_after_s
        wanted_s = RETRY_AFTER_DEFAULT_S if retry_after_s is None else retry_after_s
        # Whole seconds from 1 to 59; None if a repeat does not help.
        self.retry_after_s = max(1, math.ceil(min(wanted_s, RETRY_AFTER_MAX_S))) if self.retryable else None

    def with_detail(self, detail: str) -> Self:
        """Return the same error with another *detail*."""
        return type(self)(
            self.code,
            detail,
            retry_after_s=self.asked_pause_s,
            errors=self.errors,
            partner_center=self.partner_center,
        )


class InvalidRequest(CancelError):
    codes: ClassVar = {
        "invalid_json": 400,
        "invalid_request": 400,
        "unknown_account": 400,
        "body_too_large": 413,
        "unsupported_media_type": 415,
    }


class CallerRefused(CancelError):
    codes: ClassVar = {
        "caller_not_authenticated": 401,
        "caller_not_allowed": 403,
        "customer_not_allowed": 403,
        "account_off": 403,
    }


class NotFound(CancelError):
    codes: ClassVar = {"order_not_found": 404, "subscription_not_found": 404, "customer_not_found": 404}


class CancelRefused(CancelError):
    codes: ClassVar = {
        "cancellation_window_passed": 422,
        "not_cancellable": 422,
        "not_cancellable_in_production": 422,
        "use_subscription_cancel": 422,
        "line_item_mismatch": 422,
        "more_than_the_order": 422,
        "nothing_to_schedule": 422,
        "some_lines_refused": 422,
        "account_blocked": 422,
    }


class Throttled(CancelError):
    codes: ClassVar = {"throttled": 429}


class OurFault(CancelError):
    codes: ClassVar = {"internal_error": 500, "misconfigured": 500}


class BadGateway(CancelError):
    codes: ClassVar = {"credentials_rejected": 502, "unexpected_answer": 502}


class Unavailable(CancelError):
    codes: ClassVar = {"partner_center_unavailable": 503, "order_busy": 503, "credentials_unavailable": 503}


class SomeLinesUnfinished(CancelError):
    codes: ClassVar = {"some_lines_unfinished": 503}


class OutcomeUnknown(CancelError):
    codes: ClassVar = {"outcome_unknown": 503}


def credentials_unavailable(service: str, retry_after_s: float | None = None) -> Unavailable:
    """Return the error for a *service* (Key Vault, Entra ID, the managed identity) that gave no usable answer.

    *retry_after_s* is the pause that the service asked for, None if it did not.
    """
    return Unavailable(
        "credentials_unavailable",
        f"{service} gave no usable answer in time. Nothing was changed; send the request again.",
        retry_after_s=retry_after_s,
    )


def all_codes() -> Iterator[tuple[str, int]]:
    """Yield every code with its status, in the order of the tree."""
    for kind in CancelError.__subclasses__():
        yield from kind.codes.items()


def problem_body(
    error: CancelError, request_id: str, correlation_id: str, order: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the problem (RFC 9457) for *error*. It always has the same members, like the answer 200.

    *order* is the normalized order as it was read, None if it was not.
    """
    return {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "instance": f"urn:uuid:{request_id}",
        "code": error.code,
        "retryable": error.retryable,
        "errors": [asdict(mistake) for mistake in error.errors],
        "partnerCenter": error.partner_center and asdict(error.partner_center),
        "order": order,
        "requestId": request_id,
        "correlationId": correlation_id,
    }
