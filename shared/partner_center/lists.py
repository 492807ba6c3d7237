"""Lists of Partner Center: one page, and the way to the next one.

Source: Partner Center's "get-all-of-a-customer-s-orders", "get-all-of-a-customer-s-subscriptions" and
"get-a-list-of-subscriptions-by-order" pages and their samples: `links.next` has a path and headers (read 2026-11-28).
"""

from collections.abc import Awaitable, Callable, Mapping

from shared.errors import BadGateway
from shared.replies.refusals import UNEXPECTED
from shared.replies.reply import lower_names, parse_body, to_text

CONTINUATION = "MS-ContinuationToken"

type ReadPage = Callable[[str, Mapping[str, str]], Awaitable[bytes]]  # an URL, and headers to add


def read_page[Item](
    body: bytes, read_item: Callable[[object], Item | None]
) -> tuple[list[Item], str | None, dict[str, str]] | None:
    """Return one page of a list: its items, and the path and headers of the next page, if there is one.

    None if *body* is no list, or has an item that cannot be read: a list with gaps would hide something. The count in
    it is not read: one of Partner Center's samples has 37 for a list of one.
    """
    members = lower_names(parse_body(body))
    items = members.get("items")
    found = [read_item(item) for item in items] if isinstance(items, list) else [None]
    known = [item for item in found if item is not None]
    if len(known) < len(found):
        return None
    link = lower_names(lower_names(members.get("links")).get("next"))
    headers = link.get("headers")
    pairs = map(lower_names, headers if isinstance(headers, list) else [])
    named = ((to_text(pair.get("key")), to_text(pair.get("value"))) for pair in pairs)
    return known, to_text(link.get("uri")), {key: value for key, value in named if key and value}


async def read_list[Item](
    read: ReadPage,
    url: str,
    *,
    api_root: str,
    read_item: Callable[[object], Item | None],
    found: list[Item],
    max_pages: int,
) -> bool:
    """Read the list at *url* into *found*, page by page. False if it has more than *max_pages*.

    Raises BadGateway for an answer that is no list, and the errors of *read*.
    """
    root, headers = url.partition("?")[0], dict[str, str]()
    read_before: set[tuple[str, *tuple[str, ...]]] = set()
    for _ in range(max_pages):
        read_before.add((url, *headers.values()))
        page = read_page(await read(url, headers), read_item)
        if page is None:
            break
        items, next_uri, next_headers = page
        found += items
        if next_uri is None:
            return True
        # The path of the next page is Partner Center's; the list that it belongs to is ours.
        url = f"{api_root}/v1{next_uri}"
        headers = {name: value for name, value in next_headers.items() if name.lower() == CONTINUATION.lower()}
        if url.partition("?")[0] != root or not _is_sendable(url, *headers.values()):
            break
        if (url, *headers.values()) in read_before:  # a page that leads back would be read without end
            break
    else:
        return False
    raise BadGateway(UNEXPECTED.code, UNEXPECTED.detail)


def _is_sendable(*texts: str) -> bool:
    """True if *texts*, which come from outside, can stand in the head of a request."""
    return all(text.isascii() and text.isprintable() and " " not in text for text in texts)
