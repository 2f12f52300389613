"""`nightlab noise`: measure the noise floor of a campaign with runs of its accepted version."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from flows.campaign import held
from flows.derived import remember_noise
from flows.errors import CampaignError
from flows.lab import Lab, current_tag, open_campaign, open_lab
from flows.noise import FIRST_SEED, Noise, keep, measured, noise_of, run_seed
from flows.output import emit, out
from flows.progress import display
from trainer.run import Watch


def noise_command(options: argparse.Namespace) -> int:
    """Run the seeds that are missing and print the floor."""
    lab = open_lab()
    tag = options.tag or current_tag(lab, Path.cwd())
    with display(f"noise of {tag}") as shown:
        noise = measure_noise(lab, tag, options.seeds, shown.watch)
    if options.json:
        emit(noise.to_json())
        return 0
    for line in lines_of(noise):
        out().print(line)
    return 0


def lines_of(noise: Noise) -> Iterator[str]:
    """Yield what is said of a floor: the runs of each version it rests on, then the floor."""
    for version, runs in noise.spreads.items():
        values = ", ".join(f"{run.value:.6f}" for run in runs)
        yield f"{noise.conditions.metric} of {version[:7]} over {len(runs)} seeds: {values}"
    alone = len(noise.runs) - noise.counted
    if alone:
        yield f"not counted: {alone} of versions that were run with one seed alone"
    about = ", each version about its own mean" if len(noise.spreads) > 1 else ""
    yield f"noise floor {noise.floor:.6f} (standard deviation{about}); an effect counts above"
    yield f"threshold   {noise.threshold:.6f} {noise.note}".rstrip()


def measure_noise(lab: Lab, tag: str, seeds: int = 3, watch: Watch | None = None) -> Noise:
    """Run the accepted version with several seeds; return the floor of the campaign.

    What was measured before counts: only seeds that are missing are run. The result the
    version was accepted with is left out, because being the best of many biases it.

    Raises:
        CampaignError: There is no campaign, it is held by another runner, fewer than two seeds
            are asked for, or fewer than two runs had a result.
        CommandNotFound: The task's command does not exist.
    """
    if seeds < 2:
        raise CampaignError(f"noise: {seeds} seed cannot show a spread; give at least 2")
    campaign, budget = open_campaign(lab, tag)
    tip = lab.repository.resolve(campaign.ref)
    if tip is None:
        raise CampaignError(f"campaign {tag}: does not exist; run `nightlab start {tag}`")
    with held(campaign):
        wanted = range(FIRST_SEED, FIRST_SEED + seeds)
        known = {
            run.seed
            for run in measured(lab, tag)
            if run.value is not None
            and (run.version, run.profile, run.budget_seconds) == (tip, campaign.profile, budget)
        }
        for seed in wanted:
            if seed not in known:
                keep(lab, run_seed(lab, campaign, tip, seed, budget, watch))
    remember_noise(lab, tag)
    noise = noise_of(lab, tag)
    if noise is None or noise.freedom < 1:
        said = noise.failed[-1].problem if noise and noise.failed else "no run has a result"
        raise CampaignError(
            f"campaign {tag}: no noise floor from {seeds} seeds ({said});"
            " see that the accepted version still runs, then `nightlab noise` again"
        )
    return noise
