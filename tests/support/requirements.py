"""Reads the requirement files: pins, each with the hashes of its release's files."""

import re
from pathlib import Path
from typing import NamedTuple

from infra.audit import canonical

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    *("requirements.txt", "requirements-dev.txt", "requirements-scan.txt", "requirements-audit.txt"),
    *("requirements-witness.txt", "requirements-browser.txt"),
)
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==(\d[\w.]*)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")
_OTHER = re.compile(r"(?:#.*)?\n")
INCLUDE = "-r requirements.txt\n"


class Pin(NamedTuple):
    name: str
    version: str
    hashes: frozenset[str]

    @property
    def canonical(self) -> str:
        """The name as package indexes compare it."""
        return canonical(self.name)


def read_pins(file: str) -> list[Pin]:
    """Return the pins of *file*. Fails if it has anything else but comments and, once, `-r requirements.txt`."""
    text = (ROOT / file).read_text()
    pins, included, position = [], 0, 0
    while position < len(text):
        if pin := _PIN.match(text, position):
            pins.append(Pin(pin[1], pin[2], frozenset(re.findall(r"sha256:(\w+)", pin[3]))))
            position = pin.end()
        elif text.startswith(INCLUDE, position):
            included += 1
            position += len(INCLUDE)
        else:
            other = _OTHER.match(text, position)
            line = text[position:].partition("\n")[0]
            assert other, f"{file} has a line that is no pin with its hashes, as hashin writes it: {line}"
            position = other.end()
    assert included == (file == "requirements-dev.txt"), f"{file} has `{INCLUDE.strip()}` {included} times"
    return pins
