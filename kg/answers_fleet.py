"""Answers over all campaigns at once; as of an experiment they are told from the boards."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import Any

from kg import vocab
from kg.answering import Rows, limited, within_noise
from kg.board import Board
from kg.entries import Scale
from kg.errors import BadArgument
from kg.load import cut
from kg.outcome import difference
from kg.query import Asked
from kg.standing import Leader, Share, Standing, standing_of, standings
from kg.terms import LAB, PROV
from kg.vocab import Value


def stood(asked: Asked) -> list[Standing]:
    """Return where each campaign asked about stands, as of the experiment asked for."""
    if asked.campaign is None and asked.as_of is None:
        return standings(asked.graph.store)
    return [standing_of(board) for board in asked.boards()]


def leaders(asked: Asked) -> list[dict[str, Any]]:
    """Return the best experiment of each campaign, the metric most campaigns use first."""
    if asked.given("date"):
        found = [standing_of(begun_by(asked, board)) for board in asked.boards()]
    else:
        found = stood(asked)
    rows = [
        {**leader._asdict(), "campaign": standing.campaign}
        for standing in found
        for leader in standing.leaders
    ]
    common = Counter(row["metric"] for row in rows)
    return sorted(rows, key=lambda row: (-common[row["metric"]], *rank(row)))


def begun_by(asked: Asked, board: Board) -> Board:
    """Return a board as of the last experiment begun by the date asked for.

    Raises:
        BadArgument: It is no date.
    """
    text = asked.text("date")
    try:
        until = moment(text)
    except ValueError:
        where = f"question {asked.question.name!r}"
        raise BadArgument(
            f"{where}: date={text!r} is none; write 2026-03-08 or 2026-03-08T23:00:00Z"
        ) from None
    for row in reversed(board.rows):
        begun = asked.graph.value(vocab.experiment(row.name), PROV.startedAtTime)
        if begun is not None and datetime.fromisoformat(begun) <= until:
            return cut(board, row.entry.seq)
    return Board(board.campaign)


def moment(text: str) -> datetime:
    """Return the moment a text means, of a bare day its last one; UTC where it names no zone.

    >>> str(moment("2026-03-08")), str(moment("2026-03-08T23:00"))
    ('2026-03-08 23:59:59.999999+00:00', '2026-03-08 23:00:00+00:00')
    """
    found = datetime.fromisoformat(text)
    with suppress(ValueError):  # it has a time of day
        found = datetime.combine(date.fromisoformat(text), time.max)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def rank(row: dict[str, Any]) -> tuple[str, float, str]:
    """Return what leaders are ordered by, best first within one metric."""
    sign = -1.0 if row["sense"] == "max" else 1.0
    return row["metric"], sign * row["value"], row["experiment"]


def best_of_fleet(asked: Asked) -> tuple[Rows, bool]:
    """Return the leaders of all campaigns."""
    found = leaders(asked)
    most = int(asked.number("limit"))
    return [leader_row(asked, row) for row in found[:most]], len(found) > most


def leader_row(asked: Asked, row: dict[str, Any]) -> dict[str, Any]:
    """Return one leader with its settings."""
    graph, name = asked.graph, row["experiment"]
    first = graph.value(vocab.campaign(row["campaign"]), LAB.baseline)
    return {
        **row,
        "description": graph.description(name),
        "settings": shown_settings(asked, name, first),
    }


def shown_settings(asked: Asked, name: str, first: str) -> dict[str, Value]:
    """Return the settings of a component, else those that differ from the baseline."""
    settings, component = asked.graph.settings(name), asked.text("component")
    if component:
        return {k: v for k, v in settings.items() if component in asked.graph.components(k)}
    before = asked.graph.settings(first)
    return {k: v for k, v in settings.items() if before.get(k) != v}


def progress_of_fleet(asked: Asked) -> tuple[Rows, bool]:
    """Return the state of each campaign."""
    found = [(standing, leader) for standing in stood(asked) for leader in standing.leaders]
    found.sort(key=lambda pair: (pair[0].campaign, pair[1].metric, pair[1].experiment))
    most = int(asked.number("limit"))
    return [state_row(asked, *pair) for pair in found[:most]], len(found) > most


def state_row(asked: Asked, standing: Standing, leader: Leader) -> dict[str, Any]:
    """Return one campaign."""
    value, first = leader.value, leader.first
    gained = None if first is None or value is None else difference(value, first)
    measured = asked.graph.value(vocab.campaign(standing.campaign), LAB.noiseThreshold)
    attempts, kept = standing.attempts, standing.kept
    return {
        **leader._asdict(),
        "campaign": standing.campaign,
        "delta": gained,
        "within_noise": within_noise(gained, standing.noise if measured is None else measured),
        "attempts": attempts,
        "kept": kept,
        "keep_rate": round(kept / attempts, 4) if attempts else None,
        "seconds": round(standing.seconds, 3) or None,
        "description": asked.graph.description(leader.experiment),
    }


Tallies = dict[tuple[str, str, str], dict[str, Any]]


def seen_by(asked: Asked, field: str) -> tuple[Rows, bool]:
    """Return what each agent or task has to show for, over the campaigns asked about."""
    groups: Tallies = {}
    for standing in stood(asked):
        for share in standing.shares:
            if share.field == field:
                add_share(groups, share)
    rows = [group_row(field, key, group) for key, group in sorted(groups.items())]
    return limited(asked, rows)


def add_share(groups: Tallies, share: Share) -> None:
    """Add one campaign's tally to the group it belongs to; equals go to the first campaign."""
    zero = {"attempts": 0, "kept": 0, "crashed": 0, "seconds": 0.0, "campaigns": 0, "best": None}
    key = (share.name, share.metric, share.sense)
    group = groups.setdefault(key, {**zero, "experiment": None, "commit": None})
    group["campaigns"] += 1
    for name in ("attempts", "kept", "crashed", "seconds"):
        group[name] += getattr(share, name)
    leads = group["best"] is None
    scale = Scale(share.metric, share.sense, "")
    if share.best is not None and (leads or scale.better(share.best, group["best"])):
        group.update(best=share.best, experiment=share.experiment, commit=share.commit)


def group_row(field: str, key: tuple[str, str, str], group: dict[str, Any]) -> dict[str, Any]:
    """Return the sums of one agent or task."""
    rate = round(group["kept"] / group["attempts"], 4) if group["attempts"] else None
    seconds = round(group["seconds"], 3) or None
    return {**group, field: key[0], "metric": key[1], "keep_rate": rate, "seconds": seconds}
