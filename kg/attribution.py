"""Which edit did it: isolated effects where they exist, labelled estimates where they do not.

The outcome of an experiment that changed several things is never credited to one of them. An
isolated effect is the mean over experiments that changed nothing else. Where a campaign has
enough experiments, a ridge regression of the deltas on indicators (knob and direction) gives
each edit an estimate with an interval: the posterior of a linear model with a normal prior
around zero (Hoerl and Kennard 1970), its two variances chosen by maximum marginal likelihood
(MacKay 1992). It assumes that effects add up, which interactions break: an estimate, not a
finding. Where what was made together is known not to be the sum of what was made alone, the row
says so (kg.additivity).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kg.additivity import unsummed
from kg.answering import Rows, best_trial, campaign_by_campaign, mean_delta, within_noise
from kg.board import SEED, Board, EvidenceKey, Row, Trial
from kg.conflict import Tried, tried_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kg.query import Asked

    Floats = NDArray[np.float64]

ENOUGH: Final = 20  # measured experiments; with fewer the prior decides
LEAST: Final = 2  # measured attempts at one edit that make an estimate of it
QUANTILE: Final = 1.96  # of the normal distribution: 95 %
OUTLIER: Final = 5.0  # robust standard deviations; weight tying cost 2.2 where others cost 0.001
ROUNDS: Final = 10
NEVER: Final = "never isolated"


@dataclass(frozen=True, slots=True)
class Credit:
    """What one edit is credited with; effects are in the metric's units, against the parent."""

    component: str
    knob: str
    direction: str
    to: str | None  # the new value of an edit that has no direction
    n: int  # attempts with a result
    alone: int  # of them isolated
    isolated_effect: float | None  # mean over the isolated ones
    within_noise: bool | None  # of the isolated effect
    estimate: float | None
    low: float | None  # 95 % interval of the estimate
    high: float | None
    confounded_with: tuple[str, ...]  # edits made in exactly the same experiments
    label: str  # how far this may be trusted, in words
    experiments: tuple[str, ...]
    experiment: str  # the most telling one: the best isolated, else the best
    commit: str


class Fit(NamedTuple):
    """Estimates by edit, with their standard deviations."""

    effects: dict[Tried, tuple[float, float]]
    experiments: int


def attribution(asked: Asked) -> tuple[Rows, bool]:
    """Return what each edit of each campaign asked about is credited with."""
    wanted = {name: asked.text(name) for name in ("knob", "direction")}
    columns = [column.name for column in fields(Credit)]

    def rows_of(board: Board) -> Iterator[dict[str, Any]]:
        for row in credits_of(board):
            asked_for = all(value in ("", getattr(row, name)) for name, value in wanted.items())
            if asked_for and asked.about(row.component):
                yield {name: shown(getattr(row, name)) for name in columns}

    return campaign_by_campaign(asked, rows_of)


def shown(value: object) -> object:
    """Return a column as answers give it; `asdict` would copy 1,000 names to the same end."""
    return list(value) if isinstance(value, tuple) else value


def credits_of(board: Board) -> tuple[Credit, ...]:
    """Return what each edit of a campaign is credited with, the most tried first.

    Experiments that crashed, were interrupted or had nothing to be compared with count
    nowhere; nor does another seed. Only results on the scale of the last experiment (metric,
    direction, data) are used. Worked out once per board: the fit takes 20 ms or more.
    """
    if "credits" not in board.memo:
        board.memo["credits"] = tuple(credited(board, measured(board)))
    found: tuple[Credit, ...] = board.memo["credits"]
    return found


def credited(board: Board, found: list[Row]) -> list[Credit]:
    """Return the credits of experiments with an effect."""
    if not found:
        return []
    tried: dict[Tried, list[tuple[EvidenceKey, Trial]]] = {}
    for row in found:
        for key, trial in board.pairs[row.name]:
            tried.setdefault(tried_of(key), []).append((key, trial))
    fitted = fit(board, found)
    rows = [credit(edit, pairs, tried, fitted, board.noise) for edit, pairs in tried.items()]
    apart = unsummed(board, found)
    rows = [caveat(row, apart.get(edit, ())) for edit, row in zip(tried, rows, strict=True)]
    return sorted(rows, key=lambda row: (-row.n, row.knob, row.direction, row.to or ""))


def measured(board: Board) -> list[Row]:
    """Return the experiments with an effect and edits it may be due to."""
    if not board.rows:
        return []
    scale = board.rows[-1].entry.scale
    return [
        row
        for row in board.attempts
        if row.delta is not None
        and row.entry.scale == scale
        and (pairs := board.pairs.get(row.name))
        and all(key.knob != SEED for key, _ in pairs)
    ]


def fit(board: Board, found: list[Row]) -> Fit | None:
    """Return estimates of the edits that were tried again, None where there are too few.

    An experiment with an edit nobody repeated says nothing about its other edits; it is left
    out, or its effect (weight tying: 2.2) would pass for the size effects commonly have.
    """
    edits = {row.name: {tried_of(key) for key, _ in board.pairs[row.name]} for row in found}
    while rare := {edit for edit, n in Counter(chain(*edits.values())).items() if n < LEAST}:
        edits = {name: made for name, made in edits.items() if not made & rare}
    if len(edits) < ENOUGH:
        return None
    import numpy as np  # 100 ms, only where a fit is asked for

    names = sorted(set(chain(*edits.values())))
    place = {edit: column for column, edit in enumerate(names)}
    design = np.zeros((len(edits), len(names)))
    for line, made in enumerate(edits.values()):
        design[line, [place[edit] for edit in made]] = 1.0
    deltas = np.array([board.names[name].delta for name in edits])
    effects, deviations = robust(design, deltas)
    pairs = zip(effects.tolist(), deviations.tolist(), strict=True)
    return Fit(dict(zip(names, pairs, strict=True)), len(edits))


