"""No log at any level, no record, no repr and no error shows what the queue or a ticketing system trusts."""

import base64
import logging
import re
import traceback
from typing import Any
from urllib.parse import quote, unquote

import pytest

from shared.settings import Settings
from shared.ticketing.note import Marker, Note
from shared.ticketing.system import Notes, TellFailed
from shared.tickets.queue import QueueFailed, Receipt
from tests.conftest import CUSTOMER
from tests.support.local_cloud import Json, LocalCloud
from tests.support.logged import everything_logged
from tests.support.telling import TellingApp, Tickets, post_as, tell, worker

pytestmark = pytest.mark.anyio

SYSTEMS = ("zendesk", "freshdesk", "freshservice", "jira", "standard-webhooks")
ECHO = {"body": "PLANTED Authorization: Bearer eyJPLANTED, Basic PLANTED, sig=PLANTED", "times": 99}
FAULTS: dict[str, list[Json]] = {
    "none": [],
    "queue-refuses": [{"service": "queue", "status": 403} | ECHO],
    "queue-fails": [{"service": "queue", "method": "POST", "status": 500} | ECHO],
    "queue-junk": [{"service": "queue", "method": "GET", "status": 200} | ECHO],
    "queue-redirects": [{"service": "queue", "status": 307, "headers": {"Location": "https://PLANTED.example/"}}],
    "rewrite-refused": [{"service": "queue", "method": "PUT", "status": 400} | ECHO],
    "identity-junk": [
        {"service": "identity", "path": "storage", "times": 99, "body": '{"access_token": "eyJPLANTED"} <!-- -->'}
    ],
    "identity-refuses": [{"service": "identity", "path": "storage", "status": 400} | ECHO],
    "vault-500": [{"service": "key_vault", "path": "-tell-|-oauth|-key|-token", "status": 500} | ECHO],
    "system-401": [{"service": "ticketing", "status": 401} | ECHO],
    "system-422": [{"service": "ticketing", "status": 422} | ECHO],
    "system-503": [{"service": "ticketing", "status": 503} | ECHO],
    "system-junk": [{"service": "ticketing", "status": 200} | ECHO],
    "token-junk": [{"service": "ticketing", "path": "oauth", "status": 200, "body": {"access_token": ["PLANTED"]}}],
    "system-hangs-up": [{"service": "ticketing", "hang_up": "halfway", "times": 99}],
}


def secrets_of(cloud: LocalCloud, app: TellingApp) -> set[str]:
    """Return everything secret that *app* has read, received or made, in each form in which it travels."""
    description = cloud.description
    found = {description["environment"]["IDENTITY_HEADER"], description["functionKey"]}
    for name in SYSTEMS:
        caller = description["callers"][name]
        setting = caller["tell"]
        found |= {caller[member] for member in ("secret", "key") if member in caller}
        found |= {setting[member] for member in ("secretValue", "urlSecretValue") if member in setting}
        pair = f"{setting.get('user', setting['secretValue'])}:{setting['secretValue'] if 'user' in setting else 'X'}"
        found.add(base64.b64encode(pair.encode()).decode())
    url = description["callers"]["standard-webhooks"]["tell"]["urlSecretValue"]
    found |= {re.findall(r"sig=([^&]+)", url)[0], "whsec_"}
    held = app.runtime.__dict__["_tickets"].__dict__
    found |= {token.value for token in held["_tokens"].__dict__["_cached"].values()}
    if token := held["_systems"]["zendesk"][1].__dict__["_token"]:
        found.add(token)
    for request in cloud.requests("queue", path="popreceipt="):
        receipt = re.findall(r"popreceipt=([^&]+)", request["path"])[0]
        found |= {receipt, unquote(receipt)}
    return found


USUAL = {"none", *list(FAULTS)[1::9]}  # each case has a worker of its own; the others run with --soak


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in USUAL else pytest.mark.long) for name in FAULTS]
)
async def test_no_secret_gets_into_answers_queue_log_or_report(
    telling_settings: Settings,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    caplog: pytest.LogCaptureFixture,
    ticket_id: str,
    order_id: str,
    name: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    output: list[object] = []
    for fault in FAULTS[name]:
        telling_cloud.fault(**fault)

    async with worker(telling_settings, telling_cloud) as app:
        for system in SYSTEMS:
            own_id = f"IT-{ticket_id}" if system == "jira" else ticket_id
            body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": own_id}
            answer = await post_as(app, system, body, authorization="Bearer PLANTED")
            assert answer.status == 200
            output += [answer.body, dict(answer.headers)]
        try:
            await tell(app)
        except QueueFailed as failure:
            output += traceback.format_exception(failure)
            output.append(vars(failure))
        output.append((await app.get()).body)
        secrets = secrets_of(telling_cloud, app)
        held = app.runtime.__dict__["_tickets"]
        output += [app.runtime, app.runtime.settings, held, held.__dict__, app.runtime.__dict__["_secrets"].__dict__]
        output.append(held.__dict__["_tokens"].__dict__)

    text = "\n".join([*map(repr, output), everything_logged(caplog), *(message.text for message in tickets.queue())])
    assert len(secrets) > 15
    assert [secret for secret in {*secrets, "PLANTED"} if secret in text] == []
    if name == "none":
        assert all(
            len(tickets.notes(system, f"IT-{ticket_id}" if system == "jira" else ticket_id)) == 1 for system in SYSTEMS
        )
        assert any("%" in secret for secret in secrets), "a pop receipt, as it travels"


@pytest.mark.parametrize("status", [200, 302, 401, 404, 422, 503])
@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_error_of_a_system_holds_no_secret(
    telling_app: TellingApp, telling_cloud: LocalCloud, system: str, status: int
) -> None:
    telling_cloud.fault(service="ticketing", status=status, **ECHO)
    _, module = telling_app.runtime.__dict__["_tickets"].__dict__["_systems"][system]
    note = Note(Marker("0" * 16, "cancelled", 1_796_000_000.0), "It is done.", {"state": "cancelled"})
    own_id = "IT-1" if system == "jira" else "1"

    async def use() -> None:
        await module.notes(own_id, "0" * 16)
        await module.write(own_id, note, Notes([]))

    if system == "standard-webhooks" and status == 200:
        await use()  # it takes any 2xx
    else:
        with pytest.raises(TellFailed) as caught:
            await use()
        check_errors(caught.value, secrets_of(telling_cloud, telling_app))


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 503])
async def test_an_error_of_the_queue_holds_no_secret(
    telling_app: TellingApp, telling_cloud: LocalCloud, status: int
) -> None:
    telling_cloud.fault(service="queue", status=status, **ECHO)
    queue = telling_app.runtime.__dict__["_tickets"].__dict__["_queue"]

    for use in (
        queue.put(b"{}", 0),
        queue.take(300),
        queue.update(Receipt("id", "RECEIPT+/="), b"{}", 0),
        queue.delete(Receipt("id", "RECEIPT+/=")),
        queue.check(),
    ):
        with pytest.raises(QueueFailed) as caught:
            await use
        secrets = secrets_of(telling_cloud, telling_app)
        check_errors(caught.value, {*secrets, "RECEIPT+/=", quote("RECEIPT+/=", safe="")})


def check_errors(error: Any, secrets: set[str]) -> None:
    """Fail if *error*, or the traceback that a log would have, holds one of *secrets*."""
    text = f"{error!r} {vars(error)} " + "".join(traceback.format_exception(error))
    assert [secret for secret in {*secrets, "PLANTED"} if secret in text] == []
