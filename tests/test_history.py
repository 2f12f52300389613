"""Import of foreign histories: nothing lost in silence, nothing written there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from story import HEADER, Records, Story, night, run, source, table, take

from flows.history import import_history
from flows.history_records import runner
from flows.history_rows import Problem
from kg.model import Status


def test_rows_commits_and_lost_hashes_become_one_campaign_in_table_order(
    story: Story, records: Records, tmp_path: Path
) -> None:
    shas = night(story)
    rows = (
        "baseline\t1.000000\t44.0\tkeep\tbaseline\n"
        f"{shas[3][:7]}\t0.990000\t45.0\tkeep\tdepth 9\n"
        "aaaaaaa\t0.995000\t44.0\tdiscard\twarmup 10\n"
        "bbbbbbb\t0.000000\t0.0\tcrash\tbatch too large (OOM)\n"
        f"{shas[4][:7]}\t0.980000\t44.0\tkeep\tlr 0.2\n"
    )
    account = take(story, tmp_path, refs=["autoresearch/mar8"], results=table(tmp_path, rows))
    told = [
        (r.name, r.commit[:7], r.status, r.value, r.parent, r.source is not None)
        for r in records.known.values()
    ]
    assert told == [
        ("mar8-0000", shas[2][:7], Status.KEEP, 1.0, None, True),
        ("mar8-0001", shas[3][:7], Status.KEEP, 0.99, "mar8-0000", True),
        ("mar8-0002", "aaaaaaa", Status.DISCARD, 0.995, "mar8-0001", False),
        ("mar8-0003", "bbbbbbb", Status.CRASH, None, "mar8-0001", False),
        ("mar8-0004", shas[4][:7], Status.KEEP, 0.98, "mar8-0001", True),
        ("mar8-0005", shas[5][:7], Status.DISCARD, None, "mar8-0004", True),
        ("mar8-0006", shas[6][:7], Status.KEEP, None, "mar8-0005", True),
    ]
    assert [records.known[name].description for name in ("mar8-0000", "mar8-0004")] == [
        "baseline",  # its row: the commit a campaign starts from is about something else
        "lr 0.1 to 0.2",  # without the trailer
    ]
    assert (account.experiments, account.with_diff, account.without_diff) == (6, 4, 2)
    assert (account.new, account.known, account.commits) == (7, 0, 4)
    assert account.statuses == {"keep": 3, "discard": 2, "crash": 1}
    assert account.apart == {"interrupted": 0, "lineage": 1}
    assert records.known["mar8-0002"].reason == (
        "line 4 of results.tsv: discard; commit aaaaaaa no longer exists: its diff is lost"
    )
    assert records.known["mar8-0005"].reason == (
        f"no table row; inferred as discard: taken back by {shas[6][:7]}"
    )


def test_a_lost_experiment_is_of_the_campaigns_one_agent_and_of_nobody_where_there_are_two(
    story: Story, records: Records, tmp_path: Path
) -> None:
    shas = night(story)
    rows = f"{shas[2][:7]}\t1.0\t4\tkeep\tbase\naaaaaaa\t1.1\t4\tdiscard\twarmup 10\n"
    take(story, tmp_path, refs=["autoresearch/mar8"], results=table(tmp_path, rows))
    assert {record.agent for record in records.known.values()} == {"Ada"}
    plans = [
        SimpleNamespace(about=SimpleNamespace(author=author), is_baseline=author == "Up")
        for author in ("Up", "Ada", "Ada", "Bob")
    ]
    assert [runner(plans[:size]) for size in (1, 3, 4)] == ["", "Ada", ""]


def test_records_carry_the_versions_that_a_diff_needs(
    story: Story, records: Records, tmp_path: Path
) -> None:
    shas = night(story)
    take(story, tmp_path, refs=["autoresearch/mar8"])
    last = records.known["mar8-0004"]
    assert (last.source, last.parent_source) == (source(9, 0.2), source(9, 0.3))
    assert last.kept_source == source(9, 0.2)
    assert last.history == (source(9, 0.2), source(9), source())
    assert last.parent_commit == shas[5]
    assert (last.agent, last.started) == ("Ada", "2026-02-25T06:19:20Z")
    assert last.origin == "foreign refs/heads/autoresearch/mar8"
    first = records.known["mar8-0001"]
    assert (first.parent, first.parent_source, first.kept_source) == (None, source(), None)


def test_the_trunk_owns_its_commits_and_shared_ones_are_counted_once(
    story: Story, records: Records, tmp_path: Path
) -> None:
    night(story)
    story.train("refs/heads/zzz", "depth 7", source(7), 4)
    story.write()
    account = take(story, tmp_path)
    assert {c.name: c.experiments for c in account.campaigns} == {"main": 1, "mar8": 3, "zzz": 1}
    assert records.known["main-0000"].parent is None
    assert records.known["mar8-0001"].parent == "main-0000"
    assert records.known["zzz-0001"].parent == "mar8-0002"
    assert account.experiments + account.apart["lineage"] == account.commits == 6
    assert len(records.known) == 6


def test_a_discarded_row_that_cites_its_parent_is_an_experiment_without_diff(
    story: Story, records: Records, tmp_path: Path
) -> None:
    sha = night(story)[3][:7]
    rows = (
        f"{sha}\t0.99\t44\tkeep\tdepth 9\n"
        f"{sha}\t0.995\t44\tdiscard\twarmup 10\n"
        f"{sha}\t0.99\t44\tkeep\tdepth 9\n"
    )
    account = take(story, tmp_path, refs=["autoresearch/mar8"], results=table(tmp_path, rows))
    lost = records.known["mar8-0002"]
    assert (lost.status, lost.value, lost.source, lost.commit) == (Status.DISCARD, 0.995, None, "")
    assert (lost.parent, records.known["mar8-0001"].source) == ("mar8-0001", source(9))
    assert lost.reason.endswith(f"cites {sha}, its parent's commit: its diff is lost")
    path = str(tmp_path / "results.tsv")
    assert account.rejected == (
        Problem(path, 4, "repeats line 2 word for word", f"{sha} 0.99 keep depth 9"),
    )


def test_rows_that_all_cite_one_commit_leave_it_to_itself(
    story: Story, records: Records, tmp_path: Path
) -> None:
    sha = night(story)[3][:7]
    rows = f"{sha}\t0.99\t44\tdiscard\twarmup 10\n{sha}\t0.98\t44\tdiscard\twarmup 20\n"
    take(story, tmp_path, refs=["autoresearch/mar8"], results=table(tmp_path, rows))
    told = [(r.commit[:7], r.value, r.parent) for r in records.known.values()][:3]
    assert told == [(sha, None, None), ("", 0.99, "mar8-0001"), ("", 0.98, "mar8-0001")]


def test_a_commit_that_only_a_row_remembers_is_recovered_with_its_diff(
    story: Story, records: Records, tmp_path: Path
) -> None:
    story.train("refs/heads/main", "baseline", source())
    story.train("refs/heads/main", "depth 12", source(12))
    story.drop("refs/heads/main", 1)
    story.train("refs/heads/main", "lr 0.2", source(8, 0.2))
    shas = story.write()
    rows = (
        f"{shas[1][:7]}\t1.0\t44\tkeep\tbaseline\n"
        f"{shas[2][:7]}\t1.2\t44\tdiscard\tdepth 12\n"
        f"{shas[3][:7]}\t0.9\t44\tkeep\tlr 0.2\n"
    )
    account = take(story, tmp_path, results=table(tmp_path, rows))
    detached = records.known["main-0001"]
    assert (detached.commit, detached.source) == (shas[2], source(12))
    assert (detached.parent, detached.parent_source) == ("main-0000", source())
    assert records.known["main-0002"].parent == "main-0000"
    assert (account.with_diff, account.without_diff) == (3, 0)


def test_odd_files_removed_files_and_merges_are_handled_or_named(
    story: Story, records: Records, tmp_path: Path
) -> None:
    main = "refs/heads/main"
    story.train(main, "start", source())
    story.train(main, "latin", None)
    story.commit(main, "bytes", {"train.py": b"# caf\xe9 \x00\nDEPTH = 8\n"})
    story.train("refs/heads/side", "depth 9", source(9), 1)
    story.train("refs/heads/side", "depth 10", source(10))
    merged = story.commit(main, "Merge side", {"train.py": source(10)}, [3, 5])
    mixed = story.train(main, "Merge again", source(11), merged, 4)
    story.train(main, "lr", source(11, 0.3), mixed)
    shas = story.write()
    account = take(story, tmp_path)
    by_commit = {r.commit: r for r in records.known.values()}
    assert set(by_commit) == {shas[i] for i in (1, 3, 4, 5, 8)}
    assert by_commit[shas[3]].source == "# caf\\xe9 \x00\nDEPTH = 8\n"
    assert by_commit[shas[3]].parent_source is None
    assert by_commit[shas[3]].parent == by_commit[shas[4]].parent == by_commit[shas[1]].name
    assert by_commit[shas[8]].parent_source == source(11)
    assert account.notes == ("merges with a version that neither side had, no experiments: 1",)


def test_a_symbolic_link_is_followed_inside_the_repository_only(
    story: Story, records: Records, tmp_path: Path
) -> None:
    main = "refs/heads/main"
    story.commit(main, "start", {"old/train.py": source()})
    story.commit(main, "link", {"train.py": "old/train.py"}, mode="120000")
    story.commit(main, "edit", {"old/train.py": source(9)})
    story.commit(main, "out", {"train.py": "/etc/passwd"}, mode="120000")
    shas = story.write()
    take(story, tmp_path)
    told = {r.commit: r.source for r in records.known.values()}
    assert told == {shas[2]: source(), shas[3]: source(9)}


def test_a_target_that_is_nowhere_and_a_table_of_another_branch_are_named(
    story: Story, records: Records, tmp_path: Path
) -> None:
    story.commit("refs/heads/main", "start", {"trainer/train.py": source()})
    story.commit("refs/heads/x", "more", {"trainer/train.py": source(9)}, [1])
    story.write()
    account = take(story, tmp_path)
    assert account.notes == (
        "train.py: is in none of these commits (there is trainer/train.py); give --target",
    )
    clone = tmp_path / "clone"
    run("git", "clone", "-q", str(story.place), str(clone))
    (clone / "results.tsv").write_text(HEADER + "aaaaaaa\t0.97\t44\tkeep\tof main\n")
    target = "trainer/train.py"
    account = import_history(clone, refs=["origin/x"], target=target, store=tmp_path / "other")
    assert account.experiments == 1
    assert [(p.line, p.reason) for p in account.rejected] == [
        (2, "no row (of 1) cites a commit of the refs imported: left out")
    ]


def test_a_shallow_clone_says_what_it_cannot_know(
    story: Story, records: Records, tmp_path: Path
) -> None:
    night(story)
    clone = tmp_path / "clone"
    run(
        "git",
        "clone",
        "-q",
        "--depth=2",
        "-b",
        "autoresearch/mar8",
        f"file://{story.place}",
        str(clone),
    )
    account = import_history(clone, store=tmp_path / "store")
    assert account.experiments == 2
    assert account.notes == (
        "shallow clone: commits whose change is unknown: 1;"
        " run git fetch --unshallow and import again",
    )
