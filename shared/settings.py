"""The operator's settings: accounts at Partner Center, callers, limits.

They are read once, from a mapping that is passed in, into a frozen model. One error names every wrong setting,
without its value. No setting holds a secret: accounts and callers name the Key Vault secrets.

Source: azure-identity's documentation for the end of Microsoft Cloud Germany (read 2026-11-21).
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from shared import strict_json
from shared.caller_settings import AnyCaller
from shared.clouds import CLOUDS, Endpoints
from shared.contract import NotNull
from shared.errors import OurFault
from shared.setting_types import Guid, HttpsUrl, Name, SecretName, Setting

type Credential = Literal["clientSecret", "certificate", "refreshToken", "managedIdentity"]


class Mode(StrEnum):
    """An account's mode: it cancels, it only makes dry runs, or it refuses."""

    LIVE = "live"
    DRY_RUN = "dry_run"
    OFF = "off"


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


def _message(mistake: ErrorDetails) -> str:
    if mistake["type"] == "union_tag_invalid":  # pydantic's message has the value
        return "proof must be zendesk, standard-webhooks, entra or key"
    return mistake["msg"].removeprefix("Value error, ")


class Account(Setting):
    """One Partner Center account, with one kind of credential. Members of a credential name a Key Vault secret.

    `clientSecret`, `certificate` and `managedIdentity` (the function's identity as the app's federated
    credential) are app-only. `refreshToken` with `clientSecret` is App+User. *customers* None means all
    customers that the partner has a relationship with.
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
    customers: Annotated[frozenset[Guid] | None, NotNull] = Field(
        None, min_length=1, description="The only customers whose orders may be cancelled. Left out: all of them."
    )
    subscriptions: bool = Field(
        default=False,
        strict=True,
        description="`true`: licences and marketplace SaaS are cancelled too. `false`: only orders are.",
    )
    sandbox: bool = Field(
        default=False,
        strict=True,
        description="`true`: the account is an integration sandbox. Only what a dry run expects depends on it.",
    )
    api_root: HttpsUrl | None = Field(None, description="Address of Partner Center, in place of the cloud's own.")
    authority: HttpsUrl | None = Field(None, description="Address of Entra ID, in place of the cloud's own.")
    audience: HttpsUrl | None = Field(None, description="The tokens' resource, in place of the cloud's own.")

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


class Settings(BaseModel):
    """All settings; the aliases are their environment variables. *callers* None: the function key is enough."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    key_vault_url: HttpsUrl = Field(
        alias="KEY_VAULT_URL",
        description="Address of the Key Vault: `https://VAULT.vault.azure.net` in the global cloud.",
    )
    accounts: Annotated[dict[Name, Account], BeforeValidator(_from_json)] = Field(
        alias="PARTNER_CENTER_ACCOUNTS", min_length=1, description="The accounts at Partner Center, as JSON."
    )
    callers: Annotated[dict[Name, AnyCaller] | None, BeforeValidator(_from_json)] = Field(
        None, alias="CALLERS", min_length=1, description="The callers, as JSON. Left out: the function key is enough."
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
        description="The longest deadline in seconds, with `Prefer: wait`.",
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
    queue_service_uri: HttpsUrl | None = Field(
        None,
        alias="AzureWebJobsStorage__queueServiceUri",
        description="The app's own queues. Needed if a caller has `tell`.",
    )
    tell_ticket_disabled: str | None = Field(
        None,
        alias="AzureWebJobs.tell_ticket.Disabled",
        description="`true`: the timer is off, and no tickets are told.",
    )

    @field_validator("callers")
    @classmethod
    def _callers_are_named(cls, callers: dict[str, AnyCaller] | None) -> dict[str, AnyCaller]:
        if callers is None:  # "null" was written, and its author did not mean "open to everyone"
            raise ValueError("must name at least one caller; remove the setting to let the function key be enough")
        return callers

    @property
    def is_tell_ticket_disabled(self) -> bool:
        return (self.tell_ticket_disabled or "").lower() in {"true", "1"}

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
            mistakes = (
                f"{'.'.join(str(part) for part in mistake['loc'])}: {_message(mistake)}"
                for mistake in error.errors(include_url=False, include_input=False, include_context=False)
            )
            raise OurFault(
                "misconfigured",
                f"Nothing was changed. The operator must correct these settings: {'; '.join(mistakes)}.",
            ) from None
