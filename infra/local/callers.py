"""Who may call the function where `--callers` asks for a proof: one caller for each way to give one.

Keys, signing secrets and client secrets are made at each start; ids stay the same. Zendesk's signing
secret looks like a real one, base64 of 32 bytes, and is used as text.
"""

import base64
import hashlib
import secrets

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.local.accounts import LIMITED_CUSTOMER, guid
from infra.local.entra.registrations import Client, Resource
from infra.local.functions.app_service_auth import Trust
from infra.local.national_clouds import CLOUDS
from infra.local.values import Json

ZENDESK_SECRET, WEBHOOK_SECRET = "zendesk-signing", "webhook-signing"
KEY_SYSTEMS = ("jira", "servicenow", "freshservice", "freshdesk", "halo")
TRAINEE = {"accounts": ["default"], "customers": [LIMITED_CUSTOMER], "dryRunOnly": True}
ROLE = "Orders.Cancel"

TENANT_ID = guid("home")
# The function's own app registration; its tokens name audience and issuer as those of version 2 do.
FUNCTION_APP = Resource(
    identifier=f"api://{guid('function-app')}",
    audience=guid("function-app"),
    issuer=CLOUDS["global"].exchange_issuer,
    has_roles=True,
)


def trust(public_key: RSAPublicKey) -> Trust:
    """Return what App Service Authentication is told: to believe tokens for the function, signed for *public_key*."""
    return Trust(
        public_key=public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        issuer=FUNCTION_APP.issuer.format(tenant=TENANT_ID),
        audiences=[FUNCTION_APP.audience, FUNCTION_APP.identifier],
    )


class LocalCallers:
    """The callers, and what they prove themselves with. Two apps can ask for tokens; one has the role."""

    def __init__(self) -> None:
        self.vault_secrets = {
            ZENDESK_SECRET: base64.b64encode(secrets.token_bytes(32)).decode(),
            WEBHOOK_SECRET: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        }
        self._keys = {name: secrets.token_urlsafe(32) for name in (*KEY_SYSTEMS, "trainee")}
        self._client_secrets = {name: secrets.token_urlsafe(30) for name in ("flow", "flow-without-role")}

    def clients(self) -> dict[str, Client]:
        """Return the app registrations of the flows, by their client id."""
        return {
            guid(name, "client"): Client(TENANT_ID, [secret], roles=(ROLE,) if name == "flow" else ())
            for name, secret in self._client_secrets.items()
        }

    def settings(self) -> Json:
        """Return them as CALLERS has them."""
        signing = {"zendesk": ("zendesk", ZENDESK_SECRET), "standard-webhooks": ("standard-webhooks", WEBHOOK_SECRET)}
        return {
            **{name: {"proof": proof, "secrets": [secret]} for name, (proof, secret) in signing.items()},
            "flow": {"proof": "entra", "role": ROLE},
            **{
                name: {"proof": "key", "sha256": hashlib.sha256(key.encode()).hexdigest()}
                | (TRAINEE if name == "trainee" else {})
                for name, key in self._keys.items()
            },
        }

    def described(self, entra_url: str) -> Json:
        """Return what a client needs to prove itself as each of them."""
        signing = {"zendesk": ZENDESK_SECRET, "standard-webhooks": WEBHOOK_SECRET}
        return {
            **{
                name: {"proof": name, "secretName": secret, "secret": self.vault_secrets[secret]}
                for name, secret in signing.items()
            },
            "flow": {
                "proof": "entra",
                "role": ROLE,
                **self._app("flow", entra_url),
                "withoutRole": self._app("flow-without-role", entra_url),
            },
            **{
                name: {"proof": "key", "key": key} | (TRAINEE if name == "trainee" else {})
                for name, key in self._keys.items()
            },
        }

    def _app(self, name: str, entra_url: str) -> Json:
        return {
            "tenantId": TENANT_ID,
            "clientId": guid(name, "client"),
            "clientSecret": self._client_secrets[name],
            "scope": f"{FUNCTION_APP.identifier}/.default",
            "tokenUrl": f"{entra_url}/{TENANT_ID}/oauth2/v2.0/token",
        }
