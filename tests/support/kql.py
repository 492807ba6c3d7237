"""Runs the operator's queries on audit records, in the table that Application Insights would have.

duckdb-kql (PyPI) parses KQL with Microsoft's own grammar and runs it on DuckDB.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
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


TABLES = {
    "traces": {"timestamp": "TIMESTAMP", "message": "VARCHAR"},
    "availabilityResults": {
        "timestamp": "TIMESTAMP",
        "location": "VARCHAR",
        "success": "VARCHAR",
        "message": "VARCHAR",
    },
}


@cache
def translated(text: str) -> str:
    """Return the query with this text as SQL. The translation takes as long as the query itself."""
    sql = duckdb_kql.to_sql(text, schema={table: list(columns) for table, columns in TABLES.items()})
    assert not sql.parameters, "the values of parameters would have to be bound"
    return str(sql)


class Traces:
    """Holds the table `traces` with *records*, each with the minutes since it was logged.

    `availabilityResults` has the two results of one availability test, as Application Insights keeps them.
    """

    def __init__(self, records: Iterable[tuple[Json, float]] = ()) -> None:
        self.connection = duckdb_kql.connect(config={"threads": 1})
        for table, columns in TABLES.items():
            members = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            self.connection.execute(f"CREATE TABLE {table} ({members})")
        now = datetime.now(UTC).replace(tzinfo=None)
        lines = [(now, "Executing 'Functions.cancel_order'")]  # the host's own log lines are in the table too
        lines += [(now - timedelta(minutes=minutes), json.dumps(record)) for record, minutes in records]
        self.connection.executemany("INSERT INTO traces VALUES (?, ?)", lines)
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
        result = self.connection.sql(translated(text))
        return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]

    def columns(self, name: str) -> list[str]:
        return list(self.connection.sql(translated(query(name))).columns)
