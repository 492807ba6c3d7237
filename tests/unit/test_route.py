"""By which call a line goes, and what must not be sent, as tables."""

from typing import Any

import pytest

from shared.contract import When
from shared.errors import CancelError
from shared.partner_center.orders import Order, OrderLine
from shared.replies.answers import error_of
from shared.replies.reply import Reply
from shared.rules.route import (
    is_list_needed,
    is_order_first,
    leads_to_subscriptions,
    refusal_by_subscription,
    refusal_without_subscription,
    with_found_subscriptions,
    with_way_out,
)
from tests.support.orders import line
from tests.support.subscriptions import GUID, LICENCE, NOW, OTHER_GUID, subscription

ORDER_ID, ALTERNATE_ID = "8178ac72b28d", "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
OFFER = LICENCE["offerId"]


def order(*lines: OrderLine, **members: Any) -> Order:
    own = {"order_id": ORDER_ID, "alternate_id": None, "creation_date": "2026-11-28T12:00:00Z", "status": "completed"}
    return Order(line_items=list(lines), **own | members)


def licence_line(**members: Any) -> OrderLine:
    own = {"subscription_id": GUID, "term_duration": "P1Y", "transaction_type": "new", "offer_id": OFFER, "quantity": 5}
    return line(**own | members)


def refusal(
    members: dict[str, Any] | None = None,
    *,
    of_line: dict[str, Any] | None = None,
    of_order: dict[str, Any] | None = None,
    others: frozenset[str] = frozenset(),
    when: When = "now",
) -> CancelError | None:
    """Return the refusal of a licence with *members*, for a line of an order with *of_line* and *of_order*."""
    whole_line = licence_line(**of_line or {})
    return refusal_by_subscription(
        subscription(**members or {}),
        when=when,
        now=NOW,
        is_allowed=True,
        of_order=(order(whole_line, **of_order or {}), whole_line),
        others=others,
    )


@pytest.mark.parametrize(
    ("order_id", "is_first"),
    [
        (ALTERNATE_ID, True),
        ("software-three-lines-000000000001", True),
        (ORDER_ID, False),
        ("0bed3bbca6c", False),
        (GUID, False),
    ],
)
def test_ids_of_software_orders_are_tried_as_orders(order_id: str, is_first: bool) -> None:
    assert is_order_first(order_id) is is_first


@pytest.mark.parametrize(
    ("code", "leads"),
    [("800063", True), ("800077", True), ("800019", True), ("900263", True), ("900117", False), ("800061", False)],
)
def test_some_refusals_lead_to_the_subscriptions(code: str, leads: bool) -> None:
    assert leads_to_subscriptions(error_of(Reply(400, b'{"code": "%s"}' % code.encode()))) is leads


def test_an_error_without_a_code_leads_nowhere() -> None:
    assert not leads_to_subscriptions(error_of(Reply(503, b"")))


def test_the_subscription_of_the_line_may_be_cancelled() -> None:
    assert refusal() is None


@pytest.mark.parametrize(
    ("case", "said"),
    [
        pytest.param({"members": {"orderId": "another"}}, "begun by another order", id="another-order"),
        pytest.param({"members": {"orderId": None}}, "begun by another order", id="no-order"),
        pytest.param(
            {"members": {"quantity": 7}},
            "The order bought 5 seats, and its subscription has 7 seats by now",
            id="more-seats",
        ),
        pytest.param({"members": {"quantity": 1}}, "5 seats, and its subscription has 1 seat by now", id="fewer-seats"),
        pytest.param(
            {"members": {"quantity": None}, "of_line": {"quantity": None}},
            "an unknown number of seats",
            id="no-numbers",
        ),
        pytest.param({"of_line": {"transaction_type": "addquantity"}}, "changed a subscription", id="added-seats"),
        pytest.param({"of_line": {"transaction_type": "renew"}}, "changed a subscription", id="renewal"),
        pytest.param({"others": frozenset({GUID})}, "the request does not name", id="named-by-another-line"),
        pytest.param(
            {"members": {"commitmentEndDateTime": "2028-11-27T23:59:59Z"}},
            "its present term ends on 2028-11-27",
            id="renewed",
        ),
        pytest.param(
            {"members": {"commitmentEndDateTime": "2027-12-12T12:00:00Z"}},
            "has been renewed or changed",
            id="14-days-later",
        ),
        pytest.param({"members": {"commitmentEndDateTime": None}}, "Nobody can tell", id="no-end-of-term"),
        pytest.param({"of_order": {"creation_date": None}}, "Nobody can tell", id="no-date-of-order"),
        pytest.param({"of_order": {"creation_date": "9999-12-31T23:59:59Z"}}, "Nobody can tell", id="last-date-of-all"),
        pytest.param({"of_line": {"term_duration": None}}, "Nobody can tell", id="no-term"),
        pytest.param({"of_line": {"term_duration": ""}}, "Nobody can tell", id="empty-term"),
    ],
)
def test_more_than_the_order_is_refused(case: dict[str, Any], said: str) -> None:
    found = refusal(**case)

    assert found
    assert found.code == "more_than_the_order"
    assert said in found.detail
    assert "nothing was changed" in found.detail
    assert "Send its subscriptionId to cancel all of it" in found.detail


