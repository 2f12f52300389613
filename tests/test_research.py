"""What the flows show and how they divide a night, without a server."""

import time
from datetime import datetime

import pytest

from flows.batch import Plan
from flows.campaign import Done
from flows.deployments import local_timezone, nightly
from flows.errors import ConfigError
from flows.lab import Lab
from flows.ledger import Entry, Facts
from flows.records import artifact_key, row, summary, verdict
from flows.research import LIMIT, Session, dated, remaining


@pytest.fixture
def baseline() -> Done:
    """An experiment as the ledger holds it."""
    facts = Facts(
        name="night-0000",
        campaign="night",
        seq=0,
        parent=None,
        description="baseline\n\nin full",
        task="train",
        profile="cpu",
        target="train.py",
        metric="val_bpb",
        direction="minimise",
        agent="builtin",
        started="2026-11-22T22:00:00Z",
        ended="2026-11-22T22:05:00Z",
        best_before=None,
        lines_added=0,
        lines_removed=0,
        nodes_added=0,
        fingerprint="f",
    )
    metrics = {"status": "keep", "val_bpb": 1.05, "reason": "first result of the campaign"}
    return Done(Entry("a" * 40, "b" * 40, facts, metrics), {})


def test_a_finished_experiment_is_shown_with_its_verdict(baseline: Done) -> None:
    assert verdict(baseline) == "keep: val_bpb 1.050000 (first result of the campaign)"
    assert summary([baseline]) == "1 experiments: 1 keep, 0 discard, 0 crash; best val_bpb 1.050000"
    assert row(baseline.entry) == {
        "experiment": "night-0000",
        "status": "keep",
        "val_bpb": 1.05,
        "delta": None,
        "description": "baseline",
        "reason": "first result of the campaign",
        "commit": "aaaaaaa",
    }


def test_an_empty_batch_has_a_summary_too() -> None:
    assert summary([]) == "0 experiments: 0 keep, 0 discard, 0 crash"


def test_a_night_is_divided_into_flow_runs_until_nothing_is_left(lab: Lab, baseline: Done) -> None:
    plan = Plan("night", experiments=2 * LIMIT)
    here = Session(lab)
    begun = time.monotonic()
    assert remaining(plan, here, False, begun) == plan
    here.finished += [baseline] * (LIMIT + 1)
    assert remaining(plan, here, False, begun) == Plan("night", experiments=LIMIT)
    assert remaining(plan, here, True, begun) == Plan("night", experiments=LIMIT - 1)
    here.finished += [baseline] * LIMIT
    assert remaining(plan, here, False, begun) is None


def test_hours_are_counted_over_all_flow_runs_of_a_night(lab: Lab, baseline: Done) -> None:
    here = Session(lab, finished=[baseline])
    plan = Plan("night", hours=2.0)
    rest = remaining(plan, here, False, time.monotonic() - 3600)
    assert rest is not None
    assert rest.hours == pytest.approx(1.0, abs=0.01)
    assert remaining(plan, here, False, time.monotonic() - 7200) is None


def test_a_tag_may_hold_the_date() -> None:
    before, found = datetime.now().astimezone(), dated("night-{date}")
    days = {f"night-{day:%Y-%m-%d}" for day in (before, datetime.now().astimezone())}  # midnight
    assert found in days
    assert dated("mar8") == "mar8"


@pytest.mark.parametrize(
    ("tag", "key"),
    [("night-2026-11-22", "results-night-2026-11-22"), ("Mar_8.b", "results-mar-8-b")],
)
def test_any_tag_makes_a_key_that_prefect_takes(tag: str, key: str) -> None:
    assert artifact_key("results", tag) == key


def test_the_night_begins_at_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    schedule = nightly("0 22 * * *")
    assert schedule is not None
    assert (schedule.cron, schedule.timezone) == ("0 22 * * *", "Europe/Berlin")
    monkeypatch.setenv("TZ", ":/usr/share/zoneinfo/Asia/Tokyo")
    assert local_timezone() == "Asia/Tokyo"
    assert nightly(" ") is None


def test_a_schedule_that_is_none_is_named_with_an_example() -> None:
    with pytest.raises(ConfigError) as caught:
        nightly("at ten")
    assert caught.value.mistakes == [
        "prefect.schedule: no cron expression, not 'at ten'; such as '0 22 * * *'"
    ]
