from __future__ import annotations

from dataclasses import replace

import pytest
from histories import added, asked, built, changed, dump, line
from hypothesis import given, settings
from hypothesis import strategies as st
from told import CRASH, DECAY, DISCARD, KEEP, LR, STORY, source

from kg.errors import BadArgument
from kg.graph import Graph
from kg.query import ask


def test_the_timeline_gives_the_regimes_of_a_knob():
    rows = asked(STORY, "timeline", knob="model.depth").rows
    assert [(row["value"], row["from_seq"], row["until_seq"]) for row in rows] == [
        (8, 0, 2),
        (9, 2, None),
    ]


def test_best_before_a_switch_is_what_was_best_then():
    rows = asked(STORY, "best-before", switch=LR, to="0.9").rows
    assert [(row["experiment"], row["best_before"], row["accepted"]) for row in rows] == [
        ("t-0001", 1.0, False),
        ("t-0004", 0.99, False),
        ("t-0006", 0.989, True),
    ]


def test_two_experiments_are_compared_in_settings_edits_and_lineage():
    answer = asked(STORY, "common", a="t-0005", b="t-0002")
    differing = {(r["kind"], r["what"]): (r["a"], r["b"]) for r in answer.rows if not r["shared"]}
    assert differing[("setting", DECAY)] == (0.001, 0.0)
    assert differing[("knob", "model.depth")] == (None, True)
    shared = {(r["kind"], r["what"]): r["a"] for r in answer.rows if r["shared"]}
    assert shared[("setting", "model.depth")] == 9
    assert shared[("lineage", "common ancestor")] == "t-0002"


def test_an_experiment_may_be_given_by_the_start_of_its_commit():
    answer = asked(STORY, "common", a="000000300", b="t-0002")
    assert all(row["shared"] for row in answer.rows)
    twice = [replace(record, commit="ab" * 20) for record in STORY[:2]]
    with pytest.raises(BadArgument, match="means t-0000, t-0001; give a name"):
        asked(twice, "common", a="abababa", b="t-0000")
    with pytest.raises(BadArgument, match="no experiment has this name, number or commit"):
        asked(STORY, "common", a="nothing", b="t-0002")


def test_as_of_takes_an_experiment_however_it_is_given_and_means_its_campaign():
    both = [*STORY, *(changed(r, name=f"u{r.name}", campaign="u", commit="f" * 40) for r in STORY)]
    both = [
        changed(r, parent=r.parent and f"u{r.parent}") if r.campaign == "u" else r for r in both
    ]
    graph = Graph(built(both))
    then = ask(graph, "best", {}, campaign="t", as_of=5)
    assert then.rows[0]["experiment"] == "t-0005"
    for word in ("t-0005", STORY[5].commit[:7]):
        assert ask(graph, "best", {}, as_of=word) == then
        assert ask(graph, "best", {"as-of": word}) == then
    assert ask(graph, "best", {}, campaign="t", as_of="5") == then
    with pytest.raises(BadArgument, match="is an experiment of campaign t, not u"):
        ask(graph, "best", {}, campaign="u", as_of="t-0005")


def test_relations_lead_to_parents_children_repeats_and_isolated_tries():
    rows = asked(STORY, "relations", experiment="t-0006").rows
    found = {(row["relation"], row["experiment"]) for row in rows}
    assert found == {
        ("built on", "t-0005"),
        ("compared with", "t-0005"),
        ("built on by", "t-0007"),
        ("built on by", "t-0008"),
        ("repeats", "t-0004"),
    }


def test_an_edit_taken_back_is_a_revert_of_the_experiment_that_made_it():
    back = line([(source(), 1.0, KEEP), (source(9), 0.9, KEEP), (source(8), 0.95, DISCARD)])
    rows = asked(back, "relations", experiment="t-0002").rows
    assert ("reverts", "t-0001") in {(row["relation"], row["experiment"]) for row in rows}


def test_three_attempts_in_a_row_at_one_knob_are_a_sweep():
    swept = line(
        [(source(), 1.0, KEEP)]
        + [(source(depth), 1.0 + depth / 100, DISCARD) for depth in (9, 10, 11)]
        + [(source(lr=0.9), 1.1, DISCARD)]
    )
    (row,) = asked(swept, "sweeps").rows
    assert (row["knob"], row["values"], row["experiment"]) == (
        "model.depth",
        [9, 10, 11],
        "t-0001",
    )


def test_hypotheses_are_judged_by_what_happened():
    one, two, three = line(
        [(source(), 1.0, KEEP), (source(9), 0.9, KEEP), (source(10), None, CRASH)]
    )
    told = [
        one,
        replace(two, hypothesis="deeper is better", expected_delta=-0.05),
        replace(three, hypothesis="deeper still", expected_delta=-0.05),
    ]
    rows = asked(told, "hypotheses").rows
    assert [(row["hypothesis"], row["verdict"]) for row in rows] == [
        ("deeper still", "untested"),
        ("deeper is better", "supported"),
    ]
    assert asked(told, "hypotheses", verdict="refuted").rows == []


def test_unexplored_tells_untouched_from_bracketed():
    rows = {row["knob"]: row for row in asked(STORY, "unexplored", campaign="t").rows}
    assert rows["optimizer.matrix_lr"]["state"] == "never touched"
    depth = rows["model.depth"]  # 8 was left for 9, 10 crashed, nobody went back
    assert (depth["state"], depth["untried"]) == ("bracketed", ["decrease"])
    assert (depth["low"], depth["high"], depth["n"]) == (8, 10, 2)


