"""results.tsv: upstream's format out, anything in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import FlowError
from flows.results import Rejected, Row, append_row, clean, read_table, write_rows

BASELINE = Row("4f0c1d2e9", 0.9979, 44.0, "keep", "baseline")
CRASH = Row("a1b2c3d4e", None, None, "crash", "batch 131K (assert fail)")

words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)
hashes = st.text("0123456789abcdef", min_size=7, max_size=40)
kept = st.builds(
    Row,
    hashes,
    st.integers(-(10**9), 10**9).map(lambda n: n / 10**6),
    st.integers(0, 10**4).map(lambda n: n / 10),
    st.sampled_from(["keep", "discard"]),
    words,
)
crashed = st.builds(Row, hashes, st.none(), st.none(), st.just("crash"), words)


def test_rows_are_written_in_upstreams_columns_and_decimals(tmp_path: Path) -> None:
    write_rows(tmp_path / "results.tsv", [BASELINE, CRASH])
    assert (tmp_path / "results.tsv").read_text() == (
        "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
        "4f0c1d2\t0.997900\t44.0\tkeep\tbaseline\n"
        "a1b2c3d\t0.000000\t0.0\tcrash\tbatch 131K (assert fail)\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["results.tsv"]


def test_appending_row_by_row_equals_writing_all_rows(tmp_path: Path) -> None:
    for row in (BASELINE, CRASH):
        append_row(tmp_path / "a.tsv", row, "score")
    write_rows(tmp_path / "b.tsv", [BASELINE, CRASH], "score")
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()


def test_appending_mends_a_last_line_without_newline(tmp_path: Path) -> None:
    path = tmp_path / "results.tsv"
    write_rows(path, [BASELINE])
    path.write_text(path.read_text().rstrip("\n"))
    append_row(path, CRASH)
    assert [row.status for row in read_table(path).rows] == ["keep", "crash"]


def test_appending_to_a_table_of_another_metric_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.tsv"
    write_rows(path, [BASELINE], "score")
    before = path.read_bytes()
    with pytest.raises(FlowError) as caught:
        append_row(path, CRASH, "val_bpb")
    assert str(caught.value) == (
        "results.tsv: its header is 'commit score memory_gb status description', not upstream's "
        "columns with 'val_bpb'; move the file away, it is rebuilt from the experiments"
    )
    assert path.read_bytes() == before


def test_a_description_stays_one_line_without_escape_sequences(tmp_path: Path) -> None:
    hostile = "depth\t4\nto \x1b[31m5\x1b[0m \x1b]0;title\x07\u202e\x00\ud800 end\r\n"
    write_rows(tmp_path / "r.tsv", [Row("baseline", 1.0, 1.0, "keep", hostile)])
    assert (tmp_path / "r.tsv").read_text().splitlines()[1] == (
        "baseline\t1.000000\t1.0\tkeep\tdepth 4 to 5 end"
    )


@given(st.lists(kept | crashed, max_size=6))
def test_a_table_written_is_read_back_the_same(tmp_path_factory, rows: list[Row]) -> None:
    path = tmp_path_factory.mktemp("t") / "results.tsv"
    write_rows(path, rows)
    table = read_table(path)
    assert not table.rejected
    assert list(table.rows) == [
        Row(r.commit[:7], r.value, r.memory_gb, r.status, clean(r.description)) for r in rows
    ]


@given(st.text() | st.binary(), st.none() | st.text(max_size=5))
def test_no_content_makes_the_reader_raise_or_lose_a_line(source: str | bytes, metric: str | None):
    table = read_table(source, metric)
    numbers = {*table.line_numbers, *(line.line_number for line in table.rejected)}
    if isinstance(source, str) and "\r" not in source and not source.startswith("\ufeff"):
        filled = [n for n, line in enumerate(source.split("\n"), 1) if line.strip()]
        assert numbers >= set(filled[1:])


def test_mark_line_ends_and_case_of_foreign_tables_do_not_matter() -> None:
    text = "\ufeffCommit\tVal_BPB\tStatus\tDescription\r\nbaseline\t1.5\tKEEP\tstart\r\n"
    for source in (text, text.encode(), text.encode("utf-16")):
        table = read_table(source)
        assert table.rows == (Row("baseline", 1.5, None, "keep", "start"),)
        assert table.metric == "Val_BPB"


def test_a_crash_row_has_no_value_and_zero_elsewhere_is_a_value() -> None:
    table = read_table(
        "commit\tscore\tn_trades\tval_pass\tstatus\tdescription\n"
        "e39f137\t0.0000\t12\tfalse\tdiscard\tno trades\n"
        "6fea1df\t0.000000\t0\tfalse\tcrash\tout of memory\n"
        "6fea1df\t17\t0\tfalse\tcrash\ttests failed\n"
        "d65a3b5\t\t3\ttrue\tpending review\t\n"
    )
    assert table.metric == "score"
    assert [row.value for row in table.rows] == [0.0, None, None, None]
    assert table.extra[0] == {"n_trades": "12", "val_pass": "false"}
    assert table.extra[2]["score"] == "17"
    assert table.rows[3].status == "pending review"


def test_the_metric_is_the_first_number_that_is_no_clock_and_not_the_value_before() -> None:
    header = "date\texperiment\told_value\tnew_value\tmetric_before\twin_rate\tstatus\tnotes"
    table = read_table(header + "\n2026-03-21\tcr-002\t8\t10\t0.5\t85.7%\tkeep\tfewer trades\n")
    assert (table.metric, table.rows[0].value, table.rows[0].commit) == ("win_rate", 85.7, "cr-002")
    assert read_table(header + "\n", "metric_before").metric == "metric_before"


def test_lines_that_are_no_rows_are_reported_with_number_and_reason() -> None:
    table = read_table(
        "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
        "aaaaaaa\t1.0\t2.0\tkeep\tfirst\n"
        "and its second line\n"
        "\n"
        "bbbbbbb\t0.9\n"
        "ccccccc\tfast\t2.0\tdiscard\twords for a number\n"
        "ddddddd\t0.8\t2.0\tkeep\ta\ttab inside\n"
        "eeeeeee\t0.7\t2.0\tkeep\n"
    )
    assert table.rejected == (
        Rejected(
            3,
            "and its second line",
            "1 field where the header names 5; continues the row of line 2",
        ),
        Rejected(5, "bbbbbbb\t0.9", "2 fields where the header names 5"),
        Rejected(
            6,
            "ccccccc\tfast\t2.0\tdiscard\twords for a number",
            "val_bpb 'fast' is not a number",
        ),
    )
    assert table.line_numbers == (2, 7, 8)
    assert [row.description for row in table.rows] == ["first", "a tab inside", ""]


def test_a_text_without_header_and_a_metric_that_is_not_there_are_said() -> None:
    nothing = read_table("hello\nworld\n")
    assert [line.line_number for line in nothing.rejected] == [1, 2]
    other = read_table("commit\tstatus\nabc1234\tkeep\n", "val_bpb")
    assert other.rejected[0].reason == "no column 'val_bpb': the rows have no value"
    assert other.rows == (Row("abc1234", None, None, "keep", ""),)


def test_memory_in_mebibytes_and_with_units_becomes_gibibytes() -> None:
    table = read_table(
        "commit\tval_bpb\tpeak_vram_mb\tstatus\na\t1\t45056\tkeep\nb\t1\t1024 MB\tkeep\n"
    )
    assert [row.memory_gb for row in table.rows] == [44.0, 1.0]
