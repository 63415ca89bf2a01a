"""What was found, in one plain sentence a section, with its number and its baseline. No HTML here."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from trajmap.data.alignment import Alignment
from trajmap.data.connection import Connection
from trajmap.data.curve_profiles import CurveProfiles
from trajmap.data.edge_gauge import EdgeGauge
from trajmap.data.landscape import Landscape
from trajmap.data.lift_gap import LiftGap
from trajmap.data.merge_tree import MergeTree
from trajmap.data.score_table import ScoreTable
from trajmap.data.sensitivity import Sensitivity
from trajmap.data.training_curves import TrainingCurves
from trajmap.data.trajectory import Trajectory
from trajmap.data.variance_spectrum import VarianceSpectrum

__all__ = [
    "Finding",
    "find_alignment",
    "find_basins",
    "find_charts",
    "find_curvature",
    "find_curves",
    "find_edge",
    "find_gaps",
    "find_run",
    "find_scores",
    "find_sensitivity",
    "find_topology",
    "find_trainings",
    "find_variance",
]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One sentence, the number it rests on, what that is compared with, and whether the number is beyond it.

    `beyond` is True where the number beats its baseline, False where it does not, None where nothing is claimed.
    """

    sentence: str
    number: float
    baseline: float
    beyond: bool | None


def find_run(trajectory: Trajectory) -> Finding:
    """Say what the run is and what it reached."""
    T, P = trajectory.iterates.shape
    text = f"The run holds {T} iterates of {P:,} parameters, steps {trajectory.steps[0]} to {trajectory.steps[-1]}"
    losses = [(name, values) for name, values in trajectory.scalars.items() if name in {"train_loss", "loss"}]
    if not losses:
        return Finding(text + "; no loss was recorded.", np.nan, np.nan, None)
    name, values = losses[0]
    known = values[np.isfinite(values)]
    if not len(known):
        return Finding(f"{text}; its {name} was never finite.", np.nan, np.nan, None)
    text += f"; its {name} went from {known[0]:.3g} to {known[-1]:.3g}"
    held_out = trajectory.scalars.get("val_loss")
    text += "." if held_out is None else f", the validation loss to {held_out[-1]:.3g}."
    return Finding(text, float(known[-1]), float(known[0]), None)


def find_variance(spectrum: VarianceSpectrum) -> Finding:
    """Say whether two components hold more than a random walk's would."""
    held = float(spectrum.ratios[:2].sum())
    low, mid, high = (float(q) for q in np.quantile(spectrum.null[:, :2].sum(axis=1), [0.05, 0.5, 0.95]))
    text = f"Two principal components hold {held:.1%} of the variance; random walks with the same steps hold {mid:.1%} "
    text += f"(5–95 %: {low:.1%} to {high:.1%}), so "
    if held > high:
        text += "the run is straighter or flatter than a walk; that alone does not make it two-dimensional."
    elif held < low:
        text += "the run is spread over more directions than a walk's."
    else:
        text += "this is what a random walk shows: no evidence of a low-dimensional run."
    return Finding(text, held, mid, held > high)


def find_charts(landscapes: Mapping[str, Landscape]) -> Finding:
    """Say how much of the pictures the run supports."""
    supported = {n: float(land.support.mean()) for n, land in landscapes.items() if land.support is not None}
    losses = {name: float(np.nanmin(land.values)) for name, land in landscapes.items()}
    best = min(losses, key=lambda name: losses[name])
    text = f"Over {len(landscapes)} charts the lowest loss on a grid is {losses[best]:.3g}, on {best}"
    reached = [land.path_values[-1] for land in landscapes.values() if land.path_values is not None]
    baseline = float(reached[0]) if reached else np.nan
    text += f", where the run itself ended at {baseline:.3g}; " if reached else "; "
    if supported:
        most = max(supported, key=lambda name: supported[name])
        text += (
            f"the run supports {min(supported.values()):.0%} to {supported[most]:.0%} of the cells (most on {most}), "
        )
        text += "the hatched rest is extrapolation."
    else:
        text += "no path was given, so nothing says where the pictures may be trusted."
    return Finding(text, losses[best], baseline, None)


