"""The whole local cloud: every stand-in in this process, the function with its host in another.

Everything listens on loopback, on free ports, over TLS from a throw-away authority where the real
service does. Entra and Partner Center are there once for each cloud. The function's process gets its
settings and the authority's certificate through the environment, as in Azure; nothing in the product
knows that it is not there.
"""

import asyncio
import json
import os
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trustme
from starlette.applications import Starlette

from infra.local import accounts
from infra.local.accounts import LocalAccount, guid
from infra.local.callers import FUNCTION_APP, TENANT_ID, LocalCallers, trust
from infra.local.control import Control
from infra.local.entra.managed_identity import Identity
from infra.local.entra.registrations import Client
from infra.local.entra.server import Entra
from infra.local.entra.signing import Signer
from infra.local.faults import Service
from infra.local.functions.process import function_process
from infra.local.key_vault import KeyVault
from infra.local.national_clouds import CLOUD_NAMES, CLOUDS, CloudName
from infra.local.partner_center import catalogue
from infra.local.partner_center.server import PartnerCenter
from infra.local.serving import Server, server
from infra.local.traffic import Recorded, Traffic
from infra.local.values import Json

HOST = "127.0.0.1"

SERVED_ONCE = ("key_vault", "identity", "control", "impostor")
SERVED_PER_CLOUD = ("partner_center", "entra")


@dataclass(frozen=True)
class Options:
    """What the command line asks for. *callers*: each must prove who it is."""

    port: int = 7071
    orders: Path | None = None
    latency_ms: float = 0
    requests_per_minute: int = 0
    replay: bool = True
    callers: bool = False


