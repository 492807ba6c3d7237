"""The commands of the operators' pages run, in a shell, against stand-ins for `az`, `azd` and `curl`.

The stand-ins (tests/support/azure_cli.py) refuse what the real programs refuse. Nothing here shows what Azure does.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.contract import CancelRequest
from shared.http_request import parse_request
from tests.support import azure_cli
from tests.support.bicep import ROOT

LIMIT_S = 60
DEPLOY, OPERATE, CREDENTIALS = "docs/deploy.md", "docs/operate.md", "docs/credentials.md"
ZENDESK, TICKETING = "infra/ticketing/zendesk/README.md", "infra/ticketing/README.md"
NAMES_OF = {
    ZENDESK: CREDENTIALS,
    TICKETING: CREDENTIALS,
}  # pages whose names are explained on another one, to which they link
GUID = "00000000-0000-0000-0000-000000000000"
VALUES = {
    "NAME": "test",
    "SUB": "22222222-2222-2222-2222-222222222222",
    "SUB-TENANT": "tenant-of-the-subscription",
    "TENANT": "tenant-of-the-partner",
    "REGION": "westeurope",
    "NAMESPACE": "Microsoft.App",
    "RG": "rg-test",
    "VAULT": "kv-1",
    "FUNCTION": "func-1",
    "FUNC-PRINCIPAL": GUID,
    "HOST": "func-1.azurewebsites.net",
    "APP": GUID,
    "CALLERS-APP": GUID,
    "KEY": azure_cli.KEY,
    "KEY-ID": GUID,
    "CALLER-KEY": "callers-key",
    "HASH": "0" * 64,
    "ACCOUNT": "default",
    "GUID": GUID,
    "ORDER": "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1",
    "LINE": "0",
    "SUBSCRIPTION": "11111111-1111-1111-1111-111111111111",
    "WHEN": "term_end",
    "SECRET-NAME": "partner-center-user",
    "STORAGE": "st1",
    "MY-ADDRESS": "203.0.113.7",
}
NAME = re.compile(r"(?<![\w$.-])[A-Z]{2,}(?:-[A-Z]+)*(?![\w=-])")
# Words in capitals that are settings of the deployment, or words of a command.
SETTINGS = set(re.findall(r"\$\{(\w+)\}", (ROOT / "infra/main.parameters.json").read_text()))
NO_NAMES = {"CALLERS", "PEM"}
PYTHON = re.compile(r"python3 -c '[^']*'")
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
# The text names these, and nobody pastes them: most lack an option or a value.
MENTIONS = {
    "az ad",
    "az ad app",
    "az ad app create",
    "az cloud set --name",
    "az functionapp list-flexconsumption-locations",
    "az login",
    "azd env new NAME",
    "azd env set",
    "azd env set …",
}


def sections(page: str) -> list[tuple[str, str]]:
    """Return the heading and the text of each section of *page*."""
    parts = re.split(r"^#+ (.+)$", (ROOT / page).read_text(), flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def blocks(page: str, heading: str = "") -> list[str]:
    """Return the blocks of commands of *page*, or only those under *heading*, as they are written."""
    found = []
    # The page about Zendesk calls Zendesk's own interface with curl, and not the function.
    programs = r"\b(az|azd) [a-z]" if page == ZENDESK else r"\b(az|azd) [a-z]|^curl "
    for title, text in sections(page):
        for indent, language, block in BLOCK.findall(text):
            commands = re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)
            if heading in {"", title} and not language and re.search(programs, commands, re.MULTILINE):
                found.append(commands)
    assert found, f"{page} has no commands under {heading!r}"
    return found


def spans(page: str) -> list[str]:
    """Return what the text and the tables of *page* have of `az` and `azd`: commands and MENTIONS, each once."""
    text = BLOCK.sub("", (ROOT / page).read_text())
    return list(dict.fromkeys(" ".join(span.split()) for span in re.findall(r"`(azd? [^`]+)`", text)))


def explained(page: str) -> set[str]:
    """Return the names that the table of names of *page* explains."""
    text = (ROOT / NAMES_OF.get(page, page)).read_text()
    rows = re.search(r"^\| name \| .+\n\|---\|---\|\n((?:\|.+\n)+)", text, re.MULTILINE)
    assert rows
    return set(re.findall(r"`([A-Z-]+)`", " ".join(row.split("|")[1] for row in rows[1].splitlines())))


def names(text: str) -> set[str]:
    return set(NAME.findall(PYTHON.sub("", text))) - SETTINGS - NO_NAMES


class Shell:
    """Runs blocks of commands one after another, as somebody who pastes them into one window."""

    def __init__(self, directory: Path, **variables: str) -> None:
        self.directory = directory
        self.environment = azure_cli.install(directory) | {"HOME": str(directory)} | variables
        self.directory.joinpath("accounts.json").write_text('{"default":\n{"mode": "dry_run"}}')
        self.directory.joinpath("callers.json").write_text('{"operator":\n{"proof": "key"}}')

    def run(self, *commands: str) -> list[dict[str, Any]]:
        """Run the blocks and return the calls that the stand-ins recorded."""
        filled = "\n".join(NAME.sub(lambda name: VALUES.get(name[0], name[0]), block) for block in commands)
        ran = subprocess.run(  # noqa: S603
            [shutil.which("sh") or "", "-euc", filled],
            cwd=self.directory,
            env=self.environment,
            input="pasted-secret\n",
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, ""), f"{filled}\n{ran.stderr}"
        return azure_cli.calls(Path(self.environment["CLI_RECORD"]))


PAGES = (DEPLOY, OPERATE, CREDENTIALS, ZENDESK, TICKETING)
COMMANDS = [
    *((page, block) for page in PAGES for block in blocks(page)),
    *((page, span) for page in PAGES for span in spans(page) if span not in MENTIONS),
]
EACH_COMMAND = pytest.mark.parametrize(
    ("page", "commands"),
    COMMANDS,
    ids=lambda value: value if value.endswith(".md") else value.split("\n")[0][:60],
)


@EACH_COMMAND
def test_each_name_in_capitals_has_a_source_on_its_page(page: str, commands: str) -> None:
    assert names(commands) - explained(page) == set(), f"{page}: add them to its table of names, with where to get them"


@EACH_COMMAND
def test_the_commands_run(tmp_path: Path, page: str, commands: str) -> None:
    """With options that exist, on the subscription that is named, and without a secret in an argument."""
    calls = Shell(tmp_path, secret="from-before").run(commands)  # of an earlier block in the same window

    assert calls, page
    for call in calls:
        if call["command"] == "curl":
            check_request(call["arguments"])
        else:
            given = json.dumps([call["options"], call["arguments"]])
            assert not re.search(rf"{azure_cli.SECRET}|from-before|pasted-secret", given), given
        if call["command"] == "azd env set":
            assert call["arguments"][0] in SETTINGS


def check_request(arguments: list[str]) -> None:
    if "-d" not in arguments:
        return
    headers = {"content-type": "application/json"}
    request = parse_request(CancelRequest, arguments[arguments.index("-d") + 1].encode(), headers)
    assert VALUES["ORDER"] == request.order_id or VALUES["SUBSCRIPTION"] == request.subscription_id


def test_each_mention_is_in_a_page() -> None:
    assert MENTIONS - {span for page in PAGES for span in spans(page)} == set()


def test_the_stand_ins_know_no_command_that_nobody_uses() -> None:
    """The pages use it, or the hooks do, which tests/contract/test_azd_hooks.py runs."""
    pasted = "\n".join(commands for _, commands in COMMANDS)
    hooks = (ROOT / "infra/azd_hooks.py").read_text()
    known = {f"az {name}" for name in azure_cli.AZ} | {f"azd {name}" for name in azure_cli.AZD}
    used = {name for name in known if re.search(rf"\b{name}(?![\w-])", pasted) or f'"{name[3:]}"' in hooks}

    assert known - used == set()


@pytest.mark.parametrize("page", [DEPLOY, OPERATE, CREDENTIALS])
def test_a_table_explains_no_name_that_nobody_uses(page: str) -> None:
    text = re.sub(r"^\| `.*$", "", (ROOT / page).read_text(), flags=re.MULTILINE)
    tables = "\n".join(row for row in (ROOT / page).read_text().splitlines() if row.lstrip().startswith("| `"))
    used = names(text) | {name for row in tables.splitlines() for name in names("|".join(row.split("|")[2:]))}

    assert explained(page) - used == set()


def test_the_first_deployment_runs_from_top_to_bottom_in_an_empty_subscription(tmp_path: Path) -> None:
    """Each command comes after those that it needs, and `az ad` works on the tenant that it means."""
    shell = Shell(tmp_path, CLI_EMPTY="1")
    register, *_ = blocks(CREDENTIALS, "For every kind")
    sign_in, up, role, live, callers = blocks(DEPLOY, "The first time")
    make, store, _ = blocks(CREDENTIALS, "Client secret")

    calls = shell.run(register, sign_in, up, role, make, store, *blocks(OPERATE, "It is night and this alert came"))
    calls += shell.run(live, callers)[len(calls) :]

    commands = [call["command"] for call in calls]
    assert commands.index("azd up") < commands.index("az role assignment create") < commands.index("azd provision")
    [stored] = [call for call in calls if call["command"] == "az keyvault secret set"]
    assert stored["stdin"] == azure_cli.SECRET, "a line break would be a part of the secret"
    tenant = ""
    for call in calls:
        if call["command"] == "az login":
            [tenant] = call["options"]["--tenant"]
        if call["command"].startswith("az ad "):
            expected = "SUB-TENANT" if "signed-in-user" in call["command"] else "TENANT"
            assert tenant == VALUES[expected], call["command"]


def test_messages_are_put_back_before_they_are_deleted(tmp_path: Path) -> None:
    """A ticket may be looked at twice, which does no harm, but no message is lost."""
    [put_back] = [block for block in blocks(OPERATE, "Look into follow-up-poison") if "message put" in block]

    calls = Shell(tmp_path).run(put_back)

    put, delete = "az storage message put", "az storage message delete"
    assert [call["command"] for call in calls] == ["az storage message get", put, delete, put, delete]
    queues = [call["options"]["--queue-name"] for call in calls]
    poison = ["follow-up-poison"]
    assert queues == [poison, ["follow-up"], poison, ["follow-up"], poison]
    assert [call["options"]["--content"] for call in calls if call["command"] == put] == [[azure_cli.MESSAGE]] * 2
    assert [call["options"]["--id"] for call in calls if call["command"] == delete] == [["1-2-3"], ["4-5-6"]]


@pytest.mark.parametrize("early", ["az role assignment create", "azd up", "azd env set"])
def test_the_empty_subscription_refuses_what_comes_too_early(tmp_path: Path, early: str) -> None:
    """Else the test above shows nothing."""
    [role] = [block for block in blocks(DEPLOY, "The first time") if "role assignment" in block]
    too_early = {"az role assignment create": role, "azd up": "azd up", "azd env set": "azd env set CALLERS '{}'"}

    with pytest.raises(AssertionError, match=f"ERROR: {early} comes before"):
        Shell(tmp_path, CLI_EMPTY="1").run(too_early[early])


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("az functionapp restart -g RG -n FUNCTION", "lacks ['--subscription']"),
        ("az ad app credential delete --id APP --key-id KEY-ID --subscription SUB", "has no ['--subscription']"),
        ("az keyvault secret set --subscription SUB --vault-name VAULT --name a --value b", "has no ['--value']"),
        ("az keyvault shows --subscription SUB -n VAULT", "no such command"),
        ("azd deploi", "no such command"),
        ("azd env set CALLERS", "takes 2 words"),
    ],
)
def test_a_wrong_command_in_a_page_would_be_noticed(tmp_path: Path, command: str, why: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(why)):
        Shell(tmp_path).run(command)


@pytest.mark.parametrize("page", [*PAGES, "docs/settings.md"])
def test_the_commands_are_not_those_of_one_system(page: str) -> None:
    """macOS has no `date -d`, and not always `sha256sum`; `sh` on Debian has no `read -s`."""
    gnu_or_bash = r"date (-u )?-d|sha256sum|read -\w*s|readlink -f|sed -i|<<<|\[\["

    assert re.findall(gnu_or_bash, (ROOT / page).read_text()) == []
