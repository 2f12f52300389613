"""The nearest knobs by meaning, for a text no rule answers: "a fatter network" is a wider one.

A table of word vectors, distilled once from a sentence model (`nightlab kg semantic build`),
lets a word count for its neighbours, where kg.text_gloss only counts equal words. Optional:
without a table nothing changes. Only numpy is needed here, and neither it nor the table is
loaded before a text comes this far, so no path with a start-up bar pays for it.

On open text such retrieval is right in half of the cases (facts/entity-resolution.md), so it
decides only among the knobs a diff touched, and only where all limits below are kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg.errors import LexiconError
from kg.lexicon import Lexicon
from kg.text_gloss import glosses, weights
from kg.text_tokens import Token

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

TABLE = "NIGHTLAB_SEMANTIC"  # environment variable: the table to use; none or empty: no table
OPEN = "NIGHTLAB_SEMANTIC_OPEN"  # environment variable: 1 answers without a diff as well
NEAR = 0.2
"""Cosine below which two words have nothing in common."""
COMMON = 0.75
"""The share of knobs whose likeness to a word is no evidence: "number" is like most of them.
Without this the same precision costs a third of the answers."""
ACCEPT = 0.20
"""Least score at which a touched knob is taken."""
MARGIN = 0.15
"""Least lead over the next touched knob. Both limits were chosen on the `dev` paraphrases of
bench/paraphrases.tsv so that none of the answers beside a related diff was wrong; a margin of
0.10 gives a sixth more answers, 3 % of them wrong."""
UNNAMED = "other.unspecified"

Ranking = tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False)
class Table:
    """Word vectors and a hash of them: two tables of one version answer alike."""

    rows: Mapping[str, int]  # word -> row
    vectors: Vectors  # (words, dimensions), each row of length 1
    version: str


@dataclass(frozen=True, eq=False)
class Gist:
    """The vectors of every knob's words, one knob after another."""

    knobs: tuple[str, ...]
    vectors: Vectors  # (words of all knobs, dimensions)
    starts: Sequence[int]  # where each knob's words begin


@dataclass(frozen=True, slots=True)
class Semantic:
    """A table to ask, and whether it may answer a text whose diff is not known."""

    path: Path
    open: bool = False

    @property
    def table(self) -> Table:
        """The table, read on first use and again when the file changes.

        Raises:
            LexiconError: It is gone, or no table.
        """
        return table_at(self.path, self.path.stat().st_mtime_ns if self.path.is_file() else 0)

    def answer(
        self, tokens: Sequence[Token], lexicon: Lexicon, candidates: Sequence[str] | None
    ) -> tuple[Ranking, str | None]:
        """Return the three nearest of the touched knobs, and the one that is meant, if clear.

        Without a diff (None) the ranking is over all knobs, and only `open` lets one be meant.
        A diff that also touched a knob without a name leaves the text unanswered: it may be
        about that one.
        """
        scores = scores_of(main_words(tokens), lexicon, self.table)
        offered = [name for name in candidates if name in scores] if candidates else scores
        ranked = sorted(((name, scores[name]) for name in offered), key=lambda x: (-x[1], x[0]))
        shown = tuple((name, round(score, 3)) for name, score in ranked[:3] if score > 0)
        free = self.open
        if candidates is not None:
            free = bool(candidates) and all(nameable(name, lexicon) for name in candidates)
        return shown, clear(ranked, lexicon) if free and ranked else None


def configured() -> Semantic | None:
    """Return the table NIGHTLAB_SEMANTIC names, None where there is none: the default."""
    path = os.environ.get(TABLE, "")
    if not path or not Path(path).is_file():
        return None
    return Semantic(Path(path), os.environ.get(OPEN) == "1")


def nameable(knob: str, lexicon: Lexicon) -> bool:
    """Tell whether a knob has words to be found by; beside one that has none, nobody can tell."""
    return knob != UNNAMED and lexicon.knob(knob) is not None


def clear(ranked: Sequence[tuple[str, float]], lexicon: Lexicon) -> str | None:
    """Return the first of ranked knobs if it is good enough, well ahead, and no event."""
    name, score = ranked[0]
    known = lexicon.knob(name)
    ahead = score - (ranked[1][1] if len(ranked) > 1 else 0.0)
    if known is None or known.value_kind == "event" or score < ACCEPT or ahead < MARGIN:
        return None
    return name


