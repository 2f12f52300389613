"""Cut a message into segments and tell change from context and outcome.

What a text claims stands in its main clause. Text in parentheses is mostly an outcome ("flat",
"too few steps") or a detail, text after "with", "for", "because" a condition or a reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kg.text_match import Span
from kg.text_tokens import Token
from kg.text_words import PHRASES, words

LABEL = (
    r"(?:exp(?:eriment)?|run|iter(?:ation)?|trial|attempt|idea|hypothesis|hyp|variant|ablation"
    r"|candidate)"
)
SHORT_LABEL = r"(?:step|night|cycle|phase|round|e|h|r|v|t)"
"""Labels that are also words or names ("T5 bias"): they need a colon or the like."""
TOPIC = (
    r"(?:try|test|tune|tuning|hparams?|model|arch(?:itecture)?|optim(?:izer)?|train(?:ing)?|keep"
    r"|kept|autoresearch|research|improvement|win|result)"
)
NUMBER = r"[\s_#.-]*\d+(?:\.\d+)?[a-z]?\b\s*(?:\([^)]{0,12}\)\s*)?"
PREFIX = re.compile(
    rf"^\s*(?:\[[^\]]{{1,40}}\]\s*)*(?:#?\d{{1,4}}\s*[:.)\]]\s+)?"
    rf"(?:{LABEL}{NUMBER}[:.)|>–—-]*\s*|{SHORT_LABEL}{NUMBER}[:.)|–—-]+\s*"
    rf"|(?:{LABEL}|{TOPIC})\s*(?:\([^)]*\))?\s*[:|]\s+)?",
    re.IGNORECASE,
)
TAG = re.compile(
    r"^\s*(feat|fix|docs?|refactor|chore|perf|test|style|build|ci|add|revert|reverted|results?"
    r"|discard|discarded|undo|restore|reset|merge|wip)\s*(?:\([^)]*\))?!?\s*(?::\s*[\"'“]?|(?=[\"'“])[\"'“])\s*",
    re.IGNORECASE,
)
MERGE = re.compile(r"^\s*merge (?:pull request|branch|remote|tag|\w+/)", re.IGNORECASE)
OTHER_FILE = re.compile(
    r"^\s*(?!train\.py)[\w/-]+\.(?:py|md|sh|toml|ipynb|txt|ya?ml)\s*:", re.IGNORECASE
)
BREAKS = frozenset(
    {
        ",",
        ";",
        ":",
        "+",
        "&",
        "|",
        "-",
        ".",
        "and",
        "plus",
        "en",
        "then",
        "also",
        "but",
        "!",
        "?",
        "/",
    }
)
ATTACHING = frozenset({"to", "on", "for", "of", "op", "voor"})
"""Prepositions that carry a name on after its value in parentheses."""
EQUAL = frozenset({"+", "&", "and", "plus", "en", "also", "|", ";", "/"})
"""What joins a second change to the first; a comma or a colon more often starts a comment."""
PARTED = frozenset({"turn", "switch"})
"""Verbs whose "off" or "on" may stand behind what they turn off."""
FAR = 8
"""Tokens between a verb and its particle: "turn the weight decay of the embeddings off"."""
JOINT = words("between both combine common concatenate fuse merge mix one same share single tie")
"""Words whose object is several things at once."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens ``start`` to ``end`` between two breaks, and what joined it to the last one."""

    start: int
    end: int
    joined_by: str = ""
    depth: int = 0  # 1 inside parentheses


@dataclass(frozen=True, slots=True)
class Opening:
    """What a message starts with before it says anything: ``exp12:``, ``fix(runtime):``."""

    offset: int  # where the message proper starts
    tag: str = ""  # "fix", "revert", ...
    foreign: bool = False  # it is about another file
    quoted: bool = False  # Revert "...": the quoted text says what is undone


def opening(text: str) -> Opening:
    """Strip labels such as ``exp7:``, ``[12]``, ``Experiment:`` and read a conventional tag."""
    offset, tag, quotes = 0, "", False
    for _ in range(3):
        rest = text[offset:]
        match = TAG.match(rest)
        if match:
            tag = tag or match[1].lower()
            quotes = quotes or match[0].rstrip()[-1] in "\"'“"
        else:
            match = PREFIX.match(rest)
        quoted = re.match(r"\s*[\"'“]", rest) if not (match and match.end()) else None
        step = match.end() if match and match.end() else (quoted.end() if quoted else 0)
        if not step or offset + step >= len(text):
            break
        offset += step
    return Opening(offset, tag, bool(OTHER_FILE.match(text[offset:]) or MERGE.match(text)), quotes)


