"""Loss of the iterates and of their lifts."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.results.lift_gap import LiftGap
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.plots.lift_gap import plot_lift_gaps

__all__ = ["LIFT_GAP", "find_gaps"]

_UNSEEN = ("sister", "blocks", "tail")  # ends of the names of gaps at iterates that were not fitted


def unseen(gaps: Mapping[str, LiftGap]) -> dict[str, LiftGap]:
    """Choose the gaps of iterates that were not fitted, which are better evidence; all if there are none."""
    return {name: gap for name, gap in gaps.items() if name.endswith(_UNSEEN)} or dict(gaps)


def find_gaps(gaps: Mapping[str, LiftGap]) -> Finding:
    """Whether the lifts are where the run was, by chart; on iterates that were not fitted, if there are any."""
    chosen = unseen(gaps)
    fitted = not any(name.endswith(_UNSEEN) for name in chosen)
    medians = {name: float(np.nanmedian(gap.gap)) for name, gap in chosen.items()}
    controls = {name: float(np.nanmedian(gap.control_values - gap.values)) for name, gap in chosen.items()}
    leaves = [name for name in chosen if medians[name] > max(controls[name], 0.0)]
    holds = "no" if len(leaves) == len(chosen) else "yes" if not leaves and not fitted else "unknown"
    facts = {"medians": medians, "controls": controls, "leaves": leaves, "fitted": fitted}
    middle = float(np.median(list(medians.values())))
    return Finding(
        _words, middle, "lifts cost no more than equal steps in random directions", holds,
        low=min(medians.values()), high=max(medians.values()), null=(min(controls.values()), max(controls.values())),
        facts=facts,
    )  # fmt: skip


def _findings(found: Mapping[str, LiftGap], context: Context) -> Sequence[Finding]:
    return [find_gaps(found)]


def _words(found: Finding) -> str:
    f = found.facts
    each = ", ".join(f"{n} {f['medians'][n]:+.3g} ({f['controls'][n]:+.3g})" for n in sorted(f["medians"]))
    text = "Median loss of an iterate's lift above the iterate's own, and in brackets the cost of an equal move in a "
    text += f"random direction: {each}. "
    if f["leaves"] and len(f["leaves"]) == len(f["medians"]):
        text += "Every lift costs more than that."
    elif f["leaves"]:
        text += f"Lifts of {', '.join(sorted(f['leaves']))} cost more than that, the others do not."
    else:
        text += "No lift costs more than that."
    if any(value < 0 for value in f["medians"].values()):
        text += " A negative number is lower than the run, as for averages of iterates."
    if f["fitted"]:
        text += " These iterates were fitted, so the numbers are too good."
    return text


def _example() -> LiftGap:
    values, lifted, residuals, control = np.geomspace(9, 0.1, 24).reshape(4, 6)
    return LiftGap(np.arange(6.0), values, lifted, residuals, control, "pca")


LIFT_GAP = Kind(
    name="lift_gap",
    place="lift_gaps/{}",
    noun=LiftGap,
    order=60,
    section="Lift gap",
    title="Lift gap",
    definition="Loss of an iterate's lift minus loss of the iterate, in units of the loss. Control: the iterate moved "
    "by the same distance in a random direction.",
    command="trajmap surface {run} {objective}",
    example=_example,
    plot=plot_lift_gaps,
    caption=lambda gaps: "Is the loss on a chart the loss that the optimizer saw? Size of the gap by step.",
    alternative="Loss of the lifts above that of their iterates, by optimizer step, a panel for each chart",
    findings=_findings,
    effort=lambda gap: {"iterates": float(len(gap.steps))},
    follows=("length", "objective"),
    together=True,
    wide=True,
)
