"""progress.png: the metric over the experiments of a campaign."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from flows.labels import Box, Scene, Spot, printable, write_texts
from flows.points import Frame, Point, finite, height, limits

__all__ = ["Point", "progress_plot"]

# Okabe and Ito's colours: told apart with every common colour blindness
STATUS_COLOURS = {"keep": "#0072B2", "discard": "#8C8C8C", "crash": "#D55E00"}
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#A89B00")
BEST = "#003F66"
REST = "#8C8C8C"  # components beyond the palette, and points without one
MARKERS = {"keep": "o", "discard": "v", "crash": "x"}
SIZES = {"keep": 9.0, "discard": 5.5, "crash": 8.0}
SHOWN_AS = {"keep": "kept", "discard": "discarded", "crash": "crashed"}
INCHES, DPI = (11.0, 5.8), 130  # 1430 x 754 pixels: 9 pt is still read at README width (~900)
LEFT, RIGHT = 0.075, 0.985  # of the axes, in parts of the width
LONGEST_LABEL = 32  # characters


def progress_plot(
    points: Sequence[Point], path: Path, *, metric: str, direction: str, title: str
) -> None:
    """Draw the metric over the experiments as a PNG, the same bytes for the same points.

    Kept experiments are filled circles with their description, discarded ones small
    triangles, crashes crosses along the worse border; the step line is the running best of
    the kept ones. An outlier does not squash the axis: it stands clipped at the border with
    its value. Colour tells the status, or the component where points have one.

    Args:
        points: The experiments in order; the first one is number 0, the baseline.
        path: File to write; it is replaced in one step.
        metric: Name of the axis, `val_bpb`.
        direction: "min" or "max": which way is better.
        title: One line above the plot.
    """
    minimise = not direction.startswith("max")
    with matplotlib.style.context("default"):  # a user's matplotlibrc must not change the file
        figure = Figure(figsize=INCHES, dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        colours = component_colours(points)
        axes = figure.add_axes((LEFT, 0.095, RIGHT - LEFT, 0.735 if colours else 0.775))
        frame = Frame(*limits(points, minimise=minimise), minimise)
        draw_axes(axes, points, frame, metric)
        best = draw_best(axes, points, frame)
        draw_points(axes, points, frame, colours)
        draw_labels(axes, canvas, points, frame, best)
        draw_heading(figure, points, frame, colours, title)
        beside = path.with_name(path.name + ".tmp")
        canvas.print_png(beside, metadata={"Software": None})
    beside.replace(path)


def draw_axes(axes: Axes, points: Sequence[Point], frame: Frame, metric: str) -> None:
    """Set limits, grid and names of the two axes."""
    last = max(len(points) - 1, 0)
    margin = max(0.6, 0.012 * last)
    axes.set_xlim(-margin, last + margin)
    axes.set_ylim(frame.low, frame.high)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=10)
    if all(finite(point) is None for point in points):
        axes.set_yticks([])
        axes.text(
            0.5,
            0.5,
            "no experiment has a value",
            fontsize=13,
            color="#444444",
            ha="center",
            transform=axes.transAxes,
        )
    axes.set_xlabel("experiment (0 = baseline)", fontsize=11)
    better = "lower" if frame.minimise else "higher"
    name = f"{printable(metric, 40)} ({better} is better)"
    axes.set_ylabel(name, fontsize=11).set_parse_math(False)


def draw_best(axes: Axes, points: Sequence[Point], frame: Frame) -> list[Spot]:
    """Draw the running best of the kept experiments; return its corners."""
    choose = min if frame.minimise else max
    corners: list[Spot] = []
    for x, point in enumerate(points):
        value = finite(point)
        if point.status != "keep" or value is None:
            continue
        before = corners[-1][1] if corners else value
        best = choose(before, value)
        corners += [(x, before), (x, best)] if corners else [(x, best)]
    if corners:
        corners.append((len(points) - 1, corners[-1][1]))
        axes.plot(*zip(*corners, strict=True), color=BEST, linewidth=1.6, alpha=0.8, zorder=3)
    return corners


def component_colours(points: Sequence[Point]) -> dict[str, str]:
    """Give the most frequent components a colour each; empty if no point has a component."""
    counts = Counter(point.component for point in points if point.component)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    return dict(zip(ranked, PALETTE, strict=False))


def draw_points(
    axes: Axes, points: Sequence[Point], frame: Frame, colours: Mapping[str, str]
) -> None:
    """Draw a marker an experiment; what has no value or is clipped stands at the border."""
    # equal looks are drawn together: a call for each of 1,000 experiments took 1.5 s
    looks: dict[tuple[str, str, str], list[int]] = {}
    for x, point in enumerate(points):
        status = point.status if point.status in MARKERS else "discard"
        colour = STATUS_COLOURS[status]
        if colours:
            colour = colours.get(point.component or "", REST)
        value = finite(point)
        clipped = value is not None and frame.clips(value)
        away = "^" if value is not None and value > frame.high else "v"
        looks.setdefault((status, colour, away if clipped else ""), []).append(x)
    for (status, colour, clipped_to), xs in looks.items():
        axes.plot(
            xs,
            [height(points[x], frame) for x in xs],
            marker=clipped_to or MARKERS[status],
            markersize=8.0 if clipped_to else SIZES[status],
            color=colour,
            markerfacecolor="white" if clipped_to else colour,
            markeredgecolor="white" if status == "keep" and not clipped_to else colour,
            markeredgewidth=2.2 if status == "crash" else 1.4 if clipped_to else 0.8,
            alpha=0.8 if status == "discard" and not clipped_to else 1.0,
            linestyle="none",
            zorder={"discard": 2, "keep": 4, "crash": 5}[status],
            clip_on=False,
        )


def draw_labels(
    axes: Axes, canvas: FigureCanvasAgg, points: Sequence[Point], frame: Frame, best: Sequence[Spot]
) -> None:
    """Write descriptions beside kept points and values beside clipped ones, where there is room."""
    at: list[Spot] = [
        tuple(axes.transData.transform((x, height(p, frame)))) for x, p in enumerate(points)
    ]
    corners = [tuple(axes.transData.transform(corner)) for corner in best]
    kept = [i for i, p in enumerate(points) if p.status == "keep" and finite(p) is not None]
    clipped = [i for i, p in enumerate(points) if (v := finite(p)) is not None and frame.clips(v)]
    texts = {i: printable(points[i].description, LONGEST_LABEL) for i in by_gain(kept, points)}
    for i in clipped:
        texts[i] = f"{points[i].value:.4g} {texts.get(i, '')}".strip()
    window = axes.get_window_extent()
    scene = Scene(
        Box(window.x0 + 5, window.y0 + 5, window.x1 + 10, window.y1 - 2),
        lines=list(pairwise(corners)),
        marks=[Box(at[i][0] - 9, at[i][1] - 9, at[i][0] + 9, at[i][1] + 9) for i in kept],
        spots=[spot for i, spot in enumerate(at) if i not in kept],
    )
    write_texts(axes, canvas.get_renderer(), scene, [(at[i], text) for i, text in texts.items()])


def by_gain(kept: Sequence[int], points: Sequence[Point]) -> list[int]:
    """Order the kept experiments by what they gained on the one kept before, largest first."""
    values = [finite(points[i]) or 0.0 for i in kept]
    gains = [math.inf, *(abs(b - a) for a, b in pairwise(values))]
    return [i for _, i in sorted(zip(gains, kept, strict=False), key=lambda pair: -pair[0])]


def draw_heading(
    figure: Figure, points: Sequence[Point], frame: Frame, colours: Mapping[str, str], title: str
) -> None:
    """Write the title, the best result and the legend above the axes."""
    figure.text(
        LEFT, 0.962, printable(title, 70), fontsize=14, weight="bold", va="center"
    ).set_parse_math(False)
    best = [v for p in points if p.status == "keep" and (v := finite(p)) is not None]
    value = f", best {min(best) if frame.minimise else max(best):.6g}" if best else ""
    many = "1 experiment" if len(points) == 1 else f"{len(points)} experiments"
    figure.text(RIGHT, 0.962, many + value, fontsize=11, color="#444444", va="center", ha="right")
    for row, handles in enumerate(legend_rows(points, frame, colours)):
        legend = figure.legend(
            handles=handles,
            loc="center left",
            bbox_to_anchor=(LEFT - 0.008, 0.908 - 0.04 * row),
            ncols=len(handles),
            frameon=False,
            fontsize=9.5,
            handletextpad=0.3,
            columnspacing=1.1,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)


def legend_rows(
    points: Sequence[Point], frame: Frame, colours: Mapping[str, str]
) -> list[list[Line2D]]:
    """Return the entries of the legend: the statuses, and below them the components."""
    counts = Counter(p.status if p.status in MARKERS else "discard" for p in points)
    handles = [
        legend_mark(
            MARKERS[status],
            SIZES[status],
            "#444444" if colours else STATUS_COLOURS[status],
            f"{SHOWN_AS[status]} ({counts[status]})",
            edge=2.2 if status == "crash" else 0.8,
        )
        for status in MARKERS
        if counts[status]
    ]
    if any(p.status == "keep" and finite(p) is not None for p in points):
        handles.append(Line2D([], [], color=BEST, linewidth=1.6, label="running best"))
    if any((v := finite(p)) is not None and frame.clips(v) for p in points):
        handles.append(legend_mark("^", 7.0, "#444444", "off the axis", edge=1.4, fill="white"))
    if not colours:
        return [handles]
    shown = dict(colours)
    if any((p.component or "") not in colours for p in points):
        shown["other"] = REST
    names = {printable(name, 16).lstrip("_"): colour for name, colour in shown.items()}
    return [handles, [legend_mark("s", 8.0, colour, name) for name, colour in names.items()]]


def legend_mark(
    marker: str, size: float, colour: str, label: str, *, edge: float = 0.8, fill: str | None = None
) -> Line2D:
    """Return one marker of the legend."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        markersize=size,
        color=colour,
        markerfacecolor=fill or colour,
        markeredgewidth=edge,
        label=label,
    )
