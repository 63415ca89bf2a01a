"""The words of each finding, made of its numbers; nothing here computes, and nothing reads what it says."""

from collections.abc import Mapping

import numpy as np

from trajmap.report.finding import Finding

__all__ = [
    "alignment",
    "asymmetry",
    "basins",
    "charts",
    "claims",
    "curvature",
    "edge",
    "gaps",
    "lines",
    "run",
    "samples",
    "scores",
    "sensitivity",
    "topology",
    "trainings",
    "variance",
    "walks",
]


def run(found: Finding) -> str:
    """Say what the run is and what it reached."""
    f = found.facts
    text = f"The run holds {f['T']} iterates of {f['P']:,} parameters, steps {f['first']} to {f['last']}"
    if "name" not in f:
        return text + "; no loss was recorded."
    if not len(f["known"]):
        return f"{text}; its {f['name']} was never finite."
    text += f"; its {f['name']} went from {f['known'][0]:.3g} to {found.value:.3g}"
    return text + ("." if f["held_out"] is None else f", the validation loss to {f['held_out'][-1]:.3g}.")


# of each claim: what is said where it holds, and where it was not shown
_CLAIMS = {
    "moved with direction": ("the run moved with direction", "it moved no farther than"),
    "order matters": ("the order of its steps matters", "its path is not told from"),
    "reproducible": ("the path is reproducible", "a sister shares no more of the path than"),
    "reproducible beyond a straight line": (
        "it is reproducible beyond a straight line",
        "a sister shares no more beyond a straight line than",
    ),
    "the loss knows it": (
        "the loss falls along it as along no surrogate path",
        "the loss falls no more along it than for",
    ),
    "the chart carries the loss": ("lifts{of} carry the loss", "lifts{of} come no nearer to the loss than"),
}


def claims(found: Finding) -> str:
    """Say which claims hold, which were not shown and what explains it, and which are not known."""
    yes, no, unknown = [], [], []
    for place, claim in found.facts["claims"].items():
        of = f" over {place.removeprefix('chart-')}" if place.startswith("chart-") else ""
        holding, failing = (words.format(of=of) for words in _CLAIMS[claim.name])
        if claim.holds == "yes":
            yes.append(f"{holding} (p = {claim.p[claim.hardest]:.2g})")
        elif claim.holds == "no":
            no.append(f"{failing} its null ({claim.nulls[claim.hardest]})")
        else:
            unknown.append(f"{claim.name}{of} ({claim.reason or 'too few draws'})")
    text = ", ".join(yes[:-1]) + (" and " if yes[1:] else "") + yes[-1] if yes else "nothing beyond the nulls was shown"
    if not yes and not no:
        text = "nothing could be tested"
    text = text[0].upper() + text[1:]
    text += f"; but {'; '.join(no)}." if yes and no else f": {'; '.join(no)}." if no else "."
    return text + (f" Not known: {', '.join(unknown)}." if unknown else "")


def variance(found: Finding) -> str:
    """Say whether two components hold more than a random walk's would."""
    (low, high), f = found.null, found.facts
    text = f"Two principal components hold {found.value:.1%} of the variance"
    if not f["n_draws"]:
        return text + "; no random walk was drawn, so what that is worth is not known."
    text += (
        f"; {f['n_draws']} random walks with the same steps hold {f['middle']:.1%} (5–95 %: {low:.1%} to {high:.1%})"
    )
    return (
        text
        + {
            "above": f", so the run is straighter or flatter than a walk (p = {found.p:.2g}); that alone does not make "
            "it two-dimensional.",
            "below": f", so the run is spread over more directions than a walk's (p = {found.p:.2g}).",
            "inside": f": this is what a random walk shows (p = {found.p:.2g}), no evidence of a low-dimensional run.",
            "unknown": ": too few to tell.",
        }[f["where"]]
    )


def charts(found: Finding) -> str:
    """Say how much of the pictures the run supports, and where the lowest loss is."""
    f = found.facts
    told = []
    if f["lowest"]:
        best = min(f["lowest"], key=f["lowest"].__getitem__)
        where = "of the cells that the run supports" if f["shares"] else "on a grid"
        told.append(f"Over {f['n']} chart{'s' * (f['n'] > 1)} the lowest loss {where} is {found.value:.3g}, on {best}")
    else:
        told.append(f"Over {f['n']} chart{'s' * (f['n'] > 1)} no supported cell has a finite loss")
    if np.isfinite(f["ended"]):
        told.append(f"the run itself ended at {f['ended']:.3g}")
    lower = {name: value for name, value in f["outside"].items() if not value >= found.value}
    if lower:
        least = min(lower, key=lower.__getitem__)
        told.append(
            f"an unsupported cell of {least} shows {lower[least]:.3g}, which says nothing of the loss near the run"
        )
    told.append(_supported(f["shares"]))
    return "; ".join(told) + "."


