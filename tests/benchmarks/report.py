"""The measurements as a table for people and as JSON, with the machine that they were made on."""

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
    """Return what the figures depend on. The load is that of the minute before, the first sign of noise."""
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
    found = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    found.add_column("what")
    found.add_column("ours", justify="right")
    found.add_column("other", justify="right")
    found.add_column("")
    found.add_column("ratio", justify="right")
    found.add_column("quartiles", justify="right", style="dim")
    found.add_column("budget", justify="right")
    found.add_column("")
    for one in comparisons:
        ratio = one.ratio
        found.add_row(
            one.what,
            number(median(one.ours), one.unit),
            number(median(one.other), one.unit) if one.other else "",
            one.against,
            "" if ratio is None else f"{ratio:.2f}",
            _spread(one),
            _budget(one),
            {None: "", True: "[green]met[/]", False: "[bold red]missed[/]"}[one.is_met],
        )
    return found


def as_json(comparisons: Iterable[Comparison], made_on: dict[str, Any], took_s: float) -> str:
    rows = [asdict(one) | {"ratio": one.ratio, "budget": _budget(one), "met": one.is_met} for one in comparisons]
    return json.dumps({"machine": made_on, "took_s": round(took_s, 1), "comparisons": rows}, indent=1)


def number(value: float, unit: str) -> str:
    """Return *value* with three figures that count, and its unit."""
    text = f"{value:,.0f}" if abs(value) >= 100 or not unit else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{text} {unit}".rstrip()


def _spread(one: Comparison) -> str:
    if not one.spread:
        return ""
    low, high = one.spread
    return f"{low:.2f} … {high:.2f}" if one.other else f"{number(low, '')} … {number(high, '')}"


def _budget(one: Comparison) -> str:
    if not one.budget:
        return ""
    sign = "≤" if one.budget.sense == "at most" else "≥"
    return f"{sign} {one.budget.limit:.2f}" if one.budget.of == "ratio" else f"{sign} {one.budget.limit:g} {one.unit}"