@pytest.mark.parametrize(
    "case",
    [
        pytest.param({"members": {"orderId": ORDER_ID.upper()}}, id="order-in-capitals"),
        pytest.param({"of_order": {"order_id": ALTERNATE_ID, "alternate_id": ORDER_ID}}, id="by-its-alternate-id"),
        pytest.param({"of_line": {"transaction_type": None}}, id="no-transaction-told"),
        pytest.param({"members": {"commitmentEndDateTime": "2027-12-12T11:59:59Z"}}, id="a-longer-first-term"),
        pytest.param(
            {"members": {"commitmentEndDateTime": None, "commitmentEndDate": "2027-11-27T00:00:00Z"}}, id="end-as-a-day"
        ),
        pytest.param(
            {"of_line": {"term_duration": "P1M"}, "members": {"commitmentEndDateTime": "2026-12-27T23:59:59Z"}},
            id="a-month",
        ),
        pytest.param({"members": {"status": "suspended"}}, id="suspended"),
        pytest.param({"others": frozenset({OTHER_GUID})}, id="others-of-their-own"),
    ],
)
def test_the_same_is_not_more(case: dict[str, Any]) -> None:
    assert refusal(**case) is None


def test_the_refusal_tells_the_seats_that_can_be_taken_away() -> None:
    batches = [
        {"quantity": 5, "allowedUntilDateTime": "2026-12-04T15:03:38Z"},
        {"quantity": 2, "allowedUntilDateTime": "2026-12-06T15:03:38Z"},
        {"quantity": 1},
        {"quantity": 9, "allowedUntilDateTime": "2026-11-29T15:03:38Z"},
    ]
    found = refusal({"quantity": 8, "refundableQuantity": {"totalQuantity": 8, "details": batches}})

    assert found
    assert "removable: 5 seats until 2026-12-04 15:03 UTC, 2 seats until 2026-12-06 15:03 UTC." in found.detail


@pytest.mark.parametrize(
    ("members", "code", "said"),
    [
        pytest.param({"isTrial": True}, "not_cancellable", "A trial", id="trial-of-a-licence"),
        pytest.param({"productType": None}, "not_cancellable", "only suspended", id="legacy"),
        pytest.param({"productType": {"id": "Azure"}}, "not_cancellable", "Azure plan", id="azure-plan"),
        pytest.param(
            {"productType": {"id": "Azure", "subType": {"id": "SavingsPlan"}}},
            "not_cancellable",
            "savings plan",
            id="savings",
        ),
        pytest.param({"productType": {"id": "X"}}, "not_cancellable", "does not know this kind", id="unknown"),
        pytest.param({"status": "expired"}, "not_cancellable", "has expired", id="expired"),
        pytest.param({"status": "disabled"}, "not_cancellable", "has ended", id="disabled"),
        pytest.param({"status": "none"}, "not_cancellable", "in a state in which", id="status-none"),
        pytest.param({"status": None}, "not_cancellable", "in a state in which", id="no-status"),
        pytest.param({"status": "pending"}, "order_busy", "still working", id="pending"),
    ],
)
def test_products_and_statuses_that_cannot_be_cancelled(members: dict[str, Any], code: str, said: str) -> None:
    """They are refused whether an order or the subscription itself is named."""
    of_itself = refusal_by_subscription(
        subscription(**members), when="now", now=NOW, is_allowed=True, of_order=None, others=()
    )
    of_line = refusal(members)

    assert of_itself
    assert of_line
    assert of_itself.code == of_line.code == code
    assert said in of_itself.detail
    assert "othing was changed" in of_itself.detail


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"quantity": 70, "orderId": "another"}, id="more-than-any-order"),
        pytest.param({"productType": None, "isMicrosoftProduct": False, "isTrial": True}, id="trial-of-saas"),
        pytest.param({"productType": {"id": "Software"}}, id="software"),
        pytest.param({"offerName": "Basic (Extended Service Term)", "termDuration": "P1M"}, id="extended-term"),
    ],
)
def test_by_its_own_id_the_whole_subscription_is_meant(members: dict[str, Any]) -> None:
    assert (
        refusal_by_subscription(subscription(**members), when="now", now=NOW, is_allowed=True, of_order=None, others=())
        is None
    )


