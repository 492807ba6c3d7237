"""Checks whether each account's credential works. Nothing is cancelled and no secret is reported.

A cached token counts as a working credential, so a check every five minutes reads Key Vault and asks Entra ID
about once an hour. That request also keeps alive a refresh token that nothing else uses.
"""

import asyncio
import logging
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from shared import audit
from shared.credentials.tokens import Credentials
from shared.errors import CancelError, OurFault
from shared.rfc3339 import rfc3339
from shared.settings import Credential, Mode, Settings

log = logging.getLogger("cancel_order")


class _Answer(BaseModel):
    # Built when it is first used: no cancellation needs it, and it would make every cold start slower.
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, defer_build=True)


class AccountHealth(_Answer):
    """The state of an account's credential.

    *code* and *detail* are those of a cancellation through the account, None if the credential works. *expires_on* is
    the earliest known end of a secret, certificate or refresh token of the account, RFC 3339 in UTC. An account
    that is off is not tried.
    """

    healthy: bool
    mode: Mode
    credential: Credential
    expires_on: str | None
    code: str | None
    detail: str | None


class TellHealth(_Answer):
    """One caller that has `tell`. *code* and *detail* say why its tickets cannot be told, None if they can."""

    healthy: bool
    system: str
    code: str | None
    detail: str | None


class Health(_Answer):
    """All accounts, at *time* (RFC 3339 in UTC), and the callers that have `tell`.

    *healthy* is about the accounts alone: orders are cancelled whether tickets can be told or not.
    """

    healthy: bool
    time: str
    accounts: dict[str, AccountHealth]
    callers: dict[str, TellHealth]


async def check(settings: Settings, credentials: Credentials) -> Health:
    """Try every account that is not off, all at the same time. Each result goes to the audit log."""
    found = await asyncio.gather(*(_try(settings, credentials, name) for name in settings.accounts))
    accounts = dict(zip(settings.accounts, found, strict=True))
    for name, health in accounts.items():
        audit.checked(name, health.model_dump(by_alias=True, exclude={"detail"}))
    return Health(
        healthy=all(health.healthy for health in found), time=rfc3339(datetime.now(UTC)), accounts=accounts, callers={}
    )


async def _try(settings: Settings, credentials: Credentials, name: str) -> AccountHealth:
    account = settings.accounts[name]
    error: CancelError | None = None
    expires_at: datetime | None = None
    if account.mode is not Mode.OFF:
        try:
            await credentials.bearer(name, settings.deadline_s)
        except CancelError as failed:
            error = failed
        except Exception:
            # A bug of ours. It stays with this account: the report of the others is needed all the more.
            log.exception("the health check of account %s failed", name)
            error = OurFault("internal_error", "A fault of this function. Report the time of this check.")
        expires_at = credentials.expires_at(name)
    return AccountHealth(
        healthy=error is None,
        mode=account.mode,
        credential=account.credential,
        expires_on=expires_at and rfc3339(expires_at),
        code=error and error.code,
        detail=error and error.detail,
    )
