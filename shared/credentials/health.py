"""Does it work: each account's credential tried, nothing cancelled, nothing secret told.

A token that is held is proof enough, so being asked every five minutes costs a look at Key Vault
and Entra about once an hour; and that look is what keeps a refresh token alive that nobody else uses.
"""

import asyncio
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from shared import audit
from shared.credentials.entra import certificate_end
from shared.credentials.key_vault import REFRESH_TOKEN_LIFE, Secret
from shared.credentials.tokens import Credentials
from shared.errors import CancelError
from shared.settings import Account, Mode, Settings

type Credential = Literal["clientSecret", "certificate", "refreshToken", "managedIdentity"]


class _Answer(BaseModel):
    # Built when first asked for: no cancellation needs it, and every cold start would pay for it.
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, defer_build=True)


class AccountHealth(_Answer):
    """Whether an account's credential works: *code* and *detail* as a cancellation would be told, else None.

    *expires_on* is the earliest end known of what it proves itself by, RFC 3339 in UTC. An account that
    is off is not tried.
    """

    healthy: bool
    mode: Mode
    credential: Credential
    expires_on: str | None
    code: str | None
    detail: str | None


class Health(_Answer):
    """All accounts, at *time* (RFC 3339 in UTC)."""

    healthy: bool
    time: str
    accounts: dict[str, AccountHealth]


async def check(settings: Settings, credentials: Credentials) -> Health:
    """Try every account that is not off, all at once; each is written to the audit log."""
    found = await asyncio.gather(*(_try(settings, credentials, name) for name in settings.accounts))
    accounts = dict(zip(settings.accounts, found, strict=True))
    for name, health in accounts.items():
        audit.checked(name, health.model_dump(by_alias=True, exclude={"detail"}))
    return Health(healthy=all(one.healthy for one in found), time=_text(datetime.now(UTC)), accounts=accounts)


async def _try(settings: Settings, credentials: Credentials, name: str) -> AccountHealth:
    account = settings.accounts[name]
    error: CancelError | None = None
    ends: datetime | None = None
    if account.mode is not Mode.OFF:
        try:
            await credentials.bearer(name, settings.deadline_s)
        except CancelError as failed:
            error = failed
        ends = await asyncio.to_thread(_end, credentials.secrets(name))
    return AccountHealth(
        healthy=error is None,
        mode=account.mode,
        credential=_credential(account),
        expires_on=ends and _text(ends),
        code=error and error.code,
        detail=error and error.detail,
    )


def _credential(account: Account) -> Credential:
    if account.managed_identity:
        return "managedIdentity"
    if account.certificate:
        return "certificate"
    return "refreshToken" if account.refresh_token else "clientSecret"


def _end(secrets: dict[str, Secret]) -> datetime | None:
    ends = [secret.expires_at for secret in secrets.values()]
    if certificate := secrets.get("certificate"):
        ends.append(certificate_end(certificate.value))
    if (token := secrets.get("refreshToken")) and token.updated_at:
        ends.append(token.updated_at + REFRESH_TOKEN_LIFE)
    return min((end for end in ends if end), default=None)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
