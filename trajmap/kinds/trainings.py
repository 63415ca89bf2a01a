"""Trainings inside and outside the Hessian's top eigenspace."""

import numpy as np

from trajmap.data.results.training_curves import TrainingCurves
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.curvature import plot_trainings

__all__ = ["TRAININGS", "find_trainings"]


def find_trainings(trainings: TrainingCurves) -> Finding:
    """Which part of the updates lowers the loss."""
    facts = {"start": float(trainings.losses[0, 0]), "final": trainings.final}
    final = trainings.final
    return Finding(_words, final.get("bulk", np.nan), null=(final.get("SGD", np.nan),) * 2, facts=facts)


def _words(found: Finding) -> str:
    start, final = found.facts["start"], found.facts["final"]
    told = ", ".join(f"{name} {value:.3g}" for name, value in final.items())
    text = f"From {start:.3g}, the same batches end at {told}."
    if {"dominant", "bulk", "SGD"} <= final.keys():
        fall = start - final["SGD"]
        inside, outside = ((start - final[name]) / fall if fall > 0 else np.nan for name in ("dominant", "bulk"))
        text += (
            f" Updates inside the top eigenspace gain {inside:.0%} of what SGD gains, those outside it {outside:.0%}."
        )
    return text


def _example() -> TrainingCurves:
    return TrainingCurves(np.arange(2.0), np.array([[1.0, 0.2], [1, np.nan]]), ["SGD", "dominant"])


TRAININGS = Kind(
    name="trainings",
    place="trainings",
    noun=TrainingCurves,
    order=150,
    section="Causal test",
    title="Causal test",
    definition="Trainings from the middle of the run with the same batches: one keeps only the part of each "
    "update inside the Hessian's top eigenspace and another only the rest. Song et al. 2024.",
    command="trajmap hessian {run} --causal {objective}",
    example=_example,
    plot=plot_trainings,
    caption=lambda trainings: "Updates inside and outside the top eigenspace.",
    alternative="Last losses of trainings inside and outside the top eigenspace",
    findings=each(find_trainings),
    effort=lambda trainings: {"trainings": float(len(trainings.names)), "steps": float(len(trainings.steps))},
    follows=("length", "objective"),
)
