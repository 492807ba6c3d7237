"""Queue services for tests: the stand-in alone, over TLS and with a clock that a test moves, and its clients."""

import asyncio
import gc
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trustme
from azure.core.credentials import AccessToken
from azure.storage.queue import QueueServiceClient

from infra.local.entra.signing import Signer
from infra.local.functions.process import ADDRESS, BACKLOG, bound_socket
from infra.local.serving import server_for
from infra.local.storage_queue import AUDIENCES, StorageQueue
from tests.support.clock import Clock

START_LIMIT_S = 30
TENANT = "5f1c2a4e-7d0b-4a57-9a1c-3a5b1f0c9e11"
ISSUER = f"https://sts.windows.net/{TENANT}/"
TOKEN_LIFETIME_S = 10 * 365 * 86_400  # tests let weeks pass
VERSION = "2021-12-02"  # the one that the product names


@dataclass(frozen=True)
class QueueService:
    """A queue service: the stand-in, or another one to compare it with.

    Attributes:
        url: with the account.
        ca_file: the certificate to trust.
        pass_time: lets so many seconds pass for the service.
        signer: of the tokens.
    """

    url: str
    ca_file: Path
    pass_time: Callable[[float], None]
    signer: Signer

    def token(self, **claims: Any) -> str:
        """Return a token that the service accepts, unless *claims* say otherwise."""
        return self.signer.new_token(
            audience=AUDIENCES[0],
            issuer=ISSUER,
            tenant_id=TENANT,
            app_id="app",
            lifetime_s=TOKEN_LIFETIME_S,
            claims=claims,
        )

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Make this object the credential of an SDK client."""
        assert scopes == (f"{AUDIENCES[0]}/.default",)
        return AccessToken(self.token(), int(time.time()) + 3600)

    @contextmanager
    def sdk(self) -> Iterator[QueueServiceClient]:
        """Microsoft's client, which repeats nothing by itself."""
        options: dict[str, Any] = {"connection_verify": str(self.ca_file), "retry_total": 0, "use_env_settings": False}
        with QueueServiceClient(self.url, self, **options) as client:
            yield client

    @contextmanager
    def http(self) -> Iterator[httpx.Client]:
        """A client without any help. Its requests have the token and the version, unless they give others."""
        with httpx.Client(
            headers={"Authorization": f"Bearer {self.token()}", "x-ms-version": VERSION},
            verify=ssl.create_default_context(cafile=str(self.ca_file)),
            trust_env=False,
            timeout=START_LIMIT_S,
        ) as client:
            yield client


@contextmanager
def serving_storage_queue(directory: Path) -> Iterator[QueueService]:
    """Serve a stand-in alone, in a thread. *directory* takes its certificates."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    authority.issue_cert(ADDRESS).private_key_and_cert_chain_pem.write_to_path(directory / "server.pem")
    listener = bound_socket(0)
    listener.listen(BACKLOG)
    clock, signer = Clock(time.time()), Signer()
    stand_in = StorageQueue(
        f"https://{ADDRESS}:{listener.getsockname()[1]}",
        public_key=signer.public_key,
        issuer=ISSUER,
        authority="https://login.example",
        clock=clock,
    )

    def pass_time(seconds: float) -> None:
        clock.now += seconds

    server = server_for(stand_in.app, certificate=str(directory / "server.pem"))
    thread = threading.Thread(target=asyncio.run, args=[server.serve(sockets=[listener])])
    thread.start()
    try:
        yield QueueService(stand_in.url, directory / "ca.pem", pass_time, signer)
    finally:
        gc.collect()  # azure-core's errors are reference cycles that keep their connections open
        server.should_exit = True
        thread.join(START_LIMIT_S)
