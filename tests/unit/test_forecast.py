"""What a dry run expects, and what it shows of a subscription, as tables."""

from datetime import timedelta
from typing import Any

import pytest

from shared.contract import Refund, When
from shared.errors import CancelError
from shared.partner_center.orders import Order, OrderLine
from shared.partner_center.subscriptions import Kind, Subscription
from shared.replies.answers import error_of
from shared.replies.reply import Reply
from shared.rules.forecast import (
    AS_ORDERS,
    WINDOWS,
    Circumstances,
    Forecast,
    by_order,
    by_subscription,
    of_lines,
    with_subscription,
)
from tests.support.orders import line
from tests.support.subscriptions import GUID, NOW, OTHER_GUID, subscription

YES, UNKNOWN = Forecast(cancellable=True), Forecast(None)
TOO_LATE = Forecast(cancellable=False, code="cancellation_window_passed")
REFUSED = Forecast(cancellable=False, code="not_cancellable")
BY_SUBSCRIPTION = Forecast(cancellable=False, code="use_subscription_cancel")

SAAS = {"productType": None, "isMicrosoftProduct": False, "cancellationAllowedUntilDate": None}
SOFTWARE = {"productType": {"id": "Software"}, "offerName": "SQL Server - 1 year"}


def days_ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({}, YES, id="licence"),
        pytest.param({"cancellationAllowedUntilDate": NOW.isoformat()}, YES, id="the-last-moment"),
        pytest.param({"cancellationAllowedUntilDate": days_ago(0.001)}, TOO_LATE, id="too-late"),
        pytest.param(
            {"cancellationAllowedUntilDate": days_ago(1), "effectiveStartDate": days_ago(2)},
            TOO_LATE,
            id="born-of-an-upgrade",
        ),
        pytest.param(
            {"cancellationAllowedUntilDate": None, "effectiveStartDate": days_ago(6.9)}, YES, id="no-deadline-in-7-days"
        ),
        pytest.param(
            {"cancellationAllowedUntilDate": None, "effectiveStartDate": days_ago(7.1)},
            TOO_LATE,
            id="no-deadline-after-7",
        ),
        pytest.param(
            {"cancellationAllowedUntilDate": None, "effectiveStartDate": None, "creationDate": days_ago(2)},
            YES,
            id="only-its-creation",
        ),
        pytest.param(
            {"cancellationAllowedUntilDate": None, "effectiveStartDate": None, "creationDate": None},
            UNKNOWN,
            id="no-dates",
        ),
        pytest.param(
            {"cancellationAllowedUntilDate": None, "effectiveStartDate": "9999-12-31T00:00:00Z"},
            UNKNOWN,
            id="the-last-date-of-all",
        ),
        pytest.param(
            {"offerName": "Basic (Extended Service Term)", "cancellationAllowedUntilDate": days_ago(5)},
            YES,
            id="extended",
        ),
        pytest.param(SAAS, YES, id="saas"),
        pytest.param(
            SAAS | {"creationDate": days_ago(3.1), "effectiveStartDate": days_ago(1)}, TOO_LATE, id="saas-renewed"
        ),
        pytest.param(SAAS | {"isTrial": True, "creationDate": days_ago(10)}, YES, id="saas-trial"),
        pytest.param(SOFTWARE, YES, id="software"),
        pytest.param(SOFTWARE | {"offerName": "SUSE Linux Enterprise Server"}, REFUSED, id="suse"),
        pytest.param(SOFTWARE | {"offerName": "Red Hat Enterprise Linux"}, REFUSED, id="red-hat"),
        pytest.param(SOFTWARE | {"offerName": "Suset Planner"}, YES, id="a-name-that-only-begins-so"),
        pytest.param({"productType": {"id": "Other"}}, UNKNOWN, id="unknown-product"),
    ],
)
def test_the_patch_of_a_subscription(members: dict[str, Any], expected: Forecast) -> None:
    assert by_subscription(subscription(**members), NOW) == expected


def test_each_window_has_its_source() -> None:
    assert [window for window in WINDOWS.values() if not window.source] == []


