"""The words of each standing warning, made of its numbers."""

from trajmap.report.finding import Finding

__all__ = [
    "adam",
    "broken",
    "count",
    "curve",
    "dropped",
    "negative",
    "not_finite",
    "objective",
    "residuals",
    "seams",
    "sketch",
    "slice_hides",
    "smeared",
    "thin",
    "wave",
]


def count(found: Finding) -> str:
    """Say how many warnings apply."""
    n = int(found.value)
    if not n:
        return "No standing warning applies to this run."
    return f"{n} standing warning{'' if n == 1 else 's'} appl{'ies' if n == 1 else 'y'} to this run."


def objective(found: Finding) -> str:
    """Say that the objective is another function than the recorded loss."""
    return f"The objective is not the loss that was recorded: {found.facts['text']}."


def broken(found: Finding) -> str:
    """Say how many iterates hold NaN or inf."""
    return f"{found.value} iterates hold NaN or inf; every analysis leaves them out."


def dropped(found: Finding) -> str:
    """Say how many iterates are damaged."""
    return f"{found.value} iterates are damaged or missing and are left out: {found.facts['first']}."


def seams(found: Finding) -> str:
    """Say where the run was resumed."""
    listed = ", ".join(str(step) for step in found.facts["steps"])
    return f"The run was resumed from step {listed}: data order and random states may differ from there on."


def sketch(found: Finding) -> str:
    """Say how far distances of a sketch may be off."""
    return (
        f"The iterates are sketches of {found.value:.0f} numbers: distances are right to "
        f"{50 * (2 / found.value) ** 0.5:.1f} %."
    )


def adam(found: Finding) -> str:
    """Say that Adam has a metric of its own."""
    return "Adam moves in a metric of its own: distances and eigenvalues without it describe the run only in part."


def wave(found: Finding) -> str:
    """Say that the first component is what a walk draws."""
    return (
        f"The first principal component follows a half cosine of time (correlation {found.value:.3f}): a random walk "
        "draws the same smooth arc, so the arc alone says nothing."
    )


def thin(found: Finding) -> str:
    """Say that most cells are far from the run."""
    return (
        f"One run is a curve: most cells over {', '.join(found.facts['names'])} lie farther from it than its held-out "
        "stretches do, and the surface there is the chart's invention."
    )


def smeared(found: Finding) -> str:
    """Say that nearly every cell is a mixture of iterates."""
    return (
        f"Over {', '.join(found.facts['names'])} nearly every cell lifts to a mixture of neighbouring iterates: the "
        "surface repeats the run's own losses and shows nothing beside it."
    )


def curve(found: Finding) -> str:
    """Say that the supported area is a band."""
    return (
        f"Over {', '.join(found.facts['names'])} the supported area grows with the reach as a band around the path "
        "does: the run identifies a curve there, not a surface. Sister runs or branches widen it."
    )


def not_finite(found: Finding) -> str:
    """Say how many cells have no finite loss."""
    return f"{found.value} cells over {found.facts['name']} are NaN or inf and are drawn grey."


def slice_hides(found: Finding) -> str:
    """Say what a slice cannot show."""
    return "A two-dimensional slice hides saddles: a minimum on a chart need not be one in parameter space."


def residuals(found: Finding) -> str:
    """Say where eigenpairs did not converge."""
    return f"At {found.value} of {found.facts['n']} iterates some eigenpairs did not reach the asked residual."


def negative(found: Finding) -> str:
    """Say that there are negative eigenvalues, and that these alone are no saddle."""
    return (
        f"The Hessian has negative eigenvalues down to {found.value:.3g} along the run, beyond their residuals: the "
        "loss curves down in some directions there. Where its gradient is not zero, that is no saddle."
    )
