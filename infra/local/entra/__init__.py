"""The stand-ins for Microsoft Entra ID and for the function's managed identity.

Entra ID is served once for each national cloud (`server`), the managed identity once (`managed_identity`).

Stood in for
    Entra ID: OpenID discovery, of customers' tenants by their domains too, the v2 token endpoint (client
    credentials, refresh token, authorization code), and the sign-in page with PKCE. An app proves itself with a
    secret, a certificate or a federated credential.
    The managed identity: the token endpoint of App Service.

Documented behaviour
    OpenID discovery: the issuer has the tenant's id, in the form of the national cloud; `common` and `organizations`
    have the issuer's tenant as `{tenantid}`, `consumers` has that of all personal accounts; an unknown tenant is
    refused with 90002, a name that is no domain with 900023.
    The protocol and the claims of the tokens. The AADSTS numbers, with the OAuth error that belongs to each.
    Several secrets and certificates are valid during a rotation. Each use of a refresh token gives another one,
    and the older ones stay valid until they are revoked. A code lives for 10 minutes and can be used once.
    Each module names its sources.

Guesses
    - `server`: `consumers` in the national clouds; a customer's domain is known in each of them.
    - `aadsts`: the status where no source has it; the errors of 53003 and 28000; the meaning of 50013; the host of
      `error_uri` in the national clouds.
    - `sign_in`: a refusal by Conditional Access is sent back to the app as `access_denied`.
    - `managed_identity`: the claim `aud` repeats the audience that was requested.

Stricter than Entra ID, where a mistake of the client would otherwise stay unseen
    A certificate's assertion must carry `x5c` and name the token endpoint as its audience. PKCE with S256 is
    required of apps that have a secret, too. `response_mode` must be `query`.

Left out
    Users with passwords and a page to type them into, the consent page, admin consent, permissions other than
    `user_impersonation`, the device code and on-behalf-of flows, the published signing keys (the other stand-ins
    get the public key directly), continuous access evaluation, throttling. Access tokens that were given stay
    valid until they expire, whatever happens to the credential that they were given for.
"""
