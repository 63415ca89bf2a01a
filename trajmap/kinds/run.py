"""The run itself: its iterates, and the losses recorded with them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trajmap.data.trajectory import Trajectory
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind, each
from trajmap.plots.scalars import plot_scalars

__all__ = ["RUN", "find_run"]


def find_run(trajectory: Trajectory) -> Finding:
    """Describe the size of the run and the loss it reached."""
    T, P = trajectory.iterates.shape
    facts: dict[str, Any] = {"T": T, "P": P, "first": int(trajectory.steps[0]), "last": int(trajectory.steps[-1])}
    if trajectory.training_loss is not None:
        facts["name"], values = trajectory.training_loss
        facts["known"] = known = values[np.isfinite(values)]
        facts["held_out"] = trajectory.scalars.get("val_loss")
        if len(known):
            return Finding(_words, float(known[-1]), null=(float(known[0]),) * 2, facts=facts)
    return Finding(_words, facts=facts)


def _words(found: Finding) -> str:
    f = found.facts
    text = f"The run holds {f['T']} iterates of {f['P']:,} parameters, steps {f['first']} to {f['last']}"
    if "name" not in f:
        return text + "; no loss was recorded."
    if not len(f["known"]):
        return f"{text}; its {f['name']} was never finite."
    text += f"; its {f['name']} went from {f['known'][0]:.3g} to {found.value:.3g}"
    return text + ("." if f["held_out"] is None else f", the validation loss to {f['held_out'][-1]:.3g}.")


def _cautions(found: Mapping[str, Trajectory], context: Context) -> Sequence[Finding]:
    return [caution for trajectory in found.values() for caution in _of_the_run(trajectory)]


def _of_the_run(trajectory: Trajectory) -> Iterator[Finding]:
    history, broken = trajectory.history, int((~trajectory.is_finite).sum())
    if broken:
        yield Finding(_broken, broken)
    if history.dropped:
        yield Finding(_dropped, len(history.dropped), facts={"first": history.dropped[0]})
    if history.seams:
        yield Finding(_seams, len(history.seams), facts={"steps": list(history.seams)})
    if trajectory.header is not None and trajectory.header.sketch:
        yield Finding(_sketch, float(trajectory.header.sketch["size"]))
    if "adam" in str(trajectory.settings.get("optimizer", {}).get("class", "")).lower():
        yield Finding(_adam)


def _broken(found: Finding) -> str:
    return f"{found.value} iterates hold NaN or inf; every analysis omits them."


def _dropped(found: Finding) -> str:
    return f"{found.value} iterates are damaged or missing and are left out: {found.facts['first']}."


def _seams(found: Finding) -> str:
    listed = ", ".join(str(step) for step in found.facts["steps"])
    return f"The run was resumed from step {listed}: data order and random states may differ after it."


def _sketch(found: Finding) -> str:
    return (
        f"The iterates are sketches of {found.value:.0f} numbers: distances are accurate to "
        f"{50 * (2 / found.value) ** 0.5:.1f} %."
    )


def _adam(found: Finding) -> str:
    return "Adam has its own metric: distances and eigenvalues without it describe the run only in part."


def _example() -> Trajectory:
    return Trajectory.of(np.eye(5), scalars={"loss": np.array([3, 2, np.nan, 1, 0.5])})


RUN = Kind(
    name="run",
    place="",
    noun=Trajectory,
    order=10,
    section="The run",
    title="Recorded losses",
    definition="Numbers recorded with the iterates, such as the loss of each minibatch. This is another function "
    "than the loss of the landscapes, unless all data was one batch.",
    example=_example,
    plot=plot_scalars,
    caption=lambda run: "The recorded losses.",
    alternative="Recorded losses by optimizer step",
    findings=each(find_run),
    cautions=_cautions,
)
