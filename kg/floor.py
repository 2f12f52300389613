"""The measured noise floor of a campaign as triples.

A floor is told by whoever measured it (`nightlab noise`), not derived from experiments: it has
no place in their order and holds for every answer about its campaign, as-of ones included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyoxigraph import Literal, NamedNode, Quad, Store

from kg import vocab
from kg.errors import KgError
from kg.load import subjects
from kg.quads import about, double, text
from kg.record import NoiseFloor
from kg.terms import LAB, RDF


def floor_quads(floors: Iterable[NoiseFloor]) -> Iterator[Quad]:
    """Yield the floors of campaigns; the last one of each is what its effects are held against.

    Raises:
        KgError: A floor is no number above or equal to zero.
    """
    current: dict[str, NoiseFloor] = {}
    for floor in floors:
        if not 0.0 <= floor.floor <= floor.threshold < float("inf"):
            raise KgError(
                f"noise of campaign {floor.campaign!r}: floor {floor.floor!r} and threshold"
                f" {floor.threshold!r} are no spread; measure it again"
            )
        current[floor.campaign] = floor
        yield from about(node_of(floor), described(floor))
    for tag, floor in current.items():
        yield Quad(vocab.campaign(tag), LAB.noiseThreshold, Literal(floor.threshold + 0.0))


def node_of(floor: NoiseFloor) -> NamedNode:
    """Return the IRI of a floor: one per campaign and condition it was measured under."""
    under = (floor.metric, floor.device, floor.manifest, floor.profile)
    return vocab.part(vocab.campaign(floor.campaign), "noise", *(word or "-" for word in under))


def described(floor: NoiseFloor) -> list[tuple[NamedNode, NamedNode | Literal | None]]:
    """Return what is said of a floor."""
    return [
        (RDF.type_, LAB.NoiseFloor),
        (LAB.floorIn, vocab.campaign(floor.campaign)),
        (LAB.metric, text(floor.metric)),
        (LAB.device, text(floor.device)),
        (LAB.manifest, text(floor.manifest)),
        (LAB.profile, text(floor.profile)),
        (LAB.deviation, double(floor.floor)),
        (LAB.threshold, double(floor.threshold)),
        (LAB.runs, Literal(floor.runs)),
    ]


def stale_quads(store: Store, tag: str) -> set[Quad]:
    """Return what the graph says of a campaign's floors so far."""
    campaign = vocab.campaign(tag)
    found = set(store.quads_for_pattern(campaign, LAB.noiseThreshold, None))
    for node in subjects(store, LAB.floorIn, campaign):
        found |= set(store.quads_for_pattern(node, None, None))
    return found
