"""Knobs of a Python file and exact edits of them: found by AST, rewritten span by span."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from flows.syntax import Program, Span, Value, fold
from kg.syntax import syntax_tree


class Kind(StrEnum):
    """What a knob's value is, which decides the scale on which it is searched."""

    RATE = "rate"  # positive, searched in octaves: learning rates, decays, initial scales
    SHARE = "share"  # 0 to 1, searched in tenths
    BETA = "beta"  # an average's decay below 1: 1 - value is searched in octaves
    POWER = "power"  # a power of two
    COUNT = "count"  # a small integer, one by one
    SIZE = "size"  # a larger integer, searched in octaves
    CHOICE = "choice"  # one of some texts


@dataclass(frozen=True, slots=True)
class Knob:
    """One value of the source that an edit can change, and where its literals stand."""

    name: str  # in the field's words: `matrix_lr`, `adam_beta1`
    kind: Kind
    value: Value
    spans: tuple[Span, ...]
    text: str  # the literal as the source has it, `2**19`
    yields: float  # how often tuning it pays, from public campaigns; 1 is the average
    low: float = -math.inf  # smallest and largest sensible value
    high: float = math.inf
    upwards: int = 0  # which way to try first: 1, -1, or 0 for either
    from_zero: float = 0.001  # what a RATE of 0 becomes
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # CHOICE: text a span

    def written(self, value: Value) -> tuple[str, ...]:
        """Return the text of each span for a value, in the style of the literal."""
        if self.kind is Kind.CHOICE:
            return self.choices[str(value)]
        return (literal(value, self.text),) * len(self.spans)


def literal(value: Value, like: str) -> str:
    """Return a number as source, in the style of another literal.

    >>> literal(262144, "2**19"), literal(0.06, "0.04"), literal(3000, "1_000")
    ('2**18', '0.06', '3_000')
    """
    if isinstance(value, int) and "**" in like and value > 0 and value & (value - 1) == 0:
        return f"2**{value.bit_length() - 1}"
    if isinstance(value, int):
        return f"{value:_}" if "_" in like else str(value)
    return repr(value)


@dataclass(frozen=True, slots=True)
class Rule:
    """What the name of a constant says of its search: kind, yield, bounds, first direction."""

    names: str  # regular expression over the whole lower-case name
    kind: Kind
    yields: float
    low: float = -math.inf
    high: float = math.inf
    upwards: int = 0
    from_zero: float = 0.001


# Yields: what paid in the public campaigns and in 24 s CPU runs (batch -0.0375, matrix_lr -0.025,
# warmdown, depth with constant width, embedding_lr), not what is interesting.
RULES = (
    Rule(r"(total_)?batch(_size)?", Kind.POWER, 10, low=1, upwards=-1),
    Rule(r"device_batch_size|micro_batch(_size)?", Kind.POWER, 0.5, low=1),
    Rule(r"matrix_lr|muon_lr|lr|learning_rate|eta", Kind.RATE, 8, upwards=1),
    Rule(r"(depth|n_layers?|num_layers)", Kind.COUNT, 6, low=1),
    Rule(r".*(lr|learning_rate)", Kind.RATE, 4, upwards=1),
    Rule(r"(warmdown|cooldown)\w*(ratio|frac)|warmdown", Kind.SHARE, 5, 0, 1, upwards=1),
    Rule(r"aspect_ratio", Kind.SIZE, 3, low=1),
    Rule(r"(n_embd|d_model|model_dim|width|hidden_size|hidden_dim)", Kind.SIZE, 3, low=1),
    Rule(r"(n_heads?|num_heads|n_kv_heads?|num_kv_heads)", Kind.COUNT, 1, low=1),
    Rule(r"head_dim|head_size", Kind.POWER, 1.5, low=8),
    Rule(r"(final|min)_lr\w*", Kind.SHARE, 3, 0, 0.5, upwards=1),
    Rule(r".*(warmup|dropout)(_ratio|_frac|_p|_rate)?", Kind.SHARE, 1.5, 0, 0.5, upwards=1),
    Rule(r".*(weight_decay|_wd)|wd|l2", Kind.RATE, 2.5, low=0),
    Rule(r".*(beta[12]?|momentum|ema|ema_decay)", Kind.BETA, 1.5, 0, 0.9999),
    Rule(r"ns_steps", Kind.COUNT, 1, 1, 5, upwards=-1),  # the published coefficients are 5 rows
    Rule(r".*(ratio|frac|fraction|share|prob|subsample|colsample\w*)", Kind.SHARE, 1.5, 0, 1),
    Rule(r".*softcap.*|.*logit_cap", Kind.RATE, 1.5, low=1),
)
# words that mark what is no knob: the measure, its budget, the data, the machine, the output
FROZEN = re.compile(
    r"seeds?|random|state|time|timeout|budget|seconds|minutes|hours|paths?|dirs?|file|filename|url"
    r"|device|dtype|vocab|seq|sequence|context|evals?|evaluation|val|valid|validation|tests?|train"
    r"|holdout|split|splits|folds?|cv|target|metrics?|label|logs?|logging|print|save|checkpoint"
    r"|ckpt|workers?|threads?|jobs|port|host|version|profile|limit|flops?|epochs?|debug|verbose"
    r"|compile|resume|cache|shards?|started|startup|every|interval|fee|fees|cost|capital|year"
)
BUDGET = re.compile(r"(max_|num_|n_|total_)?(steps|iters|iterations)|n_(trials|runs|samples)")
PATTERNS = ("L", "SL", "SSL", "SSSL", "SSSSL", "SLL")


