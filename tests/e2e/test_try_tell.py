"""The operator's command `python -m infra.try_tell`, with the stand-ins for the ticketing systems."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from azure.keyvault.secrets._shared import http_challenge_cache

from infra.try_tell import run
from shared.tls import tls_context
from tests.support.local_cloud import ROOT, Json, LocalCloud, running

TICKETS = {
    "zendesk": "7001",
    "freshdesk": "7002",
    "freshservice": "7003",
    "jira": "IT-7004",
    "standard-webhooks": "REQ-7005",
}
WRONG = dict.fromkeys(TICKETS, "wrong-secret") | {"standard-webhooks": "whsec_d3Jvbmctc2lnbmluZy1zZWNyZXQtb2YtMjQ="}
LIMIT_S = 60


class Try(NamedTuple):
    status: int
    output: str
    errors: str


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of this file's own: its secrets are replaced."""
    with running(tmp_path_factory.mktemp("try-tell"), "--callers") as cloud:
        yield cloud


type TryTell = Callable[..., Try]


@pytest.fixture
def try_tell(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[TryTell]:
    """Run the command in this process: a process of its own takes most of a second."""
    for name, value in cloud.description["environment"].items():
        monkeypatch.setenv(name, value)
    http_challenge_cache.clear()  # azure-keyvault-secrets keeps a vault's challenge for the whole process
    tls_context.cache_clear()

    def try_tell(*arguments: str) -> Try:
        tried = Try(run(list(arguments)), *capsys.readouterr())
        assert [secret for secret in secrets_of(cloud) if secret in tried.output + tried.errors] == []
        return tried

    yield try_tell
    tls_context.cache_clear()


def secrets_of(cloud: LocalCloud) -> list[str]:
    tells = [caller["tell"] for caller in cloud.description["callers"].values() if "tell" in caller]
    known = [tell[name] for tell in tells for name in ("secretValue", "urlSecretValue") if name in tell]
    return [*known, *WRONG.values()]


def notes(cloud: LocalCloud, system: str) -> list[Json]:
    answer = cloud.http.get(f"{cloud.description['controlUrl']}/tickets/{system}/{TICKETS[system]}")
    found: list[Json] = answer.raise_for_status().json()["notes"]
    return found


@contextmanager
def secret(cloud: LocalCloud, name: str, value: str) -> Iterator[None]:
    """Store *value* as the secret *name*, and then what it was."""
    before = cloud.secret_versions(name)[-1]["value"]
    cloud.store_secret(name, value)
    try:
        yield
    finally:
        cloud.store_secret(name, before)


@contextmanager
def ticket_that_is(cloud: LocalCloud, system: str, status: str) -> Iterator[None]:
    cloud.put(f"tickets/{system}/{TICKETS[system]}", {"status": status})
    try:
        yield
    finally:
        cloud.put(f"tickets/{system}/{TICKETS[system]}", {"status": "open"})


@pytest.mark.parametrize("caller", TICKETS)
def test_it_writes_one_private_note_and_reads_it_again(cloud: LocalCloud, try_tell: TryTell, caller: str) -> None:
    before = len(notes(cloud, caller))

    tried = try_tell(caller, TICKETS[caller])

    assert (tried.status, tried.errors) == (0, "")
    assert ("accepted the note" if caller == "standard-webhooks" else "which can be read again") in tried.output
    [note] = notes(cloud, caller)[before:]
    assert note["private"] is True
    assert note["text"].startswith("This is a test note of the function that cancels orders.")
    assert note["text"].splitlines()[-1].split()[2] == "test"


@pytest.mark.parametrize("caller", TICKETS)
def test_a_wrong_secret_is_named_and_not_shown(cloud: LocalCloud, try_tell: TryTell, caller: str) -> None:
    name = cloud.description["callers"][caller]["tell"]["secret"]
    before = len(notes(cloud, caller))

    with secret(cloud, name, WRONG[caller]):
        tried = try_tell(caller, TICKETS[caller])

    assert (tried.status, tried.output) == (1, "")
    assert f"the secret {name}" in tried.errors
    assert len(notes(cloud, caller)) == before


@pytest.mark.parametrize("caller", TICKETS)
def test_a_ticket_that_is_gone_is_explained(cloud: LocalCloud, try_tell: TryTell, caller: str) -> None:
    with ticket_that_is(cloud, caller, "missing"):
        tried = try_tell(caller, TICKETS[caller])

    assert (tried.status, tried.output) == (1, "")
    assert f"know the ticket {TICKETS[caller]}" in tried.errors or f"no ticket {TICKETS[caller]}" in tried.errors


def test_a_closed_ticket_is_explained(cloud: LocalCloud, try_tell: TryTell) -> None:
    """Zendesk takes no comment for it; the others do."""
    with ticket_that_is(cloud, "zendesk", "closed"):
        tried = try_tell("zendesk", TICKETS["zendesk"])

    assert (tried.status, tried.output) == (1, "")
    assert "takes no note" in tried.errors
    assert "closed" in tried.errors


class Mistake(NamedTuple):
    arguments: tuple[str, ...]
    message: str


MISTAKES = {
    "no-such-caller": Mistake(("nobody", "1"), "CALLERS has no caller nobody; it has zendesk, standard-webhooks"),
    "no-tell": Mistake(("halo", "1"), "the caller halo has no tell in CALLERS; zendesk, "),
    "no-number": Mistake(("zendesk", "ZD-1"), "ZD-1 is no id of a ticket there: it must be a number"),
    "no-key": Mistake(("jira", "it-42"), "it must be a key in upper case"),
    "no-file": Mistake(("zendesk", "1", "--callers", "/does/not/exist.json"), "/does/not/exist.json"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_command_is_explained(try_tell: TryTell, mistake: Mistake) -> None:
    tried = try_tell(*mistake.arguments)

    assert (tried.status, tried.output) == (1, "")
    assert mistake.message in tried.errors


def test_callers_can_come_from_a_file_before_they_are_deployed(
    cloud: LocalCloud, try_tell: TryTell, tmp_path: Path
) -> None:
    setting = json.loads(cloud.description["environment"]["CALLERS"])
    file = tmp_path / "callers.json"
    file.write_text(json.dumps({"new": setting["zendesk"]}, indent=2))

    tried = try_tell("new", TICKETS["zendesk"], "--callers", str(file))

    assert tried.status == 0


@pytest.mark.parametrize(("ticket", "status"), [("7006", 0), ("ZD-7006", 1)])
def test_the_command_on_the_pages_works(cloud: LocalCloud, ticket: str, status: int) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "infra.try_tell", "zendesk", ticket],
        cwd=ROOT,
        env={**os.environ, **cloud.description["environment"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )

    assert done.returncode == status
    assert (done.stdout == "", done.stderr == "") == (status == 1, status == 0)


class Failure(NamedTuple):
    """A failure elsewhere: a *fault*, or another *secret* of the receiver's."""

    message: str
    caller: str = "zendesk"
    fault: Json | None = None
    secret: tuple[str, str] | None = None


FAILURES = {
    "may-not-read-the-secret": Failure(
        "your own sign-in (az login)", fault={"service": "key_vault", "status": 403, "times": 9}
    ),
    "fails": Failure("failed at https://", fault={"service": "ticketing", "status": 503, "times": 9}),
    "no-scope-to-write": Failure(
        "tickets:write",
        fault={"service": "ticketing", "method": "PUT", "status": 403, "times": 9},
    ),
    "always-changed": Failure(
        "somebody else is changing the ticket",
        fault={"service": "ticketing", "method": "PUT", "status": 409, "times": 9},
    ),
    "no-api": Failure("check the address", fault={"service": "ticketing", "status": 302, "times": 9}),
    "no-address": Failure(
        "must hold the whole https address", "standard-webhooks", secret=("webhook-tell-url", "http://example.com")
    ),
    "is-not-shown": Failure(
        "does not show it as a private note",
        "freshdesk",
        fault={"service": "ticketing", "method": "POST", "status": 201, "body": {}},
    ),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failure_says_what_to_correct(cloud: LocalCloud, try_tell: TryTell, failure: Failure) -> None:
    cloud.forget()
    if failure.fault:
        cloud.fault(**failure.fault)
    name, value = failure.secret or ("webhook-tell-url", cloud.secret_versions("webhook-tell-url")[-1]["value"])

    with secret(cloud, name, value):
        tried = try_tell(failure.caller, TICKETS[failure.caller])
    cloud.forget()

    assert (tried.status, tried.output) == (1, "")
    assert failure.message in tried.errors
