"""Why a free query is slow or does not parse, judged by its shape: one sentence for its author.

Each shape was measured on pyoxigraph: a product of patterns, NOT EXISTS beside a GROUP BY (24 s at
1,000 experiments), two paths that meet (16 s at 10,000), two subjects with predicates left open
(28 s in one campaign), intervals joined by a FILTER (12 s at 100,000).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from kg.sparql_tokens import Token, tokens

MOST_PATTERNS: Final = 200  # of hostile text no more are compared
AFTER_GROUP: Final = frozenset({"ORDER", "GROUP", "HAVING", "LIMIT", "OFFSET"})
WITH_EXPRESSION: Final = frozenset({"FILTER", "BIND"})
SLASH: Final = re.compile(r"\bid:[\w.%-]+/")


@dataclass(slots=True)
class Pattern:
    """One triple pattern: its terms as they are written, a path as one text."""

    subject: str
    predicate: str = ""
    objects: list[str] = field(default_factory=list)

    @property
    def variables(self) -> set[str]:
        """Return the variables that join it with others."""
        return {t for t in (self.subject, self.predicate, *self.objects) if t[:1] in "?$"}


def hint(text: str, *, stopped: bool = True) -> str:
    """Return what to do about a query that was stopped or does not parse, "" if nothing known.

    >>> hint("SELECT * { ?a lab:seq ?x . ?b lab:seq ?y }")[:41]
    'nothing joins ?a with ?b: every pair is a'
    >>> hint("SELECT ?n { id:campaign/mar8 lab:name ?n }", stopped=False)[:29]
    'a / ends a prefixed name; wri'
    """
    if not stopped:
        return MEND_SLASH if SLASH.search(text) else ""
    found = list(patterns(text))
    words = " ".join(token.text.upper() for token in tokens(text) if token.kind == "word")
    known = [apart(found), grouped(words)]
    if words.count("SELECT") < 3:  # else each side is summed up by itself already
        known += [meeting(found), open_predicates(found)]
    known += [intervals(found), unscoped(found)]
    return next((sentence for sentence in known if sentence), "")


MEND_SLASH: Final = (
    "a / ends a prefixed name; write such an IRI in full,"
    " as in <https://w3id.org/nightlab/id/campaign/TAG>"
)


def apart(found: list[Pattern]) -> str:
    """Tell of patterns that share no variable with the others."""
    groups: list[tuple[str, set[str]]] = []
    for pattern in found:
        names = pattern.variables
        if not names:
            continue
        touching = [group for group in groups if group[1] & names]
        groups = [group for group in groups if not group[1] & names]
        first = touching[0][0] if touching else min(names, key=lambda n: n != pattern.subject)
        groups.append((first, names.union(*(group[1] for group in touching))))
    if len(groups) < 2:
        return ""
    one, other = sorted(group[0] for group in groups)[:2]
    return (
        f"nothing joins {one} with {other}: every pair is a row; let them share a variable,"
        " or sum each up in a sub-SELECT of its own"
    )


def grouped(words: str) -> str:
    """Tell of NOT EXISTS beside a GROUP BY."""
    if "NOT EXISTS" not in words or "GROUP BY" not in words:
        return ""
    return (
        "NOT EXISTS is asked for every row of a group; ask once a group, with"
        ' HAVING (SUM(IF(?outcome = "improved", 1, 0)) = 0)'
    )


def meeting(found: list[Pattern]) -> str:
    """Tell of two transitive paths that end in one variable."""
    paths = [p for p in found if p.predicate.endswith(("+", "*")) and p.objects]
    for one, other in combinations(paths, 2):
        if set(one.objects) & set(other.objects):
            end = one.objects[0]
            return f"two paths meet in {end}; put each into a sub-SELECT of its own"
    return ""


def open_predicates(found: list[Pattern]) -> str:
    """Tell of two subjects compared over all predicates: 24 s, and 13 ms as it should be."""
    subjects = {p.subject for p in found if p.predicate[:1] in ("?", "$")}
    if len([name for name in subjects if name[:1] in ("?", "$")]) < 2:
        return ""
    return "predicates are left open for two subjects; put each into a sub-SELECT of its own"


def intervals(found: list[Pattern]) -> str:
    """Tell of experiments matched to regimes by their numbers."""
    used = {p.predicate for p in found}
    if "lab:seq" not in used or not used & {"lab:fromSeq", "lab:untilSeq"}:
        return ""
    return (
        "regimes are joined by a FILTER; the setting hangs on each experiment,"
        " as in ?experiment knob:model.depth ?value"
    )


def unscoped(found: list[Pattern]) -> str:
    """Tell of a query that reads all campaigns."""
    if any(p.predicate.endswith(("inCampaign", "In")) for p in found):
        return ""
    return (
        "it reads every campaign; name one with ?experiment lab:inCampaign, or read the kept"
        " sums, lab:Evidence with lab:evidenceIn id:everything"
    )


def patterns(text: str) -> Iterator[Pattern]:
    """Yield the triple patterns of a query, roughly: what cannot be read is passed over."""
    found = list(tokens(text))
    place, count = 0, 0
    pattern: Pattern | None = None
    while place < len(found) and count < MOST_PATTERNS:
        token = found[place]
        word = token.text.upper() if token.kind == "word" else ""
        if word == "SELECT":
            place = after(found, place, "{") - 1
        elif word in WITH_EXPRESSION:
            place = balanced(found, place)
        elif word == "VALUES":
            place = balanced(found, after(found, place, "{") - 2)
        elif word in AFTER_GROUP or word == "PREFIX":
            place = next_group(found, place)
        elif token.text in ("{", "}", ".") or (word and word != "A"):
            pattern, place = None, place + 1
        elif token.text == ";" and pattern:
            pattern, place = Pattern(pattern.subject), place + 1
        elif pattern is None:
            pattern, place = Pattern(token.text), place + 1
        elif not pattern.predicate:
            pattern.predicate, place = path(found, place)
        else:
            if token.text != ",":
                pattern.objects.append(token.text)
                if len(pattern.objects) == 1:
                    count += 1
                    yield pattern
            place += 1


def path(found: list[Token], place: int) -> tuple[str, int]:
    """Return a property path and the place after it."""
    text, depth = "", 0
    while place < len(found):
        token = found[place]
        joins = token.text in ("/", "|", "^", "!") or depth or token.text in ("(", ")")
        ended = bool(text) and text[-1] not in "/|^!("
        if ended and not joins and token.text not in ("+", "*", "?"):
            break
        depth += (token.text == "(") - (token.text == ")")
        text, place = text + token.text, place + 1
    return text, place


def after(found: list[Token], place: int, mark: str) -> int:
    """Return the place after the next mark."""
    while place < len(found) and found[place].text != mark:
        place += 1
    return place + 1


def balanced(found: list[Token], place: int) -> int:
    """Return the place after the next group in brackets."""
    depth = 0
    for at in range(place + 1, len(found)):
        depth += (found[at].kind == "open") - (found[at].kind == "close")
        if depth == 0 and found[at].kind == "close":
            return at + 1
    return len(found)


def next_group(found: list[Token], place: int) -> int:
    """Return the place of the next brace, or of the next SELECT."""
    while place < len(found) and found[place].text.upper() not in ("{", "}", "SELECT"):
        place += 1
    return place