def _supported(shares: Mapping[str, float]) -> str:
    if not shares:
        return "no path was given, so nothing says where the pictures may be trusted"
    least, most = (pick(shares, key=shares.__getitem__) for pick in (min, max))
    text = f"the run supports {shares[least]:.0%} of the cells"
    if shares[most] > shares[least]:
        text = f"the run supports {shares[least]:.0%} ({least}) to {shares[most]:.0%} ({most}) of the cells"
    return text + (", the hatched rest is extrapolation" if shares[least] < 1 else "")


def basins(found: Finding) -> str:
    """Say whether other runs ended in this run's basin."""
    return "; ".join(f"{name}: {verdict}" for name, verdict in found.facts["verdicts"].items()) + "."


def gaps(found: Finding) -> str:
    """Say what lifts cost, chart by chart, beside as long a step in a random direction."""
    f = found.facts
    each = ", ".join(f"{n} {f['medians'][n]:+.3g} ({f['controls'][n]:+.3g})" for n in sorted(f["medians"]))
    text = "Loss of an iterate's lift above the iterate's own, in the median, and in brackets what moving as far in a "
    text += f"random direction costs: {each}. "
    if f["leaves"] and len(f["leaves"]) == len(f["medians"]):
        text += "Every lift costs more than that."
    elif f["leaves"]:
        text += f"Lifts of {', '.join(sorted(f['leaves']))} cost more than that, the others do not."
    else:
        text += "No lift costs more than that."
    if any(value < 0 for value in f["medians"].values()):
        text += " A negative number is lower than the run, as averages of iterates are."
    if f["fitted"]:
        text += " These iterates were fitted, so the numbers flatter."
    return text


def scores(found: Finding) -> str:
    """Say which chart fits unseen iterates best, and whether walks do as well."""
    f, (low, high) = found.facts, found.null
    what = "a sister run" if f["sister"] else "held-out stretches of the run"
    best = f", the best of {f['tried']}," if f["tried"] > 1 else ""
    text = f"{f['name']}{best} reconstructs {what} with error {found.value:.3g} of its variance"
    if not f["n_draws"]:
        return text + "; no random walk was scored, so what that is worth is not known."
    text += f"; on {f['n_draws']} random walks the same procedure gets {low:.3g} to {high:.3g} (5–95 %)"
    if found.value >= 1:
        text += f", but the mean of {what} would do as well (error 1): the chart does not carry over"
    elif found.holds == "unknown":
        text += ": too few walks to tell, for so many charts"
    elif found.holds == "yes":
        text += f", so it is nearer than a walk (p = {found.p:.2g}, all charts counted)"
    elif f["worse"]:
        text += ": worse than every walk"
    else:
        text += f": walks reach it (p = {found.p:.2g}, all charts counted)"
    if np.isfinite(f["trust"]):
        text += f" (trustworthiness does not tell: walks reach {f['trust']:.3f})"
    return text + "."


def curvature(found: Finding) -> str:
    """Say how the top eigenvalue moved, and whether the curvature is indefinite."""
    f = found.facts
    text = f"The Hessian's top eigenvalue went from {found.null[0]:.3g} to {found.value:.3g}, with its peak of "
    text += f"{f['peak']:.3g} at step {f['peak_step']} (relative residual at most {f['residual']:.1g}); "
    if f["negative"]:
        return text + f"among the {f['k']} largest in magnitude at most {f['negative']} were negative."
    return text + f"none of the {f['k']} largest in magnitude was negative beyond its residual."


def alignment(found: Finding) -> str:
    """Say whether the charts' tangents, the gradient and the step lie in the top eigenspace."""
    f, (low, high) = found.facts, found.null
    text = (
        f"The top {f['k']} eigenvectors hold {f['gradient']:.0%} of the gradient and {f['step']:.0%} of a step (of a "
    )
    text += f"random direction {f['expected']:.2%}), and {found.value:.0%} of the tangent of {f['name']}"
    text += f", the best aligned of {f['n']} charts" if f["n"] > 1 else ""
    text += f"; random planes of the run's own span have {low:.0%} to {high:.0%}: "
    if found.holds == "yes":
        return text + "the chart follows the curved directions."
    if found.holds == "unknown":
        return text + "not all of these are numbers, so nothing is said."
    if f["more_than_chance"]:
        return text + "above such planes, but below the single steps that such a tangent is made of."
    return text + "the chart is no closer to them than such planes."


