"""The versions of one file over the commits of a repository, and which came from which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import PurePosixPath

from flows.errors import RepositoryError
from flows.objects import MAX_BYTES, Objects
from kg.fingerprint import fingerprint
from kg.parsing import digest

LAYOUT = re.compile(r"#[^\n]*|[()]")
HISTORY = 20  # versions before the parent that are given to the diff of an import


class Versions:
    """The target file at every commit that can be reached from some tips."""

    def __init__(self, objects: Objects, target: str, tips: Iterable[str]) -> None:
        self.objects = objects
        self.target = target_path(target)
        self.parents = objects.parents(dict.fromkeys(tips))
        self.blobs: dict[str, str] = {}
        self.too_large: set[str] = set()
        commits = list(self.parents)
        found = objects.find([f"{commit}:{self.target}" for commit in commits])
        for commit, entry in zip(commits, found, strict=True):
            if entry is not None and entry.kind == "blob":
                self.blobs[commit] = entry.sha
                if entry.size > MAX_BYTES:
                    self.too_large.add(entry.sha)
        self.texts: dict[str, str | None] = {}
        self.messages: dict[str, str] = {}
        self.cores: dict[str, str] = {}
        self.came_from: dict[str, str | None] = {}

    @cached_property
    def cut(self) -> frozenset[str]:
        """The commits whose parents a shallow clone lacks: what they changed is unknown."""
        lines = self.objects.git("rev-parse", "--git-path", "shallow").split("\n")
        path = self.objects.git_dir.parent / lines[0]
        shas = path.read_text(encoding="ascii").split() if path.is_file() else []
        return frozenset(shas) & self.parents.keys()

    def text(self, blob: str | None) -> str | None:
        """Return a version's text, None where there is none or it is too large to be code."""
        if blob is None or blob in self.too_large:
            return None
        if blob not in self.texts:
            self.texts[blob] = self.objects.text(blob)
        return self.texts[blob]

    def message(self, commit: str) -> str:
        """Return the message of a commit."""
        if commit not in self.messages:
            self.messages[commit] = self.objects.commit(commit).message
        return self.messages[commit]

    def alike(self, one: str | None, other: str | None) -> bool:
        """Tell whether two commits hold one program, comments and layout aside."""
        left, right = self.blobs.get(one or ""), self.blobs.get(other or "")
        if left is None or right is None or left == right:
            return left == right
        texts = self.text(left), self.text(right)
        if None in texts or self.core(left) != self.core(right):
            return False
        return fingerprint(texts[0] or "") == fingerprint(texts[1] or "")

    def core(self, blob: str) -> str:
        """Return what programs that differ in comments and layout have in common, and few others.

        0.4 ms a version of 30 kB; its fingerprint costs a parse.
        """
        if blob not in self.cores:
            self.cores[blob] = digest("".join(LAYOUT.sub("", self.text(blob) or "").split()))
        return self.cores[blob]

    def base(self, commit: str) -> str | None:
        """Return the first parent, None for a root."""
        return next(iter(self.parents.get(commit, ())), None)

    def touches(self, commit: str) -> bool:
        """Tell whether a commit that is no merge brought a new version."""
        blob, parents = self.blobs.get(commit), self.parents.get(commit, ())
        if blob is None or len(parents) > 1:
            return False
        return not parents or self.blobs.get(parents[0]) != blob

    def mixes(self, commit: str) -> bool:
        """Tell whether a merge holds a version that none of its parents has."""
        blob, parents = self.blobs.get(commit), self.parents.get(commit, ())
        if blob is None or len(parents) < 2:
            return False
        return all(self.blobs.get(parent) != blob for parent in parents)

    def at(self, commit: str | None) -> str | None:
        """Return the commit that brought the version which is at a commit.

        A merge hands the question on to the parent it has the file from.
        """
        while commit is not None and not self.touches(commit):
            blob, parents = self.blobs.get(commit), self.parents.get(commit, ())
            same = (parent for parent in parents if self.blobs.get(parent) == blob)
            commit = next(same, next(iter(parents), None))
        return commit

    def previous(self, commit: str) -> str | None:
        """Return the commit whose version a commit was edited from."""
        if commit not in self.came_from:
            self.came_from[commit] = self.at(self.base(commit))
        return self.came_from[commit]

    def line(self, commit: str, most: int) -> list[str]:
        """Return the commits that brought the versions below a commit, the parent's first.

        It ends after ``most`` versions before the parent's, each counted once: where every
        second commit is a revert, 20 commits hold 10 of them.
        """
        found: list[str] = []
        known: set[str] = set()
        base = self.base(commit)
        while base is not None:
            blob = self.blobs.get(base)
            if blob is not None:
                known.add(blob)
                if len(known) > most + 1:
                    break
                if found and self.blobs[found[-1]] == blob:
                    found[-1] = base
                else:
                    found.append(base)
            base = self.base(base)
        return found

    def history(self, commit: str, most: int = HISTORY) -> tuple[str, ...]:
        """Return the texts before the parent's version along first parents, newest first."""
        texts = (self.text(self.blobs[brought]) for brought in self.line(commit, most)[1:])
        return tuple(text for text in texts if text is not None)

    def namesakes(self, commit: str) -> list[str]:
        """Return files of the target's name elsewhere in a commit, at most three."""
        name = PurePosixPath(self.target).name
        paths = self.objects.git("ls-tree", "-r", "--name-only", "-z", commit).split("\0")
        return [path for path in paths if path.rpartition("/")[2] == name][:3]

    def order(self, tip: str, seen: set[str]) -> Iterator[str]:
        """Yield the commits below a tip that were not seen yet, parents before children.

        The first parent's line comes before what a merge brought in, so the order depends
        on nothing but the commits; `seen` grows by what is yielded.
        """
        stack = [(tip, iter(self.parents.get(tip, ())))]
        if tip in seen or tip not in self.parents:
            return
        seen.add(tip)
        while stack:
            commit, below = stack[-1]
            parent = next((p for p in below if p not in seen and p in self.parents), None)
            if parent is not None:
                seen.add(parent)
                stack.append((parent, iter(self.parents[parent])))
                continue
            stack.pop()
            yield commit


def target_path(target: str) -> str:
    """Return a path inside a repository as git spells it.

    Raises:
        RepositoryError: It leads out of the repository.
    """
    path = PurePosixPath(target)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\n" in target:
        raise RepositoryError(f"target {target!r}: is no path inside a repository; give train.py")
    return str(path)
