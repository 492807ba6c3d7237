"""The cells of the matrix: one fault at one step, for the first request of the step or the first two."""

import re
from typing import NamedTuple

from tests.support.fault_matrix.expected import EXPECTED, Result
from tests.support.fault_matrix.faults import CLOSES_THE_GATE, CREDENTIAL_STEPS, LASTING_FAULTS, Step

DEFAULT = "default"


class Cell(NamedTuple):
    """*fault* hits the first *failures* requests of *step*: 1 or 2. A lasting fault hits each, and counts as 1."""

    step: Step
    fault: str
    failures: int = 1

    @property
    def order_id(self) -> str:
        """The id of the cell's own order, which names the cell in test ids as well."""
        count = "" if self.is_lasting else "first" if self.failures == 1 else "first-two"
        return re.sub(r"\W+", "-", f"{self.step} {self.fault} {count}".strip().lower())

    @property
    def expected(self) -> frozenset[Result]:
        """The results of which the first answer must have one."""
        expected = EXPECTED[self.step][self.fault]
        return expected.first_fails if self.failures == 1 else expected.first_two_fail

    @property
    def lines(self) -> frozenset[int]:
        """The numbers of the lines that the caller wants cancelled, of the three that each order has."""
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


ALL_CELLS = [
    Cell(step, fault, failures)
    for step, faults in EXPECTED.items()
    for fault in faults
    for failures in ((1,) if fault in LASTING_FAULTS else (1, 2))
]
# A second failure that changes nothing about the answer is left to the long run.
QUICK_CELLS = [
    cell for cell in ALL_CELLS if cell.failures == 1 or cell.expected != EXPECTED[cell.step][cell.fault].first_fails
]


def cells(*, is_long: bool) -> list[Cell]:
    return ALL_CELLS if is_long else QUICK_CELLS
