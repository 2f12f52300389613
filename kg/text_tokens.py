"""Split a message into words, numbers with units, and signs; the original offsets are kept.

Everything later works on these tokens, whichever engine finds the names in them, so the text
is normalised here once: snake_case and hyphens open, arrows alike, 2^15 and 10K as numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from kg.text_lemmas import apart, is_window, lemma_of, simplified
from kg.text_words import ARTICLES, NUMBER_WORDS

TOKEN = re.compile(
    r"""
      (?P<mark><n>|<root>|<window>|relu\^n\b)
    | (?P<arrow>-{1,2}>|=>|~>|[→⇒➜⟶➔])
    | (?P<size>\b[dD](?P<deep>\d{1,2})(?:/(?P<wide>\d{2,4}))?(?![\w.]))
    | (?P<relu>\b[rR][eE][lL][uU]\s?(?:\^|\*\*)\s?\(?(?P<power>\d+(?:\.\d+)?)\)?)
    | (?P<beta>(?:[bB]eta|BETA|β)[ _]?(?P<nth>[12])\b|[bB]etas?\[(?P<index>[01])\])
    | (?P<sqrt>1(?:\.0)?\s?/\s?sqrt(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?|\d*\.?\d*/?√\w+
        |\d*\.?\d+\s?(?:\^|\*\*)\s?[A-Za-z_(]\w*)
    | (?P<floor>(?:\b[A-Za-z_][\w.]*(?=//)|\b(?:[A-Za-z]+_\w+|seq|ctx|context)\s)?//\s?
        (?P<divisor>\d+))
    | (?P<slice>\b(?:max_)?(?:seq(?:_?len|uence_len)?|ctx|context)\s?/\s?(?P<share>\d+))
    | (?P<normal>\b[nN](?:ormal)?\(\s*(?:mean=)?0(?:\.0)?\s*,\s*
        (?:std=)?(?P<std>\d*\.?\d+(?:e-?\d+)?)\s*\))
    | (?P<pair>\(\s*(?P<one>\d*\.\d+|\d+)\s*,\s*(?P<two>\d*\.\d+|\d+)\s*\))
    | (?P<multiple>(?<![\w.])(?P<many>\d+(?:\.\d+)?)\s?\*\s?(?=[A-Za-z_])[\w.]+)
    | (?P<power2>(?<![\w.])(?P<base>\d+)\s?(?:\^|\*\*)\s?(?P<exponent>\d{1,2}(?:\.\d+)?)(?![\w.]))
    | (?P<fraction>(?<![\w./])(?P<top>\d{1,2})/(?P<under>\d{1,4})(?P<of>th|[xX])?(?![\w./]))
    | (?P<times>(?<![\w.])(?:[xX]\s?|\*\s?)(?P<factor>\d*\.?\d+)(?![\w.]))
    | (?P<over>(?<=\s)/\s?(?P<part>\d+)(?![\w./]))
    | (?P<layers>(?<![\w.])(?P<count>\d{1,3})[lL](?![A-Za-z0-9]))
    | (?P<dims>(?<![\w.])(?P<channels>\d{2,5})d(?![A-Za-z0-9]))
    | (?P<number>(?<![\w.])(?P<sign>(?:(?<=[\s(=:>])|^)[-+])?
        (?P<digits>\d{1,3}(?:,\d{3})+(?![\d.])|\d+(?:\.\d+)?|\.\d+)
        (?P<scientific>[eE][-+]?\d+)?
        (?P<unit>\s?(?:%|percent\b|per\scent\b|procent\b|pct\b)|[kKmMbB](?![A-Za-z])|[xX](?![A-Za-z0-9])|(?:st|nd|rd|th)\b)?)
    | (?P<camel>[A-Z]?[a-z]{2,}(?=(?:LR|WD|B[12]|Beta[12]?)(?![a-z]))|(?:LR|WD)(?=[A-Z][a-z]))
    | (?P<word>[^\W\d_]+\d*(?:\.\d+(?=[a-z]))?[^\W\d_]*\d*)
    | (?P<stray>\d+)
    | (?P<break>'s\b|\s-{1,2}\s|[,;:+&|()\[\]{}=/.!?^*"'])
    """,
    re.VERBOSE,
)
PLAIN = re.compile(r"(?:[A-Za-z_ ]|(?<=[A-Za-z])-(?=[A-Za-z])){1,200}")
Builder = Callable[[re.Match[str], str], "list[Token]"]
LARGE = 1000
"""Bases of powers stay below: 999**99 is still a float, 9999**99 overflows one."""
PERCENT = frozenset({"%", "percent", "per cent", "procent", "pct"})
SCALES = {"k": 1e3, "m": 1e6, "b": 1e9}


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number or sign of a message.

    ``lemma`` is what names are matched on; ``value`` is the number it stands for, in plain
    units (5% is 0.05, 10K is 10000.0); ``literal`` is that number as Python source.
    """

    text: str
    lemma: str
    start: int
    end: int
    kind: str  # word | number | arrow | sign | window
    value: float | None = None
    unit: str = ""  # "%", "x", "k", "pair", "nth"
    literal: str | None = None


def tokenize(text: str) -> tuple[Token, ...]:
    """Return the tokens of a message, in order, with offsets into it."""
    plain = simplified(text)
    tokens: list[Token] = []
    for match in TOKEN.finditer(plain):
        tokens.extend(BUILDERS[match.lastgroup or "word"](match, text))
    return tuple(tokens)


@lru_cache(maxsize=20_000)
def key_of(label: str) -> tuple[str, ...]:
    """Return the lemmas a label is matched by: ``"EMBEDDING_LR"`` -> ``("embedding", "lr")``.

    Signs are left out except those inside ``attn+MLP`` and the like, which become words.
    Nine of ten labels are plain words: they skip the tokenizer, which cuts loading 3,000
    labels from 300 to 90 ms.
    """
    if PLAIN.fullmatch(label):
        parts = map(plain_lemma, label.replace("_", " ").replace("-", " ").split())
        return tuple(lemma for lemma in parts if lemma)
    return tuple(
        token.lemma for token in tokenize(label[:200]) if token.kind != "sign" or keeps(token)
    )


@lru_cache(maxsize=20_000)
def plain_lemma(part: str) -> str:
    """Return the lemma of one plain word of a label, "" for an article.

    4,000 labels are made of 1,600 words: remembering them saves a third of the loading time.
    """
    lower = part.lower()
    if lower in ARTICLES:
        return ""
    return "<window>" if is_window(part) else lemma_of(lower)


def keeps(token: Token) -> bool:
    """Tell whether a sign is part of names: ``attn+MLP``, ``Q/K``, ``Q&K``."""
    return token.lemma in {"+", "/", "&", ":"}


def number(match: re.Match[str], text: str) -> list[Token]:
    """Build a plain number with its unit: 0.5, -20%, 10K, 1.5x, 3rd, 524,288."""
    digits = match["digits"].replace(",", "")
    unit = (match["unit"] or "").strip().lower()
    literal = digits + (match["scientific"] or "")
    value = float(literal)
    if match["sign"] == "-":
        value, literal = -value, "-" + literal
    if not math.isfinite(value * 1e9):
        return [make(match, text, "word", lemma="<n>")]  # 1e400 is no setting
    if unit in SCALES:
        value *= SCALES[unit]
        literal = f"{value:.0f}" if value == int(value) else repr(value)
        unit = "k"
    elif unit in PERCENT:
        unit = "%"
        value = round(value / 100, 12)
        literal = f"{value:g}"
    elif unit in {"st", "nd", "rd", "th"}:
        unit = "nth"
    if match["sign"] == "+":
        unit = f"+{unit}"
    return [make(match, text, "number", value=value, unit=unit, literal=literal, lemma="<n>")]


def ratio(match: re.Match[str], text: str) -> list[Token]:
    """Build 1/8, or two plain numbers with a slash where it is no ratio (3060/4060)."""
    over, under = int(match["top"]), int(match["under"])
    value = over / under if under else None
    unit = "x" if (match["of"] or "").lower() == "x" else ""
    literal = f"{match['top']}/{match['under']}"
    return [make(match, text, "number", value=value, unit=unit, literal=literal)]


def make(match: re.Match[str], text: str, kind: str, **facts: object) -> Token:
    """Build a token over the whole match."""
    start, end = match.span()
    written = text[start:end]
    lemma = facts.pop("lemma", "<n>")
    return Token(written.strip(), str(lemma), start, end, kind, **facts)  # type: ignore[arg-type]


def word(match: re.Match[str], text: str) -> list[Token]:
    """Build a word; number words carry their value, window strings their own kind.

    Articles are no tokens: "tie the embeddings" is found by the label "tie embeddings".
    """
    written = match[0]
    if is_window(written):
        return [make(match, text, "window", lemma="<window>", literal=written)]
    lower = written.lower()
    if lower in ARTICLES:
        return []
    value = NUMBER_WORDS.get(lower)
    literal = f"{value:g}" if value is not None else None
    lemma = lemma_of(lower)
    return [make(match, text, "word", lemma=lemma, value=value, literal=literal)]


def size(match: re.Match[str], text: str) -> list[Token]:
    """Build depth and width from ``D8/384``, depth alone from ``D12``."""
    start = match.start()
    tokens = [
        Token(text[start], "depth", start, start + 1, "word"),
        numeral(match, text, "deep"),
    ]
    if match["wide"]:
        slash = match.end("deep")
        tokens += [
            Token(text[slash], "width", slash, slash + 1, "word"),
            numeral(match, text, "wide"),
        ]
    return tokens


def numeral(match: re.Match[str], text: str, group: str) -> Token:
    """Build a plain number from one group of a match."""
    start, end = match.span(group)
    digits = match[group]
    return Token(text[start:end], "<n>", start, end, "number", float(digits), "", digits)


def normal(match: re.Match[str], text: str) -> list[Token]:
    """Build ``N(0, 0.02)``: noise of that deviation; after ``~`` or "from" what is drawn."""
    start = match.start()
    drawn = text[:start].rstrip().endswith(("~", "from", "="))
    name = "std" if drawn else "noise"
    return [Token(text[start], name, start, start + 1, "word"), numeral(match, text, "std")]


def suffixed(group: str, noun: str) -> Builder:
    """Return a builder for ``12L`` (layers) and ``768d`` (dim)."""

    def build(match: re.Match[str], text: str) -> list[Token]:
        end = match.end()
        return [numeral(match, text, group), Token(text[end - 1 : end], noun, end - 1, end, "word")]

    return build


def power(match: re.Match[str], text: str) -> list[Token]:
    """Build 2^19 and 2**19; the literal is Python source."""
    base, exponent = int(match["base"]), match["exponent"]
    value = float(base ** float(exponent)) if base < LARGE else None
    return [make(match, text, "number", value=value, literal=f"{base}**{exponent}")]


def floored(match: re.Match[str], text: str) -> list[Token]:
    """Build ``seq//4``, ``seq_len/4``: a quarter of something."""
    divisor = int(match["divisor"] or match["share"])
    value = 1 / divisor if divisor else None
    return [make(match, text, "number", value=value, unit="of", literal=match[0].replace(" ", ""))]


def times(match: re.Match[str], text: str) -> list[Token]:
    """Build ``x1.5``; ``x0`` is the name of the input embedding."""
    if float(match["factor"]) == 0 or match["factor"] == "0":
        return word(match, text)
    factor = match["factor"]
    return [make(match, text, "number", value=float(factor), unit="x", literal=factor)]


def multiple(match: re.Match[str], text: str) -> list[Token]:
    """Build ``4*n_embd``: four times something."""
    many = match["many"]
    return [make(match, text, "number", value=float(many), unit="x", literal=many)]


def divided(match: re.Match[str], text: str) -> list[Token]:
    """Build ``/2``: half of what it was."""
    part = int(match["part"])
    value = 1 / part if part else None
    return [make(match, text, "number", value=value, unit="x", literal=f"1/{part}")]


def pair(match: re.Match[str], text: str) -> list[Token]:
    """Build ``(0.9, 0.95)``, a tuple of two values."""
    literal = f"({match['one']}, {match['two']})"
    return [make(match, text, "number", unit="pair", literal=literal)]


def sign(match: re.Match[str], text: str) -> list[Token]:
    """Build a sign; a dash between spaces is one, a hyphen inside a word is not seen at all."""
    lemma = match[0].strip()
    if lemma in {"[", "]"} and apart(text, match.start()):
        return [make(match, text, "sign", lemma="(" if lemma == "[" else ")")]
    if lemma in {"'", "'s", '"', "[", "]", "{", "}", "^", "*"}:
        return []
    if lemma == "." and match.end() < len(text) and not text[match.end()].isspace():
        return []  # torch.compile
    return [make(match, text, "sign", lemma="-" if lemma.startswith("-") else lemma)]


BUILDERS: dict[str, Builder] = {
    "mark": lambda match, text: [make(match, text, "word", lemma=match[0])],
    "arrow": lambda match, text: [make(match, text, "arrow", lemma="->")],
    "size": size,
    "relu": lambda match, text: [
        make(match, text, "word", lemma="relu^n", literal=f"relu^{match['power']}")
    ],
    "beta": lambda match, text: [
        make(match, text, "word", lemma=f"beta{match['nth'] or int(match['index']) + 1}")
    ],
    "sqrt": lambda m, text: [make(m, text, "number", unit="of", literal=m[0], lemma="<root>")],
    "floor": floored,
    "slice": floored,
    "normal": normal,
    "pair": pair,
    "power2": power,
    "fraction": ratio,
    "times": times,
    "multiple": multiple,
    "over": divided,
    "layers": suffixed("count", "layer"),
    "dims": suffixed("channels", "dim"),
    "number": number,
    "camel": word,  # "MuonLR", "AdamB1"
    "word": word,
    "stray": word,
    "break": sign,
}
