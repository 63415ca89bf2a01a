"""The Hessian's top eigenspaces along a run."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.plots.eigenvalues import plot_eigenvalues

__all__ = ["EIGENSPACE", "Spectra", "below_zero", "find_curvature", "in_order"]


@dataclasses.dataclass(frozen=True, eq=False)
class Spectra:
    """Eigenvalues along a run as a table, NaN where fewer were computed at a step.

    Parameters
    ----------
    steps : numpy.ndarray, shape (m,)
        Optimizer steps, increasing.
    eigenvalues, residuals : numpy.ndarray, shape (m, k)
        Of each step, and their residuals.
    counts : numpy.ndarray of int, shape (m,)
        How many were asked for.
    """

    steps: Array
    eigenvalues: Array
    residuals: Array
    counts: Array

    @classmethod
    def of(cls, spaces: Mapping[str, Eigenspace]) -> "Spectra":
        """Stack eigenspaces, whose names are their steps."""
        ordered = in_order(spaces)
        counts = np.array([space.k for space in ordered.values()])
        tables = np.full((2, len(ordered), counts.max()), np.nan)
        for row, space in enumerate(ordered.values()):
            tables[:, row, : space.k] = space.eigenvalues, space.residuals
        return cls(np.array([float(step) for step in ordered]), tables[0], tables[1], counts)


def in_order(spaces: Mapping[str, Eigenspace]) -> dict[str, Eigenspace]:
    """Sort eigenspaces by their steps."""
    return {step: spaces[step] for step in sorted(spaces, key=int)}


def find_curvature(spectra: Any) -> Finding:
    """How the top eigenvalue moved, and whether some are negative beyond their residual.

    Parameters
    ----------
    spectra : Spectra or Alignment
        Steps, eigenvalues and residuals.

    Returns
    -------
    Finding
        The last top eigenvalue, with the first as its null.
    """
    top = spectra.eigenvalues[:, 0]
    negative = int(below_zero(spectra.eigenvalues, spectra.residuals).sum(axis=1).max())
    peak = int(np.nanargmax(top))
    counts = getattr(spectra, "counts", np.array([spectra.eigenvalues.shape[1]]))
    facts = {
        "peak": float(top[peak]),
        "peak_step": int(spectra.steps[peak]),
        "k": sorted({int(count) for count in counts}),
        "negative": negative,
        "residual": float(np.nanmax(spectra.residuals[:, 0] / np.abs(top))),
    }
    return Finding(_words, float(top[-1]), null=(float(top[0]),) * 2, facts=facts)


def below_zero(eigenvalues: Any, residuals: Any) -> Any:
    """Find which eigenvalues, (…, k), are negative by more than their residual and a thousandth of the largest.

    Parameters
    ----------
    eigenvalues, residuals : array-like, shape (…, k)
        Eigenvalues and their residuals; NaN where there is none.

    Returns
    -------
    numpy.ndarray of bool, shape (…, k)
        True where an eigenvalue is surely negative.
    """
    # noise of float32 products is some 1e-4 of the largest: less than a thousandth of it is no sign of anything
    values = np.asarray(eigenvalues, dtype=np.float64)
    largest = np.nanmax(np.abs(values), axis=-1, keepdims=True)
    return values < -np.maximum(np.asarray(residuals, dtype=np.float64), 1e-3 * largest)


def _findings(found: Mapping[str, Eigenspace], context: Context) -> Sequence[Finding]:
    return [find_curvature(Spectra.of(found))]


def _words(found: Finding) -> str:
    f = found.facts
    text = f"The Hessian's top eigenvalue went from {found.null[0]:.3g} to {found.value:.3g}, with a peak of "
    text += f"{f['peak']:.3g} at step {f['peak_step']} (relative residual at most {f['residual']:.1g}); "
    k = " or ".join(str(count) for count in f["k"])
    if f["negative"]:
        return text + f"among the {k} largest in magnitude at most {f['negative']} were negative."
    return text + f"none of the {k} largest in magnitude was negative beyond its residual."


def _cautions(found: Mapping[str, Eigenspace], context: Context) -> Iterator[Finding]:
    failed = [step for step, space in found.items() if not space.converged.all()]
    if failed:
        yield Finding(_residuals, len(failed), facts={"n": len(found)})
    lowest = 0.0
    for space in found.values():
        negative = below_zero(space.eigenvalues, space.residuals)
        lowest = min(lowest, float(space.eigenvalues[negative].min(initial=0.0)))
    if lowest < 0:
        yield Finding(_negative, lowest)


def _residuals(found: Finding) -> str:
    return f"At {found.value} of {found.facts['n']} iterates some eigenpairs did not reach the requested residual."


def _negative(found: Finding) -> str:
    return (
        f"The Hessian has negative eigenvalues down to {found.value:.3g} along the run, beyond their residuals: the "
        "loss curves down in some directions there. Where its gradient is not zero, the point is not a saddle."
    )


def _plot(spaces: Mapping[str, Eigenspace], *, ax: Any = None) -> Any:
    spectra: Any = Spectra.of(spaces)  # the picture takes the same three fields of an alignment
    return plot_eigenvalues(spectra, ax=ax)


def _example() -> Eigenspace:
    return Eigenspace(np.array([3.0, -1]), np.eye(2, 40), np.zeros(2), np.array([True, False]), 9)


EIGENSPACE = Kind(
    name="eigenspace",
    place="hessian/{}",
    noun=Eigenspace,
    order=130,
    section="Curvature",
    title="Eigenvalues",
    definition="Of the loss's Hessian, largest in magnitude first, by Lanczos with partial reorthogonalisation; "
    "residuals ‖Hv − λv‖ come with them.",
    command="trajmap hessian {run} {objective}",
    example=_example,
    plot=_plot,
    caption=lambda spaces: "Band: residual of λ₁.",
    alternative="Top Hessian eigenvalues by optimizer step",
    findings=_findings,
    cautions=_cautions,
    shown=in_order,
    effort=lambda space: {"eigenpairs": float(space.k)},
    follows=("objective",),
    together=True,
)
