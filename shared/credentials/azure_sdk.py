"""Sets up the Azure SDKs: short timeouts, no repeats of their own, and a note of the last answer.

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

from shared.credentials.session import open_session
from shared.errors import OurFault
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 5
CALL_LIMIT_S = 6.0  # for one request of an SDK as a whole
TEXT_KEPT = 4_000  # characters of an answer


class LastAnswer:
    """Holds the last answer to an SDK call in this thread: its status, its text, its Retry-After.

    The SDKs raise one exception for every failure. The answer decides what a caller must hear: that the operator
    must act, and on what, or that the request can be sent again.
    """

    def __init__(self) -> None:
        self._thread = threading.local()
        self.hooks: dict[str, Any] = {"raw_request_hook": self._sent, "raw_response_hook": self._answered}

    @property
    def is_refusal(self) -> bool:
        """True if the last answer was a refusal, for which a repeat does not help."""
        return getattr(self._thread, "status", None) in {400, 401, 403, 404}

    @property
    def text(self) -> str:
        """The beginning of the last answer, if it was a refusal. It is searched for codes and never shown."""
        text: str = getattr(self._thread, "text", "") if self.is_refusal else ""
        return text

    @property
    def retry_after_s(self) -> float | None:
        """The pause in seconds that the last answer asked for."""
        value = getattr(self._thread, "retry_after", None) or ""
        return float(value) if value.isdecimal() and len(value) < 6 else None

    def is_from(self, url: str) -> bool:
        """True if the last answer came from the service at *url*."""
        return str(getattr(self._thread, "url", "")).startswith(url)

    def note(self, status: int | None, text: str = "", retry_after: str | None = None, url: str = "") -> None:
        """Note an answer, or None for *status* when a request is sent."""
        thread = self._thread
        thread.status, thread.text, thread.retry_after, thread.url = status, text[:TEXT_KEPT], retry_after, url

    def _sent(self, _request: object) -> None:
        self.note(None)

    def _answered(self, response: "PipelineResponse[Any, Any]") -> None:
        answer = response.http_response
        self.note(answer.status_code, answer.text(), answer.headers.get("Retry-After"), response.http_request.url)


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


def sdk_options(last_answer: LastAnswer) -> dict[str, Any]:
    """Return the options for a client of the SDKs, which notes its answers in *last_answer*.

    The SDKs' defaults are timeouts of 300 s and ten repeats, too long for a caller who waits.
    """
    with without_gc():
        from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415

        session = open_session(CALL_LIMIT_S)
    transport = RequestsTransport(session=session, connection_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S)
    return {"transport": transport, "retry_total": 0, **last_answer.hooks}


def open_identity(settings: Settings, last_answer: LastAnswer) -> "ManagedIdentityCredential | DefaultAzureCredential":
    """Return the function's managed identity, or a developer's own sign-in if there is no managed identity."""
    with without_gc():
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if settings.identity_endpoint:
        return ManagedIdentityCredential(client_id=settings.azure_client_id, **sdk_options(last_answer))
    return DefaultAzureCredential(**sdk_options(last_answer))


def identity_refused(purpose: str) -> OurFault:
    """Return the error for a managed identity that gives no token. *purpose* completes "needs a token …"."""
    return OurFault(
        "misconfigured",
        f"The function's managed identity needs a token {purpose}, and Azure gives it none. The operator must check"
        " that the identity is assigned to the function and that AZURE_CLIENT_ID is its client id.",
    )
