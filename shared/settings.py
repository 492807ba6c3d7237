"""What an operator sets: accounts at Partner Center, who may call, limits; and the table of clouds.

Read once from a mapping that is passed in, into a frozen model; every fault is named at once,
none with its value. No secret is a setting: accounts name the Key Vault secrets that hold them.

Source: Partner Center's "partner-center-rest-urls" and "deprecate-azure-active-directory-graph-token"
pages, azure-identity's documentation for the closing of Microsoft Cloud Germany (read 2026-11-21).
The authority for US Government is not stated in Partner Center's documentation: override it if it is wrong.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from shared.contract import Guid, unique_members
from shared.errors import OurFault


@dataclass(frozen=True)
class Endpoints:
    """Where an account lives. *api_root* has no version, audiences no `/.default`.

    *exchange_audience* is what a managed identity's token is for when it stands in for a secret.
    """

    api_root: str
    authority: str
    audience: str
    exchange_audience: str


CLOUDS = {
    "global": Endpoints(
        "https://api.partnercenter.microsoft.com",
        "https://login.microsoftonline.com",
        "https://api.partnercenter.microsoft.com",
        "api://AzureADTokenExchange",
    ),
    "china": Endpoints(  # operated by 21Vianet
        "https://partner.partnercenterapi.microsoftonline.cn",
        "https://login.partner.microsoftonline.cn",
        "https://partner.partnercenterapi.microsoftonline.cn",
        "api://AzureADTokenExchangeChina",
    ),
    "usgov": Endpoints(
        "https://api.partnercenter.microsoft.com",
        "https://login.microsoftonline.us",
        "https://api.partnercenter.microsoft.com",
        "api://AzureADTokenExchangeUSGov",
    ),
}


class Mode(StrEnum):
    """How far an account may go."""

    LIVE = "live"
    DRY_RUN = "dry_run"
    OFF = "off"


_HTTPS_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]*)*")


def _https_url(url: str) -> str:
    # The pattern first: urlsplit drops line breaks and takes what no URL may hold. Paths are sent as they are.
    if not _HTTPS_URL.fullmatch(url) or urlsplit(url).port == 0:
        raise ValueError("must be an https URL without user, dot segments, query or fragment")
    return url.rstrip("/")


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, object_pairs_hook=unique_members)
    except json.JSONDecodeError as error:
        # Its own text, without the document that it carries along.
        raise ValueError(f"is not JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


type HttpsUrl = Annotated[str, AfterValidator(_https_url)]
type Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
type SecretName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$")]


def _words(fault: ErrorDetails) -> str:
    if fault["type"] == "union_tag_invalid":  # where pydantic's words repeat the value
        return "proof must be zendesk, standard-webhooks, entra or key"
    return fault["msg"].removeprefix("Value error, ")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True)


class Account(_Frozen):
    """One Partner Center account, with one kind of credential; each names the Key Vault secret that holds it.

    `clientSecret` or `certificate` or `managedIdentity` (the function's identity as the app's federated
    credential) are app-only; `refreshToken` with `clientSecret` is App+User. *customers* None means
    all that it has a relationship with.
    """

    cloud: Literal["global", "china", "usgov"] = Field(
        description="`global`, `china` (operated by 21Vianet) or `usgov` (US Government)."
    )
    tenant_id: Guid = Field(description="The partner's tenant, a GUID. A sandbox is a tenant of its own.")
    client_id: Guid = Field(description="The app in that tenant that is registered in Partner Center, a GUID.")
    client_secret: SecretName | None = Field(
        None, description="Name of the Key Vault secret that holds the app's client secret."
    )
    certificate: SecretName | None = Field(
        None, description="Name of the Key Vault secret that holds the app's certificate and key, as PFX or PEM."
    )
    refresh_token: SecretName | None = Field(
        None, description="Name of the Key Vault secret that holds a user's refresh token (App+User)."
    )
    managed_identity: bool = Field(
        default=False, description="`true`: the function's own identity takes the place of a secret."
    )
    mode: Mode = Field(
        description="`live` cancels, `dry_run` only shows, `off` refuses. No default: a cancellation is final."
    )
    customers: frozenset[Guid] | None = Field(
        None, min_length=1, description="The only customers whose orders may be cancelled. Left out: all of them."
    )
    api_root: HttpsUrl | None = Field(None, description="Address of Partner Center, in place of the cloud's own.")
    authority: HttpsUrl | None = Field(None, description="Address of Entra ID, in place of the cloud's own.")
    audience: HttpsUrl | None = Field(None, description="What the token is for, in place of the cloud's own.")

    @field_validator("cloud", mode="before")
    @classmethod
    def _refuse_germany(cls, cloud: object) -> object:
        if cloud == "germany":
            raise ValueError("Microsoft Cloud Germany was closed on 2021-10-29; its customers moved to global")
        return cloud

    @model_validator(mode="after")
    def _has_one_kind_of_credential(self) -> Self:
        given = set(self.secrets) | ({"managedIdentity"} if self.managed_identity else set())
        kinds = ({"clientSecret"}, {"certificate"}, {"clientSecret", "refreshToken"}, {"managedIdentity"})
        if given not in kinds:
            raise ValueError(
                "needs one kind of credential: clientSecret, certificate, refreshToken with clientSecret,"
                " or managedIdentity: true"
            )
        return self

    @property
    def secrets(self) -> dict[str, str]:
        """The names of this account's secrets in Key Vault, by the member that gives them."""
        named = {
            "clientSecret": self.client_secret,
            "certificate": self.certificate,
            "refreshToken": self.refresh_token,
        }
        return {member: name for member, name in named.items() if name is not None}

    @property
    def endpoints(self) -> Endpoints:
        """The cloud's endpoints with this account's own in their place."""
        own = {"api_root": self.api_root, "authority": self.authority, "audience": self.audience}
        return replace(CLOUDS[self.cloud], **{name: url for name, url in own.items() if url})


