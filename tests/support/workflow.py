"""Runs a Logic Apps workflow definition, as far as ours goes: its actions, its expressions, who runs after whom.

What an action sends outside goes to the test, which answers for the other side. Anything that this
does not know is an error, so nothing is passed over. A reading of the documentation, never compared
with the real engine.

Source: learn.microsoft.com/azure/logic-apps/ logic-apps-workflow-actions-triggers,
workflow-definition-language-functions-reference, error-exception-handling (read 2026-11-21).
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

type Json = dict[str, Any]
type Send = Callable[[str, Json], tuple[str, Json | None]]  # action's name and inputs -> its status and outputs

SUCCEEDED, FAILED, SKIPPED, TIMED_OUT = "Succeeded", "Failed", "Skipped", "TimedOut"
SENT = ("Http", "OpenApiConnectionWebhook")
_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?\d+)|(true|false|null)\b|([A-Za-z]\w*)\(|(\?\[)|([\[\]),]))")


def referred(expression: object) -> set[tuple[str, str]]:
    """Return what any text in *expression* refers to by name: ("body", "Cancel"), ("parameters", "approver")."""
    if isinstance(expression, dict):
        return {one for value in expression.values() for one in referred(value)}
    if isinstance(expression, list):
        return {one for value in expression for one in referred(value)}
    if not isinstance(expression, str):
        return set()
    return set(re.findall(r"\b(body|outputs|parameters|variables)\('([^']+)'\)", expression))


def within(actions: Json) -> dict[str, Json]:
    """Return every action in *actions* and below, by name; names are unique in a workflow."""
    found: dict[str, Json] = {}
    for name, action in actions.items():
        branches = [action, action.get("else", {}), action.get("default", {}), *action.get("cases", {}).values()]
        for branch in branches:
            below = within(branch.get("actions", {}))
            assert not found.keys() & below.keys()
            found |= below
        assert name not in found
        found[name] = action
    return found


@dataclass
class Run:
    """One run of *definition* for the trigger's body *asked*."""

    definition: Json
    asked: Json
    parameters: Json
    send: Send
    outputs: dict[str, Any] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    _item: Any = None

    def start(self) -> str:
        """Run it and return how it ended."""
        return self._all(self.definition["actions"])

    def value(self, given: Any) -> Any:
        """Return *given* with every expression in it worked out."""
        if isinstance(given, dict):
            return {name: self.value(one) for name, one in given.items()}
        if isinstance(given, list):
            return [self.value(one) for one in given]
        if not isinstance(given, str) or "@" not in given:
            return given
        if given.startswith("@") and not given.startswith("@{"):
            return _Expression(given[1:], self).read_all()
        return re.sub(r"@\{([^}]*)\}", lambda found: _text(_Expression(found[1], self).read_all()), given)

    def call(self, name: str, arguments: list[Any]) -> Any:  # noqa: PLR0911, PLR0912  (a table in all but form)
        match name, arguments:
            case "parameters", [key]:
                return self.parameters[key]
            case "triggerBody", []:
                return self.asked
            case "variables", [key]:
                return self.variables[key]
            case "outputs", [action]:
                assert action in self.statuses, f"{action} has not run or been skipped yet"
                return self.outputs.get(action)
            case "body", [action]:
                outputs = self.call("outputs", [action])
                return outputs.get("body") if isinstance(outputs, dict) else outputs
            case "item", []:
                return self._item
            case "coalesce", values:
                return next((value for value in values if value is not None), None)
            case "concat", values:
                return "".join(_text(value) for value in values)
            case "string", [value]:
                return _text(value)
            case "json", [str(text)]:
                return json.loads(text)
            case "join", [list(items), str(between)]:
                return between.join(_text(item) for item in items)
            case "empty", [value]:
                return not value
            case "equals", [one, other]:
                return type(one) is type(other) and one == other
            case "if", [bool(condition), one, other]:
                return one if condition else other
            case "contains", [list(items), item]:
                return item in items
            case "createArray", items:
                return items
            case "startsWith", [str(text), str(start)]:
                return text.lower().startswith(start.lower())
            case "setProperty", [dict(members), str(key), value]:
                return members | {key: value}
            case "replace", [str(text), str(old), str(new)]:
                return text.replace(old, new)
            case "encodeUriComponent", [str(text)]:
                return quote(text, safe="")
            case "decodeUriComponent", [str(text)]:
                return unquote(text)
        raise AssertionError(f"{name} cannot be called with {arguments}")

    def _all(self, actions: Json) -> str:
        """Run *actions* in the order of their runAfter, and return how they ended together."""
        left = dict(actions)
        while left:
            ready = next(name for name, action in left.items() if not action["runAfter"].keys() & left.keys())
            action = left.pop(ready)
            if all(self.statuses[before] in allowed for before, allowed in action["runAfter"].items()):
                self.statuses[ready] = self._one(ready, action)
            else:
                self._skip({ready: action})
        # An action that failed is forgiven where another ran because of it: what counts is how the last ones ended.
        followed = {before for action in actions.values() for before in action["runAfter"]}
        ends = [self._end(name, actions) for name in actions if name not in followed]
        return next((end for end in (FAILED, TIMED_OUT) if end in ends), SUCCEEDED)

    def _end(self, name: str, actions: Json) -> str:
        """Return how the branch that ends with *name* ended; where that was skipped, those before it tell."""
        before = actions[name]["runAfter"]
        if self.statuses[name] != SKIPPED or not before:
            return self.statuses[name]
        ends = [self._end(one, actions) for one in before]
        return next((end for end in (FAILED, TIMED_OUT) if end in ends), SUCCEEDED)

    def _skip(self, actions: Json) -> None:
        self.statuses |= dict.fromkeys(within(actions), SKIPPED)

    def _one(self, name: str, action: Json) -> str:
        kind = action["type"]
        inputs = {} if kind == "Select" else self.value(action.get("inputs"))
        if kind in SENT:
            status, self.outputs[name] = self.send(name, inputs)
            return status
        if kind == "Scope":
            return self._all(action["actions"])
        if kind in {"If", "Switch"}:
            return self._branch(action)
        if kind == "Select":
            self.outputs[name] = {"body": [self._of(one, action) for one in self.value(action["inputs"]["from"])]}
        elif kind == "Compose":
            self.outputs[name] = inputs
        elif kind == "ParseJson":
            self.outputs[name] = {"body": inputs["content"]}
        elif kind == "InitializeVariable":
            self.variables |= {one["name"]: one["value"] for one in inputs["variables"]}
        elif kind == "SetVariable":
            assert inputs["name"] in self.variables
            self.variables[inputs["name"]] = inputs["value"]
        else:
            raise AssertionError(f"{name} is of the unknown type {kind}")
        return SUCCEEDED

    def _of(self, item: object, action: Json) -> Any:
        self._item = item
        return self.value(action["inputs"]["select"])

    def _branch(self, action: Json) -> str:
        if action["type"] == "If":
            holds = all(self.call("equals", self.value(one["equals"])) for one in action["expression"]["and"])
            branches = [action, action["else"]]
            chosen = branches[0 if holds else 1]
        else:
            value = self.value(action["expression"])
            branches = [*action["cases"].values(), action["default"]]
            chosen = next((case for case in branches if case.get("case") == value), action["default"])
        for branch in branches:
            if branch is not chosen:
                self._skip(branch["actions"])
        return self._all(chosen["actions"])


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


class _Expression:
    """An expression, read from left to right and worked out on the way."""

    def __init__(self, text: str, run: Run) -> None:
        self._text, self._run, self._at = text, run, 0

    def read_all(self) -> Any:
        value = self._read()
        assert not self._text[self._at :].strip(), f"left over: {self._text[self._at :]}"
        return value

    def _next(self) -> re.Match[str]:
        found = _TOKEN.match(self._text, self._at)
        assert found, f"cannot be read: {self._text[self._at :]}"
        self._at = found.end()
        return found

    def _read(self) -> Any:
        text, number, word, function, _, _ = self._next().groups()
        if text is not None:
            return text.replace("''", "'")
        if number:
            return int(number)
        if word:
            return json.loads(word)
        assert function, f"no value in {self._text}"
        value = self._run.call(function, self._arguments())
        while self._text.startswith("?[", self._at):
            self._next()
            member = self._read()
            assert self._next()[6] == "]"
            assert value is None or isinstance(value, dict), f"{member} cannot be selected from {value!r}"
            value = None if value is None else value.get(member)
        return value

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        while not re.match(r"\s*\)", self._text[self._at :]):
            if arguments:
                assert self._next()[6] == ","
            arguments.append(self._read())
        self._next()
        return arguments
