"""Short texts beside points of a plot, none over another: greedy placement in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.patheffects import withStroke

from flows.results import clean

ANGLES = [math.radians(step * 22.5) for step in range(16)]
RADII = (10, 20, 34, 52, 74, 100, 130, 165)  # pixels between marker and text
HIDING = 60.0  # pixels of distance worth one marker left visible
CLEAR = 4.0  # pixels kept free around a text


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: Box) -> bool:
        """Tell whether the two share a point."""
        return not (
            self.right < other.left
            or other.right < self.left
            or self.top < other.bottom
            or other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Tell whether this one lies wholly in the other."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.bottom <= self.bottom
            and self.top <= other.top
        )

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the box that is nearest to (x, y)."""
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)

    def cut_by(self, line: Segment) -> bool:
        """Tell whether a segment passes through the box (Liang and Barsky's clipping)."""
        (x0, y0), (x1, y1) = line
        dx, dy, enter, leave = x1 - x0, y1 - y0, 0.0, 1.0
        for slope, room in (
            (-dx, x0 - self.left),
            (dx, self.right - x0),
            (-dy, y0 - self.bottom),
            (dy, self.top - y0),
        ):
            if slope == 0:
                if room < 0:
                    return False
            elif slope < 0:
                enter = max(enter, room / slope)
            else:
                leave = min(leave, room / slope)
        return enter <= leave


Spot = tuple[float, float]
Segment = tuple[Spot, Spot]


@dataclass(frozen=True, slots=True)
class Label:
    """The marker a text belongs to and the size of the text, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class Scene:
    """What the labels must keep off, in pixels; placed labels join it."""

    frame: Box
    lines: list[Segment]  # the running best: never covered
    marks: list[Box]  # important markers: never covered
    spots: list[Spot]  # small markers: covered only for a good reason
    taken: list[Box] = field(default_factory=list)
    leaders: list[Segment] = field(default_factory=list)

    def place(self, label: Label) -> tuple[Box, Segment] | None:
        """Return the best free box for the label and its leader line; None if there is none."""
        best: tuple[float, Box, Segment] | None = None
        for radius, box in around(label):
            if best is not None and radius >= best[0]:
                break
            leader = ((label.x, label.y), box.nearest(label.x, label.y))
            if not self.free(box, leader):
                continue
            hidden = sum(box.nearest(x, y) == (x, y) for x, y in self.spots)
            cost = radius + HIDING * hidden
            if best is None or cost < best[0]:
                best = cost, box, leader
        if best is None:
            return None
        self.taken.append(best[1])
        self.leaders.append(best[2])
        return best[1], best[2]

    def free(self, box: Box, leader: Segment) -> bool:
        """Tell whether box and leader keep off everything that must stay visible."""
        start = leader[0]
        return (
            box.inside(self.frame)
            and not any(box.meets(other) or other.cut_by(leader) for other in self.taken)
            and not any(box.meets(mark) for mark in self.marks)
            and not any(box.cut_by(line) for line in (*self.lines, *self.leaders))
            and not any(cross(leader, other) for other in self.leaders if other[0] != start)
        )


def around(label: Label) -> Iterator[tuple[int, Box]]:
    """Yield boxes for a label around its marker, nearest first."""
    for radius in RADII:
        for angle in ANGLES:
            across, up = math.cos(angle), math.sin(angle)
            x = label.x + radius * across + label.width / 2 * snap(across)
            y = label.y + radius * up + label.height / 2 * snap(up)
            half_width, half_height = label.width / 2, label.height / 2
            yield radius, Box(x - half_width, y - half_height, x + half_width, y + half_height)


def snap(part: float) -> float:
    """Return -1, 0 or 1: on which side of the marker the box stands."""
    return 0.0 if abs(part) < 0.3 else math.copysign(1.0, part)


def cross(one: Segment, other: Segment) -> bool:
    """Tell whether two segments cross."""

    def side(line: Segment, spot: Spot) -> float:
        (ax, ay), (bx, by) = line
        return (bx - ax) * (spot[1] - ay) - (by - ay) * (spot[0] - ax)

    return (
        side(one, other[0]) * side(one, other[1]) < 0
        and side(other, one[0]) * side(other, one[1]) < 0
    )


def write_texts(
    axes: Axes, renderer: RendererAgg, scene: Scene, texts: Sequence[tuple[Spot, str]]
) -> None:
    """Write each text near its marker, the important ones first; leave out what finds no room.

    Args:
        axes: Where to write; its limits must be set.
        renderer: What measures the texts.
        scene: What the texts keep off.
        texts: Position of the marker in pixels and the text.
    """
    back = axes.transData.inverted()
    for at, text in texts:
        written = axes.text(0, 0, text, fontsize=9, color="#222222", zorder=6, va="bottom")
        written.set_parse_math(False)  # a dollar sign in a message is no formula
        written.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        extent = written.get_window_extent(renderer)
        found = scene.place(Label(*at, extent.width + 2 * CLEAR, extent.height + CLEAR))
        if found is None or not text:
            written.remove()
            continue
        box, (start, end) = found
        x, y = back.transform((box.left + CLEAR, box.bottom + CLEAR / 2))
        written.set_position((x, y))
        if math.dist(start, end) > 16:  # nearer ones need no line to show whose they are
            ends = back.transform((start, end))
            axes.plot(ends[:, 0], ends[:, 1], color="#777777", linewidth=0.7, zorder=1.5)


@cache
def glyphs() -> frozenset[int]:
    """Return the code points of the plot's font; others would be boxes and a warning."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())


def printable(text: str, longest: int) -> str:
    """Return untrusted text as one line the font can draw, cut at a word.

    >>> printable("halve batch 524K to 262K (more steps in 5 min)", 30)
    'halve batch 524K to 262K…'
    """
    line = "".join(char if ord(char) in glyphs() else "?" for char in clean(text))
    if len(line) <= longest:
        return line
    head = line[: longest - 1]
    words = head.rsplit(" ", 1)[0] if line[longest - 1] != " " else head
    return (words if len(words) > longest // 2 else head).rstrip(" ,;:-(") + "…"
