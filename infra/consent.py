"""`python -m infra.consent ACCOUNT`: sign in once, with MFA, and store the first refresh token in Key Vault.

It is for an account with `refreshToken` (App+User). It reads the function's settings from the environment. It opens
Key Vault as the user who is signed in (`az login`), who must be allowed to read the client secret and to write the
refresh token. After the sign-in the browser returns to a port of this machine; the sign-in uses PKCE.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow and Partner Center's
"enable-secure-app-model" (read 2026-11-21); the sign-in must be with MFA, or Partner Center answers 900421.
"""

import argparse
import base64
import json
import logging
import os
import sys
import webbrowser
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from azure.core.exceptions import AzureError
from msal.exceptions import MsalError

from shared.credentials.azure_sdk import SdkCall
from shared.credentials.entra import open_app
from shared.credentials.key_vault import REFRESH_TOKEN_LIFE, open_vault, read_secret
from shared.errors import CancelError
from shared.settings import Account, Settings

WAIT_S = 300


class ConsentFailed(Exception):
    """Ends the consent; the text says why it failed and what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.consent", description=__doc__.partition("\n")[0])
    parser.add_argument("account", help="its name in PARTNER_CENTER_ACCOUNTS")
    parser.add_argument("--port", type=int, default=0, help="port that the browser returns to (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and do not open it")
    arguments = parser.parse_args()
    for name in ("azure", "msal"):  # the errors below say what these loggers would
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        settings = Settings.from_environ(os.environ)
        expires = consent(settings, arguments.account, port=arguments.port, browse=not arguments.no_browser)
    except CancelError as error:
        print(f"infra.consent: {error.detail}", file=sys.stderr)
        return 1
    except (ConsentFailed, OSError) as error:  # OSError if --port is taken
        print(f"infra.consent: {error}", file=sys.stderr)
        return 1
    print(f"Stored. It would expire on {expires:%Y-%m-%d}, but the function renews it when it uses it.")
    return 0


def consent(settings: Settings, name: str, *, port: int, browse: bool) -> datetime:
    """Let the user sign in, store the refresh token, and return when it expires if nobody uses it."""
    account = settings.accounts.get(name)
    if account is None or account.refresh_token is None:
        raise ConsentFailed(f"there is no account {name} with a refreshToken in PARTNER_CENTER_ACCOUNTS")
    client_secret = read_secret(
        settings, account.secrets["clientSecret"], f"account {name} names in clientSecret"
    ).value
    try:
        answer = _sign_in(account, client_secret, port=port, browse=browse)
    except (requests.RequestException, MsalError, ValueError):  # ValueError if there is no such tenant
        raise ConsentFailed(
            "Entra ID gave no usable answer: check the network, and the account's tenantId, cloud and authority"
        ) from None
    if "refresh_token" not in answer:
        raise ConsentFailed(f"Entra ID gave no refresh token: {answer.get('error_description') or answer.get('error')}")
    if "mfa" not in _claims(answer["access_token"]).get("amr", []):
        raise ConsentFailed("the sign-in was without MFA, which Partner Center refuses; require it, then try again")
    expires = datetime.now(UTC) + REFRESH_TOKEN_LIFE
    try:
        with open_vault(settings, SdkCall()) as vault:
            vault.set_secret(
                account.refresh_token, answer["refresh_token"], content_type="text/plain", expires_on=expires
            )
    except AzureError:
        raise ConsentFailed(
            "Key Vault did not store the refresh token: you need Key Vault Secrets Officer on that one secret"
        ) from None
    return expires


def _sign_in(account: Account, client_secret: str, *, port: int, browse: bool) -> dict[str, Any]:
    call = SdkCall(limit_s=WAIT_S + 60)  # a person signs in meanwhile
    with open_app(account, client_secret, call) as app, HTTPServer(("127.0.0.1", port), _Return) as server:
        flow: dict[str, Any] = app.initiate_auth_code_flow(
            [f"{account.endpoints.audience}/user_impersonation"],
            redirect_uri=f"http://localhost:{server.server_port}",
            prompt="login",  # a session that exists already may have been signed in without MFA
        )
        _show(flow["auth_uri"], browse=browse)
        answer: dict[str, Any] = app.acquire_token_by_auth_code_flow(flow, _wait(server, flow["state"]))
    return answer


def _show(address: str, *, browse: bool) -> None:
    if browse and webbrowser.open(address):
        print("Sign in with the browser that opened, as a user of the group AdminAgents, with MFA.", flush=True)
    else:
        print(f"Open this address and sign in as a user of the group AdminAgents, with MFA:\n{address}", flush=True)


class _Return(BaseHTTPRequestHandler):
    """Receives the browser after the sign-in with *state*, and keeps the query of its request."""

    state = ""
    received: dict[str, str] | None = None

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        if query.get("state") == self.state:
            type(self).received = query
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"Done here. Go back to the terminal.")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server's name)
        """Log nothing: the line would contain the authorization code."""


def _wait(server: HTTPServer, state: str) -> dict[str, str]:
    server.timeout = 1
    _Return.state, _Return.received = state, None
    for _ in range(WAIT_S):
        server.handle_request()
        if _Return.received is not None:
            return _Return.received
    raise ConsentFailed(f"nobody signed in within {WAIT_S // 60} minutes")


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of *token* without verifying it: it came from Entra over TLS, and is only read here."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


if __name__ == "__main__":
    sys.exit(main())
