"""Commits that only put a program back are steps of the lineage: in the graph, and no attempts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from histories import asked, built
from story import HEADER, Records, Story, night, source, table, take

from flows.history_account import Account
from kg.check import Advised, check
from kg.graph import Graph
from kg.ingest import add_facts, read_facts
from kg.memory import open_memory
from kg.recall import recall
from kg.since import accepted_since
from kg.store import canonical

MAIN = "refs/heads/main"


def reverted(story: Story, tmp_path: Path, place: str = "graph", more: str = "") -> Account:
    """Five rows, four kept; a discard and a kept edit are taken back by commits without a row."""
    story.train(MAIN, "start", source())
    story.train(MAIN, "depth 8 to 9", source(9))
    story.train(MAIN, "lr 0.1 to 0.2", source(9, 0.2))
    story.train(MAIN, "back to depth 9", source(9) + "# tidy\n")
    story.train(MAIN, "depth 9 to 12", source(12))
    story.train(MAIN, 'Revert "depth 9 to 12"', source(9))
    story.train(MAIN, "lr 0.1 to 0.05", source(9, 0.05))
    shas = story.write()
    told = [(1, 1.0, "keep"), (2, 0.99, "keep"), (3, 0.995, "discard"), (5, 0.98, "keep")]
    told.append((7, 0.985, "keep"))
    rows = "".join(f"{shas[i][:7]}\t{v}\t44\t{status}\trun {i}\n" for i, v, status in told)
    return take(story, tmp_path / place, results=table(tmp_path, rows + more))


def rows_of(memory: Path, question: str, **arguments: str) -> list[dict[str, Any]]:
    return open_memory(memory / "store").ask(question, arguments, campaign="main").rows


def test_commits_that_put_a_program_back_are_no_attempts(story: Story, tmp_path: Path) -> None:
    account = reverted(story, tmp_path)
    assert (account.experiments, account.statuses["keep"], account.apart["lineage"]) == (5, 4, 2)
    assert (account.new, account.with_diff) == (7, 5)
    told = "beside them, and no attempts: 2 (no table row, an earlier program put back)"
    assert told in account.lines()
    memory = tmp_path / "graph"
    steps = rows_of(memory, "progress")
    assert [(r["value"], r["attempts"], r["kept"]) for r in steps] == [
        (1.0, 1, 1),
        (0.99, 2, 2),
        (0.98, 4, 3),
        (0.985, 5, 4),
    ]
    (agent,) = rows_of(memory, "by-agent")
    assert (agent["attempts"], agent["kept"], agent["keep_rate"]) == (5, 4, 0.8)
    assert rows_of(memory, "repeats") == []
    depths = rows_of(memory, "attempts", knob="model.depth")
    assert [row["experiment"] for row in depths] == ["main-0001", "main-0004"]
    assert all(row["with"] == [] for row in depths)


def test_the_accepted_line_is_right_after_a_revert(story: Story, tmp_path: Path) -> None:
    reverted(story, tmp_path)
    memory = tmp_path / "graph"
    spans = rows_of(memory, "timeline", knob="model.depth")
    assert [(s["value"], s["from_seq"], s["until_seq"]) for s in spans] == [
        (8, 0, 1),
        (9, 1, 4),
        (12, 4, 5),
        (9, 5, None),
    ]
    last = rows_of(memory, "progress")[-1]
    assert last["delta"] == -0.005  # against the depth of 9 that holds, not the 0.98 taken back
    kept = {row["relation"]: row["experiment"] for row in relations(memory, "main-0005")}
    assert (kept["reverts"], kept["built on"]) == ("main-0004", "main-0004")
    undone = {row["relation"]: row["experiment"] for row in relations(memory, "main-0003")}
    assert undone["reverts"] == "main-0002"
    board = open_memory(memory / "store").graph().board("main")
    moved = accepted_since(board, (2, "main-0002"))  # 9 -> 12 -> 9 is as it was
    assert [(knob, m.before, m.after) for knob, m in moved.items()] == [
        ("optimizer.matrix_lr", 0.1, 0.05)
    ]


def relations(memory: Path, experiment: str) -> list[dict[str, Any]]:
    return open_memory(memory / "store").ask("relations", {"experiment": experiment}).rows


def test_a_digest_and_a_check_name_the_run_and_not_the_revert(
    story: Story, records: Records, tmp_path: Path
) -> None:
    reverted(story, tmp_path)
    told = list(records.known.values())[:6]  # until the second revert
    memory = open_memory(tmp_path / "six")
    memory.add_all(told)
    head = recall(memory, tokens=60, campaign="main").lines[0]
    assert head.text.startswith("now main-0001 ")
    assert "0.99; 4 tried, 3 kept" in head.text
    advice = check(memory, source(9), accepted=source(9), campaign="main")
    assert advice.verdict is Advised.IDENTICAL
    assert [reason.experiment for reason in advice.reasons] == ["main-0001"]


def test_answers_as_of_an_experiment_do_not_know_later_reverts(
    story: Story, records: Records, tmp_path: Path
) -> None:
    reverted(story, tmp_path)
    told = list(records.known.values())
    questions: list[tuple[str, dict[str, object]]] = [
        ("progress", {}),
        ("by-agent", {}),
        ("repeats", {}),
        ("timeline", {"knob": "model.depth"}),
        ("attempts", {"knob": "model.depth"}),
        ("best", {}),
    ]
    for question, arguments in questions:
        for seq in range(len(told)):
            now = asked(told[: seq + 1], question, campaign="main", **arguments)
            then = asked(told, question, campaign="main", as_of=seq, **arguments)
            assert now.rows == then.rows, (question, seq)


def test_the_graph_is_the_same_in_whatever_order_lineage_is_told(
    story: Story, records: Records, tmp_path: Path
) -> None:
    reverted(story, tmp_path)
    facts = [read_facts(record) for record in records.known.values()]
    once = canonical(built(records.known.values()))
    for order in (facts, facts[::-1], facts[3:] + facts[:3]):
        store = built([])
        for one in order:
            add_facts(store, [one])
        assert canonical(store) == once


def test_a_revert_with_a_row_was_run(story: Story, records: Records, tmp_path: Path) -> None:
    sha = night(story)[6][:7]
    account = take(story, tmp_path, results=table(tmp_path, f"{sha}\t0.99\t44\tkeep\tagain\n"))
    assert account.apart == {"interrupted": 0, "lineage": 0}
    assert account.statuses == {"keep": 4, "discard": 1, "crash": 0}


def test_a_revert_in_the_middle_of_a_branch_undoes_one_edit_and_no_more(
    story: Story, records: Records, tmp_path: Path
) -> None:
    story.train(MAIN, "start", source())
    story.train(MAIN, "depth 9", source(9))
    story.train(MAIN, "lr 0.2", source(9, 0.2))
    story.train(MAIN, 'Revert "depth 9"', source(8, 0.2))
    story.train(MAIN, "depth 10", source(10, 0.2))
    story.train(MAIN, 'Revert "depth 10"; lr 0.3', source(8, 0.3))
    story.write()
    assert take(story, tmp_path).apart["lineage"] == 1
    reasons = [record.reason for record in records.known.values()]
    assert reasons[3].startswith("lineage: takes back ")
    assert reasons[5].startswith("no table row; inferred as keep")


def test_an_edit_whose_revert_says_it_was_interrupted_was_not_tried(
    story: Story, records: Records, tmp_path: Path
) -> None:
    story.train(MAIN, "start", source())
    story.train(MAIN, "depth 9", source(9))
    story.train(MAIN, "revert interrupted depth experiment", source())
    story.write()
    account = take(story, tmp_path)
    assert (account.experiments, account.apart) == (1, {"interrupted": 1, "lineage": 1})
    assert records.known["main-0001"].reason.startswith("interrupted: so says ")
    assert asked(records.known.values(), "attempts", knob="model.depth").rows == []


@pytest.mark.parametrize("measured", [True, False])
def test_steps_nobody_measured_are_not_judged_where_others_are(
    story: Story, records: Records, tmp_path: Path, measured: bool
) -> None:
    story.train(MAIN, "start", source())
    story.train(MAIN, "print more", source(8, 0.1, "print(DEPTH)\n"))
    story.train(MAIN, "depth 9", source(9, 0.1, "print(DEPTH)\n"))
    shas = story.write()
    rows = f"{shas[1][:7]}\t1.0\t4\tkeep\ta\n{shas[3][:7]}\t1.1\t4\tdiscard\tb\n"
    take(story, tmp_path, results=table(tmp_path, rows if measured else "", header=HEADER))
    told = list(records.known.values())
    (agent,) = asked(told, "by-agent", campaign="main").rows
    steps = asked(told, "progress", campaign="main").rows
    counts = (agent["attempts"], agent["kept"], agent["keep_rate"])
    if measured:
        assert counts == (2, 1, 0.5)
        assert [row["experiment"] for row in steps] == ["main-0000"]
    else:
        assert counts == (3, 3, 1.0)
        assert [row["value"] for row in steps] == [None, None, None]
    for seq in range(3):
        for question in ("by-agent", "progress"):
            now = asked(told[: seq + 1], question, campaign="main").rows
            assert now == asked(told, question, campaign="main", as_of=seq).rows
    assert Graph(built(told)).board("main").counts == counts[:2]


def test_a_second_import_with_a_table_equals_a_fresh_one(story: Story, tmp_path: Path) -> None:
    for mark, text in enumerate((source(), source(9), source(), source(9)), 1):
        story.train(MAIN, f"run {mark}" if mark < 3 else f"back to {mark - 2}", text)
    shas = story.write()
    take(story, tmp_path / "twice")
    rows = "".join(f"{shas[i][:7]}\t0.9{i}\t4\tkeep\tr\n" for i in (1, 2, 3))
    results = table(tmp_path, rows)
    take(story, tmp_path / "twice", results=results)
    take(story, tmp_path / "once", results=results)
    twice, once = (open_memory(tmp_path / name / "store").dump() for name in ("twice", "once"))
    assert twice == once