def edge(found: Finding) -> str:
    """Say whether the learning rate is at the edge."""
    words = str(found.facts["verdict"])
    return f"{words[0].upper()}{words[1:]}."


def trainings(found: Finding) -> str:
    """Say which part of the updates lowers the loss."""
    start, final = found.facts["start"], found.facts["final"]
    told = ", ".join(f"{name} {value:.3g}" for name, value in final.items())
    text = f"From {start:.3g}, the same batches end at {told}."
    if {"dominant", "bulk", "SGD"} <= final.keys():
        fall = start - final["SGD"]
        inside, outside = ((start - final[name]) / fall if fall > 0 else np.nan for name in ("dominant", "bulk"))
        text += (
            f" Of what SGD gains, updates inside the top eigenspace gain {inside:.0%} and those off it {outside:.0%}."
        )
    return text


def topology(found: Finding) -> str:
    """Say how many minima the pictures show, where they were counted, and what separates them."""
    told = []
    for name, tree in found.facts["trees"].items():
        inside, apart = int((~tree.boundary).sum()), int(np.isinf(tree.deaths).sum())
        cells = " on supported cells" if tree.supported else ""
        text = f"{name} {tree.n_minima}{cells} ({inside} inside), {tree.n_saddles} saddles"
        if apart > 1:
            text += f", {apart} parts joined only through cells that were left out and so not told apart"
        told.append(text)
    return f"Minima: {'; '.join(told)}. A minimum on the edge of what was counted may be a slope that goes on."


def sensitivity(found: Finding) -> str:
    """Say which inputs the loss depends on most, by the first and by the second derivative."""
    told = "; ".join(f"order {k}: {', '.join(names)}" for k, names in enumerate(found.facts["most"], 1))
    return f"The loss depends most on {told} (mean absolute derivatives over {found.facts['n']} points)."


def lines(found: Finding) -> str:
    """Say what random lines show, and what was found when other shapes were asked for."""
    mined = "; ".join(f"{name}: found {kind}" for name, kind in found.facts["mined"].items())
    text = f"{found.value:.0%} of {found.facts['n']} random directions show the model at the bottom of a single valley"
    return f"{text}; {mined}." if mined else f"{text}."


def asymmetry(found: Finding) -> str:
    """Say whether noise with the model's signs costs less than noise against them, beside Gaussian noise."""
    f = found.facts
    if f["broken"]:
        return f"The {f['measure']} is not a number in {f['broken']} of {f['n']} draws."
    if f["lowest"] <= 0:
        return f"The {f['measure']} falls to {f['lowest']:.3g}: ratios of it say nothing."
    text = f"Noise against the model's signs leads to {found.value:.3g} times the {f['measure']} of noise with them; "
    if not np.isfinite(found.null[0]):
        return text + "no Gaussian noise was measured, so nothing is said."
    text += f"for Gaussian noise, where the sides are alike, the ratio is {f['control']:.3g}"
    text += f" ({found.null[0]:.3g} to {found.null[1]:.3g}): "
    if found.holds == "no":
        return text + "no asymmetry beyond chance."
    return text + f"the valley is {'flatter' if found.value > 1 else 'steeper'} on the side of the model's signs."


def walks(found: Finding) -> str:
    """Say what random walks, permuted copies, noise and gradient walks met, as far as they were made."""
    f, told = found.facts, []
    if "walk" in f:
        told.append(
            f"random walks rise by {found.value:.3g} ± {f['walk']:.1g} of what a quadratic valley would give (1)"
        )
    if "noise" in f:
        scale, rise = f["noise"]
        told.append(f"noise of {scale:.2g} of the weights' norm raises the loss by {rise:.3g}")
    if "permutations" in f:
        fewest, most, low, high = f["permutations"]
        told.append(
            f"equal networks with {fewest} to {most} units swapped lie behind barriers of {low:.2g} to {high:.2g}"
        )
    if "cloud" in f:
        descent, shares = f["cloud"]
        kinds = ", ".join(f"{share:.0%} {kind}" for kind, share in shares.items())
        ends = f" and end at points that are {kinds}" if kinds else ""
        told.append(f"gradient walks from random starts keep {descent:.2g} of the loss{ends}")
    text = "; ".join(told) + "."
    return text[0].upper() + text[1:]


def samples(found: Finding) -> str:
    """Say how fast the loss settles as samples are added."""
    f = found.facts
    text = f"One more sample after {f['n']} changes the mean loss by {f['expected']:.2g} in the mean; "
    return text + f"the change falls with slope {found.value:.3f} in the number of samples (−1 for independent ones)."
