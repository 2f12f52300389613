"""Tables for people: aligned, folded, and safe to show."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flows.output import show_rows
from flows.results import Row
from flows.tables import aligned, answer_table, clean, results_table

ROWS = [
    Row("4f0c1d2", 1.998, 0.4, "keep", "baseline"),
    Row("a1b2c3d", 1.9612, 0.4, "keep", "total_batch_size 512 -> 256, device_batch_size 2 -> 1"),
    Row("b1b2c3d", None, None, "crash", "depth 4 -> 40"),
    Row("c1b2c3d", 2.1, 0.5, "discard", "matrix_lr 0.04 -> 0.01 " * 8),
]


def printed(width: int = 80, *, terminal: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        soft_wrap=True,
        color_system="auto",
    )


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_results_are_aligned_folded_to_eighty_columns_and_the_best_kept_one_is_marked() -> None:
    console = printed()
    results_table(console, ROWS)
    lines = [line.rstrip() for line in text(console).splitlines()]
    assert lines[2:5] == [
        "0   4f0c1d2   1.9980    0.4   keep      baseline",
        "1   a1b2c3d   1.9612*   0.4   keep      total_batch_size 512 -> 256,",
        "                                        device_batch_size 2 -> 1",
    ]
    assert "2   b1b2c3d                   crash     depth 4 -> 40" in lines
    assert max(map(len, lines)) <= 80
    assert " ".join(lines).count("matrix_lr") == 8


def test_the_best_of_a_task_to_maximise_is_the_highest_kept_value() -> None:
    console = printed()
    results_table(console, ROWS, metric="score", direction="max")
    assert "1.9980*" in text(console)
    assert text(console).count("*") == 1


def test_colour_only_on_a_terminal() -> None:
    plain, coloured = printed(), printed(terminal=True)
    for console in (plain, coloured):
        results_table(console, ROWS)
    assert "\x1b" not in text(plain)
    assert "\x1b[32mkeep" in text(coloured)
    assert "\x1b[1;31mcrash" in text(coloured)


def test_untrusted_text_is_neither_an_escape_sequence_nor_markup() -> None:
    console = printed()
    hostile = "[red]depth[/red]\x1b]0;owned\x07\x1b[2J 5\u202e [/]"
    results_table(console, [Row("x\x1b[31m", 1.0, 1.0, "keep\n", hostile)])
    answer_table(console, ["a\x1b[31m"], [{"a\x1b[31m": hostile}])
    assert "\x1b" not in text(console)
    assert text(console).count("[red]depth[/red] 5 [/]") == 2


def test_answers_align_numbers_and_leave_missing_values_empty() -> None:
    console = printed()
    rows: list[dict[str, object]] = [
        {"experiment": "t-0001", "delta": -0.125, "tries": 3},
        {"experiment": "t-0002", "delta": 10.5, "tries": 12},
        {"experiment": "t-0003", "tries": None},
    ]
    answer_table(console, ["experiment", "delta", "tries"], rows)
    assert [line.rstrip() for line in text(console).splitlines()][2:] == [
        "t-0001       -0.125    3",
        "t-0002       10.500   12",
        "t-0003",
    ]


def test_an_answer_too_wide_for_the_console_is_shown_row_by_row_in_full() -> None:
    console = printed()
    columns = [f"column{number}" for number in range(8)]
    rows = [{name: f"{name}-of-row-{number}" for name in columns} for number in range(2)]
    answer_table(console, columns, [rows[0], {**rows[1], "column3": None}])
    lines = [line.rstrip() for line in text(console).splitlines()]
    assert lines[0] == "column0  column0-of-row-0"
    assert lines[8] == ""
    assert len(lines) == 8 + 1 + 7  # nothing is said of what has no value


def test_what_every_row_says_alike_is_said_once_where_that_saves_folding() -> None:
    columns = ["experiment", "campaign", "description"]
    told: list[dict[str, object]] = [
        {"experiment": f"t-000{n}", "campaign": "night of march", "description": "word " * 12}
        for n in range(2)
    ]
    told[1]["description"] = "depth 9"
    narrow, wide = printed(60), printed(120)
    for console in (narrow, wide):
        answer_table(console, columns, told)
    first, head, *_ = text(narrow).splitlines()
    assert first == "every row: campaign night of march"
    assert head.split() == ["experiment", "description"]
    assert text(wide).splitlines()[0].split() == columns


def test_long_names_fold_at_their_dots_and_underscores_and_numbers_never() -> None:
    console = printed(40)
    rows: list[dict[str, object]] = [
        {"knob": "regularization.weight_decay.value_embeds", "delta": -0.004268, "n": 12},
        {"knob": "model.depth", "delta": 0.000028, "n": 3},
    ]
    answer_table(console, ["knob", "delta", "n"], rows)
    assert [line.rstrip() for line in text(console).splitlines()][2:] == [
        "regularization.weight_     -0.004268  12",
        "decay.value_embeds",
        "model.depth                 0.000028   3",
    ]


@given(st.lists(st.none() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6), max_size=8))
def test_aligned_numbers_have_one_width_and_keep_their_value(values: list[float | None]) -> None:
    texts = aligned(values)
    assert len({len(text) for text in texts}) <= 1
    for shown, value in zip(texts, values, strict=True):
        if value is None:
            assert not shown.strip()
        else:
            assert abs(float(shown) - value) <= max(1e-6, 0.01 * abs(value) * (abs(value) < 1e-6))


@given(st.text())
def test_cleaning_twice_is_cleaning_once_and_leaves_one_line(source: str) -> None:
    once = clean(source)
    assert clean(once) == once
    assert once.splitlines() in ([], [once])


def test_a_pipe_gets_a_line_a_row_and_a_terminal_or_a_width_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ["commit", "delta", "with", "alone"]
    knobs = [f"optimizer.a_long_name_{n}" for n in range(9)]
    row = {"commit": "0123456789", "delta": -1e-7, "with": [*knobs, "a\tb\n\x1b[31mc"]}
    monkeypatch.delenv("COLUMNS", raising=False)
    show_rows(columns, [row])
    piped = capsys.readouterr().out
    named = ", ".join(knobs)
    assert piped == f"commit\tdelta\twith\talone\n0123456\t-1e-07\t{named}, a b c\t\n"
    monkeypatch.setenv("COLUMNS", "60")
    show_rows(columns, [row])
    table = capsys.readouterr().out
    assert max(map(len, table.splitlines())) <= 60 < max(map(len, piped.splitlines()))
    assert "\t" not in table
