"""The whole local cloud: every stand-in in this process, the function with its host in another.

Everything listens on loopback, on free ports, over TLS from a throw-away authority where the real
service does. The function's process gets its settings and the authority's certificate through the
environment, as in Azure; nothing in the product knows that it is not there.
"""

import asyncio
import json
import os
import secrets
import socket
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import trustme
from starlette.applications import Starlette
from starlette.types import ASGIApp

from infra.local import catalogue
from infra.local.control import Control
from infra.local.entra import Client, Entra, Signer
from infra.local.identity import Identity
from infra.local.key_vault import KeyVault
from infra.local.partner_center import PartnerCenter
from infra.local.wire import Recorded, Server, Service, Traffic, server

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60.0
STOP_LIMIT_S = 3.0
AUDIENCE = "https://api.partnercenter.microsoft.com"
LIMITED_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766"

SERVED = ("partner_center", "entra", "key_vault", "identity", "control", "impostor")

type TenantKind = Literal["sandbox", "production"]


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    port: int = 7071
    orders: Path | None = None
    latency_ms: float = 0
    requests_per_minute: int = 0
    replay: bool = True


@dataclass(frozen=True)
class LocalAccount:
    """An account of the local cloud. *extra* are settings of it beyond the usual ones."""

    tenant_kind: TenantKind
    mode: str
    note: str
    extra: Mapping[str, Any]


def _accounts(unreachable: str, impostor: str) -> dict[str, LocalAccount]:
    no_name = "https://no-such-host.invalid"
    return {
        "default": LocalAccount("sandbox", "live", "a sandbox", {}),
        "production": LocalAccount("production", "live", "production: fewer orders can be cancelled", {}),
        "rehearsal": LocalAccount("sandbox", "dry_run", "every request is treated as a dry run", {}),
        "closed": LocalAccount("sandbox", "off", "switched off: 403 account_off", {}),
        "limited": LocalAccount("sandbox", "live", "one customer only", {"customers": [LIMITED_CUSTOMER]}),
        "expired": LocalAccount("sandbox", "live", "Entra refuses its secret: 502 credentials_rejected", {}),
        "no-secret": LocalAccount("sandbox", "live", "its secret is not in Key Vault: 500 misconfigured", {}),
        "unreachable": LocalAccount(
            "sandbox", "live", "nothing listens: 503 partner_center_unavailable", {"apiRoot": unreachable}
        ),
        "no-name": LocalAccount("sandbox", "live", "Partner Center's name is not found", {"apiRoot": no_name}),
        "impostor": LocalAccount("sandbox", "live", "Partner Center's certificate is false", {"apiRoot": impostor}),
        "entra-unreachable": LocalAccount(
            "sandbox", "live", "Entra ID is not there: 503 credentials_unavailable", {"authority": unreachable}
        ),
        "entra-no-name": LocalAccount("sandbox", "live", "Entra ID's name is not found", {"authority": no_name}),
        "entra-impostor": LocalAccount("sandbox", "live", "Entra ID's certificate is false", {"authority": impostor}),
    }


