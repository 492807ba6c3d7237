"""Finds the tenant of a customer by one of its domains, at the Entra ID of the account's cloud.

Entra ID tells it to everybody, without a credential. The answer is kept for a day: a domain that moves to another
tenant was verified there before.

Source: learn.microsoft.com/entra/identity-platform/v2-protocols-oidc (the provider's configuration, whose issuer has
the tenant), reference-error-codes for AADSTS90002 (read 2026-11-28). 9188040d-… is the tenant of personal accounts
(access-token-claims-reference).
"""

import json
import re
import time
from collections.abc import Callable

from shared.connections.one_request import Answer, NoAnswer, send
from shared.connections.pool import Connections
from shared.errors import NotFound, credentials_unavailable

KEPT_S = 86_400.0
MOST_KNOWN = 10_000  # domains
ATTEMPTS = 2
SHORTEST_ATTEMPT_S = 0.1
ATTEMPT_LIMIT_S = 4.0
PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"
NOT_FOUND, UNKNOWN = {400, 404}, {"invalid_tenant", "invalid_request"}  # AADSTS90002, AADSTS900023

_ISSUER = re.compile(
    r"https://[A-Za-z0-9.-]+(?::[0-9]+)?/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:/v2\.0)?/?",
    re.IGNORECASE,
)


class Customers:
    """Caches the tenants of up to *most_known* domains for one worker. *clock* returns monotonic seconds."""

    def __init__(
        self, connections: Connections, clock: Callable[[], float] = time.monotonic, *, most_known: int = MOST_KNOWN
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._most_known = most_known
        self._known: dict[tuple[str, str], tuple[float, str]] = {}

    async def tenant_of(self, domain: str, authority: str, remaining_s: Callable[[], float]) -> str:
        """Return the tenant of *domain*, a host name, in lower case.

        *remaining_s* returns the seconds that are left. Raises NotFound (customer_not_found) if Entra ID knows no such
        domain, Unavailable (credentials_unavailable) if it gave no usable answer.
        """
        until, tenant = self._known.get((authority, domain), (0.0, ""))
        if self._clock() < until:
            return tenant
        for _ in range(ATTEMPTS):
            limit_s = min(remaining_s(), ATTEMPT_LIMIT_S)
            if limit_s < SHORTEST_ATTEMPT_S:
                break
            try:
                answer = await send(
                    self._connections,
                    "GET",
                    f"{authority}/{domain}/v2.0/.well-known/openid-configuration",
                    {"Accept": "application/json", "User-Agent": "cancel-order"},
                    limit_s=limit_s,
                )
            except NoAnswer:
                continue
            if answer.status in NOT_FOUND and _members(answer).get("error") in UNKNOWN:
                raise _not_found()
            issuer = _members(answer).get("issuer") if answer.is_success else None
            if isinstance(issuer, str):
                tenant = _tenant_in(issuer)
                if len(self._known) >= self._most_known:
                    self._known.clear()
                self._known[authority, domain] = self._clock() + KEPT_S, tenant
                return tenant
        raise credentials_unavailable("Entra ID, which knows whose domain it is,")


def _tenant_in(issuer: str) -> str:
    """Return the tenant that *issuer* names. That of `common` is no tenant, and nobody buys for personal accounts."""
    found = _ISSUER.fullmatch(issuer)
    if found is None or found[1].lower() == PERSONAL_ACCOUNTS:
        raise _not_found()
    return found[1].lower()


def _members(answer: Answer) -> dict[str, object]:
    try:
        parsed = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _not_found() -> NotFound:
    return NotFound(
        "customer_not_found",
        "No tenant in the account's cloud has this domain; nothing was changed. Check the spelling, or send"
        " customerTenantId, which Partner Center shows as Microsoft ID.",
    )
