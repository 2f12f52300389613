import stat
from pathlib import Path

import pytest
from laboratory import git

from flows import ledger, plumbing
from flows.errors import RefTaken, RepositoryError
from flows.repository import Repository


def test_a_commit_replaces_and_adds_files_at_any_depth(root: Path) -> None:
    repository = Repository(root)
    head = repository.head()
    made = repository.commit(head, {"train.py": b"x = 1\n", "a/b/c.txt": b"deep"}, "Try\n")
    assert git(root, "show", f"{made}:train.py") == "x = 1\n"
    assert git(root, "show", f"{made}:a/b/c.txt") == "deep"
    assert git(root, "show", f"{made}:notes.md") == "What I think.\n"
    assert git(root, "rev-parse", f"{made}^").strip() == head
    assert git(root, "fsck", "--strict", made) == ""
    assert git(root, "diff", "--name-only", head, made).split() == ["a/b/c.txt", "train.py"]


def test_tree_entries_are_sorted_as_git_sorts_them(root: Path) -> None:
    repository = Repository(root)
    files = {"a": b"1", "a.b": b"2", "a-b/x": b"3", "ab/x": b"4"}
    made = repository.commit(repository.head(), files, "Sort\n")
    again = repository.commit(made, {"ab/y": b"5", "a.b": b"6"}, "Sort again\n")
    assert git(root, "fsck", "--strict", again) == ""
    assert repository.read(again, "ab/x") == b"4"
    assert repository.read(again, "a.b") == b"6"


def test_nothing_of_the_checkout_is_touched_and_no_hook_or_filter_runs(root: Path) -> None:
    canary = root.parent / "canary"
    for name in ("post-checkout", "reference-transaction", "post-commit", "pre-commit"):
        hook = root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho {name} >> {canary}\n")
        hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    git(root, "config", "filter.evil.clean", f"tee -a {canary}")
    git(root, "config", "core.fsmonitor", f"touch {canary}")
    (root / ".gitattributes").write_text("* filter=evil\n")
    (root / ".git" / "index.lock").touch()
    repository = Repository(root)
    made = repository.commit(repository.head(), {"train.py": b"x = 2\n"}, "Try\n")
    repository.create_ref("refs/exps/aa/bb/t-0000", made)
    repository.swap_ref("refs/heads/other", made, "0" * 40)
    repository.delete_ref("refs/exps/aa/bb/t-0000")
    repository.export(made, root.parent / "copy")
    assert not canary.exists()
    assert (root.parent / "copy" / "train.py").read_bytes() == b"x = 2\n"


def test_a_ref_is_created_once_and_moved_only_from_where_it_is(root: Path) -> None:
    repository = Repository(root)
    head = repository.head()
    made = repository.commit(head, {"train.py": b""}, "Try\n")
    repository.create_ref("refs/nightlab/x", head)
    with pytest.raises(RefTaken):
        repository.create_ref("refs/nightlab/x", made)
    with pytest.raises(RefTaken, match="nothing is lost"):
        repository.swap_ref("refs/nightlab/x", made, made)
    repository.swap_ref("refs/nightlab/x", made, head)
    assert repository.refs("refs/nightlab/") == {"refs/nightlab/x": made}
    repository.delete_ref("refs/nightlab/x")
    assert repository.resolve("refs/nightlab/x") is None


def test_a_link_in_place_of_a_file_is_refused(root: Path) -> None:
    (root / "link.py").symlink_to("train.py")
    git(root, "add", "link.py")
    git(root, "commit", "-qm", "Link")
    repository = Repository(root)
    with pytest.raises(RepositoryError, match=r"link\.py: is not a regular file"):
        repository.commit(repository.head(), {"link.py": b""}, "Try\n")


def test_what_is_no_repository_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="not inside a git repository; run `git init`"):
        Repository(tmp_path)
    git(tmp_path, "init", "-q")
    with pytest.raises(RepositoryError, match="commit your files first"):
        Repository(tmp_path)
    with pytest.raises(RepositoryError, match="no such directory"):
        Repository(tmp_path / "nowhere")


