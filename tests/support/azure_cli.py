"""Stand-ins for `az`, `azd`, `curl`, `stty` and `.venv/bin/python`, as commands on the PATH.

They record each call, answer the calls whose answer is used, and refuse a command or option that the real one does not
have, or that lacks a required one. `--subscription` counts as required wherever `az` takes it: without it `az` takes
its own default, which may be another subscription.

Source: `az … --help` of azure-cli 2.91.0; Azure/azure-dev ae35809, cli/azd/cmd/testdata (read 2026-11-30).
"""

import base64
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

SECRET = "made-by-Entra~ID"  # what must be in no argument
KEY = "the-function-key"
APP = "--subscription --resource-group --name"
PLACE = "--subscription --vault-name --name"
QUEUE = "--subscription --account-name --queue-name --auth-mode"  # without --auth-mode `az` asks for the account's key

# Command: required options, further options that the documents use.
AZ = {
    "login": ("--tenant", "--allow-no-subscriptions"),
    "cloud set": ("--name", ""),
    "account get-access-token": ("--subscription", ""),
    "provider register": ("--subscription --namespace", "--wait"),
    "deployment group create": ("--subscription --resource-group --template-file --parameters", ""),
    "functionapp list-flexconsumption-locations": ("--subscription", ""),
    "functionapp list": ("--subscription --resource-group", ""),
    "functionapp restart": (APP, ""),
    "functionapp function show": (f"{APP} --function-name", ""),
    "functionapp function keys list": (f"{APP} --function-name", ""),
    "functionapp function keys set": (f"{APP} --function-name --key-name", ""),
    "functionapp keys list": (APP, ""),
    "functionapp keys set": (f"{APP} --key-type --key-name", ""),
    "keyvault list": ("--subscription --resource-group", ""),
    "keyvault show": ("--subscription --name", "--resource-group"),
    "keyvault secret set": (PLACE, "--file --expires"),  # `--value` would show the secret to other users
    "keyvault certificate create": (f"{PLACE} --policy", ""),
    "keyvault certificate download": (f"{PLACE} --file", "--encoding"),
    "keyvault certificate get-default-policy": ("", ""),
    "identity list": ("--subscription --resource-group", ""),
    "role assignment create": (
        "--subscription --role --scope --assignee-object-id --assignee-principal-type",
        "",
    ),
    "role assignment list": ("--subscription", "--scope --assignee --all"),
    "storage account list": ("--subscription --resource-group", ""),
    "storage account show": ("--subscription --name", "--resource-group"),
    "storage account update": ("--subscription --name", "--resource-group --public-network-access"),
    "storage account network-rule add": ("--subscription --account-name", "--resource-group --ip-address"),
    "storage message peek": (QUEUE, "--num-messages"),
    "storage message get": (QUEUE, "--num-messages --visibility-timeout"),
    "storage message put": (f"{QUEUE} --content", "--visibility-timeout --time-to-live"),
    "storage message delete": (f"{QUEUE} --id --pop-receipt", ""),
    "storage message clear": (QUEUE, ""),
    "ad signed-in-user show": ("", ""),  # `az ad` works on the tenant of the last login, and takes no subscription
    "ad sp create": ("--id", ""),
    "ad app create": ("--display-name", "--sign-in-audience --requested-access-token-version --app-roles"),
    "ad app update": ("--id", "--identifier-uris --web-redirect-uris"),
    "ad app credential reset": ("--id --append", "--display-name --years --cert"),
    "ad app credential delete": ("--id --key-id", ""),
    "ad app federated-credential create": ("--id --parameters", ""),
}
# Command: number of words after it, options.
AZD = {
    "auth login": (0, "--tenant-id"),
    "config set": (2, ""),
    "env new": (1, "--subscription --location"),
    "env set": (2, ""),
    "env get-value": (1, ""),
    "env get-values": (0, ""),
    "env refresh": (0, ""),
    "up": (0, ""),
    "provision": (0, "--no-state"),
    "deploy": (0, ""),
    "down": (0, ""),
    "hooks run": (1, ""),
}
SHORT = {"-g": "--resource-group", "-n": "--name", "-o": "--output"}
SCOPE = "/subscriptions/1/resourceGroups/rg-1/providers/Microsoft.KeyVault/vaults/kv-1"
MESSAGE = base64.b64encode(b'{"caller": "zendesk"}').decode()
ANSWERS = {
    "az ad signed-in-user show": "11111111-1111-1111-1111-111111111111",
    "az ad app credential reset": SECRET,
    "az functionapp function keys list": KEY,
    "az keyvault show": SCOPE,
    "az storage account show": SCOPE,
    "az storage message peek": f"{MESSAGE}\n",
    "az storage message get": f"1-2-3\tAgAAAA==\t{MESSAGE}\n4-5-6\tAgAAAB==\t{MESSAGE}\n",
    "az keyvault certificate get-default-policy": '{"lifetimeActions": [{"action": {"actionType": "AutoRenew"}}]}',
}

