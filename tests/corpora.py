"""A made-up corpus and a profile small enough to prepare in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

import prepare
from prepare import Profile

TINY = Profile("tiny", 300, 16, 5.0, None, 320, 4, "sympy", None, 100_000)
BOS = 299


def sentences(count: int) -> list[str]:
    """Documents of a made-up language: varied enough for 300 tokens, the same every time."""
    random = np.random.RandomState(7)
    words = ["".join(random.choice(list("abcdeilnorstu"), 5)) for _ in range(200)]
    return [" ".join(random.choice(words, 60)) + f" №{number}." for number in range(count)]


def parquet(path: Path, texts: list[str], column: str = "text") -> Path:
    """Write documents as parquet in groups of 40; return where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table({column: texts}), path, row_group_size=40)
    return path


def prepared(root: Path) -> Path:
    """Prepare 200 documents below a directory, which is returned."""
    prepare.build(TINY, root, parquet(root / "made-up.parquet", sentences(200)))
    return root


def decode(rows: np.ndarray, root: Path) -> str:
    """Return the text of token rows, without what begins a document."""
    encoding = prepare.encoding(prepare.load_tokens(root / "tiny" / "tokenizer.json"))
    return encoding.decode([int(token) for token in rows.ravel() if token != BOS])
