"""Orders of licences and their subscriptions, for the options `--orders` and `--subscriptions` of the local cloud."""

import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from infra.local.partner_center import resources
from tests.support.local_cloud import Json

CUSTOMER = "5f1c2a4e-7d0b-4a57-9a1c-3a5b1f0c9e11"  # that of tests/conftest.py, which benchmarks do not load
SEATS = 5
OFFERS = [(f"CFQ7TTC0LH18:0001:CFQ7TTC0K9{number:02}", f"Licence {number}") for number in range(10)]


@dataclass(frozen=True)
class LicenceOrder:
    """An order of licences, a line for each, bought two days ago.

    *name* makes its id, of twelve hexadecimal digits, and those of its subscriptions. Without *is_named* its lines do
    not name their subscriptions. The first *software_lines* lines are software, without a subscription.
    """

    name: str
    lines: int = 1
    is_named: bool = True
    software_lines: int = 0

    @property
    def order_id(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()[:12]

    @property
    def subscription_ids(self) -> list[str]:
        """The ids of the subscriptions, in the order of the lines."""
        return [_subscription_id(self.name, number) for number in range(self.software_lines, self.lines)]

    @property
    def subscription_id(self) -> str:
        """The id of the only subscription."""
        [only] = self.subscription_ids
        return only

    @property
    def by_order(self) -> Json:
        """The request that names the order."""
        return {"customerTenantId": CUSTOMER, "orderId": self.order_id}

    @property
    def by_subscription(self) -> Json:
        """The request that names the only subscription."""
        return {"customerTenantId": CUSTOMER, "subscriptionId": self.subscription_id}

    def order(self) -> Json:
        content = resources.order(self.order_id, CUSTOMER, _bought(), [self._line(n) for n in range(self.lines)])
        return content | {"alternateId": self.order_id, "billingCycle": "annual"}

    def subscriptions(self) -> list[Json]:
        return [
            resources.licence(subscription_id, CUSTOMER, self.order_id, self._line(number), _bought())
            for number, subscription_id in enumerate(self.subscription_ids, self.software_lines)
        ]

    def _line(self, number: int) -> Json:
        offer_id, name = OFFERS[number]
        if number < self.software_lines:
            return resources.line(number, f"DG7GMGF0FKZV:0003:DG7GMGF0DW{number:02}", "Software", "P3Y")
        own = {"subscriptionId": _subscription_id(self.name, number)} if self.is_named else {}
        return resources.line(number, offer_id, name, "P1Y", quantity=SEATS, **own)


def write_subscriptions(directory: Path, orders: Iterable[LicenceOrder], patch_answers: int = 200) -> str:
    """Write the subscriptions of *orders* into *directory*, and return it for the option `--subscriptions`."""
    directory.mkdir(parents=True, exist_ok=True)
    for order in orders:
        for subscription in order.subscriptions():
            content = {"customerTenantId": CUSTOMER, "subscription": subscription, "patchAnswers": patch_answers}
            (directory / f"{subscription['id']}.json").write_text(json.dumps(content))
    return str(directory)


def _subscription_id(name: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"test/subscription/{name}/{number}"))


def _bought() -> datetime:
    return datetime.now(UTC) - timedelta(days=2)
