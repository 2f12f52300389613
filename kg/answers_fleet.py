"""Answers over all campaigns at once; as of an experiment they are told from the boards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kg import vocab
from kg.answering import Rows, limited, within_noise
from kg.board import Board
from kg.entries import Scale
from kg.errors import BadArgument
from kg.fold import number_of
from kg.load import cut
from kg.outcome import difference
from kg.query import Asked, select
from kg.sums import sums
from kg.tally import Tally, TallyKey
from kg.terms import LAB, PROV
from kg.vocab import Value


def leaders(asked: Asked) -> list[dict[str, Any]]:
    """Return the best experiment of each campaign, the metric most campaigns use first."""
    kept = asked.as_of is None and not asked.given("date")
    found = select(asked) if kept else list(told_leaders(asked))
    common = Counter(row["metric"] for row in found)
    return sorted(found, key=lambda row: (-common[row["metric"]], *rank(row)))


def told_leaders(asked: Asked) -> Iterator[dict[str, Any]]:
    """Yield the leaders from the boards."""
    date = asked.text("date")
    for board in asked.boards() if not date else map(partial(begun_by, asked), asked.boards()):
        for scale, row in board.best.items():
            yield {
                "experiment": row.name,
                "campaign": board.campaign,
                "metric": scale.metric,
                "sense": scale.sense,
                "value": row.entry.value,
            }


def begun_by(asked: Asked, board: Board) -> Board:
    """Return a board as of the last experiment begun by the date asked for.

    Raises:
        BadArgument: It is no date.
    """
    text = asked.text("date")
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        where = f"question {asked.question.name!r}"
        raise BadArgument(
            f"{where}: date={text!r} is none; write 2026-03-08 or 2026-03-08T23:00:00Z"
        ) from None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    for row in reversed(board.rows):
        begun = asked.graph.value(vocab.experiment(row.name), PROV.startedAtTime)
        if begun is not None and datetime.fromisoformat(begun) <= date:
            return cut(board, row.entry.seq)
    return Board(board.campaign)


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
        **graph.cite(name),
        "seq": graph.value(vocab.experiment(name), LAB.seq),
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
    found = select(asked) if asked.as_of is None else list(told_progress(asked))
    found.sort(key=lambda row: (row["campaign"], row["metric"], row["experiment"]))
    most = int(asked.number("limit"))
    return [state_row(asked, row) for row in found[:most]], len(found) > most


def told_progress(asked: Asked) -> Iterator[dict[str, Any]]:
    """Yield the state of each campaign from its board."""
    for board in asked.boards():
        for scale, row in board.best.items():
            yield {
                "experiment": row.name,
                "campaign": board.campaign,
                "metric": scale.metric,
                "value": row.entry.value,
                "first_value": board.rows[0].entry.value,
                "attempts": len(board.attempts),
                "kept": board.tally["keep"],
                "seconds": board.spent,
                "noise": board.noise,
            }


def state_row(asked: Asked, row: dict[str, Any]) -> dict[str, Any]:
    """Return one campaign."""
    name, first = row["experiment"], row["first_value"]
    gained = None if first is None else difference(row["value"], first)
    return {
        **row,
        **asked.graph.cite(name),
        "seq": asked.graph.value(vocab.experiment(name), LAB.seq),
        "delta": gained,
        "within_noise": within_noise(gained, row["noise"]),
        "keep_rate": round(row["kept"] / row["attempts"], 4) if row["attempts"] else None,
        "seconds": round(row["seconds"], 3),
        "description": asked.graph.description(name),
    }


Tallies = dict[tuple[str, str, str], dict[str, Any]]


def seen_by(asked: Asked, field: str) -> tuple[Rows, bool]:
    """Return what each agent or task has to show for, over the campaigns asked about."""
    groups: Tallies = {}
    if asked.campaign is None and asked.as_of is None:
        for row in sorted(select(asked), key=lambda row: row["campaign"]):
            key = TallyKey(field, row["name"], row["metric"], row["sense"])
            add_tally(groups, key, row)
    else:
        for board in asked.boards():
            for key, tally in board.tallies.items():
                if key.field == field:
                    add_tally(groups, key, told_tally(board, tally))
    rows = [group_row(field, key, group) for key, group in sorted(groups.items())]
    return limited(asked, rows)


def told_tally(board: Board, tally: Tally) -> dict[str, Any]:
    """Return a tally of a board as the query gives it."""
    leader = tally.leader
    return {
        "campaign": board.campaign,
        "attempts": tally.attempts,
        "kept": tally.kept,
        "crashed": tally.crashed,
        "seconds": float(f"{tally.seconds:.12g}"),
        "best": leader.entry.value if leader else None,
        "experiment": leader.name if leader else None,
        "commit": leader.entry.commit if leader else None,
    }


def add_tally(groups: Tallies, key: TallyKey, row: dict[str, Any]) -> None:
    """Add one campaign's tally to the group it belongs to; equals go to the first campaign."""
    zero = {"attempts": 0, "kept": 0, "crashed": 0, "seconds": 0.0, "campaigns": 0, "best": None}
    group = groups.setdefault(key[1:], {**zero, "experiment": None, "commit": None})
    group["campaigns"] += 1
    for name in ("attempts", "kept", "crashed", "seconds"):
        group[name] += row[name]
    value, leads = row["best"], group["best"] is None
    if value is not None and (leads or Scale(*key[2:], "").better(value, group["best"])):
        group.update({name: row[name] for name in ("best", "experiment", "commit")})


