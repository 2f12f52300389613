"""A digest of what the memory knows, for the context of an agent: short, cited, relevant.

What is chosen is decided by spreading activation from the file at hand and the idea
(kg.activation); what is said, in which order, by what helps most: failures with what to try
instead come first. In the literature a record of typed failures with a replacement direction
was worth more than a record of successes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kg.recall_lines import KINDS, Line, head_line, lines_of
from kg.recall_scene import scene_of

if TYPE_CHECKING:
    from kg.memory import Memory
    from kg.recall_scene import Scene

__all__ = ["Digest", "Line", "recall", "tokens_in"]

PIECE: Final = re.compile(
    r"[A-Za-z]+|[0-9]{1,3}|\s(?=[0-9])|\n|_|[!-/:-@\[-^`{-~]{1,2}|[^\x00-\x7f]"
)
"""What byte-pair encoders never merge across: words, three digits, the space before a number."""
LETTERS_A_TOKEN: Final = 6
"""With 6, no line of the reference night's digests takes more tokens in cl100k, o200k or Claude
2's tokenizer than counted here, and all take 9 % less; with 8, ten lines of 86 take more."""
SHARES: Final = {"failed": 0.45, "won": 0.2, "conflict": 0.15, "untried": 0.15, "elsewhere": 0.05}
"""Each kind's part of the budget before what is left goes to the most active lines of all."""
SPARE: Final = 5  # lines of each kind that compete for what is left


@dataclass(frozen=True, slots=True)
class Digest:
    """What an agent is told, and how many tokens it costs at the most."""

    lines: tuple[Line, ...]
    text: str
    tokens: int

    def to_json(self) -> dict[str, object]:
        """Return the digest as plain values."""
        return {
            "text": self.text,
            "tokens": self.tokens,
            "lines": [
                {
                    "kind": line.kind,
                    "text": line.text,
                    "experiments": list(line.experiments),
                    "activation": round(line.activation, 6),
                }
                for line in self.lines
            ],
        }


def recall(
    memory: Memory,
    source: str | None = None,
    *,
    idea: str = "",
    tokens: int = 600,
    campaign: str | None = None,
    noise: float | None = None,
    aliases: Path | None = None,
) -> Digest:
    """Return the digest for a file and an idea.

    Args:
        memory: Where the experiments are.
        source: The target file as it is now; None for the remembered accepted settings.
        idea: What the agent thinks of trying; its words are looked up without spaCy.
        tokens: What the text may cost at the most.
        campaign: The campaign to recall; None for the one this program belongs to, else the
            one that was active last. Others are asked only about the idea's knobs.
        noise: Measured noise floor in the metric's units; default: what the memory saw.
        aliases: The user's aliases.toml.

    Returns:
        No lines where the memory is empty or the budget does not hold one.

    Raises:
        MemoryBroken: The memory cannot be opened.
        LexiconError: The aliases cannot be read.
    """
    scene = scene_of(memory.graph(), source, idea, campaign, noise, aliases)
    if scene is None:
        return Digest((), "", 0)
    chosen = choose(head_line(scene), lines_of(scene), tokens, shares_of(scene))
    text = "\n".join(line.text for line in chosen)
    return Digest(tuple(chosen), text, tokens_in(text))


def tokens_in(text: str) -> int:
    """Return how many tokens a text takes at the most, without the vocabulary of any model.

    >>> tokens_in(""), tokens_in("depth 8 -> 9"), tokens_in("7f2a65c")
    (0, 6, 6)
    """
    return sum(map(cost_of, PIECE.findall(text)))


def cost_of(piece: str) -> int:
    """Return the tokens of one piece; outside ASCII at most a byte each."""
    if piece.isascii():
        return math.ceil(len(piece) / LETTERS_A_TOKEN)
    return len(piece.encode("utf-8", "replace"))


def shares_of(scene: Scene) -> dict[str, float]:
    """Return each kind's part of the budget.

    Where the campaign never touched what the idea names, what others found has the largest.
    """
    if not scene.idea or any(knob in scene.board.about for knob in scene.idea):
        return SHARES
    return {**SHARES, "failed": SHARES["elsewhere"], "elsewhere": SHARES["failed"]}


def choose(
    head: Line, found: dict[str, Iterator[Line]], tokens: int, shares: dict[str, float]
) -> list[Line]:
    """Return the lines that fit, each kind within its share first, in the order of KINDS."""
    left = tokens - tokens_in(head.text)
    if left < 0:
        return []
    taken: list[Line] = []
    waiting: list[tuple[Line, int]] = []
    room = left
    for kind, share in shares.items():
        quota = share * room
        for line in found[kind]:
            cost = tokens_in(line.text) + 1
            if cost > quota:
                rest = islice(found[kind], SPARE)
                waiting += [(line, cost), *((one, tokens_in(one.text) + 1) for one in rest)]
                break
            taken.append(line)
            quota, left = quota - cost, left - cost
    for line, cost in sorted(waiting, key=lambda pair: (-pair[0].activation, pair[0].text)):
        if cost <= left:
            taken.append(line)
            left -= cost
    place = {kind: number for number, kind in enumerate(KINDS)}
    ranked = sorted(taken, key=lambda line: (place[line.kind], -line.activation, line.text))
    return [head, *ranked]
