"""What a message claims: text in, claims on knobs out, or an explicit unresolved.

normalise -> tokens and lemmas -> names (a spaCy SpanRuler, or the same table without spaCy) ->
patterns of terms -> quantities -> role by clause -> direction. Rules only, deterministic; a
text that none of them answers stays unresolved, with the three nearest knobs. Only where a
table of word vectors was built (kg.text_semantic) may it still answer among the diff's knobs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kg import text_match
from kg.lexicon import Lexicon, load
from kg.model import ChangeType
from kg.text_agree import agree
from kg.text_assemble import claims_of
from kg.text_binding import read
from kg.text_carry import lend_values
from kg.text_clauses import Opening, fuse, opening, segments
from kg.text_direction import Evidence, change_type, verb_class
from kg.text_doubt import reports
from kg.text_drafts import Draft, Reading
from kg.text_events import TAGS, UNDO, event_claim, settle_events
from kg.text_gloss import clear_winner, nearest, open_winner
from kg.text_match import Index, Span, index_of
from kg.text_model import Agreement, Claim, Resolution, Unresolved
from kg.text_optimizers import switched
from kg.text_outcomes import outcomes
from kg.text_roles import decide_roles, promote
from kg.text_settle import (
    settle_backends,
    settle_general,
    settle_kept,
    settle_results,
    settle_schedules,
    settle_sizes,
)
from kg.text_tokens import Token, tokenize
from kg.text_words import METRICS, NOTHING

if TYPE_CHECKING:
    from kg.text_semantic import Semantic

__all__ = [
    "Agreement",
    "Claim",
    "Resolution",
    "Unresolved",
    "agree",
    "resolve",
    "resolve_lines",
]


LONGEST = 4_000
"""Characters of a message that are read: its claims stand at the start, logs come after."""


def resolve(
    text: str,
    lexicon: Lexicon,
    *,
    candidates: Sequence[str] | None = None,
    current: Mapping[str, float] | None = None,
    engine: str = "spacy",
    semantic: Semantic | None = None,
) -> Resolution:
    """Return what one text claims.

    ``candidates`` are the knobs its diff touched: they decide between readings and let a
    definition answer where no name does. ``current`` are values of the file the text is about;
    they give a lone value its direction. ``engine`` is ``spacy`` (a SpanRuler) or ``light``
    (the same names without importing spaCy, for paths with a start-up bar); results are equal.
    ``semantic`` is a table of word vectors to ask where neither names nor definitions answer.
    """
    text = text[:LONGEST]
    start = opening(text)
    if start.foreign or start.tag in {"merge", "result", "results"}:
        return Resolution(lexicon_version=lexicon.version)
    tokens = shifted(tokenize(text[start.offset :]), start.offset)
    index = index_of(lexicon)
    spans = text_match.with_heads(names(tokens, lexicon, index, engine), tokens, index)
    tokens, spans = fuse(tokens, text_match.with_knobs(spans, tokens, candidates or (), lexicon))
    reading = read(tokens, spans, segments(tokens, spans), index)
    drafts = settled(reading, start)
    claims, doubtful = claims_of(drafts, reading, lexicon, index, candidates, current)
    claims = turned(settle_events(named_kinds(claims, text), start, drafts), start)
    if not claims and (not doubtful or tagged(start, tokens)):
        claims, doubtful = last_resort(text, start, tokens, lexicon, candidates, semantic)
    elif not claims:
        claims = seconded(text, start, tokens, lexicon, doubtful)
        doubtful = [] if claims else doubtful
    context = {draft.knob.name for draft in reading.drafts if not draft.claim}
    context -= {claim.knob for claim in claims}
    return Resolution(tuple(claims), tuple(doubtful), tuple(sorted(context)), lexicon.version)


def settled(reading: Reading, start: Opening) -> list[Draft]:
    """Decide what every name is to the text, in place; return the drafts that claim a change."""
    decide_roles(reading)
    promote(reading)
    settle_backends(reading)
    settle_sizes(reading)
    settle_kept(reading)
    settle_schedules(reading)
    settle_general(reading)
    settle_results(reading)
    lend_values(reading)
    drafts = [draft for draft in reading.drafts if draft.claim]
    undone = start.tag in UNDO or any(draft.knob.name == "other.unspecified" for draft in drafts)
    for draft in drafts:
        outcomes(reading, draft)
        if undone:  # "undo the last change of the softcap"
            draft.verb = ChangeType.REVERT
    return drafts


def tagged(start: Opening, tokens: Sequence[Token]) -> bool:
    """Tell whether a tag or the first word says what kind of edit it is: "fix ..."."""
    return start.tag in TAGS or (bool(tokens) and tokens[0].lemma in TAGS)


def named_kinds(claims: list[Claim], text: str) -> list[Claim]:
    """Give a switch of the optimizer the two it is between, as far as the text names them."""
    found = []
    for claim in claims:
        if claim.knob == "optimizer.kind" and claim.old is None and claim.new is None:
            old, new = switched(text)
            claim = replace(claim, old=old, new=new)
        found.append(claim)
    return found


def turned(claims: list[Claim], start: Opening) -> list[Claim]:
    """Turn the values of a quoted revert round: what it quotes is what it undoes."""
    if not start.quoted or start.tag not in UNDO:
        return claims
    return [replace(claim, old=claim.new, new=claim.old) for claim in claims]


def names(tokens: Sequence[Token], lexicon: Lexicon, index: Index, engine: str) -> tuple[Span, ...]:
    """Find the lexicon's names with the engine asked for."""
    if engine == "light":
        return text_match.find(tokens, index)
    from kg import text_spacy  # imports spaCy on first use

    return text_spacy.find(tokens, lexicon)


