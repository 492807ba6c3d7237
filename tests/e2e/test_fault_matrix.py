"""What a caller is told when something breaks: every fault, at every step it can hit, once and twice.

Through the real runtime over HTTP. Each cell has an order of its own and says what its first answer
must be; then it repeats for as long as it is told to, as a webhook would, until the fault is over.
Every answer is held against the order as the control interface shows it at that moment.

Partner Center's faults are found by the order's id in the path, so those cells run side by side.
The paths of the credentials name an account at most, and a 429 closes a gate for one: those cells
run one after another, in clouds of their own.
"""

import json
import re
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import chain
from typing import NamedTuple

import httpx
import pytest

from tests.conftest import CUSTOMER
from tests.support.function_process import FunctionProcess
from tests.support.local_cloud import Json, LocalCloud, running, software_order

HUGE_BYTES = 100_000_000
LARGE_BYTES = 10_000_000  # what the SDKs get, which read all of it
HUGE_MIB = 64  # that the function's process may grow by while it is given several of them at once
CALLERS = 12
GATE_CLOUDS = 3
SHORT_WAIT_S = 2  # the deadline of calls that are to run into it
LONG_WAIT_S = 30  # of calls that only prepare
REPEAT_LIMIT_S = 90
PAUSE_S = 0.1  # at most, between repeats; Retry-After may say 59
BOM = "\ufeff"
SPARE = "spare-order"
ELSEWHERE = "/elsewhere"


class Step(StrEnum):
    """The requests of a call, in the order of a cold start."""

    IDENTITY = "identity"
    VAULT = "vault"
    DISCOVERY = "Entra, discovery"
    TOKEN = "Entra, token"
    PATCH = "PATCH"
    PATCH_AGAIN = "PATCH of a cancelled order"
    GET_LINES = "GET before lines"
    GET_REFUSED = "GET after a refusal"
    GET_LOST = "GET after a lost PATCH"
    GET_UNREADABLE = "GET after an unreadable answer"


CREDENTIALS = (Step.IDENTITY, Step.VAULT, Step.DISCOVERY, Step.TOKEN)

# As the control interface takes them; those without a status let the request be carried out.
FAULTS: dict[str, Json] = {
    "hang-up before": {"hang_up": "before"},
    "hang-up after": {"hang_up": "after"},
    "half a body": {"hang_up": "halfway"},
    "timeout": {"delay_s": 30},
    "slow body": {"slow_s": 3},
    "401": {"status": 401},
    "403": {"status": 403},
    "408": {"status": 408},
    "409": {"status": 409},
    "409 in progress": {"status": 409, "body": {"code": "800060", "description": "The order is in progress."}},
    "429 for 1 s": {"status": 429, "headers": {"retry-after": "1"}},
    "429": {"status": 429},
    "500": {"status": 500},
    "502 HTML": {"status": 502, "headers": {"content-type": "text/html"}, "body": "<html>Bad Gateway</html>"},
    "503": {"status": 503},
    "BOM": {"body": BOM},  # and then what would have been answered
    "garbage 200": {"status": 200, "body": "garbage"},
    "garbage after": {"body": "garbage"},
    "redirect": {"status": 307},  # to ELSEWHERE
    "100 MB": {"body_bytes": HUGE_BYTES},
    "gzip bomb": {"body_bytes": HUGE_BYTES, "headers": {"content-encoding": "gzip"}},
}
AT_THE_DEADLINE = frozenset({"timeout", "slow body"})
HUGE = frozenset({"100 MB", "gzip bomb"})  # which a busy machine takes long to make
WAIT_S = dict.fromkeys(AT_THE_DEADLINE, SHORT_WAIT_S) | dict.fromkeys(HUGE, LONG_WAIT_S)
CLOSES_THE_GATE = frozenset({"429 for 1 s", "429"})

# Faults that last: accounts whose Partner Center, or Entra, is not where it should be.
PLACES = {"refused connection": "unreachable", "unknown host": "no-name", "false certificate": "impostor"}

REFUSED_AS_DONE: Json = {"code": "800061", "description": "The order cannot be cancelled."}

