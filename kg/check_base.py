"""What a proposal is compared with: the accepted settings of the campaign it is for."""

from __future__ import annotations

from kg import vocab
from kg.board import Board
from kg.check_ideas import settings_of
from kg.graph import Graph
from kg.terms import LAB
from kg.vocab import Value


def current_settings(graph: Graph, board: Board | None, accepted: str | None) -> dict[str, Value]:
    """Return the settings that are accepted now: of the file, else of what the memory knows.

    Where diffs are lost, the values that kept experiments told stand in for the settings; where
    nothing was kept yet, the campaign's first version is what edits start from.
    """
    if accepted:
        return settings_of(accepted)
    if board is None:
        return {}
    if board.accepted is None:
        return next(filter(None, (graph.settings(row.name) for row in board.rows)), {})
    told: dict[str, Value] = {}
    for row in board.rows:
        if row.kept:
            pairs = board.pairs.get(row.name, ())
            told.update({key.knob: t.new for key, t in pairs if t.new is not None})
    return {**told, **graph.settings(board.accepted.name)}


def home_of(
    graph: Graph, campaign: str | None, source: str | None, accepted: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """Return the campaign a proposal is held against, and a note where nobody named it.

    A file alone is held against the campaign whose accepted settings it differs from least:
    else the whole of it would read as an edit, and no attempt sets all of it.
    """
    if campaign or accepted or not source:
        return campaign, ()
    mine, found = settings_of(source), []
    for tag in graph.campaigns():
        node = vocab.campaign(tag)
        start = graph.value(node, LAB.accepted) or graph.value(node, LAB.baseline)
        if start is not None:
            held = graph.settings(start)
            found.append((sum(held.get(knob) != value for knob, value in mine.items()), tag))
    if not found:
        return None, ()
    _, tag = min(found)
    return tag, (f"no campaign was given: held against {tag}, whose settings are nearest",)
