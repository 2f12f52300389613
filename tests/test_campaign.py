import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from laboratory import TRAIN, git

from flows import campaign, derived, ledger
from flows.campaign import Done
from flows.errors import CampaignError
from flows.experiment import Proposal
from flows.lab import Lab, Wishes, check_tag, current_tag, edited, open_campaign

FAILURES = {
    "syntax": ("DEPTH = 4", "DEPTH = (", "SyntaxError"),
    "raises": ("    loss = ", "    raise ValueError('too deep')\n    loss = ", "too deep"),
    "silent": ('    print(f"val_bpb:          {loss:.6f}")\n', "", "printed no line `val_bpb"),
    "nan": ("{loss:.6f}", "nan", "printed val_bpb 'nan'"),
    "hang": ("    loss = ", "    import time; time.sleep(60)\n    loss = ", "limit of 5 s"),
}


def tried(lab: Lab, source: bytes, message: str = "an edit", tag: str = "t") -> Done:
    return campaign.attempt(lab, tag, lambda place, old: Proposal(source, message))[1]


def exp_show(root: Path) -> dict[str, dict[str, object]]:
    words = [sys.executable, "-m", "dvc", "exp", "show", "-A", "--json"]
    output = subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout
    found: dict[str, dict[str, object]] = {}
    for baseline in json.loads(output):
        for experiment in baseline["experiments"] or []:
            state = experiment["revs"][0]
            data = state["data"]["metrics"]["exp/metrics.json"]["data"]
            found[experiment["name"]] = {"commit": state["rev"], **data}
    return found


def checkout(root: Path) -> dict[str, str]:
    files = [p for p in root.rglob("*") if p.is_file() and p.parts[len(root.parts)] != ".git"]
    ours = {".nightlab", ".dvc"}
    seen = [p for p in files if p.relative_to(root).parts[0] not in ours] + [root / ".git/index"]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(seen)}


def test_the_baseline_is_kept_and_starts_the_branch(lab: Lab) -> None:
    place, done = campaign.start(lab, "t", Wishes())
    assert (done.entry.facts.name, done.entry.value) == ("t-0000", 1.05)
    assert lab.repository.resolve("refs/heads/autoresearch/t") == done.entry.commit
    assert place.target.read_text() == TRAIN
    assert campaign.start(lab, "t", Wishes())[1].entry == done.entry  # once, however often asked


def test_a_better_result_advances_the_branch_a_worse_one_sets_the_file_back(
    lab: Lab, edit: Callable[..., bytes]
) -> None:
    place, base = campaign.start(lab, "t", Wishes())
    better = tried(lab, edit(("DEPTH = 4", "DEPTH = 5")))
    assert better.entry.status.value == "keep"
    assert lab.repository.resolve(place.ref) == better.entry.commit
    assert better.entry.parent_commit == base.entry.commit
    worse = tried(lab, edit(("DEPTH = 4", "DEPTH = 1")))
    assert worse.entry.status.value == "discard"
    assert worse.entry.facts.best_before == 1.02
    assert lab.repository.resolve(place.ref) == better.entry.commit
    assert b"DEPTH = 5" in place.target.read_bytes()


def test_every_kind_of_failure_is_a_crash_with_its_reason_and_the_night_goes_on(
    lab: Lab, root: Path, edit: Callable[..., bytes]
) -> None:
    place, _ = campaign.start(lab, "t", Wishes())
    for name, (old, new, reason) in FAILURES.items():
        entry = tried(lab, edit((old, new)), name).entry
        assert entry.status.value == "crash", name
        assert reason in entry.metrics["reason"], name
    assert tried(lab, edit(("DEPTH = 4", "DEPTH = 6")), "six").entry.status.value == "keep"
    shown = exp_show(root)
    assert [shown[f"t-{i:04d}"]["status"] for i in range(7)] == ["keep", *["crash"] * 5, "keep"]
    assert FAILURES["hang"][2] in str(shown["t-0005"]["reason"])
    rows = place.results.read_text().splitlines()
    assert rows[1].endswith("\t1.050000\t1.0\tkeep\tbaseline")
    assert rows[2].split("\t")[1:] == ["0.000000", "0.0", "crash", "syntax"]
    asked = lab.memory.sparql(
        "SELECT ?e ?r { ?e lab:status ?s ; lab:reason ?r FILTER(CONTAINS(STR(?s), 'rash')) }"
    )
    assert len(asked.rows) == 5


def test_ledger_dvc_table_and_memory_name_the_same_experiments(
    lab: Lab, root: Path, edit: Callable[..., bytes]
) -> None:
    place, _ = campaign.start(lab, "t", Wishes())
    tried(lab, edit(("DEPTH = 4", "DEPTH = 5")))
    tried(lab, edit(("DEPTH = 4", "DEPTH = 9")))
    known = {e.facts.name: (e.commit, e.value) for e in ledger.entries(lab.repository)}
    shown = {name: (row["commit"], row["val_bpb"]) for name, row in exp_show(root).items()}
    assert shown == known
    rows = [line.split("\t") for line in place.results.read_text().splitlines()[1:]]
    assert [(r[0], float(r[1])) for r in rows] == [(c[:7], v) for c, v in known.values()]
    answer = lab.memory.ask("progress", {}, campaign="t")
    kept = {row["experiment"]: row["commit"] for row in answer.rows}
    assert kept == {name: known[name][0][:7] for name in kept}
    assert {"t-0000", "t-0001"} <= set(kept)


