"""Reads Bicep files for tests of their text, with pycep; tests/support/compiled_bicep.py runs the compiler."""

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

# pycep does not know these parts of the language, so each gets a form that it knows.
UNKNOWN_TO_PYCEP = (
    (re.compile(r"^  \*: ", re.MULTILINE), "  anyName: "),  # a member with any name
    (re.compile(r"(?<=\w)\[\](?=\??$)", re.MULTILINE), ""),  # a list in a type
    (re.compile(r"^(param \w+) \{.*\}\?$", re.MULTILINE), r"\1 object?"),  # a type without a name
)


@cache
def parse(path: Path) -> Json:
    """Return the tree of *path*, or raise pycep's error."""
    text = path.read_text()
    for unknown, known in UNKNOWN_TO_PYCEP:
        text = unknown.sub(known, text)
    tree: Json = dict(BicepParser().parse(text=text))
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


def declared_at(place: str) -> Any:
    """Return the value at *place*, such as `modules/vault:vault.properties.sku`: file, resource, members."""
    file, _, path = place.partition(":")
    symbol, *members = path.split(".")
    value: Any = body(parse(INFRA / f"{file}.bicep")["resources"][symbol])
    for member in members:
        value = value[int(member) if member.isdigit() else member]
    return value
