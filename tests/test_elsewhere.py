"""What other campaigns found: each metric for itself, the best or what came closest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from histories import line
from proposals import night
from proposals import source as settings

from kg.check import check
from kg.memory import Memory
from kg.model import Status
from kg.recall import recall
from kg.record import ExperimentRecord

KEEP, DISCARD, CRASH = Status.KEEP, Status.DISCARD, Status.CRASH


def source(depth: int = 8, more: str = "") -> str:
    return f"import torch\nDEPTH = {depth}\nmodel = torch.build(DEPTH)\n{more}"


def campaign(
    tag: str, metric: str, sense: str, *runs: tuple[int, float | None, Status]
) -> list[ExperimentRecord]:
    """A baseline of depth 8 and 1.0, then other depths, of a program of the campaign's own."""
    own = f"torch.save({tag!r})\n"
    steps: list[tuple[str, float | None, Status]] = [(source(8, own), 1.0, KEEP)]
    steps += [(source(depth, own), value, status) for depth, value, status in runs]
    return [replace(record, metric=metric, direction=sense) for record in line(steps, tag)]


def memory(place: Path, *campaigns: list[ExperimentRecord]) -> Memory:
    made = Memory(place / "graph")
    made.add_all([record for told in campaigns for record in told])
    return made


HERE = campaign("t", "val_bpb", "min")
BPB = campaign("b", "val_bpb", "min", (9, 1.5, DISCARD), (10, 1.25, DISCARD), (11, None, CRASH))
SCORE = campaign("y", "score", "max", (9, 0.5, DISCARD), (10, 0.9, DISCARD))
RMSE = campaign("z", "val_rmse", "min", (9, 3000.0, DISCARD), (10, 0.25, KEEP))


def told_elsewhere(made: Memory, **options: object) -> list[str]:
    found = recall(made, idea="depth 8 to 9", campaign="t", **options).lines  # type: ignore[arg-type]
    return [line.text for line in found if line.kind == "elsewhere"]


def test_a_digest_never_adds_up_different_metrics(tmp_path: Path) -> None:
    found = told_elsewhere(memory(tmp_path, HERE, BPB, SCORE, RMSE), noise=100.0)
    assert found == [
        "elsewhere: depth increase: 0 of 2 improved score in 1 campaign,"
        " closest 10 y-0002 0000003 -0.1",
        "elsewhere: depth increase: 0 of 3 improved in 1 campaign,"
        " closest 10 b-0002 0000003 +0.25 (noise)",
        "elsewhere: depth increase: 1 of 2 improved val_rmse in 1 campaign,"
        " best 10 z-0002 0000003 -0.75",
    ]


def test_campaigns_of_one_metric_are_added_up(tmp_path: Path) -> None:
    other = campaign("c", "val_bpb", "min", (9, 0.75, KEEP))
    assert told_elsewhere(memory(tmp_path, HERE, BPB, other)) == [
        "elsewhere: depth increase: 1 of 4 improved in 2 campaigns, best 9 c-0001 0000002 -0.25"
    ]


def test_what_nobody_measured_is_no_evidence(tmp_path: Path) -> None:
    untold = campaign("u", "val_bpb", "min", (9, None, DISCARD))
    assert told_elsewhere(memory(tmp_path, HERE, untold)) == []


def test_edits_without_a_name_are_left_out(tmp_path: Path) -> None:
    extra = source(more="frame = torch.prepare(model)\ntorch.shuffle(frame)\n")
    told = line([(source(), 1.0, KEEP), (extra, 1.1, DISCARD)], "u")
    made = memory(tmp_path, told, HERE)
    assert made.ask("attempts", {"knob": "other.unspecified"}, campaign="u").rows
    for tag in ("t", "u"):
        digest = recall(made, idea="unspecified edit", campaign=tag, tokens=2000)
        assert "unspecified" not in digest.text


def reason(made: Memory, depth: int) -> str:
    own = HERE[0].source
    advice = check(made, (own or "").replace("8", str(depth)), accepted=own, campaign="t")
    (found,) = [r.text for r in advice.reasons if "other campaigns" in r.text]
    return found


def test_a_check_tells_other_campaigns_by_metric(tmp_path: Path) -> None:
    nine = campaign("d", "val_bpb", "min", (9, 1.125, DISCARD))
    made = memory(tmp_path, HERE, BPB, SCORE, nine)
    assert reason(made, 9) == (
        "depth 9 improved 0 of 2 by val_bpb, 0 of 1 by score in other campaigns,"
        " such as d-0001 0000002 (+0.125000 val_bpb)"
    )
    made.add_all(campaign("s", "score", "max", (9, 1.25, KEEP)))
    assert reason(made, 9) == (
        "depth 9 improved 1 of 2 by score, 0 of 2 by val_bpb in other campaigns,"
        " such as s-0001 0000002 (+0.250000 score)"
    )


def test_a_check_shows_the_loss_that_came_closest(tmp_path: Path) -> None:
    twice = campaign("e", "score", "max", (9, 0.5, DISCARD), (9, 0.75, DISCARD))
    assert reason(memory(tmp_path, HERE, twice), 9) == (
        "depth 9 improved 0 of 2 in other campaigns, such as e-0002 0000003 (-0.250000 score)"
    )


def test_what_only_crashed_elsewhere_is_told(tmp_path: Path) -> None:
    crashed = campaign("x", "val_bpb", "min", (9, None, CRASH), (12, None, CRASH))
    made = memory(tmp_path, HERE, crashed)
    assert told_elsewhere(made) == [
        "elsewhere: depth increase: 0 of 2 improved in 1 campaign, crashed 9 x-0001 0000002"
    ]
    assert reason(made, 9) == (
        "depth 9 improved 0 of 1 in other campaigns, such as x-0001 0000002 (crashed)"
    )


def test_a_campaign_that_knows_nothing_of_an_idea_gives_others_the_room(tmp_path: Path) -> None:
    deep = [(settings(depth=depth), 1.01, DISCARD) for depth in (9, 7)]
    wide = [(settings(batch=2**power), 1.01, DISCARD) for power in (17, 19)]
    rates = [(settings(matrix=rate), 1.01, DISCARD) for rate in (0.05, 0.03)]
    rates += [(settings(lr=rate), 1.01, DISCARD) for rate in (0.9, 0.7)]

    def elsewhere(made: Memory) -> int:
        idea = "matrix lr 0.06, embedding lr 1.0"
        told = recall(made, settings(), idea=idea, campaign="t", tokens=200).lines
        return sum(one.kind == "elsewhere" for one in told)

    others = night(*rates, tag="u")
    assert elsewhere(memory(tmp_path, night(*deep, *wide), others)) == 3
    once = (settings(matrix=0.06), 1.01, DISCARD)
    assert elsewhere(memory(tmp_path / "b", night(*deep, *wide, once), others)) == 2


def test_what_others_moved_was_never_moved_here(tmp_path: Path) -> None:
    digest = recall(memory(tmp_path, HERE, BPB), idea="depth 8 to 9", campaign="t")
    assert "untried: depth 8 since #0 0000001: never moved here" in digest.text
    alone = recall(memory(tmp_path / "b", HERE), idea="depth 8 to 9", campaign="t")
    assert alone.text.endswith("untried: depth 8 since #0 0000001: never moved")
