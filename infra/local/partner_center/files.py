"""Orders and subscriptions from the folders of `--orders` and `--subscriptions`."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from infra.local.partner_center.entries import (
    Behaviour,
    Entry,
    ProductKind,
    SubscriptionEntry,
    kind_of,
    subscription_of,
)
from infra.local.partner_center.members import GUID, id_key, member, read_json
from infra.local.values import Json

log = logging.getLogger("infra.local")


def load_orders(path: Path) -> list[Entry]:
    """Return the orders in *path*/*.json as software that can be cancelled at any age.

    JSON that is not an order is skipped with a warning, because folders of samples hold other files too.
    Raises ValueError that names the file if it is not JSON, or *path* if there is no such folder.
    """
    return [entry for file, content in _read_folder(path) if (entry := _read_order(file, content))]


def load_subscriptions(path: Path) -> list[SubscriptionEntry]:
    """Return the subscriptions in *path*/*.json. Warns and raises as `load_orders`."""
    return [entry for file, content in _read_folder(path) if (entry := _read_subscription(file, content))]


def merge(entries: Iterable[Entry], loaded: Iterable[Entry]) -> list[Entry]:
    """Return *entries* and *loaded*. If two orders have the same id, only the later one is kept."""
    return list({entry.order_id: entry for entry in [*entries, *loaded]}.values())


def merge_subscriptions(
    entries: Iterable[SubscriptionEntry], loaded: Iterable[SubscriptionEntry]
) -> list[SubscriptionEntry]:
    """Return *entries* and *loaded*. If two subscriptions have the same id, only the later one is kept."""
    return list({id_key(entry.subscription_id): entry for entry in [*entries, *loaded]}.values())


def with_kinds(orders: Iterable[Entry], subscriptions: Iterable[SubscriptionEntry]) -> list[Entry]:
    """Return the loaded *orders*; a line that names one of *subscriptions* has the kind of that one."""
    kinds = {id_key(entry.subscription_id): kind_of(entry.subscription) for entry in subscriptions}
    return [_with_kinds(entry, kinds) for entry in orders]


def _with_kinds(entry: Entry, kinds: Mapping[str, str]) -> Entry:
    lines = member(entry.order, "lineItems") or []
    line_kinds = {
        member(line, "lineItemNumber"): kind for line in lines if (kind := kinds.get(id_key(subscription_of(line))))
    }
    if not line_kinds:
        return entry
    all_kinds = dict.fromkeys(line_kinds.get(member(line, "lineItemNumber"), entry.kind) for line in lines)
    if len(all_kinds) == 1:
        return replace(entry, kind=next(iter(all_kinds)))
    return replace(entry, note=f"{entry.note}, with a {' and a '.join(line_kinds.values())}", line_kinds=line_kinds)


def _read_folder(path: Path) -> Iterable[tuple[Path, Any]]:
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder")
    for file in sorted(path.glob("*.json")):
        try:
            yield file, read_json(file.read_bytes())
        except ValueError as error:
            raise ValueError(f"{file}: not JSON: {error}") from None


def _read_order(file: Path, order: Any) -> Entry | None:  # noqa: ANN401  (JSON)
    members = {name: member(order, name) for name in ("id", "lineItems")} if isinstance(order, dict) else {}
    customer = _guid(member(order, "referenceCustomerId")) if isinstance(order, dict) else None
    lines = members.get("lineItems")
    are_lines = lines is None or (isinstance(lines, list) and all(isinstance(line, dict) for line in lines))
    if not isinstance(members.get("id"), str) or not members["id"] or customer is None or not are_lines:
        log.warning("%s is left out: an order needs id, referenceCustomerId (a GUID) and lineItems (a list)", file)
        return None
    return Entry(order, customer, ProductKind.SOFTWARE, f"loaded from {file.name}", Behaviour.NO_LIMITS)


def _read_subscription(file: Path, content: Any) -> SubscriptionEntry | None:  # noqa: ANN401  (JSON)
    known = {"customerTenantId", "subscription", "patchAnswers"}
    members: Json = content if isinstance(content, dict) and content.keys() <= known else {}
    customer, patch_answers = _guid(members.get("customerTenantId")), members.get("patchAnswers", 200)
    subscription = members.get("subscription")
    has_id = isinstance(subscription, dict) and GUID.fullmatch(str(member(subscription, "id")))
    if customer is None or not isinstance(subscription, dict) or not has_id or patch_answers not in (200, 202):
        log.warning(
            "%s is left out: a file needs customerTenantId (a GUID) and subscription (with a GUID as id),"
            " and may have patchAnswers (200 or 202)",
            file,
        )
        return None
    note = f"loaded from {file.name}"
    return SubscriptionEntry(subscription, customer, note, patch_answers=patch_answers, has_window=False)


def _guid(value: object) -> str | None:
    try:
        return str(UUID(str(value)))
    except ValueError:
        return None
