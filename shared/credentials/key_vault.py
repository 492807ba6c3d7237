"""Key Vault: the secrets that accounts and callers name, and the one that is written back.

Each look opens a client of its own: it happens a few times an hour, MSAL remembers an identity endpoint's
failure for a minute where the client is kept, and one account's trouble cannot touch another's.

Source: azure-keyvault-secrets 4.12; learn.microsoft.com/rest/api/keyvault/secrets (read 2026-11-21).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.credentials.azure_sdk import Seen, importing, open_identity, sdk_options, unavailable
from shared.errors import OurFault
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.keyvault.secrets import KeyVaultSecret, SecretClient

REFRESH_TOKEN_LIFE = timedelta(days=90)  # unused for as long, Entra forgets it
REWRITTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Secret:
    """One version of a secret; None where Key Vault did not say."""

    name: str
    value: str = field(repr=False)
    updated_at: datetime | None = None
    expires_at: datetime | None = None


def read_secrets(settings: Settings, account: str) -> dict[str, Secret]:
    """Return the newest version of each secret that *account* names, by its member. Blocks: call it in a thread.

    Raises OurFault if one is not there or not ours to read, Unavailable if nothing answered.
    """
    names = settings.accounts[account].secrets
    if not names:
        return {}
    seen = Seen()
    with open_vault(settings, seen) as client:
        return {
            member: _read(client, seen, name, f"account {account} names in {member}") for member, name in names.items()
        }


def read_secret(settings: Settings, name: str, whose: str) -> Secret:
    """Return the newest version of the secret *name*; raises like `read_secrets`.

    *whose* tells the operator which setting names it, such as "account default names in clientSecret".
    """
    seen = Seen()
    with open_vault(settings, seen) as client:
        return _read(client, seen, name, whose)


def renew_secret(settings: Settings, exchanged: Secret, value: str) -> Secret | None:
    """Store *value* in place of *exchanged* if that is over a day old and still what the vault holds.

    Returns what the vault holds then, None where nothing had to be done. Raises whatever the SDK
    raises. Key Vault has no If-Match: between the look and the write an operator's new consent
    could still be overwritten, for some milliseconds a day. Two instances at once do no harm, since
    the old token and both new ones stay valid.
    """
    now = datetime.now(UTC)
    if exchanged.updated_at and now - exchanged.updated_at < REWRITTEN_AFTER:
        return None
    with open_vault(settings) as client:
        held = client.get_secret(exchanged.name)
        if (stored := _secret(exchanged.name, held)).value != exchanged.value:
            return stored
        written = client.set_secret(
            exchanged.name,
            value,
            content_type=held.properties.content_type,
            tags=held.properties.tags,
            expires_on=now + REFRESH_TOKEN_LIFE,
        )
        return Secret(exchanged.name, value, written.properties.updated_on or now, now + REFRESH_TOKEN_LIFE)


@contextmanager
def open_vault(settings: Settings, seen: Seen | None = None) -> Iterator["SecretClient"]:
    """Open the vault with the function's identity, or a developer's own."""
    with importing():
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415

    seen = seen or Seen()
    with (
        open_identity(settings, seen) as identity,  # which a client does not close with itself
        SecretClient(settings.key_vault_url, identity, **sdk_options(seen)) as client,
    ):
        yield client


def _read(client: "SecretClient", seen: Seen, name: str, whose: str) -> Secret:
    try:
        secret = _secret(name, client.get_secret(name))
    except Exception:  # noqa: BLE001  (the SDK lets through whatever a broken answer made it raise)
        if not seen.refused:
            raise unavailable("Key Vault or the managed identity") from None
        raise _unreadable(whose) from None
    if not secret.value:
        raise _unreadable(whose)
    return secret


def _secret(name: str, found: "KeyVaultSecret") -> Secret:
    # The name as it was asked for: Key Vault takes it in any case, and may answer in another.
    # A secret that was piped into Key Vault often ends with a line break, and none of ours has one there.
    value = (found.value or "").strip()
    return Secret(name, value, found.properties.updated_on, found.properties.expires_on)


def _unreadable(whose: str) -> OurFault:
    return OurFault(
        "misconfigured",
        f"The secret that {whose} could not be read from Key Vault. The operator must check that it exists, is"
        " enabled and not empty, and that the function's identity has the role Key Vault Secrets User.",
    )