def find_basins(connections: Mapping[str, Connection]) -> Finding:
    """Say whether other runs ended in this run's basin."""
    told = [f"{name}: {found.verdict}" for name, found in connections.items()]
    climbs = [found.climb("segment") for found in connections.values()]
    noise = [found.noise for found in connections.values()]
    return Finding("; ".join(told) + ".", float(np.max(climbs)), float(np.max(noise)), None)


def find_gaps(gaps: Mapping[str, LiftGap]) -> Finding:
    """Say whether the lifts lie where the run was; on iterates that were not fitted where there are any."""
    unseen = ("sister", "blocks", "tail")
    chosen = {name: gap for name, gap in gaps.items() if name.endswith(unseen)} or dict(gaps)
    medians = {name: float(np.nanmedian(gap.gap)) for name, gap in chosen.items()}
    controls = {name: float(np.nanmedian(gap.control_values - gap.values)) for name, gap in chosen.items()}
    worst = max(chosen, key=lambda name: medians[name] - controls[name])
    gap, control = medians[worst], controls[worst]
    others = ", ".join(f"{medians[name]:+.3g} on {name}" for name in sorted(chosen) if name != worst)
    text = f"The lift of an iterate differs from it in loss by {gap:+.3g} (median) on {worst}"
    text += f" ({others})" if others else ""
    text += f"; moving as far in a random direction costs {control:+.3g}: "
    leaves = gap > max(control, 0)
    if leaves:
        text += "the lift leaves the valley in directions that matter."
    elif gap < 0:
        text += "the lift lies lower than the run, as averages of iterates do."
    else:
        text += "no more than chance."
    if chosen.keys() == gaps.keys():
        text += " These iterates were fitted, so the gap flatters."
    return Finding(text, gap, control, not leaves)


def find_scores(table: ScoreTable) -> Finding:
    """Say which reduction carries over to a sister run, or to held-out stretches, better than walks do."""
    sister = "error on sister"
    asked = sister in table.scores and np.isfinite(table.values[:, table.scores.index(sister)]).any()
    column = table.scores.index(sister if asked else "error on blocks")
    row = int(np.nanargmin(table.values[:, column]))
    value, draws = float(table.values[row, column]), table.null[row, column]
    known = draws[np.isfinite(draws)]
    what = "a sister run" if asked else "held-out stretches of the run"
    text = f"{table.reductions[row]} reconstructs {what} with error {value:.3g} of its variance"
    if not len(known):
        return Finding(text + "; no random walk was scored, so nothing can be said of it.", value, np.nan, None)
    # an error of 1 is what the other points' own mean gives: beating walks with more is no success
    better = bool(table.verdicts[row, column] == 1)
    beyond = better and value < 1
    text += f"; on {len(known)} random walks the same procedure gets {known.min():.3g} to {known.max():.3g}, so "
    if beyond:
        text += "the chart is about training"
    elif better:
        text += f"it is nearer than a walk, but worse than the mean of {what} (error 1): the chart does not carry over"
    else:
        text += "the chart says no more than it would of a walk"
    trust = table.scores.index("trustworthiness")
    walks = table.null[:, trust][np.isfinite(table.null[:, trust])]
    if len(walks):
        text += f" (trustworthiness does not tell: walks reach {walks.max():.3f})"
    return Finding(text + ".", value, float(known.min()), beyond)


def find_curvature(found: Alignment) -> Finding:
    """Say how the top eigenvalue moved, and whether the curvature is indefinite."""
    first, last = float(found.eigenvalues[0, 0]), float(found.eigenvalues[-1, 0])
    peak = int(np.nanargmax(found.eigenvalues[:, 0]))
    negative = int((found.eigenvalues < 0).sum(axis=1).max())
    k = found.eigenvalues.shape[1]
    worst = float(np.nanmax(found.residuals[:, 0] / np.abs(found.eigenvalues[:, 0])))
    text = f"The Hessian's top eigenvalue went from {first:.3g} to {last:.3g}, with its peak of "
    text += (
        f"{found.eigenvalues[peak, 0]:.3g} at step {found.steps[peak]:.0f} (relative residual at most {worst:.1g}); "
    )
    text += (
        f"among the {k} largest in magnitude at most {negative} were negative."
        if negative
        else (f"none of the {k} largest in magnitude was negative.")
    )
    return Finding(text, last, first, None)


