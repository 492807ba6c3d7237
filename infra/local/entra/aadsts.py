"""Entra's refusals: the AADSTS numbers, with the OAuth error and the status that belong to each.

The texts are ours. Clients act on the numbers, not on the texts.

Source: learn.microsoft.com/entra/identity-platform/reference-error-codes; the Azure SDKs' guides to
troubleshooting azure-identity (700021, 700023, 700027, 7000215, 7000222); answers quoted in public
issues: Azure/azure-workload-identity #1200 (700211, 700213, with `invalid_client`),
MicrosoftDocs/azure-docs #63819 (9002313 for a text that is no refresh token), microsoftgraph/
microsoft-graph-docs #6311 (50076, `invalid_grant` with suberror `basic_action`), Worklytics/psoxy #74
(7000112), Azure/azure-cli #22145 (90002, `invalid_tenant`), and
AzureAD/microsoft-authentication-library-for-dotnet's tests (5002723; 900023, `error_uri`); all read 2026-11-21.

Guesses: each status that these sources do not have (401 for `invalid_client`, 400 for all others), 53003 as
`invalid_grant` with suberror `message_only`, 50013 for an assertion with a false signature, 28000 as
`invalid_scope`, and the host of `error_uri` in the national clouds.
"""

import time
import uuid

from starlette.responses import JSONResponse, Response

from infra.local.values import Json

# In the order in which Entra checks them.
ERRORS = {
    # Is it a request?
    900023: "invalid_request",  # the tenant's name is neither a GUID nor a domain
    90002: "invalid_tenant",  # tenant not found
    900144: "invalid_request",  # a parameter is missing
    70003: "unsupported_grant_type",
    700016: "unauthorized_client",  # app not found in the tenant
    7000112: "unauthorized_client",  # app is disabled
    # Does a secret prove the app?
    7000218: "invalid_client",  # neither secret nor assertion
    7000215: "invalid_client",  # wrong secret
    7000222: "invalid_client",  # expired secret
    # Does an assertion prove the app?
    50027: "invalid_client",  # not a JWT, or signed in a way that is not accepted
    700021: "invalid_client",  # iss and sub are not the app
    5002723: "invalid_client",  # no thumbprint
    700027: "invalid_client",  # certificate not registered or expired, or false signature
    700023: "invalid_client",  # another audience
    700024: "invalid_client",  # before or after its time
    70025: "invalid_client",  # the app has no federated credential
    700211: "invalid_client",  # no federated credential with this issuer
    700212: "invalid_client",  # … audience
    700213: "invalid_client",  # … subject
    50013: "invalid_client",  # a federated assertion with a false signature
    # Which resource is the token for?
    1002012: "invalid_scope",  # app-only, and not /.default
    70011: "invalid_scope",
    500011: "invalid_resource",
    28000: "invalid_scope",  # several resources at once
    # Which user is the token for?
    9002313: "invalid_grant",  # not a code or refresh token of this app
    54005: "invalid_grant",  # the code was used before
    70008: "invalid_grant",  # the code has expired
    500112: "invalid_grant",  # the code was given for another redirect_uri
    501481: "invalid_grant",  # the verifier does not match the challenge
    700082: "invalid_grant",  # the refresh token was not used for 90 days
    50173: "invalid_grant",  # revoked
    50076: "invalid_grant",  # the user must pass MFA
    53003: "invalid_grant",  # Conditional Access
    # On the sign-in page only.
    50011: "invalid_request",  # the redirect_uri is not registered
    700054: "unsupported_response_type",
    9002325: "invalid_request",  # no PKCE
}
SUBERRORS = {50076: "basic_action", 53003: "message_only"}


class TokenRefused(Exception):
    """Entra refuses a request; *number* is an AADSTS number from the table."""

    def __init__(self, number: int, message: str) -> None:
        self.error = ERRORS[number]
        self.number = number
        self.trace_id, self.correlation_id = str(uuid.uuid4()), str(uuid.uuid4())
        self.timestamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        self.description = (
            f"AADSTS{number}: {message} Trace ID: {self.trace_id} Correlation ID: {self.correlation_id}"
            f" Timestamp: {self.timestamp}"
        )
        super().__init__(self.description)

    def response(self) -> Response:
        """Return the token endpoint's answer."""
        body: Json = {
            "error": self.error,
            "error_description": self.description,
            "error_codes": [self.number],
            "timestamp": self.timestamp,
            "trace_id": self.trace_id,
            "correlation_id": self.correlation_id,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }
        if suberror := SUBERRORS.get(self.number):
            body["suberror"] = suberror
        return JSONResponse(body, 401 if self.error == "invalid_client" else 400)
