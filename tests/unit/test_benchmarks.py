"""The benchmarks' budgets, table, JSON and plots, from given values. `make bench` makes the measurements."""

import io
import json
import math
import re
from xml.etree import ElementTree

import pytest
from rich.console import Console

from tests.benchmarks import plot, report
from tests.benchmarks.cold import PARTS, parts
from tests.benchmarks.load import BLOCKS as LOADS
from tests.benchmarks.results import BUDGETS, Budget, Comparison, exit_status, join_rounds, percentile
from tests.benchmarks.warm import BLOCKS as LATENCIES

WARM = Comparison("warm/5/httpx", "warm call", "ms", [1.5, 1.4, 9.0], "httpx", [1.0, 1.0, 6.0])


def sample() -> list[Comparison]:
    """Return comparisons as a whole run gives them, for the plots and the table."""
    warm = [Comparison(f"warm/{ms}/httpx", f"warm, {ms} ms", "ms", [ms + 1.4], "httpx", [ms + 1.0]) for ms in LATENCIES]
    load = [
        Comparison(
            f"load/{in_flight}/{latency_ms}/throughput/{against}",
            "throughput <&>",
            "/s",
            [12.0 * in_flight],
            against,
            [12.4 * in_flight],
        )
        for in_flight, latency_ms in LOADS
        for against in ("httpx", "aiohttp")
    ]
    cold = [Comparison("cold/answer", "cold", "ms", [650.0] * 3, "a bare script", [600.0] * 3)]
    cold += [Comparison(f"cold/{part}", part, "ms", [80.0], "a bare script", [75.0]) for part in PARTS]
    return [*warm, *load, *cold, Comparison("endurance/memory", "memory", "MiB", [0.25])]


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    """A slow machine slows both clients in a round, which must not change the ratio."""
    assert WARM.ratio == 1.5
    assert WARM.spread == pytest.approx((1.45, 1.5))


