"""Bicep as tests see it: the tree that pycep parses, and the words that stand for something.

No Bicep compiler is on PyPI. pycep checks the syntax; what a compiler would say about names, modules and their
parameters is checked in tests/unit/test_bicep.py with what is here.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))

KEYWORDS = {
    *("param", "var", "resource", "module", "type", "output", "targetScope", "existing", "if", "for", "in"),
    *("true", "false", "null", "string", "int", "bool", "object", "array"),
}

IN_STRING = re.compile(r"\\.|\$\{|.", re.DOTALL)
IN_CODE = re.compile(r"//[^\n]*|.", re.DOTALL)

type Json = dict[str, Any]


@cache
def parse(path: Path) -> Json:
    """Return the tree, or raise what pycep finds wrong. It knows no "any name" member of a type: that gets a name."""
    tree: Json = dict(BicepParser().parse(text=path.read_text().replace("\n  *: ", "\n  anyName: ")))
    return {
        part: tree.get(part, {}) for part in ("parameters", "variables", "types", "resources", "modules", "outputs")
    }


def body(declared: Json) -> Json:
    """Return what a resource or module is declared to be, out of its loop or condition."""
    found: Json = declared["config"]
    while "config" in found:
        found = found["config"]
    return found


def resources(kind: str = "") -> Iterator[tuple[Path, str, Json]]:
    """Yield file, symbol and declaration of every resource that is made here, or of those of one *kind*."""
    for path in FILES:
        for symbol, declared in parse(path)["resources"].items():
            if not declared["existing"] and kind in {"", declared["type"]}:
                yield path, symbol, declared


def declared_at(where: str) -> Any:
    """Return what stands at `file:symbol.member.member`, file without its ending."""
    file, _, path = where.partition(":")
    symbol, *members = path.split(".")
    found: Any = body(parse(INFRA / f"{file}.bicep")["resources"][symbol])
    for member in members:
        found = found[int(member) if member.isdigit() else member]
    return found


def expressions(text: str) -> str:
    """Return *text* without comments and without the words in strings; what a string interpolates stays."""
    kept: list[str] = []
    open_braces: list[int] = []  # one for each interpolation that we are in
    in_string, at = False, 0
    while at < len(text):
        found = (IN_STRING if in_string else IN_CODE).match(text, at)
        assert found, "each matches anything"
        part = found.group()
        at += len(part)
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
    # Neither a decorator nor the name that a line declares is a use of anything.
    rest = re.sub(r"^@.*$|^(?:param|var|resource|module|type|output) \w+", "", text, flags=re.MULTILINE)
    for found in re.finditer(r"(?<![\w.])(?<!\.\?)(in )?([A-Za-z_]\w*)(.?)", rest):
        looped, name, following = found.groups()
        if following == "(":
            called.add(name)
        elif (following != ":" or looped) and name not in KEYWORDS:  # `name:` is a member's
            used.add(name)
    return declared, used - {one for pair in local for one in pair}, called - KEYWORDS
