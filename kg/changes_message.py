"""What a message tells about a change: that it is announced, what it is for, what it is called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, lru_cache
from typing import Final

from kg.changes_settings import STANDING
from kg.features import feature_knobs, features
from kg.fold import fold, number_of
from kg.knobs import component_of, is_unknown, rules
from kg.late import late
from kg.model import Change, ChangeType

# What a message says an edit without a knob is for; a first match wins.
PURPOSES: Final[tuple[tuple[re.Pattern[str], str, ChangeType], ...]] = (
    (late(r"\b(bug\s?fix|fix(es|ed)?|bug|hotfix)\b", re.I), "other.bugfix",
     ChangeType.NO_EFFECT),
    (late(r"\b(refactor\w*|wrap\w*|clean\w*|renam\w*|reorgani\w*|simplif\w*|guard|import\w*"
                r"|mov(e|ed|ing)|extract\w*|tidy|format\w*|lint\w*|reindent)\b", re.I),
     "other.refactor", ChangeType.NO_EFFECT),
    (late(r"\b(docs?|comments?|docstrings?|readme|typo)\b", re.I), "other.docs",
     ChangeType.NO_EFFECT),
    (late(r"\b(gpus?|cuda|mps|rocm|(?-i:Windows)|macos|port(ed|ing)?|support|fallback|environment"
                r"|setup|hardware|vram|oom|compat\w*)\b", re.I),
     "other.environment", ChangeType.NO_EFFECT),
)  # fmt: skip
# Words of knob names that a message leaves out.
FILLERS: Final = frozenset(
    {"ratio", "frac", "steps", "size", "sizes", "muon", "std", "base", "total"}
)
SYNONYMS: Final = {
    "attn": "attention", "emb": "embedding", "embed": "embedding", "embeds": "embedding",
    "embeddings": "embedding", "wte": "embedding", "wd": "decay", "ve": "value", "betas": "beta1",
    "activations": "activation", "dim": "width", "layers": "depth", "normalization": "norm",
    "norms": "norm", "schedules": "schedule", "initialization": "init",
}  # fmt: skip
WORD: Final = late(r"[a-z]+\d*|\d+(?:\.\d+)?(?:e-?\d+)?")
NAMELESS: Final = (".structure", ".stream", ".scheme", ".groups", ".update", "unspecified")
PLACED: Final = frozenset({"loss.function", "optimizer.gradient", "optimizer.loop", "data.loader"})


def is_nameless(knob: str) -> bool:
    """Tell whether a knob only says where code changed, not what: two edits blend into one."""
    return knob.endswith(NAMELESS)


def named_by(change: Change, message: str) -> Change:
    """Name an edit that the code places but does not name, by what its message calls it.

    The component stays the code's: only a knob of that component is taken, and only if the
    message has all the words of one knob and of no other. Without a component, the message
    can still state a purpose.
    """
    if change.knob in ("other.unspecified", "other.refactor"):
        if change.knob == "other.unspecified" and (name := idea_told(message)):
            return replace(change, knob=name, component=component_of(name))
        for pattern, knob, kind in PURPOSES:
            if pattern.search(message):
                return replace(change, knob=knob, change_type=kind)
    elif is_tidying(change, message):
        return replace(
            change, knob="other.refactor", component="other", change_type=ChangeType.NO_EFFECT
        )
    elif (is_nameless(change.knob) or is_place(change)) and FIXES.match(message):
        return replace(
            change, knob="other.bugfix", component="other", change_type=ChangeType.NO_EFFECT
        )
    elif message and is_nameless(change.knob):
        name = name_told(change, message) or idea_told(message)
        kind = ChangeType.REPLACE if name in STANDING else change.change_type
        named = replace(change, knob=name, component=component_of(name), change_type=kind)
        return named if name else change
    elif message and change.knob in PLACED and (name := idea_told(message)):
        return replace(change, knob=name, component=component_of(name))
    elif message and (built := built_on(change)) is not None:
        name = name_told(change, message)
        if name:
            return replace(change, knob=name, change_type=built, old=None, new=None)
    return change


def is_tidying(change: Change, message: str) -> bool:
    """Tell whether a message says of code that no knob accounts for that it does the same."""
    rewritten = change.old_span is not None and change.new_span is not None
    shown = change.knob == "evaluation.checkpoint_saving"  # by another name of the same file
    plain = rewritten and (shown or (change.old is None and change.new is None))
    return plain and TIDIES.match(message) is not None


def is_place(change: Change) -> bool:
    """Tell whether a change of the windows only says where code was rewritten, not to what."""
    return change.knob == "attention.window_sizes" and change.old is None and change.new is None


FIXES: Final = late(r"\W*(?:\w+(?:\([\w-]+\))?:?\s+)?(?:bug\s?)?fix(?:es)?\b", re.I)
TIDIES: Final = late(
    r"\W*(?:\w+(?:\([\w-]+\))?:\s*)?(?:refactor|clean|renam|tid(?:y|ied)|reformat|reorgani)", re.I
)


def name_told(change: Change, message: str) -> str:
    """Return the one knob near a change that a message names, "" if it names none or several.

    All the words of a knob's name count most, then what people call it ("talking heads").
    """
    near = {change.component, *BESIDE.get(change.knob, ())}
    nearby = [k for k in known_knobs() if component_of(k) in near and k not in (change.knob, *READ)]
    told, text = words_of(message), plain_text(message)
    by_words = [
        knob
        for knob in nearby
        if (wanted := knob_words(knob))
        and component_of(knob) == change.component
        and all(any(alike(word, other) for other in told) for word in wanted)
    ]
    if len(by_words) == 1:
        return by_words[0]
    by_label = [
        knob
        for knob in nearby
        if not is_nameless(knob)
        and not (change.old is change.new is None and is_amount(knob))
        and (labels := labels_of(knob))
        and labels.search(text)
    ]
    return by_label[0] if len(by_label) == 1 and not by_words else ""


def is_amount(knob: str) -> bool:
    """Tell whether a knob is a number and nothing else: code without a number does not set it."""
    from kg.lexicon import load_shipped  # with its tokens; most edits come without a message

    concept = load_shipped().knob(knob)
    return concept is not None and concept.value_kind == "number"


def idea_told(message: str) -> str:
    """Return the one idea that a message calls by name, wherever its code is: "Hebbian update"."""
    text = plain_text(message)
    told = {k for k in feature_knobs() if (labels := labels_of(k)) and labels.search(text)}
    told = told - {"loss.auxiliary"} or told  # what a term is for, it may say besides
    return told.pop() if len(told) == 1 else ""


# What the reader tells from any code: edits that leave these alone are about something else.
READ: Final = ("mlp.activation", "mlp.expansion")
# Code of the whole model's forward pass is about what flows into it and out of it as well.
BESIDE: Final = {
    "residual.stream": ("embedding", "position"),
    "embedding.structure": ("residual", "position"),
}


def built_on(change: Change) -> ChangeType | None:
    """Return how a change puts a term on an activation, or takes one off; None for another one."""
    if change.knob != "mlp.activation" or not change.old or not change.new:
        return None
    root = re.match(r"[a-z_]+", change.old)
    if root is None or root.group() not in change.new:
        return None
    times = [value.count(root.group()) for value in (change.old, change.new)]
    if times[0] != times[1] and 1 in times:
        return ChangeType.ADD if times[1] > 1 else ChangeType.REMOVE
    short, long = sorted((change.old, change.new), key=len)
    if not re.match(rf"{re.escape(short)}[-+*/]|.*\({re.escape(short)}\)", long):
        return None
    return ChangeType.ADD if long == change.new else ChangeType.REMOVE


@cache
def known_knobs() -> tuple[str, ...]:
    """Return every knob that has a name of its own."""
    found = {*rules().names.values(), *rules().switches, *(rule.knob for rule in features())}
    return tuple(sorted(found))


def alike(word: str, other: str) -> bool:
    """Compare two words by their stems: `sparsity` and `sparse`."""
    return word == other or (min(len(word), len(other)) > 4 and word[:5] == other[:5])


def words_of(text: str) -> set[str]:
    """Return the words of a message, synonyms made one."""
    plain = text.lower().replace("_", " ")
    return {SYNONYMS.get(word, word) for word in WORD.findall(plain)}


def knob_words(knob: str) -> set[str]:
    """Return the words of a knob that a message about it has."""
    *owners, last = knob.split(".")
    words = {SYNONYMS.get(word, word) for word in last.split("_")} - FILLERS
    if len(owners) > 1 or last in ("scale", "total", "device", "structure"):
        words.add(SYNONYMS.get(owners[-1].split("_")[-1], owners[-1].split("_")[-1]))
    return words


def is_announced(change: Change, message: str, beside: Iterable[Change] = ()) -> bool:
    """Tell whether a message mentions a change: its source name, its values, or its words.

    What it says of a change ``beside`` is not said of this one: "lm_head weight decay" is not
    the matrices'.
    """
    text = " ".join(message.lower().replace("_", " ").split())
    own = spoken(change.knob, message)
    taken = [spoken(other.knob, message) for other in beside if other.knob != change.knob]
    name = change.path.lower().replace("_", " ").partition("[")[0]
    if len(name) > 3 and re.search(rf"\b{re.escape(name)}\b", text) and not within(name, taken):
        return True
    values = {str(value).lower().strip("'\"") for value in (change.old, change.new) if value}
    if len(values) == 2 and all(stands_in(value, text) for value in values):
        return True
    if is_unknown(change.knob) and (heads := name.split()[:2])[1:] and " ".join(heads) in text:
        return True  # `VALUE_MIX_FIRST` is the value mix's
    if has_value(change, text, beside):
        return True
    words, told = knob_words(change.knob), words_of(message)
    initial = change.component != "initialization" or not told.isdisjoint(INITIAL)
    if words and words <= told and initial:
        return bool(own) or not any(words <= words_of(phrase) for phrase in taken)
    return bool(own) and not within(own, taken)


def names_only_old(change: Change, message: str) -> bool:
    """Tell whether a message has the word for what is given up, and none for what takes its place.

    Of numbers only words count: a number may be another knob's.
    """
    old, new = (str(value or "").lower().strip("'\"") for value in (change.old, change.new))
    text = message.lower()
    return WORD_VALUE.match(old) is not None and stands_in(old, text) and not stands_in(new, text)


WORD_VALUE: Final = re.compile(r"[a-z][\w^+-]{2,}$")


def has_value(change: Change, text: str, beside: Iterable[Change]) -> bool:
    """Tell whether a text has the number that a knob is set to, and no other change has."""
    number = number_in(change.new)
    if number is None or number in (0, 1):
        return False
    others = {number_in(v) for c in beside if c.knob != change.knob for v in (c.old, c.new)}
    return number not in others and any(
        float(n) == number for n in NUMBERS.findall(COUNTED.sub("", text))
    )


def number_in(value: str | None) -> float | None:
    """Return the number that a literal is."""
    return number_of(fold(value)) if value else None


# The number of an experiment says nothing of a value.
COUNTED: Final = late(r"\b(exp\w*|runs?|iter\w*|try|trial|round)\W*#?\d+|#\d+")
NUMBERS: Final = late(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.]*\w)")


# Words that tell an initial value from whatever else is said of the same weights.
INITIAL: Final = frozenset({"init", "std", "scale", "scaled", "normal", "uniform", "zero", "s"})


def within(name: str, phrases: Iterable[str]) -> bool:
    """Tell whether a name is only a part of what a message says."""
    return any(name != phrase and name in phrase for phrase in phrases)


def spoken(knob: str, message: str) -> str:
    """Return what a message calls a knob or one of its values, "" if it does not."""
    labels = labels_of(knob)
    match = labels.search(plain_text(message)) if labels is not None else None
    return match.group() if match else ""


def plain_text(message: str) -> str:
    """Return a message as the labels of the lexicon are compared with it."""
    return " ".join(message.lower().replace("_", " ").replace("-", " ").split())


@lru_cache(maxsize=1024)
def labels_of(knob: str) -> re.Pattern[str] | None:
    """Return a pattern of what people call a knob or one of its values: GQA, VE on all layers."""
    from kg.lexicon import load_shipped  # with its tokens; most edits come without a message

    lexicon = load_shipped()
    values = (c for c in lexicon.concepts.values() if c.kind == "value" and c.broader == knob)
    concept = lexicon.knob(knob)
    named = (concept, *values) if concept is not None else tuple(values)
    plain = {plain_text(label) for found in named for label in found.labels}
    if not plain:
        return None
    longest = sorted(plain, key=len, reverse=True)
    return re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, longest))})(?![\w.])")


def stands_in(value: str, text: str) -> bool:
    """Tell whether a text has a value as a word of its own."""
    return re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", text) is not None
