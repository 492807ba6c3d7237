"""The ids in a request: blanks and braces around them are taken off, and any other mistake is described in words.

No I/O. People copy ids out of portals, mails and spreadsheets, so a mistake is described by the look of the value. The
words never repeat the value, which may hold what must not reach a log.

Source: order ids as Partner Center has issued them: base64url of 33 characters, 11 or 12 hex digits, GUIDs. The case
of an order id matters and is kept.
"""

import re

GUID = r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"
ORDER_ID = r"^[A-Za-z0-9_-]{8,64}$"

_IN_BRACES = re.compile(r"\{\s*(" + GUID[1:-1] + r")\s*\}")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\$\{|<<|>>|\{%|^[<{\[].*[>}\]]$", re.DOTALL)
_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|www\.", re.IGNORECASE)
_DOMAIN = re.compile(r"[\w-]+(\.[\w-]+)*\.[^\W\d][\w-]*\.?")

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
DOMAIN_LIMIT = 253  # characters of a host name

_TENANT_ADVICE = "send the customer's tenant id, a GUID, which Partner Center shows as Microsoft ID"
_DOMAIN_ADVICE = "send one of the customer's domains, such as contoso.com"
_ORDER_ADVICE = "send the order's id as Partner Center's order history shows it"
_SUBSCRIPTION_ADVICE = "send the subscription's id, a GUID, which Partner Center shows on the subscription's page"


def tidy_id(value: object) -> object:
    """Return *value* without blanks around it and, if it is a GUID, without braces, since no id holds them."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    in_braces = _IN_BRACES.fullmatch(text)
    return in_braces[1] if in_braces else text


def check_tenant_id(text: str) -> str:
    """Return *text* in lower case if it is a tenant id. Raises ValueError with the mistake in words."""
    if not re.fullmatch(GUID, text):
        raise ValueError(_looks_like(text, _TENANT_ADVICE) or f"is no GUID; {_TENANT_ADVICE}")
    return text.lower()


def check_domain(text: str) -> str:
    """Return *text* as a host name in lower case and punycode. Raises ValueError with the mistake in words."""
    if re.fullmatch(GUID, text):
        raise ValueError(f"looks like a tenant id, which belongs into customerTenantId; {_DOMAIN_ADVICE}")
    if not text or _PLACEHOLDER.search(text):
        raise ValueError(_looks_like(text, _DOMAIN_ADVICE) or "is empty; the field was not filled in")
    if "://" in text or "/" in text:
        raise ValueError("is a link; send only the domain in it")
    if "@" in text:
        raise ValueError("looks like an e-mail address; send only what follows the @")
    domain = text.lower()
    if not domain.isascii():
        domain = _punycode(domain)
    domain = domain.removesuffix(".")  # of the root
    labels = domain.split(".")
    is_host_name = len(domain) <= DOMAIN_LIMIT and all(map(_LABEL.fullmatch, labels))
    if len(labels) < 2 or labels[-1].isdecimal() or not is_host_name:
        raise ValueError(f"is no domain; {_DOMAIN_ADVICE}")
    return domain


def _punycode(domain: str) -> str:
    """Return an internationalized *domain* in ASCII (IDNA 2008, UTS 46)."""
    import idna  # noqa: PLC0415  (it comes with httpx; few domains need it, and its tables are large)

    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError(f"is no domain; {_DOMAIN_ADVICE}") from None


def check_subscription_id(text: str) -> str:
    """Return *text* if it is a subscription's id. Raises ValueError with the mistake in words."""
    if re.fullmatch(GUID, text):
        return text
    if mistake := _looks_like(text, _SUBSCRIPTION_ADVICE):
        raise ValueError(mistake)
    if re.fullmatch(ORDER_ID, text):
        raise ValueError(f"is no GUID, but may be an order's id, which belongs into orderId; {_SUBSCRIPTION_ADVICE}")
    raise ValueError(f"is no GUID; {_SUBSCRIPTION_ADVICE}")


def check_order_id(text: str) -> str:
    """Return *text* if it can be an order's id. Raises ValueError with the mistake in words."""
    if re.fullmatch(ORDER_ID, text):
        return text
    if mistake := _looks_like(text, _ORDER_ADVICE):
        raise ValueError(mistake)
    if "#" in text:
        raise ValueError(f"is a number with #, not an id; {_ORDER_ADVICE}")
    raise ValueError(f"has other characters or another length than an order id; {_ORDER_ADVICE}")


def _looks_like(text: str, advice: str) -> str | None:
    """Return the mistake in words if *text* is a well-known thing other than an id, else None."""
    if not text:
        return "is empty; the field was not filled in"
    if _PLACEHOLDER.search(text):
        return "looks like a placeholder that was not filled in; check the template"
    if _LINK.match(text):
        return "is a link; send only the id in it"
    if "@" in text:
        return f"looks like an e-mail address; {advice}"
    return f"looks like a domain; {advice}" if _DOMAIN.fullmatch(text) else None
