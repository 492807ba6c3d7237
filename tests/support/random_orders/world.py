"""Plays scenarios: one worker of the function in this process, and Partner Center's stand-in, which keeps a record."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from infra.local.functions.process import bound_socket
from infra.local.partner_center.members import member
from infra.local.partner_center.orders import Orders
from infra.local.partner_center.subscriptions import Subscriptions
from infra.local.serving import server_for
from infra.local.traffic import Recorded, Traffic
from infra.local.values import Json
from shared.runtime import Runtime
from shared.settings import Settings
from tests.support.answers import Answer
from tests.support.in_process import App
from tests.support.random_orders.contents import CUSTOMER, Contents, changed, make_contents
from tests.support.random_orders.plans import FAULTS, Event, Scenario

REPEATS = 3  # of a request, once nothing happens to it any more


@dataclass
class Request:
    """A request as it arrived at Partner Center, and the answer as far as it left. Times are monotonic seconds."""

    arrived_at: float
    method: str
    path: str
    body: Any
    status: int | None = None
    content: bytes = b""
    is_whole: bool = False

    @property
    def is_answered(self) -> bool:
        return self.is_whole and self.status is not None

    @property
    def answer(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class State:
    """The order and its subscriptions at Partner Center, these by their ids in lower case."""

    order: Json
    subscriptions: dict[str, Json]


@dataclass(frozen=True)
class Call:
    """A call of the function. *others* are the changes that others made meanwhile, by subscription, oldest first."""

    body: Json
    answer: Answer
    before: State
    after: State
    requests: list[Request]
    others: dict[str, list[Json]]


@dataclass(frozen=True)
class Played:
    """A scenario, and the calls that it took. All have the same body; during the first one its events happen."""

    scenario: Scenario
    contents: Contents
    calls: list[Call] = field(default_factory=list)


class World:
    """Plays one batch of scenarios after the other. Those of a batch run side by side."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._partner_center = cloud.partner_center
        self._traffic = Traffic()
        self._traffic.put_subscription = self._put
        self._recorded = Recorded(cloud.partner_center.app, "partner_center", self._traffic)
        self._requests: list[Request] = []
        self._others: list[tuple[str, Json]] = []
        self.app: App

    async def play(self, scenarios: list[Scenario], *, replays: bool = True) -> list[Played]:
        """Play *scenarios*. *replays*: Partner Center repeats its answer to a repeated MS-RequestId."""
        self._partner_center.replay = replays
        played = [Played(scenario, make_contents(scenario)) for scenario in scenarios]
        subscriptions = [entry for one in played for entry in one.contents.subscriptions]
        self._partner_center.subscriptions = Subscriptions(subscriptions, time.time)
        for one in played:
            for subscription_id, spellings in one.contents.spellings.items():
                self._partner_center.subscriptions.know_actions_by(subscription_id, spellings)
        orders = [one.contents.order for one in played]
        self._partner_center.orders = Orders(orders, self._partner_center.subscriptions, time.time)
        self._requests.clear()
        self._others.clear()
        self._traffic.requests.clear()
        self._traffic.faults.clear()
        await asyncio.gather(*map(self._play_one, played))
        return played

    async def _play_one(self, played: Played) -> None:
        scenario, contents = played.scenario, played.contents
        faults = _faults(scenario, contents)
        self._traffic.faults += faults
        body = request_body(scenario, contents)
        played.calls.append(await self._call(contents, body))
        self._traffic.faults = [fault for fault in self._traffic.faults if all(fault is not own for own in faults)]
        for _ in range(REPEATS):
            played.calls.append(await self._call(contents, body))

    async def _call(self, contents: Contents, body: Json) -> Call:
        first_request, first_change = len(self._requests), len(self._others)
        before = self._state(contents)
        answer = await self.app.post(body, prefer="wait=20")
        own = [
            request
            for request in self._requests[first_request:]
            if any(one_id in request.path.lower() for one_id in contents.ids)
        ]
        others: dict[str, list[Json]] = {}
        for one_id, content in self._others[first_change:]:
            if one_id in contents.ids:
                others.setdefault(one_id, []).append(content)
        return Call(body, answer, before, self._state(contents), own, others)

    def _state(self, contents: Contents) -> State:
        order = self._partner_center.order(contents.order_id)
        ids = [entry.subscription_id for entry in contents.subscriptions]
        subscriptions = {one_id.lower(): self._partner_center.subscriptions.now(one_id) or {} for one_id in ids}
        return State(order or {}, subscriptions)

    def _put(self, subscription_id: str, content: Json) -> None:
        """Let somebody else change a subscription. Nobody can change one that is deleted."""
        now = self._partner_center.subscriptions.now(subscription_id)
        if now and member(now, "status") != "deleted":
            self._partner_center.subscriptions.put(subscription_id, content)
            self._others.append((subscription_id.lower(), deepcopy(content)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the stand-in and record it with its answer."""
        query = scope["query_string"].decode()
        path = scope["raw_path"].decode() + (f"?{query}" if query else "")
        request = Request(time.monotonic(), scope["method"], path, None)
        self._requests.append(request)

        async def receive_and_record() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body") and message.get("body"):
                request.body = json.loads(message["body"])
            return message

        async def send_and_record(message: MutableMapping[str, Any]) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                request.status = message["status"]
            else:
                request.content += message.get("body", b"")
                request.is_whole = not message.get("more_body", False)

        await self._recorded(scope, receive_and_record, send_and_record)


@asynccontextmanager
async def running_world(cloud: LocalCloud, directory: Path) -> AsyncIterator[World]:
    """Serve Partner Center's stand-in of *cloud*, whose other stand-ins run; *directory* has its certificate."""
    world = World(cloud)
    with bound_socket(0) as listener:
        listener.listen()
        server = server_for(world, certificate=str(directory / "server.pem"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        api_root = f"https://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings.from_environ(cloud.environment())
        accounts = {
            name: account.model_copy(update={"api_root": api_root}) for name, account in settings.accounts.items()
        }
        async with Runtime(settings.model_copy(update={"accounts": accounts})) as runtime:
            world.app = App(runtime)
            yield world
        server.should_exit = True
        await serving


def request_body(scenario: Scenario, contents: Contents) -> Json:
    body: Json = {"customerTenantId": CUSTOMER, "account": scenario.account}
    if scenario.is_dry_run:
        body["dryRun"] = True
    if scenario.when != "now":
        body["when"] = scenario.when
    if scenario.by == "subscription" and (own := contents.own[scenario.line]):
        return body | {"subscriptionId": own}
    has_alternate = scenario.by == "alternateId" and contents.alternate_id
    body["orderId"] = contents.alternate_id if has_alternate else contents.order_id
    if scenario.asked is not None:
        lines = contents.lines
        offers = [{"offerId": lines[number]["offerId"]} if scenario.has_offers else {} for number in scenario.asked]
        body["lineItems"] = [
            {"lineItemNumber": number} | offer for number, offer in zip(scenario.asked, offers, strict=True)
        ]
    return body


def _faults(scenario: Scenario, contents: Contents) -> list[Fault]:
    """Return the faults that make the events happen, in the form of the control interface."""
    scripts: dict[tuple[str, str], dict[int, Event]] = {}
    for event in scenario.events:
        scripts.setdefault((event.method, event.place), {})[event.nth] = event
    faults = []
    for (method, place), script in scripts.items():
        if (path := _path(place, contents)) is None:
            continue
        for nth in range(max(script) + 1):
            fault: dict[str, object] = {"service": "partner_center", "method": method, "path": path}
            if nth in script:
                fault |= FAULTS[script[nth].fault] | _change(script[nth], contents)
            faults.append(Fault.model_validate(fault))
    return faults


def _path(place: str, contents: Contents) -> str | None:
    if place == "order":
        return f"/orders/({contents.order_id}|{contents.alternate_id})$"
    if place == "list":
        return rf"/subscriptions\?order_id=({contents.order_id}|{contents.alternate_id})"
    own = contents.own[int(place)]
    return own and f"(?i)/subscriptions/{own}$"


def _change(event: Event, contents: Contents) -> dict[str, object]:
    own = contents.own[event.changes_line]
    if event.change is None or own is None:
        return {}
    entry = next(entry for entry in contents.subscriptions if entry.subscription_id == own)
    return {"put_subscription": changed(entry.subscription, event.change)}
