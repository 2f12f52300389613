from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from histories import line
from hypothesis import given
from hypothesis import strategies as st
from told import DISCARD, KEEP, STORY, source

from kg.check import check
from kg.errors import KgError
from kg.floor import floor_quads
from kg.memory import Memory
from kg.record import NoiseFloor


def floor(deviation: float, device: str = "cpu", campaign: str = "t") -> NoiseFloor:
    return NoiseFloor(campaign, "val_bpb", device, "m", "cpu", deviation, 2 * deviation, 3)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    made = Memory(tmp_path / "graph")
    made.add_all(STORY)
    return made


def within(memory: Memory, question: str = "progress", **arguments: str) -> list[bool | None]:
    return [row["within_noise"] for row in memory.ask(question, arguments, campaign="t").rows]


def test_every_answer_uses_the_measured_floor_once_there_is_one(memory: Memory) -> None:
    assert within(memory) == [None, False, False, False]  # by the rerun with another seed
    memory.measure("t", [floor(0.006)])
    assert within(memory) == [None, True, True, True]
    assert within(memory, "attempts", knob="model.depth") == [True, None]


def test_failures_and_hypotheses_inside_the_floor_say_so(tmp_path: Path) -> None:
    told = line(
        [
            (source(), 1.0, KEEP),
            (source(lr=0.9), 1.004, DISCARD),
            (source(lr=1.0), 1.006, DISCARD),
            (source(depth=9), 0.996, KEEP),
        ]
    )
    told[3] = replace(told[3], hypothesis="deeper is better", expected_delta=-0.01)
    made = Memory(tmp_path / "graph")
    made.add_all(told)
    reasons = ("dead-ends", "within_noise", "reason"), ("hypotheses", "within_noise", "verdict")

    def answers() -> list[tuple[object, ...]]:
        return [
            tuple(made.ask(question).rows[0][name] for name in names)
            for question, *names in reasons
        ]

    assert answers() == [(None, "worsens"), (None, "supported")]
    made.measure("t", [floor(0.003)])  # the mean of the failures is +0.005, the gain 0.004
    assert answers() == [(True, "inside the noise"), (True, "supported")]
    made.measure("t", [floor(0.001)])
    assert answers() == [(False, "worsens"), (False, "supported")]


def test_all_campaigns_together_are_told_by_the_floor_of_each(memory: Memory) -> None:
    memory.add_all(line([(source(), 1.0, KEEP)], tag="other"))
    assert [row["within_noise"] for row in memory.ask("progress").rows] == [None, False]  # -0.020
    memory.measure("t", [floor(0.02)])
    assert [row["within_noise"] for row in memory.ask("progress").rows] == [None, True]


def test_the_last_of_several_floors_counts_and_all_are_kept(memory: Memory) -> None:
    memory.measure("t", [floor(1.0, "cuda"), floor(0.0)])
    assert within(memory) == [None, False, False, False]
    query = "SELECT ?device ?d { ?n a lab:NoiseFloor ; lab:device ?device ; lab:deviation ?d }"
    assert sorted(row["device"] for row in memory.sparql(query).rows) == ["cpu", "cuda"]
    assert memory.check() == []


def test_measuring_again_leaves_nothing_of_the_earlier_floor(memory: Memory) -> None:
    before = memory.dump()
    memory.measure("t", [floor(1.0, "cuda")])
    memory.measure("t", [floor(0.001)])
    once = Memory(memory.directory.parent / "once")
    once.rebuild(STORY, floors=[floor(0.001)])
    assert memory.dump() == once.dump() != before
    memory.measure("t", [])
    assert memory.dump() == before


def test_an_experiment_added_after_a_measurement_is_held_against_it(memory: Memory) -> None:
    early = Memory(memory.directory.parent / "early")
    early.add_all(STORY[:5])
    early.measure("t", [floor(0.001)])
    early.add_all(STORY[5:])
    memory.measure("t", [floor(0.001)])
    assert early.dump() == memory.dump()
    assert within(early) == within(memory)


@given(st.floats(allow_nan=True, allow_infinity=True).filter(lambda x: not 0.0 <= x < math.inf))
def test_what_is_no_spread_is_refused(deviation: float) -> None:
    with pytest.raises(KgError, match="no spread; measure it again"):
        list(floor_quads([floor(deviation)]))


def test_an_attempt_is_undecided_where_a_check_says_so(tmp_path: Path) -> None:
    told = line(
        [
            (source(), 1.0, KEEP),
            (source(lr=0.9), 1.004, DISCARD),  # 1: inside the floor, once
            (source(lr=1.0), 1.004, DISCARD),  # 2, and again in 4
            (source(lr=1.2), 1.03, DISCARD),  # 3: beyond it
            (source(lr=1.0, seed=43), 1.006, DISCARD),
            (source(depth=9), 0.97, KEEP),
            (source(depth=9, lr=1.0), 0.975, DISCARD),  # 6
        ]
    )
    made = Memory(tmp_path / "graph")
    made.add_all(told)

    def retry() -> dict[str, str]:
        rows = made.ask("attempts", {"knob": "optimizer.embedding_lr"}, campaign="t").rows
        return {row["experiment"][-1]: row["retry"] for row in rows}

    assert retry() == {"1": "no", "2": "no", "3": "no", "4": "no", "6": "no"}
    made.measure("t", [floor(0.005)])
    # the seed beside it makes of 4 another edit
    assert retry() == {"1": "undecided", "2": "no", "3": "no", "4": "undecided", "6": "no"}
    for lr, verdict in ((0.9, "near"), (1.0, "repeat"), (1.2, "repeat")):
        advice = check(made, source(depth=9, lr=lr) + "x = 1\n", source(depth=9) + "x = 1\n")
        assert advice.verdict == verdict
