"""What must hold for each call, whatever was drawn: the rules in plain terms, written without the product's code.

Members are looked up without regard to upper and lower case, as Partner Center's names come in either.
"""

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.local.values import Json
from tests.support.random_orders.contents import Contents
from tests.support.random_orders.world import Call, Played, Request, State

READING_VALID_S = 5.0
TOLERANCE = timedelta(days=14)
EXTENDED = "extended service term"
DONE_NOW = {"cancelled", "partially_cancelled", "already_cancelled"}
DONE_AT_TERM_END = {"scheduled", "already_scheduled", "already_cancelled"}
RENEWAL = {"autorenewenabled", "scheduledactions", "schedulednextterminstructions"}  # the end of a term changes these
# With these codes nothing was changed, and the caller repeats the request.
UNCHANGED_RETRYABLE = {"order_busy", "partner_center_unavailable", "throttled", "credentials_unavailable"}


def check(played: Played) -> None:
    """Check all calls of a scenario. Raises AssertionError with the rule that is broken."""
    for call in played.calls:
        Rules(played, call).check()
    first, *repeats = [call.answer.result for call in played.calls]
    last_two = {result if result.startswith("already") else f"already_{result}" for result in repeats[-2:]}
    assert len(last_two) == 1, f"the answers do not come to rest: {first}, {repeats}"


