"""Add a word of the user's own to aliases.toml."""

from __future__ import annotations

import json
from pathlib import Path

from kg.lexicon import load_shipped, merge, read_aliases
from kg.text_tokens import key_of


def add_alias(path: Path, alias: str, knob: str, note: str = "") -> None:
    """Append one alias to the user's aliases.toml, creating it if need be.

    The whole file is checked against the shipped lexicon first, so a conflict or an unknown
    knob raises LexiconError and the file stays as it was. An alias already there is left.
    """
    known = read_aliases(path) if path.is_file() else []
    if any(key_of(old["alias"]) == key_of(alias) and old["knob"] == knob for old in known):
        return
    entry = {"alias": alias, "knob": knob} | ({"note": note} if note else {})
    merge(load_shipped(), [*known, entry], str(path))
    lines = "".join(f"{key} = {toml_string(value)}\n" for key, value in entry.items())
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    gap = "\n" if before and not before.endswith("\n\n") else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}{gap}[[alias]]\n{lines}", encoding="utf-8")


def toml_string(text: str) -> str:
    """Write one TOML basic string: JSON's, with \\x7f escaped and no lone surrogates."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")