def shifted(tokens: Sequence[Token], offset: int) -> tuple[Token, ...]:
    """Move the tokens of a tail back to their place in the whole text."""
    if not offset:
        return tuple(tokens)
    return tuple(
        replace(token, start=token.start + offset, end=token.end + offset) for token in tokens
    )


def last_resort(
    text: str,
    start: Opening,
    tokens: Sequence[Token],
    lexicon: Lexicon,
    candidates: Sequence[str] | None,
    semantic: Semantic | None,
) -> tuple[list[Claim], list[Unresolved]]:
    """Answer a text without a name: by its tag, by what the diff's knobs mean, or not."""
    span = (start.offset, len(text))
    words = [token.lemma for token in tokens if token.kind == "word"]
    kind_of_edit = by_first_word(words, start, span)
    if kind_of_edit is not None:
        return [kind_of_edit], []
    if all(word in NOTHING or word in METRICS for word in words):
        return [], []
    ranked = nearest(tokens, lexicon, candidates)
    settled_by = clear_winner(ranked) if candidates else open_winner(tokens, ranked, lexicon)
    winner, method = settled_by, "gloss"
    if winner is None and semantic is not None:
        (closest, winner), method = semantic.answer(tokens, lexicon, candidates), "semantic"
        ranked = closest or ranked
    if winner is not None:
        return [by_words(winner, span, tokens, lexicon, method, ranked[0][1])], []
    return [], [Unresolved(text[start.offset :].strip(), span, ranked)]


def seconded(
    text: str,
    start: Opening,
    tokens: Sequence[Token],
    lexicon: Lexicon,
    doubtful: Sequence[Unresolved],
) -> list[Claim]:
    """Answer with a doubtful reading where the words of its knob cover the text as well."""
    ranked = nearest(tokens, lexicon)
    winner = open_winner(tokens, ranked, lexicon, seconds=True)
    if winner is None or all(winner != name for rest in doubtful for name, _ in rest.candidates):
        return []
    return [by_words(winner, (start.offset, len(text)), tokens, lexicon, "gloss", ranked[0][1])]


def by_words(
    knob: str,
    span: tuple[int, int],
    tokens: Sequence[Token],
    lexicon: Lexicon,
    method: str,
    score: float,
) -> Claim:
    """Claim a knob that no name but the whole text points to; its verb tells the kind."""
    kinds = [verb_class(token.lemma) for token in tokens if token.kind == "word"]
    told = {None, ChangeType.REVERT}  # "look further back" reverts nothing
    kind = next((kind for kind in kinds if kind not in told), None)
    concept = lexicon.knob(knob)
    if concept is not None:
        kind = change_type(concept, Evidence(verb=kind))
    kind = kind or ChangeType.REPLACE
    return Claim(knob, lexicon.component(knob), kind, None, None, span, method, "words", score)


def by_first_word(words: Sequence[str], start: Opening, span: tuple[int, int]) -> Claim | None:
    """Return the kind of edit a tag or a first word tells: fix, docs, revert, print."""
    undoes = start.tag in UNDO or any(verb_class(word) is ChangeType.REVERT for word in words[:2])
    event = "unspecified" if undoes else TAGS.get(start.tag or "".join(words[:1]))
    if event is not None:
        return event_claim(event, ChangeType.REVERT if undoes else ChangeType.NO_EFFECT, span)
    if not reports(words):
        return None
    knob, added = "evaluation.logging", ChangeType.ADD
    return Claim(knob, "evaluation", added, None, None, span, "lexicon", words[0], 0.8)


def resolve_lines(
    lines: Iterable[str], lexicon: Lexicon | None = None, *, engine: str = "spacy"
) -> Iterator[str]:
    """Resolve JSON lines ``{"id","text"}`` into ``{"id","records":[...]}`` lines.

    A line that cannot be read gives one ``{"line","error"}`` line and the rest goes on. Texts
    with words nobody could name carry ``unresolved`` with the nearest knobs.
    """
    lexicon = lexicon or load()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield json.dumps(resolved_line(number, line, lexicon, engine), ensure_ascii=False)


def resolved_line(number: int, line: str, lexicon: Lexicon, engine: str) -> dict[str, object]:
    """Resolve one line, or say what is wrong with it."""
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {"line": number, "error": f"line {number}: not JSON ({error}); one object a line"}
    if not isinstance(item, dict) or not isinstance(item.get("text"), str) or "id" not in item:
        return {"line": number, "error": f"line {number}: no 'id' and 'text'; give both"}
    found = resolve(item["text"], lexicon, engine=engine)
    result: dict[str, object] = {
        "id": item["id"],
        "records": [
            {
                "knob": claim.knob,
                "component": claim.component,
                "change_type": claim.change_type.value,
                "old": claim.old,
                "new": claim.new,
            }
            for claim in found.claims
        ],
    }
    if found.unresolved:
        result["unresolved"] = [
            {"text": rest.text, "candidates": [name for name, _ in rest.candidates]}
            for rest in found.unresolved
        ]
    return result
