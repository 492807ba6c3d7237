"""Requests that show something, for the demo, the console and documents, and a request as a command to paste."""

import shlex
from collections.abc import Mapping

from infra.local.partner_center.resources import (
    LICENCE_CUSTOMER,
    ONE_LINE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    subscription_guid,
)

WHOLE_ORDER = {
    "customerTenantId": ONE_LINE_CUSTOMER,
    "orderId": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1",
}
ONE_LINE = {
    "customerTenantId": SOFTWARE_CUSTOMER,
    "orderId": "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1",
    "lineItems": [{"lineItemNumber": 0}],
}
TWO_LICENCES = {"customerTenantId": LICENCE_CUSTOMER, "orderId": "1f64b775d881"}  # the second one is too late
SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_guid("licence")}
OLD_LICENCE = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_guid("licence-20-days-old")}


def curl_command(url: str, headers: Mapping[str, str], body: str) -> str:
    """Return the command line that sends *body* with *headers* to *url*."""
    words = ["curl", "-si", url]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, "-d", body])
