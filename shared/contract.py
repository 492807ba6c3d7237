"""The models of a cancel request and of its answer.

No I/O. The request is strict: unknown members, null where it could mean two things and values of the
wrong type are refused. The answer has always the same members. shared/http_request.py reads the body.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.alias_generators import to_camel

from shared.ids import (
    DOMAIN_LIMIT,
    GUID,
    ORDER_ID,
    check_domain,
    check_order_id,
    check_subscription_id,
    check_tenant_id,
    tidy_id,
)


def _refuse_null(value: object) -> object:
    if value is None:
        raise ValueError("must not be null; leave it out instead")
    return value


NotNull = BeforeValidator(_refuse_null)
Tidy = BeforeValidator(tidy_id)
# The patterns are for the interface's description only: the functions say in words what is wrong.
_GUID_SCHEMA = WithJsonSchema({"type": "string", "pattern": GUID})
_ORDER_SCHEMA = WithJsonSchema({"type": "string", "pattern": ORDER_ID})
TenantId = Annotated[str, Tidy, AfterValidator(check_tenant_id), _GUID_SCHEMA]
_DOMAIN_SCHEMA = WithJsonSchema({"type": "string", "format": "idn-hostname", "maxLength": DOMAIN_LIMIT})
Domain = Annotated[str, Tidy, AfterValidator(check_domain), _DOMAIN_SCHEMA]
OrderId = Annotated[str, Tidy, AfterValidator(check_order_id), _ORDER_SCHEMA]
SubscriptionId = Annotated[str, Tidy, AfterValidator(check_subscription_id), _GUID_SCHEMA]

type When = Literal["now", "term_end"]


class _Strict(BaseModel):
    # Only what a call reads by itself is built while the function loads: CancelRequest, with all that is in it.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel, defer_build=True)


def _check_one_of(value: str | None, info: ValidationInfo, other: str, missing: str) -> None:
    """Raise ValueError unless either *value* or the member *other*, which is validated before it, is there."""
    if other in info.data:  # otherwise its own mistake is reported
        has_other = info.data[other] is not None
        if value is None and not has_other:
            raise ValueError(missing)
        if value is not None and has_other:
            raise ValueError(f"must not be sent beside {to_camel(other)}; send one of the two")


class CustomerRef(_Strict):
    """Names a customer: by the tenant's id, or by one of its domains, whose tenant Entra ID knows."""

    customer_domain: Annotated[Domain | None, NotNull] = None
    customer_tenant_id: TenantId | None = Field(None, validate_default=True)  # null is as good as left out

    @field_validator("customer_tenant_id")
    @classmethod
    def _tenant_or_domain(cls, tenant_id: str | None, info: ValidationInfo) -> str | None:
        _check_one_of(tenant_id, info, "customer_domain", "is missing; send customerTenantId, or customerDomain")
        return tenant_id


class LineItemRef(_Strict):
    """A line to cancel. *offer_id* may be left out; if given, it must be the line's own, compared without case."""

    line_item_number: int = Field(ge=0, le=2**31 - 1)
    offer_id: Annotated[str | None, NotNull, Tidy] = Field(None, min_length=1, max_length=200)


class CancelRequest(CustomerRef):
    """One cancel request, validated. It names a customer, and an order or a subscription of it.

    *line_items* None means the whole order. A subscription is always cancelled as a whole. *when* `term_end`: it runs
    to the end of its paid term, and neither renews nor goes on.
    """

    model_config = ConfigDict(defer_build=False)

    subscription_id: Annotated[SubscriptionId | None, NotNull] = None
    order_id: OrderId | None = Field(None, validate_default=True)  # null is as good as left out: one must be there
    line_items: Annotated[list[LineItemRef] | None, NotNull] = Field(None, min_length=1)
    when: Annotated[When, NotNull] = "now"
    account: Annotated[str | None, NotNull] = Field(None, min_length=1, max_length=64)
    ticket_id: str | None = Field(None, max_length=100)
    reason: str | None = Field(None, max_length=1000)
    dry_run: Annotated[bool, NotNull] = False

    @field_validator("order_id")
    @classmethod
    def _order_or_subscription(cls, order_id: str | None, info: ValidationInfo) -> str | None:
        missing = "is missing; send orderId, or subscriptionId for a subscription"
        _check_one_of(order_id, info, "subscription_id", missing)
        return order_id

    @field_validator("line_items")
    @classmethod
    def _lines_of_an_order(cls, lines: list[LineItemRef] | None, info: ValidationInfo) -> list[LineItemRef] | None:
        if lines and info.data.get("subscription_id") is not None:
            raise ValueError("belongs to orderId; a subscription is cancelled as a whole")
        return lines

    @field_validator("line_items")
    @classmethod
    def _each_line_once(cls, lines: list[LineItemRef] | None) -> list[LineItemRef] | None:
        if lines and len({line.line_item_number for line in lines}) < len(lines):
            raise ValueError("a lineItemNumber is repeated")
        return lines

    @property
    def line_numbers(self) -> set[int] | None:
        """The numbers of the lines that it names, None for the whole order or a subscription."""
        return None if self.line_items is None else {line.line_item_number for line in self.line_items}


