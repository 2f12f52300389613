"""Results tables of a foreign repository: found, read, and their rows made identifiable."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from flows.errors import FlowError
from flows.foreign import Branch, Foreign
from flows.objects import Objects
from flows.results import Row, Table, clean, number_in, read_table
from kg.model import Status

NAMED = re.compile(r"[^/]*results[^/]*\.tsv", re.I)
POSITIVE = re.compile(r"(?:^|[^a-z])(?:bpb|bpc|ppl|perplexity|latency)(?:$|[^a-z])", re.I)
HASH = re.compile(r"[0-9a-f]{6,64}")
MAX_TABLE = 32 * 2**20  # bytes; 535 rows are 100 kB
# "ok", "done" and "completed" say that a run ended, not that it was kept: they are inferred
WORDS = {
    Status.KEEP: "keep|kept|accept|accepted|improved?|improvement|success|successful|merged?"
    "|new best|best|win|baseline",
    Status.DISCARD: "discard|discarded|reject|rejected|revert|reverted|regressed|regression|worse"
    "|no[ _-]?improvement|not[ _-]improved|dropped|rolled back|rollback|undone",
    Status.CRASH: "crash|crashed|oom|out of memory|error|timeout|timed[ _-]?out|nan|diverged"
    "|killed",
}
VERDICTS = {s: re.compile(rf"\W*(?:{words})(?:\b|_)", re.I) for s, words in WORDS.items()}
COUNTERS = {"exp", "experiment", "exp_id", "trial", "iter", "iteration", "run", "run_id", "no", "#"}
COUNTER = re.compile(r"(?:exp|experiment|trial|iter|iteration|run|#)?[\s_#-]*0*(\d{1,5})", re.I)


@dataclass(frozen=True, slots=True)
class Problem:
    """One line of a table that became no experiment, and why."""

    file: str
    line: int  # 1-based
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table and where it was found."""

    file: str  # as the user knows it: the path given, or `pull-48:results.tsv`
    ref: str | None  # whose campaign it tells; None: to be seen from the commits it cites
    data: bytes

    @property
    def name(self) -> str:
        """The file's name without the place, which stays the same on every machine."""
        return re.split(r"[/\\:]", self.file)[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One row of a table, as an experiment to be."""

    sheet: Sheet
    line: int
    row: Row
    extra: Mapping[str, str]
    metric: str | None  # column of its value
    key: str  # the same in every copy of the table
    zeros: bool = False  # its table has a result of zero or below

    @property
    def hash(self) -> str | None:
        """The commit it cites, None if the cell holds something else."""
        cell = self.row.commit.lower()
        return cell if HASH.fullmatch(cell) else None

    @property
    def number(self) -> int | None:
        """The number of the experiment, from the commit cell or a column of its own."""
        cells = [] if self.hash else [self.row.commit]
        cells += [text for name, text in self.extra.items() if name.lower() in COUNTERS]
        found = next(filter(None, map(COUNTER.fullmatch, cells)), None)
        return int(found[1]) if found else None

    @property
    def is_baseline(self) -> bool:
        """Tell whether the row says that it is the baseline."""
        if self.row.commit.lower() == "baseline":
            return True
        return self.hash is None and self.row.description.lower().startswith("baseline")

    @property
    def status(self) -> Status | None:
        """The verdict its status cell states, None where the word is none of ours."""
        text = self.row.status
        found = next((s for s, words in VERDICTS.items() if words.match(text)), None)
        if found is None and re.match(r"\W*fail", text, re.I):
            return Status.CRASH if self.row.value is None else Status.DISCARD
        return found

    def value(self, direction: str) -> float | None:
        """Return the value, None for a crash.

        Failed runs are logged as 0.000000 under any status, and where lower is better that would
        be the best of all for ever. So there a zero is a result only if the metric can be zero
        and its table has kept one, or has values below it.
        """
        value = self.row.value
        if self.status is Status.CRASH:
            return None
        if value == 0 and direction == "min" and not (self.zeros and can_be_zero(self.metric)):
            return None
        return value

    def summary(self) -> dict[str, float]:
        """Return memory and all other numeric columns."""
        crashed = self.status is Status.CRASH
        numbers = {clean(name): number_in(text) for name, text in self.extra.items()}
        found = {k: v for k, v in numbers.items() if v is not None and k.lower() not in COUNTERS}
        if crashed:  # zeros stand for "never measured", and the metric of a crash is no result
            found = {k: v for k, v in found.items() if v and k != self.metric}
        if self.row.memory_gb:
            found["peak_vram_mb"] = round(self.row.memory_gb * 1024, 3)
        return found


def can_be_zero(metric: str | None) -> bool:
    """Tell whether a result of zero is possible: bits a byte, perplexity and time are never zero.

    >>> can_be_zero("val_bpb"), can_be_zero("error_rate"), can_be_zero(None)
    (False, True, True)
    """
    return not POSITIVE.search(metric or "")


def given_sheets(paths: Iterable[Path]) -> list[Sheet]:
    """Read the tables a user names.

    Raises:
        FlowError: One of them cannot be read.
    """
    found = []
    for path in paths:
        try:
            found.append(Sheet(str(path), None, path.read_bytes()))
        except OSError as error:
            raise FlowError(f"results {path}: {error.strerror}; give an existing file") from error
    return found


def loose_sheets(foreign: Foreign, target: str, ref: str | None) -> list[Sheet]:
    """Read untracked tables: upstream tells agents to leave results.tsv out of git."""
    found: list[Sheet] = []
    if foreign.worktree is None:
        return found
    for directory in dict.fromkeys(["", parent_of(target)]):
        for path in sorted((foreign.worktree / directory).glob("*.tsv")):
            usual = path.is_file() and not path.is_symlink() and NAMED.fullmatch(path.name)
            if usual and path.stat().st_size <= MAX_TABLE:
                name = str(path.relative_to(foreign.worktree))
                found.append(Sheet(name, ref, path.read_bytes()))
    return found


def tracked_sheets(objects: Objects, branches: Sequence[Branch], target: str) -> list[Sheet]:
    """Read the tables at the tips of branches, beside the target and at the top."""
    places = dict.fromkeys(["", parent_of(target)])
    asked = [(branch, place) for branch in branches for place in places]
    trees = objects.find([f"{branch.tip}:{place}" for branch, place in asked])
    found: list[Sheet] = []
    seen: set[str] = set()
    for (branch, place), tree in zip(asked, trees, strict=True):
        data = objects.read(tree.sha) if tree and tree.kind == "tree" else None
        for name, blob in tree_files(data or b"", len(branch.tip) // 2):
            table = objects.read(blob, MAX_TABLE) if blob not in seen else None
            seen.add(blob)
            if table is not None:
                file = f"{branch.name}:{place}/{name}".replace(":/", ":")
                found.append(Sheet(file, branch.ref, table))
    return found


def parent_of(target: str) -> str:
    """Return the directory of the target, "" for the top."""
    return str(PurePosixPath(target).parent).removeprefix(".")


def tree_files(data: bytes, size: int) -> list[tuple[str, str]]:
    """Return names and hashes of the results tables in a tree object.

    Args:
        data: `<mode> <name> NUL <hash>`, over and over.
        size: Bytes of a hash, 20 or 32.
    """
    found, at = [], 0
    while at < len(data):
        end = data.index(b"\0", at)
        mode, _, name = data[at:end].partition(b" ")
        text = name.decode("utf-8", "replace")
        if mode.startswith(b"100") and NAMED.fullmatch(text):
            found.append((text, data[end + 1 : end + 1 + size].hex()))
        at = end + 1 + size
    return sorted(found)


def distinct(sheets: Iterable[Sheet]) -> list[Sheet]:
    """Return the tables without copies, byte by byte, each with the first ref it is found at."""
    first: dict[bytes, Sheet] = {}
    for sheet in sheets:
        known = first.setdefault(hashlib.sha256(sheet.data).digest(), sheet)
        if known.ref is None:
            first[hashlib.sha256(sheet.data).digest()] = replace(known, ref=sheet.ref)
    return list(first.values())


def items_of(sheet: Sheet, metric: str | None) -> tuple[list[Item], list[Problem]]:
    """Read a table; lines that are no row, and rows that stand there twice, are problems.

    Where the named metric has no column the rows have no value, and the column that would be
    taken for the metric goes into the summary.
    """
    table = read_table(sheet.data, metric)
    rejected = table.rejected
    if metric is not None and metric not in table.columns:
        table = read_table(sheet.data)
    problems = [Problem(sheet.file, r.line_number, r.reason, r.text) for r in rejected]
    family = fingerprint_of(table)
    items, counts, lines = list[Item](), Counter[str](), dict[tuple[object, ...], int]()
    for row, extra, line in zip(table.rows, table.extra, table.line_numbers, strict=True):
        cells, named = (row, *sorted(extra.items())), HASH.fullmatch(row.commit.lower())
        if named and cells in lines:
            reason = f"repeats line {lines[cells]} word for word"
            problems.append(Problem(sheet.file, line, reason, row_text(row)))
            continue
        lines[cells] = line
        told = "\t".join([row.commit.lower(), row.description, "" if named else family])
        counts[told] += 1
        key = hashlib.sha256(f"{told}\t{counts[told]}".encode("utf-8", "replace")).hexdigest()
        items.append(Item(sheet, line, row, extra, table.metric, f"row:{key[:24]}"))
    if any(reaches_zero(item) for item in items):
        items = [replace(item, zeros=True) for item in items]
    return items, problems


def reaches_zero(item: Item) -> bool:
    """Tell whether a row shows that its metric goes down to zero or below."""
    value = item.row.value
    return value is not None and (value < 0 or (value == 0 and item.status is Status.KEEP))


def fingerprint_of(table: Table) -> str:
    """Return what a table shares with its longer copies only: its first row."""
    return row_text(table.rows[0]) if table.rows else ""


def row_text(row: Row) -> str:
    """Return a row as text for a message."""
    value = "" if row.value is None else f"{row.value:g}"
    return clean(" ".join([row.commit, value, row.status, row.description]))
