"""Sets up the Azure SDKs: short timeouts, no repeats of their own, and a record of the last status.

The SDKs are synchronous and run in threads. They are called a few times an hour, and their asynchronous form
needs a second HTTP stack. They are imported where they are first needed, because importing them would be
most of a cold start.

Source: azure-core 1.41 and azure-identity 1.27, read and observed.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shared.settings import Settings
from shared.tls import open_session

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 5


class LastStatus:
    """Holds the HTTP status of the last answer to an SDK call in this thread, None if there was no answer.

    The SDKs raise one exception for every failure. The status alone decides what the caller is told: that the
    operator must act, or that the request can be sent again.
    """

    def __init__(self) -> None:
        self._thread = threading.local()
        self.hooks: dict[str, Any] = {"raw_request_hook": self._sent, "raw_response_hook": self._answered}

    @property
    def is_refusal(self) -> bool:
        """True if the last answer was a refusal, for which a repeat does not help."""
        return getattr(self._thread, "status", None) in {400, 401, 403, 404}

    def note(self, status: int | None) -> None:
        self._thread.status = status

    def _sent(self, _request: object) -> None:
        self.note(None)

    def _answered(self, response: "PipelineResponse[Any, Any]") -> None:
        self.note(response.http_response.status_code)


@contextmanager
def without_gc() -> Iterator[None]:
    """Turn the garbage collector off while SDKs are imported.

    Importing the SDKs triggers about 100 collections that free nothing and take 10 % of the import (15 to 20 ms).
    If two threads import at once, the first to end turns it on again, which does no harm.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def sdk_options(last_status: LastStatus) -> dict[str, Any]:
    """Return the options for a client of the SDKs, which notes its answers in *last_status*.

    The SDKs' defaults are timeouts of 300 s and ten repeats, too long for a caller who waits.
    """
    with without_gc():
        from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415

        session = open_session()
    transport = RequestsTransport(session=session, connection_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S)
    return {"transport": transport, "retry_total": 0, **last_status.hooks}


def open_identity(settings: Settings, last_status: LastStatus) -> "ManagedIdentityCredential | DefaultAzureCredential":
    """Return the function's managed identity, or a developer's own sign-in if there is no managed identity."""
    with without_gc():
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if settings.identity_endpoint:
        return ManagedIdentityCredential(client_id=settings.azure_client_id, **sdk_options(last_status))
    return DefaultAzureCredential(**sdk_options(last_status))
