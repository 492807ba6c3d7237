"""App registrations: the credentials that Entra accepts from an app, and an operator's changes to them."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from cryptography import x509

from infra.local.entra.aadsts import TokenRefused
from infra.local.entra.signing import TOKEN_LIFETIME_S

# The control interface sets these. The last two concern users only: an app-only token is given all the same.
type FailureMode = Literal["secret_expired", "disabled", "conditional_access", "mfa_missing", "interaction_required"]

type TokenState = Literal["valid", "expired", "revoked"]


@dataclass(frozen=True)
class FederatedCredential:
    """The claims of another issuer's token that Entra accepts as proof of an app."""

    issuer: str
    subject: str
    audience: str


@dataclass(frozen=True)
class Resource:
    """An API that a token can be for. A scope names its *identifier*; the token has its *audience* and *issuer*.

    *issuer* has `{tenant}` for the tenant's id. Tokens have the app's roles only if the resource *has_roles*.
    """

    identifier: str
    audience: str
    issuer: str
    has_roles: bool = False


@dataclass
class RefreshToken:
    """A refresh token of the user *upn*."""

    upn: str
    state: TokenState = "valid"


@dataclass
class AppRegistration:
    """An app as Entra knows it.

    *secrets* and *certificates* hold several during a rotation, the newest last. *roles* are its app roles
    at a resource that has roles; both the app and its made-up user have them.
    """

    tenant_id: str
    secrets: list[str] = field(default_factory=list, repr=False)
    certificates: list[x509.Certificate] = field(default_factory=list)
    federated_credential: FederatedCredential | None = None
    token_lifetime_s: float = TOKEN_LIFETIME_S
    failure_mode: FailureMode | None = None
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict, repr=False)
    roles: tuple[str, ...] = ()

    @property
    def default_upn(self) -> str:
        """The made-up user who signs in to this app."""
        return f"admin-agent@{self.tenant_id[:8]}.onmicrosoft.example"

    def accept_refresh_token(self, token: str) -> None:
        """Make *token* valid, even if it was expired or revoked."""
        self.refresh_tokens[token] = RefreshToken(self.default_upn)

    def new_refresh_token(self, upn: str) -> str:
        """Return a new refresh token of the user *upn*. The older ones stay valid, as at Entra."""
        token = f"1.{secrets.token_urlsafe(96)}"
        self.refresh_tokens[token] = RefreshToken(upn)
        return token

    def read_refresh_token(self, token: str) -> str:
        """Return the upn of the user of *token*. Raises TokenRefused."""
        found = self.refresh_tokens.get(token)
        if found is None:
            raise TokenRefused(9002313, "Invalid request. Request is malformed or invalid.")
        if found.state == "expired":
            raise TokenRefused(700082, "The refresh token has expired due to inactivity.")
        if found.state == "revoked":
            raise TokenRefused(50173, "The provided grant has expired due to it being revoked.")
        return found.upn

    def end_refresh_tokens(self, state: TokenState) -> None:
        """Set every refresh token given so far to *state*."""
        for token in self.refresh_tokens.values():
            token.state = state

    def keep_newest_credentials(self) -> None:
        """Refuse from now on every secret and certificate except the newest of each."""
        del self.secrets[:-1], self.certificates[:-1]


def load_certificates(pems: Iterable[str]) -> list[x509.Certificate]:
    """Return the certificate in each of *pems*, which may hold its key too. Raises ValueError."""
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in pems]
