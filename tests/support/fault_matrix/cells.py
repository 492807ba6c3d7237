"""The cells of the matrix: one fault at one step, for the first request of the step or the first two."""

import re
import uuid
from typing import NamedTuple

from tests.support.fault_matrix.expected import DONE, EXPECTED, Result
from tests.support.fault_matrix.faults import (
    CLOSES_THE_GATE,
    CREDENTIAL_STEPS,
    LASTING_FAULTS,
    LOOKS_AT_SUBSCRIPTION,
    SUBSCRIPTION_STEPS,
    TERM_END_STEPS,
    Step,
)
from tests.support.licences import LicenceOrder

DEFAULT = "default"


# Whether the caller names the order, by step; at the other steps for subscriptions it names the subscription.
NAMES_ORDER = {
    Step.GET_SUBSCRIPTION: (False, True),
    Step.LIST_SUBSCRIPTIONS: (True,),
    Step.PATCH_SUBSCRIPTION: (False, True),
    Step.LOOK_AFTER_UNREADABLE: (True,),
    Step.LOOK_AFTER_REFUSAL: (False,),
    Step.PATCH_TERM_END: (False,),
    Step.LOOK_AT_TERM_END: (True,),
}


class Cell(NamedTuple):
    """*fault* hits the first *failures* requests of *step*: 1 or 2. A lasting fault hits each, and counts as 1.

    *names_order*: the caller names the order, not its subscription.
    """

    step: Step
    fault: str
    failures: int = 1
    names_order: bool = True

    @property
    def name(self) -> str:
        """The name of the cell in test ids."""
        way = "by order" if self.step in SUBSCRIPTION_STEPS and self.names_order else ""
        count = "" if self.is_lasting else "first" if self.failures == 1 else "first-two"
        return re.sub(r"\W+", "-", f"{self.step} {way} {self.fault} {count}".strip().lower())

    @property
    def is_of_subscription(self) -> bool:
        return self.step in SUBSCRIPTION_STEPS

    @property
    def is_for_term_end(self) -> bool:
        return self.step in TERM_END_STEPS

    @property
    def licence(self) -> LicenceOrder:
        """The cell's own order of a licence, for the steps of subscriptions."""
        return LicenceOrder(self.name, is_named=self.step is not Step.LIST_SUBSCRIPTIONS)

    @property
    def order_id(self) -> str:
        """The id of the cell's own order. With 33 characters it looks like software's, whose PATCH comes first."""
        return self.licence.order_id if self.is_of_subscription else software_order_id(self.name)

    @property
    def expected(self) -> frozenset[Result]:
        """The results of which the first answer must have one."""
        expected = EXPECTED[self.step][self.fault]
        return expected.first_fails if self.failures == 1 else expected.first_two_fail

    @property
    def lines(self) -> frozenset[int]:
        """The numbers of the lines that the caller names, of the three that each order of software has."""
        if self.is_of_subscription:
            return frozenset({0})
        return frozenset({1}) if self.step is Step.GET_BEFORE_LINES else frozenset({0, 1, 2})

    @property
    def is_lasting(self) -> bool:
        return self.fault in LASTING_FAULTS

    @property
    def account(self) -> str:
        """The account of the call, unless the cell needs one that no other cell uses meanwhile."""
        if not self.is_lasting:
            return DEFAULT
        account = LASTING_FAULTS[self.fault].account
        return f"entra-{account}" if self.step in CREDENTIAL_STEPS else account

    @property
    def needs_own_account(self) -> bool:
        """True if other calls of the account meanwhile would meet the fault, or what it leaves behind.

        The requests for a credential name the account and no order. A 429 stops all calls of an account.
        """
        return not self.is_lasting and (self.step in CREDENTIAL_STEPS or self.fault in CLOSES_THE_GATE)

    @property
    def spoils_account(self) -> bool:
        """True if the function remembers afterwards that the account's credential cannot work."""
        return self.step in CREDENTIAL_STEPS and not self.expected.isdisjoint({"credentials_rejected", "misconfigured"})


def software_order_id(name: str) -> str:
    """Return an id of 33 characters, as orders of software have."""
    return f"A{uuid.uuid5(uuid.NAMESPACE_URL, name).hex}"


def _failures(step: Step, fault: str) -> tuple[int, ...]:
    """Return how many requests *fault* hits in the cells.

    A look that fails for good is the only one of its call: a second fault would hit the next call's first reading.
    """
    is_only_look = step in LOOKS_AT_SUBSCRIPTION and not EXPECTED[step][fault].first_fails <= DONE
    return (1,) if fault in LASTING_FAULTS or is_only_look else (1, 2)


ALL_CELLS = [
    Cell(step, fault, failures, names_order)
    for step, faults in EXPECTED.items()
    for names_order in NAMES_ORDER.get(step, (True,))
    for fault in faults
    for failures in _failures(step, fault)
]
# Requests that come before any change, and that one which asks for a change already made. No lost answer of theirs can
# hide a change.
CHANGE_NOTHING = CREDENTIAL_STEPS | {
    Step.PATCH_OF_CANCELLED,
    Step.GET_BEFORE_LINES,
    Step.GET_SUBSCRIPTION,
    Step.LIST_SUBSCRIPTIONS,
}


def _is_long(cell: Cell) -> bool:
    """Return whether only the long run has *cell*.

    The usual run has each fault at each request that can change something, and at each look after one. At the others
    it has each fault at every second step, and each step with every second fault. A request for a subscription names
    the order in one half of the cells. A second failure is left out if it changes nothing about the answer.
    """
    if cell.failures > 1:
        return cell.expected == EXPECTED[cell.step][cell.fault].first_fails
    number = list(Step).index(cell.step) + list(EXPECTED[cell.step]).index(cell.fault)
    if cell.step in CHANGE_NOTHING and not cell.is_lasting:
        number, is_second = divmod(number, 2)
        if is_second:
            return True
    has_both_ways = len(NAMES_ORDER.get(cell.step, ())) > 1
    return has_both_ways and cell.names_order is not (number % 2 == 0)


QUICK_CELLS = [cell for cell in ALL_CELLS if not _is_long(cell)]


def cells(*, is_long: bool) -> list[Cell]:
    return ALL_CELLS if is_long else QUICK_CELLS
