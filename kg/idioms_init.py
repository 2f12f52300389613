"""Initial weights: which parameter starts how, read from the initialising function."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from kg.canonical import canonical
from kg.config_names import Names, callee
from kg.fold import number_of
from kg.nodes import under
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import (
    Rank,
    Setting,
    Site,
    coefficient,
    make_setting,
    make_value,
    mentions_layer,
    with_constants,
)

# What is initialised, by the attributes on the way to the weight; a first match wins.
TARGETS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"x0_lambda"), "init.x0_lambda"),
    (re.compile(r"resid_lambda"), "init.resid_lambda"),
    (re.compile(r"lm_head|unembed"), "init.lm_head_std"),
    (re.compile(r"ve_gate"), "init.ve_gate"),
    (re.compile(r"value_(?:emb|table)|\bve\b"), "init.value_embeds_scale"),
    (re.compile(r"\bwte\b|tok_emb|embed_tokens|token_emb"), "init.wte_std"),
    (re.compile(r"c_q\b|c_k\b|\bwq\b|\bwk\b|q_proj|k_proj"), "init.qk_scale"),
    (re.compile(r"c_v\b|v_proj|\bwv\b"), "init.scale"),
    (
        re.compile(r"c_proj|o_proj|out_proj|\bwo\b|down_proj|\bw_down\b|\bw2\b|\bfc2\b"),
        "init.c_proj",
    ),
    (re.compile(r"c_fc|up_proj|gate_proj|\bw1\b|\bw3\b|mlp\."), "init.scale"),
)
# Weights that upstream draws from one shared range: a change of all of them is one change.
SHARED: Final = frozenset({"init.scale", "init.qk_scale", "init.value_embeds_scale"})
FILLS: Final = frozenset({"fill_", "constant_", "copy_", "mul_"})
DRAWS: Final = re.compile(
    r"^(uniform_|normal_|trunc_normal_|zeros_|zero_|ones_|orthogonal_|eye_|dirac_|sparse_"
    r"|(xavier|kaiming)_(uniform|normal)_)$"
)


@dataclass(frozen=True, slots=True)
class Draw:
    """One initialisation of one parameter."""

    knob: str
    kind: str  # `uniform`, `normal`, `zeros`, `fill`
    value: ast.expr | None  # the number that scales it
    statement: Statement


def init_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield the scale and the distribution of the initial weights."""
    draws: list[Draw] = []
    for scope in roles.scopes(Role.INIT):
        made = [d for s in program.by_scope.get(scope, []) for d in statement_draws(s)]
        draws += made
        others = scales_of_others(made)
        for statement in program.by_scope.get(scope, []):
            yield from scale_settings(program, names, statement, others)
    for number, draw in enumerate(draws):
        yield from draw_settings(program, names, draw, draws[:number])
    yield from distribution_setting(draws)


def statement_draws(statement: Statement) -> Iterator[Draw]:
    """Yield the initialisations in one statement."""
    for call in statement.calls:
        name = callee(call)
        if not (DRAWS.match(name) or name in FILLS):
            continue
        knob = target_knob(call, statement)
        if knob is None:
            continue
        kind = "fill" if name in FILLS else name.strip("_").replace("zero", "zeros", 1)
        yield Draw(knob, kind.replace("zeross", "zeros"), draw_value(call, name), statement)
    node = statement.node
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        knob = match_target(canonical(node.targets[0]))
        if knob is not None:
            yield Draw(knob, "fill", node.value, statement)


def target_knob(call: ast.Call, statement: Statement) -> str | None:
    """Return the knob of what a call initialises: its first argument, else its receiver."""
    function = call.func
    texts = [canonical(call.args[0])] if call.args else []
    if isinstance(function, ast.Attribute):
        texts.append(canonical(function.value))
    found = next((knob for text in texts if (knob := match_target(text))), None)
    if found is None and any(re.match(r"\w+\.weight(\.data)?$", text) for text in texts):
        # `for ve in self.value_embeds.values(): uniform_(ve.weight)` names it in the loop
        for parent in reversed(statement.parents):
            if isinstance(parent, ast.For):
                return looped_target(canonical(parent.iter))
    return found


def looped_target(text: str) -> str | None:
    """Return the knob of what a loop runs over; several matrices at once share the scale."""
    found = [knob for pattern, knob in TARGETS if pattern.search(text)]
    return "init.scale" if len(set(found) & SHARED) > 1 else next(iter(found), None)


def match_target(text: str) -> str | None:
    """Return the knob of a parameter, by the text that reaches it."""
    if text.endswith(".bias"):
        return None
    return next((knob for pattern, knob in TARGETS if pattern.search(text)), None)


def draw_value(call: ast.Call, name: str) -> ast.expr | None:
    """Return the argument that scales an initialisation."""
    for keyword in call.keywords:
        if keyword.arg in ("std", "b", "gain", "val"):
            return keyword.value
    is_method = isinstance(call.func, ast.Attribute) and canonical(call.func.value) not in (
        "nn.init", "torch.nn.init", "init",
    )  # fmt: skip
    arguments = call.args if is_method else call.args[1:]
    if name in FILLS or name == "orthogonal_":
        return arguments[0] if arguments else None
    if name in ("uniform_", "normal_", "trunc_normal_") and len(arguments) >= 2:
        return arguments[1]
    return None