def _guid(*parts: str) -> str:
    """Return the same GUID for the same *parts*, over restarts too."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(("local", *parts))))


class Cloud:
    """Everything, started; `async with running(options) as cloud`."""

    def __init__(self, options: Options, directory: Path) -> None:
        self._options = options
        self._directory = directory
        self._sockets = {name: _listen() for name in SERVED}
        self._host_socket = _listen(options.port)
        self._closed = socket.create_server((HOST, 0))  # closed below, so that nothing answers there
        unreachable = f"https://{HOST}:{self._closed.getsockname()[1]}"
        self._closed.close()

        self.traffic = Traffic()
        self.traffic.latency_s["partner_center"] = options.latency_ms / 1000
        self.accounts = _accounts(unreachable, self.url("impostor"))
        self.function_key = secrets.token_urlsafe(32)
        self._identity_header = secrets.token_urlsafe(24)
        self._secrets = {name: secrets.token_urlsafe(30) for name in self.accounts}
        self._home_tenant = _guid("home")
        entries = catalogue.built_in(datetime.now(UTC))
        if options.orders:
            entries = catalogue.merge(entries, catalogue.from_directory(options.orders))
        self.entries = entries
        self._make_stand_ins()

    def _make_stand_ins(self) -> None:
        signer = Signer()
        clients = {self.client_id(name): Client(self.tenant_id(name), self._secrets[name]) for name in self.accounts}
        clients[self.client_id("expired")].secret = secrets.token_urlsafe(30)  # another than Key Vault's
        self.entra = Entra(signer, clients, {AUDIENCE})
        self.key_vault = KeyVault(self.url("key_vault"), f"{self.url('entra')}/{self._home_tenant}", signer.public_key)
        for name, value in self._secrets.items():
            if name != "no-secret":
                self.key_vault.set(self.secret_name(name), value)
        self.identity = Identity(
            signer, header=self._identity_header, client_id=_guid("identity"), tenant_id=self._home_tenant
        )
        self.partner_center = PartnerCenter(
            tenants={self.tenant_id(name): account.tenant_kind for name, account in self.accounts.items()},
            public_key=signer.public_key,
            audiences={AUDIENCE},
            orders=self.entries,
            replay=self._options.replay,
            requests_per_minute=self._options.requests_per_minute,
        )
        self.control = Control(self.traffic, self.partner_center, self.entra, self.key_vault)

    def tenant_id(self, account: str) -> str:
        return _guid(account, "tenant")

    def client_id(self, account: str) -> str:
        return _guid(account, "client")

    def secret_name(self, account: str) -> str:
        return f"partner-center-{account}"

    def url(self, name: str) -> str:
        scheme = "http" if name in {"identity", "control"} else "https"
        return f"{scheme}://{HOST}:{self._sockets[name].getsockname()[1]}"

    @property
    def function_url(self) -> str:
        return f"http://{HOST}:{self._host_socket.getsockname()[1]}/api/cancel_order"

    @property
    def ca_file(self) -> Path:
        return self._directory / "ca.pem"

    def environment(self) -> dict[str, str]:
        """Return the settings that make a function use this cloud: the product's, the SDKs', OpenSSL's."""
        accounts = {
            name: {
                "cloud": "global",
                "tenantId": self.tenant_id(name),
                "clientId": self.client_id(name),
                "clientSecret": self.secret_name(name),
                "mode": account.mode,
                "apiRoot": self.url("partner_center"),
                "authority": self.url("entra"),
                **account.extra,
            }
            for name, account in self.accounts.items()
        }
        return {
            "KEY_VAULT_URL": self.url("key_vault"),
            "PARTNER_CENTER_ACCOUNTS": json.dumps(accounts),
            "AZURE_CLIENT_ID": _guid("identity"),
            "IDENTITY_ENDPOINT": f"{self.url('identity')}/msi/token",
            "IDENTITY_HEADER": self._identity_header,
            "SSL_CERT_FILE": str(self.ca_file),
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            "NO_PROXY": HOST,
            "no_proxy": HOST,  # where both are set this one wins
        }

    def describe(self) -> dict[str, Any]:
        """Return where everything is and what is in it, the local secrets too."""
        return {
            "functionUrl": self.function_url,
            "functionKey": self.function_key,
            "partnerCenterUrl": self.url("partner_center"),
            "entraUrl": self.url("entra"),
            "keyVaultUrl": self.url("key_vault"),
            "identityUrl": self.url("identity"),
            "controlUrl": self.url("control"),
            "caFile": str(self.ca_file),
            "accounts": {
                name: {
                    "cloud": "global",
                    "tenantId": self.tenant_id(name),
                    "clientId": self.client_id(name),
                    "credential": "clientSecret",
                    "clientSecret": self._secrets[name],
                    "secretName": self.secret_name(name),
                    "tenantKind": account.tenant_kind,
                    "mode": account.mode,
                    "note": account.note,
                }
                for name, account in self.accounts.items()
            },
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

    async def _start(self, stack: AsyncExitStack) -> asyncio.subprocess.Process:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        certificate = self._directory / "server.pem"
        authority.issue_cert(HOST, "localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
        stand_ins: dict[Service, ASGIApp] = {
            "partner_center": self.partner_center.app,
            "entra": self.entra.app,
            "key_vault": self.key_vault.app,
            "identity": self.identity.app,
        }
        false_certificate = self._directory / "impostor.pem"
        trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(false_certificate)
        servers = [
            (server(self.control.app), self._sockets["control"]),
            (server(Starlette(), certificate=str(false_certificate)), self._sockets["impostor"]),
        ]
        for name, app in stand_ins.items():
            tls = str(certificate) if self.url(name).startswith("https") else None
            servers.append((server(Recorded(app, name, self.traffic), certificate=tls), self._sockets[name]))
        await stack.enter_async_context(_serving(servers))
        stack.callback(self.traffic.clear_faults)  # else a request that is held would hold up the end
        return await stack.enter_async_context(self._function_process())

    @asynccontextmanager
    async def _function_process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        fd = self._host_socket.fileno()
        command = ["-m", "infra.local.functions_host", "--app-root", str(ROOT), "--fd", str(fd)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=ROOT,
            env={**os.environ, **self.environment(), "LOCAL_FUNCTION_KEY": self.function_key},
            stdin=asyncio.subprocess.PIPE,  # its end tells the process that this one is gone
            pass_fds=[fd],
        )
        try:
            await _wait_until_up(process, self.function_url)
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(STOP_LIMIT_S):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[tuple[Cloud, asyncio.subprocess.Process]]:
    """Run a local cloud, and end everything of it at the end. Yields it with the function's process."""
    with tempfile.TemporaryDirectory(prefix="local-cloud-") as directory:
        cloud = Cloud(options, Path(directory))
        async with AsyncExitStack() as stack:
            yield cloud, await cloud._start(stack)  # noqa: SLF001  (the other half of this class)


@asynccontextmanager
async def _serving(servers: list[tuple[Server, socket.socket]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.serve(sockets=[listener])) for one, listener in servers]
    try:
        yield
    finally:
        for one, _ in servers:
            one.should_exit = True
        await asyncio.gather(*tasks)


async def _wait_until_up(process: asyncio.subprocess.Process, function_url: str) -> None:
    root = function_url.removesuffix("/api/cancel_order")
    async with asyncio.timeout(START_LIMIT_S), httpx.AsyncClient(trust_env=False) as client:
        while process.returncode is None:
            try:
                if (await client.get(f"{root}/admin/host/ping")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)
    raise RuntimeError(f"the Functions host ended with status {process.returncode} while it started")


def _listen(port: int = 0) -> socket.socket:
    listener = socket.create_server((HOST, port), backlog=1024)
    # Inherited by what it accepts; asyncio itself sets it only on sockets that it made, and
    # without it an answer in two writes waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