@pytest.mark.parametrize(
    ("age_days", "is_sandbox", "own", "expected"),
    [
        pytest.param(2, True, None, YES, id="sandbox"),
        pytest.param(59, True, None, YES, id="sandbox-59-days"),
        pytest.param(61, True, None, TOO_LATE, id="sandbox-61-days"),
        pytest.param(2, False, None, UNKNOWN, id="production-which-may-be-a-reservation"),
        pytest.param(31, False, None, TOO_LATE, id="production-31-days"),
        pytest.param(2, False, SOFTWARE, YES, id="software-subscription"),
        pytest.param(
            10,
            False,
            SOFTWARE | {"cancellationAllowedUntilDate": days_ago(3)},
            TOO_LATE,
            id="software-subscription-too-late",
        ),
        pytest.param(
            10,
            True,
            SOFTWARE | {"cancellationAllowedUntilDate": days_ago(3)},
            YES,
            id="software-subscription-in-the-sandbox",
        ),
        pytest.param(2, True, SOFTWARE | {"offerName": "SUSE Linux"}, REFUSED, id="suse"),
        pytest.param(2, True, {}, BY_SUBSCRIPTION, id="licence"),
        pytest.param(2, True, SAAS, BY_SUBSCRIPTION, id="saas"),
        pytest.param(2, True, {"productType": {"id": "Azure"}}, BY_SUBSCRIPTION, id="azure-plan"),
        pytest.param(2, True, {"productType": None}, BY_SUBSCRIPTION, id="legacy"),
        pytest.param(2, True, {"productType": {"id": "Other"}}, UNKNOWN, id="unknown-product"),
    ],
)
def test_the_patch_of_an_order(age_days: int, is_sandbox: bool, own: dict[str, Any] | None, expected: Forecast) -> None:
    found = Order(creation_date=days_ago(age_days))
    of_line = line(subscription_id=None if own is None else GUID)
    own_subscription = None if own is None else subscription(**own)

    assert by_order(found, of_line, own_subscription, NOW, is_sandbox=is_sandbox) == expected


def test_a_savings_plan_is_known_by_its_commitment() -> None:
    found = Order(creation_date=days_ago(2))

    assert by_order(found, line(has_commitment=True), None, NOW, is_sandbox=True) == REFUSED


def test_an_order_without_a_date_is_not_forecast() -> None:
    assert by_order(Order(), line(), None, NOW, is_sandbox=True) == UNKNOWN


def test_a_line_whose_subscription_could_not_be_read_is_not_forecast() -> None:
    found = Order(creation_date=days_ago(2))

    assert by_order(found, line(subscription_id=GUID), None, NOW, is_sandbox=True) == UNKNOWN


def test_each_kind_has_its_answer_as_an_order() -> None:
    assert AS_ORDERS.keys() == set(Kind) - {Kind.UNKNOWN}


MORE = {"quantity": 7}
LATE = {"cancellationAllowedUntilDate": days_ago(1)}


class TestSeveralLines:
    """What stops one line may stop the whole request."""

    def forecasts(
        self,
        *own: dict[str, Any] | CancelError | None,
        is_allowed: bool = True,
        is_order_first: bool = False,
        age_days: int = 2,
        when: When = "now",
    ) -> list[Forecast]:
        """Return the forecasts for a line of each of *own*: a subscription, why it could not be read, or none."""
        ids = [GUID, OTHER_GUID]
        lines = [self._line(number, None if one is None else ids[number]) for number, one in enumerate(own)]
        found: dict[str, Subscription | CancelError] = {
            ids[number]: one if isinstance(one, CancelError) else subscription(**one | {"id": ids[number]})
            for number, one in enumerate(own)
            if one is not None
        }
        found_order = Order(
            order_id="8178ac72b28d", creation_date=days_ago(age_days), status="completed", line_items=lines
        )
        circumstances = Circumstances(found_order, NOW, is_allowed, is_order_first, True, True, frozenset(), when)
        return of_lines(lines, found, circumstances)

    @staticmethod
    def _line(number: int, subscription_id: str | None) -> OrderLine:
        return line(number, 5, subscription_id=subscription_id, term_duration="P1Y", transaction_type="new")

    def test_a_window_that_has_passed_stops_its_line_alone(self) -> None:
        assert self.forecasts({}, LATE) == [YES, TOO_LATE]

    def test_more_than_the_order_stops_all(self) -> None:
        more = Forecast(cancellable=False, code="more_than_the_order")

        assert self.forecasts({}, MORE) == [more, more]

    def test_a_line_without_a_subscription_goes_by_the_order(self) -> None:
        assert self.forecasts({}, None) == [YES, YES]

    def test_the_order_goes_first_and_its_refusal_stops_all(self) -> None:
        still_in_its_term = {"commitmentEndDateTime": "2027-09-20T23:59:59Z"}

        assert self.forecasts(still_in_its_term, None, age_days=70) == [TOO_LATE, TOO_LATE]

    def test_a_line_that_is_stopped_keeps_its_own_code(self) -> None:
        more = Forecast(cancellable=False, code="more_than_the_order")

        assert self.forecasts(LATE, MORE) == [TOO_LATE, more]

    def test_a_subscription_that_is_not_there_stops_all(self) -> None:
        missing = Forecast(cancellable=False, code="subscription_not_found")

        assert self.forecasts({}, error_of(Reply(404, b'{"code": "20003"}'))) == [missing, missing]

    def test_a_subscription_that_could_not_be_read_is_not_forecast(self) -> None:
        assert self.forecasts({}, error_of(Reply(503, b""))) == [YES, UNKNOWN]

    def test_without_leave_the_whole_order_is_refused(self) -> None:
        assert self.forecasts({}, None, is_allowed=False) == [BY_SUBSCRIPTION, BY_SUBSCRIPTION]

    def test_at_the_end_of_the_term_no_window_counts(self) -> None:
        assert self.forecasts(LATE, {}, when="term_end") == [YES, YES]
        assert self.forecasts(LATE | {"status": "suspended"}, when="term_end") == [UNKNOWN]

    def test_at_the_end_of_the_term_a_line_without_one_stops_all(self) -> None:
        nothing = Forecast(cancellable=False, code="nothing_to_schedule")

        assert self.forecasts({}, None, when="term_end", is_order_first=True) == [nothing, nothing]

    def test_an_order_of_software_alone_goes_as_an_order(self) -> None:
        late_software = SOFTWARE | LATE

        assert self.forecasts(late_software, is_order_first=True) == [YES]
        assert self.forecasts(late_software, is_order_first=False) == [TOO_LATE]

    def test_software_that_is_more_than_its_order_is_not_promised(self) -> None:
        """Nobody can tell whether the PATCH of the order takes the added seats along."""
        assert self.forecasts(SOFTWARE | MORE, is_order_first=True) == [UNKNOWN]

    def test_the_patch_of_an_order_does_not_need_its_subscription(self) -> None:
        missing = error_of(Reply(404, b'{"code": "20003"}'))

        assert self.forecasts(missing, is_order_first=True) == [UNKNOWN]


