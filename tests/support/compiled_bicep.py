"""Runs Microsoft's Bicep compiler: the linter, the template, and the resources that a deployment would make.

`snapshot` evaluates a template as Azure Resource Manager does, conditions, loops and modules included. A value that
only Azure knows stays an expression in brackets, such as `[reference('…').vaultUri]`.

LEAST and MOST are parameters for main.bicep: those that must be given, and one of every kind.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from itertools import batched
from pathlib import Path
from typing import Any

from tests.support.bicep import INFRA
from tests.support.local_cloud import Json

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"
GROUP = "rg-test"
LIMIT_S = 120

MAIN = INFRA / "main.bicep"
AVAILABILITY = INFRA / "availability.bicep"

GUID = "5f1c2a4e-7d0b-4a57-9a1c-3a5b1f0c9e11"
OTHER_GUID = "0a9e2c1d-33b4-4f6e-8d57-6b7c8d9e0f12"
ACCOUNT = {
    "cloud": "global",
    "tenantId": GUID,
    "clientId": GUID,
    "mode": "live",
    "clientSecret": "partner-center",
    "refreshToken": "renewed",
}
LEAST = {"environmentName": "test", "location": "westeurope", "accounts": {"default": ACCOUNT}}
CALLERS: dict[str, Json] = {
    "operator": {"proof": "key", "sha256": "0" * 64, "dryRunOnly": True, "subscriptions": False},
    "zendesk": {
        "proof": "zendesk",
        "secrets": ["zendesk"],
        "customers": [GUID],
        "accounts": ["default"],
        "subscriptions": False,
        "tell": {"system": "zendesk", "url": "https://example.zendesk.com", "clientId": "cancel", "secret": "told"},
    },
    "svix": {
        "proof": "standard-webhooks",
        "secrets": ["svix-1", "svix-2"],
        "subscriptions": False,
        "tell": {"system": "webhook", "urlSecret": "told-at", "secret": "told"},
    },
    "flow": {
        "proof": "entra",
        "role": "Orders.Cancel",
        "subscriptions": True,
        "tell": {"system": "jira", "url": "https://example.atlassian.net", "user": "a@example.com", "secret": "told"},
    },
    "freshdesk": {
        "proof": "key",
        "sha256": "0" * 64,
        "tell": {"system": "freshdesk", "url": "https://example.freshdesk.com", "secret": "told"},
    },
    "freshservice": {
        "proof": "key",
        "sha256": "0" * 64,
        "tell": {"system": "freshservice", "url": "https://example.freshservice.com", "secret": "told"},
    },
}
MOST = LEAST | {
    "accounts": {
        "default": ACCOUNT,
        "other": ACCOUNT,
        "third": ACCOUNT | {"refreshToken": "third", "subscriptions": True, "sandbox": True},
    },
    "callers": CALLERS,
    "entra": {"clientId": OTHER_GUID, "tenantId": GUID},
    "alwaysReadyInstances": 1,
    "allowedIpRanges": ["192.0.2.0/24"],
    "privateNetwork": "true",
    "vaultIpRanges": ["198.51.100.7/32"],
    "alertEmail": "operators@example.com",
    "operatePage": "https://example.com/operate",
    "refreshTokensStored": "true",
    "recoverVault": "true",
}

IN_EXPRESSION = re.compile(r"'(?:[^']|'')*'|[^'()\[\],]+|.", re.DOTALL)


class Refused(Exception):
    """The compiler, or Resource Manager's rules within it, refused a file or a parameter."""


def compiler() -> Path | None:
    """Return the program that BICEP names, else the one on the PATH, or None if there is none.

    Raises FileNotFoundError if BICEP names no program: a wrong path must not skip the tests.
    """
    named = os.environ.get("BICEP")
    found = shutil.which(named or "bicep")
    if named and not found:
        raise FileNotFoundError(f"BICEP={named} is not a program")
    return Path(found).resolve() if found else None


