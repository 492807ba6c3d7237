"""The whole local cloud: every stand-in in this process, the function and its host in another process.

All servers listen on loopback, on free ports. They use TLS where the real service does, with certificates of an
authority that is made at each start. Entra and Partner Center are served once for each national cloud. The
function's process gets its settings and the authority's certificate through the environment, as in Azure;
nothing in the product knows that the cloud is local.
"""

import asyncio
import contextlib
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

from infra.local.accounts import LocalAccount, by_name, credential_accounts, demonstration_accounts, stable_guid
from infra.local.callers import FUNCTION_APP, TENANT_ID, LocalCallers, trusted_issuer
from infra.local.console.routes import Console
from infra.local.control import ControlInterface
from infra.local.entra.managed_identity import ManagedIdentity
from infra.local.entra.registrations import AppRegistration
from infra.local.entra.server import Entra
from infra.local.entra.signing import Signer
from infra.local.faults import Service
from infra.local.functions.process import ADDRESS, BACKLOG, FunctionApp, bound_socket, real_host
from infra.local.key_vault import KeyVault
from infra.local.national_clouds import CLOUD_FACTS, NATIONAL_CLOUDS, NationalCloud
from infra.local.partner_center import files
from infra.local.partner_center.catalogue import built_in_orders
from infra.local.partner_center.customers import customers_of
from infra.local.partner_center.server import PartnerCenter
from infra.local.partner_center.subscription_catalogue import built_in_subscriptions
from infra.local.serving import Server, server_for
from infra.local.storage_queue import StorageQueue
from infra.local.ticket_control import TicketControl
from infra.local.tickets.systems import SYSTEMS, TicketingSystems
from infra.local.traffic import Recorded, Traffic
from infra.local.values import Json

SERVED_ONCE = ("key_vault", "identity", "queue", "control", "impostor", *SYSTEMS)
SERVED_PER_NATIONAL_CLOUD = ("partner_center", "entra")
HIGHEST_PORT = 65_535


@dataclass(frozen=True)
class Options:
    """The options of the command line.

    Attributes:
        port: of the Functions host; 0 picks a free one.
        orders: a folder with more orders.
        subscriptions: a folder with more subscriptions.
        latency_ms: Partner Center answers this much later.
        requests_per_minute: Partner Center throttles beyond it, per partner tenant; 0 means no limit.
        replay: whether Partner Center repeats its answer to a repeated MS-RequestId.
        callers: whether each caller of the function must prove itself.
    """

    port: int = 7071
    orders: Path | None = None
    subscriptions: Path | None = None
    latency_ms: float = 0
    requests_per_minute: int = 0
    replay: bool = True
    callers: bool = False