def robust(design: Floats, deltas: Floats) -> tuple[Floats, Floats]:
    """Return `ridge` with outliers pulled in: one broken run must not drown the rest.

    Huber's pseudo-values: what a fit leaves over by more than OUTLIER robust standard
    deviations is cut to that, and the fit is made again.

    Shapes:
        as of `ridge`.
    """
    import numpy as np

    effects, deviations = ridge(design, deltas)
    for _ in range(ROUNDS):
        left_over = deltas - design @ effects
        reach = OUTLIER * 1.4826 * float(np.median(np.abs(left_over)))
        if reach == 0.0 or not (np.abs(left_over) > reach).any():
            break
        pulled = design @ effects + np.clip(left_over, -reach, reach)
        effects, deviations = ridge(design, pulled)
    return effects, deviations


def ridge(design: Floats, deltas: Floats) -> tuple[Floats, Floats]:
    """Return the posterior mean and standard deviation of each effect.

    Shapes:
        design: (experiments, edits), float64 of 0 and 1: who made which edit.
        deltas: (experiments,), float64. There is no intercept: no edit, no effect.
    """
    import numpy as np

    left, scales, right = np.linalg.svd(design, full_matrices=False)
    seen = left.T @ deltas
    rest = max(float(deltas @ deltas - seen @ seen), 0.0)
    best: tuple[float, float, float] | None = None
    for strength in np.logspace(-3, 3, 61):
        ratio = scales**2 / strength + 1.0
        variance = (float((seen**2 / ratio).sum()) + rest) / len(deltas)
        if variance <= 0.0:
            break  # every delta is zero
        evidence = -0.5 * (len(deltas) * np.log(variance) + float(np.log(ratio).sum()))
        if best is None or evidence > best[0]:
            best = (evidence, float(strength), variance)
    if best is None:
        return np.zeros(design.shape[1]), np.zeros(design.shape[1])
    _, strength, variance = best
    mean = right.T @ (scales / (scales**2 + strength) * seen)
    kept = scales**2 / (scales**2 + strength)
    spread = (variance / strength) * (1.0 - (right**2 * kept[:, None]).sum(axis=0))
    return mean, np.sqrt(np.maximum(spread, 0.0))


def credit(
    edit: Tried,
    pairs: list[tuple[EvidenceKey, Trial]],
    tried: dict[Tried, list[tuple[EvidenceKey, Trial]]],
    fitted: Fit | None,
    noise: float | None,
) -> Credit:
    """Return one edit's row."""
    trials = sorted((trial for _, trial in pairs), key=lambda trial: trial.order)
    alone = [trial for key, trial in pairs if key.isolated]
    telling = best_trial(alone or trials, pairs[0][0].sense) or trials[-1]
    effect = mean_delta(alone)
    confounded = () if alone else inseparable(edit, tried)
    value = deviation = None
    if fitted is not None and edit in fitted.effects and not confounded:
        value, deviation = fitted.effects[edit]
    reach = None if deviation is None else QUANTILE * deviation
    return Credit(
        component=pairs[0][0].component,
        knob=edit.knob,
        direction=edit.direction,
        to=edit.to or None,
        n=len(trials),
        alone=len(alone),
        isolated_effect=effect,
        within_noise=within_noise(effect, noise),
        estimate=rounded(value),
        low=None if value is None or reach is None else rounded(value - reach),
        high=None if value is None or reach is None else rounded(value + reach),
        confounded_with=confounded,
        label=label_of(alone, value, confounded, fitted, len(trials)),
        experiments=tuple(trial.name for trial in trials),
        experiment=telling.name,
        commit=telling.commit,
    )


def caveat(row: Credit, others: tuple[str, ...]) -> Credit:
    """Return a row that says with which knobs its effect does not add up."""
    said = f"{row.label}; does not add up with {', '.join(others)}"
    return replace(row, label=said) if others else row


def inseparable(
    edit: Tried, tried: dict[Tried, list[tuple[EvidenceKey, Trial]]]
) -> tuple[str, ...]:
    """Return the edits that were made in exactly the same experiments: nobody can tell them."""
    mine = {trial.name for _, trial in tried[edit]}
    return tuple(
        " ".join(part for part in other if part)
        for other, pairs in sorted(tried.items())
        if other != edit and {trial.name for _, trial in pairs} == mine
    )


def label_of(
    alone: list[Trial],
    value: float | None,
    confounded: tuple[str, ...],
    fitted: Fit | None,
    n: int,
) -> str:
    """Say in words what a row rests on."""
    first = f"isolated in {len(alone)}" if alone else NEVER
    if confounded:
        return f"{first}; inseparable from {', '.join(confounded)}"
    if value is not None and fitted is not None:
        fit_ = f"ridge over {fitted.experiments} experiments"
        return f"{first}; estimate: {fit_}, 95 % interval if effects add up"
    why = f"{n} of its attempts" if fitted else f"fewer than {ENOUGH} experiments of repeated edits"
    return f"{first}; no estimate from {why}"


def rounded(value: float | None) -> float | None:
    """Return a number to nine digits: the last ones depend on the linear algebra library."""
    return None if value is None else float(f"{value:.9g}")
