"""The documents say what the code does, lead where they point, and stay readable."""

import json
import re
from itertools import batched
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from infra import documents
from infra.openapi_texts import CODES, FIND_CODES, TextMissing
from shared.caller_settings import AnyCaller, Caller, EntraCaller, KeyCaller, SigningCaller, System, Tell
from shared.contract import CancelRequest, CancelResult, FindRequest, FindResult, LineItem, OrderState, Outcome
from shared.credentials.health import Health
from shared.errors import all_codes, problem_body
from shared.messages import of_result
from shared.replies.answers import error_of
from shared.replies.reply import Reply
from shared.settings import Account, Mode, Settings

ROOT = Path(__file__).resolve().parents[2]
README_BYTES = 8_000
LINE_COLUMNS = 120

PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", ".github/**/*.md", "docs/**/*.md", "infra/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
EACH_PAGE = pytest.mark.parametrize("page", PAGES)

README = (ROOT / "README.md").read_text()
INTERFACE = (ROOT / "docs/interface.md").read_text()
SETTINGS = (ROOT / "docs/settings.md").read_text()


def examples(text: str) -> list[Any]:
    """Return the JSON blocks in *text*, read."""
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def aliases(*models: type[Any]) -> list[str]:
    return [field.alias for model in models for field in model.model_fields.values()]


def command_blocks(page: str) -> list[str]:
    """Return the blocks of *page* that are to be pasted into a shell: those without a language."""
    blocks = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, language, block in blocks if not language]