class Rules:
    """The rules for one call."""

    def __init__(self, played: Played, call: Call) -> None:
        earlier = played.calls[: played.calls.index(call)]
        # Ids of what others changed. A whole body may undo that, if it came just before, or if readings are behind.
        self.touched = {one_id for one in (*earlier, call) for one_id in one.others}
        self.has_earlier_patches = any(request.method == "PATCH" for one in earlier for request in one.requests)
        self.call = call
        self.contents: Contents = played.contents
        self.is_dry_run = played.scenario.is_dry_run
        self.is_now = "when" not in call.body
        self.may_cancel_subscriptions = played.scenario.account != "orders-only"
        self.order_first = len(str(call.body.get("orderId", ""))) == 33
        self.patches = [request for request in call.requests if request.method == "PATCH"]
        self.answer = call.answer

    def check(self) -> None:
        assert self.answer.code not in {"internal_error", "misconfigured", "invalid_request"}, self.answer.body
        self.check_patches_of_subscriptions()
        self.check_patches_of_order()
        self.check_all_passed_before_the_first_patch()
        self.check_nothing_else_changed()
        self.check_answer()

    # What was asked for

    @property
    def subscription_id(self) -> str | None:
        asked = self.call.body.get("subscriptionId")
        return asked and asked.lower()

    @property
    def asked_numbers(self) -> set[int]:
        lines = self.call.body.get("lineItems")
        if lines is None:
            return {get(line, "lineItemNumber") for line in self.lines(self.call.before.order)}
        return {line["lineItemNumber"] for line in lines}

    def lines(self, order: Json) -> list[Json]:
        return get(order, "lineItems") or []

    def subscription_of(self, line: Json, order: Json, state: State) -> str | None:
        """Return the subscription that *line* names, or the only one that can be its own."""
        if named := named_by(line):
            return named
        unnamed = [one for one in self.lines(order) if not named_by(one) and get(one, "quantity") != 0]
        named_by_others = {named_by(one) for one in self.lines(order)}
        same_offer = [one for one in unnamed if lower(get(one, "offerId")) == lower(get(line, "offerId"))]
        free = [
            one_id
            for one_id, content in state.subscriptions.items()
            if one_id not in named_by_others
            and lower(get(content, "offerId")) == lower(get(line, "offerId"))
            and is_of(content, order)
        ]
        return free[0] if len(free) == 1 and len(same_offer) == 1 else None

    # PATCH requests

    def check_patches_of_subscriptions(self) -> None:
        for patch in self.patches:
            if (one_id := subscription_in(patch)) is None:
                continue
            assert not self.is_dry_run, "a dry run changed a subscription"
            assert self.may_cancel_subscriptions, "the account may not cancel subscriptions"
            reading = self.newest_reading(patch, one_id)
            assert reading is not None, "a PATCH without a reading before it"
            assert patch.arrived_at - reading.arrived_at <= READING_VALID_S + 0.5, "a PATCH from an old reading"
            self.check_body(patch.body, reading.answer)
            fault = self.fault_of(one_id, reading.answer, patch)
            assert fault is None, f"a PATCH of subscription {one_id}: {fault}"

    def check_body(self, body: Json, reading: Json) -> None:
        if not self.is_now:
            check_body_for_term_end(body, reading)
            return
        [name] = [name for name in reading if name.lower() == "status"]
        assert body == reading | {name: "deleted"}, "a PATCH is not what was read, with another status"
        assert list(body) == list(reading)

    def fault_of(self, one_id: str, reading: Json, patch: Request) -> str | None:
        """Return why *reading* of a subscription must not be cancelled by this call."""
        if fault := fault_of_product(reading, is_now=self.is_now):
            return fault
        if self.subscription_id is not None:
            return None if one_id == self.subscription_id else "nobody asked for it"
        order = self.newest_order(patch)
        if order is None:
            return "the order was not read"
        owners = [line for line in self.lines(order) if self.subscription_of(line, order, self.call.before) == one_id]
        numbers = {get(line, "lineItemNumber") for line in owners}
        if not numbers & self.asked_numbers:
            return "no line that was asked for has it"
        if numbers - self.asked_numbers:
            return "a line that was not asked for has it, too"
        living = [line for line in owners if get(line, "quantity") != 0]
        faults = [more_than_line(order, line, reading, is_now=self.is_now) for line in living]
        return next((fault for fault in faults if fault), None if faults else "its line is cancelled")

    def check_patches_of_order(self) -> None:
        patches = [patch for patch in self.patches if subscription_in(patch) is None]
        if patches:
            assert not self.is_dry_run, "a dry run changed an order"
            assert self.subscription_id is None, "an order was changed for a subscription"
            assert self.is_now, "an order was cancelled now, though it was to end with its term"
        for patch in patches:
            assert lower(get(patch.body, "status")) == "cancelled"
            requested = get(patch.body, "lineItems")
            if requested is None:
                assert "lineItems" not in self.call.body, "a whole order was cancelled for some lines"
                numbers = {get(line, "lineItemNumber") for line in self.lines(self.call.before.order)}
            else:
                assert requested
                numbers = {line["lineItemNumber"] for line in requested}
                assert numbers <= self.asked_numbers, "a line was cancelled that was not asked for"
            is_as_in_1_0 = not self.may_cancel_subscriptions or (self.order_first and patch.body == patches[0].body)
            if not is_as_in_1_0:
                named = [get(line, "lineItemNumber") for line in self.lines(self.call.before.order) if named_by(line)]
                living = {number for number in named if number in numbers}
                assert not living, "a line with a subscription was cancelled as a line of its order"

    def check_all_passed_before_the_first_patch(self) -> None:
        """By order, all lines asked for have passed before the first subscription is changed."""
        first = next((patch for patch in self.patches if subscription_in(patch)), None)
        if first is None or self.subscription_id is not None:
            return
        order = self.newest_order(first)
        assert order is not None
        for line in self.lines(order):
            if get(line, "lineItemNumber") not in self.asked_numbers or is_line_cancelled(line, order):
                continue
            one_id = self.subscription_of(line, order, self.call.before)
            if one_id is None:
                assert any(
                    subscription_in(patch) is None and patch.arrived_at < first.arrived_at for patch in self.patches
                ), "a subscription was changed, though a line without one was not cancelled"
                continue
            readings = self.readings(first, one_id)
            assert readings, "a subscription was changed before all were read"
            reading = readings[0]  # one that became too old is read again beside the PATCH requests for others
            if not self.is_done(reading.answer):
                fault = self.fault_of(one_id, reading.answer, first)
                assert fault is None, f"a subscription was changed before all had passed: {fault}"

    def newest_reading(self, patch: Request | None, one_id: str) -> Request | None:
        readings = self.readings(patch, one_id)
        return readings[-1] if readings else None

    def readings(self, patch: Request | None, one_id: str) -> list[Request]:
        """Return the readings of a subscription before *patch*; all of them if that is None."""
        return [
            request
            for request in self.call.requests
            if request.method == "GET"
            and subscription_in(request) == one_id
            and (patch is None or request.arrived_at <= patch.arrived_at)
            and request.is_answered
            and request.status == 200
        ]

    def newest_order(self, patch: Request | None) -> Json | None:
        readings = [
            request.answer
            for request in self.call.requests
            if request.method == "GET"
            and "/orders/" in request.path
            and (patch is None or request.arrived_at <= patch.arrived_at)
            and request.is_answered
            and request.status == 200
        ]
        return readings[-1] if readings else None

    # State

    def check_nothing_else_changed(self) -> None:
        before, after = self.call.before, self.call.after
        has_order_patch = any(subscription_in(patch) is None for patch in self.patches)
        for one_id, content in before.subscriptions.items():
            changes = self.call.others.get(one_id, [])
            if after.subscriptions[one_id] in [content, *changes[-1:]]:
                continue
            if self.is_asked_for(one_id) and not self.is_now:
                states = [without_renewal(state) for state in (content, *changes)]
                assert without_renewal(after.subscriptions[one_id]) in states, (
                    f"{one_id}: more than its renewal changed"
                )
                assert get(after.subscriptions[one_id], "autoRenewEnabled") is False
                assert any(subscription_in(patch) == one_id for patch in self.patches), f"{one_id} changed by itself"
                continue
            if self.is_asked_for(one_id):
                assert lower(get(after.subscriptions[one_id], "status")) == "deleted"
                was_patched = any(subscription_in(patch) == one_id for patch in self.patches)
                assert was_patched or has_order_patch, f"{one_id} changed by itself"
                continue
            raise AssertionError(f"subscription {one_id} was changed, which nobody asked for")
        if before.order != after.order:
            assert has_order_patch
            for old, new in zip(self.lines(before.order), self.lines(after.order), strict=True):
                is_asked = get(old, "lineItemNumber") in self.asked_numbers
                assert is_asked or old == new, "a line was changed that was not asked for"
            is_whole = self.asked_numbers == {get(line, "lineItemNumber") for line in self.lines(before.order)}
            if lower(get(after.order, "status")) == "cancelled" and not is_whole:
                quantities = {get(line, "quantity") for line in self.lines(after.order)}
                assert quantities == {0}, "the order is cancelled, though only some lines were asked for"

    def is_asked_for(self, one_id: str) -> bool:
        if self.subscription_id is not None:
            return one_id == self.subscription_id
        order = self.call.before.order
        owners = [own for number, own in enumerate(self.contents.own) if own and number in self.asked_numbers]
        is_whole = self.asked_numbers == {get(line, "lineItemNumber") for line in self.lines(order)}
        return one_id in map(str.lower, owners) or (is_whole and is_of(self.call.before.subscriptions[one_id], order))

    # The answer

    def cancelled_in(self, state: State) -> set[int | None]:
        """Return the lines that are cancelled at Partner Center; of a subscription, None if it is."""
        if self.subscription_id is not None:
            status = lower(get(state.subscriptions.get(self.subscription_id, {}), "status"))
            return {None} if status == "deleted" else set()
        cancelled: set[int | None] = set()
        if lower(get(state.order, "status")) == "cancelled":
            cancelled |= self.asked_numbers  # also if the order shows no lines
        for line in self.lines(state.order):
            number = get(line, "lineItemNumber")
            own = self.contents.own[number]
            is_deleted = own is not None and lower(get(state.subscriptions[own.lower()], "status")) == "deleted"
            if is_line_cancelled(line, state.order) or is_deleted:
                cancelled.add(number)
        return cancelled

    def done_in(self, state: State) -> set[int | None]:
        """Return the lines that are as the request asks for: cancelled, or set to end with their terms."""
        done = self.cancelled_in(state)
        if self.is_now:
            return done
        if self.subscription_id is not None:
            return done | ({None} if self.is_done(state.subscriptions.get(self.subscription_id, {})) else set())
        own = {number: self.id_of(number) for number in self.asked_numbers}
        return done | {number for number, one_id in own.items() if one_id and self.is_done(state.subscriptions[one_id])}

    def is_done(self, subscription: Json) -> bool:
        return is_deleted(subscription) or (not self.is_now and ends_with_term(subscription))

    def check_answer(self) -> None:
        result, after = self.answer.result, self.done_in(self.call.after)
        asked: set[int | None] = {None} if self.subscription_id is not None else set(self.asked_numbers)
        everything = (
            {None}
            if self.subscription_id is not None
            else {get(line, "lineItemNumber") for line in self.lines(self.call.after.order)}
        )
        newly = (after - self.done_in(self.call.before)) & asked
        by_call = {number for number in newly if self.id_of(number) not in self.done_by_others}
        kept = {number for number in asked if self.is_now or self.id_of(number) not in self.call.others}

        self.check_shown_lines()
        if self.is_dry_run:
            assert self.answer.outcome in {"dry_run", None}
            assert not self.patches
            return
        assert result not in (DONE_AT_TERM_END - DONE_NOW if self.is_now else DONE_NOW - DONE_AT_TERM_END)
        if result in DONE_NOW | DONE_AT_TERM_END:
            assert kept <= after, f"{result}, but {kept - after} are not"
        if result in DONE_AT_TERM_END and not self.is_now:
            self.check_done_was_seen(asked)
        if result == "cancelled":
            assert everything <= after, f"cancelled, but {everything - after} live on"
        if result in {"already_cancelled", "already_scheduled"}:
            assert not by_call, f"{result}, but this call did {by_call}"
        if result == "pending":
            assert any(patch.status is None or patch.status < 300 for patch in self.patches), "pending without a PATCH"
        if result == "some_lines_refused":
            others = {number for number in asked if self.id_of(number) in self.done_by_others}
            living = (asked - after) | others | self.without_subscription(asked)
            assert asked & after or kept != asked, "some lines are said to be done, and none is"
            assert living, "some lines are said to be refused, and all are done"
        if result == "some_lines_unfinished":
            assert asked & after or kept != asked, "nothing is done"
        if result == "outcome_unknown":
            assert self.patches or self.has_earlier_patches, "outcome_unknown without a PATCH"
        is_final_refusal = self.answer.outcome is None and not self.answer.body["retryable"]
        if (is_final_refusal and result != "some_lines_refused") or result in UNCHANGED_RETRYABLE:
            assert not by_call, f"{result}, but this call did {by_call}"
            self.check_renewal_is_unchanged(result)
        if result in {"more_than_the_order", "line_item_mismatch"}:
            accepted = [patch for patch in self.patches if patch.status is not None and patch.status < 300]
            assert not accepted, f"{result}, but a PATCH was accepted"
        if is_final_refusal:
            # An answer of 5xx or 408, or none: the PATCH may be on its way still, unless its subscription is deleted.
            lost = [
                patch
                for patch in self.patches
                if (not patch.is_answered or patch.status in {408, 500, 503})
                and not self.is_done(self.call.after.subscriptions.get(subscription_in(patch) or "", {}))
                and not self.ignores_actions(subscription_in(patch))
            ]
            assert not lost, f"{result} is final, though a PATCH may be on its way"

    def check_done_was_seen(self, asked: set[int | None]) -> None:
        """The end of a term is told only from a reading, and the answer shows it."""
        order = self.newest_order(None)
        for number in asked:
            one_id = self.id_of(number)
            if one_id is None or number in self.cancelled_in(self.call.before):
                continue
            readings = self.readings(None, one_id)
            if order and any(
                is_line_cancelled(line, order) for line in self.lines(order) if self.is_line(line, number)
            ):
                continue
            assert readings, f"{self.answer.result}, and nobody looked"
            assert self.is_done(readings[-1].answer), f"{self.answer.result}, and the newest reading does not show it"

    @staticmethod
    def is_line(line: Json, number: int | None) -> bool:
        return bool(get(line, "lineItemNumber") == number)

    def check_renewal_is_unchanged(self, result: str) -> None:
        """A refusal says that nothing was changed; an action that Partner Center ignores has a code of its own."""
        if self.is_now or result in {"unexpected_answer", "some_lines_refused"}:
            return
        for one_id, content in self.call.before.subscriptions.items():
            is_off = get(self.call.after.subscriptions[one_id], "autoRenewEnabled") is False
            was_on = get(content, "autoRenewEnabled") is True
            assert not (was_on and is_off) or one_id in self.call.others, f"{result}, but auto-renew of {one_id} is off"

    def without_subscription(self, asked: set[int | None]) -> set[int | None]:
        """Return the lines that do not show which subscription they have, though another line may have it, too."""
        order = self.call.before.order
        found = {
            get(line, "lineItemNumber"): self.subscription_of(line, order, self.call.before)
            for line in self.lines(order)
        }
        return {number for number in asked if number in found and found[number] is None}

    def ignores_actions(self, one_id: str | None) -> bool:
        return not self.is_now and any(one_id == known.lower() for known in self.contents.spellings)

    @property
    def done_by_others(self) -> set[str]:
        return {one_id for one_id, changes in self.call.others.items() if any(map(self.is_done, changes))}

    def id_of(self, number: int | None) -> str | None:
        own = self.subscription_id if number is None else self.contents.own[number]
        return own and own.lower()

    def check_shown_lines(self) -> None:
        """Lines that are shown as cancelled, or as ending, are so, and those with a code are not done."""
        after, done = self.cancelled_in(self.call.after), self.done_in(self.call.after)
        order = self.answer.body if self.answer.outcome else self.answer.body["order"]
        for line in order["lineItems"] if order else []:
            number = line["lineItemNumber"]
            assert not line["cancelled"] or number in after, f"line {number} is shown as cancelled"
            if self.answer.result == "some_lines_refused" and line["code"]:
                is_old = number in self.done_in(self.call.before)  # the reading was behind
                was_done_by_others = self.id_of(number) in self.done_by_others
                assert number not in done or is_old or was_done_by_others, f"{number} has a code, and is done"
            if line["cancelled"] or (line["endsAtTerm"] and not self.is_now):
                assert line["code"] is None
            one_id = self.id_of(number)
            if line["endsAtTerm"] and one_id and one_id not in self.touched:
                own = self.call.after.subscriptions[one_id]
                assert is_deleted(own) or ends_with_term(own), f"line {number} is shown as ending with its term"
        if order and not self.is_dry_run:
            cancelled = [line["lineItemNumber"] for line in order["lineItems"] if line["cancelled"]]
            assert order["cancelledLineItems"] == [number for number in cancelled if number is not None]