def group_row(field: str, key: tuple[str, str, str], group: dict[str, Any]) -> dict[str, Any]:
    """Return the sums of one agent or task."""
    rate = round(group["kept"] / group["attempts"], 4)
    seconds = round(group["seconds"], 3)
    return {**group, field: key[0], "metric": key[1], "keep_rate": rate, "seconds": seconds}


def unexplored_of_fleet(asked: Asked) -> tuple[Rows, bool]:
    """Return the knobs of all accepted files by how little is known about them anywhere."""
    tried: dict[str, dict[str, int]] = {}
    for edit, part in sums(asked).items():
        directions = tried.setdefault(edit.knob, {})
        directions[edit.direction] = directions.get(edit.direction, 0) + part.n
    rows = [
        fleet_knob(asked, knob, numeric, tried.get(knob, {}))
        for knob, numeric in sorted(accepted_knobs(asked).items())
    ]
    component, state = asked.text("component"), asked.text("state")
    rows = [
        row for row in rows if component in ("", row["component"]) and state in ("", row["state"])
    ]
    order = ["never touched", "one direction", "open"]
    rows.sort(key=lambda row: (order.index(row["state"]), row["component"], row["knob"]))
    return limited(asked, rows)


def accepted_knobs(asked: Asked) -> dict[str, bool]:
    """Return the knobs that act in some accepted file, and whether their values are numbers."""
    graph = asked.graph
    if asked.as_of is None and "accepted" in graph.memo:
        return dict(graph.memo["accepted"])
    found: dict[str, bool] = {}
    for tag in graph.campaigns():
        name = accepted_name(asked, tag)
        inert = set(graph.values(vocab.experiment(name), LAB.inert)) if name else set()
        for knob, value in (graph.settings(name) if name else {}).items():
            if knob not in inert:
                found[knob] = found.get(knob, False) or number_of(value) is not None
    if asked.as_of is None:
        graph.memo["accepted"] = found
    return found


def accepted_name(asked: Asked, tag: str) -> str | None:
    """Return the accepted experiment of a campaign."""
    if asked.as_of is None:
        found = asked.graph.value(vocab.campaign(tag), LAB.accepted)
        return None if found is None else str(found)
    row = asked.graph.board(tag, asked.as_of).accepted
    return row.name if row else None


def fleet_knob(
    asked: Asked, knob: str, numeric: bool, directions: dict[str, int]
) -> dict[str, Any]:
    """Return what is known about one knob anywhere."""
    untried = [name for name in ("decrease", "increase") if numeric and name not in directions]
    state = "one direction" if len(untried) == 1 else "open"
    return {
        "component": next(iter(asked.graph.components(knob)), ""),
        "knob": knob,
        "state": state if directions else "never touched",
        "untried": untried,
        "n": sum(directions.values()),
    }
