"""The noise floor: the accepted version run again with other seeds, kept in git.

Each finished run is one ref `refs/nightlab/noise/<tag>/<number>` on a commit that holds what
was measured, so a measurement survives its runner, is never made twice and comes back in every
rebuild. Runs are compared only within one metric, device, data manifest, profile, budget and
scorer; of several versions each gives its spread about its own mean, and the spreads are pooled.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeVar

from flows.errors import RefTaken
from flows.lab import Campaign, Lab
from flows.layout import lay_out
from flows.scorer import scorer_of
from kg.record import NoiseFloor
from trainer.run import Watch
from trainer.stage import Job, environment, run_stage

REFS = "refs/nightlab/noise/"
PLACE = "exp/noise.json"
FIRST_SEED = 1001  # far from the 42 and 137 people write into a train.py
FLOORS = 2.0  # standard deviations that make the threshold
WITHIN = "within-noise"
T = TypeVar("T")


class Conditions(NamedTuple):
    """What two runs must share for their values to be compared."""

    metric: str
    device: str
    manifest: str
    profile: str
    budget_seconds: float | None
    scorer: str = ""


@dataclass(frozen=True, slots=True)
class SeedRun:
    """One run of one version with one seed."""

    campaign: str
    version: str  # the commit whose target was run
    seed: int
    value: float | None  # None where the run had no result
    problem: str
    seconds: float  # wall clock of the run
    metric: str
    device: str
    manifest: str
    profile: str
    budget_seconds: float | None
    scorer: str = ""  # hash of what scored it, "" of measurements before it was known

    @property
    def conditions(self) -> Conditions:
        """Return what the value may be compared under."""
        known = (self.metric, self.device, self.manifest, self.profile, self.budget_seconds)
        return Conditions(*known, self.scorer)


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of a campaign under the conditions of its last measurement."""

    campaign: str
    conditions: Conditions
    runs: tuple[SeedRun, ...]  # those with a value
    failed: tuple[SeedRun, ...] = ()

    @property
    def spreads(self) -> dict[str, tuple[SeedRun, ...]]:
        """Return the runs of each version that was run more than once: one alone shows nothing."""
        found: dict[str, list[SeedRun]] = {}
        for run in self.runs:
            found.setdefault(run.version, []).append(run)
        return {version: tuple(runs) for version, runs in found.items() if len(runs) > 1}

    @property
    def counted(self) -> int:
        """Return how many runs the floor rests on."""
        return sum(map(len, self.spreads.values()))

    @property
    def freedom(self) -> int:
        """Return the degrees of freedom: runs that count minus their versions."""
        return self.counted - len(self.spreads)

    @property
    def floor(self) -> float | None:
        """Return the standard deviation over seeds (ddof = 1, pooled over versions)."""
        if self.freedom < 1:
            return None
        squares = 0.0
        for runs in self.spreads.values():
            values = [run.value for run in runs if run.value is not None]
            mean = math.fsum(values) / len(values)
            squares += math.fsum((value - mean) ** 2 for value in values)
        return math.sqrt(squares / self.freedom)

    @property
    def threshold(self) -> float | None:
        """Return what an effect must exceed to be more than noise: two standard deviations."""
        return None if self.floor is None else FLOORS * self.floor

    @property
    def note(self) -> str:
        """Say what makes this measurement doubtful, "" if nothing does."""
        if self.freedom >= 1 and self.floor == 0.0:
            return "all values are equal: the target may not read NIGHTLAB_SEED"
        if 1 <= self.freedom < 2:
            return "two runs tell little: the floor may be off by a factor of three"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as plain values."""
        return {
            "campaign": self.campaign,
            **self.conditions._asdict(),
            "floor": self.floor,
            "threshold": self.threshold,
            "runs": self.counted,
            "freedom": self.freedom,
            "values": by_version((run, run.value) for run in self.runs),
            "versions": sorted({run.version for run in self.runs}),
            "failed": by_version((run, run.problem) for run in self.failed),
            "note": self.note,
        }


def by_version(told: Iterable[tuple[SeedRun, T]]) -> dict[str, dict[str, T]]:
    """Return what is told of runs, by version and seed: every version is run with the same ones."""
    found: dict[str, dict[str, T]] = {}
    for run, what in told:
        found.setdefault(run.version, {})[str(run.seed)] = what
    return found


def within_noise(delta: float | None, threshold: float | None) -> bool | None:
    """Tell whether an effect is no more than noise; None where one of them is not known.

    >>> within_noise(-0.0003, 0.0008), within_noise(0.002, 0.0008), within_noise(0.1, None)
    (True, False, None)
    """
    return None if delta is None or threshold is None else abs(delta) <= threshold


def marked(reason: str, delta: float | None, noise: Noise | None) -> str:
    """Return a verdict's reason with the mark of an effect inside the noise.

    >>> marked("lower by 0.000300", -0.0003, None)
    'lower by 0.000300'
    """
    threshold = noise.threshold if noise is not None else None
    if noise is None or threshold is None or not within_noise(delta, threshold):
        return reason
    return f"{reason}; {WITHIN}: {FLOORS:g} floors are {threshold:.6f} over {noise.counted} runs"


def confirmed(
    values: Iterable[float | None], best: float | None, direction: str = "minimise"
) -> bool:
    """Tell whether a result stands over several seeds: their mean still beats the best.

    A run that failed on another seed confirms nothing.

    >>> confirmed([0.98, 0.99], 0.987), confirmed([0.98, 1.0], 0.987), confirmed([0.98, None], 1.0)
    (True, False, False)
    """
    found = list(values)
    known = [value for value in found if value is not None]
    if best is None or not known or len(known) < len(found):
        return best is None
    mean = math.fsum(known) / len(known)
    return mean < best if direction == "minimise" else mean > best


def run_seed(
    lab: Lab,
    campaign: Campaign,
    version: str,
    seed: int,
    budget: float | None,
    watch: Watch | None = None,
) -> SeedRun:
    """Run one version with one seed, in a directory of its own; nothing is recorded.

    The same stage as an experiment's, told the seed by NIGHTLAB_SEED. Call it only while
    holding the campaign: two runs on one device slow each other.
    """
    place = campaign.directory / "noise"
    lay_out(lab, campaign, version, place)
    job = Job(
        campaign.task.command,
        campaign.task.target,
        campaign.task.metric,
        lab.config.profiles[campaign.profile].limit_seconds,
        {**environment(campaign.profile, budget), "NIGHTLAB_SEED": str(seed)},
    )
    result = run_stage(job, place, watch)
    shutil.rmtree(place, ignore_errors=True)  # its checkpoint is of no use to anyone
    words = result.summary.words
    return SeedRun(
        campaign=campaign.tag,
        version=version,
        seed=seed,
        value=result.score.value,
        problem=result.score.problem,
        seconds=round(result.run.seconds, 3),
        metric=campaign.task.metric,
        device=words.get("device", ""),
        manifest=words.get("manifest", ""),
        profile=campaign.profile,
        budget_seconds=budget,
        scorer=scorer_of(lab.repository, version, campaign.task_name, campaign.task.target) or "",
    )


def keep(lab: Lab, run: SeedRun) -> str:
    """Make a run part of the ledger: one commit under one ref; return the ref."""
    repository = lab.repository
    data = (json.dumps(asdict(run), indent=1, ensure_ascii=False) + "\n").encode()
    shown = "no result" if run.value is None else f"{run.metric} {run.value:g}"
    message = f"Noise of {run.campaign}: {shown} with seed {run.seed}\n"
    commit = repository.commit(run.version, {PLACE: data}, message)
    while True:
        ref = f"{REFS}{run.campaign}/{number_after(repository.refs(REFS + run.campaign)):04d}"
        try:
            repository.create_ref(ref, commit)
        except RefTaken:
            if repository.resolve(ref) is None:
                raise  # not taken: it cannot be written at all
            continue
        return ref


def number_after(refs: Iterable[str]) -> int:
    """Return the next free number of a campaign."""
    taken = (ref.rpartition("/")[2] for ref in refs)
    return max((int(name) for name in taken if name.isdigit()), default=0) + 1


def measured(lab: Lab, tag: str) -> Iterator[SeedRun]:
    """Yield the runs of a campaign in the order they were made."""
    for ref, commit in lab.repository.refs(f"{REFS}{tag}").items():
        data = lab.repository.read(commit, PLACE)
        if data is not None and ref.rpartition("/")[0] == f"{REFS}{tag}":
            try:
                yield SeedRun(**json.loads(data))
            except (ValueError, TypeError):
                continue  # somebody else's file of the same name


def noise_of(lab: Lab, tag: str, scorer: str | None = None) -> Noise | None:
    """Return the noise of a campaign, None if it was never measured (with this scorer, if given).

    Of measurements under several conditions the last one's count.
    """
    found = reversed(noises_of(lab, tag))
    return next((n for n in found if scorer is None or n.conditions.scorer in ("", scorer)), None)


def noises_of(lab: Lab, tag: str) -> list[Noise]:
    """Return the noise of a campaign under each condition it was measured under, the last last."""
    runs = list(measured(lab, tag))
    failed = tuple(run for run in runs if run.value is None)
    valued = [run for run in runs if run.value is not None]
    latest = {run.conditions: place for place, run in enumerate(valued or runs)}
    return [
        Noise(tag, under, tuple(run for run in valued if run.conditions == under), failed)
        for under in sorted(latest, key=latest.__getitem__)
    ]


def floors_of(lab: Lab, tag: str) -> list[NoiseFloor]:
    """Return what the memory is told of a campaign's noise: of each scorer's the last one."""
    floors: dict[tuple[str, ...], NoiseFloor] = {}
    for noise in noises_of(lab, tag):
        if noise.floor is not None and noise.threshold is not None:
            under = noise.conditions[:4]
            floors.pop(under, None)  # the last one stands last
            floors[under] = NoiseFloor(tag, *under, noise.floor, noise.threshold, noise.counted)
    return list(floors.values())
