"""Settings that stand as literals: constants, fields, defaults, arguments, locals, dicts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kg.clocked import in_loop, is_timed
from kg.config_names import Names, assignments, callee, defaults, is_computed
from kg.features import knob_of_name
from kg.given import default_given, is_handed
from kg.knobs import knob_named, unknown_knob
from kg.nodes import under
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, coefficient, is_literal, make_setting

# Calls whose arguments are messages, shapes or plumbing, never settings.
PLUMBING: Final = re.compile(
    r"^(print|format|join|view|reshape|transpose|permute|unsqueeze|squeeze|size|range|zeros\w*"
    r"|ones\w*|empty\w*|full\w*|cat|stack|split|chunk|sum|mean|norm|repeat\w*|expand|to|item"
    r"|get|append|add_argument|log|info|warning|debug|write|open|exit|isinstance|getattr|super"
    r"|dict|register_buffer|Parameter|tensor|as_tensor|arange|einsum|pad|float|int|str|round"
    r"|isclose|allclose|assert_close|add_|sub_|mul_|div_|lerp_|addcmul_|addcdiv_|copy_|deque|Event|Stream|Timer|Thread|Queue|Lock)$"
)
# `dim` of a call is an axis, `base` a class; `**options` has no name.
NOT_ARGUMENTS: Final = frozenset({None, "dim", "base", "size", "axis", "device", "dtype"})
NEVER_SETTINGS: Final = re.compile(
    r"^(t\d*|t_\w+|dt|step|epoch|x|y|loss|[A-Z]?|\w+_time|total_\w+|repo|cap|prompt\w*"
    r"|\w*(path|file|filename|_dir|DIR|PATH|url|URL))$"
)


def literal_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield the settings of a program that stand as values in its text.

    A known name gives its canonical knob; an unknown one `other.<path>`, so nothing is lost.
    """
    for statement in program.statements:
        node = statement.node
        role = roles.of(statement.scope)
        if role is Role.BOOKKEEPING or (
            role is Role.OPTIMIZER and scope_is_body(program, statement)
        ):
            continue  # counts and the update itself: their locals are no settings
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from default_settings(program, names, statement, node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from assigned_settings(program, names, statement)
        if statement.calls:
            yield from argument_settings(program, names, statement)


def scope_is_body(program: Program, statement: Statement) -> bool:
    """Tell whether a statement stands in the body of a function."""
    return statement.scope in program.functions


def default_settings(
    program: Program,
    names: Names,
    statement: Statement,
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[Setting]:
    """Yield the defaults of a function's parameters, dead where every call passes its own."""
    scope = f"{statement.scope}.{function.name}".lstrip(".")
    called = scope.split(".")[-2] if function.name == "__init__" and "." in scope else function.name
    for name, value in defaults(function).items():
        if not is_literal(value) or is_switch(value) or is_handed(name, scope):
            continue
        knob = knob_named(name, scope)
        site = Site(f"{scope}({name})", scope, statement.span, Rank.DEFAULT)
        setting = make_setting(program, names, knob or unknown_knob(site.path), value, site)
        passed = names.passed.get((called, name), [])
        if passed and len(passed) >= names.called[called]:
            line = program.span(passed[0][0])[0]
            setting = replace(setting, effective=False, overridden_at=line)
        yield from split_tuple(program, setting, value)


def is_switch(value: ast.expr) -> bool:
    """Tell whether a value only says "not given", or is an empty list to be filled."""
    if isinstance(value, ast.List | ast.Tuple):
        return not value.elts
    return isinstance(value, ast.Constant) and value.value is None


def assigned_settings(program: Program, names: Names, statement: Statement) -> Iterator[Setting]:
    """Yield the constants, class fields, locals and attributes that a statement assigns."""
    for target, value in assignments(statement.node):
        if isinstance(target, ast.Name):
            yield from name_settings(program, names, statement, target.id, value)
        elif isinstance(target, ast.Attribute):
            yield from attribute_settings(program, names, statement, target, value)


def name_settings(
    program: Program, names: Names, statement: Statement, name: str, value: ast.expr
) -> Iterator[Setting]:
    """Yield what `NAME = value` sets, in the open, in a class or in a function."""
    scope, value = statement.scope, default_given(value)
    once = len(names.locals.get((scope, name), ())) == 1
    if isinstance(value, ast.Dict):
        yield from dict_settings(program, names, statement, name, value)
        return
    if not once and in_loop(statement):
        return  # rewritten as the loop runs: a schedule, read from the shape of the code
    knob = knob_named(name, scope) or (knob_of_name(name) if name.isupper() else None)
    constant = name.isupper() or (not scope and knob is not None)
    if not once and not constant:
        return  # a counter or an accumulator, not a setting
    opaque, literal = False, is_literal(value)
    if not literal:
        if knob is None and not name.isupper():
            return
        if is_timed(statement, value) or is_gate(knob, scope):
            return  # differs from step to step, or is a gate of another kind
        if scope and any(isinstance(n, ast.Name) and n.id == name for n in under(value)):
            return  # an argument cut to what is used here
        opaque = not is_computed(names, value, scope)
        in_the_open = constant and not scope and knob is not None and not in_loop(statement)
        if opaque and not in_the_open:
            return
    elif knob is None and (NEVER_SETTINGS.match(name) or is_switch(value)):
        return
    in_class = scope in program.classes
    rank = Rank.CONSTANT if constant and not scope else Rank.DEFAULT if in_class else Rank.LOCAL
    if not literal and rank is not Rank.CONSTANT:
        rank = Rank.DERIVED
    path = name if not scope else f"{scope}.{name}" if in_class else f"{scope} > {name}"
    site = Site(path, scope, statement.span, rank)
    setting = make_setting(program, names, knob or unknown_knob(path), value, site)
    setting = overridden_field(names, setting, scope, name) if in_class else setting
    setting = conditional(setting, statement, value, once, opaque)
    if not in_class and is_unread(program, scope, name):
        setting = replace(setting, effective=False)
    yield from split_tuple(program, setting, value)


def is_gate(knob: str | None, scope: str) -> bool:
    """Tell whether a local is called as value embeddings' gates are: attention has others."""
    return bool(scope) and re.match(r"embedding\.value_embeds\.gate_", knob or "") is not None


def conditional(
    setting: Setting, statement: Statement, value: ast.expr, once: bool, opaque: bool
) -> Setting:
    """Mark a setting that is one of two, or that nothing can be said about but that it differs."""
    guarded = any(isinstance(parent, ast.If) for parent in statement.parents) and not once
    if isinstance(value, ast.IfExp):
        setting = replace(setting, effective=None)  # one of two values, as the machine has it
    elif opaque:
        setting = replace(setting, probe=())
    return replace(setting, guarded=guarded, hidden=opaque) if guarded or opaque else setting


def overridden_field(names: Names, setting: Setting, owner: str, name: str) -> Setting:
    """Mark a field default dead where the only constructor call passes its own value."""
    passed = names.passed.get((owner.rpartition(".")[2], name), [])
    if not passed:
        return setting
    line = names.program.span(passed[0][0])[0]
    return replace(setting, effective=False, overridden_at=line)


def is_unread(program: Program, scope: str, name: str) -> bool:
    """Tell whether a name is mentioned nowhere but where it is set."""
    return program.mentions(scope)[name] < 2


def attribute_settings(
    program: Program, names: Names, statement: Statement, target: ast.Attribute, value: ast.expr
) -> Iterator[Setting]:
    """Yield `self.name = value` and `torch.backends.cudnn.benchmark = True`."""
    name, scope = target.attr, statement.scope
    knob = knob_named(name, scope)
    own = isinstance(target.value, ast.Name) and target.value.id in ("self", "cls")
    # `cfg.tail_layers = 4` is a setting of `cfg`, whatever the function that makes it is called
    path = f"{scope} > {program.source(target)}" if own and scope else program.source(target)
    rank = Rank.LOCAL if is_literal(value) else Rank.DERIVED
    site = Site(path, scope, statement.span, rank)
    if is_literal(value) and not is_switch(value):
        setting = make_setting(program, names, knob or unknown_knob(path), value, site)
        yield from split_tuple(program, setting, value)
    elif knob is not None and not passes_on(knob, value):
        yield from computed_setting(program, names, knob, value, site)


def computed_setting(
    program: Program, names: Names, knob: str, value: ast.expr, site: Site
) -> Iterator[Setting]:
    """Yield a setting that is computed: its own factor where it has one, else the whole."""
    if not isinstance(value, ast.BinOp | ast.Call | ast.Attribute | ast.Name):
        return
    number, rest = coefficient(value)
    if not rest or (number is None and knob not in MULTIPLES):
        setting = make_setting(program, names, knob, value, site)
        if setting.probe or setting.number is not None:
            yield setting
        return
    setting = make_setting(program, names, knob, number or value, site)
    shown, factor = (setting.value, setting.folded) if number is not None else ("1", 1)
    yield replace(
        setting,
        value=shown,
        folded=factor,
        rank=Rank.LOCAL,
        literal=False,
        token=f"{factor}*{rest}",
        probe=(),
    )


def argument_settings(program: Program, names: Names, statement: Statement) -> Iterator[Setting]:
    """Yield keyword arguments that set something: all known knobs, unknown ones if literal."""
    for call in statement.calls:
        called = callee(call)
        if not call.keywords or PLUMBING.match(called):
            continue
        for keyword in call.keywords:
            knob = knob_named(keyword.arg or "", f"{statement.scope} {called}")
            angles = knob == "position.rope_base" and not is_set(keyword.value, names, statement)
            if (keyword.arg in NOT_ARGUMENTS and not angles) or is_switch(keyword.value):
                continue
            if is_handed(keyword.arg or "", called):
                continue
            literal = is_literal(keyword.value)
            if not (literal or angles) and (knob is None or not called[:1].isupper()):
                continue
            if knob is None and not sets_something(called, keyword.value):
                continue
            path = f"{statement.scope} > {called}({keyword.arg})".removeprefix(" > ")
            rank = Rank.ARGUMENT if literal else Rank.DERIVED
            site = Site(path, statement.scope, statement.span, rank)
            knob = knob or unknown_knob(path)
            setting = make_setting(program, names, knob, keyword.value, site)
            yield from split_tuple(program, setting, keyword.value)


def is_set(value: ast.expr, names: Names, statement: Statement) -> bool:
    """Tell whether a value is the name of a knob, which is read where it is set."""
    known = isinstance(value, ast.Name) and knob_named(value.id, statement.scope) is not None
    bound = names.definition(value, statement.scope) if known else None
    return bound is not None and is_computed(names, *bound)


def sets_something(called: str, value: ast.expr) -> bool:
    """Tell whether an unknown keyword is a setting: a number or text given to a constructor."""
    return called[:1].isupper() or not isinstance(value, ast.Constant) or not is_flag(value)


# Lengths that are multiples of another setting: a missing factor counts as 1.
MULTIPLES: Final = frozenset({"position.rotary_cache_len"})


def passes_on(knob: str, value: ast.expr) -> bool:
    """Tell whether `self.n_head = config.n_head` only hands on a setting of the same name."""
    name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
    return bool(name) and knob_named(name) in (knob, None)


def is_flag(value: ast.Constant) -> bool:
    """Tell whether a literal is a mere True or False."""
    return isinstance(value.value, bool)


def dict_settings(
    program: Program, names: Names, statement: Statement, name: str, value: ast.Dict
) -> Iterator[Setting]:
    """Yield the entries of `params = {"max_depth": 6, ...}`, which ML scripts keep settings in."""
    scope = statement.scope
    for key, entry in zip(value.keys, value.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            continue
        if not is_literal(entry) or is_switch(entry):
            continue
        path = f"{scope} > {name}.{key.value}".removeprefix(" > ")
        knob = knob_named(key.value, f"{scope} {name}") or unknown_knob(path)
        site = Site(path, scope, statement.span, Rank.ARGUMENT)
        yield from split_tuple(program, make_setting(program, names, knob, entry, site), entry)


def split_tuple(program: Program, setting: Setting, value: ast.expr) -> Iterator[Setting]:
    """Split a pair of betas into one setting each; any other value stays whole."""
    if not setting.knob.endswith("_betas"):
        yield setting
        return
    if isinstance(value, ast.Tuple | ast.List) and isinstance(setting.folded, tuple):
        for number, (element, folded) in enumerate(zip(value.elts, setting.folded, strict=True), 1):
            yield replace(
                setting,
                knob=f"{setting.knob.removesuffix('s')}{number}",
                value=program.source(element),
                folded=folded,
                path=f"{setting.path}[{number - 1}]",
                token=f"{folded!r}",
            )
