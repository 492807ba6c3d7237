"""The form of what the catalogue holds: orders and subscriptions, each with its reaction to a change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from infra.local.partner_center.members import inner_member, member
from infra.local.partner_center.refusals import Refusal
from infra.local.values import Json


class ProductKind(StrEnum):
    SOFTWARE = "software"
    SOFTWARE_SUBSCRIPTION = "software subscription"
    RESERVATION = "reservation"
    SAAS = "SaaS"
    SAAS_2021 = "SaaS (2021)"  # as documented before the product table of 2022
    LICENCE = "licence"
    LEGACY_LICENCE = "legacy licence"
    AZURE_PLAN = "Azure plan"
    SAVINGS_PLAN = "savings plan"


class Behaviour(StrEnum):
    NORMAL = ""
    NO_LIMITS = "no limits"  # can be cancelled at any age
    NO_RELATIONSHIP = "no relationship"  # this partner cannot reach the customer
    # Reads lag behind writes: PATCH answers with the unchanged order, and the change shows after a while. A second
    # PATCH is refused, though the order still looks as before.
    SHOWS_LATER = "shows later"
    ACCEPTED = "accepted"  # PATCH answers 202 without a body, and the change is made after a while
    NEVER_CHANGES = "never changes"  # PATCH answers 200, but the order stays unchanged
    BOM = "BOM"  # answers start with a byte order mark


@dataclass(frozen=True)
class Entry:
    """An order and its reaction to a cancellation. A *refusal* comes before all rules.

    `--describe` shows *kind* and *note* to people. *line_kinds* has the kinds of those lines, by number, that are
    not of this *kind*.
    """

    order: Json
    customer_tenant_id: str
    kind: str
    note: str
    behaviour: str = Behaviour.NORMAL
    refusal: Refusal | None = None
    line_kinds: Mapping[int, str] = field(default_factory=dict)

    @property
    def order_id(self) -> str:
        return str(member(self.order, "id"))


@dataclass(frozen=True)
class SubscriptionEntry:
    """A subscription and its reaction to a PATCH. A *refusal* is the answer to every PATCH.

    `--describe` shows *note* to people. With *patch_answers* 202 a PATCH is answered without a body. Without
    *has_window* it can be cancelled at any age, unless its own cancellationAllowedUntilDate has passed.
    """

    subscription: Json
    customer_tenant_id: str
    note: str
    patch_answers: Literal[200, 202] = 200
    has_window: bool = True
    refusal: Refusal | None = None

    @property
    def subscription_id(self) -> str:
        return str(member(self.subscription, "id"))

    @property
    def order_id(self) -> str | None:
        """The order that began it, if it says so."""
        order_id = member(self.subscription, "orderId")
        return None if order_id is None else str(order_id)

    @property
    def kind(self) -> str:
        kind = kind_of(self.subscription)
        return f"{kind}, trial" if member(self.subscription, "isTrial") is True else kind


@dataclass(frozen=True)
class Case:
    """An order of the catalogue and the subscriptions that it began."""

    entry: Entry
    subscriptions: tuple[SubscriptionEntry, ...] = ()


def subscription_of(line: Json) -> str:
    """Return the id of the subscription that an order's *line* names, or an empty string."""
    uri = inner_member(line, "links", "subscription", "uri")
    return str(member(line, "subscriptionId") or str(uri or "").rpartition("/")[2])


def kind_of(subscription: Json) -> str:
    """Return the kind of a subscription; for a product type that no source describes, the type itself.

    Source: subscription-resources and its samples. In them SaaS has no productType and says
    `isMicrosoftProduct: false`; create-subscription-azure-marketplace-products calls its product type Azure, with
    the subtype SaaS. Legacy subscriptions have neither member.
    """
    product_type = str(inner_member(subscription, "productType", "id") or "")
    known = {"onlineservicesnce": ProductKind.LICENCE, "software": ProductKind.SOFTWARE_SUBSCRIPTION}
    if kind := known.get(product_type.lower()):
        return kind
    sub_type = str(inner_member(subscription, "productType", "subType", "id")).lower()
    if sub_type == "savingsplan":
        return ProductKind.SAVINGS_PLAN
    if sub_type == "saas" or member(subscription, "isMicrosoftProduct") is False:
        return ProductKind.SAAS
    if product_type.lower() == "azure":
        return ProductKind.AZURE_PLAN
    return product_type or ProductKind.LEGACY_LICENCE
