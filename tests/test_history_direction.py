"""Which way a metric is better, seen from an imported table."""

from __future__ import annotations

from pathlib import Path

import pytest
from story import Records, Story, graph, source, table, take

from flows.history_account import Account


def lab(
    story: Story,
    tmp_path: Path,
    rows: str,
    metric: str = "gap",
    direction: str | None = None,
) -> Account:
    """One commit and a table of lost runs: `k1.5 d1.4` are a keep and a discard."""
    story.train("refs/heads/main", "start", source())
    story.write()
    words = {"k": "keep", "d": "discard", "c": "crash"}
    told = enumerate(rows.split())
    lines = [f"{i:x}{'0' * 6}\t{run[1:]}\t{words[run[0]]}\trun {i}\n" for i, run in told]
    header = f"commit\t{metric}\tstatus\tdescription\n"
    results = table(tmp_path, "".join(lines), header=header)
    return take(story, tmp_path, results=results, direction=direction)


@pytest.mark.parametrize(
    ("metric", "rows", "expected"),
    [
        ("gap", "k1.0 k1.2 k1.4", "max, as kept rows rise"),
        ("gap", "k1.0 k0.8", "min, as kept rows fall"),
        ("gap", "k1.0 d0.9 d0.8", "max, as discarded rows lie below the kept"),
        ("gap", "k1.0 d1.1 d1.2 c0.000000", "min, as discarded rows lie above the kept"),
        # a zero that was discarded is no row of a metric where higher is better
        ("gap", "k1.0 d0.000000 d0.000000 d1.1", "min, as discarded rows lie above the kept"),
        ("gap", "k1.0", "min, as neither rows nor name tell"),
        ("val_accuracy", "k1.0", "max, as the name val_accuracy says"),
        ("log_loss", "k1.0 c5", "min, as the name log_loss says"),
        # one kept row a little worse than the one before does not turn a known metric around
        ("val_bpb", "k0.98 k0.981", "min, as the name val_bpb says"),
        ("score", "k5 k4 k3 d6", "min, as kept rows fall"),
    ],
)
def test_the_direction_is_seen_from_the_rows_then_from_the_name(
    story: Story, records: Records, tmp_path: Path, metric: str, rows: str, expected: str
) -> None:
    account = lab(story, tmp_path, rows, metric)
    assert f"direction: {expected}" in account.lines()
    (count,) = account.to_json()["campaigns"]
    assert f"{count['direction']}, {count['why']}" == expected
    assert count["metric"] == metric
    assert {record.direction for record in records.known.values()} == {expected[:3]}
    assert account.notes == ()


def test_a_direction_that_the_rows_speak_against_is_taken_and_noted(
    story: Story, records: Records, tmp_path: Path
) -> None:
    account = lab(story, tmp_path, "k1.0 k1.2 d1.1", direction="min")
    assert account.notes == ("main: direction min was given, but kept rows rise",)
    assert "direction: min, as given" in account.lines()
    assert {record.direction for record in records.known.values()} == {"min"}


def test_each_campaign_has_its_own_direction(
    story: Story, records: Records, tmp_path: Path
) -> None:
    story.train("refs/heads/main", "start", source())
    for name, metric, values in (("up", "score", (1, 2)), ("down", "val_rmse", (9, 8))):
        ref = f"refs/heads/{name}"
        story.train(ref, "first", source(len(name)), 1)
        rows = "".join(f"{name[0] * 7}{v}\t{v}\tkeep\tx\n" for v in values)
        files = {"results.tsv": f"commit\t{metric}\tstatus\tdescription\n" + rows}
        story.commit(ref, "table", dict(files))
    story.write()
    lines = take(story, tmp_path).lines()
    assert "direction: max, as kept rows rise (up)" in lines
    assert "direction: min, as kept rows fall (down)" in lines
    told = {(r.metric, r.direction) for r in records.known.values()}
    assert told == {("score", "max"), ("val_rmse", "min"), ("val_bpb", "min")}


def test_a_table_that_turns_the_direction_around_later_equals_a_fresh_import(
    story: Story, tmp_path: Path
) -> None:
    story.train("refs/heads/main", "start", source())
    story.write()
    header = "commit\tgap\tstatus\tdescription\n"
    first = "aaaaaaa\t1.0\tkeep\ta\nbbbbbbb\t1.1\tdiscard\tb\n"
    more = first + "ccccccc\t1.2\tkeep\tc\nddddddd\t1.3\tkeep\td\n"
    tables = [table(tmp_path, rows, name, header) for name, rows in (("a", first), ("b", more))]
    graph(story, tmp_path / "twice", results=tables[0])
    tables[0][0].write_text(header + more)
    twice = graph(story, tmp_path / "twice", results=tables[0])
    assert twice == graph(story, tmp_path / "once", results=tables[0])
    assert b'"max"' in twice
