"""Reads of an order through an account, by a single call or under load."""

import threading
from collections import Counter
from typing import Self

import httpx

from tests.support.built_in_orders import SOFTWARE_CUSTOMER, built_in
from tests.support.local_cloud import LocalCloud
from tests.support.waiting import LIMIT_S, wait_until


def read_order(cloud: LocalCloud, account: str, **headers: str) -> httpx.Response:
    """Read an order through *account* by a dry run; this needs a token that Partner Center accepts."""
    body = {
        "customerTenantId": SOFTWARE_CUSTOMER,
        "orderId": built_in("software-three-lines"),
        "account": account,
        "dryRun": True,
    }
    return cloud.post(body, **headers)


class Load:
    """Callers that read an order through an account, repeatedly, while the block runs.

    Each makes a pause of *pause_s* after an answer.

    Attributes:
        answers: how often each answer came, as its status and its outcome or code
    """

    def __init__(self, cloud: LocalCloud, account: str, callers: int, *, pause_s: float = 0) -> None:
        self.answers: Counter[str] = Counter()
        self._cloud, self._account, self._pause_s = cloud, account, pause_s
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * LIMIT_S)

    def wait_for(self, answers: int) -> None:
        """Return once so many more *answers* have come."""
        enough = self.answers.total() + answers
        wait_until(lambda: self.answers.total() >= enough, "the callers get no answers")

    def _call(self) -> None:
        while not self._stop.is_set():
            response = read_order(self._cloud, self._account, prefer="wait=60")
            body = response.json()
            self.answers[f"{response.status_code} {body.get('outcome') or body.get('code')}"] += 1
            self._stop.wait(self._pause_s)
