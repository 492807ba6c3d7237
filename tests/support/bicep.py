"""Reads Bicep files for tests: the tree that pycep parses, and the names that a file declares, uses and calls.

There is no Bicep compiler on PyPI. pycep checks the syntax. tests/unit/test_bicep.py uses these functions to check
names, modules and parameters, as a compiler would.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pycep import BicepParser

from tests.support.local_cloud import Json

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))

KEYWORDS = {
    *("param", "var", "resource", "module", "type", "output", "targetScope", "existing", "if", "for", "in"),
    *("true", "false", "null", "string", "int", "bool", "object", "array"),
}

IN_STRING = re.compile(r"\\.|\$\{|.", re.DOTALL)
IN_CODE = re.compile(r"//[^\n]*|.", re.DOTALL)


@cache
def parse(path: Path) -> Json:
    """Return the tree of *path*, or raise pycep's error.

    pycep does not know the member `*` of a type, which stands for any name, so that member gets a name here.
    """
    tree: Json = dict(BicepParser().parse(text=path.read_text().replace("\n  *: ", "\n  anyName: ")))
    return {
        part: tree.get(part, {}) for part in ("parameters", "variables", "types", "resources", "modules", "outputs")
    }


def body(declared: Json) -> Json:
    """Return the body of a resource or module, without the loop or condition around it."""
    config: Json = declared["config"]
    while "config" in config:
        config = config["config"]
    return config


def resources(kind: str = "") -> Iterator[tuple[Path, str, Json]]:
    """Yield the file, symbol and declaration of every resource that we create, or only of those of type *kind*."""
    for path in FILES:
        for symbol, declared in parse(path)["resources"].items():
            if not declared["existing"] and kind in {"", declared["type"]}:
                yield path, symbol, declared


def value_at(place: str) -> Any:
    """Return the value at *place*, such as `modules/vault:vault.properties.sku`: file, resource, members."""
    file, _, path = place.partition(":")
    symbol, *members = path.split(".")
    value: Any = body(parse(INFRA / f"{file}.bicep")["resources"][symbol])
    for member in members:
        value = value[int(member) if member.isdigit() else member]
    return value


def expressions(text: str) -> str:
    """Return *text* without comments and without the texts of strings. Interpolated expressions stay."""
    kept: list[str] = []
    open_braces: list[int] = []  # the open braces in each interpolation around the position
    in_string, position = False, 0
    while position < len(text):
        match = (IN_STRING if in_string else IN_CODE).match(text, position)
        assert match, "both patterns match every character"
        part = match.group()
        position += len(part)
        if in_string:
            if part == "${":
                open_braces.append(0)
            in_string = part not in {"${", "'"}
            kept.append(" ")
        elif part == "'":
            in_string = True
            kept.append(" ")
        elif part == "}" and open_braces and open_braces[-1] == 0:
            open_braces.pop()
            in_string = True
        elif not part.startswith("//"):
            if open_braces:
                open_braces[-1] += (part == "{") - (part == "}")
            kept.append(part)
    return "".join(kept)


def names(path: Path) -> tuple[set[str], set[str], set[str]]:
    """Return the names that *path* declares, those that it uses, and the functions that it calls."""
    text = expressions(path.read_text())
    declared = set(re.findall(r"^(?:param|var|resource|module|type) (\w+)", text, re.MULTILINE))
    local = set(re.findall(r"\bfor (\w+) in\b|(\w+) =>", text)) | set(re.findall(r"\bfor \((\w+), (\w+)\) in\b", text))
    used, called = set(), set()
    # A decorator uses no name, and a declaration does not use the name that it declares.
    rest = re.sub(r"^@.*$|^(?:param|var|resource|module|type|output) \w+", "", text, flags=re.MULTILINE)
    for match in re.finditer(r"(?<![\w.])(?<!\.\?)(in )?([A-Za-z_]\w*)(.?)", rest):
        after_in, name, following = match.groups()
        if following == "(":
            called.add(name)
        elif (following != ":" or after_in) and name not in KEYWORDS:  # `name:` is the name of a member
            used.add(name)
    return declared, used - {name for pair in local for name in pair}, called - KEYWORDS
