"""Import of foreign histories: nothing lost in silence, nothing twice, nothing written there."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows import history, revisions
from flows.errors import FlowError, RepositoryError
from flows.history import Account, import_history, revision_changes
from flows.history_rows import Problem
from kg.memory import open_memory
from kg.model import ExperimentRecord, Status

HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"


def source(depth: int = 8, lr: float = 0.1, extra: str = "") -> str:
    return f"DEPTH = {depth}\nMATRIX_LR = {lr}\nWARMUP = 0\n{extra}print(DEPTH, MATRIX_LR)\n"


@dataclass
class Story:
    """A small history, written by one `git fast-import`."""

    place: Path
    stream: list[bytes] = field(default_factory=list)
    count: int = 0
    tips: dict[str, int] = field(default_factory=dict)

    def commit(
        self,
        ref: str,
        message: str,
        files: dict[str, str | bytes | None],
        parents: Sequence[int] | None = None,
        mode: str = "100644",
    ) -> int:
        """Add a commit; its parents by mark, by default the ref's tip."""
        self.count += 1
        tip = self.tips.get(ref)
        parents = parents or ([tip] if tip else [])
        self.tips[ref] = self.count
        text = message.encode()
        lines = [b"commit %s\nmark :%d\n" % (ref.encode(), self.count)]
        when = 1772000000 + 60 * self.count
        lines.append(
            b"author Ada <a@b.c> %d +0100\ncommitter Ada <a@b.c> %d +0100\n" % (when, when)
        )
        lines.append(b"data %d\n%s\n" % (len(text), text))
        for index, parent in enumerate(parents):
            lines.append(b"%s :%d\n" % (b"merge" if index else b"from", parent))
        for name, content in files.items():
            if content is None:
                lines.append(b"D %s\n" % name.encode())
                continue
            data = content if isinstance(content, bytes) else content.encode()
            lines.append(b"M %s inline %s\n" % (mode.encode(), name.encode()))
            lines.append(b"data %d\n%s\n" % (len(data), data))
        self.stream.append(b"".join(lines) + b"\n")
        return self.count

    def train(self, ref: str, message: str, text: str | None, *parents: int) -> int:
        return self.commit(ref, message, {"train.py": text}, parents or None)

    def drop(self, ref: str, mark: int) -> None:
        """Point a ref elsewhere, as `git reset --hard` does."""
        self.stream.append(b"reset %s\nfrom :%d\n\n" % (ref.encode(), mark))
        self.tips[ref] = mark

    def write(self) -> list[str]:
        """Write everything; the hashes by mark (the first is empty)."""
        if not (self.place / "HEAD").exists():
            run("git", "init", "-q", "--bare", "--initial-branch=main", str(self.place))
        marks = self.place / "marks"
        known = [f"--import-marks={marks}"] if marks.exists() else []
        command = ["git", f"--git-dir={self.place}", "fast-import", "--quiet", "--force"]
        given = b"".join(self.stream)
        subprocess.run([*command, f"--export-marks={marks}", *known], input=given, check=True)
        self.stream.clear()
        pairs = (line.split() for line in marks.read_text().splitlines())
        found = {int(mark[1:]): sha for mark, sha in pairs}
        return ["", *(found[mark] for mark in range(1, self.count + 1))]


def run(*command: str, cwd: Path | None = None) -> str:
    env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(
        command, cwd=cwd, check=True, capture_output=True, text=True, env=env
    ).stdout


class Records:
    """A memory that keeps the records as they came."""

    def __init__(self) -> None:
        self.known: dict[str, ExperimentRecord] = {}

    def names(self) -> list[str]:
        return sorted(self.known)

    def add_all(self, records: Iterable[ExperimentRecord], progress: object = None) -> int:
        self.known |= {record.name: record for record in records}
        return len(self.known)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path / "foreign.git")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Records:
    found = Records()
    monkeypatch.setattr(history, "open_memory", lambda place: found)
    return found