DONE, LINES, ALREADY, PENDING = "cancelled", "partially_cancelled", "already_cancelled", "pending"
UNKNOWN, DOWN, BUSY, THROTTLED = "outcome_unknown", "partner_center_unavailable", "order_busy", "throttled"
NO_TOKEN, REJECTED, SETTING, ODD = (
    "credentials_unavailable",
    "credentials_rejected",
    "misconfigured",
    "unexpected_answer",
)

STATUSES = {
    **dict.fromkeys((DONE, LINES, ALREADY, PENDING), 200),
    THROTTLED: 429,
    SETTING: 500,
    **dict.fromkeys((REJECTED, ODD), 502),
    **dict.fromkeys((UNKNOWN, DOWN, BUSY, NO_TOKEN), 503),
}
CANCELLED = frozenset({DONE, LINES, ALREADY})
RETRYABLE = frozenset({THROTTLED, UNKNOWN, DOWN, BUSY, NO_TOKEN})
NOTHING_CHANGED = RETRYABLE - {UNKNOWN}

RESULT = {
    *("outcome", "orderId", "alternateId", "customerTenantId", "status", "billingCycle", "currencyCode"),
    *("creationDate", "dryRun", "cancelledLineItems", "lineItems", "account", "ticketId", "requestId", "correlationId"),
}
PROBLEM = {
    *("type", "title", "status", "detail", "instance", "code", "retryable", "errors", "partnerCenter"),
    *("requestId", "correlationId"),
}

type Word = str  # an outcome, or a code; in what is expected, several with | between them
type Both = Word | tuple[Word, Word]  # what is told if the first request of a step fails, and if the first two do

_: None = None  # cannot happen there

NO_TOKENS = (NO_TOKEN,) * 4
REPEATED = (DONE, DONE, LINES, ALREADY, DONE, DONE)  # until it worked
READ = (DONE, ALREADY, LINES, ALREADY, DONE, DONE)  # nothing of the answer was lost in the end
UNREAD = (UNKNOWN, UNKNOWN, PENDING)  # the order, after something that only the order can settle

# What the first answer must be, in the order of Step.
EXPECTED: dict[str, tuple[Both | None, ...]] = {
    "refused connection": (_, _, NO_TOKEN, _, DOWN, _, DOWN, _, _, _),
    "unknown host": (_, _, NO_TOKEN, _, DOWN, _, DOWN, _, _, _),
    "false certificate": (_, _, NO_TOKEN, _, DOWN, _, DOWN, _, _, _),
    "hang-up before": (*NO_TOKENS, *REPEATED),
    "hang-up after": (*NO_TOKENS, *REPEATED),
    "half a body": (*NO_TOKENS, DONE, f"{DONE}|{ALREADY}", LINES, ALREADY, DONE, DONE),  # which of the two is no matter
    "timeout": (*NO_TOKENS, UNKNOWN, UNKNOWN, DOWN, *UNREAD),
    "slow body": (*NO_TOKENS, PENDING, UNKNOWN, DOWN, *UNREAD),
    "401": (
        *(SETTING, SETTING, (DONE, REJECTED), (DONE, REJECTED)),
        *((DONE, REJECTED), (ALREADY, REJECTED), (LINES, REJECTED)),
        *((ALREADY, UNKNOWN), (DONE, UNKNOWN), (DONE, PENDING)),
    ),
    "403": (SETTING, SETTING, (DONE, REJECTED), (DONE, REJECTED), ODD, ALREADY, ODD, *UNREAD),
    "408": (*NO_TOKENS, *REPEATED),
    "409": (*NO_TOKENS, ODD, ALREADY, ODD, *UNREAD),
    "409 in progress": (*NO_TOKENS, BUSY, BUSY, BUSY, *UNREAD),
    "429 for 1 s": (*NO_TOKENS, *READ),
    "429": (*NO_TOKENS, THROTTLED, THROTTLED, THROTTLED, *UNREAD),
    "500": (*NO_TOKENS, *REPEATED),
    "502 HTML": (*NO_TOKENS, *REPEATED),
    "503": (*NO_TOKENS, *REPEATED),
    "BOM": (DONE, DONE, DONE, DONE, *READ),
    "garbage 200": (*NO_TOKENS, PENDING, DONE, ODD, *UNREAD),
    "garbage after": (*NO_TOKENS, DONE, ALREADY, ODD, *UNREAD),
    "redirect": (NO_TOKEN, SETTING, NO_TOKEN, NO_TOKEN, ODD, ALREADY, ODD, *UNREAD),
    "100 MB": (*NO_TOKENS, DONE, ALREADY, ODD, *UNREAD),
    "gzip bomb": (*NO_TOKENS, DONE, ALREADY, ODD, *UNREAD),
}


