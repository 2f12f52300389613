"""From drafts to claims: choose a reading, weigh the evidence, write the values down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kg.lexicon import Concept, Lexicon
from kg.model import ChangeType
from kg.text_direction import Evidence, change_type, compare
from kg.text_doubt import in_passing
from kg.text_drafts import Draft, Reading
from kg.text_match import Index
from kg.text_model import Claim, Unresolved
from kg.text_quantity import LINKS, Quantity
from kg.text_tokens import Token
from kg.text_values import (
    LEVELS,
    counted,
    decays,
    halves,
    named,
    relative,
    shape_of,
    source,
    starts_from_zero,
    stepped,
    takes_values,
    words_of,
    zero_in_name,
)

BETAS = ("optimizer.adam_beta1", "optimizer.adam_beta2")
AKIN = 5
"""Two multiples of one value differ by less: "0.6 * LR (0.5 still optimal)"."""
FAR = 3
"""Words after a schedule from which on a number is no longer its level."""
CURVELESS = frozenset(
    {
        "decay learning rate",
        "decay lr",
        "learning rate decay",
        "lr annealing",
        "lr decay",
        "schedule",
    }
)
"""Names of the LR schedule that name no curve: with a share they tell the warmdown."""
SCORES = {"alias": 1.0, "human": 1.0, "lexicon": 0.95}


def claims_of(
    drafts: Sequence[Draft],
    reading: Reading,
    lexicon: Lexicon,
    index: Index,
    candidates: Sequence[str] | None,
    current: Mapping[str, float] | None,
) -> tuple[list[Claim], list[Unresolved]]:
    """Turn drafts into claims, one per knob; a reading nobody can choose stays unresolved."""
    claims: dict[str, Claim] = {}
    doubtful: list[Unresolved] = []
    for draft in drafts:
        knob = choose(draft, candidates, index)
        if knob is None:
            readings = tuple((reading.name, 0.5) for reading in draft.mention.knobs[:3])
            doubtful.append(Unresolved(*words_of(reading, draft.mention), readings))
            continue
        for part, target in expand(draft, knob, reading, index):
            claim = claim_of(part, target, reading, lexicon, current)
            if in_passing(claim, target, part, reading) and knob.name not in (candidates or ()):
                doubtful.append(Unresolved(*words_of(reading, draft.mention), ((knob.name, 0.5),)))
                continue
            known = claims.get(claim.knob)
            claims[claim.knob] = claim if known is None else merged(known, claim)
    unsure = [one for one in doubtful if not {name for name, _ in one.candidates} & claims.keys()]
    return list(claims.values()), unsure


def merged(known: Claim, later: Claim) -> Claim:
    """Join two claims on one knob: "deeper: DEPTH 12" has a direction and a value.

    A knob split over layers stays split, whatever values its parts take.
    """
    if known.change_type is ChangeType.RESTRUCTURE:
        return known
    swapped = (ChangeType.REMOVE, ChangeType.REPLACE)
    if (known.change_type, later.change_type) == swapped and known.new and later.new:
        return replace(later, old=known.new)  # "drop flash-attn, call SDPA"
    if known.new is not None or known.factor is not None or later.new is None:
        return known
    vague = later.change_type is ChangeType.REPLACE
    return replace(later, change_type=known.change_type if vague else later.change_type)


def choose(draft: Draft, candidates: Sequence[str] | None, index: Index) -> Concept | None:
    """Return the reading that fits the value and the knobs the diff touched; None in doubt."""
    readings = list(draft.mention.knobs)
    if draft.mlp_width:
        readings = [index.knobs["mlp.expansion"]]
    moved = draft.verb in {ChangeType.INCREASE, ChangeType.DECREASE}
    if moved and draft.knob.name == "schedule.lr_shape":
        readings = [index.knobs[LEVELS["schedule.lr_shape"]]]  # "longer LR decay"
    if candidates:
        touched = [knob for knob in readings if knob.name in candidates]
        if touched:
            return touched[0]
        finer = [index.knobs[name] for name in candidates if name in index.knobs]
        wanted = set(draft.mention.terms)
        finer = [knob for knob in finer if wanted and any(wanted <= set(p) for p in knob.patterns)]
        if len(finer) == 1:
            return finer[0]
    values = [t.value for t in ends(draft.quantity) if t.value is not None]
    plausible = [knob for knob in readings if all(inside(knob, value) for value in values)]
    if not plausible and all(value < 1 for value in values):
        plausible = ranged(draft, values, index)[:1]
    ranked = sorted(plausible or readings, key=lambda knob: knob.minimum is None)
    if len(ranked) > 1 and all(knob.minimum is None for knob in ranked):
        return None  # "temperature": of attention or of the logits
    return ranked[0] if values else readings[0]


def ranged(draft: Draft, values: Sequence[float], index: Index) -> list[Concept]:
    """Return the knobs of the same names whose range some fractions lie in.

    "Momentum warmup 0.95 -> 0.9" is where the warmup starts, not how many steps it takes.
    """
    mention = draft.mention
    names = [mention.terms] if mention.method == "lexicon" else draft.knob.patterns
    akin = [p.knob for terms in names for p in index.patterns.get(frozenset(terms), ())]
    fitting = [other for other in akin if all(inside(other, value) for value in values)]
    return [other for other in fitting if other.maximum is not None]


def ends(quantity: Quantity | None) -> list[Token]:
    """Return the number tokens of a quantity."""
    return [t for t in (quantity.old, quantity.new) if t is not None] if quantity else []


def inside(knob: Concept, value: float) -> bool:
    """Tell whether a value is plausible for a knob."""
    low = knob.minimum is None or value >= knob.minimum
    return low and (knob.maximum is None or value <= knob.maximum)


def evidence_of(
    draft: Draft, knob: Concept, reading: Reading, current: Mapping[str, float] | None
) -> Evidence:
    """Put together what decides the change type of a draft."""
    quantity, hint, verb = draft.quantity, draft.hint, lowered(draft, reading)
    new = quantity.new if quantity is not None and not quantity.paired else None
    if new is not None and new.unit == "+":
        quantity, hint = None, ChangeType.INCREASE  # "depth +1"
    elif new is not None and quantity is not None:
        steps = (draft.by is not None and not decays(draft)) or counted(draft)
        quantity = stepped(draft, quantity) if steps else relative(draft, knob, quantity)
        beaten = draft.compared.value if draft.compared else None
        multiple = quantity is not None and quantity.factor is not None and new.unit == "x"
        if multiple and new.value and beaten and AKIN > new.value / beaten > 1 / AKIN:
            quantity, hint = None, compare(beaten, new.value)  # "LR *0.02 (*0.01 better)"
    elif quantity is None and knob.value_kind == "number":
        quantity = zero_in_name(draft, reading)
    held = quantity is not None and draft.mention.start - 1 <= quantity.start < draft.mention.end
    if held and draft.negated and knob.value_kind == "number":
        verb, quantity = ChangeType.INCREASE, None  # "don't decay the LR to zero"
    if draft.old_value is not None and knob.value_kind == "term":
        verb = ChangeType.REPLACE  # "pre-norm instead of post-norm"
    value = draft.new_value.value if draft.new_value else None
    told = value.implies if value is not None else knob.implies
    implied = ChangeType(told) if told else None
    if decays(draft) or (quantity is None and starts_from_zero(draft, knob, reading)):
        implied = ChangeType.INCREASE  # "decay the value embeddings a little"
    return Evidence(
        verb=verb,
        quantity=quantity,
        old=draft.old,
        compared=draft.compared,
        hint=hint,
        implied=implied,
        current=(current or {}).get(knob.name),
    )


def lowered(draft: Draft, reading: Reading) -> ChangeType | None:
    """Return the verb of a draft: "drop the softcap to 10" lowers what "drop it" removes."""
    new = draft.quantity.new if draft.quantity else None
    if draft.verb is not ChangeType.REMOVE or draft.quantity is None or not (new and new.value):
        return draft.verb
    led = reading.tokens[max(draft.quantity.start - 1, 0)].lemma in LINKS
    return ChangeType.DECREASE if led else draft.verb


def expand(
    draft: Draft, knob: Concept, reading: Reading, index: Index
) -> Iterator[tuple[Draft, Concept]]:
    """Yield the knobs one draft is about: each beta of a pair, a level beside its schedule."""
    if knob.name == "optimizer.adam_betas":
        yield from betas_of(draft, index)
        return
    level = index.knobs.get(LEVELS.get(knob.name, ""))
    new = draft.quantity.new if draft.quantity else None
    if level is not None and level.minimum is not None:
        known = new is not None and new.value is not None and inside(level, new.value)
        yield draft, (level if known else knob)  # "RoPE 100K", but "RoPE on 50% of the dims"
        return
    share = new is not None and new.value is not None and 0 <= new.value <= 1
    share = share and draft.quantity is not None and near_level(draft, draft.quantity, reading)
    if new is not None and new.value == 0 and knob.name == "schedule.weight_decay":
        share = False  # "linear WD decay to zero" is where it ends
    if level is not None and new is not None and share and (new.unit != "%" or "lr" in knob.name):
        if knob.name != "schedule.lr_shape" or shaped(draft):
            yield replace(draft, quantity=None), knob
        yield draft, level
    else:
        yield draft, knob


def near_level(draft: Draft, quantity: Quantity, reading: Reading) -> bool:
    """Tell whether a number is the level of a schedule, not its rate or its floor."""
    gap = reading.tokens[draft.mention.end : quantity.start]
    return len(gap) < FAR and not any(token.lemma in {"with", "rate", "degree"} for token in gap)


def shaped(draft: Draft) -> bool:
    """Tell whether a name of the LR schedule names its curve, not only "LR decay"."""
    return draft.mention.rule.lower() not in CURVELESS


def betas_of(draft: Draft, index: Index) -> Iterator[tuple[Draft, Concept]]:
    """Split ``ADAM_BETAS (0.8, 0.95) -> (0.9, 0.95)``; a beta that stays is no change.

    Without an old pair the usual values (0.8, 0.95) stand for it: a text that repeats one of
    them changes the other.
    """
    new = draft.quantity.new if draft.quantity else None
    old = draft.quantity.old if draft.quantity else None
    if new is None or new.unit != "pair":
        yield draft, index.knobs[BETAS[0]]
        return
    olds: list[Token | None] = list(halves(old)) if old and old.unit == "pair" else [None, None]
    values = list(halves(new))
    for name, before, after in zip(BETAS, olds, values, strict=True):
        knob = index.knobs[name]
        usual = before.value if before else float(knob.reference or 0)
        if after.value != usual:
            yield replace(draft, quantity=Quantity(0, 0, new=after, old=before)), knob


def left(quantity: Quantity | None) -> Quantity | None:
    """Return the value of what is removed as its old one: "remove z-loss 1e-4"."""
    if quantity is None or quantity.paired or quantity.new is None or not quantity.new.value:
        return quantity
    return replace(quantity, old=quantity.new, new=None)


def claim_of(
    draft: Draft,
    knob: Concept,
    reading: Reading,
    lexicon: Lexicon,
    current: Mapping[str, float] | None,
) -> Claim:
    """Write one claim down."""
    evidence = evidence_of(draft, knob, reading, current)
    valued = draft.quantity is None or takes_values(draft, knob, reading)  # "to exactly zero"
    quantity = evidence.quantity if valued else None
    mention, kind = draft.mention, change_type(knob, evidence)
    old, new = draft.old_value, draft.new_value
    if kind is ChangeType.REMOVE:  # what is told of it is what it was: "drop flash-attn"
        quantity = left(quantity)
        old, new = (old or new), None
    return Claim(
        knob=knob.name,
        component=lexicon.component(knob.name),
        change_type=kind,
        old=source(knob, (quantity.old if quantity else None) or draft.old)
        or named(old, knob, reading),
        new=source(knob, quantity.new if quantity else None)
        or named(new, knob, reading)
        or shape_of(draft, knob, reading, lexicon),
        span=words_of(reading, mention)[1],
        method=mention.method,
        rule=mention.rule,
        score=0.9 if mention.weak else SCORES[mention.method],
        factor=quantity.factor if quantity else None,
    )
