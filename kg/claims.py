"""What a message claims, beside what its diff changed: kept apart, with a flag of agreement."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from kg.facts import Saying, Stated
from kg.groups import group_of
from kg.lexicon import ALIASES, Lexicon, load
from kg.model import Change, OptimizerScope
from kg.text import agree, resolve
from kg.text_agree import opposed
from kg.text_model import Claim
from kg.text_semantic import Semantic, configured


def lexicon() -> Lexicon:
    """Return the lexicon with the user's aliases, read again only when those change."""
    path = Path(os.environ.get(ALIASES, ""))
    return lexicon_at(path.stat().st_mtime_ns if path.is_file() else 0, path)


@lru_cache(maxsize=1)
def lexicon_at(stamp: int, path: Path) -> Lexicon:
    """Return the lexicon as of one version of the user's aliases."""
    del stamp
    return load(path)


def read_message(message: str, changes: Sequence[Change] | None) -> Saying:
    """Read a message; the knobs its diff touched decide between readings.

    spaCy is not imported: kg.text gives equal results by its own tables, and spaCy takes 2 to
    4 s to start.
    """
    touched = None if changes is None else [change.knob for change in changes]
    known, table = lexicon(), configured()
    found = resolve(message, known, candidates=touched, engine="light", semantic=table)
    return Saying(
        claims=tuple(stated(claim, changes, known.version, table) for claim in found.claims),
        agreement=None if changes is None else str(agree(found.claims, changes)),
        unresolved=tuple(words.text for words in found.unresolved),
    )


def stated(
    claim: Claim, changes: Sequence[Change] | None, version: str, semantic: Semantic | None
) -> Stated:
    """Return one claim with whether the diff shows it."""
    shown = None
    if changes is not None:
        about = [change for change in changes if change.knob == claim.knob]
        shown = any(not opposed(claim, change) for change in about)
    change = Change(
        knob=claim.knob,
        component=claim.component,
        change_type=claim.change_type,
        optimizer_scope=scope_of(claim),
        old=claim.old,
        new=claim.new,
    )
    asked = semantic.table.version if semantic and claim.method == "semantic" else ""
    return Stated(change, shown, claim.method, claim.score, version, asked)


def scope_of(claim: Claim) -> OptimizerScope:
    """Say whose hyper-parameters a claim is about, judged by the knob's name alone.

    In the reference trainer Muon rules the matrices and AdamW all other groups; without the
    source nothing better can be known.
    """
    if claim.component == "schedule":
        return OptimizerScope.BOTH
    group = group_of(claim.knob)
    if group is None:
        return OptimizerScope.NONE
    return OptimizerScope.MUON if group == "matrix" else OptimizerScope.ADAMW
