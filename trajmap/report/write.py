"""A run folder to one self-contained HTML file."""

import json
import os
from pathlib import Path

import numpy as np

from trajmap.data.artefacts import Artefacts
from trajmap.data.trajectory import Trajectory
from trajmap.report.cautions import cautions
from trajmap.report.figures import draw_figures
from trajmap.report.findings import (
    Finding,
    find_alignment,
    find_basins,
    find_charts,
    find_curvature,
    find_curves,
    find_edge,
    find_gaps,
    find_run,
    find_scores,
    find_sensitivity,
    find_topology,
    find_trainings,
    find_variance,
)
from trajmap.report.reliefs import reliefs
from trajmap.report.render import Figure, Section, render

__all__ = ["write_report"]

_DEFINITIONS = (
    ("Explained variance", "Share of a mean-centred principal component, 0 to 1. Null: random walks with the run's "
     "length, dimension and step norms; an endless walk has 6/(π²k²). Antognini and Sohl-Dickstein 2018."),
    ("Trustworthiness, continuity", "0 to 1, 1 best, about ½ for a random embedding. Venna and Kaski 2001."),
    ("Reconstruction error", "1 − R² of the lift: 0 best, 1 for the mean, above 1 worse. In sample; on held-out "
     "stretches of time, each lifted by a fit that has not seen it; on a sister run (same start, other batch order), "
     "where the part outside this run's span counts as lost."),
    ("Support", "A cell is supported when its lift is no farther from the nearest iterate than the run's iterates are, "
     "in the median, from the iterates outside their own tenth of the run, and the lift's own uncertainty is no more."),
    ("Climb", "Highest loss along a way between two points above the straight line between their losses; 0 when one "
     "need not climb. After matching: hidden units of the other network permuted (weight matching, Ainsworth et al. "
     "2023). Along a curve: a Bézier curve trained between them (Garipov et al. 2018)."),
    ("Lift gap", "Loss of an iterate's lift minus loss of the iterate, in units of the loss. Control: the iterate "
     "moved by the same distance in a random direction."),
    ("Eigenvalues", "Of the loss's Hessian, largest in magnitude first, by Lanczos with full reorthogonalisation; "
     "residuals ‖Hv − λv‖ come with them."),
    ("Topology", "Minima and saddles of the loss on the grid with its diagonals, basins less deep than 1 % of the "
     "range left out; average persistence: mean height from a minimum to the saddle where its basin ends. Xie et al. "
     "2024."),
    ("Edge of stability", "Sharpness over the largest that the step is stable at: λ₁ against 2(1 + β)/η for gradient "
     "descent, batch sharpness for SGD, preconditioned sharpness for Adam. Cohen et al. 2021, 2022; Andreyev and "
     "Beneventano 2024."),
    ("Alignment", "Share of a direction's squared norm inside the top eigenspace, 0 to 1; for a chart the mean over an "
     "orthonormal basis of its tangent. A random direction has k/P, with Beta(k/2, (P−k)/2) quantiles. Gur-Ari et al. "
     "2018."),
)  # fmt: skip


def write_report(
    run: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    interactive: bool = False,
) -> Path:
    """Write the page of a run from its artefacts.

    Parameters
    ----------
    run : path-like
        The run folder.
    path : path-like, optional
        The HTML file; ``report.html`` in the run folder by default.
    title : str, optional
        Heading of the page.
    interactive : bool
        Add reliefs that turn under the mouse, by Plotly, whose script (5 MB) then travels inside the file.

    Returns
    -------
    pathlib.Path
        The file: no scripts unless `interactive`, no reference to another file, light and dark, readable on a phone.

    Raises
    ------
    RunFormatError
        If the folder is no run, or an artefact is damaged.
    MissingExtraError
        If `interactive` is asked for without Plotly.
    """
    trajectory, artefacts = Trajectory.open(run), Artefacts.of(run)
    sections = _sections(trajectory, artefacts, os.fspath(run))
    target = Path(run) / "report.html" if path is None else Path(path)
    heading = title or f"Where the optimizer went: {Path(run).resolve().name}"
    embedded = reliefs(artefacts.landscapes()) if interactive else ""
    page = render(heading, _subtitle(trajectory), sections, embedded=embedded)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target


def _subtitle(trajectory: Trajectory) -> str:
    optimizer = trajectory.settings.get("optimizer", {})
    parts = [
        f"{trajectory.n_iterates} iterates",
        f"{trajectory.size:,} parameters",
        str(trajectory.settings.get("model", "")),
    ]
    if optimizer:
        parts.append(f"{optimizer.get('class')} with learning rate {optimizer.get('lr')}")
    return " · ".join(part for part in parts if part)


