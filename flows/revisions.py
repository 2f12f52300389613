"""`nightlab kg changes`: what each of some commits changed in the target, one dict a commit."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from flows.errors import RepositoryError
from flows.foreign import git_dir
from flows.objects import Objects
from flows.versions import Versions
from kg.changes import changes, record

HISTORY = 30  # earlier versions given to the diff
POOLED = 64  # revisions from which starting two processes (0.5 s) pays
WORKERS = 2
CHUNK = 64  # consecutive commits share versions, and a worker keeps what it has parsed
# A syntax tree is 100,000 objects without cycles: at Python's default of 700 new objects the
# collector walks the kept trees over and over, and parsing takes 34 ms instead of 12
COLLECT_AFTER = (200_000, 50, 50)


@dataclass(frozen=True, slots=True)
class Edit:
    """One commit to be compared, by the hashes of what it needs."""

    commit: str
    parent: str | None
    before: str | None  # blob
    after: str | None  # blob
    earlier: tuple[str, ...]  # blobs before the parent's, newest first
    message: str
    told: tuple[str, ...]  # messages that came with the parent's blob and the earlier ones


Asked = Edit | str  # a string is what went wrong with a revision


def revision_changes(repo: Path, revs: Iterable[str], target: str) -> Iterator[dict[str, Any]]:
    """Yield the changes of commits against their first parents, in the order asked.

    Args:
        repo: A work tree, bare repository or git directory.
        revs: Revisions of any form git knows; `A..B` is walked along first parents, oldest
            first.
        target: The file, as a path in the repository.

    Yields:
        `{"commit", "parent", "records"}` with full hashes (`parent` is None for a root), or
        `{"revision", "error"}` for a revision that does not exist.

    Raises:
        RepositoryError: There is no repository.
    """
    with Objects(git_dir(Path(repo))) as objects:
        named = list(resolve(objects, revs))
        tips = [sha for _, sha in named if sha]
        versions = Versions(objects, target, tips)
        asked = [edit(versions, sha) if sha else name for name, sha in named]
        texts = Texts(objects)
        pooled = sum(isinstance(one, Edit) for one in asked) >= POOLED
        if pooled:
            yield from in_pool(objects.git_dir, asked)
            return
        with seldom_collecting():
            yield from map(texts.compare, asked)


@contextlib.contextmanager
def seldom_collecting() -> Iterator[None]:
    """Let the garbage collector run seldom for a while."""
    usual = gc.get_threshold()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def resolve(objects: Objects, revs: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each revision with its commit, None where there is none; ranges are spread out."""
    names: list[str] = []
    for rev in filter(None, (text.strip() for text in revs)):
        names += between(objects, rev) if ".." in rev else [rev]
    found = objects.find([f"{name}^{{commit}}" for name in names])
    for name, entry in zip(names, found, strict=True):
        yield name, entry.sha if entry else None


def between(objects: Objects, span: str) -> list[str]:
    """Return the commits of `A..B` along first parents, oldest first; itself if it is wrong."""
    walk = ["rev-list", "--first-parent", "--reverse", "--end-of-options", span, "--"]
    try:
        return objects.git(*walk).split()
    except RepositoryError:
        return [span]


def edit(versions: Versions, commit: str) -> Edit:
    """Return what has to be compared for one commit."""
    parent = versions.base(commit)
    line = versions.line(commit, HISTORY)
    return Edit(
        commit=commit,
        parent=parent,
        before=readable(versions, parent),
        after=readable(versions, commit),
        earlier=tuple(versions.blobs[brought] for brought in line[1:]),
        message=versions.message(commit),
        told=tuple(map(versions.message, line)),
    )


def readable(versions: Versions, commit: str | None) -> str | None:
    """Return the blob of the target at a commit, None if it is absent or too large."""
    blob = versions.blobs.get(commit or "")
    return None if blob in versions.too_large else blob


class Texts:
    """Compares versions by the hashes of their blobs, each read once."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.known: dict[str, str | None] = {}

    def text(self, blob: str | None) -> str | None:
        """Return the text of a blob."""
        if blob is None:
            return None
        if blob not in self.known:
            self.known[blob] = self.objects.text(blob)
        return self.known[blob]

    def compare(self, asked: Asked) -> dict[str, Any]:
        """Return the line of one commit."""
        if isinstance(asked, str):
            told = f"revision {asked!r}: is not in {self.objects.git_dir}; see git log"
            return {"revision": asked, "error": told}
        before, after = self.text(asked.before), self.text(asked.after)
        known = zip(map(self.text, asked.earlier), asked.told[1:], strict=True)
        history = [(text, said) for text, said in known if text is not None]
        found = changes(
            before,
            after,
            message=asked.message,
            history=[text for text, _ in history],
            told=[*asked.told[:1], *(said for _, said in history)],
        )
        return {
            "commit": asked.commit,
            "parent": asked.parent,
            "records": [record(change) for change in found],
        }


def in_pool(place: Path, asked: Sequence[Asked]) -> Iterator[dict[str, Any]]:
    """Compare in processes of which each reads the repository itself; order is kept."""
    size = min(CHUNK, -(-len(asked) // (2 * WORKERS)))
    chunks = [asked[at : at + size] for at in range(0, len(asked), size)]
    workers = min(WORKERS, os.cpu_count() or 1, len(chunks))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for lines in pool.map(partial(compare_chunk, place), chunks):
            yield from lines


def compare_chunk(place: Path, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Compare some consecutive commits."""
    with Objects(place) as objects, seldom_collecting():
        texts = Texts(objects)
        return [texts.compare(one) for one in asked]
