"""Shows the measurements as a table or as JSON, with the machine on which they were made."""

import importlib.metadata
import json
import os
import platform
import ssl
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from tests.benchmarks.results import Comparison

PACKAGES = (
    *("aiohttp", "azure-functions", "azure-functions-runtime-v1", "azure-identity", "azure-keyvault-secrets"),
    *("httpcore", "httpx", "partnercenterservices", "pydantic", "uvicorn"),
)


def machine() -> dict[str, Any]:
    """Return the machine and the versions. The load is that of the minute before; a high one explains noisy figures."""
    processors = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in processors.splitlines() if line.startswith("model name")]
    return {
        "system": platform.platform(),
        "processor": models[0] if models else platform.processor(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def table(comparisons: Iterable[Comparison]) -> Table:
    """Return a row for each comparison: medians, their ratio with its quartiles, and the budget."""
    rows = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    rows.add_column("measurement")
    rows.add_column("ours", justify="right")
    rows.add_column("other", justify="right")
    rows.add_column("")
    rows.add_column("ratio", justify="right")
    rows.add_column("quartiles", justify="right", style="dim")
    rows.add_column("budget", justify="right")
    rows.add_column("")
    for comparison in comparisons:
        ratio = comparison.ratio
        rows.add_row(
            comparison.title,
            number(median(comparison.ours), comparison.unit),
            number(median(comparison.other), comparison.unit) if comparison.other else "",
            comparison.against,
            "" if ratio is None else f"{ratio:.2f}",
            _spread(comparison),
            _budget(comparison),
            {None: "", True: "[green]met[/]", False: "[bold red]missed[/]"}[comparison.is_met],
        )
    return rows


def as_json(comparisons: Iterable[Comparison], machine: dict[str, Any], took_s: float) -> str:
    rows = [
        asdict(comparison) | {"ratio": comparison.ratio, "budget": _budget(comparison), "met": comparison.is_met}
        for comparison in comparisons
    ]
    return json.dumps({"machine": machine, "took_s": round(took_s, 1), "comparisons": rows}, indent=1)


def number(value: float, unit: str) -> str:
    """Return *value* with three significant digits, and its unit."""
    text = f"{value:,.0f}" if abs(value) >= 100 or not unit else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{text} {unit}".rstrip()


def _spread(comparison: Comparison) -> str:
    if not comparison.spread:
        return ""
    low, high = comparison.spread
    return f"{low:.2f} … {high:.2f}" if comparison.other else f"{number(low, '')} … {number(high, '')}"


def _budget(comparison: Comparison) -> str:
    budget = comparison.budget
    if not budget:
        return ""
    sign = "≤" if budget.sense == "at most" else "≥"
    return f"{sign} {budget.limit:.2f}" if budget.of == "ratio" else f"{sign} {budget.limit:g} {comparison.unit}"
