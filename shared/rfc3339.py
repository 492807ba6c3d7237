"""Dates as text, in one form everywhere: RFC 3339 in UTC, with Z."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Return *moment*, which has a time zone, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
