"""The orders and subscriptions that every local cloud has, and their customers."""

import hashlib
import uuid

from tests.support.local_cloud import order_id_of

SOFTWARE_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766"
AZURE_CUSTOMER = "b0d70a69-4c42-4b27-b17b-91a835d8686a"
MARKETPLACE_CUSTOMER = "28045616-f6b9-462f-9701-0d89b5e65c44"
LICENCE_CUSTOMER = "f81d98dd-c2f4-499e-a194-5619e260344e"
STRANGER = "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04"  # has no relationship with the partner


def built_in(name: str) -> str:
    """Return the id of the built-in order *name*, padded to the length of real ids."""
    return order_id_of(name)


def built_in_short(name: str) -> str:
    """Return the id of the built-in order *name* whose id is as short as that of an order of licences."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def subscription_of(name: str, line: int = 0) -> str:
    """Return the id of the subscription that a line of the built-in order *name* began."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"local/subscription/{name}/{line}"))
