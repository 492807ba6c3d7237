"""Sets up the Azure SDKs: a time limit for each call, no repeats of their own, and a note of the last answer.

The SDKs are synchronous and run in threads. They are called a few times an hour, and their asynchronous form
needs a second HTTP stack. They are imported where they are first needed, because importing them would be
most of a cold start.

Source: azure-core 1.41 and azure-identity 1.27, read and observed.
"""

import math
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from shared.credentials.session import open_session
from shared.errors import OurFault
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

CALL_LIMIT_S = 6.0  # shorter than a flight, so that there is time for another attempt
TEXT_KEPT = 4_000  # characters of an answer

# One thread at a time imports SDKs. Threads that do it at once can end with a _DeadlockError: one holds the import lock
# of azure.core and wants that of azure.core.pipeline, which the other holds while it waits for azure.core (seen with
# CPython 3.13).
sdk_import = threading.Lock()


class SdkCall:
    """One call of an SDK, which may send several requests: the time at which it ends, and its last answer.

    The SDKs raise one exception for every failure. The answer decides what a caller must hear: that the operator
    must act, and on what, or that the request can be sent again.

    Attributes:
        ends_at: when the call ends at the latest, on the monotonic clock.
        hooks: options for the SDKs, so that they note their answers here.
    """

    def __init__(self, flight_ends_at: float = math.inf, *, limit_s: float = CALL_LIMIT_S) -> None:
        self.ends_at = min(flight_ends_at, time.monotonic() + limit_s)
        self.hooks: dict[str, Any] = {"raw_request_hook": self._sent, "raw_response_hook": self._answered}
        self.note(None)

    @property
    def is_refused(self) -> bool:
        """True if the last answer was a refusal, for which a repeat does not help."""
        return self._status in {400, 401, 403, 404}

    @property
    def text(self) -> str:
        """The beginning of the last answer, if it was a refusal. It is searched for codes and never shown."""
        return self._text if self.is_refused else ""

    @property
    def retry_after_s(self) -> float | None:
        """The pause in seconds that the last answer asked for."""
        value = self._retry_after or ""
        if value.isdecimal():
            return float(value[:6])
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (OverflowError, ValueError):
            return None

    def is_from(self, url: str) -> bool:
        """True if the last answer came from the service at *url*."""
        return self._url.startswith(url)

    def is_of(self, path: str) -> bool:
        """True if the last answer was of a request whose URL holds *path*."""
        return path in self._url

    def note(self, status: int | None, text: str = "", retry_after: str | None = None, url: str = "") -> None:
        """Note an answer, or None for *status* when a request is sent."""
        self._status, self._text, self._retry_after, self._url = status, text[:TEXT_KEPT], retry_after, url

    def _sent(self, _request: object) -> None:
        self.note(None)

    def _answered(self, response: "PipelineResponse[Any, Any]") -> None:
        answer = response.http_response
        self.note(answer.status_code, answer.text(), answer.headers.get("Retry-After"), response.http_request.url)


def sdk_options(call: SdkCall) -> dict[str, Any]:
    """Return the options for a client of the SDKs that makes *call*.

    The SDKs' defaults are timeouts of 300 s and ten repeats, too long for a caller who waits. They follow redirects,
    which none of these services sends.
    """
    with sdk_import:
        from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415

        session = open_session(call.ends_at)
    return {
        "transport": RequestsTransport(session=session),
        "retry_total": 0,
        "permit_redirects": False,
        **call.hooks,
    }


def open_identity(settings: Settings, call: SdkCall) -> "ManagedIdentityCredential | DefaultAzureCredential":
    """Return the function's managed identity, or a developer's own sign-in if there is no managed identity."""
    with sdk_import:
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if settings.identity_endpoint:
        return ManagedIdentityCredential(client_id=settings.azure_client_id, **sdk_options(call))
    return DefaultAzureCredential(**sdk_options(call))


def identity_refused(purpose: str) -> OurFault:
    """Return the error for a managed identity that gets no token. *purpose* completes "needs a token …"."""
    return OurFault(
        "misconfigured",
        f"The function's managed identity needs a token {purpose}, and Azure refuses to give it one. The operator must"
        " check that the identity is assigned to the function and that AZURE_CLIENT_ID is its client id.",
    )
