"""A local cloud in processes of its own, and its control interface, for tests."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 90
# An idle machine needs less than 5. The real Functions host waits 10 for a call that is under way, and has 15 in all.
# Tests run on busy machines.
STOP_LIMIT_S = 60

# Threads share a client. A pool with limits closes idle connections, beyond 20 or after 5 s, and may close one that
# another thread has just taken; that thread then waits for ever on a closed socket (httpcore 1.0.9, seen).
KEEP_ALL = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=120)

type Json = dict[str, Any]


class LocalCloud:
    """A running local cloud: its description (`--describe`), its function, its control interface."""

    def __init__(self, description: Json, log: Path) -> None:
        self.description = description
        self.log = log
        self.http = httpx.Client(trust_env=False, timeout=60, limits=KEEP_ALL)

    def post(self, body: object, **headers: str) -> httpx.Response:
        """Send *body* (bytes unchanged, everything else as JSON) to the function, with the function key."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json", "x-functions-key": self.description["functionKey"]}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(self.description["functionUrl"], content=content, headers=given)

    @property
    def find_url(self) -> str:
        """The address of the function find_orders."""
        return str(self.description["functionUrl"]).replace("cancel_order", "find_orders")

    def find(self, query: Mapping[str, str], **headers: str) -> httpx.Response:
        """Ask the function for a customer's orders, with the function key."""
        given = {"x-functions-key": self.description["functionKey"]}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.get(self.find_url, params=dict(query), headers=given)

    def requests(self, service: str | None = None, method: str | None = None, path: str = "") -> list[Json]:
        """Return the requests since the last `forget`: to *service*, with *method*, with *path* in their path."""
        found: list[Json] = self.http.get(f"{self.description['controlUrl']}/requests").json()
        return [
            request
            for request in found
            if service in {None, request["service"]} and method in {None, request["method"]} and path in request["path"]
        ]

    def methods(self, service: str = "partner_center") -> list[str]:
        """Return the methods of the requests that arrived at *service*, in their order."""
        return [request["method"] for request in self.requests(service)]

    def traffic(self) -> list[str]:
        """Return the requests that arrived, in their order, as `service METHOD status`."""
        return [f"{request['service']} {request['method']} {request['status']}" for request in self.requests()]

    def forget(self) -> None:
        """Forget the requests that arrived and the faults that are still to come."""
        self.forget_requests()
        self.clear_faults()

    def forget_requests(self) -> None:
        self.http.delete(f"{self.description['controlUrl']}/requests").raise_for_status()

    def clear_faults(self) -> None:
        """Drop the faults that are still to come; requests that a fault delays go on at once."""
        self.http.delete(f"{self.description['controlUrl']}/faults").raise_for_status()

    def fault(self, **fault: object) -> None:
        """Ask for a fault of Partner Center, or of another *service*."""
        answer = self.http.post(f"{self.description['controlUrl']}/faults", json={"service": "partner_center"} | fault)
        answer.raise_for_status()

    def put(self, path: str, body: Json) -> None:
        self.http.put(f"{self.description['controlUrl']}/{path}", json=body).raise_for_status()

    def change_app(self, account: str, **changes: object) -> None:
        """Change the app registration of *account* at Entra ID: its secrets, its tokens' lifetime, its trouble."""
        self.put(f"clients/{self.description['accounts'][account]['clientId']}", changes)

    def store_secret(self, name: str, value: str, **more: object) -> None:
        """Store a new version of a secret in Key Vault; *more* are its attributes, tags, contentType."""
        self.put(f"secrets/{name}", {"value": value} | more)

    def set_client_secret(self, account: str, *, at_entra: str, in_key_vault: str) -> None:
        """Set the client secret of *account*, as Entra ID accepts it and as Key Vault holds it."""
        self.change_app(account, secret=at_entra)
        self.store_secret(self.description["accounts"][account]["secretName"], in_key_vault)

    def repair(self, account: str) -> None:
        """Make *account* work: Entra ID and Key Vault get the client secret of the description."""
        secret = self.description["accounts"][account]["clientSecret"]
        self.set_client_secret(account, at_entra=secret, in_key_vault=secret)

    def secret_versions(self, name: str) -> list[Json]:
        """Return the versions of a secret in Key Vault, the newest last."""
        found: list[Json] = self.http.get(f"{self.description['controlUrl']}/secrets/{name}").json()
        return found

    def new_certificate(self) -> dict[str, str]:
        """Return a new certificate with its key, as `pem` and as `pfx`."""
        found: dict[str, str] = self.http.post(f"{self.description['controlUrl']}/certificates").json()
        return found

    def order(self, order_id: str) -> Json:
        """Return the order as Partner Center has it now."""
        found: Json = self.http.get(f"{self.description['controlUrl']}/orders/{order_id}").json()
        return found

    def subscription(self, subscription_id: str) -> Json:
        """Return the subscription as Partner Center has it now."""
        found: Json = self.http.get(f"{self.description['controlUrl']}/subscriptions/{subscription_id}").json()
        return found

    def age(self, path: str, days: int) -> Json:
        """Make `orders/ID` or `subscriptions/ID` so many days older and return it."""
        answer = self.http.post(f"{self.description['controlUrl']}/{path}/age", json={"days": days})
        answer.raise_for_status()
        found: Json = answer.json()
        return found


def order_id_of(name: str) -> str:
    """Return an id for an order of software *name*, as long as real ids: the function tries such an order first."""
    return f"{name}-".ljust(32, "0") + "1"


def domain_of(cloud: LocalCloud, tenant_id: str) -> str:
    """Return the domain of a customer of the local cloud."""
    customers = {str(entry["customerTenantId"]): str(entry["domain"]) for entry in cloud.description["customers"]}
    return customers[tenant_id]


def software_order(order_id: str, customer: str, lines: int = 1, **more: object) -> Json:
    """Return an order in the form of Partner Center, with *lines* lines of software."""
    return {
        "id": order_id,
        "alternateId": order_id[:6] + "000000",
        "referenceCustomerId": customer,
        "billingCycle": "one_time",
        "currencyCode": "USD",
        "lineItems": [
            {
                "lineItemNumber": number,
                "offerId": f"DG7GMGF0FKZV:0003:DG7GMGF0DW{number:02}",
                "friendlyName": f"Software {number}",
                "quantity": 1,
                "termDuration": "P3Y",
            }
            for number in range(lines)
        ],
        "creationDate": "2026-11-19T17:33:56.1306495Z",
        "status": "completed",
    } | more


def write_orders(directory: Path, orders: Iterable[Json]) -> str:
    """Write each of *orders* into a file in *directory*, and return the directory for the option `--orders`."""
    directory.mkdir(parents=True, exist_ok=True)
    for order in orders:
        (directory / f"{order['id']}.json").write_text(json.dumps(order))
    return str(directory)


@contextmanager
def running(directory: Path, *options: str, **environment: str) -> Iterator[LocalCloud]:
    """Run `python -m infra.local` with *options*; *environment* is added to its environment."""
    description, log = directory / "cloud.json", directory / "cloud.log"
    command = [sys.executable, "-m", "infra.local", "--port", "0", "--describe", str(description), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output
        )
        try:
            deadline = time.monotonic() + START_LIMIT_S
            while not description.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the local cloud did not start:\n{log.read_text()}")
                time.sleep(0.02)
            cloud = LocalCloud(json.loads(description.read_text()), log)
            with cloud.http:
                yield cloud
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
