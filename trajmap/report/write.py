"""A run folder to one self-contained HTML file."""

import json
import os
import shlex
from pathlib import Path

from trajmap.data.artefacts import Artefacts
from trajmap.data.atomic import write_parts
from trajmap.data.trajectory import Trajectory
from trajmap.report import warnings as warn
from trajmap.report.cautions import list_cautions
from trajmap.report.figures import draw_figures
from trajmap.report.finding import Finding
from trajmap.report.findings import find_run
from trajmap.report.render import Figure, Section, render_page
from trajmap.report.sections import KINDS, Kind, alternative
from trajmap.report.surfaces_3d import embed_surfaces

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
    ("Curve classes", "By the minima along a line through the model, after merging those less deep than 1 % of the "
     "range: v-basin, one at the model; v-side, one beside it; w-peak, one on each side; w-basin, one at it and one "
     "beside; vvv-basin, three. Li et al. 2024."),
    ("Asymmetry", "Loss at θ − ε over loss at θ + ε, for noise ε of which a share of entries has the model's signs: "
     "1 for a symmetric valley. Li et al. 2024. Of a curve: mean rise on the right less that on the left, over their "
     "sum, −1 to 1. He et al. 2019."),
    ("Walks", "Random: rise of the loss over ½σ²t tr H, 1 in a quadratic valley. Permuted copies: highest loss on the "
     "straight way to an equal network with pairs of hidden units swapped. Liao et al. 2024. Gradient walks: signs of "
     "the gradient, random lengths, from random starts. Bosman et al. 2018."),
    ("Sample size", "Mean |L(k + 1) − L(k)| over orders of the samples; for independent samples their losses' mean "
     "absolute deviation over k + 1. Kiselev and Grabovoy 2024."),
    ("Sensitivity", "Mean over the samples of |∂ᵏℓ/∂xᵏ| for each input x, k = 1, 2, 3, by automatic derivatives; or "
     "of the loss by weights, or by a chart's coordinates. Faroz, Sensitivity analysis on the loss landscape."),
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
    name = Path(run).resolve().name  # where it lay when the page was written is nobody's concern
    sections = _sections(trajectory, artefacts, shlex.quote(name))
    target = Path(run) / "report.html" if path is None else Path(path)
    heading = title or f"Where the optimizer went: {name}"
    embedded = embed_surfaces(artefacts.landscapes()) if interactive else ""
    page = render_page(heading, _subtitle(trajectory), sections, embedded=embedded)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_parts(target, [page.encode("utf-8")])
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
        # a section shows several charts: each caption says whose picture it is
        of = {n: n.removeprefix(prefix).removeprefix("-") for n in names}
        text = {n: f"{chart[0].upper()}{chart[1:]}: {caption[0].lower()}{caption[1:]}" if chart else caption
                for n, chart in of.items()}  # fmt: skip
        return [Figure(light[n], dark[n], alternative(n), text[n]) for n in names]

    def section(kind: Kind) -> Section:
        finding = kind.find(artefacts)
        command = kind.command.format(run=run, objective="--objective FILE.py:FUNCTION")
        missing = "" if finding is not None else f"Not there yet; this command makes it: {command}"
        pictures = [figure for prefix, caption in kind.figures for figure in figures(prefix, caption)]
        return Section(kind.title, finding, missing, pictures, wide=kind.wide)

    warnings = list_cautions(trajectory, artefacts)
    return [
        Section("The run", find_run(trajectory), figures=figures("scalars", "Losses that were recorded.")),
        *map(section, KINDS),
        Section(
            "Cautions",
            Finding(warn.count, len(warnings)),
            rows=[(f"{i}.", found.sentence) for i, found in enumerate(warnings, 1)],
        ),
        Section("Definitions", missing="What each number is: its range, its good end, its source.", rows=_DEFINITIONS),
        Section("Settings", missing="What the recorder noted in run.json.", rows=_settings(trajectory)),
    ]


def _settings(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(name, json.dumps(value)) for name, value in trajectory.settings.items()]
