"""Runs the cells in several clouds, side by side, and keeps the calls and logs for the tests."""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from tests.conftest import CUSTOMER
from tests.support.answers import Answer
from tests.support.fault_matrix.cells import DEFAULT, Cell
from tests.support.fault_matrix.expected import TO_REPEAT
from tests.support.fault_matrix.faults import (
    CREDENTIAL_STEPS,
    HUGE,
    LOOKS_AT_SUBSCRIPTION,
    RUNS_INTO_THE_DEADLINE,
    Step,
)
from tests.support.fault_matrix.steps import ask_for_fault, dry_run, prepare, requests_of, spare_order_id
from tests.support.functions_host import FunctionProcess
from tests.support.licences import LicenceOrder, write_subscriptions
from tests.support.local_cloud import Json, LocalCloud, running, software_order, write_orders
from tests.support.waiting import wait_until

CALLERS = 12
SHORT_WAIT_S = 2  # the deadline of calls that are to run into it
SUBSCRIPTION_WAIT_S = 4  # the same for subscriptions, whose PATCH never begins with less than 2 s left
LONG_WAIT_S = 30  # a busy machine takes long to make a huge answer
WAIT_S = dict.fromkeys(RUNS_INTO_THE_DEADLINE, SHORT_WAIT_S) | dict.fromkeys(HUGE, LONG_WAIT_S)
REPEAT_LIMIT_S = 90
PAUSE_S = 0.1  # at most, between repeats; Retry-After may say 59
FREE_ACCOUNT_LIMIT_S = 300

SET_UP_TO_FAIL = ("expired", "no-secret")
WITH_CLIENT_SECRET = (DEFAULT, "production", *SET_UP_TO_FAIL)
ALL_BUT_DEFAULT = (
    *("production", *SET_UP_TO_FAIL),
    *("certificate-global", "certificate-china", "certificate-usgov"),
    *("user-global", "user-china", "user-usgov"),
    *("federated-global", "federated-china", "federated-usgov"),
    *("secret-china", "secret-usgov"),
)


class Plan(NamedTuple):
    """A cloud for the faults of some steps. *accounts* are for cells that need one of their own."""

    steps: frozenset[Step]
    accounts: tuple[str, ...]
    secret_ttl_s: int = 900  # 0 keeps no secret: each token takes a look into Key Vault with the managed identity
    one_at_a_time: bool = False


PARTNER_CENTER = "partner-center"
PLANS = {
    PARTNER_CENTER: Plan(frozenset(Step) - CREDENTIAL_STEPS, ALL_BUT_DEFAULT),
    # The requests to the managed identity do not even name an account.
    "identity": Plan(frozenset({Step.IDENTITY}), WITH_CLIENT_SECRET, secret_ttl_s=0, one_at_a_time=True),
    "key-vault": Plan(frozenset({Step.KEY_VAULT}), WITH_CLIENT_SECRET, secret_ttl_s=0),
    "entra": Plan(frozenset({Step.DISCOVERY, Step.TOKEN}), WITH_CLIENT_SECRET),
}


class Call(NamedTuple):
    """One call of the function: its answer, and the order or the subscription just before and just after."""

    answer: Answer
    state_before: Json
    state_after: Json


class Run(NamedTuple):
    """One cell: the calls, and when the fault was there, in seconds since 1970."""

    cell: Cell
    account: str
    calls: list[Call]
    began_at: float
    ended_at: float


@dataclass
class Findings:
    """The calls of each cell, and what the clouds recorded."""

    calls: dict[Cell, list[Call]] = field(default_factory=dict)
    cells_without_their_step: list[Cell] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)  # that arrived at the services behind the function
    logs: list[str] = field(default_factory=list)
    grown_mib: float = 0.0  # the function's process that only Partner Center's faults hit, at its peak


def run_matrix(directory: Path, cells: Sequence[Cell]) -> Findings:
    """Run *cells* in the clouds of PLANS, side by side."""
    findings = Findings()
    by_cloud: dict[str, list[Cell]] = {name: [] for name in PLANS}
    for cell in cells:
        by_cloud[_cloud_of(cell)].append(cell)
    with ThreadPoolExecutor(len(PLANS)) as clouds:
        runs = [clouds.submit(_run_cloud, directory, name, cells, findings) for name, cells in by_cloud.items()]
        for run in runs:
            run.result()
    return findings


def _cloud_of(cell: Cell) -> str:
    if cell.is_lasting:
        return PARTNER_CENTER  # repeats use the default account, which must work meanwhile
    return next(name for name, plan in PLANS.items() if cell.step in plan.steps)


def _run_cloud(root: Path, name: str, cells: Sequence[Cell], findings: Findings) -> None:
    plan = PLANS[name]
    accounts = {DEFAULT, *plan.accounts}
    orders = [*map(spare_order_id, accounts), *(cell.order_id for cell in cells if not cell.is_of_subscription)]
    licences = [cell.licence for cell in cells if cell.is_of_subscription]
    with _cloud_with(root / name, orders, licences, SECRET_TTL_S=str(plan.secret_ttl_s)) as cloud:
        for account in accounts.intersection(SET_UP_TO_FAIL):
            cloud.repair(account)
        for account in accounts:
            dry_run(cloud, account)
        process = FunctionProcess(cloud.log.parent)
        began_mib = process.memory_mib

        runs = _run_cells(cloud, cells, plan)

        if name == PARTNER_CENTER:
            findings.grown_mib = process.peak_memory_mib - began_mib
        requests = cloud.requests()
        findings.calls |= {run.cell: run.calls for run in runs}
        findings.cells_without_their_step += [run.cell for run in runs if not _took_its_step(cloud, run, requests)]
        findings.requests += requests
        ids = {call.answer.request_id for run in runs for call in run.calls}
        # A host may log after it has answered, and the real one drops what it has not written when it ends.
        wait_until(lambda: all(map(cloud.log.read_text().__contains__, ids)), "a call has no record in the log")
    findings.logs.append(cloud.log.read_text())


