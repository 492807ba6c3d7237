"""The rules for the code itself: the direction of imports, the modules loaded at start, sizes, dependencies."""

import ast
import graphlib
import importlib.metadata
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.requirements import read_pins

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = ("cancel_order", "find_orders", "tell_ticket")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in (*ENTRIES, "shared")
    for path in sorted((ROOT / package).rglob("*.py"))
}

# The imports that are allowed, by rooms from the bottom up. A room is a module of `shared`, or a package in it.
# Each room's imports are rooms above it in this table, so the order alone forbids cycles.
ALLOWED: dict[str, set[str]] = {
    "shared": set(),
    "shared.errors": set(),
    "shared.rfc3339": set(),
    "shared.strict_json": set(),
    "shared.outside_text": set(),
    "shared.tls": {"shared.errors"},
    "shared.connections": {"shared.tls"},
    "shared.http_request": {"shared.errors", "shared.strict_json"},
    "shared.ids": set(),
    "shared.contract": {"shared.ids"},
    "shared.messages": {"shared.contract", "shared.outside_text"},
    "shared.clouds": set(),
    "shared.setting_types": {"shared.ids"},
    "shared.caller_settings": {"shared.contract", "shared.setting_types"},
    "shared.settings": {
        *("shared.caller_settings", "shared.clouds", "shared.contract", "shared.errors", "shared.setting_types"),
        "shared.strict_json",
    },
    "shared.call": {"shared.contract", "shared.errors"},
    "shared.audit": {"shared.call", "shared.contract", "shared.errors", "shared.outside_text", "shared.rfc3339"},
    "shared.credentials": {"shared.audit", "shared.errors", "shared.rfc3339", "shared.settings", "shared.tls"},
    "shared.callers": {"shared.caller_settings", "shared.errors", "shared.settings"},
    "shared.replies": {"shared.errors", "shared.outside_text", "shared.rfc3339"},
    "shared.partner_center": {
        *("shared.audit", "shared.call", "shared.connections", "shared.contract", "shared.credentials"),
        *("shared.errors", "shared.ids", "shared.replies"),
    },
    "shared.rules": {
        *("shared.call", "shared.contract", "shared.errors", "shared.partner_center", "shared.replies"),
        "shared.rfc3339",
    },
    "shared.cancelling": {
        *("shared.call", "shared.contract", "shared.errors", "shared.messages", "shared.partner_center"),
        *("shared.replies", "shared.rules"),
    },
    "shared.finding": {
        *("shared.call", "shared.cancelling", "shared.contract", "shared.errors", "shared.partner_center"),
        *("shared.rfc3339", "shared.rules"),
    },
    "shared.customers": {"shared.connections", "shared.errors"},
    "shared.ticketing": {
        *("shared.caller_settings", "shared.callers", "shared.connections", "shared.credentials", "shared.errors"),
        "shared.rfc3339",
    },
    "shared.tickets": {
        *("shared.audit", "shared.call", "shared.caller_settings", "shared.connections", "shared.contract"),
        *("shared.credentials", "shared.errors", "shared.ids", "shared.messages", "shared.setting_types"),
        *("shared.settings", "shared.strict_json", "shared.ticketing"),
    },
    "shared.runtime": {
        *("shared.call", "shared.caller_settings", "shared.callers", "shared.cancelling", "shared.connections"),
        *("shared.contract", "shared.customers", "shared.finding"),
        *("shared.credentials", "shared.errors", "shared.http_request", "shared.partner_center", "shared.settings"),
        *("shared.tickets", "shared.tls"),
    },
    "shared.http_answer": {"shared.call", "shared.errors"},
    "tell_ticket": {"shared.runtime"},
    "find_orders": {"shared.audit", "shared.http_answer", "shared.runtime"},
    "cancel_order": {"shared.audit", "shared.call", "shared.errors", "shared.http_answer", "shared.runtime"},
}
PURE = (
    *("errors", "rfc3339", "strict_json", "outside_text", "http_request", "ids", "contract", "clouds", "settings"),
    *("setting_types", "caller_settings"),
    *("callers.identify", "callers.proofs", "callers.permissions"),
    *("replies.reply", "replies.refusals", "replies.codes", "replies.answers"),
    *("partner_center.orders", "partner_center.subscriptions", "partner_center.retry"),
    *("rules.outcome", "rules.route", "rules.forecast", "cancelling.answer"),
    *("messages", "ticketing.note", "tickets.follow_up", "tickets.told"),
)
# Not decisions, but plain data for them: the state of a call is made elsewhere and only read.
HOLDERS = {"call"}

