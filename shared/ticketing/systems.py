"""Chooses the ticketing system of a caller."""

from collections.abc import Callable

from shared.caller_settings import System, Tell
from shared.connections.pool import Connections
from shared.credentials.cached_secrets import CachedSecrets
from shared.ticketing.freshworks import Freshworks
from shared.ticketing.jira import Jira
from shared.ticketing.system import Api, TicketingSystem
from shared.ticketing.webhook import Webhook
from shared.ticketing.zendesk import Zendesk

_SYSTEMS: dict[System, Callable[[Api], TicketingSystem]] = {
    "zendesk": Zendesk,
    "freshdesk": Freshworks,
    "freshservice": Freshworks,
    "jira": Jira,
    "webhook": Webhook,
}


def open_system(tell: Tell, connections: Connections, secrets: CachedSecrets) -> TicketingSystem:
    return _SYSTEMS[tell.system](Api(tell, connections, secrets))
