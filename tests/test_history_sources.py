"""Where a foreign history comes from: however it is named, it is only read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from story import Records, Story, night, run, take

from flows import history
from flows.errors import FlowError, RepositoryError
from flows.history import import_history, revision_changes


def test_every_way_to_name_a_repository_finds_the_same_experiments(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(story)
    clone, linked = tmp_path / "clone", tmp_path / "linked"
    run("git", "clone", "-q", str(story.place), str(clone))
    run("git", "worktree", "add", "-q", "--detach", str(linked), cwd=clone)
    found = []
    for index, place in enumerate([clone, clone / ".git", linked, f"file://{story.place}"]):
        records = Records()
        monkeypatch.setattr(history, "open_memory", lambda _, records=records: records)
        import_history(place, store=tmp_path / f"store{index}")
        found.append({(r.name, r.commit, r.source) for r in records.known.values()})
    assert len(found[0]) == 5
    assert all(other == found[0] for other in found)


def test_the_repository_is_read_only_and_its_programs_never_run(
    story: Story, records: Records, tmp_path: Path
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
    assert account.experiments == 4  # and the revert
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