def find_alignment(comparisons: Mapping[str, Alignment]) -> Finding:
    """Say whether the charts' tangents, the gradient and the step lie in the top eigenspace."""
    tangents = {name: float(np.nanmedian(found.tangent)) for name, found in comparisons.items()}
    best = max(tangents, key=lambda name: tangents[name])
    found = comparisons[best]
    gradient, step = float(np.nanmedian(found.gradient)), float(np.nanmedian(found.step))
    low, _, high = (float(q) for q in found.baselines["row_space"])
    k = found.eigenvalues.shape[1]
    text = f"The top {k} eigenvectors hold {gradient:.0%} of the gradient and {step:.0%} of a step (of a random "
    text += f"direction {found.expected:.2%}), and {tangents[best]:.0%} of the tangent of {best}, the best aligned "
    text += f"chart; random planes of the run's own span have {low:.0%} to {high:.0%}: "
    if tangents[best] > max(high, step):
        text += "the chart follows the curved directions."
    elif tangents[best] > high:
        text += "more than chance, but less than the single steps that such a tangent is made of."
    else:
        text += "the chart is no closer to them than chance."
    return Finding(text, tangents[best], max(high, step), tangents[best] > max(high, step))


def find_edge(gauge: EdgeGauge) -> Finding:
    """Say whether the learning rate is at the edge."""
    late = float(np.median(gauge.ratio[-max(1, len(gauge.ratio) // 3) :]))
    return Finding(gauge.verdict + ".", late, 1.0, None)


def find_trainings(trainings: TrainingCurves) -> Finding:
    """Say which part of the updates lowers the loss."""
    final, start = trainings.final, float(trainings.losses[0, 0])
    told = ", ".join(f"{name} {value:.3g}" for name, value in final.items())
    text = f"From {start:.3g}, the same batches end at {told}. "
    if {"dominant", "bulk", "SGD"} <= final.keys():
        fall = start - final["SGD"]
        inside, outside = ((start - final[name]) / fall if fall > 0 else np.nan for name in ("dominant", "bulk"))
        text += (
            f"Of what SGD gains, updates inside the top eigenspace gain {inside:.0%} and those off it {outside:.0%}."
        )
    return Finding(text, final.get("bulk", np.nan), final.get("SGD", np.nan), None)


def find_topology(trees: Mapping[str, MergeTree]) -> Finding:
    """Say how many basins the pictures show, and how many of them lie inside."""
    told = [
        f"{name} {tree.n_minima} ({int((~tree.boundary).sum())} inside), {tree.n_saddles} saddles"
        for name, tree in trees.items()
    ]
    text = f"Minima: {'; '.join(told)}. A minimum on the edge of a picture may be a slope that goes on."
    return Finding(text, float(sum(tree.n_minima for tree in trees.values())), np.nan, None)


def find_sensitivity(found: Sensitivity) -> Finding:
    """Say which inputs the loss depends on most, by the first and by the second derivative."""
    mean = found.mean
    told = []
    for k, row in enumerate(mean[:2]):
        best = [found.names[i] for i in np.argsort(-row)[:3]]
        told.append(f"order {k + 1}: {', '.join(best)}")
    text = f"The loss depends most on {'; '.join(told)} (mean absolute derivatives over {len(found.values)} points)."
    return Finding(text, float(mean[0].max()), float(np.median(mean[0])), None)


def find_curves(curves: CurveProfiles) -> Finding:
    """Say what the loss looks like along random lines, and what was found when other shapes were asked for."""
    kinds = dict(zip(curves.names, curves.kinds, strict=True))
    random = [kind for name, kind in kinds.items() if name.startswith("random")]
    share = random.count("v-basin") / len(random) if random else np.nan
    mined = "; ".join(f"{name}: found {kind}" for name, kind in kinds.items() if name.startswith("mined"))
    text = f"{share:.0%} of {len(random)} random directions show the model at the bottom of a single valley"
    return Finding(f"{text}; {mined}." if mined else f"{text}.", share, np.nan, None)
