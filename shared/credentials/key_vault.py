"""Reads the secrets that accounts and callers name from Key Vault, and writes renewed refresh tokens back.

Each read opens a client of its own. Reads happen a few times an hour; MSAL remembers a failure of the identity
endpoint for a minute in a client that is kept; and the failure of one account cannot reach another.

Source: azure-keyvault-secrets 4.12; learn.microsoft.com/rest/api/keyvault/secrets (read 2026-11-21).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.credentials.azure_sdk import SdkCall, identity_refused, open_identity, sdk_import, sdk_options
from shared.errors import OurFault, credentials_unavailable
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.keyvault.secrets import KeyVaultSecret, SecretClient

REFRESH_TOKEN_LIFE = timedelta(days=90)  # Entra ID ends a refresh token that nobody used for this time
REWRITTEN_AFTER = timedelta(days=1)
# Inner codes of a 403: the vault's firewall, and a vault without a public address.
BLOCKED = ("ForbiddenByFirewall", "ForbiddenByConnection")


@dataclass(frozen=True)
class Secret:
    """One version of a secret. A date is None if Key Vault did not send it."""

    name: str
    value: str = field(repr=False)
    updated_at: datetime | None = None
    expires_at: datetime | None = None


def read_secrets(settings: Settings, account: str, ends_at: float) -> dict[str, Secret]:
    """Return the newest version of each secret of *account*, by the member that names it.

    Raises OurFault if a secret does not exist or may not be read, Unavailable if nothing answered until
    *ends_at* (monotonic). Blocks: call it in a thread.
    """
    names = settings.accounts[account].secrets
    if not names:
        return {}
    call = SdkCall(ends_at)
    with open_vault(settings, call) as client:
        return {
            member: _read(client, call, name, f"account {account} names in {member}") for member, name in names.items()
        }


def read_secret(settings: Settings, name: str, named_by: str, ends_at: float = math.inf) -> Secret:
    """Return the newest version of the secret *name*. Raises like `read_secrets`.

    *named_by* tells the operator which setting names it, such as "account default names in clientSecret".
    """
    call = SdkCall(ends_at)
    with open_vault(settings, call) as client:
        return _read(client, call, name, named_by)


def renew_secret(settings: Settings, exchanged: Secret, value: str) -> Secret | None:
    """Store *value* in place of *exchanged*, if *exchanged* is over a day old and still in the vault.

    Returns the secret that the vault holds then, None if *exchanged* is too young. Raises the SDK's exceptions.
    Key Vault has no If-Match: for some milliseconds a day, between read and write, an operator's new consent
    could still be overwritten. Two instances that write at once do no harm: the old token and both new tokens
    stay valid.
    """
    now = datetime.now(UTC)
    if exchanged.updated_at and now - exchanged.updated_at < REWRITTEN_AFTER:
        return None
    with open_vault(settings, SdkCall()) as client:
        current = client.get_secret(exchanged.name)
        if (stored := _secret(exchanged.name, current)).value != exchanged.value:
            return stored
        written = client.set_secret(
            exchanged.name,
            value,
            content_type=current.properties.content_type,
            tags=current.properties.tags,
            expires_on=now + REFRESH_TOKEN_LIFE,
        )
        return Secret(exchanged.name, value, _date(written, "updated_on") or now, now + REFRESH_TOKEN_LIFE)


@contextmanager
def open_vault(settings: Settings, call: SdkCall) -> Iterator["SecretClient"]:
    """Open the vault with the function's identity, or with a developer's own."""
    with sdk_import:
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415

    with (
        open_identity(settings, call) as identity,  # closing the client does not close it
        SecretClient(settings.key_vault_url, identity, **sdk_options(call)) as client,
    ):
        yield client


def _read(client: "SecretClient", call: SdkCall, name: str, named_by: str) -> Secret:
    try:
        secret = _secret(name, client.get_secret(name))
    except Exception:  # noqa: BLE001  (a broken answer makes the SDK raise exceptions of any kind)
        secret = None
    if secret is None and not call.is_refused:
        raise credentials_unavailable("Key Vault or the managed identity", call.retry_after_s)
    if secret is None and not call.is_from(client.vault_url):
        raise identity_refused("to read Key Vault")
    if secret is None or not secret.value:
        raise _unreadable(named_by, is_blocked=any(code in call.text for code in BLOCKED))
    return secret


def _secret(name: str, found: "KeyVaultSecret") -> Secret:
    # The name is kept as the settings have it: Key Vault takes a name in any case and may answer in another case.
    # The value is stripped: a secret that was piped into Key Vault often ends with a line break, and no valid one does.
    value = (found.value or "").strip()
    return Secret(name, value, _date(found, "updated_on"), _date(found, "expires_on"))


def _date(found: "KeyVaultSecret", member: str) -> datetime | None:
    try:
        date: object = getattr(found.properties, member)
    except (OverflowError, ValueError, OSError):
        return None
    return date if isinstance(date, datetime) else None  # the SDK leaves seconds that are no date of Python's a number


def _unreadable(named_by: str, *, is_blocked: bool = False) -> OurFault:
    cause = (
        "the vault's firewall does not let the function in. The operator must connect the function to the vault by the"
        " private network (PRIVATE_NETWORK), or add the function's addresses to VAULT_IP_RANGES."
        if is_blocked
        else "the operator must check that it exists, is enabled and not empty, and that the function's identity has"
        " the role Key Vault Secrets User."
    )
    return OurFault("misconfigured", f"The secret that {named_by} could not be read from Key Vault: {cause}")
