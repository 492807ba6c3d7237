"""What the documents say is what the code does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from shared.clouds import CLOUDS
from shared.contract import CancelRequest, CancelResult, LineItem, Outcome
from shared.credentials.health import Health
from shared.errors import CancelRefused, all_codes, problem_body
from shared.settings import Account, AnyCaller, Mode, Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS: list[dict[str, Any]] = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
EXAMPLES = [block for block in BLOCKS if "$schema" not in block]


def aliases(model: type[Any]) -> list[str]:
    return [field.alias for field in model.model_fields.values()]


@pytest.mark.parametrize(
    "name",
    [
        *aliases(Settings),
        *aliases(Account),
        *aliases(CancelRequest),
        *CLOUDS,
        *Mode,
        *Outcome,
        *(code for code, _ in all_codes()),
    ],
)
def test_readme_names_it(name: str) -> None:
    assert f"`{name}`" in README


def test_readmes_error_table_has_each_code_with_its_status_and_no_other() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (yes|no) \|", README, re.MULTILINE)

    assert {(code, int(status)) for status, code, _ in rows} == set(all_codes())
    assert all((repeat == "yes") is (status in {"429", "503"}) for status, _, repeat in rows)


def test_readmes_examples_are_true() -> None:
    request, answer, problem, health, accounts, callers = EXAMPLES

    assert CancelRequest.model_validate(request).model_dump(by_alias=True) == request
    assert CancelResult.model_validate(answer).model_dump(by_alias=True) == answer
    assert list(answer) == aliases(CancelResult)
    assert list(answer["lineItems"][0]) == aliases(LineItem)
    made = problem_body(CancelRefused(problem["code"], "words"), "id", "id")
    assert {name: type(value) for name, value in problem.items() if name != "partnerCenter"} == {
        name: type(value) for name, value in made.items() if name != "partnerCenter"
    }
    assert (problem["status"], problem["title"]) == (made["status"], made["title"])
    assert Health.model_validate(health).model_dump(by_alias=True) == health
    assert {name: Account.model_validate(account) for name, account in accounts.items()}
    adapter = TypeAdapter[AnyCaller](AnyCaller)
    kinds = {adapter.validate_python(caller).proof for caller in callers.values()}
    assert kinds == {"key", "zendesk", "standard-webhooks", "entra"}


def test_readme_stays_readable() -> None:
    assert len(README.splitlines()) < 400


ACCOUNTS_IN_PAGE = re.findall(r"^Account: `(\{.*\})`$", (ROOT / "infra/README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("text", ACCOUNTS_IN_PAGE)
def test_the_operators_page_shows_accounts_that_work(text: str) -> None:
    guid = "00000000-0000-0000-0000-000000000000"

    assert Account.model_validate_json(text.replace("TENANT", guid).replace("APP", guid))
    assert len(ACCOUNTS_IN_PAGE) == 4


def test_the_example_settings_are_settings() -> None:
    values = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]

    assert Settings.from_environ(values).accounts["default"].mode is Mode.DRY_RUN


def anchors(page: Path) -> set[str]:
    """Return where links into *page* can lead, as GitHub names headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "path",
    ["README.md", "infra/README.md", "infra/local/README.md", "CHANGELOG.md", "SECURITY.md"]
    + [str(page.relative_to(ROOT)) for page in sorted((ROOT / "infra").glob("[tp]*/**/*.md"))],
)
def test_links_lead_somewhere(path: str) -> None:
    page = ROOT / path

    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]+))?\)", page.read_text()):
        if target.startswith(("https://", "mailto:")):
            continue
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


def test_the_operator_finds_every_alert() -> None:
    section = (ROOT / "infra/README.md").read_text().partition("## Alerts\n")[2].partition("\n## ")[0]
    headings = re.findall(r"^### (.+)$", section, re.MULTILINE)
    alerts = {path.stem for path in (ROOT / "infra/monitoring/alerts").iterdir()} | {"unavailable"}

    assert set(headings) == alerts


@pytest.mark.parametrize(
    "target", ["help", "install", "demo", "serve", "test", "lint", "scan", "soak", "bench", "package", "audit"]
)
def test_make_lists_its_commands(target: str) -> None:
    assert re.search(rf"^{target}:.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_threats_name_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())

    assert len(named) > 10
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
