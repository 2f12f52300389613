"""The lexicon: what people call a knob, read from lexicon.ttl and the user's aliases.toml.

Parsed with pyoxigraph (4,000 triples in 6 ms); rdflib takes 100 ms to import alone. There is
no generated file beside the Turtle, so nothing can drift.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path

from kg.errors import LexiconError
from kg.knobs import rules
from kg.text_tokens import key_of

SPACE = "https://w3id.org/nightlab/"
SCHEME = SPACE + "lexicon"
KINDS = ("component", "knob", "term", "value")
SHIPPED = "kg/lexicon.ttl"
ALIASES = "NIGHTLAB_ALIASES"  # environment variable: the user's aliases.toml


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept of the lexicon: a component, a knob, a value of a knob, or a term.

    ``name`` is the last part of its IRI (``optimizer.matrix_lr``); ``patterns`` are tuples of
    term names, the head first; ``user`` are the labels that come from aliases.toml.
    """

    kind: str  # component | knob | term | value
    name: str
    label: str = ""
    alt: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    definition: str = ""
    broader: str = ""  # name of the component of a knob, of the knob of a value
    value_kind: str = "number"  # number | term | switch | choice | event
    patterns: tuple[tuple[str, ...], ...] = ()
    weak_patterns: tuple[tuple[str, ...], ...] = ()
    reference: str | None = None
    unit: str = ""
    implies: str | None = None
    minimum: float | None = None
    maximum: float | None = None

    @property
    def iri(self) -> str:
        """The concept's IRI."""
        return f"{SPACE}{self.kind}/{self.name}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Every name that stands alone: the preferred label, the others, the user's."""
        return (self.label, *self.alt, *self.user)


@dataclass(frozen=True, eq=False)
class Lexicon:
    """All concepts, and a hash of them: two lexicons of one version resolve alike."""

    concepts: Mapping[tuple[str, str], Concept]  # (kind, name) -> concept
    version: str
    sources: Mapping[tuple[str, ...], str] = field(default_factory=dict)  # label key -> source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lexicon) and other.version == self.version

    def __hash__(self) -> int:
        return hash(self.version)

    @property
    def knobs(self) -> tuple[Concept, ...]:
        """Every knob, by name."""
        return tuple(concept for concept in self.concepts.values() if concept.kind == "knob")

    def knob(self, name: str) -> Concept | None:
        """Return one knob, None if the lexicon does not know it."""
        return self.concepts.get(("knob", name))

    def component(self, knob: str) -> str:
        """Return the component of a knob; of an unknown one by its prefix, else ``other``."""
        known = self.knob(knob)
        if known is not None:
            return known.broader
        prefix = PREFIXES.get(knob.partition(".")[0], knob.partition(".")[0])
        return prefix if ("component", prefix) in self.concepts else "other"

    def label(self, knob: str) -> str:
        """Return a knob's preferred label; an unknown knob is its own name."""
        known = self.knob(knob)
        return known.label if known is not None else knob


PREFIXES = {"init": "initialization", "precision": "precision_compile", "model": "model_size"}
"""Knob prefixes that are not themselves the name of a component."""


def load(aliases: Path | None = None) -> Lexicon:
    """Return the shipped lexicon, with the user's aliases merged over it.

    Without a path, NIGHTLAB_ALIASES names the file: it reaches the processes of an import too.
    Raises LexiconError where an alias names two concepts or an unknown knob.
    """
    shipped = load_shipped()
    if aliases is None and os.environ.get(ALIASES):
        aliases = Path(os.environ[ALIASES])
    if aliases is None or not aliases.is_file():
        return shipped
    return merge(shipped, read_aliases(aliases), str(aliases))


@lru_cache(maxsize=1)
def load_shipped() -> Lexicon:
    """Parse the package's lexicon.ttl and add the source names of knobs.toml to it."""
    lexicon = parse(resources.files("kg").joinpath("lexicon.ttl").read_bytes())
    return named_in_source(lexicon, rules().names)


def named_in_source(lexicon: Lexicon, names: Mapping[str, str]) -> Lexicon:
    """Let a knob's names in code (``hidden_lr``, ``attn_pdrop``) name it in text as well.

    Only names of several words: ``dim``, ``base`` or ``eta`` alone say too little in a
    sentence. A name the lexicon gives to something else stays with that, a term included
    ("batch size" is the device's or the total, by its value).
    """
    concepts, sources = dict(lexicon.concepts), dict(lexicon.sources)
    terms = (concept for concept in concepts.values() if concept.kind == "term")
    taken = {key_of(label) for term in terms for label in term.labels}
    for name, knob in sorted(names.items()):
        concept, key = concepts.get(("knob", knob)), key_of(name)
        if concept is not None and "_" in name and key not in sources and key not in taken:
            sources[key] = knob
            concepts["knob", knob] = replace(concept, alt=(*concept.alt, name))
    return Lexicon(concepts, version_of(concepts.values()), sources)