class LocalCloud:
    """The stand-ins, their addresses and their contents. Use `async with running(options)` to start everything.

    *directory* takes the certificates.
    """

    def __init__(self, options: Options, directory: Path) -> None:
        self._options = options
        self._directory = directory
        self._sockets = {
            (name, "global"): _listen_beside(options.port) if name == "control" else _listen() for name in SERVED_ONCE
        }
        self._sockets |= {
            (name, national_cloud): _listen()
            for name in SERVED_PER_NATIONAL_CLOUD
            for national_cloud in NATIONAL_CLOUDS
        }
        self.has_authentication = options.callers and real_host(os.environ) is None
        self._host_socket = bound_socket(options.port)
        with socket.create_server((ADDRESS, 0)) as closed:  # nothing answers at this address afterwards
            unreachable_url = f"https://{ADDRESS}:{closed.getsockname()[1]}"

        self.traffic = Traffic()
        self.traffic.latency_s["partner_center"] = options.latency_ms / 1000
        self.accounts = by_name(demonstration_accounts(unreachable_url, self.url("impostor")), credential_accounts())
        self.ticketing = TicketingSystems({system: self.url(system) for system in SYSTEMS})
        self.callers = LocalCallers(self.ticketing)
        # In hex digits: it is an argument of the program that starts the real host, and must not look like an option.
        self.function_key = secrets.token_hex(32)
        self._identity_header = secrets.token_urlsafe(24)
        self._load_catalogue()
        self._make_stand_ins()

    def _load_catalogue(self) -> None:
        now, options = datetime.now(UTC), self._options
        self.subscriptions = built_in_subscriptions(now)
        if options.subscriptions:
            self.subscriptions = files.merge_subscriptions(
                self.subscriptions, files.load_subscriptions(options.subscriptions)
            )
        self.orders = built_in_orders(now)
        if options.orders:
            loaded = files.with_kinds(files.load_orders(options.orders), self.subscriptions)
            self.orders = files.merge(self.orders, loaded)
        self.customers = customers_of(self.orders, self.subscriptions)

    def _make_stand_ins(self) -> None:
        signers: dict[NationalCloud, Signer] = {national_cloud: Signer() for national_cloud in NATIONAL_CLOUDS}
        public_key = signers["global"].public_key
        self.identity = ManagedIdentity(
            signers,
            secret_header=self._identity_header,
            client_id=stable_guid("identity"),
            principal_id=stable_guid("identity", "principal"),
            tenant_id=TENANT_ID,
        )
        self.entras = {
            national_cloud: Entra(
                national_cloud,
                signer,
                self._registrations(national_cloud),
                [FUNCTION_APP] if national_cloud == "global" else [],
                {customer.domain: customer.tenant_id for customer in self.customers},
            )
            for national_cloud, signer in signers.items()
        }
        self.key_vault = self._make_key_vault(signers["global"])
        self.trusted_issuer = trusted_issuer(public_key)
        self.storage_queue = StorageQueue(
            self.url("queue"),
            public_key=public_key,
            issuer=CLOUD_FACTS["global"].issuer.format(tenant=TENANT_ID),
            authority=f"{self.url('entra')}/{TENANT_ID}",
        )
        self.partner_center = PartnerCenter(
            tenants={account.tenant_id: account.tenant_kind for account in self.accounts.values()},
            public_key=public_key,
            audiences={CLOUD_FACTS["global"].audience},
            orders=self.orders,
            subscriptions=self.subscriptions,
            replay=self._options.replay,
            requests_per_minute=self._options.requests_per_minute,
        )
        self.traffic.put_subscription = self.partner_center.subscriptions.put
        self._partner_center_apps = {
            national_cloud: self.partner_center.app_for(signer.public_key, {CLOUD_FACTS[national_cloud].audience})
            for national_cloud, signer in signers.items()
        }
        registrations = {
            client_id: app for entra in self.entras.values() for client_id, app in entra.registrations.items()
        }
        self.ticket_control = TicketControl(self.ticketing, self.storage_queue)
        self.console = Console(self.describe)
        self.traffic.publish = self.console.events.publish
        self.traffic.kill = self.ticket_control.kill
        self.control = ControlInterface(
            traffic=self.traffic,
            partner_center=self.partner_center,
            registrations=registrations,
            key_vault=self.key_vault,
            tickets=self.ticket_control,
            console=self.console,
        )

    def _registrations(self, national_cloud: NationalCloud) -> dict[str, AppRegistration]:
        federated_credential = self.identity.federated_credential(national_cloud)
        registrations = {
            account.client_id: account.registration(federated_credential)
            for account in self.accounts.values()
            if account.national_cloud == national_cloud
        }
        if expired := registrations.get(self.accounts["expired"].client_id):
            expired.secrets = [secrets.token_urlsafe(30)]  # not the secret in Key Vault
        return registrations | (self.callers.registrations() if national_cloud == "global" else {})

    def _make_key_vault(self, signer: Signer) -> KeyVault:
        writable = {
            account.refresh_token_name for account in self.accounts.values() if account.credential == "refreshToken"
        }
        authorization = f"{self.url('entra')}/{TENANT_ID}"
        key_vault = KeyVault(self.url("key_vault"), authorization, signer.public_key, writable)
        for account in self.accounts.values():
            if account.name != "no-secret":
                for name, secret in account.vault_secrets().items():
                    key_vault.set_secret(name, **secret)
        for name, value in (self.callers.vault_secrets | self.ticketing.vault_secrets).items():
            key_vault.set_secret(name, value)
        return key_vault

    def url(self, name: str, national_cloud: NationalCloud = "global") -> str:
        """Return the address of a stand-in, of the control interface or of the impostor."""
        scheme = "http" if name in {"identity", "control"} else "https"
        return f"{scheme}://{ADDRESS}:{self._sockets[name, national_cloud].getsockname()[1]}"

    @property
    def function_url(self) -> str:
        return f"http://{ADDRESS}:{self._host_socket.getsockname()[1]}/api/cancel_order"

    @property
    def ca_file(self) -> Path:
        return self._directory / "ca.pem"

    @property
    def known_callers(self) -> Json:
        """The secrets of each caller; empty if the function's CALLERS are not those of this local cloud."""
        is_ours = self._options.callers and "CALLERS" not in os.environ
        return self.callers.describe(self.url("entra")) if is_ours else {}

    def settings(self, account: LocalAccount) -> Json:
        """Return the entry of *account* in PARTNER_CENTER_ACCOUNTS."""
        api_root = self.url("partner_center", account.national_cloud)
        return account.settings(api_root=api_root, authority=self.url("entra", account.national_cloud))

    def environment(self) -> dict[str, str]:
        """Return the settings that make a function use this cloud: the product's, the SDKs', OpenSSL's."""
        return {
            "KEY_VAULT_URL": self.url("key_vault"),
            "PARTNER_CENTER_ACCOUNTS": json.dumps(
                {name: self.settings(account) for name, account in self.accounts.items()}
            ),
            "AZURE_CLIENT_ID": stable_guid("identity"),
            "IDENTITY_ENDPOINT": f"{self.url('identity')}/msi/token",
            "IDENTITY_HEADER": self._identity_header,
            "SSL_CERT_FILE": str(self.ca_file),
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            "NO_PROXY": ADDRESS,
            "no_proxy": ADDRESS,  # if both are set, this one wins
            **({"WEBSITE_AUTH_ENABLED": "True"} if self.has_authentication else {}),
            **(self._caller_settings() if self.known_callers else {"AzureWebJobs.tell_ticket.Disabled": "true"}),
        }

    def _caller_settings(self) -> dict[str, str]:
        """Return the callers, and the queue from which their tickets are told."""
        return {
            "CALLERS": json.dumps(self.callers.settings()),
            "AzureWebJobsStorage__queueServiceUri": self.storage_queue.url,
        }

    def describe(self) -> Json:
        """Return the content of `--describe`: every address and everything in the stand-ins, with the local secrets."""
        return {
            "functionUrl": self.function_url,
            "functionKey": self.function_key,
            "partnerCenterUrl": self.url("partner_center"),
            "entraUrl": self.url("entra"),
            "keyVaultUrl": self.url("key_vault"),
            "identityUrl": self.url("identity"),
            "queueUrl": self.storage_queue.url,
            "controlUrl": self.url("control"),
            "ticketing": {system: self.url(system) for system in SYSTEMS},
            "clouds": {
                national_cloud: {
                    "partnerCenterUrl": self.url("partner_center", national_cloud),
                    "entraUrl": self.url("entra", national_cloud),
                }
                for national_cloud in NATIONAL_CLOUDS
            },
            "caFile": str(self.ca_file),
            "accounts": {name: account.describe() for name, account in self.accounts.items()},
            "callers": self.known_callers,
            "customers": [
                {"customerTenantId": customer.tenant_id, "domain": customer.domain, "name": customer.name}
                for customer in self.customers
            ],
            "orders": [
                {
                    "customerTenantId": entry.customer_tenant_id,
                    "orderId": entry.order_id,
                    "kind": entry.kind,
                    "note": entry.note,
                }
                for entry in self.orders
            ],
            "subscriptions": [
                {
                    "customerTenantId": entry.customer_tenant_id,
                    "subscriptionId": entry.subscription_id,
                    "orderId": entry.order_id,
                    "kind": entry.kind,
                    "note": entry.note,
                }
                for entry in self.subscriptions
            ],
            "environment": self.environment(),
        }

    @asynccontextmanager
    async def stand_ins(self) -> AsyncIterator[None]:
        """Serve everything except the function, and close the function's socket at the end too."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        certificate = self._directory / "server.pem"
        authority.issue_cert(ADDRESS, "localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
        untrusted_certificate = self._directory / "impostor.pem"
        trustme.CA().issue_cert(ADDRESS).private_key_and_cert_chain_pem.write_to_path(untrusted_certificate)

        def recorded(
            app: Starlette, service: Service, national_cloud: NationalCloud = "global", name: str | None = None
        ) -> tuple[Server, socket.socket]:
            name = name or service
            is_tls = self.url(name, national_cloud).startswith("https")
            server = server_for(Recorded(app, service, self.traffic), certificate=str(certificate) if is_tls else None)
            return server, self._sockets[name, national_cloud]

        servers = [
            (server_for(self.control.app), self._sockets["control", "global"]),
            (server_for(Starlette(), certificate=str(untrusted_certificate)), self._sockets["impostor", "global"]),
            recorded(self.key_vault.app, "key_vault"),
            recorded(self.identity.app, "identity"),
            *(recorded(system.app, "ticketing", name=name) for name, system in self.ticketing.systems.items()),
            recorded(self.storage_queue.app, "queue"),
            *(recorded(entra.app, "entra", national_cloud) for national_cloud, entra in self.entras.items()),
            *(
                recorded(app, "partner_center", national_cloud)
                for national_cloud, app in self._partner_center_apps.items()
            ),
        ]
        tasks = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
        try:
            with self._host_socket:
                yield
        finally:
            self.traffic.clear_faults()  # a request that a fault delays would delay the end too
            self.console.events.close()
            for server, _ in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)


@asynccontextmanager
async def running(options: Options, log_level: str = "INFO") -> AsyncIterator[tuple[LocalCloud, FunctionApp]]:
    """Start a local cloud, yield it with the function's process, and end all of it.

    The function's log records from *log_level* on go to stderr.
    """
    with tempfile.TemporaryDirectory(prefix="local-cloud-") as directory:
        cloud = LocalCloud(options, Path(directory))
        function = FunctionApp(
            cloud._host_socket,  # noqa: SLF001
            cloud.function_key,
            cloud.environment(),
            log_level=log_level,
            trusted_issuer=cloud.trusted_issuer.model_dump_json(),
            take_record=cloud.console.take_record,
        )
        async with cloud.stand_ins(), function:
            cloud.ticket_control.function = function
            try:
                yield cloud, function
            finally:
                await cloud.traffic.end_kills()


def _listen(port: int = 0) -> socket.socket:
    listener = bound_socket(port)
    listener.listen(BACKLOG)
    return listener


def _listen_beside(port: int) -> socket.socket:
    """Listen at the port after *port*, so that the page keeps its address over restarts, or at a free one."""
    if 0 < port < HIGHEST_PORT:
        with contextlib.suppress(OSError):
            return _listen(port + 1)
    return _listen()
