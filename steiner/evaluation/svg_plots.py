"""Plots as inline SVG that takes its colours and fonts from the page, light or dark.

Lines -> SVG text

matplotlib draws in placeholder colours, which are then replaced by variables of the style sheet
(`--ink`, `--series-1` and so on). Text stays text, and every line has its own marker, so a plot is
readable without colour.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HALF_PAGE, THIRD_PAGE = (4.7, 3.2), (3.4, 2.5)
"""Sizes in inches. They are small, so that the page scales them up and text stays readable on a
phone."""

_INK, _MUTED, _RULE = "#010203", "#010204", "#010205"
_SERIES = tuple(f"#0a0b{n:02x}" for n in range(1, 9))
_VARIABLES = {_INK: "--ink", _MUTED: "--muted", _RULE: "--rule"} | {
    colour: f"--series-{n}" for n, colour in enumerate(_SERIES, 1)
}
_MARKERS = "osD^vPXh"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot, with the band of its interval if it has one."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False
    strong: bool = False
    colour: int | None = None
    """Number of its series colour, from 1; None for its position among the lines."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Title and axes of a plot; `name` is unique on the page."""

    name: str
    title: str
    x_label: str
    y_label: str
    x_log2: bool = False
    percent: bool = False
    markers: bool = True
    size: tuple[float, float] = HALF_PAGE


def draw(plot: Plot, lines: Sequence[Line]) -> str:
    """The plot as an SVG element; screen readers read its title."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(_style(plot.name)):
        figure = Figure(figsize=plot.size, layout="constrained")
        axes = FigureCanvasSVG(figure).figure.add_subplot()
        for place, line in enumerate(lines):
            _draw_line(axes, plot, line, place)
        _draw_axes(axes, plot, [value for line in lines for value in line.x])
        columns = 2 if len(lines) > 1 else 1
        if any(line.label for line in lines):
            figure.legend(loc="outside lower center", ncols=columns)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True)
    return _for_page(text.getvalue(), plot)


def _style(salt: str) -> dict[Any, Any]:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.family": "sans-serif",
        "font.size": 8.5,
        "text.color": _INK,
        "axes.labelcolor": _MUTED,
        "axes.edgecolor": _RULE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": _RULE,
        "grid.linewidth": 0.6,
        "xtick.color": _RULE,
        "ytick.color": _RULE,
        "xtick.labelcolor": _MUTED,
        "ytick.labelcolor": _MUTED,
        "ytick.major.size": 0,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "legend.handlelength": 2.4,
    }


def _draw_line(axes: Axes, plot: Plot, line: Line, place: int) -> None:
    colour = _SERIES[(place if line.colour is None else line.colour - 1) % len(_SERIES)]
    if line.low:
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.13, linewidth=0)
    axes.plot(
        line.x,
        line.y,
        label=line.label,
        color=colour,
        linewidth=2.4 if line.strong else 1.3,
        linestyle=(0, (4, 2.4)) if line.dashed else "-",
        marker=_MARKERS[place % len(_MARKERS)] if plot.markers else "",
        markersize=5.5 if line.strong else 4,
        zorder=3 if line.strong else 2,
    )


def _draw_axes(axes: Axes, plot: Plot, xs: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    if plot.x_log2:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        if len(set(xs)) <= 8:
            axes.set_xticks(sorted(set(xs)))
    if plot.percent:
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def _for_page(svg: str, plot: Plot) -> str:
    """The SVG element alone, in the page's colours and font, with ids that no other plot has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"(font: [\d.]+px) [^;\"]*", r"\1 var(--sans)", svg)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{plot.name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{plot.name}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{plot.name}-\1"', svg)
    opening = re.search(r'viewBox="[^"]+"', svg)
    body = svg[svg.index(">") + 1 :]
    view = opening.group() if opening else ""
    head = f'<svg class="plot" role="img" aria-labelledby="{plot.name}-title" {view}>'
    return f'{head}<title id="{plot.name}-title">{escape(plot.title)}</title>{body}'
