"""Trees of a git repository, walked and written by GitPython and gitdb in process.

No checkout, index, hook, filter or reset: an agent that can write `.git` gets code run in the
runner through any of those (a planted post-checkout hook and a clean filter both did), and a
dirty tree or a stale index.lock must not matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import git
from git.objects.fun import tree_entries_from_data, tree_to_stream
from git.objects.tree import Tree
from git.objects.util import Actor
from gitdb import IStream

from flows.errors import RepositoryError

TREE, FILE = 0o040000, 0o100644
Entry = tuple[bytes, int, str]  # (object, mode, name), as in a tree object


class Trees:
    """The trees of one repository; close it when done."""

    def __init__(self, root: Path) -> None:
        """Open the repository whose checkout is in a directory."""
        self.git = git.Repo(root)

    def close(self) -> None:
        """End GitPython's helper processes."""
        self.git.close()

    def hashes(self, commit: str, path: str, *, without: str) -> list[tuple[str, str]]:
        """Return a file or directory of a commit with its hash, [] if it is not there.

        Of a directory that holds the file to leave out, every other file of it.
        """
        try:
            entry = self.git.commit(commit).tree / path
        except (KeyError, ValueError, git.BadName):
            return []
        if isinstance(entry, Tree) and without.startswith(f"{path}/"):
            inside = (item for item in entry.traverse() if isinstance(item, git.Blob))
            found = [(str(item.path), str(item.hexsha)) for item in inside]
        else:
            found = [(path, str(entry.hexsha))]
        return sorted(pair for pair in found if pair[0] != without)

    def export(self, commit: str, directory: Path) -> None:
        """Write the files of a commit below a directory, without filters or an index."""
        for path, mode, data in self.files(commit):
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if mode == git.Blob.link_mode:
                target.unlink(missing_ok=True)
                target.symlink_to(os.fsdecode(data))
                continue
            target.write_bytes(data)
            if mode == git.Blob.executable_mode:
                target.chmod(0o755)

    def files(self, commit: str) -> Iterator[tuple[str, int, bytes]]:
        """Yield path, mode and bytes of every file of a commit; submodules are left out."""
        for item in self.git.commit(commit).tree.traverse():
            if isinstance(item, git.Blob):
                yield str(item.path), int(item.mode), bytes(item.data_stream.read())

    def commit(self, parent: str, files: Mapping[str, bytes], message: str) -> str:
        """Write a commit: the parent's tree with some files replaced or added.

        Returns:
            Its hash. No ref points to it yet, so it is not part of any history.
        """
        base = self.git.commit(parent)
        tree = self.graft(base.tree.binsha, {tuple(p.split("/")): d for p, d in files.items()})
        who = self.actor()
        made = git.Commit.create_from_tree(
            self.git, Tree(self.git, tree), message, [base], head=False, author=who, committer=who
        )
        return str(made.hexsha)

    def actor(self) -> Actor:
        """Return the user's git identity, or ours where none is configured."""
        reader: Any = self.git.config_reader()
        name = str(reader.get_value("user", "name", "nightlab"))
        return Actor(name, str(reader.get_value("user", "email", "nightlab@localhost")))

    def graft(self, tree: bytes | None, files: Mapping[tuple[str, ...], bytes]) -> bytes:
        """Write a tree with files put in; the hash of the new tree, as 20 bytes.

        Raises:
            RepositoryError: What a file would replace is no regular file.
        """
        entries: dict[str, Entry] = {}
        if tree is not None:
            data = self.git.odb.stream(tree).read()
            entries = {entry[2]: entry for entry in tree_entries_from_data(data)}
        below: dict[str, dict[tuple[str, ...], bytes]] = {}
        for path, content in files.items():
            name = path[0]
            if len(path) > 1:
                below.setdefault(name, {})[path[1:]] = content
                continue
            mode = entries[name][1] if name in entries else FILE
            if mode not in (FILE, git.Blob.executable_mode):
                raise RepositoryError(f"{name}: is not a regular file in git; commit a plain file")
            entries[name] = (self.store("blob", content), mode, name)
        for name, inner in below.items():
            old = entries.get(name)
            inside = old[0] if old and old[1] == TREE else None
            entries[name] = (self.graft(inside, inner), TREE, name)
        stream = BytesIO()
        tree_to_stream(sorted(entries.values(), key=tree_order), stream.write)
        return self.store("tree", stream.getvalue())

    def store(self, kind: str, data: bytes) -> bytes:
        """Write one object; its hash as 20 bytes."""
        made = self.git.odb.store(IStream(kind.encode(), len(data), BytesIO(data)))
        return bytes(made.binsha)


def tree_order(entry: Entry) -> bytes:
    """Sort key of git's trees: a directory's name sorts as if it ended in a slash."""
    _, mode, name = entry
    return os.fsencode(name) + (b"/" if mode == TREE else b"")