class FindRequest(CustomerRef):
    """What to find: a customer's orders and subscriptions.

    *text* is looked for in names, offers and ids. *subscription_id*: only the order that has this subscription.
    *cancellable* leaves out what certainly cannot be cancelled.
    """

    account: Annotated[str | None, NotNull] = Field(None, min_length=1, max_length=64)
    text: Annotated[str | None, NotNull, Tidy] = Field(None, min_length=1, max_length=200)
    subscription_id: Annotated[SubscriptionId | None, NotNull] = None
    cancellable: Annotated[bool, NotNull] = False


class Outcome(StrEnum):
    """The result of a successful call. Callers branch on it."""

    CANCELLED = "cancelled"
    PARTIALLY_CANCELLED = "partially_cancelled"
    ALREADY_CANCELLED = "already_cancelled"
    PENDING = "pending"
    DRY_RUN = "dry_run"
    SCHEDULED = "scheduled"
    ALREADY_SCHEDULED = "already_scheduled"


class Refund(StrEnum):
    """The part of the price that the cancellation of a subscription gives back."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


class _Answer(BaseModel):
    # Built when one is first made: most calls need none of those that problems show.
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, defer_build=True)


class LineItem(_Answer):
    """A line as it is now. A member is None if Partner Center did not send it; a *quantity* of None is not 0.

    Attributes:
        code: what stopped the cancellation of this line; in a dry run what would stop it. None if nothing does.
        cancellable: whether what the request asks for can be done to this line; None if nobody can tell, or if
            nothing is left to do.
        subscription_status: of the line's subscription, in lower case, like the members below.
        auto_renew: whether it renews at the end of its term.
        term_ends_on: the end of its present term, RFC 3339 in UTC.
        ends_at_term: whether it ends then.
        replaces: what `when: term_end` takes out of it, as JSON text; None if it takes out nothing.
        cancellable_until: the end of its window to cancel, RFC 3339 in UTC.
        refund: what a cancellation at this moment gives back.
    """

    line_item_number: int | None
    offer_id: str | None
    friendly_name: str | None
    quantity: int | None
    term_duration: str | None
    subscription_id: str | None
    cancelled: bool
    code: str | None = None
    cancellable: bool | None = None
    subscription_status: str | None = None
    auto_renew: bool | None = None
    term_ends_on: str | None = None
    ends_at_term: bool | None = None
    replaces: str | None = None
    cancellable_until: str | None = None
    refund: Refund | None = None


class OrderState(_Answer):
    """The normalized order. Every member is always present, and None if Partner Center did not send it.

    *cancelled_line_items* are all lines that are cancelled; in the answer to a dry run, the lines that would be.
    *creation_date* is RFC 3339 in UTC. *status* and *billing_cycle* are in lower case.

    *subscription_id* is the subscription that the request names. Then there is one line, without a number, and
    *order_id* is the order that began it, if Partner Center says so; the other members of that order are None. *when*
    is what the request asks for.
    """

    order_id: str | None
    subscription_id: str | None = None
    when: When = "now"
    alternate_id: str | None
    customer_tenant_id: str
    status: str | None
    billing_cycle: str | None
    currency_code: str | None
    creation_date: str | None
    cancelled_line_items: list[int]
    line_items: list[LineItem]


class _Headline(_Answer):
    """The members that are seen first: *outcome* is for programs, *message* says the same to people."""

    outcome: Outcome
    message: str


class CancelResult(OrderState, _Headline):
    """The answer to a request that succeeded. In JSON the outcome comes first, then the order as it is now."""

    dry_run: bool
    account: str
    ticket_id: str | None
    request_id: str
    correlation_id: str


class FindResult(_Answer):
    """A customer's orders, newest first. *more*: there are others, or there was no time to read them.

    A subscription that no order names is an order of one line, without an id.
    """

    orders: list[OrderState]
    more: bool
