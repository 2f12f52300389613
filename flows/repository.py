"""The user's git repository, touched by plumbing only: objects and refs, nothing else.

Refs are moved by `git update-ref` with the value it must find (compare-and-swap), with hooks off.
Commits are written by flows/trees.py, which says why nothing else is used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flows.errors import RefTaken, RepositoryError
from flows.plumbing import CatFile, last_line, run

if TYPE_CHECKING:
    from flows.trees import Trees

ZERO = "0" * 40
SAFE = ["core.hooksPath=/dev/null", "core.fsmonitor=false", "core.useReplaceRefs=false"]
GIT = ["git", *(part for option in SAFE for part in ("-c", option))]
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE")  # a hook sets them


class Repository:
    """Objects and refs of one git repository, read and written without side effects."""

    def __init__(self, place: Path) -> None:
        """Open the repository that holds a directory.

        Raises:
            RepositoryError: There is none, it is bare, or it has no commit yet.
        """
        self.env = {key: text for key, text in os.environ.items() if key not in ELSEWHERE}
        self.env["LC_ALL"] = "C"
        self.root = top_of(place, self.env)
        self.objects = CatFile(GIT, self.root, self.env)
        self.head()

    @cached_property
    def trees(self) -> Trees:
        """What walks and writes trees."""
        from flows.trees import Trees

        return Trees(self.root)

    def close(self) -> None:
        """End the `git cat-file` processes."""
        self.objects.close()
        if "trees" in self.__dict__:
            self.trees.close()

    def head(self) -> str:
        """Return the commit the user has checked out.

        Raises:
            RepositoryError: There is none yet, or its name is a SHA-256.
        """
        found = self.resolve("HEAD")
        if found is None:
            raise RepositoryError(
                f"{self.root}: the repository has no usable commit; commit your files first"
            )
        if len(found) != len(ZERO):
            raise RepositoryError(
                f"{self.root}: names its objects by SHA-256, which DVC and GitPython cannot read; "
                "make it anew with `git init --object-format=sha1`"
            )
        return found

    def resolve(self, name: str) -> str | None:
        """Return the commit of a ref or of a hash, None if it does not exist."""
        found = self.objects.get(f"{name}^{{commit}}")
        return found[0].sha if found else None

    def parents(self, commit: str) -> list[str]:
        """Return the parents of a commit as it names them, [] of the first or a missing one."""
        _, data = self.objects.get(f"{commit}^{{commit}}") or (None, b"")
        lines = data.partition(b"\n\n")[0].split(b"\n")
        return [line[7:].decode() for line in lines if line.startswith(b"parent ")]

    def is_ancestor(self, old: str, new: str) -> bool:
        """Tell whether a commit is another one or comes before it."""
        command = [*GIT, "merge-base", "--is-ancestor", old, new]
        return run(command, self.root, self.env).returncode == 0

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of a file at a commit, None if it is not there or not a file."""
        if not commit or path.startswith(("./", "../")):
            return None  # git would read the index, or start from where it runs
        found = self.objects.get(f"{commit}:{path}")
        return found[1] if found and found[0].kind == "blob" else None

    def hashes(self, commit: str, path: str, *, without: str) -> list[tuple[str, str]]:
        """Return a file or directory of a commit with its hash, as `Trees.hashes` does."""
        return self.trees.hashes(commit, path, without=without)

    def refs(self, prefix: str) -> dict[str, str]:
        """Return the refs below a prefix, or of a pattern, with their commits, sorted by name."""
        lines = self.run("for-each-ref", "--format=%(objectname) %(refname)", prefix)
        pairs = (line.split(" ", 1) for line in lines.split("\n") if line)
        return {name: commit for commit, name in pairs}

    def export(self, commit: str, directory: Path) -> None:
        """Write the files of a commit below a directory, without filters or an index."""
        self.trees.export(commit, directory)

    def commit(self, parent: str, files: Mapping[str, bytes], message: str) -> str:
        """Write a commit: the parent's tree with some files replaced or added.

        Returns:
            Its hash. No ref points to it yet, so it is not part of any history.

        Raises:
            RepositoryError: What a file would replace is no regular file.
        """
        return self.trees.commit(parent, files, message)

    def create_ref(self, ref: str, commit: str) -> None:
        """Create a ref that must not exist: the atomic act that makes something real.

        Raises:
            RefTaken: It exists already.
        """
        self.swap_ref(ref, commit, ZERO)

    def swap_ref(self, ref: str, commit: str, expected: str) -> None:
        """Move a ref from the commit it must be at to another.

        Raises:
            RefTaken: It is not where it was expected.
        """
        done = run([*GIT, "update-ref", ref, commit, expected], self.root, self.env)
        if done.returncode:
            raise RefTaken(ref, last_line(done.stderr))

    def delete_ref(self, ref: str) -> None:
        """Delete a ref; no matter if it is gone already."""
        self.run("update-ref", "-d", ref)

    def run(self, command: str, *arguments: str) -> str:
        """Run one plumbing command with hooks off; its output.

        Raises:
            RepositoryError: It failed.
        """
        done = run([*GIT, command, *arguments], self.root, self.env)
        if done.returncode:
            raise RepositoryError(
                f"{self.root}: git {command}: {last_line(done.stderr)}; check it with git fsck"
            )
        return done.stdout.decode("utf-8", "surrogateescape")


def top_of(place: Path, env: Mapping[str, str]) -> Path:
    """Return the top of the checkout that holds a directory.

    Raises:
        RepositoryError: There is none.
    """
    if not place.is_dir():
        raise RepositoryError(f"{place}: no such directory; give an existing one")
    done = run([*GIT, "rev-parse", "--show-toplevel"], place, env)
    if done.returncode == 0:
        return Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
    told = done.stderr.decode("utf-8", "replace")
    if "not a git repository" in told:
        what = "not inside a git repository; run `git init` and commit your files"
    elif "must be run in a work tree" in told:
        what = "is a bare repository or a git directory; go to a checkout or a clone of it"
    else:  # another user's directory: git names the command that allows it
        what = f"git refuses: {' '.join(told.removeprefix('fatal: ').split())}"
    raise RepositoryError(f"{place}: {what}")
