from __future__ import annotations

from dataclasses import replace

import pytest
from histories import asked, line

from kg.errors import BadArgument
from kg.model import Status

KEEP, DISCARD, CRASH = Status.KEEP, Status.DISCARD, Status.CRASH
SOURCE = """DEPTH = {depth}
EMBEDDING_LR = {lr}
SEED = {seed}
def optimizer(model):
    torch.manual_seed(SEED)
    return MuonAdamW([
        dict(kind="adamw", params=model.wte.parameters(), lr=EMBEDDING_LR, weight_decay={decay}),
        dict(kind="muon", params=model.blocks.parameters(), lr=0.02),
    ])
optimizer(GPT(n_layer=DEPTH))
"""
LR, DECAY = "optimizer.embedding_lr", "regularization.weight_decay.embedding"


def source(depth=8, lr=0.8, decay=0.0, seed=42):
    return SOURCE.format(depth=depth, lr=lr, decay=decay, seed=seed)


def column(answer, name):
    return [row[name] for row in answer.rows]


STORY = line(
    [
        (source(), 1.000, KEEP),
        (source(lr=0.9), 1.004, DISCARD),  # 1: fails
        (source(depth=9), 0.990, KEEP),  # 2
        (source(depth=10), None, CRASH),  # 3
        (source(depth=9, lr=0.9), 0.993, DISCARD),  # 4: a repeat, nothing has changed for it
        (source(depth=9, decay=0.001), 0.989, KEEP),  # 5
        (source(depth=9, lr=0.9, decay=0.001), 0.980, KEEP),  # 6: a repeat, and justified
        (source(depth=9, lr=0.9, decay=0.002), 0.985, DISCARD),  # 7
        (source(depth=9, lr=0.9, decay=0.001, seed=7), 0.9795, DISCARD),  # 8: noise
    ]
)


def test_a_crash_is_never_the_best_even_if_it_says_zero():
    found = line([(source(), 1.0, KEEP), (source(9), 0.0, CRASH), (source(10), 0.0, CRASH)])
    assert column(asked(found, "best"), "value") == [1.0]


def test_where_more_is_better_the_best_is_the_largest():
    found = [
        replace(record, direction="max", metric="score")
        for record in line([(source(), 1.0, KEEP), (source(9), 2.0, KEEP), (source(7), 0.5, KEEP)])
    ]
    assert column(asked(found, "best"), "value") == [2.0]
    assert column(asked(found, "progress"), "delta") == [1.0]


def test_values_of_other_data_are_not_compared():
    one, two = line([(source(), 1.0, KEEP), (source(9), 0.5, KEEP)])
    two = replace(two, manifest="other data")
    (row,) = asked([one, two], "attempts", knob="model.depth").rows
    assert (row["outcome"], row["delta"]) == ("unknown", None)
    assert sorted(column(asked([one, two], "best"), "value")) == [0.5, 1.0]


def test_best_names_the_settings_and_the_experiments_it_rests_on():
    (row,) = asked(STORY, "best", campaign="t").rows
    assert (row["experiment"], row["value"]) == ("t-0006", 0.980)
    assert row["settings"] == {"model.depth": 9, LR: 0.9, DECAY: 0.001}
    assert row["rests_on"] == ["t-0002", "t-0005", "t-0006"]
    (row,) = asked(STORY, "best", campaign="t", component="regularization").rows
    assert row["settings"][DECAY] == 0.001
    assert "t-0005" in row["rests_on"]


def test_best_at_a_date_counts_what_had_begun_by_then():
    dated = [replace(r, started=f"2026-03-08T0{r.seq}:00:00Z") for r in STORY]
    rows = asked(dated, "best", campaign="t", date="2026-03-08T05:30:00Z").rows
    assert [(row["experiment"], row["value"]) for row in rows] == [("t-0005", 0.989)]
    assert asked(dated, "best", date="2026-03-07").rows == []
    with pytest.raises(BadArgument, match="date='yesterday' is none"):
        asked(dated, "best", date="yesterday")


def test_attempts_tell_isolated_effects_from_never_isolated():
    rows = asked(STORY, "attempts", knob=LR).rows
    assert column(asked(STORY, "attempts", knob=LR), "outcome") == [
        "worsened",
        "worsened",
        "improved",
    ]
    assert [row["isolated_effect"] for row in rows] == [pytest.approx(-0.002 / 3, rel=1e-6)] * 3
    both = line([(source(), 1.0, KEEP), (source(depth=9, lr=0.9), 0.9, KEEP)])
    (row,) = asked(both, "attempts", knob=LR).rows
    assert (row["alone"], row["with"]) == (False, ["model.depth=9"])
    assert row["isolated_effect"] == "never isolated"


