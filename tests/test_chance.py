"""Another seed is no idea: neither the verdict nor the memory takes it for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from histories import asked, line
from laboratory import CONFIG, TRAIN, git
from told import DISCARD, KEEP, column, source

from flows import campaign
from flows.experiment import Proposal
from flows.lab import Lab, Wishes, open_lab
from flows.ledger import Entry
from flows.noise import REFS
from flows.verdict import SEED_ALONE

LUCKY = TRAIN.replace("    out =", "    loss -= (SEED == 7) / 50\n    out =")  # 7 gains 0.02


def lucky(lab: Lab, root: Path, config: str = CONFIG) -> Callable[..., Entry]:
    """Start a campaign where seed 7 is lucky; return what tries edits of it."""
    (root / "train.py").write_text(LUCKY)
    (root / "nightlab.toml").write_text(config)
    git(root, "commit", "-qam", "Luck")
    lab = open_lab(root)
    campaign.start(lab, "t", Wishes())

    def tried(*pairs: tuple[str, str]) -> Entry:
        def propose(place: campaign.Campaign, accepted: bytes) -> Proposal:
            edited = accepted.decode()
            for old, new in pairs:
                assert old in edited
                edited = edited.replace(old, new)
            return Proposal(edited.encode(), "an edit")

        return campaign.attempt(lab, "t", propose)[1].entry

    return tried


def test_a_lucky_seed_alone_is_discarded_and_ledger_and_graph_agree(lab: Lab, root: Path) -> None:
    tried = lucky(lab, root)
    entry = tried(("SEED = 42", "SEED = 7"))
    assert entry.value == 1.03
    assert (entry.status.value, entry.metrics["reason"]) == ("discard", SEED_ALONE)
    assert lab.repository.resolve("refs/heads/autoresearch/t") == entry.parent_commit
    (told,) = lab.memory.ask("attempts", {"knob": "other.seed"}).rows
    assert told["outcome"] == "equal"


def test_a_seed_beside_an_idea_is_judged_as_usual(lab: Lab, root: Path) -> None:
    tried = lucky(lab, root)
    entry = tried(("SEED = 42", "SEED = 7"), ("DEPTH = 4", "DEPTH = 5"))
    assert (entry.status.value, entry.metrics["reason"]) == ("keep", "lower by 0.050000")
    back = tried(("SEED = 7", "SEED = 8"), ("DEPTH = 5", "DEPTH = 4"))
    assert (back.status.value, back.metrics["reason"]) == (
        "discard",
        "not lower: worse by 0.050000",
    )


def test_comments_do_not_make_a_seed_an_idea_and_no_second_run_is_spent(
    lab: Lab, root: Path
) -> None:
    tried = lucky(lab, root, CONFIG.replace("much_code = 20", "much_code = 20, confirm = true"))
    entry = tried(("SEED = 42", "SEED = 7  # why not"))
    assert entry.metrics["reason"] == SEED_ALONE
    assert lab.repository.refs(REFS) == {}


def test_dead_ends_and_sweeps_leave_the_seed_out() -> None:
    seeds = [(source(seed=number), 1.001, DISCARD) for number in (1, 2, 3)]
    deeper = [(source(depth=9 + number, seed=number), 1.1, DISCARD) for number in (1, 2, 3)]
    told = line([(source(), 1.0, KEEP), *seeds, *deeper])
    assert column(asked(told, "attempts", knob="other.seed"), "outcome")[:3] == ["equal"] * 3
    for history in (told, [*told, *line([(source(), 1.0, KEEP)], tag="begun")]):
        assert set(column(asked(history, "dead-ends"), "knob")) == {"model.depth"}
        assert column(asked(history, "dead-ends", component="other"), "knob") == []
        assert column(asked(history, "sweeps"), "knob") == ["model.depth"]
