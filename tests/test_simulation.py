"""The simulated agent A/B: its world, its truth, its arms, and what it prints."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest

from bench import simulation, simulation_arms
from bench.__main__ import SECTIONS
from bench.simulation_agent import WINDOW, Seen, edits, new_agent, propose
from bench.simulation_arms import (
    ARMS,
    CHECK,
    LIST,
    NOBODY,
    OFFERS,
    PERFECT,
    Checking,
    FlatList,
    InProcess,
    applied,
    values,
)
from bench.simulation_night import TRIES, World, run_night
from bench.simulation_stats import interval, paired
from bench.simulation_truth import Truth
from bench.simulation_world import FLOOR, GAP, ORDERED, PAIRS, SIGMA, TUNED, draw_surface
from bench.synthetic import KNOBS, START, campaign
from kg.check import check
from kg.check_model import Advised, Alternative
from kg.memory import open_memory
from kg.model import Status

SHORT = World(experiments=12)
SEEDS = range(4)


def moved(name: str, by: int = 1) -> dict[str, int]:
    """Return the start with one knob moved, inwards where the range ends."""
    position = START[name] + by
    inside = 0 <= position < len(KNOBS[name][0])
    return {**START, name: position if inside else START[name] - by}


def lossy(surface, name: str) -> dict[str, int]:
    """Return the start with one knob moved away from its best."""
    state = moved(name, 1 if surface.best[name] <= START[name] else -1)
    assert surface.true(state) > surface.true(START)
    return state


def free(surface) -> list[str]:
    """Return the knobs without partners whose range goes on from the start away from the best."""
    found = []
    for name in ORDERED:
        away = 1 if surface.best[name] <= START[name] else -1
        inside = 0 <= START[name] + 3 * away < len(KNOBS[name][0])
        if inside and not surface.partners[name] and not surface.crashes[name]:
            found.append(name)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_baseline_lies_a_gap_above_the_floor_and_nothing_lies_below_it(seed):
    surface = draw_surface(seed)
    assert surface.true(START) == pytest.approx(FLOOR + GAP)
    chance = random.Random(seed)
    for _ in range(300):
        state = {**START, **{name: chance.randrange(len(KNOBS[name][0])) for name in TUNED}}
        assert surface.true(state) >= FLOOR
    pattern = surface.patterns.index(0.0)
    best = {**START, **surface.best, "WINDOW_PATTERN": pattern}
    assert surface.true(best) == pytest.approx(FLOOR)


@pytest.mark.parametrize("textbook", [0.0, 0.5, 1.0])
def test_two_knobs_interact_just_where_the_surface_says(textbook):
    surface = draw_surface(3, textbook=textbook)
    count = 0
    for one, other in combinations(ORDERED, 2):
        both = {**moved(one), other: moved(other)[other]}
        mixed = (
            surface.true(both)
            - surface.true(moved(one))
            - surface.true(moved(other))
            + surface.true(START)
        )
        tied = other in surface.partners[one]
        assert (abs(mixed) > 1e-9) == tied
        count += tied
    assert count == PAIRS


@pytest.mark.parametrize("seed", SEEDS)
def test_a_knob_s_part_tells_what_moving_it_alone_does(seed):
    surface = draw_surface(seed)
    for name in TUNED:
        state = moved(name)
        whole = surface.true(state) - surface.true(START)
        assert part_of(surface, name, state) == pytest.approx(whole, abs=1e-12)


def part_of(surface, name, state):
    return surface.part(name, state[name], state) - surface.part(name, START[name], START)


def test_noise_belongs_to_the_number_of_the_experiment_and_grows_with_sigma():
    surface, loud = draw_surface(1), draw_surface(1, sigma=3 * SIGMA)
    state = moved("DEPTH")
    off = [surface.measured(s, 7) - surface.true(s) for s in (START, state)]
    assert off[0] == pytest.approx(off[1], abs=2e-6)
    assert loud.measured(START, 7) - loud.true(START) == pytest.approx(3 * off[0], abs=4e-6)
    assert surface.measured(START, 8) != surface.measured(START, 7)


def test_a_crash_has_no_result():
    surface = next(s for s in map(draw_surface, range(50)) if any(s.crashes.values()))
    name = next(name for name, where in surface.crashes.items() if where)
    state = {**START, name: max(surface.crashes[name])}
    assert surface.measured(state, 1) is None
    assert surface.measured(START, 1) is not None


def test_the_same_program_again_is_wasted():
    surface = draw_surface(0)
    truth = Truth(surface)
    truth.add(START, START)
    state = moved("DEPTH")
    truth.add(state, START)
    assert truth.waste(state, START) == "identical"
    assert truth.waste(moved("DEPTH", 2), START) != "identical"


def test_a_value_measured_alone_is_known_until_a_partner_moves():
    surface = draw_surface(0)
    name, partner = next((a, b) for a in ORDERED for b in surface.partners[a])
    stranger = next(other for other in free(surface) if other != name)
    truth = Truth(surface)
    truth.add(START, START)
    tried = lossy(surface, name)
    truth.add(tried, START)
    for other, known in ((stranger, True), (partner, False)):
        since = moved(other)
        truth.add(since, START)
        again = {**since, name: tried[name]}
        assert truth.known(again, since) is known


def test_a_value_tried_only_with_another_edit_is_not_known():
    surface = draw_surface(0)
    one, other = free(surface)[:2]
    truth = Truth(surface)
    truth.add(START, START)
    both = {**lossy(surface, one), other: lossy(surface, other)[other]}
    truth.add(both, START)
    assert truth.waste(lossy(surface, one), START) == ""
    truth.add(lossy(surface, one), START)
    assert truth.waste(lossy(surface, other), START) == "known"  # the difference of the two


def test_going_on_beyond_a_known_loss_is_wasted_and_a_true_improvement_never_is():
    surface = draw_surface(0, sigma=1e-9)
    name = free(surface)[0]
    away = 1 if surface.best[name] <= START[name] else -1
    truth = Truth(surface)
    truth.add(START, START)
    far = {**START, name: START[name] + 3 * away}
    assert truth.waste(far, START) == ""
    truth.add({**START, name: START[name] + 2 * away}, START)
    assert truth.waste(far, START) == "beyond"
    assert truth.waste({**START, name: START[name] + away}, START) == ""  # before the wall
    assert truth.waste(START, far) == "identical"
    back = {**far, name: START[name] + away}
    assert surface.true(back) < surface.true(far)
    assert truth.waste(back, far) == ""


def test_a_crash_is_known_of_the_value_that_caused_it_and_of_no_other():
    surface = next(s for s in map(draw_surface, range(50)) if any(s.crashes.values()))
    name = next(name for name, where in surface.crashes.items() if where)
    other = next(one for one in ORDERED if one != name)
    low = min(surface.crashes[name])
    bad = {**START, name: low}
    truth = Truth(surface)
    truth.add(START, START)
    truth.add({**bad, other: moved(other)[other]}, START)
    assert truth.waste(bad, START) == ""
    truth.add(bad, START)
    since = moved(other)
    assert truth.waste({**since, name: low}, since) in ("known", "identical")
    assert truth.waste({**START, name: max(surface.crashes[name])}, START) in (
        "beyond",
        "identical",
    )


def test_the_agent_sees_no_more_than_its_window_and_proposes_no_failure_it_sees():
    agent, chance = new_agent(1), random.Random(5)
    states = []
    for _ in range(3 * WINDOW):
        state = propose(agent, START, chance)
        shown = {edits(seen.before, seen.state) for seen in agent.recent}
        assert len(shown) <= WINDOW
        assert edits(START, state) not in shown
        agent.recent.append(Seen(START, state, Status.DISCARD))
        states.append(state)
    assert all(1 <= len(edits(START, state)) <= 2 for state in states)


def test_the_flat_list_refuses_what_was_discarded_and_nothing_else():
    flat, state = FlatList(), moved("DEPTH")
    kept, lost = ((r, r.status is Status.KEEP) for r in two_records())
    flat.tell(kept[0], state, START)
    assert not flat.ask(state, START).refused
    flat.tell(lost[0], state, START)
    assert flat.ask(state, START).refused
    assert flat.ask({**state, "SOFTCAP": 3}, {**START, "SOFTCAP": 3}).refused
    assert not flat.ask({**state, "SOFTCAP": 3}, START).refused


def two_records():
    """Return a kept and a discarded experiment."""
    rows = list(campaign("t", 40))
    return [next(r for r in rows[1:] if r.status is s) for s in (Status.KEEP, Status.DISCARD)]


@pytest.mark.parametrize("arm", [NOBODY, LIST, CHECK, OFFERS, PERFECT])
def test_a_night_is_the_same_every_time(arm):
    first, second = (run_night(arm, 2, SHORT) for _ in range(2))
    first.seconds = second.seconds = []
    assert first == second
    assert len(first.gaps) == SHORT.experiments
    assert sum(first.statuses.values()) == SHORT.experiments


def test_an_arm_that_refuses_nothing_has_the_night_without_memory():
    bare = run_night(NOBODY, 3, SHORT)
    asked = run_night(CHECK, 3, SHORT, Checking(InProcess(), refuse=frozenset()))
    assert len(asked.heard) == SHORT.experiments
    assert (asked.gaps, asked.wasted, asked.statuses) == (bare.gaps, bare.wasted, bare.statuses)


def test_the_arm_without_memory_never_sees_it(monkeypatch):
    before = run_night(NOBODY, 1, SHORT)

    def seen(*_args, **_more):
        raise AssertionError("the memory was seen")

    monkeypatch.setattr(simulation_arms, "check", seen)
    monkeypatch.setattr(InProcess, "add_all", seen)
    for arm in (NOBODY, LIST, PERFECT):
        run_night(arm, 1, SHORT)
    assert run_night(NOBODY, 1, SHORT) == before
    with pytest.raises(AssertionError, match="the memory was seen"):
        run_night(CHECK, 1, SHORT)


def test_the_perfect_memory_wastes_nothing_it_is_not_forced_to():
    for seed in SEEDS:
        night = run_night(PERFECT, seed, World(experiments=60))
        assert night.waste <= night.forced
        assert all(heard.refused == bool(heard.waste) for heard in night.heard)


def test_a_refused_edit_is_run_in_the_end_if_nothing_else_is_offered():
    class Never(FlatList):
        def ask(self, state, accepted):
            return simulation_arms.Answer("no", refused=True)

    night = run_night(LIST, 0, World(experiments=3), Never())
    assert night.forced == 3
    assert len(night.heard) == 3 * TRIES


def test_the_memory_in_ram_says_what_the_memory_on_disk_says(tmp_path):
    rows = list(campaign("t", 50, seed=3))
    told, asked = rows[:30], rows[30:]
    quick, stored = InProcess(), open_memory(tmp_path / "graph")
    for row in told:
        quick.add(row)
    stored.add_all(told)
    says = [
        [check(memory, row.source, row.parent_source, campaign="t") for row in asked]
        for memory in (quick, stored)
    ]
    assert says[0] == says[1]
    assert {advice.verdict for advice in says[0]} >= {Advised.NEW, Advised.NEAR, Advised.REPEAT}


def test_what_check_offers_is_set_at_the_nearest_value_the_agent_types():
    offer = Alternative("optimizer.matrix_lr", 0.0417, "between")
    state = applied(offer, START)
    assert state == {**START, "MATRIX_LR": START["MATRIX_LR"] + 1}
    assert values("BATCH_BITS")[START["BATCH_BITS"]] == 2**19
    assert applied(Alternative("batch.total", 2**18, "half"), START) == moved("BATCH_BITS", -1)
    assert applied(Alternative("optimizer.matrix_lr", 0.0401, "as it is"), START) is None
    assert applied(Alternative("optimizer.matrix_lr", None, "a knob alone"), START) is None
    assert applied(Alternative("mlp.activation", 3, "not in this program"), START) is None


def test_the_interval_of_a_mean_is_the_one_theory_gives():
    sample = np.random.default_rng(4).normal(3.0, 2.0, size=400)
    found = interval(list(sample))
    half = 1.96 * sample.std(ddof=1) / 20
    assert found.mean == pytest.approx(sample.mean())
    assert found.low == pytest.approx(sample.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(sample.mean() + half, abs=0.1 * half)


def test_pairing_takes_out_what_the_seeds_have_in_common():
    seeds = np.random.default_rng(4).normal(0.0, 50.0, size=100)
    left, right = list(seeds - 1.0), list(seeds)
    assert paired(left, right) == pytest.approx((-1.0, -1.0, -1.0))
    apart = interval(left)
    assert apart.high - apart.low > 10
    swapped = paired(right, left)
    assert swapped == pytest.approx((1.0, 1.0, 1.0))


def test_the_bench_prints_the_simulation_and_calls_it_one(capsys):
    assert SECTIONS["simulation"][1] == ["simulation"]
    assert simulation.main(["--seeds", "2", "--experiments", "5", "--jobs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("A SIMULATION")
    assert "says nothing about training" in lines[0]
    for arm in ARMS:
        assert any(line.startswith(arm) and "[" in line for line in lines)
    assert "with the same verdicts" in lines[-1]