def get(content: Json, name: str) -> Any:
    return next((value for own_name, value in content.items() if own_name.lower() == name.lower()), None)


def lower(text: object) -> str | None:
    return text.lower() if isinstance(text, str) else None


def is_deleted(subscription: Json) -> bool:
    return lower(get(subscription, "status")) == "deleted"


def subscription_in(request: Request) -> str | None:
    """Return the id of the subscription that *request* is about, in lower case; None for an order or a list."""
    found = re.search(r"/subscriptions/([^/?]+)$", request.path)
    return found and found[1].lower()


def named_by(line: Json) -> str | None:
    """Return the id of the subscription that an order's line names, by a member or by a link."""
    if own := get(line, "subscriptionId"):
        return str(own).lower()
    link = get(get(line, "links") or {}, "subscription")
    return get(link, "uri").rsplit("/", 1)[1].lower() if link else None


def is_of(subscription: Json, order: Json) -> bool:
    """True if *order* began the subscription."""
    ids: Iterable[str | None] = (lower(get(order, name)) for name in ("id", "alternateId"))
    return lower(get(subscription, "orderId")) in {one_id for one_id in ids if one_id}


def is_line_cancelled(line: Json, order: Json) -> bool:
    return get(line, "quantity") == 0 or lower(get(order, "status")) == "cancelled"


