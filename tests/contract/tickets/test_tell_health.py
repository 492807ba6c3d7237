"""The health report says of each caller whether its tickets can be told, and its status never changes for that."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pytest

from shared.settings import Settings
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.telling import worker

pytestmark = pytest.mark.anyio

SYSTEMS = {
    "zendesk": "zendesk",
    "freshdesk": "freshdesk",
    "freshservice": "freshservice",
    "jira": "jira",
    "standard-webhooks": "webhook",
}
ASKED = ("zendesk", "freshdesk", "freshservice", "jira")  # a webhook's receiver cannot be asked
MINUTES = 300


@pytest.fixture
def health_settings(telling_settings: Settings) -> Settings:
    """The settings with one account, which works and needs no Key Vault."""
    accounts = {"federated-global": telling_settings.accounts["federated-global"]}
    return telling_settings.model_copy(update={"accounts": accounts})


def with_tell(settings: Settings, **changes: object) -> Settings:
    """Return *settings* with *changes* to the `tell` of each caller."""
    callers = {
        name: caller.model_copy(update={"tell": caller.tell and caller.tell.model_copy(update=changes)})
        for name, caller in (settings.callers or {}).items()
    }
    return settings.model_copy(update={"callers": callers})


async def health(settings: Settings, cloud: LocalCloud) -> Json:
    """Return `callers` of the report of a worker that has just started."""
    async with worker(settings, cloud) as app:
        answer = await App(app.runtime).get()
        cloud.clear_faults()
    assert (answer.status, answer.body["healthy"]) == (200, True)
    text = str(answer.body)
    tells = [cloud.description["callers"][name]["tell"] for name in SYSTEMS]
    secrets = [tell[name] for tell in tells for name in ("secretValue", "urlSecretValue") if name in tell]
    assert len(secrets) == 6
    assert [secret for secret in (*secrets, "WRONG", "eyJ", "sig=") if secret in text] == []
    callers: Json = answer.body["callers"]
    assert {name: caller["system"] for name, caller in callers.items()} == SYSTEMS
    assert all(caller.keys() == {"healthy", "system", "code", "detail"} for caller in callers.values())
    for caller in callers.values():
        assert caller["healthy"] is (caller["code"] is None) is (caller["detail"] is None)
    return callers


def codes(callers: Json) -> dict[str, str | None]:
    return {name: caller["code"] for name, caller in callers.items()}


async def test_every_system_is_healthy(health_settings: Settings, telling_cloud: LocalCloud) -> None:
    callers = await health(health_settings, telling_cloud)

    assert codes(callers) == dict.fromkeys(SYSTEMS)
    assert telling_cloud.methods("queue") == ["GET", "GET"]
    written = [request for request in telling_cloud.requests("ticketing") if request["method"] != "GET"]
    assert [request["path"] for request in written] == ["/oauth/tokens"]


class Trouble(NamedTuple):
    """A fault of the queue, and the report's words on each caller: the code, and a part of the detail."""

    code: str
    detail: str
    fault: Json | None = None
    settings: dict[str, str | None] | None = None


NOT_FOUND = {"status": 404, "headers": {"x-ms-error-code": "QueueNotFound"}}
QUEUE_TROUBLES = {
    "timer-off": Trouble("misconfigured", "AzureWebJobs.tell_ticket.Disabled", settings={"tell_ticket_disabled": "1"}),
    "not-set": Trouble("misconfigured", "AzureWebJobsStorage__queueServiceUri", settings={"queue_service_uri": None}),
    "missing": Trouble("misconfigured", "must exist", NOT_FOUND | {"path": "follow-up\\?"}),
    "poison-missing": Trouble("misconfigured", "must exist", NOT_FOUND | {"path": "poison"}),
    "forbidden": Trouble("misconfigured", "Storage Queue Data Contributor", {"status": 403}),
    "unauthorized": Trouble("misconfigured", "Storage Queue Data Contributor", {"status": 401, "times": 9}),
    "fails": Trouble("queue_unavailable", "500", {"status": 500}),
    "no-answer": Trouble("queue_unavailable", "no answer", {"hang_up": "before", "times": 9}),
    "hangs": Trouble("queue_unavailable", "no answer", {"delay_s": MINUTES, "times": 9}),
    "odd": Trouble("queue_refused", "409", {"status": 409}),
    "no-identity": Trouble(
        "credentials_unavailable",
        "managed identity",
        {"service": "identity", "path": "storage", "status": 500, "times": 99},
    ),
    "identity-refused": Trouble(
        "misconfigured",
        "identity",
        {"service": "identity", "path": "storage", "status": 400, "body": {"error": "WRONG"}, "times": 99},
    ),
}


def long_if_it_hangs(troubles: Iterable[str]) -> list[Any]:
    """Return a case for each trouble. One that hangs waits for the check's time limit."""
    return [pytest.param(name, id=name, marks=pytest.mark.long if name == "hangs" else ()) for name in troubles]