def take(story: Story, tmp_path: Path, **options: object) -> Account:
    return import_history(story.place, store=tmp_path / "store", **options)  # type: ignore[arg-type]


def table(tmp_path: Path, rows: str, name: str = "results.tsv", header: str = HEADER) -> list[Path]:
    path = tmp_path / name
    path.write_bytes((header + rows).encode())
    return [path]


def night(story: Story) -> list[str]:
    """A trunk with a baseline and a campaign of three kept commits, one of them undone."""
    story.train("refs/heads/main", "start", source())
    story.commit("refs/heads/main", "docs", {"README": "x"})
    story.train("refs/heads/autoresearch/mar8", "depth 8 to 9", source(9), 2)
    story.train("refs/heads/autoresearch/mar8", "lr 0.1 to 0.2", source(9, 0.2))
    story.train("refs/heads/autoresearch/mar8", "lr 0.2 to 0.3", source(9, 0.3))
    story.train("refs/heads/autoresearch/mar8", 'Revert "lr 0.2 to 0.3"', source(9, 0.2))
    return story.write()


def test_rows_commits_and_lost_hashes_become_one_campaign_in_table_order(
    story: Story, memory: Records, tmp_path: Path
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
        for r in memory.known.values()
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
    assert (account.experiments, account.with_diff, account.without_diff) == (7, 5, 2)
    assert (account.new, account.known, account.commits) == (7, 0, 4)
    assert account.statuses == {"keep": 4, "discard": 2, "crash": 1}
    assert memory.known["mar8-0002"].reason == (
        "line 4 of results.tsv: discard; commit aaaaaaa no longer exists: its diff is lost"
    )
    assert memory.known["mar8-0005"].reason == (
        f"no table row; inferred as discard: taken back by {shas[6][:7]}"
    )


def test_records_carry_the_versions_that_a_diff_needs(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    shas = night(story)
    take(story, tmp_path, refs=["autoresearch/mar8"])
    last = memory.known["mar8-0004"]
    assert (last.source, last.parent_source) == (source(9, 0.2), source(9, 0.3))
    assert last.kept_source == source(9, 0.2)
    assert last.history == (source(9, 0.2), source(9), source())
    assert last.parent_commit == shas[5]
    assert (last.agent, last.started) == ("Ada", "2026-02-25T06:19:20Z")
    assert last.origin == "foreign refs/heads/autoresearch/mar8"
    first = memory.known["mar8-0001"]
    assert (first.parent, first.parent_source, first.kept_source) == (None, source(), None)


def test_the_trunk_owns_its_commits_and_shared_ones_are_counted_once(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    night(story)
    story.train("refs/heads/zzz", "depth 7", source(7), 4)
    story.write()
    account = take(story, tmp_path)
    assert {c.name: c.experiments for c in account.campaigns} == {"main": 1, "mar8": 4, "zzz": 1}
    assert memory.known["main-0000"].parent is None
    assert memory.known["mar8-0001"].parent == "main-0000"
    assert memory.known["zzz-0001"].parent == "mar8-0002"
    assert account.experiments == account.commits == len(memory.known) == 6


def test_a_discarded_row_that_cites_its_parent_is_an_experiment_without_diff(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    sha = night(story)[3][:7]
    rows = (
        f"{sha}\t0.99\t44\tkeep\tdepth 9\n"
        f"{sha}\t0.995\t44\tdiscard\twarmup 10\n"
        f"{sha}\t0.99\t44\tkeep\tdepth 9\n"
    )
    account = take(story, tmp_path, refs=["autoresearch/mar8"], results=table(tmp_path, rows))
    lost = memory.known["mar8-0002"]
    assert (lost.status, lost.value, lost.source, lost.commit) == (Status.DISCARD, 0.995, None, "")
    assert (lost.parent, memory.known["mar8-0001"].source) == ("mar8-0001", source(9))
    assert lost.reason.endswith(f"cites {sha}, its parent's commit: its diff is lost")
    path = str(tmp_path / "results.tsv")
    assert account.rejected == (
        Problem(path, 4, "repeats line 2 word for word", f"{sha} 0.99 keep depth 9"),
    )


def test_rows_that_all_cite_one_commit_leave_it_to_itself(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    sha = night(story)[3][:7]
    rows = f"{sha}\t0.99\t44\tdiscard\twarmup 10\n{sha}\t0.98\t44\tdiscard\twarmup 20\n"
    take(story, tmp_path, refs=["autoresearch/mar8"], results=table(tmp_path, rows))
    told = [(r.commit[:7], r.value, r.parent) for r in memory.known.values()][:3]
    assert told == [(sha, None, None), ("", 0.99, "mar8-0001"), ("", 0.98, "mar8-0001")]


def test_a_commit_that_only_a_row_remembers_is_recovered_with_its_diff(
    story: Story, memory: Records, tmp_path: Path
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
    detached = memory.known["main-0001"]
    assert (detached.commit, detached.source) == (shas[2], source(12))
    assert (detached.parent, detached.parent_source) == ("main-0000", source())
    assert memory.known["main-0002"].parent == "main-0000"
    assert (account.with_diff, account.without_diff) == (3, 0)


def test_verdicts_are_inferred_from_words_restored_files_and_undone_edits(
    story: Story, memory: Records, tmp_path: Path
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
    assert [(r.status.value, r.reason.split(": ", 1)[1][:20]) for r in memory.known.values()] == [
        ("keep", "nothing takes it bac"),
        ("discard", "taken back by " + memory.known["main-0003"].commit[:6]),
        ("discard", "taken back by " + memory.known["main-0003"].commit[:6]),
        ("keep", "puts back the file o"),
        ("discard", "its edit is undone i"),
        ("keep", "nothing takes it bac"),
        ("keep", "nothing takes it bac"),
        ("discard", "its message says so"),
    ]
    assert memory.known["main-0005"].kept_source == source(8)


def test_statuses_of_other_tables_are_understood_inferred_or_reported(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    story.train("refs/heads/main", "start", source())
    story.write()
    words = ["improved", "SUCCESS", "rejected", "OOM", "pending review", "done", "failed", "todo"]
    values = ["0.9", "0.8", "1.1", "0.0", "0.7", "0.75", "1.3", ""]
    rows = "".join(
        f"-\t{v}\t1\t{w}\t{w} {i}\n" for i, (w, v) in enumerate(zip(words, values, strict=True))
    )
    account = take(story, tmp_path, results=table(tmp_path, rows))
    assert [(r.status.value, r.value) for r in memory.known.values()] == [
        ("keep", None),
        ("keep", 0.9),
        ("keep", 0.8),
        ("discard", 1.1),
        ("crash", None),
        ("keep", 0.7),
        ("discard", 0.75),
        ("discard", 1.3),
    ]
    assert "inferred as keep from its value" in memory.known["main-0005"].reason
    assert [(p.line, p.reason) for p in account.rejected] == [
        (9, "status 'todo' is no verdict, and there is no value")
    ]


def test_broken_tables_are_reported_line_by_line_and_their_good_rows_taken(
    story: Story, memory: Records, tmp_path: Path
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
    memory.known.clear()
    header = HEADER.replace("\n", "\r\n")
    results = table(tmp_path, rows, header="\ufeff" + header)
    account = import_history(story.place, results=results, store=tmp_path / "other")
    assert [problem.line for problem in account.rejected] == [3, 4]
    assert [r.description for r in memory.known.values()] == ["start", "first", "last"]
    assert [r.source for r in memory.known.values()] == [source(), None, None]


def test_other_metrics_keep_zeros_where_higher_is_better_and_extra_columns(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    sha = night(story)[3][:7]
    header = "commit\tscore\tsharpe\tn_trades\tval_pass\tmemory_gb\tstatus\tdescription\n"
    rows = f"{sha}\t0.0000\t1.5\t12\tfalse\t2\tdiscard\tx\nfff0000\t2.5\t0\t0\ttrue\t\tkeep\ty\n"
    results = table(tmp_path, rows, header=header)
    take(story, tmp_path, refs=["autoresearch/mar8"], results=results, direction="max")
    first, second = memory.known["mar8-0001"], memory.known["mar8-0002"]
    assert (first.metric, first.direction, first.value, second.value) == ("score", "max", 0.0, 2.5)
    assert first.summary == {"sharpe": 1.5, "n_trades": 12.0, "peak_vram_mb": 2048.0}


def test_a_zero_where_lower_is_better_is_never_a_value(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    sha = night(story)[3][:7]
    rows = f"{sha}\t0.000000\t0.0\tdiscard\thung\n"
    take(story, tmp_path, refs=["autoresearch/mar8"], results=table(tmp_path, rows))
    assert memory.known["mar8-0001"].value is None


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
    story: Story, memory: Records, tmp_path: Path, header: str, rows: str
) -> None:
    story.train("refs/heads/main", "start", source())
    story.train("refs/heads/x", "exp1: depth 9", source(9), 1)
    story.train("refs/heads/x", "experiment: exp2 - lr up", source(9, 0.2))
    shas = story.write()
    take(story, tmp_path, refs=["x"], results=table(tmp_path, rows, header=header))
    assert {r.commit: r.value for r in memory.known.values()} == {shas[2]: 0.9, shas[3]: 0.8}


def test_tables_in_trees_and_beside_a_work_tree_are_found_and_copies_read_once(
    story: Story, memory: Records, tmp_path: Path
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
    rows = [r for r in memory.known.values() if r.value is not None]
    assert sorted((r.value, r.commit[:7]) for r in rows) == [
        (0.97, "ddddddd"),
        (0.98, "ccccccc"),
        (0.99, shas[3][:7]),
    ]
    assert account.experiments == 7


def test_refs_imported_one_by_one_end_in_the_same_experiments_as_all_at_once(
    story: Story, memory: Records, tmp_path: Path
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
    assert accounts[-1].experiments == accounts[-1].known == len(memory.known) == 7
    lost = next(r for r in memory.known.values() if r.commit == "ccccccc")
    assert (lost.value, lost.summary) == (0.98, {"gap": 1.5})
    at_once = Records()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "open_memory", lambda place: at_once)
        take(story, tmp_path / "other")
    assert {r.commit for r in at_once.known.values()} == {r.commit for r in memory.known.values()}


def test_odd_files_removed_files_and_merges_are_handled_or_named(
    story: Story, memory: Records, tmp_path: Path
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
    by_commit = {r.commit: r for r in memory.known.values()}
    assert set(by_commit) == {shas[i] for i in (1, 3, 4, 5, 8)}
    assert by_commit[shas[3]].source == "# caf\\xe9 \x00\nDEPTH = 8\n"
    assert by_commit[shas[3]].parent_source is None
    assert by_commit[shas[3]].parent == by_commit[shas[4]].parent == by_commit[shas[1]].name
    assert by_commit[shas[8]].parent_source == source(11)
    assert account.notes == ("merges with a version that neither side had, no experiments: 1",)


def test_a_symbolic_link_is_followed_inside_the_repository_only(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    main = "refs/heads/main"
    story.commit(main, "start", {"old/train.py": source()})
    story.commit(main, "link", {"train.py": "old/train.py"}, mode="120000")
    story.commit(main, "edit", {"old/train.py": source(9)})
    story.commit(main, "out", {"train.py": "/etc/passwd"}, mode="120000")
    shas = story.write()
    take(story, tmp_path)
    told = {r.commit: r.source for r in memory.known.values()}
    assert told == {shas[2]: source(), shas[3]: source(9)}


def test_a_target_that_is_nowhere_and_a_table_of_another_branch_are_named(
    story: Story, memory: Records, tmp_path: Path
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
    story: Story, memory: Records, tmp_path: Path
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


def test_every_way_to_name_a_repository_finds_the_same_experiments(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(story)
    clone, linked = tmp_path / "clone", tmp_path / "linked"
    run("git", "clone", "-q", str(story.place), str(clone))
    run("git", "worktree", "add", "-q", "--detach", str(linked), cwd=clone)
    found = []
    for index, place in enumerate([clone, clone / ".git", linked, f"file://{story.place}"]):
        memory = Records()
        monkeypatch.setattr(history, "open_memory", lambda _, memory=memory: memory)
        import_history(place, store=tmp_path / f"store{index}")
        found.append({(r.name, r.commit, r.source) for r in memory.known.values()})
    assert len(found[0]) == 5
    assert all(other == found[0] for other in found)


def test_the_repository_is_read_only_and_its_programs_never_run(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    night(story)
    clone = tmp_path / "clone"
    run("git", "clone", "-q", str(story.place), str(clone))
    trap = clone / ".git/trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/caught\n")
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "filter.x.clean", "filter.x.smudge", "diff.external"):
        run("git", "config", key, str(trap), cwd=clone)
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (clone / f".git/hooks/{hook}").write_bytes(trap.read_bytes())
        (clone / f".git/hooks/{hook}").chmod(0o755)
    (clone / ".gitattributes").write_text("* filter=x\n")
    (clone / ".git/index.lock").touch()

    def state() -> dict[str, tuple[int, str]]:
        files = (path for path in sorted(clone.rglob("*")) if path.is_file())
        return {
            str(p): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest())
            for p in files
        }

    before = state()
    account = import_history(clone, store=tmp_path / "store")
    list(revision_changes(clone, ["HEAD"], "train.py"))
    assert account.experiments == 5
    assert state() == before
    assert not (tmp_path / "caught").exists()


def test_what_cannot_be_imported_is_said_in_one_sentence(story: Story, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for place, text in [
        (tmp_path / "none", "no such directory; give a repository's path or URL"),
        (tmp_path, "is no git repository; give its top directory or git directory"),
    ]:
        with pytest.raises(RepositoryError) as caught:
            import_history(place, store=store)
        assert str(caught.value) == f"{place}: {text}"
    run("git", "init", "-q", "--bare", str(story.place))
    with pytest.raises(RepositoryError, match="no branch has a commit yet"):
        take(story, tmp_path)
    night(story)
    with pytest.raises(RepositoryError, match=r"ref 'nope': is not in .*; see git branch -a"):
        take(story, tmp_path, refs=["nope"])
    with pytest.raises(RepositoryError, match="is no path inside a repository"):
        take(story, tmp_path, target="../train.py")
    with pytest.raises(FlowError, match=r"results .*gone\.tsv: No such file"):
        take(story, tmp_path, results=[tmp_path / "gone.tsv"])
    with pytest.raises(RepositoryError, match=r"file:///nowhere: .*; check the address"):
        import_history("file:///nowhere", store=store)
    with pytest.raises(RepositoryError, match="this protocol runs a command"):
        import_history("ext::sh -c date://x", store=store)


def graph(story: Story, place: Path, **options: object) -> bytes:
    import_history(story.place, store=place, **options)  # type: ignore[arg-type]
    return open_memory(place).dump()


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
    assert (third.new, third.known, third.experiments) == (0, 7, 7)


def test_an_import_asked_for_again_after_another_changed_it_is_done_again(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    night(story)
    results = table(tmp_path, "aaaaaaa\t0.0\t1\tdiscard\tx\n")
    for direction, value, changed in [("min", None, 0), ("max", 0.0, 6), ("min", None, 6)]:
        account = take(story, tmp_path, results=results, direction=direction)
        assert account.changed == changed
        lost = next(record for record in memory.known.values() if not record.source)
        assert (lost.direction, lost.value) == (direction, value)


def test_a_history_that_grew_adds_what_is_new_and_keeps_all_names(
    story: Story, memory: Records, tmp_path: Path
) -> None:
    shas = night(story)
    take(story, tmp_path, refs=["autoresearch/mar8"])
    names = {r.commit: r.name for r in memory.known.values()}
    story.train("refs/heads/autoresearch/mar8", "depth 9 to 12", source(12, 0.2))
    story.train("refs/heads/aaa", "shares all", source(13))
    story.drop("refs/heads/aaa", 7)
    story.write()
    results = table(tmp_path, f"{shas[4][:7]}\t0.97\t44\tkeep\tlr\n")
    account = take(story, tmp_path, results=results)
    after = {r.commit: r.name for r in memory.known.values()}
    assert after.items() >= names.items()
    assert (account.new, account.changed, account.known) == (2, 2, 2)
    assert memory.known[names[shas[4]]].value == 0.97
    assert set(after.values()) - set(names.values()) == {"main-0000", "mar8-0005"}


def test_an_import_that_was_cut_off_gives_the_same_names_again(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(story)
    memory = Records()
    monkeypatch.setattr(history, "open_memory", lambda place: memory)

    def half(records: Iterable[ExperimentRecord], progress: object = None) -> int:
        Records.add_all(memory, list(records)[:2])
        raise OSError("disk full")

    monkeypatch.setattr(memory, "add_all", half)
    with pytest.raises(OSError, match="disk full"):
        take(story, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(history, "open_memory", lambda place: memory)
    account = take(story, tmp_path)
    assert (account.experiments, account.new) == (5, 3)
    assert len(memory.known) == len({r.commit for r in memory.known.values()}) == 5


def test_a_fork_and_a_stranger_of_the_same_name_stay_apart(
    story: Story, memory: Records, tmp_path: Path
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
    assert (account.experiments, account.new) == (6, 1)
    added = next(record for record in memory.known.values() if record.commit == sha)
    assert (added.campaign.startswith("main-"), added.parent) == (True, "main-0000")


def test_changes_of_revisions_come_one_dict_a_commit_and_errors_are_named(
    story: Story,
) -> None:
    shas = night(story)
    asked = [shas[4][:9], "nope", "main", "--all", shas[1]]
    lines = list(revision_changes(story.place, asked, "train.py"))
    first = lines[0]
    assert (first["commit"], first["parent"]) == (shas[4], shas[3])
    assert [(r["knob"], r["old"], r["new"]) for r in first["records"]] == [
        ("optimizer.matrix_lr", "0.1", "0.2")
    ]
    assert first["records"][0].keys() >= {"component", "change_type", "optimizer_scope", "silent"}
    assert lines[1]["error"] == f"revision 'nope': is not in {story.place}; see git log"
    assert lines[2] == {"commit": shas[2], "parent": shas[1], "records": []}
    assert lines[3]["revision"] == "--all"
    assert lines[4] == {"commit": shas[1], "parent": None, "records": []}


def test_a_range_is_walked_oldest_first_and_reverts_are_seen(story: Story) -> None:
    shas = night(story)
    lines = list(revision_changes(story.place, ["main..autoresearch/mar8"], "train.py"))
    assert [line["commit"] for line in lines] == shas[3:7]
    assert [line["records"][0]["change_type"] for line in lines] == [
        "increase",
        "increase",
        "increase",
        "revert",
    ]
    wrong = list(revision_changes(story.place, ["main..nope"], "train.py"))
    assert [line["revision"] for line in wrong] == ["main..nope"]
    assert [line["records"] for line in revision_changes(story.place, ["main"], "a/b.py")] == [[]]


def test_a_pool_gives_the_same_lines_in_the_same_order(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(story)
    asked = ["main..autoresearch/mar8", "nope", "main"]
    alone = list(revision_changes(story.place, asked, "train.py"))
    monkeypatch.setattr(revisions, "POOLED", 2)
    assert list(revision_changes(story.place, asked, "train.py")) == alone


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans()), max_size=12)


@given(steps, st.permutations(range(4)))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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
        memory = Records()
        monkeypatch.setattr(history, "open_memory", lambda _, memory=memory: memory)
        account = import_history(story.place, refs=refs, store=place / f"s{len(found)}")
        assert account.experiments == account.commits == touching == len(memory.known)
        found.append(memory.known)
    assert found[0] == found[1]