def test_a_bare_repository_and_a_git_directory_are_one_sentence(root: Path) -> None:
    git(root, "clone", "-q", "--bare", ".", "bare.git")
    for place in (root / "bare.git", root / ".git"):
        with pytest.raises(RepositoryError, match="go to a checkout or a clone of it"):
            Repository(place)


def test_the_repository_around_counts_whatever_a_hook_has_set(root: Path, monkeypatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(root / "elsewhere"))
    (root / "deep").mkdir()
    repository = Repository(root / "deep")
    assert repository.root == root
    made = repository.commit(repository.head(), {"train.py": b"x = 3\n"}, "Try\n")
    repository.create_ref("refs/exps/aa/bb/t-0000", made)
    assert repository.read("refs/exps/aa/bb/t-0000", "train.py") == b"x = 3\n"
    assert repository.parents(made) == [repository.head()]
    assert repository.parents("0" * 40) == []


def test_only_files_are_read(root: Path) -> None:
    repository = Repository(root)
    made = repository.commit(repository.head(), {"a/b.py": b"", "big": b"n\n" * 9_000_000}, "Try\n")
    for path in ("a", "", "a/c.py", "a/b.py\n", "a/b.py blob 0"):
        assert repository.read(made, path) is None
    assert repository.read(made, "a/b.py") == b""
    assert repository.read("", "notes.md") is None  # the index has it
    assert repository.read(made, "./notes.md") is None
    assert repository.read(made, "../outside.py") is None
    assert len(repository.read(made, "big") or b"") == 18_000_000


def test_a_damaged_object_is_one_sentence_and_what_is_whole_is_still_read(root: Path) -> None:
    repository = Repository(root)
    made = repository.commit(repository.head(), {"new.py": bytes(range(256)) * 99}, "Try\n")
    sha = git(root, "rev-parse", f"{made}:new.py").strip()
    damaged = root / ".git" / "objects" / sha[:2] / sha[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-200])
    with pytest.raises(RepositoryError, match="check it with git fsck"):
        repository.read(made, "new.py")
    assert repository.read(made, "notes.md") == b"What I think.\n"


def test_an_interrupt_leaves_no_answer_for_the_next_question(root: Path, monkeypatch) -> None:
    repository = Repository(root)

    def described(line: bytes) -> None:
        raise KeyboardInterrupt(line)

    with monkeypatch.context() as patch:
        patch.setattr(plumbing, "described", described)
        with pytest.raises(KeyboardInterrupt):
            repository.read("HEAD", "train.py")
    assert repository.read("HEAD", "notes.md") == b"What I think.\n"


def test_a_process_of_git_that_was_ended_is_begun_anew(root: Path) -> None:
    repository = Repository(root)
    for _ in range(2):
        process = repository.objects.process
        assert process is not None
        process.kill()
        process.wait()
        assert repository.read("HEAD", "notes.md") == b"What I think.\n"


def test_without_git_there_is_one_sentence(root: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(RepositoryError, match="git: is not installed"):
        Repository(root)


def test_a_repository_without_a_commit_is_one_sentence(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(RepositoryError, match="no usable commit; commit your files first"):
        Repository(tmp_path)


def test_a_repository_of_sha256_is_one_sentence(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "Begin")
    with pytest.raises(RepositoryError, match="names its objects by SHA-256"):
        Repository(tmp_path)


def test_refs_are_listed_by_prefix_or_by_pattern(root: Path) -> None:
    repository = Repository(root)
    for name in ("refs/exps/aa/bb/a-0000", "refs/exps/aa/bb/a-b-0000", "refs/exps/aa/bb/b-0000"):
        repository.create_ref(name, repository.head())
    assert len(repository.refs("refs/exps/")) == 3
    assert [*ledger.names(repository, "a")] == ["a-0000"]
    assert [*ledger.names(repository, "b")] == ["b-0000"]
    assert [*ledger.names(repository, "a-b")] == ["a-b-0000"]
    assert [*ledger.names(repository)] == ["a-0000", "a-b-0000", "b-0000"]
