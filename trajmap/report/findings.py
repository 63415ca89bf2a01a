"""What was found in a run and its charts, as data: values, nulls and what holds. The words are in `sentences`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trajmap.data.claim import Claim
from trajmap.data.results.alignment import Alignment
from trajmap.data.results.connection import Connection
from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.results.landscape import Landscape
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.results.line_profiles import LineProfiles
from trajmap.data.results.merge_tree import MergeTree
from trajmap.data.results.score_table import ScoreTable
from trajmap.data.results.sensitivity import Sensitivity
from trajmap.data.results.training_curves import TrainingCurves
from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.data.trajectory import Trajectory
from trajmap.report import sentences as say
from trajmap.report.finding import Finding

__all__ = [
    "find_alignment",
    "find_basins",
    "find_charts",
    "find_claims",
    "find_curvature",
    "find_edge",
    "find_gaps",
    "find_lines",
    "find_run",
    "find_scores",
    "find_sensitivity",
    "find_topology",
    "find_trainings",
    "find_variance",
]


def find_run(trajectory: Trajectory) -> Finding:
    """Take what the run is and what it reached."""
    T, P = trajectory.iterates.shape
    facts: dict[str, Any] = {"T": T, "P": P, "first": int(trajectory.steps[0]), "last": int(trajectory.steps[-1])}
    if trajectory.training_loss is not None:
        facts["name"], values = trajectory.training_loss
        facts["known"] = known = values[np.isfinite(values)]
        facts["held_out"] = trajectory.scalars.get("val_loss")
        if len(known):
            return Finding(say.run, float(known[-1]), null=(float(known[0]),) * 2, facts=facts)
    return Finding(say.run, facts=facts)


def find_claims(claims: Mapping[str, Claim]) -> Finding:
    """Which of the claims about a run hold."""
    return Finding(say.claims, float(sum(claim.holds == "yes" for claim in claims.values())), facts={"claims": claims})


def find_variance(spectrum: VarianceSpectrum) -> Finding:
    """Whether two components hold more than a random walk's would."""
    held = float(spectrum.ratios[:2].sum())
    draws = spectrum.null[:, :2].sum(axis=1)
    null, p, where = Finding.of_draws(held, draws)
    holds = {"above": "yes", "unknown": "unknown"}.get(where, "no")
    facts = {"where": where, "n_draws": len(draws), "middle": float(np.median(draws)) if len(draws) else np.nan}
    return Finding(say.variance, held, "straighter or flatter than a walk", holds, null=null, p=p, facts=facts)


def find_charts(landscapes: Mapping[str, Landscape]) -> Finding:
    """How much of the pictures the run supports, and the lowest loss of what it supports."""
    lowest, outside = {}, {}
    for name, land in landscapes.items():
        seen = np.isfinite(land.values)
        inside = seen if land.support is None else seen & land.support
        if inside.any():
            lowest[name] = float(land.values[inside].min())
        if (seen & ~inside).any():
            outside[name] = float(land.values[seen & ~inside].min())
    reached = [land.path_values[-1] for land in landscapes.values() if land.path_values is not None]
    facts = {
        "n": len(landscapes),
        "lowest": lowest,
        "outside": outside,
        "shares": {n: float(land.support.mean()) for n, land in landscapes.items() if land.support is not None},
        "ended": float(reached[0]) if reached else np.nan,
    }
    return Finding(say.charts, min(lowest.values(), default=np.nan), facts=facts)


def find_basins(connections: Mapping[str, Connection]) -> Finding:
    """Whether other runs ended in this run's basin."""
    answers = {found.holds for found in connections.values()}
    holds = "yes" if answers == {"one"} else "no" if "two" in answers else "unknown"
    climbs = {name: found.climb(found.way) if found.way else np.nan for name, found in connections.items()}
    highest = max(climbs, key=lambda name: np.nan_to_num(climbs[name], nan=-1.0))
    of_highest = connections[highest]
    low, high = of_highest.interval(of_highest.way) if of_highest.way else (np.nan, np.nan)
    facts = {"verdicts": {name: found.verdict for name, found in connections.items()}}
    return Finding(
        say.basins, climbs[highest], "the other runs ended in this run's basin", holds, low=low, high=high,
        null=(0.0, of_highest.limit(of_highest.way) if of_highest.way else np.nan), facts=facts,
    )  # fmt: skip


def find_gaps(gaps: Mapping[str, LiftGap]) -> Finding:
    """Whether the lifts lie where the run was, chart by chart; on iterates that were not fitted where there are any."""
    unseen = ("sister", "blocks", "tail")
    chosen = {name: gap for name, gap in gaps.items() if name.endswith(unseen)}
    fitted = not chosen
    chosen = chosen or dict(gaps)
    medians = {name: float(np.nanmedian(gap.gap)) for name, gap in chosen.items()}
    controls = {name: float(np.nanmedian(gap.control_values - gap.values)) for name, gap in chosen.items()}
    leaves = [name for name in chosen if medians[name] > max(controls[name], 0.0)]
    holds = "no" if len(leaves) == len(chosen) else "yes" if not leaves and not fitted else "unknown"
    facts = {"medians": medians, "controls": controls, "leaves": leaves, "fitted": fitted}
    middle = float(np.median(list(medians.values())))
    return Finding(
        say.gaps, middle, "lifts cost no more than as long a step in a random direction", holds,
        low=min(medians.values()), high=max(medians.values()), null=(min(controls.values()), max(controls.values())),
        facts=facts,
    )  # fmt: skip


