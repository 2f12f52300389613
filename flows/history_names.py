"""The names an import has given, so that the next one gives the same ones and no others.

Kept beside the graph as `imports.json`: a commit or a row keeps its name when branches grow,
when another ref reaches it first, or when a fork of the repository is imported too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flows.errors import FlowError
from flows.history_match import Plan

FORMAT = 2
PATIENCE_SECONDS = 60.0
REMEMBERED = 16  # imports that are recognised as done; older ones are only read again


@dataclass(slots=True)
class Book:
    """What one memory knows of imports."""

    path: Path
    names: dict[str, str] = field(default_factory=dict)  # key of a plan -> name
    digests: dict[str, str] = field(default_factory=dict)  # name -> what was imported
    campaigns: dict[str, str] = field(default_factory=dict)  # campaign -> origin and ref
    done: dict[str, Any] = field(default_factory=dict)  # what was imported -> its account

    def save(self) -> None:
        """Write the file in one step."""
        data = {"format": FORMAT, "names": self.names, "digests": self.digests}
        latest = list(self.done.items())[-REMEMBERED:]
        data |= {"campaigns": self.campaigns, "done": dict(latest)}
        draft = self.path.with_name(self.path.name + ".tmp")
        draft.write_text(json.dumps(data, indent=0) + "\n", encoding="utf-8")
        draft.replace(self.path)

    def campaign(self, wanted: str, owners: Sequence[str], strangers: Collection[str]) -> str:
        """Return the campaign's name in this memory.

        Args:
            wanted: The name it should have.
            owners: Origin and ref, of each ref on its commit; a known one keeps its name.
            strangers: Campaigns that did not come from an import.
        """
        known = {owner: name for name, owner in self.campaigns.items()}
        found = next((known[owner] for owner in owners if owner in known), None)
        if found is not None:
            return found
        taken = wanted in self.campaigns or wanted in strangers
        mark = hashlib.sha256(owners[0].encode()).hexdigest()[:6]
        name = f"{wanted}-{mark}" if taken else wanted
        self.campaigns[name] = owners[0]
        return name

    def assign(self, campaign: str, plans: Sequence[Plan], first: int) -> None:
        """Name the experiments of a campaign in order; known ones keep their names.

        Args:
            campaign: Its name in this memory.
            plans: All its experiments in order.
            first: Number of the first one if the campaign is new.
        """
        used = [seq for tag, seq in map(split_name, self.names.values()) if tag == campaign]
        following = max(used, default=first - 1) + 1
        for plan in plans:
            if plan.key not in self.names:
                self.names[plan.key] = f"{campaign}-{following:04d}"
                following += 1


def split_name(name: str) -> tuple[str, int]:
    """Split `mar8-0012` into campaign and number."""
    tag, _, number = name.rpartition("-")
    return tag, int(number)


@contextlib.contextmanager
def opened_book(store: Path) -> Iterator[Book]:
    """Open the book of a memory; imports into one memory take turns.

    Raises:
        FlowError: Another import runs, or the file was written by another version.
    """
    store.mkdir(parents=True, exist_ok=True)
    path = store / "imports.json"
    try:
        with FileLock(store / "imports.lock", timeout=PATIENCE_SECONDS):
            yield read_book(path)
    except Timeout:
        raise FlowError(f"store {store}: another import is running; wait for its end") from None


def read_book(path: Path) -> Book:
    """Read the book, empty where nothing was imported yet.

    Raises:
        FlowError: It cannot be understood.
    """
    if not path.exists():
        return Book(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") == FORMAT:
            return Book(path, **data)
    except (ValueError, TypeError, KeyError):
        pass
    raise FlowError(f"{path}: is no book of this version; delete the store and import again")
