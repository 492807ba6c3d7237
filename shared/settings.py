"""The operator's settings: accounts at Partner Center, callers, limits.

They are read once, from a mapping that is passed in, into a frozen model. Every fault is named at once, and
none with its value. No setting holds a secret: accounts and callers name the Key Vault secrets.

Source: azure-identity's documentation for the end of Microsoft Cloud Germany (read 2026-11-21).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
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

from shared import strict_json
from shared.clouds import CLOUDS, Endpoints
from shared.contract import Guid
from shared.errors import OurFault

type Credential = Literal["clientSecret", "certificate", "refreshToken", "managedIdentity"]


class Mode(StrEnum):
    """How far an account may go."""

    LIVE = "live"
    DRY_RUN = "dry_run"
    OFF = "off"


_HTTPS_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]*)*")


def _https_url(url: str) -> str:
    # The pattern is checked first: urlsplit drops line breaks and accepts invalid characters. Dot segments are refused
    # because paths are sent as they are.
    if not _HTTPS_URL.fullmatch(url) or urlsplit(url).port == 0:
        raise ValueError("must be an https URL without user, dot segments, query or fragment")
    return url.rstrip("/")


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return strict_json.loads(value)
    except json.JSONDecodeError as error:
        # The exception also holds the whole document, which must not get into a message.
        raise ValueError(f"is not JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


type HttpsUrl = Annotated[str, AfterValidator(_https_url)]
type Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
type SecretName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$")]


def _message(fault: ErrorDetails) -> str:
    if fault["type"] == "union_tag_invalid":  # pydantic's message has the value
        return "proof must be zendesk, standard-webhooks, entra or key"
    return fault["msg"].removeprefix("Value error, ")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True)


class Account(_Frozen):
    """One Partner Center account, with one kind of credential. Members of a credential name a Key Vault secret.

    `clientSecret`, `certificate` and `managedIdentity` (the function's identity as the app's federated
    credential) are app-only. `refreshToken` with `clientSecret` is App+User. *customers* None means all
    customers that the partner has a relationship with.
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
        """The names of this account's secrets in Key Vault, by the member that names them."""
        named = {
            "clientSecret": self.client_secret,
            "certificate": self.certificate,
            "refreshToken": self.refresh_token,
        }
        return {member: name for member, name in named.items() if name is not None}

    @property
    def credential(self) -> Credential:
        if self.managed_identity:
            return "managedIdentity"
        if self.certificate:
            return "certificate"
        return "refreshToken" if self.refresh_token else "clientSecret"

    @property
    def endpoints(self) -> Endpoints:
        """The cloud's endpoints; this account's own endpoints replace them."""
        own = {"api_root": self.api_root, "authority": self.authority, "audience": self.audience}
        return replace(CLOUDS[self.cloud], **{name: url for name, url in own.items() if url})


class Caller(_Frozen):
    """A caller and its limits, whatever its proof is. *accounts* and *customers* None mean all."""

    accounts: frozenset[Name] | None = Field(None, min_length=1)
    customers: frozenset[Guid] | None = Field(None, min_length=1)
    dry_run_only: bool = False


class KeyCaller(Caller):
    """A caller that sends a key of its own. The setting holds only the key's *sha256*."""

    proof: Literal["key"]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)]


class SigningCaller(Caller):
    """A caller that signs each request. *secrets* name Key Vault secrets; a signature by any of them is valid."""

    proof: Literal["zendesk", "standard-webhooks"]
    secrets: tuple[SecretName, ...] = Field(min_length=1, max_length=8)


class EntraCaller(Caller):
    """An app or a user with the app role *role*, which App Service Authentication has signed in."""

    proof: Literal["entra"]
    role: Annotated[str, StringConstraints(pattern=r"^[^\s]{1,120}$")]


type AnyCaller = Annotated[KeyCaller | SigningCaller | EntraCaller, Field(discriminator="proof")]


class Settings(BaseModel):
    """All settings; the aliases are their environment variables. *callers* None: the function key is enough."""

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
    # Set by Azure: the managed identity's address; whether App Service Authentication is on.
    identity_endpoint: str | None = Field(None, alias="IDENTITY_ENDPOINT")
    website_auth_enabled: str | None = Field(None, alias="WEBSITE_AUTH_ENABLED")

    @field_validator("callers")
    @classmethod
    def _callers_are_named(cls, callers: dict[str, AnyCaller] | None) -> dict[str, AnyCaller]:
        if callers is None:  # "null" was written, and its author did not mean "open to everyone"
            raise ValueError("must name at least one caller; remove the setting to let the function key be enough")
        return callers

    @property
    def is_entra_checked(self) -> bool:
        """True if App Service Authentication is on. If it is off, anybody can send the header that it sends."""
        return (self.website_auth_enabled or "").lower() == "true"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in *environ*. Raises OurFault, which names every bad one without its value."""
        # A setting that was left blank in the portal arrives as "". It counts as not set, except CALLERS: a
        # blank CALLERS must never mean "open to everyone".
        given = {name: value for name, value in environ.items() if value or name == "CALLERS"}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            faults = (
                f"{'.'.join(str(part) for part in fault['loc'])}: {_message(fault)}"
                for fault in error.errors(include_url=False, include_input=False, include_context=False)
            )
            raise OurFault("misconfigured", f"The operator must correct these settings. {'; '.join(faults)}.") from None
