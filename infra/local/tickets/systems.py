"""The five ticketing systems, each at an address of its own, with credentials that are made at each start."""

import base64
import secrets
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlencode

from starlette.applications import Starlette

from infra.local.accounts import stable_guid
from infra.local.tickets.desk import Desk, Ticket
from infra.local.tickets.freshworks import Freshworks
from infra.local.tickets.jira import Jira
from infra.local.tickets.webhook_receiver import PATH, WebhookReceiver
from infra.local.tickets.zendesk import Zendesk
from infra.local.values import Json

# The names of the systems: of their sockets, of the callers whose tickets are told, and in the control interface.
SYSTEMS = ("zendesk", "freshdesk", "freshservice", "jira", "standard-webhooks")
OTHER_NAMES = {"webhook": "standard-webhooks"}  # as the setting `tell` calls it
ZENDESK_CLIENT_ID = "cancel_order"
JIRA_USER = "cancel-order@contoso.example"


class System(Protocol):
    """A stand-in for one system."""

    app: Starlette
    desk: Desk


class TicketingSystems:
    """The stand-ins at *urls*.

    Attributes:
        tells: the setting `tell` of each caller whose tickets are told; callers have the names of their systems.
        vault_secrets: the credentials, by their names in the vault.
        systems: the stand-ins, by their names.
        webhook_url: the whole address of the webhook's receiver, which is a secret.
    """

    def __init__(self, urls: Mapping[str, str]) -> None:
        path_secret, signing_secret = secrets.token_urlsafe(32), secrets.token_bytes(32)
        query = {"api-version": "2016-06-01", "sp": "/triggers/manual/run", "sv": "1.0", "sig": path_secret}
        path = PATH.format(workflow=stable_guid("workflow").replace("-", ""))
        self.webhook_url = f"{urls['standard-webhooks']}{path}?{urlencode(query)}"
        self.vault_secrets = {
            "zendesk-oauth": secrets.token_hex(32),
            "freshdesk-key": secrets.token_urlsafe(15),
            "freshservice-key": secrets.token_urlsafe(15),
            "jira-token": secrets.token_urlsafe(48),
            "webhook-tell-url": self.webhook_url,
            "webhook-tell-signing": f"whsec_{base64.b64encode(signing_secret).decode()}",
        }
        self.zendesk = Zendesk(
            urls["zendesk"], client_id=ZENDESK_CLIENT_ID, client_secret=self.vault_secrets["zendesk-oauth"]
        )
        self.systems: dict[str, System] = {
            "zendesk": self.zendesk,
            "freshdesk": Freshworks("freshdesk", api_key=self.vault_secrets["freshdesk-key"]),
            "freshservice": Freshworks("freshservice", api_key=self.vault_secrets["freshservice-key"]),
            "jira": Jira(urls["jira"], user=JIRA_USER, token=self.vault_secrets["jira-token"]),
            "standard-webhooks": WebhookReceiver(
                path_secret=path_secret, signing_secret=self.vault_secrets["webhook-tell-signing"]
            ),
        }

        self.tells: dict[str, Json] = {
            "zendesk": {
                "system": "zendesk",
                "url": urls["zendesk"],
                "clientId": ZENDESK_CLIENT_ID,
                "secret": "zendesk-oauth",
            },
            "freshdesk": {"system": "freshdesk", "url": urls["freshdesk"], "secret": "freshdesk-key"},
            "freshservice": {"system": "freshservice", "url": urls["freshservice"], "secret": "freshservice-key"},
            "jira": {"system": "jira", "url": urls["jira"], "user": JIRA_USER, "secret": "jira-token"},
            "standard-webhooks": {
                "system": "webhook",
                "urlSecret": "webhook-tell-url",
                "secret": "webhook-tell-signing",
            },
        }

    def describe_tell(self, system: str) -> Json:
        """Return the setting `tell` of a caller with the values of its secrets."""
        tell = self.tells[system]
        values = {f"{name}Value": self.vault_secrets[tell[name]] for name in ("secret", "urlSecret") if name in tell}
        return tell | values

    def ticket(self, system: str, ticket_id: str) -> Ticket | None:
        """Return the ticket, a missing one too, or None if there is no such system or the id has another form."""
        found = self.systems.get(OTHER_NAMES.get(system, system))
        return found.desk.ticket(ticket_id) if found else None