def main_words(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """Leave out what stands in parentheses, mostly an outcome, where anything else is said."""
    depth, kept = 0, []
    for token in tokens:
        if token.lemma in {"(", ")"}:
            depth = max(depth + (1 if token.lemma == "(" else -1), 0)
        elif not depth:
            kept.append(token)
    return tuple(kept) if any(token.kind == "word" for token in kept) else tuple(tokens)


def scores_of(tokens: Sequence[Token], lexicon: Lexicon, table: Table) -> dict[str, float]:
    """Return how much of a text's weight each knob's words cover, 0 to 1.

    A word is covered by the knob's nearest word: wholly by itself, not at all where the cosine
    is below NEAR, in proportion between; what most knobs cover of it as well is taken off.
    Rare words weigh more (kg.text_gloss.weights).
    """
    import numpy as np

    wanted, gist = weights(tokens, lexicon), gist_of(lexicon, table)
    if not wanted or not gist.knobs:
        return {}
    own = glosses(lexicon).knobs
    covered = np.zeros((len(gist.knobs), len(wanted)))
    for column, word in enumerate(wanted):
        row = table.rows.get(word)
        if row is None:
            covered[:, column] = [word in own[name] for name in gist.knobs]
        else:
            found = np.maximum.reduceat(gist.vectors @ table.vectors[row], gist.starts)
            covered[:, column] = np.clip((found - NEAR) / (1 - NEAR), 0.0, 1.0)
    told = np.clip(covered - np.quantile(covered, COMMON, axis=0), 0.0, None)
    weight = np.array(list(wanted.values()))
    return dict(zip(gist.knobs, (told @ weight / weight.sum()).tolist(), strict=True))


@lru_cache(maxsize=4)
def gist_of(lexicon: Lexicon, table: Table) -> Gist:
    """Collect the vectors of every knob's words, once per lexicon and table."""
    import numpy as np

    knobs: list[str] = []
    rows: list[int] = []
    starts: list[int] = []
    for name, counted in glosses(lexicon).knobs.items():
        found = [table.rows[word] for word in sorted(counted) if word in table.rows]
        if found:
            knobs.append(name)
            starts.append(len(rows))
            rows += found
    return Gist(tuple(knobs), table.vectors[np.array(rows, dtype=np.intp)], starts)


@lru_cache(maxsize=2)
def table_at(path: Path, stamp: int) -> Table:
    """Read the table as of one version of its file.

    Raises:
        LexiconError: It is gone, or no table.
    """
    del stamp
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as stored:
            words, vectors = stored["words"].tolist(), stored["vectors"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise LexiconError(
            f"{path}: not a table of word vectors ({error}); run `nightlab kg semantic build`"
        ) from error
    if vectors.ndim != 2 or len(words) != len(vectors):
        raise LexiconError(f"{path}: words and vectors differ; run `nightlab kg semantic build`")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, np.float32(1e-6))
    return Table({word: row for row, word in enumerate(words)}, unit, version_of(words, vectors))


def version_of(words: Sequence[str], vectors: Any) -> str:
    """Return a short hash of a table's words and numbers."""
    import numpy as np

    digest = hashlib.sha256("\n".join(words).encode())
    digest.update(np.ascontiguousarray(vectors, dtype="<f2").tobytes())
    return digest.hexdigest()[:16]


def write_table(path: Path, words: Sequence[str], vectors: Any) -> str:
    """Write a table (float16 on disk) and return its version.

    Args:
        path: Where; its directory is made.
        words: Lower-case words, one a row.
        vectors: Shape (words, dimensions).
    """
    import numpy as np

    stored = np.asarray(vectors, dtype="<f2")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        np.savez_compressed(stream, words=np.array(words), vectors=stored)
    temporary.replace(path)
    return version_of(words, stored)


def vocabulary(lexicon: Lexicon) -> list[str]:
    """Return the words a table must hold: those of every concept, as written and as lemmas."""
    from kg.text_lemmas import IRREGULAR
    from kg.text_tokens import tokenize

    texts = [
        text
        for concept in lexicon.concepts.values()
        for text in (*concept.labels, *concept.hidden, concept.definition, concept.name)
    ]
    found = {*IRREGULAR, *IRREGULAR.values()}
    for text in texts:
        for token in tokenize(text.replace("_", " ").replace(".", " ")):
            if token.kind == "word":
                found |= {token.text.lower(), token.lemma}
    return sorted(word for word in found if len(word) > 1 and word.isalnum() and word.isascii())
