"""What the reader of texts makes of a wording, in short, for its tests."""

from __future__ import annotations

from kg.lexicon import load
from kg.text import Claim, resolve

LEXICON = load()


def claims(text: str, *candidates: str) -> tuple[Claim, ...]:
    return resolve(text, LEXICON, candidates=candidates or None, engine="light").claims


def said(text: str, *candidates: str) -> list[tuple[str, str]]:
    return [(claim.knob, claim.change_type.value) for claim in claims(text, *candidates)]


def values(text: str) -> list[tuple[str, str | None, str | None]]:
    return [(claim.knob, claim.old, claim.new) for claim in claims(text)]
