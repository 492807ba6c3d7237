"""The workflows on GitHub: they need no secret, have the least rights, and run commands that exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github/workflows").glob("*"))}
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

type Job = dict[str, Any]


def workflow(name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true.
    return {"on" if key is True else key: value for key, value in yaml.safe_load(WORKFLOWS[name].read_text()).items()}


JOBS: list[tuple[str, str, Job]] = [
    (name, key, job) for name in WORKFLOWS for key, job in workflow(name)["jobs"].items()
]
WITH_STEPS = [pytest.param(job, id=f"{name}-{key}") for name, key, job in JOBS if "steps" in job]


def commands(job: Job) -> list[list[str]]:
    return [shlex.split(line) for step in job["steps"] for line in step.get("run", "").splitlines()]


def test_these_are_the_workflows() -> None:
    assert WORKFLOWS.keys() == {"audit", "core-tools", "deploy", "test", "witness"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_secret_is_asked_for(name: str) -> None:
    """The deployment signs in to Azure by a federated credential, so no secret can leak."""
    assert "secret" not in re.sub(r"#.*", "", WORKFLOWS[name].read_text()).lower()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit_and_say_which_version_that_is(name: str) -> None:
    uses = re.findall(r"uses: (\S+)(.*)", WORKFLOWS[name].read_text())
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")

    assert uses
    for action, comment in uses:
        if action.startswith("$/"):  # of this repository, at the same commit
            assert (ROOT / action[2:]).is_file()
        else:
            assert pinned.fullmatch(action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_each_action_is_the_same_everywhere() -> None:
    uses = set(re.findall(r"uses: ([^$\s]\S+)", "".join(path.read_text() for path in WORKFLOWS.values())))

    assert len({action.partition("@")[0] for action in uses}) == len(uses)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_rights_are_given_to_each_job_alone(name: str) -> None:
    assert workflow(name)["permissions"] == {}


def test_jobs_may_read_the_code_and_the_deployment_may_sign_in() -> None:
    read, sign_in = {"contents": "read"}, {"id-token": "write"}

    assert {(name, key): job["permissions"] for name, key, job in JOBS} == {
        ("audit", "audit"): read,
        ("core-tools", "cancel"): read,
        ("deploy", "test"): read,
        ("deploy", "deploy"): read | sign_in,
        ("test", "test"): read,
        ("test", "scan"): read,
        ("test", "bicep"): read,
        ("witness", "witness"): read,
    }


@pytest.mark.parametrize("job", WITH_STEPS)
def test_jobs_end_and_leave_no_token_behind(job: Job) -> None:
    checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]

    assert 0 < job["timeout-minutes"] <= 30
    assert re.search(r"\d", job["runs-on"]), "a label that moves"
    assert [step["with"] for step in checkouts] == [{"persist-credentials": False}]


@pytest.mark.parametrize("job", WITH_STEPS)
def test_python_is_the_one_of_the_repository(job: Job) -> None:
    pythons = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@")]

    assert pythons == [{"python-version-file": ".python-version"}]


@pytest.mark.parametrize("job", WITH_STEPS)
def test_commands_exist(job: Job) -> None:
    for command, *arguments in commands(job):
        if command == "make":
            assert {argument for argument in arguments if "=" not in argument} <= TARGETS
        elif command == "npm":
            assert re.fullmatch(r"install --global \S+@\d+\.\d+\.\d+", " ".join(arguments)), "a version that moves"
        elif command == "func":  # of Core Tools, which an earlier step installs
            assert arguments == ["--version"]
        elif command == "azd":
            assert arguments[0] in {"auth", "deploy"}
        else:
            assert (ROOT / command).stat().st_mode & 0o100, f"{command} cannot be run"


def test_a_push_and_a_pull_request_run_what_must_pass_before_a_change_lands() -> None:
    test = workflow("test")

    assert test["on"].keys() == {"push", "pull_request", "workflow_call"}
    assert commands(test["jobs"]["test"]) == [[".ci/run"]]


def test_the_bicep_files_are_compiled_with_the_version_in_the_documents() -> None:
    job = workflow("test")["jobs"]["bicep"]
    installer = (ROOT / ".ci/install-bicep").read_text()
    tested = re.findall(r"Microsoft's compiler ([\d.]+\d)", (ROOT / "docs/deploy.md").read_text())

    assert commands(job) == [[".ci/install-bicep", job["env"]["BICEP"]], ["make", "bicep"]]
    assert re.findall(r"^version=(.+)$", installer, re.MULTILINE) == tested
    assert re.search(r"^checksum=[0-9a-f]{64}$", installer, re.MULTILINE)


def test_vulnerabilities_are_looked_for_every_week_too() -> None:
    assert workflow("audit")["on"].keys() == {"push", "pull_request", "schedule"}
    assert re.fullmatch(r"\d+ \d+ \* \* \d", workflow("audit")["on"]["schedule"][0]["cron"])


def test_the_witness_is_heard_every_week_too() -> None:
    witness = workflow("witness")

    assert witness["on"].keys() == {"push", "pull_request", "schedule"}
    assert commands(witness["jobs"]["witness"]) == [["make", "witness"]]


def test_core_tools_run_the_tests_of_a_cancellation() -> None:
    job = workflow("core-tools")["jobs"]["cancel"]
    program = job["env"]["FUNCTIONS_HOST"].removeprefix("${{ github.workspace }}/")
    *_, [*make, tests] = commands(job)

    assert (ROOT / program).stat().st_mode & 0o100, f"{program} cannot be run"
    assert make == ["make", "test"]
    assert (ROOT / tests.removeprefix("ARGS=")).is_file()


def test_only_a_version_or_a_person_deploys_and_only_what_was_tested() -> None:
    deploy = workflow("deploy")
    job = deploy["jobs"]["deploy"]

    assert deploy["on"] == {"push": {"tags": ["v*"]}, "workflow_dispatch": None}
    assert (job["needs"], job["environment"]) == ("test", "production")
    assert job["concurrency"]["cancel-in-progress"] is False, "half a deployment"


def test_the_deployment_signs_in_as_who_github_says_it_is() -> None:
    job = workflow("deploy")["jobs"]["deploy"]
    sign_in, deploy = commands(job)

    assert sign_in[:3] == ["azd", "auth", "login"]
    assert sign_in[-2:] == ["--federated-credential-provider", "github"]
    assert deploy == ["azd", "deploy", "--no-prompt"]
    assert set(re.findall(r"\$(\w+)", " ".join(sign_in))) <= job["env"].keys()
    assert all(value == f"${{{{ vars.{name} }}}}" for name, value in job["env"].items())


def test_dependabot_renews_packages_and_actions() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]

    assert {
        (update["package-ecosystem"], update["directory"], update["schedule"]["interval"]) for update in updates
    } == {
        ("pip", "/", "weekly"),
        ("github-actions", "/", "weekly"),
    }
    assert [
        update for update in updates if ["*"] not in [group["patterns"] for group in update["groups"].values()]
    ] == []


# Forms for issues and pull requests, owners, hooks.

FORMS = [path for path in sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_one(path: Path) -> None:
    """GitHub shows a form that breaks a rule to nobody, and says so nowhere but in its editor."""
    form = yaml.safe_load(path.read_text())
    fields = [part for part in form["body"] if part["type"] != "markdown"]

    assert form.keys() == {"name", "description", "labels", "body"}
    assert {part["type"] for part in form["body"]} <= {"markdown", "input", "textarea", "dropdown", "checkboxes"}
    assert len({field["id"] for field in fields}) == len(fields) > 0
    assert all(field["attributes"]["label"] for field in fields)
    assert all(field["attributes"]["options"] for field in fields if field["type"] == "dropdown")
    assert any(field.get("validations") == {"required": True} for field in fields)


def test_there_is_a_form_for_a_fault_and_for_a_ticketing_system() -> None:
    assert {path.stem for path in FORMS} == {"fault", "ticketing-system"}


def test_a_weakness_is_reported_in_private() -> None:
    config = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/config.yml").read_text())
    [link] = config["contact_links"]

    assert config["blank_issues_enabled"] is False
    assert link.keys() == {"name", "url", "about"}
    assert link["url"].endswith("/security/policy")  # where GitHub shows SECURITY.md
    assert (ROOT / "SECURITY.md").is_file()


def test_every_change_has_an_owner() -> None:
    rules = [line for line in (ROOT / ".github/CODEOWNERS").read_text().splitlines() if line and line[0] != "#"]

    assert rules == ["* @OWNER/maintainers"]
    assert "@OWNER/maintainers" in (ROOT / "CONTRIBUTING.md").read_text()


def test_hooks_fetch_nothing_and_run_what_is_installed() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    [local] = config["repos"]

    assert local["repo"] == "local"
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
    assert {hook["entry"].split()[0] for hook in local["hooks"]} == {".venv/bin/ruff", ".venv/bin/python"}
