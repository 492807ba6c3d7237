"""Finds out who is calling, from the proofs in a request (proofs.py) and the setting CALLERS.

No I/O, clock or randomness. The host has checked the function key before; this is the second check. Without
CALLERS there is no second check, and the function key is enough.
"""

from collections.abc import Iterator, Mapping

from shared.caller_settings import AnyCaller, SigningCaller
from shared.callers.proofs import SECRET_BYTES, TOLERANCE_S, Proofs, proves, signing_key
from shared.errors import CallerRefused, OurFault


def secrets_needed(callers: Mapping[str, AnyCaller], proofs: Proofs) -> set[str]:
    """Return the names of the Key Vault secrets that `identify` needs for this request."""
    return {
        name
        for caller in callers.values()
        if isinstance(caller, SigningCaller) and proofs.signed(caller.proof)
        for name in caller.secrets
    }


def identify(callers: Mapping[str, AnyCaller], proofs: Proofs, secrets: Mapping[str, str]) -> str:
    """Return the name of the first caller that *proofs* prove. Raises CallerRefused (401) if there is none.

    *secrets* are those of `secrets_needed` that could be read, by name. Raises OurFault (misconfigured) if no
    caller is proven and one of the secrets cannot be a signing secret.
    """
    # Every caller is tried, so that the time taken does not show which one nearly matched.
    proven = [name for name, caller in callers.items() if proves(caller, proofs, secrets)]
    if proven:
        return proven[0]
    for caller in callers.values():
        if isinstance(caller, SigningCaller):
            _check_secrets(caller, secrets)
    raise CallerRefused("caller_not_authenticated", " ".join(_advice(callers, proofs)))


def _check_secrets(caller: SigningCaller, secrets: Mapping[str, str]) -> None:
    for name in caller.secrets:
        if name in secrets and not signing_key(caller.proof, secrets[name]):
            raise OurFault(
                "misconfigured",
                f"The secret {name} in Key Vault cannot be a signing secret; nothing was changed. The operator must"
                " store another: for zendesk the webhook's own secret, not the secret that Zendesk publishes for tests;"
                f" for standard-webhooks whsec_ and at least {SECRET_BYTES} bytes in base64.",
            )


def _advice(callers: Mapping[str, AnyCaller], proofs: Proofs) -> Iterator[str]:
    """Yield sentences for the person who sets the webhook up. None of them helps to guess a secret."""
    yield "The request carries no valid proof of who sends it; nothing was changed."
    kinds = {caller.proof for caller in callers.values()}
    for proof, header, header_shown in (
        ("zendesk", "x-zendesk-webhook-signature", "X-Zendesk-Webhook-Signature"),
        ("standard-webhooks", "webhook-signature", "webhook-signature"),
        ("standard-webhooks", "svix-signature", "svix-signature"),
    ):
        if proof in kinds and header in proofs.headers:
            if proofs.signed(proof):
                yield (
                    f"{header_shown} was not made with the secret that Key Vault holds, or the body was changed on"
                    " its way."
                )
            else:
                yield f"{header_shown} is malformed, or its time differs from ours by over {TOLERANCE_S // 60} minutes."
    if "entra" in kinds and not proofs.is_entra_checked:
        yield "Entra identities are not accepted: App Service Authentication is off."
    elif "entra" in kinds and "x-ms-client-principal" in proofs.headers:
        yield "The app or user does not have the app role that is required."
    if "key" in kinds:
        yield (
            "X-Caller-Key is not the key of a known caller."
            if "x-caller-key" in proofs.headers
            else "Send the caller's own key in X-Caller-Key."
        )
