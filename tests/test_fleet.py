from __future__ import annotations

import pytest
from histories import asked, built, line, records
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import Literal

from bench.synthetic import START, START_AT, source_of
from kg import vocab
from kg.conflict import OTHER_VALUES, SUSPECT_NOISE
from kg.entries import EvidenceKey
from kg.graph import Graph
from kg.model import Status
from kg.query import ask, bind, questions, run
from kg.standing import standing_of, standings
from kg.sums import kept_sums, told_sums

BESIDE = Graph(built([*records("mar8", 24), *records("begun", 1)]))
BOTH = Graph(built([*records("mar8", 24), *records("two", 24, seed=7)]))
TAGS = ("mar8", "two")
KEY = ("metric", "sense", "component", "knob", "direction", "to", "scope_of")
NUMBERS = ("n", "improved", "worsened", "equal", "crashed", "measured", "total")
CONDITIONS = [
    ("optimizer.matrix_lr", "0.04"),
    ("optimizer.matrix_lr", "<0.04"),
    ("model.depth", "!=8"),
    ("model.depth", ">=9"),
    ("attention.window_pattern", "SSSL"),
    ("head.softcap", "1"),
]


def rows(graph, condition, **scope):
    knob, value = condition
    return ask(
        graph, "improved-while", {"knob": knob, "value": value, "limit": "500"}, **scope
    ).rows


@settings(max_examples=30)
@given(st.sampled_from(CONDITIONS), st.none() | st.integers(0, 24))
def test_a_fleet_with_edits_in_one_campaign_answers_as_that_campaign(condition, until):
    campaign = rows(BESIDE, condition, campaign="mar8", as_of=until)
    assert rows(BESIDE, condition, as_of=until) == campaign


@settings(max_examples=30)
@given(st.sampled_from(CONDITIONS), st.none() | st.integers(0, 24))
def test_a_fleet_counts_what_its_campaigns_count(condition, until):
    def counted(tag):
        found = rows(BOTH, condition, campaign=tag, as_of=until)
        return {(r["knob"], r["direction"], r["to"]): (r["improved"], r["alone"]) for r in found}

    apart, whole = [counted(tag) for tag in TAGS], counted(None)
    assert whole.keys() == apart[0].keys() | apart[1].keys()
    for edit, numbers in whole.items():
        parts = [found.get(edit, (0, 0)) for found in apart]
        assert numbers == tuple(map(sum, zip(*parts, strict=True)))


def test_a_fleet_names_the_best_of_all_campaigns_first():
    condition = ("model.depth", ">0")
    apart = [row for tag in TAGS for row in rows(BOTH, condition, campaign=tag)]
    found = rows(BOTH, condition)
    assert len(found) > 5
    for row in found:
        same = [r for r in apart if all(r[k] == row[k] for k in ("knob", "direction", "to"))]
        assert row["best_delta"] == min(r["best_delta"] for r in same)
        assert row["experiment"] == row["experiments"][0]
        assert set(row["values"]) == {value for r in same for value in r["values"]}


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("best", "experiment campaign metric value"),
        ("by-agent", "attempts kept crashed best experiment commit"),
        ("by-task", "attempts kept crashed best experiment commit"),
        ("progress", "experiment campaign metric value attempts kept seconds"),
    ],
)
def test_the_query_of_a_question_finds_in_each_campaign_what_its_answer_adds_up(name, columns):
    scope = {"scope": vocab.EVERYTHING, "until": Literal(2**53)}
    found = run(BOTH.store, bind(questions()[name].sparql, scope))
    apart = [row for tag in TAGS for row in ask(BOTH, name, {}, campaign=tag).rows]
    wanted = apart if name.startswith("by-") else ask(BOTH, name, {}).rows
    names = columns.split()
    assert wanted
    assert sorted(tuple(row[n] for n in names) for row in found) == sorted(
        tuple(row[n] for n in names) for row in wanted
    )


def test_where_a_campaign_stands_is_read_back_as_it_was_written():
    assert standings(BOTH.store) == [standing_of(BOTH.board(tag)) for tag in TAGS]


def test_all_campaigns_together_add_up_to_the_sum_of_each():
    for name, number in (("by-agent", "attempts"), ("by-task", "seconds"), ("by-agent", "kept")):
        apart = [row[number] for tag in TAGS for row in ask(BOTH, name, {}, campaign=tag).rows]
        assert sum(row[number] for row in ask(BOTH, name, {}).rows) == pytest.approx(sum(apart))


@pytest.mark.parametrize("name", ["conflicts", "dead-ends", "unexplored"])
def test_the_query_of_a_question_finds_the_sums_its_answer_is_made_of(name):
    scope = {"scope": vocab.EVERYTHING, "until": Literal(2**53)}
    rows = run(BOTH.store, bind(questions()[name].sparql, scope))
    wanted = {key: (part, part.ends) for key, part in kept_sums(BOTH)}
    assert len(rows) == len(wanted) > 20
    for row in rows:
        key = EvidenceKey(*(row[name] or "" for name in KEY), row["isolated"])
        part, (low, high, gain, loss) = wanted[key]
        assert [row[name] or 0 for name in NUMBERS] == list(part[:-1])
        for end, told in ((low, "low"), (high, "high"), (gain, "gain"), (loss, "loss")):
            assert (row[told], row[f"{told}_by"]) == (end or (None, None))


def test_sums_kept_over_all_campaigns_are_those_of_the_boards():
    boards = [BOTH.board(tag) for tag in TAGS]
    assert dict(kept_sums(BOTH)) == dict(told_sums(boards))


def test_where_only_the_edited_knob_stood_differently_the_context_is_the_same():
    values = ((0, 1.0, Status.KEEP), (1, 0.9, Status.KEEP), (2, 0.95, Status.DISCARD))
    edits = [
        (source_of({**START, "MATRIX_LR": START_AT + by}), value, status)
        for by, value, status in values
    ]
    history = [*line(edits), *records("begun", 1)]
    for scope in ({"campaign": "t"}, {}):
        (row,) = asked(history, "conflicts", **scope).rows
        assert (row["differs"], row["verdict"]) == ([], OTHER_VALUES)
    again = [edits[0], (edits[1][0], 1.1, Status.DISCARD), edits[1], edits[2]]
    history = [*line(again), *records("begun", 1)]
    # The same program twice shows its campaign's noise, and no more than that was gained or lost.
    for scope, verdict in (({"campaign": "t"}, "inside the noise"), ({}, SUSPECT_NOISE)):
        (row,) = asked(history, "conflicts", **scope).rows
        assert (row["gain"], row["loss"]) == pytest.approx((0.1, 0.1))
        assert (row["differs"], row["verdict"]) == ([], verdict)