@pytest.mark.parametrize(
    ("members", "code", "said"),
    [
        pytest.param({"productType": None}, "nothing_to_schedule", "cannot be turned off", id="legacy"),
        pytest.param({"productType": {"id": "Azure"}}, "nothing_to_schedule", "does not renew", id="azure-plan"),
        pytest.param(
            {"productType": {"id": "Azure", "subType": {"id": "SavingsPlan"}}},
            "nothing_to_schedule",
            "Azure portal",
            id="savings-plan",
        ),
        pytest.param({"productType": {"id": "X"}}, "nothing_to_schedule", "does not know", id="unknown"),
        pytest.param(
            {"offerName": "Basic (Extended Service Term)"}, "nothing_to_schedule", "can be cancelled now", id="extended"
        ),
        pytest.param({"status": "expired"}, "not_cancellable", "has expired", id="expired"),
        pytest.param({"status": "pending"}, "order_busy", "still working", id="pending"),
        pytest.param({"quantity": 7}, "more_than_the_order", "has 7 seats", id="more-seats"),
        pytest.param({"orderId": "another"}, "more_than_the_order", "another order", id="another-order"),
    ],
)
def test_what_cannot_end_with_its_term(members: dict[str, Any], code: str, said: str) -> None:
    found = refusal(members, when="term_end")

    assert found
    assert found.code == code
    assert said in found.detail
    assert "othing was changed" in found.detail


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="licence"),
        pytest.param({"isTrial": True}, id="trial"),
        pytest.param({"commitmentEndDateTime": "2029-11-27T23:59:59Z"}, id="renewed-since"),
        pytest.param({"status": "suspended"}, id="suspended"),
        pytest.param({"productType": {"id": "Software"}}, id="software"),
        pytest.param({"productType": None, "isMicrosoftProduct": False}, id="saas"),
    ],
)
def test_what_can_end_with_its_term(members: dict[str, Any]) -> None:
    """A later term is no more than the order: at its end all is over that the order began."""
    assert refusal(members, when="term_end") is None


def test_a_line_without_a_subscription_has_no_term() -> None:
    unnamed = licence_line(subscription_id=None)

    assert refusal_code(order(unnamed), unnamed, when="term_end") == "nothing_to_schedule"
    assert refusal_code(order(), None, when="term_end") == "nothing_to_schedule"


WINDOW_PASSED = error_of(Reply(400, b'{"code": "900117"}'))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        pytest.param({}, "Its present term runs until 2027-11-27: send the request with when: term_end", id="renews"),
        pytest.param(
            {"autoRenewEnabled": False}, "send the request with when: term_end", id="auto-renew-off-alone-is-not-enough"
        ),
        pytest.param(
            {
                "autoRenewEnabled": False,
                "scheduledActions": [{"scheduleType": "TermEnd", "actionType": "Cancel"}],
            },
            "It is set to end with its present term, on 2027-11-27.",
            id="scheduled",
        ),
    ],
)
def test_a_window_that_has_passed_names_the_way_out(members: dict[str, Any], said: str) -> None:
    found = with_way_out(WINDOW_PASSED, subscription(**members), NOW)

    assert (found.code, found.partner_center) == (WINDOW_PASSED.code, WINDOW_PASSED.partner_center)
    assert said in found.detail
    assert "nothing was changed" in found.detail


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"commitmentEndDateTime": None}, id="no-end"),
        pytest.param({"productType": None}, id="no-term-to-end"),
        pytest.param({"status": "suspended"}, id="suspended"),
        pytest.param({"commitmentEndDateTime": "2026-11-29T23:59:59Z"}, id="over"),
    ],
)
def test_where_there_is_no_way_out_none_is_named(members: dict[str, Any]) -> None:
    found = with_way_out(WINDOW_PASSED, subscription(**members), NOW)

    assert found.code == WINDOW_PASSED.code
    assert "term_end" not in found.detail