@lru_cache(maxsize=512)
def knobs(source: str) -> tuple[Knob, ...]:
    """Return the knobs of a source in the order they stand; () if it does not parse.

    Module-level upper-case constants (numbers, booleans, tuples of numbers, window patterns)
    that are assigned once and read somewhere, and the structural ones of `structure`. Seeds,
    budgets, paths, evaluation and other fixed ground are left out.
    """
    from flows.structure import structural_knobs

    program = Program.read(source)
    if program is None:
        return ()
    try:
        found = [*constant_knobs(program), *structural_knobs(program)]
    except RecursionError:  # a sum of thousands of terms parses, but is no knob
        return ()
    names = Counter(knob.name for knob in found)
    return tuple(knob for knob in found if names[knob.name] == 1)  # a double name is no address


def apply(source: str, edits: Sequence[tuple[Knob, Value]]) -> str | None:
    """Return the source with the knobs set, every other byte as it was.

    None if two edits overlap or the result is no Python.
    """
    data = source.encode()
    pieces = sorted(
        (span, text)
        for knob, value in edits
        for span, text in zip(knob.spans, knob.written(value), strict=True)
    )
    out, at = [], 0
    for (start, end), text in pieces:
        if start < at:
            return None
        out += [data[at:start], text.encode()]
        at = end
    edited = b"".join([*out, data[at:]]).decode()
    return edited if syntax_tree(edited) is not None else None


def constant_knobs(program: Program) -> Iterator[Knob]:
    """Yield a knob for each module-level constant worth an edit."""
    nodes = list(program.every(ast.Name))
    written = Counter(node.id for node in nodes if not isinstance(node.ctx, ast.Load))
    read = {node.id for node in nodes if isinstance(node.ctx, ast.Load)}
    found = [pair for pair in assignments(program.tree) if written[pair[0]] == 1]
    # a file that reads none of its constants is a configuration that others import
    imported = not any(name in read for name, _ in found)
    for name, value in found:
        if name in read or imported:
            yield from knobs_of(program, name.lower(), value)


def assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield name and value of each upper-case assignment at module level."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets[: len(targets) == 1]:  # `A = B = 1` is two constants in one
                if isinstance(target, ast.Name) and target.id.isupper() and node.value:
                    yield target.id, node.value


def knobs_of(program: Program, name: str, node: ast.expr) -> Iterator[Knob]:
    """Yield the knobs of one assignment: one, or one an element of a tuple."""
    if isinstance(node, ast.Tuple | ast.List):
        for place, element in enumerate(node.elts):
            stem = name.removesuffix("s")
            part = f"{stem}{place + 1}" if stem.endswith("beta") else f"{name}[{place}]"
            if not isinstance(element, ast.Tuple | ast.List):
                yield from knobs_of(program, part, element)
        return
    value = fold(node)
    base = name.split("[")[0]
    frozen = any(FROZEN.fullmatch(word) for word in base.split("_")) or BUDGET.fullmatch(base)
    if value is None or (frozen and base != "device_batch_size"):
        return
    spans, text = (program.span(node),), program.text(node)
    if isinstance(value, bool):
        choices = {"True": ("True",), "False": ("False",)}
        yield Knob(name, Kind.CHOICE, str(value), spans, text, 1.0, choices=choices)
    elif isinstance(value, str):
        if "pattern" in name and re.fullmatch("[SL]+", value):
            choices = {option: (f'"{option}"',) for option in (*PATTERNS, value)}
            yield Knob(name, Kind.CHOICE, value, spans, text, 2.0, choices=choices)
    else:
        yield numeric(name, value, spans, text)


def numeric(name: str, value: float, spans: tuple[Span, ...], text: str) -> Knob:
    """Return the knob of a number: what its name says, else what its value looks like."""
    rule = next((rule for rule in RULES if re.fullmatch(rule.names, name)), None)
    if rule is None or not fits(rule.kind, value):
        rule = Rule("", looks_like(value), 1.0, low=1 if isinstance(value, int) else -math.inf)
    return Knob(
        name, rule.kind, value, spans, text, rule.yields,
        rule.low, rule.high, rule.upwards, rule.from_zero,
    )  # fmt: skip


def fits(kind: Kind, value: float) -> bool:
    """Tell whether a value can be what its name promises."""
    if kind is Kind.POWER:
        return isinstance(value, int) and value > 0 and value & (value - 1) == 0
    if kind in (Kind.COUNT, Kind.SIZE):
        return isinstance(value, int) and value > 0
    return 0 <= value < 1 if kind is Kind.BETA else 0 <= value <= 1 if kind is Kind.SHARE else True


def looks_like(value: float) -> Kind:
    """Return the kind of a number whose name says nothing."""
    if isinstance(value, int) and value > 0:
        power = value >= 16 and value & (value - 1) == 0
        return Kind.POWER if power else Kind.COUNT if value < 10 else Kind.SIZE
    return Kind.RATE
