"""The world of the simulated agent A/B and the truth about what is wasted in it."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from states import moved

from bench.simulation_truth import Truth
from bench.simulation_world import FLOOR, GAP, ORDERED, PAIRS, SIGMA, TUNED, draw_surface
from bench.synthetic import KNOBS, START

SEEDS = range(4)


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
