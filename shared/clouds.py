"""Microsoft's clouds: where Partner Center and Entra ID are in each.

Source: Partner Center's "partner-center-rest-urls" and "deprecate-azure-active-directory-graph-token"
pages (read 2026-11-21). The authority for US Government is not in Partner Center's documentation: an
account's `authority` overrides it if it is wrong.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoints:
    """The addresses of one cloud.

    Attributes:
        api_root: Partner Center's API, without the version.
        authority: Entra ID.
        audience: the resource that a token is for, without `/.default`.
        exchange_audience: the audience of a managed identity's token that is used in place of a secret.
    """

    api_root: str
    authority: str
    audience: str
    exchange_audience: str


CLOUDS = {
    "global": Endpoints(
        "https://api.partnercenter.microsoft.com",
        "https://login.microsoftonline.com",
        "https://api.partnercenter.microsoft.com",
        "api://AzureADTokenExchange",
    ),
    "china": Endpoints(  # operated by 21Vianet
        "https://partner.partnercenterapi.microsoftonline.cn",
        "https://login.partner.microsoftonline.cn",
        "https://partner.partnercenterapi.microsoftonline.cn",
        "api://AzureADTokenExchangeChina",
    ),
    "usgov": Endpoints(
        "https://api.partnercenter.microsoft.com",
        "https://login.microsoftonline.us",
        "https://api.partnercenter.microsoft.com",
        "api://AzureADTokenExchangeUSGov",
    ),
}
