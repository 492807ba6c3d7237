"""Key Vault while a ticket is told: it fails, it lacks a secret, it has a newer one. As in test_tell_faults.py."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from shared.connections.pool import Connections
from shared.contract import CancelResult
from shared.credentials.cached_secrets import READ_AGAIN_S, CachedSecrets, vault_secrets
from shared.errors import Unavailable
from shared.settings import Settings
from shared.tickets.follow_up import FollowUp
from shared.tickets.tickets import Tickets as TicketsOfWorker
from tests.support.clock import Clock
from tests.support.fault_matrix.telling import (
    VAULT,
)
from tests.support.forged_follow_ups import message, ticket_events
from tests.support.local_cloud import LocalCloud
from tests.support.telling import TellingApp, Tickets, tell
from tests.support.ticket_agents import SYSTEMS, ticket_of
from tests.support.told_tickets import (
    FAR_S,
    LIMIT_S,
    OTHERS_READABLE,
    WEBHOOK,
    ToldTicket,
    refused_in_each,
    requests_of,
    tell_later,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _audit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cancel_order.audit")


def secret_names(cloud: LocalCloud, system: str) -> list[str]:
    tell_setting = cloud.description["callers"][system]["tell"]
    return [tell_setting[name] for name in ("secret", "urlSecret") if name in tell_setting]


@pytest.fixture
def vault(telling_cloud: LocalCloud) -> Iterator[LocalCloud]:
    """The local cloud, whose Key Vault has the right credentials of the ticketing systems again afterwards."""
    yield telling_cloud
    put_right(telling_cloud)


def put_right(cloud: LocalCloud) -> None:
    for system in SYSTEMS:
        tell_setting = cloud.description["callers"][system]["tell"]
        for name in ("secret", "urlSecret"):
            if name in tell_setting:
                cloud.store_secret(tell_setting[name], tell_setting[f"{name}Value"])


def break_vault(cloud: LocalCloud, fault: str) -> tuple[str, ...]:
    """Cause *fault*, and return the systems that it hits."""
    webhook = cloud.description["callers"][WEBHOOK]["tell"]
    match fault:
        case "Key Vault fails":
            cloud.fault(service="key_vault", status=503, times=1000)
        case "the secret is missing or may not be read":
            for name in (name for system in SYSTEMS for name in secret_names(cloud, system)):
                cloud.store_secret(name, "gone", attributes={"enabled": False})
        case "the webhook's address is none":
            cloud.store_secret(webhook["urlSecret"], "http://127.0.0.1/elsewhere")
            return (WEBHOOK,)
        case "the webhook's signing secret is none":
            cloud.store_secret(webhook["secret"], "whsec_?")
            return (WEBHOOK,)
        case _:
            raise AssertionError(fault)
    return SYSTEMS


OLD = f"whsec_{base64.b64encode(b'an old secret of 28 characters').decode()}"
REPLACED = "the secret was replaced: the system refuses the old one"


@pytest.mark.parametrize("fault", [fault for fault in VAULT if fault != REPLACED])
async def test_a_fault_in_key_vault_loses_no_note(
    telling_app: TellingApp,
    telling_settings: Settings,
    vault: LocalCloud,
    tickets: Tickets,
    ticket_id: str,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = refused_in_each(tickets, break_vault(vault, fault), ticket_id)

    await tell(telling_app)

    for ticket in told:
        ticket.check(VAULT[fault], ticket_events(caplog))
    assert vault.requests("ticketing", "PUT") == []
    vault.clear_faults()
    put_right(vault)
    await tell_later(tickets, telling_settings)
    assert [len(ticket.notes) for ticket in told] == [1] * len(told)


@pytest.fixture
async def secrets(telling_settings: Settings, clock: Clock) -> AsyncIterator[CachedSecrets]:
    """A worker's secrets, by a clock that the test moves."""
    secrets = vault_secrets(telling_settings, clock)
    yield secrets
    secrets.close()


