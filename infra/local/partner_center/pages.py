"""The pages of a list at Partner Center's stand-in.

Documented, for Partner Center's long lists: links.next has a path with `seekOperation=Next`, a method, and a
continuation token in a header; the last page has no links.next. Microsoft's samples of a customer's orders and
subscriptions are short and show links.self only.

Guesses: that these two lists have such pages; the size of a page; the form of the token, and that it is good for its
own list only; the code for a bad one. Neither list knows `size`: it is ignored, as any unknown parameter.

Source: learn.microsoft.com/partner-center/developer/ get-invoice-unbilled-consumption-lineitems (pages),
get-all-of-a-customer-s-orders, get-all-of-a-customer-s-subscriptions (read 2026-11-28).
"""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from infra.local.partner_center.refusals import Refusal, Refused
from infra.local.partner_center.resources import link
from infra.local.values import Json

# A small list has a second page, so that clients meet one: an order of five licences has two. A long list has larger
# pages, so that it can be read in seconds.
SMALLEST_PAGE, LARGEST_PAGE = 4, 100
TOKEN_HEADER = "MS-ContinuationToken"

BAD_TOKEN = Refusal(400, "3000", "The continuation token is invalid.")


class Page[Item](NamedTuple):
    """The items of one page, and the links of the collection."""

    items: Sequence[Item]
    links: Json


def page_of[Item](found: Sequence[Item], uri: str, token: str | None) -> Page[Item]:
    """Return the page of *found* that *token* names, or the first one. Raises Refused.

    *uri* is the path and the query of the request, without `/v1`.
    """
    start = 0 if token is None else _read_token(token, uri)
    end = start + min(max(len(found) // 10, SMALLEST_PAGE), LARGEST_PAGE)
    links: Json = {"self": link(uri)}
    if end < len(found):
        separator = "&" if "?" in uri else "?"
        next_uri = uri if "seekOperation=Next" in uri else f"{uri}{separator}seekOperation=Next"
        links["next"] = link(next_uri) | {"headers": [{"key": TOKEN_HEADER, "value": _new_token(end, uri)}]}
    return Page(found[start:end], links)


def collection(items: list[Json], links: Json, total_count: int) -> Json:
    """Return a page in the form of Partner Center's collections."""
    return {"totalCount": total_count, "items": items, "links": links, "attributes": {"objectType": "Collection"}}


def _new_token(start: int, uri: str) -> str:
    """Return the token for the page that begins at *start* of the list at *uri*."""
    of_list = re.sub("[?&]seekOperation=Next", "", uri).lower()
    return f"{start}-{hashlib.sha256(f'{start} {of_list}'.encode()).hexdigest()[:16]}"


def _read_token(token: str, uri: str) -> int:
    digits = token.partition("-")[0]
    if not re.fullmatch("[0-9]{1,9}", digits) or token != _new_token(int(digits), uri):
        raise Refused(BAD_TOKEN)
    return int(digits)