class Caller(_Frozen):
    """What a caller may touch, whichever way it proves itself. *accounts* and *customers* None mean all."""

    accounts: frozenset[Name] | None = Field(
        None, min_length=1, description="The only accounts that this caller may use. Left out: all of them."
    )
    customers: frozenset[Guid] | None = Field(
        None, min_length=1, description="The only customers that this caller may name. Left out: all of them."
    )
    dry_run_only: bool = Field(
        default=False, description="`true`: this caller may only ask for dry runs. A real request gets 403."
    )


class KeyCaller(Caller):
    """Sends a key of its own, of which only the *sha256* is known here."""

    proof: Literal["key"] = Field(description="How the caller proves who it is.")
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)] = Field(
        description="SHA-256 of the caller's own key, in hex."
    )


class SigningCaller(Caller):
    """Signs each request. *secrets* are named in Key Vault; during a rotation any of them may have signed."""

    proof: Literal["zendesk", "standard-webhooks"] = Field(description="How the caller proves who it is.")
    secrets: tuple[SecretName, ...] = Field(
        min_length=1, max_length=8, description="Names of Key Vault secrets, 1 to 8. Any may have signed."
    )


class EntraCaller(Caller):
    """An app or a user with the app role *role*, signed in by App Service Authentication."""

    proof: Literal["entra"] = Field(description="How the caller proves who it is.")
    role: Annotated[str, StringConstraints(pattern=r"^[^\s]{1,120}$")] = Field(
        description="Value of the app role that the app or the user needs."
    )


type AnyCaller = Annotated[KeyCaller | SigningCaller | EntraCaller, Field(discriminator="proof")]


class Settings(BaseModel):
    """All settings, by the names of their environment variables. *callers* None means the function key is enough."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    key_vault_url: HttpsUrl = Field(
        alias="KEY_VAULT_URL", description="Address of the Key Vault: `https://NAME.vault.azure.net`."
    )
    accounts: Annotated[dict[Name, Account], BeforeValidator(_from_json)] = Field(
        alias="PARTNER_CENTER_ACCOUNTS", min_length=1, description="The accounts at Partner Center, as JSON."
    )
    callers: Annotated[dict[Name, AnyCaller] | None, BeforeValidator(_from_json)] = Field(
        None, alias="CALLERS", min_length=1, description="Who may call, as JSON. Left out: the function key is enough."
    )
    deadline_s: float = Field(
        8.0,
        alias="CANCEL_DEADLINE_S",
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="Seconds for one call, including its token and its repeats.",
    )
    max_wait_s: float = Field(
        100.0,
        alias="CANCEL_MAX_WAIT_S",
        ge=1,
        le=100,
        allow_inf_nan=False,
        description="Most seconds that a caller gets with `Prefer: wait`.",
    )
    secret_ttl_s: float = Field(
        900.0,
        alias="SECRET_TTL_S",
        ge=0,
        allow_inf_nan=False,
        description="Seconds for which a secret from Key Vault is kept.",
    )
    azure_client_id: str | None = Field(
        None, alias="AZURE_CLIENT_ID", description="Client id of the user-assigned managed identity."
    )
    identity_endpoint: str | None = Field(
        None, alias="IDENTITY_ENDPOINT", description="Azure sets it where there is a managed identity."
    )
    website_auth_enabled: str | None = Field(
        None,
        alias="WEBSITE_AUTH_ENABLED",
        description="Azure sets it to `True` while App Service Authentication is on.",
    )

    @field_validator("callers")
    @classmethod
    def _callers_are_named(cls, callers: dict[str, AnyCaller] | None) -> dict[str, AnyCaller]:
        if callers is None:  # "null": whoever wrote that did not mean "open to everyone"
            raise ValueError("must name at least one caller; remove the setting to let the function key be enough")
        return callers

    @property
    def is_entra_checked(self) -> bool:
        """True if App Service Authentication is on: else anybody can send the header that it sends."""
        return (self.website_auth_enabled or "").lower() == "true"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raise OurFault (misconfigured) that names every bad setting at once, without values."""
        # An app setting left blank in the portal arrives as ""; that means unset, except for
        # CALLERS, where blank must never come to mean "open".
        given = {name: value for name, value in environ.items() if value or name == "CALLERS"}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            faults = (
                f"{'.'.join(str(part) for part in fault['loc'])}: {_words(fault)}"
                for fault in error.errors(include_url=False, include_input=False, include_context=False)
            )
            raise OurFault("misconfigured", f"The operator must mend settings. {'; '.join(faults)}.") from None