@pytest.mark.parametrize("name", long_if_it_hangs(QUEUE_TROUBLES))
async def test_without_its_queue_no_caller_is_healthy(
    health_settings: Settings, telling_cloud: LocalCloud, name: str
) -> None:
    trouble = QUEUE_TROUBLES[name]
    if trouble.fault:
        telling_cloud.fault(**{"service": "queue"} | trouble.fault)

    callers = await health(health_settings.model_copy(update=trouble.settings or {}), telling_cloud)

    assert codes(callers) == dict.fromkeys(SYSTEMS, trouble.code)
    assert all(trouble.detail in caller["detail"] for caller in callers.values())
    assert telling_cloud.requests("ticketing") == []


@pytest.fixture
def _secrets(telling_cloud: LocalCloud) -> Iterator[None]:
    """Put the secrets back that a test stores."""
    yield
    for name in SYSTEMS:
        tell = telling_cloud.description["callers"][name]["tell"]
        for member in ("secret", "urlSecret"):
            if member in tell:
                telling_cloud.store_secret(tell[member], tell[f"{member}Value"])


@pytest.mark.usefixtures("_secrets")
async def test_a_refused_credential_is_reported(health_settings: Settings, telling_cloud: LocalCloud) -> None:
    for name in ASKED:
        telling_cloud.store_secret(telling_cloud.description["callers"][name]["tell"]["secret"], "WRONG")

    callers = await health(health_settings, telling_cloud)

    assert codes(callers) == dict.fromkeys(ASKED, "credentials_rejected") | {"standard-webhooks": None}
    assert all("must store a valid one" in callers[name]["detail"] for name in ASKED)


@pytest.mark.usefixtures("_secrets")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("secret", "whsec_WRONG"),
        ("secret", "WRONG"),
        ("urlSecret", "http://WRONG.example/?sig=x"),
        ("urlSecret", "https://user:WRONG@receiver.example/"),
        ("urlSecret", "https://receiver.example:65536/WRONG"),
        ("urlSecret", "https://receiver.example:0/WRONG"),
        ("urlSecret", "WRONG"),
    ],
)
async def test_a_webhook_that_nobody_can_send_is_reported(
    health_settings: Settings, telling_cloud: LocalCloud, member: str, value: str
) -> None:
    telling_cloud.store_secret(telling_cloud.description["callers"]["standard-webhooks"]["tell"][member], value)

    callers = await health(health_settings, telling_cloud)

    assert codes(callers) == dict.fromkeys(ASKED) | {"standard-webhooks": "misconfigured"}


async def test_a_secret_that_is_missing_is_reported(health_settings: Settings, telling_cloud: LocalCloud) -> None:
    callers = await health(with_tell(health_settings, secret="no-such-secret"), telling_cloud)

    assert codes(callers) == dict.fromkeys(SYSTEMS, "misconfigured")
    assert telling_cloud.requests("ticketing") == []


async def test_a_key_vault_that_is_down_is_reported(health_settings: Settings, telling_cloud: LocalCloud) -> None:
    telling_cloud.fault(service="key_vault", status=500, times=999)

    callers = await health(health_settings, telling_cloud)

    assert codes(callers) == dict.fromkeys(SYSTEMS, "credentials_unavailable")


SYSTEM_TROUBLES: dict[str, tuple[str, Json]] = {
    "503": ("system_unavailable", {"status": 503, "headers": {"Retry-After": "60"}}),
    "429": ("system_unavailable", {"status": 429}),
    "no-answer": ("no_answer", {"hang_up": "before"}),
    "hangs": ("system_unavailable", {"delay_s": MINUTES}),
    "403": ("credentials_rejected", {"status": 403, "body": "WRONG"}),
    "redirects": ("unexpected_answer", {"status": 302, "headers": {"Location": "https://login.example/WRONG"}}),
}


@pytest.mark.parametrize("name", long_if_it_hangs(SYSTEM_TROUBLES))
async def test_a_system_that_fails_is_reported(health_settings: Settings, telling_cloud: LocalCloud, name: str) -> None:
    code, fault = SYSTEM_TROUBLES[name]
    telling_cloud.fault(**{"service": "ticketing", "times": 99} | fault)

    callers = await health(health_settings, telling_cloud)

    assert codes(callers) == dict.fromkeys(ASKED, code) | {"standard-webhooks": None}


@pytest.mark.parametrize(
    ("caller", "path", "body", "code"),
    [
        ("jira", "mypermissions", {"permissions": {"ADD_COMMENTS": {"havePermission": False}}}, "credentials_rejected"),
        ("jira", "mypermissions", {"permissions": []}, "credentials_rejected"),
        ("jira", "mypermissions", "<html>WRONG", "unexpected_answer"),
        ("zendesk", "oauth", "<html>WRONG", "unexpected_answer"),
        ("zendesk", "oauth", {"error": "WRONG"}, "unexpected_answer"),
    ],
)
async def test_one_system_that_answers_something_else_is_reported(
    health_settings: Settings, telling_cloud: LocalCloud, caller: str, path: str, body: object, code: str
) -> None:
    telling_cloud.fault(service="ticketing", path=path, status=200, body=body, times=9)

    callers = await health(health_settings, telling_cloud)

    assert codes(callers) == dict.fromkeys(SYSTEMS) | {caller: code}
