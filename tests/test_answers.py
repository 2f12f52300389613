from __future__ import annotations

from dataclasses import replace

import pytest
from histories import asked, changed, line
from told import CRASH, DECAY, DISCARD, KEEP, LR, STORY, column, source

from kg.errors import BadArgument


def test_a_crash_is_never_the_best_even_if_it_says_zero():
    found = line([(source(), 1.0, KEEP), (source(9), 0.0, CRASH), (source(10), 0.0, CRASH)])
    assert column(asked(found, "best"), "value") == [1.0]


def test_where_more_is_better_the_best_is_the_largest():
    found = [
        replace(record, direction="max", metric="score")
        for record in line([(source(), 1.0, KEEP), (source(9), 2.0, KEEP), (source(7), 0.5, KEEP)])
    ]
    assert column(asked(found, "best"), "value") == [2.0]
    assert column(asked(found, "progress"), "delta") == [None, 1.0, -1.5]


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
    for day in ("2026-03-08", "20260308"):  # to its end
        assert column(asked(dated, "best", date=day), "experiment") == ["t-0006"]
    assert column(asked(dated, "best", date="2026-03-08T00:00"), "experiment") == ["t-0000"]
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


def test_a_repeat_that_was_forced_gives_the_reason():
    told = list(STORY)
    told[4] = changed(told[4], forced_because="the data were other")
    begun = line([(source(), 1.0, KEEP)], tag="begun")
    for history in (told, [*told, *begun]):
        rows = asked(history, "repeats").rows
        because = {row["experiment"]: row["because"] for row in rows}
        assert because == {"t-0004": "the data were other", "t-0006": None}


def test_attempts_say_whether_another_try_is_justified():
    def retry(knob, **scope):
        return {
            row["experiment"]: row["retry"]
            for row in asked(STORY, "attempts", knob=knob, **scope).rows
        }

    switched_on = [f"{DECAY} (t-0005)"]
    assert retry(LR, as_of=3) == {"t-0001": "no"}
    assert retry(LR, as_of=5) == {"t-0001": switched_on, "t-0004": switched_on}
    assert retry(LR) == {"t-0001": "no", "t-0004": "no", "t-0006": None}  # tried since, and won
    assert retry("model.depth") == {"t-0002": None, "t-0003": "no"}


def test_what_was_kept_without_a_gain_has_not_failed():
    told = [
        (source(), 1.0, KEEP),
        (source(lr=0.9), 1.0, KEEP),  # no worse, and simpler
        (source(lr=0.7), 0.9, KEEP),
        (source(lr=0.7, decay=0.001), 0.89, KEEP),
        (source(lr=0.9, decay=0.001), 1.0, DISCARD),
    ]
    rows = asked(line(told), "attempts", knob=LR).rows
    assert [row["outcome"] for row in rows] == ["equal", "improved", "worsened"]
    assert [row["retry"] for row in rows] == [None, None, "no"]
    assert asked(line(told), "repeats").rows == []
    told[1] = (source(lr=0.9), 1.0, DISCARD)
    assert column(asked(line(told), "repeats"), "of") == ["t-0001"]


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
        (LR, 2, 1),
        (DECAY, 2, 1),
    ]  # not the step from 8 to 9 itself: it was not made while depth was above 8
    rows = asked(STORY, "improved-while", knob=DECAY, value="0.001", component="optimizer").rows
    assert [(row["knob"], row["values"], row["experiments"]) for row in rows] == [
        (LR, [0.9], ["t-0006"])
    ]
    rows = asked(STORY, "improved-while", knob="optimizer.kind", value="muon").rows
    assert len(rows) == 3


