"""How the Azure SDKs are used here: short timeouts, no repeats of their own, and what they were answered.

They are synchronous and run in threads: they are called a few times an hour, and their asynchronous form
needs a second HTTP stack. They are imported where they are first needed, since they would be most
of a cold start.

Source: azure-core 1.41 and azure-identity 1.27, read and observed.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shared.errors import Unavailable
from shared.settings import Settings
from shared.tls import open_session

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 5


class Seen:
    """The status of the last answer that an SDK call got in this thread, None if there was none.

    The SDKs wrap what went wrong in one exception for everything; what a caller must be told
    (the operator must act, or: try again) depends on the status alone.
    """

    def __init__(self) -> None:
        self._thread = threading.local()
        self.hooks: dict[str, Any] = {"raw_request_hook": self._sent, "raw_response_hook": self._answered}

    @property
    def refused(self) -> bool:
        """True if the last request was answered with a refusal that repeating does not cure."""
        return getattr(self._thread, "status", None) in {400, 401, 403, 404}

    def note(self, status: int | None) -> None:
        self._thread.status = status

    def _sent(self, _request: object) -> None:
        self.note(None)

    def _answered(self, response: "PipelineResponse[Any, Any]") -> None:
        self.note(response.http_response.status_code)


@contextmanager
def importing() -> Iterator[None]:
    """Hold the garbage collector back while SDKs are imported.

    It would look a hundred times at modules that stay for good, for a tenth of the time they take. Where two
    threads import at once the first one's end lets it go on, which does no harm.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def sdk_options(seen: Seen) -> dict[str, Any]:
    """Return what a client of the SDKs is made with; *seen* is told of its answers.

    Their defaults are 300 s and ten repeats; ours is a caller who waits.
    """
    with importing():
        from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415

        session = open_session()
    transport = RequestsTransport(session=session, connection_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S)
    return {"transport": transport, "retry_total": 0, **seen.hooks}


def open_identity(settings: Settings, seen: Seen) -> "ManagedIdentityCredential | DefaultAzureCredential":
    """Return the function's managed identity; where there is none, a developer's own sign-in."""
    with importing():
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if settings.identity_endpoint:
        return ManagedIdentityCredential(client_id=settings.azure_client_id, **sdk_options(seen))
    return DefaultAzureCredential(**sdk_options(seen))


def unavailable(who: str) -> Unavailable:
    return Unavailable(
        "credentials_unavailable", f"{who} gave no usable answer in time. Nothing was changed; ask again."
    )