# Decisions are functions of their arguments: their imports are listed, so that no other import gets in unseen.
PURE_IMPORTS = {
    *("__future__", "collections", "dataclasses", "enum", "functools", "hashlib", "hmac", "itertools", "json", "math"),
    *(
        "base64",
        "calendar",
        "operator",
        "re",
        "typing",
        "html",
        "idna",
        "http.HTTPStatus",
        "urllib.parse",
        "pydantic",
        "pydantic_core",
        "shared",
    ),
    "datetime",  # to read dates; another test checks that nobody asks it for the time
}
CLOCK = {"now", "utcnow", "today"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}

# Limits in lines of code. A module or package over its limit has more than one subject.
PACKAGE_LINES = 900
MODULE_LINES = 250
FUNCTION_LINES = 60  # with blank lines and comments


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_bytes())


def imports(module: str) -> Iterator[str]:
    """Yield the full name of every import in *module*, as `package.module` or `package.module.name`."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def own(name: str) -> str:
    """Return the module of ours that *name* is, or is a member of; *name* itself if there is none."""
    return max((module for module in MODULES if is_below(name, module)), key=len, default=name)


def room(name: str) -> str:
    """Return the room that the module *name* is in."""
    return max((place for place in ALLOWED if is_below(name, place)), key=len)


def test_every_module_has_its_place_in_the_order() -> None:
    packages = {".".join(module.split(".")[:2]) for module in MODULES}
    assert packages == ALLOWED.keys(), "give the new room its place in ALLOWED"
    for above, name in enumerate(ALLOWED):
        assert ALLOWED[name] <= set(list(ALLOWED)[:above]), f"{name} imports what comes after it"


def test_the_list_in_shared_has_each_room_above_its_imports() -> None:
    rows = (ast.get_docstring(tree("shared")) or "").splitlines()[2:]
    listed = [f"shared.{name}" for row in rows for name in re.split("  +", row)[0].split(", ")]

    assert set(listed) == ALLOWED.keys() - {"shared", *ENTRIES}, "list each room in shared/__init__.py"
    for above, name in enumerate(listed):
        assert ALLOWED[name] <= set(listed[above:]), f"in shared/__init__.py {name} comes after a room that it imports"


@pytest.mark.parametrize("name", ALLOWED)
def test_imports_point_one_way(name: str) -> None:
    """Equal, not a subset: a table that allows more than is used would soon be of no use to a reader."""
    inside = [module for module in MODULES if room(module) == name]
    ours = {room(own(found)) for module in inside for found in imports(module) if own(found) in MODULES}

    assert ours - {name} == ALLOWED[name], f"write the imports of {name} into ALLOWED, or import less"


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: {own(name) for name in imports(module)} & MODULES.keys() for module in MODULES}

    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_no_import_is_relative(module: str) -> None:
    """The host loads the function under another name, so a relative import would load `shared` twice."""
    relative = [node for node in ast.walk(tree(module)) if isinstance(node, ast.ImportFrom) and node.level]

    assert relative == []


@pytest.mark.parametrize("module", MODULES)
def test_the_product_imports_nothing_from_infra_or_tests(module: str) -> None:
    """Only `cancel_order` and `shared` are deployed."""
    assert [name for name in imports(module) if is_below(name, "infra") or is_below(name, "tests")] == []


@pytest.mark.parametrize("module", MODULES)
def test_only_the_entries_know_azure_functions(module: str) -> None:
    knows = any(is_below(name, "azure.functions") for name in imports(module))

    assert knows == (module in ENTRIES)


@pytest.mark.parametrize("module", PURE)
def test_decisions_import_no_io_clock_or_randomness(module: str) -> None:
    found = set(imports(f"shared.{module}"))

    assert {name for name in found if not any(is_below(name, allowed) for allowed in PURE_IMPORTS)} == set()


@pytest.mark.parametrize("module", PURE)
def test_decisions_import_only_decisions_of_ours(module: str) -> None:
    """Through another module of ours a decision would reach I/O or the clock all the same."""
    ours = {own(name).removeprefix("shared.") for name in imports(f"shared.{module}") if own(name) in MODULES}

    assert ours - {*PURE, *HOLDERS, "shared"} == set()


@pytest.mark.parametrize("module", PURE)
def test_decisions_do_not_ask_for_the_time_or_a_file(module: str) -> None:
    nodes = list(ast.walk(tree(f"shared.{module}")))

    assert {node.attr for node in nodes if isinstance(node, ast.Attribute)} & CLOCK == set()
    assert {node.id for node in nodes if isinstance(node, ast.Name)} & {"open", "print", "input"} == set()


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"shared", "shared.runtime"}))
def test_the_environment_is_read_in_one_place(module: str) -> None:
    nodes = list(ast.walk(tree(module)))

    assert {node.attr for node in nodes if isinstance(node, ast.Attribute)} & ENVIRONMENT == set()
    assert not any(is_below(name, f"os.{member}") for name in imports(module) for member in ENVIRONMENT)


def test_loading_sets_a_variable_of_pydantic_and_reads_none() -> None:
    """It must be set before pydantic makes its first model, so before any other module of ours is loaded."""
    nodes = list(ast.walk(tree("shared")))
    written = [ast.unparse(target) for node in nodes if isinstance(node, ast.Assign) for target in node.targets]

    assert written == ["os.environ['PYDANTIC_DISABLE_PLUGINS']"]
    assert [node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT] == ["environ"]
    assert not any(is_below(name, f"os.{member}") for name in imports("shared") for member in ENVIRONMENT)


def test_there_is_no_function_app() -> None:
    """With a function_app.py Azure would ignore every function.json."""
    assert not (ROOT / "function_app.py").exists()


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_functions_stay_small(module: str) -> None:
    functions = [node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}

    assert len(code_lines(MODULES[module])) <= MODULE_LINES, (
        f"{module} has more than {MODULE_LINES} lines of code: cut it along its subjects into two modules"
    )
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}, (
        f"{module} has functions of more than {FUNCTION_LINES} lines: give a part of each a name of its own"
    )


@pytest.mark.parametrize("name", ALLOWED)
def test_packages_stay_small(name: str) -> None:
    count = sum(len(code_lines(path)) for module, path in MODULES.items() if room(module) == name)

    assert count <= PACKAGE_LINES, (
        f"{name} has {count} lines of code, more than {PACKAGE_LINES}: give its second subject a package of its own"
    )


@cache
def code_lines(path: Path) -> set[int]:
    """Return the numbers of the lines with code, without blank lines, comments and docstrings."""
    tree = ast.parse(path.read_bytes())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        line
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    with tokenize.open(path) as source:
        tokens = [token for token in tokenize.generate_tokens(source.readline) if token.type not in silent]
    return {line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - docstrings


@pytest.fixture(scope="module")
def shipped_files() -> set[str]:
    """The files of all packages that Azure installs."""
    return {str(file) for pin in read_pins("requirements.txt") for file in importlib.metadata.files(pin.name) or ()}


@pytest.mark.parametrize("module", MODULES)
def test_azure_installs_what_the_product_imports(shipped_files: set[str], module: str) -> None:
    """A package that is only in requirements-dev.txt would first be missing in Azure."""
    for name in imports(module):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or own(name) in MODULES:
            continue
        path = name.replace(".", "/")
        bases = {path, path.rpartition("/")[0]} - {"azure"}  # many packages share it
        assert {f"{base}{end}" for base in bases for end in (".py", "/__init__.py")} & shipped_files, (
            f"{name} is in no package of requirements.txt"
        )


def test_unit_tests_start_no_process() -> None:
    """They run before each commit. A test that starts a process takes longer, and belongs into tests/contract."""
    files = {path.name: path.read_text() for path in (ROOT / "tests/unit").glob("*.py")}

    assert [name for name, text in files.items() if re.search(r"^(import|from) subprocess\b", text, re.MULTILINE)] == []


def test_nothing_needs_a_folder_beside_the_repository(tracked: frozenset[str]) -> None:
    """Only .ci/run looks there, for tools that it can do without."""
    outside = "/".join(("..", "shared"))
    files = [ROOT / name for name in sorted(tracked - {".ci/run"})]

    assert [str(file) for file in files if file.is_file() and outside.encode() in file.read_bytes()] == []
