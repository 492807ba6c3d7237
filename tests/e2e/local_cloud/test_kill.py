"""What the control interface does to the function's process, in a local cloud of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.conftest import CUSTOMER
from tests.support.functions_host import FunctionProcess
from tests.support.local_cloud import Json, LocalCloud, order_id_of, running, software_order, write_orders
from tests.support.stand_in_clients import LIMIT_S, LONG_S, methods_and_statuses, request_for, send_control
from tests.support.waiting import wait_until

DONE, DROPPED, DROPPED_AFTER = (order_id_of(f"killed-{name}") for name in ("done", "dropped", "dropped-after"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mortal")


@pytest.fixture(scope="module")
def mortal(directory: Path) -> Iterator[LocalCloud]:
    orders = (software_order(order_id, CUSTOMER) for order_id in (DONE, DROPPED, DROPPED_AFTER))
    with running(directory, "--orders", write_orders(directory / "orders", orders)) as cloud:
        yield cloud


def is_serving(cloud: LocalCloud) -> bool:
    return cloud.post(request_for(DONE, dryRun=True)).status_code == 200


@pytest.mark.parametrize(
    ("order_id", "fault", "status"),
    [
        pytest.param(DONE, {}, "cancelled", id="carried-out"),
        pytest.param(DROPPED, {"hang_up": "before"}, "completed", id="dropped-before-the-change"),
        pytest.param(DROPPED_AFTER, {"hang_up": "after"}, "cancelled", id="dropped-after-the-change"),
    ],
)
def test_a_kill_between_the_patch_and_the_answer_leaves_the_order_as_partner_center_has_it(
    mortal: LocalCloud, background: ThreadPoolExecutor, order_id: str, fault: Json, status: str
) -> None:
    """The caller's connection breaks, as in Azure, and the next process serves."""
    mortal.forget()
    mortal.fault(method="PATCH", delay_s=LONG_S, **fault)
    call = background.submit(mortal.post, request_for(order_id), prefer="wait=100")
    wait_until(lambda: ("PATCH", None) in methods_and_statuses(mortal), "no PATCH arrived")

    assert send_control(mortal, "POST", "kill").status_code == 200

    assert isinstance(call.exception(LIMIT_S), httpx.TransportError)
    assert is_serving(mortal)
    assert mortal.order(order_id)["status"] == "completed"
    mortal.clear_faults()
    wait_until(lambda: mortal.order(order_id)["status"] == status, f"the order is not {status}")


def test_kills_at_once_follow_each_other(mortal: LocalCloud, directory: Path, background: ThreadPoolExecutor) -> None:
    """No process is left over, and each answer comes when a process serves."""
    kills = [background.submit(send_control, mortal, "POST", "kill") for _ in range(2)]

    assert [kill.result().status_code for kill in kills] == [200, 200]
    assert is_serving(mortal)
    FunctionProcess(directory)  # there is exactly one


def test_an_unknown_timer_function_is_404(mortal: LocalCloud) -> None:
    answers = [send_control(mortal, "POST", f"timers/{name}") for name in ("nobody", "no%3Fbody%23", "..%2Fhost")]

    assert [answer.status_code for answer in answers] == [404] * 3
    assert answers[0].json() == {"error": "no such timer function"}
