"""Orders as the product reads them, for tests of decisions."""

from typing import Any

from shared.contract import LineItemRef
from shared.partner_center.orders import Order, OrderLine


def line(number: int | None = 0, quantity: int | None = 1, offer_id: str | None = "A:B:C", **members: Any) -> OrderLine:
    plain = {"friendly_name": None, "term_duration": None, "subscription_id": None, "cancelled": quantity == 0}
    return OrderLine(line_item_number=number, offer_id=offer_id, quantity=quantity, **plain | members)


def order(*lines: OrderLine, status: str | None = "completed") -> Order:
    """Return an order of *lines*. As in an order that was read, the status "cancelled" cancels each line."""
    read_lines = [item.model_copy(update={"cancelled": item.cancelled or status == "cancelled"}) for item in lines]
    return Order(order_id="ORDER-ID", status=status, line_items=read_lines)


def line_ref(number: int, offer_id: str | None = None) -> LineItemRef:
    members = {"lineItemNumber": number} | ({} if offer_id is None else {"offerId": offer_id})
    return LineItemRef.model_validate(members)
