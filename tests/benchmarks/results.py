"""What was measured, what it must stay within, and whether it does. No I/O, no clock."""

import math
from dataclasses import dataclass, field, replace
from statistics import median, quantiles
from typing import Literal


@dataclass(frozen=True)
class Budget:
    """The *limit* that a figure must not pass: of our value beside the other's, or of our value alone."""

    limit: float
    of: Literal["ratio", "value"] = "ratio"
    sense: Literal["at most", "at least"] = "at most"

    def is_met(self, figure: float) -> bool:
        return figure <= self.limit if self.sense == "at most" else figure >= self.limit


# By the key of the comparison. Latencies stand in a key as the milliseconds at the other end.
BUDGETS = {
    "warm/0/httpx": Budget(1.45),
    "warm/50/httpx": Budget(1.03),
    "warm/50/get-then-patch": Budget(0.52),
    "warm/50/partnercenterservices": Budget(0.52),
    "requests/whole order": Budget(1, "value"),
    "requests/lines": Budget(2, "value"),
    "requests/cold": Budget(6, "value"),
    "load/16/80/throughput/aiohttp": Budget(0.90, sense="at least"),
    "load/16/80/p95/aiohttp": Budget(1.15),
    "load/64/80/throughput/aiohttp": Budget(0.85, sense="at least"),
    "load/64/80/p95/aiohttp": Budget(1.30),
    **{f"load/{n}/{latency_ms}/failed": Budget(0, "value") for n in (1, 16, 64) for latency_ms in (0, 80)},
    "cold/answer": Budget(1.10),
    "endurance/memory": Budget(1, "value"),
    # "As fast as": two stretches of one run, a minute apart, differ by some percent on any machine.
    "endurance/latency": Budget(1.10),
}


@dataclass(frozen=True)
class Comparison:
    """One thing measured: a value a round of ours, and of the *other* side in the same round where there is one."""

    key: str
    what: str
    unit: str
    ours: list[float]
    against: str = ""
    other: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """Ours over the other, by round: what slows a whole round down cancels out."""
        return [ours / other for ours, other in zip(self.ours, self.other, strict=True)] if self.other else []

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.other else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """The quartiles of the ratio, or of our value where it stands alone; None for fewer than three rounds."""
        values = self.ratios or self.ours
        if len(values) < 3:
            return None
        low, _, high = quantiles(values, n=4, method="inclusive")
        return low, high

    @property
    def budget(self) -> Budget | None:
        return BUDGETS.get(self.key)

    @property
    def is_met(self) -> bool | None:
        """None where nothing is demanded."""
        if not self.budget:
            return None
        figure = self.ratio if self.budget.of == "ratio" else median(self.ours)
        return figure is not None and self.budget.is_met(figure)


def percentile(values: list[float], percent: float) -> float:
    """Return the smallest of *values* that *percent* of them do not exceed; NaN if there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def exit_status(comparisons: list[Comparison]) -> int:
    """1 if a budget is missed, or nothing was measured."""
    return 1 if not comparisons or any(one.is_met is False for one in comparisons) else 0


def joined(parts: list[list[Comparison]]) -> list[Comparison]:
    """Return the comparisons that several processes made, each with the rounds of all."""
    return [
        replace(
            same[0],
            ours=[one for part in same for one in part.ours],
            other=[one for part in same for one in part.other],
        )
        for same in zip(*parts, strict=True)
    ]