def fuse(
    tokens: Sequence[Token], spans: Sequence[Span]
) -> tuple[tuple[Token, ...], tuple[Span, ...]]:
    """Join words that act as one ("instead of", "turn off"), outside names; move the spans."""
    inside = {position for span in spans for position in range(span.start, span.end)}
    parted = particles(tokens, inside)
    fused: list[Token] = []
    moved: dict[int, int] = {}
    position = 0
    while position < len(tokens):
        if inline(tokens, position):  # "weight decay (0.001) to the embeddings"
            moved |= dict.fromkeys(range(position, position + 3), len(fused))
            fused.append(tokens[position + 1])
            position += 3
            continue
        if position in parted.values():
            position += 1
            continue
        length, word = phrase_at(tokens, position, inside)
        if position in parted:
            word = PHRASES[tokens[position].lemma, tokens[parted[position]].lemma]
        for offset in range(length):
            moved[position + offset] = len(fused)
        if word:
            part = tokens[position : position + length]
            text = " ".join(token.text for token in part)
            fused.append(Token(text, word, part[0].start, part[-1].end, "word"))
        else:
            fused.append(tokens[position])
        position += length
    return tuple(fused), tuple(
        Span(moved[span.start], moved[span.end - 1] + 1, span.entries) for span in spans
    )


def particles(tokens: Sequence[Token], inside: set[int]) -> dict[int, int]:
    """Return where the second word of a parted verb stands: "turn the softcap off"."""
    found = {}
    for position, token in enumerate(tokens):
        if token.lemma not in PARTED or position in inside:
            continue
        for later in range(position + 2, min(position + FAR, len(tokens))):
            if tokens[later].lemma in BREAKS | {"(", ")"}:
                break
            ends = later + 1 == len(tokens) or tokens[later + 1].lemma in BREAKS | {"("}
            if tokens[later].lemma == "off" or (tokens[later].lemma == "on" and ends):
                if later not in inside:
                    found[position] = later
                break
    return found


def inline(tokens: Sequence[Token], position: int) -> bool:
    """Tell whether parentheses hold only the value of the words around them, no outcome."""
    part = tokens[position : position + 4]
    return (
        len(part) == 4
        and [token.lemma for token in part[::2]] == ["(", ")"]
        and part[1].kind == "number"
        and position > 0
        and tokens[position - 1].kind == "word"
        and part[3].lemma in ATTACHING
    )


def phrase_at(tokens: Sequence[Token], position: int, inside: set[int]) -> tuple[int, str]:
    """Return the length and the word of a phrase at a position; ``(1, "")`` without one."""
    gerund = position + 1 < len(tokens) and tokens[position + 1].text.endswith("ing")
    if tokens[position].lemma == "stop" and gerund and position not in inside:
        return 1, "remove"  # "stop squashing the logits"
    for length in (3, 2):
        part = tokens[position : position + length]
        word = PHRASES.get(tuple(token.lemma for token in part))
        if word and inside.isdisjoint(range(position, position + length)):
            return length, word
    return 1, ""


def segments(tokens: Sequence[Token], spans: Sequence[Span]) -> list[Segment]:
    """Cut at breaks and parentheses, never inside a name ("attn+MLP")."""
    inside = {position for span in spans for position in range(span.start, span.end)}
    found: list[Segment] = []
    start, depth, joined = 0, 0, ""

    def close(end: int, by: str) -> None:
        nonlocal start, joined
        if end > start:
            found.append(Segment(start, end, joined, min(depth, 1)))
            joined = by
        else:
            joined = by if by in EQUAL or not joined else joined
        start = end + 1

    for position, token in enumerate(tokens):
        if token.lemma in {"(", ")"}:
            close(position, token.lemma)
            depth = depth + 1 if token.lemma == "(" else max(depth - 1, 0)
        elif position not in inside and cuts(tokens, position):
            if joins(tokens, start, position, spans):
                continue
            close(position, token.lemma)
    close(len(tokens), "")
    return found


def joins(tokens: Sequence[Token], start: int, position: int, spans: Sequence[Span]) -> bool:
    """Tell whether "and" joins what one word before holds together: "one matrix for A and B"."""
    if tokens[position].lemma not in {"and", "&", "/"}:
        return False
    ends = any(span.end == position for span in spans)
    begins = any(span.start in {position + 1, position + 2} for span in spans)
    return ends and begins and any(token.lemma in JOINT for token in tokens[start:position])


def cuts(tokens: Sequence[Token], position: int) -> bool:
    """Tell whether a token ends a segment; "depth: 8 -> 9" and "5:1" are no breaks."""
    token = tokens[position]
    if token.lemma not in BREAKS or (
        token.kind == "word" and token.lemma == "en" and token.text != "en"
    ):
        return False
    following = tokens[position + 1] if position + 1 < len(tokens) else None
    if token.lemma == ":" and following is not None and following.kind in {"number", "window"}:
        return False
    return not (token.lemma == "/" and position and tokens[position - 1].kind == "number")