def without_code(text: str) -> str:
    """Return *text* with its code blocks emptied; the number of lines stays the same."""
    return re.sub(r"^( *```).*?^ *```", lambda block: "\n" * block[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)


# Each name of the interface and of the settings is explained.


@pytest.mark.parametrize("name", [*aliases(CancelRequest, CancelResult, LineItem, FindRequest, FindResult), *Outcome])
def test_the_interface_page_names_it(name: str) -> None:
    assert f"`{name}`" in INTERFACE or f'"{name}"' in INTERFACE, f"docs/interface.md lacks `{name}`: explain it there"


def test_the_interface_page_names_the_codes_of_a_list() -> None:
    section = INTERFACE.partition("\n## Finding orders")[2].partition("\n## ")[0]

    assert {code for code in re.findall(r"`(\w+)`", section) if code in CODES} == FIND_CODES


@pytest.mark.parametrize("outcome", Outcome)
def test_the_interface_page_explains_each_outcome(outcome: Outcome) -> None:
    assert f"\n| `{outcome}` |" in INTERFACE, f"the table of outcomes in docs/interface.md lacks `{outcome}`: add a row"


@pytest.mark.parametrize("code", [code for code, _ in all_codes()])
def test_each_problem_code_has_a_meaning(code: str) -> None:
    assert code in CODES, f"CODES in infra/openapi_texts.py lacks `{code}`: say what it means, then run `make docs`"
    assert f"`{code}`" in INTERFACE, f"docs/interface.md lacks `{code}`: run `make docs`"


@pytest.mark.parametrize("code", CODES)
def test_each_meaning_has_a_problem_code(code: str) -> None:
    assert code in dict(all_codes()), (
        f"CODES in infra/openapi_texts.py has `{code}`, shared/errors.py has not: remove it"
    )


@pytest.mark.parametrize("model", [Settings, Account, Caller, KeyCaller, SigningCaller, EntraCaller, Tell])
def test_each_setting_has_a_description(model: type[Settings]) -> None:
    missing = [name for name, field in model.model_fields.items() if not field.description]

    assert missing == [], f"{model.__name__} lacks descriptions: add them, then run `make docs`"


@pytest.mark.parametrize(
    "name",
    [
        *aliases(Settings, Account, KeyCaller, SigningCaller, EntraCaller, Tell),
        *get_args(Account.model_fields["cloud"].annotation),
        *Mode,
        *("zendesk", "standard-webhooks", "entra", "key"),
        *get_args(System.__value__),
    ],
)
def test_the_settings_page_names_it(name: str) -> None:
    assert f"`{name}`" in SETTINGS, (
        f"docs/settings.md lacks `{name}`: describe it in shared/settings.py, run `make docs`"
    )


def test_the_deployment_page_names_each_of_its_settings() -> None:
    """azd itself asks for the two that begin with AZURE_."""
    text = (ROOT / "docs/deploy.md").read_text()
    parameters = re.findall(r"\$\{(\w+)\}", (ROOT / "infra/main.parameters.json").read_text())
    missing = [name for name in parameters if not name.startswith("AZURE_") and f"`{name}`" not in text]

    assert missing == [], "docs/deploy.md lacks settings of infra/main.parameters.json: add them to its table"


# Tables made from the code.


@pytest.mark.parametrize("page", documents.PAGES)
def test_tables_are_those_of_the_code(page: str) -> None:
    try:
        made = documents.page(page)
    except TextMissing as missing:
        pytest.fail(f"{missing} Add it, then run `make docs`.")

    assert (ROOT / "docs" / page).read_text() == made, f"docs/{page} has an old table: run `make docs`"


@pytest.mark.parametrize("page", documents.PAGES)
def test_each_table_has_its_place(page: str) -> None:
    marked = [name for _, name, _ in documents.MARKED.findall((ROOT / "docs" / page).read_text())]

    assert marked == list(documents.PAGES[page]), f"docs/{page} and PAGES in infra/documents.py name other tables"


def test_the_error_table_has_each_code_under_its_status_and_no_other() -> None:
    _, *parts = re.split(r"^\*\*(\d{3})\*\* \((repeat|do not repeat)\)$", INTERFACE, flags=re.MULTILINE)
    groups = list(batched(parts, 3, strict=True))

    assert {
        (code, int(status))
        for status, _, text in groups
        for code in re.findall(r"^- `(\w+)`: \S", text.partition("<!-- end -->")[0], re.MULTILINE)
    } == set(all_codes())
    assert all((repeat == "repeat") is (status in {"429", "503"}) for status, repeat, _ in groups)


# Examples are true.


def test_the_example_in_readme_is_a_request_and_its_answer() -> None:
    request, answer = examples(README)

    assert CancelRequest.model_validate(request).ticket_id == answer["ticketId"]
    assert CancelResult.model_validate(answer).model_dump(by_alias=True) == answer
    assert list(answer) == aliases(CancelResult)
    assert answer["message"] == of_result(answer["outcome"], CancelResult.model_validate(answer), None)


def test_the_examples_of_the_interface_are_true() -> None:
    request, request_for_subscription, request_for_term_end, preview, answer, problem, found, health = examples(
        INTERFACE
    )

    requests = (request, request_for_subscription, request_for_term_end)
    for example in requests:
        assert CancelRequest.model_validate(example).model_dump(by_alias=True, exclude_unset=True) == example
    assert set().union(*requests) == set(aliases(CancelRequest))
    assert LineItem.model_validate(preview).model_dump(by_alias=True) == preview
    assert list(preview) == aliases(LineItem)
    assert CancelResult.model_validate(answer).model_dump(by_alias=True) == answer
    assert list(answer) == aliases(CancelResult)
    asked = {line["lineItemNumber"] for line in request["lineItems"]}
    assert answer["message"] == of_result(answer["outcome"], CancelResult.model_validate(answer), asked)
    assert list(answer["lineItems"][0]) == aliases(LineItem)
    refusal = error_of(Reply(400, json.dumps(problem["partnerCenter"]).encode()))
    assert problem == problem_body(refusal, problem["requestId"], problem["correlationId"])
    assert FindResult.model_validate(found).model_dump(by_alias=True) == found
    assert list(found["orders"][0]) == aliases(OrderState)
    assert Health.model_validate(health).model_dump(by_alias=True) == health


def test_the_examples_of_the_settings_are_settings() -> None:
    accounts, callers, told_callers = examples(SETTINGS)

    assert {name: Account.model_validate(account) for name, account in accounts.items()}
    adapter = TypeAdapter[AnyCaller](AnyCaller)
    kinds = {adapter.validate_python(caller).proof for caller in callers.values()}
    assert kinds == {"key", "zendesk", "standard-webhooks", "entra"}
    assert all(adapter.validate_python(caller).tell for caller in told_callers.values())


@pytest.mark.parametrize("account", examples((ROOT / "docs/credentials.md").read_text()), ids=str)
def test_the_operators_page_shows_accounts_that_work(account: dict[str, Any]) -> None:
    guid = "00000000-0000-0000-0000-000000000000"

    assert Account.model_validate(account | {"tenantId": guid, "clientId": guid})


def test_the_operators_page_shows_each_kind_of_credential() -> None:
    shown = {tuple(account) for account in examples((ROOT / "docs/credentials.md").read_text())}

    assert len(shown) == 4


def test_the_account_to_deploy_with_is_one() -> None:
    accounts, _ = examples((ROOT / "docs/deploy.md").read_text())
    [account] = accounts.values()
    guid = "00000000-0000-0000-0000-000000000000"

    assert Account.model_validate(account | {"tenantId": guid, "clientId": guid}).mode is Mode.DRY_RUN


def test_the_operators_own_caller_may_only_look() -> None:
    _, callers = examples((ROOT / "docs/deploy.md").read_text())
    [caller] = callers.values()

    assert KeyCaller.model_validate(caller | {"sha256": "0" * 64}).dry_run_only


def test_the_commands_for_an_alert_cancel_no_more_than_the_ticket_named() -> None:
    """The operator pastes them at night; without `lineItems` a request cancels the whole order, without `when` now."""
    stand_for = {
        "GUID": "00000000-0000-0000-0000-000000000000",
        "ORDER": "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1",
        "LINE": "0",
        "SUBSCRIPTION": "11111111-1111-1111-1111-111111111111",
        "WHEN": "term_end",
    }
    page = (ROOT / "docs/operate.md").read_text()
    section = page.partition("### sending-without-decided\n")[2].partition("\n### ")[0]
    bodies = re.findall(r" -d '(.+?)'", section, re.DOTALL)
    names = rf"\b({'|'.join(stand_for)})\b"
    requests = [
        CancelRequest.model_validate_json(re.sub(names, lambda name: stand_for[name[0]], body)) for body in bodies
    ]
    look, look_at_subscription, cancel, cancel_subscription = requests

    assert [request.dry_run for request in requests] == [True, True, False, False]
    assert {request.when for request in requests} == {"term_end"}
    assert look.line_items == cancel.line_items is not None
    assert look_at_subscription.subscription_id == cancel_subscription.subscription_id is not None


def test_the_example_settings_are_settings() -> None:
    values = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]

    assert Settings.from_environ(values).accounts["default"].mode is Mode.DRY_RUN


