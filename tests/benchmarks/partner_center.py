"""The other end of every comparison: the local cloud, over TLS, in processes of its own.

Partner Center answers every PATCH at once with the same order, cancelled, and every GET with it as it
was before. The stand-in's own rules would refuse a second PATCH of an order, and checking the token
costs it time on each call, equally for both sides, which would make ours look nearer to the other
than it is. What a client does on the wire is the same: TLS, the headers with a token of Entra's, a
body up, an order of two lines down. It answers over 3,000 such calls a second, ten times what 16 in
flight at 80 ms ask for.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import httpx

from tests.support.local_cloud import LocalCloud, running

CUSTOMER, ORDER = "45411344-b09d-47e7-9653-542006bf9766", "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
FOREVER = 10**9  # times that a fault is used
DESCRIPTION = "BENCHMARK_CLOUD"  # names the description's file for the processes that measure


@dataclass(frozen=True)
class OtherEnd:
    """The local cloud as a process that measures sees it, from its description."""

    description: dict[str, Any]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "OtherEnd":
        return cls(json.loads(Path(environ[DESCRIPTION]).read_text()))

    @property
    def order_url(self) -> str:
        return f"{self.description['partnerCenterUrl']}/v1/customers/{CUSTOMER}/orders/{ORDER}"

    @property
    def order(self) -> dict[str, Any]:
        """The order before it was cancelled."""
        order: dict[str, Any] = self._control("GET", f"orders/{ORDER}").json()
        return order

    @property
    def cancelled(self) -> bytes:
        return json.dumps(self.order | {"status": "cancelled"}).encode()

    def bearer(self) -> str:
        """Return a token of Entra's for Partner Center, had in the plainest way."""
        account = self.description["accounts"]["default"]
        answer = httpx.post(
            f"{self.description['entraUrl']}/{account['tenantId']}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": account["clientId"],
                "client_secret": account["clientSecret"],
                "scope": "https://api.partnercenter.microsoft.com/.default",
            },
        )
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    def answer(self, latency_ms: float) -> None:
        """Let Partner Center answer from now on, *latency_ms* after a request has arrived."""
        self._control("DELETE", "faults")
        for method, order in ("PATCH", self.cancelled.decode()), ("GET", json.dumps(self.order)):
            self._fault(
                method=method,
                times=FOREVER,
                status=200,
                headers={"content-type": "application/json; charset=utf-8"},
                body=order,
                delay_s=latency_ms / 1000,
            )

    def throttle(self, retry_after_s: int) -> None:
        """Let Partner Center refuse every PATCH from now on."""
        self._control("DELETE", "faults")
        self._fault(method="PATCH", times=FOREVER, status=429, headers={"retry-after": str(retry_after_s)})

    def requests(self) -> list[dict[str, Any]]:
        """Return what has arrived since `forget`."""
        found: list[dict[str, Any]] = self._control("GET", "requests").json()
        return found

    def forget(self) -> None:
        self._control("DELETE", "requests")

    def _fault(self, **fault: object) -> None:
        self._control("POST", "faults", {"service": "partner_center"} | fault)

    def _control(self, method: str, path: str, body: object = None) -> httpx.Response:
        url = f"{self.description['controlUrl']}/{path}"
        return httpx.request(method, url, json=body, timeout=30, trust_env=False).raise_for_status()


@contextmanager
def standing() -> Iterator[dict[str, str]]:
    """Stand up the local cloud and yield the environment of a process that is to use it."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        directory = Path(name)
        with running(directory) as cloud:
            yield _environment(cloud, directory)


def _environment(cloud: LocalCloud, directory: Path) -> dict[str, str]:
    authorities = directory / "authorities.pem"
    # As many as in Azure, where certifi's are used: loading them is some of a cold start.
    authorities.write_text(Path(certifi.where()).read_text() + Path(cloud.description["caFile"]).read_text())
    given: dict[str, str] = cloud.description["environment"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return (
        inherited
        | given
        | {
            DESCRIPTION: str(directory / "cloud.json"),
            # The one account, as deployed; the local cloud's other twenty would be read on each cold start.
            "PARTNER_CENTER_ACCOUNTS": json.dumps({"default": json.loads(given["PARTNER_CENTER_ACCOUNTS"])["default"]}),
            "SSL_CERT_FILE": str(authorities),
            "REQUESTS_CA_BUNDLE": str(authorities),
        }
    )
