"""Runs the local cloud for the benchmarks, and controls how its Partner Center answers.

It runs over TLS in processes of its own. Partner Center answers every PATCH with the same cancelled order, and every
GET with the order before that; it does the same for licences. The stand-in's own rules would refuse a second PATCH.
They would also check the token, which takes the same time for every client and would make the ratio between two clients
smaller than it is.

A client does the same on the wire as with the rules: TLS, headers with a token from Entra, a body, an answer with an
order of two lines. The stand-in answers over 3,000 such calls a second, ten times as many as 16 calls in flight make
at 80 ms.
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

from tests.support.licences import LicenceOrder
from tests.support.local_cloud import LocalCloud, running

CUSTOMER, ORDER = "45411344-b09d-47e7-9653-542006bf9766", "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
FOREVER = 10**9  # the number of times that the stand-in uses a fault
TERM_END_CALLS = 120  # more than the clients make
DESCRIPTION = "BENCHMARK_CLOUD"  # environment variable with the path of the local cloud's description


@dataclass(frozen=True)
class PartnerCenter:
    """Controls the local cloud from a measuring process."""

    description: dict[str, Any]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "PartnerCenter":
        return cls(json.loads(Path(environ[DESCRIPTION]).read_text()))

    @property
    def order_url(self) -> str:
        return f"{self.description['partnerCenterUrl']}/v1/customers/{CUSTOMER}/orders/{ORDER}"

    @property
    def order(self) -> dict[str, Any]:
        """The order before its cancellation."""
        order: dict[str, Any] = self._control("GET", f"orders/{ORDER}").json()
        return order

    @property
    def cancelled_order(self) -> bytes:
        order = self.order
        lines = [line | {"quantity": 0} for line in order["lineItems"]]
        return json.dumps(order | {"status": "cancelled", "lineItems": lines}).encode()

    def bearer(self) -> str:
        """Return a token for Partner Center, from one request to Entra."""
        account = self.description["accounts"]["default"]
        response = httpx.post(
            f"{self.description['entraUrl']}/{account['tenantId']}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": account["clientId"],
                "client_secret": account["clientSecret"],
                "scope": "https://api.partnercenter.microsoft.com/.default",
            },
        )
        token: str = response.raise_for_status().json()["access_token"]
        return token

    def answer_after(self, latency_ms: float) -> None:
        """Let Partner Center answer each request *latency_ms* after it arrived."""
        self._control("DELETE", "faults")
        for method, order in ("PATCH", self.cancelled_order.decode()), ("GET", json.dumps(self.order)):
            self._answer(method, order, latency_ms)

    def answer_for_licences_after(self, order: LicenceOrder, latency_ms: float) -> None:
        """Let Partner Center answer each request for *order* and its subscriptions *latency_ms* after it arrived.

        Each GET has the state before the cancellation, each PATCH of a subscription the state after it.
        """
        self._control("DELETE", "faults")
        answers = [("GET", order.order_id, order.order())]
        for subscription in order.subscriptions():
            answers.append(("GET", subscription["id"], subscription))
            answers.append(("PATCH", subscription["id"], subscription | {"status": "deleted"}))
        for method, resource_id, body in answers:
            self._answer(method, json.dumps(body), latency_ms, path=f"/{resource_id}$")

    def answer_for_term_end_after(self, order: LicenceOrder, latency_ms: float) -> None:
        """Let Partner Center answer each request for the only licence of *order* *latency_ms* after it arrived.

        A GET of the subscription has the state before and the state after in turns, as a call asks for them.
        """
        self._control("DELETE", "faults")
        [before] = order.subscriptions()
        action = {"scheduleType": "TermEnd", "actionType": "Cancel"}
        after = before | {"autoRenewEnabled": False, "scheduledActions": [action]}
        self._answer("GET", json.dumps(order.order()), latency_ms, path=f"/{order.order_id}$")
        self._answer("PATCH", json.dumps(after), latency_ms, path=f"/{before['id']}$")
        for _ in range(TERM_END_CALLS):
            for state in before, after:
                self._answer("GET", json.dumps(state), latency_ms, path=f"/{before['id']}$", times=1)

    def throttle(self, retry_after_s: int) -> None:
        """Let Partner Center answer every PATCH with 429."""
        self._control("DELETE", "faults")
        self._fault(method="PATCH", times=FOREVER, status=429, headers={"retry-after": str(retry_after_s)})

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests that arrived since `forget`."""
        requests: list[dict[str, Any]] = self._control("GET", "requests").json()
        return requests

    def forget(self) -> None:
        self._control("DELETE", "requests")

    def _answer(self, method: str, body: str, latency_ms: float, path: str = "", times: int = FOREVER) -> None:
        self._fault(
            method=method,
            path=path,
            times=times,
            status=200,
            headers={"content-type": "application/json; charset=utf-8"},
            body=body,
            delay_s=latency_ms / 1000,
        )

    def _fault(self, **fault: object) -> None:
        self._control("POST", "faults", {"service": "partner_center"} | fault)

    def _control(self, method: str, path: str, body: object = None) -> httpx.Response:
        url = f"{self.description['controlUrl']}/{path}"
        return httpx.request(method, url, json=body, timeout=30, trust_env=False).raise_for_status()


@contextmanager
def running_partner_center() -> Iterator[dict[str, str]]:
    """Run the local cloud and yield the environment of a process that uses it."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        directory = Path(name)
        with running(directory) as cloud:
            yield _environment(cloud, directory)


def _environment(cloud: LocalCloud, directory: Path) -> dict[str, str]:
    authorities = directory / "authorities.pem"
    # With certifi's authorities, which Azure uses: loading them is a part of a cold start.
    authorities.write_text(Path(certifi.where()).read_text() + Path(cloud.description["caFile"]).read_text())
    settings: dict[str, str] = cloud.description["environment"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return (
        inherited
        | settings
        | {
            DESCRIPTION: str(directory / "cloud.json"),
            # One account, as in a deployment: a cold start reads every account, and the local cloud has over twenty.
            "PARTNER_CENTER_ACCOUNTS": json.dumps(
                {"default": json.loads(settings["PARTNER_CENTER_ACCOUNTS"])["default"]}
            ),
            "SSL_CERT_FILE": str(authorities),
            "REQUESTS_CA_BUNDLE": str(authorities),
        }
    )
