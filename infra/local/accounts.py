"""The accounts of the local cloud.

Some show one behaviour each (`demonstration_accounts`); the others have each kind of credential in each national
cloud (`credential_accounts`). An account consists of an app registration at the Entra of its national cloud, its
secrets in Key Vault, and its entry in the product's settings. All ids stay the same over restarts; secrets do not.
"""

import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from infra.local.entra.registrations import AppRegistration, FederatedCredential, load_certificates
from infra.local.entra.signing import KeyPair, new_key_pair
from infra.local.national_clouds import NationalCloud
from infra.local.partner_center.resources import SOFTWARE_CUSTOMER
from infra.local.values import Json

LIMITED_CUSTOMER = SOFTWARE_CUSTOMER
PEM, PFX = "application/x-pem-file", "application/x-pkcs12"
REFRESH_TOKEN_LIFETIME_S = 90 * 86_400
CLOUD_LABELS: dict[NationalCloud, str] = {"global": "global cloud", "china": "21Vianet", "usgov": "US Government"}

type TenantKind = Literal["sandbox", "production"]
type Credential = Literal["clientSecret", "certificate", "refreshToken", "managedIdentity"]


@dataclass(frozen=True)
class LocalAccount:
    """An account and its credential.

    *settings_overrides* replace the usual settings or add to them. *certificate_type* is the content type of the
    certificate in the vault: PEM or PFX.
    """

    name: str
    note: str
    tenant_kind: TenantKind = "sandbox"
    mode: str = "live"
    settings_overrides: Mapping[str, Any] = field(default_factory=dict)
    national_cloud: NationalCloud = "global"
    credential: Credential = "clientSecret"
    certificate_type: str = PEM
    key_pair: KeyPair | None = field(default=None, repr=False)
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    refresh_token: str = field(default_factory=lambda: f"1.{secrets.token_urlsafe(96)}", repr=False)

    @property
    def tenant_id(self) -> str:
        return stable_guid(self.name, "tenant")

    @property
    def client_id(self) -> str:
        return stable_guid(self.name, "client")

    @property
    def secret_name(self) -> str:
        """The name of the client secret or the certificate in the vault."""
        return f"partner-center-{self.name}"

    @property
    def refresh_token_name(self) -> str:
        return f"{self.secret_name}-refresh-token"

    @property
    def certificate(self) -> str:
        """The certificate as the vault holds it."""
        if self.key_pair is None:
            raise ValueError(f"account {self.name} has no certificate")
        return self.key_pair.pem if self.certificate_type == PEM else self.key_pair.pfx

    def registration(self, federated_credential: FederatedCredential) -> AppRegistration:
        """Return the app as Entra knows it.

        *federated_credential* trusts the managed identity of the account's national cloud.
        """
        match self.credential:
            case "clientSecret":
                return AppRegistration(self.tenant_id, [self.client_secret])
            case "certificate":
                pems = [self.key_pair.pem] if self.key_pair else []
                return AppRegistration(self.tenant_id, certificates=load_certificates(pems))
            case "refreshToken":
                app = AppRegistration(self.tenant_id, [self.client_secret])
                app.accept_refresh_token(self.refresh_token)
                return app
            case "managedIdentity":
                return AppRegistration(self.tenant_id, federated_credential=federated_credential)

    def vault_secrets(self) -> dict[str, Json]:
        """Return the account's secrets in the vault, by name: value, contentType, tags, attributes."""
        match self.credential:
            case "clientSecret":
                return {self.secret_name: {"value": self.client_secret}}
            case "certificate":
                return {self.secret_name: {"value": self.certificate, "contentType": self.certificate_type}}
            case "refreshToken":
                refresh_token = {
                    "value": self.refresh_token,
                    "contentType": "text/plain",
                    "tags": {"account": self.name},
                    "attributes": {"exp": int(time.time()) + REFRESH_TOKEN_LIFETIME_S},
                }
                return {self.secret_name: {"value": self.client_secret}, self.refresh_token_name: refresh_token}
            case "managedIdentity":
                return {}

    def settings(self, *, api_root: str, authority: str) -> Json:
        """Return the account's entry in PARTNER_CENTER_ACCOUNTS."""
        credential: Json
        match self.credential:
            case "refreshToken":
                credential = {"refreshToken": self.refresh_token_name, "clientSecret": self.secret_name}
            case "managedIdentity":
                credential = {"managedIdentity": True}
            case _:
                credential = {self.credential: self.secret_name}
        return {
            "cloud": self.national_cloud,
            "tenantId": self.tenant_id,
            "clientId": self.client_id,
            **credential,
            "mode": self.mode,
            "subscriptions": True,
            **({"sandbox": True} if self.tenant_kind == "sandbox" else {}),
            "apiRoot": api_root,
            "authority": authority,
            **self.settings_overrides,
        }

    def describe(self) -> Json:
        """Return the account as `--describe` has it, with its local secrets."""
        proof: Json
        match self.credential:
            case "clientSecret":
                proof = {"clientSecret": self.client_secret, "secretName": self.secret_name}
            case "certificate":
                proof = {
                    "certificate": self.certificate,
                    "certificateName": self.secret_name,
                    "contentType": self.certificate_type,
                }
            case "refreshToken":
                proof = {
                    "clientSecret": self.client_secret,
                    "secretName": self.secret_name,
                    "refreshToken": self.refresh_token,
                    "refreshTokenName": self.refresh_token_name,
                }
            case "managedIdentity":
                proof = {}
        return {
            "cloud": self.national_cloud,
            "tenantId": self.tenant_id,
            "clientId": self.client_id,
            "credential": self.credential,
            **proof,
            "tenantKind": self.tenant_kind,
            "mode": self.mode,
            "note": self.note,
        }


