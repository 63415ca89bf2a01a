"""Standing warnings: each is printed when its rule fires."""

from collections.abc import Iterator

import numpy as np

from trajmap.data.artefacts import Artefacts
from trajmap.data.loss_check import LossCheck
from trajmap.data.trajectory import Trajectory

__all__ = ["cautions"]


def cautions(trajectory: Trajectory, artefacts: Artefacts) -> list[str]:
    """Collect the warnings that apply to a run and its artefacts.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    artefacts : Artefacts
        What was made of it.

    Returns
    -------
    list of str
        One sentence each.
    """
    found = [*_of_embeddings(artefacts), *_of_landscapes(artefacts), *_of_curvature(artefacts)]
    check = artefacts.one("loss_check", LossCheck)
    if check is not None and check.agrees is False:
        found.insert(0, f"The objective is not the loss that was recorded: {check.text}.")
    history = trajectory.history
    broken = int((~trajectory.is_finite).sum())
    if broken:
        found.append(f"{broken} iterates hold NaN or inf; every analysis leaves them out.")
    if history.dropped:
        found.append(f"{len(history.dropped)} iterates are damaged or missing and are left out: {history.dropped[0]}.")
    if history.seams:
        listed = ", ".join(str(step) for step in history.seams)
        found.append(f"The run was resumed from step {listed}: data order and random states may differ from there on.")
    if trajectory.header is not None and trajectory.header.sketch:
        size = trajectory.header.sketch["size"]
        found.append(
            f"The iterates are sketches of {size} numbers: distances are right to {50 * (2 / size) ** 0.5:.1f} %."
        )
    optimizer = str(trajectory.settings.get("optimizer", {}).get("class", ""))
    if "adam" in optimizer.lower():
        found.append(
            "Adam moves in a metric of its own: distances and eigenvalues without it describe the run only in part."
        )
    return found


def _of_embeddings(artefacts: Artefacts) -> Iterator[str]:
    reduction = artefacts.embeddings().get("pca")
    if reduction is None:
        return
    Z = reduction.Z
    wave = np.cos(np.pi * (np.arange(len(Z)) + 0.5) / len(Z))
    index = abs(float(np.corrcoef(Z[:, 0], wave)[0, 1]))
    if index > 0.9:
        yield (
            f"The first principal component follows a half cosine of time (correlation {index:.3f}): "
            "smooth arcs like this are what a random walk draws."
        )


def _of_landscapes(artefacts: Artefacts) -> Iterator[str]:
    landscapes = artefacts.landscapes()
    thin = [name for name, land in landscapes.items() if land.support is not None and land.support.mean() < 0.5]
    if thin:
        yield (
            f"One run is a curve: most cells over {', '.join(thin)} lie farther from it than its held-out stretches "
            "do, and the surface there is the chart's invention."
        )
    smeared = [name for name, land in landscapes.items() if land.support is not None and land.support.mean() > 0.95]
    if smeared:
        yield (
            f"Over {', '.join(smeared)} nearly every cell lifts to a mixture of neighbouring iterates: the surface "
            "repeats the run's own losses and shows nothing beside it."
        )
    curves = [name for name, land in landscapes.items() if land.is_a_curve]
    if curves:
        yield (
            f"Over {', '.join(curves)} the supported area grows with the reach as a band around the path does: the run "
            "identifies a curve there, not a surface. Sister runs or branches widen it."
        )
    broken = {name: int((~np.isfinite(land.values)).sum()) for name, land in landscapes.items()}
    for name, count in broken.items():
        if count:
            yield f"{count} cells over {name} are NaN or inf and are drawn grey."
    if landscapes:
        yield "A two-dimensional slice hides saddles: a minimum on a chart need not be one in parameter space."


def _of_curvature(artefacts: Artefacts) -> Iterator[str]:
    spaces = artefacts.eigenspaces()
    failed = [step for step, space in spaces.items() if not space.converged.all()]
    if failed:
        yield f"At {len(failed)} of {len(spaces)} iterates some eigenpairs did not reach the asked residual."
    lowest = min((float(space.eigenvalues.min()) for space in spaces.values()), default=0.0)
    if lowest < 0:
        yield f"The Hessian has negative eigenvalues down to {lowest:.3g} along the run: it passes saddles."