# Pages lead where they point.


def anchors(page: Path) -> set[str]:
    """Return where links into *page* can lead, as GitHub names headings."""
    headings = re.findall(r"^#+ (.*)$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_among_those_that_are_checked(tracked: frozenset[str]) -> None:
    pages = {name for name in tracked if name.endswith(".md")}

    assert set(PAGES) - pages == set(), "git does not know these pages yet: run `git add` on them"
    assert pages - set(PAGES) == set(), "no pattern of PAGES in this file covers these pages: add one for their folder"


@EACH_PAGE
def test_links_lead_somewhere(page: str) -> None:
    text = without_code((ROOT / page).read_text())
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)]+))?\)|^\[[^\]]+\]: ([^#\s]*)(?:#(\S+))?$", text, re.MULTILINE)
    lost = []

    for inline, inline_anchor, listed, listed_anchor in links:
        target, anchor = inline or listed, inline_anchor or listed_anchor
        if target.startswith(("https://", "mailto:")):
            continue
        there = ROOT / page if not target else (ROOT / page).parent / target
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(f"{target}#{anchor}" if anchor else target)

    assert lost == [], f"{page} has links to files or headings that do not exist: correct the links"


@EACH_PAGE
def test_the_files_that_a_page_names_exist(page: str) -> None:
    """Names with capitals stand for something else, as in `infra/ticketing/SYSTEM`."""
    named = re.findall(r"`((?:cancel_order|docs|infra|shared|tests)/[a-z_./-]+)`", (ROOT / page).read_text())
    gone = [name for name in named if not (ROOT / name).exists()]

    assert gone == [], f"{page} names files that do not exist: name them as they are now"


def test_the_operator_finds_every_alert() -> None:
    section = (ROOT / "docs/operate.md").read_text().partition("## Alerts\n")[2].partition("\n## ")[0]
    headings = re.findall(r"^### (.+)$", section, re.MULTILINE)
    alerts = {path.stem for path in (ROOT / "infra/monitoring/alerts").iterdir()} | {"unavailable"}

    assert set(headings) == alerts, "docs/operate.md has a section for each alert, named like its file"


def test_every_page_of_the_documents_is_in_their_list() -> None:
    folder = ROOT / "docs"
    listed = re.findall(r"\]\(([\w./-]+\.md)\)", (folder / "README.md").read_text())
    pages = {page for page in folder.glob("*.md") if page.name != "README.md"}

    assert pages - {folder / name for name in listed} == set(), "docs/README.md lacks these pages: add a row for each"


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(
        r"^\| (\d+) \| \[(.+)\]\((\d{4})-[\w-]+\.md\) \| ([\d-]+) \|$", (folder / "README.md").read_text(), re.MULTILINE
    )
    found = [path.read_text() for path in sorted(folder.glob("0*.md"))]

    assert [f"# {number}. {title}\n\nDate: {date}\n\n## Context\n" for number, title, _, date in listed] == [
        text[: text.index("## Context\n") + len("## Context\n")] for text in found
    ], "docs/decisions/README.md lists each page with its number, title and date"
    assert all(text.count("\n## ") == 3 for text in found), "a decision has Context, Options and Decision"


def test_the_threats_name_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())
    files = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    lost = {
        f"{path}::{name}": [str(file.relative_to(ROOT)) for file, text in files.items() if f"def {name}(" in text]
        for path, name in named
        if not (ROOT / path).exists() or f"def {name}(" not in (ROOT / path).read_text()
    }

    assert len(named) > 10
    assert lost == {}, "SECURITY.md names tests that do not exist; the lists show the files that now have them"


def test_the_newest_version_is_the_one_of_the_interface() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)[0]
    described = {
        path: json.loads((ROOT / path).read_text())["info"]["version"]
        for path in ("infra/openapi.json", "infra/power-automate/apiDefinition.swagger.json")
    }

    assert set(described.values()) == {newest}, "CHANGELOG.md and these files name the same version"


