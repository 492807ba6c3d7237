"""App registrations: what Entra accepts from an app, and what an operator can do to one."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from cryptography import x509

from infra.local.entra.aadsts import TokenRefused
from infra.local.entra.signing import TOKEN_LIFETIME_S

# What can be wrong on demand. The last two concern users only: an app-only token is given all the same.
type Trouble = Literal["secret_expired", "disabled", "conditional_access", "mfa_missing", "interaction_required"]

type Fate = Literal["valid", "expired", "revoked"]


@dataclass(frozen=True)
class Federation:
    """A federated credential: the assertion that stands for the app."""

    issuer: str
    subject: str
    audience: str


@dataclass(frozen=True)
class Resource:
    """What a token can be for. A scope names it by *identifier*, the token by *audience* and *issuer* (`{tenant}`).

    Only where it *has_roles* are a client's app roles in the token.
    """

    identifier: str
    audience: str
    issuer: str
    has_roles: bool = False


@dataclass
class RefreshToken:
    upn: str
    fate: Fate = "valid"


@dataclass
class Client:
    """An app registration. *secrets* and *certificates*: several during a rotation, the newest last.

    *roles* are its app roles at a resource that has some, as an app and for its made-up user.
    """

    tenant_id: str
    secrets: list[str] = field(default_factory=list, repr=False)
    certificates: list[x509.Certificate] = field(default_factory=list)
    federation: Federation | None = None
    token_lifetime_s: float = TOKEN_LIFETIME_S
    trouble: Trouble | None = None
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict, repr=False)
    roles: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """The made-up user who signs in to this app."""
        return f"admin-agent@{self.tenant_id[:8]}.onmicrosoft.example"

    def accept(self, refresh_token: str) -> None:
        """Take *refresh_token* from now on, whatever became of it before."""
        self.refresh_tokens[refresh_token] = RefreshToken(self.user)

    def new_refresh_token(self, upn: str) -> str:
        """Return one more; those before it stay valid, as at Entra."""
        token = f"1.{secrets.token_urlsafe(96)}"
        self.refresh_tokens[token] = RefreshToken(upn)
        return token

    def use(self, refresh_token: str) -> str:
        """Return the upn of the user that *refresh_token* stands for, or raise TokenRefused."""
        found = self.refresh_tokens.get(refresh_token)
        if found is None:
            raise TokenRefused(9002313, "Invalid request. Request is malformed or invalid.")
        if found.fate == "expired":
            raise TokenRefused(700082, "The refresh token has expired due to inactivity.")
        if found.fate == "revoked":
            raise TokenRefused(50173, "The provided grant has expired due to it being revoked.")
        return found.upn

    def end(self, fate: Fate) -> None:
        """Let every refresh token so far be *fate*."""
        for token in self.refresh_tokens.values():
            token.fate = fate

    def keep_newest(self) -> None:
        """Refuse every secret and certificate but the newest of each from now on."""
        del self.secrets[:-1], self.certificates[:-1]


def public_certificates(pems: Iterable[str]) -> list[x509.Certificate]:
    """Return the certificate in each of *pems*, whether a key is beside it or not. Raises ValueError."""
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in pems]
