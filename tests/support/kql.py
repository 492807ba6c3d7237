"""Runs the operator's queries on audit records, in the table that Application Insights would have.

duckdb-kql (PyPI) parses KQL with Microsoft's own grammar and runs it on DuckDB.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb_kql

from tests.support.local_cloud import Json

MONITORING = Path(__file__).resolve().parents[2] / "infra/monitoring"
ALERTS = sorted(path.stem for path in (MONITORING / "alerts").iterdir())
QUERIES = sorted(path.stem for path in (MONITORING / "queries").iterdir())


def query(name: str) -> str:
    """Return the text of the alert or saved query *name*."""
    folder = "alerts" if name in ALERTS else "queries"
    return (MONITORING / folder / f"{name}.kql").read_text()


def queries_to_paste() -> dict[str, str]:
    """Return the queries of docs/operate.md by the heading of their alert."""
    page = (MONITORING.parents[1] / "docs/operate.md").read_text()
    sections = re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
    queries: dict[str, str] = {}
    for alert, text in sections:
        for block in re.findall(r"^ *```kusto\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
            assert alert not in queries, f"docs/operate.md has two queries under {alert}: only one would be tested"
            queries[alert] = block
    return queries


class Traces:
    """Holds the table `traces` with *records*, each with the minutes since it was logged.

    `availabilityResults` has the two results of one availability test, as Application Insights keeps them.
    """

    def __init__(self, records: Iterable[tuple[Json, float]] = ()) -> None:
        self.connection = duckdb_kql.connect()
        self.connection.execute("CREATE TABLE traces (timestamp TIMESTAMP, message VARCHAR)")
        now = datetime.now(UTC).replace(tzinfo=None)
        lines = [(now, "Executing 'Functions.cancel_order'")]  # the host's own log lines are in the table too
        lines += [(now - timedelta(minutes=minutes), json.dumps(record)) for record, minutes in records]
        self.connection.executemany("INSERT INTO traces VALUES (?, ?)", lines)
        self.connection.execute(
            "CREATE TABLE availabilityResults (timestamp TIMESTAMP, location VARCHAR, success VARCHAR, message VARCHAR)"
        )
        results = [(now, "West Europe", "0", "401"), (now - timedelta(hours=2), "East US", "1", "Passed")]
        self.connection.executemany("INSERT INTO availabilityResults VALUES (?, ?, ?, ?)", results)

    def run(self, name: str, **replacements: str) -> list[Json]:
        """Return the rows of the query *name*, after replacing texts in it."""
        text = query(name)
        for old, new in replacements.items():
            assert old in text
            text = text.replace(old, new)
        return self.rows(text)

    def rows(self, text: str) -> list[Json]:
        """Return the rows of the query with this text."""
        result = duckdb_kql.kql(self.connection, text)
        return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]

    def columns(self, name: str) -> list[str]:
        return list(duckdb_kql.kql(self.connection, query(name)).columns)