# Pages stay readable.


def test_readme_stays_short() -> None:
    size = len((ROOT / "README.md").read_bytes())

    assert size < README_BYTES, f"README.md has {size} bytes: move details into docs/, and link to them"


@EACH_PAGE
def test_lines_fit_a_window(page: str) -> None:
    """A table's row counts without the addresses of its links, since readers do not see them."""
    wide = []
    for number, line in enumerate(without_code((ROOT / page).read_text()).splitlines(), 1):
        shown = re.sub(r"\]\([^)]*\)", "]", line) if line.lstrip().startswith("|") else line
        if len(shown) > LINE_COLUMNS:
            wide.append(f"line {number}: {len(shown)} columns")

    assert wide == [], f"{page} is wider than {LINE_COLUMNS} columns: break the lines; cut rows, or make a list of them"


# Commands.


def test_make_lists_each_of_its_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = " ".join(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE))
    listed = re.findall(r"^([a-z-]+):.* ## ", makefile, re.MULTILINE)

    assert set(listed) == set(commands.split()), "in the Makefile each command has `## ` and a line of help"


@pytest.mark.parametrize(
    "target",
    [
        *("help", "install", "demo", "serve", "check", "test", "lint", "docs", "scan", "soak", "bench", "package"),
        *("audit", "browser-test", "pictures"),
    ],
)
def test_make_has_the_command(target: str) -> None:
    assert re.search(rf"^{target}:.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@EACH_PAGE
def test_commands_have_no_comments(page: str) -> None:
    """The zsh of macOS takes a pasted `#` for a word, and an apostrophe after it opens a quotation that never ends."""
    comments = [line for block in command_blocks(page) for line in block.splitlines() if re.search(r"(^|\s)#\s", line)]

    assert comments == [], f"{page} has comments among commands: write them into the text"


@EACH_PAGE
def test_commands_to_the_function_have_no_key(page: str) -> None:
    """A key in a command stays in the history of the shell, and other users of the machine can see it."""
    blocks = [block for block in command_blocks(page) if "/api/cancel_order" in block]

    assert [block for block in blocks if re.search(r"x-functions-key|x-caller-key", block, re.IGNORECASE)] == []
    if page in {"docs/operate.md", "docs/credentials.md"}:
        assert blocks
        assert all('-H @"$HOME/keys.txt"' in block for block in blocks)