class Compiler:
    """Runs *program*. *directory* takes its temporary files, *home* the files that it unpacks once, in two seconds."""

    def __init__(self, program: Path, directory: Path, home: Path) -> None:
        self._program = program
        self._directory = directory
        self._home = home

    def lint(self, path: Path) -> str:
        """Return what the linter says of *path* and its modules: nothing if all is well."""
        return self._run("lint", "--no-restore", str(path), may_fail=True)

    def template(self, path: Path) -> Json:
        """Return the template for Resource Manager. Raises Refused if the file is wrong."""
        to = self._directory / "template.json"
        self._run("build", "--no-restore", str(path), "--outfile", str(to))
        template: Json = json.loads(to.read_text())
        return template

    def predict(self, path: Path, parameters: Mapping[str, Any], group: str | None = None) -> list[Json]:
        """Return the resources that *path* would deploy with *parameters*, into the resource group *group* if given.

        The parameters arrive as JSON of an unknown type, as those of azd do. So Resource Manager's rules check them.
        Raises Refused if it does not deploy.
        """
        using = os.path.relpath(path, self._directory)  # an absolute path is refused
        lines = [f"using '{using}'"]
        for name, value in parameters.items():
            text = json.dumps(value).replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
            lines.append(f"param {name} = any(json('{text}'))")
        file = self._directory / "test.bicepparam"
        file.write_text("\n".join(lines))
        place = ("--subscription-id", SUBSCRIPTION, "--tenant-id", TENANT, "--location", "westeurope")
        self._run("snapshot", str(file), "--mode", "overwrite", *place, *(("--resource-group", group) if group else ()))
        snapshot: Json = json.loads((self._directory / "test.snapshot.json").read_text())
        assert snapshot["diagnostics"] == []
        predicted: list[Json] = snapshot["predictedResources"]
        return predicted

    def _run(self, *arguments: str, may_fail: bool = False) -> str:
        environment = {
            "HOME": str(self._home),  # a single-file .NET program unpacks itself there
            "PATH": os.defpath,
            "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",  # where there is no ICU
        }
        ran = subprocess.run(  # noqa: S603  (the developer's own compiler)
            [self._program, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
        if ran.returncode and not may_fail:
            raise Refused(ran.stdout + ran.stderr)
        return ran.stdout + ran.stderr


def of_type(predicted: list[Json], kind: str) -> list[Json]:
    """Return the resources of the type *kind*; there is at least one."""
    found = [resource for resource in predicted if resource["type"] == kind]
    assert found, f"no {kind}"
    return found


def one(predicted: list[Json], kind: str) -> Json:
    [resource] = of_type(predicted, kind)
    return resource


def value_at(resource: Json, path: str) -> Any:
    """Return the value at *path*, such as `properties.sku.name`."""
    value: Any = resource
    for member in path.split("."):
        value = value[int(member) if member.isdigit() else member]
    return value


def created_members(expression: str) -> dict[str, str]:
    """Return the members of the objects that *expression* creates. A value is a text, or an expression in brackets."""
    members: dict[str, str] = {}
    for call in re.finditer(r"createObject\(", expression):
        for name, value in batched(_arguments(expression[call.end() :]), 2, strict=True):
            members[_text(name)] = _text(value)
    return members


def _arguments(rest: str) -> Iterator[str]:
    """Yield the arguments of a call whose opening parenthesis stands before *rest*."""
    depth, argument = 0, ""
    for part in IN_EXPRESSION.findall(rest):
        depth += (part in {"(", "["}) - (part in {")", "]"})
        if depth < 0 or (part == "," and depth == 0):
            if argument.strip():
                yield argument.strip()
            argument = ""
            if depth < 0:
                return
        else:
            argument += part


def _text(argument: str) -> str:
    is_text = argument.startswith("'") and len(IN_EXPRESSION.findall(argument)) == 1
    return argument[1:-1].replace("''", "'") if is_text else f"[{argument}]"
