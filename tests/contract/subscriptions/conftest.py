"""The licences of the catalogue that these tests cancel, and put back."""

from collections.abc import Iterator

import pytest

from tests.support.built_in_orders import built_in, subscription_of
from tests.support.local_cloud import Json, LocalCloud

USED = (
    *("licence", "licence-202", "licence-pascal-case", "licence-unnamed", "licence-seats-added", "licence-suspended"),
    *("licence-trial", "licence-pending", "licence-renewed", "licence-auto-renew-off", "licence-extended"),
)
LINES = {"licences-five": range(5), "licences-two-windows": range(2), "software-and-licence": range(1, 2)}


@pytest.fixture(scope="session")
def subscriptions_at_start(whole_cloud: LocalCloud) -> dict[str, Json]:
    """The subscriptions that these tests use, by id."""
    ids = [subscription_of(name, line) for name in (*USED, *LINES) for line in LINES.get(name, range(1))]
    ids += [subscription_of(built_in(name)) for name in ("saas", "software-subscription")]  # by the orders' whole ids
    return {subscription_id: whole_cloud.subscription(subscription_id) for subscription_id in ids}


@pytest.fixture(autouse=True)
def _put_back(cloud: LocalCloud, subscriptions_at_start: dict[str, Json]) -> Iterator[None]:
    """Put the subscriptions back after a test: each can be cancelled once."""
    yield
    cloud.clear_faults()
    for subscription_id, subscription in subscriptions_at_start.items():
        if cloud.subscription(subscription_id) != subscription:
            cloud.put(f"subscriptions/{subscription_id}", subscription)
