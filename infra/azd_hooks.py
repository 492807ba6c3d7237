"""`python3 -m infra.azd_hooks HOOK`: the hooks of azure.yaml that wait for Azure. They use `az` and its sign-in.

azd tries each step once, and runs no hook after a failed step. Two steps of a first deployment can come too early:

- `predeploy`: Azure takes some minutes to let the function's identity into the storage, and until then refuses the
  package with 403. This hook waits until the host can read its keys, which are in the same storage. If that takes too
  long, the deployment goes on all the same: only the upload itself shows what Azure says to it.
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
PAUSE_S = float(os.environ.get("AZD_HOOKS_PAUSE_S", "30"))


def az(command: str, *options: str, quiet: bool = False) -> bool:
    """Run `az` on the deployment's own subscription, not on the default one of `az`. Return whether it succeeded."""
    program = shutil.which("az") or sys.exit(
        "az is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli"
    )
    subscription = ("--subscription", os.environ["AZURE_SUBSCRIPTION_ID"])
    words = (program, *command.split(), *subscription, *options, "--output", "none")
    errors = subprocess.DEVNULL if quiet else None
    return subprocess.run(words, check=False, stderr=errors).returncode == 0  # noqa: S603


def repeat(waits_for: str, command: str, *options: str, quiet: bool = False) -> bool:
    """Run the command until it succeeds, at most TRIES times. Return whether it did."""
    for left in reversed(range(TRIES)):
        if az(command, *options, quiet=quiet):
            return True
        if left:
            print(f"Waiting for {waits_for}: trying again in {PAUSE_S:g} s, at most {left} more times.", flush=True)
            time.sleep(PAUSE_S)
    return False


def sign_in() -> None:
    """End the process at once if `az` cannot see the subscription: waiting would not help."""
    if not az("account show"):
        sys.exit("Sign in with `az login`, as in docs/deploy.md. Then go on as its section 'If it stops' says.")


def predeploy() -> None:
    if "AZURE_FUNCTION_NAME" not in os.environ:
        return  # GitHub's workflow, which knows no outputs of `azd provision` and never deploys first
    app = ("--resource-group", os.environ["AZURE_RESOURCE_GROUP"], "--name", os.environ["AZURE_FUNCTION_NAME"])
    sign_in()
    if az("functionapp function show", *app, "--function-name", "cancel_order", quiet=True):
        return  # it was deployed before
    if not repeat("the roles on the storage", "functionapp keys list", *app, quiet=True):
        print("The host still has no keys. If the deployment is refused with 403: docs/deploy.md, If it stops.")


def postup() -> None:
    sign_in()
    deployed = repeat(
        "the function's key",
        "deployment group create",
        *("--resource-group", os.environ["AZURE_RESOURCE_GROUP"], "--template-file", "infra/availability.bicep"),
        "--parameters",
        "functionName=" + os.environ["AZURE_FUNCTION_NAME"],
        "applicationInsightsName=" + os.environ["AZURE_APPLICATION_INSIGHTS_NAME"],
        "actionGroupName=" + os.environ["AZURE_ACTION_GROUP_NAME"],
    )
    if not deployed:
        sys.exit("The availability test is not deployed. Once the cause above is gone: azd hooks run postup")


if __name__ == "__main__":
    {"predeploy": predeploy, "postup": postup}[sys.argv[1]]()
