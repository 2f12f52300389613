"""Changes of single revisions and ranges of a repository."""

from __future__ import annotations

import pytest
from story import Story, night

from flows import revisions
from flows.history import revision_changes


def test_changes_of_revisions_come_one_dict_a_commit_and_errors_are_named(
    story: Story,
) -> None:
    shas = night(story)
    asked = [shas[4][:9], "nope", "main", "--all", shas[1]]
    lines = list(revision_changes(story.place, asked, "train.py"))
    first = lines[0]
    assert (first["commit"], first["parent"]) == (shas[4], shas[3])
    assert [(r["knob"], r["old"], r["new"]) for r in first["records"]] == [
        ("optimizer.matrix_lr", "0.1", "0.2")
    ]
    assert first["records"][0].keys() >= {"component", "change_type", "optimizer_scope", "silent"}
    assert lines[1]["error"] == f"revision 'nope': is not in {story.place}; see git log"
    assert lines[2] == {"commit": shas[2], "parent": shas[1], "records": []}
    assert lines[3]["revision"] == "--all"
    assert lines[4] == {"commit": shas[1], "parent": None, "records": []}


def test_a_range_is_walked_oldest_first_and_reverts_are_seen(story: Story) -> None:
    shas = night(story)
    lines = list(revision_changes(story.place, ["main..autoresearch/mar8"], "train.py"))
    assert [line["commit"] for line in lines] == shas[3:7]
    assert [line["records"][0]["change_type"] for line in lines] == [
        "increase",
        "increase",
        "increase",
        "revert",
    ]
    wrong = list(revision_changes(story.place, ["main..nope"], "train.py"))
    assert [line["revision"] for line in wrong] == ["main..nope"]
    assert [line["records"] for line in revision_changes(story.place, ["main"], "a/b.py")] == [[]]


def test_a_pool_gives_the_same_lines_in_the_same_order(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(story)
    asked = ["main..autoresearch/mar8", "nope", "main"]
    alone = list(revision_changes(story.place, asked, "train.py"))
    monkeypatch.setattr(revisions, "POOLED", 2)
    assert list(revision_changes(story.place, asked, "train.py")) == alone
