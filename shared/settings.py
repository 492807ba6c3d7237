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

    cloud: Literal["global", "china", "usgov"]
    tenant_id: Guid
    client_id: Guid
    client_secret: SecretName | None = None
    certificate: SecretName | None = None
    refresh_token: SecretName | None = None
    managed_identity: bool = False
    mode: Mode
    customers: frozenset[Guid] | None = Field(None, min_length=1)
    api_root: HttpsUrl | None = None
    authority: HttpsUrl | None = None
    audience: HttpsUrl | None = None

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

    accounts: frozenset[Name] | None = Field(None, min_length=1)
    customers: frozenset[Guid] | None = Field(None, min_length=1)
    dry_run_only: bool = False


class KeyCaller(Caller):
    """Sends a key of its own, of which only the *sha256* is known here."""

    proof: Literal["key"]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)]


class SigningCaller(Caller):
    """Signs each request. *secrets* are named in Key Vault; during a rotation any of them may have signed."""

    proof: Literal["zendesk", "standard-webhooks"]
    secrets: tuple[SecretName, ...] = Field(min_length=1, max_length=8)


class EntraCaller(Caller):
    """An app or a user with the app role *role*, signed in by App Service Authentication."""

    proof: Literal["entra"]
    role: Annotated[str, StringConstraints(pattern=r"^[^\s]{1,120}$")]


type AnyCaller = Annotated[KeyCaller | SigningCaller | EntraCaller, Field(discriminator="proof")]


class Settings(BaseModel):
    """All settings, by the names of their environment variables. *callers* None means the function key is enough."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    key_vault_url: HttpsUrl = Field(alias="KEY_VAULT_URL")
    accounts: Annotated[dict[Name, Account], BeforeValidator(_from_json)] = Field(
        alias="PARTNER_CENTER_ACCOUNTS", min_length=1
    )
    callers: Annotated[dict[Name, AnyCaller] | None, BeforeValidator(_from_json)] = Field(
        None, alias="CALLERS", min_length=1
    )
    deadline_s: float = Field(8.0, alias="CANCEL_DEADLINE_S", gt=0, le=100, allow_inf_nan=False)
    max_wait_s: float = Field(100.0, alias="CANCEL_MAX_WAIT_S", ge=1, le=100, allow_inf_nan=False)
    secret_ttl_s: float = Field(900.0, alias="SECRET_TTL_S", ge=0, allow_inf_nan=False)
    azure_client_id: str | None = Field(None, alias="AZURE_CLIENT_ID")
    # Azure's own: there is a managed identity; App Service Authentication is on.
    identity_endpoint: str | None = Field(None, alias="IDENTITY_ENDPOINT")
    website_auth_enabled: str | None = Field(None, alias="WEBSITE_AUTH_ENABLED")

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