class Cell(NamedTuple):
    """A fault that the first request of a step meets, or the first two (*times*)."""

    fault: str
    step: Step
    times: int

    @property
    def order_id(self) -> str:
        return "-".join(re.sub(r"\W+", "-", str(part).lower()) for part in self)

    @property
    def expected(self) -> Word | None:
        both = EXPECTED[self.fault][list(Step).index(self.step)]
        return both[self.times - 1] if isinstance(both, tuple) else both


CELLS = [
    cell
    for fault in EXPECTED
    for step in Step
    for times in ((1, 2) if fault in FAULTS else (1,))
    if (cell := Cell(fault, step, times)).expected
]


@dataclass(frozen=True)
class Told:
    """One answer, and the order right before the request and right after the answer."""

    response: httpx.Response
    before: Json
    after: Json

    @property
    def word(self) -> Word:
        body = self.response.json()
        return str(body.get("outcome") or body["code"])


@dataclass
class Findings:
    """What the clouds of the matrix leave behind."""

    told: dict[Cell, list[Told]] = field(default_factory=dict)
    requests: list[Json] = field(default_factory=list)
    met: dict[Cell, int] = field(default_factory=dict)  # requests of a credential's step, from when its fault was set
    logs: list[str] = field(default_factory=list)
    grown_mib: float = 0.0  # at its peak, the function's process that only Partner Center's faults hit