def test_a_dirty_checkout_is_the_same_before_and_after(
    lab: Lab, root: Path, edit: Callable[..., bytes]
) -> None:
    (root / "train.py").write_text("# half an idea\n")
    (root / "notes.md").write_text("staged\n")
    git(root, "add", "notes.md")
    (root / "notes.md").write_text("staged, then edited\n")
    (root / "untracked.txt").write_text("mine\n")
    before, status = checkout(root), git(root, "status", "--porcelain")
    campaign.start(lab, "t", Wishes())
    tried(lab, edit(("DEPTH = 4", "DEPTH = 5")))
    tried(lab, edit(("DEPTH = 4", "DEPTH = (")))
    assert checkout(root) == before
    assert git(root, "status", "--porcelain") == status
    assert git(root, "symbolic-ref", "HEAD").strip() == "refs/heads/main"


def test_what_is_derived_comes_back_byte_for_byte(
    lab: Lab, root: Path, edit: Callable[..., bytes]
) -> None:
    place, _ = campaign.start(lab, "t", Wishes())
    tried(lab, edit(("MATRIX_LR = 0.04", "MATRIX_LR = 0.05")), "tabs\tand\nlines")
    tried(lab, edit(("DEPTH = 4", "DEPTH = (")))
    memory = lab.memory
    table, graph = place.results.read_bytes(), memory.dump()
    place.results.unlink()
    subprocess.run(["rm", "-r", str(lab.graph)], check=True)
    assert derived.rebuild(lab) == 3
    assert place.results.read_bytes() == table
    assert lab.memory.dump() == graph


def test_dvc_applies_and_compares_our_experiments(
    lab: Lab, root: Path, edit: Callable[..., bytes]
) -> None:
    campaign.start(lab, "t", Wishes())
    tried(lab, edit(("DEPTH = 4", "DEPTH = 1")))
    dvc = [sys.executable, "-m", "dvc", "exp"]
    compared = subprocess.run(
        [*dvc, "diff", "t-0000", "t-0001", "--json"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    difference = json.loads(compared.stdout)
    assert difference["params"]["exp/params.json"]["DEPTH"] == {"old": 4, "new": 1, "diff": -3}
    subprocess.run([*dvc, "apply", "t-0001"], cwd=root, check=True, capture_output=True)
    assert "DEPTH = 1" in (root / "train.py").read_text()
    assert (root / "exp" / "artifacts" / "checkpoint.pt").is_file()


def test_an_edit_written_while_another_one_ran_is_kept_beside_the_target(
    lab: Lab, edit: Callable[..., bytes], caplog: pytest.LogCaptureFixture
) -> None:
    place, _ = campaign.start(lab, "t", Wishes())
    first, second = edit(("DEPTH = 4", "DEPTH = 5")), edit(("DEPTH = 4", "DEPTH = 6"))
    place.target.write_bytes(first)

    def propose(place: campaign.Campaign, old: bytes) -> Proposal:
        source = edited(place)
        place.target.write_bytes(second)  # an agent that does not wait for the result
        return Proposal(source, "one")

    campaign.attempt(lab, "t", propose)
    assert place.target.read_bytes() == first  # the accepted version now
    (kept,) = place.target.parent.glob("train.untried-*.py")
    assert kept.read_bytes() == second
    assert f"is kept as {kept.name}" in caplog.text
    kept.unlink()
    place.target.write_bytes(second)
    tried(lab, second)
    assert list(place.target.parent.glob("train.untried-*.py")) == []


def test_an_edit_that_is_none_and_a_target_that_is_no_file_are_refused(lab: Lab) -> None:
    place, _ = campaign.start(lab, "t", Wishes())

    def from_work(place: campaign.Campaign, old: bytes) -> Proposal:
        return Proposal(edited(place), "edit")

    with pytest.raises(CampaignError, match="there is nothing to try; edit it first"):
        campaign.attempt(lab, "t", from_work)
    place.target.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(CampaignError, match="larger than 1 MiB"):
        campaign.attempt(lab, "t", from_work)
    place.target.unlink()
    place.target.symlink_to("/etc/passwd")
    with pytest.raises(CampaignError, match="is not a plain file"):
        campaign.attempt(lab, "t", from_work)


def test_a_campaign_is_continued_as_it_was_started(lab: Lab) -> None:
    campaign.start(lab, "t", Wishes(profile="smoke"))
    assert open_campaign(lab, "t")[0].profile == "smoke"
    with pytest.raises(CampaignError, match="was started with profile 'smoke', not 'cpu'"):
        campaign.start(lab, "t", Wishes(profile="cpu"))
    with pytest.raises(CampaignError, match=r"profile 'tpu': not in nightlab\.toml"):
        campaign.start(lab, "u", Wishes(profile="tpu"))
    with pytest.raises(CampaignError, match="does not exist; run `nightlab start v`"):
        campaign.attempt(lab, "v", lambda place, old: Proposal(b"", ""))


def test_one_experiment_at_a_time(lab: Lab) -> None:
    place, _ = campaign.start(lab, "t", Wishes())
    with campaign.held(place), pytest.raises(CampaignError, match="another nightlab is running"):
        tried(lab, b"x = 1\n")


def test_the_campaign_of_a_directory_or_the_last_one(lab: Lab, root: Path) -> None:
    with pytest.raises(CampaignError, match="no campaign here yet"):
        current_tag(lab, root)
    first, _ = campaign.start(lab, "a", Wishes())
    campaign.start(lab, "b", Wishes())
    os.utime(first.directory / "lock", (1, 1))
    assert current_tag(lab, root) == "b"
    assert current_tag(lab, first.work) == "a"


@pytest.mark.parametrize("tag", ["", "../x", "a/b", "a b", ".a", "a..b", "a.lock", "-a", "x" * 65])
def test_a_tag_is_safe_as_a_branch_and_a_directory(tag: str) -> None:
    with pytest.raises(CampaignError, match="not usable"):
        check_tag(tag)
    assert check_tag("nov22-gpu0.1") == "nov22-gpu0.1"
