"""Scores of the charts and of random walks."""

import numpy as np

from trajmap.data.claim import Claim
from trajmap.data.results.score_table import ScoreTable
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.scores import plot_scores

__all__ = ["SCORES", "find_scores"]


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
    holds = "no" if value >= 1 else claim.holds  # 1 is the error of the other points' mean
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
        _words, value, "the chart fits unseen iterates better than a walk's", holds, null=(null[0], null[1]),
        p=float(claim.p[0]), facts=facts,
    )  # fmt: skip


def _words(found: Finding) -> str:
    f, (low, high) = found.facts, found.null
    what = "a sister run" if f["sister"] else "held-out stretches of the run"
    best = f", the best of {f['tried']}," if f["tried"] > 1 else ""
    text = f"{f['name']}{best} reconstructs {what} with error {found.value:.3g} of its variance"
    if not f["n_draws"]:
        return text + "; no random walk was scored, so this cannot be judged."
    text += f"; on {f['n_draws']} random walks the same procedure gives {low:.3g} to {high:.3g} (5–95 %)"
    if found.value >= 1:
        text += f", but the mean of {what} would do as well (error 1): the chart does not generalise"
    elif found.holds == "unknown":
        text += ": too few walks to decide, for so many charts"
    elif found.holds == "yes":
        text += f", so it is better than on a walk (p = {found.p:.2g}, all charts counted)"
    elif f["worse"]:
        text += ": worse than every walk"
    else:
        text += f": walks reach it (p = {found.p:.2g}, all charts counted)"
    if np.isfinite(f["trust"]):
        text += f" (trustworthiness cannot decide: walks reach {f['trust']:.3f})"
    return text + "."


def _effort(table: ScoreTable) -> dict[str, float]:
    draws = np.isfinite(table.null).sum(axis=-1)
    return {"charts": float(len(table.reductions)), "draws": float(draws.max(initial=0))}


def _example() -> ScoreTable:
    return ScoreTable(
        ["pca", "umap"],
        ["trustworthiness", "continuity", "error in sample", "error on blocks", "error on sister"],
        np.array([[0.99, 0.98, 0.01, 0.05, 0.2], [0.97, 0.96, np.nan, 0.3, 0.4]]),
        np.stack([np.stack([np.full(5, 0.98), np.array([0.99, 0.99, 0.2, 0.4, 2.5])] * 10, axis=1)] * 2),
        [True, True, False, False, False],
        ["", "", "", "", ""],
    )


SCORES = Kind(
    name="scores",
    place="scores",
    noun=ScoreTable,
    order=110,
    section="Scores",
    title="Scores",
    definition="Trustworthiness, continuity: 0 to 1, 1 best, about ½ for a random embedding. Venna and Kaski 2001. "
    "Reconstruction error: 1 − R² of the lift, 0 best, 1 for the mean, above 1 worse. In sample; on held-out stretches "
    "of time, each lifted by a fit that has not seen it; on a sister run (same start, other batch order), where the "
    "part outside this run's span counts as lost.",
    command="trajmap score {run}",
    example=_example,
    plot=plot_scores,
    caption=lambda table: "Under each score: the range over random walks.",
    alternative="Table of scores of the charts and of random walks",
    findings=each(find_scores),
    effort=_effort,
    wide=True,
)
