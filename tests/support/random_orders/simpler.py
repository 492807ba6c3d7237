"""Looks for a simpler scenario that breaks the same rule. All candidates of a step are played side by side."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from tests.support.random_orders.plans import LinePlan, Scenario

MAX_STEPS = 40

type Broken = Callable[[list[Scenario]], list[bool]]  # whether each scenario breaks the rule


def simplest(scenario: Scenario, is_broken: Broken) -> Scenario:
    """Return the simplest scenario that was found to break the rule that *scenario* breaks."""
    for _ in range(MAX_STEPS):
        candidates = list(_simpler(scenario))
        broken = is_broken(candidates)
        found = next((one for one, breaks in zip(candidates, broken, strict=True) if breaks), None)
        if found is None:
            break
        scenario = found
    return scenario


def _simpler(scenario: Scenario) -> Iterator[Scenario]:
    if len(scenario.lines) > 1 and (shorter := _without_last_line(scenario)):
        yield shorter
    for place in range(len(scenario.events)):
        yield replace(scenario, events=scenario.events[:place] + scenario.events[place + 1 :])
    yield from (_with_default(scenario, field) for field in _unusual(scenario))
    for place, plan in enumerate(scenario.lines):
        plans = [LinePlan("licence"), *(_with_default(plan, field) for field in _unusual(plan))]
        if plan != plans[0]:
            for simpler in plans:
                yield replace(scenario, lines=(*scenario.lines[:place], simpler, *scenario.lines[place + 1 :]))
    for place, event in enumerate(scenario.events):
        for field in _unusual(event):
            simpler_event = _with_default(event, field)
            yield replace(scenario, events=(*scenario.events[:place], simpler_event, *scenario.events[place + 1 :]))


def _without_last_line(scenario: Scenario) -> Scenario | None:
    last = len(scenario.lines) - 1
    asked = scenario.asked and tuple(number for number in scenario.asked if number != last)
    is_needed = scenario.line == last or asked == () or any(event.changes_line == last for event in scenario.events)
    if is_needed or any(event.place == str(last) for event in scenario.events):
        return None
    return replace(scenario, lines=scenario.lines[:-1], asked=asked)


def _unusual(plan: object) -> list[str]:
    """Return the names of the members that have another value than the default."""
    return [
        field.name
        for field in fields(plan)  # type: ignore[arg-type]
        if field.name not in {"lines", "kind", "method", "place", "events"}
        and getattr(plan, field.name) != field.default
    ]


def _with_default[Plan](plan: Plan, name: str) -> Plan:
    default = next(field.default for field in fields(plan) if field.name == name)  # type: ignore[arg-type]
    return replace(plan, **{name: default})  # type: ignore[type-var]
