"""Runs a Logic Apps workflow definition, as far as the sample flow needs: its actions, expressions and order.

An action that sends something calls the test, which answers for the other side. An action or expression that
is not implemented here is an error, so nothing is skipped by accident. This follows the documentation and was
never compared with the real engine.

Source: learn.microsoft.com/azure/logic-apps/ logic-apps-workflow-actions-triggers,
workflow-definition-language-functions-reference, error-exception-handling (read 2026-11-21).
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from tests.support.local_cloud import Json

type Send = Callable[[str, Json], tuple[str, Json | None]]  # action's name and inputs -> its status and outputs

SUCCEEDED, FAILED, SKIPPED, TIMED_OUT = "Succeeded", "Failed", "Skipped", "TimedOut"
SENDING_TYPES = ("Http", "OpenApiConnectionWebhook")
_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?\d+)|(true|false|null)\b|([A-Za-z]\w*)\(|(\?\[)|([\[\]),]))")


def references(expression: object) -> set[tuple[str, str]]:
    """Return the names that texts in *expression* refer to: ("body", "Cancel"), ("parameters", "approver")."""
    if isinstance(expression, dict):
        return {reference for value in expression.values() for reference in references(value)}
    if isinstance(expression, list):
        return {reference for value in expression for reference in references(value)}
    if not isinstance(expression, str):
        return set()
    return set(re.findall(r"\b(body|outputs|parameters|variables)\('([^']+)'\)", expression))


def all_actions(actions: Json) -> dict[str, Json]:
    """Return *actions* and every action inside them, by name. Names are unique in a workflow."""
    found: dict[str, Json] = {}
    for name, action in actions.items():
        branches = [action, action.get("else", {}), action.get("default", {}), *action.get("cases", {}).values()]
        for branch in branches:
            inside = all_actions(branch.get("actions", {}))
            assert not found.keys() & inside.keys()
            found |= inside
        assert name not in found
        found[name] = action
    return found


@dataclass
class Run:
    """Runs *definition* once, for the body *request* of its trigger."""

    definition: Json
    request: Json
    parameters: Json
    send: Send
    outputs: dict[str, Any] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    _item: Any = None

    def start(self) -> str:
        """Run the workflow and return its status at the end."""
        return self._run_actions(self.definition["actions"])

    def value(self, template: Any) -> Any:
        """Return *template* with the value of each expression in its place."""
        if isinstance(template, dict):
            return {name: self.value(member) for name, member in template.items()}
        if isinstance(template, list):
            return [self.value(member) for member in template]
        if not isinstance(template, str) or "@" not in template:
            return template
        if template.startswith("@") and not template.startswith("@{"):
            return _Expression(template[1:], self).read_all()
        return re.sub(r"@\{([^}]*)\}", lambda match: _text(_Expression(match[1], self).read_all()), template)

    def call(self, name: str, arguments: list[Any]) -> Any:  # noqa: PLR0911, PLR0912  (a table of functions)
        """Return the value of the function *name* of the expression language."""
        match name, arguments:
            case "parameters", [key]:
                return self.parameters[key]
            case "triggerBody", []:
                return self.request
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
            case "equals", [left, right]:
                return type(left) is type(right) and left == right
            case "if", [bool(condition), if_true, if_false]:
                return if_true if condition else if_false
            case "and", values:
                return all(value is True for value in values)
            case "or", values:
                return any(value is True for value in values)
            case "not", [bool(value)]:
                return not value
            case "contains", [list() | dict() as items, item]:
                return item in items
            case "contains", [str(text), str(part)]:
                return part in text
            case "toLower", [str(text)]:
                return text.lower()
            case "length", [list(items)]:
                return len(items)
            case "first", [list(items)]:
                return items[0] if items else None
            case "createArray", items:
                return items
            case "startsWith", [str(text), str(start)]:
                return text.lower().startswith(start.lower())
            case "setProperty", [dict(members), str(key), value]:
                return members | {key: value}
            case "removeProperty", [dict(members), str(key)]:
                return {name: value for name, value in members.items() if name != key}
            case "replace", [str(text), str(old), str(new)]:
                return text.replace(old, new)
            case "encodeUriComponent", [str(text)]:
                return quote(text, safe="")
            case "decodeUriComponent", [str(text)]:
                return unquote(text)
        raise AssertionError(f"{name} cannot be called with {arguments}")

    def _run_actions(self, actions: Json) -> str:
        """Run *actions* in the order of their runAfter, and return their common status."""
        left = dict(actions)
        while left:
            name = next(name for name, action in left.items() if not action["runAfter"].keys() & left.keys())
            action = left.pop(name)
            if all(self.statuses[before] in allowed for before, allowed in action["runAfter"].items()):
                self.statuses[name] = self._run_action(name, action)
            else:
                self._skip({name: action})
        # A failed action does not count if another action ran after it because of the failure: only the statuses of
        # the last actions decide.
        followed = {before for action in actions.values() for before in action["runAfter"]}
        return _worst([self._status_of_branch(name, actions) for name in actions if name not in followed])

    def _status_of_branch(self, name: str, actions: Json) -> str:
        """Return the status of the branch that ends with *name*: its own, or if it was skipped that of those before."""
        before = actions[name]["runAfter"]
        if self.statuses[name] != SKIPPED or not before:
            return self.statuses[name]
        return _worst([self._status_of_branch(name, actions) for name in before])

    def _skip(self, actions: Json) -> None:
        self.statuses |= dict.fromkeys(all_actions(actions), SKIPPED)

    def _run_action(self, name: str, action: Json) -> str:
        kind = action["type"]
        inputs = {} if kind in {"Select", "Query"} else self.value(action.get("inputs"))
        if kind in SENDING_TYPES:
            status, self.outputs[name] = self.send(name, inputs)
            return status
        if kind == "Scope":
            return self._run_actions(action["actions"])
        if kind in {"If", "Switch"}:
            return self._run_branch(action)
        if kind == "Select":
            items = self.value(action["inputs"]["from"])
            self.outputs[name] = {"body": [self._for_item(item, action["inputs"]["select"]) for item in items]}
        elif kind == "Query":
            items = self.value(action["inputs"]["from"])
            self.outputs[name] = {"body": [item for item in items if self._for_item(item, action["inputs"]["where"])]}
        elif kind == "Compose":
            self.outputs[name] = inputs
        elif kind == "ParseJson":
            self.outputs[name] = {"body": inputs["content"]}
        elif kind == "InitializeVariable":
            self.variables |= {variable["name"]: variable["value"] for variable in inputs["variables"]}
        elif kind == "SetVariable":
            assert inputs["name"] in self.variables
            self.variables[inputs["name"]] = inputs["value"]
        else:
            raise AssertionError(f"{name} has the type {kind}, which is not implemented here")
        return SUCCEEDED

    def _for_item(self, item: object, expression: object) -> Any:
        self._item = item
        return self.value(expression)

    def _run_branch(self, action: Json) -> str:
        if action["type"] == "If":
            conditions = action["expression"]["and"]
            is_true = all(self.call("equals", self.value(condition["equals"])) for condition in conditions)
            branches = [action, action["else"]]
            chosen = branches[0 if is_true else 1]
        else:
            value = self.value(action["expression"])
            branches = [*action["cases"].values(), action["default"]]
            chosen = next((case for case in branches if case.get("case") == value), action["default"])
        for branch in branches:
            if branch is not chosen:
                self._skip(branch["actions"])
        return self._run_actions(chosen["actions"])


def _worst(statuses: list[str]) -> str:
    return next((status for status in (FAILED, TIMED_OUT) if status in statuses), SUCCEEDED)


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


class _Expression:
    """Reads an expression from left to right and computes its value on the way."""

    def __init__(self, text: str, run: Run) -> None:
        self._text, self._run, self._position = text, run, 0

    def read_all(self) -> Any:
        value = self._read()
        assert not self._text[self._position :].strip(), f"not read: {self._text[self._position :]}"
        return value

    def _next(self) -> re.Match[str]:
        token = _TOKEN.match(self._text, self._position)
        assert token, f"cannot be read: {self._text[self._position :]}"
        self._position = token.end()
        return token

    def _read(self) -> Any:
        text, number, constant, function, _, _ = self._next().groups()
        if text is not None:
            return text.replace("''", "'")
        if number:
            return int(number)
        if constant:
            return json.loads(constant)
        assert function, f"no value in {self._text}"
        value = self._run.call(function, self._arguments())
        while self._text.startswith("?[", self._position):
            self._next()
            member = self._read()
            assert self._next()[6] == "]"
            assert value is None or isinstance(value, dict), f"{member} cannot be selected from {value!r}"
            value = None if value is None else value.get(member)
        return value

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        while not re.match(r"\s*\)", self._text[self._position :]):
            if arguments:
                assert self._next()[6] == ","
            arguments.append(self._read())
        self._next()
        return arguments
