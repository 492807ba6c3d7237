"""The customers of the orders and subscriptions, each with a made-up domain and name, the same after a restart."""

from collections.abc import Iterable
from dataclasses import dataclass

from infra.local.partner_center.entries import Entry, SubscriptionEntry
from infra.local.partner_center.resources import (
    AZURE_CUSTOMER,
    LICENCE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    ONE_LINE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    UNRELATED_CUSTOMER,
)


@dataclass(frozen=True)
class Customer:
    """A customer's tenant. *domain* is in lower case, an internationalized one in Punycode."""

    tenant_id: str
    domain: str
    name: str


BUILT_IN = {
    customer.tenant_id: customer
    for customer in (
        Customer(SOFTWARE_CUSTOMER, "fabrikam.example", "Fabrikam"),
        Customer(ONE_LINE_CUSTOMER, "adatum.example", "Adatum"),
        Customer(AZURE_CUSTOMER, "tailspin.example", "Tailspin Toys"),
        Customer(MARKETPLACE_CUSTOMER, "xn--bcher-kva.example", "Bücher"),
        Customer(LICENCE_CUSTOMER, "wingtip.example", "Wingtip Toys"),
        Customer(UNRELATED_CUSTOMER, "litware.example", "Litware, without a relationship with this partner"),
    )
}


def customers_of(orders: Iterable[Entry], subscriptions: Iterable[SubscriptionEntry]) -> list[Customer]:
    """Return every customer of *orders* and *subscriptions* once. A domain of one that is not built in has its id."""
    of_orders = [entry.customer_tenant_id for entry in orders]
    of_subscriptions = [entry.customer_tenant_id for entry in subscriptions]
    tenant_ids = dict.fromkeys(tenant_id.lower() for tenant_id in (*of_orders, *of_subscriptions))
    return [
        BUILT_IN.get(tenant_id) or Customer(tenant_id, f"customer-{tenant_id}.example", f"Customer {tenant_id[:8]}")
        for tenant_id in tenant_ids
    ]