def fault_of_product(subscription: Json, *, is_now: bool) -> str | None:
    """Return why no call may cancel this subscription, or end it with its term."""
    if not has_known_kind(subscription):
        return "a product of another kind"
    if is_now and is_trial_licence(subscription):
        return "a trial licence"
    if not is_now and EXTENDED in (lower(get(subscription, "offerName")) or ""):
        return "it is in its extended term"
    status = lower(get(subscription, "status"))
    return None if status in {"active", "suspended"} else f"its status is {status}"


def has_known_kind(subscription: Json) -> bool:
    product = get(subscription, "productType") or {}
    kind, sub_type = lower(get(product, "id")), get(product, "subType")
    is_saas = get(subscription, "isMicrosoftProduct") is False
    return sub_type is None and (kind in {"onlineservicesnce", "software"} or (kind is None and is_saas))


def is_licence(subscription: Json) -> bool:
    return lower(get(get(subscription, "productType") or {}, "id")) == "onlineservicesnce"


def is_trial_licence(subscription: Json) -> bool:
    return is_licence(subscription) and get(subscription, "isTrial") is True


def needs_action(subscription: Json) -> bool:
    """True if auto-renew off alone would move it into a paid extended term."""
    return is_licence(subscription) and not is_trial_licence(subscription)