class Bench:
    """A running cloud with the orders of some cells."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self._tls = ssl.create_default_context(cafile=cloud.description["caFile"])

    def run(self, cell: Cell, account: str) -> list[Told]:
        """Ask for what *cell* is about, with its fault, and again for as long as the answer says so."""
        if cell.fault in FAULTS:
            self._prepare(cell, account)
            self._arm(cell, account)
        told = [self._ask(cell, account)]
        limit = time.monotonic() + REPEAT_LIMIT_S
        while told[-1].word in RETRYABLE | {PENDING} and time.monotonic() < limit:
            time.sleep(min(float(told[-1].response.headers.get("retry-after", "0")), PAUSE_S))
            # A place that is not there stays so: the fault is over when the operator has corrected the account.
            told.append(self._ask(cell, account if cell.fault in FAULTS else "default"))
        return told

    def _ask(self, cell: Cell, account: str) -> Told:
        body: Json = {"customerTenantId": CUSTOMER, "orderId": cell.order_id, "account": account}
        if cell.step is Step.GET_LINES:
            body["lineItems"] = [{"lineItemNumber": 1}]
        prefer = {"prefer": f"wait={WAIT_S[cell.fault]}"} if cell.fault in WAIT_S else {}
        before = self.cloud.order(cell.order_id)
        response = self.cloud.post(body, **prefer)
        return Told(response, before, self.cloud.order(cell.order_id))

    def _prepare(self, cell: Cell, account: str) -> None:
        """Bring the function and the order to where the step is taken."""
        path = f"/{cell.order_id}$"
        match cell.step:
            case Step.IDENTITY | Step.VAULT | Step.DISCOVERY | Step.TOKEN:
                self._lose_the_token(account)
                self.cloud.forget()
            case Step.PATCH_AGAIN | Step.GET_REFUSED:
                cancelled = self.cloud.post(
                    {"customerTenantId": CUSTOMER, "orderId": cell.order_id, "account": account},
                    prefer=f"wait={LONG_WAIT_S}",
                )
                assert cancelled.json()["outcome"] == DONE
            case Step.GET_LOST:
                self.cloud.fault(method="PATCH", path=path, hang_up="after")
                self.cloud.fault(method="PATCH", path=path, status=400, body=REFUSED_AS_DONE)
            case Step.GET_UNREADABLE:
                self.cloud.fault(method="PATCH", path=path, body="unreadable")

    def _lose_the_token(self, account: str) -> None:
        """Leave the function without a token of *account*, though with its secret where it keeps secrets."""
        self.cloud.fault(method="GET", path=f"/{SPARE}$", status=401)
        self.cloud.fault(service="entra", method="POST", path=self.account(account)["tenantId"], status=500)
        self.dry_run(account)

    def dry_run(self, account: str) -> None:
        self.cloud.post({"customerTenantId": CUSTOMER, "orderId": SPARE, "account": account, "dryRun": True})

    def account(self, name: str) -> Json:
        return dict(self.cloud.description["accounts"][name])

    def take_requests(self) -> list[Json]:
        """Return what arrived, and forget it, with the faults that are still to come."""
        requests = self.cloud.requests()
        self.cloud.forget()
        return requests

    def mend(self, account: str) -> None:
        """Make an account work that was set up to fail."""
        known = self.account(account)
        self.cloud.put(f"clients/{known['clientId']}", {"secret": known["clientSecret"]})
        self.cloud.put(f"secrets/{known['secretName']}", {"value": known["clientSecret"]})

    def where(self, cell: Cell, account: str) -> Json:
        """Return which requests are of the step, as the control interface takes it."""
        known = self.account(account)
        match cell.step:
            case Step.IDENTITY:
                return {"service": "identity"}
            case Step.VAULT:
                return {"service": "key_vault", "path": f"/{known['secretName']}/"}
            case Step.DISCOVERY:
                return {"service": "entra", "method": "GET", "path": known["tenantId"]}
            case Step.TOKEN:
                return {"service": "entra", "method": "POST", "path": known["tenantId"]}
        return {"method": cell.step.split()[0], "path": f"/{cell.order_id}$"}

    def _arm(self, cell: Cell, account: str) -> None:
        fault = dict(FAULTS[cell.fault])
        if cell.fault == "redirect":
            fault["headers"] = {"location": f"{self.cloud.description['partnerCenterUrl']}{ELSEWHERE}"}
        elif cell.fault == "BOM":
            fault["body"] = BOM + self._answer(cell, account)
        elif "body_bytes" in fault and cell.step in CREDENTIALS:
            fault["body_bytes"] = LARGE_BYTES
        self.cloud.fault(**self.where(cell, account), **fault, times=cell.times)

    def _answer(self, cell: Cell, account: str) -> str:
        """Return the body that the step is answered with when nothing is wrong."""
        if cell.step in CREDENTIALS:
            return self._credential(cell.step, account)
        if cell.step is Step.PATCH_AGAIN:
            return json.dumps(REFUSED_AS_DONE)
        living = cell.step is Step.GET_LINES
        return json.dumps(self.cloud.order(cell.order_id) | ({} if living else {"status": "cancelled"}))

    def _credential(self, step: Step, account: str) -> str:
        described, known = self.cloud.description, self.account(account)
        entra = f"{described['entraUrl']}/{known['tenantId']}"
        with httpx.Client(verify=self._tls, trust_env=False) as http:
            match step:
                case Step.IDENTITY:
                    environment = described["environment"]
                    resource = described["keyVaultUrl"].replace("//127.", "//")
                    header = {"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]}
                    url = environment["IDENTITY_ENDPOINT"]
                    return http.get(url, params={"resource": resource}, headers=header).text
                case Step.VAULT:
                    url = f"{described['keyVaultUrl']}/secrets/{known['secretName']}/{'0' * 32}"
                    return json.dumps({"value": known["clientSecret"], "id": url, "attributes": {"enabled": True}})
                case Step.DISCOVERY:
                    return http.get(f"{entra}/v2.0/.well-known/openid-configuration").text
                case _:
                    form = {
                        "grant_type": "client_credentials",
                        "client_id": known["clientId"],
                        "client_secret": known["clientSecret"],
                        "scope": "https://api.partnercenter.microsoft.com/.default",
                    }
                    return http.post(f"{entra}/oauth2/v2.0/token", data=form).text


def account_of(cell: Cell) -> str:
    place = PLACES.get(cell.fault, "default")
    return f"entra-{place}" if cell.fault in PLACES and cell.step in CREDENTIALS else place


def run_side_by_side(bench: Bench, cells: Sequence[Cell], findings: Findings) -> None:
    """Run *cells* that do not disturb each other, and watch the function's memory."""
    bench.dry_run("default")
    process = FunctionProcess(bench.cloud.log.parent)
    began_mib = process.memory_mib
    with ThreadPoolExecutor(CALLERS) as callers:
        findings.told |= zip(cells, callers.map(bench.run, cells, map(account_of, cells)), strict=True)
    findings.grown_mib = process.peak_memory_mib - began_mib
    findings.requests += bench.take_requests()


