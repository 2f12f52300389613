"""A small foreign history, written by one `git fast-import`, and its import."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flows.history import Account, import_history
from kg.memory import open_memory
from kg.record import ExperimentRecord

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
    story.train(
        "refs/heads/autoresearch/mar8",
        "lr 0.1 to 0.2\n\nCo-Authored-By: A <a@b.c>\n",
        source(9, 0.2),
    )
    story.train("refs/heads/autoresearch/mar8", "lr 0.2 to 0.3", source(9, 0.3))
    story.train("refs/heads/autoresearch/mar8", 'Revert "lr 0.2 to 0.3"', source(9, 0.2))
    return story.write()


def graph(story: Story, place: Path, **options: object) -> bytes:
    import_history(story.place, store=place, **options)  # type: ignore[arg-type]
    return open_memory(place).dump()
