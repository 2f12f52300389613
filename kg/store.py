"""The graph on disk: one writer at a time, and snapshots for everyone who reads.

A memory is a directory: ``store-N`` is the writer's RocksDB, ``snapshot-N`` what readers open
(a backup: hard links, 8 ms with its flush at 10,000 experiments), ``store`` and ``snapshot``
are links that are switched atomically, ``format`` is the layout's stamp. A second opening for
writing fails at once and reading beside a writer is undefined in pyoxigraph, hence all this.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pyoxigraph import Quad, Store

from kg.errors import KgError, MemoryBroken

FORMAT = "9"  # of the graph; another one is rebuilt from the ledger
ANEW = "make it anew with `nightlab kg rebuild`; delete an imported one, and import again"
PARTS = ("format", "store", "snapshot")  # what a memory that was written to has
KEPT_SNAPSHOTS = 3  # a reader may still have the one before open
PATIENCE_SECONDS = 60.0
Edition = tuple[Path, int]
CHUNK = 100_000  # quads a bulk load holds in memory at once


@contextlib.contextmanager
def locked(directory: Path, patience: float) -> Iterator[None]:
    """Hold the lock that every writer of a memory holds; readers never load filelock.

    A script without a `__main__` guard comes here again in each process that is to read for it.
    It would wait there for its own lock: such a process ends, and its parent says why.

    Raises:
        KgError: Another process is writing for longer than ``patience`` seconds.
    """
    from multiprocessing import current_process

    from filelock import FileLock, Timeout

    if getattr(current_process(), "_inheriting", False):  # as multiprocessing.spawn asks itself
        sys.exit(1)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(directory / "writer.lock", timeout=patience):
            yield
    except Timeout as error:
        raise KgError(
            f"memory {directory}: another process has been writing for {patience:g} s; try again"
        ) from error


@contextlib.contextmanager
def writing(directory: Path, patience: float = PATIENCE_SECONDS) -> Iterator[Store]:
    """Open the writer's store; who changes it calls `publish` before leaving.

    Raises:
        KgError: Another process is writing for longer than ``patience`` seconds.
        MemoryBroken: The store cannot be opened, or has another format.
    """
    with locked(directory, patience):
        yield open_store(directory)


def open_store(directory: Path) -> Store:
    """Open the writer's store, made on first use; the caller holds the lock.

    Raises:
        KgError: It is open for writing elsewhere.
        MemoryBroken: It cannot be opened, or has another format.
    """
    check_format(directory)
    link = directory / "store"
    if not link.exists():
        if snapshot(directory) is not None:  # an empty store would be published over it
            raise MemoryBroken(f"memory {directory}: a part of it was deleted; {ANEW}")
        fresh = numbered(directory, "store")
        fresh.mkdir()
        switch(link, fresh)
    try:
        store = Store(str(link.resolve()))
    except (OSError, RuntimeError) as error:  # a corrupt manifest is a RuntimeError
        if "lock" in str(error).lower():
            raise KgError(
                f"memory {directory}: is open for writing elsewhere; end that and try again"
            ) from error
        raise MemoryBroken(f"memory {directory}: {error}; {ANEW}") from error
    for spent in link.resolve().glob("LOG.old.*"):  # RocksDB keeps 1,000 of 137 kB, one an opening
        spent.unlink(missing_ok=True)
    return store


def check_format(directory: Path) -> None:
    """Stamp a new memory, refuse one of another format.

    Raises:
        MemoryBroken: It was written by another version.
    """
    stamp = directory / "format"
    if not any((directory / part).exists() for part in PARTS):
        replace_text(stamp, FORMAT)
    require_format(directory)


def require_format(directory: Path) -> None:
    """Refuse a memory of another format.

    Raises:
        MemoryBroken: It was written by another version.
    """
    stamp = directory / "format"
    found = stamp.read_text(encoding="utf-8").strip() if stamp.exists() else ""
    if found != FORMAT:
        raise MemoryBroken(
            f"memory {directory}: format {found!r}, this version writes {FORMAT!r}; {ANEW}"
        )


def replace_text(path: Path, text: str) -> None:
    """Write a small file so that readers see the old text or the new one."""
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def numbered(directory: Path, kind: str) -> Path:
    """Return a name ``kind-N`` that no directory has had."""
    taken = [int(p.name.rpartition("-")[2]) for p in directory.glob(f"{kind}-[0-9]*")]
    return directory / f"{kind}-{max(taken, default=0) + 1}"


def switch(link: Path, target: Path) -> None:
    """Point a link to another directory beside it, atomically."""
    draft = link.with_name(link.name + ".tmp")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target.name)
    draft.replace(link)


def announce(directory: Path) -> None:
    """Say that the store is about to have more than its snapshot, in case nobody publishes."""
    (directory / "unpublished").touch()


def behind(directory: Path) -> bool:
    """Tell whether a writer died between writing and publishing."""
    return (directory / "unpublished").exists()


def publish(directory: Path, store: Store) -> Path:
    """Make what is in the store the snapshot that readers open from now on."""
    fresh = numbered(directory, "snapshot")
    store.backup(str(fresh))
    switch(directory / "snapshot", fresh)
    (directory / "unpublished").unlink(missing_ok=True)
    old = sorted(directory.glob("snapshot-[0-9]*"), key=lambda p: int(p.name.rpartition("-")[2]))
    for stale in old[:-KEPT_SNAPSHOTS]:
        sweep(stale)
    return fresh


def sweep(directory: Path) -> None:
    """Delete a directory; who only reads need not load what that takes, 3 ms."""
    from shutil import rmtree

    rmtree(directory, ignore_errors=True)


def whole(directory: Path) -> bool:
    """Tell whether something was ever published here and no part of it was deleted since."""
    return all((directory / part).exists() for part in PARTS)


def snapshot(directory: Path) -> Path | None:
    """Return the latest published snapshot, None for a memory that is still empty."""
    link = directory / "snapshot"
    try:
        return directory / link.readlink()
    except OSError:
        return None


def edition(directory: Path) -> Edition | None:
    """Return what tells the latest snapshot from any other, None for an empty memory.

    A memory that was deleted and made again, or put back from a copy and written to, has the
    same numbers. The time at which its snapshot was made is another one, and a copy's is kept.
    """
    latest = snapshot(directory)
    if latest is None:
        return None
    try:
        return latest, latest.stat().st_mtime_ns
    except OSError:  # swept away just now, or never copied: what `reading` finds is told there
        return latest, 0


def reading(directory: Path) -> Store:
    """Open the latest snapshot; an empty store where nothing has been written yet.

    Raises:
        MemoryBroken: The snapshot cannot be opened, or is of another format.
    """
    if snapshot(directory) is not None:
        require_format(directory)
    for _ in range(KEPT_SNAPSHOTS):  # the one just read may be swept away by a busy writer
        latest = snapshot(directory)
        if latest is None:
            return Store()
        try:
            return Store.read_only(str(latest))
        except (OSError, RuntimeError) as error:
            broken: Exception = error
    raise MemoryBroken(f"memory {directory}: {broken}; {ANEW}") from broken


def apply(store: Store, added: Iterable[Quad], removed: Iterable[Quad]) -> None:
    """Write one change of the graph in one transaction."""
    more, less = list(added), list(removed)
    if not less:
        store.extend(more)
        return
    parts = [("DELETE DATA", less), ("INSERT DATA", more)]
    text = ";\n".join(
        f"{verb} {{\n" + "".join(f"{quad} .\n" for quad in quads) + "}"
        for verb, quads in parts
        if quads
    )
    store.update(text)


def bulk(store: Store, quads: Iterable[Quad]) -> None:
    """Write many quads into a store that nobody reads yet."""
    chunk: list[Quad] = []
    for quad in quads:
        chunk.append(quad)
        if len(chunk) >= CHUNK:
            store.bulk_extend(chunk)
            chunk = []
    if chunk:
        store.bulk_extend(chunk)


@contextlib.contextmanager
def replacing(directory: Path, patience: float = PATIENCE_SECONDS) -> Iterator[Store]:
    """Open a fresh store beside the present one; on leaving without an error, swap them.

    Raises:
        KgError: Another process is writing for longer than ``patience`` seconds.
    """
    with locked(directory, patience):
        fresh = numbered(directory, "store")
        fresh.mkdir()
        try:
            store = Store(str(fresh))
            yield store
            store.optimize()
            replace_text(directory / "format", FORMAT)
            publish(directory, store)
            del store
        except BaseException:
            sweep(fresh)
            raise
        switch(directory / "store", fresh)
        for stale in directory.glob("store-[0-9]*"):
            if stale != fresh:
                sweep(stale)


def canonical(store: Store) -> bytes:
    """Return the graph as sorted N-Quads: equal graphs are equal bytes."""
    lines = sorted(f"{quad} .\n" for quad in store)
    return "".join(lines).encode("utf-8")