def ends_with_term(subscription: Json) -> bool:
    """True if Partner Center has all that it takes to end *subscription* with its term."""
    if not has_known_kind(subscription) or get(subscription, "autoRenewEnabled") is not False:
        return False
    actions = get(subscription, "scheduledActions") or []
    cancels = any(is_for_term_end(action) and lower(get(action, "actionType")) == "cancel" for action in actions)
    return cancels or not needs_action(subscription)


def is_for_term_end(action: Json) -> bool:
    return "termend" in {lower(get(action, "scheduleType")), lower(get(action, "scheduledType"))}


def without_renewal(subscription: Json) -> Json:
    return {name: value for name, value in subscription.items() if name.lower() not in RENEWAL}


def check_body_for_term_end(body: Json, reading: Json) -> None:
    """Only the renewal differs from what was read."""
    assert without_renewal(body) == without_renewal(reading), "a PATCH changes more than the renewal"
    names = [name.lower() for name in body]
    assert len(set(names)) == len(names)
    assert get(body, "autoRenewEnabled") is False
    assert "schedulednextterminstructions" not in names
    before, after = get(reading, "scheduledActions"), get(body, "scheduledActions")
    if not needs_action(reading):
        assert after == before
        return
    *others, cancel = after
    assert others == [action for action in before or [] if not is_for_term_end(action)]
    assert is_for_term_end(cancel)
    assert len(cancel) == 2
    assert get(cancel, "actionType") == "Cancel"