async def tell_with(settings: Settings, secrets: CachedSecrets) -> None:
    """Do what the timer does with *secrets*, without a look."""

    async def look(_: FollowUp) -> CancelResult:
        raise Unavailable("partner_center_unavailable", "")

    connections = Connections()
    tickets = TicketsOfWorker(settings, connections, secrets)
    await tickets.tell(look)
    tickets.close()
    await connections.aclose()


@pytest.mark.parametrize(
    ("system", "replaced"),
    [
        *(pytest.param(system, None, id=system) for system in SYSTEMS),
        # Its address stays. The receiver refuses the old signature with 400.
        pytest.param(WEBHOOK, ["webhook-tell-signing"], id="its signing secret alone"),
    ],
)
async def test_a_replaced_secret_is_read_again_and_the_ticket_told(
    telling_settings: Settings,
    vault: LocalCloud,
    tickets: Tickets,
    secrets: CachedSecrets,
    clock: Clock,
    ticket_id: str,
    system: str,
    replaced: list[str] | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The worker has the old one, which the system refuses; Key Vault has the new one."""
    await keep_old_secrets(vault, secrets, clock, replaced or secret_names(vault, system))
    [ticket] = refused_in_each(tickets, (system,), ticket_id)

    await tell_with(telling_settings, secrets)

    ticket.check(VAULT[REPLACED], ticket_events(caplog))


@pytest.mark.parametrize("system", OTHERS_READABLE)
async def test_two_tickets_are_told_after_one_replaced_secret(
    telling_settings: Settings,
    vault: LocalCloud,
    tickets: Tickets,
    secrets: CachedSecrets,
    clock: Clock,
    ticket_id: str,
    system: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The refusal of the old secret reaches the second ticket after the first one has fetched the new secret."""
    await keep_old_secrets(vault, secrets, clock, secret_names(vault, system))
    told = [ToldTicket(tickets, message(system, ticket_of(system, ticket_id + digit))) for digit in "12"]
    vault.fault(**requests_of(system, told[1].ticket_id, is_reading=True), delay_s=FAR_S)

    async with anyio.create_task_group() as group:
        group.start_soon(tell_with, telling_settings, secrets)
        await asyncio.to_thread(wait_until, lambda: len(told[0].notes), "the first ticket has no note")
        await asyncio.to_thread(vault.clear_faults)

    for ticket in told:
        ticket.check(VAULT[REPLACED], ticket_events(caplog))


async def test_two_zendesk_tickets_are_told_after_one_replaced_secret(
    telling_settings: Settings,
    vault: LocalCloud,
    tickets: Tickets,
    secrets: CachedSecrets,
    clock: Clock,
    ticket_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await keep_old_secrets(vault, secrets, clock, secret_names(vault, "zendesk"))
    told = [ToldTicket(tickets, message("zendesk", ticket_id + digit)) for digit in "12"]
    vault.fault(service="ticketing", path="/oauth/tokens", delay_s=FAR_S)

    async with anyio.create_task_group() as group:
        group.start_soon(tell_with, telling_settings, secrets)
        await asyncio.to_thread(wait_until, lambda: any(ticket.notes for ticket in told), "neither ticket has a note")
        await asyncio.to_thread(vault.clear_faults)

    for ticket in told:
        ticket.check(VAULT[REPLACED], ticket_events(caplog))


async def keep_old_secrets(cloud: LocalCloud, secrets: CachedSecrets, clock: Clock, names: list[str]) -> None:
    """Let *secrets* keep values of *names* that the system refuses. Key Vault has the right ones afterwards."""
    old_webhook = cloud.description["callers"][WEBHOOK]["tell"]["urlSecretValue"] + "old"
    for name in names:
        cloud.store_secret(name, old_webhook if name == "webhook-tell-url" else OLD)
    await secrets.values(names, LIMIT_S)
    put_right(cloud)
    clock.now += READ_AGAIN_S