@pytest.mark.parametrize(
    ("members", "refund"),
    [
        pytest.param({"refundOptions": None}, None, id="not-told"),
        pytest.param({"refundOptions": [{"type": "Full", "expiresAt": days_ago(-1)}]}, Refund.FULL, id="full"),
        pytest.param({"refundOptions": [{"type": "Full", "expiresAt": None}]}, Refund.FULL, id="without-end"),
        pytest.param(
            {"refundOptions": [{"type": "Full", "expiresAfter": days_ago(-1)}]}, Refund.FULL, id="the-other-spelling"
        ),
        pytest.param(
            {
                "refundOptions": [
                    {"type": "Full", "expiresAt": days_ago(1)},
                    {"type": "Partial", "expiresAt": days_ago(-1)},
                ]
            },
            Refund.PARTIAL,
            id="then-partial",
        ),
        pytest.param({"refundOptions": [{"type": "Full", "expiresAt": days_ago(1)}]}, None, id="over-but-cancellable"),
        pytest.param(
            {
                "refundOptions": [{"type": "Full", "expiresAt": days_ago(1)}],
                "cancellationAllowedUntilDate": days_ago(1),
            },
            Refund.NONE,
            id="over-and-too-late",
        ),
        pytest.param({"refundOptions": [{"type": "Credit", "expiresAt": None}]}, None, id="unknown-type"),
        pytest.param({"refundOptions": [{"type": "Full", "expiresAt": None}], "status": "deleted"}, None, id="deleted"),
    ],
)
def test_the_refund_is_that_of_this_moment(members: dict[str, Any], refund: Refund | None) -> None:
    assert with_subscription(line(), subscription(**members), NOW).refund == refund


@pytest.mark.parametrize(
    ("members", "ends"),
    [
        pytest.param({}, False, id="renews"),
        pytest.param({"autoRenewEnabled": None}, None, id="not-told"),
        pytest.param({"autoRenewEnabled": False}, False, id="licence-goes-on-in-an-extended-term"),
        pytest.param(
            {"autoRenewEnabled": False, "effectiveStartDate": "2025-03-31T00:00:00Z"}, None, id="licence-of-before"
        ),
        pytest.param(
            {"autoRenewEnabled": False, "scheduledActions": [{"scheduleType": "TermEnd", "actionType": "Cancel"}]},
            True,
            id="cancel-is-scheduled",
        ),
        pytest.param(
            {"scheduledActions": [{"scheduleType": "TermEnd", "actionType": "Cancel"}]},
            False,
            id="scheduled-but-renews",
        ),
        pytest.param(SAAS | {"autoRenewEnabled": False}, True, id="saas"),
        pytest.param(SOFTWARE | {"autoRenewEnabled": False}, True, id="software"),
        pytest.param({"isTrial": True, "autoRenewEnabled": False}, True, id="trial"),
        pytest.param({"autoRenewEnabled": False, "status": "suspended"}, None, id="suspended"),
        pytest.param({"autoRenewEnabled": False, "status": "deleted"}, None, id="deleted"),
    ],
)
def test_whether_it_ends_with_its_term(members: dict[str, Any], ends: bool | None) -> None:
    assert with_subscription(line(), subscription(**members), NOW).ends_at_term is ends


def test_a_line_shows_its_subscription() -> None:
    shown = with_subscription(line(), subscription(), NOW)

    assert (shown.subscription_status, shown.auto_renew, shown.cancelled) == ("active", True, False)
    assert (shown.term_ends_on, shown.cancellable_until) == ("2027-11-27T23:59:59Z", "2026-12-05T12:00:00Z")


def test_a_line_with_a_deleted_subscription_is_cancelled() -> None:
    assert with_subscription(line(), subscription(status="deleted"), NOW).cancelled