def more_than_line(order: Json, line: Json, subscription: Json, *, is_now: bool) -> str | None:
    """Return in what *subscription* is more than *line* of *order* bought; a later term is more for now only."""
    if not is_of(subscription, order):
        return "another order began it"
    if lower(get(line, "transactionType")) not in {None, "new"}:
        return "the line changed a subscription that existed before"
    if get(subscription, "quantity") is None or get(subscription, "quantity") != get(line, "quantity"):
        return "another quantity"
    if not is_now:
        return None
    end, latest = end_of(subscription), latest_end_of(order, line)
    if end is None or latest is None:
        return "nobody can tell its term"
    return None if end < latest else "it is in a later term"


def end_of(subscription: Json) -> datetime | None:
    text = get(subscription, "commitmentEndDateTime") or get(subscription, "commitmentEndDate")
    if not text or text.startswith("9999"):
        return None
    date = datetime.fromisoformat(text)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def latest_end_of(order: Json, line: Json) -> datetime | None:
    found = re.fullmatch(r"P(\d+)([MY])", get(line, "termDuration") or "")
    if found is None:
        return None
    created = datetime.fromisoformat(get(order, "creationDate"))
    months = created.year * 12 + created.month - 1 + int(found[1]) * (1 if found[2] == "M" else 12)
    year, month = months // 12, months % 12 + 1
    return created.replace(year=year, month=month, day=min(created.day, monthrange(year, month)[1])) + TOLERANCE
