"""The operator's queries, run on audit records as Application Insights would hold them.

duckdb-kql (PyPI) parses KQL with Microsoft's own grammar and runs it on DuckDB.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb_kql

MONITORING = Path(__file__).resolve().parents[2] / "infra/monitoring"
ALERTS = sorted(path.stem for path in (MONITORING / "alerts").iterdir())
QUERIES = sorted(path.stem for path in (MONITORING / "queries").iterdir())

type Json = dict[str, Any]


def query(name: str) -> str:
    """Return the text of an alert's or a saved query."""
    folder = "alerts" if name in ALERTS else "queries"
    return (MONITORING / folder / f"{name}.kql").read_text()


class Traces:
    """The table `traces`: each of *records* with the minutes that have passed since it was logged."""

    def __init__(self, records: Iterable[tuple[Json, float]] = ()) -> None:
        self.connection = duckdb_kql.connect()
        self.connection.execute("CREATE TABLE traces (timestamp TIMESTAMP, message VARCHAR)")
        now = datetime.now(UTC).replace(tzinfo=None)
        lines = [(now, "Executing 'Functions.cancel_order'")]  # the host's own lines are traces too
        lines += [(now - timedelta(minutes=minutes), json.dumps(record)) for record, minutes in records]
        self.connection.executemany("INSERT INTO traces VALUES (?, ?)", lines)

    def run(self, name: str, **replaced: str) -> list[Json]:
        """Return the rows of a query, after putting something in the place of what it says is to be *replaced*."""
        text = query(name)
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        found = duckdb_kql.kql(self.connection, text)
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]

    def columns(self, name: str) -> list[str]:
        return list(duckdb_kql.kql(self.connection, query(name)).columns)
