"""Importing again: the same names, nothing twice, in any order."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from story import Records, Story, graph, night, run, source, table, take

from flows import history
from flows.history import import_history
from kg.errors import MemoryBroken
from kg.memory import open_memory
from kg.record import ExperimentRecord


def test_refs_imported_one_by_one_end_in_the_same_experiments_as_all_at_once(
    story: Story, records: Records, tmp_path: Path
) -> None:
    sha = night(story)[3][:7]
    header = "commit\tval_bpb\tstatus\tdescription\n"
    short = f"{sha}\t0.99\tkeep\tdepth 9\nccccccc\t0.98\tkeep\tlost\n"
    other = "commit\tgap\tstatus\tdescription\n" + "ccccccc\t1.5\tkeep\tlost, told again\n"
    story.commit("refs/heads/aaa", "log", {"results.tsv": header + short}, [6])
    longer = header + short + "ddddddd\t0.97\tdiscard\tlost too\n"
    story.commit("refs/heads/bbb", "log", {"results.tsv": longer, "gap_results.tsv": other}, [7])
    story.write()
    steps = [["main"], ["aaa"], ["bbb"], ["autoresearch/mar8"], []]
    accounts = [take(story, tmp_path, refs=refs) for refs in steps]
    assert [account.new for account in accounts] == [1, 5, 1, 0, 0]
    assert accounts[-1].experiments + 1 == accounts[-1].known == len(records.known) == 7
    lost = next(r for r in records.known.values() if r.commit == "ccccccc")
    assert (lost.value, lost.summary) == (0.98, {"gap": 1.5})
    at_once = Records()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "open_memory", lambda place: at_once)
        take(story, tmp_path / "other")
    assert {r.commit for r in at_once.known.values()} == {r.commit for r in records.known.values()}


def test_importing_twice_equals_once_and_the_order_of_refs_does_not_matter(
    story: Story, tmp_path: Path
) -> None:
    sha = night(story)[3][:7]
    story.train("refs/heads/other", "depth 7", source(7), 4)
    story.write()
    results = table(tmp_path, f"{sha}\t0.99\t44\tkeep\tdepth 9\naaaaaaa\t0.9\t1\tcrash\tx\n")
    once = graph(
        story, tmp_path / "a", refs=["main", "autoresearch/mar8", "other"], results=results
    )
    other = graph(
        story, tmp_path / "b", refs=["other", "autoresearch/mar8", "main"], results=results
    )
    assert once == other
    assert sha.encode() in once
    again = import_history(story.place, store=tmp_path / "a", results=results)
    assert (again.new, again.changed, again.known) == (0, 0, 7)
    assert open_memory(tmp_path / "a").dump() == once
    third = import_history(story.place, store=tmp_path / "a", results=results)
    assert (third.new, third.known, third.experiments) == (0, 7, 6)


def test_an_import_asked_for_again_after_another_changed_it_is_done_again(
    story: Story, records: Records, tmp_path: Path
) -> None:
    night(story)
    results = table(tmp_path, "aaaaaaa\t0.0\t1\tdiscard\tx\n")
    for direction, value, changed in [("min", None, 0), ("max", 0.0, 6), ("min", None, 6)]:
        account = take(story, tmp_path, results=results, direction=direction)
        assert account.changed == changed
        lost = next(record for record in records.known.values() if not record.source)
        assert (lost.direction, lost.value) == (direction, value)


def test_a_history_that_grew_adds_what_is_new_and_keeps_all_names(
    story: Story, records: Records, tmp_path: Path
) -> None:
    shas = night(story)
    take(story, tmp_path, refs=["autoresearch/mar8"])
    names = {r.commit: r.name for r in records.known.values()}
    story.train("refs/heads/autoresearch/mar8", "depth 9 to 12", source(12, 0.2))
    story.train("refs/heads/aaa", "shares all", source(13))
    story.drop("refs/heads/aaa", 7)
    story.write()
    results = table(tmp_path, f"{shas[4][:7]}\t0.97\t44\tkeep\tlr\n")
    account = take(story, tmp_path, results=results)
    after = {r.commit: r.name for r in records.known.values()}
    assert after.items() >= names.items()
    assert (account.new, account.changed, account.known) == (2, 2, 2)
    assert records.known[names[shas[4]]].value == 0.97
    assert set(after.values()) - set(names.values()) == {"main-0000", "mar8-0005"}


def test_an_import_that_was_cut_off_gives_the_same_names_again(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(story)
    records = Records()
    monkeypatch.setattr(history, "open_memory", lambda place: records)

    def half(found: Iterable[ExperimentRecord], progress: object = None) -> int:
        Records.add_all(records, list(found)[:2])
        raise OSError("disk full")

    monkeypatch.setattr(records, "add_all", half)
    with pytest.raises(OSError, match="disk full"):
        take(story, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(history, "open_memory", lambda place: records)
    account = take(story, tmp_path)
    assert (account.experiments, account.new) == (4, 3)
    assert len(records.known) == len({r.commit for r in records.known.values()}) == 5


def test_a_fork_and_a_stranger_of_the_same_name_stay_apart(
    story: Story, records: Records, tmp_path: Path
) -> None:
    night(story)
    take(story, tmp_path)
    fork = tmp_path / "fork.git"
    run("git", "clone", "-q", "--mirror", str(story.place), str(fork))
    run("git", f"--git-dir={fork}", "config", "--unset", "remote.origin.url")
    Story(fork, count=0)
    other = Story(fork, count=6)
    (fork / "marks").write_bytes((story.place / "marks").read_bytes())
    other.train("refs/heads/main", "lr in the fork", source(8, 0.5), 2)
    sha = other.write()[7]
    account = import_history(fork, store=tmp_path / "store")
    assert (account.experiments, account.new) == (5, 1)
    added = next(record for record in records.known.values() if record.commit == sha)
    assert (added.campaign.startswith("main-"), added.parent) == (True, "main-0000")


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans()), max_size=12)


@given(steps, st.permutations(range(4)))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_counts_every_version_once_in_any_order_of_refs(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    told: list[tuple[int, int, bool]],
    order: list[int],
) -> None:
    place = tmp_path_factory.mktemp("h")
    story = Story(place / "r.git")
    tips = dict.fromkeys(range(4), story.train("refs/heads/b0", "start", source(0)))
    files = dict.fromkeys(range(4), 0)
    touching = 1
    for branch, value, merges in told:
        other = tips[(branch + 1) % 4]
        parents = [tips[branch], other] if merges and other != tips[branch] else [tips[branch]]
        touching += len(parents) == 1 and files[branch] != value
        files[branch] = value
        mark = story.train(f"refs/heads/b{branch}", f"to {value}", source(value), *parents)
        tips[branch] = mark
    for branch, tip in tips.items():
        story.drop(f"refs/heads/b{branch}", tip)
    story.write()
    found = []
    for refs in ([f"b{i}" for i in range(4)], [f"b{i}" for i in order]):
        records = Records()
        monkeypatch.setattr(history, "open_memory", lambda _, records=records: records)
        account = import_history(story.place, refs=refs, store=place / f"s{len(found)}")
        assert account.commits == touching == len(records.known)
        assert account.experiments + sum(account.apart.values()) == touching
        found.append(records.known)
    assert found[0] == found[1]


def test_an_imported_memory_of_another_format_says_what_mends_it(
    story: Story, tmp_path: Path
) -> None:
    night(story)
    made = graph(story, tmp_path / "m")
    (tmp_path / "m" / "format").write_text("0")
    with pytest.raises(MemoryBroken, match="delete an imported one, and import again"):
        import_history(story.place, store=tmp_path / "m")
    shutil.rmtree(tmp_path / "m")
    assert graph(story, tmp_path / "m") == made
