"""`python3 -m infra.azd_hooks HOOK`: the hooks of azure.yaml that wait for Azure. They use `az` and its sign-in.

azd tries each step once, and runs no hook after a failed step. Two steps of a first deployment can come too early:

- `predeploy`: Azure takes some minutes to let the function's identity into the storage, and until then refuses the
  package with 403. This hook waits until the host can read its keys, which are in the same storage. If that takes too
  long, or `az` is not signed in, the deployment goes on all the same: only the upload itself shows what Azure says to
  it.
- `postup`: the availability test needs the function's key, and Azure does not always give it right after a deployment.
  The hook deploys infra/availability.bicep, at most ten times.

azd runs it with any Python 3, so it uses nothing newer than 3.9.

Source: Azure/azure-dev, cli/azd/pkg/ext/hooks_runner.go, pkg/azsdk/funcapp_host_client.go (read 2026-11-30), #8026.
"""

import os
import shutil
import subprocess
import sys
import time

TRIES = 10
PAUSE_S = float(os.environ.get("AZD_HOOKS_PAUSE_S", "30"))  # the tests set it
LIMIT_S = 300.0  # of all tries together; a command ends with it, and `az` itself may go on


def az(command: str, *options: str, limit_s: float = LIMIT_S) -> str:
    """Run `az` on the deployment's own subscription, not on the default one of `az`.

    Returns "" if the command succeeded within *limit_s* seconds, else what it said.
    """
    program = shutil.which("az")
    if not program:
        return "az is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli"
    subscription = ("--subscription", setting("AZURE_SUBSCRIPTION_ID"))
    try:
        ran = subprocess.run(  # noqa: S603
            (program, *command.split(), *subscription, *options, "--output", "none"),
            check=False,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",  # a console's own encoding must not end the hook
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return f"az {command} did not end within {limit_s:.0f} s"
    return (ran.stderr.strip() or f"az {command} ended with status {ran.returncode}") if ran.returncode else ""


def setting(name: str) -> str:
    return os.environ.get(name) or sys.exit(f"{name} is not set. azd sets it: azd hooks run NAME, after azd provision")


def repeat(waits_for: str, command: str, *options: str) -> str:
    """Run the command until it succeeds, at most TRIES times and LIMIT_S seconds. Return "", or what `az` said last."""
    ends_at = time.monotonic() + LIMIT_S
    for left in reversed(range(TRIES)):
        error = az(command, *options, limit_s=max(1.0, ends_at - time.monotonic()))
        if not error or not left or time.monotonic() + PAUSE_S > ends_at:
            return error
        print(f"Waiting for {waits_for}: trying again in {PAUSE_S:g} s, at most {left} more times.", flush=True)
        time.sleep(PAUSE_S)
    return error


def predeploy() -> None:
    if "AZURE_FUNCTION_NAME" not in os.environ:
        return  # GitHub's workflow, which knows no outputs of `azd provision` and never deploys first
    if error := az("account get-access-token"):
        print(
            f"{error}\nSo this deployment does not wait for the roles on the storage. It needs only azd's own sign-in."
        )
        return
    app = ("--resource-group", setting("AZURE_RESOURCE_GROUP"), "--name", setting("AZURE_FUNCTION_NAME"))
    if not az("functionapp function show", *app, "--function-name", "cancel_order"):
        return  # it was deployed before
    if error := repeat("the roles on the storage", "functionapp keys list", *app):
        print(
            f"{error}\nThe host still has no keys; the deployment goes on. If it is refused with 403, see the section"
        )
        print("'If it stops' of docs/deploy.md.")


def postup() -> None:
    if error := az("account get-access-token"):
        sys.exit(f"{error}\nSign in with `az login`, as in docs/deploy.md. Then run `azd hooks run postup`.")
    error = repeat(
        "the function's key",
        "deployment group create",
        *("--resource-group", setting("AZURE_RESOURCE_GROUP"), "--template-file", "infra/availability.bicep"),
        "--parameters",
        "functionName=" + setting("AZURE_FUNCTION_NAME"),
        "applicationInsightsName=" + setting("AZURE_APPLICATION_INSIGHTS_NAME"),
        "actionGroupName=" + setting("AZURE_ACTION_GROUP_NAME"),
    )
    if error:
        sys.exit(f"{error}\nThe availability test is not deployed. Once the cause is gone, run `azd hooks run postup`.")


if __name__ == "__main__":
    {"predeploy": predeploy, "postup": postup}[sys.argv[1]]()