def test_agents_and_tasks_are_counted_apart():
    (row,) = asked(STORY, "by-agent").rows
    assert (row["agent"], row["attempts"], row["kept"], row["crashed"]) == ("ann", 9, 4, 1)
    (row,) = asked(STORY, "by-task").rows
    assert (row["task"], row["seconds"], row["experiment"]) == ("gpt", 90.0, "t-0006")


def test_progress_counts_attempts_and_seconds_so_far():
    rows = asked(STORY, "progress", campaign="t").rows
    assert [(row["seq"], row["attempts"], row["kept"]) for row in rows] == [
        (0, 1, 1),
        (2, 3, 2),
        (5, 6, 3),
        (6, 7, 4),
    ]


def test_a_crash_costs_what_the_parent_measured():
    timed = [
        changed(
            one, summary={"run_seconds": 7.0} if one.status is CRASH else {"total_seconds": 5.0}
        )
        for one in STORY
    ]
    assert [row["seconds"] for row in asked(timed, "progress", campaign="t").rows] == [
        5.0,
        15.0,
        32.0,
        37.0,
    ]
    (row,) = asked(timed, "by-agent").rows
    assert row["seconds"] == 47.0


def test_time_nobody_told_is_empty_not_zero():
    silent = [changed(one, summary={}) for one in STORY]
    told = [
        *silent,
        *(changed(one, campaign="u", name=f"u{one.name}", parent=None) for one in silent),
    ]
    for found in (silent, told):
        for question in ("progress", "by-agent", "by-task"):
            assert {row["seconds"] for row in asked(found, question).rows} == {None}


def test_a_gain_over_all_campaigns_is_counted_within_one_evaluation():
    told = [(1.0, KEEP), (0.9, KEEP), (2.0, KEEP), (1.75, KEEP), (1.9, DISCARD)]
    found = line([(source(depth=8 + seq), *one) for seq, one in enumerate(told)])
    found = [changed(one, manifest="a" if one.seq < 2 else "b") for one in found]
    other = line([(source(), 1.0, KEEP)], "u")
    for as_of in (None, 4):
        rows = asked([*found, *other], "progress", as_of=as_of).rows
        assert [(row["experiment"], row["delta"]) for row in rows] == [
            ("t-0001", -0.1),
            ("t-0003", -0.25),
            ("u-0000", 0.0),
        ]


def test_the_best_of_an_agent_is_one_of_the_latest_evaluation():
    told = [(1.0, KEEP), (0.9, KEEP), (2.0, KEEP), (1.75, KEEP), (1.9, DISCARD)]
    found = line([(source(depth=8 + seq), *one) for seq, one in enumerate(told)])
    found = [changed(one, manifest="a" if one.seq < 2 else "b") for one in found]
    for question in ("by-agent", "by-task"):
        for as_of, best in ((None, "t-0003"), (2, "t-0002"), (1, "t-0001")):
            (row,) = asked(found, question, as_of=as_of).rows
            assert (row["experiment"], row["attempts"]) == (best, 5 if as_of is None else as_of + 1)


def test_repeats_are_found_in_wordings_alone_and_the_justified_one_is_told_apart():
    told = [
        ("baseline", 1.0, KEEP),
        ("embedding LR 0.8 to 0.9", 1.1, DISCARD),
        ("depth 8 to 9, width 64 to 57", 1.1, DISCARD),
        ("final LR fraction 0.05 to 0.03", 1.1, DISCARD),
        ("depth 8 to 9", 1.1, DISCARD),  # not the same: it was combined then
        ("add weight decay 0.001 to the embeddings", 0.99, KEEP),
        ("FINAL_LR_FRAC 0.05 -> 0.03", 1.0, DISCARD),  # again, in other words
        ("raise the embedding learning rate from 0.8 to 0.9", 0.98, KEEP),  # again, justified
        ("embedding LR 0.9 to 0.9", 0.99, DISCARD),  # a repeat of what won is none
    ]
    lost = [
        replace(record, source=None, parent_source=None, description=message)
        for record, (message, _, _) in zip(
            line([(None, value, status) for _, value, status in told]), told, strict=True
        )
    ]
    rows = asked(lost, "repeats").rows
    assert [(row["seq"], row["of"], row["justified_by"]) for row in rows] == [
        (6, "t-0003", []),
        (7, "t-0001", [f"{DECAY} (t-0005)"]),
    ]


TOLD = [
    ("baseline with depth 8", 1.0, KEEP),
    ("depth 8 to 9", 0.99, KEEP),
    ("depth 10", 1.1, DISCARD),  # from 9, says the line
    ("depth 7, too shallow", 1.2, DISCARD),
    ("window pattern SSSSL", 1.1, DISCARD),  # nobody ever said what it was
    ("raise depth to 12", 1.3, DISCARD),
]


def in_words(told):
    """Return a campaign of which only the descriptions are left."""
    found = line([(None, value, status) for _, value, status in told])
    return [
        replace(record, source=None, parent_source=None, description=message)
        for record, (message, _, _) in zip(found, told, strict=True)
    ]


def test_a_new_value_alone_is_an_edit_of_what_was_accepted():
    rows = asked(in_words(TOLD), "attempts", knob="model.depth").rows
    assert [(row["seq"], row["old"], row["new"], row["direction"]) for row in rows[-4:]] == [
        (1, 8, 9, "increase"),
        (2, 9, 10, "increase"),
        (3, 9, 7, "decrease"),
        (5, 9, 12, "increase"),
    ]
    (window,) = asked(in_words(TOLD), "attempts", knob="attention.window_pattern").rows
    assert (window["old"], window["direction"]) == (None, "replace")


@given(st.permutations(range(len(TOLD))))
@settings(max_examples=20)
def test_what_is_inferred_does_not_depend_on_the_order_of_adding(order):
    records = in_words(TOLD)
    assert dump(added(records[place] for place in order)) == dump(built(records))
