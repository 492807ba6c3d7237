"""Each fault at each request that finding needs: the answers of docs/when-things-break.md."""

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER
from tests.support.fault_matrix.faults import RUNS_INTO_THE_DEADLINE
from tests.support.fault_matrix.finding import (
    DEFAULT_WAIT_S,
    EXPECTED,
    FAULTS,
    FOUND,
    IN_PART,
    WAIT_S,
    FindStep,
    control_of,
)
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

LATER_PAGE = "seekOperation"
PATHS = {
    FindStep.DOMAIN: "/wingtip.example/",
    FindStep.ORDERS: f"/{LICENCE_CUSTOMER}/orders.*{LATER_PAGE}",
    FindStep.SUBSCRIPTIONS: f"/{LICENCE_CUSTOMER}/subscriptions.*{LATER_PAGE}",
}
# A call that runs into its deadline has no time for a second request.
# The domain, the orders and the subscriptions are asked by one loop. The usual run has each fault of the orders, once
# and twice, and every second fault of the other two, once.
CELLS = [
    pytest.param(
        step,
        fault,
        times,
        id=f"{step.name.lower()}-{fault}-{times}",
        marks=pytest.mark.long if step is not FindStep.ORDERS and (times > 1 or number % 2) else (),
    )
    for step in FindStep
    for number, fault in enumerate(FAULTS)
    for times in (1, 2)
    if times == 1 or fault not in RUNS_INTO_THE_DEADLINE
]


@pytest.mark.parametrize(("step", "fault", "times"), CELLS)
async def test_a_fault_has_its_answer(app: App, cloud: LocalCloud, step: FindStep, fault: str, times: int) -> None:
    whole = await app.find({"customerTenantId": LICENCE_CUSTOMER})
    service = "entra" if step is FindStep.DOMAIN else "partner_center"
    cloud.fault(service=service, path=PATHS[step], **control_of(fault), times=times)

    answer = await app.find({"customerDomain": "wingtip.example"}, prefer=f"wait={WAIT_S.get(fault, DEFAULT_WAIT_S)}")
    cloud.clear_faults()
    repeated = await app.find({"customerDomain": "wingtip.example"})

    expected = EXPECTED[step][fault]
    assert end_of(answer.code, more=answer.body.get("more")) == (expected.first if times == 1 else expected.first_two)
    if answer.code is None:
        assert (answer.body == whole.body) is not answer.body["more"]
    # The gate stays closed for the time that Partner Center asked for; anything else is over with the fault.
    assert repeated.code == "throttled" if answer.code == "throttled" else repeated.body == whole.body


def end_of(code: str | None, *, more: bool | None) -> str:
    return code or (IN_PART if more else FOUND)


def test_every_fault_has_an_answer_at_every_step() -> None:
    assert all(EXPECTED[step].keys() == FAULTS.keys() for step in FindStep)
