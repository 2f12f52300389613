"""results.tsv in upstream's format: written exactly, foreign tables read with tolerance."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.errors import FlowError

# what terminals act on: CSI (colours, cursor), OSC (titles, links) and two-byte escapes
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\x9d]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -~]?"
)
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, bidi marks, lone surrogates, line separators

COMMIT = ("commit", "commit_hash", "hash", "sha", "head_commit", "experiment", "exp", "id")
STATUS = ("status", "verdict", "decision", "outcome")
DESCRIPTION = ("description", "desc", "message", "summary", "notes", "note", "change")
MEMORY_GB = ("memory_gb", "peak_memory_gb", "vram_gb", "peak_vram_gb", "mem_gb", "memory")
MEMORY_MB = ("memory_mb", "peak_vram_mb", "vram_mb", "peak_memory_mb")
# never the metric although numeric: the value before, the edit itself, clocks and counters
NO_METRIC = re.compile(
    r".*_before|(?:old|new|baseline)_.*|baseline|delta|date|time|timestamp|run|run_id|seed|step|steps"
    r"|.*seconds|params|num_params.*|num_steps|n_params|#|index|seq"
)
MISSING = {"", "-", "--", "–", "—", "?", "n/a", "na", "nan", "none", "null", "inf", "-inf", "oom"}
NUMBER = re.compile(
    r"[~≈]?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?:%|gb|gib|mb|mib)?", re.I
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of results.tsv: one experiment."""

    commit: str  # 7 hex digits when written; as found when read (`baseline`, `exp003`, "")
    value: float | None  # None for a crash and where the table has none, never 0.0 in its place
    memory_gb: float | None  # peak, GiB
    status: str  # keep, discard or crash; in foreign tables whatever word stood there
    description: str  # one line


