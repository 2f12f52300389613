"""Tables for people: results of a campaign and answers of the graph, on a rich console."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cells import number_text, words
from flows.results import Row, clean

__all__ = ["answer_table", "clean", "results_table"]

STATUS_STYLES = {"keep": "green", "discard": "dim", "crash": "bold red"}
BEST = "bold green"
GAP, TIGHT = 3, 2  # characters between two columns, and where some have to be folded


class Folding(textwrap.TextWrapper):
    """Folds after spaces and inside long names (`optimizer.matrix_lr`), never inside a number."""

    wordsep_re = re.compile(r"(\s+|(?<=[._/=])(?=[^\W\d]))")

    def pieces(self, text: str) -> list[str]:
        """Return what is never folded of a text; none if it is empty."""
        return [piece.strip() for piece in self._split(text)] or [""]


def results_table(
    console: Console, rows: Sequence[Row], *, metric: str = "val_bpb", direction: str = "min"
) -> None:
    """Print the experiments of a campaign, the best kept one marked with a star.

    Descriptions are folded, so the table fits the console from 60 columns on; text from
    messages is shown without escape sequences and never read as markup.

    Args:
        console: Where to print; colours only where it is a terminal.
        rows: The experiments in order.
        metric: Head of the value's column.
        direction: "min" or "max": which kept value is the best.
    """
    kept = [row.value for row in rows if row.status == "keep" and row.value is not None]
    choose = max if direction.startswith("max") else min
    best = choose(kept) if kept else None
    table = plain_table()
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("commit", no_wrap=True)
    table.add_column(clean(metric), no_wrap=True)
    table.add_column("GB", justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("description", overflow="fold", ratio=1)
    values = aligned([row.value for row in rows])
    for number, row in enumerate(rows):
        marked = row.status == "keep" and row.value is not None and row.value == best
        best = None if marked else best  # the first of equal ones
        style = BEST if marked else STATUS_STYLES.get(row.status, "")
        table.add_row(
            Text(str(number)),
            Text(clean(row.commit)[:7]),
            Text(values[number] + "*" * marked, BEST if marked else ""),
            Text("" if row.memory_gb is None else f"{row.memory_gb:.1f}"),
            Text(clean(row.status), style),
            Text(clean(row.description), "dim" if row.status == "discard" else ""),
        )
    show(console, table)


def answer_table(
    console: Console, columns: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> None:
    """Print the rows of an answer under their columns, numbers aligned on the decimal point.

    Columns without any value are left out; where the others do not fit side by side, those that
    say the same of every row are said once, above. What still does not fit becomes a block of
    ``column  value`` lines a row, so nothing is cut off. A full commit hash is shortened to the
    7 characters of results.tsv.

    Args:
        console: Where to print; colours only where it is a terminal.
        columns: Names in order.
        rows: Values by column; a missing one is left empty.
    """
    found = {column: column_cells([row.get(column) for row in rows]) for column in columns}
    cells = {clean(column): texts for column, texts in found.items() if any(map(str.strip, texts))}
    if "commit" in cells:
        cells["commit"] = [cell[:7] for cell in cells["commit"]]
    if len(rows) > 1 and natural(cells) > console.width:
        once = {column: texts[0] for column, texts in cells.items() if len({*texts}) == 1}
        cells = {column: texts for column, texts in cells.items() if column not in once}
        told = ", ".join(f"{column} {text.strip()}" for column, text in once.items())
        if told:
            console.print(Text(f"every row: {told}"), soft_wrap=True)
    widths = shares(cells, console.width)
    if widths is None:
        blocks(console, cells, len(rows))
        return
    table = plain_table(tight=natural(cells) > console.width)
    for column, width in widths.items():
        table.add_column("\n".join(Folding(width).wrap(column)), width=width, overflow="fold")
    for line in zip(*cells.values(), strict=True):
        folded = zip(line, widths.values(), strict=True)
        table.add_row(*(cell_text(cell, width) for cell, width in folded))
    show(console, table)


def natural(cells: Mapping[str, Sequence[str]]) -> int:
    """Return the width of a table that folds nothing."""
    widths = [max(map(len, (column, *texts))) for column, texts in cells.items()]
    return sum(widths) + GAP * (len(widths) - 1)


def shares(cells: Mapping[str, Sequence[str]], width: int) -> dict[str, int] | None:
    """Return the width of each column, the widest folded first; None where they do not fit."""
    found = {column: max(map(len, (column, *texts))) for column, texts in cells.items()}
    least = {
        column: max(len(piece) for text in (column, *texts) for piece in Folding(1).pieces(text))
        for column, texts in cells.items()
    }
    room = width - (TIGHT if natural(cells) > width else GAP) * (len(cells) - 1)
    if sum(least.values()) > room:
        return None
    while sum(found.values()) > room:
        found[max(found, key=lambda c: (found[c] > least[c], found[c]))] -= 1
    return found


def cell_text(cell: str, width: int) -> Text:
    """Return a cell folded to a width, a status in its colour."""
    folded = cell if len(cell) <= width else "\n".join(Folding(width).wrap(cell))
    return Text(folded, STATUS_STYLES.get(cell, ""))


def blocks(console: Console, cells: Mapping[str, Sequence[str]], count: int) -> None:
    """Print rows one below the other, a line or more a column, an empty line between."""
    for number in range(count):
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        for column, texts in cells.items():
            if cell := texts[number].strip():
                table.add_row(Text(column), Text(cell, STATUS_STYLES.get(cell, "")))
        show(console, table)
        if number + 1 < count:
            console.print()


def plain_table(*, tight: bool = False) -> Table:
    """Return an empty table with a rule below its head and no other lines."""
    right = (TIGHT if tight else GAP) - 1  # the rule's own column is the rest of the gap
    return Table(
        box=box.SIMPLE_HEAD,
        padding=(0, right, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )


def show(console: Console, table: Table) -> None:
    """Print a table that folds at the console's width, whatever the console does by default."""
    console.print(table, soft_wrap=False, markup=False, highlight=False)


def column_cells(values: Sequence[object]) -> list[str]:
    """Return the cells of one column as text, numbers aligned if it holds nothing else."""
    given = [value for value in values if value is not None]
    if given and all(isinstance(v, int | float) and not isinstance(v, bool) for v in given):
        return aligned(values)
    return ["" if value is None else clean(words(value)) for value in values]


def aligned(values: Sequence[object]) -> list[str]:
    """Return numbers as text of one width, their decimal points in one column.

    >>> aligned([0.5, 12, None, -0.125])
    [' 0.500', '12    ', '      ', '-0.125']
    """
    texts = ["" if value is None else number_text(value) for value in values]
    places = max((len(text.partition(".")[2]) for text in texts), default=0)
    padded = []
    for text, value in zip(texts, values, strict=True):
        whole, dot, part = text.partition(".")
        fill = "0" if dot and "e" not in part else " "
        gap = places - len(part) + (1 if places and not dot else 0)
        padded.append(whole + dot + part + fill * gap if value is not None else "")
    width = max(map(len, padded), default=0)
    return [text.rjust(width) for text in padded]
