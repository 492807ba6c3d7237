"""Draws three plots in one SVG: overhead by latency, throughput by calls in flight, the parts of a cold start.

No package is needed for rectangles and texts. The SVG has a background of its own and follows the reader's colour
scheme, so it can be read on light and dark pages.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from xml.sax.saxutils import escape

from tests.benchmarks.cold import PARTS
from tests.benchmarks.results import Comparison

WIDTH, MARGIN, LINE = 880, 24, 18
BAR_HEIGHT, BARS_HEIGHT = 34, 150
LATENCY_MS = 80  # in the plot of throughput
SERIES = {"ours": "#2f81f7", "httpx": "#8b949e", "aiohttp": "#d29922"}
PART_COLOURS = ("#8b949e", "#2f81f7", "#79c0ff", "#a371f7", "#3fb950", "#2ea88c", "#d29922", "#f0883e")
STYLE = """
text { fill: #1f2328 } .title { font-weight: 600 } .middle { text-anchor: middle }
.page { fill: #ffffff } .axis { stroke: #8b949e }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .page { fill: #0d1117 } }
"""


@dataclass(frozen=True)
class Group:
    """Holds the bars above one *label*: for each series its value and the text above the bar."""

    label: str
    bars: Mapping[str, tuple[float, str]]


def svg(comparisons: Sequence[Comparison]) -> str:
    """Return the plots of *comparisons*, without the comparisons that were not measured."""
    by_key = {comparison.key: comparison for comparison in comparisons}
    shapes: list[str] = []
    top = MARGIN
    for title, groups, full in (
        ("Extra time of a warm call over the bare request, by latency at Partner Center", _overhead(by_key), 0),
        (
            f"Cancellations a second, {LATENCY_MS} ms at Partner Center (full height: the latency alone)",
            _throughput(by_key),
            100,
        ),
    ):
        if groups:
            shapes += _bars(title, groups, full, top)
            top += BARS_HEIGHT + 6 * LINE
    if "cold/answer" in by_key:
        shapes += _cold_start(by_key, top)
        top += 2 * (BAR_HEIGHT + LINE) + 4 * LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img"'
        ' font-family="system-ui, DejaVu Sans, sans-serif" font-size="13">\n'
        f"<title>What the function costs</title>\n<style>{STYLE}</style>\n"
        f'<rect class="page" width="{WIDTH}" height="{top}" rx="8"/>\n' + "\n".join(shapes) + "\n</svg>\n"
    )


def _overhead(by_key: Mapping[str, Comparison]) -> list[Group]:
    """Return one bar for each latency, in percent of the bare request."""
    groups = []
    for key, comparison in by_key.items():
        part, latency_ms, *against = key.split("/")
        if part == "warm" and against == ["httpx"]:
            percent = ((comparison.ratio or 1) - 1) * 100
            more_ms = median(ours - other for ours, other in zip(comparison.ours, comparison.other, strict=True))
            text = f"{percent:+.0f} % ({more_ms:+.2f} ms)"
            groups.append(Group(f"{latency_ms} ms", {"ours": (percent, text)}))
    return groups


def _throughput(by_key: Mapping[str, Comparison]) -> list[Group]:
    """Return a bar for each client, in percent of the rate that the latency alone would allow."""
    groups = []
    for in_flight in (1, 16, 64):
        if comparison := by_key.get(f"load/{in_flight}/{LATENCY_MS}/throughput/httpx"):
            aiohttp = by_key[comparison.key.replace("httpx", "aiohttp")].other
            rates = zip(SERIES, map(median, (comparison.ours, comparison.other, aiohttp)), strict=True)
            highest = in_flight / LATENCY_MS * 1000
            bars = {name: (rate / highest * 100, f"{rate:.0f}") for name, rate in rates}
            groups.append(Group(f"{in_flight} in flight", bars))
    return groups


def _bars(title: str, groups: Sequence[Group], full: float, top: float) -> list[str]:
    """Draw *groups* of vertical bars below *top*, with a legend.

    A bar of the value *full* has the height of the plot; if *full* is 0, the highest bar has it.
    """
    names = list(groups[0].bars)
    shapes = [_text(MARGIN, top + 4, title, "title")]
    shapes += _legend([(name, SERIES[name]) for name in names], top + LINE + 6)
    bottom = top + 3 * LINE + BARS_HEIGHT
    highest = full or max(1.0, *(value for group in groups for value, _ in group.bars.values()))
    group_width = (WIDTH - 2 * MARGIN) / len(groups)
    bar_width = group_width * 0.8 / len(names)
    for number, group in enumerate(groups):
        left = MARGIN + (number + 0.1) * group_width
        for position, (name, (value, text)) in enumerate(group.bars.items()):
            height = max(0.0, value) / highest * BARS_HEIGHT
            x = left + position * bar_width
            shapes.append(_box(x + 2, bottom - height, bar_width - 4, height, SERIES[name]))
            shapes.append(_text(x + bar_width / 2, bottom - height - 5, text, "middle"))
        shapes.append(_text(left + group_width * 0.4, bottom + LINE, group.label, "middle"))
    shapes.append(f'<line class="axis" x1="{MARGIN}" y1="{bottom}" x2="{WIDTH - MARGIN}" y2="{bottom}"/>')
    return shapes


def _cold_start(by_key: Mapping[str, Comparison], top: float) -> list[str]:
    """Draw a horizontal bar for the function and one for the bare script below *top*, each divided into its parts."""
    whole = by_key["cold/answer"]
    longest = max(median(whole.ours), median(whole.other))
    scale = (WIDTH - 2 * MARGIN) / longest
    shapes = [_text(MARGIN, top + 4, "From a new process to its first answer, ms", "title")]
    y = top + LINE
    for name, rounds in (("ours", "ours"), (whole.against, "other")):
        total = median(getattr(whole, rounds))
        shapes.append(_text(MARGIN, y + 10, f"{name}: {total:.0f}"))
        x = float(MARGIN)
        for part, colour in zip(PARTS, PART_COLOURS, strict=True):
            took = median(getattr(by_key[f"cold/{part}"], rounds))
            shapes.append(_box(x, y + 16, took * scale, BAR_HEIGHT - 8, colour))
            if took * scale > 30:
                shapes.append(_text(x + took * scale / 2, y + 16 + BAR_HEIGHT / 2, f"{took:.0f}", "middle"))
            x += took * scale
        y += BAR_HEIGHT + LINE
    return shapes + _legend(list(zip(PARTS.values(), PART_COLOURS, strict=True)), y + 10)


def _legend(entries: Iterable[tuple[str, str]], y: float) -> list[str]:
    shapes, x = [], float(MARGIN)
    for text, colour in entries:
        width = 30 + 7 * len(text)
        if x + width > WIDTH - MARGIN:
            x, y = float(MARGIN), y + LINE
        shapes += [_box(x, y - 10, 11, 11, colour), _text(x + 16, y, text)]
        x += width
    return shapes


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
