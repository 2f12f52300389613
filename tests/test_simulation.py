"""The simulated agent A/B: its agent, its arms, its nights, and what it prints."""

from __future__ import annotations

import random

import numpy as np
import pytest
from states import moved

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
from bench.synthetic import START, campaign
from kg.check import check
from kg.check_model import Advised, Alternative
from kg.memory import open_memory
from kg.model import Status

SHORT = World(experiments=12)
SEEDS = range(4)


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