def parse(turtle: bytes) -> Lexicon:
    """Build a lexicon from SKOS in Turtle.

    Raises LexiconError if it does not parse or if one label names two knobs.
    """
    import pyoxigraph  # 24 ms, only where labels are needed

    facts: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    try:
        for subject, said, value, _ in pyoxigraph.parse(turtle, pyoxigraph.RdfFormat.TURTLE):
            key = key_in(str(getattr(subject, "value", "")))
            if key is not None:
                written = str(getattr(value, "value", ""))
                facts[key][said.value.rpartition("#")[2]].append(written)
    except SyntaxError as error:
        raise LexiconError(f"{SHIPPED}: not valid Turtle ({error}); mend the file") from error
    concepts = {key: concept_of(*key, facts[key]) for key in sorted(facts)}
    return Lexicon(concepts, version_of(concepts.values()), sources_of(concepts.values()))


@lru_cache(maxsize=2_000)
def key_in(about: str) -> tuple[str, str] | None:
    """Return kind and name of a concept's IRI; None for any other."""
    kind, _, name = about.removeprefix(SPACE).partition("/")
    return (kind, name) if about.startswith(SPACE) and kind in KINDS else None


def concept_of(kind: str, name: str, facts: Mapping[str, list[str]]) -> Concept:
    """Build one concept from its properties."""

    def one(predicate: str) -> str | None:
        return next(iter(facts.get(predicate, ())), None)

    def patterns(predicate: str) -> tuple[tuple[str, ...], ...]:
        return tuple(sorted({tuple(text.split()) for text in facts.get(predicate, ())}))

    low, high = one("minimum"), one("maximum")
    return Concept(
        kind=kind,
        name=name,
        label=one("prefLabel") or name,
        alt=tuple(sorted(facts.get("altLabel", ()))),
        hidden=tuple(sorted(facts.get("hiddenLabel", ()))),
        definition=one("definition") or "",
        broader=(one("broader") or "").removeprefix(SPACE).partition("/")[2],
        value_kind=one("valueKind") or "number",
        patterns=patterns("pattern"),
        weak_patterns=patterns("weakPattern"),
        reference=one("reference"),
        unit=one("unit") or "",
        implies=one("implies"),
        minimum=None if low is None else float(low),
        maximum=None if high is None else float(high),
    )


def version_of(concepts: Iterable[Concept]) -> str:
    """Return a short hash of everything that decides how text is resolved."""
    text = "\n".join(repr(concept) for concept in concepts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sources_of(concepts: Iterable[Concept]) -> dict[tuple[str, ...], str]:
    """Map every label that stands alone to the concept it names.

    Terms are left out: they only act inside patterns and may share a word. Raises LexiconError
    if one label names two knobs or values.
    """
    owners: dict[tuple[str, ...], str] = {}
    for concept in concepts:
        if concept.kind not in {"knob", "value"}:
            continue
        for label in concept.labels:
            owner = owners.setdefault(key_of(label), concept.name)
            if owner != concept.name:
                raise LexiconError(
                    f"{SHIPPED}: {label!r} names both {owner} and {concept.name};"
                    " take it from one of them"
                )
    return owners


def read_aliases(path: Path) -> list[dict[str, str]]:
    """Read ``[[alias]]`` tables with ``alias``, ``knob`` and, if wanted, ``note``.

    Raises LexiconError for a file that is not TOML or a table that lacks a key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("alias", [])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LexiconError(f"{path}: not valid TOML ({error}); mend or delete it") from error
    tables = tables if isinstance(tables, list) else [tables]
    for position, table in enumerate(tables, start=1):
        if not isinstance(table, dict) or not all(
            isinstance(table.get(key), str) and table[key].strip() for key in ("alias", "knob")
        ):
            raise LexiconError(f"{path}: alias {position}: needs an 'alias' and a 'knob'; add them")
    return [{key: str(value) for key, value in table.items()} for table in tables]


def merge(lexicon: Lexicon, aliases: Iterable[Mapping[str, str]], source: str) -> Lexicon:
    """Return the lexicon with the user's aliases added to their knobs.

    Raises LexiconError naming both sources where an alias already means something else.
    """
    concepts = dict(lexicon.concepts)
    owners = {key: (name, SHIPPED) for key, name in lexicon.sources.items()}
    for alias in aliases:
        text, knob = alias["alias"].strip(), alias["knob"].strip()
        concept = concepts.get(("knob", knob))
        if concept is None:
            raise LexiconError(
                f"{source}: {text!r}: no knob named {knob!r}; `nightlab kg schema` lists knobs"
            )
        key = key_of(text)
        if not any(map(is_word, key)):
            raise LexiconError(f"{source}: {text!r}: holds no word; write the phrase people use")
        name, where = owners.get(key, (knob, source))
        if name != knob:
            raise LexiconError(
                f"{source}: {text!r} is {knob} here but {name} in {where}; remove one of them"
            )
        owners[key] = (knob, where)
        if text not in concept.labels:
            concepts["knob", knob] = replace(concept, user=tuple(sorted({*concept.user, text})))
    sources = {key: name for key, (name, _) in owners.items()}
    return Lexicon(concepts, version_of(concepts.values()), sources)


def is_word(part: str) -> bool:
    """Tell whether a part of a label is a word: as a name, a number would be in every message.

    >>> [is_word(part) for part in ("wd", "fp8", "12", "<n>", "x")]
    [True, True, False, False, False]
    """
    letters = sum(character.isalpha() for character in part)
    return not part.startswith("<") and (letters > 1 or (letters > 0 and not part.isascii()))