@dataclass(frozen=True, slots=True)
class Rejected:
    """One line of a foreign table that is no row, and why."""

    line_number: int  # 1-based
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table as read: rows, their other columns, and every line that is not a row."""

    rows: tuple[Row, ...]
    rejected: tuple[Rejected, ...]
    metric: str | None  # name of the column the values come from
    columns: tuple[str, ...]  # of the header, as spelt there
    extra: tuple[Mapping[str, str], ...]  # per row: cells no field of Row holds, by column
    line_numbers: tuple[int, ...]  # per row: 1-based line it stands on


def clean(text: str) -> str:
    """Return the text as one line without escape sequences or invisible characters.

    Messages and logs are untrusted: an escape sequence in a description must not reach
    the user's terminal, a tab or newline must not break the table.

    >>> clean("depth 4\\tto \\x1b[31m5\\n")
    'depth 4 to 5'
    """
    text = ESCAPES.sub("", text)
    seen = (" " if unicodedata.category(char) in UNSEEN else char for char in text)
    return " ".join("".join(seen).split())


def write_rows(path: Path, rows: Iterable[Row], metric: str = "val_bpb") -> None:
    """Write the whole table, replacing what is there in one step."""
    lines = [header_line(metric), *(row_line(row) for row in rows)]
    replace_text(path, "".join(lines))


def append_row(path: Path, row: Row, metric: str = "val_bpb") -> None:
    """Add one row, with the header when the file is new; a reader sees it whole or not at all.

    Raises:
        FlowError: The file is there with other columns, so the row would not fit.
    """
    before = path.read_text("utf-8", errors="surrogateescape") if path.exists() else ""
    before = before if before.strip() else header_line(metric)
    first = before.splitlines()[0]
    if first != header_line(metric).rstrip("\n"):
        raise FlowError(
            f"{path.name}: its header is {clean(first)!r}, not upstream's columns with {metric!r}; "
            "move the file away, it is rebuilt from the experiments"
        )
    replace_text(path, before if before.endswith("\n") else before + "\n", row_line(row))


def header_line(metric: str) -> str:
    """Return upstream's header with the task's metric in second place."""
    return f"commit\t{clean(metric)}\tmemory_gb\tstatus\tdescription\n"


def row_line(row: Row) -> str:
    """Return one line: seven digits of the commit, six decimals, zeros for a crash."""
    crash = row.status == "crash"
    value = 0.0 if crash or row.value is None or not math.isfinite(row.value) else row.value
    memory = 0.0 if crash or row.memory_gb is None else row.memory_gb
    commit = re.sub(r"^([0-9a-f]{7})[0-9a-f]+$", r"\1", clean(row.commit))  # words stay whole
    return f"{commit}\t{value:.6f}\t{memory:.1f}\t{clean(row.status)}\t{clean(row.description)}\n"


def replace_text(path: Path, *parts: str) -> None:
    """Write beside the file, then rename over it."""
    beside = path.with_name(path.name + ".tmp")
    beside.write_text("".join(parts), "utf-8", errors="surrogateescape", newline="\n")
    beside.replace(path)


def read_table(source: Path | str | bytes, metric: str | None = None) -> Table:
    """Read any results table; lines that are no row are returned with number and reason.

    Knows upstream's five columns and what public histories made of them: a byte order
    mark, CRLF, other metrics and extra columns, unknown statuses, rows over several lines.
    Without ``metric`` the values come from the first numeric column that is no commit,
    memory, status, description, clock or counter. No content makes it raise.

    Args:
        source: A file, or the text (or bytes) of one.
        metric: Column of the values, if it is known.
    Raises:
        OSError: The file cannot be read.
    """
    text = decode(source.read_bytes() if isinstance(source, Path) else source)
    lines = [(n, line) for n, line in enumerate(re.split(r"\r\n|\n|\r", text), 1)]
    start = next((i for i, (_, line) in enumerate(lines) if line.strip()), None)
    if start is None:
        return Table((), (), metric, (), (), ())
    number, first = lines[start]
    separator = "\t" if "\t" in first or "," not in first else ","
    columns = tuple(clean(cell) for cell in first.split(separator))
    roles = Roles.of(columns)
    if roles.status is None and roles.commit is None:
        reason = "no header: neither a commit nor a status column is named"
        none = tuple(Rejected(n, t, reason) for n, t in lines[start:] if t.strip())
        return Table((), none, metric, columns, (), ())
    table = read_body(lines[start + 1 :], columns, roles, separator, metric)
    if metric is None or metric in columns:
        return table
    reason = f"no column {metric!r}: the rows have no value"
    return replace(table, rejected=(Rejected(number, first, reason), *table.rejected))


def decode(source: str | bytes) -> str:
    """Return text from bytes of any encoding a results table came in, without its BOM."""
    if isinstance(source, bytes):
        wide = source[:2] in (b"\xff\xfe", b"\xfe\xff")  # a PowerShell redirect writes UTF-16
        source = source.decode("utf-16" if wide else "utf-8", errors="replace")
    return source.removeprefix("\ufeff")


@dataclass(frozen=True, slots=True)
class Roles:
    """Which column of a foreign table holds what, as indices into its header."""

    commit: int | None
    status: int | None
    description: int | None
    memory: int | None
    memory_in_mb: bool

    @classmethod
    def of(cls, columns: Sequence[str]) -> Roles:
        """Recognise the columns by name; the first name of each list that occurs wins."""
        names = [name.lower().replace(" ", "_") for name in columns]

        def find(known: Sequence[str]) -> int | None:
            return next((names.index(name) for name in known if name in names), None)

        gib, mib = find(MEMORY_GB), find(MEMORY_MB)
        memory = mib if gib is None else gib
        return cls(find(COMMIT), find(STATUS), find(DESCRIPTION), memory, gib is None)

    def taken(self) -> set[int]:
        """Return the columns that cannot be the metric."""
        found = (self.commit, self.status, self.description, self.memory)
        return {index for index in found if index is not None}


def read_body(
    lines: Sequence[tuple[int, str]],
    columns: tuple[str, ...],
    roles: Roles,
    separator: str,
    metric: str | None,
) -> Table:
    """Read the numbered lines below the header."""
    rejected: list[Rejected] = []
    cells: list[tuple[int, list[str]]] = []
    for number, line in lines:
        if not line.strip():
            continue
        row = split_line(line, columns, roles, separator)
        if isinstance(row, str):
            after = f"; continues the row of line {cells[-1][0]}" if cells else ""
            rejected.append(Rejected(number, line, row + (after * (separator not in line))))
        else:
            cells.append((number, row))
    chosen = metric_index(metric, columns, roles, [row for _, row in cells])
    rows: list[tuple[int, Row, dict[str, str]]] = []
    for number, row in cells:
        made = make_row(row, columns, roles, chosen)
        if isinstance(made, str):
            rejected.append(Rejected(number, separator.join(row), made))
        else:
            rows.append((number, *made))
    return Table(
        tuple(row for _, row, _ in rows),
        tuple(sorted(rejected, key=lambda line: line.line_number)),
        metric if chosen is None else columns[chosen],
        columns,
        tuple(extra for _, _, extra in rows),
        tuple(number for number, _, _ in rows),
    )


def split_line(line: str, columns: Sequence[str], roles: Roles, separator: str) -> list[str] | str:
    """Return the cells of one line, one a column, or why the line is no row."""
    cells = line.split(separator)
    last_is_text = roles.description == len(columns) - 1
    if len(cells) == len(columns) - 1 and last_is_text and len(cells) > 1:
        cells.append("")  # editors strip the tab before an empty description
    status = "" if roles.status is None or roles.status >= len(cells) else cells[roles.status]
    if len(cells) > len(columns) and last_is_text and any(map(str.isalpha, status)):
        cells[len(columns) - 1 :] = [" ".join(cells[len(columns) - 1 :])]  # a tab in the text
    if len(cells) != len(columns):
        fields = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
        return f"{fields} where the header names {len(columns)}"
    return [clean(cell) for cell in cells]


def metric_index(
    metric: str | None, columns: Sequence[str], roles: Roles, rows: Sequence[Sequence[str]]
) -> int | None:
    """Return the column of the values: the named one, else the first that holds numbers."""
    if metric is not None:
        return columns.index(metric) if metric in columns else None
    for index, name in enumerate(columns):
        if index in roles.taken() or NO_METRIC.fullmatch(name.lower()):
            continue
        given = [row[index] for row in rows if row[index].lower() not in MISSING]
        if not rows or 2 * sum(number_in(cell) is not None for cell in given) > len(given):
            return index
    return None


def number_in(cell: str) -> float | None:
    """Return the number a cell holds, a percent sign or unit aside; None if it is none.

    >>> number_in("68.6%"), number_in("44.0 GB"), number_in("-33.2"), number_in("151K")
    (68.6, 44.0, -33.2, None)
    """
    found = NUMBER.fullmatch(cell.strip())
    value = float(found[1]) if found else math.nan
    return value if math.isfinite(value) else None


def make_row(
    cells: Sequence[str], columns: Sequence[str], roles: Roles, chosen: int | None
) -> tuple[Row, dict[str, str]] | str:
    """Return the row and its other cells, or why its cells make no row."""

    def cell(index: int | None) -> str:
        return "" if index is None else cells[index]

    status = cell(roles.status)
    status = status.lower() if status.lower() in ("keep", "discard", "crash") else status
    text, memory_text = cell(chosen), cell(roles.memory)
    value, memory = number_in(text), number_in(memory_text)
    if value is None and text.lower() not in MISSING and status != "crash":
        return f"{columns[chosen or 0]} {text!r} is not a number"
    kept = {*roles.taken()} | ({chosen} if chosen is not None else set())
    extra = {name: cells[i] for i, name in enumerate(columns) if i not in kept}
    if status == "crash":
        if value:  # a count or a half-finished run's number: kept, but never a result
            extra[columns[chosen or 0]] = text
        value, memory = None, memory or None
    if memory is None and roles.memory is not None and memory_text.lower() not in MISSING:
        extra[columns[roles.memory]] = memory_text
    elif memory is not None and roles.memory_in_mb:
        memory /= 1024
    return Row(cell(roles.commit), value, memory, status, cell(roles.description)), extra
