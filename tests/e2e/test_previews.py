"""A dry run tells what the same request then does, for all that the local cloud has at its start.

Each journey goes through the whole catalogue: the orders by their id and by their alternateId, the subscriptions by
theirs. First all dry runs are made, then the same requests without dryRun.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from tests.support.answers import Answer
from tests.support.built_in_orders import built_in, built_in_short, subscription_of
from tests.support.functions_host import logged_errors
from tests.support.local_cloud import Json, LocalCloud, running

CLOUDS_AT_ONCE = 6
CALLS_AT_ONCE = 12  # some orders are refused in ways that the function repeats for 2 s

type By = Literal["orderId", "alternateId", "subscriptionId"]

# What all requests of a journey have: in a sandbox, in production, in a sandbox without subscriptions.
JOURNEYS: Mapping[str, Json] = {
    "default": {"account": "default"},
    "production": {"account": "production"},
    "orders-only": {"account": "orders-only"},
    "end-of-term": {"account": "default", "when": "term_end"},
}
# What is walked in one local cloud. The subscriptions are put back before their orders are walked.
BY_ORDER: tuple[By, ...] = ("orderId",)
BY_THE_OTHERS: tuple[By, ...] = ("subscriptionId", "alternateId")
WAYS = (BY_ORDER, BY_THE_OTHERS)
# The usual run walks both ways in the first journey, and one in each of the others. `--soak` walks all.
USUAL_WAYS: Mapping[str, tuple[tuple[By, ...], ...]] = {
    "default": WAYS,
    "production": (BY_THE_OTHERS,),
    "orders-only": (BY_ORDER,),
    "end-of-term": (BY_THE_OTHERS,),
}

NOT_ACTIVATED = "only Partner Center knows that the customer has not activated it"
LOOKS_LIKE_SOFTWARE = "nobody can tell it from perpetual software, which is cancelled"
SUSPENDED = "what Partner Center changes while it is suspended is not documented"
SUSE = "that it cannot be cancelled says nothing about its renewal, and only the stand-in refuses any change"
# The entries of which a dry run cannot know what Partner Center answers, each with the reason.
UNFORESEEN: Mapping[str, Mapping[str, str]] = {
    "default": {
        built_in("saas-not-activated"): NOT_ACTIVATED,
        subscription_of("saas-not-activated"): NOT_ACTIVATED,
    },
    "production": {
        built_in("saas-not-activated"): NOT_ACTIVATED,
        subscription_of("saas-not-activated"): NOT_ACTIVATED,
        built_in("reservation"): LOOKS_LIKE_SOFTWARE,
    },
    "orders-only": {
        built_in("saas-2021"): "it looks like other SaaS, whose orders Partner Center has refused since 2022",
        built_in_short("licence-order-pending"): "it shows no subscription yet, so that it looks like software",
        built_in_short("licence-twins"): "it does not show which of two subscriptions belongs to which line",
        built_in_short("unknown-product-type"): "nobody can tell whether its order can be cancelled",
    },
    "end-of-term": {
        built_in("saas-not-activated"): NOT_ACTIVATED,
        subscription_of("saas-not-activated"): NOT_ACTIVATED,
        built_in_short("licence-suspended"): SUSPENDED,
        subscription_of("licence-suspended"): SUSPENDED,
        built_in_short("licence-suspended-by-microsoft"): SUSPENDED,
        subscription_of("licence-suspended-by-microsoft"): SUSPENDED,
        built_in("suse"): SUSE,
        subscription_of("suse"): SUSE,
    },
}
# The PATCH of these orders is refused for reasons that they do not show. At the end of a term none is sent.
UNFORESEEABLE = "refused-with-"


@dataclass(frozen=True)
class Entry:
    """An entry of the catalogue: the id that names it there, and how a request names it."""

    key: str
    by: By
    body: Json


class Trial(NamedTuple):
    """A request as a dry run, and then in earnest."""

    entry: Entry
    preview: Answer
    answer: Answer

    @property
    def previewed_lines(self) -> list[Json]:
        """The lines that the dry run shows as living."""
        lines: list[Json] = self.preview.body["lineItems"]
        return [line for line in lines if not line["cancelled"]]

    @property
    def lines(self) -> dict[int | None, Json]:
        """The lines that the real request shows, by number; none if it shows no order."""
        order = self.answer.body if self.answer.outcome else self.answer.body["order"]
        return {line["lineItemNumber"]: line for line in order["lineItems"]} if order else {}

    @property
    def is_foretold(self) -> bool:
        if self.preview.outcome is None:
            return self.preview.code == self.answer.code
        return all(self._is_line_foretold(line) for line in self.previewed_lines)

    def _is_line_foretold(self, previewed: Json) -> bool:
        line = self.lines.get(previewed["lineItemNumber"])
        if previewed["cancellable"] is False:
            return previewed["code"] in {self.answer.code, line and line["code"]} - {None}
        is_done = line is not None and self.is_done(line)
        return previewed["code"] is None and (is_done or self.answer.outcome == "pending")

    def is_done(self, line: Json) -> bool:
        """True if *line* is as the request asks for."""
        ends = self.preview.body["when"] == "term_end" and line["endsAtTerm"] is True
        return ends or line["cancelled"] is True


@dataclass(frozen=True)
class Walk:
    """A walk through one local cloud. *patches* and *changes* are those of the dry runs."""

    journey: str
    trials: list[Trial]
    patches: list[Json]
    changes: list[str]
    errors: list[str]


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> dict[str, list[Walk]]:
    """The walks of each journey. No local cloud is used for two."""
    directory = tmp_path_factory.mktemp("previews")
    is_long = pytestconfig.getoption("--soak")
    parts = [(journey, ways) for journey in JOURNEYS for ways in (WAYS if is_long else USUAL_WAYS[journey])]
    with ThreadPoolExecutor(CLOUDS_AT_ONCE) as clouds:
        walks = list(clouds.map(lambda part: walk(directory, *part), parts))
    return {journey: [walk for walk in walks if walk.journey == journey] for journey in JOURNEYS}


def walk(directory: Path, journey: str, ways: tuple[By, ...]) -> Walk:
    own_directory = directory / f"{journey}-{ways[0]}"
    own_directory.mkdir()
    with running(own_directory) as cloud, ThreadPoolExecutor(CALLS_AT_ONCE) as callers:

        def send(entries: list[Entry], **members: object) -> list[Answer]:
            bodies = [entry.body | JOURNEYS[journey] | members for entry in entries]
            return list(callers.map(lambda body: Answer.of(cloud.post(body)), bodies))

        before = _state(cloud)
        entries = [entry for by in ways for entry in _entries(cloud, by, before)]
        cloud.forget()
        previews = send(entries, dryRun=True)
        patches = cloud.requests("partner_center", "PATCH")
        after = _state(cloud)
        answers = []
        for by in ways:
            answers += send([entry for entry in entries if entry.by == by])
            _put_back_subscriptions(cloud, before)
        errors = logged_errors(cloud.log.read_text())
    changes = [path for path in before if before[path] != after[path]]
    return Walk(journey, list(map(Trial, entries, previews, answers)), patches, changes, errors)


def _put_back_subscriptions(cloud: LocalCloud, state: Mapping[str, Json]) -> None:
    for path, content in state.items():
        if path.startswith("subscriptions/"):
            cloud.put(path, content)


def _state(cloud: LocalCloud) -> dict[str, Json]:
    """Return all orders and subscriptions at Partner Center, by their path at the control interface."""
    orders, subscriptions = cloud.description["orders"], cloud.description["subscriptions"]
    return {f"orders/{entry['orderId']}": cloud.order(entry["orderId"]) for entry in orders} | {
        f"subscriptions/{entry['subscriptionId']}": cloud.subscription(entry["subscriptionId"])
        for entry in subscriptions
    }


def _entries(cloud: LocalCloud, by: By, state: Mapping[str, Json]) -> Iterator[Entry]:
    """Yield what is walked. An order is named by its alternateId only if that is not its id."""
    kind, member = ("subscriptions", by) if by == "subscriptionId" else ("orders", "orderId")
    for described in cloud.description[kind]:
        key = own_id = described[member]
        if by == "alternateId":
            members = {name.lower(): value for name, value in state[f"orders/{key}"].items()}
            own_id = members.get("alternateid")
            if own_id in {None, key}:
                continue
        yield Entry(key, by, {"customerTenantId": described["customerTenantId"], member: own_id})


@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_dry_run_foretells_the_answer(walks: dict[str, list[Walk]], journey: str) -> None:
    """A line with a code is answered with that code. A line without one is as it was asked for, or pending."""
    trials = [trial for walk in walks[journey] for trial in walk.trials]
    unforeseen = [(trial.entry.by, trial.entry.key) for trial in trials if not trial.is_foretold]

    assert trials
    assert unforeseen == [
        (trial.entry.by, trial.entry.key)
        for trial in trials
        if trial.entry.key in UNFORESEEN[journey]
        or (trial.entry.key.startswith(UNFORESEEABLE) and journey != "end-of-term")
    ]


@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_dry_run_names_the_lines_that_are_then_changed(walks: dict[str, list[Walk]], journey: str) -> None:
    for trial in (trial for walk in walks[journey] for trial in walk.trials):
        if trial.entry.key in UNFORESEEN[journey] or trial.answer.outcome in {None, "pending"}:
            continue
        open_lines = {line["lineItemNumber"] for line in trial.previewed_lines if not trial.is_done(line)}
        done = [number for number, line in trial.lines.items() if number in open_lines and trial.is_done(line)]
        numbers = [number for number in done if number is not None]
        assert trial.preview.body["cancelledLineItems"] == numbers, trial.entry


@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_dry_run_changes_nothing(walks: dict[str, list[Walk]], journey: str) -> None:
    assert walks[journey]
    assert [walk.patches for walk in walks[journey] if walk.patches] == []
    assert [walk.changes for walk in walks[journey] if walk.changes] == []


@pytest.mark.parametrize("journey", JOURNEYS)
def test_no_entry_of_the_catalogue_brings_out_a_bug(walks: dict[str, list[Walk]], journey: str) -> None:
    for walk in walks[journey]:
        assert walk.errors == []
        for trial in walk.trials:
            for answer in (trial.preview, trial.answer):
                assert answer.code not in {"internal_error", "misconfigured", "invalid_request"}, trial.entry
                assert answer.outcome or answer.body["detail"], trial.entry
