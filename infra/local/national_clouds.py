"""The clouds that the local cloud imitates, and what tells their tokens apart.

Kept beside the product's own table instead of read from it: a stand-in that takes its audience
from the product would agree with any mistake there.

Source: Partner Center's "partner-center-rest-urls" and "deprecate-azure-active-directory-graph-token"
for the audiences; learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-
managed-identity for the exchange audiences; learn.microsoft.com/entra/identity-platform/
access-token-claims-reference for the issuers (read 2026-11-21). That US Government's v1 tokens name
sts.windows.net too is a community's answer, not a document's.
"""

from dataclasses import dataclass
from typing import Literal, get_args

type CloudName = Literal["global", "china", "usgov"]

CLOUD_NAMES: tuple[CloudName, ...] = get_args(CloudName.__value__)


@dataclass(frozen=True)
class Facts:
    """*issuer* is of access tokens, *exchange_issuer* of a managed identity's tokens for *exchange_audience*."""

    audience: str
    issuer: str
    exchange_audience: str
    exchange_issuer: str


CLOUDS: dict[CloudName, Facts] = {
    "global": Facts(
        "https://api.partnercenter.microsoft.com",
        "https://sts.windows.net/{tenant}/",
        "api://AzureADTokenExchange",
        "https://login.microsoftonline.com/{tenant}/v2.0",
    ),
    "china": Facts(
        "https://partner.partnercenterapi.microsoftonline.cn",
        "https://sts.chinacloudapi.cn/{tenant}/",
        "api://AzureADTokenExchangeChina",
        "https://login.partner.microsoftonline.cn/{tenant}/v2.0",
    ),
    "usgov": Facts(
        "https://api.partnercenter.microsoft.com",
        "https://sts.windows.net/{tenant}/",
        "api://AzureADTokenExchangeUSGov",
        "https://login.microsoftonline.us/{tenant}/v2.0",
    ),
}