def draw_settings(
    program: Program, names: Names, draw: Draw, earlier: list[Draw]
) -> Iterator[Setting]:
    """Yield the setting of one initialisation, a factor on a shared range counted as 1."""
    scope = draw.statement.scope
    weight = draw.knob.partition(".")[2]
    number = sum(other.knob == draw.knob for other in earlier)
    site = Site(f"{scope} > {weight}#{number}", scope, draw.statement.span, Rank.LOCAL)
    if draw.value is None:
        plain = PLAIN.get(draw.kind) if draw.knob.endswith("_lambda") else None
        setting = make_value(draw.knob, draw.kind, site)
        known = replace(setting, value=str(plain), folded=plain, token=str(plain))
        yield setting if plain is None else known  # a gain's `zero_()` is `fill_(0)`
        return
    factor, rest = coefficient(with_constants(names, own_scale(names, draw.value, scope), scope))
    if rest and draw.knob in SHARED | {"init.c_proj"}:
        setting = make_setting(program, names, draw.knob, factor or draw.value, site)
        shown = setting.value if factor is not None else "1"
        value = number_of(setting.folded) if factor is not None else 1.0
        yield replace(
            setting, value=shown, folded=value, token=f"{value}*{rest}", literal=False, probe=()
        )
        return
    setting = make_setting(program, names, draw.knob, draw.value, site)
    looped = any(isinstance(parent, ast.For) for parent in draw.statement.parents)
    layered = looped and mentions_layer(draw.value)
    layered = layered or SPREAD.search(canonical(draw.value)) is not None
    if draw.knob in ("init.c_proj",):
        setting = replace(
            setting, value=f"{draw.kind}({setting.value})", token=f"{draw.kind}{setting.token}"
        )
    yield replace(setting, layered=layered)


def own_scale(names: Names, value: ast.expr, scope: str) -> ast.expr:
    """Return what a local scale is made from, where that is another local: `s_qk = 0.5 * s`."""
    bound = names.definition(value, scope) if isinstance(value, ast.Name) else None
    if bound is None or bound[1] != scope:
        return value
    inner = [n for n in under(bound[0]) if isinstance(n, ast.Name)]
    return bound[0] if any(n.id in SCALE_NAMES for n in inner) else value


PLAIN: Final = {"zeros": 0.0, "ones": 1.0}
SPREAD: Final = re.compile(r"(linspace|logspace|arange)\(")  # one value for each layer
SCALE_NAMES: Final = frozenset({"s", "std", "scale", "bound", "init_scale", "init_std"})


def scales_of_others(draws: list[Draw]) -> set[str]:
    """Return the locals that scale only weights with a knob of their own: an output projection's.

    What is drawn says their value.
    """
    used: dict[str, set[str]] = {}
    for draw in draws:
        for node in ast.walk(draw.value) if draw.value is not None else ():
            if isinstance(node, ast.Name):
                used.setdefault(node.id, set()).add(draw.knob)
    return {name for name, knobs in used.items() if not knobs & SHARED}


def scale_settings(
    program: Program, names: Names, statement: Statement, others: set[str]
) -> Iterator[Setting]:
    """Yield `init.scale`: the factor of `s = 0.8 * 3**0.5 * n_embd**-0.5`, 1 if it has none."""
    node = statement.node
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return
    name = node.targets[0].id
    if not re.match(r"^(s|std|scale|bound|init_\w+|\w+_std|\w+_scale)$", name) or mentions(
        node.value, SCALE_NAMES
    ):
        return
    if name in others and scale_knob(name) == "init.scale":
        return
    number, rest = coefficient(with_constants(names, node.value, statement.scope))
    site = Site(f"{statement.scope} > {name}", statement.scope, statement.span, Rank.LOCAL)
    if not rest:
        return
    setting = make_setting(program, names, scale_knob(name), number or node.value, site)
    value = 1.0 if number is None else number_of(setting.folded)
    shown = "1" if number is None else setting.value
    yield replace(
        setting,
        value=shown,
        folded=value,
        token=f"{value}*{rest}",
        literal=False,
        exact=True,
        long=program.source(node.value),
        parts=frozenset(rest),
        probe=names.probe(node.value, statement.scope),
    )


def mentions(node: ast.expr, wanted: frozenset[str]) -> bool:
    """Tell whether an expression mentions one of some names."""
    return any(isinstance(n, ast.Name) and n.id in wanted for n in under(node))


def scale_knob(name: str) -> str:
    """Return the knob of a local that holds a range or a standard deviation."""
    return match_target(name) or ("init.qk_scale" if "qk" in name else "init.scale")


def distribution_setting(draws: list[Draw]) -> Iterator[Setting]:
    """Yield the distribution that the matrices share."""
    shared = [draw for draw in draws if draw.knob in SHARED and draw.kind not in ("fill", "zeros")]
    tables = "init.value_embeds_scale"  # they keep their own when the matrices' changes
    kinds = sorted({d.kind for d in shared if d.knob != tables} or {d.kind for d in shared})
    if not kinds:
        return
    spans = tuple(draw.statement.span for draw in shared)
    site = Site("init > distribution", shared[0].statement.scope, spans[0], Rank.IDIOM)
    yield replace(make_value("init.distribution", "+".join(kinds), site), covers=spans)
