"""The setting CALLERS: how each caller proves itself, what it may touch, and where its tickets are told.

No setting holds a secret: callers name the Key Vault secrets.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.contract import NotNull
from shared.setting_types import Guid, HttpsOrigin, Name, SecretName, Setting

type System = Literal["zendesk", "freshdesk", "freshservice", "jira", "webhook"]

# The members that `tell` needs beside system and secret, by system. It may have no others.
MEMBERS_OF_TELL: dict[str, set[str]] = {
    "zendesk": {"url", "client_id"},
    "freshdesk": {"url"},
    "freshservice": {"url"},
    "jira": {"url", "user"},
    "webhook": {"url_secret"},
}


class Tell(Setting):
    """The ticketing system in which a caller's tickets are told how their requests ended, and the credential for it."""

    system: System = Field(description="The ticketing system's API, or `webhook` for a Standard Webhooks call.")
    url: HttpsOrigin | None = Field(
        None, description="Address of the ticketing system, such as `https://NAME.zendesk.com`."
    )
    client_id: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")] | None = Field(
        None, description="`zendesk` only: the OAuth client's unique identifier."
    )
    user: Annotated[str, StringConstraints(pattern=r"^[!-9;-~]{1,200}$")] | None = Field(
        None, description="`jira` only: e-mail address of the account that the API token belongs to."
    )
    url_secret: SecretName | None = Field(
        None, description="`webhook` only: name of the Key Vault secret that holds the whole https URL."
    )
    secret: SecretName = Field(
        description="Name of the Key Vault secret: OAuth secret, API key or token, or signing secret."
    )

    @model_validator(mode="after")
    def _has_the_members_of_its_system(self) -> Self:
        optional = set[str]().union(*MEMBERS_OF_TELL.values())
        given = {name for name in optional if getattr(self, name) is not None}
        needed = MEMBERS_OF_TELL[self.system]
        if given != needed:
            names = " and ".join(sorted(type(self).model_fields[name].alias or name for name in needed))
            raise ValueError(f"needs {names} beside system and secret, and takes no other member")
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of its secrets in Key Vault."""
        return tuple(name for name in (self.secret, self.url_secret) if name)


class Caller(Setting):
    """A caller and its limits, whatever its proof is. *accounts* and *customers* None mean all."""

    accounts: Annotated[frozenset[Name] | None, NotNull] = Field(
        None, min_length=1, description="The only accounts that this caller may use. Left out: all of them."
    )
    customers: Annotated[frozenset[Guid] | None, NotNull] = Field(
        None, min_length=1, description="The only customers that this caller may name. Left out: all of them."
    )
    dry_run_only: bool = Field(
        default=False, description="`true`: this caller may only ask for dry runs. A real request gets 403."
    )
    subscriptions: bool = Field(
        default=True,
        strict=True,
        description="`false`: this caller cancels orders only, whatever the account may do.",
    )
    tell: Annotated[Tell | None, NotNull] = Field(
        None, description="Where its tickets are told how their requests ended. Left out: nowhere."
    )


class KeyCaller(Caller):
    """A caller that sends a key of its own. The setting holds only the key's *sha256*."""

    proof: Literal["key"] = Field(description="How the caller proves who it is.")
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)] = Field(
        description="SHA-256 of the caller's own key, in hex."
    )


class SigningCaller(Caller):
    """A caller that signs each request. *secrets* name Key Vault secrets; a signature by any of them is valid."""

    proof: Literal["zendesk", "standard-webhooks"] = Field(description="How the caller proves who it is.")
    secrets: tuple[SecretName, ...] = Field(
        min_length=1, max_length=8, description="Names of Key Vault secrets, 1 to 8. Any may have signed."
    )


class EntraCaller(Caller):
    """An app or a user with the app role *role*, which App Service Authentication has signed in."""

    proof: Literal["entra"] = Field(description="How the caller proves who it is.")
    role: Annotated[str, StringConstraints(pattern=r"^[^\s]{1,120}$")] = Field(
        description="Value of the app role that the app or the user needs."
    )


type AnyCaller = Annotated[KeyCaller | SigningCaller | EntraCaller, Field(discriminator="proof")]