class Cloud:
    """Everything, started; `async with running(options) as cloud`."""

    def __init__(self, options: Options, directory: Path) -> None:
        self._options = options
        self._directory = directory
        self._sockets = {(name, "global"): _listen() for name in SERVED_ONCE}
        self._sockets |= {(name, cloud): _listen() for name in SERVED_PER_CLOUD for cloud in CLOUD_NAMES}
        self._host_socket = _listen(options.port)
        self._closed = socket.create_server((HOST, 0))  # closed below, so that nothing answers there
        unreachable = f"https://{HOST}:{self._closed.getsockname()[1]}"
        self._closed.close()

        self.traffic = Traffic()
        self.traffic.latency_s["partner_center"] = options.latency_ms / 1000
        self.accounts = accounts.by_name(accounts.usual(unreachable, self.url("impostor")), accounts.of_every_kind())
        self.callers = LocalCallers()
        self.function_key = secrets.token_urlsafe(32)
        self._identity_header = secrets.token_urlsafe(24)
        entries = catalogue.built_in(datetime.now(UTC))
        if options.orders:
            entries = catalogue.merge(entries, catalogue.from_directory(options.orders))
        self.entries = entries
        self._make_stand_ins()

    def _make_stand_ins(self) -> None:
        signers: dict[CloudName, Signer] = {cloud: Signer() for cloud in CLOUD_NAMES}
        home_key = signers["global"].public_key
        self.identity = Identity(
            signers,
            header=self._identity_header,
            client_id=guid("identity"),
            principal_id=guid("identity", "principal"),
            tenant_id=TENANT_ID,
        )
        self.entras = {
            cloud: Entra(cloud, signers[cloud], self._clients(cloud), [FUNCTION_APP] if cloud == "global" else [])
            for cloud in CLOUD_NAMES
        }
        writable = {
            account.refresh_token_name for account in self.accounts.values() if account.credential == "refreshToken"
        }
        authorization = f"{self.url('entra')}/{TENANT_ID}"
        self.key_vault = KeyVault(self.url("key_vault"), authorization, home_key, writable)
        for account in self.accounts.values():
            if account.name != "no-secret":
                for name, secret in account.stored().items():
                    self.key_vault.set(name, **secret)
        for name, value in self.callers.vault_secrets.items():
            self.key_vault.set(name, value)
        self.trust = trust(home_key)
        self.partner_center = PartnerCenter(
            tenants={account.tenant_id: account.tenant_kind for account in self.accounts.values()},
            public_key=home_key,
            audiences={CLOUDS["global"].audience},
            orders=self.entries,
            replay=self._options.replay,
            requests_per_minute=self._options.requests_per_minute,
        )
        self._partner_centers = {
            cloud: self.partner_center.front(signer.public_key, {CLOUDS[cloud].audience})
            for cloud, signer in signers.items()
        }
        clients = {name: client for entra in self.entras.values() for name, client in entra.clients.items()}
        self.control = Control(self.traffic, self.partner_center, clients, self.key_vault)

    def _clients(self, cloud: CloudName) -> dict[str, Client]:
        federation = self.identity.federation(cloud)
        found = {
            account.client_id: account.registration(federation)
            for account in self.accounts.values()
            if account.cloud == cloud
        }
        if expired := found.get(self.accounts["expired"].client_id):
            expired.secrets = [secrets.token_urlsafe(30)]  # another than Key Vault's
        return found | (self.callers.clients() if cloud == "global" else {})

    def url(self, name: str, cloud: CloudName = "global") -> str:
        scheme = "http" if name in {"identity", "control"} else "https"
        return f"{scheme}://{HOST}:{self._sockets[name, cloud].getsockname()[1]}"

    @property
    def function_url(self) -> str:
        return f"http://{HOST}:{self._host_socket.getsockname()[1]}/api/cancel_order"

    @property
    def ca_file(self) -> Path:
        return self._directory / "ca.pem"

    def settings(self, account: LocalAccount) -> Json:
        """Return *account* as the product's settings have it."""
        api_root, authority = self.url("partner_center", account.cloud), self.url("entra", account.cloud)
        return account.settings(api_root=api_root, authority=authority)

    @property
    def known_callers(self) -> Json:
        """What proves each caller, where the callers asked for are those of this cloud."""
        is_ours = self._options.callers and "CALLERS" not in os.environ
        return self.callers.described(self.url("entra")) if is_ours else {}

    def environment(self) -> dict[str, str]:
        """Return the settings that make a function use this cloud: the product's, the SDKs', OpenSSL's."""
        return {
            "KEY_VAULT_URL": self.url("key_vault"),
            "PARTNER_CENTER_ACCOUNTS": json.dumps(
                {name: self.settings(account) for name, account in self.accounts.items()}
            ),
            "AZURE_CLIENT_ID": guid("identity"),
            "IDENTITY_ENDPOINT": f"{self.url('identity')}/msi/token",
            "IDENTITY_HEADER": self._identity_header,
            "SSL_CERT_FILE": str(self.ca_file),
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            "NO_PROXY": HOST,
            "no_proxy": HOST,  # where both are set this one wins
            **({"WEBSITE_AUTH_ENABLED": "True"} if self._options.callers else {}),
            **({"CALLERS": json.dumps(self.callers.settings())} if self.known_callers else {}),
        }

    def describe(self) -> Json:
        """Return where everything is and what is in it, the local secrets too."""
        return {
            "functionUrl": self.function_url,
            "functionKey": self.function_key,
            "partnerCenterUrl": self.url("partner_center"),
            "entraUrl": self.url("entra"),
            "keyVaultUrl": self.url("key_vault"),
            "identityUrl": self.url("identity"),
            "controlUrl": self.url("control"),
            "clouds": {
                cloud: {"partnerCenterUrl": self.url("partner_center", cloud), "entraUrl": self.url("entra", cloud)}
                for cloud in CLOUD_NAMES
            },
            "caFile": str(self.ca_file),
            "accounts": {name: account.described() for name, account in self.accounts.items()},
            "callers": self.known_callers,
            "orders": [
                {
                    "customerTenantId": entry.customer_tenant_id,
                    "orderId": entry.order_id,
                    "kind": entry.kind,
                    "note": entry.note,
                }
                for entry in self.entries
            ],
            "environment": self.environment(),
        }

    @asynccontextmanager
    async def stand_ins(self) -> AsyncIterator[None]:
        """Serve everything but the function, whose socket is closed at the end too."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        certificate = self._directory / "server.pem"
        authority.issue_cert(HOST, "localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
        false_certificate = self._directory / "impostor.pem"
        trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(false_certificate)

        def serve(app: Starlette, name: Service, cloud: CloudName = "global") -> tuple[Server, socket.socket]:
            tls = str(certificate) if self.url(name, cloud).startswith("https") else None
            return server(Recorded(app, name, self.traffic), certificate=tls), self._sockets[name, cloud]

        servers = [
            (server(self.control.app), self._sockets["control", "global"]),
            (server(Starlette(), certificate=str(false_certificate)), self._sockets["impostor", "global"]),
            serve(self.key_vault.app, "key_vault"),
            serve(self.identity.app, "identity"),
            *(serve(entra.app, "entra", cloud) for cloud, entra in self.entras.items()),
            *(serve(front, "partner_center", cloud) for cloud, front in self._partner_centers.items()),
        ]
        tasks = [asyncio.create_task(one.serve(sockets=[listener])) for one, listener in servers]
        try:
            with self._host_socket:
                yield
        finally:
            self.traffic.clear_faults()  # else a request that is held would hold up the end
            for one, _ in servers:
                one.should_exit = True
            await asyncio.gather(*tasks)


@asynccontextmanager
async def running(options: Options, log_level: str = "INFO") -> AsyncIterator[tuple[Cloud, asyncio.subprocess.Process]]:
    """Run a local cloud, and end everything of it at the end. Yields it with the function's process.

    *log_level* is the least of the function's records that go to stderr.
    """
    with tempfile.TemporaryDirectory(prefix="local-cloud-") as directory:
        cloud = Cloud(options, Path(directory))
        environment = cloud.environment() | {
            "LOCAL_FUNCTION_KEY": cloud.function_key,
            "LOCAL_LOG_LEVEL": log_level,
            "LOCAL_AUTH": cloud.trust.model_dump_json(),
        }
        async with (
            cloud.stand_ins(),
            function_process(cloud._host_socket, cloud.function_url, environment) as process,  # noqa: SLF001
        ):
            yield cloud, process


def _listen(port: int = 0) -> socket.socket:
    listener = socket.create_server((HOST, port), backlog=1024)
    # Inherited by what it accepts; asyncio itself sets it only on sockets that it made, and
    # without it an answer in two writes waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