# In an empty subscription a command fails before another one was run.
NEEDS = {
    "azd env new": "azd auth login",
    "azd env set": "azd env new",
    "azd up": "azd env set",
    "azd provision": "azd up",
    "az role assignment create": "azd up",
    "az functionapp function keys list": "azd up",
    "az keyvault secret set": "az role assignment create",
    "az keyvault certificate create": "az role assignment create",
    "az ad sp create": "az ad app create",
    "az ad app credential reset": "az ad app create",
    "az ad app create": "az login",
    "az account get-access-token": "az login",
}


class Refused(Exception):
    """The command line is wrong, the command comes too early, or the test wants it to fail."""


def read(program: str, words: list[str]) -> tuple[str, dict[str, list[str]], list[str]]:
    """Return the command with its program, its options, and the words between them."""
    if program not in {"az", "azd"}:
        return program, {}, words
    known = AZ if program == "az" else AZD
    first_option = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    length = next((n for n in range(first_option, 0, -1) if " ".join(words[:n]) in known), 0)
    command = " ".join(words[:length])
    if not length or (program == "az" and length != first_option):
        raise Refused(f"no such command: {program} {' '.join(words[:first_option])}")
    options: dict[str, list[str]] = {}
    for word in words[first_option:]:
        if word.startswith("-"):
            name = SHORT.get(word, word)
            options[name] = []
        else:
            options[name].append(word)
    arguments = words[length:first_option]
    if program == "az":
        required, allowed = (set(names.split()) for names in AZ[command])
        allowed |= required | {"--query", "--output"}
    else:
        count, names = AZD[command]
        required, allowed = set(), set(names.split())
        if len(arguments) != count:
            raise Refused(f"azd {command} takes {count} words, not {arguments}")
    if unknown := options.keys() - allowed:
        raise Refused(f"{program} {command} has no {sorted(unknown)}")
    if missing := required - options.keys():
        raise Refused(f"{program} {command} lacks {sorted(missing)}")
    return f"{program} {command}", options, arguments


def calls(record: Path) -> list[dict[str, Any]]:
    """Return the calls so far: command, options, arguments, stdin."""
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def answer(program: str, words: list[str]) -> str:
    """Record the call and return what the command prints, or raise Refused."""
    record = Path(os.environ["CLI_RECORD"])
    command, options, arguments = read(program, words)
    before = [call["command"] for call in calls(record)]
    if os.environ.get("CLI_EMPTY") and (need := NEEDS.get(command)) and need not in before:
        raise Refused(f"{command} comes before {need}")
    stdin = sys.stdin.read() if "/dev/stdin" in words else ""
    call = {"command": command, "options": options, "arguments": arguments, "stdin": stdin}
    with record.open("a") as file:
        file.write(json.dumps(call) + "\n")
    if before.count(command) < json.loads(os.environ.get("CLI_FAILURES", "{}")).get(command, 0):
        raise Refused("Encountered an error (InternalServerError) from host runtime at Zürich.")
    if command.endswith("download"):
        Path(options["--file"][0]).write_text("")
    return ANSWERS.get(command, "") if options.get("--output") != ["none"] else ""


def install(directory: Path) -> dict[str, str]:
    """Put the stand-ins into *directory*. Return the environment in which a shell finds them, and no real one."""
    (directory / ".venv/bin").mkdir(parents=True)
    for place, program in ((".", "az"), (".", "azd"), (".", "curl"), (".", "stty"), (".venv/bin", "python")):
        path = directory / place / program
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -I {__file__} {program} "$@"\n')
        path.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not re.match(r"AZ|CLI_", name)}
    return environment | {"PATH": f"{directory}:{os.environ['PATH']}", "CLI_RECORD": str(directory / "calls.jsonl")}


if __name__ == "__main__":
    try:
        sys.stdout.write(answer(sys.argv[1], sys.argv[2:]))
    except Refused as refused:
        sys.stderr.buffer.write(f"ERROR: {refused}\n".encode(os.environ.get("CLI_ENCODING", "utf-8")))
        sys.exit(1)