def _sections(trajectory: Trajectory, artefacts: Artefacts, run: str) -> list[Section]:
    light, dark = (draw_figures(trajectory, artefacts, dark=ground) for ground in (False, True))

    def figures(prefix: str, caption: str) -> list[Figure]:
        names = [name for name in light if name == prefix or name.startswith(prefix + "-")]
        # gaps of unseen iterates say more than those of the fitted ones; both would crowd the page
        unseen = ("sister", "blocks", "tail")
        names = [name for name in names if name.endswith(unseen)] or names
        return [Figure(light[n], dark[n], _alternative(n), caption) for n in names]

    objective = "--objective FILE.py:FUNCTION"
    landscapes, gaps, comparisons = artefacts.landscapes(), artefacts.lift_gaps(), artefacts.comparisons()
    variance, scores, connections = artefacts.variance(), artefacts.scores(), artefacts.connections()
    curves, sensitivity, edge = artefacts.curves(), artefacts.sensitivity(), artefacts.edge()
    trainings, trees = artefacts.trainings(), artefacts.trees()
    warnings = cautions(trajectory, artefacts)
    return [
        Section("The run", find_run(trajectory), figures=figures("scalars", "Losses that were recorded.")),
        _section("Explained variance", None if variance is None else find_variance(variance), f"trajmap score {run}",
                 figures("variance", "Bars: this run; grey: random walks with its step norms.")),
        _section("Charts", find_charts(landscapes) if landscapes else None, f"trajmap surface {run} {objective}",
                 figures("landscape", "Loss at the lifted grid points; the path runs from red to yellow.")),
        _section("Lift gap", find_gaps(gaps) if gaps else None, f"trajmap surface {run} {objective}",
                 figures("gap", "Is the loss on the chart the loss the optimizer saw?")),
        _section("Topology", find_topology(trees) if trees else None, f"trajmap topology {run}",
                 figures("tree", "Basins of the landscape: each ends where it meets a deeper one.")
                 + figures("profile", "Each basin as wide as its number of grid points.")),
        _section("Curves", None if curves is None else find_curves(curves), f"trajmap curves {run} {objective}",
                 figures("curves", "Grey: random directions, the baseline.")),
        _section("Scores", None if scores is None else find_scores(scores), f"trajmap score {run}",
                 figures("scores", "Under each score: the range over random walks."), wide=True),
        _section("Basins", find_basins(connections) if connections else None,
                 f"trajmap basin {run} OTHER --sister RUN {objective}",
                 figures("connection", "Loss along the ways between the ends of two runs.")),
        _section("Curvature", find_curvature(next(iter(comparisons.values()))) if comparisons else None,
                 f"trajmap hessian {run} {objective}", figures("eigenvalues", "Band: residual of λ₁.")
                 + figures("density", "At the end of the run, by stochastic Lanczos quadrature.")),
        _section("Edge of stability", None if edge is None else find_edge(edge),
                 f"trajmap hessian {run} --edge {objective}", figures("edge", "1: the largest stable sharpness.")),
        _section("Causal test", None if trainings is None else find_trainings(trainings),
                 f"trajmap hessian {run} --causal {objective}", figures("trainings", "Updates in and off the top.")),
        _section("Alignment", find_alignment(comparisons) if comparisons else None,
                 f"trajmap compare {run} {objective}",
                 figures("alignment", "Bands: 5–95 % of random subspaces.")),
        _section("Sensitivity", None if sensitivity is None else find_sensitivity(sensitivity),
                 f"trajmap sensitivity {run} {objective}",
                 figures("sensitivity", "By each input, along the run; each order over its own largest.")),
        Section("Cautions", _cautioned(warnings), rows=[(f"{i}.", words) for i, words in enumerate(warnings, 1)]),
        Section("Definitions", missing="What each number is: its range, its good end, its source.", rows=_DEFINITIONS),
        Section("Settings", missing="What the recorder noted in run.json.", rows=_settings(trajectory)),
    ]  # fmt: skip


def _settings(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(name, json.dumps(value)) for name, value in trajectory.settings.items()]


def _section(
    title: str, finding: Finding | None, command: str, figures: list[Figure], *, wide: bool = False
) -> Section:
    missing = "" if finding is not None else f"Not there yet; this command makes it: {command}"
    return Section(title, finding, missing, figures, wide=wide)


def _cautioned(warnings: list[str]) -> Finding:
    count = len(warnings)
    text = f"{count} standing warning{'' if count == 1 else 's'} appl{'ies' if count == 1 else 'y'} to this run."
    return Finding(text if count else "No standing warning applies to this run.", count, np.nan, None)


def _alternative(name: str) -> str:
    """Word what a figure shows, for readers who do not see it."""
    kind, _, chart = name.partition("-")
    words = {
        "scalars": "Recorded losses by optimizer step",
        "variance": "Explained variance of the principal components beside random walks",
        "landscape": "Loss over the chart with the path and the unsupported region",
        "connection": "Loss along the ways to the end of the run",
        "gap": "Loss of iterates, of their lifts and of a random control by step for the chart",
        "scores": "Table of scores beside those of random walks",
        "curves": "Loss along random, mined and sign-consistent lines through the end of the run",
        "sensitivity": "Mean absolute derivatives of the loss by each input",
        "profile": "Basins by width and depth over",
        "tree": "Merge tree of the landscape over",
        "density": "Density of Hessian eigenvalues at the end of the run",
        "edge": "Sharpness over its stability threshold by optimizer step",
        "trainings": "Last losses of trainings on and off the top eigenspace",
        "eigenvalues": "Top Hessian eigenvalues by optimizer step",
        "alignment": "Share of gradient, step and tangent inside the top eigenspace by step for the chart",
    }[kind]
    return f"{words} {chart}".strip()