def stable_guid(*parts: str) -> str:
    """Return a GUID made from *parts*: the same parts give the same GUID, also after a restart."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(("local", *parts))))


def by_name(*groups: list[LocalAccount]) -> dict[str, LocalAccount]:
    return {account.name: account for group in groups for account in group}


def demonstration_accounts(unreachable_url: str, impostor_url: str) -> list[LocalAccount]:
    """Return the accounts with a client secret in the global cloud: `default` works, each other shows one behaviour.

    Nothing listens at *unreachable_url*. The server at *impostor_url* has a certificate that nobody trusts.
    """
    unknown_name = "https://no-such-host.invalid"
    return [
        LocalAccount("default", "a sandbox"),
        LocalAccount("production", "production: fewer orders can be cancelled", tenant_kind="production"),
        LocalAccount(
            "orders-only",
            "a sandbox that cancels orders and no subscriptions, as without the setting",
            settings_overrides={"subscriptions": False},
        ),
        LocalAccount("rehearsal", "every request is a dry run", mode="dry_run"),
        LocalAccount("closed", "switched off: 403 account_off", mode="off"),
        LocalAccount("limited", "one customer only", settings_overrides={"customers": [LIMITED_CUSTOMER]}),
        LocalAccount("expired", "Entra refuses its secret: 502 credentials_rejected"),
        LocalAccount("no-secret", "its secret is not in Key Vault: 500 misconfigured"),
        LocalAccount(
            "unreachable",
            "nothing listens at Partner Center's address: 503 partner_center_unavailable",
            settings_overrides={"apiRoot": unreachable_url},
        ),
        LocalAccount(
            "no-name", "Partner Center's host name does not exist", settings_overrides={"apiRoot": unknown_name}
        ),
        LocalAccount(
            "impostor", "Partner Center's certificate is not trusted", settings_overrides={"apiRoot": impostor_url}
        ),
        LocalAccount(
            "entra-unreachable",
            "nothing listens at Entra ID's address: 503 credentials_unavailable",
            settings_overrides={"authority": unreachable_url},
        ),
        LocalAccount(
            "entra-no-name", "Entra ID's host name does not exist", settings_overrides={"authority": unknown_name}
        ),
        LocalAccount(
            "entra-impostor", "Entra ID's certificate is not trusted", settings_overrides={"authority": impostor_url}
        ),
    ]


def credential_accounts() -> list[LocalAccount]:
    """Return a live sandbox for each kind of credential in each national cloud.

    The client secret in the global cloud is missing: that account is `default`.
    """
    accounts = [
        LocalAccount(f"secret-{national_cloud}", f"a client secret, {label}", national_cloud=national_cloud)
        for national_cloud, label in CLOUD_LABELS.items()
        if national_cloud != "global"
    ]
    for national_cloud, label in CLOUD_LABELS.items():
        certificate_type = PFX if national_cloud == "china" else PEM
        form = "PFX" if certificate_type == PFX else "PEM"
        accounts += [
            LocalAccount(
                f"certificate-{national_cloud}",
                f"a certificate ({form}), {label}",
                national_cloud=national_cloud,
                credential="certificate",
                certificate_type=certificate_type,
                key_pair=new_key_pair(),
            ),
            LocalAccount(
                f"user-{national_cloud}",
                f"a user's refresh token, {label}",
                national_cloud=national_cloud,
                credential="refreshToken",
            ),
            LocalAccount(
                f"federated-{national_cloud}",
                f"the managed identity, {label}",
                national_cloud=national_cloud,
                credential="managedIdentity",
            ),
        ]
    return accounts