@contextmanager
def _cloud_with(
    directory: Path, order_ids: Iterable[str], licences: Sequence[LicenceOrder], **environment: str
) -> Iterator[LocalCloud]:
    orders = [software_order(order_id, CUSTOMER, lines=3) for order_id in order_ids]
    orders += [licence.order() for licence in licences]
    subscriptions = write_subscriptions(directory / "subscriptions", licences)
    options = ("--orders", write_orders(directory / "orders", orders), "--subscriptions", subscriptions)
    with running(directory, *options, **environment) as cloud:
        yield cloud


def _run_cells(cloud: LocalCloud, cells: Iterable[Cell], plan: Plan) -> list[Run]:
    """Run *cells* side by side; those that need an account of their own wait for a free one of the plan's."""
    free = SimpleQueue[str]()
    for account in plan.accounts:
        free.put(account)

    def run(cell: Cell) -> Run:
        if not cell.needs_own_account:
            return _run_cell(cloud, cell, cell.account)
        account = free.get(timeout=FREE_ACCOUNT_LIMIT_S)
        if plan.one_at_a_time:
            cloud.clear_faults()  # a fault that the cell before left over would hit this cell's account
        found = _run_cell(cloud, cell, account)
        if not cell.spoils_account:
            free.put(account)
        return found

    users = 1 if plan.one_at_a_time else len(plan.accounts)
    with ThreadPoolExecutor(CALLERS) as callers, ThreadPoolExecutor(users) as account_users:
        runs = [
            (account_users if cell.needs_own_account else callers).submit(run, cell)
            for cell in sorted(cells, key=_rank)
        ]
        return [run.result() for run in runs]


def _rank(cell: Cell) -> tuple[bool, bool, int]:
    """Sort cells that leave their account unusable to the end, and cells that take long to the start."""
    return cell.spoils_account, cell.fault not in {"429", "timeout", "slow body"}, -cell.failures


def _run_cell(cloud: LocalCloud, cell: Cell, account: str) -> Run:
    """Call the function while *cell*'s fault is there, and again for as long as the answer says so."""
    if not cell.is_lasting:
        prepare(cloud, cell, account)
        ask_for_fault(cloud, cell, account)
    began_at = time.time()
    calls = [_call(cloud, cell, account)]
    limit = time.monotonic() + REPEAT_LIMIT_S
    while calls[-1].answer.result in TO_REPEAT and time.monotonic() < limit:
        time.sleep(min(float(calls[-1].answer.retry_after or 0), PAUSE_S))
        # A lasting fault is over when the operator has corrected the account, as the default one is.
        calls.append(_call(cloud, cell, DEFAULT if cell.is_lasting else account))
    return Run(cell, account, calls, began_at, time.time())


def _call(cloud: LocalCloud, cell: Cell, account: str) -> Call:
    body: Json = {"customerTenantId": CUSTOMER, "orderId": cell.order_id}
    if not cell.names_order:
        body = cell.licence.by_subscription
    if cell.step is Step.GET_BEFORE_LINES:
        body["lineItems"] = [{"lineItemNumber": number} for number in cell.lines]
    if cell.is_for_term_end:
        body |= {"when": "term_end"}
    state_before = _state(cloud, cell)
    response = cloud.post(body | {"account": account}, **_preference(cell))
    return Call(Answer.of(response), state_before, _state(cloud, cell))


def _preference(cell: Cell) -> dict[str, str]:
    if cell.fault not in WAIT_S:
        return {}
    runs_into_deadline = cell.is_of_subscription and cell.fault in RUNS_INTO_THE_DEADLINE
    return {"prefer": f"wait={SUBSCRIPTION_WAIT_S if runs_into_deadline else WAIT_S[cell.fault]}"}


def _state(cloud: LocalCloud, cell: Cell) -> Json:
    """Return the order of *cell*, or its subscription, as Partner Center has it."""
    return cloud.subscription(cell.licence.subscription_id) if cell.is_of_subscription else cloud.order(cell.order_id)


def _took_its_step(cloud: LocalCloud, run: Run, requests: list[Json]) -> bool:
    """Return whether a request of the cell's step arrived while the fault was there."""
    if run.cell.is_lasting:
        return True  # no request arrives anywhere
    step = requests_of(cloud, run.cell, run.account)
    methods = [
        request["method"]
        for request in requests
        if run.began_at <= request["time"] <= run.ended_at
        and request["service"] == step["service"]
        and re.search(step["path"], request["path"])
    ]
    if run.cell.step in LOOKS_AT_SUBSCRIPTION:
        return methods[:3] == ["GET", "PATCH", "GET"]
    return step["method"] in methods
