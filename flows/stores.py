"""Which memory is meant: a store named by its directory, else that of the repository around."""

from __future__ import annotations

from pathlib import Path

from flows import ledger
from flows.errors import FlowError
from flows.lab import Lab, open_lab
from kg.memory import Memory, open_memory


def named_store(store: str | Path) -> Memory:
    """Return the memory in a directory that must exist.

    Raises:
        FlowError: It does not.
    """
    if not Path(store).is_dir():
        raise FlowError(f"store {str(store)!r}: does not exist; give the directory of an import")
    return open_memory(Path(store))


def lab_memory(lab: Lab) -> Memory:
    """Return the memory of a repository, made anew from git where it or a part was deleted."""
    if not lab.memory.whole() and ledger.names(lab.repository):
        from flows import derived
        from flows.output import notes

        number = derived.rebuild(lab)
        notes().print(f"the memory was gone: made anew from git, {number} experiments")
    return lab.memory


def open_store(store: str | Path | None) -> tuple[Memory, Lab | None]:
    """Return the memory, and the repository if there is one: a named store does without.

    Raises:
        FlowError: The store does not exist, or there is neither one nor a repository with a
            nightlab.toml.
    """
    if store is None:
        lab = open_lab()
        return lab_memory(lab), lab
    memory = named_store(store)
    try:
        return memory, open_lab()
    except FlowError:
        return memory, None