def test_a_switch_is_no_improvement_made_under_either_optimizer():
    def adamw(text):
        return text.replace('"muon"', '"adamw"')

    told = line(
        [
            (adamw(source()), 1.00, KEEP),
            (adamw(source(depth=9)), 0.99, KEEP),
            (source(depth=9), 0.95, KEEP),  # 2: to Muon
            (source(depth=9, lr=0.9), 0.94, KEEP),
        ]
    )
    begun = line([(source(), 1.0, KEEP)], tag="begun")
    for history in (told, [*told, *begun]):  # in a campaign, and over several

        def while_(value, history=history):
            return asked(history, "improved-while", knob="optimizer.kind", value=value).rows

        assert [(row["knob"], row["n"]) for row in while_("adamw")] == [("model.depth", 1)]
        assert [(row["knob"], row["n"]) for row in while_("muon")] == [(LR, 1)]
        assert [(row["knob"], row["n"]) for row in while_("!=muon")] == [("model.depth", 1)]


def test_a_condition_that_never_held_gives_nothing():
    assert asked(STORY, "improved-while", knob="model.depth", value="<8").rows == []
    assert asked(STORY, "improved-while", knob="head.softcap", value="1").rows == []


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


@pytest.mark.parametrize("campaign", ["t", None])
def test_a_dead_end_of_crashes_alone_names_the_last_of_them(campaign):
    deep = [(source(), 1.0, KEEP), *((source(depth), None, CRASH) for depth in (9, 10, 11))]
    found = [*line(deep), *line(deep[:1], tag="u")]
    for as_of, last in ((None, "t-0003"), (2, "t-0002")):
        (row,) = asked(found, "dead-ends", campaign=campaign, as_of=as_of).rows
        assert (row["reason"], row["mean_delta"], row["experiment"]) == ("crashes", None, last)


def test_a_conflict_lists_what_stood_differently():
    (row,) = asked(STORY, "conflicts", knob=LR).rows
    assert (row["improved"], row["worsened"]) == (1, 2)
    # t-0001 and t-0004 both failed with 0.9; depth was 9 already at t-0004, so it is more alike
    assert (row["experiment"], row["worsened_experiment"]) == ("t-0006", "t-0004")
    assert row["differs"] == [DECAY]
    assert row["verdict"] == "context differs"
    same = line([(source(), 1.0, KEEP), (source(9), 1.1, DISCARD), (source(9), 0.9, KEEP)])
    (row,) = asked(same, "conflicts").rows
    assert row["verdict"] in ("same context: suspect noise", "inside the noise")


DEEPENED = """DEPTH = {}
ASPECT_RATIO = 64
HEAD_DIM = 128
def build(depth):
    model_dim = depth * ASPECT_RATIO
    heads = model_dim // HEAD_DIM
    return GPTConfig(n_layer=depth, n_head=heads, n_embd=model_dim)
model = GPT(build(DEPTH))
"""


@pytest.mark.parametrize("campaign", ["t", None])
def test_what_only_follows_from_the_tried_knob_is_no_other_context(campaign):
    told = [(DEEPENED.format(n), v, s) for n, v, s in ((8, 1, KEEP), (10, 0.9, KEEP))]
    told.append((DEEPENED.format(12), 1.1, DISCARD))
    found = [*line(told), *line(told[:1], tag="u")]
    knobs = {row["knob"] for row in asked(found, "timeline", campaign="t").rows}
    assert knobs == {"model.depth", "attention.n_head"}
    (row,) = asked(found, "conflicts", campaign=campaign).rows
    assert (row["knob"], row["differs"]) == ("model.depth", [])
    assert row["verdict"] == "same context, other values: the best may lie between"


def test_effects_that_cancel_are_zero_in_every_mean():
    decay = [(source(decay=value), 1.0 + cost, DISCARD)
             for value, cost in ((0.001, -0.1), (0.002, -0.2), (0.003, 0.3))]  # fmt: skip
    told = line([(source(), 1.0, KEEP), *decay])
    begun = line([(source(), 1.0, KEEP)], tag="begun")
    for history in (told, [*told, *begun]):
        (row,) = asked(history, "dead-ends", component="regularization").rows
        assert (row["n"], row["mean_delta"]) == (3, 0.0)
    won = line([(source(), 1.0, KEEP), *decay[1:], (source(decay=0.004), 0.9, KEEP)])
    for history in (won, [*won, *begun]):
        (row,) = asked(history, "improved-while", knob="model.depth", value="8").rows
        assert (row["n"], row["mean_delta"]) == (3, 0.0)
