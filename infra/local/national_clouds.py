"""Microsoft's national clouds that the local cloud has, and how their tokens differ.

This table repeats the product's own on purpose: a stand-in that took its audience from the product would agree
with any mistake there.

Source: Partner Center's "partner-center-rest-urls" and "deprecate-azure-active-directory-graph-token"
for the audiences; learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-
managed-identity for the exchange audiences; learn.microsoft.com/entra/identity-platform/
access-token-claims-reference for the issuers (read 2026-11-21).

Guess: v1 tokens of US Government name sts.windows.net too. A community's answer says so, no document does.
"""

from dataclasses import dataclass
from typing import Literal, get_args

type NationalCloud = Literal["global", "china", "usgov"]

NATIONAL_CLOUDS: tuple[NationalCloud, ...] = get_args(NationalCloud.__value__)


@dataclass(frozen=True)
class CloudFacts:
    """The form of the tokens of one national cloud.

    Attributes:
        audience: of access tokens for Partner Center.
        issuer: of access tokens, with `{tenant}` for the tenant's id.
        exchange_audience: of a managed identity's token that proves an app.
        v2_issuer: of such a token, of ID tokens and in OpenID discovery, with `{tenant}`.
    """

    audience: str
    issuer: str
    exchange_audience: str
    v2_issuer: str


CLOUD_FACTS: dict[NationalCloud, CloudFacts] = {
    "global": CloudFacts(
        "https://api.partnercenter.microsoft.com",
        "https://sts.windows.net/{tenant}/",
        "api://AzureADTokenExchange",
        "https://login.microsoftonline.com/{tenant}/v2.0",
    ),
    "china": CloudFacts(
        "https://partner.partnercenterapi.microsoftonline.cn",
        "https://sts.chinacloudapi.cn/{tenant}/",
        "api://AzureADTokenExchangeChina",
        "https://login.partner.microsoftonline.cn/{tenant}/v2.0",
    ),
    "usgov": CloudFacts(
        "https://api.partnercenter.microsoft.com",
        "https://sts.windows.net/{tenant}/",
        "api://AzureADTokenExchangeUSGov",
        "https://login.microsoftonline.us/{tenant}/v2.0",
    ),
}
