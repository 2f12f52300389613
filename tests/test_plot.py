"""progress.png: what is drawn, where, and that nothing makes it fail."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from flows.labels import Box, Label, Scene, cross, printable
from flows.plot import Point, component_colours, draw_best, progress_plot
from flows.points import Frame, height, limits

VERMILION, BLUE = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)
CAMPAIGN = [
    Point("t-0000", "keep", 1.998, "baseline"),
    Point("t-0001", "keep", 1.961, "total_batch_size 512 -> 256"),
    Point("t-0002", "discard", 2.004, "matrix_lr 0.04 -> 0.02"),
    Point("t-0003", "crash", None, "depth 4 -> 40"),
    Point("t-0004", "keep", 1.930, "matrix_lr 0.04 -> 0.06"),
]


def draw(points: list[Point], path: Path, direction: str = "min") -> bytes:
    progress_plot(points, path, metric="val_bpb", direction=direction, title="autoresearch/t")
    return path.read_bytes()


def pixels(path: Path, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of a colour in the plot below the legend, (n, 2)."""
    image = np.rint(imread(path)[:, :, :3] * 255).astype(int)
    found = np.argwhere((image == colour).all(axis=2))
    return found[found[:, 0] > 96]


def test_the_same_points_give_the_same_bytes_and_leave_no_other_file(tmp_path: Path) -> None:
    first = draw(CAMPAIGN, tmp_path / "progress.png")
    assert draw(CAMPAIGN, tmp_path / "progress.png") == first
    assert b"Software" not in first
    assert [path.name for path in tmp_path.iterdir()] == ["progress.png"]


@pytest.mark.parametrize(("direction", "at_top"), [("min", True), ("max", False)])
def test_a_crash_is_marked_at_the_worse_border(
    tmp_path: Path, direction: str, at_top: bool
) -> None:
    draw(CAMPAIGN, tmp_path / "p.png", direction)
    rows = pixels(tmp_path / "p.png", VERMILION)[:, 0]
    assert len(rows) > 20
    assert (rows.max() < 150) if at_top else (rows.min() > 600)


def test_kept_experiments_have_their_colour_and_crashes_theirs(tmp_path: Path) -> None:
    draw([CAMPAIGN[3]] * 3, tmp_path / "crashes.png")
    draw(CAMPAIGN[:3], tmp_path / "kept.png")
    assert len(pixels(tmp_path / "crashes.png", BLUE)) == 0
    assert len(pixels(tmp_path / "crashes.png", VERMILION)) > 60
    assert len(pixels(tmp_path / "kept.png", BLUE)) > 60
    assert len(pixels(tmp_path / "kept.png", VERMILION)) == 0


def test_an_outlier_is_clipped_to_the_border_and_does_not_stretch_the_axis() -> None:
    points = [*CAMPAIGN, Point("t-0005", "discard", 31.0, "diverged")]
    frame = Frame(*limits(points, minimise=True), minimise=True)
    assert frame.high < 2.1
    assert frame.clips(31.0)
    assert 2.004 < height(points[-1], frame) < frame.high
    assert height(points[1], frame) == 1.961


def test_a_breakthrough_is_never_clipped_but_a_wild_baseline_is() -> None:
    level = [Point(str(i), "discard", 1.0 + i / 1000, "") for i in range(20)]
    best = Point("b", "keep", 0.5, "")
    wild = Point("w", "keep", 90.0, "")
    low, high = limits([wild, *level, best], minimise=True)
    assert low < 0.5
    assert 1.0 < high < 90.0


values = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(0.9, 1.1)
any_point = st.builds(
    Point,
    st.text(max_size=5),
    st.sampled_from(["keep", "discard", "crash", "rejected"]),
    values,
    st.text(max_size=40),
    st.none() | st.sampled_from(["attention", "$x$", "_mlp", "\u4e2d"]),
)


@settings(max_examples=12)
@given(st.lists(any_point, max_size=12), st.sampled_from(["min", "max"]))
def test_any_points_can_be_drawn(tmp_path_factory, points: list[Point], direction: str):
    path = tmp_path_factory.mktemp("plot") / "progress.png"
    assert draw(points, path, direction).startswith(b"\x89PNG")


def test_the_best_kept_point_is_in_view_also_where_all_discarded_ones_are_better() -> None:
    points = [Point("", "keep", 5.0, "")]
    points += [Point("", "discard", value, "") for value in (0.0, 0.0, 0.0, 1.0)]
    assert not Frame(*limits(points, minimise=True), True).clips(5.0)


@given(st.lists(any_point, max_size=30), st.booleans())
def test_every_point_stands_inside_the_axis_and_the_best_one_unclipped(
    points: list[Point], minimise: bool
) -> None:
    frame = Frame(*limits(points, minimise=minimise), minimise)
    assert frame.low < frame.high
    assert all(frame.low <= height(point, frame) <= frame.high for point in points)
    kept = [p.value for p in points if p.status == "keep" and p.value is not None]
    real = [v for v in kept if abs(v) < 1e100]
    if real and real == kept:
        assert not frame.clips(min(real) if minimise else max(real))


boxes = st.builds(Label, st.floats(0, 400), st.floats(0, 300), st.floats(10, 150), st.floats(8, 20))


@given(st.lists(boxes, max_size=12), st.lists(st.tuples(st.floats(0, 400), st.floats(0, 300))))
def test_placed_texts_never_meet_each_other_or_the_running_best(labels, spots) -> None:
    line = ((0.0, 150.0), (400.0, 150.0))
    scene = Scene(Box(0, 0, 400, 300), lines=[line], marks=[], spots=spots)
    placed = [found for label in labels if (found := scene.place(label))]
    for (one, leader), (other, second) in combinations(placed, 2):
        assert not one.meets(other)
        assert not cross(leader, second) or leader[0] == second[0]
    assert all(not box.cut_by(line) and box.inside(scene.frame) for box, _ in placed)


def test_the_running_best_follows_kept_values_only() -> None:
    class Axes:
        def plot(self, *line: object, **style: object) -> None:
            self.line = line

    points = [*CAMPAIGN, replace(CAMPAIGN[2], value=0.1), replace(CAMPAIGN[0], value=1.95)]
    corners = draw_best(Axes(), points, Frame(0, 3, minimise=True))
    assert corners == [
        (0, 1.998),
        (1, 1.998),
        (1, 1.961),
        (4, 1.961),
        (4, 1.93),
        (6, 1.93),
        (6, 1.93),
        (6, 1.93),
    ]


def test_the_most_frequent_components_get_a_colour_each() -> None:
    names = ["mlp"] * 3 + ["head"] * 2 + list("abcdefg")
    colours = component_colours([Point("n", "keep", 1.0, "", name) for name in names])
    assert list(colours)[:2] == ["mlp", "head"]
    assert len(colours) == len(set(colours.values())) == 7


def test_text_is_cut_at_a_word_and_drawn_without_missing_glyphs() -> None:
    assert printable("halve batch 524K to 262K (more steps)", 30) == "halve batch 524K to 262K…"
    assert printable("x" * 50, 10) == "x" * 9 + "…"
    assert printable("\u4e2d\x1b[31m 5 $ \u8a9e", 30) == "? 5 $ ?"


def test_drawing_uses_no_global_figure_state(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from flows.plot import Point, progress_plot;"
        "progress_plot([Point('a', 'keep', 1.0, 'b')], Path(sys.argv[1]), metric='m',"
        " direction='min', title='t'); print('matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p.png")], capture_output=True, check=True
    )
    assert run.stdout.strip() == b"False"
