"""Standing warnings: each is a finding that is printed when its rule fires."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from trajmap.data.artefacts import Artefacts
from trajmap.data.results.loss_check import LossCheck
from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.data.trajectory import Trajectory
from trajmap.report import warnings as warn
from trajmap.report.finding import Finding
from trajmap.report.findings import below_zero, find_variance

__all__ = ["list_cautions"]


def list_cautions(trajectory: Trajectory, artefacts: Artefacts) -> list[Finding]:
    """Collect the warnings that apply to a run and its artefacts.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    artefacts : Artefacts
        What was made of it.

    Returns
    -------
    list of Finding
        One a warning; a claim among its fields agrees with what the sections say.
    """
    of_artefacts = [*_of_embeddings(artefacts), *_of_landscapes(artefacts), *_of_curvature(artefacts)]
    return [*_of_the_objective(artefacts), *of_artefacts, *_of_the_run(trajectory)]


def _of_the_objective(artefacts: Artefacts) -> Iterator[Finding]:
    check = artefacts.one("loss_check", LossCheck)
    if check is not None and check.agrees is False:
        recorded = (float(check.recorded.min()), float(check.recorded.max()))
        claim = "the objective is the recorded loss"
        yield Finding(warn.objective, check.value, claim, "no", null=recorded, facts={"text": check.text})


def _of_the_run(trajectory: Trajectory) -> Iterator[Finding]:
    history, broken = trajectory.history, int((~trajectory.is_finite).sum())
    if broken:
        yield Finding(warn.broken, broken)
    if history.dropped:
        yield Finding(warn.dropped, len(history.dropped), facts={"first": history.dropped[0]})
    if history.seams:
        yield Finding(warn.seams, len(history.seams), facts={"steps": list(history.seams)})
    if trajectory.header is not None and trajectory.header.sketch:
        yield Finding(warn.sketch, float(trajectory.header.sketch["size"]))
    if "adam" in str(trajectory.settings.get("optimizer", {}).get("class", "")).lower():
        yield Finding(warn.adam)


def _of_embeddings(artefacts: Artefacts) -> Iterator[Finding]:
    reduction = artefacts.embeddings().get("pca")
    if reduction is None:
        return
    Z = reduction.Z
    wave = np.cos(np.pi * (np.arange(len(Z)) + 0.5) / len(Z))
    index = abs(float(np.corrcoef(Z[:, 0], wave)[0, 1]))
    spectrum = artefacts.one("variance", VarianceSpectrum)
    # a run that was shown to be straighter than a walk is not told to look like one
    straighter = spectrum is not None and find_variance(spectrum).holds == "yes"
    if index > 0.9 and not straighter:
        yield Finding(warn.wave, index)


def _of_landscapes(artefacts: Artefacts) -> Iterator[Finding]:
    landscapes = artefacts.landscapes()
    shares = {name: float(land.support.mean()) for name, land in landscapes.items() if land.support is not None}
    rules: tuple[tuple[Any, list[str]], ...] = (
        (warn.thin, [name for name, share in shares.items() if share < 0.5]),
        (warn.smeared, [name for name, share in shares.items() if share > 0.95]),
        (warn.curve, [name for name, land in landscapes.items() if land.is_a_curve]),
    )
    for words, names in rules:
        if names:
            yield Finding(words, len(names), facts={"names": names})
    for name, land in landscapes.items():
        count = int((~np.isfinite(land.values)).sum())
        if count:
            yield Finding(warn.not_finite, count, facts={"name": name})
    if landscapes:
        yield Finding(warn.slice_hides)


def _of_curvature(artefacts: Artefacts) -> Iterator[Finding]:
    spaces = artefacts.eigenspaces()
    failed = [step for step, space in spaces.items() if not space.converged.all()]
    if failed:
        yield Finding(warn.residuals, len(failed), facts={"n": len(spaces)})
    lowest = 0.0
    for space in spaces.values():
        negative = below_zero(space.eigenvalues, space.residuals)
        lowest = min(lowest, float(space.eigenvalues[negative].min(initial=0.0)))
    if lowest < 0:
        yield Finding(warn.negative, lowest)
