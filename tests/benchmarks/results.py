"""The measured values, the budgets, and whether a budget is met. No I/O, no clock."""

import math
from dataclasses import dataclass, field, replace
from statistics import median, quantiles
from typing import Literal


@dataclass(frozen=True)
class Budget:
    """Limits a figure: the ratio of our value to the other client's, or our value alone."""

    limit: float
    of: Literal["ratio", "value"] = "ratio"
    sense: Literal["at most", "at least"] = "at most"

    def is_met(self, figure: float) -> bool:
        return figure <= self.limit if self.sense == "at most" else figure >= self.limit


# By the key of the comparison, which contains the milliseconds of latency at Partner Center.
BUDGETS = {
    "warm/0/httpx": Budget(1.45),
    "warm/50/httpx": Budget(1.03),
    "warm/50/get-then-patch": Budget(0.52),
    "warm/50/partnercenterservices": Budget(0.52),
    "requests/whole order": Budget(1, "value"),
    "requests/lines": Budget(2, "value"),
    "requests/cold": Budget(6, "value"),
    "requests/a subscription": Budget(2, "value"),
    "requests/a licence by its order": Budget(3, "value"),
    "requests/the end of a term by its order": Budget(4, "value"),
    "requests/an order of ten licences": Budget(21, "value"),
    "licences/50/a subscription": Budget(1.05),
    "licences/50/a licence by its order": Budget(1.05),
    "licences/50/the end of a term by its order": Budget(1.05),
    "licences/50/an order of ten licences": Budget(0.5),
    "telling/50": Budget(1.06),
    "load/16/80/throughput/aiohttp": Budget(0.90, sense="at least"),
    "load/16/80/p95/aiohttp": Budget(1.15),
    "load/64/80/throughput/aiohttp": Budget(0.85, sense="at least"),
    "load/64/80/p95/aiohttp": Budget(1.30),
    **{f"load/{n}/{latency_ms}/failed": Budget(0, "value") for n in (1, 16, 64) for latency_ms in (0, 80)},
    "lost/connections": Budget(1, "value"),
    # The system gives a dead connection up after 3 s; then the request is repeated.
    "lost/dead": Budget(4, "value"),
    "cold/answer": Budget(1.10),
    "endurance/memory": Budget(1, "value"),
    # The last calls should be as fast as the first, but a minute later every machine differs by some percent.
    "endurance/latency": Budget(1.10),
}


@dataclass(frozen=True)
class Comparison:
    """Holds the values of one measurement by round.

    Attributes:
        ours: the values of the function.
        against: the name of the client that it is compared with; empty if there is none.
        other: that client's values in the same rounds.
    """

    key: str
    title: str
    unit: str
    ours: list[float]
    against: str = ""
    other: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """Our value divided by the other's, by round. A busy machine slows both in a round, which cancels out."""
        return [ours / other for ours, other in zip(self.ours, self.other, strict=True)] if self.other else []

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.other else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """The quartiles of the ratio, or of our value if there is no other; None for fewer than three rounds."""
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
        """Whether the budget is met; None if there is no budget."""
        if not self.budget:
            return None
        figure = self.ratio if self.budget.of == "ratio" else median(self.ours)
        return figure is not None and self.budget.is_met(figure)


def percentile(values: list[float], percent: float) -> float:
    """Return the smallest of *values* that at least *percent* of them do not exceed; NaN if there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def exit_status(comparisons: list[Comparison]) -> int:
    """Return 1 if a budget is missed or nothing was measured, else 0."""
    return 1 if not comparisons or any(comparison.is_met is False for comparison in comparisons) else 0


def join_rounds(processes: list[list[Comparison]]) -> list[Comparison]:
    """Return the comparisons of several processes, each with the rounds of all processes."""
    return [
        replace(
            same_key[0],
            ours=[value for comparison in same_key for value in comparison.ours],
            other=[value for comparison in same_key for value in comparison.other],
        )
        for same_key in zip(*processes, strict=True)
    ]