def test_attempts_can_be_narrowed_by_direction_and_value():
    assert column(asked(STORY, "attempts", knob="model.depth", direction="decrease"), "new") == []
    assert column(asked(STORY, "attempts", knob="model.depth", value=">9"), "new") == [10]


def test_a_retry_is_justified_by_what_was_switched_on_since():
    rows = {row["experiment"]: row for row in asked(STORY, "repeats", campaign="t").rows}
    assert sorted(rows) == ["t-0004", "t-0006"]
    assert (rows["t-0004"]["of"], rows["t-0004"]["justified"]) == ("t-0001", False)
    assert rows["t-0006"]["justified"] is True
    assert rows["t-0006"]["justified_by"] == [f"{DECAY} (t-0005)"]


def test_the_same_program_again_is_an_identical_repeat():
    again = line([(source(), 1.0, KEEP), (source(9), 1.1, DISCARD), (source(9), 1.2, DISCARD)])
    (row,) = asked(again, "repeats").rows
    assert (row["level"], row["of"]) == ("identical", "t-0001")


def test_two_runs_of_one_program_and_a_new_seed_measure_the_noise():
    rows = asked(STORY, "progress", campaign="t").rows
    noisy = {row["experiment"]: row["within_noise"] for row in rows}
    assert noisy == {"t-0000": None, "t-0002": False, "t-0005": False, "t-0006": False}
    louder = line(
        [(source(), 1.0, KEEP), (source(seed=7), 1.01, DISCARD), (source(9), 0.995, KEEP)]
    )
    assert column(asked(louder, "progress", campaign="t"), "within_noise") == [None, True]


def test_a_new_seed_is_never_an_improvement():
    lucky = line([(source(), 1.0, KEEP), (source(seed=7), 0.9, KEEP)])
    assert column(asked(lucky, "attempts", knob="other.seed"), "outcome") == ["equal"]


def test_improved_while_counts_what_was_tried_while_the_setting_held():
    rows = asked(STORY, "improved-while", knob="model.depth", value=">8").rows
    assert [(row["knob"], row["n"], row["improved"]) for row in rows] == [
        ("model.depth", 2, 1),
        (LR, 2, 1),
        (DECAY, 2, 1),
    ]
    rows = asked(STORY, "improved-while", knob=DECAY, value="0.001", component="optimizer").rows
    assert [(row["knob"], row["values"], row["experiments"]) for row in rows] == [
        (LR, [0.9], ["t-0006"])
    ]
    rows = asked(STORY, "improved-while", knob="optimizer.kind", value="muon").rows
    assert len(rows) == 3


def test_a_condition_that_never_held_gives_nothing():
    assert asked(STORY, "improved-while", knob="model.depth", value="<8").rows == []
    assert asked(STORY, "improved-while", knob="no.such_knob", value="1").rows == []


def test_dead_ends_say_how_it_failed_and_who_came_closest():
    deep = line(
        [
            (source(), 1.0, KEEP),
            (source(9), 1.2, DISCARD),
            (source(10), 1.1, DISCARD),
            (source(11), None, CRASH),
        ]
    )
    (row,) = asked(deep, "dead-ends").rows
    assert (row["knob"], row["direction"], row["n"]) == ("model.depth", "increase", 3)
    assert row["reason"] == "mixed: crashes, worsens"
    assert (row["experiment"], row["best_delta"]) == ("t-0002", 0.1)
    assert asked(deep, "dead-ends", least=4).rows == []


def test_a_conflict_lists_what_stood_differently():
    (row,) = asked(STORY, "conflicts", knob=LR).rows
    assert (row["improved"], row["worsened"]) == (1, 2)
    assert (row["experiment"], row["worsened_experiment"]) == ("t-0006", "t-0001")
    assert row["differs"] == ["model.depth", DECAY]
    assert row["verdict"] == "context differs"
    same = line([(source(), 1.0, KEEP), (source(9), 1.1, DISCARD), (source(9), 0.9, KEEP)])
    (row,) = asked(same, "conflicts").rows
    assert row["verdict"] in ("same context: suspect noise", "inside the noise")


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
    with pytest.raises(BadArgument, match="no experiment has this name or commit"):
        asked(STORY, "common", a="nothing", b="t-0002")


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
    assert (rows["model.depth"]["state"], rows["model.depth"]["untried"]) == (
        "one direction",
        ["decrease"],
    )
    assert (rows["model.depth"]["high"], rows["model.depth"]["n"]) == (10, 2)


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
