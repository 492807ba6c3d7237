"""The error answers of Partner Center to the PATCH of an order. The catalogue has one order for each of them.

Codes and statuses are Microsoft's; the descriptions are ours.

Source: learn.microsoft.com/partner-center/developer/error-codes (read 2026-11-21).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Refusal:
    """One error answer. *form* is the form of its body."""

    status: int
    code: str | int
    message: str = ""
    form: Literal["json", "bom", "gateway", "text", "empty"] = "json"


class Refused(Exception):
    """Partner Center refuses a request, with *refusal* as its answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


# Microsoft's table, without the answers that follow from the rules for orders and subscriptions.
REFUSALS = (
    Refusal(400, "900213", "The 72-hour cancellation window has passed."),
    Refusal(400, "800061", "The order cannot be cancelled."),
    Refusal(409, "800014", "An adjustment of this order is pending."),
    Refusal(409, "800060", "The order is in progress; look again in a few minutes."),
    Refusal(400, "800040", "The asset cannot go from Suspended to Cancelled."),
    Refusal(400, "800096", "The subscription's status cannot be updated."),
    Refusal(400, "800042", "Not supported."),
    Refusal(400, "900141", "Not supported for this product."),
    Refusal(400, "900127", "Not supported in this environment."),
    Refusal(403, "900263", "Not for legacy subscriptions."),
    Refusal(404, "1000", "Not found."),
    Refusal(404, "20003", "The subscription was not found."),
    Refusal(404, "60003", "The tenant was not found."),
    Refusal(404, "800037", "The asset was not found."),
    Refusal(400, "900118", "The customer id is invalid."),
    Refusal(400, "800002", "The input is invalid."),
    Refusal(400, "3000", "A property is invalid."),
    Refusal(400, "900126", "The enumeration value cannot be read."),
    Refusal(400, "2055", "The ETag is stale."),
    Refusal(400, "2001", "The subscription is suspended."),
    Refusal(400, "2006", "The offer cannot be updated."),
    Refusal(400, "2011", "The subscription is deleted already."),
    Refusal(400, "800091", "The asset is suspended."),
    Refusal(409, "800082", "The subscription is not ready for changes."),
    Refusal(409, "900278", "An operation is pending; try again after 24 hours."),
    Refusal(400, "900279", "No more updates are allowed."),
    Refusal(400, "900311", "Updated too often."),
    Refusal(400, "4018", "The order cannot be processed."),
    Refusal(400, "800024", "The customer is not eligible."),
    Refusal(400, "800026", "The offer is not eligible."),
    Refusal(400, "800062", "The order is not eligible."),
    Refusal(403, "800073", "The customer is under review."),
    Refusal(403, "800074", "The customer's review is not complete."),
    Refusal(403, "800075", "The customer is not approved."),
    Refusal(403, "900416", "The account is locked for transactions."),
    Refusal(403, "900124", "The partner agreement is not accepted."),
    Refusal(403, "800039", "The reseller programme is not active."),
    Refusal(403, "900149", "The partner is not active in the reseller programme."),
    Refusal(403, "900159", "No relationship with the customer."),
    Refusal(403, "2032", "Access denied."),
    Refusal(403, "900150", "The role lacks this right."),
    Refusal(403, "900308", "Insufficient privileges."),
    Refusal(403, "1002", "Authorization failed."),
    Refusal(403, "900309", "Blocked by Conditional Access."),
    Refusal(403, "90000", "Microsoft Entra ID refused the request."),
    Refusal(403, "900329", "App-only tokens are not supported here."),
    Refusal(401, "900421", "The token has no MFA claim."),
    Refusal(401, "400", "Access denied."),
    Refusal(417, "800036", "A precondition failed."),
    Refusal(500, "800003", "An unexpected error."),
    Refusal(500, "800094", "The update failed."),
    Refusal(500, "900192", "Try again later."),
    Refusal(501, "0", "An undefined exception."),
    Refusal(400, "999999", "A code that no published table lists."),
)
# Answers in forms that a client may not expect.
ODD_REFUSALS = {
    "a-code-of-0": Refusal(400, 0, "The provided value is not a valid OrderStatus."),
    "a-numeric-code": Refusal(400, 900213, "The 72-hour cancellation window has passed."),
    "a-bom": Refusal(400, "800096", "The subscription's status cannot be updated.", "bom"),
    "plain-text": Refusal(401, 10001, "Authentication failed. MFA required. (10001)", "text"),
    "408-empty": Refusal(408, "", form="empty"),
    "412-empty": Refusal(412, "", form="empty"),
    "502-html": Refusal(502, "", "<html><body>Bad Gateway</body></html>", "text"),
    "503-gateway": Refusal(503, "", "The service is unavailable.", "gateway"),
    "504-empty": Refusal(504, "", form="empty"),
}
