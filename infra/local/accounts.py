"""The accounts of the local cloud: one for each thing worth seeing, one for each kind of credential on each cloud.

An account is an app registration at its cloud's Entra, the secrets of it in Key Vault, and what the
product's settings say of it. All ids stay the same over restarts; secrets do not.
"""

import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from infra.local.entra.registrations import Client, Federation, public_certificates
from infra.local.entra.signing import KeyPair, new_key_pair
from infra.local.national_clouds import CloudName
from infra.local.values import Json

LIMITED_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766"
PEM, PFX = "application/x-pem-file", "application/x-pkcs12"
REFRESH_TOKEN_LIFE_S = 90 * 86_400

type TenantKind = Literal["sandbox", "production"]
type Credential = Literal["clientSecret", "certificate", "refreshToken", "managedIdentity"]


@dataclass(frozen=True)
class LocalAccount:
    """An account and what proves it. *extra* are settings of it beyond the usual ones.

    *certificate_type* says in which of its two forms the vault holds the certificate.
    """

    name: str
    note: str
    tenant_kind: TenantKind = "sandbox"
    mode: str = "live"
    extra: Mapping[str, Any] = field(default_factory=dict)
    cloud: CloudName = "global"
    credential: Credential = "clientSecret"
    certificate_type: str = PEM
    key_pair: KeyPair | None = field(default=None, repr=False)
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    refresh_token: str = field(default_factory=lambda: f"1.{secrets.token_urlsafe(96)}", repr=False)

    @property
    def tenant_id(self) -> str:
        return guid(self.name, "tenant")

    @property
    def client_id(self) -> str:
        return guid(self.name, "client")

    @property
    def secret_name(self) -> str:
        """The vault's name for the client secret or the certificate."""
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

    def registration(self, federation: Federation) -> Client:
        """Return the app as Entra knows it; *federation* is of the cloud's managed identity."""
        match self.credential:
            case "clientSecret":
                return Client(self.tenant_id, [self.client_secret])
            case "certificate":
                pems = [self.key_pair.pem] if self.key_pair else []
                return Client(self.tenant_id, certificates=public_certificates(pems))
            case "refreshToken":
                client = Client(self.tenant_id, [self.client_secret])
                client.accept(self.refresh_token)
                return client
            case "managedIdentity":
                return Client(self.tenant_id, federation=federation)

    def stored(self) -> dict[str, Json]:
        """Return what the vault holds for it: name → value, and contentType, tags, attributes."""
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
                    "attributes": {"exp": int(time.time()) + REFRESH_TOKEN_LIFE_S},
                }
                return {self.secret_name: {"value": self.client_secret}, self.refresh_token_name: refresh_token}
            case "managedIdentity":
                return {}

    def settings(self, *, api_root: str, authority: str) -> Json:
        """Return the account as PARTNER_CENTER_ACCOUNTS has it."""
        credential: Json
        match self.credential:
            case "refreshToken":
                credential = {"refreshToken": self.refresh_token_name, "clientSecret": self.secret_name}
            case "managedIdentity":
                credential = {"managedIdentity": True}
            case _:
                credential = {self.credential: self.secret_name}
        return {
            "cloud": self.cloud,
            "tenantId": self.tenant_id,
            "clientId": self.client_id,
            **credential,
            "mode": self.mode,
            "apiRoot": api_root,
            "authority": authority,
            **self.extra,
        }

    def described(self) -> Json:
        """Return all that there is to know of it, its local secrets too."""
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
            "cloud": self.cloud,
            "tenantId": self.tenant_id,
            "clientId": self.client_id,
            "credential": self.credential,
            **proof,
            "tenantKind": self.tenant_kind,
            "mode": self.mode,
            "note": self.note,
        }


def guid(*parts: str) -> str:
    """Return the same GUID for the same *parts*, over restarts too."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(("local", *parts))))


def by_name(*groups: list[LocalAccount]) -> dict[str, LocalAccount]:
    return {account.name: account for group in groups for account in group}


def usual(unreachable: str, impostor: str) -> list[LocalAccount]:
    """Return the accounts of the global cloud with a client secret: one sound, each other with something to it."""
    no_name = "https://no-such-host.invalid"
    return [
        LocalAccount("default", "a sandbox"),
        LocalAccount("production", "production: fewer orders can be cancelled", tenant_kind="production"),
        LocalAccount("rehearsal", "every request is treated as a dry run", mode="dry_run"),
        LocalAccount("closed", "switched off: 403 account_off", mode="off"),
        LocalAccount("limited", "one customer only", extra={"customers": [LIMITED_CUSTOMER]}),
        LocalAccount("expired", "Entra refuses its secret: 502 credentials_rejected"),
        LocalAccount("no-secret", "its secret is not in Key Vault: 500 misconfigured"),
        LocalAccount("unreachable", "nothing listens: 503 partner_center_unavailable", extra={"apiRoot": unreachable}),
        LocalAccount("no-name", "Partner Center's name is not found", extra={"apiRoot": no_name}),
        LocalAccount("impostor", "Partner Center's certificate is false", extra={"apiRoot": impostor}),
        LocalAccount(
            "entra-unreachable",
            "Entra ID is not there: 503 credentials_unavailable",
            extra={"authority": unreachable},
        ),
        LocalAccount("entra-no-name", "Entra ID's name is not found", extra={"authority": no_name}),
        LocalAccount("entra-impostor", "Entra ID's certificate is false", extra={"authority": impostor}),
    ]


def of_every_kind() -> list[LocalAccount]:
    """Return a live sandbox for each kind of credential on each cloud; `default` is the one not among them."""
    found = [
        LocalAccount(f"secret-{cloud}", f"a client secret, {place}", cloud=cloud)
        for cloud, place in PLACES.items()
        if cloud != "global"
    ]
    for cloud, place in PLACES.items():
        kind = PFX if cloud == "china" else PEM
        form = "PFX" if kind == PFX else "PEM"
        found += [
            LocalAccount(
                f"certificate-{cloud}",
                f"a certificate ({form}), {place}",
                cloud=cloud,
                credential="certificate",
                certificate_type=kind,
                key_pair=new_key_pair(),
            ),
            LocalAccount(f"user-{cloud}", f"a user's refresh token, {place}", cloud=cloud, credential="refreshToken"),
            LocalAccount(
                f"federated-{cloud}", f"the managed identity, {place}", cloud=cloud, credential="managedIdentity"
            ),
        ]
    return found


PLACES: dict[CloudName, str] = {"global": "global cloud", "china": "21Vianet", "usgov": "US Government"}
