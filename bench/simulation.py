"""A/B of one simulated agent with and without nightlab's memory: SIMULATION, not training.

python -m bench.simulation [--seeds 200] [--experiments 100] [--jobs 2]

One agent policy (simulation_agent), a made-up response surface a seed (simulation_world), and arms
that differ only in whom they ask before a run (simulation_arms); what counts as a wasted run is
decided by the surface's truth (simulation_truth). The policy's constants were set once, on the
arm without memory alone, so that it keeps, crashes and re-proposes about as often as the public
reference night; neither they nor the surface were touched after a memory had been tried on them.
The definition of waste was, once: a value tried only together with another edit had counted as
known, which favoured no arm (all wasted about 6 runs fewer after it).
All arms of a seed share surface, noise, drift and the agent's random numbers; intervals are over
seeds.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from bench.simulation_agent import WINDOW
from bench.simulation_arms import CHECK, LIST, MEASURED, NOBODY, OFFERS, PERFECT, STOPS, Checking
from bench.simulation_night import Heard, Night, World, run_night
from bench.simulation_stats import interval, paired
from bench.simulation_world import GAP, PAIRS, SIGMA
from kg.ingest import SELDOM
from kg.memory import open_memory
from kg.model import Status

MAIN: Final = (NOBODY, LIST, CHECK, MEASURED, PERFECT)
VARIANTS: Final = (STOPS, OFFERS)
PAIRED: Final = (
    (LIST, NOBODY),
    (CHECK, NOBODY),
    (CHECK, LIST),
    (MEASURED, NOBODY),
    (MEASURED, LIST),
    (MEASURED, CHECK),
    (PERFECT, NOBODY),
    (PERFECT, CHECK),
)
FEWER: Final = 0.2  # part of the seeds on which variants of the memory are compared
FEWEST: Final = 0.15  # and other worlds
WORLDS: Final = {
    "sigma 0.0002": World(sigma=0.0002),
    "sigma 0.0015": World(sigma=0.0015),
    "no textbook pair": World(textbook=0.0),
    "textbook pairs only": World(textbook=1.0),
}
Nights = dict[str, list[Night]]
Job = tuple[str, int, World]
Mapper = Callable[[Callable[[Job], Night], list[Job]], Iterable[Night]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--experiments", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args(arguments)
    if min(options.seeds, options.experiments, options.jobs) < 1:
        parser.error("--seeds, --experiments and --jobs are at least 1")
    print(
        f"A SIMULATION of an agent on made-up response surfaces: {options.seeds} seeds,"
        f" {options.experiments} experiments a night. It says nothing about training.\n"
        f"surface: 21 knobs, {PAIRS} pairs of them interact; best {GAP} val_bpb below the baseline,"
        f" noise {SIGMA}, drift up to {SIGMA}\nagent: greedy, sees its last {WINDOW} experiments",
        flush=True,
    )
    if options.jobs == 1:
        report(map, options.seeds, options.experiments)
    else:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"  # else each process spins on both cores
        with get_context("spawn").Pool(options.jobs, gc.set_threshold, SELDOM) as pool:
            report(pool.imap, options.seeds, options.experiments)
    return 0


def report(mapper: Mapper, seeds: int, size: int) -> None:
    """Run and print every part."""
    nights = run(mapper, MAIN, seeds, World(experiments=size))
    realism(nights[NOBODY])
    table(nights)
    compare(nights, PAIRED)
    few = max(1, round(FEWER * seeds))
    print(f"\nother ways to use check, {few} of these seeds")
    variants = run(mapper, VARIANTS, few, World(experiments=size))
    variants = {NOBODY: nights[NOBODY][:few], CHECK: nights[CHECK][:few], **variants}
    table(variants)
    compare(variants, [(arm, CHECK) for arm in VARIANTS])
    verdicts("what check said of proposals", nights[CHECK])
    verdicts("the same, noise measured", nights[MEASURED])
    verdicts("what the flat list said", nights[LIST])
    elsewhere(mapper, max(1, round(FEWEST * seeds)), size, nights)
    on_disk(World(experiments=size), nights[CHECK])


def run(mapper: Mapper, arms: Iterable[str], seeds: int, world: World) -> Nights:
    """Return the nights of some arms, by arm, in the order of the seeds."""
    nights: Nights = defaultdict(list)
    for night in mapper(one_night, [(arm, seed, world) for arm in arms for seed in range(seeds)]):
        nights[night.arm].append(night)
    return nights


def one_night(job: Job) -> Night:
    """Return one night: what a process is given."""
    return run_night(*job)


def realism(nights: list[Night]) -> None:
    """Print how the agent without memory compares to the one public night."""
    total = sum(len(night.gaps) for night in nights) / 100
    kept = sum(night.statuses[Status.KEEP] for night in nights) / total
    crashed = sum(night.statuses[Status.CRASH] for night in nights) / total
    again = sum(night.again for night in nights) / total
    print(
        f"without memory, of 100: {kept:.1f} kept, {crashed:.1f} crashed, {again:.1f} set what had"
        " failed before\nthe public reference night, of 100: 17.6 kept, 0.8 crashed, 10.5 of those"
        " told as 'X a to b'\n"
    )


def waste(nights: Iterable[Night]) -> list[float]:
    """Return the wasted runs of 100, a night each."""
    return [100 * night.waste / len(night.gaps) for night in nights]


def left(nights: Iterable[Night], part: float = 1.0) -> list[float]:
    """Return how much of the gap is left after a part of the night, a night each."""
    return [night.gaps[math.ceil(part * len(night.gaps)) - 1] for night in nights]


def table(nights: Nights) -> None:
    """Print a line an arm."""
    print(
        f"{'wasted of 100 [95 %]':>49} identical known beyond  kept"
        f"{'gap left at the end, %':>25}  at half  val_bpb over best"
    )
    for arm, found in nights.items():
        runs = sum(len(night.gaps) for night in found) / 100
        kinds = sum((night.wasted for night in found), Counter[str]())
        kept = sum(night.statuses[Status.KEEP] for night in found)
        end = interval(left(found))
        print(
            f"{arm:<29}{interval(waste(found)).told():>20}{kinds['identical'] / runs:>10.1f}"
            f"{kinds['known'] / runs:>6.1f}{kinds['beyond'] / runs:>7.1f}{kept / runs:>6.1f}"
            f"{end.told(1, 100):>25}{100 * interval(left(found, 0.5)).mean:>9.1f}"
            f"{GAP * end.mean:>19.5f}",
            flush=True,
        )


def compare(nights: Nights, pairs: Iterable[tuple[str, str]]) -> None:
    """Print the paired differences of the arms."""
    print(f"\n{'paired [95 %], less is better':<37}{'wasted':>22}{'best, 1e-5 val_bpb':>28}"
          f"{'best, % of the gap':>25}  seeds better, worse")  # fmt: skip
    for arm, other in pairs:
        ends = left(nights[arm]), left(nights[other])
        better = sum(a < b for a, b in zip(*ends, strict=True))
        worse = sum(a > b for a, b in zip(*ends, strict=True))
        fewer = paired(waste(nights[arm]), waste(nights[other]))
        best = paired(*ends)
        print(
            f"{f'{arm} - {other}':<37}{fewer.told(1, 1, '+'):>22}"
            f"{best.told(0, 1e5 * GAP, '+'):>28}{best.told(1, 100, '+'):>25}"
            f"{better:>14}, {worse}",
            flush=True,
        )


def verdicts(title: str, nights: list[Night]) -> None:
    """Print what was true of the proposals a memory judged, by its verdict."""
    found: dict[str, list[Heard]] = defaultdict(list)
    for heard in (heard for night in nights for heard in night.heard):
        found[f"{heard.verdict}{', refused' if heard.refused else ''}"].append(heard)
    print(f"\n{title:<29}{'a night':>8}{'truly wasted':>14}{'truly better':>14}"
          f"{'by over 1 sigma':>17}")  # fmt: skip
    for name, some in sorted(found.items(), key=lambda item: -len(item[1])):
        wasted = sum(bool(heard.waste) for heard in some) / len(some)
        better = sum(heard.gain > 0 for heard in some) / len(some)
        clearly = sum(heard.gain > SIGMA for heard in some) / len(some)
        print(f"{name:<29}{len(some) / len(nights):>8.1f}{wasted:>14.0%}{better:>14.0%}"
              f"{clearly:>17.0%}", flush=True)  # fmt: skip


def elsewhere(mapper: Mapper, seeds: int, size: int, here: Nights) -> None:
    """Print the paired differences in other worlds."""
    print(
        f"\n{f'other worlds, {seeds} seeds':<23}{'no memory':>9}{'memory - no memory':>20}"
        f"{'gap, %':>20}{'memory - flat list':>22}{'gap, %':>18}"
    )
    show("as above", {arm: found[:seeds] for arm, found in here.items()})
    for name, world in WORLDS.items():
        varied = replace(world, experiments=size)
        show(name, run(mapper, (NOBODY, LIST, CHECK), seeds, varied))


def show(name: str, nights: Nights) -> None:
    """Print one world: wasted runs and gap of the memory against both others."""
    told = f"{name:<23}{interval(waste(nights[NOBODY])).mean:>9.1f}"
    for other in (NOBODY, LIST):
        fewer = paired(waste(nights[CHECK]), waste(nights[other]))
        best = paired(left(nights[CHECK]), left(nights[other]))
        told += f"{fewer.told(1, 1, '+'):>22}{best.told(1, 100, '+'):>20}"
    print(told, flush=True)


def on_disk(world: World, nights: list[Night]) -> None:
    """Print what a question costs: in RAM as simulated, and on disk as the product has it."""
    simulated = nights[0]
    with tempfile.TemporaryDirectory() as scratch:
        memory = Checking(open_memory(Path(scratch) / "graph"))
        stored = run_night(CHECK, simulated.seed, world, memory)
    equal = "the same" if stored.heard == simulated.heard else "OTHER"
    print(
        f"\na check: {told_ms(s for night in nights for s in night.seconds)} in RAM as simulated;"
        f" {told_ms(stored.seconds)} on disk, opened anew after each experiment,\nwith {equal}"
        f" verdicts on all {len(stored.heard)} proposals of seed {simulated.seed}"
    )


def told_ms(seconds: Iterable[float]) -> str:
    """Show the median and the 95th percentile of some times."""
    times = sorted(seconds)
    half, most = (1000 * times[int(part * (len(times) - 1))] for part in (0.5, 0.95))
    return f"{half:.0f} ms (p95 {most:.0f})"


if __name__ == "__main__":
    sys.exit(main())
