"""What is told as never tried, and what is not."""

from __future__ import annotations

from dataclasses import replace

from histories import asked, built, line
from told import DISCARD, KEEP, STORY

from kg.terms import PREFIXES

TUNED = """WARMUP_RATIO = {warmup}
PEAK_FLOPS = 1e15
class GPT:
    def _compute_window_sizes(self, config):
        long_window = config.sequence_len
        short_window = long_window // {part}
        return short_window
def build(depth):
    heads = model_dim // HEAD_DIM
    return GPTConfig(n_layer=depth, n_head=heads)
model = GPT(build(DEPTH))
print(100 * flops / PEAK_FLOPS)
for group in optimizer.param_groups:
    group["lr"] = group["initial_lr"] * min(step / WARMUP_RATIO, 1.0)
"""


def tuned(warmup=0.0, part=8):
    return TUNED.format(warmup=warmup, part=part)


def test_what_nobody_can_set_and_what_nobody_tunes_is_not_unexplored():
    night = line(
        [(tuned(), 1.0, KEEP), (tuned(part=6), 1.1, DISCARD), (tuned(part=10), 1.2, DISCARD)]
    )
    rows = {row["knob"]: row for row in asked(night, "unexplored").rows}
    window = rows["attention.short_window"]
    assert (window["value"], window["state"]) == ("long_window // 8", "bracketed")
    assert (window["low"], window["high"]) == ("long_window // 10", "long_window // 6")
    assert not rows.keys() & {"attention.n_head", "other.PEAK_FLOPS"}
    others = asked(night, "unexplored", component="other").rows
    assert "other.PEAK_FLOPS" in {row["knob"] for row in others}


def test_nothing_lies_below_a_warmup_of_zero():
    night = line([(tuned(), 1.0, KEEP), (tuned(warmup=0.1), 1.1, DISCARD)])
    (row,) = [r for r in asked(night, "unexplored").rows if r["knob"] == "schedule.warmup_ratio"]
    assert (row["state"], row["untried"], row["high"]) == ("bracketed", [], 0.1)
    assert row["low"] is None


def test_the_components_that_won_most_come_first_among_what_is_unexplored():
    rows = asked(STORY, "unexplored", campaign="t").rows
    untouched = [row["component"] for row in rows if row["state"] == "never touched"]
    assert untouched[0] == "optimizer"  # one gain each; model_size and regularization are through
    assert {row["component"] for row in rows}.isdisjoint({"other", "evaluation"})


def test_a_knob_that_only_follows_is_told_in_the_graph():
    night = line([(tuned(), 1.0, KEEP)])
    query = 'SELECT ?k { ?e lab:name "t-0000" ; lab:follows ?k }'
    found = {
        row["k"].value.rpartition("/")[2] for row in built(night).query(query, prefixes=PREFIXES)
    }
    assert "attention.n_head" in found
    assert not found & {"attention.short_window", "schedule.warmup_ratio"}


def test_what_was_left_for_a_better_value_bounds_what_may_still_be_found():
    night = line(
        [
            (tuned(warmup=0.1), 1.0, KEEP),
            (tuned(warmup=0.2), 0.9, KEEP),
            (tuned(warmup=0.4), 1.1, DISCARD),
            (tuned(warmup=0.2, part=4), 0.8, KEEP),
        ]
    )
    rows = {row["knob"]: row for row in asked(night, "unexplored").rows}
    warmup, window = rows["schedule.warmup_ratio"], rows["attention.short_window"]
    assert (warmup["state"], warmup["low"], warmup["high"]) == ("bracketed", 0.1, 0.4)
    assert warmup["untried"] == ["decrease"]  # 0.1 is known to be worse all the same
    assert (window["state"], window["low"]) == ("one direction", "long_window // 8")
    assert window["untried"] == ["decrease"]


def test_an_attempt_whose_value_nobody_told_went_its_way():
    lost = line([(tuned(warmup=0.2), 1.0, KEEP), (tuned(warmup=0.1), 1.1, DISCARD)])
    lost[1] = replace(lost[1], source=None, parent_source=None, description="double the warmup")
    (row,) = [r for r in asked(lost, "unexplored").rows if r["knob"] == "schedule.warmup_ratio"]
    assert (row["state"], row["untried"], row["n"]) == ("one direction", ["decrease"], 1)