def test_other_failures_are_left_as_they_are() -> None:
    failure = error_of(Reply(503, b""))

    assert with_way_out(failure, subscription(), NOW) is failure


def test_what_the_operator_did_not_allow_is_refused() -> None:
    found = refusal_by_subscription(subscription(), when="now", now=NOW, is_allowed=False, of_order=None, others=())

    assert found
    assert found.code == "use_subscription_cancel"
    assert "ask the operator" in found.detail


class TestUnnamedSubscriptions:
    """Lines that do not name their subscription find it in the list of the order's subscriptions."""

    def test_one_line_and_one_subscription_of_one_offer_belong_together(self) -> None:
        unnamed, other = (
            licence_line(subscription_id=None),
            licence_line(subscription_id=None, offer_id="A:B:C", number=1),
        )

        found = with_found_subscriptions(order(unnamed, other), [subscription()])

        assert [item.subscription_id for item in found.line_items] == [GUID, None]
        assert not any(item.is_in_doubt for item in found.line_items)

    def test_two_lines_of_one_offer_are_in_doubt(self) -> None:
        twins = [licence_line(subscription_id=None, number=number) for number in range(2)]

        found = with_found_subscriptions(order(*twins), [subscription(), subscription(id=OTHER_GUID)])

        assert [item.subscription_id for item in found.line_items] == [None, None]
        assert [refusal_code(found, item) for item in found.line_items] == ["use_subscription_cancel"] * 2

    def test_a_cancelled_line_of_the_same_offer_leaves_doubt(self) -> None:
        """The subscription that is listed may be that line's, and the other one does not show yet."""
        cancelled, living = (licence_line(subscription_id=None, number=n, quantity=q) for n, q in ((0, 0), (1, 5)))

        found = with_found_subscriptions(order(cancelled, living), [subscription(status="deleted")])

        assert [item.subscription_id for item in found.line_items] == [None, None]
        assert refusal_code(found, found.line_items[1]) == "use_subscription_cancel"

    def test_two_subscriptions_of_one_offer_are_in_doubt(self) -> None:
        found = with_found_subscriptions(
            order(licence_line(subscription_id=None)), [subscription(), subscription(id=OTHER_GUID)]
        )

        assert refusal_code(found, found.line_items[0]) == "use_subscription_cancel"

    def test_a_subscription_that_no_line_bought_leaves_doubt(self) -> None:
        """Its product may have been changed since."""
        found = with_found_subscriptions(order(licence_line(subscription_id=None, offer_id="A:B:C")), [subscription()])

        assert refusal_code(found, found.line_items[0]) == "use_subscription_cancel"

    def test_a_subscription_that_another_line_names_is_not_free(self) -> None:
        lines = licence_line(), licence_line(subscription_id=None, number=1)

        found = with_found_subscriptions(order(*lines), [subscription(id=GUID.upper())])

        assert [item.subscription_id for item in found.line_items] == [GUID, None]
        assert refusal_code(found, found.line_items[1]) is None

    def test_subscriptions_of_other_orders_do_not_count(self) -> None:
        """Partner Center might leave the filter out."""
        found = with_found_subscriptions(order(licence_line(subscription_id=None)), [subscription(orderId="another")])

        assert found.line_items[0].subscription_id is None
        assert refusal_code(found, found.line_items[0]) is None

    def test_the_list_is_needed_for_lines_that_live(self) -> None:
        cancelled = licence_line(subscription_id=None, quantity=0)

        assert is_list_needed([cancelled, licence_line(subscription_id=None)])
        assert not is_list_needed([cancelled, licence_line()])

    def test_a_pending_order_shows_no_subscription_yet(self) -> None:
        unnamed = licence_line(subscription_id=None)

        assert refusal_code(order(unnamed, status="pending"), unnamed) == "order_busy"
        assert refusal_code(order(status="pending"), None) == "order_busy"
        assert refusal_code(order(unnamed), unnamed) is None


def test_a_line_without_a_number_goes_with_the_whole_order_only() -> None:
    nameless = licence_line(subscription_id=None, number=None)

    assert refusal_code(order(nameless, licence_line()), nameless) == "use_subscription_cancel"
    assert refusal_code(order(nameless), nameless) is None


def refusal_code(found: Order, item: OrderLine | None, when: When = "now") -> str | None:
    error = refusal_without_subscription(found, item, when)
    return error.code if error else None