def find_scores(table: ScoreTable) -> Finding:
    """Whether the chart with the least error on iterates it has not seen does better than on random walks."""
    # the best of m charts is chosen, so its p-value is taken m times
    sister = "error on sister"
    asked = sister in table.scores and np.isfinite(table.values[:, table.scores.index(sister)]).any()
    column = table.scores.index(sister if asked else "error on blocks")
    errors = table.values[:, column]
    row, tried = int(np.nanargmin(errors)), int(np.isfinite(errors).sum())
    value, draws = float(errors[row]), table.null[row, column]
    known = draws[np.isfinite(draws)]
    claim = Claim("", -value, -draws[None], ("random walks",), tried=tried)
    holds = "no" if value >= 1 else claim.holds  # 1 is what the other points' own mean gives
    trust = table.scores.index("trustworthiness")
    walks = table.null[:, trust][np.isfinite(table.null[:, trust])]
    null = tuple(float(q) for q in np.quantile(known, [0.05, 0.95])) if len(known) else (np.nan, np.nan)
    facts = {
        "name": table.reductions[row],
        "sister": asked,
        "n_draws": len(known),
        "tried": tried,
        "worse": bool(len(known) and value > known.max()),
        "trust": float(walks.max()) if len(walks) else np.nan,
    }
    return Finding(
        say.scores, value, "the chart fits unseen iterates better than a walk's", holds, null=(null[0], null[1]),
        p=float(claim.p[0]), facts=facts,
    )  # fmt: skip


def find_curvature(found: Alignment) -> Finding:
    """How the top eigenvalue moved, and whether some are negative beyond their residual."""
    top = found.eigenvalues[:, 0]
    negative = int(below_zero(found.eigenvalues, found.residuals).sum(axis=1).max())
    peak = int(np.nanargmax(top))
    facts = {
        "peak": float(top[peak]),
        "peak_step": int(found.steps[peak]),
        "k": found.eigenvalues.shape[1],
        "negative": negative,
        "residual": float(np.nanmax(found.residuals[:, 0] / np.abs(top))),
    }
    return Finding(say.curvature, float(top[-1]), null=(float(top[0]),) * 2, facts=facts)


def below_zero(eigenvalues: Any, residuals: Any) -> Any:
    """Tell which eigenvalues, (…, k), are negative by more than their residual and a thousandth of the largest.

    Parameters
    ----------
    eigenvalues, residuals : array-like, shape (…, k)
        Eigenvalues and their residuals.

    Returns
    -------
    numpy.ndarray of bool, shape (…, k)
        True where an eigenvalue is surely negative.
    """
    # noise of float32 products is some 1e-4 of the largest: less than a thousandth of it is no sign of anything
    values = np.asarray(eigenvalues, dtype=np.float64)
    largest = np.abs(values).max(axis=-1, keepdims=True)
    return values < -np.maximum(np.asarray(residuals, dtype=np.float64), 1e-3 * largest)


def find_alignment(comparisons: Mapping[str, Alignment]) -> Finding:
    """Whether the best aligned chart's tangent lies in the top eigenspace more than the single steps do."""
    tangents = {name: float(np.nanmedian(found.tangent)) for name, found in comparisons.items()}
    best = max(tangents, key=lambda name: tangents[name])
    found = comparisons[best]
    step = float(np.nanmedian(found.step))
    low, _, high = (float(q) for q in found.baselines["row_space"])
    value = tangents[best]
    known = bool(np.isfinite([value, step, high]).all())
    facts = {
        "name": best,
        "n": len(tangents),
        "k": found.eigenvalues.shape[1],
        "gradient": float(np.nanmedian(found.gradient)),
        "step": step,
        "expected": found.expected,
        "more_than_chance": value > high,
    }
    holds = ("yes" if value > max(high, step) else "no") if known else "unknown"
    return Finding(
        say.alignment, value, "the chart follows the curved directions", holds, null=(low, high), facts=facts
    )


def find_edge(gauge: EdgeGauge) -> Finding:
    """Whether the learning rate is at the edge of stability or beyond it."""
    late, low, high = gauge.late
    holds = {"at": "yes", "beyond": "yes", "below": "no"}.get(gauge.regime, "unknown")
    claim = "the learning rate is at the edge of stability or beyond"
    return Finding(say.edge, late, claim, holds, low=low, high=high, null=(1.0, 1.0), facts={"verdict": gauge.verdict})


def find_trainings(trainings: TrainingCurves) -> Finding:
    """Which part of the updates lowers the loss."""
    facts = {"start": float(trainings.losses[0, 0]), "final": trainings.final}
    final = trainings.final
    return Finding(say.trainings, final.get("bulk", np.nan), null=(final.get("SGD", np.nan),) * 2, facts=facts)


def find_topology(trees: Mapping[str, MergeTree]) -> Finding:
    """How many minima the pictures show, where they were counted, and how many lie inside."""
    return Finding(say.topology, float(sum(tree.n_minima for tree in trees.values())), facts={"trees": trees})


def find_sensitivity(found: Sensitivity) -> Finding:
    """Which inputs the loss depends on most, by the first and by the second derivative."""
    most: list[Sequence[str]] = [[found.names[i] for i in np.argsort(-row)[:3]] for row in found.mean[:2]]
    facts = {"most": most, "n": len(found.values)}
    return Finding(
        say.sensitivity, float(found.mean[0].max()), null=(float(np.median(found.mean[0])),) * 2, facts=facts
    )


def find_lines(curves: LineProfiles) -> Finding:
    """Take what the loss looks like along random lines, and what was found when other shapes were asked for."""
    kinds = dict(zip(curves.names, curves.kinds, strict=True))
    random = [kind for name, kind in kinds.items() if name.startswith("random")]
    mined = {name: kind for name, kind in kinds.items() if name.startswith("mined")}
    share = random.count("v-basin") / len(random) if random else np.nan
    return Finding(say.lines, share, facts={"n": len(random), "mined": mined})
