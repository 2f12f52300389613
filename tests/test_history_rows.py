"""Results tables of others: every row is an experiment or named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from story import HEADER, Records, Story, night, run, source, table, take

from flows.history import import_history


def test_verdicts_are_inferred_from_words_restored_files_and_undone_edits(
    story: Story, records: Records, tmp_path: Path
) -> None:
    main = "refs/heads/main"
    story.train(main, "start", source())
    story.train(main, "depth 9", source(9))
    story.train(main, "depth 10", source(10))
    story.train(main, "back to the best", source(8))
    story.train(main, "depth 9 once more", source(9))
    story.train(main, "lr 0.2 instead", source(8, 0.2))
    story.train(main, "lr 0.2 to 0.4", source(8, 0.4))
    story.train(main, "softcap - DISCARD, worse", source(8, 0.4, "CAP = 15\n"))
    story.write()
    take(story, tmp_path)
    assert [(r.status.value, r.reason.split(": ", 1)[1][:20]) for r in records.known.values()] == [
        ("keep", "nothing takes it bac"),
        ("discard", "taken back by " + records.known["main-0003"].commit[:6]),
        ("discard", "taken back by " + records.known["main-0003"].commit[:6]),
        ("keep", "puts back the progra"),
        ("discard", "its edit is undone i"),
        ("keep", "nothing takes it bac"),
        ("keep", "nothing takes it bac"),
        ("discard", "its message says so"),
    ]
    assert records.known["main-0005"].kept_source == source(8)


def test_statuses_of_other_tables_are_understood_inferred_or_reported(
    story: Story, records: Records, tmp_path: Path
) -> None:
    story.train("refs/heads/main", "start", source())
    story.write()
    words = ["improved", "SUCCESS", "rejected", "OOM", "pending review", "done", "failed", "todo"]
    values = ["0.9", "0.8", "1.1", "0.0", "0.7", "0.75", "1.3", ""]
    rows = "".join(
        f"-\t{v}\t1\t{w}\t{w} {i}\n" for i, (w, v) in enumerate(zip(words, values, strict=True))
    )
    account = take(story, tmp_path, results=table(tmp_path, rows))
    assert [(r.status.value, r.value) for r in records.known.values()] == [
        ("keep", None),
        ("keep", 0.9),
        ("keep", 0.8),
        ("discard", 1.1),
        ("crash", None),
        ("keep", 0.7),
        ("discard", 0.75),
        ("discard", 1.3),
    ]
    assert "inferred as keep from its value" in records.known["main-0005"].reason
    assert [(p.line, p.reason) for p in account.rejected] == [
        (9, "status 'todo' is no verdict, and there is no value")
    ]


def test_broken_tables_are_reported_line_by_line_and_their_good_rows_taken(
    story: Story, records: Records, tmp_path: Path
) -> None:
    story.train("refs/heads/main", "start", source())
    story.write()
    lines = [
        "none\t1.5\t2\tkeep\tfirst",
        "and its second line",
        "none\t1.4",
        "-\t1.3\t2\tkeep\tlast",
    ]
    rows = "".join(f"{line}\r\n" for line in lines)
    account = take(story, tmp_path, results=table(tmp_path, "\ufeff" + rows, header=""))
    assert account.rejected[0].reason == "no header: neither a commit nor a status column is named"
    records.known.clear()
    header = HEADER.replace("\n", "\r\n")
    results = table(tmp_path, rows, header="\ufeff" + header)
    account = import_history(story.place, results=results, store=tmp_path / "other")
    assert [problem.line for problem in account.rejected] == [3, 4]
    assert [r.description for r in records.known.values()] == ["start", "first", "last"]
    assert [r.source for r in records.known.values()] == [source(), None, None]


def test_other_metrics_keep_zeros_where_higher_is_better_and_extra_columns(
    story: Story, records: Records, tmp_path: Path
) -> None:
    sha = night(story)[3][:7]
    header = "commit\tscore\tsharpe\tn_trades\tval_pass\tmemory_gb\tstatus\tdescription\n"
    rows = f"{sha}\t0.0000\t1.5\t12\tfalse\t2\tdiscard\tx\nfff0000\t2.5\t0\t0\ttrue\t\tkeep\ty\n"
    results = table(tmp_path, rows, header=header)
    take(story, tmp_path, refs=["autoresearch/mar8"], results=results, direction="max")
    first, second = records.known["mar8-0001"], records.known["mar8-0002"]
    assert (first.metric, first.direction, first.value, second.value) == ("score", "max", 0.0, 2.5)
    assert first.summary == {"sharpe": 1.5, "n_trades": 12.0, "peak_vram_mb": 2048.0}


@pytest.mark.parametrize(
    ("metric", "direction", "rows", "values"),
    [
        # logged so by a hung run, and by a crash: never a result of bits a byte
        ("val_bpb", None, "0.99 keep\n0.000000 discard\n0.000000 crash", [0.99, None, None]),
        ("val_bpb", None, "0.99 keep\n0.000000 keep", [0.99, None]),
        # a score of zero is one, a crash has none
        ("score", None, "0.5 keep\n0.0000 discard\n0.0000 crash\n0.7 keep", [0.5, 0, None, 0.7]),
        ("accuracy", None, "0.0 keep\n0.1 keep", [0.0, 0.1]),
        # where lower is better only if the table shows that it can be reached
        ("errors", "min", "3 keep\n0 discard", [3, None]),
        ("errors", "min", "3 keep\n0 keep\n0 discard\n0 OOM", [3, 0, 0, None]),
        ("energy", "min", "-3 keep\n0 discard", [-3, 0]),
    ],
)
def test_a_zero_is_a_result_where_the_metric_can_be_zero(
    story: Story,
    records: Records,
    tmp_path: Path,
    metric: str,
    direction: str | None,
    rows: str,
    values: list[float | None],
) -> None:
    story.train("refs/heads/main", "start", source())
    story.write()
    cells = [line.split() for line in rows.split("\n")]
    told = "".join(f"{i:x}00000a\t{v}\t{status}\tr\n" for i, (v, status) in enumerate(cells))
    results = table(tmp_path, told, header=f"commit\t{metric}\tstatus\tdescription\n")
    take(story, tmp_path, results=results, direction=direction)
    assert [r.value for r in records.known.values() if r.source is None] == values


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("exp\tval_bpb\tstatus\tdescription\n", "1\t0.9\tkeep\ta\nexp002\t0.8\tdiscard\tb\n"),
        (
            "id\texp\tval_bpb\tstatus\tdescription\n",
            "r-a\t1\t0.9\tkeep\ta\nr-b\t2\t0.8\tdiscard\tb\n",
        ),
        ("val_bpb\tstatus\tdescription\n", "0.9\tkeep\tdepth to 9\n0.8\tdiscard\tthe lr\n"),
        ("val_bpb\tstatus\tdescription\n", "0.8\tdiscard\tLR up\n0.9\tkeep\tDepth 9!\n"),
    ],
)
def test_rows_without_hashes_find_their_commits_by_number_order_or_text(
    story: Story, records: Records, tmp_path: Path, header: str, rows: str
) -> None:
    story.train("refs/heads/main", "start", source())
    story.train("refs/heads/x", "exp1: depth 9", source(9), 1)
    story.train("refs/heads/x", "experiment: exp2 - lr up", source(9, 0.2))
    shas = story.write()
    take(story, tmp_path, refs=["x"], results=table(tmp_path, rows, header=header))
    assert {r.commit: r.value for r in records.known.values()} == {shas[2]: 0.9, shas[3]: 0.8}


def test_tables_in_trees_and_beside_a_work_tree_are_found_and_copies_read_once(
    story: Story, records: Records, tmp_path: Path
) -> None:
    shas = night(story)
    row = f"{shas[3][:7]}\t0.99\t44\tkeep\tdepth 9\n"
    more = row + "ccccccc\t0.98\t44\tkeep\tlost on the way\n"
    story.commit("refs/heads/autoresearch/mar8", "log", {"results.tsv": HEADER + row})
    story.commit("refs/heads/later", "log", {"results.tsv": HEADER + more}, [7])
    story.write()
    clone = tmp_path / "clone"
    run("git", "clone", "-q", "-b", "later", str(story.place), str(clone))
    (clone / "results.tsv").write_text(HEADER + more + "ddddddd\t0.97\t44\tdiscard\tnew\n")
    account = import_history(clone, store=tmp_path / "store")
    rows = [r for r in records.known.values() if r.value is not None]
    assert sorted((r.value, r.commit[:7]) for r in rows) == [
        (0.97, "ddddddd"),
        (0.98, "ccccccc"),
        (0.99, shas[3][:7]),
    ]
    assert account.experiments == 6  # and the revert
