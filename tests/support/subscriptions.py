"""Subscriptions as Partner Center sends them and as the product reads them, for tests of decisions."""

import json
from datetime import UTC, datetime
from typing import Any

from shared.partner_center.subscriptions import Subscription, read_subscription

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
GUID, OTHER_GUID = "8c7f8209-0b7c-5b6e-9f0a-0d6b4f3f1a11", "d329ef2e-0b7c-5b6e-9f0a-0d6b4f3f1a11"

# A year of licences, bought two days before NOW.
LICENCE: dict[str, Any] = {
    "id": GUID,
    "offerId": "CFQ7TTC0LH18:0001:CFQ7TTC0K971",
    "offerName": "Microsoft 365 Business Basic",
    "quantity": 5,
    "creationDate": "2026-11-28T12:00:00.0966728Z",
    "effectiveStartDate": "2026-11-28T12:00:00Z",
    "commitmentEndDateTime": "2027-11-27T23:59:59Z",
    "cancellationAllowedUntilDate": "2026-12-05T12:00:00Z",
    "status": "active",
    "autoRenewEnabled": True,
    "isTrial": False,
    "termDuration": "P1Y",
    "isMicrosoftProduct": True,
    "orderId": "8178ac72b28d",
    "productType": {"id": "OnlineServicesNCE"},
}


def subscription(**members: Any) -> Subscription:
    """Return the licence with *members* instead of its own; None removes one."""
    content = {name: value for name, value in (LICENCE | members).items() if value is not None}
    found = read_subscription(json.dumps(content).encode(), content["id"])
    assert found
    return found
