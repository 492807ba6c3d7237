"""The callers of the function with `--callers`: one for each way in which a caller can prove itself.

Keys, signing secrets and client secrets are made at each start; ids stay the same. Zendesk's signing secret
looks like a real one: the base64 of 32 bytes. The signature uses this text as its key; it is not decoded.
"""

import base64
import hashlib
import secrets

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.local.accounts import LIMITED_CUSTOMER, stable_guid
from infra.local.entra.registrations import AppRegistration, Resource
from infra.local.functions.app_service_auth import TrustedIssuer
from infra.local.national_clouds import CLOUD_FACTS
from infra.local.tickets.systems import TicketingSystems
from infra.local.values import Json

# The callers that sign, with the names of their signing secrets in the vault.
SIGNING_SECRET_NAMES = {"zendesk": "zendesk-signing", "standard-webhooks": "webhook-signing"}
KEY_SYSTEMS = ("jira", "servicenow", "freshservice", "freshdesk", "halo")
TRAINEE = {"accounts": ["default"], "customers": [LIMITED_CUSTOMER], "dryRunOnly": True}
ROLE = "Orders.Cancel"

TENANT_ID = stable_guid("home")
# The function's own app registration. Its tokens have the audience and the issuer of version 2.
FUNCTION_APP = Resource(
    identifier=f"api://{stable_guid('function-app')}",
    audience=stable_guid("function-app"),
    issuer=CLOUD_FACTS["global"].v2_issuer,
    has_roles=True,
)


def trusted_issuer(public_key: RSAPublicKey) -> TrustedIssuer:
    """Return the setup of App Service Authentication: accept tokens for the function that *public_key* verifies."""
    return TrustedIssuer(
        public_key=public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        issuer=FUNCTION_APP.issuer.format(tenant=TENANT_ID),
        audiences=[FUNCTION_APP.audience, FUNCTION_APP.identifier],
    )


class LocalCallers:
    """The callers and their secrets. Two apps can get tokens from Entra: `flow` has the role, `flow-without-role` not.

    With *ticketing* the callers that it has a `tell` for can have their tickets told.

    Attributes:
        vault_secrets: the signing secrets, by their names in the vault.
    """

    def __init__(self, ticketing: TicketingSystems | None = None) -> None:
        self._ticketing = ticketing
        self.vault_secrets = {
            SIGNING_SECRET_NAMES["zendesk"]: base64.b64encode(secrets.token_bytes(32)).decode(),
            SIGNING_SECRET_NAMES["standard-webhooks"]: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        }
        self._keys = {name: secrets.token_urlsafe(32) for name in (*KEY_SYSTEMS, "trainee")}
        self._client_secrets = {name: secrets.token_urlsafe(30) for name in ("flow", "flow-without-role")}

    def registrations(self) -> dict[str, AppRegistration]:
        """Return the app registrations of the two flows, by their client ids."""
        return {
            stable_guid(name, "client"): AppRegistration(TENANT_ID, [secret], roles=(ROLE,) if name == "flow" else ())
            for name, secret in self._client_secrets.items()
        }

    def settings(self) -> Json:
        """Return the function's setting CALLERS."""
        callers: dict[str, Json] = {
            **{name: {"proof": name, "secrets": [secret_name]} for name, secret_name in SIGNING_SECRET_NAMES.items()},
            "flow": {"proof": "entra", "role": ROLE},
            **{
                name: {"proof": "key", "sha256": hashlib.sha256(key.encode()).hexdigest()}
                | (TRAINEE if name == "trainee" else {})
                for name, key in self._keys.items()
            },
        }
        if self._ticketing:
            for name, tell in self._ticketing.tells.items():
                callers[name]["tell"] = tell
        return callers

    def describe(self, entra_url: str) -> Json:
        """Return `callers` of `--describe`: the secrets with which a client proves itself as each caller."""
        callers: dict[str, Json] = {
            **{
                name: {"proof": name, "secretName": secret_name, "secret": self.vault_secrets[secret_name]}
                for name, secret_name in SIGNING_SECRET_NAMES.items()
            },
            "flow": {
                "proof": "entra",
                "role": ROLE,
                **self._describe_app("flow", entra_url),
                "withoutRole": self._describe_app("flow-without-role", entra_url),
            },
            **{
                name: {"proof": "key", "key": key} | (TRAINEE if name == "trainee" else {})
                for name, key in self._keys.items()
            },
        }
        if self._ticketing:
            for name in self._ticketing.tells:
                callers[name]["tell"] = self._ticketing.describe_tell(name)
        return callers

    def _describe_app(self, name: str, entra_url: str) -> Json:
        return {
            "tenantId": TENANT_ID,
            "clientId": stable_guid(name, "client"),
            "clientSecret": self._client_secrets[name],
            "scope": f"{FUNCTION_APP.identifier}/.default",
            "tokenUrl": f"{entra_url}/{TENANT_ID}/oauth2/v2.0/token",
        }
