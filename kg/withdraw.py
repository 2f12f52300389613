"""Taking back what an earlier record of an experiment said, where a newer one replaces it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pyoxigraph import NamedNode, Quad, Store

from kg import vocab
from kg.derive import Patch
from kg.errors import KgError
from kg.terms import COMPONENTS, KNOBS, LAB, THINGS
from kg.vocabulary import LABELS

# What a step says of an experiment: replaced by telling the campaign anew, not from here.
DERIVED = frozenset(
    {
        LAB.outcome,
        LAB.delta,
        LAB.comparedWith,
        LAB.previous,
        LAB.bestBefore,
        LAB.bestBeforeBy,
        LAB.reverts,
        LAB.repeats,
        LAB.countedIn,
        LAB.verdict,
        LAB.inferred,
    }
)
SHARED = tuple(THINGS + kind for kind in ("agent/", "task/", "metric/"))


def require_campaign(store: Store, name: str, tag: str) -> None:
    """Refuse to move an experiment to another campaign.

    Raises:
        KgError: The graph has an experiment of this name in another campaign.
    """
    for quad in store.quads_for_pattern(vocab.experiment(name), LAB.inCampaign, None):
        if quad.object != vocab.campaign(tag):
            known: Any = quad.object
            raise KgError(
                f"experiment {name!r}: is in campaign {vocab.name_of(known)!r}, not {tag!r};"
                " names are unique in one memory, rename it or rebuild"
            )


def withdraw(store: Store, name: str, patch: Patch) -> set[NamedNode]:
    """Remove what an experiment's earlier record said and the new one does not.

    Returns the shared nodes it mentioned: they may be of no use any more.
    """
    mentioned: set[NamedNode] = set()
    node = vocab.experiment(name)
    inferred = any(store.quads_for_pattern(node, LAB.inferred, None))
    for quad in owned(store, node):
        if inferred and quad.predicate.value.startswith(KNOBS):
            mentioned.add(quad.predicate)
        elif quad.predicate not in DERIVED and not patch.after.get(quad):
            patch.remove([quad])
            mentioned.update(shared(quad))
    return mentioned


def owned(store: Store, node: NamedNode) -> Iterator[Quad]:
    """Yield the quads of an experiment and of everything whose IRI begins with its own."""
    for quad in store.quads_for_pattern(node, None, None):
        yield quad
        part = quad.object
        if isinstance(part, NamedNode) and part.value.startswith(node.value + "/"):
            yield from store.quads_for_pattern(part, None, None)


def shared(quad: Quad) -> Iterator[NamedNode]:
    """Yield the nodes in a quad that other experiments may mention too."""
    for node in (quad.predicate, quad.object):
        if isinstance(node, NamedNode) and node.value.startswith((KNOBS, COMPONENTS, *SHARED)):
            yield node


def orphans(store: Store, mentioned: Iterable[NamedNode]) -> list[Quad]:
    """Return the descriptions of nodes that nothing mentions any more.

    The labels of the lexicon stay: they are there whether a knob was ever used or not.
    """
    found: list[Quad] = []
    for node in sorted(mentioned, key=lambda n: (n.value.startswith(COMPONENTS), n.value)):
        by_object = set(store.quads_for_pattern(None, None, node)).difference(found)
        labels = {quad for quad in by_object if quad.predicate in LABELS}
        if by_object - labels or any(store.quads_for_pattern(None, node, None)):
            continue
        found += [
            quad
            for quad in store.quads_for_pattern(node, None, None)
            if quad.predicate not in LABELS
        ]
    return found