def test_a_value_without_another_client_has_no_ratio() -> None:
    alone = Comparison("endurance/memory", "memory", "MiB", [0.5])

    assert (alone.ratio, alone.spread, alone.is_met) == (None, None, True)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([3.0, 1.0, 2.0], 50, 2.0), ([float(n) for n in range(1, 101)], 95, 95.0), ([7.0], 99, 7.0), ([1.0, 2.0], 0, 1.0)],
)
def test_a_percentile_is_one_of_the_values(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_without_values_there_is_no_percentile() -> None:
    assert math.isnan(percentile([], 95))


def test_the_budgets_are_those_that_were_agreed() -> None:
    """A person who loosens a budget must do it here too."""
    limits = {key: (budget.of, budget.sense, budget.limit) for key, budget in BUDGETS.items() if "failed" not in key}

    assert limits == {
        "warm/0/httpx": ("ratio", "at most", 1.45),
        "warm/50/httpx": ("ratio", "at most", 1.03),
        "warm/50/get-then-patch": ("ratio", "at most", 0.52),
        "warm/50/partnercenterservices": ("ratio", "at most", 0.52),
        "telling/50": ("ratio", "at most", 1.06),
        "requests/whole order": ("value", "at most", 1),
        "requests/lines": ("value", "at most", 2),
        "requests/cold": ("value", "at most", 6),
        "requests/a subscription": ("value", "at most", 2),
        "requests/a licence by its order": ("value", "at most", 3),
        "requests/the end of a term by its order": ("value", "at most", 4),
        "requests/an order of ten licences": ("value", "at most", 21),
        "licences/50/a subscription": ("ratio", "at most", 1.05),
        "licences/50/a licence by its order": ("ratio", "at most", 1.05),
        "licences/50/the end of a term by its order": ("ratio", "at most", 1.05),
        "licences/50/an order of ten licences": ("ratio", "at most", 0.5),
        "load/16/80/throughput/aiohttp": ("ratio", "at least", 0.9),
        "load/16/80/p95/aiohttp": ("ratio", "at most", 1.15),
        "load/64/80/throughput/aiohttp": ("ratio", "at least", 0.85),
        "load/64/80/p95/aiohttp": ("ratio", "at most", 1.3),
        "lost/connections": ("value", "at most", 1),
        "lost/dead": ("value", "at most", 4),
        "cold/answer": ("ratio", "at most", 1.1),
        "endurance/memory": ("value", "at most", 1),
        "endurance/latency": ("ratio", "at most", 1.1),
    }


def test_a_call_that_fails_under_load_misses_a_budget() -> None:
    keys = {f"load/{in_flight}/{latency_ms}/failed" for in_flight, latency_ms in LOADS}

    assert keys == {key for key in BUDGETS if key.endswith("/failed")}
    assert all(BUDGETS[key] == Budget(0, "value") for key in keys)


@pytest.mark.parametrize(
    ("comparison", "met"),
    [
        pytest.param(Comparison("warm/0/httpx", "", "ms", [1.45], "httpx", [1.0]), True, id="at the limit"),
        pytest.param(Comparison("warm/0/httpx", "", "ms", [1.46], "httpx", [1.0]), False, id="above the limit"),
        pytest.param(
            Comparison("load/16/80/throughput/aiohttp", "", "/s", [89.0], "aiohttp", [100.0]), False, id="too low"
        ),
        pytest.param(
            Comparison("load/16/80/throughput/aiohttp", "", "/s", [90.0], "aiohttp", [100.0]), True, id="high enough"
        ),
        pytest.param(Comparison("requests/cold", "", "", [7.0]), False, id="value"),
        pytest.param(Comparison("load/16/80/p95/aiohttp", "", "ms", [math.nan], "aiohttp", [90.0]), False, id="nan"),
        pytest.param(Comparison("warm/20/httpx", "", "ms", [99.0], "httpx", [1.0]), None, id="no budget"),
    ],
)
def test_a_budget_is_met_or_missed(comparison: Comparison, met: bool | None) -> None:
    assert comparison.is_met is met
    assert exit_status([WARM, comparison]) == (1 if met is False else 0)


def test_a_run_without_measurements_fails() -> None:
    assert exit_status([]) == 1


def test_the_table_says_which_budgets_were_missed() -> None:
    console = Console(width=150, file=io.StringIO(), record=True)
    slow = Comparison("warm/0/httpx", "warm call", "ms", [1.5, 1.4, 9.0], "httpx", [1.0, 1.0, 6.0])

    console.print(report.table([slow, WARM, Comparison("requests/cold", "requests, cold", "", [6.0])]))

    rows = [re.split(r"\s{2,}", line.strip()) for line in console.export_text().splitlines()[1:]]
    assert rows == [
        ["warm call", "1.50 ms", "1.00 ms", "httpx", "1.50", "1.45 … 1.50", "≤ 1.45", "missed"],
        ["warm call", "1.50 ms", "1.00 ms", "httpx", "1.50", "1.45 … 1.50"],
        ["requests, cold", "6", "≤ 6", "met"],
    ]


def test_the_json_has_every_round_and_the_machine() -> None:
    written = json.loads(report.as_json([WARM], report.machine(), 12.34))

    assert written["comparisons"][0]["ours"] == WARM.ours
    assert (written["comparisons"][0]["ratio"], written["comparisons"][0]["met"]) == (1.5, None)
    assert {"processors", "load", "python", "packages"} <= written["machine"].keys()


@pytest.mark.parametrize("comparisons", [sample(), sample()[:4], []], ids=["everything", "only warm", "nothing"])
def test_every_bar_is_inside_the_plot(comparisons: list[Comparison]) -> None:
    root = ElementTree.fromstring(plot.svg(comparisons))  # noqa: S314  (our own)

    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        edges = {name: float(box.get(name, 0)) for name in ("x", "y", "width", "height")}
        assert edges["x"] + edges["width"] <= width + 0.1
        assert edges["y"] + edges["height"] <= height + 0.1


def test_the_plot_shows_the_figures() -> None:
    texts = {element.text for element in ElementTree.fromstring(plot.svg(sample())).iter()}  # noqa: S314

    assert texts >= {"+40 % (+0.40 ms)", "64 in flight", "768", "794", "ours: 650", "a bare script: 600", "Key Vault"}


def test_the_parts_of_a_cold_start_add_up() -> None:
    marks = {"started": 100.02, "imported": 100.3, "ready": 100.35, "answered": 100.9}
    requests = [
        {"service": "key_vault", "time": 100.55, "took_s": 0.01},
        {"service": "identity", "time": 100.57, "took_s": 0.01},
        {"service": "key_vault", "time": 100.59, "took_s": 0.01},
        {"service": "entra", "time": 100.65, "took_s": 0.01},
        {"service": "partner_center", "time": 100.8, "took_s": 0.05},
    ]

    taken = parts(100.0, marks, requests)

    assert taken["answer"] == pytest.approx(900)
    assert sum(taken[part] for part in PARTS) == pytest.approx(900)
    assert (taken["sdks"], taken["identity"], taken["key_vault"]) == pytest.approx((200, 20, 30))
    assert taken["requests"] == 5


def test_the_rounds_of_several_processes_are_joined() -> None:
    """Otherwise one process with a slow layout of memory would decide."""
    processes = [[Comparison("key", "title", "ms", [ours], "httpx", [1.0])] for ours in (1.2, 1.6, 1.3)]

    [comparison] = join_rounds(processes)

    assert comparison.ratio == 1.3
    assert comparison.key == "key"