def run_one_by_one(bench: Bench, cells: Sequence[Cell], findings: Findings) -> None:
    """Run *cells* in turn, each that has a credential rejected with an account of its own."""
    unspoilt = iter(("production", "expired"))
    bench.mend("expired")
    for cell in cells:
        findings.told[cell] = bench.run(cell, next(unspoilt) if cell.expected == REJECTED else "default")
        requests = bench.take_requests()
        where = bench.where(cell, "default")
        findings.met[cell] = sum(
            one["service"] == where["service"] and one["method"] == where.get("method", "GET") for one in requests
        )
        findings.requests += requests


def run_account_by_account(bench: Bench, cells: deque[Cell], findings: Findings) -> None:
    """Run *cells* until none is left, those of one account in turn."""
    accounts = ("default", "production", "expired", "no-secret")
    bench.mend("expired")
    bench.mend("no-secret")

    def lane(account: str) -> None:
        with suppress(IndexError):
            while True:
                cell = cells.popleft()
                findings.told[cell] = bench.run(cell, account)

    with ThreadPoolExecutor(len(accounts)) as callers:
        list(callers.map(lane, accounts))
    findings.requests += bench.take_requests()


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory, report: list[str]) -> Findings:
    """Run the whole matrix, its clouds side by side."""
    findings = Findings()
    root = tmp_path_factory.mktemp("matrix")

    def run(name: str, cells: Sequence[Cell], work: Callable[[Bench], None], **environment: str) -> None:
        directory = root / name
        orders = directory / "orders"
        orders.mkdir(parents=True)
        for order_id in (SPARE, *(cell.order_id for cell in cells)):
            order = software_order(order_id, CUSTOMER, lines=3)
            (orders / f"{order_id}.json").write_text(json.dumps(order))
        with running(directory, "--orders", str(orders), **environment) as cloud:
            work(Bench(cloud))
            findings.logs.append(cloud.log.read_text())

    of_credentials = [cell for cell in CELLS if cell.step in CREDENTIALS and cell.fault in FAULTS]
    of_the_gate = [cell for cell in CELLS if cell.fault in CLOSES_THE_GATE and cell.step not in CREDENTIALS]
    all_others = [cell for cell in CELLS if cell not in of_credentials and cell not in of_the_gate]
    slowest_first = deque(sorted(of_the_gate, key=lambda cell: (cell.fault == "429", cell.times), reverse=True))
    with ThreadPoolExecutor(1 + GATE_CLOUDS + len(CREDENTIALS)) as clouds:
        runs = [clouds.submit(run, "others", all_others, lambda bench: run_side_by_side(bench, all_others, findings))]
        for number in range(GATE_CLOUDS):
            work = partial(run_account_by_account, cells=slowest_first, findings=findings)
            runs.append(clouds.submit(run, f"gate-{number}", of_the_gate, work))
        for step in CREDENTIALS:
            cells = [cell for cell in of_credentials if cell.step is step]
            work = partial(run_one_by_one, cells=cells, findings=findings)
            # With no secret kept, each token takes a look into Key Vault, and that one of the identity's tokens.
            kept_s = "0" if step in {Step.IDENTITY, Step.VAULT} else "900"
            runs.append(clouds.submit(run, step.name, cells, work, SECRET_TTL_S=kept_s))
        for one in runs:
            one.result()
    report += as_table(findings)
    return findings


def as_table(findings: Findings) -> Iterator[str]:
    """Yield the matrix in Markdown, with what was told first: `first request failed / first two failed`."""
    yield f"| fault | {' | '.join(Step)} |"
    yield "|---" * (1 + len(Step)) + "|"
    for fault in EXPECTED:
        row = []
        for step in Step:
            told = [findings.told[cell][0].word for cell in CELLS if (cell.fault, cell.step) == (fault, step)]
            row.append(" / ".join(dict.fromkeys(told)) or "–")
        yield f"| {fault} | {' | '.join(row)} |"


