"""docs/when-things-break.md shows what e2e/test_fault_matrix.py and contract/tickets/test_tell_faults.py prove."""

from tests.support.fault_matrix.document import COMMAND, PAGE, page_with_tables
from tests.support.fault_matrix.expected import EXPECTED
from tests.support.fault_matrix.faults import (
    ALL_FAULTS,
    FAULTS,
    LASTING_FAULTS,
    SUBSCRIPTION_STEPS,
    TERM_END_STEPS,
    Step,
)
from tests.support.fault_matrix.wrapped import COLUMNS


def test_the_page_has_the_tables_that_the_tests_prove() -> None:
    page = PAGE.read_text()

    assert page == page_with_tables(page), f"write the tables anew: {COMMAND}"


def test_no_line_of_the_page_is_wider_than_a_page() -> None:
    assert [line for line in PAGE.read_text().splitlines() if len(line) > COLUMNS] == []


def test_every_fault_has_an_answer_at_every_step() -> None:
    """A fault that lasts is caused once for each service that it can hit; every other fault hits each step.

    Those of subscriptions hit some of their steps. The end of a term has fewer: its requests are sent by the same code.
    """
    for step in TERM_END_STEPS:
        assert EXPECTED[step].keys() < ALL_FAULTS.keys()
    for step in set(Step) - TERM_END_STEPS:
        faults = EXPECTED[step].keys() - LASTING_FAULTS.keys()
        assert faults & FAULTS.keys() == FAULTS.keys()
        assert faults <= (ALL_FAULTS.keys() if step in SUBSCRIPTION_STEPS else FAULTS.keys())
    assert ALL_FAULTS.keys() <= EXPECTED[Step.PATCH_SUBSCRIPTION].keys()
    for fault in LASTING_FAULTS:
        steps = {step for step in Step if fault in EXPECTED[step]}
        assert steps == {Step.DISCOVERY, Step.PATCH, Step.GET_BEFORE_LINES, Step.GET_SUBSCRIPTION}