def name_of(cell: Cell) -> str:
    return cell.order_id


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_the_caller_is_told_the_truth(findings: Findings, cell: Cell) -> None:
    told = findings.told[cell]

    assert cell.expected
    assert told[0].word in cell.expected.split("|"), [one.word for one in told]
    for one in told:
        has_the_shape_of_an_answer(one)
        agrees_with_the_order(one, lines={1} if cell.step is Step.GET_LINES else {0, 1, 2})
    if cell.expected in RETRYABLE | {PENDING}:
        assert told[-1].word in CANCELLED, [one.word for one in told]


def test_a_refusal_that_can_be_neither_read_nor_checked_is_not_final(cloud: LocalCloud, order_id: str) -> None:
    """It may have said that the order is cancelled already, and it is."""
    request = {"customerTenantId": CUSTOMER, "orderId": order_id}
    assert cloud.post(request).json()["outcome"] == DONE
    cloud.fault(method="PATCH", path=order_id, body="garbage")
    cloud.fault(method="GET", path=order_id, status=500, times=4)

    first, second = cloud.post(request), cloud.post(request)

    assert (first.status_code, first.json()["code"]) == (503, UNKNOWN)
    assert (second.status_code, second.json()["outcome"]) == (200, ALREADY)


def has_the_shape_of_an_answer(told: Told) -> None:
    response, body = told.response, told.response.json()
    assert response.status_code == STATUSES[told.word]
    assert response.headers["content-type"] == "application/json"
    retry_after = response.headers.get("retry-after")
    if response.status_code == 200:
        assert body.keys() == RESULT
        assert retry_after is None
        return
    assert body.keys() == PROBLEM
    assert body["status"] == response.status_code
    assert body["retryable"] == (told.word in RETRYABLE)
    assert body["detail"]
    if body["retryable"]:
        assert retry_after
        assert re.fullmatch(r"[1-9]|[1-5][0-9]", retry_after)
    else:
        assert retry_after is None


def agrees_with_the_order(told: Told, lines: set[int]) -> None:
    """Hold what was said against the order; *lines* are those that were asked for."""
    is_cancelled = told.after["status"] == "cancelled"
    gone = {line["lineItemNumber"] for line in told.after["lineItems"] if is_cancelled or line["quantity"] == 0}
    assert gone in (set(), lines), "more or less was cancelled than was asked for"
    if told.word in CANCELLED:
        assert gone == lines
    elif told.word in NOTHING_CHANGED or told.word not in RETRYABLE | {PENDING}:
        assert told.after == told.before
    if told.response.status_code in {404, 422}:
        assert gone != lines, "refused for good, and cancelled"


def test_each_fault_of_a_credential_was_met(findings: Findings) -> None:
    """Else a call that found what it needed somewhere else would pass for one that got over the fault."""
    assert [cell.order_id for cell, met in findings.met.items() if not met] == []


def test_a_redirect_takes_no_token_elsewhere(findings: Findings) -> None:
    went = [one for one in findings.requests if one["path"].startswith(ELSEWHERE)]

    assert [one["path"] for one in went if "authorization" in one["headers"] or one["body"]] == []


def test_no_huge_answer_of_partner_center_is_read_whole(findings: Findings) -> None:
    assert findings.grown_mib < HUGE_MIB


def test_each_answer_is_in_the_audit_record_once(findings: Findings) -> None:
    records = [
        json.loads(line[line.index("{") :])
        for log in findings.logs
        for line in log.splitlines()
        if " cancel_order.audit " in line
    ]
    decided = {
        record["requestId"]: (record["status"], record["outcome"] or record["code"])
        for record in records
        if record["event"] == "decided"
    }
    sending = [record["requestId"] for record in records if record["event"] == "sending"]

    for told in chain.from_iterable(findings.told.values()):
        assert decided[told.response.json()["requestId"]] == (told.response.status_code, told.word)
    assert len(decided) == sum(record["event"] == "decided" for record in records)
    assert len(sending) == len(set(sending))
    assert set(sending) <= decided.keys()


def test_nothing_went_wrong_in_the_log(findings: Findings) -> None:
    for log in findings.logs:
        assert re.findall(r" ERROR (?!msal\.).*", log) == []  # MSAL calls an answer that is no JSON an error of its own
